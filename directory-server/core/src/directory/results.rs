//! What the store answers: each result becomes the frame that was waiting for it. Nothing is said before.

use std::net::IpAddr;

use common::identity::PublicKey;
use common::record::PrekeyRecord;
use common::wire::directory::{
    DepositAnswer, Done, Had, Listed, NotOpened, People, Person, Place, Profile, Refusal, Registered, Rejection,
    RequestId, Standing,
};

use super::{Asked, Directory, Pending, talk};
use crate::event::{
    Account, DepositOp, FileResult, GroupResult, Now, Origin, PutSlotOp, SessionId, StoreResult, StoredListed,
    StoredProfile, Ticket, Waiting,
};
use crate::presence::{Here, Look, visible};
use crate::quota::Room;
use crate::session::rejected;

/// Places in one `NotOpened` frame: well within the frame limit.
const NOT_OPENED_MAX: usize = 500;

impl Directory {
    pub(super) fn stored(&mut self, ticket: Ticket, result: StoreResult, now: Now) {
        let Some(Pending { session, asked, rows }) = self.pending.remove(&ticket) else { return };
        let Some(session) = session else { return self.stored_for_all(&asked, &result, now) };
        self.flows.answered(session, rows);
        if self.sessions.knows(session) {
            self.stored_for(session, asked, result, now);
            self.settle_reading(session);
        } else {
            self.stored_for_the_gone(&asked, result);
        }
    }

    fn stored_for_all(&mut self, asked: &Asked, result: &StoreResult, now: Now) {
        if let (Asked::Expire, StoreResult::Expired { more: true }) = (asked, result) {
            self.expire(now);
        }
    }

    /// Who asked is gone, but what it gave is kept and others wait for it.
    fn stored_for_the_gone(&mut self, asked: &Asked, result: StoreResult) {
        match (asked, result) {
            (Asked::Deposit(_), StoreResult::Deposited { op, kept: Ok(item) }) => self.push_item(item, *op),
            (Asked::PutSlot, StoreResult::SlotKept { op, serial }) => self.push_slot(serial, *op),
            (Asked::Take(recipient), StoreResult::Taken { not_opened, prekey }) => {
                self.taken(*recipient, not_opened, prekey.as_ref());
            }
            (Asked::Group(_), StoreResult::Group(GroupResult::Stepped { op, members })) => self.stepped(*op, &members),
            (Asked::Group(_), StoreResult::Group(GroupResult::Restored { group, steps, members, .. })) => {
                self.restored(group, &steps, &members);
            }
            _ => {}
        }
    }

    fn stored_for(&mut self, session: SessionId, asked: Asked, result: StoreResult, now: Now) {
        if let StoreResult::Refused(reason) = result {
            return self.stored_refused(session, asked, reason, now);
        }
        match (asked, result) {
            // At the floor a known key still logs in, or nobody could take what is kept and make room: its rows are
            // there and are overwritten. A new key would add one, and has nothing to take.
            (Asked::Load, StoreResult::Account(account))
                if self.room == Room::Floor && *account == Account::default() =>
            {
                self.end(session, rejected(Rejection::Full(self.limits.full_retry_ms)), now);
            }
            (Asked::Load, StoreResult::Account(account)) => {
                let token = self.random_token();
                let steps = self.sessions.loaded(session, *account, token);
                self.steps(steps, now);
            }
            (Asked::Offer, StoreResult::Done) => {
                let steps = self.sessions.offered(session, self.facts(now));
                self.steps(steps, now);
            }
            (Asked::Confirm, StoreResult::Done) => {
                let steps = self.sessions.confirmed(session, now.mono_ms);
                self.steps(steps, now);
            }
            // Another login of this key came between: this one begins anew.
            (Asked::Confirm, StoreResult::NotOffered) => self.end(session, None, now),
            (Asked::Register(request), StoreResult::Registered { binding, new }) => {
                if let Some(ip) = self.sessions.ip(session).filter(|_| new) {
                    self.registry.registered(ip, &self.limits, now.mono_ms);
                }
                self.send(session, Registered { request, binding });
            }
            (Asked::Deregister(request), StoreResult::Done) => {
                self.send(session, Done { request });
                self.gone(session, now);
                self.mailboxes.stop(session);
            }
            (Asked::Online(request, candidates), StoreResult::Online { waiting, name, binding }) => {
                let look = self.presence.wanted(session).cloned();
                let look = look.unwrap_or(Look { standing: Standing::Online, note: None });
                let binding = *binding;
                let here = Here { session, name, binding, candidates, look, since_ms: now.wall_ms };
                self.came_online(here, request, waiting, now);
            }
            (Asked::Prekey(request), StoreResult::Done) => {
                self.send(session, Done { request });
                let key = self.sessions.key(session).filter(|key| self.presence.of(key).is_some());
                key.into_iter().for_each(|key| self.changed(key, now));
            }
            (Asked::LookUp(request), StoreResult::Profile(profile)) => self.person(session, request, profile),
            (Asked::Who(request), StoreResult::People { people, more }) => {
                let people = people.into_iter().map(|stored| self.listed(stored)).collect();
                self.send(session, People { request, people, more });
            }
            (Asked::LastSeen(keys), StoreResult::LastSeen(times)) => self.last_seen(session, keys, times),
            (asked, result) => self.stored_mail(session, asked, result),
        }
    }

