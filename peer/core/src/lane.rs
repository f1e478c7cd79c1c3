//! The two halves of acknowledgement. [`Sent`] is the lane towards somebody: which seqs are given, which are settled,
//! and what a pair state says about them. [`Received`] is the lane from somebody: what is held and what is said of it.
//! Seqs and ids only: no bodies, no routes, no names.

use std::collections::{BTreeMap, BTreeSet};

use common::limits::{LANE_MISSING_RANGES_MAX, LANE_WINDOW};
use common::message::{Envelope, Epoch, Header, Held, MessageId, PairState, digest_of};

/// No lane of an honest sender gets so long.
const SEQ_MAX: u64 = 1 << 60;

/// Why a pair state shows that this store was rolled back (or copied).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// It covers a seq that was never given here.
    UnknownSeq,
    /// It speaks of other messages at the same seqs.
    OtherDigest,
    /// It applied a floor above a message that is unsettled here.
    HigherFloor,
    /// It knows a newer state or epoch of this store than this store itself.
    NewerSelf,
}

#[derive(Debug, Clone)]
struct Row {
    id: MessageId,
    digest: [u8; 8],
}

/// The lane towards one recipient, in the current epoch.
#[derive(Debug, Clone)]
pub struct Sent {
    next_seq: u64,
    rows: BTreeMap<u64, Row>,
    unsettled: BTreeSet<u64>,
}

impl Default for Sent {
    fn default() -> Self {
        Self { next_seq: 1, rows: BTreeMap::new(), unsettled: BTreeSet::new() }
    }
}

impl Sent {
    /// A lane that has given seqs up to `last_seq` and remembers nothing of them.
    #[must_use]
    pub fn after(last_seq: u64) -> Self {
        Self { next_seq: last_seq + 1, ..Self::default() }
    }

    /// Puts back a row that the store still knows by its seq.
    pub fn restore(&mut self, seq: u64, id: MessageId, settled: bool) {
        self.next_seq = self.next_seq.max(seq + 1);
        self.rows.insert(seq, Row { id, digest: digest_of(seq, &id) });
        if !settled {
            self.unsettled.insert(seq);
        }
    }

    /// Gives the next seq to `id`.
    pub fn give(&mut self, id: MessageId) -> u64 {
        let seq = self.next_seq;
        self.restore(seq, id, false);
        seq
    }

    /// The row's settling is committed.
    pub fn settle(&mut self, seq: u64) {
        self.unsettled.remove(&seq);
    }

    /// Lowest seq not settled; the next one when all are.
    #[must_use]
    pub fn floor(&self) -> u64 {
        self.unsettled.first().copied().unwrap_or(self.next_seq)
    }

    /// Highest seq given, 0 when none was.
    #[must_use]
    pub fn last_seq(&self) -> u64 {
        self.next_seq - 1
    }

    /// Whether `seq` may be on its way now.
    #[must_use]
    pub fn in_window(&self, seq: u64) -> bool {
        seq < self.floor().saturating_add(LANE_WINDOW)
    }

    /// What `held`, said of this lane in `epoch` (this store's), proves against this store.
    #[must_use]
    pub fn contradicts(&self, held: &Held) -> Option<Evidence> {
        if held.top >= self.next_seq {
            return Some(Evidence::UnknownSeq);
        }
        if held.floor > self.floor() {
            return Some(Evidence::HigherFloor);
        }
        let remembered_from = self.rows.keys().next().copied().unwrap_or(self.next_seq);
        if held.floor >= remembered_from && held.top >= held.floor && self.digest(held) != held.digest {
            return Some(Evidence::OtherDigest);
        }
        None
    }

    fn digest(&self, held: &Held) -> [u8; 8] {
        let mut digest = [0; 8];
        let mut missing = held.missing.iter().peekable();
        for (seq, row) in self.rows.range(held.floor..=held.top) {
            while missing.peek().is_some_and(|(_, last)| last < seq) {
                missing.next();
            }
            if missing.peek().is_none_or(|(first, _)| seq < first) {
                xor(&mut digest, row.digest);
            }
        }
        digest
    }

    /// The seqs that `held` covers and that are still remembered, settled or not.
    #[must_use]
    pub fn covered(&self, held: &Held) -> Vec<u64> {
        if held.top < held.floor {
            return Vec::new();
        }
        let mut missing = held.missing.iter().peekable();
        let mut covered = Vec::new();
        for seq in self.rows.range(held.floor..=held.top).map(|(seq, _)| *seq) {
            while missing.peek().is_some_and(|(_, last)| *last < seq) {
                missing.next();
            }
            if missing.peek().is_none_or(|(first, _)| seq < *first) {
                covered.push(seq);
            }
        }
        covered
    }

