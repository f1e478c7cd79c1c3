//! The directory's machine: its core and its disk.

use std::collections::{BTreeMap, VecDeque};

use common::identity::Identity;
use directory_core::{Directory, Input, Limits, Now, Output, SessionId, StoreOp, StoreResult, Ticket};
use directory_server::store::{Applied, Store};

use super::audit::Mail;
use super::world::{BEGIN_MS, What, World};

/// The directory.
pub(crate) struct DirectoryNode {
    pub(crate) identity: Identity,
    pub(crate) disk: Option<Store>,
    pub(crate) core: Option<Directory>,
    /// Counts the starts and ends of the program.
    pub(crate) run: u32,
    started_ms: u64,
    pub(crate) skew_ms: i64,
    /// Numbers of sessions given.
    pub(crate) sessions: u64,
    pub(crate) conns: BTreeMap<SessionId, usize>,
    jobs: VecDeque<(Ticket, StoreOp)>,
    busy: bool,
    answers_at: u64,
    wake_at: Option<u64>,
    turning: bool,
    pub(crate) saved: Vec<(Vec<u8>, Mail)>,
    /// What is kept, as its commits said.
    pub(crate) mail: Mail,
    pub(crate) audits: u64,
    /// The next write does not succeed.
    pub(crate) write_fails: bool,
    /// The program has been told that its store failed.
    failing: bool,
}

impl DirectoryNode {
    pub(crate) fn new(identity: Identity, store_id: [u8; 16]) -> Self {
        Self {
            identity,
            disk: Some(Store::open_in_memory(store_id).expect("a store is made")),
            core: None,
            run: 0,
            started_ms: 0,
            skew_ms: 0,
            sessions: 0,
            conns: BTreeMap::new(),
            jobs: VecDeque::new(),
            busy: false,
            answers_at: 0,
            wake_at: None,
            turning: false,
            saved: Vec::new(),
            mail: Mail::new(),
            audits: 0,
            write_fails: false,
            failing: false,
        }
    }

    fn clock(&self, now: u64) -> Now {
        Now { mono_ms: now - self.started_ms, wall_ms: BEGIN_MS + self.skew_ms + i64::try_from(now).unwrap_or(0) }
    }

    pub(crate) fn disk(&mut self) -> &mut Store {
        self.disk.as_mut().expect("the directory has a disk")
    }
}

impl World {
    pub(crate) fn start_directory(&mut self) {
        if self.directory.core.is_some() || self.now < self.dark_until {
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
        let head = node.disk().head().expect("a store has a head");
        let core = Directory::new(Limits::default(), node.identity.clone(), seed, head, node.clock(now));
        node.core = Some(core);
        self.trace.note(now, format_args!("directory starts, {} commits", head.commits));
        self.directory_turn_soon();
    }

    pub(crate) fn kill_directory(&mut self, power_lost: bool) {
        if self.directory.core.take().is_none() {
            return;
        }
        self.trace.note(self.now, format_args!("directory dies"));
        self.directory.run += 1;
        self.directory.jobs.clear();
        self.drop_all_conns(power_lost);
    }

    pub(crate) fn directory_input(&mut self, input: Input) {
        let now = self.now;
        let clock = self.directory.clock(now);
        let Some(core) = self.directory.core.as_mut() else { return };
        if self.trace.verbose {
            let mut said = format!("{input:?}");
            said.truncate(500);
            self.trace.note(now, format_args!("directory <- {said}"));
        } else {
            self.trace.note(now, format_args!("directory <- {:?}", std::mem::discriminant(&input)));
        }
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
        while let Some(output) = self.directory.core.as_mut().and_then(Directory::poll_output) {
            if !self.healed && self.dice.one_in(self.plan.die_directory_one_in) {
                let power_lost = self.dice.one_in(3);
                self.kill_directory(power_lost);
                let delay_ms = self.dice.between(200, 30_000);
                self.after(delay_ms, What::DirectoryStart);
                return;
            }
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
            let mut said = format!("{output:?}");
            said.truncate(500);
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
                self.directory.jobs.push_back((ticket, op));
                self.start_directory_disk();
            }
            Output::Fatal if self.directory.failing => {
                self.kill_directory(false);
                let delay_ms = self.dice.between(200, 30_000);
                self.after(delay_ms, What::DirectoryStart);
            }
            Output::Fatal => self.model.broken("the directory calls its store failed".to_owned()),
        }
    }

    fn pause(&mut self, session: SessionId, paused: bool) {
        if let Some(place) = self.directory.conns.get(&session).copied() {
            self.conns[place].paused = paused;
        }
    }

    fn start_directory_disk(&mut self) {
        if !self.directory.jobs.is_empty() && !std::mem::replace(&mut self.directory.busy, true) {
            let run = self.directory.run;
            let delay_ms = self.disk_latency();
            self.after(delay_ms, What::DirectoryDisk(run));
        }
    }

    pub(crate) fn directory_disk(&mut self, run: u32) {
        if self.directory.run != run {
            return;
        }
        let count = usize::try_from(self.dice.between(1, 24)).unwrap_or(1).min(self.directory.jobs.len());
        let batch: Vec<(Ticket, StoreOp)> = self.directory.jobs.drain(..count).collect();
        if self.directory.write_fails && !self.healed {
            return self.directory_write_fails(batch);
        }
        let applied = self.directory_commits(batch);
        self.directory.busy = false;
        let delay_ms = if self.healed { 0 } else { self.dice.between(0, 4) };
        self.directory.answers_at = self.directory.answers_at.max(self.now + delay_ms);
        let at_ms = self.directory.answers_at;
        self.at(at_ms, What::DirectoryStored(run, Box::new(applied)));
        self.start_directory_disk();
    }

    /// The disk says no; what was written may be on it all the same.
    fn directory_write_fails(&mut self, batch: Vec<(Ticket, StoreOp)>) {
        self.directory.write_fails = false;
        if self.dice.one_in(3) {
            self.directory_commits(batch);
        }
        self.directory.failing = true;
        self.directory.jobs.clear();
        self.directory_input(Input::StoreFailed);
    }

    fn directory_commits(&mut self, batch: Vec<(Ticket, StoreOp)>) -> Applied {
        let ops: Vec<StoreOp> = batch.iter().map(|(_, op)| op.clone()).collect();
        let applied = self.directory.disk().apply(batch).expect("the directory's disk commits");
        for (op, (_, result)) in ops.iter().zip(&applied.results) {
            match (op, result) {
                (StoreOp::Deposit(op), StoreResult::Deposited { kept: Ok(_), .. }) => {
                    self.model.kept(&op.submitter, op.deposit.tag);
                    self.directory.mail.insert((op.submitter, op.deposit.place), op.deposit.tag);
                }
                (StoreOp::Withdraw { submitter, places }, _) => {
                    for place in places {
                        self.directory.mail.remove(&(*submitter, *place));
                    }
                }
                (StoreOp::Deregister { key }, _) => {
                    self.directory.mail.retain(|(from, place), _| from != key && place.recipient != *key);
                }
                (StoreOp::Register { key, name, .. }, StoreResult::Registered { .. }) => {
                    if let Some(who) = self.model.who(key) {
                        self.model.named(name.as_str(), who);
                    }
                }
                _ => {}
            }
        }
        self.audit_now_and_then();
        applied
    }

    pub(crate) fn directory_stored(&mut self, run: u32, applied: Applied) {
        if self.directory.run == run {
            self.directory_input(Input::Stored { results: applied.results, commits: applied.commits });
        }
    }
}
