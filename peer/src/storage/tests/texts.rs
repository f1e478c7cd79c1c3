//! Texts that go: countdowns, deletes, forgotten conversations, and that nothing of them is left on the disk; what people have
//! said to have read; how long texts stay.

use common::body::Vanishing;
use peer_core::stored::{Copy, Gone};

use super::disk::place;
use super::*;

fn vanishing(words: &str, after_ms: u64) -> Body {
    Body::Vanishing(Vanishing { text: words.to_owned(), reply_to: None, after_ms })
}

fn vanish(store: &mut Store, age_ms: u64) -> (Vec<u64>, Option<u64>) {
    match one(store, StoreOp::Vanish { age_ms }) {
        StoreResult::Vanished { numbers, next_age_ms } => (numbers, next_age_ms),
        other => panic!("{other:?}"),
    }
}

fn countdown(age_ms: u64) -> StoreOp {
    StoreOp::Countdown { age_ms }
}

#[test]
fn a_countdown_begins_when_the_text_was_put_out_and_once() {
    let mut store = store();
    arrived(&mut store, saying(theirs(BOB, 1), &vanishing("a", 1_000)));
    arrived(&mut store, saying(theirs(BOB, 2), &vanishing("b", 500)));
    arrived(&mut store, line(BOB, 3, "stays"));
    apply(&mut store, vec![countdown(10)]);
    assert_eq!(vanish(&mut store, u64::MAX), (vec![], None), "nobody has seen them");
    apply(&mut store, vec![StoreOp::Shown(vec![1]), countdown(100), StoreOp::Shown(vec![2, 3]), countdown(300)]);
    assert_eq!(load(&mut store).next_vanish_ms, Some(800));
    assert_eq!(vanish(&mut store, 799), (vec![], Some(800)));
    assert_eq!(vanish(&mut store, 800), (vec![2], Some(1_100)));
    assert_eq!(vanish(&mut store, 5_000), (vec![1], None));
    assert_eq!(vanish(&mut store, 5_000), (vec![], None));
    let lines: Vec<_> = history(&mut store, BOB, None, 9).iter().map(|line| (line.n, said(line), line.gone)).collect();
    let gone = |n| (n, None, Some(Gone::Vanished));
    assert_eq!(lines, [gone(1), gone(2), (3, Some("stays".to_owned()), None)]);
    assert_eq!(arrived(&mut store, saying(theirs(BOB, 1), &vanishing("a", 1_000))), Arrived::Double { n: 1 });
}

#[test]
fn an_own_one_begins_when_every_copy_is_settled_and_one_delivered() {
    let mut store = store();
    let mut message = telling(own(BOB, 1, 1), &vanishing("a", 1_000));
    message.row.conversation = in_family();
    message.copies = vec![Copy { recipient: EVE, seq: 1, after: None }];
    let n = queued(&mut store, message);
    let pair = queued(&mut store, telling(own(BOB, 2, 2), &vanishing("never delivered", 1_000)));
    apply(&mut store, vec![state(n, BOB, State::Delivered), countdown(50)]);
    assert_eq!(load(&mut store).next_vanish_ms, None);
    apply(&mut store, vec![state(n, EVE, State::Expired), state(pair, BOB, State::Cancelled), countdown(60)]);
    assert_eq!(vanish(&mut store, 1_060), (vec![n], None));
    assert_eq!(super::message(&mut store, pair).gone, None);
    // Whatever length others claim can be counted with.
    arrived(&mut store, saying(theirs(BOB, 9), &vanishing("b", u64::MAX)));
    apply(&mut store, vec![StoreOp::Shown(vec![3]), countdown(u64::MAX)]);
    assert!(load(&mut store).next_vanish_ms.unwrap() > u64::from(u32::MAX));
}