    /// Forgets settled rows below `floor`, which the recipient applied. Returns whether there were any.
    pub fn forget_below(&mut self, floor: u64) -> bool {
        let keep_from = floor.min(self.floor());
        let kept = self.rows.split_off(&keep_from);
        let forgot = !self.rows.is_empty();
        self.rows = kept;
        forgot
    }
}

/// What is to be done with an envelope that arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arriving {
    /// Of the epoch followed: store and acknowledge.
    Store,
    /// Of a newer epoch: follow it from the envelope's floor on, then store and acknowledge.
    Follow,
    /// Of an older epoch: store if its id is new, acknowledge nothing, answer with a pair state.
    StoreUnacknowledged,
    /// Below the floor: withdrawn by its sender. Drop.
    Withdrawn,
    /// Another message is held at its seq. Drop, answer with a pair state.
    Conflict,
    /// Held already. Acknowledge again.
    Double,
    /// Makes no sense, or would need more missing ranges than are kept. Drop.
    Refuse,
}

/// The lane from one sender, as committed.
#[derive(Debug, Clone)]
pub struct Received {
    epoch: Epoch,
    floor: u64,
    held: BTreeMap<u64, Row>,
    seqs: BTreeMap<MessageId, u64>,
    /// Everything from the floor up to here is held.
    water_mark: u64,
    /// XOR over all that is held.
    digest: [u8; 8],
}

impl Received {
    /// A lane followed in `epoch` from `floor` on, holding nothing.
    #[must_use]
    pub fn new(epoch: Epoch, floor: u64) -> Self {
        Self {
            epoch,
            floor,
            held: BTreeMap::new(),
            seqs: BTreeMap::new(),
            water_mark: floor.saturating_sub(1),
            digest: [0; 8],
        }
    }

    /// The epoch followed.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The floor applied.
    #[must_use]
    pub fn floor(&self) -> u64 {
        self.floor
    }

    /// What to do with an envelope, given what is committed here.
    #[must_use]
    pub fn judge(lane: Option<&Self>, envelope: &Envelope) -> Arriving {
        let header = &envelope.header;
        if !is_plausible(header) {
            return Arriving::Refuse;
        }
        let Some(lane) = lane else { return Arriving::Follow };
        if header.epoch != lane.epoch {
            let newer = header.epoch.generation > lane.epoch.generation;
            return if newer { Arriving::Follow } else { Arriving::StoreUnacknowledged };
        }
        if header.seq < lane.floor {
            return Arriving::Withdrawn;
        }
        match lane.held.get(&header.seq) {
            Some(row) if row.id == header.id => Arriving::Double,
            Some(_) => Arriving::Conflict,
            None if lane.would_overflow(header.seq) => Arriving::Refuse,
            None => Arriving::Store,
        }
    }

    fn would_overflow(&self, seq: u64) -> bool {
        // Every held seq opens at most one missing range, so counting them is a cheap upper bound for the usual case.
        self.held.len() >= LANE_MISSING_RANGES_MAX && {
            let ranges = self.missing(u64::MAX).len();
            let adjacent = self.held.contains_key(&(seq - 1)) || seq == self.floor;
            ranges >= LANE_MISSING_RANGES_MAX && !adjacent
        }
    }

    /// What is held below a floor that [`Self::follow`] will raise: nothing is missing before it any more.
    #[must_use]
    pub fn settled_by(&self, epoch: Epoch, floor: u64) -> BTreeSet<MessageId> {
        let below = self.held.iter().take_while(|(seq, _)| **seq < floor && epoch == self.epoch);
        below.map(|(_, row)| row.id).collect()
    }

    /// The sender's epoch and floor, committed here.
    pub fn follow(&mut self, epoch: Epoch, floor: u64) {
        if epoch != self.epoch {
            *self = Self::new(epoch, floor);
        } else {
            self.floor = self.floor.max(floor);
            let kept = self.held.split_off(&self.floor);
            for row in std::mem::replace(&mut self.held, kept).values() {
                xor(&mut self.digest, row.digest);
                self.seqs.remove(&row.id);
            }
            self.water_mark = self.water_mark.max(self.floor.saturating_sub(1));
            self.raise_water_mark();
        }
    }

