//! Messages of others: dedupe, order, what is held, what was put out.

use proptest::prelude::*;

use super::*;

fn held(store: &mut Store) -> Vec<(PublicKey, u64, MessageId)> {
    load(store).held
}

fn rows_held(store: &Store) -> i64 {
    store.conn.query_row("SELECT count(*) FROM held", [], |row| row.get(0)).unwrap()
}

#[test]
fn a_message_kept_twice_is_stored_once_and_takes_no_number() {
    let mut store = store();
    assert_eq!(
        arrived(&mut store, theirs(BOB, 5)),
        Arrived::New { n: 1, late: false, line: None, settled: Vec::new() }
    );
    let other_way = Arrival { via: Via::Directory, held: None, body: b"changed".to_vec(), ..theirs(BOB, 5) };
    for _ in 0..3 {
        assert_eq!(arrived(&mut store, other_way.clone()), Arrived::Double { n: 1 });
    }
    for days in [1, 400] {
        let again = Arrival { received_at_ms: days * 86_400_000, ..other_way.clone() };
        assert_eq!(arrived(&mut store, again), Arrived::Double { n: 1 }, "an id is known for ever");
    }
    // The same id of somebody else is another message.
    assert_eq!(
        arrived(&mut store, theirs(EVE, 5)),
        Arrived::New { n: 2, late: false, line: None, settled: Vec::new() }
    );
    let messages = history(&mut store, BOB, None, 9);
    assert_eq!((messages.len(), messages[0].body.as_slice()), (1, b"theirs 5".as_slice()));
}

#[test]
fn only_what_comes_in_the_followed_epoch_and_above_the_floor_is_held() {
    let mut store = store();
    arrived(&mut store, theirs(BOB, 4));
    assert!(held(&mut store).is_empty());
    apply(&mut store, vec![follow(BOB, 1, 3)]);
    arrived(&mut store, theirs(BOB, 2));
    arrived(&mut store, Arrival { held: Some((epoch(2), 6)), ..theirs(BOB, 6) });
    assert!(held(&mut store).is_empty());
    // A double is noted all the same.
    assert_eq!(arrived(&mut store, theirs(BOB, 4)), Arrived::Double { n: 1 });
    arrived(&mut store, theirs(BOB, 3));
    assert_eq!(held(&mut store), [(BOB, 3, id(3)), (BOB, 4, id(4))]);
    assert_eq!(load(&mut store).lanes, [(BOB, epoch(1), 3)]);
}

#[test]
fn another_message_at_a_held_place_is_not_stored() {
    let mut store = store();
    apply(&mut store, vec![follow(BOB, 1, 1)]);
    arrived(&mut store, theirs(BOB, 1));
    let other = Arrival { held: Some((epoch(1), 1)), ..theirs(BOB, 2) };
    assert_eq!(arrived(&mut store, other.clone()), Arrived::Conflict);
    assert_eq!(history(&mut store, BOB, None, 9).len(), 1);
    assert_eq!(held(&mut store), [(BOB, 1, id(1))]);
    // In another epoch it is no conflict: it is stored, and held by nothing.
    let older = Arrival { held: Some((epoch(9), 1)), ..other };
    assert_eq!(arrived(&mut store, older), Arrived::New { n: 2, late: false, line: None, settled: Vec::new() });
}

#[test]
fn following_forgets_below_the_floor_and_everything_of_another_epoch() {
    let mut store = store();
    apply(&mut store, vec![follow(BOB, 1, 1), follow(EVE, 1, 1)]);
    let arrivals = (1..=4).map(|number| receive(theirs(BOB, number))).chain([receive(theirs(EVE, 1))]).collect();
    apply(&mut store, arrivals);
    apply(&mut store, vec![follow(BOB, 1, 3)]);
    assert_eq!(held(&mut store), [(BOB, 3, id(3)), (BOB, 4, id(4)), (EVE, 1, id(1))]);
    assert_eq!(rows_held(&store), 3, "what is settled takes no room");
    apply(&mut store, vec![follow(BOB, 2, 1)]);
    assert_eq!(held(&mut store), [(EVE, 1, id(1))]);
    assert_eq!(history(&mut store, BOB, None, 9).len(), 4);
}

