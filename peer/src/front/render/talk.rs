//! Changed lines, presence, groups and broadcasts as a person reads them.

use common::name::Name;
use peer_core::event::{Answer, ChangeView, GroupChange, GroupView, MemberView, PresenceView};

use super::super::safe_text::SafeText;
use super::super::screen::{Line, Look};
use super::super::{times, words};
use super::{ASIDE_MAX, Render, spoken, system};

/// Names in one notice; more are counted.
const NAMES_SHOWN: usize = 12;

impl Render {
    pub(super) fn shout(&self, from: &str, text: &str, sent_at_ms: i64, now_ms: i64) -> Vec<Line> {
        let time = times::local(sent_at_ms, now_ms, &self.zone);
        let speaker = format!("{from} to everybody: ");
        spoken(Look::Theirs, &format!("{time} {speaker}"), &format!("{:1$}{speaker}", "", time.len() + 1), text, "")
    }
}

/// One line for those who are alike, however many they are.
pub(super) fn presence(people: &[PresenceView]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut told = Vec::new();
    for view in people {
        let what = (view.standing, view.note.as_deref());
        if told.contains(&what) {
            continue;
        }
        let alike: Vec<&str> = people
            .iter()
            .filter(|other| other.standing == view.standing && other.note == view.note)
            .map(|other| other.name.as_str())
            .collect();
        let verb = if alike.len() == 1 { "is" } else { "are" };
        let said = format!("{} {verb} {}", listed(&alike), words::standing(view.standing));
        lines.push(view.note.as_deref().map_or_else(|| system(&said), |note| noted(&said, view.name.as_str(), note)));
        told.push(what);
    }
    lines
}

/// A line of the program's with words of somebody's: every row of theirs says so.
fn noted(said: &str, who: &str, note: &str) -> Line {
    let (head, again) = (SafeText::line(&format!("* {said}: ")), SafeText::line(&format!("  {who}: ")));
    Line { head, again, text: SafeText::line(note).cut(ASIDE_MAX), ..system("") }
}

/// `alice, bob and carol`, or `alice, ..., kim and 18 more`.
fn listed(names: &[&str]) -> String {
    let shown = names.len().min(NAMES_SHOWN);
    let (head, more) = names.split_at(shown);
    match (head, more.len()) {
        ([], _) => "nobody".to_owned(),
        ([one], 0) => (*one).to_owned(),
        ([first @ .., last], 0) => format!("{} and {last}", first.join(", ")),
        (head, more) => format!("{} and {more} more", head.join(", ")),
    }
}

pub(super) fn edited(view: &ChangeView) -> Vec<Line> {
    let (number, speaker) = (format!("* [{}] ", view.n), format!("{} edited: ", view.by));
    spoken(Look::System, &format!("{number}{speaker}"), &format!("{:1$}{speaker}", "", number.len()), &view.text, "")
}

pub(super) fn deleted(view: &ChangeView) -> Line {
    system(&format!("[{}] {} deleted this message", view.n, view.by))
}

pub(super) fn reacted(view: &ChangeView) -> Line {
    let (n, by, sign) = (view.n, &view.by, &view.text);
    if sign.is_empty() {
        system(&format!("[{n}] {by} took the sign back"))
    } else {
        system(&format!("[{n}] {by}: {sign}"))
    }
}

pub(super) fn expiry(conversation: &str, by: &str, after_ms: Option<u64>) -> Line {
    match after_ms {
        Some(ms) => {
            system(&format!("{by}: texts with {conversation} vanish {} after they are read", words::elapsed(ms)))
        }
        None => system(&format!("{by}: texts with {conversation} stay from now on")),
    }
}

pub(super) fn vanished(numbers: &[u64]) -> Line {
    let numbers: Vec<String> = numbers.iter().map(|n| format!("[{n}]")).collect();
    system(&format!("gone, since their time was over: {}", numbers.join(" ")))
}

