//! A messenger with a name and two contacts, and a store that numbers what it is given.

use std::collections::{BTreeMap, VecDeque};

use common::body::{Body, Text};
use common::group::{Change, Membership, SignedStep, Step};
use common::identity::{Identity, PublicKey};
use common::message::{Conversation, Envelope, Epoch, EpochId, Header, Held, MessageId, PairState, digest_of};
use common::record::{Binding, Bound};
use common::wire::VERSIONS;
use common::wire::peer::{Greeting, Hello, PeerFrame};

use crate::command::{Command, ErrorCode, To, Which};
use crate::event::{Answer, CommandId, Config, Event, Input, LinkId, Now, Output, Source};
use crate::messenger::Messenger;
use crate::stored::{
    Arrived, Contact, DirectoryRecord, Meta, OutboxRow, Pin, Query, QueryResult, Snapshot, State, StoreOp, StoreResult,
    StoredMessage,
};

pub(super) const LINK: LinkId = LinkId(1);
pub(super) const GROUP: [u8; 16] = [7; 16];
const EPOCH: Epoch = Epoch { generation: 1, id: EpochId([5; 16]) };

pub(super) fn identity(seed: u8) -> Identity {
    Identity::from_seed(&[seed; 32])
}

pub(super) fn bob() -> PublicKey {
    identity(2).public()
}

pub(super) fn carol() -> PublicKey {
    identity(3).public()
}

pub(super) fn to(name: &str) -> To {
    match name.strip_prefix('@') {
        Some(group) => To::Group(group.parse().expect("a name")),
        None => To::Person { name: name.parse().expect("a name"), fingerprint: None },
    }
}

fn contact(key: PublicKey, name: &str) -> Contact {
    Contact {
        key,
        name: Some(name.parse().expect("a name")),
        serial: 1,
        verified: false,
        accepted: true,
        addresses: Vec::new(),
        prekey: None,
        applied: None,
        talked: true,
        blocked: false,
    }
}

/// What a store of somebody registered as `anna` holds.
pub(super) fn snapshot() -> Snapshot {
    let (directory, me) = (identity(9), identity(1).public());
    let bound = Bound { directory: directory.public(), name: "anna".parse().expect("a name"), key: me, serial: 1 };
    let meta = Meta {
        epoch: Epoch { generation: 1, id: EpochId([1; 16]) },
        highest_generation: 1,
        version_reserve: 1,
        age_ms: 1_000,
        wall_ms: 1_700_000_000_000,
        wants_online: true,
        suspended: false,
        left_cleanly: true,
        binding: Some(Binding::sign(&directory, &bound)),
        receipts: false,
        standing: common::wire::directory::Standing::Online,
        note: None,
    };
    let record = DirectoryRecord {
        address: "d:1".to_owned(),
        key: directory.public(),
        store_id: [0; 16],
        commits: 0,
        token: None,
    };
    let people = [(bob(), "bob"), (carol(), "carol")];
    let pin = |(key, name): (PublicKey, &str)| Pin {
        directory: directory.public(),
        name: name.parse().expect("a name"),
        key,
        serial: 1,
        rival: None,
        refused: Vec::new(),
    };
    Snapshot {
        meta: Some(meta),
        directory: Some(record),
        pins: people.into_iter().map(pin).collect(),
        contacts: people.into_iter().map(|(key, name)| contact(key, name)).collect(),
        ..Snapshot::default()
    }
}

/// The messenger and everything around it.
pub(super) struct Bench {
    pub core: Messenger,
    pub now: Now,
    pub events: Vec<Event>,
    pub ops: Vec<StoreOp>,
    pub queries: Vec<Query>,
    /// What a look at a message finds.
    pub lines: BTreeMap<u64, StoredMessage>,
    /// What the next arrivals are answered with, beside their numbers.
    pub arrived: VecDeque<(Option<StoredMessage>, Vec<u64>)>,
    /// What the next mark turns into read.
    pub read: Vec<(u64, MessageId, u64)>,
    /// What the next look at the countdowns finds.
    pub vanished: (Vec<u64>, Option<u64>),
    pub states: Vec<PairState>,
    rows: Vec<OutboxRow>,
    seq: u64,
    version: u64,
    next: u64,
}

impl Bench {
    pub fn new() -> Self {
        Self::from(snapshot())
    }

