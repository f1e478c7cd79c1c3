//! Tests of the store against SQLite itself: what the operations do and refuse, and that the counts stay true.

use common::identity::{Identity, PublicKey};
use common::limits::PREKEY_BYTES;
use common::message::EpochId;
use common::name::Name;
use common::record::{Binding, Bound, Prekey, PrekeyRecord};
use common::wire::directory::{Deposit, Place, Refusal, Taking};
use directory_core::event::{CheckedPrekey, DepositOp, DrainPosition, ExpireOp, PageFrom, PageItem, Waiting};
use directory_core::limits::MailboxLimits;

use super::*;

mod counts;
mod groups;
mod growth;
mod items;
mod layout;
mod migration;
mod names;
mod pieces;
mod restored;

/// A store and a few questions in short.
struct Bench {
    store: Store,
    tickets: u64,
    limits: MailboxLimits,
}

impl Bench {
    fn new() -> Self {
        let store = Store::open_in_memory([7; 16]).unwrap();
        Self { store, tickets: 0, limits: MailboxLimits::default() }
    }

    /// With Alice (1), Bob (2) and Carol (3) registered.
    fn with_people() -> Self {
        let mut bench = Self::new();
        for (who, name) in [(1, "Alice"), (2, "Bob"), (3, "Carol")] {
            assert!(matches!(bench.register(who, name), StoreResult::Registered { new: true, .. }));
        }
        bench
    }

    fn ask(&mut self, op: StoreOp) -> StoreResult {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let applied = self.store.apply(vec![(ticket, op)]).unwrap();
        let [(answered, result)] = <[_; 1]>::try_from(applied.results).unwrap();
        assert_eq!(answered, ticket);
        result
    }

    fn register(&mut self, who: u8, name: &str) -> StoreResult {
        self.ask(register(who, name, u64::from(who)))
    }

    fn deposit(&mut self, op: StoreOp) -> Result<u64, Refusal> {
        let StoreResult::Deposited { kept, .. } = self.ask(op) else { panic!("not the answer to a deposit") };
        kept
    }

    fn item(&self, from: u8, to: u8, seq: u64) -> StoreOp {
        StoreOp::Deposit(Box::new(self.op(from, to, seq)))
    }

    fn op(&self, from: u8, to: u8, seq: u64) -> DepositOp {
        let tag = (seq * 1_000 + u64::from(from)).to_be_bytes();
        let sealed = vec![from; 100];
        let deposit = Deposit { place: place(to, seq), tag, prekey: 1, urgent: false, human: true, sealed };
        DepositOp { submitter: key(from), deposit, waited: true, now_ms: 1_000 + seq as i64, limits: self.limits }
    }

    fn page(&mut self, of: u8, from: PageFrom, limit_items: usize) -> (Vec<PageItem>, bool) {
        let op = StoreOp::Page { recipient: key(of), from, limit_items, limit_bytes: 1 << 20, urgent_only: false };
        let StoreResult::Page { items, more } = self.ask(op) else { panic!("not a page") };
        (items, more)
    }

    fn everything(&mut self, of: u8) -> Vec<PageItem> {
        self.page(of, PageFrom::Since { item: 0 }, 10_000).0
    }

    fn take(&mut self, of: u8, items: &[(u64, Taking)]) -> StoreResult {
        self.ask(StoreOp::Take { recipient: key(of), items: items.to_vec(), now_ms: 5_000 })
    }
}

fn identity(who: u8) -> Identity {
    Identity::from_seed(&[who; 32])
}

fn key(who: u8) -> PublicKey {
    identity(who).public()
}

fn prekey(who: u8, counter: u64) -> CheckedPrekey {
    let prekey = Prekey { owner: key(who), counter, created_ms: 0, key: vec![who; PREKEY_BYTES] };
    CheckedPrekey { counter, record: PrekeyRecord::sign(&identity(who), &prekey) }
}

fn register(who: u8, name: &str, serial: u64) -> StoreOp {
    let name: Name = name.parse().unwrap();
    let directory = identity(99);
    let bound = Bound { directory: directory.public(), name: name.clone(), key: key(who), serial };
    let binding = Binding::sign(&directory, &bound);
    StoreOp::Register { key: key(who), name, binding, serial, prekey: prekey(who, 1), now_ms: 1_000 }
}

/// A page of two.
fn expire(items_before_ms: i64, tombstones_before_ms: i64) -> ExpireOp {
    ExpireOp { items_before_ms, tombstones_before_ms, accounts_before_ms: 0, now_ms: 9_000, limit: 2 }
}

fn place(to: u8, seq: u64) -> Place {
    Place { recipient: key(to), epoch: EpochId([1; 16]), seq }
}
