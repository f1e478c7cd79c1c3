//! The simulated world: one queue of what is to happen, virtual time, and who is told. What each thing does when it
//! happens stands with the node it happens to.

use std::collections::BTreeMap;

use common::identity::Identity;
use peer_core::event::{Event, FileJob, Input};

use super::Watch;
use super::dice::Dice;
use super::directory::{DirectoryNode, Which};
use super::faults::Undo;
use super::liar::Liar;
use super::links::Link;
use super::machine::Machine;
use super::plan::Plan;
use super::sessions::Conn;
use super::streams::{Step, Streams};
use super::trace::Trace;
use crate::model::Model;

/// Wall clock at the beginning, milliseconds since 1970.
pub(crate) const BEGIN_MS: i64 = 1_700_000_000_000;

/// Something that is to happen.
#[derive(Debug)]
pub(crate) enum What {
    /// A machine's core is to be drained.
    Turn(usize, u32),
    /// A machine's core is told something.
    Input(usize, u32, Box<Input>),
    /// A machine's deadline.
    Wake(usize, u32, u64),
    /// A machine's disk has done what it was given.
    Disk(usize, u32),
    /// A machine's disk without room is asked for some.
    Room(usize, u32),
    /// A machine's program measures the room on its disk.
    Measure(usize),
    /// A machine's front puts a message, or a change of one, out.
    PutOut(usize, u32, Box<Event>),
    /// A machine starts.
    Start(usize),
    /// A machine's user does something.
    User(usize),
    /// A machine's connection attempt is decided.
    Connect(usize, u32),
    /// A frame towards the directory arrives.
    Up(usize),
    /// A frame from the directory arrives.
    Down(usize),
    /// The directory's end of a connection finds it gone.
    ServerGone(usize),
    /// The peer's end of a connection finds it gone.
    ClientGone(usize),
    /// A dial is decided.
    Dialled { machine: usize, run: u32, link: peer_core::event::LinkId },
    /// A frame on a link arrives at this side.
    Across(usize, usize),
    /// One side of a link finds it gone.
    LinkGone(usize, usize),
    /// One side of a link has heard nothing for long.
    LinkIdle(usize, usize),
    /// A machine's program does something with files.
    File(usize, u32, Box<FileJob>),
    /// Something happens on the stream of a file.
    Stream(u64, Step),
    /// The directory's core is to be drained.
    DirectoryTurn(u32),
    /// The directory's deadline.
    DirectoryWake(u32, u64),
    /// The directory's disk has done what it was given.
    DirectoryDisk(u32),
    /// The directory's disk without room is asked for some.
    DirectoryRoom(u32),
    /// The directory measures the room on its disk.
    DirectoryMeasure(Which),
    /// The directory's core hears of a commit.
    DirectoryStored(u32, Box<directory_server::store::Applied>),
    /// A directory starts.
    DirectoryStart(Which),
    /// A frame that a malicious directory kept back is sent.
    Late(usize, Box<common::wire::directory::FromDirectory>),
    /// A fault strikes.
    Fault,
    /// A fault passes.
    Undo(Undo),
}

/// The world.
pub(crate) struct World {
    pub(crate) now: u64,
    pub(crate) dice: Dice,
    /// For what disks do, so that nothing else depends on it.
    pub(crate) disk_dice: Dice,
    /// For where a program dies in writing its event log.
    pub(crate) log_dice: Dice,
    pub(crate) watch: Watch,
    pub(crate) plan: Plan,
    pub(crate) trace: Trace,
    pub(crate) model: Model,
    pub(crate) machines: Vec<Machine>,
    pub(crate) identities: Vec<Identity>,
    /// The directory that is being dealt with; see [`Self::face`].
    pub(crate) directory: DirectoryNode,
    /// The other one, in worlds with two.
    pub(crate) aside: Option<Box<DirectoryNode>>,
    pub(crate) liar: Liar,
    pub(crate) conns: Vec<Conn>,
    pub(crate) links: Vec<Link>,
    pub(crate) streams: Streams,
    /// Machines that do not reach the directory, with how many faults say so.
    pub(crate) cut_off: BTreeMap<usize, u32>,
    /// Pairs between which no datagram passes.
    pub(crate) blocked: BTreeMap<(usize, usize), u32>,
    /// Steps of groups that a directory was given back.
    pub(crate) restored: u64,
    /// The storm is over.
    pub(crate) healed: bool,
    /// Everything is switched off until then.
    pub(crate) dark_until: u64,
    /// When the storm is over.
    pub(crate) storm_ends: u64,
    queue: BTreeMap<(u64, u64), What>,
    order: u64,
}

