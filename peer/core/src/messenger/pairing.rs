//! Acknowledgement and epochs: making pair states, applying those of others, noticing that this store was rolled back,
//! and beginning a new epoch before talking on.

use common::identity::PublicKey;
use common::message::{Epoch, EpochId, PairState};
use common::planted::{self, Bug};
use common::wire::codec;
use common::wire::directory::{PutSlot, ToDirectory};
use common::wire::peer::{CloseReason, PeerFrame};

use super::people::LookUp;
use super::{Messenger, Sealing, Then};
use crate::event::{Dropped, Output, SealedKind};
use crate::lane::{Sent, echoes_newer_self, is_sane};
use crate::outbox::Deposit;
use crate::stored::{Move, Reason, State, StoreOp, Via};
use crate::timers::Timer;

/// No honest peer counts so many epochs; higher ones are lies that would use the numbers up.
pub(super) const GENERATION_MAX: u64 = 1 << 48;
/// No honest peer or directory has heard of an epoch so far ahead of what this store has; a liar who is believed so
/// far at a time needs longer than a lifetime to use the numbers up.
const GENERATION_LEAP: u64 = 1 << 20;
/// A step by more than this is a leap, and one leap is believed in so many milliseconds.
const GENERATION_STEP: u64 = 1_000;
const LEAP_PACE_MS: u64 = 60_000;
/// Evidence begins at most one new epoch in so many milliseconds, lest a liar keeps this store busy with them.
const EPOCH_PACE_MS: u64 = 10_000;
/// Pair states being sealed for slots at once.
const SLOTS_SEALING_MAX: usize = 32;
/// A pair state handed to the directory so long before it was last heard is on its disk, milliseconds.
const SLOT_DOUBT_MS: u64 = 2 * 60_000;
/// Acknowledgements repeated after a start, or after a lost session; the rest is repeated when a sender asks or writes.
const ACKS_REPEATED_MAX: usize = 512;

/// The way from evidence of a roll-back to a new epoch.
#[derive(Debug, Default)]
pub(super) struct Epochs {
    /// A new epoch above this generation is to begin as soon as nothing is being committed.
    pub wanted: Option<u64>,
    /// It is being committed.
    pub changing: bool,
    /// When one began last.
    pub last_ms: Option<u64>,
    /// A generation heard of by evidence that came too soon.
    pub later: Option<u64>,
    /// When a generation far ahead was believed last.
    pub leap_ms: Option<u64>,
}

impl Messenger {
    pub(super) fn pair_state(&mut self, to: PublicKey, with_prekey: bool) -> PairState {
        self.version += 1;
        if self.version + 1_000 > self.meta.version_reserve {
            self.meta.version_reserve = self.version + crate::limits::VERSION_RESERVE;
            self.meta_changed = true;
        }
        let prekey = if with_prekey { self.prekeys.current().map(|key| key.record.clone()) } else { None };
        PairState {
            from: self.config.me,
            to,
            epoch: self.meta.epoch,
            version: self.version,
            floor: self.sent.get(&to).map_or(1, Sent::floor),
            applied: self.ways.get(&to).and_then(|way| way.applied),
            held: self.received.get(&to).map(|lane| lane.held()),
            read: self.read_mark(&to),
            blocked: self.is_blocked_for_good(&to),
            prekey,
        }
    }

    /// Pays the acknowledgements of this turn: on the link if there is one, through the directory otherwise.
    pub(super) fn send_acks(&mut self) {
        if !self.may_talk() {
            return;
        }
        for key in std::mem::take(&mut self.owed.acks) {
            if let Some(link) = self.links.open_to(&key) {
                let state = self.pair_state(key, false);
                self.out.push_back(Output::LinkSend { link, frame: Box::new(PeerFrame::State(state)) });
            } else {
                self.owed.slots.insert(key);
            }
        }
        self.fill_slots();
    }

    /// What an earlier run stored may not have been acknowledged before it ended: after the first login of this run the
    /// senders are told again.
    pub(super) fn repeat_acks(&mut self) {
        if !std::mem::replace(&mut self.owed.repeated, true) {
            let unsure = self.received.iter().filter(|(_, lane)| lane.holds_any()).map(|(key, _)| *key);
            let unsure: Vec<PublicKey> = unsure.take(ACKS_REPEATED_MAX).collect();
            self.owed.slots.extend(unsure);
        }
    }

