//! The peer's store under the script: own messages queued, kept, delivered, read and forgotten, others' received and shown,
//! lines changed before and after they came, texts that vanish, a conversation forgotten, the index of search brought up, facts
//! and prekeys written and destroyed, in batches as the storage thread makes them.

use anyhow::{Result, bail, ensure};
use common::body::{Body, Delete, Edit, Reaction, Text, Vanishing};
use common::group::{Change, SignedStep, Step};
use common::identity::{Identity, PublicKey};
use common::message::{Conversation, Epoch, EpochId, MessageId};
use common::record::{Prekey, PrekeyRecord};
use common::seal::{PrekeySecret, generate_prekey};
use common::wire::directory::Standing;
use crash_vfs::{Disk, NAME};
use peer::storage::{Store, Written};
use peer_core::event::Ticket;
use peer_core::stored::{
    Amended, Amendment, Arrival, Meta, NewMessage, OutboxRow, OwnPrekey, Query, QueryResult, State, StoreOp, Talk, Via,
};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::{FILE, MESSAGES, OnAnswer, Subject};

const ME: PublicKey = PublicKey([1; 32]);
const OTHERS: [PublicKey; 2] = [PublicKey([2; 32]), PublicKey([3; 32])];
/// After so many batches prekeys are destroyed, for which the log is emptied.
const DESTROY_EVERY: u64 = 12;
/// After so many batches search is brought up to date.
const INDEX_EVERY: u64 = 7;

pub(super) const SUBJECT: Subject = Subject {
    name: "peer",
    script,
    go_on,
    contradictions: "SELECT 1 FROM held h WHERE NOT EXISTS
         (SELECT 1 FROM messages m WHERE m.sender = h.sender AND m.id = h.id);
     SELECT 1 FROM outbox o WHERE NOT EXISTS (SELECT 1 FROM messages m WHERE m.n = o.n AND m.mine);
     SELECT 1 FROM outbox o JOIN out_lanes l USING (recipient) WHERE o.seq > l.last_seq;
     SELECT 1 FROM outbox o WHERE NOT EXISTS (SELECT 1 FROM steps s WHERE s.n = o.n AND s.state = o.state);
     SELECT 1 FROM messages m WHERE kind IN (2, 3, 4) AND NOT EXISTS (SELECT 1 FROM amendments a WHERE a.n = m.n);
     SELECT 1 FROM amendments a JOIN messages e ON e.n = a.n JOIN messages m ON m.sender = a.author AND m.id = a.target
         WHERE e.kind = 2 AND m.gone IS NULL AND (m.edit_id IS NULL OR m.edit_id < e.id);
     SELECT 1 FROM amendments a JOIN messages e ON e.n = a.n JOIN messages m ON m.sender = a.author AND m.id = a.target
         WHERE e.kind = 3 AND m.gone IS NULL;
     SELECT 1 FROM messages m WHERE m.gone IS NOT NULL AND length(m.body) > 0 AND m.kind <> 3
         AND NOT (m.mine AND EXISTS (SELECT 1 FROM outbox o WHERE o.n = m.n AND o.state < 10));
     SELECT 1 FROM reactions r JOIN messages m ON m.n = r.n WHERE m.gone IS NOT NULL;
     SELECT 1 FROM search s JOIN messages m ON m.n = s.rowid WHERE m.gone IS NOT NULL OR NOT m.listed;
     SELECT 1 FROM messages m, searched s WHERE m.kind = 1 AND m.listed AND m.gone IS NULL AND m.n <= s.up_to
         AND NOT EXISTS (SELECT 1 FROM unsearched u WHERE m.n BETWEEN u.first AND u.last)
         AND NOT EXISTS (SELECT 1 FROM search t WHERE t.rowid = m.n)",
};

fn id(number: u64) -> MessageId {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    MessageId(bytes)
}

fn epoch() -> Epoch {
    Epoch { generation: 1, id: EpochId([7; 16]) }
}

/// An own message: its `seq`th to `to`.
pub fn queue(to: PublicKey, number: u64, seq: u64, body: Vec<u8>) -> StoreOp {
    StoreOp::Queue(Box::new(own(to, number, seq, Body::TEXT, body)))
}

/// The same with a body that means something.
fn tell(to: PublicKey, number: u64, seq: u64, body: &Body) -> StoreOp {
    let (kind, bytes) = body.encode();
    let (reply_to, amends) = (body.reply_to(), amends(ME, body));
    StoreOp::Queue(Box::new(NewMessage { reply_to, amends, ..own(to, number, seq, kind, bytes) }))
}

