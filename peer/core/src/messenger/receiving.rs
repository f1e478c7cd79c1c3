//! The way of others' messages: judged, committed, acknowledged, put in order, shown.

use std::collections::BTreeSet;

use common::body::Body;
use common::identity::PublicKey;
use common::limits::TEXT_MAX_BYTES;
use common::message::{Conversation, Envelope, Epoch, MessageId, PairState};
use common::planted::{self, Bug};
use common::wire::codec;
use common::wire::directory::{Item, Slot, Standing, TakeSlot, Taking, ToDirectory};
use common::wire::peer::Parcel;

use super::pairing::GENERATION_MAX;
use super::{Messenger, Opening, Then};
use crate::event::{Dropped, Event, NotOpened, Output, SealedKind, Ticket};
use crate::inbox::Showing;
use crate::lane::{Arriving, Received, is_plausible};
use crate::stored::{Arrival, Arrived, StoreOp, StoreResult, StoredMessage, Via};
use crate::timers::Timer;

/// Most bytes of a body that is stored, whatever its kind.
const BODY_MAX_BYTES: usize = TEXT_MAX_BYTES + 1024;
/// Messages of one unnamed key kept in memory for the moment the user accepts it; more wait for the next start.
const UNNAMED_MAX: usize = 1_000;
/// Two slots that fail to open are answered by one state within so long, milliseconds: both ends may fail.
const USELESS_PACE_MS: u64 = 10_000;
/// Messages of one sender held back for a missing one; more end the patience.
const HELD_BACK_MAX: usize = 4_000;

impl Messenger {
    /// An envelope from `sender` (proved by TLS or signature). `item`: its number in the mailbox.
    pub(super) fn arrive(&mut self, sender: PublicKey, envelope: Envelope, via: Via, waited: bool, item: Option<u64>) {
        let header = &envelope.header;
        let addressed = header.sender == sender && header.recipient == self.config.me && sender != self.config.me;
        if !addressed || header.epoch.generation > GENERATION_MAX || envelope.body.len() > BODY_MAX_BYTES {
            self.dropped(sender, if addressed { Dropped::EnvelopeAbsurd } else { Dropped::EnvelopeOfOthers });
            self.taken(item, Taking::Stored);
            return;
        }
        if self.is_blocked(&sender) {
            if self.spurn(sender, item) {
                self.taken(item, Taking::Stored);
            }
            return;
        }
        if self.meta.standing == Standing::Busy && via == Via::Direct && !header.urgent {
            // Unacknowledged, it goes to the directory, and comes when the user is back.
            self.way(sender).turned_away = true;
            self.dropped(sender, Dropped::Busy);
            return;
        }
        let stores = |arriving| matches!(arriving, Arriving::Follow | Arriving::Store | Arriving::StoreUnacknowledged);
        if self.room.is_full() && stores(self.judge(&sender, &envelope)) {
            self.park(sender, envelope, via, waited, item);
            return;
        }
        if via == Via::Direct && self.is_too_much(sender, header.conversation, envelope.body.len()) {
            self.dropped(sender, Dropped::TooMuch);
            return;
        }
        self.hear_generation(header.epoch.generation);
        self.inbox.progress(sender, self.now.mono_ms);
        let (epoch, seq, floor) = (header.epoch, header.seq, header.floor);
        let held = match self.judge(&sender, &envelope) {
            Arriving::Follow | Arriving::Store => {
                self.follow_lane(sender, epoch, floor);
                Some((epoch, seq))
            }
            Arriving::StoreUnacknowledged => {
                self.owed.acks.insert(sender);
                None
            }
            Arriving::Double => {
                self.follow_lane(sender, epoch, floor);
                self.owe_ack(sender, via, waited);
                self.taken(item, Taking::Stored);
                return;
            }
            Arriving::Conflict => {
                self.owed.acks.insert(sender);
                self.taken(item, Taking::Stored);
                return;
            }
            Arriving::Withdrawn => {
                // A sender that was rolled back learns from the answer that its seqs were used before.
                self.owed.acks.insert(sender);
                self.taken(item, Taking::Stored);
                return;
            }
            Arriving::Refuse => {
                self.dropped(sender, Dropped::EnvelopeAbsurd);
                self.taken(item, Taking::Stored);
                return;
            }
        };
        self.commit_arrival(sender, envelope, via, waited, held, item);
    }

