//! What users do with files: they offer some to people and groups, accept, decline and cancel, and write to what they have offered.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;

use common::limits::PIECE_BYTES;
use peer_core::command::{Command, To};
use peer_core::event::{Answer, FileView};
use peer_core::stored::FileState;

use super::world::World;

/// Pieces of the largest file.
const PIECES_MAX: u64 = 6;
/// A file that failed is accepted so often after the storm.
const AGAIN_MAX: u32 = 3;

/// What a user knows of files.
#[derive(Debug, Default)]
pub(crate) struct Filing {
    /// Numbers of commands that offer one.
    asked: BTreeSet<u64>,
    /// Numbers of own offers.
    own: Vec<u64>,
    /// Numbers of others' offers.
    offered: Vec<u64>,
    /// Those that are still to be answered after the storm.
    todo: VecDeque<u64>,
    /// How often each was accepted again.
    again: BTreeMap<u64, u32>,
    paths: Vec<String>,
}

impl Filing {
    /// The program has started.
    pub(super) fn begin(&mut self) {
        self.asked.clear();
    }

    pub(super) fn asks(&mut self, number: u64, command: &Command) {
        if matches!(command, Command::File { .. }) {
            self.asked.insert(number);
        }
    }

    /// An offer of somebody else is on the screen.
    pub(super) fn is_offered(&mut self, n: u64) {
        if !self.offered.contains(&n) {
            self.offered.push(n);
        }
    }
}

impl World {
    /// Something about files.
    pub(crate) fn act_on_files(&mut self, number: usize) {
        let filing = &self.machines[number].user.filing;
        let newest = filing.offered.last().copied();
        let (own, offered) = (filing.own.clone(), filing.offered.clone());
        let (mine, theirs) = (self.dice.pick(&own), self.dice.pick(&offered));
        let theirs = if self.dice.one_in(2) { newest } else { theirs };
        match (self.dice.below(18), mine, theirs) {
            (0..=6, _, Some(n)) => self.accept(number, n),
            (7, _, Some(n)) => drop(self.command(number, Command::Decline(n))),
            (8, Some(n), _) | (9, _, Some(n)) => drop(self.command(number, Command::Cancel(n))),
            (10, ..) => drop(self.command(number, Command::Files)),
            (11, ..) => self.write_to_a_file(number),
            _ => self.offer_a_file(number),
        }
    }

    fn accept(&mut self, number: usize, n: u64) {
        let place = self.dice.one_in(5).then(|| "elsewhere".to_owned());
        self.command(number, Command::Accept { n, place });
    }

    fn some_size(&mut self) -> u64 {
        let pieces = self.dice.below(PIECES_MAX + 1);
        match self.dice.below(4) {
            0 => self.dice.below(60),
            1 => pieces * PIECE_BYTES,
            _ => (pieces * PIECE_BYTES).saturating_sub(self.dice.below(PIECE_BYTES)),
        }
    }

    fn offer_a_file(&mut self, number: usize) {
        let filing = &self.machines[number].user.filing;
        let known = filing.paths.clone();
        let old = self.dice.pick(known.as_slice().iter().map(String::as_str).collect::<Vec<_>>().as_slice());
        let old = old.map(str::to_owned).filter(|_| self.dice.one_in(4));
        let path = match old {
            Some(path) => path,
            None => {
                // Files of several people have one name.
                let path = format!("home{number}/{}/{}.bin", self.trace.events, self.dice.below(3));
                let size = self.some_size();
                let machine = &mut self.machines[number];
                machine.folder.write_own(Path::new(&path), size);
                machine.user.filing.paths.push(path.clone());
                path
            }
        };
        let group = self.machines[number].user.groups.first().cloned().filter(|_| self.dice.one_in(3));
        let to = match group {
            Some(group) => To::Group(group),
            None => {
                let Some(name) = self.somebody(number) else { return };
                To::Person { name, fingerprint: None }
            }
        };
        self.command(number, Command::File { to, path, key: None });
    }

    fn write_to_a_file(&mut self, number: usize) {
        let paths = self.machines[number].user.filing.paths.clone();
        let at = usize::try_from(self.dice.below(paths.len() as u64)).unwrap_or(0);
        let (Some(path), true) = (paths.get(at), self.dice.one_in(2)) else { return };
        let size = self.some_size();
        if let Some(before) = self.machines[number].folder.write_own(Path::new(path), size) {
            self.trace.note(self.now, format_args!("m{number} user writes to {path}"));
            self.model.file_spoilt(before);
        }
    }

    /// After the storm everything is answered, and what failed for want of room is wanted again.
    pub(crate) fn heal_files(&mut self, number: usize) {
        let user = &mut self.machines[number].user;
        if let Some(n) = user.filing.todo.pop_front() {
            if self.dice.one_in(5) {
                self.command(number, Command::Decline(n));
            } else {
                self.accept(number, n);
            }
        } else if self.unanswered(number) == 0 && self.dice.one_in(4) {
            self.command(number, Command::Files);
        }
    }

    /// What the user was answered.
    pub(crate) fn answered_on_files(&mut self, number: usize, command: u64, answer: Option<&Answer>) {
        let healed = self.healed;
        let filing = &mut self.machines[number].user.filing;
        match answer {
            Some(Answer::Sent { n, .. }) if filing.asked.remove(&command) => filing.own.push(*n),
            Some(Answer::Files(files)) if healed => {
                let again = &mut filing.again;
                let mut is_open = |file: &FileView| match file.state {
                    _ if file.mine => false,
                    FileState::Offered => true,
                    FileState::Failed => {
                        let times = again.entry(file.n).or_default();
                        *times += 1;
                        *times <= AGAIN_MAX
                    }
                    _ => false,
                };
                filing.todo = files.iter().filter(|file| is_open(file)).map(|file| file.n).collect();
            }
            _ => {}
        }
    }
}
