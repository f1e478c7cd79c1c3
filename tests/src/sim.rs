//! A whole world in one thread: both cores, both real stores in memory, and a network, clocks and users made of one seed.
//! A storm of faults, then peace, then the question whether every promise was kept. No socket, no real time.

mod audit;
mod company;
mod desk;
mod dice;
mod directory;
mod directory_desk;
mod faults;
mod files;
mod filing;
mod folder;
mod gathering;
mod groups;
mod liar;
mod links;
mod logs;
mod machine;
mod many;
mod medium;
mod plan;
mod sealing;
mod sessions;
mod streams;
mod trace;
mod user;
mod world;

use common::identity::Identity;
use peer_core::command::Command;
use peer_core::stored::{Query, QueryResult, State, Talk};

pub use crate::model::Told;
pub(crate) use dice::Dice;
use directory::{DirectoryNode, Which};
pub use many::{Sum, failure, many};
use plan::Plan;
pub use plan::{Profile, profile_of};
pub(crate) use sealing::Seals;
use world::{What, World};

use crate::checker::{Breach, Log, check};

const NAMES: [&str; 6] = ["anna", "bert", "carla", "dora", "emil", "fritz"];
/// After the storm everything has to be settled within so long.
const PEACE_MS: u64 = 4 * 3_600_000;
/// ... and after a malicious directory within so long: what it said of kept mail is checked once in a day.
const LONG_PEACE_MS: u64 = 60 * 3_600_000;
/// How often it is looked whether it is.
const LOOK_MS: u64 = 30_000;
/// In a world at rest, no more may happen in so long ...
const REST_MS: u64 = 5 * 60_000;
/// ... than so many things for each machine.
const REST_EVENTS: u64 = 250;

/// What the history checker found begins with this.
pub(crate) const CHECKER: &str = "the checker";

/// Who judges a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watch {
    /// The model, while it happens.
    Model,
    /// The model, and at the end the history checker, from the event logs of all programs.
    Both,
    /// The history checker alone.
    Logs,
}

impl Watch {
    pub(crate) fn reads_logs(self) -> bool {
        self != Self::Model
    }
}

/// What one seed gave.
#[derive(Debug)]
pub struct Outcome {
    /// A hash of everything that happened.
    pub hash: u64,
    /// The promise that was broken, if one was.
    pub failure: Option<String>,
    /// What the history checker found, in a world that it read.
    pub breaches: Vec<Breach>,
    /// Records in the event logs that it read.
    pub records: usize,
    /// The last lines of the trace; all of it if asked for.
    pub tail: Vec<String>,
    /// Things that happened.
    pub events: u64,
    /// Virtual time at the end, milliseconds.
    pub ended_ms: u64,
    /// Messages that were queued.
    pub messages: usize,
    /// New names of people known that users were told of.
    pub renamed: u64,
    /// Keys that users have refused.
    pub refused: u64,
    /// Messages of groups that were put out.
    pub in_groups: u64,
    /// Files that came, and pieces of files.
    pub files: (u64, u64),
    /// What was seen of blocks, of being busy, and of what is said to everybody.
    pub in_company: Told,
    /// Chains and lines of groups that were compared at the end.
    pub compared: (u64, u64),
    /// Steps of groups that a directory had lost and was given back.
    pub restored: u64,
}

/// Runs the world of a seed. `verbose`: the whole trace, with what was said.
#[must_use]
pub fn run(seed: u64, watch: Watch, verbose: bool) -> Outcome {
    run_as(profile_of(seed), seed, watch, verbose)
}

/// The same with another kind of storm than the seed's own.
#[must_use]
pub fn run_as(profile: Profile, seed: u64, watch: Watch, verbose: bool) -> Outcome {
    run_plan(|dice| Plan::new(profile, seed, dice), seed, watch, verbose)
}

/// The same where nobody has a file: such as all worlds once were.
#[must_use]
pub fn run_without_files(profile: Profile, seed: u64, watch: Watch, verbose: bool) -> Outcome {
    run_plan(|dice| Plan { files: false, ..Plan::new(profile, seed, dice) }, seed, watch, verbose)
}

fn run_plan(plan: impl FnOnce(&mut Dice) -> Plan, seed: u64, watch: Watch, verbose: bool) -> Outcome {
    let mut dice = Dice::new(seed);
    let plan = plan(&mut dice);
    let identity = Identity::from_seed(&dice.bytes());
    let directory = DirectoryNode::new(Which::First, identity, dice.bytes());
    let weights = plan.weights;
    let forgets = weights.rename + weights.copy + weights.put_back > 0;
    let crier = seed % 4 == 1 && !plan.malicious && weights.rename == 0;
    let late = plan.malicious || weights.no_room + weights.no_room_directory > 0;
    let mut world = World::new(plan, dice, seed, directory, watch, verbose);
    if !world.plan.malicious && !forgets {
        world.model.groups_are_strict();
    }
    if weights.rename + weights.copy + weights.put_back == 0 {
        world.model.files_are_strict();
    }
    world.model.comes_late(late, weights.cut_off + weights.isolate + weights.half_open > 0);
    world.populate(crier);
    world.live();
    let (breaches, records) = world.read_logs();
    let failure = world.model.failure().map(str::to_owned);
    Outcome {
        hash: world.trace.hash(),
        failure: failure.or_else(|| found(&breaches)),
        breaches,
        records,
        events: world.trace.events,
        ended_ms: world.now,
        messages: world.model.count(),
        renamed: world.liar.renamed,
        refused: world.liar.refused,
        in_groups: world.model.said_in_groups(),
        files: world.model.files_done(),
        in_company: world.model.told_in_company(),
        compared: world.model.compared(),
        restored: world.restored,
        tail: world.trace.into_lines(),
    }
}