    fn judge(&self, sender: &PublicKey, envelope: &Envelope) -> Arriving {
        let header = &envelope.header;
        let committed = self.received.get(sender);
        let Some((epoch, floor)) = self.following.get(sender).copied() else {
            return Received::judge(None, envelope);
        };
        if header.epoch != epoch {
            let newer = header.epoch.generation > epoch.generation;
            return match (is_plausible(header), newer) {
                (false, _) => Arriving::Refuse,
                (true, true) => Arriving::Follow,
                (true, false) => Arriving::StoreUnacknowledged,
            };
        }
        if header.seq < floor {
            return Arriving::Withdrawn;
        }
        Received::judge(committed.filter(|lane| lane.epoch() == epoch), envelope)
    }

    fn commit_arrival(
        &mut self,
        sender: PublicKey,
        envelope: Envelope,
        via: Via,
        waited: bool,
        held: Option<(Epoch, u64)>,
        item: Option<u64>,
    ) {
        let header = envelope.header;
        let accepted = self.book.of(&sender).is_some_and(|contact| contact.accepted);
        let pair = header.conversation == Conversation::Pair;
        let meaning = self.meaning_of(&sender, &header, &envelope.body);
        let is_line = Body::is_line(header.kind);
        let message = StoredMessage {
            n: 0,
            id: header.id,
            sender,
            other: sender,
            mine: false,
            conversation: header.conversation,
            kind: header.kind,
            body: if meaning.refused { Vec::new() } else { envelope.body },
            sent_at_ms: header.sent_at_ms,
            received_at_ms: self.now.wall_ms,
            via: Some(via),
            request: !accepted && pair,
            urgent: header.urgent && is_line,
            waited,
            ordered: header.ordered && is_line,
            after: header.after.filter(|_| is_line),
            state: None,
            elapsed_ms: 0,
            quote: None,
            edited: false,
            gone: None,
            reactions: Vec::new(),
            tally: None,
        };
        let arrival = Arrival {
            sender,
            id: message.id,
            after: message.after,
            ordered: message.ordered,
            urgent: message.urgent,
            conversation: message.conversation,
            sent_at_ms: message.sent_at_ms,
            received_at_ms: message.received_at_ms,
            kind: message.kind,
            body: message.body.clone(),
            via,
            waited,
            request: message.request,
            held,
            reply_to: meaning.reply_to,
            amends: meaning.amends,
            vanishes_ms: meaning.vanishes_ms,
        };
        if pair {
            self.talked_with(sender, false);
        }
        if planted::is(Bug::AckBeforeCommit) {
            self.hold(sender, held, message.id);
            self.owe_ack(sender, via, waited);
        }
        self.store_arrival(arrival, message, held, item);
    }

    fn store_arrival(
        &mut self,
        arrival: Arrival,
        message: StoredMessage,
        held: Option<(Epoch, u64)>,
        item: Option<u64>,
    ) {
        if planted::is(Bug::ShownBeforeCommit) {
            self.bring_in(message.clone(), true);
        }
        let file = self.file_arrives(&message);
        self.store(StoreOp::Receive(Box::new(arrival)), Then::Arrived { message: Box::new(message), held, item });
        if let Some(file) = file {
            self.store(file, Then::Nothing);
        }
    }

    /// What comes through the directory although a link stands is a sign that nothing gets through on the link, so
    /// the acknowledgement takes the directory's way as well.
    fn owe_ack(&mut self, sender: PublicKey, via: Via, waited: bool) {
        self.owed.acks.insert(sender);
        if via == Via::Directory && !waited {
            self.owed.slots.insert(sender);
        }
    }

    fn taken(&mut self, item: Option<u64>, how: Taking) {
        if let Some(item) = item {
            self.owed.takes.push((item, how));
        }
    }

    fn not_opened_here(&mut self, item: u64) {
        let how = if planted::is(Bug::AckUnopened) { Taking::Stored } else { Taking::NotOpened };
        self.taken(Some(item), how);
    }

    pub(super) fn on_followed(&mut self, sender: PublicKey, epoch: Epoch, floor: u64) {
        let lane = self.received.entry(sender).or_insert_with(|| Received::new(epoch, floor));
        let settled = lane.settled_by(epoch, floor);
        lane.follow(epoch, floor);
        self.recheck(sender, &settled);
    }

