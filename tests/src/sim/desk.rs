//! What a machine's program gives its store, and how that goes: batches, queries between, disks that fail, fill up and
//! lose power. Does what the store's thread does; what the disk holds then is told to the model.

use std::collections::VecDeque;

use common::body::Body;
use crash_vfs::Image;
use peer::storage::{Answered, Written};
use peer_core::event::{Input, Ticket};
use peer_core::stored::{Arrived, Query, StoreOp, StoreResult};

use super::medium::{Found, Trouble};
use super::world::{What, World};

/// How often a disk without room is asked for some, as the store's thread does.
pub(crate) const ROOM_EVERY_MS: u64 = 250;
/// How often the programs measure what is free.
pub(crate) const MEASURE_MS: u64 = 2_000;
/// Free bytes of a disk with room, and of all disks in all.
pub(crate) const DISK_BYTES: u64 = 1 << 40;
/// A program that cannot open its store for want of room is started again after so long.
const START_AGAIN_MS: u64 = 5_000;

/// Work for a disk.
#[derive(Debug)]
pub(crate) enum Job {
    Store(Ticket, Vec<StoreOp>),
    Query(Ticket, Query),
}

/// What waits for the disk.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    jobs: VecDeque<Job>,
    busy: bool,
    /// A transaction that found no room.
    waiting: Option<Vec<Written>>,
    /// Jobs that were begun behind it.
    behind: Vec<Job>,
    /// Who measures sees that the disk is full.
    pub(crate) full_is_seen: bool,
}

impl World {
    /// Whether a machine's store opens. If not, its program is started again later.
    pub(crate) fn opens(&mut self, number: usize) -> bool {
        let machine = &mut self.machines[number];
        let Err(trouble) = machine.disk.open().map(drop) else { return true };
        match trouble {
            Trouble::Full if machine.disk.is_full() => {}
            Trouble::Failed(_) if machine.disk.takes_blame() => {}
            trouble => {
                self.model.broken(format!("machine {number} does not open its store: {trouble:?}"));
                return false;
            }
        }
        self.trace.note(self.now, format_args!("m{number} cannot open its store"));
        self.after(START_AGAIN_MS, What::Start(number));
        false
    }

    pub(crate) fn submit(&mut self, number: usize, job: Job) {
        if !self.machines[number].failing {
            self.machines[number].desk.jobs.push_back(job);
            self.start_disk(number);
        }
    }

    fn start_disk(&mut self, number: usize) {
        let machine = &mut self.machines[number];
        if !machine.desk.jobs.is_empty() && !std::mem::replace(&mut machine.desk.busy, true) {
            let run = machine.run;
            let delay_ms = self.disk_latency();
            self.after(delay_ms, What::Disk(number, run));
        }
    }

    pub(crate) fn machine_disk(&mut self, number: usize, run: u32) {
        if self.machines[number].run != run {
            return;
        }
        let count = usize::try_from(self.dice.between(1, 8)).unwrap_or(1).min(self.machines[number].desk.jobs.len());
        let jobs = self.machines[number].desk.jobs.drain(..count).collect();
        let inputs = self.carry_out(number, jobs);
        self.machines[number].desk.busy = false;
        self.hand_back(number, run, inputs);
        self.go_on(number, run);
    }

    fn hand_back(&mut self, number: usize, run: u32, inputs: Vec<Input>) {
        for input in inputs {
            let delay_ms = if self.healed { 0 } else { self.dice.between(0, 4) };
            let machine = &mut self.machines[number];
            machine.answers_at = machine.answers_at.max(self.now + delay_ms);
            let at_ms = machine.answers_at;
            self.at(at_ms, What::Input(number, run, Box::new(input)));
        }
    }

    /// Works on, or waits for room.
    fn go_on(&mut self, number: usize, run: u32) {
        let desk = &mut self.machines[number].desk;
        if desk.waiting.is_none() {
            return self.start_disk(number);
        }
        desk.busy = true;
        let behind = std::mem::take(&mut desk.behind);
        behind.into_iter().rev().for_each(|job| desk.jobs.push_front(job));
        self.after(ROOM_EVERY_MS, What::Room(number, run));
    }

