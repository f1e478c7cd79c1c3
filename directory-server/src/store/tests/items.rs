//! Items and slots: kept, replaced, refused, handed out, taken, expired.

use common::wire::directory::{Fate, PutSlot};
use directory_core::event::{Origin, PutSlotOp};
use directory_core::limits::SlotLimits;

use super::*;

fn fates(bench: &mut Bench, from: u8, to: u8, seqs: &[u64]) -> Vec<Fate> {
    let places = seqs.iter().map(|seq| place(to, *seq)).collect();
    let StoreResult::Fates(fates) = bench.ask(StoreOp::Have { submitter: key(from), places }) else {
        panic!("not fates")
    };
    fates
}

#[test]
fn a_deposit_is_new_replaces_itself_or_conflicts() {
    let mut bench = Bench::with_people();
    assert_eq!(bench.deposit(bench.item(1, 2, 5)), Ok(1));
    assert_eq!(bench.deposit(bench.item(1, 2, 3)), Ok(2));
    let mut again = bench.op(1, 2, 5);
    again.deposit.sealed = vec![9; 50];
    again.deposit.urgent = true;
    assert_eq!(bench.deposit(StoreOp::Deposit(Box::new(again.clone()))), Ok(3));
    let items = bench.everything(2);
    assert_eq!(items.iter().map(|item| (item.item.item, item.item.seq)).collect::<Vec<_>>(), [(2, 3), (3, 5)]);
    assert_eq!(items[1].item.sealed, vec![9; 50]);
    again.deposit.tag = [0; 8];
    assert_eq!(bench.deposit(StoreOp::Deposit(Box::new(again))), Err(Refusal::Conflict));
    assert_eq!(bench.everything(2), items);
}

#[test]
fn a_deposit_needs_a_registered_recipient_with_a_prekey() {
    let mut bench = Bench::with_people();
    assert_eq!(bench.deposit(bench.item(1, 9, 1)), Err(Refusal::NoSuchUser));
    bench.store.db.execute("DELETE FROM prekeys", []).unwrap();
    assert_eq!(bench.deposit(bench.item(1, 2, 1)), Err(Refusal::NoPrekey));
    bench.ask(StoreOp::Deregister { key: key(2) });
    assert_eq!(bench.deposit(bench.item(1, 2, 1)), Err(Refusal::NoSuchUser));
}

#[test]
fn a_seq_that_the_store_cannot_order_is_invalid() {
    let mut bench = Bench::with_people();
    let mut op = bench.op(1, 2, 1);
    op.deposit.place.seq = u64::MAX;
    assert_eq!(bench.deposit(StoreOp::Deposit(Box::new(op))), Err(Refusal::Invalid));
    assert_eq!(fates(&mut bench, 1, 2, &[u64::MAX]), [Fate::Unknown]);
}

/// Two items fit, the third is refused; replacing one of the two is not.
fn two_fit(limits: MailboxLimits, refusal: &Refusal) {
    let mut bench = Bench::with_people();
    bench.limits = limits;
    bench.deposit(bench.item(1, 2, 1)).unwrap();
    bench.deposit(bench.item(1, 2, 2)).unwrap();
    assert_eq!(bench.deposit(bench.item(1, 2, 3)), Err(refusal.clone()));
    bench.deposit(bench.item(1, 2, 2)).unwrap();
    assert_eq!(fates(&mut bench, 1, 2, &[1, 2, 3]), [Fate::Held, Fate::Held, Fate::Unknown]);
}

#[test]
fn each_limit_is_refused_by_name_and_a_replaced_row_does_not_count() {
    let plenty = MailboxLimits::default();
    two_fit(MailboxLimits { mailbox_items: 2, ..plenty }, &Refusal::MailboxFull);
    two_fit(MailboxLimits { mailbox_bytes: 200, ..plenty }, &Refusal::MailboxFull);
    two_fit(MailboxLimits { pair_items: 2, ..plenty }, &Refusal::QuotaExceeded);
    two_fit(MailboxLimits { submitter_items: 2, ..plenty }, &Refusal::QuotaExceeded);
    two_fit(MailboxLimits { submitter_bytes: 200, ..plenty }, &Refusal::QuotaExceeded);
    two_fit(MailboxLimits { stranger_items: 2, ..plenty }, &Refusal::StrangersFull);
    two_fit(MailboxLimits { stranger_bytes_all: 200, ..plenty }, &Refusal::StrangersFull);
}

