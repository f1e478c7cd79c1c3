//! The directory's core with its real store, under sessions that send what they like in any order, logged in or not, while the
//! store answers late, the clock leaps and the disk fills. What is asked of the store, said to whom, and kept is checked.

mod files;
mod frames;
mod talk;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::LazyLock;

use common::identity::{Identity, PublicKey};
use common::limits::{DAY_MS, PREKEY_BYTES};
use common::message::{Epoch, EpochId};
use common::name::Name;
use common::record::{Prekey, PrekeyRecord};
use common::wire::Frame;
use common::wire::directory::{self as wire, Fate, FromDirectory, Place, ToDirectory};
use directory_core::event::{CheckedPrekey, FileOp, GroupOp};
use directory_core::{Directory, Input as Told, Limits, Now, Output, SessionId, StoreOp, StoreResult, Ticket};
use directory_server::store::{Applied, Store};

use super::Input;
use super::decoders::fits;
use files::{Files, some_file};
use frames::{asks, some_request};
use talk::{Chains, some_talk};

/// Outputs that one input may cause at most, in a world as small as this.
const OUTPUTS_MAX: usize = 600;
const NAMES: [&str; 4] = ["anna", "bert", "carla", "dora"];
const BEGIN: Now = Now { mono_ms: 1_000, wall_ms: 1_700_000_000_000 };

static SERVER: LazyLock<Identity> = LazyLock::new(|| Identity::from_seed(&[9; 32]));
static PEOPLE: LazyLock<Vec<(PublicKey, PrekeyRecord)>> = LazyLock::new(|| (1..=4).map(person).collect());
/// A store in which three of the four have names.
static STORE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut store = Store::open_in_memory([8; 16]).expect("a store");
    let ops = PEOPLE.iter().zip(NAMES).take(3).zip(1..).map(|(((key, record), name), serial)| {
        let name: Name = name.parse().expect("a name");
        let bound = common::record::Bound { directory: SERVER.public(), name: name.clone(), key: *key, serial };
        let binding = common::record::Binding::sign(&SERVER, &bound);
        let prekey = CheckedPrekey { counter: 1, record: record.clone() };
        (Ticket(serial), StoreOp::Register { key: *key, name, binding, serial, prekey, now_ms: BEGIN.wall_ms })
    });
    store.apply(ops.collect()).expect("names");
    store.snapshot().expect("a copy")
});

fn person(seed: u8) -> (PublicKey, PrekeyRecord) {
    let who = Identity::from_seed(&[seed; 32]);
    let prekey = Prekey { owner: who.public(), counter: 1, created_ms: 0, key: vec![seed; PREKEY_BYTES] };
    (who.public(), PrekeyRecord::sign(&who, &prekey))
}

#[derive(Debug, Default)]
struct Session {
    who: usize,
    open: bool,
    logged_in: bool,
    token: Option<wire::Token>,
    /// Requests and deposits not answered yet.
    asked: BTreeMap<u32, usize>,
    deposits: usize,
}

struct World<'a> {
    input: Input<'a>,
    core: Directory,
    store: Store,
    now: Now,
    jobs: VecDeque<(Ticket, StoreOp)>,
    applied: VecDeque<Applied>,
    sessions: BTreeMap<SessionId, Session>,
    ever_in: BTreeSet<PublicKey>,
    tokens: BTreeMap<usize, wire::Token>,
    /// What the disk has ever held at a place, and the numbers it gave.
    held: BTreeMap<(PublicKey, Place), BTreeSet<Vec<u8>>>,
    numbers: BTreeMap<u64, (PublicKey, Place)>,
    /// What was said to be kept; and what those entitled did to end it, before or after.
    kept: BTreeSet<(PublicKey, Place)>,
    withdrawn: BTreeSet<(PublicKey, Place)>,
    taken: BTreeSet<(PublicKey, u64)>,
    released: BTreeSet<PublicKey>,
    chains: Chains,
    files: Files,
    ended: bool,
    forgets: bool,
}

