//! The way of own messages: which way each takes now, deposits and their fates, states, lifetimes.

use common::body::Body;
use common::identity::PublicKey;
use common::limits::{HOUR_MS, MESSAGE_LIFETIME_MS, UNDELIVERED_WARNING_MS};
use common::message::{Envelope, Header};
use common::planted::{self, Bug};
use common::wire::directory::{Place, Standing};
use common::wire::peer::PeerFrame;

use super::depositing::DEPOSITING_MAX;
use super::{Messenger, StateChange, Then};
use crate::event::{LinkId, Output};
use crate::limits::{DIRECT_TIMEOUT_MS, LINK_FLIGHT_MAX_BYTES, OFFER_AGAIN_MS};
use crate::outbox::{Deposit, Outgoing};
use crate::route::{DepositWhen, Evidence, deposit_when};
use crate::stored::{OutboxRow, Reason, State, StoreOp, StoreResult, Via};
use crate::timers::Timer;

/// What one message needs now, as one look at it shows.
enum Need {
    Nothing,
    Expire,
    Warn,
    Hold(Reason),
    Send,
    Deposit,
}

/// What is the same for all messages to one person in one look.
struct Look {
    now_ms: u64,
    age_ms: u64,
    link: Option<LinkId>,
    deposit: Option<u64>,
    offer_kept: bool,
    may_deposit: bool,
    /// The link takes more.
    room: bool,
    /// They are busy: what is not urgent is kept for them.
    busy: bool,
}

impl Look {
    /// The same for what is not urgent, to somebody who is busy: no direct way, and the directory's at once.
    fn for_the_busy(&self) -> Self {
        Self { link: None, deposit: None, offer_kept: false, ..*self }
    }
}

impl Messenger {
    fn is_busy(&self, key: &PublicKey) -> bool {
        self.ways.get(key).is_some_and(|way| way.standing == Some(Standing::Busy))
    }

    pub(super) fn place_of(&self, row: &OutboxRow) -> Place {
        // Withdrawals after a new epoch name the old places, so the epoch is the one the row was deposited in: this
        // is called before the epoch of the store changes, or for rows of the present one.
        Place { recipient: row.recipient, epoch: self.meta.epoch.id, seq: row.seq }
    }

    pub(super) fn envelope(&self, row: &OutboxRow) -> Envelope {
        let floor = self.sent.get(&row.recipient).map_or(1, crate::lane::Sent::floor);
        let header = Header {
            sender: self.config.me,
            recipient: row.recipient,
            epoch: self.meta.epoch,
            seq: row.seq,
            floor: floor.min(row.seq),
            id: row.id,
            after: row.after,
            ordered: row.ordered,
            urgent: row.urgent,
            conversation: row.conversation,
            sent_at_ms: row.sent_at_ms,
            kind: row.kind,
        };
        Envelope { header, body: row.body.clone() }
    }

    /// The key that the user has put in the place of `key`, over several replacements.
    pub(super) fn successor_of(&self, key: PublicKey) -> Option<PublicKey> {
        let next = |key: &PublicKey| self.successors.get(key).copied().filter(|_| self.book.name_of(key).is_none());
        std::iter::successors(next(&key), next).take(8).last()
    }

    /// The fast way of a message just committed: onto a good link without a look at the whole lane.
    pub(super) fn offer(&mut self, recipient: PublicKey, seq: u64) {
        let evidence = self.evidence(&recipient);
        let good = matches!(deposit_when(evidence), DepositWhen::After(_));
        let in_window = self.sent.get(&recipient).is_some_and(|lane| lane.in_window(seq));
        let urgent = self.outbox.at(&recipient, seq).is_some_and(|message| message.row.urgent);
        let taken = urgent || !self.is_busy(&recipient);
        match self.links.open_to(&recipient).filter(|_| good && in_window && taken && self.may_talk()) {
            Some(link) if !self.book.is_contested(&recipient) => {
                self.send_on(link, recipient, seq);
                self.timers.set_by(Timer::Peer(recipient), self.now.mono_ms + DIRECT_TIMEOUT_MS);
            }
            _ => self.tend(recipient),
        }
    }