#[test]
fn an_accepted_sender_is_no_stranger_with_what_is_already_there() {
    let mut bench = Bench::with_people();
    bench.limits = MailboxLimits { stranger_items: 1, ..MailboxLimits::default() };
    bench.deposit(bench.item(1, 2, 1)).unwrap();
    assert_eq!(bench.deposit(bench.item(3, 2, 1)), Err(Refusal::StrangersFull));
    bench.ask(StoreOp::Accept { key: key(2), keys: vec![key(1), key(1)], limit: 1 });
    bench.deposit(bench.item(1, 2, 2)).unwrap();
    bench.deposit(bench.item(3, 2, 1)).unwrap();
    bench.ask(StoreOp::Accept { key: key(2), keys: vec![key(3)], limit: 1 });
    assert_eq!(bench.deposit(bench.item(3, 2, 2)), Err(Refusal::StrangersFull));
}

#[test]
fn a_drain_gives_urgent_items_first_then_lane_by_lane_in_order_of_seq() {
    let mut bench = Bench::with_people();
    for (from, seq) in [(1, 2), (3, 1), (1, 1)] {
        bench.deposit(bench.item(from, 2, seq)).unwrap();
    }
    let mut urgent = bench.op(3, 2, 2);
    urgent.deposit.urgent = true;
    bench.deposit(StoreOp::Deposit(Box::new(urgent))).unwrap();
    bench.deposit(bench.item(1, 2, 3)).unwrap();
    let (mut order, mut after): (Vec<_>, Option<DrainPosition>) = (Vec::new(), None);
    loop {
        let (items, more) = bench.page(2, PageFrom::Drain { after, newest: 4 }, 2);
        order.extend(items.iter().map(|item| (item.item.submitter, item.item.seq)));
        after = items.last().map(|item| item.position);
        if !more {
            break;
        }
    }
    assert_eq!(order, [(key(3), 2), (key(1), 1), (key(1), 2), (key(3), 1)]);
    let (since, more) = bench.page(2, PageFrom::Since { item: 3 }, 1);
    assert_eq!((since[0].item.item, more), (4, true));
}

#[test]
fn a_page_is_bounded_by_bytes_but_never_empty() {
    let mut bench = Bench::with_people();
    (1..=3).for_each(|seq| assert!(bench.deposit(bench.item(1, 2, seq)).is_ok()));
    let mut page = |limit_bytes| {
        let from = PageFrom::Drain { after: None, newest: 9 };
        let op = StoreOp::Page { recipient: key(2), from, limit_items: 10, limit_bytes, urgent_only: false };
        let StoreResult::Page { items, more } = bench.ask(op) else { panic!("not a page") };
        (items.len(), more)
    };
    assert_eq!([page(0), page(199), page(200), page(300)], [(1, true), (1, true), (2, true), (3, false)]);
}

#[test]
fn what_became_of_an_item_is_known() {
    let mut bench = Bench::with_people();
    (1..=4).for_each(|seq| assert!(bench.deposit(bench.item(1, 2, seq)).is_ok()));
    assert!(matches!(bench.take(3, &[(1, Taking::Stored)]), StoreResult::Taken { .. }));
    let taken = bench.take(2, &[(1, Taking::Stored), (2, Taking::NotOpened), (99, Taking::NotOpened)]);
    let StoreResult::Taken { not_opened, prekey } = taken else { panic!("not taken") };
    assert_eq!(not_opened, [Origin { submitter: key(1), epoch: EpochId([1; 16]), seq: 2 }]);
    assert!(prekey.is_some());
    bench.ask(StoreOp::Withdraw { submitter: key(1), places: vec![place(2, 3), place(2, 8)] });
    bench.ask(StoreOp::Withdraw { submitter: key(3), places: vec![place(2, 4)] });
    let expected = [Fate::Taken, Fate::NotOpened, Fate::Taken, Fate::Held, Fate::Unknown];
    assert_eq!(fates(&mut bench, 1, 2, &[1, 2, 3, 4, 5]), expected);
    assert_eq!(fates(&mut bench, 3, 2, &[1]), [Fate::Unknown]);
    bench.deposit(bench.item(1, 2, 2)).unwrap();
    bench.take(2, &[(5, Taking::Stored)]);
    assert_eq!(fates(&mut bench, 1, 2, &[2]), [Fate::Taken]);
}