/// Sessions with frames in any order.
pub(super) fn sessions(bytes: &[u8]) {
    let store = Store::from_snapshot(&STORE).expect("a store");
    let head = store.head().expect("a head");
    let mut world = World {
        input: Input::new(bytes),
        core: Directory::new(Limits::default(), SERVER.clone(), [7; 32], head, BEGIN),
        store,
        now: BEGIN,
        jobs: VecDeque::new(),
        applied: VecDeque::new(),
        sessions: BTreeMap::new(),
        ever_in: BTreeSet::new(),
        tokens: BTreeMap::new(),
        held: BTreeMap::new(),
        numbers: BTreeMap::new(),
        kept: BTreeSet::new(),
        withdrawn: BTreeSet::new(),
        taken: BTreeSet::new(),
        released: BTreeSet::new(),
        chains: Chains::default(),
        files: Files::default(),
        ended: false,
        forgets: false,
    };
    for _ in 0..256 {
        if world.input.is_empty() || world.ended {
            break;
        }
        world.step();
    }
    world.judge();
}

impl World<'_> {
    fn step(&mut self) {
        let byte = self.input.byte();
        match byte % 16 {
            0 => drop(self.open()),
            1 | 2 => self.log_in(),
            3 => self.hello(),
            4 => self.confirm(),
            5 => self.leap(),
            6 => {
                self.run_store();
                self.answer();
            }
            7 => self.odd(byte),
            8 => self.raw(),
            14 => self.file(),
            15 => self.talk(),
            _ => self.request(),
        }
        if byte & 0x80 == 0 {
            self.settle();
        }
    }

    fn tell(&mut self, told: Told) {
        self.core.handle(told, self.now);
        let mut outputs = 0;
        while let Some(output) = self.core.poll_output() {
            outputs += 1;
            assert!(outputs <= OUTPUTS_MAX, "one input causes more than {OUTPUTS_MAX} outputs");
            self.output(output);
        }
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::Send { session, frame } => self.sent(session, &frame),
            Output::Share { ticket, sessions, frame } => self.share(ticket, &sessions, &frame),
            Output::Close { session } => {
                let known = self.sessions.get_mut(&session).expect("a session that was opened");
                assert!(std::mem::take(&mut known.open), "closed twice");
                known.logged_in = false;
            }
            Output::Pause { session } | Output::Resume { session } => assert!(self.sessions[&session].open),
            Output::Store { ticket, op } => {
                self.may_ask(&op);
                self.jobs.push_back((ticket, op));
            }
            Output::Fatal => self.ended = true,
        }
    }

    /// Every other one has too much waiting for what is shared.
    fn share(&mut self, ticket: Ticket, sessions: &[SessionId], frame: &FromDirectory) {
        let taking: Vec<SessionId> = sessions.iter().copied().filter(|session| session.0 % 2 == 0).collect();
        for session in &taking {
            self.sent(*session, frame);
        }
        self.core.handle(Told::Shared { ticket, count: u32::try_from(taking.len()).expect("few") }, self.now);
    }

    /// Nothing is read or written for somebody who has not logged in, but what the login itself needs.
    fn may_ask(&self, op: &StoreOp) {
        let whose = match op {
            StoreOp::LoadAccount { .. }
            | StoreOp::OfferToken { .. }
            | StoreOp::ConfirmToken { .. }
            | StoreOp::Expire(_) => return,
            StoreOp::LookUp { .. } | StoreOp::Who { .. } | StoreOp::LastSeen { .. } => {
                return assert!(!self.ever_in.is_empty(), "nobody has logged in, and {op:?} is asked");
            }
            StoreOp::Register { key, .. }
            | StoreOp::Deregister { key }
            | StoreOp::Online { key, .. }
            | StoreOp::WentOffline { key, .. }
            | StoreOp::PutPrekey { key, .. }
            | StoreOp::Accept { key, .. } => key,
            StoreOp::Deposit(op) => &op.submitter,
            StoreOp::PutSlot(op) => &op.from,
            StoreOp::Group(GroupOp::Step(op)) => &op.step.by,
            StoreOp::Group(GroupOp::Restore(op)) => &op.key,
            StoreOp::Group(GroupOp::Steps { key, .. } | GroupOp::News { key, .. } | GroupOp::List { key, .. }) => key,
            StoreOp::File(FileOp::Begin(op)) => &op.submitter,
            StoreOp::File(FileOp::Put(op)) => &op.submitter,
            StoreOp::File(FileOp::Get { recipient, .. }) => recipient,
            StoreOp::File(FileOp::Drop { key, .. }) => key,
            StoreOp::Withdraw { submitter, .. } | StoreOp::Have { submitter, .. } => submitter,
            StoreOp::Take { recipient, .. }
            | StoreOp::Page { recipient, .. }
            | StoreOp::Waiting { recipient }
            | StoreOp::TakeSlot { recipient, .. }
            | StoreOp::SlotPage { recipient, .. } => recipient,
        };
        assert!(self.ever_in.contains(whose), "{op:?} is asked for a key that has not logged in");
    }

    fn sent(&mut self, session: SessionId, frame: &FromDirectory) {
        fits(frame);
        let known = self.sessions.get_mut(&session).expect("a session that was opened");
        assert!(known.open, "{frame:?} after the end of a session");
        let key = PEOPLE[known.who].0;
        match frame {
            FromDirectory::Welcome(welcome) => {
                known.token = Some(welcome.token);
                self.tokens.insert(known.who, welcome.token);
                return;
            }
            FromDirectory::TokenKept(_) => {
                known.logged_in = true;
                self.ever_in.insert(key);
                let who = known.who;
                let live = self.sessions.values().filter(|other| other.who == who && other.logged_in && other.open);
                return assert_eq!(live.count(), 1, "two sessions of one key are logged in");
            }
            FromDirectory::Behind(_) | FromDirectory::Rejected(_) | FromDirectory::Pong(_) => return,
            _ => assert!(known.logged_in, "{frame:?} before the login"),
        }
        let answered = match frame {
            FromDirectory::Done(frame) => Some(frame.request),
            FromDirectory::Refused(frame) => Some(frame.request),
            FromDirectory::Registered(frame) => Some(frame.request),
            FromDirectory::Person(frame) => Some(frame.request),
            FromDirectory::People(frame) => Some(frame.request),
            FromDirectory::Had(frame) => Some(frame.request),
            FromDirectory::BroadcastSent(frame) => Some(frame.request),
            FromDirectory::GroupSteps(frame) => Some(frame.request),
            FromDirectory::Groups(frame) => Some(frame.request),
            _ => None,
        };
        if let Some(request) = answered {
            let open = known.asked.get_mut(&request).filter(|open| **open > 0);
            *open.unwrap_or_else(|| panic!("{frame:?} answers nothing")) -= 1;
        }
        self.files.answered(session, key, frame);
        if let FromDirectory::Deposited(deposited) = frame {
            for answer in &deposited.answers {
                known.deposits = known.deposits.checked_sub(1).expect("an answer for each deposit, no more");
                if answer.refusal.is_none() {
                    let place = (key, answer.place);
                    assert!(self.held.contains_key(&place), "said to be kept, and never was on the disk");
                    self.kept.insert(place);
                }
            }
        }
        if let FromDirectory::Item(item) = frame {
            let place = Place { recipient: key, epoch: item.epoch, seq: item.seq };
            let held = self.held.get(&(item.submitter, place));
            assert!(held.is_some_and(|held| held.contains(&item.sealed)), "an item that nobody deposited for this key");
        }
    }

    fn run_store(&mut self) {
        let count = (self.input.below(16) + 1).min(self.jobs.len());
        self.apply(count);
    }

    fn apply(&mut self, count: usize) {
        let batch: Vec<(Ticket, StoreOp)> = self.jobs.drain(..count).collect();
        if batch.is_empty() {
            return;
        }
        let applied = self.store.apply(batch).expect("whatever the core asks can be carried out");
        for (_, result) in &applied.results {
            self.chains.stored(result);
            if let StoreResult::Deposited { op, kept: Ok(number) } = result {
                let place = (op.submitter, op.deposit.place);
                self.held.entry(place).or_default().insert(op.deposit.sealed.clone());
                self.numbers.insert(*number, place);
            }
        }
        self.applied.push_back(applied);
    }

    fn answer(&mut self) {
        if let Some(Applied { results, commits, .. }) = self.applied.pop_front() {
            self.tell(Told::Stored { results, commits });
        }
    }

    fn settle(&mut self) {
        for _ in 0..64 {
            self.apply(self.jobs.len());
            if self.applied.is_empty() {
                return;
            }
            self.answer();
        }
        panic!("the core asks the store for ever");
    }

    fn open(&mut self) -> SessionId {
        let session = SessionId(self.sessions.len() as u64 + 1);
        let who = self.input.below(PEOPLE.len());
        let hosts: [[u8; 4]; 3] = [[127, 0, 0, 1], [10, 0, 0, 1], [192, 0, 2, 1]];
        let address = SocketAddr::from((self.input.pick(&hosts), 4_000));
        self.sessions.insert(session, Session { who, open: true, ..Session::default() });
        self.tell(Told::SessionOpened { session, key: PEOPLE[who].0, address });
        session
    }

    /// A login as an honest peer makes it, so that most inputs get behind it.
    fn log_in(&mut self) {
        let session = self.open();
        let token = self.tokens.get(&self.sessions[&session].who).copied();
        let generation = self.input.number();
        self.send_hello(session, generation, token);
        self.settle();
        if let Some(token) = self.sessions[&session].token {
            self.frame(session, wire::ConfirmToken { token });
            self.settle();
            let prekey = PEOPLE[self.sessions[&session].who].1.clone();
            self.frame(
                session,
                wire::Online { request: 0, candidates: vec![], prekey, standing: wire::Standing::Online, note: None },
            );
        }
    }

    fn hello(&mut self) {
        let Some(session) = self.some_session() else { return };
        let token = self.some_token(session);
        let generation = self.input.number();
        self.send_hello(session, generation, token);
    }

    fn send_hello(&mut self, session: SessionId, generation: u64, token: Option<wire::Token>) {
        let epoch = Epoch { generation, id: EpochId([self.input.byte() % 2; 16]) };
        let instance = [self.input.byte() % 3; 16];
        self.frame(session, wire::Hello { versions: (1, 1), features: 0, instance, epoch, token });
    }

    fn confirm(&mut self) {
        let Some(session) = self.some_session() else { return };
        let token = self.some_token(session).unwrap_or([0; 16]);
        self.frame(session, wire::ConfirmToken { token });
    }

    fn some_session(&mut self) -> Option<SessionId> {
        let newest = self.sessions.len() as u64;
        // Mostly one of the newest, so that few bytes reach a session that is alive.
        let back = self.input.below(6) as u64;
        (newest > 0).then(|| SessionId(newest - back.min(newest - 1)))
    }

    fn some_token(&mut self, session: SessionId) -> Option<wire::Token> {
        let who = self.input.below(8);
        let own = self.sessions[&session].token.or_else(|| self.tokens.get(&self.sessions[&session].who).copied());
        if who < 4 { own } else { self.tokens.get(&(who - 4)).copied() }
    }

    fn leap(&mut self) {
        let steps = [0, 1, 20, 500, 5_000, 31_000, 91_000, DAY_MS, 36 * DAY_MS];
        let leap_ms = self.input.pick(&steps);
        self.forgets |= leap_ms >= DAY_MS;
        self.now.mono_ms += leap_ms;
        self.now.wall_ms += i64::try_from(leap_ms).unwrap_or(0);
        if self.input.below(8) == 0 {
            let skew_ms = self.input.pick(&[-315_360_000_000, -3_600_000, 3_600_000, 315_360_000_000]);
            self.forgets |= skew_ms > 3_600_000;
            self.now.wall_ms += skew_ms;
        }
        if self.core.poll_timeout().is_some_and(|due_ms| due_ms <= self.now.mono_ms) {
            self.tell(Told::Timeout);
            assert!(
                self.core.poll_timeout().is_none_or(|due_ms| due_ms > self.now.mono_ms),
                "a deadline that stays due"
            );
        }
    }

    fn odd(&mut self, byte: u8) {
        let what = self.input.below(8);
        if what == 0 && byte >= 0xf0 {
            self.forgets = true;
            let end = if self.input.flag() { Told::StoreFailed } else { Told::Shutdown };
            return self.tell(end);
        }
        if what < 4 {
            let free_bytes = self.input.pick(&[0, 100 << 20, 400 << 20, 100 << 30]);
            return self.tell(Told::DiskFree { free_bytes, total_bytes: 1 << 40 });
        }
        let Some(session) = self.some_session() else { return };
        if !self.sessions[&session].open {
            return;
        }
        match what {
            4 => self.tell(Told::BadFrame { session }),
            5 => {
                let kind = u16::from_be_bytes(self.input.array());
                self.tell(Told::UnknownFrame { session, kind });
            }
            _ => {
                let known = self.sessions.get_mut(&session).expect("a session");
                (known.open, known.logged_in) = (false, false);
                self.tell(Told::SessionClosed { session });
            }
        }
    }

    fn raw(&mut self) {
        let Some(session) = self.some_session() else { return };
        let kind = 0x0101 + u16::from(self.input.byte() % 28);
        if let Ok(frame) = ToDirectory::decode(kind, self.input.blob(255)) {
            self.frame(session, frame);
        }
    }

    /// A frame arrives on a session that still reads.
    fn frame(&mut self, session: SessionId, frame: impl Into<ToDirectory>) {
        let frame = frame.into();
        let known = self.sessions.get_mut(&session).expect("a session");
        if !known.open {
            return;
        }
        if let Some(request) = asks(&frame) {
            *known.asked.entry(request).or_default() += 1;
        }
        let key = PEOPLE[known.who].0;
        self.files.asked(session, key, &frame);
        match &frame {
            ToDirectory::Deposit(_) => known.deposits += 1,
            ToDirectory::Withdraw(frame) => self.withdrawn.extend(frame.places.iter().map(|place| (key, *place))),
            ToDirectory::Take(frame) => self.taken.extend(frame.items.iter().map(|(number, _)| (key, *number))),
            ToDirectory::Deregister(_) => self.released.extend([key]),
            _ => {}
        }
        self.tell(Told::Frame { session, frame });
    }

    /// Frames of a logged-in peer, or of one who acts as if.
    fn request(&mut self) {
        let Some(session) = self.some_session() else { return };
        let frame = some_request(&mut self.input, self.numbers.len() as u64);
        self.frame(session, frame);
    }

    /// About files in pieces.
    fn file(&mut self) {
        let Some(session) = self.some_session() else { return };
        let frame = some_file(&mut self.input);
        self.frame(session, frame);
    }

    /// To all others, or about groups.
    fn talk(&mut self) {
        let Some(session) = self.some_session() else { return };
        let frame = some_talk(&mut self.input, &self.chains, self.sessions[&session].who);
        self.frame(session, frame);
    }

    /// Everything that was said to be kept is still there, unless somebody entitled ended it.
    fn judge(&mut self) {
        if self.ended || self.forgets {
            return;
        }
        self.settle();
        let taken =
            self.numbers.iter().filter(|(number, (_, place))| self.taken.contains(&(place.recipient, **number)));
        let taken: BTreeSet<_> = taken.map(|(_, place)| *place).collect();
        let mut kept = std::mem::take(&mut self.kept);
        kept.retain(|place| !self.withdrawn.contains(place) && !taken.contains(place));
        kept.retain(|(submitter, place)| ![submitter, &place.recipient].iter().any(|key| self.released.contains(*key)));
        for (submitter, place) in kept {
            let have = StoreOp::Have { submitter, places: vec![place] };
            let applied = self.store.apply(vec![(Ticket(u64::MAX), have)]).expect("a store");
            let [(_, StoreResult::Fates(fates))] = applied.results.as_slice() else { panic!("one answer") };
            assert_eq!(fates.as_slice(), [Fate::Held], "what was said to be kept at {place:?} is gone");
        }
    }
}