    fn send_on(&mut self, link: LinkId, recipient: PublicKey, seq: u64) {
        let now_ms = self.now.mono_ms;
        let Some(bytes) = self.outbox.at(&recipient, seq).map(|message| message.row.body.len()) else { return };
        let way = self.way(recipient);
        way.exchange_ms = Some(now_ms);
        // What is on another link than this one was counted there.
        let on_its_way = way.flight.filter(|(on, _)| *on == link).map_or(0, |(_, bytes)| bytes);
        if on_its_way > 0 && on_its_way + bytes > LINK_FLIGHT_MAX_BYTES {
            way.flight_full = true;
            // A link that stays full must not stop the directory's way.
            if let Some(message) = self.outbox.at(&recipient, seq) {
                message.direct_by_ms.get_or_insert(now_ms + DIRECT_TIMEOUT_MS);
            }
            return;
        }
        way.flight = Some((link, on_its_way + bytes));
        let Some(message) = self.outbox.at(&recipient, seq) else { return };
        message.link = Some(link);
        message.tried_direct = true;
        message.direct_by_ms = Some(now_ms + DIRECT_TIMEOUT_MS);
        let row = message.row.clone();
        let frame = Box::new(PeerFrame::Envelope(self.envelope(&row)));
        self.out.push_back(Output::LinkSend { link, frame });
    }

    pub(super) fn evidence(&self, key: &PublicKey) -> Evidence {
        let way = self.ways.get(key);
        Evidence {
            link: self.links.open_to(key).is_some(),
            not_logged_in: way.is_some_and(|way| way.standing == Some(Standing::Offline)),
            has_address: !self.addresses_of(key).is_empty(),
            failed_ago_ms: way.and_then(|way| way.failed_ms).map(|at| self.now.mono_ms.saturating_sub(at)),
        }
    }

    /// Looks after everything that concerns one person: the link, each message, and when to look again.
    pub(super) fn tend(&mut self, key: PublicKey) {
        self.timers.clear(Timer::Peer(key));
        if !self.may_talk() {
            self.expire_held(key);
            return;
        }
        if self.book.is_contested(&key) {
            self.hold_all(key, Reason::KeyChanged);
            self.expire_held(key);
            return;
        }
        self.dial_if_wanted(key);
        self.note_direct_failure(key);
        let look = self.look(key);
        let needs = self.needs(key, &look);
        for (seq, need) in needs {
            match need {
                Need::Nothing => {}
                Need::Expire => self.set_state(key, seq, State::Expired, None, Some(Reason::Lifetime)),
                Need::Warn => {
                    let state = self.outbox.at(&key, seq).map_or(State::Queued, |message| message.row.state);
                    self.set_state(key, seq, state, None, Some(Reason::Undelivered24h));
                }
                Need::Hold(reason) => self.set_state(key, seq, State::Held, None, Some(reason)),
                Need::Send => {
                    if let Some(link) = look.link {
                        self.send_on(link, key, seq);
                    }
                }
                Need::Deposit => self.deposit(key, seq),
            }
        }
        self.plan_next_look(key);
    }

    /// Time switched off was counted only now, for messages too that were written after it: what they did not live
    /// through is taken back from them. Their own time stamps tell, by the clock that has just been confirmed.
    pub(super) fn age_right(&mut self, counted_ms: u64) {
        if counted_ms == 0 {
            return;
        }
        let (age_ms, wall_ms) = (self.clock.age_ms(), self.now.wall_ms);
        for key in self.outbox.recipients() {
            let mut right = Vec::new();
            for message in self.outbox.lane(&key) {
                let Ok(lived_ms) = u64::try_from(wall_ms.saturating_sub(message.row.sent_at_ms)) else { continue };
                let too_much_ms = age_ms.saturating_sub(message.row.queued_age_ms).saturating_sub(lived_ms);
                if too_much_ms > 0 {
                    message.row.queued_age_ms += too_much_ms.min(counted_ms);
                    right.push((message.row.id, message.row.queued_age_ms));
                }
            }
            for (id, queued_age_ms) in right {
                self.store(StoreOp::Aged { id, queued_age_ms }, Then::Nothing);
            }
        }
    }

