//! Own messages on their way: what each unsettled one is doing now. Which way to take is decided elsewhere; here stands
//! what was tried, and the limits of what may wait.

use std::collections::BTreeMap;

use common::identity::PublicKey;
use common::limits::HOUR_MS;

use crate::event::LinkId;
use crate::limits::{OUTBOX_MAX, OUTBOX_MAX_BYTES};
use crate::stored::{OutboxRow, Reason};

/// How far a message's deposit at the directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deposit {
    /// Nothing was handed in, or it is not there any more.
    None,
    /// Being sealed.
    Sealing,
    /// Handed in, not answered.
    Sent,
    /// Kept on the directory's disk.
    Kept,
}

/// One unsettled message.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The row, as last decided.
    pub row: OutboxRow,
    /// The commit that queued it is done; only then may it leave.
    pub committed: bool,
    /// An end was decided and is being committed.
    pub ending: bool,
    /// Sent on this link.
    pub link: Option<LinkId>,
    /// Sent on some link of this run.
    pub tried_direct: bool,
    /// Nothing acknowledged by then (monotonic): the direct attempt has failed.
    pub direct_by_ms: Option<u64>,
    /// The deposit.
    pub deposit: Deposit,
    /// The deposit was refused: not again before (monotonic).
    pub retry_at_ms: u64,
    /// How often it was refused in a row.
    pub refusals: u32,
    /// It was refused for what it is, not for want of room: what follows it may fare better.
    pub refused_alone: bool,
    /// How often the recipient could not open it.
    pub unopened: u32,
    /// When to ask the directory what became of it (monotonic).
    pub check_at_ms: Option<u64>,
    /// How often it was asked.
    pub checks: u32,
}

impl Outgoing {
    /// A row as loaded or as just decided.
    #[must_use]
    pub fn new(row: OutboxRow, committed: bool) -> Self {
        Self {
            row,
            committed,
            ending: false,
            link: None,
            tried_direct: false,
            direct_by_ms: None,
            deposit: Deposit::None,
            retry_at_ms: 0,
            refusals: 0,
            refused_alone: false,
            unopened: 0,
            check_at_ms: None,
            checks: 0,
        }
    }

    /// When to ask about a kept message next: after 1 h, 6 h, 24 h, then daily.
    pub fn plan_check(&mut self, now_ms: u64) {
        let hours = [1, 5, 18, 24][(self.checks as usize).min(3)];
        self.checks += 1;
        self.check_at_ms = Some(now_ms + hours * HOUR_MS);
    }

    /// Refused because the directory had no room or no time, so that what follows would fare no better: why, and when
    /// it is tried again (monotonic).
    #[must_use]
    pub fn wants_room(&self) -> Option<(Reason, u64)> {
        let no_room = |reason: &Reason| {
            matches!(
                reason,
                Reason::MailboxFull
                    | Reason::Quota
                    | Reason::StrangersFull
                    | Reason::DiskFull
                    | Reason::RateLimited
                    | Reason::DirectoryStore
            )
        };
        let reason =
            self.row.reason.filter(|reason| self.deposit == Deposit::None && !self.ending && no_room(reason))?;
        if self.refused_alone {
            return None;
        }
        Some((reason, self.retry_at_ms))
    }

    /// The deposit was refused: the next try comes later each time, at most after ten minutes.
    pub fn refused(&mut self, now_ms: u64) {
        self.deposit = Deposit::None;
        let delay_ms = (5_000_u64 << self.refusals.min(7)).min(600_000);
        self.refusals += 1;
        self.retry_at_ms = now_ms + delay_ms;
    }
}

/// The outbox is full; says which limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// Too many messages.
    #[error("{OUTBOX_MAX} messages are waiting already; wait until some are delivered, or cancel some")]
    Messages,
    /// Too many bytes.
    #[error("{} MiB of messages are waiting already; wait until some are delivered", OUTBOX_MAX_BYTES / 1024 / 1024)]
    Bytes,
}

/// All unsettled messages, by recipient and seq.
#[derive(Debug, Default)]
pub struct Outbox {
    lanes: BTreeMap<PublicKey, BTreeMap<u64, Outgoing>>,
    /// A message to a group has one for each copy.
    places: BTreeMap<(u64, PublicKey), u64>,
    count: usize,
    bytes: usize,
}

impl Outbox {
    /// Whether so many messages of `bytes` together fit.
    ///
    /// # Errors
    /// [`Full`] with the limit that is reached.
    pub fn room_for(&self, messages: usize, bytes: usize) -> Result<(), Full> {
        if self.count + messages > OUTBOX_MAX {
            return Err(Full::Messages);
        }
        if self.bytes + bytes > OUTBOX_MAX_BYTES {
            return Err(Full::Bytes);
        }
        Ok(())
    }

