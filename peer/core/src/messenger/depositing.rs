//! The way through the directory: sealing, depositing, and what became of what is kept there.

use std::collections::BTreeSet;

use common::body::Body;
use common::identity::PublicKey;
use common::limits::{HAVE_MAX, HOUR_MS};
use common::wire::codec;
use common::wire::directory::{self as wire, Fate, Place, Refusal, ToDirectory};
use common::wire::peer::Parcel;
use rand_core::Rng;

use super::{Messenger, Sealing};
use crate::event::{Output, SealedKind, Ticket};
use crate::limits::{CANNOT_OPEN_MAX, DIRECTORY_ROOM_RETRY_MS, PREKEY_RETRY_MS};
use crate::outbox::Deposit;
use crate::stored::{Reason, State, Via};
use crate::timers::Timer;

/// Deposits being sealed or unanswered at once; the directory allows 256.
pub(super) const DEPOSITING_MAX: usize = 200;

impl Messenger {
    /// Asks the directory what became of kept messages whose time has come.
    pub(super) fn check_kept(&mut self, key: PublicKey) {
        let (now_ms, epoch) = (self.now.mono_ms, self.meta.epoch.id);
        let mut places = Vec::new();
        for message in self.outbox.lane(&key).filter(|message| message.deposit == Deposit::Kept) {
            if message.check_at_ms.is_some_and(|at_ms| at_ms <= now_ms) && places.len() < HAVE_MAX {
                message.plan_check(now_ms);
                places.push(Place { recipient: key, epoch, seq: message.row.seq });
            }
        }
        if !places.is_empty() {
            let request = self.session.request();
            self.send_directory(ToDirectory::Have(wire::Have { request, places }));
        }
    }

    /// The directory's store is another one: what was kept there is checked within the hour, not all at once.
    pub(super) fn check_all_soon(&mut self) {
        let now_ms = self.now.mono_ms;
        for key in self.outbox.recipients() {
            let spread_ms = u64::from(self.rng.next_u32()) % HOUR_MS;
            for message in self.outbox.lane(&key).filter(|message| message.deposit == Deposit::Kept) {
                message.check_at_ms = Some(now_ms + spread_ms);
            }
        }
    }

    pub(super) fn deposit(&mut self, key: PublicKey, seq: u64) {
        if self.errands.depositing >= DEPOSITING_MAX {
            return;
        }
        let Some(record) = self.book.of(&key).and_then(|contact| contact.prekey.clone()) else {
            let retry_at_ms = self.now.mono_ms + PREKEY_RETRY_MS;
            if let Some(message) = self.outbox.at(&key, seq) {
                message.retry_at_ms = retry_at_ms;
            }
            self.refresh(key);
            return;
        };
        let Ok(prekey) = record.verify(&key) else { return };
        let Some(message) = self.outbox.at(&key, seq) else { return };
        message.deposit = Deposit::Sealing;
        let row = message.row.clone();
        self.errands.depositing += 1;
        let parcel = Parcel { envelope: self.envelope(&row), binding: self.meta.binding.clone() };
        let ticket = self.ticket();
        let sealing = Sealing::Parcel { recipient: key, seq, id: row.id, prekey: prekey.counter };
        self.errands.sealing.insert(ticket, sealing);
        let (kind, prekey, plain) = (SealedKind::Parcel, Box::new(prekey), codec::encode(&parcel));
        self.out.push_back(Output::Seal { ticket, kind, to: key, prekey, plain });
    }

    pub(super) fn on_sealed(&mut self, ticket: Ticket, sealed: Option<Vec<u8>>) {
        let (recipient, seq, id, prekey) = match self.errands.sealing.remove(&ticket) {
            Some(Sealing::Parcel { recipient, seq, id, prekey }) => (recipient, seq, id, prekey),
            Some(Sealing::State { to, prekey }) => {
                self.on_state_sealed(to, prekey, sealed);
                return;
            }
            None => return,
        };
        let online = self.session.is_online();
        let epoch = self.meta.epoch.id;
        let waiting = self.outbox.at(&recipient, seq).filter(|m| m.deposit == Deposit::Sealing && !m.ending);
        let (Some(message), Some(sealed), true) = (waiting, sealed, online) else {
            self.errands.depositing = self.errands.depositing.saturating_sub(1);
            if let Some(message) = self.outbox.at(&recipient, seq) {
                message.deposit = Deposit::None;
            }
            return;
        };
        message.deposit = Deposit::Sent;
        let deposit = wire::Deposit {
            place: Place { recipient, epoch, seq },
            tag: id.tag(),
            prekey,
            urgent: message.row.urgent,
            human: Body::is_line(message.row.kind),
            sealed,
        };
        self.send_directory(ToDirectory::Deposit(deposit));
    }

    pub(super) fn on_deposited(&mut self, answers: Vec<wire::DepositAnswer>) {
        let mut touched = BTreeSet::new();
        for answer in answers {
            let place = answer.place;
            self.errands.depositing = self.errands.depositing.saturating_sub(1);
            if place.epoch != self.meta.epoch.id {
                continue;
            }
            touched.insert(place.recipient);
            let now_ms = self.now.mono_ms;
            let Some(message) = self.outbox.at(&place.recipient, place.seq).filter(|message| !message.ending) else {
                // Settled meanwhile: what was just kept is stale.
                self.owed.withdrawals.push(place);
                continue;
            };
            match answer.refusal {
                None => {
                    message.deposit = Deposit::Kept;
                    message.refusals = 0;
                    message.checks = 0;
                    message.plan_check(now_ms);
                    self.set_state(place.recipient, place.seq, State::Kept, Some(Via::Directory), None);
                }
                Some(refusal) => self.deposit_refused(place, &refusal),
            }
        }
        for key in touched {
            self.tend(key);
        }
        self.tend_others_after_deposits();
    }

