//! The counts that limits are checked against equal a recount, whatever was done.

use common::wire::directory::PutSlot;
use directory_core::event::PutSlotOp;
use directory_core::limits::SlotLimits;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const RECOUNTS: [&str; 7] = [
    "SELECT account FROM tallies t WHERE (items, bytes, human, sent_items, sent_bytes) IS NOT
     (SELECT count(*), ifnull(sum(length(sealed)), 0), ifnull(sum(human), 0),
      (SELECT count(*) FROM items WHERE submitter = t.account),
      (SELECT ifnull(sum(length(sealed)), 0) FROM items WHERE submitter = t.account)
      FROM items WHERE recipient = t.account)",
    "SELECT account FROM tallies t WHERE (stranger_items, accepted) IS NOT
     ((SELECT count(*) FROM items i WHERE i.recipient = t.account AND NOT EXISTS
       (SELECT 1 FROM pairs p WHERE p.recipient = i.recipient AND p.submitter = i.submitter AND p.accepted)),
      (SELECT count(*) FROM pairs p WHERE p.recipient = t.account AND p.accepted))",
    "SELECT account FROM tallies t WHERE (slots, stranger_slots) IS NOT
     ((SELECT count(*) FROM slots s WHERE s.recipient = t.account),
      (SELECT count(*) FROM slots s WHERE s.recipient = t.account AND NOT EXISTS
       (SELECT 1 FROM pairs p WHERE p.recipient = s.recipient AND p.submitter = s.submitter AND p.accepted)))",
    "SELECT recipient FROM pairs p WHERE (items, bytes) IS NOT
     (SELECT count(*), ifnull(sum(length(sealed)), 0) FROM items i
      WHERE i.recipient = p.recipient AND i.submitter = p.submitter)",
    "SELECT 0 FROM head WHERE stranger_bytes IS NOT
     (SELECT ifnull(sum(length(sealed)), 0) FROM items i WHERE NOT EXISTS
      (SELECT 1 FROM pairs p WHERE p.recipient = i.recipient AND p.submitter = i.submitter AND p.accepted))",
    "SELECT 0 FROM head WHERE slot_bytes IS NOT (SELECT ifnull(sum(length(sealed)), 0) FROM slots)",
    "SELECT account FROM tallies t WHERE (sent_slots, accepted_by) IS NOT
     ((SELECT count(*) FROM slots s WHERE s.submitter = t.account),
      (SELECT count(*) FROM pairs p WHERE p.submitter = t.account AND p.accepted))",
];

fn recount(store: &Store) {
    for sql in RECOUNTS {
        assert!(!store.db.prepare(sql).unwrap().exists([]).unwrap(), "{sql}");
    }
    let lost = "SELECT 1 FROM items WHERE NOT EXISTS
                (SELECT 1 FROM tallies WHERE account IN (recipient, submitter))";
    assert!(!store.db.prepare(lost).unwrap().exists([]).unwrap());
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn counts_equal_a_recount_after_any_operations(
        batches in vec(vec((0..14_u8, 1..5_u8, 1..4_u8, 1..8_u64, 0..12_u8), 1..20), 1..12)
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