#[test]
fn what_has_gone_is_nowhere_on_the_disk() {
    let (_folder, path) = place();
    let mut store = Store::open(&path, ME).unwrap();
    let secrets = ["zebrafink", "quokkapfad", "okapihirsch", "wombatwald", "tapirtanne"];
    for (number, secret) in (1..).zip(secrets) {
        arrived(
            &mut store,
            saying(theirs(BOB, number), &vanishing(&format!("{secret} and {}", "more ".repeat(900)), 10)),
        );
    }
    for number in 100..600 {
        arrived(&mut store, line(BOB, number, &format!("other words {number}")));
    }
    let found = |store: &mut Store, word: &str| match store.query(Query::Search {
        words: vec![word.to_owned()],
        within: None,
        count: 9,
    }) {
        QueryResult::History(hits) => hits.len(),
        other => panic!("{other:?}"),
    };
    let everywhere: Vec<usize> = secrets.iter().map(|secret| found(&mut store, secret)).collect();
    assert_eq!(everywhere, [1; 5]);
    // Taken back, edited away, dismissed, vanished, and the rest forgotten.
    arrived(&mut store, saying(theirs(BOB, 700), &edit(2, "tame words")));
    apply(&mut store, vec![StoreOp::Dismiss(vec![3]), StoreOp::Shown(vec![4]), countdown(1)]);
    arrived(&mut store, saying(theirs(BOB, 701), &delete(1)));
    assert_eq!(vanish(&mut store, 11).0, [4]);
    apply(&mut store, vec![StoreOp::Shown((5..800).collect()), StoreOp::ForgetTexts(Talk::Pair(BOB))]);
    store.checkpoint_if_grown().unwrap();
    let left: Vec<&str> = secrets.into_iter().filter(|secret| holds(&path, secret.as_bytes())).collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(!holds(&path, b"other words 300"));
    assert!(secrets.iter().all(|secret| found(&mut store, secret) == 0));
    let verdict: String = store.conn.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
}

#[test]
fn a_forgotten_conversation_keeps_ids_and_numbers_and_what_is_to_be_delivered() {
    let (_folder, path) = place();
    let mut store = Store::open(&path, ME).unwrap();
    arrived(&mut store, line(BOB, 1, "theirs"));
    arrived(&mut store, line(EVE, 1, "eve's"));
    let telling_text = |number, seq, words: &str| {
        telling(own(BOB, number, seq), &Body::Text(Text { text: words.to_owned(), reply_to: None }))
    };
    let done = queued(&mut store, telling_text(2, 1, "arrived there"));
    let waits = queued(&mut store, telling_text(3, 2, "still to go"));
    let edits = queued(&mut store, telling(own(BOB, 4, 3), &edit(2, "edited there")));
    arrived(&mut store, line(BOB, 9, "nobody has seen this"));
    apply(&mut store, vec![StoreOp::Shown(vec![1, 2]), state(done, BOB, State::Delivered)]);
    assert_eq!(one(&mut store, StoreOp::ForgetTexts(Talk::Pair(BOB))), StoreResult::Forgotten(3));
    assert_eq!(numbers(&history(&mut store, BOB, None, 9)), [6], "only what was not put out yet");
    assert_eq!(numbers(&history(&mut store, EVE, None, 9)), [2]);
    for n in [1, done, waits] {
        let forgotten = message(&mut store, n);
        assert_eq!((forgotten.gone, forgotten.body), (Some(Gone::Forgotten), Vec::new()));
    }
    assert_eq!(one(&mut store, StoreOp::ForgetTexts(Talk::Pair(BOB))), StoreResult::Forgotten(0));
    // Still to be delivered, also after a crash; then gone as well.
    drop(store);
    let mut store = Store::open(&path, ME).unwrap();
    let bodies = |store: &mut Store| -> Vec<(u64, usize)> {
        load(store).outbox.iter().map(|row| (row.n, row.body.len())).collect()
    };
    let edit_bytes = edit(2, "edited there").encode().1.len();
    assert_eq!(bodies(&mut store), [(done, 0), (waits, text("still to go").len()), (edits, edit_bytes)]);
    apply(&mut store, vec![state(waits, BOB, State::Kept)]);
    assert!(bodies(&mut store)[1].1 > 0);
    apply(&mut store, vec![state(waits, BOB, State::Delivered), state(edits, BOB, State::Delivered)]);
    assert_eq!(bodies(&mut store), [(done, 0), (waits, 0), (edits, 0)]);
    store.checkpoint_if_grown().unwrap();
    assert!(!holds(&path, b"still to go") && !holds(&path, b"edited there"));
    assert_eq!(arrived(&mut store, line(BOB, 1, "theirs")), Arrived::Double { n: 1 });
}

