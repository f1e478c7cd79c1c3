//! The messenger from within: what it decides about acknowledgements, epochs and arrivals, each decision at its bounds.
//! Conversations, crashes and storms are the simulation's.

use crate::event::Dropped;
use common::identity::Identity;
use common::limits::PREKEY_BYTES;
use common::message::{Envelope, EpochId, Header, PairState};
use common::record::{Prekey, PrekeyRecord};
use common::wire::directory::ToDirectory;
use common::wire::peer::PeerFrame;

use super::*;
use crate::event::LinkId;
use crate::outbox::{Deposit, Outgoing};
use crate::registration::Step;
use crate::stored::{Arrived, Contact};

mod arriving;
mod company;
mod pairing;
mod shouted;

const ALICE: u8 = 1;
/// Accepted, and known by name.
const BOB: u8 = 2;
/// Known by name, not accepted.
const EVE: u8 = 3;

fn key(of: u8) -> PublicKey {
    Identity::from_seed(&[of; 32]).public()
}

fn epoch(generation: u64, of: u8) -> Epoch {
    Epoch { generation, id: EpochId([of; 16]) }
}

fn id(number: u64) -> MessageId {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    MessageId(bytes)
}

fn prekey(of: u8, counter: u64) -> PrekeyRecord {
    let owner = Identity::from_seed(&[of; 32]);
    let prekey = Prekey { owner: owner.public(), counter, created_ms: 0, key: vec![of; PREKEY_BYTES] };
    PrekeyRecord::sign(&owner, &prekey)
}

fn contact(of: u8, name: &str, accepted: bool) -> Contact {
    Contact {
        key: key(of),
        name: Some(name.parse().unwrap()),
        serial: 1,
        verified: false,
        accepted,
        addresses: Vec::new(),
        prekey: Some(prekey(of, 1)),
        applied: None,
        talked: accepted,
        blocked: false,
    }
}

/// What `from` says of its lane, and nothing more.
fn state(from: u8, version: u64) -> PairState {
    PairState {
        from: key(from),
        to: key(ALICE),
        epoch: epoch(3, from),
        version,
        floor: 1,
        applied: None,
        held: None,
        read: None,
        blocked: false,
        prekey: None,
    }
}

/// Message `number` of `from`, at the seq of that number.
fn envelope(from: u8, number: u64) -> Envelope {
    let header = Header {
        sender: key(from),
        recipient: key(ALICE),
        epoch: epoch(3, from),
        seq: number,
        floor: 1,
        id: id(number),
        after: number.checked_sub(2).map(|_| id(number - 1)),
        ordered: true,
        urgent: false,
        conversation: Conversation::Pair,
        sent_at_ms: 0,
        kind: 1,
    };
    Envelope { header, body: vec![7; 10] }
}

fn own_row(to: u8, n: u64, seq: u64) -> OutboxRow {
    OutboxRow {
        n,
        id: id(n),
        recipient: key(to),
        seq,
        after: None,
        ordered: true,
        urgent: false,
        conversation: Conversation::Pair,
        sent_at_ms: 0,
        kind: 1,
        body: vec![1; 10],
        state: State::Queued,
        reason: None,
        queued_age_ms: 0,
        via: None,
        elapsed_ms: 0,
    }
}

/// Alice's messenger over a store that writes whatever it is asked, online, with links where the test makes them.
struct Bench {
    core: Messenger,
    now: Now,
    stored: Vec<StoreOp>,
    out: Vec<Output>,
    arrived: BTreeMap<(PublicKey, MessageId), u64>,
}

impl Bench {
    fn new() -> Self {
        let mut bench = Self::from(Snapshot::default());
        bench.forget();
        bench
    }

