//! The composer: the only module that knows every part. It gives each input to the part it concerns and turns what the
//! parts ask for into outputs; what a logged-in session asks for is in `requests`, what the store answers in `results`.
//! No rule of its own but who comes first.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use common::identity::{Identity, PublicKey};
use common::planted::{self, Bug};
use common::wire::directory::{
    FromDirectory, Place, Pong, Refused, Rejected, Rejection, RequestId, Taking, ToDirectory, Unsupported,
};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use crate::event::{ExpireOp, Input, Now, Output, SessionId, StoreHead, StoreOp, Ticket};
use crate::limits::Limits;
use crate::mailbox::{Mailboxes, PumpId, Want};
use crate::notices::Notices;
use crate::presence::{Fanout, Presence};
use crate::quota::{Flows, Next, Reading, Room};
use crate::registry::Registry;
use crate::session::{Facts, Sessions, Step, rejected};
use crate::shouts::Shouts;
use crate::timers::{Timer, Timers};
use crate::weight;

mod files;
mod groups;
mod requests;
mod results;
mod talk;
#[cfg(test)]
mod tests;

/// What a store operation was for.
#[derive(Debug)]
enum Asked {
    Load,
    Offer,
    Confirm,
    Register(RequestId),
    Deregister(RequestId),
    Online(RequestId, Vec<SocketAddr>),
    Prekey(RequestId),
    LookUp(RequestId),
    Who(RequestId),
    LastSeen(Vec<PublicKey>),
    Deposit(Place),
    Have(RequestId, Vec<Place>),
    Take(PublicKey),
    Page(PumpId),
    Waiting(PumpId),
    PutSlot,
    SlotPage(PumpId),
    /// A step of a group, a part of its chain, a page of groups.
    Group(RequestId),
    GroupNews,
    /// How far a file is.
    Room(files::Named),
    Piece(files::Wanted),
    /// Nobody waits for the answer.
    Quiet,
    Expire,
}

/// An operation that the store has not answered.
#[derive(Debug)]
struct Pending {
    /// Who waits for it.
    session: Option<SessionId>,
    asked: Asked,
    /// What it counts among the session's operations in flight.
    rows: usize,
}

/// A directory.
pub struct Directory {
    limits: Limits,
    head: StoreHead,
    random: ChaCha20Rng,
    sessions: Sessions,
    flows: Flows,
    registry: Registry,
    presence: Presence,
    notices: Notices,
    shouts: Shouts,
    /// Broadcasts being handed out, and who waits for the count.
    sharing: BTreeMap<Ticket, (SessionId, RequestId)>,
    mailboxes: Mailboxes,
    room: Room,
    timers: Timers,
    pending: BTreeMap<Ticket, Pending>,
    last_ticket: u64,
    outputs: VecDeque<Output>,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Serving,
    Leaving,
    Failed,
}

impl Directory {
    /// A directory that answers for `identity`, on the store that `head` describes. `seed` is all the randomness it
    /// ever has.
    #[must_use]
    pub fn new(limits: Limits, identity: Identity, seed: [u8; 32], head: StoreHead, now: Now) -> Self {
        let mut timers = Timers::default();
        timers.set(Timer::Expire, now.mono_ms + limits.expire_every_ms);
        Self {
            registry: Registry::new(identity, head.binding_serial),
            limits,
            head,
            random: ChaCha20Rng::from_seed(seed),
            sessions: Sessions::default(),
            flows: Flows::default(),
            presence: Presence::default(),
            notices: Notices::default(),
            shouts: Shouts::default(),
            sharing: BTreeMap::new(),
            mailboxes: Mailboxes::default(),
            room: Room::Ample,
            timers,
            pending: BTreeMap::new(),
            last_ticket: 0,
            outputs: VecDeque::new(),
            stage: Stage::Serving,
        }
    }

