//! A peer's machine: its core, its disk, its front. Programs start, turn, die and leave here; what travels is elsewhere.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use common::identity::Context;
use common::name::Name;
use crash_vfs::Image;
use peer::event_log::Observer;
use peer::storage::Store;
use peer_core::event::{Config, Event, Exit, Input, LinkId, Now, Output};
use peer_core::messenger::Messenger;

use super::desk::{Desk, Job};
use super::directory::Which;
use super::folder::{Downloads, Folder};
use super::logs::EventLog;
use super::medium::Medium;
use super::sealing::Seals;
use super::user::User;
use super::world::{BEGIN_MS, What, World};
use crate::model::DiskMarks;

/// A program has no more deadlines than so many in a second.
const WAKES_MAX: u32 = 150;

/// A disk as it once was.
#[derive(Debug, Clone)]
pub(crate) struct Saved {
    pub(crate) image: Image,
    pub(crate) marks: DiskMarks,
    /// The folder for downloads, where it lies beside the store.
    pub(crate) downloads: Option<Downloads>,
}

/// A machine.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) who: usize,
    /// The directory that its user has chosen.
    pub(crate) directory: Which,
    pub(crate) user: User,
    pub(crate) disk: Medium<Store>,
    pub(crate) folder: Folder,
    pub(crate) core: Option<Messenger>,
    /// Counts the starts and ends of the program.
    pub(crate) run: u32,
    started_ms: u64,
    /// How wrong the wall clock is.
    pub(crate) skew_ms: i64,
    pub(crate) address: SocketAddr,
    /// The connection in use.
    pub(crate) conn: Option<usize>,
    /// Links by number: place in the world, side.
    pub(crate) links: BTreeMap<LinkId, (usize, usize)>,
    pub(crate) dials: BTreeMap<LinkId, (common::identity::PublicKey, Vec<SocketAddr>)>,
    pub(crate) next_accepted: u64,
    /// Numbers of askings for files.
    pub(super) servings: u64,
    pub(super) desk: Desk,
    /// When the last answer of the disk, of the sealing thread and of the front comes.
    pub(super) answers_at: u64,
    sealed_at: u64,
    shown_at: u64,
    wake_at: Option<u64>,
    /// A second, and how often a deadline has come in it.
    woken: (u64, u32),
    turning: bool,
    seals: Seals,
    pub(super) log: EventLog<Observer>,
    pub(crate) saved: Vec<Saved>,
    /// The program has been told that its store failed.
    pub(super) failing: bool,
    /// The program was last told that its disk is full.
    pub(super) told_full: bool,
    /// Switched off for good.
    pub(crate) retired: bool,
}

impl Machine {
    pub(crate) fn new(who: usize, number: usize, name: Name, disk: Medium<Store>, real_seal: bool) -> Self {
        let host = u8::try_from(number + 1).unwrap_or(1);
        Self {
            who,
            directory: Which::First,
            user: User::new(name),
            disk,
            folder: Folder::default(),
            core: None,
            run: 0,
            started_ms: 0,
            skew_ms: 0,
            address: SocketAddr::from(([10, 0, 0, host], 40_000)),
            conn: None,
            links: BTreeMap::new(),
            dials: BTreeMap::new(),
            next_accepted: 1,
            servings: 0,
            desk: Desk::default(),
            answers_at: 0,
            sealed_at: 0,
            shown_at: 0,
            wake_at: None,
            woken: (0, 0),
            turning: false,
            seals: Seals::new(real_seal),
            log: EventLog::default(),
            saved: Vec::new(),
            failing: false,
            told_full: false,
            retired: false,
        }
    }

    /// The folder for downloads, if it is in the data directory and goes with copies of that one. Every other machine, by its
    /// number, has it elsewhere: there it stays as it is when the store is put back, and a copy begins without. Own files
    /// never lie in the data directory.
    pub(crate) fn beside_the_store(&self, number: usize) -> Option<Downloads> {
        number.is_multiple_of(2).then(|| self.folder.downloads.clone())
    }

