//! What the directory gives its store, and how that goes: batches, a disk that fails, fills up and loses power. Does what
//! the store's thread does; what the disk holds then is told to the model.

use directory_core::event::GroupResult;
use directory_core::{Input, StoreOp, StoreResult, Ticket};
use directory_server::store::Applied;
use directory_server::store::writer::Batch;

use super::desk::{DISK_BYTES, MEASURE_MS, ROOM_EVERY_MS};
use super::medium::{Found, Trouble};
use super::world::{What, World};

/// Whoever runs the directory starts it again after so long, when it could not open its store.
const START_AGAIN_MS: u64 = 5_000;

impl World {
    /// Whether the directory's store opens. If not, it is started again later.
    pub(crate) fn directory_opens(&mut self) -> bool {
        let disk = &mut self.directory.disk;
        let Err(trouble) = disk.open().map(drop) else { return true };
        match trouble {
            Trouble::Full if disk.is_full() => {}
            Trouble::Failed(_) if disk.takes_blame() => {}
            trouble => {
                self.model.broken(format!("the directory does not open its store: {trouble:?}"));
                return false;
            }
        }
        self.trace.note(self.now, format_args!("the directory cannot open its store"));
        self.after(START_AGAIN_MS, What::DirectoryStart(self.directory.which));
        false
    }

    pub(crate) fn submit_to_directory(&mut self, ticket: Ticket, op: StoreOp) {
        if !self.directory.failing {
            self.directory.jobs.push_back((ticket, op));
            self.start_directory_disk();
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
        let batch: Batch = self.directory.jobs.drain(..count).collect();
        self.directory_commits(batch);
    }

    /// The directory's disk without room is asked again.
    pub(crate) fn directory_room(&mut self, run: u32) {
        if self.directory.run == run
            && let Some(batch) = self.directory.waiting.take()
        {
            self.directory_commits(batch);
        }
    }

    fn directory_commits(&mut self, batch: Batch) {
        let run = self.directory.run;
        let before = self.directory.disk.image();
        match self.directory.disk.write(&batch) {
            Ok(applied) => {
                self.note_applied(&batch, &applied);
                self.audit_now_and_then();
                self.directory.busy = false;
                let delay_ms = if self.healed { 0 } else { self.dice.between(0, 4) };
                self.directory.answers_at = self.directory.answers_at.max(self.now + delay_ms);
                let at_ms = self.directory.answers_at;
                self.at(at_ms, What::DirectoryStored(run, Box::new(applied)));
                self.start_directory_disk();
            }
            Err(Trouble::Full) if self.directory.disk.is_full() => {
                self.trace.note(self.now, format_args!("the directory finds no room"));
                self.directory.waiting = Some(batch);
                self.after(ROOM_EVERY_MS, What::DirectoryRoom(run));
            }
            Err(trouble) => {
                if !self.directory.disk.takes_blame() {
                    self.model.broken(format!("the directory's store does not write: {trouble:?}"));
                }
                self.directory.failing = true;
                self.directory.jobs.clear();
                let found = self.directory.disk.fail(&batch, before);
                self.note_directory_found(&batch, found);
                self.directory_input(Input::StoreFailed);
            }
        }
    }

    /// The program dies while something is being written, perhaps.
    pub(crate) fn directory_dies_writing(&mut self, power_lost: bool) {
        let begun = if self.directory.busy { usize::try_from(self.disk_dice.between(1, 24)).unwrap_or(1) } else { 0 };
        let jobs = std::mem::take(&mut self.directory.jobs);
        let waiting = self.directory.waiting.take();
        let batch: Batch = waiting.unwrap_or_else(|| jobs.into_iter().take(begun).collect());
        let under_way = Some(&batch).filter(|batch| !batch.is_empty() && !self.directory.failing);
        let found = self.directory.disk.die(under_way, power_lost, &mut self.disk_dice);
        self.note_directory_found(&batch, found);
    }

    fn note_directory_found(&mut self, batch: &Batch, found: Result<Found<Applied>, String>) {
        match found {
            Ok(Found::Before) => {}
            Ok(Found::After(applied)) => self.note_applied(batch, &applied),
            Err(how) => self.model.broken(format!("the directory: {how}")),
        }
    }

    fn note_applied(&mut self, batch: &Batch, applied: &Applied) {
        for ((_, op), (_, result)) in batch.iter().zip(&applied.results) {
            match (op, result) {
                (StoreOp::Deposit(op), StoreResult::Deposited { kept: Ok(_), .. }) => {
                    self.model.kept(&op.submitter, op.deposit.tag);
                    self.directory.mail.insert((op.submitter, op.deposit.place), (op.deposit.tag, self.now));
                }
                (StoreOp::Withdraw { submitter, places }, _) => {
                    for place in places {
                        self.directory.mail.remove(&(*submitter, *place));
                    }
                }
                (StoreOp::Deregister { key }, _) => {
                    self.directory.mail.retain(|(from, place), _| from != key && place.recipient != *key);
                }
                (_, StoreResult::Group(GroupResult::Restored { steps, .. })) => self.restored += steps.len() as u64,
                (StoreOp::Register { key, name, .. }, StoreResult::Registered { .. }) => {
                    if let Some(who) = self.model.who(key) {
                        self.model.named(name.as_str(), who);
                    }
                }
                _ => {}
            }
        }
    }

    pub(crate) fn directory_stored(&mut self, run: u32, applied: Applied) {
        if self.directory.run == run {
            if applied.full {
                // The next measuring finds out whether that is still so.
                self.directory_input(Input::DiskFree { free_bytes: 0, total_bytes: u64::MAX });
                self.directory.told_full = true;
                self.measure_directory_soon();
            }
            self.directory_input(Input::Stored { results: applied.results, commits: applied.commits });
        }
    }

    /// The program learns within two seconds how much is free.
    pub(crate) fn measure_directory_soon(&mut self) {
        if self.directory.disk.is_full() || self.directory.told_full {
            let delay_ms = self.disk_dice.between(0, MEASURE_MS);
            self.after(delay_ms, What::DirectoryMeasure(self.directory.which));
        }
    }

    pub(crate) fn measure_directory(&mut self) {
        let full = self.directory.disk.is_full() && self.directory.full_is_seen;
        self.directory.told_full = full;
        let free_bytes = if full { 0 } else { DISK_BYTES };
        self.directory_input(Input::DiskFree { free_bytes, total_bytes: DISK_BYTES });
    }
}
