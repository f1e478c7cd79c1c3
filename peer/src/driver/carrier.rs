//! Carries out what the messenger wants, never waiting: what finds no room waits in a backlog, in order, and the loop
//! takes nothing new from fronts and network while there is one. Not here: any decision.

use std::collections::VecDeque;

use peer_core::event::{Exit, Output, Ticket};
use peer_core::stored::StoreOp;

use super::fronts::Fronts;
use super::sealing::{self, Sealing};
use crate::files::Files;
use crate::storage::{Job, StorageThread};
use crate::transport::{Directory, Quic};

/// Everything that does something.
#[derive(Debug)]
pub(super) struct Carrier {
    pub(super) quic: Quic,
    pub(super) directory: Directory,
    pub(super) fronts: Fronts,
    pub(super) storage: StorageThread,
    pub(super) sealing: Sealing,
    pub(super) files: Files,
    pub(super) store_jobs: VecDeque<Job>,
    seal_jobs: VecDeque<sealing::Job>,
    store_failed: bool,
}

impl Carrier {
    pub(super) fn new(
        quic: Quic,
        directory: Directory,
        storage: StorageThread,
        sealing: Sealing,
        files: Files,
    ) -> Self {
        Self {
            quic,
            directory,
            fronts: Fronts::default(),
            storage,
            sealing,
            files,
            store_jobs: VecDeque::new(),
            seal_jobs: VecDeque::new(),
            store_failed: false,
        }
    }

    /// Carries out one output. `Exit` is given back: it is the loop's.
    pub(super) fn carry(&mut self, output: Output) -> Option<Exit> {
        match output {
            Output::Event(event) => self.fronts.publish(&event),
            Output::Store { ticket, ops } => self.store(ticket, ops),
            Output::Query { ticket, query } => self.submit(Job::Query { ticket, query }),
            Output::DirectoryConnect => self.directory.connect(),
            Output::DirectorySend(frame) => self.directory.send(&frame),
            Output::DirectoryClose => self.directory.close(),
            Output::Dial { link, key, addresses } => self.quic.dial(link, key, addresses),
            Output::LinkSend { link, frame } => self.quic.send(link, &frame),
            Output::LinkClose { link } => self.quic.close(link),
            Output::Seal { ticket, kind, to, prekey, plain } => {
                self.seal(sealing::Job::Seal { ticket, kind, to, prekey, plain });
            }
            Output::Open { ticket, kind, from, counter, secret, sealed } => {
                self.seal(sealing::Job::Open { ticket, kind, from, counter, secret, sealed });
            }
            Output::Sign { ticket, context, bytes } => self.seal(sealing::Job::Sign { ticket, context, bytes }),
            Output::MakePrekey { counter, created_ms } => {
                self.seal(sealing::Job::MakePrekey { counter, created_ms });
            }
            Output::File(job) => self.files.submit(job, |link| self.quic.bulk(link)),
            Output::Dropped { from, why } => tracing::debug!(from = %from.fingerprint(), ?why, "dropped"),
            Output::Exit(exit) => return Some(exit),
        }
        None
    }

    /// Tries what found no room before.
    pub(super) fn retry(&mut self) {
        self.fronts.retry();
        self.retry_storage();
        self.retry_sealing();
    }

    /// Something found no room: nothing new is to be begun.
    pub(super) fn is_behind(&self) -> bool {
        !self.store_jobs.is_empty() || !self.seal_jobs.is_empty() || self.fronts.are_behind() || self.files.is_behind()
    }

    /// The store takes nothing any more; what it has not taken has no answer.
    pub(super) fn store_failed(&mut self) {
        self.store_failed = true;
        self.store_jobs.clear();
    }

    fn store(&mut self, ticket: Ticket, ops: Vec<StoreOp>) {
        for op in &ops {
            if let StoreOp::DropPrekeys(counters) = op {
                counters.iter().for_each(|counter| self.seal(sealing::Job::Forget(*counter)));
            }
        }
        self.submit(Job::Store { ticket, ops });
    }

    fn submit(&mut self, job: Job) {
        if self.store_failed {
            return;
        }
        self.store_jobs.push_back(job);
        if self.store_jobs.len() == 1 {
            self.retry_storage();
        }
    }

    fn retry_storage(&mut self) {
        while let Some(job) = self.store_jobs.pop_front() {
            if let Err(job) = self.storage.try_submit(job) {
                self.store_jobs.push_front(job);
                return;
            }
        }
    }

    fn seal(&mut self, job: sealing::Job) {
        self.seal_jobs.push_back(job);
        if self.seal_jobs.len() == 1 {
            self.retry_sealing();
        }
    }

    fn retry_sealing(&mut self) {
        while let Some(job) = self.seal_jobs.pop_front() {
            if let Err(job) = self.sealing.try_submit(job) {
                self.seal_jobs.push_front(job);
                return;
            }
        }
    }
}
