//! What messages do to lines: the same in every order, only by those who may, once however often they come, and still so after a
//! crash.

use common::body::{Forward, Vanishing};
use peer_core::stored::{Gone, Quote};
use proptest::prelude::*;

use super::disk::place;
use super::*;

/// Everything of a line that people see.
/// Its text, whether it was edited, why it is gone, and the signs beside it.
type Seen = (Option<String>, bool, Option<Gone>, Vec<(PublicKey, String)>);

fn seen(message: &StoredMessage) -> Seen {
    (said(message), message.edited, message.gone, message.reactions.clone())
}

fn only_line(store: &mut Store) -> StoredMessage {
    let mut lines = history(store, BOB, None, 9);
    assert_eq!(lines.len(), 1);
    lines.remove(0)
}

fn from_bob(number: u64, body: &Body) -> Arrival {
    saying(theirs(BOB, number), body)
}

#[test]
fn an_amendment_changes_its_line_and_is_none_itself() {
    let mut store = store();
    arrived(&mut store, line(BOB, 1, "at eihgt"));
    let Arrived::New { n: 2, late: false, line: Some(now), settled } =
        arrived(&mut store, from_bob(2, &edit(1, "at eight")))
    else {
        panic!()
    };
    assert!(settled.is_empty());
    assert_eq!((now.n, seen(&now)), (1, (Some("at eight".to_owned()), true, None, Vec::new())));
    queued(&mut store, telling(own(BOB, 3, 1), &react(BOB, 1, "👍")));
    assert_eq!(only_line(&mut store).reactions, [(ME, "👍".to_owned())]);
    queued(&mut store, telling(own(BOB, 4, 2), &react(BOB, 1, "")));
    assert!(only_line(&mut store).reactions.is_empty());
    // It is told about like any other message until it was put out.
    assert_eq!(numbers(&load(&mut store).unshown), [1, 2]);
    apply(&mut store, vec![StoreOp::Shown(vec![1, 2])]);
    assert!(load(&mut store).unshown.is_empty());
    assert_eq!(load(&mut store).outbox.len(), 2);
}

#[test]
fn an_edit_keeps_what_the_line_is() {
    let mut store = store();
    let forward = Body::Forward(Forward { text: "a".into(), author: "carol".into(), written_ms: 5 });
    let vanishing = Body::Vanishing(Vanishing { text: "b".into(), reply_to: Some(id(9)), after_ms: 60_000 });
    let unknown = Arrival { kind: 4_000, body: b"newer".to_vec(), ..theirs(BOB, 3) };
    for arrival in [from_bob(1, &forward), from_bob(2, &vanishing), unknown] {
        arrived(&mut store, arrival);
    }
    for number in 1..=3 {
        arrived(&mut store, from_bob(10 + number, &edit(number, "other words")));
    }
    let bodies: Vec<Body> =
        history(&mut store, BOB, None, 9).iter().map(|line| Body::decode(line.kind, &line.body)).collect();
    let text = "other words".to_owned();
    let wanted = [
        Body::Forward(Forward { text: text.clone(), author: "carol".into(), written_ms: 5 }),
        Body::Vanishing(Vanishing { text, reply_to: Some(id(9)), after_ms: 60_000 }),
        Body::Unknown(4_000),
    ];
    assert_eq!(bodies, wanted);
    assert!(!message(&mut store, 3).edited);
}

#[test]
fn an_edit_of_an_own_message_on_its_way_goes_out_with_it() {
    let mut store = store();
    let n = queued(&mut store, telling(own(BOB, 1, 1), &Body::Text(Text { text: "a".into(), reply_to: None })));
    queued(&mut store, telling(own(BOB, 2, 2), &edit(1, "b")));
    assert_eq!(load(&mut store).outbox[0].body, text("b"));
    // Taken back: the row is there without a body, until the messenger says what becomes of it.
    queued(&mut store, telling(own(BOB, 3, 3), &delete(1)));
    let outbox = load(&mut store).outbox;
    assert_eq!((outbox.len(), outbox[0].body.len(), outbox[0].state), (3, 0, State::Queued));
    apply(&mut store, vec![state(n, BOB, State::Cancelled)]);
    assert_eq!(seen(&only_line(&mut store)), (None, false, Some(Gone::Deleted), Vec::new()));
}

