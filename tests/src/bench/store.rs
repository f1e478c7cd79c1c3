//! The directory's store without its server: filling it, and what it does alone. The same operations in the same
//! order as the server's, applied from one thread.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, bail};
use common::identity::{Identity, PublicKey};
use common::message::EpochId;
use common::record::{Binding, Bound};
use common::wire::directory::{Deposit, Place, Taking};
use directory_core::event::{CheckedPrekey, DepositOp, PageFrom};
use directory_core::limits::{Limits, MailboxLimits};
use directory_core::{StoreOp, StoreResult, Ticket};
use directory_server::store::Store;

use super::session::key;
use crate::hostile::{prekey_of, stranger};

/// Operations of one transaction.
const BATCH: usize = 512;
/// Where recipients' numbers begin.
pub const RECIPIENT: u64 = 1_000_000;
const NOW_MS: i64 = 1_700_000_000_000;
/// Log pages go into the database after so many batches, as in the server.
const CHECKPOINT_BATCHES: usize = 8;

/// What is to be in the store.
#[derive(Debug, Clone, Copy)]
pub struct Content {
    /// Mailboxes.
    pub recipients: u64,
    /// Everybody of them sends to every recipient.
    pub submitters: u64,
    /// Items from each submitter to each recipient.
    pub per_pair: u64,
    /// Bytes of an item.
    pub sealed_bytes: usize,
}

impl Content {
    /// Items in all.
    #[must_use]
    pub fn items(&self) -> u64 {
        self.recipients * self.submitters * self.per_pair
    }

    fn deposit(&self, keys: &Keys, at: u64, limits: MailboxLimits) -> StoreOp {
        let (recipient, submitter) = (at % self.recipients, at / self.recipients % self.submitters);
        let seq = at / (self.recipients * self.submitters) + 1;
        let place = Place { recipient: keys.recipients[recipient as usize], epoch: EpochId([9; 16]), seq };
        let sealed = vec![7; self.sealed_bytes];
        let deposit = Deposit { place, tag: seq.to_be_bytes(), prekey: 1, urgent: false, human: true, sealed };
        let submitter = keys.submitters[submitter as usize];
        StoreOp::Deposit(Box::new(DepositOp { submitter, deposit, waited: true, now_ms: NOW_MS, limits }))
    }
}

/// Made once: a key from its seed costs more than a deposit.
struct Keys {
    recipients: Vec<PublicKey>,
    submitters: Vec<PublicKey>,
}

fn apply(store: &mut Store, ops: Vec<StoreOp>) -> Result<Vec<StoreResult>> {
    let ops = ops.into_iter().map(|op| (Ticket(0), op)).collect();
    Ok(store.apply(ops)?.results.into_iter().map(|(_, result)| result).collect())
}

/// Binds a name made of the number to its identity, which accepts `senders`.
fn registration(directory: &Identity, number: u64, senders: &[PublicKey]) -> [StoreOp; 2] {
    let owner = stranger(number);
    let name: common::name::Name = format!("kept{number}").parse().expect("a good name");
    let bound = Bound { directory: directory.public(), name: name.clone(), key: owner.public(), serial: number + 1 };
    let register = StoreOp::Register {
        key: owner.public(),
        name,
        binding: Binding::sign(directory, &bound),
        serial: number + 1,
        prekey: CheckedPrekey { counter: 1, record: prekey_of(&owner) },
        now_ms: NOW_MS,
    };
    [register, StoreOp::Accept { key: owner.public(), keys: senders.to_vec(), limit: 10_000 }]
}

/// Fills the store at `path`, made if there is none. Returns items a second and the open store.
///
/// # Errors
/// When the store fails or refuses.
pub fn fill(path: &Path, directory: &Identity, content: Content) -> Result<(Store, f64)> {
    let mut store = Store::open(path)?;
    let recipients = (0..content.recipients).map(|number| key(RECIPIENT + number)).collect();
    let keys = Keys { recipients, submitters: (0..content.submitters).map(key).collect() };
    for number in 0..content.submitters {
        apply(&mut store, registration(directory, number, &[]).into())?;
    }
    for number in 0..content.recipients {
        apply(&mut store, registration(directory, RECIPIENT + number, &keys.submitters).into())?;
    }
    let limits = Limits::default().mailbox;
    let (mut at, mut batches, mut spent) = (0, 0, 0.0);
    while at < content.items() {
        let end = content.items().min(at + BATCH as u64);
        let ops = (at..end).map(|at| content.deposit(&keys, at, limits)).collect();
        // Making the operations is not the store's work.
        let start = Instant::now();
        let results = apply(&mut store, ops)?;
        batches += 1;
        if batches % CHECKPOINT_BATCHES == 0 {
            store.checkpoint()?;
        }
        spent += start.elapsed().as_secs_f64();
        if let Some(refused) = results.iter().find(|one| !matches!(one, StoreResult::Deposited { kept: Ok(_), .. })) {
            bail!("the store refused: {refused:?}");
        }
        at = end;
    }
    Ok((store, content.items() as f64 / spent))
}

/// Pages and takes everything of every recipient, one after the other. Returns items a second.
fn empty(store: &mut Store, content: Content) -> Result<f64> {
    let start = Instant::now();
    let mut all = 0;
    for number in 0..content.recipients {
        let recipient = key(RECIPIENT + number);
        let mut after = None;
        loop {
            let from = PageFrom::Drain { after, newest: u64::MAX >> 1 };
            let page = StoreOp::Page { recipient, from, limit_items: 256, limit_bytes: 192 * 1024, urgent_only: false };
            let Some(StoreResult::Page { items, more }) = apply(store, vec![page])?.pop() else { bail!("no page") };
            after = items.last().map(|last| last.position);
            all += items.len() as u64;
            let items = items.iter().map(|one| (one.item.item, Taking::Stored)).collect();
            apply(store, vec![StoreOp::Take { recipient, items, now_ms: NOW_MS }])?;
            if !more {
                break;
            }
        }
    }
    if all != content.items() {
        bail!("{all} of {} items came back", content.items());
    }
    Ok(all as f64 / start.elapsed().as_secs_f64())
}

/// The store alone in `folder`: 40,000 items of `sealed_bytes` kept, then handed out; items a second of both.
///
/// # Errors
/// When the store fails.
pub fn alone(folder: &Path, sealed_bytes: usize) -> Result<(f64, f64)> {
    let folder = tempfile::tempdir_in(folder)?;
    let content = Content { recipients: 4, submitters: 8, per_pair: 1_250, sealed_bytes };
    let (mut store, kept) = fill(&folder.path().join("alone.db"), &stranger(u64::MAX), content)?;
    let drained = empty(&mut store, content)?;
    store.close()?;
    Ok((kept, drained))
}
