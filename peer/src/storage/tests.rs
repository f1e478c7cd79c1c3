//! What the store keeps, proved from outside: ops in, results, queries and snapshots out.

mod disk;
mod others;
mod own;
mod queue;

use common::body::Body;
use common::identity::PublicKey;
use common::message::{Conversation, Epoch, EpochId, MessageId};
use peer_core::event::Ticket;
use peer_core::stored::{
    Arrival, Arrived, NewMessage, OutboxRow, Query, QueryResult, Snapshot, State, StoreOp, StoreResult, StoredMessage,
    Via,
};

use super::Store;

pub const ME: PublicKey = PublicKey([1; 32]);
pub const BOB: PublicKey = PublicKey([2; 32]);
pub const EVE: PublicKey = PublicKey([3; 32]);
pub const DIRECTORY: &str = "localhost:4600";

pub fn store() -> Store {
    Store::open_in_memory(ME).unwrap()
}

pub fn id(number: u64) -> MessageId {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    MessageId(bytes)
}

pub fn epoch(generation: u64) -> Epoch {
    Epoch { generation, id: EpochId([generation.to_le_bytes()[0]; 16]) }
}

/// An own message to `to`.
pub fn own(to: PublicKey, number: u64, seq: u64) -> NewMessage {
    let row = OutboxRow {
        n: 0,
        id: id(number),
        recipient: to,
        seq,
        after: number.checked_sub(1).map(id),
        ordered: true,
        urgent: false,
        conversation: Conversation::Pair,
        sent_at_ms: 1_000,
        kind: Body::TEXT,
        body: format!("own {number}").into_bytes(),
        state: State::Queued,
        reason: None,
        queued_age_ms: 5,
        via: None,
        elapsed_ms: 0,
    };
    NewMessage { row, key: None, reply_to: None, copies: Vec::new(), amends: None, vanishes_ms: None, at_ms: 1_000 }
}

/// A message of `from`, held at its own number in generation 1.
pub fn theirs(from: PublicKey, number: u64) -> Arrival {
    Arrival {
        sender: from,
        id: id(number),
        after: number.checked_sub(1).map(id),
        ordered: true,
        urgent: false,
        conversation: Conversation::Pair,
        sent_at_ms: 1_000,
        received_at_ms: 2_000,
        kind: Body::TEXT,
        body: format!("theirs {number}").into_bytes(),
        via: Via::Direct,
        waited: false,
        request: false,
        held: Some((epoch(1), number)),
        reply_to: None,
        amends: None,
        vanishes_ms: None,
    }
}

pub fn queue(message: NewMessage) -> StoreOp {
    StoreOp::Queue(Box::new(message))
}

pub fn receive(arrival: Arrival) -> StoreOp {
    StoreOp::Receive(Box::new(arrival))
}

pub fn follow(sender: PublicKey, generation: u64, floor: u64) -> StoreOp {
    StoreOp::Follow { sender, epoch: epoch(generation), floor }
}

pub fn state(n: u64, recipient: PublicKey, state: State) -> StoreOp {
    StoreOp::State { n, recipient, state, via: Some(Via::Directory), reason: None, at_ms: 1_500, elapsed_ms: 500 }
}

pub fn apply(store: &mut Store, ops: Vec<StoreOp>) -> Vec<StoreResult> {
    let mut answers = store.apply(vec![(Ticket(7), ops)]).unwrap();
    let (ticket, results) = answers.remove(0);
    assert!(answers.is_empty() && ticket == Ticket(7));
    results
}

pub fn one(store: &mut Store, op: StoreOp) -> StoreResult {
    apply(store, vec![op]).remove(0)
}

pub fn arrived(store: &mut Store, arrival: Arrival) -> Arrived {
    match one(store, receive(arrival)) {
        StoreResult::Arrived(arrived) => arrived,
        other => panic!("{other:?}"),
    }
}

pub fn queued(store: &mut Store, message: NewMessage) -> u64 {
    match one(store, queue(message)) {
        StoreResult::Queued { n } => n,
        other => panic!("{other:?}"),
    }
}

pub fn load(store: &mut Store) -> Snapshot {
    store.load(DIRECTORY).unwrap()
}

pub fn history(store: &mut Store, with: PublicKey, before: Option<u64>, count: u32) -> Vec<StoredMessage> {
    match store.query(Query::History { with: peer_core::stored::Talk::Pair(with), before, count }) {
        QueryResult::History(messages) => messages,
        other => panic!("{other:?}"),
    }
}

pub fn numbers(messages: &[StoredMessage]) -> Vec<u64> {
    messages.iter().map(|message| message.n).collect()
}
