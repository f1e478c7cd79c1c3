//! Lines about conversations, groups and presence to commands: arguments only.

use common::identity::Fingerprint;
use common::limits::{BROADCAST_MAX_BYTES, EMOJI_MAX_BYTES, EXPIRY_MAX_MS, EXPIRY_MIN_MS, NOTE_MAX_BYTES};
use common::name::Name;
use common::wire::directory::Standing;

use super::{bad_argument, digits, name, number, only, recipient, split_word, too_many};
use crate::command::verb::Verb;
use crate::command::{Command, CommandError, ErrorCode, To};

/// Units of a duration, in milliseconds.
const UNITS: [(&str, u64); 5] =
    [("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 24 * 3_600_000), ("w", 7 * 24 * 3_600_000)];

/// A command whose arguments are words or raw text.
pub(super) fn command(verb: Verb, rest: &str) -> Result<Command, CommandError> {
    let words: Vec<&str> = rest.split_whitespace().collect();
    let one = |missing| only(verb, &words, missing);
    match verb {
        Verb::Reply => numbered(verb, rest).map(|(n, text)| Command::Reply { n, text }),
        Verb::Edit => numbered(verb, rest).map(|(n, text)| Command::Edit { n, text }),
        Verb::Delete => Ok(Command::Delete(number(verb, one("the message number is missing")?)?)),
        Verb::React => react(&words),
        Verb::Forward => forward(&words),
        Verb::Expire => expire(&words),
        Verb::Urgent => urgent(rest),
        Verb::Search => search(rest),
        Verb::Forget => forget(&words),
        Verb::Add => Ok(Command::Add(name(one("the name is missing")?)?)),
        Verb::Remove => Ok(Command::Remove(name(one("the name is missing")?)?)),
        Verb::Block => Ok(Command::Block(name(one("the name is missing")?)?)),
        Verb::Unblock => Ok(Command::Unblock(name(one("the name is missing")?)?)),
        Verb::Away => stand(verb, Standing::Away, rest),
        Verb::Busy => stand(verb, Standing::Busy, rest),
        Verb::Back if words.is_empty() => Ok(Command::Stand { standing: Standing::Online, note: None }),
        Verb::Receipts => switch(verb, &words).map(Command::Receipts),
        Verb::Format => switch(verb, &words).map(Command::Format),
        Verb::Create => create(&words),
        Verb::Join => Ok(Command::Join(group(one("the group is missing")?)?)),
        Verb::Leave => Ok(Command::Leave(group(one("the group is missing")?)?)),
        Verb::Invite => member(verb, &words).map(|(name, group)| Command::Invite { name, group, chat: None }),
        Verb::Kick => member(verb, &words).map(|(name, group)| Command::Kick { name, group }),
        Verb::Groups if words.is_empty() => Ok(Command::Groups),
        Verb::Members => Ok(Command::Members(group(one("the group is missing")?)?)),
        Verb::Broadcast => broadcast(rest),
        other => Err(too_many(other)),
    }
}

/// `N TEXT`, the text raw.
fn numbered(verb: Verb, rest: &str) -> Result<(u64, String), CommandError> {
    let (n, text) = split_word(rest.trim_start());
    if n.is_empty() {
        return Err(bad_argument(verb, "the message number is missing"));
    }
    let n = number(verb, n)?;
    if text.trim().is_empty() {
        return Err(bad_argument(verb, "the text is missing"));
    }
    Ok((n, text.to_owned()))
}

fn react(words: &[&str]) -> Result<Command, CommandError> {
    let (n, emoji) = match words {
        [] => return Err(bad_argument(Verb::React, "the message number is missing")),
        [_] => return Err(bad_argument(Verb::React, "the sign is missing; '-' takes it back")),
        [n, emoji] => (number(Verb::React, n)?, *emoji),
        _ => return Err(too_many(Verb::React)),
    };
    if emoji.len() > EMOJI_MAX_BYTES {
        return Err(bad_argument(Verb::React, format!("a sign has at most {EMOJI_MAX_BYTES} bytes")));
    }
    Ok(Command::React { n, emoji: if emoji == "-" { String::new() } else { emoji.to_owned() } })
}

fn forward(words: &[&str]) -> Result<Command, CommandError> {
    match words {
        [] => Err(bad_argument(Verb::Forward, "the message number is missing")),
        [_] => Err(bad_argument(Verb::Forward, "whom it is for is missing")),
        [n, to] => Ok(Command::Forward { n: number(Verb::Forward, n)?, to: recipient(Verb::Forward, to)? }),
        _ => Err(too_many(Verb::Forward)),
    }
}

fn expire(words: &[&str]) -> Result<Command, CommandError> {
    match words {
        [] => Err(bad_argument(Verb::Expire, "whose conversation is missing")),
        [_] => Err(bad_argument(Verb::Expire, "the duration is missing: 30s, 5m, 8h, 7d, 4w or 'off'")),
        [to, word] => {
            let with = recipient(Verb::Expire, to)?;
            let after_ms = if word.eq_ignore_ascii_case("off") { None } else { Some(duration(word)?) };
            Ok(Command::Expire { with, after_ms })
        }
        _ => Err(too_many(Verb::Expire)),
    }
}

fn duration(word: &str) -> Result<u64, CommandError> {
    let lower = word.to_ascii_lowercase();
    let unit = UNITS.iter().find_map(|(unit, ms)| Some((lower.strip_suffix(unit)?, ms)));
    let ms = unit.and_then(|(count, ms)| digits(count)?.checked_mul(*ms));
    ms.filter(|ms| (EXPIRY_MIN_MS..=EXPIRY_MAX_MS).contains(ms)).ok_or_else(|| {
        let what = format!("{word:?} is not a duration from 1s to 365d: 30s, 5m, 8h, 7d, 4w, or 'off'");
        bad_argument(Verb::Expire, what)
    })
}

fn urgent(rest: &str) -> Result<Command, CommandError> {
    let (to, text) = split_word(rest.trim_start());
    if to.is_empty() {
        return Err(bad_argument(Verb::Urgent, "whom the message is for is missing"));
    }
    let to = recipient(Verb::Urgent, to)?;
    if text.trim().is_empty() {
        return Err(bad_argument(Verb::Urgent, "the text is missing"));
    }
    Ok(Command::Send { to, text: text.to_owned(), key: None, urgent: true, reply_to: None })
}

/// Words, and phrases in double quotes; `in TO` at the end names a conversation.
fn search(rest: &str) -> Result<Command, CommandError> {
    let mut words = Vec::new();
    for (place, part) in rest.split('"').enumerate() {
        if place % 2 == 0 {
            words.extend(part.split_whitespace().map(str::to_owned));
        } else if !part.trim().is_empty() {
            words.push(part.trim().to_owned());
        }
    }
    let mut within = None;
    if let [first @ .., marker, to] = words.as_slice()
        && marker.eq_ignore_ascii_case("in")
        && !first.is_empty()
        && let Ok(to) = recipient(Verb::Search, to)
    {
        within = Some(to);
        words.truncate(words.len() - 2);
    }
    if words.is_empty() {
        return Err(bad_argument(Verb::Search, "what to look for is missing"));
    }
    Ok(Command::Search { words, within })
}

fn forget(words: &[&str]) -> Result<Command, CommandError> {
    match words {
        [] => Err(bad_argument(Verb::Forget, "whose conversation is missing")),
        [to] => Ok(Command::Forget { with: recipient(Verb::Forget, to)?, sure: false }),
        [to, word] if word.eq_ignore_ascii_case("yes") => {
            Ok(Command::Forget { with: recipient(Verb::Forget, to)?, sure: true })
        }
        _ => Err(too_many(Verb::Forget)),
    }
}

fn stand(verb: Verb, standing: Standing, rest: &str) -> Result<Command, CommandError> {
    let note = rest.trim();
    if note.len() > NOTE_MAX_BYTES {
        return Err(bad_argument(verb, format!("a note has at most {NOTE_MAX_BYTES} bytes")));
    }
    Ok(Command::Stand { standing, note: (!note.is_empty()).then(|| note.to_owned()) })
}

fn switch(verb: Verb, words: &[&str]) -> Result<Option<bool>, CommandError> {
    match words {
        [] => Ok(None),
        [word] if word.eq_ignore_ascii_case("on") => Ok(Some(true)),
        [word] if word.eq_ignore_ascii_case("off") => Ok(Some(false)),
        [word] => Err(bad_argument(verb, format!("{word:?} is neither 'on' nor 'off'"))),
        _ => Err(too_many(verb)),
    }
}

fn create(words: &[&str]) -> Result<Command, CommandError> {
    match words {
        [] => Err(bad_argument(Verb::Create, "the group's name is missing")),
        [word] => Ok(Command::Create { group: group(word)?, private: false }),
        [word, how] if how.eq_ignore_ascii_case("private") => {
            Ok(Command::Create { group: group(word)?, private: true })
        }
        [word, how] if how.eq_ignore_ascii_case("public") => {
            Ok(Command::Create { group: group(word)?, private: false })
        }
        _ => Err(too_many(Verb::Create)),
    }
}

fn member(verb: Verb, words: &[&str]) -> Result<(Name, Name), CommandError> {
    match words {
        [] => Err(bad_argument(verb, "the name is missing")),
        [_] => Err(bad_argument(verb, "the group is missing")),
        [person, word] => Ok((name(person)?, group(word)?)),
        _ => Err(too_many(verb)),
    }
}

/// A group's name, with or without its `@`.
fn group(word: &str) -> Result<Name, CommandError> {
    name(word.strip_prefix('@').unwrap_or(word))
}

fn broadcast(rest: &str) -> Result<Command, CommandError> {
    match rest.trim().len() {
        0 => Err(bad_argument(Verb::Broadcast, "the text is missing")),
        1..=BROADCAST_MAX_BYTES => Ok(Command::Broadcast(rest.trim().to_owned())),
        bytes => {
            let message = format!("the text has {bytes} bytes; at most {BROADCAST_MAX_BYTES} go to everybody");
            Err(CommandError::new(ErrorCode::TooLarge, message))
        }
    }
}

impl To {
    /// The fingerprint that was demanded.
    #[must_use]
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        match self {
            Self::Person { fingerprint, .. } => *fingerprint,
            Self::Group(_) => None,
        }
    }
}