    pub(super) fn on_arrived(
        &mut self,
        mut message: StoredMessage,
        held: Option<(Epoch, u64)>,
        item: Option<u64>,
        result: StoreResult,
    ) {
        let StoreResult::Arrived(arrived) = result else { return };
        let (sender, id) = (message.sender, message.id);
        self.owe_ack(sender, message.via.unwrap_or(Via::Direct), message.waited);
        self.taken(item, Taking::Stored);
        let new = match arrived {
            Arrived::New { n, line, settled, .. } => Some((n, line, settled)),
            Arrived::Double { .. } => None,
            Arrived::Conflict => return,
        };
        let whole = self.hold(sender, held, id);
        if let Some((n, line, settled)) = new {
            message.n = n;
            self.file_arrived(&message);
            if !settled.is_empty() {
                // They are put out with the line they changed.
                self.store(StoreOp::Shown(settled), Then::Nothing);
            }
            match (Body::is_line(message.kind), line) {
                (true, line) => {
                    self.not_read_yet(&message);
                    self.bring_in(line.map_or(message, |line| *line), whole);
                }
                (false, line) if self.book.name_of(&sender).is_some() => self.change_arrived(message, line.as_deref()),
                (false, _) => self.bring_in(message, whole),
            }
        }
        if whole {
            self.recheck(sender, &BTreeSet::new());
        }
    }

    /// A message is held in its sender's lane from now on. Whether the water-mark has risen: then nothing is missing before it.
    fn hold(&mut self, sender: PublicKey, held: Option<(Epoch, u64)>, id: MessageId) -> bool {
        let Some((epoch, seq)) = held else { return false };
        let Some(lane) = self.received.get_mut(&sender).filter(|lane| lane.epoch() == epoch) else { return false };
        let before = lane.water_mark();
        lane.hold(seq, id);
        lane.water_mark() > before
    }

    /// A committed message goes on towards the screen, if its sender has a believed name.
    /// `whole`: nothing of its sender's lane is missing before it.
    pub(super) fn bring_in(&mut self, message: StoredMessage, whole: bool) {
        let sender = message.sender;
        if self.book.name_of(&sender).is_none() {
            let waiting = self.unnamed.entry(sender).or_default();
            if waiting.len() < UNNAMED_MAX {
                waiting.push(message);
            }
            return;
        }
        if !Body::is_line(message.kind) {
            self.look_for_line(message);
            return;
        }
        if let Some(message) = self.heard(message) {
            self.put_in_order(message, whole);
        }
    }

    /// A message that counts in its conversation takes its place there.
    pub(super) fn put_in_order(&mut self, message: StoredMessage, whole: bool) {
        let sender = message.sender;
        let shown = self.inbox.arrive(message, whole);
        self.show(shown);
        if let Some(at_ms) = self.inbox.patience_ends_ms(sender) {
            self.timers.set(Timer::Gap(sender), at_ms);
            if self.inbox.held_back_count(sender) > HELD_BACK_MAX {
                self.timers.set(Timer::Gap(sender), self.now.mono_ms);
                self.show_gap(sender);
            }
        } else {
            self.timers.clear(Timer::Gap(sender));
        }
    }

    pub(super) fn is_whole(&self, sender: &PublicKey, id: &MessageId) -> bool {
        let Some(lane) = self.received.get(sender) else { return false };
        lane.seq_of(id).is_some_and(|seq| lane.is_whole_below(seq))
    }

    /// `settled`: nothing is missing before these, though their seqs are forgotten.
    fn recheck(&mut self, sender: PublicKey, settled: &BTreeSet<MessageId>) {
        if self.inbox.patience_ends_ms(sender).is_none() {
            return;
        }
        let Some(lane) = self.received.get(&sender) else { return };
        let is_whole =
            |id: &MessageId| settled.contains(id) || lane.seq_of(id).is_some_and(|seq| lane.is_whole_below(seq));
        let shown = self.inbox.recheck(sender, is_whole);
        self.show(shown);
        if self.inbox.patience_ends_ms(sender).is_none() {
            self.timers.clear(Timer::Gap(sender));
        }
    }

    pub(super) fn show(&mut self, shown: Vec<Showing>) {
        if !self.config.shows {
            return;
        }
        for Showing { message, late } in shown {
            let view = self.view(&message, late);
            self.lines.tells(&message, &view);
            self.tell(Event::Message(Box::new(view)));
            self.file_told(&message);
        }
    }

    pub(super) fn on_item(&mut self, item: Item) {
        let from = item.submitter;
        self.inbox.progress(from, self.now.mono_ms);
        let Some(key) = self.prekeys.with(item.prekey) else {
            self.dropped(from, Dropped::NotOpened);
            self.prekey_lost(item.prekey);
            self.not_opened_here(item.item);
            return;
        };
        let secret = key.secret.clone();
        let ticket = self.ticket();
        self.errands
            .opening
            .insert(ticket, Opening::Item { item: item.item, from, waited: item.waited, prekey: item.prekey });
        let (kind, counter, sealed) = (SealedKind::Parcel, item.prekey, item.sealed);
        self.out.push_back(Output::Open { ticket, kind, from, counter, secret, sealed });
    }