    /// Takes one input.
    pub fn handle(&mut self, input: Input, now: Now) {
        if self.stage == Stage::Failed {
            return;
        }
        match input {
            Input::SessionOpened { session, key, address } => self.opened(session, key, address, now),
            Input::Frame { session, frame } => self.frame(session, frame, now),
            Input::UnknownFrame { session, kind } => self.unknown(session, kind, now),
            Input::BadFrame { session } => self.end(session, rejected(Rejection::Protocol), now),
            Input::SessionClosed { session } => self.forget(session, now),
            Input::Stored { results, commits } => {
                self.head.commits = commits;
                for (ticket, result) in results {
                    self.stored(ticket, result, now);
                }
            }
            Input::StoreFailed => self.fail(),
            Input::Shared { ticket, count } => self.shared(ticket, count),
            Input::DiskFree { free_bytes, total_bytes } => {
                self.room = Room::of(&self.limits, free_bytes, total_bytes);
            }
            Input::Timeout => self.timeout(now),
            Input::Shutdown => self.leave(now),
        }
    }

    /// The next thing to be done, in order; none when all is said.
    pub fn poll_output(&mut self) -> Option<Output> {
        if self.outputs.is_empty() {
            // Answers to deposits wait until here so that one frame carries those of a whole commit.
            for want in self.mailboxes.answers() {
                self.want(want);
            }
        }
        self.outputs.pop_front()
    }