pub(super) fn group(group: &Name, change: GroupChange, name: &str, by: Option<&str>) -> Line {
    let by = by.map_or(String::new(), |by| format!(" by {by}"));
    let what = match change {
        GroupChange::Created => format!("{name} began the group @{group}"),
        GroupChange::Joined => format!("{name} joined @{group}"),
        GroupChange::Left => format!("{name} left @{group}"),
        GroupChange::Kicked => format!("{name} was taken out of @{group}{by}"),
        GroupChange::Invited => format!("{name} is invited to @{group}{by}; '!join {group}' goes in"),
        GroupChange::Removed => format!("the group @{group} is over"),
    };
    system(&what)
}

/// The results of commands on lines, groups and presence.
pub(super) fn answer(answer: &Answer) -> Vec<Line> {
    let texts = match answer {
        Answer::Changed { n, .. } => vec![format!("Message [{n}] is changed here and on its way to the others.")],
        Answer::Expiry { conversation, after_ms: Some(ms) } => {
            vec![format!("Texts with {conversation} vanish {} after they are read.", words::elapsed(*ms))]
        }
        Answer::Expiry { conversation, after_ms: None } => vec![format!("Texts with {conversation} stay from now on.")],
        Answer::Forgotten { conversation, count: Some(count) } => {
            vec![format!("{} with {conversation} gone, here.", words::counted(*count, "text"))]
        }
        Answer::Forgotten { conversation, count: None } => vec![format!(
            "Nothing is gone yet. '!forget {conversation} yes' takes all texts with {conversation} off this disk."
        )],
        Answer::Removed(name) => vec![format!("{name} is a contact no more.")],
        Answer::Standing { standing, note } => {
            let note = note.as_ref().map_or(String::new(), |note| format!(": {note}"));
            vec![format!("You are {}{note}.", words::standing(*standing))]
        }
        Answer::Receipts(true) => vec!["Others are told what you have read.".to_owned()],
        Answer::Receipts(false) => vec!["Nobody is told what you have read.".to_owned()],
        Answer::Format(Some(true)) => vec!["Texts are shown formatted.".to_owned()],
        Answer::Format(Some(false)) => vec!["Texts are shown as typed.".to_owned()],
        Answer::Format(None) => vec!["'!format on' shows texts formatted, '!format off' as typed.".to_owned()],
        Answer::Group { group, change, name } => vec![done(group, *change, name)],
        Answer::Groups(groups) => all(groups.iter().map(group_line).collect(), "There is no group you may see."),
        Answer::Members { members, .. } => all(members.iter().map(member_line).collect(), "Nobody."),
        Answer::Broadcast { count } => vec![format!("Said to {}.", words::counted(*count, "other"))],
        _ => Vec::new(),
    };
    texts.iter().map(|text| Line::plain(Look::Plain, text)).collect()
}

fn done(group: &Name, change: GroupChange, name: &str) -> String {
    match change {
        GroupChange::Created => format!("The group @{group} is yours: '!invite NAME {group}' opens its door."),
        GroupChange::Joined => format!("You are a member of @{group}: '!send @{group} TEXT' talks to all of it."),
        GroupChange::Left => format!("You are a member of @{group} no more."),
        GroupChange::Kicked => format!("{name} is a member of @{group} no more."),
        GroupChange::Invited => format!("{name} is invited to @{group}."),
        GroupChange::Removed => format!("The group @{group} is over."),
    }
}

fn all(lines: Vec<String>, none: &str) -> Vec<String> {
    if lines.is_empty() { vec![none.to_owned()] } else { lines }
}

fn group_line(view: &GroupView) -> String {
    let mut parts = vec![words::counted(view.members, "member")];
    parts.extend(view.private.then(|| "private".to_owned()));
    parts.extend(view.member.then(|| "you are one".to_owned()));
    parts.extend(view.invited.then(|| "you are invited".to_owned()));
    parts.extend(view.owner.as_ref().map(|owner| format!("owner {owner}")));
    format!("@{:<15}  {}", view.name.as_str(), parts.join(", "))
}

fn member_line(view: &MemberView) -> String {
    let standing = view.standing.map_or("", words::standing);
    let owner = if view.owner { "  owner" } else { "" };
    format!("{:<15}  {standing:<7}{owner}", view.name).trim_end().to_owned()
}
