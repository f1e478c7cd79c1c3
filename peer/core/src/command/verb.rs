//! The command words: one entry for each command of this version, with its aliases and its usage. Parses no arguments.

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
    /// `!reply`
    Reply,
    /// `!edit`
    Edit,
    /// `!delete`
    Delete,
    /// `!react`
    React,
    /// `!forward`
    Forward,
    /// `!expire`
    Expire,
    /// `!urgent`
    Urgent,
    /// `!history`
    History,
    /// `!search`
    Search,
    /// `!forget`
    Forget,
    /// `!status`
    Status,
    /// `!cancel`
    Cancel,
    /// `!contacts`
    Contacts,
    /// `!add`
    Add,
    /// `!remove`
    Remove,
    /// `!block`
    Block,
    /// `!unblock`
    Unblock,
    /// `!verify`
    Verify,
    /// `!away`
    Away,
    /// `!busy`
    Busy,
    /// `!back`
    Back,
    /// `!receipts`
    Receipts,
    /// `!format`
    Format,
    /// `!create`
    Create,
    /// `!join`
    Join,
    /// `!leave`
    Leave,
    /// `!invite`
    Invite,
    /// `!kick`
    Kick,
    /// `!groups`
    Groups,
    /// `!members`
    Members,
    /// `!broadcast`
    Broadcast,
    /// `!file`
    File,
    /// `!files`
    Files,
    /// `!accept`
    Accept,
    /// `!decline`
    Decline,
    /// `!quit`
    Quit,
}

/// What a word at the beginning of a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// A command of this version.
    Verb(Verb),
    /// No command; this one is spelled most alike.
    Unknown {
        /// The command to propose.
        nearest: Verb,
    },
}

impl Verb {
    /// All commands, in the order of the help text.
    pub const ALL: [Self; 46] = [
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
        Self::Reply,
        Self::Edit,
        Self::Delete,
        Self::React,
        Self::Forward,
        Self::Expire,
        Self::Urgent,
        Self::History,
        Self::Search,
        Self::Forget,
        Self::Status,
        Self::Cancel,
        Self::Contacts,
        Self::Add,
        Self::Remove,
        Self::Block,
        Self::Unblock,
        Self::Verify,
        Self::Away,
        Self::Busy,
        Self::Back,
        Self::Receipts,
        Self::Format,
        Self::Create,
        Self::Join,
        Self::Leave,
        Self::Invite,
        Self::Kick,
        Self::Groups,
        Self::Members,
        Self::Broadcast,
        Self::File,
        Self::Files,
        Self::Accept,
        Self::Decline,
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
            Self::Reply => "reply",
            Self::Edit => "edit",
            Self::Delete => "delete",
            Self::React => "react",
            Self::Forward => "forward",
            Self::Expire => "expire",
            Self::Urgent => "urgent",
            Self::History => "history",
            Self::Search => "search",
            Self::Forget => "forget",
            Self::Status => "status",
            Self::Cancel => "cancel",
            Self::Contacts => "contacts",
            Self::Add => "add",
            Self::Remove => "remove",
            Self::Block => "block",
            Self::Unblock => "unblock",
            Self::Verify => "verify",
            Self::Away => "away",
            Self::Busy => "busy",
            Self::Back => "back",
            Self::Receipts => "receipts",
            Self::Format => "format",
            Self::Create => "create",
            Self::Join => "join",
            Self::Leave => "leave",
            Self::Invite => "invite",
            Self::Kick => "kick",
            Self::Groups => "groups",
            Self::Members => "members",
            Self::Broadcast => "broadcast",
            Self::File => "file",
            Self::Files => "files",
            Self::Accept => "accept",
            Self::Decline => "decline",
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
            Self::Block => &["ignore"],
            Self::Leave => &["part"],
            Self::File => &["sendfile", "s"],
            _ => &[],
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
            Self::Reply => "!reply N [NAME] TEXT",
            Self::Edit => "!edit N TEXT",
            Self::Delete => "!delete N",
            Self::React => "!react N EMOJI",
            Self::Forward => "!forward N TO",
            Self::Expire => "!expire TO DURATION",
            Self::Urgent => "!urgent TO TEXT",
            Self::History => "!history TO [COUNT] [before N]",
            Self::Search => "!search WORDS [in TO]",
            Self::Forget => "!forget TO [yes]",
            Self::Status => "!status N",
            Self::Cancel => "!cancel N",
            Self::Contacts => "!contacts",
            Self::Add => "!add NAME",
            Self::Remove => "!remove NAME",
            Self::Block => "!block NAME",
            Self::Unblock => "!unblock NAME",
            Self::Verify => "!verify NAME [ok|no]",
            Self::Away => "!away [TEXT]",
            Self::Busy => "!busy [TEXT]",
            Self::Back => "!back",
            Self::Receipts => "!receipts [on|off]",
            Self::Format => "!format [on|off]",
            Self::Create => "!create GROUP [private]",
            Self::Join => "!join GROUP",
            Self::Leave => "!leave GROUP",
            Self::Invite => "!invite NAME GROUP",
            Self::Kick => "!kick NAME GROUP",
            Self::Groups => "!groups",
            Self::Members => "!members GROUP",
            Self::Broadcast => "!broadcast TEXT",
            Self::File => "!file TO PATH",
            Self::Files => "!files",
            Self::Accept => "!accept N [PATH]",
            Self::Decline => "!decline N",
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
    fn no_word_means_two_commands() {
        let words = Verb::ALL.into_iter().flat_map(|verb| std::iter::once(verb.name()).chain(verb.aliases().to_vec()));
        let mut words: Vec<&str> = words.collect();
        words.sort_unstable();
        assert!(words.windows(2).all(|pair| pair[0] != pair[1]), "{words:?}");
    }
}
