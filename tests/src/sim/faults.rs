//! Faults: drawn by weight while the storm lasts, most of them passing by themselves.

use std::net::SocketAddr;

use directory_core::Input as DirectoryInput;
use peer_core::command::Command;
use peer_core::event::Input;

use super::directory::Which;
use super::machine::Saved;
use super::medium::{DirectoryStore, Medium};
use super::plan::Weights;
use super::world::{What, World};

/// What ends when a fault passes.
#[derive(Debug)]
pub(crate) enum Undo {
    CutOff(usize),
    Blocked(usize, usize),
    DiskFull,
    /// A machine's disk has room again.
    NoRoom(usize),
    /// The directory's has.
    NoRoomDirectory(Which),
    /// A name is free for another machine.
    Rename(usize, common::name::Name),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Crash,
    CrashDirectory,
    BreakSession,
    HalfOpen,
    BreakLink,
    CutOff,
    BlockUdp,
    Isolate,
    MoveAddress,
    Save,
    PutBack,
    SaveDirectory,
    PutBackDirectory,
    Copy,
    Rename,
    StepClock,
    AllOff,
    DiskFull,
    Years,
    WriteFails,
    WriteFailsDirectory,
    NoRoom,
    NoRoomDirectory,
    MoveDirectory,
}

fn choices(weights: &Weights) -> [(Fault, u64); 24] {
    [
        (Fault::Crash, weights.crash),
        (Fault::CrashDirectory, weights.crash_directory),
        (Fault::BreakSession, weights.break_session),
        (Fault::HalfOpen, weights.half_open),
        (Fault::BreakLink, weights.break_link),
        (Fault::CutOff, weights.cut_off),
        (Fault::BlockUdp, weights.block_udp),
        (Fault::Isolate, weights.isolate),
        (Fault::MoveAddress, weights.move_address),
        (Fault::Save, weights.save),
        (Fault::PutBack, weights.put_back),
        (Fault::SaveDirectory, weights.save_directory),
        (Fault::PutBackDirectory, weights.put_back_directory),
        (Fault::Copy, weights.copy),
        (Fault::Rename, weights.rename),
        (Fault::StepClock, weights.step_clock),
        (Fault::AllOff, weights.all_off),
        (Fault::DiskFull, weights.disk_full),
        (Fault::Years, weights.years),
        (Fault::WriteFails, weights.write_fails),
        (Fault::WriteFailsDirectory, weights.write_fails_directory),
        (Fault::NoRoom, weights.no_room),
        (Fault::NoRoomDirectory, weights.no_room_directory),
        (Fault::MoveDirectory, weights.move_directory),
    ]
}

impl World {
    /// Lets the first fault come.
    pub(crate) fn begin_storm(&mut self) {
        if self.plan.fault_ms > 0 {
            let delay_ms = self.dice.between(3_000, 3_000 + self.plan.fault_ms);
            self.after(delay_ms, What::Fault);
        }
    }

    pub(crate) fn strike(&mut self) {
        if self.healed {
            return;
        }
        let delay_ms = self.dice.between(self.plan.fault_ms / 10, self.plan.fault_ms);
        self.at((self.now + delay_ms).max(self.dark_until), What::Fault);
        if self.now < self.dark_until {
            return;
        }
        let choices = choices(&self.plan.weights);
        let mut at = self.dice.below(choices.iter().map(|(_, weight)| weight).sum());
        for (fault, weight) in choices {
            if at < weight {
                let number = usize::try_from(self.dice.below(self.machines.len() as u64)).unwrap_or(0);
                self.trace.note(self.now, format_args!("FAULT {fault:?} m{number}"));
                self.fault(fault, number);
                return;
            }
            at -= weight;
        }
    }