    /// A disk without room is asked again. Only what was committed before is read meanwhile.
    pub(crate) fn machine_room(&mut self, number: usize, run: u32) {
        let machine = &mut self.machines[number];
        if machine.run != run {
            return;
        }
        let Some(batch) = machine.desk.waiting.take() else { return };
        let before = machine.disk.image();
        let written = machine.disk.write_again(&batch);
        let mut inputs = match written {
            Ok(answers) => self.note_answers(number, &batch, answers),
            Err(Trouble::Full) => {
                self.machines[number].desk.waiting = Some(batch);
                Vec::new()
            }
            Err(Trouble::Failed(why)) => self.store_fails(number, &batch, before, &why),
        };
        let jobs = std::mem::take(&mut self.machines[number].desk.jobs);
        for job in jobs {
            match job {
                Job::Query(ticket, query) => inputs.extend(self.query(number, ticket, query)),
                job @ Job::Store(..) => self.machines[number].desk.jobs.push_back(job),
            }
        }
        self.machines[number].desk.busy = false;
        self.hand_back(number, run, inputs);
        if self.machines[number].desk.waiting.is_none() {
            self.measure(number);
        }
        self.go_on(number, run);
    }

    /// Commits what lies together in one transaction, and answers questions between.
    fn carry_out(&mut self, number: usize, jobs: Vec<Job>) -> Vec<Input> {
        let mut inputs = Vec::new();
        let mut batch: Vec<Written> = Vec::new();
        for job in jobs {
            match job {
                Job::Store(ticket, ops) => batch.push((ticket, ops)),
                Job::Query(ticket, query) => {
                    inputs.extend(self.commit(number, std::mem::take(&mut batch)));
                    inputs.extend(self.query(number, ticket, query));
                }
            }
        }
        inputs.extend(self.commit(number, batch));
        inputs
    }

    fn query(&mut self, number: usize, ticket: Ticket, query: Query) -> Option<Input> {
        let result = self.machines[number].disk.open().ok()?.query(query);
        Some(Input::Answered { ticket, result })
    }

    fn commit(&mut self, number: usize, batch: Vec<Written>) -> Vec<Input> {
        let machine = &mut self.machines[number];
        if batch.is_empty() || machine.failing {
            return Vec::new();
        }
        if machine.desk.waiting.is_some() {
            machine.desk.behind.extend(batch.into_iter().map(|(ticket, ops)| Job::Store(ticket, ops)));
            return Vec::new();
        }
        let before = machine.disk.image();
        let written = match machine.disk.write(&batch) {
            Err(Trouble::Full) => machine.disk.write_again(&batch),
            other => other,
        };
        match written {
            Ok(answers) => self.note_answers(number, &batch, answers),
            Err(Trouble::Full) if machine.disk.is_full() => {
                machine.desk.waiting = Some(batch);
                self.trace.note(self.now, format_args!("m{number} finds no room"));
                vec![Input::DiskFree { free_bytes: 0, total_bytes: u64::MAX }]
            }
            Err(Trouble::Full) => {
                self.model.broken(format!("machine {number} calls a disk full that is not"));
                Vec::new()
            }
            Err(Trouble::Failed(why)) => self.store_fails(number, &batch, before, &why),
        }
    }

    /// The store has failed. What was written may be on the disk all the same.
    fn store_fails(&mut self, number: usize, batch: &[Written], before: Image, why: &str) -> Vec<Input> {
        let machine = &mut self.machines[number];
        if !machine.disk.takes_blame() {
            self.model.broken(format!("machine {number}: {why}"));
        }
        let machine = &mut self.machines[number];
        machine.failing = true;
        machine.desk = Desk { full_is_seen: machine.desk.full_is_seen, ..Desk::default() };
        let found = machine.disk.fail(&batch.to_vec(), before);
        self.note_found(number, batch, found);
        vec![Input::StoreFailed("the disk refuses a write".to_owned())]
    }

    /// The program dies while something is being written, perhaps.
    pub(crate) fn die_writing(&mut self, number: usize, power_lost: bool) {
        let machine = &mut self.machines[number];
        let desk = std::mem::take(&mut machine.desk);
        machine.desk.full_is_seen = desk.full_is_seen;
        let begun = if desk.busy { usize::try_from(self.disk_dice.between(1, 8)).unwrap_or(1) } else { 0 };
        let first = desk.jobs.into_iter().take(begun).map_while(|job| match job {
            Job::Store(ticket, ops) => Some((ticket, ops)),
            Job::Query(..) => None,
        });
        let batch = desk.waiting.unwrap_or_else(|| first.collect());
        let under_way = Some(&batch).filter(|batch| !batch.is_empty() && !machine.failing);
        let found = machine.disk.die(under_way, power_lost, &mut self.disk_dice);
        self.note_found(number, &batch, found);
    }

    fn note_found(&mut self, number: usize, batch: &[Written], found: Result<Found<Vec<Answered>>, String>) {
        match found {
            Ok(Found::Before) => {}
            Ok(Found::After(answers)) => drop(self.note_answers(number, batch, answers)),
            Err(how) => self.model.broken(format!("machine {number}: {how}")),
        }
    }

