//! The counts that limits are checked against equal a recount, whatever was done.

use common::message::MessageId;
use common::wire::directory::{BeginFile, PutPiece, PutSlot};
use directory_core::event::{BeginFileOp, FileOp, PutPieceOp, PutSlotOp};
use directory_core::limits::{FileLimits, SlotLimits};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

pub(super) fn recount(store: &Store) {
    let all = include_str!("../recounts.sql").split(';').map(str::trim).filter(|sql| !sql.is_empty());
    assert_eq!(all.clone().count(), 14);
    for sql in all {
        assert!(!store.db.prepare(sql).unwrap().exists([]).unwrap(), "{sql}");
    }
}

/// An operation from a few small numbers.
fn op((sort, from, to, seq, extra): (u8, u8, u8, u64, u8)) -> StoreOp {
    let (submitter, recipient) = (key(from), key(to));
    let taking = if extra % 2 == 0 { Taking::Stored } else { Taking::NotOpened };
    match sort {
        0 => StoreOp::Withdraw { submitter, places: vec![place(to, seq), place(to, seq + 1)] },
        1 => StoreOp::Take { recipient, items: (seq..seq + 3).map(|item| (item, taking)).collect(), now_ms: 5 },
        2 => StoreOp::Accept { key: recipient, keys: vec![submitter], limit: 2 },
        3 => StoreOp::Expire(expire(seq as i64, 5)),
        4 => {
            let slot = PutSlot { recipient, prekey: 1, sealed: vec![extra; 10 + usize::from(extra)] };
            let limits = SlotLimits { slots: 3, stranger_slots: 2, slot_bytes_all: 60 };
            StoreOp::PutSlot(Box::new(PutSlotOp { from: submitter, slot, now_ms: 5, may_grow: true, limits }))
        }
        5 => StoreOp::TakeSlot { recipient, from: submitter, serial: seq },
        6 => StoreOp::Deregister { key: recipient },
        14..=19 => StoreOp::File(file_op(sort, submitter, recipient, seq, extra)),
        7 => register(to, ["Alice", "Bob", "Carol"][usize::from(extra) % 3], seq),
        _ => {
            let (urgent, human) = (extra & 1 > 0, extra & 2 > 0);
            let (tag, sealed) = ([extra & 4; 8], vec![0; usize::from(extra)]);
            let deposit = Deposit { place: place(to, seq), tag, prekey: 1, urgent, human, sealed };
            let limits = MailboxLimits { mailbox_items: 8, stranger_items: 4, ..MailboxLimits::default() };
            StoreOp::Deposit(Box::new(DepositOp { submitter, deposit, waited: true, now_ms: seq as i64, limits }))
        }
    }
}

fn file_op(sort: u8, submitter: PublicKey, recipient: PublicKey, seq: u64, extra: u8) -> FileOp {
    let offer = MessageId([extra % 3; 16]);
    let (index, now_ms) = (u32::try_from(seq % 4).unwrap(), seq as i64);
    match sort {
        14 | 15 => {
            let limits = FileLimits {
                mailbox_bytes: 300,
                submitter_bytes: 400,
                pair_files: 2,
                stranger_bytes_all: 350,
                ..FileLimits::default()
            };
            let begin = BeginFile { recipient, offer, bytes: 100 + u64::from(extra / 6), pieces: 3 };
            FileOp::Begin(Box::new(BeginFileOp { submitter, begin, may_grow: seq != 7, now_ms, limits }))
        }
        16 | 17 => {
            let put = PutPiece { recipient, offer, index, sealed: vec![extra; 30 + usize::from(extra)] };
            FileOp::Put(Box::new(PutPieceOp { submitter, put, may_grow: extra != 7 }))
        }
        18 => FileOp::Get { recipient, submitter, offer, index },
        _ => FileOp::Drop { key: [submitter, recipient, key(3)][usize::from(extra % 3)], submitter, recipient, offer },
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn counts_equal_a_recount_after_any_operations(
        batches in vec(vec((0..20_u8, 1..5_u8, 1..4_u8, 1..8_u64, 0..12_u8), 1..20), 1..12)
    ) {
        let mut bench = Bench::with_people();
        for batch in batches {
            let asked = batch.len();
            let ops = batch.into_iter().map(|numbers| (Ticket(1), op(numbers))).collect();
            prop_assert_eq!(bench.store.apply(ops).unwrap().results.len(), asked);
            recount(&bench.store);
        }
    }
}
