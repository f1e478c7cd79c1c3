//! Names of people and groups. Parsing is the only way to make one; equality ignores case.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::limits::{NAME_MAX_CHARS, NAME_MIN_CHARS};

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NameError {
    /// Too short or too long, in characters.
    #[error("a name has {NAME_MIN_CHARS} to {NAME_MAX_CHARS} characters, this one has {0}")]
    Length(usize),
    /// A character outside letters, digits, `-` and `_`.
    #[error("a name consists of the letters a to z, digits, '-' and '_'; {0:?} is none of them")]
    Character(char),
}

/// A person's name: 3 to 15 ASCII letters, digits, `-` or `_`; shown as written, compared without case.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    /// The name as its owner wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form used as a key: lower case.
    #[must_use]
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if let Some(bad) = text.chars().find(|c| !(c.is_ascii_alphanumeric() || *c == '-' || *c == '_')) {
            return Err(NameError::Character(bad));
        }
        let length = text.chars().count();
        if !(NAME_MIN_CHARS..=NAME_MAX_CHARS).contains(&length) {
            return Err(NameError::Length(length));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for byte in self.0.bytes() {
            state.write_u8(byte.to_ascii_lowercase());
        }
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.folded().cmp(&other.folded())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_compare_without_case_and_show_as_written() {
        let (a, b): (Name, Name) = ("Alice".parse().unwrap(), "aLICE".parse().unwrap());
        assert_eq!(a, b);
        assert_eq!(a.to_string(), "Alice");
    }

    #[test]
    fn wrong_names_are_refused_with_the_reason() {
        assert_eq!("ab".parse::<Name>(), Err(NameError::Length(2)));
        assert_eq!("a".repeat(16).parse::<Name>(), Err(NameError::Length(16)));
        assert_eq!("bób".parse::<Name>(), Err(NameError::Character('ó')));
        assert_eq!("a b".parse::<Name>(), Err(NameError::Character(' ')));
        assert!("a-b_9".parse::<Name>().is_ok());
    }
}