    fn fault(&mut self, fault: Fault, number: usize) {
        let lasts_ms = self.dice.between(1_000, 60_000);
        if self.aside.is_some() {
            let which = if self.dice.one_in(2) { Which::First } else { Which::Second };
            self.face(which);
        }
        match fault {
            Fault::MoveDirectory => self.move_directory(number),
            Fault::Crash => self.die_and_return(number),
            Fault::CrashDirectory => {
                let power_lost = self.dice.one_in(3);
                self.kill_directory(power_lost);
                self.after(lasts_ms, What::DirectoryStart(self.directory.which));
            }
            Fault::BreakSession => self.break_conn(number, false),
            Fault::HalfOpen => self.break_conn(number, true),
            Fault::BreakLink => self.break_link(number),
            Fault::CutOff => self.cut_off(number, lasts_ms),
            Fault::BlockUdp => {
                let other = usize::try_from(self.dice.below(self.machines.len() as u64)).unwrap_or(0);
                self.block(number, other, lasts_ms * 3);
            }
            Fault::Isolate => {
                self.cut_off(number, lasts_ms);
                (0..self.machines.len()).for_each(|other| self.block(number, other, lasts_ms));
            }
            Fault::MoveAddress => self.move_address(number),
            Fault::Save => self.save(number),
            Fault::PutBack => self.put_back(number),
            Fault::SaveDirectory => {
                let image = self.directory.disk.copy();
                let mail = self.directory.mail.clone();
                self.directory.saved.push((image, mail));
            }
            Fault::PutBackDirectory => self.put_back_directory(),
            Fault::Copy => self.copy(number),
            Fault::Rename => self.rename(number),
            Fault::StepClock => self.step_clock(number),
            Fault::AllOff => self.all_off(),
            Fault::Years => self.jump_years(number),
            Fault::WriteFails => self.machines[number].disk.spoil(&mut self.disk_dice),
            Fault::WriteFailsDirectory => self.directory.disk.spoil(&mut self.disk_dice),
            Fault::NoRoom => self.fill_up(number, lasts_ms * 2),
            Fault::NoRoomDirectory => self.fill_up_directory(lasts_ms * 2),
            Fault::DiskFull => {
                self.directory_input(DirectoryInput::DiskFree { free_bytes: 0, total_bytes: 1 << 40 });
                self.after(lasts_ms, What::Undo(Undo::DiskFull));
            }
        }
    }

    fn cut_off(&mut self, number: usize, lasts_ms: u64) {
        *self.cut_off.entry(number).or_default() += 1;
        self.after(lasts_ms, What::Undo(Undo::CutOff(number)));
    }

    fn block(&mut self, a: usize, b: usize, lasts_ms: u64) {
        if a != b {
            *self.blocked.entry((a.min(b), a.max(b))).or_default() += 1;
            self.watch_links(a, b);
            self.after(lasts_ms, What::Undo(Undo::Blocked(a.min(b), a.max(b))));
        }
    }

    pub(crate) fn undo(&mut self, undo: Undo) {
        self.trace.note(self.now, format_args!("passes: {undo:?}"));
        match undo {
            Undo::CutOff(number) => {
                if let Some(count) = self.cut_off.get_mut(&number) {
                    *count -= 1;
                    if *count == 0 {
                        self.cut_off.remove(&number);
                    }
                }
            }
            Undo::Blocked(a, b) => {
                if let Some(count) = self.blocked.get_mut(&(a, b)) {
                    *count -= 1;
                    if *count == 0 {
                        self.blocked.remove(&(a, b));
                    }
                }
            }
            Undo::DiskFull => {
                self.directory_input(DirectoryInput::DiskFree { free_bytes: 1 << 40, total_bytes: 1 << 40 })
            }
            Undo::NoRoom(number) => {
                self.machines[number].disk.clear();
                self.measure_soon(number);
            }
            Undo::NoRoomDirectory(which) => {
                self.face(which).directory.disk.clear();
                self.measure_directory_soon();
            }
            Undo::Rename(number, name) => {
                let user = &mut self.machines[number].user;
                (user.name, user.active) = (name.clone(), true);
                self.command(number, Command::Register(name));
            }
        }
    }