    pub(crate) fn clock(&self, now: u64) -> Now {
        Now { mono_ms: now - self.started_ms, wall_ms: BEGIN_MS + self.skew_ms + i64::try_from(now).unwrap_or(0) }
    }
}

impl World {
    /// A machine of an identity; its number.
    pub(crate) fn add_machine(&mut self, who: usize, name: &str, copy_of: Option<usize>) -> usize {
        let me = self.identities[who].public();
        let disk = match copy_of {
            Some(from) => Medium::of(self.machines[from].disk.copy(), me),
            None => Medium::new(me),
        };
        let number = self.machines.len();
        let name = name.parse().expect("a name");
        self.machines.push(Machine::new(who, number, name, disk, self.plan.real_seal));
        if let Some(downloads) = copy_of.and_then(|from| self.machines[from].beside_the_store(from)) {
            self.machines[number].folder.downloads = downloads;
        }
        self.model.machine(who, me, copy_of);
        number
    }

    pub(crate) fn start_machine(&mut self, number: usize) {
        if self.machines[number].core.is_some() || self.machines[number].retired || self.now < self.dark_until {
            return;
        }
        if !self.opens(number) {
            return;
        }
        let (instance, seed) = (self.dice.bytes(), self.dice.bytes());
        let now = self.now;
        let machine = &mut self.machines[number];
        machine.run += 1;
        machine.started_ms = now;
        machine.wake_at = None;
        machine.turning = false;
        machine.failing = false;
        machine.told_full = false;
        let me = self.identities[machine.who].public();
        let config = Config {
            me,
            instance,
            seed,
            directory: machine.directory.address().to_owned(),
            directory_pin: None,
            name: machine.user.registers().then(|| machine.user.name.clone()),
            bind: machine.address,
            candidates: vec![SocketAddr::from(([0, 0, 0, 0], machine.address.port()))],
            shows: true,
            version: "0".to_owned(),
            accept_from: peer_core::event::AcceptFrom::Nobody,
        };
        let snapshot =
            machine.disk.open().expect("it is open").load(machine.directory.address()).expect("a disk loads");
        let clock = machine.clock(now);
        if self.watch.reads_logs() {
            machine.log.begin(Observer::start(&config, &snapshot, clock.wall_ms));
        }
        machine.core = Some(Messenger::new(config, snapshot, clock));
        machine.user.begin();
        self.model.started(number);
        self.trace.note(now, format_args!("m{number} starts"));
        self.turn_soon(number);
        self.measure_soon(number);
    }

    /// The program is gone with everything that is not on the disk.
    pub(crate) fn kill_machine(&mut self, number: usize, power_lost: bool) {
        if self.machines[number].core.take().is_none() {
            return;
        }
        self.trace.note(self.now, format_args!("m{number} dies"));
        self.machines[number].log.die(&mut self.log_dice);
        self.die_writing(number, power_lost);
        let machine = &mut self.machines[number];
        if power_lost {
            machine.folder.downloads.lose_power(&mut self.disk_dice);
        }
        machine.run += 1;
        machine.user.end();
        self.drop_conn(number, power_lost);
        self.drop_links(number, power_lost);
    }

    /// The program has left by itself: what it asked for is still carried out.
    fn leave_machine(&mut self, number: usize, exit: &Exit) {
        self.trace.note(self.now, format_args!("m{number} exits {exit:?}"));
        let failing = self.machines[number].failing && matches!(exit, Exit::StoreFailed(_));
        if *exit != Exit::Done && !failing {
            self.model.broken(format!("machine {number} exits with {exit:?}"));
        }
        self.leave_disk(number);
        let machine = &mut self.machines[number];
        machine.log.leave();
        machine.core = None;
        machine.run += 1;
        machine.user.end();
        self.drop_links(number, false);
        self.drop_conn(number, false);
        if !self.machines[number].retired {
            let delay_ms = self.dice.between(200, 20_000);
            self.after(delay_ms, What::Start(number));
        }
    }