    /// Takes a message in.
    pub fn put(&mut self, message: Outgoing) {
        self.count += 1;
        self.bytes += message.row.body.len();
        let (recipient, seq) = (message.row.recipient, message.row.seq);
        if message.row.n != 0 {
            self.places.insert((message.row.n, recipient), seq);
        }
        self.lanes.entry(recipient).or_default().insert(seq, message);
    }

    /// The store gave it a number: it is committed.
    pub fn number(&mut self, recipient: &PublicKey, seq: u64, n: u64) -> Option<&mut Outgoing> {
        self.places.insert((n, *recipient), seq);
        let message = self.lanes.get_mut(recipient)?.get_mut(&seq)?;
        message.row.n = n;
        message.committed = true;
        Some(message)
    }

    /// Lets a message go.
    pub fn remove(&mut self, recipient: &PublicKey, seq: u64) -> Option<Outgoing> {
        let lane = self.lanes.get_mut(recipient)?;
        let message = lane.remove(&seq)?;
        if lane.is_empty() {
            self.lanes.remove(recipient);
        }
        self.count -= 1;
        self.bytes -= message.row.body.len();
        self.places.remove(&(message.row.n, *recipient));
        Some(message)
    }

    /// The message at a place.
    pub fn at(&mut self, recipient: &PublicKey, seq: u64) -> Option<&mut Outgoing> {
        self.lanes.get_mut(recipient)?.get_mut(&seq)
    }

    /// The places of a number: one for each copy that is on its way.
    #[must_use]
    pub fn places(&self, n: u64) -> Vec<(PublicKey, u64)> {
        let copies = self.places.range((n, PublicKey([0; 32]))..=(n, PublicKey([0xff; 32])));
        copies.map(|((_, recipient), seq)| (*recipient, *seq)).collect()
    }

    /// The place of a number on its way to `recipient`, or to the key that has taken their place.
    #[must_use]
    pub fn place_to(&self, n: u64, recipient: &PublicKey) -> Option<(PublicKey, u64)> {
        if let Some(seq) = self.places.get(&(n, *recipient)) {
            return Some((*recipient, *seq));
        }
        match self.places(n).as_slice() {
            [only] => Some(*only),
            _ => None,
        }
    }

    /// One lane's messages in order of seq.
    pub fn lane(&mut self, recipient: &PublicKey) -> impl Iterator<Item = &mut Outgoing> {
        self.lanes.get_mut(recipient).into_iter().flat_map(BTreeMap::values_mut)
    }

    /// How many wait for one recipient.
    #[must_use]
    pub fn waiting_for(&self, recipient: &PublicKey) -> usize {
        self.lanes.get(recipient).map_or(0, BTreeMap::len)
    }

    /// How many wait in all.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Everybody something waits for.
    #[must_use]
    pub fn recipients(&self) -> Vec<PublicKey> {
        self.lanes.keys().copied().collect()
    }

    /// All messages.
    pub fn all(&self) -> impl Iterator<Item = &Outgoing> {
        self.lanes.values().flat_map(BTreeMap::values)
    }
}

#[cfg(test)]
mod tests {
    use common::message::{Conversation, MessageId};

    use super::*;
    use crate::stored::State;

    fn row(seq: u64, body: usize) -> OutboxRow {
        OutboxRow {
            n: seq,
            id: MessageId([1; 16]),
            recipient: PublicKey([1; 32]),
            seq,
            after: None,
            ordered: true,
            urgent: false,
            conversation: Conversation::Pair,
            sent_at_ms: 0,
            kind: 1,
            body: vec![0; body],
            state: State::Queued,
            reason: None,
            queued_age_ms: 0,
            via: None,
            elapsed_ms: 0,
        }
    }

    #[test]
    fn the_outbox_refuses_over_its_limits_and_has_room_again() {
        let mut outbox = Outbox::default();
        outbox.put(Outgoing::new(row(1, OUTBOX_MAX_BYTES), true));
        assert_eq!(outbox.room_for(1, 1), Err(Full::Bytes));
        outbox.remove(&PublicKey([1; 32]), 1);
        assert!(outbox.room_for(1, 1).is_ok() && outbox.is_empty());
    }