    /// The program leaves: what it asked for is still carried out, but room is not waited for.
    pub(crate) fn leave_disk(&mut self, number: usize) {
        let machine = &mut self.machines[number];
        let mut desk = std::mem::take(&mut machine.desk);
        machine.desk.full_is_seen = desk.full_is_seen;
        if !machine.failing {
            let first = desk.waiting.take().unwrap_or_default();
            let jobs = first.into_iter().map(|(ticket, ops)| Job::Store(ticket, ops)).chain(desk.jobs).collect();
            self.carry_out(number, jobs);
        }
        let machine = &mut self.machines[number];
        let stuck = machine.desk.waiting.take().is_some();
        machine.desk.behind.clear();
        let left = if stuck || machine.failing { Ok(()) } else { machine.disk.leave() };
        if let Err(trouble) = left
            && !machine.disk.takes_blame()
        {
            self.model.broken(format!("machine {number} does not close its store: {trouble:?}"));
        }
        // Nothing is open any more, however it went.
        self.die_writing(number, false);
    }

    fn note_answers(&mut self, number: usize, batch: &[Written], answers: Vec<Answered>) -> Vec<Input> {
        for ((_, ops), (_, results)) in batch.iter().zip(&answers) {
            for (op, result) in ops.iter().zip(results) {
                self.note_commit(number, op, result);
            }
        }
        answers.into_iter().map(|(ticket, results)| Input::Stored { ticket, results }).collect()
    }

    /// The program learns within two seconds how much is free.
    pub(crate) fn measure_soon(&mut self, number: usize) {
        let machine = &self.machines[number];
        // A program that has just begun takes it that there is room.
        if machine.disk.is_full() || machine.told_full {
            let delay_ms = self.disk_dice.between(0, MEASURE_MS);
            self.after(delay_ms, What::Measure(number));
        }
    }

    pub(crate) fn measure(&mut self, number: usize) {
        let machine = &mut self.machines[number];
        let full = machine.desk.waiting.is_some() || (machine.disk.is_full() && machine.desk.full_is_seen);
        machine.told_full = full;
        let free_bytes = if full { 0 } else { DISK_BYTES };
        let run = machine.run;
        self.machine_input(number, run, Input::DiskFree { free_bytes, total_bytes: DISK_BYTES });
    }

    fn note_commit(&mut self, number: usize, op: &StoreOp, result: &StoreResult) {
        let who = self.machines[number].who;
        match (op, result) {
            (StoreOp::Queue(message), StoreResult::Queued { n }) => {
                let row = &message.row;
                let text = Body::decode(row.kind, &row.body).text().unwrap_or_default().to_owned();
                self.model.queued(number, who, *n, message, text);
                self.model.means(who, row);
            }
            (StoreOp::Receive(arrival), StoreResult::Arrived(Arrived::New { n, .. })) => {
                self.model.held(number, who, arrival, *n);
            }
            (StoreOp::Receive(arrival), StoreResult::Arrived(Arrived::Double { .. })) => {
                self.model.double(number, &arrival.sender, arrival.id);
            }
            (StoreOp::Shown(numbers), _) => self.model.shown_committed(number, numbers),
            (StoreOp::State { n, recipient, state, .. }, _) => {
                let of = self.model.who(recipient);
                self.model.state_committed(number, who, *n, of, *state);
            }
            (StoreOp::Dismiss(numbers), _) => self.model.dismissed(number, who, numbers),
            (StoreOp::PutSteps { group, steps, .. }, _) => self.model.stepped(number, *group, steps),
            (StoreOp::Read { .. }, StoreResult::Read(read)) => self.model.read_committed(number, who, read),
            (StoreOp::Vanish { .. }, StoreResult::Vanished { numbers, .. }) => self.model.vanished(number, numbers),
            (StoreOp::PutMeta(meta), _) => {
                self.model.writes_in(meta.epoch.id);
                self.model.receipts(who, meta.receipts);
                self.model.stands_committed(number, meta.standing);
            }
            (StoreOp::NewFile(row), _) => self.file_committed(number, row, true),
            (StoreOp::PutFile(row), _) => self.file_committed(number, row, false),
            (StoreOp::PutContact(contact), _) => self.model.contact_committed(number, who, contact),
            (StoreOp::NewEpoch { epoch, .. }, _) => self.model.writes_in(epoch.id),
            (StoreOp::Readdress(moves), _) => {
                for each in moves {
                    let from = self.model.who(&each.from);
                    if let Some(to) = self.model.who(&each.to) {
                        self.model.readdressed(number, each.n, from, to);
                    }
                }
            }
            _ => {}
        }
    }
}