#[test]
fn nobody_changes_the_lines_of_others_or_of_other_conversations() {
    let mut store = store();
    arrived(&mut store, line(BOB, 1, "mine"));
    queued(&mut store, NewMessage { row: OutboxRow { body: text("own"), ..own(BOB, 2, 1).row }, ..own(BOB, 2, 1) });
    let forged = |number, target: u64, what: Amended, author| Arrival {
        amends: Some(Amendment { author, target: id(target), what }),
        ..from_bob(number, &delete(target))
    };
    let eves = |arrival| Arrival { sender: EVE, held: None, ..arrival };
    let tries = [
        // The other person of the pair, at one's own line.
        forged(10, 2, Amended::Edit("forged".into()), ME),
        forged(11, 2, Amended::Delete, ME),
        // Somebody else altogether.
        eves(forged(12, 1, Amended::Edit("forged".into()), BOB)),
        eves(forged(13, 1, Amended::Delete, BOB)),
        eves(forged(14, 1, Amended::Reaction("👎".into()), BOB)),
        // The writer, from another conversation.
        Arrival { conversation: in_family(), ..from_bob(15, &delete(1)) },
    ];
    for arrival in tries {
        arrived(&mut store, arrival);
    }
    let lines = history(&mut store, BOB, None, 9);
    let now: Vec<_> = lines.iter().map(seen).collect();
    let untouched = |words: &str| (Some(words.to_owned()), false, None, Vec::new());
    assert_eq!(now, [untouched("mine"), untouched("own")]);
    // An amendment is no line to be changed.
    arrived(&mut store, from_bob(20, &edit(1, "b")));
    arrived(&mut store, from_bob(21, &delete(20)));
    assert_eq!(said(&message(&mut store, 1)).unwrap(), "b");
}

#[test]
fn what_waits_for_its_line_is_done_when_it_comes_and_need_not_be_put_out() {
    let mut store = store();
    assert_eq!(
        arrived(&mut store, from_bob(5, &edit(1, "b"))),
        Arrived::New { n: 1, late: false, line: None, settled: vec![] }
    );
    arrived(&mut store, from_bob(6, &edit(1, "c")));
    apply(&mut store, vec![StoreOp::Shown(vec![1])]);
    let Arrived::New { n: 3, line: Some(now), settled, .. } = arrived(&mut store, line(BOB, 1, "a")) else { panic!() };
    assert_eq!((said(&now).unwrap().as_str(), now.edited, settled), ("c", true, vec![2]));
    assert_eq!(numbers(&load(&mut store).unshown), [3]);
    // A line that is what came needs no second look.
    assert_eq!(arrived(&mut store, line(BOB, 7, "d")), Arrived::New { n: 4, late: false, line: None, settled: vec![] });
}

#[test]
fn a_reply_quotes_a_line_of_the_same_conversation_however_old() {
    let mut store = store();
    arrived(&mut store, line(BOB, 1, "who cooks?"));
    arrived(&mut store, line(EVE, 2, "secret"));
    for number in 100..300 {
        arrived(&mut store, line(BOB, number, "chatter"));
    }
    let reply =
        |number, to: u64| saying(theirs(BOB, number), &Body::Text(Text { text: "you".into(), reply_to: Some(id(to)) }));
    let Arrived::New { n, line: Some(now), settled, .. } = arrived(&mut store, reply(400, 1)) else { panic!() };
    assert_eq!(now.quote.as_deref(), Some(&Quote { n: 1, sender: BOB, kind: Body::TEXT, body: text("who cooks?") }));
    assert!(settled.is_empty());
    assert_eq!(message(&mut store, n), *now);
    // Of another conversation, or of none.
    for to in [2, 99] {
        assert!(matches!(arrived(&mut store, reply(400 + to, to)), Arrived::New { line: None, .. }));
    }
    // One's own line, quoted by the other, and as it is now.
    let body = Body::Text(Text { text: "me".into(), reply_to: Some(id(1)) });
    queued(&mut store, telling(own(BOB, 600, 1), &body));
    arrived(&mut store, reply(601, 600));
    arrived(&mut store, from_bob(602, &delete(1)));
    let lines = history(&mut store, BOB, None, 2);
    let quotes: Vec<_> =
        lines.iter().map(|line| line.quote.as_deref().map(|quote| (quote.sender, quote.body.len()))).collect();
    assert_eq!(quotes, [Some((BOB, 0)), Some((ME, body.encode().1.len()))]);
}

#[test]
fn a_dismissed_reaction_is_taken_back_and_a_dismissed_edit_never_comes_to_its_line() {
    let mut store = store();
    arrived(&mut store, line(BOB, 1, "a"));
    arrived(&mut store, from_bob(2, &react(BOB, 1, "👍")));
    arrived(&mut store, from_bob(3, &react(BOB, 1, "👎")));
    arrived(&mut store, from_bob(4, &edit(9, "forged")));
    apply(&mut store, vec![StoreOp::Dismiss(vec![3, 4])]);
    assert_eq!(only_line(&mut store).reactions, [(BOB, "👍".to_owned())]);
    arrived(&mut store, line(BOB, 9, "b"));
    assert_eq!(said(&history(&mut store, BOB, None, 1)[0]).unwrap(), "b");
    assert_eq!(numbers(&load(&mut store).unshown), [1, 2, 5]);
}

