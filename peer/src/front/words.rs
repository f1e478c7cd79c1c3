//! The fixed words of states, reasons and paths: for scripts (stable, kebab-case) and for people. No layout.

mod files;

use common::identity::Fingerprint;
use common::limits::{
    MAILBOX_ITEMS_MAX, MAILBOX_MIB_MAX, PAIR_ITEMS_MAX, STRANGER_ITEMS_MAX, SUBMITTER_ITEMS_MAX, SUBMITTER_MIB_MAX,
};
use common::wire::directory::Standing;
use peer_core::event::{GroupChange, Reachable};
use peer_core::stored::{Gone, Reason, State, Tally, Via};

pub use files::{fault, fault_because, fault_of, file_state, flow, not_kept_because, percent, size};

/// A state, for scripts and people alike.
#[must_use]
pub fn state(state: State) -> &'static str {
    match state {
        State::Queued => "queued",
        State::Kept => "kept",
        State::Delivered => "delivered",
        State::Read => "read",
        State::Held => "held",
        State::Expired => "expired",
        State::Refused => "refused",
        State::Cancelled => "cancelled",
    }
}

/// A path, for scripts and people alike.
#[must_use]
pub fn via(via: Via) -> &'static str {
    match via {
        Via::Direct => "direct",
        Via::Directory => "directory",
    }
}

/// A reason, for scripts.
#[must_use]
pub fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::Undelivered24h => "undelivered-24h",
        Reason::MailboxFull => "mailbox-full",
        Reason::Quota => "quota",
        Reason::StrangersFull => "strangers-full",
        Reason::DiskFull => "disk-full",
        Reason::RateLimited => "rate-limited",
        Reason::NoSuchUser => "no-such-user",
        Reason::KeyChanged => "key-changed",
        Reason::NoPrekey => "no-prekey",
        Reason::CannotOpen => "cannot-open",
        Reason::DirectoryStore => "directory-store",
        Reason::Blocked => "blocked",
        Reason::Suspended => "suspended",
        Reason::Lifetime => "lifetime",
        Reason::User => "user",
    }
}

/// A reason, for people. Where a limit is reached, it is named.
#[must_use]
pub fn because(reason: Reason) -> String {
    let words = match reason {
        Reason::Undelivered24h => "not delivered for 24 hours, still trying",
        Reason::MailboxFull => {
            let room = thousands(MAILBOX_ITEMS_MAX);
            return format!("their mailbox is full, {room} messages or {MAILBOX_MIB_MAX} MiB");
        }
        Reason::Quota => {
            let (one, all) = (thousands(PAIR_ITEMS_MAX), thousands(SUBMITTER_ITEMS_MAX));
            return format!(
                "your quota at the directory is used up, {one} messages to one person, {all} or {SUBMITTER_MIB_MAX} MiB in all"
            );
        }
        Reason::StrangersFull => {
            let room = thousands(STRANGER_ITEMS_MAX);
            return format!("they do not know you yet and their room for strangers is full, {room} messages");
        }
        Reason::DiskFull => "the directory's disk is full",
        Reason::RateLimited => "the directory asks to slow down",
        Reason::NoSuchUser => "the name is not registered any more",
        Reason::KeyChanged => "the name belongs to another key now; see !verify",
        Reason::NoPrekey => "they have not been online yet since they registered",
        Reason::CannotOpen => "they could not open it",
        Reason::DirectoryStore => "the directory cannot store at present",
        Reason::Blocked => "they block you",
        Reason::Suspended => "this identity is in use on another machine; !login takes it back",
        Reason::Lifetime => "its lifetime of 30 days is over",
        Reason::User => "withdrawn by you",
    };
    words.to_owned()
}

/// The same of a reason as scripts read it.
#[must_use]
pub fn because_of(reason_for_scripts: &str) -> String {
    let known = Reason::ALL.into_iter().find(|known| reason(*known) == reason_for_scripts);
    known.map_or_else(|| reason_for_scripts.to_owned(), because)
}

/// A count with a comma before every three digits.
fn thousands(count: u64) -> String {
    match count {
        0..1_000 => count.to_string(),
        _ => format!("{},{:03}", thousands(count / 1_000), count % 1_000),
    }
}

/// Presence, for scripts and people alike.
#[must_use]
pub fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Online => "online",
        Standing::Away => "away",
        Standing::Busy => "busy",
        Standing::Offline => "offline",
    }
}

/// How somebody is reached, for scripts and people alike.
#[must_use]
pub fn reachable(reachable: Reachable) -> &'static str {
    match reachable {
        Reachable::Here => "here",
        Reachable::Direct => "direct",
        Reachable::Directory => "directory",
        Reachable::Mailbox => "mailbox",
    }
}

/// What happened in a group, for scripts and people alike.
#[must_use]
pub fn group_change(change: GroupChange) -> &'static str {
    match change {
        GroupChange::Created => "created",
        GroupChange::Joined => "joined",
        GroupChange::Left => "left",
        GroupChange::Kicked => "kicked",
        GroupChange::Invited => "invited",
        GroupChange::Removed => "removed",
    }
}

/// Why a line has no text, for scripts and people alike.
#[must_use]
pub fn gone(gone: Gone) -> &'static str {
    match gone {
        Gone::Deleted => "deleted",
        Gone::Vanished => "vanished",
        Gone::Forgotten => "forgotten",
    }
}

/// A fingerprint in groups of four characters, for comparing aloud.
#[must_use]
pub fn grouped(fingerprint: &Fingerprint) -> String {
    let text = fingerprint.to_string();
    let groups: Vec<&str> = text.as_bytes().chunks(4).filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(" ")
}

/// A fingerprint as 15 words of the English list of BIP 39, the last of which checks the others: for comparing aloud.
#[must_use]
pub fn spoken(fingerprint: &Fingerprint) -> String {
    bip39::Mnemonic::from_entropy(&fingerprint.0).map(|words| words.to_string()).unwrap_or_default()
}

/// `3/3 delivered`, `2 delivered, 1 kept`.
#[must_use]
pub fn tally(tally: &Tally) -> String {
    if tally.delivered == tally.total {
        return format!("{}/{} delivered", tally.delivered, tally.total);
    }
    let all = [(tally.delivered, "delivered"), (tally.kept, "kept"), (tally.waiting, "queued"), (tally.ended, "not")];
    let parts: Vec<String> =
        all.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    parts.join(", ")
}

/// `1 message`, `3 messages`.
#[must_use]
pub fn counted(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// A duration as people say it: `3 ms`, `1.5 s`, `4 min`, `3 h`, `2 d`.
#[must_use]
pub fn elapsed(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        60_000..3_600_000 => format!("{} min", ms / 60_000),
        3_600_000..86_400_000 => format!("{} h", ms / 3_600_000),
        _ => format!("{} d", ms / 86_400_000),
    }
}