    /// What waits for the user's word about a key waits no longer than its own lifetime.
    fn expire_held(&mut self, key: PublicKey) {
        let age_ms = self.clock.age_ms();
        let waiting = self.outbox.lane(&key).filter(|message| message.committed && !message.ending);
        let ages: Vec<(u64, u64)> =
            waiting.map(|message| (message.row.seq, age_ms.saturating_sub(message.row.queued_age_ms))).collect();
        for (seq, age_ms) in ages {
            if age_ms >= MESSAGE_LIFETIME_MS {
                self.set_state(key, seq, State::Expired, None, Some(Reason::Lifetime));
            } else {
                self.timers.set_by(Timer::Peer(key), self.now.mono_ms + (MESSAGE_LIFETIME_MS - age_ms));
            }
        }
    }

    fn dial_if_wanted(&mut self, key: PublicKey) {
        let now_ms = self.now.mono_ms;
        if self.links.open_to(&key).is_some() || self.leaving.is_some() && self.outbox.waiting_for(&key) == 0 {
            return;
        }
        let wanted = self.outbox.waiting_for(&key) > 0 || self.is_kept_warm(key);
        let not_before_ms = self.way(key).redial.not_before_ms();
        if !wanted {
            return;
        }
        if now_ms >= not_before_ms {
            self.dial(key);
        } else {
            self.timers.set_by(Timer::Peer(key), not_before_ms);
        }
    }

    /// A message sent directly and not acknowledged in time is a sign of death.
    fn note_direct_failure(&mut self, key: PublicKey) {
        let now_ms = self.now.mono_ms;
        let late = self.outbox.lane(&key).any(|message| {
            message.deposit == Deposit::None && message.direct_by_ms.is_some_and(|by_ms| by_ms <= now_ms)
        });
        if late {
            self.way(key).failed_ms = Some(now_ms);
        }
    }

    fn look(&mut self, key: PublicKey) -> Look {
        let now_ms = self.now.mono_ms;
        let wait_ms = match deposit_when(self.evidence(&key)) {
            DepositWhen::Now => None,
            DepositWhen::After(wait_ms) => Some(wait_ms),
        };
        let returned_ms = self.ways.get(&key).and_then(|way| way.returned_ms);
        let online = self.ways.get(&key).is_some_and(|way| way.standing == Some(Standing::Online));
        let shunned = planted::is(Bug::PresenceBelieved) && online;
        Look {
            now_ms,
            age_ms: self.clock.age_ms(),
            link: self.links.open_to(&key),
            deposit: wait_ms,
            room: self.ways.get(&key).is_none_or(|way| !way.flight_full),
            busy: self.is_busy(&key),
            offer_kept: returned_ms.is_some_and(|at| now_ms >= at + OFFER_AGAIN_MS),
            may_deposit: self.session.is_online()
                && !shunned
                && self.leaving.as_ref().is_none_or(|leaving| leaving.may_deposit()),
        }
    }