    pub fn from(snapshot: Snapshot) -> Self {
        let now = Now { mono_ms: 0, wall_ms: 1_700_000_000_000 };
        let config = Config {
            me: identity(1).public(),
            instance: [1; 16],
            seed: [1; 32],
            directory: "d:1".to_owned(),
            directory_pin: None,
            name: None,
            bind: ([127, 0, 0, 1], 1).into(),
            candidates: Vec::new(),
            shows: true,
            version: "0".to_owned(),
            accept_from: crate::event::AcceptFrom::Nobody,
        };
        let core = Messenger::new(config, snapshot, now);
        let mut bench = Self {
            core,
            now,
            events: Vec::new(),
            ops: Vec::new(),
            queries: Vec::new(),
            lines: BTreeMap::new(),
            arrived: VecDeque::new(),
            read: Vec::new(),
            vanished: (Vec::new(), None),
            states: Vec::new(),
            rows: Vec::new(),
            seq: 0,
            version: 0,
            next: 100,
        };
        bench.drain();
        bench
    }

    /// The core is told something, and everything that follows from it at once happens.
    pub fn input(&mut self, input: Input) {
        self.core.handle(input, self.now);
        self.drain();
    }

    /// Everything up to a moment happens.
    pub fn wait(&mut self, for_ms: u64) {
        self.now.mono_ms += for_ms;
        self.now.wall_ms += i64::try_from(for_ms).expect("not so long");
        self.input(Input::Wake);
    }