#[test]
fn numbers_out_of_this_world_do_not_stop_the_store() {
    let mut store = store();
    let last = Arrival { held: Some((epoch(u64::MAX), u64::MAX)), ..theirs(BOB, 1) };
    let below = |seq| receive(Arrival { held: Some((epoch(u64::MAX), seq)), ..theirs(BOB, seq) });
    let early = vec![follow(BOB, u64::MAX, 2), below(2), below(u64::MAX - 2), receive(last)];
    apply(&mut store, early);
    assert_eq!(rows_held(&store), 3);
    apply(&mut store, vec![follow(BOB, u64::MAX, u64::MAX - 1), follow(BOB, u64::MAX, u64::MAX)]);
    assert_eq!(held(&mut store), [(BOB, u64::MAX, id(1))]);
    assert_eq!(rows_held(&store), 1);
    assert_eq!(load(&mut store).lanes[0].1.generation, u64::MAX);
}

#[test]
fn what_was_not_put_out_is_told_again_and_the_newest_put_out_is_known() {
    let mut store = store();
    let urgent = Arrival { ordered: false, urgent: true, ..theirs(BOB, 9) };
    apply(&mut store, vec![receive(theirs(BOB, 1)), receive(theirs(BOB, 3)), receive(theirs(BOB, 2)), receive(urgent)]);
    queued(&mut store, own(BOB, 4, 1));
    assert_eq!(numbers(&load(&mut store).unshown), [1, 2, 3, 4]);
    apply(&mut store, vec![StoreOp::Shown(vec![1, 2, 4]), StoreOp::Shown(vec![3, 3, 77])]);
    let snapshot = load(&mut store);
    assert!(snapshot.unshown.is_empty());
    assert_eq!(snapshot.last_shown, [(BOB, Conversation::Pair, id(3))]);
    assert_eq!(snapshot.last_id, Some(id(4)));
}

#[test]
fn a_late_message_goes_before_what_was_sent_after_it() {
    let mut store = store();
    arrived(&mut store, theirs(BOB, 1));
    arrived(&mut store, theirs(BOB, 4));
    queued(&mut store, own(BOB, 50, 1));
    assert_eq!(arrived(&mut store, theirs(BOB, 3)), Arrived::New { n: 4, late: true, line: None, settled: Vec::new() });
    assert_eq!(arrived(&mut store, theirs(BOB, 2)), Arrived::New { n: 5, late: true, line: None, settled: Vec::new() });
    assert_eq!(numbers(&history(&mut store, BOB, None, 9)), [1, 5, 4, 2, 3]);
    // Pages meet in the middle of the late ones.
    assert_eq!(numbers(&history(&mut store, BOB, Some(4), 9)), [1, 5]);
    assert_eq!(numbers(&history(&mut store, BOB, Some(4), 1)), [5]);
    assert_eq!(numbers(&history(&mut store, BOB, Some(1_000), 2)), [2, 3]);
    assert_eq!(numbers(&history(&mut store, BOB, Some(u64::MAX), 2)), [2, 3]);
    assert!(history(&mut store, BOB, Some(0), 9).is_empty());
}

#[test]
fn an_unordered_or_foreign_message_makes_nothing_late() {
    let mut store = store();
    arrived(&mut store, Arrival { ordered: false, ..theirs(BOB, 9) });
    arrived(&mut store, theirs(EVE, 8));
    arrived(&mut store, Arrival { conversation: Conversation::Group { id: [7; 16], membership: 1 }, ..theirs(BOB, 7) });
    assert_eq!(
        arrived(&mut store, theirs(BOB, 1)),
        Arrived::New { n: 4, late: false, line: None, settled: Vec::new() }
    );
    assert_eq!(numbers(&history(&mut store, BOB, None, 9)), [1, 4]);
    assert_eq!(load(&mut store).unshown[2].conversation, Conversation::Group { id: [7; 16], membership: 1 });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_order_they_come_in_history_has_the_order_they_were_sent_in(
        order in Just((1..=24_u64).collect::<Vec<_>>()).prop_shuffle(),
        between in proptest::collection::vec(0..3_u8, 24),
        page in 1..30_u32,
    ) {
        let mut store = store();
        for (number, other) in order.iter().zip(between) {
            arrived(&mut store, theirs(BOB, *number));
            match other {
                0 => {}
                1 => { queued(&mut store, own(BOB, 100 + number, *number)); }
                _ => { arrived(&mut store, Arrival { ordered: false, ..theirs(BOB, 1_000 - number) }); }
            }
        }
        let all = history(&mut store, BOB, None, 100);
        let sent: Vec<MessageId> =
            all.iter().filter(|message| !message.mine && message.ordered).map(|message| message.id).collect();
        prop_assert_eq!(sent, (1..=24).map(id).collect::<Vec<_>>());

        let mut paged = Vec::new();
        let mut before = None;
        loop {
            let next = history(&mut store, BOB, before, page);
            if next.is_empty() { break }
            before = Some(next[0].n);
            paged.splice(0..0, next);
        }
        prop_assert_eq!(paged, all);
    }
}
