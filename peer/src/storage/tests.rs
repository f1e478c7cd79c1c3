//! What the store keeps, proved from outside: ops in, results, queries and snapshots out.

mod amend;
mod disk;
mod groups;
mod migrate;
mod others;
mod own;
mod queue;
mod search;
mod texts;

use std::path::Path;

use common::body::{Body, Delete, Edit, Reaction, Text};
use common::group::GroupId;
use common::identity::PublicKey;
use common::message::{Conversation, Epoch, EpochId, MessageId};
use peer_core::event::Ticket;
use peer_core::stored::{
    Amended, Amendment, Arrival, Arrived, NewMessage, OutboxRow, Query, QueryResult, Snapshot, State, StoreOp,
    StoreResult, StoredMessage, Talk, Via, Which,
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

pub fn text(words: &str) -> Vec<u8> {
    Body::Text(Text { text: words.to_owned(), reply_to: None }).encode().1
}

/// What a line says now.
pub fn said(message: &StoredMessage) -> Option<String> {
    Body::decode(message.kind, &message.body).text().map(str::to_owned)
}

/// A text of `from` in the pair.
pub fn line(from: PublicKey, number: u64, words: &str) -> Arrival {
    Arrival { body: text(words), ..theirs(from, number) }
}

/// The same message with another body, and what that body does.
pub fn saying(mut arrival: Arrival, body: &Body) -> Arrival {
    (arrival.kind, arrival.body) = body.encode();
    arrival.ordered = Body::is_line(arrival.kind);
    arrival.reply_to = body.reply_to();
    arrival.amends = amends(arrival.sender, body);
    arrival.vanishes_ms = vanishes(body);
    arrival
}

/// The same for an own message.
pub fn telling(mut message: NewMessage, body: &Body) -> NewMessage {
    (message.row.kind, message.row.body) = body.encode();
    message.row.ordered = Body::is_line(message.row.kind);
    message.reply_to = body.reply_to();
    message.amends = amends(ME, body);
    message.vanishes_ms = vanishes(body);
    message
}

fn vanishes(body: &Body) -> Option<u64> {
    if let Body::Vanishing(text) = body { Some(text.after_ms) } else { None }
}

fn amends(sender: PublicKey, body: &Body) -> Option<Amendment> {
    let (author, target, what) = match body.clone() {
        Body::Edit(edit) => (sender, edit.target, Amended::Edit(edit.text)),
        Body::Delete(delete) => (sender, delete.target, Amended::Delete),
        Body::Reaction(sign) => (sign.author, sign.target, Amended::Reaction(sign.emoji)),
        _ => return None,
    };
    Some(Amendment { author, target, what })
}

pub fn edit(number: u64, words: &str) -> Body {
    Body::Edit(Edit { target: id(number), text: words.to_owned() })
}

pub fn delete(number: u64) -> Body {
    Body::Delete(Delete { target: id(number) })
}

pub fn react(author: PublicKey, number: u64, sign: &str) -> Body {
    Body::Reaction(Reaction { author, target: id(number), emoji: sign.to_owned() })
}

/// The family of the tests, at some version of it.
pub const FAMILY: GroupId = [8; 16];

pub fn in_family() -> Conversation {
    Conversation::Group { id: FAMILY, membership: 3 }
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
    match store.query(Query::History { with: Talk::Pair(with), before, count }) {
        QueryResult::History(messages) => messages,
        other => panic!("{other:?}"),
    }
}

pub fn family(store: &mut Store) -> Vec<StoredMessage> {
    match store.query(Query::History { with: Talk::Group(FAMILY), before: None, count: 1_000 }) {
        QueryResult::History(messages) => messages,
        other => panic!("{other:?}"),
    }
}

/// One message by its number.
pub fn message(store: &mut Store, n: u64) -> StoredMessage {
    match store.query(Query::Message(Which::Number(n))) {
        QueryResult::Message(Some(message)) => *message,
        other => panic!("{other:?}"),
    }
}

/// Whether these bytes stand anywhere in the store's files.
pub fn holds(path: &Path, wanted: &[u8]) -> bool {
    let files = ["", "-wal"].map(|ending| std::fs::read(format!("{}{ending}", path.display())).unwrap_or_default());
    files.iter().any(|bytes| bytes.windows(wanted.len()).any(|window| window == wanted))
}

pub fn numbers(messages: &[StoredMessage]) -> Vec<u64> {
    messages.iter().map(|message| message.n).collect()
}