    fn needs(&mut self, key: PublicKey, look: &Look) -> Vec<(u64, Need)> {
        let Some(lane) = self.sent.get(&key) else { return Vec::new() };
        let (floor, mut needs) = (lane.floor(), Vec::new());
        let window_end = floor.saturating_add(common::limits::LANE_WINDOW);
        // Refused for want of room: what follows it must not overtake it.
        let mut refused: Option<(Reason, u64)> = None;
        let mut all_kept = true;
        for message in self.outbox.lane(&key) {
            if message.row.seq >= window_end {
                if !all_kept {
                    break;
                }
                // The window is as wide as the quota: what would be over it is not even offered.
                if message.committed && !message.ending {
                    needs.push((message.row.seq, Need::Hold(Reason::Quota)));
                }
                continue;
            }
            all_kept &= message.row.state == State::Kept;
            refused = refused.or(message.wants_room().filter(|(_, retry_at_ms)| *retry_at_ms > look.now_ms));
            if message.committed && !message.ending {
                if let (Some(wait_ms), None, None) = (look.deposit, message.direct_by_ms, look.link) {
                    message.direct_by_ms = Some(look.now_ms + wait_ms);
                }
                let busy = look.for_the_busy();
                let look = if look.busy && !message.row.urgent { &busy } else { look };
                match (need_of(message, look), refused) {
                    (Need::Nothing, _) => {}
                    (Need::Deposit, Some((reason, retry_at_ms))) if !message.row.urgent => {
                        message.retry_at_ms = retry_at_ms;
                        needs.push((message.row.seq, Need::Hold(reason)));
                    }
                    (Need::Send, None) if look.deposit.is_none() && wants_deposit(message, look) => {
                        // A link that failed lately may be dead: both ways at once.
                        needs.extend([(message.row.seq, Need::Send), (message.row.seq, Need::Deposit)]);
                    }
                    (need, _) => needs.push((message.row.seq, need)),
                }
            }
        }
        needs
    }

    fn plan_next_look(&mut self, key: PublicKey) {
        let (now_ms, age_ms) = (self.now.mono_ms, self.clock.age_ms());
        // Whoever is busy takes what is kept when they are back, and a full link looks after the rest when it is free.
        let linked = self.links.open_to(&key).is_some() && self.ways.get(&key).is_none_or(|way| !way.flight_full);
        let busy = self.is_busy(&key);
        let returned_ms = self.ways.get(&key).and_then(|way| way.returned_ms);
        let online = self.session.is_online();
        // While no deposit has room, the answer to one of those that are out looks after the rest.
        let full = self.errands.depositing >= DEPOSITING_MAX;
        let mut next: Option<u64> = None;
        let mut by = |at_ms: u64| next = Some(next.map_or(at_ms, |next| next.min(at_ms)));
        for message in self.outbox.lane(&key).filter(|message| message.committed && !message.ending) {
            let age = age_ms.saturating_sub(message.row.queued_age_ms);
            by(now_ms + MESSAGE_LIFETIME_MS.saturating_sub(age));
            if message.row.reason.is_none() && age < UNDELIVERED_WARNING_MS {
                by(now_ms + (UNDELIVERED_WARNING_MS - age));
            }
            if message.deposit == Deposit::None && online && !full {
                by(message.retry_at_ms.max(message.direct_by_ms.unwrap_or(now_ms + HOUR_MS)));
            }
            if message.deposit == Deposit::Kept && linked && message.link.is_none() && (!busy || message.row.urgent) {
                by(returned_ms.unwrap_or(now_ms) + OFFER_AGAIN_MS);
            }
            if let Some(at_ms) = message.check_at_ms.filter(|_| online && message.deposit == Deposit::Kept) {
                by(at_ms);
            }
        }
        if let Some(at_ms) = next {
            self.timers.set_by(Timer::Peer(key), at_ms.max(now_ms + 1));
        }
        if online {
            self.check_kept(key);
        }
    }

    /// Everything that waits for `key` waits for a condition now.
    pub(super) fn hold_all(&mut self, key: PublicKey, reason: Reason) {
        let seqs: Vec<u64> = self.outbox.lane(&key).filter(|m| m.committed && !m.ending).map(|m| m.row.seq).collect();
        for seq in seqs {
            self.set_state(key, seq, State::Held, None, Some(reason));
        }
    }