    fn raise_water_mark(&mut self) {
        while self.held.contains_key(&(self.water_mark + 1)) {
            self.water_mark += 1;
        }
    }

    /// `id` at `seq` is committed here.
    pub fn hold(&mut self, seq: u64, id: MessageId) {
        if seq >= self.floor && !self.held.contains_key(&seq) {
            let digest = digest_of(seq, &id);
            xor(&mut self.digest, digest);
            self.held.insert(seq, Row { id, digest });
            self.seqs.insert(id, seq);
            self.raise_water_mark();
        }
    }

    /// Everything from the floor up to here is held.
    #[must_use]
    pub fn water_mark(&self) -> u64 {
        self.water_mark
    }

    /// Whether anything is held that the sender may not know to be held.
    #[must_use]
    pub fn holds_any(&self) -> bool {
        !self.held.is_empty()
    }

    /// Whether nothing is missing between the floor and `seq`.
    #[must_use]
    pub fn is_whole_below(&self, seq: u64) -> bool {
        seq <= self.water_mark + 1
    }

    /// How many seqs are missing between the floor and `seq`.
    #[must_use]
    pub fn missing_below(&self, seq: u64) -> u64 {
        seq.saturating_sub(self.floor).saturating_sub(self.held.range(self.floor..seq.max(self.floor)).count() as u64)
    }

    /// The seq at which `id` is held.
    #[must_use]
    pub fn seq_of(&self, id: &MessageId) -> Option<u64> {
        self.seqs.get(id).copied()
    }

    fn missing(&self, up_to: u64) -> Vec<(u64, u64)> {
        let mut missing = Vec::new();
        let mut next = self.water_mark + 1;
        for seq in self.held.range(next..).map(|(seq, _)| seq).take_while(|seq| **seq <= up_to) {
            if *seq > next {
                missing.push((next, *seq - 1));
            }
            next = *seq + 1;
        }
        missing
    }

    /// What a pair state says of this lane.
    #[must_use]
    pub fn held(&self) -> Held {
        let mut top = self.held.keys().next_back().copied().unwrap_or(self.floor.saturating_sub(1));
        let mut missing = self.missing(top);
        if missing.len() > LANE_MISSING_RANGES_MAX {
            // More cannot be said in one frame: say less, the rest is said when the floor has risen.
            top = missing[LANE_MISSING_RANGES_MAX].0.saturating_sub(1);
            missing.truncate(LANE_MISSING_RANGES_MAX);
        }
        let mut digest = self.digest;
        for (_, row) in self.held.range(top + 1..) {
            xor(&mut digest, row.digest);
        }
        Held { epoch: self.epoch, floor: self.floor, top, missing, digest }
    }
}

/// What `state` proves against this store beyond its lane: it echoes a newer self.
#[must_use]
pub fn echoes_newer_self(state: &PairState, mine: Epoch, version: u64) -> bool {
    let newer = |epoch: Epoch| {
        epoch.generation > mine.generation || (epoch.generation == mine.generation && epoch.id != mine.id)
    };
    state.applied.is_some_and(|(epoch, echoed)| newer(epoch) || (epoch == mine && echoed > version))
        || state.held.as_ref().is_some_and(|held| newer(held.epoch))
}

/// Whether a header's numbers are such as an honest sender gives: in its window, and far from the end of all numbers.
#[must_use]
pub fn is_plausible(header: &Header) -> bool {
    let in_window = header.floor > 0 && (header.floor..header.floor.saturating_add(LANE_WINDOW)).contains(&header.seq);
    in_window && header.seq <= SEQ_MAX
}

/// Whether a pair state's own numbers make sense; what does not is dropped unread.
#[must_use]
pub fn is_sane(held: &Held) -> bool {
    let mut next = held.floor;
    for (first, last) in &held.missing {
        if *first < next || last < first || *last > held.top {
            return false;
        }
        next = last.saturating_add(1);
    }
    held.floor > 0
        && held.top <= SEQ_MAX
        && held.floor <= SEQ_MAX
        && held.top.saturating_add(1) >= held.floor
        && held.missing.len() <= LANE_MISSING_RANGES_MAX
}

fn xor(digest: &mut [u8; 8], other: [u8; 8]) {
    for (byte, with) in digest.iter_mut().zip(other) {
        *byte ^= with;
    }
}

#[cfg(test)]
mod tests;
