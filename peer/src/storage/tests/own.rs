//! Own messages: numbers, idempotency keys, states, lanes and epochs.

use peer_core::stored::{Move, Query, QueryResult, Reason, State, StoreOp, StoreResult};

use super::*;

fn moved(n: u64, to: PublicKey, seq: u64) -> Move {
    Move { n, from: BOB, to, seq, after: None }
}

fn seqs(snapshot: &Snapshot) -> Vec<(u64, PublicKey, u64)> {
    snapshot.outbox.iter().map(|row| (row.n, row.recipient, row.seq)).collect()
}

#[test]
fn a_queued_message_is_in_the_snapshot_as_it_was_given() {
    let mut store = store();
    let message = own(BOB, 10, 1);
    let n = queued(&mut store, message.clone());
    let snapshot = load(&mut store);
    assert_eq!(snapshot.outbox, [OutboxRow { n, ..message.row }]);
    assert_eq!(snapshot.last_seqs, [(BOB, 1)]);
    assert_eq!(snapshot.last_sent, [(BOB, Conversation::Pair, id(10))]);
    assert_eq!(snapshot.last_id, Some(id(10)));
    assert!(snapshot.unshown.is_empty());
}

#[test]
fn the_same_idempotency_key_queues_once() {
    let mut store = store();
    let with_key = |number| NewMessage { key: Some("k".to_owned()), ..own(BOB, number, number) };
    let n = queued(&mut store, with_key(1));
    apply(&mut store, vec![state(n, BOB, State::Kept)]);
    let StoreResult::QueuedBefore(before) = one(&mut store, queue(with_key(2))) else { panic!() };
    assert_eq!((before.n, before.id, before.sender), (n, id(1), ME));
    assert_eq!((before.state, before.via, before.elapsed_ms), (Some((State::Kept, None)), Some(Via::Directory), 500));
    assert_eq!(history(&mut store, BOB, None, 10).len(), 1);
    assert_eq!(load(&mut store).last_seqs, [(BOB, 2)], "the seq is given to nothing, and never again");
}

#[test]
fn states_and_steps_make_the_trace() {
    let mut store = store();
    let n = queued(&mut store, own(BOB, 1, 1));
    let held = StoreOp::State {
        n,
        recipient: BOB,
        state: State::Held,
        via: None,
        reason: Some(Reason::Quota),
        at_ms: 3,
        elapsed_ms: 4,
    };
    let tried = StoreOp::Step { n, what: "tried", via: Some(Via::Direct), at_ms: 2 };
    apply(&mut store, vec![tried, held, state(n, EVE, State::Read)]);
    let QueryResult::Trace(Some((message, steps))) = store.query(Query::Trace { n }) else { panic!() };
    assert_eq!(message.state, Some((State::Held, Some(Reason::Quota))));
    let told: Vec<_> = steps.iter().map(|step| (step.state, step.what.as_deref(), step.reason)).collect();
    let wanted = [
        (Some(State::Queued), None, None),
        (None, Some("tried"), None),
        (Some(State::Held), None, Some(Reason::Quota)),
    ];
    assert_eq!(told, wanted);
    for unknown in [n + 1, 0, u64::MAX] {
        assert_eq!(store.query(Query::Trace { n: unknown }), QueryResult::Trace(None));
    }
}

#[test]
fn a_trace_does_not_grow_without_end_but_tells_every_state() {
    let mut store = store();
    let n = queued(&mut store, own(BOB, 1, 1));
    let tried = StoreOp::Step { n, what: "tried", via: None, at_ms: 2 };
    apply(&mut store, vec![tried; 1_000]);
    apply(&mut store, vec![state(n, BOB, State::Delivered)]);
    let QueryResult::Trace(Some((_, steps))) = store.query(Query::Trace { n }) else { panic!() };
    assert!(steps.len() < 300);
    assert_eq!(steps.last().unwrap().state, Some(State::Delivered));
}