    #[test]
    fn checks_come_after_1_6_and_24_hours_and_then_daily() {
        let mut message = Outgoing::new(row(1, 1), true);
        let mut now_ms = 0;
        let mut hours = Vec::new();
        for _ in 0..5 {
            message.plan_check(now_ms);
            now_ms = message.check_at_ms.unwrap();
            hours.push(now_ms / HOUR_MS);
        }
        assert_eq!(hours, [1, 6, 24, 48, 72]);
    }

    #[test]
    fn numbers_places_and_counts_follow_what_comes_and_goes() {
        let (bob, eve) = (PublicKey([1; 32]), PublicKey([2; 32]));
        let mut outbox = Outbox::default();
        outbox.put(Outgoing::new(OutboxRow { n: 0, ..row(1, 10) }, false));
        outbox.put(Outgoing::new(row(2, 20), true));
        assert_eq!((outbox.places(0), outbox.places(2)), (vec![], vec![(bob, 2)]));
        assert!(outbox.number(&eve, 1, 8).is_none() && outbox.number(&bob, 3, 9).is_none());
        assert!(outbox.number(&bob, 1, 7).is_some_and(|message| message.committed && message.row.n == 7));
        assert_eq!(outbox.places(7), [(bob, 1)]);
        assert_eq!((outbox.place_to(7, &bob), outbox.place_to(7, &eve)), (Some((bob, 1)), Some((bob, 1))));
        assert_eq!((outbox.len(), outbox.is_empty(), outbox.all().count()), (2, false, 2));
        assert_eq!((outbox.waiting_for(&bob), outbox.waiting_for(&eve), outbox.recipients()), (2, 0, vec![bob]));
        assert_eq!(outbox.lane(&bob).map(|message| message.row.seq).collect::<Vec<_>>(), [1, 2]);
        assert!(outbox.at(&bob, 2).is_some() && outbox.at(&bob, 3).is_none());
        let left = OUTBOX_MAX_BYTES - 30;
        assert_eq!((outbox.room_for(1, left), outbox.room_for(1, left + 1)), (Ok(()), Err(Full::Bytes)));
        assert!(outbox.remove(&eve, 1).is_none() && outbox.remove(&bob, 1).is_some());
        assert_eq!((outbox.places(7), outbox.len(), outbox.room_for(1, left + 10)), (vec![], 1, Ok(())));
        assert_eq!(outbox.room_for(1, left + 11), Err(Full::Bytes));
        assert!(outbox.remove(&bob, 2).is_some());
        assert!(outbox.is_empty() && outbox.recipients().is_empty());
    }

    #[test]
    fn the_count_of_messages_has_its_limit_too() {
        let mut outbox = Outbox::default();
        (1..OUTBOX_MAX as u64).for_each(|seq| outbox.put(Outgoing::new(row(seq, 0), true)));
        assert_eq!((outbox.room_for(1, 1), outbox.room_for(2, 1)), (Ok(()), Err(Full::Messages)));
        outbox.put(Outgoing::new(row(OUTBOX_MAX as u64, 0), true));
        assert_eq!(outbox.room_for(1, 0), Err(Full::Messages));
    }

    #[test]
    fn refusals_come_later_each_time_up_to_ten_minutes() {
        let mut message = Outgoing::new(row(1, 1), true);
        let delays = (0..9).map(|_| {
            message.deposit = Deposit::Sent;
            message.refused(1_000);
            assert_eq!(message.deposit, Deposit::None);
            message.retry_at_ms - 1_000
        });
        let delays: Vec<u64> = delays.collect();
        assert_eq!(delays, [5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 600_000, 600_000]);
    }

    #[test]
    fn only_what_the_directory_had_no_room_for_waits_for_room() {
        let refused = |reason| {
            let mut message = Outgoing::new(OutboxRow { reason, ..row(1, 1) }, true);
            message.retry_at_ms = 9;
            message
        };
        let full = [
            Reason::MailboxFull,
            Reason::Quota,
            Reason::StrangersFull,
            Reason::DiskFull,
            Reason::RateLimited,
            Reason::DirectoryStore,
        ];
        for reason in full {
            assert_eq!(refused(Some(reason)).wants_room(), Some((reason, 9)));
            assert_eq!(Outgoing { ending: true, ..refused(Some(reason)) }.wants_room(), None);
            assert_eq!(Outgoing { deposit: Deposit::Sent, ..refused(Some(reason)) }.wants_room(), None);
            assert_eq!(Outgoing { refused_alone: true, ..refused(Some(reason)) }.wants_room(), None);
        }
        for reason in [None, Some(Reason::NoPrekey), Some(Reason::KeyChanged), Some(Reason::Blocked)] {
            assert_eq!(refused(reason).wants_room(), None);
        }
    }
}
