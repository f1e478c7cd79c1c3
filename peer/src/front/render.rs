//! Events and results as a person reads them. Says what stands on the screen, not how it gets there; remembers only what
//! was said before: whose key was called unverified, which own lines are still to be echoed.

mod answers;
mod echo;
mod files;
#[cfg(test)]
pub(crate) mod samples;
mod talk;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use common::name::Name;
use jiff::tz::TimeZone;
use peer_core::event::{Event, MessageView, QuoteView, StateView};
use peer_core::stored::{Reason, State, Tally, Via};

use super::safe_text::SafeText;
use super::screen::{Line, Look};
use super::{times, words};
use echo::Echoes;
use files::OwnFiles;

/// Columns of somebody's words that stand beside something else: a quote, a note.
const ASIDE_MAX: usize = 60;

/// Turns what happens into lines.
#[derive(Debug)]
pub struct Render {
    zone: TimeZone,
    unverified: HashSet<String>,
    echoes: Echoes,
    own_files: OwnFiles,
}

impl Render {
    /// Nothing said yet; times are shown in this zone.
    #[must_use]
    pub fn new(zone: TimeZone) -> Self {
        Self { zone, unverified: HashSet::new(), echoes: Echoes::default(), own_files: OwnFiles::default() }
    }

    /// What an event puts on the screen; `now_ms` is the wall clock, milliseconds since 1970. Answers need
    /// [`Self::answer`].
    pub fn event(&mut self, event: &Event, now_ms: i64) -> Vec<Line> {
        match event {
            Event::Ready { name, fingerprint, bind, directory, version } => {
                let who = name.as_ref().map_or("not registered yet: !register NAME".to_owned(), ToString::to_string);
                let fingerprint = words::grouped(fingerprint);
                vec![
                    system(&format!("Homing {version} on {bind}, directory {directory}; !help lists the commands")),
                    system(&format!("you are {who}, key {fingerprint}")),
                ]
            }
            Event::Registered(name) => vec![system(&format!("the name {name} is yours"))],
            Event::Online(name) => vec![system(&format!("you are online as {name}"))],
            Event::Offline(_) => vec![system("you are offline: the directory is not connected")],
            Event::Deregistered(name) => vec![system(&format!("the name {name} is released"))],
            Event::Message(view) => self.theirs(view, now_ms),
            Event::State(view) => self.state(view, now_ms),
            Event::File(view) => {
                self.own_files.learn(view);
                files::told(view)
            }
            Event::Presence(people) => talk::presence(people),
            Event::Edited(view) => talk::edited(view),
            Event::Deleted(view) => vec![talk::deleted(view)],
            Event::Reacted(view) => vec![talk::reacted(view)],
            Event::Expiry { conversation, by, after_ms, .. } => vec![talk::expiry(conversation, by, *after_ms)],
            Event::Vanished(numbers) => vec![talk::vanished(numbers)],
            Event::Broadcast { from, text, sent_at_ms } => self.shout(from, text, *sent_at_ms, now_ms),
            Event::Group { group, change, name, by, .. } => vec![talk::group(group, *change, name, by.as_deref())],
            Event::Pending(count) => {
                let waiting = words::counted(*count, "message");
                vec![Line::plain(Look::Plain, &format!("You have {waiting} from while you were away."))]
            }
            Event::Gap { from, conversation, missing } => {
                let missing = words::counted(*missing, "earlier message");
                let place = if conversation.starts_with('@') { format!(" in {conversation}") } else { String::new() };
                vec![system(&format!("{from}{place}: {missing} missing"))]
            }
            Event::Renamed { old, new, fingerprint } => vec![
                system(&format!("{old} is now called {new} (same key {})", words::grouped(fingerprint))),
                system(&format!("the name {old} stays theirs here; if somebody else takes it, you are asked")),
            ],
            Event::KeyChanged { name, called, pinned, new } => {
                let who = called.as_ref().unwrap_or(name);
                vec![
                    error(&format!("the name {name} belongs to another key now. Messages to {who} are held")),
                    error(&format!("  it was {}{}", words::grouped(pinned), now_called(called.as_ref()))),
                    error(&format!("  it is  {}", words::grouped(new))),
                    error(&format!("  if that is right, '!verify {name} ok' accepts the new key")),
                    error(&format!("  if it is wrong, '!verify {name} no' keeps the old one and refuses this one")),
                ]
            }
            Event::Error(failed) => vec![error(&failed.message)],
            Event::Answer { .. } => Vec::new(),
        }
    }