    /// A disk takes a little more, and then nothing for a while.
    fn fill_up(&mut self, number: usize, lasts_ms: u64) {
        let seen = !self.disk_dice.one_in(3);
        let machine = &mut self.machines[number];
        machine.disk.fill_up(&mut self.disk_dice);
        machine.desk.full_is_seen = seen;
        self.measure_soon(number);
        self.after(lasts_ms, What::Undo(Undo::NoRoom(number)));
    }

    fn fill_up_directory(&mut self, lasts_ms: u64) {
        self.directory.full_is_seen = !self.disk_dice.one_in(3);
        self.directory.disk.fill_up(&mut self.disk_dice);
        self.measure_directory_soon();
        self.after(lasts_ms, What::Undo(Undo::NoRoomDirectory(self.directory.which)));
    }

    /// All disks have room, and nothing fails on them any more.
    pub(crate) fn heal_disks(&mut self) {
        for number in 0..self.machines.len() {
            self.machines[number].disk.heal();
            self.measure_soon(number);
        }
        for which in self.all_directories() {
            self.face(*which).directory.disk.heal();
            self.measure_directory_soon();
        }
    }

    /// A user leaves and comes back with another directory.
    fn move_directory(&mut self, number: usize) {
        self.die_and_return(number);
        let machine = &mut self.machines[number];
        machine.directory = machine.directory.other();
    }

    fn move_address(&mut self, number: usize) {
        let port = u16::try_from(self.dice.between(30_000, 60_000)).unwrap_or(30_000);
        let machine = &mut self.machines[number];
        let host = machine.address.ip();
        machine.address = SocketAddr::new(host, port);
        if machine.core.is_some() {
            let run = machine.run;
            self.drop_links_slowly(number);
            let candidates = vec![SocketAddr::from(([0, 0, 0, 0], port))];
            self.machine_input(number, run, Input::NetworkChanged(candidates));
        }
    }

    /// The machine lives on, its links do not; both ends find out.
    fn drop_links_slowly(&mut self, number: usize) {
        let links: Vec<(usize, usize)> = self.machines[number].links.values().copied().collect();
        for (place, _) in links {
            for side in 0..2 {
                let delay_ms = self.dice.between(100, 12_000);
                self.after(delay_ms, What::LinkGone(place, side));
            }
        }
    }

    fn save(&mut self, number: usize) {
        let image = self.machines[number].disk.copy();
        let marks = self.model.marks(number).clone();
        let downloads = self.machines[number].beside_the_store(number);
        self.machines[number].saved.push(Saved { image, marks, downloads });
    }

    fn put_back(&mut self, number: usize) {
        let count = self.machines[number].saved.len() as u64;
        if count == 0 {
            return self.save(number);
        }
        let at = usize::try_from(self.dice.below(count)).unwrap_or(0);
        let saved = self.machines[number].saved[at].clone();
        self.kill_machine(number, true);
        let who = self.machines[number].who;
        let me = self.identities[who].public();
        let machine = &mut self.machines[number];
        machine.disk = Medium::of(saved.image, me);
        if let Some(downloads) = saved.downloads {
            machine.folder.downloads = downloads;
        }
        machine.log.put_back();
        machine.user.forget();
        self.model.put_back(number, who, saved.marks);
        self.model.forked(who);
        let delay_ms = self.dice.between(100, 20_000);
        self.after(delay_ms, What::Start(number));
    }

    fn put_back_directory(&mut self) {
        let count = self.directory.saved.len() as u64;
        if count == 0 {
            return;
        }
        let at = usize::try_from(self.dice.below(count)).unwrap_or(0);
        let power_lost = self.dice.one_in(2);
        self.kill_directory(power_lost);
        let (image, mail) = self.directory.saved[at].clone();
        self.directory.mail = mail;
        let mut disk: Medium<DirectoryStore> = Medium::of(image, self.directory.store_id);
        if self.dice.one_in(2) {
            let store_id = self.dice.bytes();
            disk.open().expect("an image is a disk").renumber(store_id).expect("a store takes another number");
        }
        self.directory.disk = disk;
        self.directory.log.put_back();
        let delay_ms = self.dice.between(200, 10_000);
        self.after(delay_ms, What::DirectoryStart(self.directory.which));
    }