    fn stored_mail(&mut self, session: SessionId, asked: Asked, result: StoreResult) {
        match (asked, result) {
            (Asked::Deposit(place), StoreResult::Deposited { op, kept }) => {
                let refusal = kept.as_ref().err().cloned();
                self.mailboxes.answer(session, DepositAnswer { place, refusal });
                if let Ok(item) = kept {
                    self.push_item(item, *op);
                }
            }
            (Asked::Have(request, places), StoreResult::Fates(fates)) => {
                let fates = places.into_iter().zip(fates).collect();
                self.send(session, Had { request, fates });
            }
            (Asked::Take(recipient), StoreResult::Taken { not_opened, prekey }) => {
                self.taken(recipient, not_opened, prekey.as_ref());
            }
            (Asked::Page(pump), StoreResult::Page { items, more }) => {
                for want in self.mailboxes.page(session, pump, items, more) {
                    self.want(want);
                }
            }
            (Asked::Waiting(pump), StoreResult::Waiting(waiting)) => {
                for want in self.mailboxes.waiting(session, pump, waiting) {
                    self.want(want);
                }
            }
            (Asked::PutSlot, StoreResult::SlotKept { op, serial }) => self.push_slot(serial, *op),
            (Asked::PutSlot, StoreResult::SlotRefused) | (Asked::Quiet, _) => {}
            (Asked::SlotPage(pump), StoreResult::Slots { slots, more }) => {
                for want in self.mailboxes.slots(session, pump, slots, more) {
                    self.want(want);
                }
            }
            (Asked::Group(request), StoreResult::Group(result)) => self.group_answer(session, request, result),
            (Asked::GroupNews, StoreResult::Group(GroupResult::News(news))) => self.group_news(session, news),
            (Asked::Room(file), StoreResult::File(FileResult::Room { next, refusal })) => {
                self.file_room(session, &file, next, refusal);
            }
            (Asked::Piece(wanted), StoreResult::File(FileResult::Piece(sealed))) => {
                self.piece(session, &wanted, sealed)
            }
            // An answer to another question: this store cannot be believed.
            _ => self.fail(),
        }
    }

    fn stored_refused(&mut self, session: SessionId, asked: Asked, reason: Refusal, now: Now) {
        match asked {
            Asked::Register(request)
            | Asked::Deregister(request)
            | Asked::Online(request, _)
            | Asked::Prekey(request)
            | Asked::LookUp(request)
            | Asked::Who(request)
            | Asked::Group(request)
            | Asked::Have(request, _) => self.refuse(session, request, reason),
            Asked::Deposit(place) => {
                self.mailboxes.answer(session, DepositAnswer { place, refusal: Some(reason) });
            }
            Asked::Room(file) => self.file_room(session, &file, file.next, Some(reason)),
            // Without these the session is of no use to its peer; it may try again.
            Asked::Load
            | Asked::Offer
            | Asked::Confirm
            | Asked::Page(_)
            | Asked::Waiting(_)
            | Asked::SlotPage(_)
            | Asked::Piece(_)
            | Asked::Take(_) => self.end(session, None, now),
            Asked::LastSeen(_) | Asked::PutSlot | Asked::GroupNews | Asked::Quiet | Asked::Expire => {}
        }
    }