#[test]
fn a_forgotten_group_leaves_the_others_alone() {
    let mut store = store();
    let other = Conversation::Group { id: [9; 16], membership: 1 };
    for (number, conversation) in [(1, in_family()), (2, other), (3, Conversation::Pair)] {
        arrived(&mut store, Arrival { conversation, ..line(BOB, number, "a") });
    }
    arrived(&mut store, Arrival { conversation: in_family(), ..saying(theirs(EVE, 4), &react(BOB, 1, "👍")) });
    apply(&mut store, vec![StoreOp::Shown(vec![1, 2, 3, 4])]);
    assert_eq!(message(&mut store, 1).reactions.len(), 1);
    assert_eq!(one(&mut store, StoreOp::ForgetTexts(Talk::Group(FAMILY))), StoreResult::Forgotten(1));
    assert!(message(&mut store, 1).reactions.is_empty());
    assert_eq!([2, 3].map(|n| said(&message(&mut store, n)).unwrap()), ["a", "a"]);
    // What comes to a forgotten line later finds nothing to change, and says nothing that stays.
    arrived(&mut store, Arrival { conversation: in_family(), ..saying(theirs(BOB, 5), &edit(1, "b")) });
    let line = message(&mut store, 1);
    assert_eq!(
        (line.gone, line.body.len(), line.edited, message(&mut store, 5).body.len()),
        (Some(Gone::Forgotten), 0, false, 0)
    );
}

fn read(store: &mut Store, recipient: PublicKey, up_to: MessageId, at_ms: i64) -> Vec<(u64, MessageId, u64)> {
    match one(store, StoreOp::Read { recipient, up_to, at_ms }) {
        StoreResult::Read(read) => read,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_delivered_is_read_up_to_the_mark() {
    let mut store = store();
    // Own messages to Bob and Eve in turn; Bob's fourth (id 7) is only kept, and one goes to a group.
    for number in 1..=10 {
        let to = if number % 2 == 1 { BOB } else { EVE };
        let n = queued(&mut store, own(to, number, number));
        apply(&mut store, vec![state(n, to, if number == 7 { State::Kept } else { State::Delivered })]);
    }
    let mut group = own(BOB, 11, 11);
    group.row.conversation = in_family();
    let n = queued(&mut store, group);
    apply(&mut store, vec![state(n, BOB, State::Delivered)]);
    queued(&mut store, telling(own(BOB, 12, 12), &edit(1, "b")));
    apply(&mut store, vec![state(12, BOB, State::Delivered)]);
    arrived(&mut store, line(BOB, 5, "theirs, same id"));

    assert!(read(&mut store, BOB, id(0), 2_000).is_empty());
    // Delivered by the wall clock at 1,500, 500 ms after it was queued.
    assert_eq!(read(&mut store, BOB, id(4), 2_500), [(1, id(1), 1_500), (3, id(3), 1_500)]);
    assert!(read(&mut store, BOB, id(4), 2_500).is_empty());
    assert!(read(&mut store, BOB, id(2), 2_500).is_empty());
    assert_eq!(load(&mut store).read, [(BOB, id(4))]);
    // A claim beyond everything covers what there is, and no more than that later.
    let numbers: Vec<u64> = read(&mut store, BOB, MessageId([0xff; 16]), 2_500).into_iter().map(|(n, ..)| n).collect();
    assert_eq!(numbers, [5, 9]);
    assert_eq!(load(&mut store).read, [(BOB, id(12))]);
    let states: Vec<State> = (1..=11).map(|n| message(&mut store, n).state.unwrap().0).collect();
    let expected: Vec<State> = (1..=11)
        .map(|n| match n {
            1 | 3 | 5 | 9 => State::Read,
            7 => State::Kept,
            _ => State::Delivered,
        })
        .collect();
    assert_eq!(states, expected);
    let QueryResult::Trace(Some((_, steps))) = store.query(Query::Trace { n: 3 }) else { panic!() };
    assert_eq!(steps.last().map(|step| (step.state, step.at_ms)), Some((Some(State::Read), 2_500)));
    assert_eq!(message(&mut store, 3).via, Some(Via::Directory), "the way it took stays known");
}

#[test]
fn the_newest_word_on_how_long_texts_stay_counts() {
    let mut store = store();
    let put = |talk, number, after_ms| StoreOp::PutDuration { talk, id: id(number), after_ms };
    let (bob, family) = (Talk::Pair(BOB), Talk::Group(FAMILY));
    apply(
        &mut store,
        vec![put(bob, 5, Some(1_000)), put(bob, 3, Some(9)), put(family, 1, Some(2)), put(family, 2, None)],
    );
    assert_eq!(load(&mut store).durations, [(family, id(2), None), (bob, id(5), Some(1_000))]);
    apply(&mut store, vec![put(bob, 6, None)]);
    assert_eq!(load(&mut store).durations[1], (bob, id(6), None));
}
