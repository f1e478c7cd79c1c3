//! The directory's machine: its core and its disk.

use std::collections::{BTreeMap, VecDeque};

use common::identity::Identity;
use crash_vfs::Image;
use directory_core::{Directory, Input, Limits, Now, Output, SessionId, StoreOp, Ticket};
use directory_server::event_log::Observer;
use directory_server::store::writer::Batch;

use super::audit::Mail;
use super::logs::EventLog;
use super::medium::{DirectoryStore, Medium};
use super::world::{BEGIN_MS, What, World};

/// One of at most two directories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    First,
    Second,
}

/// Runs of the second directory are counted from here on, so that a run tells whose it is.
const SECOND_RUNS: u32 = 1 << 31;

impl Which {
    /// The directory of a run.
    pub(crate) fn of(run: u32) -> Self {
        if run < SECOND_RUNS { Self::First } else { Self::Second }
    }

    pub(crate) fn other(self) -> Self {
        if self == Self::First { Self::Second } else { Self::First }
    }

    /// What users give on the command line.
    pub(crate) fn address(self) -> &'static str {
        if self == Self::First { "directory:4600" } else { "second:4600" }
    }
}

/// A directory.
pub(crate) struct DirectoryNode {
    pub(crate) which: Which,
    pub(crate) identity: Identity,
    /// The number of its first store.
    pub(crate) store_id: [u8; 16],
    pub(crate) disk: Medium<DirectoryStore>,
    pub(crate) core: Option<Directory>,
    /// Counts the starts and ends of the program.
    pub(crate) run: u32,
    started_ms: u64,
    pub(crate) skew_ms: i64,
    /// How wrong its clock was, and from when on.
    pub(crate) skews: Vec<(u64, i64)>,
    /// Numbers of sessions given.
    pub(crate) sessions: u64,
    pub(crate) conns: BTreeMap<SessionId, usize>,
    pub(super) jobs: VecDeque<(Ticket, StoreOp)>,
    pub(super) busy: bool,
    /// A transaction that found no room.
    pub(super) waiting: Option<Batch>,
    pub(super) answers_at: u64,
    wake_at: Option<u64>,
    turning: bool,
    pub(super) log: EventLog<Observer>,
    pub(crate) saved: Vec<(Image, Mail)>,
    /// What is kept, as its commits said.
    pub(crate) mail: Mail,
    pub(crate) audits: u64,
    /// The program has been told that its store failed.
    pub(super) failing: bool,
    /// Who measures sees that the disk is full.
    pub(crate) full_is_seen: bool,
    /// The program was last told that its disk is full.
    pub(super) told_full: bool,
}

impl DirectoryNode {
    pub(crate) fn new(which: Which, identity: Identity, store_id: [u8; 16]) -> Self {
        Self {
            which,
            identity,
            store_id,
            disk: Medium::new(store_id),
            core: None,
            run: if which == Which::First { 0 } else { SECOND_RUNS },
            started_ms: 0,
            skew_ms: 0,
            skews: vec![(0, 0)],
            sessions: 0,
            conns: BTreeMap::new(),
            jobs: VecDeque::new(),
            busy: false,
            waiting: None,
            answers_at: 0,
            wake_at: None,
            turning: false,
            log: EventLog::default(),
            saved: Vec::new(),
            mail: Mail::new(),
            audits: 0,
            failing: false,
            full_is_seen: false,
            told_full: false,
        }
    }

    fn clock(&self, now: u64) -> Now {
        Now { mono_ms: now - self.started_ms, wall_ms: BEGIN_MS + self.skew_ms + i64::try_from(now).unwrap_or(0) }
    }

    pub(crate) fn disk(&mut self) -> &mut DirectoryStore {
        self.disk.open().expect("the directory's store is open")
    }
}

impl World {
    pub(crate) fn start_directory(&mut self) {
        if self.directory.core.is_some() || self.now < self.dark_until {
            return;
        }
        if !self.directory_opens() {
            return;
        }
        let seed = self.dice.bytes();
        let now = self.now;
        let node = &mut self.directory;
        node.run += 1;
        node.started_ms = now;
        node.wake_at = None;
        node.turning = false;
        node.busy = false;
        node.failing = false;
        node.told_full = false;
        let head = node.disk().head().expect("a store has a head");
        if self.watch.reads_logs() {
            let wall_ms = node.clock(now).wall_ms;
            node.log.begin(Observer::start(&node.identity.public(), &head, wall_ms));
        }
        let core = Directory::new(Limits::default(), node.identity.clone(), seed, head, node.clock(now));
        node.core = Some(core);
        self.trace.note(now, format_args!("directory starts, {} commits", head.commits));
        self.directory_turn_soon();
        self.measure_directory_soon();
    }

