//! The event logs of a world's programs, as the programs themselves would write them, kept in memory: the same code turns
//! what goes into a core and comes out of it into records. What a kill swallows is swallowed here: an event log is written
//! when a turn's outputs are known, before the first of them is carried out.

use crate::checker::{Log, PUT_BACK};

use super::dice::Dice;
use super::directory::Which;
use super::world::World;

/// What turns one run into records.
pub(crate) trait Observes {
    /// What was noted since the last call, as whole lines.
    fn take(&mut self) -> Vec<u8>;
    fn turn(&mut self, at_ms: i64);
}

impl Observes for peer::event_log::Observer {
    fn take(&mut self) -> Vec<u8> {
        Self::take(self)
    }

    fn turn(&mut self, at_ms: i64) {
        Self::turn(self, at_ms);
    }
}

impl Observes for directory_server::event_log::Observer {
    fn take(&mut self) -> Vec<u8> {
        Self::take(self)
    }

    fn turn(&mut self, at_ms: i64) {
        Self::turn(self, at_ms);
    }
}

/// The event log of one program, over all its runs.
#[derive(Debug)]
pub(crate) struct EventLog<O> {
    written: Vec<u8>,
    /// Of the run there is; none in a world that nobody checks.
    run: Option<O>,
}

impl<O> Default for EventLog<O> {
    fn default() -> Self {
        Self { written: Vec::new(), run: None }
    }
}

impl<O: Observes> EventLog<O> {
    /// A run begins. What the run before may have left of a line ends here.
    pub(crate) fn begin(&mut self, observer: O) {
        self.end_line();
        self.run = Some(observer);
    }

    /// Lets the observer of the run note something.
    pub(crate) fn note(&mut self, note: impl FnOnce(&mut O)) {
        if let Some(observer) = &mut self.run {
            note(observer);
        }
    }

    /// What was noted is written, and a turn begins.
    pub(crate) fn write(&mut self, at_ms: i64) {
        if let Some(observer) = &mut self.run {
            self.written.append(&mut observer.take());
            observer.turn(at_ms);
        }
    }

    /// The program leaves.
    pub(crate) fn leave(&mut self) {
        if let Some(mut observer) = self.run.take() {
            self.written.append(&mut observer.take());
        }
    }

    /// The program dies, perhaps in the midst of writing what was noted.
    pub(crate) fn die(&mut self, dice: &mut Dice) {
        if let Some(mut observer) = self.run.take() {
            let mut last = observer.take();
            let left = dice.below(last.len() as u64 + 1);
            last.truncate(usize::try_from(left).unwrap_or(0));
            self.written.append(&mut last);
        }
    }

    /// Somebody put the disk back to what it was before, and says so in the log.
    pub(crate) fn put_back(&mut self) {
        self.end_line();
        self.written.extend_from_slice(PUT_BACK.as_bytes());
    }

    fn end_line(&mut self) {
        if self.written.last().is_some_and(|last| *last != b'\n') {
            self.written.push(b'\n');
        }
    }

    fn take(&mut self) -> String {
        self.leave();
        String::from_utf8_lossy(&std::mem::take(&mut self.written)).into_owned()
    }
}

impl World {
    /// The event logs of this world's programs.
    pub(crate) fn logs(&mut self) -> Vec<Log> {
        let mut logs = Vec::new();
        for (number, machine) in self.machines.iter_mut().enumerate() {
            logs.push(Log::parse(&format!("m{number}"), machine.log.take()));
        }
        // A malicious one says kept of what it never kept.
        let honest: &[Which] = if self.plan.malicious { &[] } else { self.all_directories() };
        for which in honest {
            let text = self.face(*which).directory.log.take();
            logs.push(Log::parse(which.address(), text));
        }
        logs
    }
}