#[test]
fn settled_rows_keep_what_is_told_again_after_a_crash_until_their_seq_is_forgotten() {
    let mut store = store();
    let ns: Vec<u64> = (1..=3).map(|number| queued(&mut store, own(BOB, number, number))).collect();
    apply(&mut store, vec![state(ns[0], BOB, State::Delivered), state(ns[2], BOB, State::Delivered)]);
    let told: Vec<(Vec<u8>, State)> = load(&mut store).outbox.into_iter().map(|row| (row.body, row.state)).collect();
    let texts: Vec<(Vec<u8>, State)> = [(1, State::Delivered), (2, State::Queued), (3, State::Delivered)]
        .map(|(number, state)| (format!("own {number}").into_bytes(), state))
        .into();
    assert_eq!(told, texts);
    // Row 2 is below, but not settled.
    apply(&mut store, vec![StoreOp::Forget { recipient: BOB, below: 3 }]);
    let snapshot = load(&mut store);
    assert_eq!(seqs(&snapshot), [(ns[1], BOB, 2), (ns[2], BOB, 3)]);
    assert_eq!(snapshot.last_seqs, [(BOB, 3)]);
    assert_eq!(history(&mut store, BOB, None, 10)[0].body, b"own 1");
}

#[test]
fn the_age_of_a_message_is_corrected_by_its_id_and_no_other_age() {
    let mut store = store();
    queued(&mut store, own(BOB, 1, 1));
    queued(&mut store, own(BOB, 2, 2));
    arrived(&mut store, theirs(EVE, 2));
    apply(
        &mut store,
        vec![StoreOp::Aged { id: id(2), queued_age_ms: 77 }, StoreOp::Aged { id: id(9), queued_age_ms: 9 }],
    );
    let ages: Vec<u64> = load(&mut store).outbox.iter().map(|row| row.queued_age_ms).collect();
    assert_eq!(ages, [5, 77]);
}

#[test]
fn a_new_epoch_forgets_every_seq_and_gives_the_moved_rows_theirs() {
    let mut store = store();
    let ns: Vec<u64> = (1..=4).map(|number| queued(&mut store, own(BOB, number, number))).collect();
    apply(&mut store, vec![state(ns[0], BOB, State::Delivered)]);
    // Two rows take each other's place, one goes to another key.
    let moves = vec![moved(ns[2], BOB, 1), moved(ns[1], BOB, 2), moved(ns[3], EVE, 1)];
    apply(&mut store, vec![StoreOp::NewEpoch { epoch: epoch(2), moves }]);
    let snapshot = load(&mut store);
    assert_eq!(seqs(&snapshot), [(ns[2], BOB, 1), (ns[1], BOB, 2), (ns[3], EVE, 1)]);
    assert_eq!(snapshot.last_seqs, [(BOB, 2), (EVE, 1)]);
    assert!(snapshot.outbox.iter().all(|row| row.after.is_none()));
    assert_eq!(numbers(&history(&mut store, BOB, None, 9)), ns[..3]);
    let with_eve = history(&mut store, EVE, None, 9);
    assert_eq!((numbers(&with_eve), with_eve[0].state), (vec![ns[3]], Some((State::Queued, None))));
}

#[test]
fn readdressed_rows_change_lanes_and_leave_the_others_alone() {
    let mut store = store();
    let ns: Vec<u64> = (1..=3).map(|number| queued(&mut store, own(BOB, number, number))).collect();
    apply(&mut store, vec![StoreOp::Readdress(vec![moved(ns[1], EVE, 1), moved(ns[2], EVE, 2)])]);
    let snapshot = load(&mut store);
    assert_eq!(seqs(&snapshot), [(ns[0], BOB, 1), (ns[1], EVE, 1), (ns[2], EVE, 2)]);
    assert_eq!(snapshot.last_seqs, [(BOB, 3), (EVE, 2)]);
    assert_eq!(snapshot.last_sent.iter().find(|(who, ..)| *who == EVE).unwrap().2, id(3));
}

#[test]
fn one_seq_is_never_given_twice() {
    let mut store = store();
    queued(&mut store, own(BOB, 1, 1));
    assert!(store.apply(vec![(Ticket(1), vec![queue(own(BOB, 2, 1))])]).is_err());
}

#[test]
fn a_message_is_found_by_its_number_and_by_its_identity() {
    let mut store = store();
    assert_eq!(store.query(Query::Message(Which::Id(id(1)))), QueryResult::Message(None));
    for (number, from) in [(1, EVE), (1, BOB), (2, BOB)] {
        arrived(&mut store, theirs(from, number));
    }
    let own = queued(&mut store, own(BOB, 2, 1));
    let mut find = |which| match store.query(Query::Message(which)) {
        QueryResult::Message(found) => found.map(|message| message.n),
        other => panic!("{other:?}"),
    };
    assert_eq!([1, 2, 3].map(|number| find(Which::Id(id(number)))), [Some(1), Some(own), None], "one's own first");
    assert_eq!([0, 3, own + 1, u64::MAX].map(|n| find(Which::Number(n))), [None, Some(3), None, None]);
}
