//! Mail of somebody who is busy now and then, goes and comes back, over the core and its real store: whatever the order of
//! things, everything is handed out in the end, in the order of its lane, and nothing twice.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, VecDeque};

use common::identity::{Identity, PublicKey};
use common::limits::PREKEY_BYTES;
use common::message::{Epoch, EpochId};
use common::record::{Prekey, PrekeyRecord};
use common::wire::directory::*;
use directory_core::limits::MailboxLimits;
use directory_core::{Directory, Input, Limits, Now, Output, SessionId, StoreOp, Ticket};
use directory_server::store::Store;
use proptest::collection::vec;
use proptest::prelude::*;

const BOB: u8 = 9;

fn identity(of: u8) -> Identity {
    Identity::from_seed(&[of; 32])
}

fn prekey(of: u8) -> PrekeyRecord {
    let key = vec![of; PREKEY_BYTES];
    PrekeyRecord::sign(&identity(of), &Prekey { owner: identity(of).public(), counter: 1, created_ms: 0, key })
}

/// One item that was handed out.
#[derive(Debug, Clone, Copy)]
struct Handed {
    number: u64,
    from: PublicKey,
    seq: u64,
    urgent: bool,
}

struct World {
    core: Directory,
    store: Store,
    now: Now,
    asked: VecDeque<(Ticket, StoreOp)>,
    sessions: u64,
    generation: u64,
    heard: BTreeMap<SessionId, Vec<FromDirectory>>,
    bob: SessionId,
    /// Whether Bob was told that he is busy, and not that he is not.
    busy: bool,
    /// Handed out in this session, in order, and of that not taken yet.
    handed: Vec<Handed>,
    out: Vec<u64>,
    /// By sender, the highest seq deposited; and every item ever deposited, by sender and seq: handed out to Bob or not.
    tops: BTreeMap<u8, u64>,
    /// Senders in the order of their first deposits, by which their lanes are numbered.
    lanes: Vec<PublicKey>,
    urgent: BTreeMap<(PublicKey, u64), bool>,
    got: BTreeMap<(PublicKey, u64), usize>,
    /// Since when in this session a drain goes on: how much had been handed out then.
    drain: Option<usize>,
}

impl World {
    fn new() -> Self {
        let store = Store::open_in_memory([1; 16]).unwrap();
        let now = Now { mono_ms: 1_000, wall_ms: 1_800_000_000_000 };
        // Small windows, so that few items reach every corner. Bob has accepted nobody, and refuses nobody all the same.
        let mailbox = MailboxLimits { stranger_items: 2_000, ..MailboxLimits::default() };
        let limits = Limits { window_items: 4, mailbox, ..Limits::default() };
        let core = Directory::new(limits, identity(200), [7; 32], store.head().unwrap(), now);
        let mut world = Self {
            core,
            store,
            now,
            asked: VecDeque::new(),
            sessions: 0,
            generation: 0,
            heard: BTreeMap::new(),
            bob: SessionId(0),
            busy: false,
            handed: vec![],
            out: vec![],
            tops: BTreeMap::new(),
            lanes: vec![],
            urgent: BTreeMap::new(),
            got: BTreeMap::new(),
            drain: None,
        };
        for who in [1, 2] {
            let session = world.log_in(who);
            let name = format!("user{who}").parse().unwrap();
            world.send(session, Register { request: 1, name, prekey: prekey(who) });
            world.settle();
        }
        let bob = world.log_in(BOB);
        world.send(bob, Register { request: 1, name: "bob".parse().unwrap(), prekey: prekey(BOB) });
        world.settle();
        world.input(Input::SessionClosed { session: bob });
        world.settle();
        world.reconnect(false);
        world
    }

