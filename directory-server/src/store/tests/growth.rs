//! What nobody may make the store grow by: keys without a name, epochs, words about old items, slots.

use common::wire::directory::{Fate, PutSlot, Whom};
use directory_core::event::PutSlotOp;
use directory_core::limits::SlotLimits;

use super::*;

fn rows(bench: &Bench, table: &str) -> i64 {
    bench.store.db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

fn slot(from: u8, to: u8, bytes: usize, now_ms: i64) -> PutSlotOp {
    let slot = PutSlot { recipient: key(to), prekey: 1, sealed: vec![7; bytes] };
    PutSlotOp { from: key(from), slot, now_ms, may_grow: true, limits: SlotLimits::default() }
}

fn put(bench: &mut Bench, op: PutSlotOp) -> bool {
    matches!(bench.ask(StoreOp::PutSlot(Box::new(op))), StoreResult::SlotKept { .. })
}

fn login(bench: &mut Bench, who: u8, now_ms: i64) {
    bench.ask(StoreOp::OfferToken { key: key(who), token: [who; 16], proven: None, now_ms });
}

fn in_epoch(bench: &Bench, epoch: u8, seq: u64) -> StoreOp {
    let mut op = bench.op(1, 2, seq);
    op.deposit.place.epoch = EpochId([epoch; 16]);
    StoreOp::Deposit(Box::new(op))
}

fn fate_in(bench: &mut Bench, epoch: u8, seq: u64) -> Fate {
    let places = vec![Place { epoch: EpochId([epoch; 16]), ..place(2, seq) }];
    let StoreResult::Fates(fates) = bench.ask(StoreOp::Have { submitter: key(1), places }) else { panic!("no fates") };
    fates[0].clone()
}

#[test]
fn a_key_without_a_name_leaves_nothing() {
    let mut bench = Bench::with_people();
    let tables = ["accounts", "prekeys", "slots", "pairs", "lanes", "items"];
    let before = tables.map(|table| rows(&bench, table));
    assert_eq!(bench.deposit(bench.item(9, 2, 1)), Err(Refusal::NotRegistered));
    assert!(!put(&mut bench, slot(9, 2, 10, 5)));
    bench.ask(StoreOp::Accept { key: key(9), keys: vec![key(1)], limit: 10 });
    bench.ask(StoreOp::Accept { key: key(1), keys: vec![key(9)], limit: 10 });
    let put_prekey = StoreOp::PutPrekey { key: key(9), prekey: prekey(9, 1) };
    assert_eq!(bench.ask(put_prekey), StoreResult::Refused(Refusal::NotRegistered));
    assert_eq!(tables.map(|table| rows(&bench, table)), before);
}

#[test]
fn a_key_that_takes_no_name_is_forgotten_after_a_while_and_others_are_not() {
    let mut bench = Bench::with_people();
    (1..=6).for_each(|who| login(&mut bench, who, 1_000 + i64::from(who)));
    bench.ask(StoreOp::Accept { key: key(2), keys: vec![key(3)], limit: 10 });
    bench.ask(StoreOp::Deregister { key: key(3) });
    let clear = |accounts_before_ms| StoreOp::Expire(ExpireOp { accounts_before_ms, ..expire(0, 0) });
    assert_eq!(bench.ask(clear(1_004)), StoreResult::Expired { more: false });
    assert_eq!(rows(&bench, "accounts"), 6);
    assert_eq!(bench.ask(clear(1_006)), StoreResult::Expired { more: true });
    assert_eq!(bench.ask(clear(2_000)), StoreResult::Expired { more: false });
    assert_eq!(rows(&bench, "accounts"), 3, "two with names, and one that somebody has accepted");
    assert!(matches!(bench.ask(StoreOp::LookUp { whom: Whom::Key(key(1)) }), StoreResult::Profile(Some(_))));
    login(&mut bench, 4, 3_000);
    let number = "SELECT account > 6 FROM accounts WHERE key = ?1";
    assert!(bench.store.db.query_row(number, [&key(4).0[..]], |row| row.get::<_, bool>(0)).unwrap(), "a new number");
}

#[test]
fn a_pair_has_sixteen_epochs_and_none_that_holds_an_item_goes() {
    let mut bench = Bench::with_people();
    bench.deposit(in_epoch(&bench, 0, 1)).unwrap();
    for epoch in 1..=40 {
        let item = bench.deposit(in_epoch(&bench, epoch, 1)).unwrap();
        bench.take(2, &[(item, Taking::NotOpened)]);
    }
    assert_eq!(rows(&bench, "lanes"), lanes::PER_PAIR_MAX);
    assert_eq!(rows(&bench, "tombstones"), lanes::PER_PAIR_MAX - 1);
    assert_eq!(fate_in(&mut bench, 0, 1), Fate::Held);
    assert_eq!([fate_in(&mut bench, 1, 1), fate_in(&mut bench, 40, 1)], [Fate::Unknown, Fate::NotOpened]);
    bench.deposit(in_epoch(&bench, 1, 1)).unwrap();
    assert_eq!(bench.everything(2).len(), 2, "a forgotten epoch begins anew");
}

#[test]
fn an_empty_lane_is_forgotten_a_day_after_its_time_at_the_latest_and_a_used_one_is_not() {
    const DAY: i64 = 86_400_000;
    let mut bench = Bench::with_people();
    let mut at = |epoch, now_ms| {
        let StoreOp::Deposit(mut op) = in_epoch(&bench, epoch, 1) else { panic!() };
        op.now_ms = now_ms;
        bench.deposit(StoreOp::Deposit(op)).unwrap()
    };
    let items = [at(1, DAY), at(2, DAY), at(3, 3 * DAY)];
    bench.take(2, &[(items[0], Taking::Stored), (items[2], Taking::Stored)]);
    bench.ask(StoreOp::Expire(expire(0, 2 * DAY)));
    assert_eq!([1, 2, 3].map(|epoch| fate_in(&mut bench, epoch, 1)), [Fate::Unknown, Fate::Held, Fate::Taken]);
}

#[test]
fn words_about_old_items_of_a_lane_are_bounded_in_whichever_order_they_come() {
    let mut bench = Bench::with_people();
    for seq in [9_000, 8_999, 7_001, 5, 7_000] {
        let item = bench.deposit(bench.item(1, 2, seq)).unwrap();
        bench.take(2, &[(item, Taking::NotOpened)]);
    }
    assert_eq!(rows(&bench, "tombstones"), 3, "within 2,000 of the highest");
    let item = bench.deposit(bench.item(1, 2, 10_999)).unwrap();
    bench.take(2, &[(item, Taking::NotOpened)]);
    assert_eq!(rows(&bench, "tombstones"), 2);
}

#[test]
fn slots_are_bounded_by_their_bytes_and_grow_only_where_there_is_room() {
    let mut bench = Bench::with_people();
    let limits = SlotLimits { slot_bytes_all: 100, ..SlotLimits::default() };
    let bounded = |from, bytes| PutSlotOp { limits, ..slot(from, 2, bytes, 5) };
    assert!(put(&mut bench, bounded(1, 60)));
    assert!(!put(&mut bench, bounded(3, 41)));
    assert!(put(&mut bench, bounded(3, 40)));
    assert!(put(&mut bench, bounded(1, 60)));
    assert!(!put(&mut bench, bounded(1, 61)));
    let full = |from, bytes| PutSlotOp { may_grow: false, ..bounded(from, bytes) };
    assert!(put(&mut bench, full(1, 50)));
    assert!(put(&mut bench, full(1, 50)), "as large as before takes no room");
    assert!(!put(&mut bench, full(1, 51)));
    assert!(!put(&mut bench, PutSlotOp { may_grow: false, ..slot(2, 3, 0, 5) }), "a new slot takes room");
}

#[test]
fn a_slot_goes_when_it_is_as_old_as_an_item_may_be() {
    let mut bench = Bench::with_people();
    assert!(put(&mut bench, slot(1, 2, 10, 10)) && put(&mut bench, slot(3, 2, 10, 10)));
    assert!(put(&mut bench, slot(1, 3, 10, 20)) && put(&mut bench, slot(1, 2, 10, 30)));
    assert_eq!(bench.ask(StoreOp::Expire(expire(25, 0))), StoreResult::Expired { more: true });
    assert_eq!(bench.ask(StoreOp::Expire(expire(25, 0))), StoreResult::Expired { more: false });
    assert_eq!(rows(&bench, "slots"), 1);
    bench.ask(StoreOp::Expire(expire(30, 0)));
    assert_eq!(rows(&bench, "slots"), 1, "what was filled at that time was not filled before it");
}

#[test]
fn what_is_kept_while_the_clock_stands_at_its_beginning_is_not_old_when_it_is_set() {
    let mut bench = Bench::with_people();
    login(&mut bench, 1, 1_800_000_000_000);
    let mut early = bench.op(1, 2, 1);
    early.now_ms = 17;
    bench.deposit(StoreOp::Deposit(Box::new(early))).unwrap();
    bench.ask(StoreOp::Expire(expire(1_799_000_000_000, 0)));
    assert_eq!(bench.everything(2)[0].item.deposited_at_ms, 1_800_000_000_000);
}
