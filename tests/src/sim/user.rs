//! A scripted user: registers, writes numbered texts to random others, sometimes cancels, asks, leaves and returns.

use std::collections::{BTreeSet, VecDeque};

use common::name::Name;
use peer_core::command::{Command, ErrorCode, To, Verdict};
use peer_core::event::{Answer, CommandId, Event, Input, Source};

use super::company::CRIER;
use super::filing::Filing;
use super::world::{What, World};

/// What a user wants and knows.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) name: Name,
    /// Wants to have a name at all.
    pub(crate) active: bool,
    pub(crate) online: bool,
    /// Speaks to everybody, and to nobody else.
    pub(crate) crier: bool,
    next: u64,
    waiting: VecDeque<u64>,
    /// Numbers of own messages.
    own: Vec<u64>,
    /// Numbers of others' messages.
    seen: Vec<u64>,
    /// Groups that it has come into.
    pub(crate) groups: BTreeSet<Name>,
    /// Names whose key has changed, or is said to have.
    rivals: BTreeSet<Name>,
    rounds: u64,
    pub(super) filing: Filing,
}

impl User {
    pub(crate) fn new(name: Name) -> Self {
        Self {
            crier: name.as_str() == CRIER,
            name,
            active: true,
            online: false,
            next: 0,
            waiting: VecDeque::new(),
            own: Vec::new(),
            seen: Vec::new(),
            groups: BTreeSet::new(),
            rivals: BTreeSet::new(),
            rounds: 0,
            filing: Filing::default(),
        }
    }

    fn is_talked_with(&self) -> bool {
        self.active && !self.crier
    }

    pub(crate) fn registers(&self) -> bool {
        self.active
    }

    /// The program has started.
    pub(crate) fn begin(&mut self) {
        self.next = 0;
        self.filing.begin();
    }

    /// The program has gone, and what it was asked for with it.
    pub(crate) fn end(&mut self) {
        self.waiting.clear();
        self.online = false;
    }

    /// The disk was put back: numbers known mean something else.
    pub(crate) fn forget(&mut self) {
        self.own.clear();
        self.seen.clear();
        self.filing = Filing::default();
    }

    /// A message of somebody else is on the screen.
    pub(crate) fn sees(&mut self, n: u64) {
        if self.seen.last() != Some(&n) {
            self.seen.push(n);
        }
    }
}

/// Signs beside lines; the empty one takes back.
const SIGNS: [&str; 3] = ["👍", "🎉", ""];
/// Texts that vanish stay at most so long, milliseconds: less than the world rests at its end.
const STAYS_MAX_MS: u64 = 200_000;

fn person(name: &Name) -> To {
    To::Person { name: name.clone(), fingerprint: None }
}

impl World {
    /// Gives a command; false if the program is not running.
    pub(crate) fn command(&mut self, number: usize, command: Command) -> bool {
        let machine = &mut self.machines[number];
        if machine.core.is_none() {
            return false;
        }
        let id = CommandId { source: Source(1), number: machine.user.next };
        machine.user.next += 1;
        machine.user.waiting.push_back(id.number);
        machine.user.filing.asks(id.number, &command);
        let (run, who) = (machine.run, machine.who);
        self.model.file_command(number, who, &command);
        self.trace.note(self.now, format_args!("m{number} user: {command:?}"));
        self.machine_input(number, run, Input::Command { id, command: Ok(command) });
        true
    }

    pub(crate) fn user_acts(&mut self, number: usize) {
        let pause_ms = if self.healed { 20_000 } else { self.plan.pause_ms };
        let delay_ms = self.dice.between(pause_ms / 10, pause_ms);
        self.at((self.now + delay_ms).max(self.dark_until), What::User(number));
        if self.machines[number].core.is_none() || !self.machines[number].user.active {
            return;
        }
        match (self.healed, self.machines[number].user.crier) {
            (true, _) => self.heal_user(number),
            (false, true) => self.act_as_crier(number),
            (false, false) => self.storm_user(number),
        }
    }

    fn storm_user(&mut self, number: usize) {
        let user = &self.machines[number].user;
        let rival = user.rivals.first().cloned();
        let own = user.own.clone();
        if self.plan.files && self.dice.one_in(3) {
            return self.act_on_files(number);
        }
        match self.dice.below(58) {
            0 => {
                if let Some(n) = self.dice.pick(&own) {
                    self.command(number, Command::Cancel(n));
                }
            }
            1 => {
                if let Some(n) = self.dice.pick(&own) {
                    self.command(number, Command::Status(n));
                }
            }
            2 => {
                if let Some(name) = self.somebody(number) {
                    self.command(number, Command::History { with: person(&name), count: 20, before: None });
                }
            }
            3 => {
                self.command(number, Command::Who(None));
            }
            4 if self.plan.fault_ms > 0 => {
                self.command(number, Command::Logout);
            }
            5 if self.plan.fault_ms > 0 => {
                self.command(number, Command::Quit);
            }
            6 if rival.is_some() => self.decide(number, rival),
            7..=9 if !self.machines[number].user.online => self.get_online(number),
            10..=19 => self.act_on_lines(number),
            36..=51 => {
                self.act_in_groups(number);
                self.write(number);
            }
            52..=57 => self.act_in_company(number),
            _ => self.write(number),
        }
    }

    fn write(&mut self, number: usize) {
        let many = if self.dice.one_in(8) { self.dice.between(3, 12) } else { 1 };
        for _ in 0..many {
            let Some(name) = self.somebody(number) else { return };
            let words = self.dice.below(6);
            let text =
                format!("{number}.{} {}", self.trace.events, "word ".repeat(usize::try_from(words).unwrap_or(0)));
            let urgent = self.dice.one_in(15);
            self.command(number, Command::Send { to: person(&name), text, key: None, urgent, reply_to: None });
        }
    }