/// What a seed is said to have failed of: what was broken last.
fn found(breaches: &[Breach]) -> Option<String> {
    let first = breaches.first()?;
    let lines: Vec<String> = breaches.iter().skip(1).take(3).map(ToString::to_string).collect();
    let shown = [lines.join("\n"), first.lines.join("\n")].join("\n");
    Some(format!("{shown}\n{CHECKER}, {} times: {:?}: {}", breaches.len(), first.rule, first.what))
}

impl World {
    fn populate(&mut self, crier: bool) {
        let people = self.plan.people;
        let spare = usize::from(self.plan.weights.rename > 0);
        let names = NAMES.iter().take(people + spare).chain(crier.then_some(&company::CRIER));
        for (who, name) in names.enumerate() {
            let seed = self.dice.bytes();
            self.identities.push(Identity::from_seed(&seed));
            let number = self.add_machine(who, name, None);
            self.machines[number].user.active = who < people || crier;
            let (start_ms, act_ms) = (self.dice.between(0, 5_000), self.dice.between(1_000, 9_000));
            self.at(start_ms, What::Start(number));
            self.at(act_ms, What::User(number));
        }
        let delay_ms = self.dice.between(0, 3_000);
        self.at(delay_ms, What::DirectoryStart(Which::First));
        if self.plan.weights.move_directory > 0 {
            self.add_directory();
        }
        self.storm_ends = self.plan.storm_ms;
    }

    /// A second directory; some begin there.
    fn add_directory(&mut self) {
        let identity = Identity::from_seed(&self.dice.bytes());
        self.aside = Some(Box::new(DirectoryNode::new(Which::Second, identity, self.dice.bytes())));
        for number in 0..self.machines.len() {
            if self.dice.one_in(3) {
                self.machines[number].directory = Which::Second;
            }
        }
        self.at(0, What::DirectoryStart(Which::Second));
    }

    /// Everybody is to be at one of the directories; the other one lives on.
    fn meet(&mut self) {
        if self.aside.is_none() {
            return;
        }
        let which = if self.dice.one_in(2) { Which::First } else { Which::Second };
        for number in 0..self.machines.len() {
            if self.machines[number].directory != which {
                self.kill_machine(number, false);
                self.machines[number].directory = which;
            }
        }
    }

    fn live(&mut self) {
        self.begin_storm();
        while self.now < self.storm_ends && self.model.failure().is_none() {
            self.run_until(self.storm_ends);
        }
        self.heal();
        self.make_peace("the first machine of each");
        let copies: Vec<usize> = self.copies();
        if !copies.is_empty() {
            self.change_over(&copies);
            self.make_peace("the copies");
        }
        self.rest();
        self.judge();
    }

    /// Machines that share their identity with an earlier one.
    fn copies(&self) -> Vec<usize> {
        let is_copy = |number: &usize| {
            let who = self.machines[*number].who;
            self.machines[..*number].iter().any(|earlier| earlier.who == who)
        };
        (0..self.machines.len()).filter(is_copy).collect()
    }

    /// The network is whole, everything is switched on, and only one machine of each identity.
    fn heal(&mut self) {
        self.trace.note(self.now, format_args!("PEACE"));
        self.healed = true;
        self.cut_off.clear();
        self.blocked.clear();
        self.undo(faults::Undo::DiskFull);
        self.heal_disks();
        if self.plan.malicious {
            // An honest one takes over, with the same key and store.
            self.kill_directory(false);
        }
        for copy in self.copies() {
            self.machines[copy].retired = true;
            self.command(copy, Command::Quit);
        }
        for which in self.all_directories() {
            self.face(*which).start_directory();
        }
        self.meet();
        for number in 0..self.machines.len() {
            self.start_machine(number);
        }
    }

    /// The first machines leave and their copies come.
    fn change_over(&mut self, copies: &[usize]) {
        for copy in copies {
            let who = self.machines[*copy].who;
            for number in (0..*copy).filter(|number| !copies.contains(number)) {
                if self.machines[number].who == who {
                    self.machines[number].retired = true;
                    self.command(number, Command::Quit);
                }
            }
        }
        self.run_until(self.now + 20_000);
        for copy in copies {
            self.machines[*copy].retired = false;
            self.start_machine(*copy);
        }
    }