    /// The user has offered the file at `path` with message `n`.
    pub fn offered(&mut self, n: u64, path: &str) {
        self.own_files.offered(n, path);
    }

    /// When a line has to be echoed although nothing happens; wall clock, milliseconds since 1970.
    #[must_use]
    pub fn due_ms(&self) -> Option<i64> {
        self.echoes.due_ms()
    }

    /// Own lines that are old enough to be echoed as they are.
    pub fn due(&mut self, now_ms: i64) -> Vec<Line> {
        let views = self.echoes.due(now_ms);
        views.iter().flat_map(|view| self.mine(view, now_ms)).collect()
    }

    /// The program leaves: what was not echoed yet.
    pub fn rest(&mut self, now_ms: i64) -> Vec<Line> {
        let views = self.echoes.rest(now_ms);
        views.iter().flat_map(|view| self.mine(view, now_ms)).collect()
    }

    fn state(&mut self, view: &StateView, now_ms: i64) -> Vec<Line> {
        if self.echoes.is_to_be_shown(view, now_ms) { self.mine(view, now_ms) } else { Vec::new() }
    }

    fn theirs(&mut self, view: &MessageView, now_ms: i64) -> Vec<Line> {
        let mut lines = Vec::new();
        if !view.verified && self.unverified.insert(view.from.clone()) {
            lines.push(system(&format!("{0}? is not verified yet: '!verify {0}' shows what to compare", view.from)));
        }
        match &view.file {
            Some(offered) if view.gone.is_none() => lines.push(self.offer(view, offered, now_ms, true)),
            _ => lines.extend(self.message(view, now_ms)),
        }
        lines
    }

    /// A message of somebody else or, in a history, an own one; above it the line it answers.
    fn message(&self, view: &MessageView, now_ms: i64) -> Vec<Line> {
        if let Some(offered) = view.file.as_ref().filter(|_| view.gone.is_none() && !view.mine) {
            return vec![self.offer(view, offered, now_ms, false)];
        }
        let time = times::local(if view.mine { view.received_at_ms } else { view.sent_at_ms }, now_ms, &self.zone);
        let text = match (view.gone, &view.file, &view.text) {
            (Some(gone), _, _) => format!("({})", words::gone(gone)),
            (None, Some(offered), _) => files::own(&offered.name, Some(offered.size)),
            (None, None, Some(text)) => text.clone(),
            (None, None, None) => "a newer kind of message, which this version cannot show".to_owned(),
        };
        let answers = view.quote.as_ref().map_or(String::new(), |quote| format!(" -> [{}]", quote.n));
        let mut marks = marks_of(view);
        let (look, speaker) = if view.mine {
            marks.extend(view.state.map(|(state, why)| state_words(state, view.via, why, None, view.tally.as_ref())));
            (Look::Mine, format!("you -> {}{answers}: ", view.to))
        } else {
            let group =
                if view.conversation.starts_with('@') { format!("{} ", view.conversation) } else { String::new() };
            (Look::Theirs, format!("{group}{}{answers}: ", view.from))
        };
        let tail = if marks.is_empty() { String::new() } else { format!("  ({})", marks.join(", ")) };
        let mut lines: Vec<Line> = view.quote.iter().map(quote).collect();
        lines.extend(block(look, view.n, &time, &speaker, &text, &tail));
        lines
    }

    fn mine(&self, view: &StateView, now_ms: i64) -> Vec<Line> {
        let elapsed_ms = i64::try_from(view.elapsed_ms).unwrap_or(0);
        let time = times::local(now_ms.saturating_sub(elapsed_ms), now_ms, &self.zone);
        let words = state_words(view.state, view.via, view.reason, Some(view.elapsed_ms), view.tally.as_ref());
        let tail = format!("  ({words})");
        // No text is empty: this is an offer.
        let text = if view.text.is_empty() { self.own_files.words(view.n) } else { view.text.clone() };
        block(Look::Mine, view.n, &time, &format!("you -> {}: ", view.to), &text, &tail)
    }
}