    pub(crate) fn machine_input(&mut self, number: usize, run: u32, input: Input) {
        if self.machines[number].run != run {
            return;
        }
        let now = self.now;
        let machine = &mut self.machines[number];
        let clock = machine.clock(now);
        let Some(core) = machine.core.as_mut() else { return };
        if self.trace.verbose {
            let said: String = format!("{input:?}").chars().take(600).collect();
            self.trace.note(now, format_args!("m{number} <- {said}"));
        } else {
            self.trace.note(now, format_args!("m{number} <- {:?}", std::mem::discriminant(&input)));
        }
        machine.log.note(|observer| observer.input(&input));
        core.handle(input, clock);
        self.turn_soon(number);
    }

    /// Several inputs may come before the outputs are looked at.
    fn turn_soon(&mut self, number: usize) {
        let machine = &mut self.machines[number];
        if !std::mem::replace(&mut machine.turning, true) {
            let run = machine.run;
            self.at(self.now, What::Turn(number, run));
        }
    }

    pub(crate) fn machine_wake(&mut self, number: usize, run: u32, at_ms: u64) {
        let machine = &mut self.machines[number];
        if machine.run == run && machine.wake_at == Some(at_ms) {
            machine.wake_at = None;
            let second = at_ms / 1_000;
            let woken = if machine.woken.0 == second { machine.woken.1 + 1 } else { 1 };
            machine.woken = (second, woken);
            if woken > WAKES_MAX {
                self.model.broken(format!("machine {number} does nothing but wake: {woken} times in a second"));
            }
            self.machine_input(number, run, Input::Wake);
        }
    }

    pub(crate) fn machine_turn(&mut self, number: usize, run: u32) {
        if self.machines[number].run != run {
            return;
        }
        self.machines[number].turning = false;
        loop {
            let outputs = self.machine_outputs(number);
            if outputs.is_empty() {
                break;
            }
            for output in outputs {
                if !self.healed && self.dice.one_in(self.plan.die_one_in) {
                    self.die_and_return(number);
                    return;
                }
                if let Output::Exit(exit) = output {
                    self.leave_machine(number, &exit);
                    return;
                }
                self.machine_output(number, run, output);
            }
        }
        let machine = &mut self.machines[number];
        let Some(due_ms) = machine.core.as_ref().and_then(Messenger::poll_timeout) else { return };
        let at_ms = (due_ms + machine.started_ms).max(self.now);
        if machine.wake_at != Some(at_ms) {
            machine.wake_at = Some(at_ms);
            self.at(at_ms, What::Wake(number, run, at_ms));
        }
    }

    /// All that a core wants, noted before the first of it is carried out.
    fn machine_outputs(&mut self, number: usize) -> Vec<Output> {
        let now = self.now;
        let machine = &mut self.machines[number];
        let wall_ms = machine.clock(now).wall_ms;
        let Some(core) = machine.core.as_mut() else { return Vec::new() };
        let outputs: Vec<Output> = std::iter::from_fn(|| core.poll_output()).collect();
        machine.log.note(|observer| outputs.iter().for_each(|output| observer.output(output)));
        machine.log.write(wall_ms);
        outputs
    }

    pub(crate) fn die_and_return(&mut self, number: usize) {
        let power_lost = self.dice.one_in(3);
        self.kill_machine(number, power_lost);
        let delay_ms = self.dice.between(100, 40_000);
        self.after(delay_ms, What::Start(number));
    }