    /// Begins with a store that knows bob and eve, and what else is given.
    fn from(snapshot: Snapshot) -> Self {
        let now = Now { mono_ms: 1_000_000, wall_ms: 1_700_000_000_000 };
        let bind = "127.0.0.1:4000".parse().unwrap();
        let config = Config {
            me: key(ALICE),
            instance: [1; 16],
            seed: [1; 32],
            directory: "localhost:4600".to_owned(),
            directory_pin: None,
            name: None,
            bind,
            candidates: vec![bind],
            shows: true,
            version: "0".to_owned(),
            accept_from: crate::event::AcceptFrom::Nobody,
        };
        let contacts = vec![contact(BOB, "bob", true), contact(EVE, "eve", false)];
        let core = Messenger::new(config, Snapshot { contacts, ..snapshot }, now);
        let mut bench = Self { core, now, stored: Vec::new(), out: Vec::new(), arrived: BTreeMap::new() };
        bench.core.meta.epoch = epoch(5, ALICE);
        bench.core.meta.highest_generation = 5;
        bench.core.session.go(Step::Online);
        bench.settle();
        bench
    }

    /// Carries out everything that is asked for, until nothing is.
    fn settle(&mut self) {
        while let Some(output) = self.core.poll_output() {
            if let Output::Store { ticket, ops } = output {
                let results = ops.iter().map(|op| self.carry_out(op)).collect();
                self.stored.extend(ops);
                self.core.handle(Input::Stored { ticket, results }, self.now);
            } else {
                self.out.push(output);
            }
        }
    }

    fn carry_out(&mut self, op: &StoreOp) -> StoreResult {
        let StoreOp::Receive(arrival) = op else { return StoreResult::Done };
        let n = self.arrived.len() as u64 + 1;
        let place = (arrival.sender, arrival.id);
        let known = self.arrived.get(&place).copied();
        self.arrived.entry(place).or_insert(n);
        StoreResult::Arrived(
            known.map_or(Arrived::New { n, late: false, line: None, settled: Vec::new() }, |n| Arrived::Double { n }),
        )
    }

    fn forget(&mut self) {
        self.stored.clear();
        self.out.clear();
    }

    fn pass(&mut self, ms: u64) {
        self.now.mono_ms += ms;
        self.now.wall_ms += i64::try_from(ms).unwrap();
        self.core.now = self.now;
    }

    fn wake(&mut self) {
        self.core.handle(Input::Wake, self.now);
        self.settle();
    }

    /// A greeted link to somebody.
    fn link(&mut self, to: u8) -> LinkId {
        let link = LinkId(u64::from(to) * 2 + 1);
        self.core.links.up(link, key(to), "10.0.0.3:4000".parse().unwrap(), false, self.now.mono_ms);
        self.core.links.greeted(link, [to; 16], &key(ALICE));
        link
    }

    /// An own message that is committed and waits, with its deposit as given.
    fn waiting(&mut self, to: u8, n: u64, deposit: Deposit) -> u64 {
        let seq = self.core.sent.entry(key(to)).or_default().give(id(n));
        let mut message = Outgoing::new(own_row(to, n, seq), true);
        message.deposit = deposit;
        self.core.outbox.put(message);
        seq
    }

    fn apply(&mut self, from: u8, state: PairState) {
        self.core.apply(key(from), state, Via::Direct);
    }

    /// Pair states that went out on links since this was last asked.
    fn states_sent(&mut self) -> Vec<PairState> {
        self.settle();
        let sent = self.out.iter().filter_map(|output| match output {
            Output::LinkSend { frame, .. } => match frame.as_ref() {
                PeerFrame::State(state) => Some(state.clone()),
                _ => None,
            },
            _ => None,
        });
        sent.collect()
    }

    fn dropped(&mut self) -> Vec<Dropped> {
        let dropped = |output: &Output| if let Output::Dropped { why, .. } = output { Some(*why) } else { None };
        let why = self.core.out.iter().filter_map(dropped).collect();
        self.core.out.retain(|output| dropped(output).is_none());
        why
    }

    fn to_directory(&self) -> Vec<&ToDirectory> {
        self.out
            .iter()
            .filter_map(|output| match output {
                Output::DirectorySend(frame) => Some(frame.as_ref()),
                _ => None,
            })
            .collect()
    }
}
