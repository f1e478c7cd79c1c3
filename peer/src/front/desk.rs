//! What the two threads of a front end share: the grammar's state, the lines that wait for an answer, the names that are
//! known for completion. No input or output.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use peer_core::command::{Command, CommandError, Console, Fed, To};
use peer_core::event::{Answer, Event};

/// A line that waits for its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The first word of the line.
    pub word: String,
    /// The conversation it opens.
    pub chat: Option<To>,
    /// The path of the file it offers.
    pub file: Option<String>,
}

/// Shared by reading and writing.
#[derive(Debug, Default)]
pub struct Desk {
    console: Mutex<Console>,
    asked: Mutex<BTreeMap<u64, Asked>>,
    answered: Condvar,
    names: Mutex<BTreeSet<String>>,
}

/// Names remembered for completion.
const NAMES_MAX: usize = 10_000;

impl Desk {
    /// The grammar.
    pub fn console(&self) -> MutexGuard<'_, Console> {
        held(&self.console)
    }

    /// Notes a line that will be answered under this number.
    pub fn ask(&self, number: u64, word: String, command: &Result<Command, CommandError>) {
        let (chat, file) = match command {
            Ok(Command::Chat(to)) => (Some(to.clone()), None),
            Ok(Command::File { path, .. }) => (None, Some(path.clone())),
            _ => (None, None),
        };
        held(&self.asked).insert(number, Asked { word, chat, file });
    }

    /// The line that this number answers. A conversation that was refused is closed again.
    pub fn answer(&self, number: u64, answer: &Result<Box<Answer>, CommandError>) -> Option<Asked> {
        let asked = held(&self.asked).remove(&number);
        if let (Err(_), Some(Asked { chat: Some(to), .. })) = (answer, &asked) {
            self.console().chat_refused(to);
        }
        asked
    }

    /// Everything that was answered so far stands on the screen.
    pub fn written(&self) {
        self.answered.notify_all();
    }

    /// Waits until no line waits for an answer, at most so long.
    pub fn wait_answered(&self, patience: Duration) {
        let open = held(&self.asked);
        // Whether it was answered or not, the prompt comes back.
        drop(self.answered.wait_timeout_while(open, patience, |open| !open.is_empty()));
    }

    /// Learns the names that an event tells.
    pub fn learn(&self, event: &Event) {
        let mut names = held(&self.names);
        let mut add = |name: &str| {
            if names.len() < NAMES_MAX {
                names.insert(name.to_owned());
            }
        };
        match event {
            Event::Message(view) => add(&view.from),
            Event::State(view) => add(&view.to),
            Event::Presence(people) => people.iter().for_each(|person| add(person.name.as_str())),
            Event::KeyChanged { name, .. } => add(name.as_str()),
            Event::Group { group, .. } => add(&format!("@{group}")),
            Event::Renamed { new, .. } => add(new.as_str()),
            Event::Answer { answer: Ok(answer), .. } => match answer.as_ref() {
                Answer::People(people) => people.iter().for_each(|person| add(person.name.as_str())),
                Answer::Groups(groups) => groups.iter().for_each(|group| add(&format!("@{}", group.name))),
                Answer::Contacts(contacts) => contacts.iter().for_each(|contact| add(contact.name.as_str())),
                _ => {}
            },
            _ => {}
        }
    }

    /// Known names that begin like this, letter case ignored.
    #[must_use]
    pub fn names(&self, beginning: &str) -> Vec<String> {
        let beginning = beginning.to_lowercase();
        held(&self.names).iter().filter(|name| name.to_lowercase().starts_with(&beginning)).cloned().collect()
    }

    /// What stands before the cursor.
    #[must_use]
    pub fn prompt(&self) -> String {
        let console = self.console();
        match (console.in_draft(), console.chat()) {
            (true, _) => "... ".to_owned(),
            (false, Some(to)) => format!("{to}> "),
            (false, None) => "> ".to_owned(),
        }
    }

    /// One line of input.
    #[must_use]
    pub fn feed(&self, line: &[u8]) -> Fed {
        self.console().feed_bytes(line)
    }
}

/// A panic of the other thread ends the program anyway; what it left is still whole.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
