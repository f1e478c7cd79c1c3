//! What the disk of somebody in a town keeps.

use std::collections::BTreeMap;

use common::group::{GroupId, SignedStep};
use common::identity::PublicKey;
use common::message::MessageId;

use crate::stored::{FileRow, FileState, Snapshot, State, Tally};

/// What a disk keeps, as far as these tests start again from it.
#[derive(Default)]
pub(super) struct Disk {
    pub snapshot: Snapshot,
    pub next: u64,
    pub known: BTreeMap<(PublicKey, MessageId), u64>,
    pub copies: BTreeMap<u64, BTreeMap<PublicKey, State>>,
}

impl Disk {
    pub fn steps(&self, group: GroupId, after: u64, count: u32) -> Vec<SignedStep> {
        let chains = self.snapshot.groups.iter().filter(|(id, _)| *id == group);
        let steps = chains.flat_map(|(_, steps)| steps.iter().cloned());
        steps.skip(usize::try_from(after).expect("few")).take(usize::try_from(count).expect("few")).collect()
    }
}

pub(super) fn keep_file(disk: &mut Disk, mut row: FileRow, replaces: bool) {
    row.n = disk.known.get(&(row.author, row.offer)).copied().unwrap_or(0);
    let same = |known: &FileRow| (known.author, known.offer, known.other) == (row.author, row.offer, row.other);
    if replaces {
        disk.snapshot.files.retain(|known| !same(known));
    } else if disk.snapshot.files.iter().any(same) {
        return;
    }
    if row.state.is_open() || row.state == FileState::Failed {
        disk.snapshot.files.push(row);
    }
}

pub(super) fn tally(copies: &BTreeMap<PublicKey, State>) -> Tally {
    let mut tally = Tally { total: copies.len() as u64, ..Tally::default() };
    for state in copies.values() {
        match state {
            State::Queued | State::Held => tally.waiting += 1,
            State::Kept => tally.kept += 1,
            State::Delivered | State::Read => tally.delivered += 1,
            State::Expired | State::Refused | State::Cancelled => tally.ended += 1,
        }
    }
    tally
}