    /// Waits until everything queued on a running machine has an end.
    fn make_peace(&mut self, whose: &str) {
        let until_ms = self.now + if self.plan.malicious { LONG_PEACE_MS } else { PEACE_MS };
        self.run_until(self.now + LOOK_MS);
        while self.now < until_ms && self.model.failure().is_none() {
            if self.open_matters().is_empty() {
                return;
            }
            self.run_until(self.now + LOOK_MS);
        }
        let open = self.open_matters();
        if !open.is_empty() {
            self.model.broken(format!("hours after the storm, with {whose}: {}", open.join("; ")));
        }
    }

    fn open_matters(&self) -> Vec<String> {
        let mut open = Vec::new();
        for number in 0..self.machines.len() {
            let machine = &self.machines[number];
            if machine.retired {
                continue;
            }
            let waits: Vec<_> = self.model.unsettled(number);
            if !waits.is_empty() {
                open.push(format!("machine {number} still has {waits:?}"));
            }
            if machine.user.active && !machine.user.online {
                open.push(format!("machine {number} is not online"));
            }
            let files = self.model.unsettled_files(number, &self.all_machines());
            if !files.is_empty() {
                open.push(format!("machine {number} still has files {files:?}"));
            }
            if self.model.is_busy(number) {
                open.push(format!("machine {number} is busy"));
            }
            let unanswered = self.unanswered(number);
            if unanswered > 0 {
                open.push(format!("machine {number} owes {unanswered} answers"));
            }
        }
        open
    }

    /// What the history checker says. A world that the model broke off is not at its end.
    fn read_logs(&mut self) -> (Vec<Breach>, usize) {
        if !self.watch.reads_logs() {
            return (Vec::new(), 0);
        }
        let healed = self.model.failure().is_none();
        let logs = self.logs();
        let mut breaches = check(&logs, healed);
        breaches.sort_by_key(|breach| breach.rule);
        (breaches, logs.iter().map(Log::records).sum())
    }

    /// When nothing is left to do, little is done.
    fn rest(&mut self) {
        if self.model.failure().is_some() {
            return;
        }
        self.run_until(self.now + 60_000);
        let before = self.trace.events;
        self.run_until(self.now + REST_MS);
        let happened = self.trace.events - before;
        let most = REST_EVENTS * (self.machines.len() as u64 + 1);
        if happened > most {
            self.model
                .broken(format!("{happened} things happened in a world at rest in {REST_MS} ms, {most} are plenty"));
        }
    }

    /// What the disks hold at the end.
    fn judge(&mut self) {
        if self.model.failure().is_some() || self.watch == Watch::Logs {
            return;
        }
        let machines = self.all_machines();
        for (number, who) in &machines {
            self.model.are_files_right(*number, &machines);
            self.model.is_there(*number, &machines);
            if !self.machines[*number].retired {
                self.model.is_all_shown(*number);
            }
            for (_, other) in &machines {
                if other != who {
                    self.judge_history(*number, *other);
                }
            }
            self.judge_company(*number);
        }
        self.judge_groups();
    }

    /// Machines and whose they are.
    fn all_machines(&self) -> Vec<(usize, usize)> {
        self.machines.iter().enumerate().map(|(number, machine)| (number, machine.who)).collect()
    }

    /// A conversation stands in the order in which each of the two wrote it, and holds all of it.
    fn judge_history(&mut self, number: usize, other: usize) {
        let with = self.identities[other].public();
        let query = Query::History { with: Talk::Pair(with), before: None, count: 10_000 };
        let store = self.machines[number].disk.open().expect("a healthy disk");
        let QueryResult::History(messages) = store.query(query) else {
            return self.model.broken(format!("machine {number} cannot read its history"));
        };
        let durations = store.load(Which::First.address()).map(|snapshot| snapshot.durations).unwrap_or_default();
        let stays = durations.iter().find(|(talk, ..)| *talk == Talk::Pair(with)).and_then(|(_, _, stays)| *stays);
        if !self.machines[number].retired {
            let who = self.machines[number].who;
            self.model.is_edited_right(number, &messages);
            self.model.is_duration_right(number, who, other, stays);
        }
        for mine in [true, false] {
            let ids: Vec<_> =
                messages.iter().filter(|message| message.mine == mine).map(|message| message.id).collect();
            let ordered: Vec<_> = messages
                .iter()
                .filter(|message| message.mine == mine && message.ordered)
                .map(|message| message.id)
                .collect();
            if !ordered.is_sorted() {
                self.model.broken(format!("machine {number} has messages with {other} out of order: {ids:?}"));
            }
            let known = |id| self.model.marks(number).theirs.contains(&(other, id));
            if !mine && !ids.iter().all(|id| known(*id)) {
                self.model.broken(format!("machine {number} has messages of {other} that never came"));
            }
        }
        for message in messages.iter().filter(|message| message.mine) {
            let state = message.state.map_or(State::Queued, |(state, _)| state);
            let noted = self.model.marks(number).own.get(&message.n).map(|(_, state)| *state);
            if noted != Some(state) {
                self.model.broken(format!("machine {number}: message {} is {state:?} and was {noted:?}", message.n));
            }
        }
    }
}