    /// When [`Input::Timeout`] is due, on the clock of [`Now::mono_ms`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<u64> {
        self.timers.next_ms()
    }

    fn opened(&mut self, session: SessionId, key: PublicKey, address: SocketAddr, now: Now) {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        let refused = match self.stage {
            Stage::Serving => self.sessions.open(session, key, address, &self.limits, now.mono_ms).err(),
            Stage::Leaving | Stage::Failed => Some(Rejection::ShuttingDown),
        };
        if let Some(reason) = refused {
            self.send(session, Rejected { reason });
            self.outputs.push_back(Output::Close { session });
            return;
        }
        self.flows.open(session);
        self.watch_deadline(session);
    }

    fn frame(&mut self, session: SessionId, frame: ToDirectory, now: Now) {
        if !self.sessions.knows(session) {
            return;
        }
        self.sessions.heard(session, now.mono_ms);
        if self.flows.push(session, frame, &self.limits) {
            self.take_up(session, now);
        } else {
            self.end(session, rejected(Rejection::Protocol), now);
        }
    }

    fn unknown(&mut self, session: SessionId, kind: u16, now: Now) {
        self.sessions.heard(session, now.mono_ms);
        if self.sessions.key(session).is_some() || self.sessions.is_confirming(session) {
            self.send(session, Unsupported { kind });
        } else {
            self.end(session, rejected(Rejection::Protocol), now);
        }
    }

    /// Takes up the frames of a session as far as its login and its rate allow.
    fn take_up(&mut self, session: SessionId, now: Now) {
        while !self.sessions.is_confirming(session) {
            match self.flows.next(session, &self.limits, now.mono_ms) {
                Next::Take(frame) => self.dispatch(session, *frame, now),
                Next::Delayed(until_ms) => {
                    self.timers.set(Timer::Flow(session), until_ms);
                    break;
                }
                Next::Abuse => {
                    let retry_ms = self.limits.full_retry_ms;
                    return self.end(session, rejected(Rejection::Full(retry_ms)), now);
                }
                Next::Empty => break,
            }
        }
        self.settle_reading(session);
    }

    fn dispatch(&mut self, session: SessionId, frame: ToDirectory, now: Now) {
        match frame {
            ToDirectory::Hello(hello) => {
                let steps = self.sessions.hello(session, hello, &self.limits);
                self.steps(steps, now);
            }
            ToDirectory::ConfirmToken(confirm) => {
                let steps = self.sessions.confirm(session, &confirm);
                self.steps(steps, now);
            }
            ToDirectory::Ping(_) => self.send(session, Pong {}),
            frame => match self.sessions.key(session).zip(self.sessions.ip(session)) {
                Some((key, ip)) => requests::Request { session, key, ip, now }.dispatch(self, frame),
                None => self.end(session, rejected(Rejection::Protocol), now),
            },
        }
    }

    fn steps(&mut self, steps: Vec<Step>, now: Now) {
        for step in steps {
            match step {
                Step::Send(session, frame) => self.send(session, frame),
                Step::End(session, farewell) => self.end(session, farewell, now),
                Step::Load(session, key) => self.ask(Some(session), Asked::Load, StoreOp::LoadAccount { key }),
                Step::Offer { session, key, token, proven } => {
                    let op = StoreOp::OfferToken { key, token, proven, now_ms: now.wall_ms };
                    self.ask(Some(session), Asked::Offer, op);
                }
                Step::Confirm { session, key, token, epoch } => {
                    let op = StoreOp::ConfirmToken { key, token, epoch, now_ms: now.wall_ms };
                    self.ask(Some(session), Asked::Confirm, op);
                }
                Step::LoggedIn(session) => {
                    self.watch_deadline(session);
                    self.take_up(session, now);
                }
            }
        }
    }

    fn timeout(&mut self, now: Now) {
        while let Some(timer) = self.timers.due(now.mono_ms) {
            match timer {
                Timer::Session(session) => match self.sessions.deadline_ms(session) {
                    Some(at_ms) if at_ms <= now.mono_ms => self.end(session, None, now),
                    Some(_) => self.watch_deadline(session),
                    None => {}
                },
                Timer::Flow(session) => self.take_up(session, now),
                Timer::Notice(key) => {
                    let fanout = self.presence.due(key, &self.limits, now.mono_ms);
                    self.fan_out(key, fanout);
                }
                Timer::Notices => self.tell_everybody(now),
                Timer::Expire => {
                    self.timers.set(Timer::Expire, now.mono_ms + self.limits.expire_every_ms);
                    self.expire(now);
                }
            }
        }
    }

    fn expire(&mut self, now: Now) {
        let before = |age_ms: u64| now.wall_ms.saturating_sub_unsigned(age_ms);
        let op = ExpireOp {
            items_before_ms: before(self.limits.item_lifetime_ms),
            tombstones_before_ms: before(self.limits.tombstone_lifetime_ms),
            accounts_before_ms: before(self.limits.nameless_lifetime_ms),
            now_ms: now.wall_ms,
            limit: self.limits.expire_page,
        };
        self.ask(None, Asked::Expire, StoreOp::Expire(op));
    }

    fn watch_deadline(&mut self, session: SessionId) {
        if let Some(at_ms) = self.sessions.deadline_ms(session) {
            self.timers.set(Timer::Session(session), at_ms);
        }
    }

    fn settle_reading(&mut self, session: SessionId) {
        match self.flows.reading(session, &self.limits) {
            Some(Reading::Pause) => self.outputs.push_back(Output::Pause { session }),
            Some(Reading::Resume) => self.outputs.push_back(Output::Resume { session }),
            None => {}
        }
    }

    fn send(&mut self, session: SessionId, frame: impl Into<FromDirectory>) {
        let frame = frame.into();
        if planted::is(Bug::DeleteBeforeTaken)
            && let (FromDirectory::Item(item), Some(recipient)) = (&frame, self.sessions.key(session))
        {
            let items = vec![(item.item, Taking::Stored)];
            self.ask(None, Asked::Quiet, StoreOp::Take { recipient, items, now_ms: 0 });
        }
        self.outputs.push_back(Output::Send { session, frame });
    }

    fn refuse(&mut self, session: SessionId, request: RequestId, reason: common::wire::directory::Refusal) {
        self.send(session, Refused { request, reason });
    }

    fn ask(&mut self, session: Option<SessionId>, asked: Asked, op: StoreOp) {
        let ticket = self.ticket();
        // A page is asked for by the core itself, for the room that its window has.
        let rows = if matches!(asked, Asked::Page(_) | Asked::SlotPage(_)) { 1 } else { weight::rows(&op) };
        if let Some(session) = session {
            self.flows.asked(session, rows);
        }
        self.pending.insert(ticket, Pending { session, asked, rows });
        self.outputs.push_back(Output::Store { ticket, op });
    }

    fn ticket(&mut self) -> Ticket {
        self.last_ticket += 1;
        Ticket(self.last_ticket)
    }

    fn want(&mut self, want: Want) {
        match want {
            Want::Send(session, frame) => self.send(session, frame),
            Want::Page { session, pump, recipient, from, limit_items, limit_bytes, urgent_only } => {
                let op = StoreOp::Page { recipient, from, limit_items, limit_bytes, urgent_only };
                self.ask(Some(session), Asked::Page(pump), op);
            }
            Want::Waiting { session, pump, recipient } => {
                self.ask(Some(session), Asked::Waiting(pump), StoreOp::Waiting { recipient });
            }
            Want::SlotPage { session, pump, recipient, after_serial, limit_slots, limit_bytes } => {
                let op = StoreOp::SlotPage { recipient, after_serial, limit_slots, limit_bytes };
                self.ask(Some(session), Asked::SlotPage(pump), op);
            }
        }
    }

    fn changed(&mut self, key: PublicKey, now: Now) {
        let fanout = self.presence.changed(key, now.wall_ms, &self.limits, now.mono_ms);
        self.fan_out(key, fanout);
    }

    fn fan_out(&mut self, key: PublicKey, fanout: Fanout) {
        for (watcher, notice) in fanout.notices {
            self.send(watcher, notice);
        }
        if let Some(due_ms) = fanout.due_ms {
            self.timers.set(Timer::Notice(key), due_ms);
        }
    }

    /// Closes a session that is known, with a last frame.
    fn end(&mut self, session: SessionId, farewell: Option<FromDirectory>, now: Now) {
        if !self.sessions.knows(session) {
            return;
        }
        if let Some(farewell) = farewell {
            self.send(session, farewell);
        }
        self.outputs.push_back(Output::Close { session });
        self.forget(session, now);
    }

    /// A session is gone.
    fn forget(&mut self, session: SessionId, now: Now) {
        if !self.sessions.remove(session) {
            return;
        }
        self.flows.close(session);
        self.timers.cancel(Timer::Session(session));
        self.timers.cancel(Timer::Flow(session));
        self.gone(session, now);
        self.presence.forget(session);
        self.mailboxes.end(session);
    }

    /// Whoever is online in this session is not any more.
    fn gone(&mut self, session: SessionId, now: Now) {
        if let Some((key, here)) = self.presence.leave(session) {
            self.ask(None, Asked::Quiet, StoreOp::WentOffline { key, now_ms: now.wall_ms });
            self.changed(key, now);
            self.notice(key, Some(here), now);
        }
    }

    fn leave(&mut self, now: Now) {
        self.stage = Stage::Leaving;
        for session in self.sessions.ids() {
            self.end(session, rejected(Rejection::ShuttingDown), now);
        }
    }

    /// The store cannot be believed: nothing that waits for it is ever said.
    fn fail(&mut self) {
        if self.stage == Stage::Failed {
            return;
        }
        self.stage = Stage::Failed;
        self.pending.clear();
        self.sharing.clear();
        self.mailboxes = Mailboxes::default();
        self.timers = Timers::default();
        // What was not drained yet may ask the store again; what was already true may still be sent.
        self.outputs.retain(|output| !matches!(output, Output::Store { .. }));
        let close = self.sessions.ids().into_iter().map(|session| Output::Close { session });
        self.outputs.extend(close.chain([Output::Fatal]));
    }

    fn facts(&self, now: Now) -> Facts {
        Facts { store_id: self.head.store_id, commits: self.head.commits, now_ms: now.wall_ms }
    }

    fn random_token(&mut self) -> [u8; 16] {
        let mut token = [0; 16];
        self.random.fill_bytes(&mut token);
        token
    }
}
