//! What a logged-in session asks for: each frame becomes a question to the store, an answer or a refusal. What the
//! store answers is not here.

use std::net::IpAddr;

use common::identity::PublicKey;
use common::limits::{HAVE_MAX, SEALED_MAX_BYTES, TAKE_MAX, WATCH_MAX};
use common::wire::directory::{
    Accept, Deposit, DepositAnswer, Done, Have, Online, People, Place, PublishPrekey, PutSlot, Refusal, Register,
    Rejection, RequestId, Take, ToDirectory, Watch, Who, Withdraw,
};

use super::{Asked, Directory};
use crate::event::{DepositOp, Now, PutSlotOp, SessionId, StoreOp};
use crate::presence::{self, Look};
use crate::quota::Room;
use crate::registry;
use crate::session::rejected;

/// A store keeps numbers signed.
pub(super) const NUMBER_MAX: u64 = i64::MAX as u64;

/// Who asks, and when.
#[derive(Clone, Copy)]
pub(super) struct Request {
    pub session: SessionId,
    pub key: PublicKey,
    pub ip: IpAddr,
    pub now: Now,
}

impl Request {
    pub(super) fn dispatch(self, to: &mut Directory, frame: ToDirectory) {
        let key = self.key;
        match frame {
            ToDirectory::Hello(_) | ToDirectory::ConfirmToken(_) | ToDirectory::Ping(_) => {}
            ToDirectory::Register(frame) => self.register(to, frame),
            ToDirectory::Deregister(frame) => {
                self.ask(to, Asked::Deregister(frame.request), StoreOp::Deregister { key });
            }
            ToDirectory::Online(frame) => self.online(to, frame),
            ToDirectory::Offline(frame) => {
                to.send(self.session, Done { request: frame.request });
                to.end(self.session, None, self.now);
            }
            ToDirectory::LookUp(frame) => {
                self.ask(to, Asked::LookUp(frame.request), StoreOp::LookUp { whom: frame.whom });
            }
            ToDirectory::Who(frame) => self.who(to, frame),
            ToDirectory::Watch(frame) => self.watch(to, frame),
            ToDirectory::Deposit(frame) => self.deposit(to, frame),
            ToDirectory::Withdraw(frame) => self.withdraw(to, frame),
            ToDirectory::Have(frame) => self.have(to, frame),
            ToDirectory::Take(frame) => self.take(to, frame),
            ToDirectory::PutSlot(frame) => self.put_slot(to, frame),
            ToDirectory::TakeSlot(frame) => {
                let op = StoreOp::TakeSlot { recipient: key, from: frame.from, serial: frame.serial };
                self.ask(to, Asked::Quiet, op);
                if let Some(want) = to.mailboxes.slot_taken(self.session, &frame.from) {
                    to.want(want);
                }
            }
            ToDirectory::Accept(frame) => self.accept(to, frame),
            ToDirectory::PublishPrekey(frame) => self.publish_prekey(to, frame),
            ToDirectory::SetStanding(frame) => self.set_standing(to, frame),
            ToDirectory::Broadcast(frame) => self.broadcast(to, &frame),
            ToDirectory::ChangeGroup(frame) => self.change_group(to, frame),
            ToDirectory::LookUpGroup(frame) => self.look_up_group(to, frame),
            ToDirectory::FollowGroups(frame) => self.follow_groups(to, frame),
            ToDirectory::ListGroups(frame) => self.list_groups(to, frame),
            ToDirectory::BeginFile(frame) => self.begin_file(to, frame),
            ToDirectory::PutPiece(frame) => self.put_piece(to, frame),
            ToDirectory::GetPiece(frame) => self.get_piece(to, &frame),
            ToDirectory::DropFile(frame) => self.drop_file(to, &frame),
            ToDirectory::RestoreGroup(frame) => self.restore_group(to, frame),
        }
    }

    pub(super) fn ask(self, to: &mut Directory, asked: Asked, op: StoreOp) {
        to.ask(Some(self.session), asked, op);
    }

    /// Asks, or refuses a request that is not even asked.
    pub(super) fn ask_or_refuse(
        self,
        to: &mut Directory,
        request: RequestId,
        asked: Asked,
        op: Result<StoreOp, Refusal>,
    ) {
        match op {
            Ok(op) => self.ask(to, asked, op),
            Err(reason) => to.refuse(self.session, request, reason),
        }
    }

    /// A frame without a request number that no honest peer sends.
    pub(super) fn break_off(self, to: &mut Directory) {
        to.end(self.session, rejected(Rejection::Protocol), self.now);
    }

    fn register(self, to: &mut Directory, frame: Register) {
        let request = frame.request;
        let op = match to.room {
            Room::Floor => Err(Refusal::DiskFull),
            Room::Ample | Room::NoMail => to.registry.register(frame, self.key, self.ip, &to.limits, self.now),
        };
        self.ask_or_refuse(to, request, Asked::Register(request), op);
    }