    pub fn drain(&mut self) {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Event(event) => self.events.push(event),
                Output::Store { ticket, ops } => {
                    let results = ops.iter().map(|op| self.carry_out(op)).collect();
                    self.ops.extend(ops);
                    self.core.handle(Input::Stored { ticket, results }, self.now);
                }
                Output::Query { ticket, query } => {
                    let result = self.look(&query);
                    self.queries.push(query);
                    self.core.handle(Input::Answered { ticket, result }, self.now);
                }
                Output::LinkSend { frame, .. } => {
                    if let PeerFrame::State(state) = *frame {
                        self.states.push(state);
                    }
                }
                _ => {}
            }
        }
    }

    fn look(&self, query: &Query) -> QueryResult {
        match query {
            Query::Message(Which::Number(n)) => QueryResult::Message(self.lines.get(n).cloned().map(Box::new)),
            Query::Message(Which::Id(id)) => {
                QueryResult::Message(self.lines.values().find(|line| line.id == *id).cloned().map(Box::new))
            }
            _ => QueryResult::History(Vec::new()),
        }
    }

    fn carry_out(&mut self, op: &StoreOp) -> StoreResult {
        match op {
            StoreOp::Queue(new) => {
                self.next += 1;
                self.rows.push(new.row.clone());
                let line = StoredMessage {
                    mine: true,
                    sender: identity(1).public(),
                    other: new.row.recipient,
                    kind: new.row.kind,
                    body: new.row.body.clone(),
                    conversation: new.row.conversation,
                    state: Some((State::Queued, None)),
                    ..line(self.next, new.row.id, "")
                };
                self.lines.insert(self.next, line);
                StoreResult::Queued { n: self.next }
            }
            StoreOp::Receive(_) => {
                self.next += 1;
                let (line, settled) = self.arrived.pop_front().unwrap_or_default();
                let line = line.map(Box::new);
                StoreResult::Arrived(Arrived::New { n: self.next, late: false, line, settled })
            }
            StoreOp::Read { .. } => StoreResult::Read(std::mem::take(&mut self.read)),
            StoreOp::Vanish { .. } => {
                let (numbers, next_age_ms) = std::mem::take(&mut self.vanished);
                StoreResult::Vanished { numbers, next_age_ms }
            }
            StoreOp::ForgetTexts(_) => StoreResult::Forgotten(3),
            _ => StoreResult::Done,
        }
    }

    /// Gives a command; its answer.
    pub fn command(&mut self, command: Command) -> Result<Answer, ErrorCode> {
        self.next += 1;
        let id = CommandId { source: Source(1), number: self.next };
        self.input(Input::Command { id, command: Ok(command) });
        let answer = self.events.iter().find_map(|event| match event {
            Event::Answer { id: of, answer } if *of == id => Some(answer.clone()),
            _ => None,
        });
        let answer = answer.expect("every command is answered");
        answer.map(|answer| *answer).map_err(|error| error.code)
    }

    /// Sends a text; its number and identity.
    pub fn send(&mut self, name: &str, text: &str) -> (u64, MessageId) {
        let send = Command::Send { to: to(name), text: text.to_owned(), key: None, urgent: false, reply_to: None };
        match self.command(send) {
            Ok(Answer::Sent { id, n, .. }) => (n, id),
            other => panic!("not sent: {other:?}"),
        }
    }

    /// The last message that was queued.
    pub fn queued(&self) -> (Vec<PublicKey>, Body) {
        let new = self.ops.iter().rev().find_map(|op| match op {
            StoreOp::Queue(new) => Some(new),
            _ => None,
        });
        let new = new.expect("something was queued");
        let others = new.copies.iter().map(|copy| copy.recipient);
        (std::iter::once(new.row.recipient).chain(others).collect(), Body::decode(new.row.kind, &new.row.body))
    }

    /// A link to bob stands.
    pub fn link(&mut self) {
        self.input(Input::LinkUp { link: LINK, key: bob(), address: ([127, 0, 0, 1], 2).into(), dialled: false });
        let state = self.state_of_bob();
        let greeting =
            Greeting { versions: VERSIONS, features: 0, instance: [2; 16], epoch: EPOCH, binding: None, state };
        self.input(Input::LinkFrame { link: LINK, frame: Box::new(PeerFrame::Hello(Hello(greeting))) });
    }

    fn state_of_bob(&mut self) -> PairState {
        self.version += 1;
        PairState {
            from: bob(),
            to: identity(1).public(),
            epoch: EPOCH,
            version: self.version,
            floor: 1,
            applied: None,
            held: None,
            read: None,
            blocked: false,
            prekey: None,
        }
    }

    /// Bob says that he holds everything so far, and up to where he has read.
    pub fn bob_holds_all(&mut self, read: Option<MessageId>) {
        let mut state = self.state_of_bob();
        let rows: Vec<&OutboxRow> = self.rows.iter().filter(|row| row.recipient == bob()).collect();
        let mut digest = [0; 8];
        for row in &rows {
            for (all, one) in digest.iter_mut().zip(digest_of(row.seq, &row.id)) {
                *all ^= one;
            }
        }
        let epoch = Epoch { generation: 1, id: EpochId([1; 16]) };
        let top = rows.last().map_or(0, |row| row.seq);
        state.held = (top > 0).then_some(Held { epoch, floor: 1, top, missing: Vec::new(), digest });
        state.read = read;
        self.input(Input::LinkFrame { link: LINK, frame: Box::new(PeerFrame::State(state)) });
    }

    /// A message of bob arrives, as `change` makes it from a text; its number.
    pub fn bob_writes(&mut self, id: u8, body: &Body, change: impl FnOnce(&mut Header)) -> u64 {
        let (kind, bytes) = body.encode();
        self.bob_sends(id, kind, bytes, change)
    }

    pub fn bob_sends(&mut self, id: u8, kind: u16, body: Vec<u8>, change: impl FnOnce(&mut Header)) -> u64 {
        self.seq += 1;
        let mut header = Header {
            sender: bob(),
            recipient: identity(1).public(),
            epoch: EPOCH,
            seq: self.seq,
            floor: 1,
            id: MessageId([id; 16]),
            after: None,
            ordered: Body::is_line(kind),
            urgent: false,
            conversation: Conversation::Pair,
            sent_at_ms: 0,
            kind,
        };
        change(&mut header);
        let envelope = Envelope { header, body };
        self.input(Input::LinkFrame { link: LINK, frame: Box::new(PeerFrame::Envelope(envelope)) });
        self.next
    }

    /// What was asked to be marked as put out.
    pub fn marked(&self) -> Vec<u64> {
        let numbers = self.ops.iter().filter_map(|op| match op {
            StoreOp::Shown(numbers) => Some(numbers.clone()),
            _ => None,
        });
        numbers.flatten().collect()
    }

    /// Anna is in a group with bob and carol.
    pub fn in_a_group(&mut self) {
        self.in_a_group_with(&[identity(2), identity(3)]);
    }

    /// Anna is in a group with these, who came one after the other.
    pub fn in_a_group_with(&mut self, others: &[Identity]) -> Membership {
        let anna = identity(1);
        let change = Change::Found { name: "family".parse().expect("a name"), private: false };
        let founding = SignedStep::sign(&anna, &Step::founding(GROUP, anna.public(), 0, change));
        let mut group = Membership::found(&founding).expect("a founding");
        for member in others {
            let step = group.next(member.public(), 0, Change::Join);
            group.apply(&SignedStep::sign(member, &step)).expect("anybody may join");
        }
        self.core.groups.put(group.clone(), Some(founding));
        group
    }
}

/// A line of bob's as the store holds it.
pub(super) fn line(n: u64, id: MessageId, text: &str) -> StoredMessage {
    let (kind, body) = Body::Text(Text { text: text.to_owned(), reply_to: None }).encode();
    StoredMessage {
        n,
        id,
        sender: bob(),
        other: bob(),
        mine: false,
        conversation: Conversation::Pair,
        kind,
        body,
        sent_at_ms: 5,
        received_at_ms: 0,
        via: None,
        request: false,
        urgent: false,
        waited: false,
        ordered: true,
        after: None,
        state: None,
        elapsed_ms: 0,
        quote: None,
        edited: false,
        gone: None,
        reactions: Vec::new(),
        tally: None,
    }
}

pub(super) fn text(text: &str) -> Body {
    Body::Text(Text { text: text.to_owned(), reply_to: None })
}
