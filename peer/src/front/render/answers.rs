//! The results of commands as a person reads them.

use common::name::Name;
use peer_core::command::CommandError;
use peer_core::event::{Answer, ContactView, MessageView, PersonView, SelfView};
use peer_core::stored::{Reason, State, TraceStep, Via};

use super::super::safe_text::SafeText;
use super::super::screen::{Line, Look};
use super::super::{help, times, words};
use super::{ASIDE_MAX, Render, error, files, now_called, state_words};

impl Render {
    /// What an answer puts on the screen; `now_ms` is the wall clock, milliseconds since 1970.
    pub fn answer(&mut self, answer: Result<&Answer, &CommandError>, now_ms: i64) -> Vec<Line> {
        match answer {
            Err(failed) => vec![error(&failed.message)],
            Ok(answer) => self.result(answer, now_ms),
        }
    }

    fn result(&self, answer: &Answer, now_ms: i64) -> Vec<Line> {
        match answer {
            Answer::Done => vec![plain("Done.")],
            Answer::Help(topic) => help::texts(topic.as_deref()).iter().map(|text| plain(text)).collect(),
            Answer::Registered(name) => vec![plain(&format!("You are registered as {name}."))],
            Answer::Deregistered(name) => vec![plain(&format!("You are not {name} any more."))],
            Answer::DeregisterSure(waiting) => vec![plain(&format!(
                "{} not delivered yet. Nothing was released; '!deregister yes' does it all the same.",
                if *waiting == 1 { "1 message is".to_owned() } else { format!("{waiting} messages are") }
            ))],
            Answer::Online(name) => vec![plain(&format!("You are online as {name}."))],
            Answer::Offline => vec![plain("You are offline. '!login' brings you back.")],
            Answer::WhoAmI(view) => whoami(view),
            Answer::People(people) => self.people(people, now_ms),
            Answer::Sent { n, to, before, .. } => before.map_or_else(Vec::new, |before| vec![again(*n, to, before)]),
            Answer::Chat(with) => vec![plain(&format!("Lines without '!' go to {with} now; '!close' ends that."))],
            Answer::Closed => vec![plain("No conversation is open now.")],
            Answer::History { with, messages } => self.history(with, messages, now_ms),
            Answer::Trace { message, steps } => self.trace(message, steps, now_ms),
            Answer::Cancelled { n } => vec![plain(&format!("Message [{n}] is withdrawn."))],
            Answer::Contacts(contacts) => all_contacts(contacts),
            Answer::Verify { .. } => verify(answer),
            Answer::Found { words, messages } => self.found(words, messages, now_ms),
            Answer::Contact(view) => contact(view),
            Answer::Changed { .. }
            | Answer::Expiry { .. }
            | Answer::Forgotten { .. }
            | Answer::Removed(_)
            | Answer::Standing { .. }
            | Answer::Receipts(_)
            | Answer::Format(_)
            | Answer::Group { .. }
            | Answer::Groups(_)
            | Answer::Members { .. }
            | Answer::Broadcast { .. } => super::talk::answer(answer),
            Answer::File(view) => vec![files::answered(view)],
            Answer::Files(views) => files::table(views),
            Answer::Bye => vec![plain("Bye.")],
        }
    }

    fn people(&self, people: &[PersonView], now_ms: i64) -> Vec<Line> {
        if people.is_empty() {
            return vec![plain("Nobody.")];
        }
        let row = |person: &PersonView| {
            let since = times::local(person.since_ms, now_ms, &self.zone);
            let (standing, how) = (words::standing(person.standing), words::reachable(person.reachable));
            let row = format!("{:<15}  {standing:<7}  since {since:<19}  {how}", person.name.as_str());
            with_note(&row, person.name.as_str(), person.note.as_deref())
        };
        people.iter().flat_map(row).collect()
    }

    fn history(&self, with: &str, messages: &[MessageView], now_ms: i64) -> Vec<Line> {
        if messages.is_empty() {
            return vec![plain(&format!("There are no messages with {with} here."))];
        }
        messages.iter().flat_map(|message| self.message(message, now_ms)).collect()
    }

    fn found(&self, sought: &[String], messages: &[MessageView], now_ms: i64) -> Vec<Line> {
        if messages.is_empty() {
            return vec![plain(&format!("No message here holds {}.", sought.join(" ")))];
        }
        let lines = messages.iter().flat_map(|message| self.message(message, now_ms));
        lines.map(|line| Line { sought: sought.to_vec(), ..line }).collect()
    }