    fn input(&mut self, input: Input) {
        self.core.handle(input, self.now);
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Send { session, frame } if session == self.bob => self.bob_hears(frame),
                Output::Send { session, frame } => self.heard.entry(session).or_default().push(frame),
                Output::Store { ticket, op } => self.asked.push_back((ticket, op)),
                Output::Share { ticket, .. } => self.core.handle(Input::Shared { ticket, count: 0 }, self.now),
                Output::Close { .. } | Output::Pause { .. } | Output::Resume { .. } => {}
                Output::Fatal => panic!("the store failed"),
            }
        }
    }

    fn send(&mut self, session: SessionId, frame: impl Into<ToDirectory>) {
        self.input(Input::Frame { session, frame: frame.into() });
    }

    /// The store answers so many questions.
    fn answer(&mut self, count: usize) {
        let count = count.min(self.asked.len());
        let ops: Vec<_> = self.asked.drain(..count).collect();
        if !ops.is_empty() {
            let applied = self.store.apply(ops).unwrap();
            self.input(Input::Stored { results: applied.results, commits: applied.commits });
        }
    }

    fn settle(&mut self) {
        while !self.asked.is_empty() {
            self.answer(usize::MAX);
        }
    }

    fn log_in(&mut self, who: u8) -> SessionId {
        (self.sessions, self.generation) = (self.sessions + 1, self.generation + 1);
        let session = SessionId(self.sessions);
        self.input(Input::SessionOpened {
            session,
            key: identity(who).public(),
            address: "127.0.0.1:5000".parse().unwrap(),
        });
        let epoch = Epoch { generation: self.generation, id: EpochId([who; 16]) };
        self.send(session, Hello { versions: (1, 1), features: 0, instance: [who; 16], epoch, token: None });
        self.settle();
        let heard = self.heard.remove(&session).unwrap();
        let [FromDirectory::Welcome(welcome)] = &heard[..] else { panic!("{heard:?}") };
        self.send(session, ConfirmToken { token: welcome.token });
        self.settle();
        session
    }

    /// Bob's connection breaks and he comes again, busy or not.
    fn reconnect(&mut self, busy: bool) {
        let old = std::mem::replace(&mut self.bob, SessionId(0));
        self.input(Input::SessionClosed { session: old });
        let session = self.log_in(BOB);
        (self.handed, self.out, self.drain, self.busy) = (vec![], vec![], None, busy);
        self.bob = session;
        let standing = if busy { Standing::Busy } else { Standing::Online };
        self.send(session, Online { request: 2, candidates: vec![], prekey: prekey(BOB), standing, note: None });
    }

    fn stand(&mut self, standing: Standing) {
        let request = if standing == Standing::Busy { 10 } else { 11 };
        self.send(self.bob, SetStanding { request, standing, note: None });
    }

    fn deposit(&mut self, from: u8, urgent: bool) {
        let top = self.tops.entry(from).or_default();
        *top += 1;
        let (seq, recipient) = (*top, identity(BOB).public());
        if seq == 1 {
            self.lanes.push(identity(from).public());
        }
        let place = Place { recipient, epoch: EpochId([from; 16]), seq };
        self.urgent.insert((identity(from).public(), seq), urgent);
        let tag = seq.to_be_bytes();
        let session = SessionId(u64::from(from));
        self.send(session, Deposit { place, tag, prekey: 1, urgent, human: true, sealed: vec![from; 20] });
    }

    fn take(&mut self, count: usize) {
        let count = count.min(self.out.len());
        let items = self.out.drain(..count).map(|number| (number, Taking::Stored)).collect();
        self.send(self.bob, Take { items });
    }

    fn bob_hears(&mut self, frame: FromDirectory) {
        match frame {
            FromDirectory::Done(done) if done.request == 10 => self.busy = true,
            FromDirectory::Done(done) if done.request == 11 => self.busy = false,
            FromDirectory::DrainBegin(_) => self.drain = Some(self.handed.len()),
            FromDirectory::DrainEnd(_) => {
                assert!(!self.busy, "the end of a drain tells who is busy that nothing waits");
                let since = self.drain.take().expect("a drain that has begun");
                let lane = |from| self.lanes.iter().position(|lane| *lane == from);
                let order = |handed: &Handed| (!handed.urgent, lane(handed.from), handed.seq);
                let drained: Vec<_> = self.handed[since..].iter().map(order).collect();
                assert!(drained.is_sorted(), "not the order of a drain: {drained:?}");
            }
            FromDirectory::Item(item) => self.bob_gets(&item),
            _ => {}
        }
    }

    fn bob_gets(&mut self, item: &Item) {
        let (from, seq) = (item.submitter, item.seq);
        let urgent = self.urgent[&(from, seq)];
        assert!(urgent || !self.busy, "{seq} is not urgent, and he is busy");
        assert!(self.handed.iter().all(|handed| handed.number != item.item), "{} twice in one session", item.item);
        let earlier = self.handed.iter().filter(|handed| handed.from == from && handed.urgent == urgent);
        assert!(earlier.clone().all(|handed| handed.seq < seq), "{seq} of {from:?} after {earlier:?}");
        self.handed.push(Handed { number: item.item, from, seq, urgent });
        self.out.push(item.item);
        *self.got.entry((from, seq)).or_default() += 1;
    }

    /// Bob is back and takes everything.
    fn finish(&mut self) {
        self.settle();
        self.stand(Standing::Online);
        self.settle();
        while !self.out.is_empty() {
            self.take(usize::MAX);
            self.settle();
        }
        assert_eq!(self.drain, None, "a drain without an end");
        let lost: Vec<_> = self.urgent.keys().filter(|at| !self.got.contains_key(at)).map(|(_, seq)| *seq).collect();
        assert!(lost.is_empty(), "never handed out: {lost:?}");
        let asked = StoreOp::Waiting { recipient: identity(BOB).public() };
        let left = self.store.apply(vec![(Ticket(u64::MAX), asked)]).unwrap().results;
        let directory_core::StoreResult::Waiting(left) = left[0].1 else { panic!("not an answer") };
        assert_eq!(left.human, 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn everything_is_handed_out_in_order_whenever_somebody_is_busy(
        steps in vec((0..16_u8, 1..3_u8, 1..8_usize), 1..120)
    ) {
        let mut world = World::new();
        for (what, from, count) in steps {
            match what {
                0..=4 => (0..count).for_each(|_| world.deposit(from, false)),
                5 => world.deposit(from, true),
                6..=7 => world.take(count),
                8 => world.stand(Standing::Busy),
                9 => world.stand(if from == 1 { Standing::Online } else { Standing::Away }),
                10 if count == 1 => world.reconnect(from == 1),
                _ => world.answer(count),
            }
        }
        world.finish();
    }
}
