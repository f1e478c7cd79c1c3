//! A peer's store with a million messages: how long a page of a history and a search take, what filling and indexing cost, and
//! what forgetting a large conversation does. The store alone, on the disk, as its thread uses it.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, bail};
use common::body::{Body, Text};
use common::identity::PublicKey;
use common::message::{Conversation, MessageId};
use peer::storage::Store;
use peer_core::event::Ticket;
use peer_core::stored::{
    Arrival, NewMessage, OutboxRow, Query, QueryResult, State, StoreOp, StoreResult, StoredMessage, Talk, Via, Which,
};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::table::{Samples, Target, row, say};

const MESSAGES: u64 = 1_000_000;
/// Operations of one transaction.
const BATCH: u64 = 512;
/// People; the first is in every fifth message, so that one conversation is large.
const PEOPLE: u64 = 200;
const ME: PublicKey = PublicKey([1; 32]);
const GROUP: [u8; 16] = [7; 16];
/// Words that texts are made of; the first are common, as in any language.
const VOCABULARY: u64 = 30_000;
/// Calls of one kind, of which median and slowest are told.
const CALLS: u64 = 100;

fn person(number: u64) -> PublicKey {
    let mut bytes = [2; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    PublicKey(bytes)
}

fn id(number: u64) -> MessageId {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    MessageId(bytes)
}

/// A word: half of all are among the 200 most common.
fn word(dice: &mut ChaCha8Rng) -> String {
    let range = [20, 200, 2_000, VOCABULARY][(dice.next_u64() % 4) as usize];
    format!("wort{}", dice.next_u64() % range)
}

fn text(dice: &mut ChaCha8Rng, number: u64) -> Vec<u8> {
    let count = 3 + dice.next_u64() % 18;
    let mut words: Vec<String> = (0..count).map(|_| word(dice)).collect();
    if number.is_multiple_of(100_000) {
        words.push("nadelimheuhaufen".to_owned());
    }
    Body::Text(Text { text: words.join(" "), reply_to: None }).encode().1
}

/// Every tenth is said in the group, half of the others are one's own.
fn message(dice: &mut ChaCha8Rng, number: u64) -> StoreOp {
    let who = if number.is_multiple_of(5) { person(0) } else { person(dice.next_u64() % PEOPLE) };
    let conversation = match number % 10 {
        3 => Conversation::Group { id: GROUP, membership: 1 },
        _ => Conversation::Pair,
    };
    let body = text(dice, number);
    if number.is_multiple_of(2) {
        let row = OutboxRow {
            n: 0,
            id: id(number),
            recipient: who,
            seq: number,
            after: None,
            ordered: true,
            urgent: false,
            conversation,
            sent_at_ms: 0,
            kind: Body::TEXT,
            body,
            // As it is soon after.
            state: State::Delivered,
            reason: None,
            queued_age_ms: 0,
            via: None,
            elapsed_ms: 0,
        };
        let new = NewMessage {
            row,
            key: None,
            reply_to: None,
            copies: Vec::new(),
            amends: None,
            vanishes_ms: None,
            at_ms: 0,
        };
        return StoreOp::Queue(Box::new(new));
    }
    StoreOp::Receive(Box::new(Arrival {
        sender: who,
        id: id(number),
        after: None,
        ordered: true,
        urgent: false,
        conversation,
        sent_at_ms: 0,
        received_at_ms: 0,
        kind: Body::TEXT,
        body,
        via: Via::Direct,
        waited: false,
        request: false,
        held: None,
        reply_to: None,
        amends: None,
        vanishes_ms: None,
    }))
}

/// Messages a second, and lines taken into the index a second.
fn fill(store: &mut Store) -> Result<(f64, f64)> {
    let mut dice = ChaCha8Rng::seed_from_u64(1);
    let (mut spent, mut at) = (0.0, 1);
    while at <= MESSAGES {
        let end = (at + BATCH).min(MESSAGES + 1);
        let mut ops: Vec<StoreOp> = (at..end).map(|number| message(&mut dice, number)).collect();
        ops.push(StoreOp::Shown((at..end).collect()));
        let start = Instant::now();
        store.apply(vec![(Ticket(0), ops)])?;
        store.checkpoint_if_grown()?;
        spent += start.elapsed().as_secs_f64();
        at = end;
    }
    let start = Instant::now();
    while store.index()? {
        store.checkpoint_if_grown()?;
    }
    Ok((MESSAGES as f64 / spent, MESSAGES as f64 / start.elapsed().as_secs_f64()))
}

fn ask(store: &mut Store, query: Query) -> Result<Vec<StoredMessage>> {
    match store.query(query) {
        QueryResult::History(lines) => Ok(lines),
        QueryResult::Message(Some(_)) => Ok(Vec::new()),
        other => bail!("no lines: {other:?}"),
    }
}

/// Asks [`CALLS`] times, and says the median of the rounds and the slowest call of all.
fn timed(what: &str, target: f64, rounds: usize, store: &mut Store, query: &dyn Fn(u64) -> Query) -> Result<()> {
    let (mut medians, mut slowest, mut lines) = (Samples::default(), Samples::default(), 0);
    for _ in 0..rounds {
        let mut round = Samples::default();
        for call in 0..CALLS {
            let start = Instant::now();
            lines = ask(store, query(call))?.len();
            round.push(start.elapsed().as_secs_f64() * 1e3);
        }
        medians.push(round.median());
        slowest.push(round.0.iter().copied().fold(0.0, f64::max));
    }
    row(&format!("{what}, {lines} lines, p50"), "ms", &medians, None, Target::AtMost(target));
    row("the same, slowest of 100", "ms", &slowest, None, Target::AtMost(target));
    Ok(())
}

fn pages(rounds: usize, store: &mut Store) -> Result<()> {
    let large = Talk::Pair(person(0));
    let page = |with, before, count| Query::History { with, before, count };
    timed("newest page of a conversation of 200,000", 5.0, rounds, store, &|_| page(large, None, 50))?;
    let middle = |call| page(large, Some(1 + call * 9_973), 50);
    timed("a page anywhere in it", 5.0, rounds, store, &middle)?;
    timed("newest page of a group of 100,000", 5.0, rounds, store, &|_| page(Talk::Group(GROUP), None, 50))?;
    let first = |call| page(Talk::Pair(person(1 + call)), None, 50);
    timed("newest page of each of 100 conversations", 5.0, rounds, store, &first)?;
    timed("one message by its identity", 5.0, rounds, store, &|call| Query::Message(Which::Id(id(1 + call * 9_973))))
}

fn searches(rounds: usize, store: &mut Store) -> Result<()> {
    let search = |words: &[&str], within| Query::Search {
        words: words.iter().map(|word| (*word).to_owned()).collect(),
        within,
        count: 20,
    };
    timed("search: a word of 10 lines", 50.0, rounds, store, &|_| search(&["nadelimheuhaufen"], None))?;
    timed("search: a word of a quarter of all lines", 50.0, rounds, store, &|_| search(&["wort3"], None))?;
    timed("search: three common words", 50.0, rounds, store, &|_| search(&["wort3", "wort4", "wort5"], None))?;
    timed("search: a common and a rare word", 50.0, rounds, store, &|call| {
        search(&["wort3", &format!("wort{}", 29_000 + call)], None)
    })?;
    timed("search: a phrase of two common words", 50.0, rounds, store, &|_| search(&["wort3 wort4"], None))?;
    timed("search: a phrase nobody said", 50.0, rounds, store, &|_| search(&["wort3 wort3 wort3 wort3"], None))?;
    let small = Some(Talk::Pair(person(77)));
    timed("search: a common word in one of 200 conversations", 50.0, rounds, store, &|_| search(&["wort3"], small))?;
    let nobody = Some(Talk::Pair(person(999)));
    timed("search: a common word where nothing was said", 50.0, rounds, store, &|_| search(&["wort3"], nobody))
}

/// Forgetting the large conversation; milliseconds, and how many texts.
fn forget(store: &mut Store) -> Result<(f64, u64)> {
    let start = Instant::now();
    let ops = vec![StoreOp::ForgetTexts(Talk::Pair(person(0)))];
    let answers = store.apply(vec![(Ticket(0), ops)])?;
    store.checkpoint_if_grown()?;
    let Some(StoreResult::Forgotten(count)) = answers.first().and_then(|(_, results)| results.first()) else {
        bail!("nothing was forgotten")
    };
    Ok((start.elapsed().as_secs_f64() * 1e3, *count))
}

fn megabytes(path: &Path) -> Result<u64> {
    Ok(std::fs::metadata(path)?.len() / 1_000_000)
}

/// Pages and searches over a million messages.
///
/// # Errors
/// When the store fails.
pub fn run(rounds: usize) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("homing-bench-").tempdir()?;
    let path = folder.path().join("store.db");
    let mut store = Store::open(&path, ME)?;
    let (filled, indexed) = fill(&mut store)?;
    for (what, rate) in [("messages stored and shown, batches of 512", filled), ("lines taken into the index", indexed)]
    {
        row(what, "/s", &Samples(vec![rate]), None, Target::None);
    }
    store.close()?;
    say(&format!("<!-- the store has {} MB -->", megabytes(&path)?));
    let start = Instant::now();
    let mut store = Store::open(&path, ME)?;
    row("opening it", "ms", &Samples(vec![start.elapsed().as_secs_f64() * 1e3]), None, Target::None);
    pages(rounds, &mut store)?;
    searches(rounds, &mut store)?;
    let (forgotten, count) = forget(&mut store)?;
    row(&format!("forgetting {count} texts of one conversation"), "ms", &Samples(vec![forgotten]), None, Target::None);
    Ok(store.close()?)
}