impl World {
    pub(crate) fn new(
        plan: Plan,
        dice: Dice,
        seed: u64,
        directory: DirectoryNode,
        watch: Watch,
        verbose: bool,
    ) -> Self {
        let trace = Trace::new(verbose);
        let model = if watch == Watch::Logs { Model::blind() } else { Model::new(plan.malicious) };
        Self {
            now: 0,
            dice,
            disk_dice: Dice::new(!seed),
            log_dice: Dice::new(seed.rotate_left(32)),
            watch,
            plan,
            trace,
            model,
            machines: Vec::new(),
            identities: Vec::new(),
            directory,
            aside: None,
            liar: Liar::default(),
            conns: Vec::new(),
            links: Vec::new(),
            streams: Streams::default(),
            cut_off: BTreeMap::new(),
            blocked: BTreeMap::new(),
            restored: 0,
            healed: false,
            dark_until: 0,
            storm_ends: 0,
            queue: BTreeMap::new(),
            order: 0,
        }
    }

    /// Lets something happen at a time, after what was planned for the same time before.
    pub(crate) fn at(&mut self, at_ms: u64, what: What) {
        self.order += 1;
        self.queue.insert((at_ms.max(self.now), self.order), what);
    }

    pub(crate) fn after(&mut self, delay_ms: u64, what: What) {
        self.at(self.now + delay_ms, what);
    }

    /// A latency of the network.
    pub(crate) fn latency(&mut self) -> u64 {
        if !self.healed && self.dice.one_in(self.plan.slow_one_in) {
            return self.dice.between(50, 2_000);
        }
        self.dice.between(1, self.plan.latency_ms)
    }

    /// A latency of a disk.
    pub(crate) fn disk_latency(&mut self) -> u64 {
        if !self.healed && self.dice.one_in(40) { self.dice.between(20, 400) } else { self.dice.between(1, 12) }
    }

    /// Runs until a time, or until a promise is broken.
    pub(crate) fn run_until(&mut self, until_ms: u64) {
        while self.model.failure().is_none() {
            let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= until_ms) else { break };
            let ((at_ms, _), what) = entry.remove_entry();
            self.now = at_ms;
            self.model.at(at_ms);
            self.happen(what);
        }
        self.now = self.now.max(until_ms);
    }

    fn happen(&mut self, what: What) {
        match what {
            What::Turn(machine, run) => self.machine_turn(machine, run),
            What::Input(machine, run, input) => self.machine_input(machine, run, *input),
            What::Wake(machine, run, at_ms) => self.machine_wake(machine, run, at_ms),
            What::Disk(machine, run) => self.machine_disk(machine, run),
            What::Room(machine, run) => self.machine_room(machine, run),
            What::Measure(machine) => self.measure(machine),
            What::PutOut(machine, run, view) => self.put_out(machine, run, &view),
            What::Start(machine) => self.start_machine(machine),
            What::User(machine) => self.user_acts(machine),
            What::Connect(machine, run) => self.connect(machine, run),
            What::Up(conn) => self.frame_up(conn),
            What::Down(conn) => self.frame_down(conn),
            What::ServerGone(conn) => self.server_gone(conn),
            What::ClientGone(conn) => self.client_gone(conn),
            What::Dialled { machine, run, link } => self.dialled(machine, run, link),
            What::Across(link, side) => self.frame_across(link, side),
            What::LinkGone(link, side) => self.link_gone(link, side),
            What::LinkIdle(link, side) => self.link_idle(link, side),
            What::File(machine, run, job) => self.file_job(machine, run, *job),
            What::Stream(stream, step) => self.stream_step(stream, step),
            What::DirectoryTurn(run) => self.face(Which::of(run)).directory_turn(run),
            What::DirectoryWake(run, at_ms) => self.face(Which::of(run)).directory_wake(run, at_ms),
            What::DirectoryDisk(run) => self.face(Which::of(run)).directory_disk(run),
            What::DirectoryRoom(run) => self.face(Which::of(run)).directory_room(run),
            What::DirectoryMeasure(which) => self.face(which).measure_directory(),
            What::DirectoryStored(run, applied) => self.face(Which::of(run)).directory_stored(run, *applied),
            What::DirectoryStart(which) => self.face(which).start_directory(),
            What::Late(conn, frame) => self.late_frame(conn, *frame),
            What::Fault => self.strike(),
            What::Undo(undo) => self.undo(undo),
        }
    }

    /// Turns to one of the directories: what is said of the directory is said of that one from now on. Whatever
    /// happens at one turns to it first.
    pub(crate) fn face(&mut self, which: Which) -> &mut Self {
        if let Some(aside) = self.aside.as_deref_mut()
            && self.directory.which != which
        {
            std::mem::swap(&mut self.directory, aside);
        }
        self
    }

    /// The directories there are.
    pub(crate) fn all_directories(&self) -> &'static [Which] {
        if self.aside.is_some() { &[Which::First, Which::Second] } else { &[Which::First] }
    }

    /// Whether a machine reaches the directory.
    pub(crate) fn reaches_directory(&self, machine: usize) -> bool {
        !self.cut_off.contains_key(&machine)
    }

    /// Whether datagrams pass between two machines.
    pub(crate) fn reaches(&self, a: usize, b: usize) -> bool {
        !self.plan.no_direct && !self.blocked.contains_key(&(a.min(b), a.max(b)))
    }
}
