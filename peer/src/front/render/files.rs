//! Files as a person reads them: offers, how far they are, where they lie. A name is the choice of whoever offers the
//! file, so it never stands where it could be taken for the program's own words.

use std::collections::BTreeMap;
use std::path::Path;

use peer_core::event::{FileView, MessageView, OfferedView};
use peer_core::stored::FileState;

use super::super::safe_text::SafeText;
use super::super::screen::{Line, Look};
use super::super::{times, words};
use super::{ASIDE_MAX, Render, marks_of};

/// Own offers whose names are remembered.
const REMEMBERED_MAX: usize = 1_000;

/// What own files are called, by the number of the message that offers them: a state does not say it.
#[derive(Debug, Default)]
pub(super) struct OwnFiles(BTreeMap<u64, String>);

impl OwnFiles {
    pub(super) fn offered(&mut self, n: u64, path: &str) {
        let name = Path::new(path).file_name().map_or(path.into(), |name| name.to_string_lossy());
        self.remember(n, own(&name, None));
    }

    pub(super) fn learn(&mut self, view: &FileView) {
        if view.mine {
            self.remember(view.n, own(&view.file.name, Some(view.file.size)));
        }
    }

    fn remember(&mut self, n: u64, words: String) {
        self.0.insert(n, words);
        if self.0.len() > REMEMBERED_MAX {
            self.0.pop_first();
        }
    }

    pub(super) fn words(&self, n: u64) -> String {
        self.0.get(&n).cloned().unwrap_or_else(|| "a file".to_owned())
    }
}

/// An own offer, in the place of a text.
pub(super) fn own(name: &str, size: Option<u64>) -> String {
    let size = size.map_or_else(String::new, |bytes| format!(", {}", words::size(bytes)));
    format!("file {}{size}", called(name))
}

/// A name on one line and not too long; in quotes when it could be read as more than a name.
fn called(name: &str) -> SafeText {
    let name = SafeText::line(name).cut(ASIDE_MAX);
    let plain = !name.is_empty()
        && !name.as_str().contains([',', ';', ':', '"', '[', '!', '/', '*'])
        && !name.as_str().contains("  ")
        && name.as_str().trim() == name.as_str();
    if plain { name } else { SafeText::line(&format!("\"{}\"", name.as_str().replace('"', "'"))) }
}

impl Render {
    /// Somebody offers a file. `fresh`: it has just come, and is to be answered.
    pub(super) fn offer(&self, view: &MessageView, offered: &OfferedView, now_ms: i64, fresh: bool) -> Line {
        let n = view.n;
        let time = times::local(view.sent_at_ms, now_ms, &self.zone);
        let group = if view.conversation.starts_with('@') { format!("{} ", view.conversation) } else { String::new() };
        let (number, speaker) = (format!("[{n}] {time} "), format!("{group}{} offers a file: ", view.from));
        let asks = if fresh { format!("; !accept {n} takes it, !decline {n} refuses it") } else { String::new() };
        let marks = marks_of(view);
        let marks = if marks.is_empty() { String::new() } else { format!("  ({})", marks.join(", ")) };
        let tail = format!(", {}{asks}{marks}", words::size(offered.size));
        Line {
            look: Look::Theirs,
            head: SafeText::line(&format!("{number}{speaker}")),
            again: SafeText::line(&format!("{:1$}{2}: ", "", number.len(), view.from)),
            text: called(&offered.name),
            tail: SafeText::line(&tail),
            marked: false,
            sought: Vec::new(),
        }
    }
}

/// A line about a file: every row of it says whose name stands there.
fn about(look: Look, view: &FileView, head: &str, said: &str) -> Line {
    let whose = if view.mine { "you" } else { &view.from };
    Line {
        look,
        head: SafeText::line(head),
        again: SafeText::line(&format!("{:1$}{whose}: ", "", head.len())),
        text: SafeText::line(said),
        tail: SafeText::default(),
        marked: false,
        sought: Vec::new(),
    }
}

