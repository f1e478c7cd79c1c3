//! One line to one command. Knows no state: what a line means in a conversation is the console's to say.

mod files;
mod talk;

use common::name::{Name, NameError};

use super::verb::{self, Known, Verb};
use super::{Command, CommandError, ErrorCode, To, Verdict};
use crate::limits::{HISTORY_DEFAULT, HISTORY_MAX};

/// What a line is by itself.
#[derive(Debug)]
pub(super) enum Parsed<'a> {
    /// A command, complete.
    Command(Result<Command, CommandError>),
    /// A line without prefix, or behind a doubled one.
    Bare(&'a str),
    /// The first line of a multi-line message.
    Draft(Result<To, CommandError>),
}

/// The first word of a line as typed, its prefix included.
pub(super) fn first_word(line: &str) -> String {
    line.split_whitespace().next().unwrap_or_default().to_owned()
}

/// Parses one line that is not empty.
pub(super) fn line(line: &str) -> Parsed<'_> {
    let start = line.trim_start();
    let Some(rest) = start.strip_prefix(['!', '/']) else { return Parsed::Bare(line) };
    let prefix = &start[..1];
    if rest.starts_with(prefix) {
        return Parsed::Bare(rest);
    }
    let (word, rest) = split_word(rest);
    match verb::look_up(word) {
        Known::Verb(Verb::Send) => send(rest),
        Known::Verb(verb) => Parsed::Command(command(verb, rest)),
        Known::Unknown { nearest } => Parsed::Command(Err(unknown(word, nearest))),
    }
}

/// The word up to the first white space, and what follows that one character.
fn split_word(text: &str) -> (&str, &str) {
    match text.split_once(char::is_whitespace) {
        Some((word, rest)) => (word, rest),
        None => (text, ""),
    }
}

fn unknown(word: &str, nearest: Verb) -> CommandError {
    let message = format!("there is no command '!{word}'; did you mean '{}'? Nothing was sent", nearest.usage());
    CommandError::new(ErrorCode::UnknownCommand, message)
}

fn bad_argument(verb: Verb, what: impl std::fmt::Display) -> CommandError {
    CommandError::new(ErrorCode::BadArgument, format!("{what}; usage: {}", verb.usage()))
}

fn send(rest: &str) -> Parsed<'_> {
    let (to, text) = split_word(rest.trim_start());
    if to.is_empty() {
        return Parsed::Command(Err(bad_argument(Verb::Send, "whom the message is for is missing")));
    }
    if text.trim().is_empty() {
        return Parsed::Draft(recipient(Verb::Send, to));
    }
    let command = recipient(Verb::Send, to).map(|to| Command::Send {
        to,
        text: text.to_owned(),
        key: None,
        urgent: false,
        reply_to: None,
    });
    Parsed::Command(command)
}

fn command(verb: Verb, rest: &str) -> Result<Command, CommandError> {
    let words: Vec<&str> = rest.split_whitespace().collect();
    let done = |command| if words.is_empty() { Ok(command) } else { Err(too_many(verb)) };
    match verb {
        Verb::Help => help(&words),
        Verb::Register => Ok(Command::Register(name(only(verb, &words, "the name is missing")?)?)),
        Verb::Deregister => deregister(&words),
        Verb::Login => done(Command::Login),
        Verb::Logout => done(Command::Logout),
        Verb::WhoAmI => done(Command::WhoAmI),
        Verb::Who => Ok(Command::Who(Some(words.join(" ")).filter(|text| !text.is_empty()))),
        Verb::Chat => Ok(Command::Chat(recipient(verb, only(verb, &words, "whom to talk to is missing")?)?)),
        Verb::Close => done(Command::Close),
        Verb::History => history(&words),
        Verb::Status => Ok(Command::Status(number(verb, only(verb, &words, "the message number is missing")?)?)),
        Verb::Cancel => Ok(Command::Cancel(number(verb, only(verb, &words, "the message number is missing")?)?)),
        Verb::Contacts => done(Command::Contacts),
        Verb::Verify => verify(&words),
        Verb::File | Verb::Files | Verb::Accept | Verb::Decline => files::command(verb, rest),
        Verb::Quit => done(Command::Quit),
        // Its text is raw, so the line is split by `send`.
        Verb::Send => Err(bad_argument(verb, "whom the message is for is missing")),
        other => talk::command(other, rest),
    }
}

fn too_many(verb: Verb) -> CommandError {
    bad_argument(verb, "there is more on the line than this command takes")
}

fn only<'a>(verb: Verb, words: &[&'a str], missing: &str) -> Result<&'a str, CommandError> {
    match words {
        [] => Err(bad_argument(verb, missing)),
        [word] => Ok(word),
        _ => Err(too_many(verb)),
    }
}