/// That a pinned key has another name by now.
fn now_called(name: Option<&Name>) -> String {
    name.map_or_else(String::new, |name| format!(", now called {name}"))
}

fn system(text: &str) -> Line {
    Line::plain(Look::System, text)
}

fn error(text: &str) -> Line {
    Line::plain(Look::Error, text)
}

/// What is to be said of a message beside its text.
fn marks_of(view: &MessageView) -> Vec<String> {
    let said = [
        (view.request, "request"),
        (view.urgent && !view.mine, "urgent"),
        (view.late, "late"),
        (view.edited && view.gone.is_none(), "edited"),
    ];
    let mut marks: Vec<String> = said.into_iter().filter(|(is, _)| *is).map(|(_, mark)| mark.to_owned()).collect();
    marks.extend(view.forwarded.as_ref().map(|author| format!("forwarded from {author}")));
    let vanishes = view.vanishes_ms.filter(|_| view.gone.is_none());
    marks.extend(vanishes.map(|ms| format!("vanishes {} after it is read", words::elapsed(ms))));
    marks.extend(view.reactions.iter().map(|(who, sign)| format!("{sign} {who}")));
    marks
}

/// The first line of what a message answers, or the beginning of it.
fn quote(quote: &QuoteView) -> Line {
    let text = quote.text.as_deref().unwrap_or("(gone)");
    let (mut lines, more) = SafeText::body(text);
    let more = if lines.len() > 1 || more > 0 { " ..." } else { "" };
    let head = SafeText::line(&format!("    [{}] {}: ", quote.n, quote.from));
    let tail = SafeText::line(&format!("{}{more}", lines.swap_remove(0))).cut(ASIDE_MAX);
    let text = SafeText::default();
    Line { look: Look::Plain, again: head.clone(), head, text, tail, marked: false, sought: Vec::new() }
}

/// `delivered, direct, 3 ms`, or `3/3 delivered`, or `2 delivered, 1 kept`. The time is told of what has arrived; how long
/// something waits, its own time tells.
fn state_words(
    state: State,
    via: Option<Via>,
    why: Option<Reason>,
    elapsed_ms: Option<u64>,
    tally: Option<&Tally>,
) -> String {
    let mut parts = match tally {
        Some(tally) => vec![words::tally(tally)],
        None => vec![words::state(state).to_owned()],
    };
    if matches!(state, State::Delivered | State::Read) {
        parts.extend(via.filter(|_| tally.is_none()).map(|via| words::via(via).to_owned()));
        parts.extend(elapsed_ms.map(words::elapsed));
    }
    parts.extend(why.map(words::because));
    parts.join(", ")
}

/// A text by its lines, each behind a gutter that says who speaks.
fn block(look: Look, n: u64, time: &str, speaker: &str, text: &str, tail: &str) -> Vec<Line> {
    let number = format!("[{n}] {time} ");
    spoken(look, &format!("{number}{speaker}"), &format!("{:1$}{speaker}", "", number.len()), text, tail)
}

/// A text by its lines: `head` before the first, `again` before the others.
fn spoken(look: Look, head: &str, again: &str, text: &str, tail: &str) -> Vec<Line> {
    let (head, again) = (SafeText::line(head), SafeText::line(again));
    let (texts, more) = SafeText::body(text);
    let last = texts.len() - 1;
    let mut lines: Vec<Line> = Vec::with_capacity(texts.len());
    for (place, text) in texts.into_iter().enumerate() {
        let head = if place == 0 { head.clone() } else { again.clone() };
        let tail = if place == last && more == 0 { SafeText::line(tail) } else { SafeText::default() };
        lines.push(Line { look, head, again: again.clone(), text, tail, marked: true, sought: Vec::new() });
    }
    if more > 0 {
        let tail = SafeText::line(&format!("... {} more{tail}", words::counted(more as u64, "line")));
        let text = SafeText::default();
        lines.push(Line { look, head: again.clone(), again, text, tail, marked: false, sought: Vec::new() });
    }
    lines
}