/// `report.pdf from bob`, `report.pdf to bob`.
fn named(view: &FileView) -> String {
    let name = called(&view.file.name);
    if view.mine { format!("{name} to {}", view.to) } else { format!("{name} from {}", view.from) }
}

/// A file is further, or has ended.
pub(super) fn told(view: &FileView) -> Vec<Line> {
    // The answer to the user's own command says it.
    if view.state == FileState::Declined && !view.mine {
        return Vec::new();
    }
    let (look, sign) = if view.state == FileState::Failed { (Look::Error, '!') } else { (Look::System, '*') };
    vec![about(look, view, &format!("{sign} [{}] ", view.n), &format!("{}{}", named(view), how(view)))]
}

/// How it stands, behind its name.
fn how(view: &FileView) -> String {
    let via = view.via.map_or_else(String::new, |via| format!(", {}", words::via(via)));
    let size = words::size(view.file.size);
    let because = view.reason.map(|fault| words::fault_because(fault, view.mine));
    match view.state {
        FileState::Progress => format!(": {}{via}", words::flow(view.bytes, view.file.size, view.rate)),
        FileState::Done => match (&view.path, view.mine) {
            (Some(path), false) => format!(" is here, {size}{via}: {}", path.display()),
            _ => format!(" has arrived, {size}{via}"),
        },
        FileState::Failed => {
            let again = if view.mine { String::new() } else { format!("; '!accept {}' tries it again", view.n) };
            format!(" failed: {}{again}", because.unwrap_or("it did not come to an end"))
        }
        FileState::Declined => " is declined".to_owned(),
        FileState::Cancelled => {
            format!(" is cancelled{}", because.map_or_else(String::new, |why| format!(": {why}")))
        }
        FileState::Offered | FileState::Accepted => {
            let state = words::file_state(view.state);
            match view.reason {
                _ if view.kept => format!(" is {state}, and kept at the directory"),
                Some(fault) if view.mine => format!(" is {state}; {}", words::not_kept_because(fault)),
                Some(_) | None => format!(" is {state}"),
            }
        }
    }
}

/// The result of `!accept`, `!decline`, and of `!cancel` for a file.
pub(super) fn answered(view: &FileView) -> Line {
    let (n, size) = (view.n, words::size(view.file.size));
    let said = match view.state {
        FileState::Accepted | FileState::Progress => {
            format!("{}, {size}, comes as soon as it can; '!cancel {n}' stops it", named(view))
        }
        _ => format!("{}{}", named(view), how(view)),
    };
    about(Look::Plain, view, &format!("[{n}] "), &format!("{said}."))
}

/// The result of `!files`.
pub(super) fn table(views: &[FileView]) -> Vec<Line> {
    if views.is_empty() {
        return vec![Line::plain(Look::Plain, "No file was offered yet: '!file TO PATH' offers one.")];
    }
    views.iter().map(row).collect()
}

fn row(view: &FileView) -> Line {
    let who = if view.mine { format!("to {}", view.to) } else { format!("from {}", view.from) };
    let amount = match view.state {
        FileState::Progress => {
            let size = words::size(view.file.size);
            format!("{} % of {size}", words::percent(view.bytes, view.file.size))
        }
        _ => words::size(view.file.size),
    };
    let number = format!("[{}]", view.n);
    let head = format!("{number:<6} {who:<20} {:<9} {amount:>18}  ", words::file_state(view.state));
    let more = match (view.state, &view.path, view.reason) {
        (FileState::Done, Some(path), _) if !view.mine => format!(": {}", path.display()),
        (FileState::Offered | FileState::Accepted, _, _) if view.kept => ", kept at the directory".to_owned(),
        (FileState::Offered | FileState::Accepted, _, Some(fault)) if view.mine => {
            format!("; {}", words::not_kept_because(fault))
        }
        (_, _, Some(fault)) => format!("; {}", words::fault_because(fault, view.mine)),
        (_, _, None) => String::new(),
    };
    about(Look::Plain, view, &head, &format!("{}{more}", called(&view.file.name)))
}

#[cfg(test)]
mod tests;