    fn fill_slots(&mut self) {
        if !self.session.is_online() {
            return;
        }
        let ready: Vec<PublicKey> =
            self.owed.slots.iter().filter(|key| !self.owed.slots_sealing.contains(*key)).copied().collect();
        for key in ready {
            if self.owed.slots_sealing.len() >= SLOTS_SEALING_MAX {
                break;
            }
            let Some(prekey) = self.book.of(&key).and_then(|contact| contact.prekey.as_ref()) else {
                self.refresh(key);
                continue;
            };
            let Ok(prekey) = prekey.verify(&key) else {
                self.owed.slots.remove(&key);
                continue;
            };
            self.owed.slots.remove(&key);
            self.owed.slots_sealing.insert(key);
            let plain = codec::encode(&self.pair_state(key, true));
            let ticket = self.ticket();
            self.errands.sealing.insert(ticket, Sealing::State { to: key, prekey: prekey.counter });
            let kind = SealedKind::State;
            self.out.push_back(Output::Seal { ticket, kind, to: key, prekey: Box::new(prekey), plain });
        }
    }

    /// Whether acknowledgements still have to go through the directory, and can.
    pub(super) fn owes_slots(&self) -> bool {
        let asked =
            |key: &PublicKey| self.errands.lookups.values().any(|why| matches!(why, LookUp::Refresh(of) if of == key));
        let can_go = |key: &PublicKey| self.book.of(key).is_some_and(|contact| contact.prekey.is_some()) || asked(key);
        let busy = !self.owed.slots_sealing.is_empty() || !self.errands.opening.is_empty();
        self.session.is_online() && (busy || self.owed.slots.iter().any(can_go))
    }

    pub(super) fn on_state_sealed(&mut self, to: PublicKey, prekey: u64, sealed: Option<Vec<u8>>) {
        self.owed.slots_sealing.remove(&to);
        let Some(sealed) = sealed else { return };
        if self.session.is_online() {
            self.send_directory(ToDirectory::PutSlot(PutSlot { recipient: to, prekey, sealed }));
            self.owed.slots_put.insert(to, self.now.mono_ms);
            if self.owed.slots_put.len() > ACKS_REPEATED_MAX
                && let Some((oldest, _)) = self.owed.slots_put.iter().min_by_key(|(_, at_ms)| **at_ms)
            {
                let oldest = *oldest;
                self.owed.slots_put.remove(&oldest);
            }
        } else {
            self.owed.slots.insert(to);
        }
    }

    /// The session is lost, and with it what the directory had not written yet. The takings that went before a pair state may
    /// have got through without it: the mail would not come again, and its sender would hear nothing for hours.
    pub(super) fn doubt_slots(&mut self) {
        let since_ms = self.session.heard_ms().saturating_sub(SLOT_DOUBT_MS);
        let put = std::mem::take(&mut self.owed.slots_put);
        self.owed.slots.extend(put.into_iter().filter(|(_, at_ms)| *at_ms >= since_ms).map(|(key, _)| key));
    }

    /// Applies what somebody says of our two lanes; `via` is the way it came.
    pub(super) fn apply(&mut self, key: PublicKey, state: PairState, via: Via) {
        let addressed = state.from == key && state.to == self.config.me;
        let sane = state.held.as_ref().is_none_or(is_sane);
        if !addressed || !sane || state.epoch.generation > GENERATION_MAX || state.floor == 0 {
            self.dropped(key, if addressed { Dropped::StateAbsurd } else { Dropped::StateOfOthers });
            return;
        }
        self.hear_generation(state.epoch.generation);
        if let Some(record) = &state.prekey
            && self.learn_prekey(key, record)
            && self.received.contains_key(&key)
            && self.links.open_to(&key).is_none()
        {
            self.owed.slots.insert(key);
        }
        let newest = self.ways.get(&key).and_then(|way| way.applied);
        let at = (state.epoch.generation, state.version);
        if newest.is_some_and(|(epoch, version)| (epoch.generation, version) >= at) {
            self.dropped(key, Dropped::StateOld);
            if newest != Some((state.epoch, state.version)) {
                self.correct(key);
            }
            return;
        }
        if echoes_newer_self(&state, self.meta.epoch, self.version) || self.lane_contradicted(key, &state) {
            self.accused(key, &state);
            return;
        }
        self.way(key).applied = Some((state.epoch, state.version));
        self.follow_lane(key, state.epoch, state.floor);
        self.way(key).blocks_me = state.blocked;
        let mine = self.meta.epoch;
        if let Some(held) = state.held.filter(|held| held.epoch == mine) {
            self.settle_covered(key, &held, via);
        }
        // After what they hold: that was delivered before they blocked.
        if state.blocked {
            self.end_all(key, State::Refused, Reason::Blocked);
        }
        if let Some(up_to) = state.read {
            self.read_by(key, up_to);
        }
    }