    /// Decides a state. It is told after the commit, once.
    pub(super) fn set_state(
        &mut self,
        key: PublicKey,
        seq: u64,
        state: State,
        via: Option<Via>,
        reason: Option<Reason>,
    ) {
        let (age_ms, at_ms) = (self.clock.age_ms(), self.now.wall_ms);
        let Some(message) = self.outbox.at(&key, seq) else { return };
        if message.ending || !message.committed || (message.row.state == state && message.row.reason == reason) {
            return;
        }
        message.ending = state.is_settled();
        message.row.state = state;
        message.row.reason = reason;
        let (n, elapsed_ms) = (message.row.n, age_ms.saturating_sub(message.row.queued_age_ms));
        self.store(
            StoreOp::State { n, recipient: key, state, via, reason, at_ms, elapsed_ms },
            Then::State(StateChange { n, recipient: key, state, via, reason, elapsed_ms }),
        );
    }

    pub(super) fn on_state_committed(&mut self, change: &StateChange, result: &StoreResult) {
        let StateChange { n, recipient, state, via, .. } = *change;
        let Some((key, seq)) = self.outbox.place_to(n, &recipient) else { return };
        let Some(row) = self.outbox.at(&key, seq).map(|message| message.row.clone()) else { return };
        if state == State::Cancelled
            && let Some(command) = self.cancels.remove(&n)
        {
            self.reply(command, Ok(Box::new(crate::event::Answer::Cancelled { n })));
        }
        self.tell_change(&row, change, result);
        if state == State::Delivered {
            self.may_count_down(row.kind);
        }
        if !state.is_settled() {
            if planted::is(Bug::FloorPastUnsettled) && state == State::Kept {
                self.sent.entry(key).or_default().settle(seq);
            }
            return;
        }
        let Some(message) = self.outbox.remove(&key, seq) else { return };
        if message.row.kind == Body::FILE {
            self.offer_settled(key, message.row.id, state);
        }
        if message.deposit == Deposit::Sent || (message.deposit == Deposit::Kept && via != Some(Via::Directory)) {
            self.owed.withdrawals.push(self.place_of(&message.row));
        }
        let mut more_waits = false;
        if let Some(link) = message.link {
            let way = self.way(key);
            if let Some((_, bytes)) = way.flight.as_mut().filter(|(on, _)| *on == link) {
                *bytes = bytes.saturating_sub(message.row.body.len());
            }
            more_waits = std::mem::take(&mut way.flight_full);
        }
        if let Some(lane) = self.sent.get_mut(&key) {
            more_waits |= !lane.in_window(lane.last_seq());
            lane.settle(seq);
        }
        if matches!(state, State::Expired | State::Cancelled) {
            self.ended.insert((key, seq), message.row);
            // The hole it leaves must not hold up what follows it at the recipient.
            self.owed.acks.insert(key);
        } else if self.floor_passed_holes(key) {
            self.owed.acks.insert(key);
        }
        if more_waits {
            self.timers.set_by(Timer::Peer(key), self.now.mono_ms + 2);
        }
    }

    /// Whether the lane's floor lies above messages that were given up and that the recipient may still wait for.
    fn floor_passed_holes(&self, key: PublicKey) -> bool {
        let floor = self.sent.get(&key).map_or(1, crate::lane::Sent::floor);
        self.ended.range((key, 0)..(key, floor)).next().is_some()
    }
}

fn need_of(message: &Outgoing, look: &Look) -> Need {
    let age_ms = look.age_ms.saturating_sub(message.row.queued_age_ms);
    if age_ms >= MESSAGE_LIFETIME_MS {
        return Need::Expire;
    }
    if age_ms >= UNDELIVERED_WARNING_MS && message.row.reason.is_none() {
        return Need::Warn;
    }
    let room = look.room && look.link.is_some();
    if room && message.link != look.link && (message.deposit != Deposit::Kept || look.offer_kept) {
        return Need::Send;
    }
    if wants_deposit(message, look) { Need::Deposit } else { Need::Nothing }
}

fn wants_deposit(message: &Outgoing, look: &Look) -> bool {
    let waited = match look.deposit {
        None => true,
        Some(_) => message.direct_by_ms.is_some_and(|by_ms| by_ms <= look.now_ms),
    };
    look.may_deposit && message.deposit == Deposit::None && waited && message.retry_at_ms <= look.now_ms
}