    pub(super) fn on_slot(&mut self, slot: Slot) {
        let (from, serial) = (slot.from, slot.serial);
        let Some(key) = self.prekeys.with(slot.prekey) else {
            self.dropped(from, Dropped::NotOpened);
            self.prekey_lost(slot.prekey);
            self.slot_useless(from, serial);
            return;
        };
        let secret = key.secret.clone();
        let ticket = self.ticket();
        self.errands.opening.insert(ticket, Opening::Slot { from, serial, prekey: slot.prekey });
        let (kind, counter, sealed) = (SealedKind::State, slot.prekey, slot.sealed);
        self.out.push_back(Output::Open { ticket, kind, from, counter, secret, sealed });
    }

    /// Opening takes its time: the session may be gone by then, and a new one not logged in yet, where this frame would end
    /// it. The slot comes again with the next login.
    fn slot_taken(&mut self, from: PublicKey, serial: u64) {
        if self.session.is_logged_in() {
            self.send_directory(ToDirectory::TakeSlot(TakeSlot { from, serial }));
        }
    }

    /// A slot that cannot be opened is answered with a state of ours, prekey included, so that the next one can be.
    /// Their prekey is looked up before: they may be no better off with ours.
    fn slot_useless(&mut self, from: PublicKey, serial: u64) {
        self.slot_taken(from, serial);
        if self.book.of(&from).is_none() {
            return;
        }
        let now_ms = self.now.mono_ms;
        let way = self.way(from);
        if way.useless_ms.is_none_or(|at| now_ms >= at + USELESS_PACE_MS) {
            way.useless_ms = Some(now_ms);
            way.looked_up = false;
            way.state_after_look_up = true;
            self.refresh(from);
        }
    }

    /// Something is sealed to a prekey that is not here.
    fn prekey_lost(&mut self, counter: u64) {
        if self.prekeys.lost(counter, self.clock.age_ms(), self.now.wall_ms) {
            self.tend_prekeys();
        }
    }

    pub(super) fn on_opened(&mut self, ticket: Ticket, plain: Result<Vec<u8>, NotOpened>) {
        let opening = self.errands.opening.remove(&ticket);
        if let (Err(NotOpened::WrongPrekey), Some(Opening::Item { prekey, .. } | Opening::Slot { prekey, .. })) =
            (&plain, &opening)
        {
            self.prekey_lost(*prekey);
        }
        match opening {
            Some(Opening::Item { item, from, waited, .. }) => self.on_item_opened(item, from, waited, plain),
            Some(Opening::Slot { from, serial, .. }) => self.on_slot_opened(from, serial, plain),
            None => {}
        }
    }

    fn on_item_opened(&mut self, item: u64, from: PublicKey, waited: bool, plain: Result<Vec<u8>, NotOpened>) {
        let plain = match plain {
            Ok(plain) => plain,
            Err(NotOpened::WrongPrekey) => {
                self.dropped(from, Dropped::NotOpened);
                self.not_opened_here(item);
                return;
            }
            Err(NotOpened::Forged) => {
                self.dropped(from, Dropped::Forged);
                self.taken(Some(item), Taking::Stored);
                return;
            }
        };
        let Ok(parcel) = codec::decode::<Parcel>(&plain) else {
            self.dropped(from, Dropped::Forged);
            self.taken(Some(item), Taking::Stored);
            return;
        };
        let named = parcel.binding.as_ref().is_some_and(|binding| self.hear_binding(&from, binding));
        if !named && self.book.of(&from).is_none() {
            // Nobody says who this is. Its sender still holds it and is told nothing.
            self.dropped(from, Dropped::Unnamed);
            self.taken(Some(item), Taking::Stored);
            return;
        }
        self.arrive(from, parcel.envelope, Via::Directory, waited, Some(item));
    }

    fn on_slot_opened(&mut self, from: PublicKey, serial: u64, plain: Result<Vec<u8>, NotOpened>) {
        match plain.map(|plain| codec::decode::<PairState>(&plain)) {
            Ok(Ok(state)) => {
                self.slot_taken(from, serial);
                if self.book.of(&from).is_some() {
                    self.apply(from, state, Via::Directory);
                } else {
                    self.dropped(from, Dropped::Unnamed);
                }
            }
            Ok(Err(_)) | Err(NotOpened::Forged) => {
                self.dropped(from, Dropped::Forged);
                self.slot_taken(from, serial);
            }
            Err(NotOpened::WrongPrekey) => {
                self.dropped(from, Dropped::NotOpened);
                self.slot_useless(from, serial);
            }
        }
    }
}