    fn lane_contradicted(&self, key: PublicKey, state: &PairState) -> bool {
        let Some(held) = state.held.as_ref().filter(|held| held.epoch == self.meta.epoch) else { return false };
        let fresh = Sent::default();
        self.sent.get(&key).unwrap_or(&fresh).contradicts(held).is_some()
    }

    /// Somebody's state is evidence that this store was rolled back. The same accuser is heard ever more seldom, and who
    /// was never accepted more seldom still: every new epoch makes all others do something.
    fn accused(&mut self, key: PublicKey, state: &PairState) {
        let known = self.book.of(&key).is_some_and(|contact| contact.accepted);
        let now_ms = self.now.mono_ms;
        let way = self.way(key);
        if now_ms < way.accuse_again_ms {
            return;
        }
        let first_ms = if known { EPOCH_PACE_MS } else { 60 * EPOCH_PACE_MS };
        way.accuse_again_ms = now_ms + (first_ms << way.accusations.min(9));
        way.accusations += 1;
        self.rolled_back(state);
    }

    fn rolled_back(&mut self, state: &PairState) {
        let echoed = state.applied.map_or(0, |(epoch, _)| epoch.generation);
        let held = state.held.as_ref().map_or(0, |held| held.epoch.generation);
        let generation = echoed.max(held);
        if !self.want_epoch(generation)
            && let Some(last_ms) = self.epochs.last_ms
        {
            // Nobody may say it again, so it is not forgotten while it comes too soon.
            self.epochs.later = self.epochs.later.max(Some(generation));
            self.timers.set_by(Timer::Epoch, last_ms + EPOCH_PACE_MS);
        }
    }

    /// Evidence that came too soon is taken up, unless the epoch begun meanwhile has answered it.
    pub(super) fn epoch_due(&mut self) {
        if let Some(generation) = self.epochs.later.take().filter(|later| *later >= self.meta.epoch.generation) {
            self.want_epoch(generation);
        }
    }

    /// A state older than one applied: overtaken on its way, or from a store that was rolled back and has to be told.
    fn correct(&mut self, key: PublicKey) {
        let now_ms = self.now.mono_ms;
        let way = self.way(key);
        if way.corrected_ms.is_none_or(|at| now_ms >= at + EPOCH_PACE_MS) {
            way.corrected_ms = Some(now_ms);
            self.owed.acks.insert(key);
        }
    }

    fn settle_covered(&mut self, key: PublicKey, held: &common::message::Held, via: Via) {
        let Some(lane) = self.sent.get(&key) else { return };
        let covered = lane.covered(held);
        if !covered.is_empty() {
            self.room_again(key);
        }
        for seq in covered {
            if let Some(message) = self.outbox.at(&key, seq) {
                // What was kept and never sent on a link went through the directory, whichever way the word came.
                let kept = message.deposit == Deposit::Kept && !message.tried_direct;
                let via = if kept { Via::Directory } else { via };
                if !message.ending {
                    self.lines.delivered(&message.row);
                }
                self.set_state(key, seq, State::Delivered, Some(via), None);
            } else if let Some(row) = self.ended.remove(&(key, seq)) {
                // It was given up here and arrived all the same: that is the truth now.
                let elapsed_ms = self.clock.age_ms().saturating_sub(row.queued_age_ms);
                let op = StoreOp::State {
                    n: row.n,
                    recipient: key,
                    state: State::Delivered,
                    via: Some(via),
                    reason: None,
                    at_ms: self.now.wall_ms,
                    elapsed_ms,
                };
                self.lines.delivered(&row);
                self.store(op, Then::Ended { row: Box::new(row), elapsed_ms });
            }
        }
        let Some(lane) = self.sent.get_mut(&key) else { return };
        if lane.forget_below(held.floor) {
            self.ended.retain(|(recipient, seq), _| *recipient != key || *seq >= held.floor);
            self.store(StoreOp::Forget { recipient: key, below: held.floor }, Then::Nothing);
        }
    }

    /// What `key` has taken left room at the directory: what waited for it is tried again at once.
    fn room_again(&mut self, key: PublicKey) {
        // The first one finds out whether there is room; what follows it waits for its answer.
        let first = self.outbox.lane(&key).find(|message| message.wants_room().is_some());
        let waited = first.map(|message| message.retry_at_ms = 0).is_some();
        if waited {
            self.timers.set_by(Timer::Peer(key), self.now.mono_ms + 2);
        }
    }

    /// A sender's epoch or floor has risen.
    pub(super) fn follow_lane(&mut self, sender: PublicKey, epoch: Epoch, floor: u64) {
        let known = self.following.get(&sender).copied();
        let rises = match known {
            None => true,
            Some((known, applied)) => epoch.generation > known.generation || (epoch == known && floor > applied),
        };
        if rises {
            self.following.insert(sender, (epoch, floor));
            self.store(StoreOp::Follow { sender, epoch, floor }, Then::Followed { sender, epoch, floor });
        }
    }

