//! The peer's store under the script: own messages queued, kept, delivered and forgotten, others' received and shown, facts
//! and prekeys written and destroyed, in batches as the storage thread makes them.

use anyhow::{Result, ensure};
use common::body::Body;
use common::identity::{Identity, PublicKey};
use common::message::{Conversation, Epoch, EpochId, MessageId};
use common::record::{Prekey, PrekeyRecord};
use common::seal::{PrekeySecret, generate_prekey};
use common::wire::directory::Standing;
use crash_vfs::{Disk, NAME};
use peer::storage::{Store, Written};
use peer_core::event::Ticket;
use peer_core::stored::{Arrival, Meta, NewMessage, OutboxRow, OwnPrekey, State, StoreOp, Via};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::{FILE, MESSAGES, OnAnswer, Subject};

const ME: PublicKey = PublicKey([1; 32]);
const OTHERS: [PublicKey; 2] = [PublicKey([2; 32]), PublicKey([3; 32])];
/// After so many batches prekeys are destroyed, for which the log is emptied.
const DESTROY_EVERY: u64 = 12;

pub(super) const SUBJECT: Subject = Subject {
    name: "peer",
    script,
    go_on,
    contradictions: "SELECT 1 FROM held h WHERE NOT EXISTS
         (SELECT 1 FROM messages m WHERE m.sender = h.sender AND m.id = h.id);
     SELECT 1 FROM outbox o WHERE NOT EXISTS (SELECT 1 FROM messages m WHERE m.n = o.n AND m.mine);
     SELECT 1 FROM outbox o JOIN out_lanes l USING (recipient) WHERE o.seq > l.last_seq;
     SELECT 1 FROM outbox o WHERE NOT EXISTS (SELECT 1 FROM steps s WHERE s.n = o.n AND s.state = o.state)",
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
        kind: Body::TEXT,
        body,
        state: State::Queued,
        reason: None,
        queued_age_ms: number,
        via: None,
        elapsed_ms: 0,
    };
    let key = (number.is_multiple_of(3)).then(|| format!("key {number}"));
    StoreOp::Queue(Box::new(NewMessage {
        row,
        key,
        reply_to: None,
        copies: Vec::new(),
        amends: None,
        vanishes_ms: None,
        at_ms: 1_000,
    }))
}

/// The `seq`th message of `sender`.
fn receive(sender: PublicKey, number: u64, seq: u64, body: Vec<u8>) -> StoreOp {
    StoreOp::Receive(Box::new(Arrival {
        sender,
        id: id(number),
        after: None,
        ordered: true,
        urgent: false,
        conversation: Conversation::Pair,
        sent_at_ms: 1_000,
        received_at_ms: 2_000,
        kind: Body::TEXT,
        body,
        via: Via::Direct,
        waited: false,
        request: false,
        held: Some((epoch(), seq)),
        reply_to: None,
        amends: None,
        vanishes_ms: None,
    }))
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
fn ops(number: u64, dice: &mut ChaCha8Rng) -> Vec<StoreOp> {
    let (mine, pair) = (number.is_multiple_of(2), number / 2);
    let (other, seq) = (OTHERS[(pair % 2) as usize], pair / 2 + 1);
    let mut body = vec![0; 20 + (dice.next_u64() % if number % 16 < 2 { 15_000 } else { 300 }) as usize];
    dice.fill_bytes(&mut body);
    let mut ops = Vec::new();
    if mine {
        ops.push(queue(other, number, seq, body));
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
        ops.push(receive(other, number, seq, body));
        ops.push(StoreOp::Shown(vec![number.saturating_sub(1)]));
    }
    ops
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
            batch.push((Ticket(number), ops(number, &mut dice)));
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
    store.apply(vec![(Ticket(1), vec![queue(OTHERS[0], 1_000_000, seq, vec![1; 100])])])?;
    ensure!(store.load("localhost:1")?.outbox.len() == before.outbox.len() + 1, "it takes no more messages");
    Ok(store.close()?)
}