    fn online(self, to: &mut Directory, frame: Online) {
        let Online { request, candidates, prekey, standing, note } = frame;
        let candidates = presence::candidates(&candidates, self.ip);
        let checked = Look::new(standing, note).and_then(|look| Ok((look, registry::checked(prekey, &self.key)?)));
        match checked {
            Ok((look, prekey)) => {
                // From now on: a change that is asked for before the commit is the later word.
                to.presence.want(self.session, look);
                let (key, now_ms) = (self.key, self.now.wall_ms);
                let op = StoreOp::Online { key, prekey, candidates: candidates.clone(), now_ms };
                self.ask(to, Asked::Online(request, candidates), op);
            }
            Err(reason) => to.refuse(self.session, request, reason),
        }
    }

    fn publish_prekey(self, to: &mut Directory, frame: PublishPrekey) {
        let request = frame.request;
        let key = self.key;
        let op = registry::checked(frame.prekey, &key).map(|prekey| StoreOp::PutPrekey { key, prekey });
        self.ask_or_refuse(to, request, Asked::Prekey(request), op);
    }

    fn who(self, to: &mut Directory, frame: Who) {
        let request = frame.request;
        match registry::page(frame) {
            Ok(Some(op)) => self.ask(to, Asked::Who(request), op),
            Ok(None) => to.send(self.session, People { request, people: vec![], more: false }),
            Err(reason) => to.refuse(self.session, request, reason),
        }
    }

    fn watch(self, to: &mut Directory, frame: Watch) {
        let Ok(watched) = to.presence.watch(self.session, self.ip, frame, &to.limits) else {
            return self.break_off(to);
        };
        for notice in watched.here {
            to.send(self.session, notice);
        }
        if !watched.absent.is_empty() {
            let op = StoreOp::LastSeen { keys: watched.absent.clone() };
            self.ask(to, Asked::LastSeen(watched.absent), op);
        }
    }

    fn deposit(self, to: &mut Directory, deposit: Deposit) {
        let refusal = if deposit.sealed.len() > SEALED_MAX_BYTES {
            Some(Refusal::TooLarge { limit: SEALED_MAX_BYTES as u64 })
        } else if !is_seq(&deposit.place) || deposit.prekey > NUMBER_MAX {
            Some(Refusal::Invalid)
        } else {
            (to.room != Room::Ample).then_some(Refusal::DiskFull)
        };
        let place = deposit.place;
        if refusal.is_some() {
            return to.mailboxes.answer(self.session, DepositAnswer { place, refusal });
        }
        let waited = to.presence.of(&place.recipient).is_none();
        let (submitter, now_ms, limits) = (self.key, self.now.wall_ms, to.limits.mailbox);
        let op = DepositOp { submitter, deposit, waited, now_ms, limits };
        self.ask(to, Asked::Deposit(place), StoreOp::Deposit(Box::new(op)));
    }

    fn withdraw(self, to: &mut Directory, frame: Withdraw) {
        let Withdraw { places } = frame;
        if places.len() > HAVE_MAX || !places.iter().all(is_seq) {
            return self.break_off(to);
        }
        self.ask(to, Asked::Quiet, StoreOp::Withdraw { submitter: self.key, places });
    }

    fn have(self, to: &mut Directory, frame: Have) {
        let Have { request, places } = frame;
        let op = if places.len() > HAVE_MAX {
            Err(Refusal::TooLarge { limit: HAVE_MAX as u64 })
        } else if places.iter().all(is_seq) {
            Ok(StoreOp::Have { submitter: self.key, places: places.clone() })
        } else {
            Err(Refusal::Invalid)
        };
        self.ask_or_refuse(to, request, Asked::Have(request, places), op);
    }

    fn take(self, to: &mut Directory, frame: Take) {
        let Take { items } = frame;
        if items.len() > TAKE_MAX || items.iter().any(|(number, _)| *number > NUMBER_MAX) {
            return self.break_off(to);
        }
        let numbers: Vec<u64> = items.iter().map(|(number, _)| *number).collect();
        self.ask(to, Asked::Take(self.key), StoreOp::Take { recipient: self.key, items, now_ms: self.now.wall_ms });
        // After the question: the next page must not hold what is being taken.
        if let Some(want) = to.mailboxes.taken(self.session, numbers.into_iter()) {
            to.want(want);
        }
    }

    fn put_slot(self, to: &mut Directory, slot: PutSlot) {
        if slot.sealed.len() > SEALED_MAX_BYTES || slot.prekey > NUMBER_MAX {
            return self.break_off(to);
        }
        // Not answered, so a full disk only drops it: the next one repairs that. Where mail is refused already,
        // acknowledgements still go on as long as they take no more room.
        if to.room != Room::Floor {
            let (may_grow, limits) = (to.room == Room::Ample, to.limits.slots);
            let op = PutSlotOp { from: self.key, slot, now_ms: self.now.wall_ms, may_grow, limits };
            self.ask(to, Asked::PutSlot, StoreOp::PutSlot(Box::new(op)));
        }
    }

    fn accept(self, to: &mut Directory, frame: Accept) {
        let Accept { keys } = frame;
        if keys.len() > WATCH_MAX {
            return self.break_off(to);
        }
        if to.room != Room::Floor {
            let op = StoreOp::Accept { key: self.key, keys, limit: to.limits.accepted };
            self.ask(to, Asked::Quiet, op);
        }
    }
}

fn is_seq(place: &Place) -> bool {
    (1..=NUMBER_MAX).contains(&place.seq)
}