#[test]
fn a_reaction_that_waited_without_effect_has_it_once_it_counts() {
    let mut store = store();
    arrived(&mut store, line(BOB, 1, "a"));
    for (number, target) in [(2, 1), (3, 9)] {
        let waits = Arrival { amends: None, ..from_bob(number, &react(BOB, target, "👍")) };
        arrived(&mut store, waits);
    }
    assert!(only_line(&mut store).reactions.is_empty());
    apply(&mut store, vec![StoreOp::Amend(2), StoreOp::Amend(3), StoreOp::Amend(3), StoreOp::Amend(1)]);
    assert_eq!(only_line(&mut store).reactions, [(BOB, "👍".to_owned())]);
    apply(&mut store, vec![StoreOp::Amend(2), StoreOp::Dismiss(vec![2])]);
    assert!(only_line(&mut store).reactions.is_empty());
    arrived(&mut store, line(BOB, 9, "b"));
    assert_eq!(history(&mut store, BOB, None, 1)[0].reactions, [(BOB, "👍".to_owned())]);
}

#[test]
fn a_line_comes_changed_though_its_changes_were_marked_before() {
    let mut store = store();
    arrived(&mut store, from_bob(2, &edit(1, "hello")));
    arrived(&mut store, from_bob(3, &react(BOB, 1, "👍")));
    apply(&mut store, vec![StoreOp::Shown(vec![1, 2])]);
    assert!(load(&mut store).unshown.is_empty());
    let Arrived::New { line: Some(now), settled, .. } = arrived(&mut store, line(BOB, 1, "helo")) else { panic!() };
    assert!(settled.is_empty());
    assert_eq!(seen(&now), (Some("hello".to_owned()), true, None, vec![(BOB, "👍".to_owned())]));
}

/// A line, two edits, three reactions of two people and perhaps a delete.
fn deeds(deleted: bool) -> Vec<Arrival> {
    let mut deeds = vec![
        line(BOB, 1, "first"),
        from_bob(2, &edit(1, "second")),
        from_bob(4, &edit(1, "third")),
        from_bob(3, &react(BOB, 1, "👍")),
        from_bob(5, &react(BOB, 1, "🎉")),
    ];
    if deleted {
        deeds.push(from_bob(6, &delete(1)));
    }
    deeds
}

/// Every order of `count` things.
fn orders(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let shorter = orders(count - 1);
    let longer = shorter.iter().flat_map(|order| {
        (0..count).map(move |place| {
            let mut order = order.clone();
            order.insert(place, count - 1);
            order
        })
    });
    longer.collect()
}

#[test]
fn in_every_order_the_same_row_comes_of_it() {
    for deleted in [false, true] {
        let deeds = deeds(deleted);
        let wanted = if deleted {
            (None, false, Some(Gone::Deleted), Vec::new())
        } else {
            (Some("third".to_owned()), true, None, vec![(BOB, "🎉".to_owned())])
        };
        for order in orders(deeds.len()) {
            let mut store = store();
            for at in &order {
                arrived(&mut store, deeds[*at].clone());
            }
            assert_eq!(seen(&only_line(&mut store)), wanted, "{order:?}");
            let words: i64 = store
                .conn
                .query_row("SELECT count(*) FROM messages WHERE kind IN (1, 2, 4) AND length(body) > 0", [], |row| {
                    row.get(0)
                })
                .unwrap();
            assert!(!deleted || words == 0, "{order:?} leaves words behind");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn crashes_and_doubles_change_nothing(
        order in Just((0..6_usize).collect::<Vec<_>>()).prop_shuffle(),
        again in proptest::collection::vec(any::<bool>(), 6),
        crash in proptest::collection::vec(any::<bool>(), 6),
        deleted: bool,
    ) {
        let (_folder, path) = place();
        let mut store = Store::open(&path, ME).unwrap();
        let deeds = deeds(deleted);
        let order: Vec<usize> = order.into_iter().filter(|at| *at < deeds.len()).collect();
        for (step, at) in order.iter().enumerate() {
            let fresh = matches!(arrived(&mut store, deeds[*at].clone()), Arrived::New { .. });
            prop_assert!(fresh);
            if again[step] {
                for at in &order[..=step] {
                    let double = matches!(arrived(&mut store, deeds[*at].clone()), Arrived::Double { .. });
                    prop_assert!(double);
                }
            }
            if crash[step] {
                drop(store);
                store = Store::open(&path, ME).unwrap();
            }
        }
        let (words, edited, gone, signs) = seen(&only_line(&mut store));
        if deleted {
            prop_assert_eq!((words, edited, gone, signs.len()), (None, false, Some(Gone::Deleted), 0));
        } else {
            prop_assert_eq!((words.as_deref(), edited, gone, signs.len()), (Some("third"), true, None, 1));
        }
    }
}