#[test]
fn what_is_too_old_goes_in_pages_and_leaves_word_for_a_while() {
    let mut bench = Bench::with_people();
    (1..=5).for_each(|seq| assert!(bench.deposit(bench.item(1, 2, seq)).is_ok()));
    let mut clear = |items_before_ms, tombstones_before_ms| {
        bench.ask(StoreOp::Expire(expire(items_before_ms, tombstones_before_ms)))
    };
    assert_eq!(clear(1_004, 0), StoreResult::Expired { more: true });
    assert_eq!(clear(1_004, 0), StoreResult::Expired { more: false });
    let expected = [Fate::Expired, Fate::Expired, Fate::Expired, Fate::Held, Fate::Held];
    assert_eq!(fates(&mut bench, 1, 2, &[1, 2, 3, 4, 5]), expected);
    let forget = ExpireOp { limit: 10, ..expire(0, 9_001) };
    assert_eq!(bench.ask(StoreOp::Expire(forget)), StoreResult::Expired { more: false });
    assert_eq!(fates(&mut bench, 1, 2, &[1]), [Fate::Taken]);
}

#[test]
fn a_slot_holds_the_newest_and_is_emptied_by_its_serial_only() {
    let mut bench = Bench::with_people();
    let limits = SlotLimits { slots: 2, stranger_slots: 1, ..SlotLimits::default() };
    let slot = |from, to, content| {
        let slot = PutSlot { recipient: key(to), prekey: 1, sealed: vec![content; 10] };
        StoreOp::PutSlot(Box::new(PutSlotOp { from: key(from), slot, now_ms: 5, may_grow: true, limits }))
    };
    let serial = |result| if let StoreResult::SlotKept { serial, .. } = result { Some(serial) } else { None };
    assert_eq!(serial(bench.ask(slot(1, 2, 1))), Some(1));
    assert_eq!(serial(bench.ask(slot(1, 2, 2))), Some(2));
    assert_eq!(serial(bench.ask(slot(3, 2, 3))), None);
    assert_eq!(serial(bench.ask(slot(1, 9, 1))), None);
    bench.ask(StoreOp::Accept { key: key(2), keys: vec![key(1)], limit: 9 });
    assert_eq!(serial(bench.ask(slot(3, 2, 3))), Some(3));
    bench.ask(StoreOp::TakeSlot { recipient: key(2), from: key(1), serial: 1 });
    let page = StoreOp::SlotPage { recipient: key(2), after_serial: 0, limit_slots: 9, limit_bytes: 15 };
    let StoreResult::Slots { slots, more } = bench.ask(page.clone()) else { panic!("not slots") };
    assert_eq!((slots.len(), slots[0].serial, slots[0].sealed[0], more), (1, 2, 2, true));
    bench.ask(StoreOp::TakeSlot { recipient: key(2), from: key(1), serial: 2 });
    let StoreResult::Slots { slots, more } = bench.ask(page) else { panic!("not slots") };
    assert_eq!((slots.len(), slots[0].from, more), (1, key(3), false));
}

#[test]
fn a_page_of_slots_is_bounded_by_number_and_bytes_but_never_empty() {
    let mut bench = Bench::with_people();
    for from in [1, 3] {
        let slot = PutSlot { recipient: key(2), prekey: 1, sealed: vec![from; 10] };
        let op = PutSlotOp { from: key(from), slot, now_ms: 5, may_grow: true, limits: SlotLimits::default() };
        bench.ask(StoreOp::PutSlot(Box::new(op)));
    }
    let mut page = |after_serial, limit_slots, limit_bytes| {
        let page = StoreOp::SlotPage { recipient: key(2), after_serial, limit_slots, limit_bytes };
        let StoreResult::Slots { slots, more } = bench.ask(page) else { panic!("not slots") };
        (slots.iter().map(|slot| slot.serial).collect::<Vec<_>>(), more)
    };
    assert_eq!([page(0, 9, 20), page(0, 2, 99)], [(vec![1, 2], false), (vec![1, 2], false)]);
    assert_eq!([page(0, 9, 19), page(0, 1, 99)], [(vec![1], true), (vec![1], true)]);
    assert_eq!([page(0, 9, 0), page(0, 0, 99), page(1, 9, 0)], [(vec![1], true), (vec![1], true), (vec![2], false)]);
}