    fn came_online(&mut self, here: Here, request: RequestId, waiting: Waiting, now: Now) {
        let (session, busy) = (here.session, here.look.is_busy());
        let Some(key) = self.sessions.key(session) else { return };
        self.send(session, Done { request });
        let before = self.presence.of(&key).cloned();
        if self.presence.come(key, here) {
            self.changed(key, now);
            self.notice(key, before, now);
        }
        for want in self.mailboxes.begin(session, key, busy, waiting, &self.limits) {
            self.want(want);
        }
    }

    fn person(&mut self, session: SessionId, request: RequestId, profile: Option<Box<StoredProfile>>) {
        let Some(viewer) = self.sessions.ip(session) else { return };
        match profile {
            Some(stored) => {
                let profile = self.profile(*stored, viewer);
                self.send(session, Person { request, profile });
            }
            None => self.refuse(session, request, Refusal::NoSuchUser),
        }
    }

    fn profile(&self, stored: StoredProfile, viewer: IpAddr) -> Profile {
        let StoredProfile { key, binding, prekey, last_seen_ms } = stored;
        let (standing, since_ms, candidates) = match self.presence.of(&key) {
            Some(here) => (here.look.standing, here.since_ms, visible(&here.candidates, viewer)),
            None => (Standing::Offline, last_seen_ms, vec![]),
        };
        Profile { key, binding, standing, since_ms, candidates, prekey }
    }

    fn listed(&self, stored: StoredListed) -> Listed {
        let StoredListed { name, key, last_seen_ms } = stored;
        let here = self.presence.of(&key).map(|here| (here.look.clone(), here.since_ms));
        talk::listed(name, key, here, last_seen_ms)
    }

    fn last_seen(&mut self, session: SessionId, keys: Vec<PublicKey>, times: Vec<Option<i64>>) {
        let Some(viewer) = self.sessions.ip(session) else { return };
        for (key, time) in keys.into_iter().zip(times) {
            // Nobody ever seen has been away since the beginning.
            let notice = self.presence.told(key, viewer, time.unwrap_or(0));
            self.send(session, notice);
        }
    }

    fn push_item(&mut self, item: u64, op: DepositOp) {
        let online = self.presence.of(&op.deposit.place.recipient).map(|here| here.session);
        if let Some(want) = online.and_then(|to| self.mailboxes.deposited(to, item, op)) {
            self.want(want);
        }
    }

    fn push_slot(&mut self, serial: u64, op: PutSlotOp) {
        let online = self.presence.of(&op.slot.recipient).map(|here| here.session);
        if let Some(want) = online.and_then(|to| self.mailboxes.slot_kept(to, serial, op)) {
            self.want(want);
        }
    }

    /// Tells submitters who are connected what could not be opened; the others ask, sooner or later.
    fn taken(&mut self, recipient: PublicKey, mut not_opened: Vec<Origin>, prekey: Option<&PrekeyRecord>) {
        not_opened.sort_by_key(|origin| origin.submitter);
        for of_one in not_opened.chunk_by(|a, b| a.submitter == b.submitter) {
            let Some(to) = of_one.first().and_then(|origin| self.sessions.live(&origin.submitter)) else { continue };
            for part in of_one.chunks(NOT_OPENED_MAX) {
                let place = |origin: &Origin| Place { recipient, epoch: origin.epoch, seq: origin.seq };
                let places = part.iter().map(place).collect();
                self.send(to, NotOpened { places, prekey: prekey.cloned() });
            }
        }
    }
}