    pub(super) fn hear_generation(&mut self, generation: u64) {
        if generation > self.meta.highest_generation && self.is_credible(generation) {
            if generation > self.meta.highest_generation + GENERATION_STEP {
                // Honest ones come this far ahead once, when two meet that have not met for long.
                if self.epochs.leap_ms.is_some_and(|at| self.now.mono_ms < at + LEAP_PACE_MS) {
                    return;
                }
                self.epochs.leap_ms = Some(self.now.mono_ms);
            }
            self.meta.highest_generation = generation;
            self.meta_changed = true;
        }
    }

    fn is_credible(&self, generation: u64) -> bool {
        generation <= self.meta.highest_generation.saturating_add(GENERATION_LEAP) && generation < GENERATION_MAX
    }

    /// This store was rolled back or copied: a new epoch above `generation` first, then talk. False when the evidence
    /// is not believed, or comes faster than anything but a liar makes it.
    pub(super) fn want_epoch(&mut self, generation: u64) -> bool {
        let recently = self.epochs.last_ms.is_some_and(|at| self.now.mono_ms < at + EPOCH_PACE_MS);
        if recently || self.epochs.changing || self.epochs.wanted.is_some() || !self.is_credible(generation) {
            return false;
        }
        self.hear_generation(generation);
        self.epochs.wanted = Some(generation);
        for link in self.links.all() {
            self.close_link(link, CloseReason::Leaving);
        }
        true
    }

    /// Begins the wanted epoch once nothing is being committed, so that every row has its number and place.
    pub(super) fn change_epoch_if_quiet(&mut self) {
        let Some(at_least) = self.epochs.wanted else { return };
        if !self.commits.is_empty() || !self.ops.is_empty() {
            return;
        }
        self.epochs.wanted = None;
        self.epochs.changing = true;
        self.epochs.last_ms = Some(self.now.mono_ms);
        let generation = at_least.max(self.meta.highest_generation).max(self.meta.epoch.generation) + 1;
        let new = Epoch { generation, id: EpochId(self.random()) };
        let epoch = if planted::is(Bug::SeqReused) { self.meta.epoch } else { new };
        // The places to be withdrawn are named by the old epoch, so the rows move before it changes.
        let moves = self.renumber();
        self.hear_generation(generation);
        self.meta.epoch = epoch;
        self.meta_changed = true;
        self.ended.clear();
        self.store(StoreOp::NewEpoch { epoch, moves }, Then::Epoch);
    }

    fn renumber(&mut self) -> Vec<Move> {
        self.sent.clear();
        let mut moves = Vec::new();
        for recipient in self.outbox.recipients() {
            let seqs: Vec<u64> = self.outbox.lane(&recipient).map(|message| message.row.seq).collect();
            let messages: Vec<_> = seqs.iter().filter_map(|seq| self.outbox.remove(&recipient, *seq)).collect();
            for mut message in messages {
                let seq = self.sent.entry(recipient).or_default().give(message.row.id);
                if message.deposit != Deposit::None {
                    self.owed.withdrawals.push(self.place_of(&message.row));
                }
                message.row.seq = seq;
                message.link = None;
                message.deposit = Deposit::None;
                let row = &message.row;
                moves.push(Move { n: row.n, from: recipient, to: recipient, seq, after: row.after });
                self.outbox.put(message);
            }
        }
        self.errands.depositing = 0;
        self.errands.sealing.clear();
        self.owed.slots_sealing.clear();
        moves
    }

    pub(super) fn on_epoch_committed(&mut self) {
        self.epochs.changing = false;
        // Others may hold a prekey of this store that it has forgotten, or will make one of the same counter.
        self.prekeys.renew();
        self.tend_prekeys();
        self.greet_directory_again();
        for key in self.outbox.recipients() {
            self.tend(key);
        }
        let known: Vec<PublicKey> = self.received.keys().copied().collect();
        self.owed.slots.extend(known);
        for source in self.answers.sources() {
            self.start_commands(source);
        }
    }

    /// Messages for `key` that the recipient's word or the user ends.
    pub(super) fn end_all(&mut self, key: PublicKey, state: State, reason: Reason) {
        let seqs: Vec<u64> = self.outbox.lane(&key).filter(|m| m.committed).map(|m| m.row.seq).collect();
        for seq in seqs {
            self.set_state(key, seq, state, None, Some(reason));
        }
        self.timers.clear(Timer::Peer(key));
    }
}