    fn copy(&mut self, number: usize) {
        let who = self.machines[number].who;
        let copies = self.machines.iter().filter(|machine| machine.who == who).count();
        if copies > 1 || !self.machines[number].user.active {
            return;
        }
        let name = self.machines[number].user.name.as_str().to_owned();
        let copy = self.add_machine(who, &name, Some(number));
        self.model.forked(who);
        self.start_machine(copy);
        let delay_ms = self.dice.between(1_000, 5_000);
        self.after(delay_ms, What::User(copy));
    }

    /// A name is released and taken by another key.
    fn rename(&mut self, number: usize) {
        let spare = self.machines.iter().position(|machine| !machine.user.active);
        let (Some(spare), true) = (spare, self.machines[number].user.active) else { return };
        if !self.machines[number].user.online || !self.command(number, Command::Deregister { sure: true }) {
            return;
        }
        let name = self.machines[number].user.name.clone();
        self.take_another_name(number);
        let delay_ms = self.dice.between(2_000, 30_000);
        self.after(delay_ms, What::Undo(Undo::Rename(spare, name)));
    }

    fn step_clock(&mut self, number: usize) {
        const SPANS_MS: [u64; 5] = [5_000, 60_000, 3_600_000, 86_400_000, 40 * 86_400_000];
        let span_ms = self.dice.pick(&SPANS_MS).unwrap_or(0);
        let step = i64::try_from(self.dice.below(2 * span_ms)).unwrap_or(0) - i64::try_from(span_ms).unwrap_or(0);
        if self.dice.one_in(10) {
            self.directory.skew_ms += step;
            self.directory_clock_steps();
        } else {
            self.machines[number].skew_ms += step;
            self.model.clock_stepped(number, self.machines[number].skew_ms);
        }
    }

    /// A clock leaps by ten years, either way, or comes right again.
    fn jump_years(&mut self, number: usize) {
        const TEN_YEARS_MS: i64 = 3_652 * 86_400_000;
        let jump = [TEN_YEARS_MS, -TEN_YEARS_MS];
        let jump = self.dice.pick(&jump).unwrap_or(0);
        let directory = self.dice.one_in(4);
        let skew_ms = if directory { &mut self.directory.skew_ms } else { &mut self.machines[number].skew_ms };
        *skew_ms = if skew_ms.abs() >= TEN_YEARS_MS { 0 } else { *skew_ms + jump };
        let skew_ms = *skew_ms;
        if directory {
            self.directory_clock_steps();
        } else {
            self.model.clock_stepped(number, skew_ms);
        }
    }

    fn directory_clock_steps(&mut self) {
        self.directory.skews.push((self.now, self.directory.skew_ms));
        self.model.directory_clock_stepped();
    }

    /// Everybody switches off, for hours or days.
    fn all_off(&mut self) {
        const HOURS: [u64; 6] = [1, 3, 20, 30, 100, 800];
        let hours = self.dice.pick(&HOURS).unwrap_or(1);
        self.model.dark(hours * 3_600_000);
        self.dark_until = self.now + hours * 3_600_000;
        self.storm_ends += hours * 3_600_000;
        for which in self.all_directories() {
            self.face(*which).kill_directory(true);
        }
        for number in 0..self.machines.len() {
            self.kill_machine(number, true);
            let delay_ms = self.dice.between(0, 10_000);
            self.at(self.dark_until + delay_ms, What::Start(number));
        }
        for which in self.all_directories() {
            let delay_ms = self.dice.between(0, 5_000);
            self.at(self.dark_until + delay_ms, What::DirectoryStart(*which));
        }
    }
}
