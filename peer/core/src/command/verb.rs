//! The command words: one entry for each command of this version, with its aliases and its usage, and the words that
//! are reserved for later. Parses no arguments.

/// A command word of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// `!help`
    Help,
    /// `!register`
    Register,
    /// `!deregister`
    Deregister,
    /// `!login`
    Login,
    /// `!logout`
    Logout,
    /// `!whoami`
    WhoAmI,
    /// `!who`
    Who,
    /// `!send`
    Send,
    /// `!chat`
    Chat,
    /// `!close`
    Close,
    /// `!history`
    History,
    /// `!status`
    Status,
    /// `!cancel`
    Cancel,
    /// `!contacts`
    Contacts,
    /// `!verify`
    Verify,
    /// `!quit`
    Quit,
}

/// Words that the grammar reserves and this version does not carry out: never sent, never mistaken for a typing error.
const RESERVED: &[&str] = &[
    "accept",
    "add",
    "away",
    "back",
    "block",
    "broadcast",
    "busy",
    "create",
    "decline",
    "delete",
    "edit",
    "expire",
    "file",
    "files",
    "forward",
    "groups",
    "ignore",
    "invite",
    "join",
    "kick",
    "leave",
    "members",
    "part",
    "react",
    "remove",
    "reply",
    "s",
    "search",
    "sendfile",
    "unblock",
    "urgent",
];

/// What a word at the beginning of a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// A command of this version.
    Verb(Verb),
    /// A command that another version has.
    Reserved,
    /// No command; this one is spelled most alike.
    Unknown {
        /// The command to propose.
        nearest: Verb,
    },
}

impl Verb {
    /// All commands, in the order of the help text.
    pub const ALL: [Self; 16] = [
        Self::Help,
        Self::Register,
        Self::Deregister,
        Self::Login,
        Self::Logout,
        Self::WhoAmI,
        Self::Who,
        Self::Send,
        Self::Chat,
        Self::Close,
        Self::History,
        Self::Status,
        Self::Cancel,
        Self::Contacts,
        Self::Verify,
        Self::Quit,
    ];

    /// The word itself, without prefix.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Help => "help",
            Self::Register => "register",
            Self::Deregister => "deregister",
            Self::Login => "login",
            Self::Logout => "logout",
            Self::WhoAmI => "whoami",
            Self::Who => "who",
            Self::Send => "send",
            Self::Chat => "chat",
            Self::Close => "close",
            Self::History => "history",
            Self::Status => "status",
            Self::Cancel => "cancel",
            Self::Contacts => "contacts",
            Self::Verify => "verify",
            Self::Quit => "quit",
        }
    }

    /// Other words for the same command.
    #[must_use]
    pub fn aliases(self) -> &'static [&'static str] {
        match self {
            Self::Login => &["online"],
            Self::Logout => &["offline"],
            Self::Who => &["whoisonline", "names"],
            Self::Send => &["message", "msg"],
            Self::Chat => &["query"],
            Self::History => &["gethistory"],
            Self::Status => &["trace"],
            Self::Quit => &["exit"],
            Self::Help
            | Self::Register
            | Self::Deregister
            | Self::WhoAmI
            | Self::Close
            | Self::Cancel
            | Self::Contacts
            | Self::Verify => &[],
        }
    }

    /// The command with its arguments, as documents write it.
    #[must_use]
    pub fn usage(self) -> &'static str {
        match self {
            Self::Help => "!help [command]",
            Self::Register => "!register NAME",
            Self::Deregister => "!deregister [yes]",
            Self::Login => "!login",
            Self::Logout => "!logout",
            Self::WhoAmI => "!whoami",
            Self::Who => "!who [TEXT]",
            Self::Send => "!send TO [TEXT]",
            Self::Chat => "!chat TO",
            Self::Close => "!close",
            Self::History => "!history TO [COUNT] [before N]",
            Self::Status => "!status N",
            Self::Cancel => "!cancel N",
            Self::Contacts => "!contacts",
            Self::Verify => "!verify NAME [ok|no]",
            Self::Quit => "!quit",
        }
    }
}

/// Looks a word up, letter case ignored.
#[must_use]
pub fn look_up(word: &str) -> Known {
    let word = word.to_lowercase();
    let named = |verb: &Verb| verb.name() == word || verb.aliases().contains(&word.as_str());
    if let Some(verb) = Verb::ALL.into_iter().find(named) {
        return Known::Verb(verb);
    }
    if RESERVED.contains(&word.as_str()) {
        return Known::Reserved;
    }
    Known::Unknown { nearest: nearest(&word) }
}

fn nearest(word: &str) -> Verb {
    let distance = |verb: &Verb| {
        let words = std::iter::once(verb.name()).chain(verb.aliases().iter().copied());
        words.map(|known| edit_distance(word, known)).min().unwrap_or(usize::MAX)
    };
    Verb::ALL.into_iter().min_by_key(distance).unwrap_or(Verb::Help)
}

/// Letters of a word that count for likeness: what people type by mistake is not longer.
const LIKENESS_MAX_CHARS: usize = 24;

/// Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours cost 1 each.
fn edit_distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().take(LIKENESS_MAX_CHARS).collect();
    let right: Vec<char> = right.chars().take(LIKENESS_MAX_CHARS).collect();
    let mut rows = vec![vec![0; right.len() + 1]; left.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=left.len() {
        for j in 1..=right.len() {
            let other = usize::from(left[i - 1] != right[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + other);
            if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_and_alias_is_found_in_any_case() {
        for verb in Verb::ALL {
            for word in std::iter::once(&verb.name()).chain(verb.aliases()) {
                assert_eq!(look_up(&word.to_uppercase()), Known::Verb(verb));
                assert!(!RESERVED.contains(word), "{word} is both offered and reserved");
            }
        }
    }

    #[test]
    fn the_nearest_command_is_proposed() {
        let near = [
            ("sned", Verb::Send),
            ("histroy", Verb::History),
            ("wohami", Verb::WhoAmI),
            ("exitt", Verb::Quit),
            ("regster", Verb::Register),
        ];
        for (word, verb) in near {
            assert_eq!(look_up(word), Known::Unknown { nearest: verb });
        }
    }

    #[test]
    fn reserved_words_are_known_and_not_offered() {
        assert_eq!(look_up("REPLY"), Known::Reserved);
        assert_eq!(look_up("s"), Known::Reserved);
    }
}