fn help(words: &[&str]) -> Result<Command, CommandError> {
    let topic = match words {
        [] => return Ok(Command::Help(None)),
        [topic] => topic.trim_start_matches(['!', '/']),
        _ => return Err(too_many(Verb::Help)),
    };
    match verb::look_up(topic) {
        Known::Verb(verb) => Ok(Command::Help(Some(verb.name().to_owned()))),
        Known::Unknown { nearest } => Err(unknown(topic, nearest)),
    }
}

fn deregister(words: &[&str]) -> Result<Command, CommandError> {
    match words {
        [] => Ok(Command::Deregister { sure: false }),
        [word] if word.eq_ignore_ascii_case("yes") => Ok(Command::Deregister { sure: true }),
        _ => Err(too_many(Verb::Deregister)),
    }
}

fn verify(words: &[&str]) -> Result<Command, CommandError> {
    let (whose, verdict) = match words {
        [] => return Err(bad_argument(Verb::Verify, "the name is missing")),
        [whose] => (whose, None),
        [whose, word] if word.eq_ignore_ascii_case("ok") => (whose, Some(Verdict::Right)),
        [whose, word] if word.eq_ignore_ascii_case("no") => (whose, Some(Verdict::Wrong)),
        _ => return Err(too_many(Verb::Verify)),
    };
    match recipient(Verb::Verify, whose)? {
        To::Person { name, fingerprint } => Ok(Command::Verify { name, fingerprint, verdict }),
        To::Group(_) => Err(bad_argument(Verb::Verify, "a group has no key")),
    }
}

fn history(words: &[&str]) -> Result<Command, CommandError> {
    let Some((to, rest)) = words.split_first() else {
        return Err(bad_argument(Verb::History, "whose conversation is missing"));
    };
    let with = recipient(Verb::History, to)?;
    let is_before = |word: &str| word.eq_ignore_ascii_case("before");
    let (wanted, before) = match rest {
        [] => (None, None),
        [wanted] if !is_before(wanted) => (Some(wanted), None),
        [word, n] if is_before(word) => (None, Some(n)),
        [wanted, word, n] if is_before(word) => (Some(wanted), Some(n)),
        [.., word] if is_before(word) => {
            return Err(bad_argument(Verb::History, "the number after 'before' is missing"));
        }
        _ => return Err(too_many(Verb::History)),
    };
    let count = wanted.map_or(Ok(HISTORY_DEFAULT), |word| count(word))?;
    let before = before.map(|n| number(Verb::History, n)).transpose()?;
    Ok(Command::History { with, count, before })
}

fn count(word: &str) -> Result<u32, CommandError> {
    let wrong = || bad_argument(Verb::History, format!("{word:?} is not a COUNT from 1 to {HISTORY_MAX}"));
    digits(word).and_then(|count| u32::try_from(count).ok()).filter(|n| (1..=HISTORY_MAX).contains(n)).ok_or_else(wrong)
}

fn number(verb: Verb, word: &str) -> Result<u64, CommandError> {
    let bare = word.strip_prefix('[').and_then(|word| word.strip_suffix(']')).unwrap_or(word);
    // Numbers live in 63 bits in the store.
    let number = digits(bare).filter(|n| (1..=i64::MAX.unsigned_abs()).contains(n));
    number.ok_or_else(|| {
        bad_argument(verb, format!("{word:?} is not a message number; it stands in [brackets] before each message"))
    })
}

/// A number of plain digits: no sign, which the standard parser takes.
fn digits(word: &str) -> Option<u64> {
    word.bytes().all(|byte| byte.is_ascii_digit()).then(|| word.parse().ok()).flatten()
}

/// Parses a name.
fn name(word: &str) -> Result<Name, CommandError> {
    word.parse().map_err(|error: NameError| {
        let message =
            format!("{word:?} is not a name: {error}; accepted are 3 to 15 characters of a-z, A-Z, 0-9, '-' and '_'");
        CommandError::new(ErrorCode::BadName, message)
    })
}

fn recipient(verb: Verb, word: &str) -> Result<To, CommandError> {
    if let Some(group) = word.strip_prefix('@') {
        return Ok(To::Group(name(group)?));
    }
    let Some((person, fingerprint)) = word.split_once('#') else {
        return Ok(To::Person { name: name(word)?, fingerprint: None });
    };
    let fingerprint = fingerprint.parse().map_err(|error| bad_argument(verb, format!("{word:?}: {error}")))?;
    Ok(To::Person { name: name(person)?, fingerprint: Some(fingerprint) })
}

impl std::str::FromStr for To {
    type Err = CommandError;

    fn from_str(text: &str) -> Result<Self, CommandError> {
        recipient(Verb::Send, text)
    }
}

impl std::fmt::Display for To {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Person { name, .. } => write!(f, "{name}"),
            Self::Group(name) => write!(f, "@{name}"),
        }
    }
}