    fn trace(&self, message: &MessageView, steps: &[TraceStep], now_ms: i64) -> Vec<Line> {
        let mut lines = self.message(message, now_ms);
        for step in steps {
            let mut parts = Vec::new();
            parts.extend(step.state.map(words::state).map(str::to_owned));
            parts.extend(step.what.clone());
            parts.extend(step.via.map(words::via).map(str::to_owned));
            parts.extend(step.reason.map(words::because));
            let at = times::local(step.at_ms, now_ms, &self.zone);
            lines.push(plain(&format!("  {at} {}", parts.join(", "))));
        }
        lines
    }
}

fn plain(text: &str) -> Line {
    Line::plain(Look::Plain, text)
}

fn again(n: u64, to: &str, before: (State, Option<Via>, Option<Reason>, u64)) -> Line {
    let (state, via, why, elapsed_ms) = before;
    let words = state_words(state, via, why, Some(elapsed_ms), None);
    plain(&format!("Sent before as [{n}] to {to}  ({words})"))
}

fn whoami(view: &SelfView) -> Vec<Line> {
    let addresses: Vec<String> = view.candidates.iter().map(ToString::to_string).collect();
    let directory_key = view.directory_fingerprint.map_or("not seen yet".to_owned(), |key| words::grouped(&key));
    let name = view.name.as_ref().map_or("none yet: !register NAME".to_owned(), ToString::to_string);
    [
        format!("name       {name}"),
        format!("key        {}", words::grouped(&view.fingerprint)),
        format!("state      {}", view.state),
        format!("bound to   {}", view.bind),
        format!("addresses  {}", if addresses.is_empty() { "none".to_owned() } else { addresses.join(", ") }),
        format!("directory  {}, key {directory_key}", view.directory),
    ]
    .iter()
    .map(|text| plain(text))
    .collect()
}

fn all_contacts(contacts: &[ContactView]) -> Vec<Line> {
    if contacts.is_empty() {
        return vec![plain("You know nobody yet: '!who' lists people.")];
    }
    contacts.iter().flat_map(contact).collect()
}

fn contact(view: &ContactView) -> Vec<Line> {
    let name = format!("{}{}", view.name, if view.verified { "" } else { "?" });
    let mut parts = vec![view.standing.map_or("unknown", words::standing).to_owned()];
    if view.blocked {
        parts.push("blocked".to_owned());
    } else if !view.accepted {
        parts.push("request, not accepted".to_owned());
    }
    if view.waiting > 0 {
        parts.push(format!("{} waiting", words::counted(view.waiting, "message")));
    }
    if !view.former.is_empty() {
        let former: Vec<&str> = view.former.iter().map(Name::as_str).collect();
        parts.push(format!("before: {}", former.join(", ")));
    }
    if let Some((name, _)) = &view.rival {
        parts.push(format!("ANOTHER KEY: see '!verify {name}'"));
    }
    let row = format!("{name:<16}  {}  {}", words::grouped(&view.fingerprint), parts.join(", "));
    with_note(&row, &view.name.to_string(), view.note.as_deref())
}

/// What the program says of somebody, and below it what they say of themselves, which looks like nothing else.
fn with_note(row: &str, who: &str, note: Option<&str>) -> Vec<Line> {
    let head = SafeText::line(&format!("    {who}: "));
    let noted =
        note.map(|note| Line { again: head.clone(), head, text: SafeText::line(note).cut(ASIDE_MAX), ..plain("") });
    [plain(row)].into_iter().chain(noted).collect()
}

fn verify(answer: &Answer) -> Vec<Line> {
    let Answer::Verify { name, called, mine, theirs, rival, refused, verified } = answer else { return Vec::new() };
    let marks = format!("{}{}", if *verified { "verified" } else { "not verified" }, now_called(called.as_ref()));
    let mut lines = vec![
        format!("your key    {}", words::grouped(mine)),
        format!("            {}", words::spoken(mine)),
        format!("{name}'s key  {}  ({marks})", words::grouped(theirs)),
        format!("            {}", words::spoken(theirs)),
    ];
    lines.extend(refused.iter().map(|key| format!("refused     {}", words::grouped(key))));
    if let Some(rival) = rival {
        lines.push(format!("NEW KEY     {}", words::grouped(rival)));
        lines.push(format!("            {}", words::spoken(rival)));
        lines.push(format!("'!verify {name} ok' accepts the new key, '!verify {name} no' refuses it."));
    } else if !verified {
        lines.push(format!("Compare them with {name}, not by message; then '!verify {name} ok'."));
    }
    lines.iter().map(|text| plain(text)).collect()
}