fn own(to: PublicKey, number: u64, seq: u64, kind: u16, body: Vec<u8>) -> NewMessage {
    let row = OutboxRow {
        n: 0,
        id: id(number),
        recipient: to,
        seq,
        after: None,
        ordered: true,
        urgent: false,
        conversation: Conversation::Pair,
        sent_at_ms: 1_000,
        kind,
        body,
        state: State::Queued,
        reason: None,
        queued_age_ms: number,
        via: None,
        elapsed_ms: 0,
    };
    let key = (number.is_multiple_of(3)).then(|| format!("key {number}"));
    NewMessage { row, key, reply_to: None, copies: Vec::new(), amends: None, vanishes_ms: None, at_ms: 1_000 }
}

/// The `seq`th message of `sender`.
fn receive(sender: PublicKey, number: u64, seq: u64, body: &Body) -> StoreOp {
    let (kind, bytes) = body.encode();
    let vanishes_ms = if let Body::Vanishing(text) = body { Some(text.after_ms) } else { None };
    StoreOp::Receive(Box::new(Arrival {
        sender,
        id: id(number),
        after: None,
        ordered: true,
        urgent: false,
        conversation: Conversation::Pair,
        sent_at_ms: 1_000,
        received_at_ms: 2_000,
        kind,
        body: bytes,
        via: Via::Direct,
        waited: false,
        request: false,
        held: Some((epoch(), seq)),
        reply_to: body.reply_to(),
        amends: amends(sender, body),
        vanishes_ms,
    }))
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

/// Words of about so many bytes.
fn words(dice: &mut ChaCha8Rng, bytes: u64) -> String {
    let letter = |dice: &mut ChaCha8Rng| b" abcdefghijklmnopqrstuvwxyz"[(dice.next_u64() % 27) as usize];
    (0..bytes).map(|_| char::from(letter(dice))).collect()
}

/// What message `number` says to or from `other`: of sixteen, ten are texts.
fn body(number: u64, dice: &mut ChaCha8Rng, other: PublicKey) -> Body {
    let bytes = 20 + dice.next_u64() % if number % 16 < 2 { 15_000 } else { 300 };
    let text = words(dice, bytes);
    match number % 16 {
        // What it changes comes four numbers later.
        3 => Body::Edit(Edit { target: id(number + 4), text }),
        5 => Body::Edit(Edit { target: id(number - 4), text }),
        9 => Body::Vanishing(Vanishing { text, reply_to: Some(id(number - 8)), after_ms: 2 }),
        10 => Body::Reaction(Reaction { author: other, target: id(number - 3), emoji: "👍".to_owned() }),
        13 => Body::Delete(Delete { target: id(number - 12) }),
        14 => Body::Delete(Delete { target: id(number - 12) }),
        _ => Body::Text(Text { text, reply_to: None }),
    }
}

/// What is done to conversations, beside message `number`.
fn talk(number: u64, other: PublicKey) -> Result<Vec<StoreOp>> {
    let talk = Talk::Pair(other);
    let mut ops = Vec::new();
    match number % 24 {
        0 => ops.push(StoreOp::Read { recipient: other, up_to: id(number.saturating_sub(8)), at_ms: 3_000 }),
        6 => ops.push(StoreOp::PutDuration { talk, id: id(number), after_ms: Some(number) }),
        11 => ops.push(StoreOp::Countdown { age_ms: number }),
        15 => ops.push(StoreOp::Vanish { age_ms: number }),
        20 => ops.push(StoreOp::Dismiss(vec![number - 4])),
        _ => {}
    }
    if number == 110 {
        ops.push(StoreOp::ForgetTexts(talk));
    }
    if number.is_multiple_of(60) {
        let founder = Identity::from_seed(&[1; 32]);
        let group = [number.to_le_bytes()[0]; 16];
        let change = Change::Found { name: "family".parse()?, private: false };
        let founding = SignedStep::sign(&founder, &Step::founding(group, founder.public(), 0, change));
        ops.push(StoreOp::PutSteps { group, first: 1, steps: vec![founding] });
    }
    Ok(ops)
}

fn meta(age_ms: u64) -> StoreOp {
    StoreOp::PutMeta(Meta {
        epoch: epoch(),
        highest_generation: 1,
        version_reserve: age_ms,
        age_ms,
        wall_ms: 1_000,
        wants_online: true,
        suspended: false,
        left_cleanly: false,
        binding: None,
        receipts: false,
        standing: Standing::Online,
        note: None,
    })
}

fn state(n: u64, recipient: PublicKey, state: State) -> StoreOp {
    StoreOp::State { n, recipient, state, via: Some(Via::Directory), reason: None, at_ms: 1_500, elapsed_ms: 500 }
}

/// What one message number makes of the script: every other one is one's own.
fn ops(number: u64, dice: &mut ChaCha8Rng) -> Result<Vec<StoreOp>> {
    let (mine, pair) = (number.is_multiple_of(2), number / 2);
    let (other, seq) = (OTHERS[(pair % 2) as usize], pair / 2 + 1);
    let body = body(number, dice, other);
    let mut ops = talk(number, other)?;
    if mine {
        ops.push(tell(other, number, seq, &body));
        // The message of eight numbers before has come further.
        if number >= 8 {
            let earlier = state(number - 7, OTHERS[((number - 8) / 2 % 2) as usize], State::Delivered);
            ops.push(earlier);
        }
        if number.is_multiple_of(40) && seq > 4 {
            ops.push(StoreOp::Forget { recipient: other, below: seq - 3 });
        }
    } else {
        if seq % 10 == 1 {
            ops.push(StoreOp::Follow { sender: other, epoch: epoch(), floor: seq.saturating_sub(4).max(1) });
        }
        ops.push(receive(other, number, seq, &body));
        ops.push(StoreOp::Shown(vec![number.saturating_sub(1)]));
    }
    Ok(ops)
}

fn prekey(counter: u64, secret: &PrekeySecret, record: &PrekeyRecord) -> StoreOp {
    let (secret, record) = (secret.clone(), record.clone());
    StoreOp::PutPrekey(Box::new(OwnPrekey { counter, record, secret, created_age_ms: 0, replaced_age_ms: None }))
}

fn script(disk: &Disk, seed: u64, answered: OnAnswer<'_>) -> Result<()> {
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let (secret, record) = a_prekey();
    let mut store = Store::open_on(NAME, &disk.path(FILE), ME)?;
    answered()?;
    let (mut number, mut batches) = (0, 0);
    while number < MESSAGES {
        let jobs = 1 + dice.next_u64() % if batches % 4 == 3 { 8 } else { 3 };
        let mut batch: Vec<Written> = Vec::new();
        for _ in 0..jobs.min(MESSAGES - number) {
            batch.push((Ticket(number), ops(number, &mut dice)?));
            number += 1;
        }
        batches += 1;
        if batches % 5 == 0 {
            batch.push((Ticket(MESSAGES), vec![meta(batches)]));
        }
        match batches % DESTROY_EVERY {
            1 => batch.push((Ticket(MESSAGES), vec![prekey(batches, &secret, &record)])),
            0 => batch.push((Ticket(MESSAGES), vec![StoreOp::DropPrekeys(vec![batches + 1 - DESTROY_EVERY])])),
            _ => {}
        }
        let asked = batch.len();
        ensure!(store.apply(batch)?.len() == asked, "every job has an answer");
        answered()?;
        store.checkpoint_if_grown()?;
        if batches % INDEX_EVERY == 0 {
            while store.index()? {}
            answered()?;
        }
    }
    store.close()?;
    Ok(())
}

fn a_prekey() -> (PrekeySecret, PrekeyRecord) {
    let (secret, key) = generate_prekey([5; 32]);
    let owner = Identity::from_seed(&[1; 32]);
    let prekey = Prekey { owner: owner.public(), counter: 1, created_ms: 0, key };
    (secret, PrekeyRecord::sign(&owner, &prekey))
}

fn go_on(disk: &Disk) -> Result<()> {
    let mut store = Store::open_on(NAME, &disk.path(FILE), ME)?;
    let before = store.load("localhost:1")?;
    let seq = 1 + before.last_seqs.iter().find(|(key, _)| *key == OTHERS[0]).map_or(0, |(_, last)| *last);
    let text = Body::Text(Text { text: "and on it goes".to_owned(), reply_to: None });
    store.apply(vec![(Ticket(1), vec![tell(OTHERS[0], 1_000_000, seq, &text)])])?;
    ensure!(store.load("localhost:1")?.outbox.len() == before.outbox.len() + 1, "it takes no more messages");
    let search = Query::Search { words: vec!["on it goes".to_owned()], within: Some(Talk::Pair(OTHERS[0])), count: 9 };
    let QueryResult::History(hits) = store.query(search) else { bail!("it finds nothing any more") };
    ensure!(hits.len() == 1, "{} lines are found for one", hits.len());
    Ok(store.close()?)
}