    pub(crate) fn kill_directory(&mut self, power_lost: bool) {
        if self.directory.core.take().is_none() {
            return;
        }
        self.trace.note(self.now, format_args!("directory dies"));
        self.directory.log.die(&mut self.log_dice);
        self.directory.run += 1;
        self.directory_dies_writing(power_lost);
        self.drop_all_conns(power_lost);
    }

    pub(crate) fn directory_input(&mut self, input: Input) {
        let now = self.now;
        let clock = self.directory.clock(now);
        let Some(core) = self.directory.core.as_mut() else { return };
        if self.trace.verbose {
            let said: String = format!("{input:?}").chars().take(500).collect();
            self.trace.note(now, format_args!("directory <- {said}"));
        } else {
            self.trace.note(now, format_args!("directory <- {:?}", std::mem::discriminant(&input)));
        }
        self.directory.log.note(|observer| observer.input(&input));
        core.handle(input, clock);
        self.directory_turn_soon();
    }

    fn directory_turn_soon(&mut self) {
        if !std::mem::replace(&mut self.directory.turning, true) {
            let run = self.directory.run;
            self.at(self.now, What::DirectoryTurn(run));
        }
    }

    pub(crate) fn directory_wake(&mut self, run: u32, at_ms: u64) {
        if self.directory.run == run && self.directory.wake_at == Some(at_ms) {
            self.directory.wake_at = None;
            self.directory_input(Input::Timeout);
        }
    }

    pub(crate) fn directory_turn(&mut self, run: u32) {
        if self.directory.run != run {
            return;
        }
        self.directory.turning = false;
        let wall_ms = self.directory.clock(self.now).wall_ms;
        self.directory.log.write(wall_ms);
        while let Some(output) = self.directory.core.as_mut().and_then(Directory::poll_output) {
            if !self.healed && self.dice.one_in(self.plan.die_directory_one_in) {
                let power_lost = self.dice.one_in(3);
                self.kill_directory(power_lost);
                let delay_ms = self.dice.between(200, 30_000);
                self.after(delay_ms, What::DirectoryStart(self.directory.which));
                return;
            }
            self.directory.log.note(|observer| observer.output(&output));
            self.directory_output(output);
        }
        let node = &mut self.directory;
        let Some(due_ms) = node.core.as_ref().and_then(Directory::poll_timeout) else { return };
        let at_ms = (due_ms + node.started_ms).max(self.now);
        if node.wake_at != Some(at_ms) {
            node.wake_at = Some(at_ms);
            self.at(at_ms, What::DirectoryWake(run, at_ms));
        }
    }

    fn directory_output(&mut self, output: Output) {
        if self.trace.verbose {
            let said: String = format!("{output:?}").chars().take(500).collect();
            self.trace.note(self.now, format_args!("directory -> {said}"));
        }
        match output {
            Output::Send { session, frame } => self.send_down(session, frame),
            Output::Share { ticket, sessions, frame } => {
                let there = sessions.into_iter().filter(|session| self.directory.conns.contains_key(session));
                let there: Vec<SessionId> = there.collect();
                let count = u32::try_from(there.len()).unwrap_or(u32::MAX);
                there.into_iter().for_each(|session| self.send_down(session, frame.clone()));
                self.directory_input(Input::Shared { ticket, count });
            }
            Output::Close { session } => self.close_down(session),
            Output::Pause { session } => self.pause(session, true),
            Output::Resume { session } => self.pause(session, false),
            Output::Store { ticket, op } => {
                self.submit_to_directory(ticket, op);
            }
            Output::Fatal if self.directory.failing => {
                self.kill_directory(false);
                let delay_ms = self.dice.between(200, 30_000);
                self.after(delay_ms, What::DirectoryStart(self.directory.which));
            }
            Output::Fatal => self.model.broken("the directory calls its store failed".to_owned()),
        }
    }

    fn pause(&mut self, session: SessionId, paused: bool) {
        if let Some(place) = self.directory.conns.get(&session).copied() {
            self.conns[place].paused = paused;
        }
    }
}