    /// Something that is about a line, or about how lines are kept.
    fn act_on_lines(&mut self, number: usize) {
        let user = &self.machines[number].user;
        let (own, seen) = (user.own.clone(), user.seen.clone());
        let (mine, theirs) = (self.dice.pick(&own), self.dice.pick(&seen));
        let any = if self.dice.one_in(3) { mine } else { theirs };
        let somebody = self.somebody(number);
        let text = format!("{number}.{} again", self.trace.events);
        let command = match (self.dice.below(12), any, mine, somebody) {
            (0 | 1, Some(n), _, _) => Command::Reply { n, text },
            (2..=4, _, Some(n), _) => Command::Edit { n, text },
            (5, _, Some(n), _) => Command::Delete(n),
            (6 | 7, Some(n), _, _) => {
                let emoji = self.dice.pick(&SIGNS).unwrap_or_default();
                Command::React { n, emoji: emoji.to_owned() }
            }
            (8, Some(n), _, Some(name)) => Command::Forward { n, to: person(&name) },
            (9, _, _, Some(name)) => {
                let after_ms = if self.dice.one_in(3) { None } else { Some(self.dice.between(1_000, STAYS_MAX_MS)) };
                Command::Expire { with: person(&name), after_ms }
            }
            (10, ..) => {
                let on = !self.dice.one_in(3);
                Command::Receipts(Some(on))
            }
            _ => return self.write(number),
        };
        self.command(number, command);
    }

    pub(crate) fn somebody(&mut self, number: usize) -> Option<Name> {
        let who = self.machines[number].who;
        let others: Vec<usize> = (0..self.machines.len())
            .filter(|other| self.machines[*other].who != who && self.machines[*other].user.is_talked_with())
            .collect();
        let other = self.dice.pick(&others)?;
        Some(self.machines[other].user.name.clone())
    }

    /// Who compares fingerprints takes an honest directory's word for a new key, and not a malicious one's.
    fn decide(&mut self, number: usize, name: Option<Name>) {
        let Some(name) = name else { return };
        self.machines[number].user.rivals.remove(&name);
        let verdict = if self.plan.malicious { Verdict::Wrong } else { Verdict::Right };
        match verdict {
            Verdict::Right => self.model.accepted(number, name.as_str()),
            Verdict::Wrong => self.liar.refused += 1,
        }
        self.command(number, Command::Verify { name, fingerprint: None, verdict: Some(verdict) });
    }

    pub(crate) fn get_online(&mut self, number: usize) {
        let user = &mut self.machines[number].user;
        user.rounds += 1;
        let command = if user.rounds.is_multiple_of(3) { Command::Login } else { Command::Register(user.name.clone()) };
        self.command(number, command);
    }

    /// After the storm the user does what is needed to be online, and answers questions about keys and offers of files.
    fn heal_user(&mut self, number: usize) {
        if self.plan.files {
            self.heal_files(number);
        }
        let rival = self.machines[number].user.rivals.first().cloned();
        self.decide(number, rival);
        if self.dice.one_in(4) && self.machines[number].user.waiting.is_empty() {
            self.command(number, Command::Contacts);
        }
        if !self.machines[number].user.online && self.machines[number].user.waiting.is_empty() {
            self.get_online(number);
        }
        if self.machines[number].user.waiting.is_empty() {
            self.heal_manners(number);
        }
    }

    pub(crate) fn user_sees(&mut self, number: usize, _run: u32, event: &Event) {
        let user = &mut self.machines[number].user;
        match event {
            Event::Online(_) => user.online = true,
            Event::Offline(_) | Event::Deregistered(_) => user.online = false,
            Event::KeyChanged { name, .. } => {
                user.rivals.insert(name.clone());
            }
            Event::Renamed { new, .. } => {
                self.liar.renamed += 1;
                self.model.renamed(number, new.as_str());
            }
            Event::Answer { id, answer } => {
                let expected = user.waiting.pop_front();
                if expected != Some(id.number) {
                    let how = format!("machine {number} answers command {} where {expected:?} is due", id.number);
                    self.model.broken(how);
                    return;
                }
                self.answered_on_files(number, id.number, answer.as_ref().ok().map(|answer| &**answer));
                self.answered(number, answer.as_ref().map(|answer| &**answer).map_err(|error| error.code));
            }
            Event::Error(error) if error.code == ErrorCode::Suspended => user.online = false,
            Event::Error(error) if error.code == ErrorCode::NameTaken => self.take_another_name(number),
            _ => {}
        }
    }

    fn answered(&mut self, number: usize, answer: Result<&Answer, ErrorCode>) {
        match answer {
            Ok(Answer::Sent { id, n, .. }) => {
                self.machines[number].user.own.push(*n);
                self.model.promised(number, *n, *id);
            }
            Ok(Answer::Contacts(people)) => {
                let rivals = people.iter().filter_map(|person| person.rival.as_ref()).map(|(name, _)| name.clone());
                self.machines[number].user.rivals.extend(rivals);
            }
            Ok(Answer::Group { group, change, .. }) => self.gathered(number, group, *change),
            Ok(Answer::Offline) => self.machines[number].user.online = false,
            Err(ErrorCode::NameTaken) => self.take_another_name(number),
            _ => {}
        }
    }

    pub(crate) fn take_another_name(&mut self, number: usize) {
        let user = &mut self.machines[number].user;
        let other = format!("{}z", user.name.as_str());
        if let Ok(name) = other.parse() {
            user.name = name;
        }
    }

    /// Commands that have no answer yet.
    pub(crate) fn unanswered(&self, number: usize) -> usize {
        self.machines[number].user.waiting.len()
    }
}