    fn machine_output(&mut self, number: usize, run: u32, output: Output) {
        if self.trace.verbose {
            let said: String = format!("{output:?}").chars().take(600).collect();
            self.trace.note(self.now, format_args!("m{number} -> {said}"));
        }
        if let Output::Sign { context: Context::Broadcast, bytes, .. } = &output {
            self.model.says(bytes);
        }
        match output {
            Output::Event(event) => self.machine_event(number, run, event),
            Output::Store { ticket, ops } => self.submit(number, Job::Store(ticket, ops)),
            Output::Query { ticket, query } => self.submit(number, Job::Query(ticket, query)),
            Output::DirectoryConnect => self.begin_connect(number, run),
            Output::DirectorySend(frame) => self.send_up(number, *frame),
            Output::DirectoryClose => self.close_conn(number),
            Output::Dial { link, key, addresses } => self.dial(number, link, key, addresses),
            Output::LinkSend { link, frame } => self.send_across(number, link, Some(frame)),
            Output::LinkClose { link } => self.close_link(number, link),
            sealing @ (Output::Seal { .. } | Output::Open { .. } | Output::Sign { .. } | Output::MakePrekey { .. }) => {
                let delay_ms = self.dice.between(0, 3);
                let machine = &mut self.machines[number];
                let me = &self.identities[machine.who];
                let Some(input) = machine.seals.answer(me, sealing, &mut self.dice) else { return };
                machine.sealed_at = machine.sealed_at.max(self.now + delay_ms);
                let at_ms = machine.sealed_at;
                self.at(at_ms, What::Input(number, run, Box::new(input)));
            }
            Output::File(job) => self.begin_file_job(number, run, job),
            Output::Dropped { .. } | Output::Exit(_) => {}
        }
    }

    fn machine_event(&mut self, number: usize, run: u32, event: Event) {
        let who = self.machines[number].who;
        match &event {
            Event::Message(_)
            | Event::Edited(_)
            | Event::Deleted(_)
            | Event::Reacted(_)
            | Event::Expiry { .. }
            | Event::Group { mark: Some(_), .. } => {
                let delay_ms = self.dice.between(0, 60);
                let machine = &mut self.machines[number];
                machine.shown_at = machine.shown_at.max(self.now + delay_ms);
                let at_ms = machine.shown_at;
                self.at(at_ms, What::PutOut(number, run, Box::new(event.clone())));
            }
            Event::State(view) => {
                self.trace.note(
                    self.now,
                    format_args!(
                        "m{number}: {} {} to {} is {:?} {:?}",
                        view.n, view.id, view.to, view.state, view.reason
                    ),
                );
                self.model.told(number, run, who, view);
            }
            Event::File(view) => {
                self.trace.note(
                    self.now,
                    format_args!(
                        "m{number}: file {} {} to {} is {:?} {:?} {} {:?} {}",
                        view.n, view.id, view.to, view.state, view.reason, view.bytes, view.via, view.kept
                    ),
                );
                self.model.file_told(number, run, view);
            }
            other => {
                self.trace.note(self.now, format_args!("m{number}: {other:?}"));
                self.model.met(number, who, run, other);
            }
        }
        self.user_sees(number, run, &event);
    }

    /// The front has written a message out; a little later it says so.
    pub(crate) fn put_out(&mut self, number: usize, run: u32, event: &Event) {
        let (Some(mark), true) = (event.mark(), self.machines[number].run == run) else { return };
        let who = self.machines[number].who;
        if let Event::Message(view) = event {
            self.trace.note(
                self.now,
                format_args!("m{number}: {}> {:?} n={} {} late={}", view.from, view.text, view.n, view.id, view.late),
            );
            self.model.shown(number, who, run, view);
            self.machines[number].user.sees(view.n);
            if view.file.is_some() && !view.mine {
                self.machines[number].user.filing.is_offered(view.n);
            }
        } else {
            self.trace.note(self.now, format_args!("m{number}: {event:?}"));
            self.model.changed(number, who, run, event);
        }
        let delay_ms = self.dice.between(0, 30);
        self.after(delay_ms, What::Input(number, run, Box::new(Input::Shown(vec![mark]))));
    }
}