    /// Deposits that had to wait for room go on.
    fn tend_others_after_deposits(&mut self) {
        if self.errands.depositing > 0 {
            return;
        }
        for key in self.outbox.recipients() {
            self.tend(key);
        }
    }

    fn deposit_refused(&mut self, place: Place, refusal: &Refusal) {
        let now_ms = self.now.mono_ms;
        if let Some(message) = self.outbox.at(&place.recipient, place.seq) {
            message.refused(now_ms);
            if matches!(refusal, Refusal::DiskFull | Refusal::StoreFailed) {
                // Costs the directory next to nothing, and goes on soon after there is room.
                message.retry_at_ms = now_ms + DIRECTORY_ROOM_RETRY_MS;
            }
            message.refused_alone = matches!(
                refusal,
                Refusal::TooLarge { .. } | Refusal::Invalid | Refusal::NameTaken | Refusal::AlreadyRegistered(_)
            );
        }
        let reason = match refusal {
            Refusal::Conflict => {
                self.want_epoch(self.meta.epoch.generation);
                return;
            }
            Refusal::NoSuchUser => {
                self.name_successor(place.recipient);
                return;
            }
            Refusal::NotRegistered => {
                // The name was released meanwhile: a new session learns so, and tells the user.
                self.out.push_back(Output::DirectoryClose);
                self.directory_lost();
                return;
            }
            Refusal::NoPrekey => Reason::NoPrekey,
            Refusal::MailboxFull => Reason::MailboxFull,
            Refusal::StrangersFull => Reason::StrangersFull,
            Refusal::DiskFull => Reason::DiskFull,
            Refusal::RateLimited(_) => Reason::RateLimited,
            Refusal::StoreFailed => Reason::DirectoryStore,
            Refusal::QuotaExceeded
            | Refusal::NameTaken
            | Refusal::AlreadyRegistered(_)
            | Refusal::TooLarge { .. }
            | Refusal::NoSuchGroup
            | Refusal::GroupExists
            | Refusal::NotAMember
            | Refusal::AlreadyAMember
            | Refusal::NotAllowed
            | Refusal::GroupFull
            | Refusal::GroupChanged
            | Refusal::OverGroupLimit { .. }
            | Refusal::Invalid => Reason::Quota,
        };
        self.set_state(place.recipient, place.seq, State::Held, None, Some(reason));
    }

    pub(super) fn on_had(&mut self, fates: Vec<(Place, Fate)>) {
        let now_ms = self.now.mono_ms;
        let mut touched = BTreeSet::new();
        for (place, fate) in fates {
            if place.epoch != self.meta.epoch.id {
                continue;
            }
            let key = place.recipient;
            let Some(message) = self.outbox.at(&key, place.seq).filter(|m| m.deposit == Deposit::Kept) else {
                continue;
            };
            match fate {
                Fate::Held => {}
                Fate::Taken => {
                    // Give its acknowledgement an hour, then hand it in again.
                    if message.checks > 1 {
                        message.deposit = Deposit::None;
                    } else {
                        message.check_at_ms = Some(now_ms + HOUR_MS);
                    }
                }
                Fate::NotOpened => self.not_opened(key, place.seq),
                Fate::Expired | Fate::Unknown => {
                    message.deposit = Deposit::None;
                    message.check_at_ms = None;
                    self.set_state(key, place.seq, State::Queued, None, None);
                }
            }
            touched.insert(key);
        }
        for key in touched {
            self.tend(key);
        }
    }

    pub(super) fn on_not_opened_elsewhere(&mut self, not: wire::NotOpened) {
        let touched: BTreeSet<PublicKey> = not.places.iter().map(|place| place.recipient).collect();
        let epoch = self.meta.epoch.id;
        for place in not.places.iter().filter(|place| place.epoch == epoch) {
            self.not_opened(place.recipient, place.seq);
        }
        for key in touched {
            if let Some(record) = &not.prekey {
                self.learn_prekey(key, record);
            }
            self.tend(key);
        }
    }

    fn not_opened(&mut self, key: PublicKey, seq: u64) {
        let Some(message) = self.outbox.at(&key, seq) else { return };
        message.deposit = Deposit::None;
        message.check_at_ms = None;
        message.unopened += 1;
        if message.unopened >= CANNOT_OPEN_MAX {
            message.retry_at_ms = self.now.mono_ms + common::limits::DAY_MS;
            self.set_state(key, seq, State::Held, None, Some(Reason::CannotOpen));
        } else {
            self.set_state(key, seq, State::Queued, None, None);
        }
        self.way(key).looked_up = false;
        self.refresh(key);
    }

    /// A newer prekey of somebody: what waited for one may go.
    pub(super) fn reseal(&mut self, key: PublicKey) {
        for message in self.outbox.lane(&key) {
            if message.deposit == Deposit::None {
                message.retry_at_ms = 0;
            }
        }
        self.timers.set_by(Timer::Peer(key), self.now.mono_ms + 1);
    }
}
