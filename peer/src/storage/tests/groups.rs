//! Messages to groups: one line with a copy for each member, how far they are, the chain, histories of groups.

use common::group::{Change, SignedStep, Step};
use common::identity::Identity;
use peer_core::stored::{Copy, Move, Reason, Tally};

use super::*;

const CAROL: PublicKey = PublicKey([4; 32]);

/// One line with copies for Bob, Eve and Carol, whose lanes it enters at `seq`.
fn to_family(number: u64, seq: u64) -> NewMessage {
    let mut message = own(BOB, number, seq);
    message.row.conversation = in_family();
    message.row.body = text(&format!("own {number}"));
    message.copies =
        [(EVE, seq + 10), (CAROL, seq + 20)].map(|(recipient, seq)| Copy { recipient, seq, after: Some(id(7)) }).into();
    message
}

fn in_group(from: PublicKey, number: u64, words: &str) -> Arrival {
    Arrival { conversation: in_family(), ..line(from, number, words) }
}

fn reply(number: u64, to: u64) -> Arrival {
    saying(in_group(EVE, number, ""), &Body::Text(Text { text: "me".into(), reply_to: Some(id(to)) }))
}

fn tallied(store: &mut Store, op: StoreOp) -> Tally {
    match one(store, op) {
        StoreResult::Tallied(tally) => tally,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_message_to_a_group_is_one_line_with_a_place_in_every_lane() {
    let mut store = store();
    let n = queued(&mut store, NewMessage { key: Some("k".to_owned()), ..to_family(1, 1) });
    let snapshot = load(&mut store);
    let rows: Vec<_> = snapshot.outbox.iter().map(|row| (row.n, row.recipient, row.seq, row.after)).collect();
    assert_eq!(rows, [(n, BOB, 1, Some(id(0))), (n, EVE, 11, Some(id(7))), (n, CAROL, 21, Some(id(7)))]);
    assert!(snapshot.outbox.iter().all(|row| row.body == text("own 1") && row.conversation == in_family()));
    assert_eq!(snapshot.last_seqs, [(BOB, 1), (EVE, 11), (CAROL, 21)]);
    assert_eq!(snapshot.last_sent, [BOB, EVE, CAROL].map(|key| (key, in_family(), id(1))));
    let lines = family(&mut store);
    assert_eq!((lines.len(), lines[0].other, lines[0].mine), (1, ME, true));
    assert_eq!(lines[0].tally, Some(Tally { total: 3, waiting: 3, ..Tally::default() }));
    for person in [BOB, EVE, CAROL, ME] {
        assert!(history(&mut store, person, None, 9).is_empty());
    }
    // The same key again: no seq is given twice, in none of the lanes.
    let again = NewMessage { key: Some("k".to_owned()), ..to_family(2, 2) };
    let StoreResult::QueuedBefore(before) = one(&mut store, queue(again)) else { panic!() };
    assert_eq!((before.n, before.tally.map(|tally| tally.total)), (n, Some(3)));
    assert_eq!(load(&mut store).last_seqs, [(BOB, 2), (EVE, 12), (CAROL, 22)]);
}

#[test]
fn it_is_as_far_as_the_copies_that_are_least_far() {
    let mut store = store();
    let n = queued(&mut store, to_family(1, 1));
    let mut told = Vec::new();
    let mut step = |store: &mut Store, person, to| {
        let tally = tallied(store, state(n, person, to));
        let now = message(store, n);
        assert_eq!(now.tally, Some(tally));
        told.push((now.state.unwrap().0, tally.delivered, tally.kept, tally.waiting, tally.ended));
    };
    step(&mut store, BOB, State::Delivered);
    step(&mut store, EVE, State::Kept);
    step(&mut store, CAROL, State::Held);
    step(&mut store, CAROL, State::Kept);
    step(&mut store, EVE, State::Delivered);
    step(&mut store, CAROL, State::Expired);
    let wanted = [
        (State::Queued, 1, 0, 2, 0),
        (State::Queued, 1, 1, 1, 0),
        (State::Held, 1, 1, 1, 0),
        (State::Kept, 1, 2, 0, 0),
        (State::Kept, 2, 1, 0, 0),
        (State::Delivered, 2, 0, 0, 1),
    ];
    // The third step holds the only one that still waits.
    assert_eq!(told, wanted);
    let QueryResult::Trace(Some((traced, steps))) = store.query(Query::Trace { n }) else { panic!() };
    assert_eq!((*traced, steps.len()), (message(&mut store, n), 7));
}

#[test]
fn the_reason_and_the_time_of_all_are_those_of_the_copy_that_stands_for_them() {
    let mut store = store();
    let n = queued(&mut store, to_family(1, 1));
    let held = |recipient, elapsed_ms, reason| StoreOp::State {
        n,
        recipient,
        state: State::Held,
        via: None,
        reason: Some(reason),
        at_ms: 3,
        elapsed_ms,
    };
    let ops =
        vec![held(EVE, 40, Reason::MailboxFull), held(CAROL, 30, Reason::NoPrekey), state(n, BOB, State::Delivered)];
    apply(&mut store, ops);
    let now = message(&mut store, n);
    assert_eq!((now.state, now.elapsed_ms, now.via), (Some((State::Held, Some(Reason::MailboxFull))), 40, None));
    // Two people only: a message of a pair is answered as ever.
    let pair = queued(&mut store, own(BOB, 2, 2));
    assert_eq!(one(&mut store, state(pair, BOB, State::Delivered)), StoreResult::Done);
    assert_eq!(message(&mut store, pair).tally, None);
}

#[test]
fn a_copy_moves_to_another_lane_and_the_line_stays_where_it_is() {
    let mut store = store();
    let n = queued(&mut store, to_family(1, 1));
    let moved = Move { n, from: EVE, to: PublicKey([9; 32]), seq: 1, after: None };
    apply(&mut store, vec![StoreOp::Readdress(vec![moved])]);
    let rows: Vec<_> = load(&mut store).outbox.iter().map(|row| (row.recipient, row.seq)).collect();
    assert_eq!(rows, [(BOB, 1), (CAROL, 21), (PublicKey([9; 32]), 1)]);
    assert_eq!((family(&mut store)[0].other, family(&mut store)[0].after), (ME, Some(id(0))));
}

#[test]
fn a_group_has_one_history_of_all_its_writers_in_pages() {
    let mut store = store();
    for number in 1..=6 {
        let from = [BOB, EVE, CAROL][number as usize % 3];
        arrived(&mut store, in_group(from, number, "said"));
        queued(&mut store, to_family(100 + number, number));
    }
    arrived(&mut store, line(BOB, 50, "apart"));
    arrived(
        &mut store,
        Arrival { conversation: Conversation::Group { id: [9; 16], membership: 1 }, ..line(BOB, 51, "other") },
    );
    arrived(&mut store, saying(in_group(BOB, 60, ""), &react(CAROL, 2, "👍")));
    assert_eq!(
        numbers(&family(&mut store)),
        [2, 4, 6, 8, 10, 12],
        "what is not put out yet waits for the group's chain"
    );
    apply(&mut store, vec![StoreOp::Shown((1..=15).collect())]);
    assert_eq!(numbers(&family(&mut store)), (1..=12).collect::<Vec<_>>());
    let page =
        |store: &mut Store, before| match store.query(Query::History { with: Talk::Group(FAMILY), before, count: 5 }) {
            QueryResult::History(page) => numbers(&page),
            other => panic!("{other:?}"),
        };
    assert_eq!(
        [page(&mut store, Some(12)), page(&mut store, Some(7)), page(&mut store, Some(2))],
        [vec![7, 8, 9, 10, 11], vec![2, 3, 4, 5, 6], vec![1]]
    );
    assert_eq!(message(&mut store, 3).reactions, [(BOB, "👍".to_owned())]);
}

#[test]
fn a_reply_in_a_group_quotes_any_member_and_nobody_outside() {
    let mut store = store();
    arrived(&mut store, in_group(BOB, 1, "who cooks?"));
    arrived(&mut store, line(BOB, 2, "between us"));
    apply(&mut store, vec![StoreOp::Shown(vec![1, 2])]);
    let Arrived::New { line: Some(now), .. } = arrived(&mut store, reply(3, 1)) else { panic!() };
    assert_eq!(now.quote.map(|quote| (quote.n, quote.sender)), Some((1, BOB)));
    assert!(matches!(arrived(&mut store, reply(4, 2)), Arrived::New { line: None, .. }));
}

#[test]
fn what_was_shown_is_quoted_first_and_an_id_of_two_writers_stands_for_neither() {
    let mut store = store();
    let quoted = |store: &mut Store, number, to| match arrived(store, reply(number, to)) {
        Arrived::New { line, .. } => line.and_then(|line| line.quote).map(|quote| (quote.n, quote.sender)),
        other => panic!("{other:?}"),
    };
    arrived(&mut store, in_group(EVE, 1, "an outsider's, as it may be"));
    assert_eq!(quoted(&mut store, 2, 1), Some((1, EVE)), "in one burst with what it answers");
    arrived(&mut store, in_group(BOB, 1, "who cooks?"));
    assert_eq!(quoted(&mut store, 3, 1), None);
    apply(&mut store, vec![StoreOp::Shown(vec![3])]);
    assert_eq!(quoted(&mut store, 4, 1), Some((3, BOB)), "what waits for the chain takes nothing from him");
    apply(&mut store, vec![StoreOp::Shown(vec![1])]);
    assert_eq!(quoted(&mut store, 5, 1), None);
    apply(&mut store, vec![StoreOp::Dismiss(vec![1])]);
    assert_eq!(quoted(&mut store, 6, 1), Some((3, BOB)));
}

#[test]
fn what_is_dismissed_is_no_line_and_stops_nothing() {
    let mut store = store();
    arrived(&mut store, in_group(BOB, 1, "an outsider's"));
    arrived(&mut store, in_group(BOB, 2, "another"));
    apply(&mut store, vec![StoreOp::Dismiss(vec![1, 77]), StoreOp::Shown(vec![2])]);
    assert_eq!(numbers(&family(&mut store)), [2]);
    assert_eq!((message(&mut store, 1).body, load(&mut store).unshown.len()), (Vec::new(), 0));
    assert_eq!(arrived(&mut store, in_group(BOB, 1, "an outsider's")), Arrived::Double { n: 1 });
    apply(&mut store, vec![StoreOp::Dismiss(vec![2])]);
    assert!(family(&mut store).is_empty());
    assert_eq!(load(&mut store).last_shown, [(BOB, in_family(), id(2))], "what follows it need not wait");
}

#[test]
fn a_chain_grows_at_its_end_and_is_given_whole() {
    let mut store = store();
    let (alice, bob) = (Identity::from_seed(&[1; 32]), Identity::from_seed(&[2; 32]));
    let founding = Change::Found { name: "family".parse().unwrap(), private: false };
    let first = SignedStep::sign(&alice, &Step::founding(FAMILY, alice.public(), 0, founding));
    let mut group = common::group::Membership::found(&first).unwrap();
    let second = SignedStep::sign(&bob, &group.next(bob.public(), 1, Change::Join));
    group.apply(&second).unwrap();
    let put = |first, steps| StoreOp::PutSteps { group: FAMILY, first, steps };
    apply(&mut store, vec![put(1, vec![first.clone()]), put(1, vec![second.clone(), second.clone()])]);
    assert_eq!(load(&mut store).groups, [(FAMILY, vec![first.clone(), second.clone()])], "what is there stays");
    let part = |after, count| Query::Steps { group: FAMILY, after, count };
    for (after, count, steps) in
        [(0, 9, vec![&first, &second]), (0, 1, vec![&first]), (1, 9, vec![&second]), (2, 9, vec![])]
    {
        let steps = steps.into_iter().cloned().collect();
        assert_eq!(store.query(part(after, count)), QueryResult::Steps(steps), "{count} after {after}");
    }
    // Nothing is given out beyond a gap.
    apply(
        &mut store,
        vec![put(4, vec![second.clone()]), StoreOp::PutSteps { group: [1; 16], first: 2, steps: vec![second] }],
    );
    assert_eq!(load(&mut store).groups.len(), 1);
    let home = |directory| StoreOp::PutGroupHome { group: FAMILY, directory };
    apply(&mut store, vec![home(BOB), home(ME)]);
    assert_eq!(load(&mut store).homes, [(FAMILY, ME)], "the last counts");
    let QueryResult::Steps(steps) = store.query(part(0, 9)) else { panic!() };
    assert_eq!((steps.len(), store.query(part(2, 9))), (2, QueryResult::Steps(vec![])));
    assert_eq!(common::group::Membership::of(&load(&mut store).groups[0].1), Ok(group));
}
