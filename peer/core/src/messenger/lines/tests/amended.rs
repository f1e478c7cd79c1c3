//! What others did to lines.

use common::body::{Body, Delete, Edit, Expiry, Forward, Reaction, Vanishing};
use common::group::{Change, SignedStep};
use common::identity::PublicKey;
use common::limits::TEXT_MAX_BYTES;
use common::message::{Conversation, MessageId};

use super::bench::{Bench, GROUP, bob, carol, identity, line, snapshot, text};
use crate::event::{ChangeView, Event, Input};
use crate::stored::{Amended, Gone, Query, StoreOp, StoredMessage};

const ID: MessageId = MessageId([0x11; 16]);

fn edit(text: &str) -> Body {
    Body::Edit(Edit { target: ID, text: text.to_owned() })
}

fn sign(author: PublicKey, emoji: &str) -> Body {
    Body::Reaction(Reaction { author, target: ID, emoji: emoji.to_owned() })
}

fn edited(words: &str) -> StoredMessage {
    StoredMessage { edited: true, ..line(12, ID, words) }
}

/// What was told of changes.
fn told(bench: &Bench) -> Vec<(&'static str, ChangeView)> {
    let of = |event: &Event| match event {
        Event::Edited(view) => Some(("edited", view.clone())),
        Event::Deleted(view) => Some(("deleted", view.clone())),
        Event::Reacted(view) => Some(("reacted", view.clone())),
        _ => None,
    };
    bench.events.iter().filter_map(of).collect()
}

fn arrival(bench: &Bench) -> &crate::stored::Arrival {
    let op = bench.ops.iter().rev().find_map(|op| match op {
        StoreOp::Receive(arrival) => Some(arrival),
        _ => None,
    });
    op.expect("something arrived")
}

#[test]
fn a_change_of_a_line_that_was_put_out_is_told_and_marked_when_it_is_out() {
    let mut bench = Bench::new();
    bench.link();
    bench.arrived.push_back((Some(edited("hello")), Vec::new()));
    let mark = bench.bob_writes(0x22, &edit("hello"), |_| {});
    let view = ChangeView { n: 12, id: ID, by: "bob".into(), conversation: "bob".into(), text: "hello".into(), mark };
    assert_eq!(told(&bench), [("edited", view)]);
    let amends = arrival(&bench).amends.as_ref().expect("the store does it");
    assert_eq!((amends.author, amends.target, &amends.what), (bob(), ID, &Amended::Edit("hello".into())));
    assert!(!bench.marked().contains(&mark));
    bench.input(Input::Shown(vec![mark]));
    assert!(bench.marked().contains(&mark));
    bench.arrived.push_back((Some(StoredMessage { gone: Some(Gone::Deleted), ..edited("") }), Vec::new()));
    bench.bob_writes(0x23, &Body::Delete(Delete { target: ID }), |_| {});
    bench.arrived.push_back((Some(StoredMessage { reactions: vec![(bob(), "👍".into())], ..edited("x") }), Vec::new()));
    bench.bob_writes(0x24, &sign(bob(), "👍"), |_| {});
    let kinds: Vec<&str> = told(&bench).iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, ["edited", "deleted", "reacted"]);
}

#[test]
fn a_change_that_was_outdone_before_it_came_says_nothing() {
    let mut bench = Bench::new();
    bench.link();
    let later = StoredMessage { reactions: vec![(bob(), "🎉".into())], ..edited("newer") };
    let gone = StoredMessage { gone: Some(Gone::Deleted), ..edited("") };
    for (id, body, line) in [
        (0x22, edit("older"), later.clone()),
        (0x23, sign(bob(), "👍"), later.clone()),
        (0x24, edit("older"), gone.clone()),
        (0x25, sign(bob(), ""), later),
    ] {
        bench.arrived.push_back((Some(line), Vec::new()));
        let mark = bench.bob_writes(id, &body, |_| {});
        assert!(bench.marked().contains(&mark));
    }
    assert!(told(&bench).is_empty());
}

#[test]
fn a_change_before_its_line_waits_and_the_line_comes_changed() {
    let mut bench = Bench::new();
    bench.link();
    let early = bench.bob_writes(0x22, &edit("hello"), |_| {});
    assert!(told(&bench).is_empty());
    assert_eq!(bench.marked(), [early], "nothing is said, and nothing is left to be said at a start");
    bench.arrived.push_back((Some(StoredMessage { n: 0, ..edited("hello") }), Vec::new()));
    bench.bob_writes(0x11, &text("helo"), |_| {});
    let shown = bench.events.iter().find_map(|event| match event {
        Event::Message(view) => Some(view),
        _ => None,
    });
    let view = shown.expect("the line is told");
    assert_eq!((view.text.as_deref(), view.edited), (Some("hello"), true));
    assert!(told(&bench).is_empty());
}

#[test]
fn a_line_that_is_held_back_comes_as_it_is_by_then() {
    let mut bench = Bench::new();
    bench.link();
    let held = bench.bob_writes(0x11, &text("helo"), |header| {
        header.after = Some(MessageId([0x10; 16]));
        header.seq += 1;
    });
    bench.arrived.push_back((Some(StoredMessage { n: held, ..edited("hello") }), Vec::new()));
    let change = bench.bob_writes(0x22, &edit("hello"), |header| header.seq += 1);
    assert!(told(&bench).is_empty());
    assert_eq!(bench.marked(), [change]);
    bench.wait(6_000);
    let texts: Vec<_> = bench
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Message(view) => Some((view.n, view.text.clone(), view.edited)),
            _ => None,
        })
        .collect();
    assert_eq!(texts, [(held, Some("hello".to_owned()), true)]);
}

#[test]
fn what_is_over_a_limit_is_neither_kept_nor_shown() {
    let long = "x".repeat(TEXT_MAX_BYTES + 1);
    let me = identity(1).public();
    let bodies = [
        edit(&long),
        edit(""),
        sign(me, &"x".repeat(33)),
        sign(me, "\u{1b}[2J"),
        sign(me, "a\nb"),
        Body::Expiry(Expiry { after_ms: Some(999) }),
        Body::Expiry(Expiry { after_ms: Some(u64::MAX) }),
    ];
    for (place, body) in bodies.iter().enumerate() {
        let mut bench = Bench::new();
        bench.link();
        bench.arrived.push_back((Some(edited("hello")), Vec::new()));
        let n = bench.bob_writes(0x22, body, |_| {});
        assert!(arrival(&bench).body.is_empty() && arrival(&bench).amends.is_none(), "{place}");
        assert!(bench.ops.contains(&StoreOp::Dismiss(vec![n])), "{place}");
        assert!(told(&bench).is_empty(), "{place}");
        assert!(!bench.ops.iter().any(|op| matches!(op, StoreOp::PutDuration { .. })), "{place}");
    }
    let lines = [
        text(&long),
        Body::Forward(Forward { text: "t".into(), author: "n".repeat(16), written_ms: 0 }),
        Body::Forward(Forward { text: "t".into(), author: "a\u{7}".into(), written_ms: 0 }),
        Body::Vanishing(Vanishing { text: "t".into(), reply_to: None, after_ms: 0 }),
    ];
    for (place, body) in lines.iter().enumerate() {
        let mut bench = Bench::new();
        bench.link();
        bench.bob_writes(0x22, body, |_| {});
        assert!(arrival(&bench).body.is_empty(), "{place}");
        let none = bench.events.iter().any(|event| matches!(event, Event::Message(view) if view.text.is_none()));
        assert!(none, "{place}: it is shown as a message that cannot be shown");
    }
}

#[test]
fn a_kind_that_is_unknown_is_kept_as_it_came_and_a_known_one_in_other_bytes_is_not() {
    let mut bench = Bench::new();
    bench.link();
    bench.bob_sends(0x22, 4_000, vec![1, 2, 3], |_| {});
    assert_eq!(arrival(&bench).body, [1, 2, 3]);
    let n = bench.bob_sends(0x23, Body::EDIT, vec![1, 2, 3], |_| {});
    assert!(arrival(&bench).body.is_empty());
    assert!(bench.ops.contains(&StoreOp::Dismiss(vec![n])));
}

#[test]
fn a_sign_beside_a_line_of_somebody_outside_has_no_effect() {
    let mut bench = Bench::new();
    bench.link();
    bench.arrived.push_back((Some(edited("x")), Vec::new()));
    bench.bob_writes(0x22, &sign(carol(), "👍"), |_| {});
    assert!(arrival(&bench).amends.is_none());
    let group = Conversation::Group { id: GROUP, membership: 3 };
    bench.bob_writes(0x23, &sign(carol(), "👍"), |header| header.conversation = group);
    assert!(arrival(&bench).amends.is_none(), "a group that is not known");
    bench.in_a_group();
    bench.bob_writes(0x24, &sign(carol(), "👍"), |header| header.conversation = group);
    assert!(arrival(&bench).amends.is_some());
    assert!(told(&bench).is_empty());
}

#[test]
fn a_sign_of_a_member_by_what_is_known_counts_at_once_though_the_chain_has_grown() {
    let mut bench = Bench::new();
    bench.link();
    bench.in_a_group();
    let group = Conversation::Group { id: GROUP, membership: 4 };
    bench.arrived.push_back((Some(StoredMessage { reactions: vec![(bob(), "👍".into())], ..edited("x") }), Vec::new()));
    bench.bob_writes(0x22, &sign(carol(), "👍"), |header| header.conversation = group);
    assert!(arrival(&bench).amends.is_some());
    assert_eq!(told(&bench).len(), 1);
}

#[test]
fn a_sign_of_a_newcomer_waits_for_the_chain_also_over_a_start() {
    for (comes, starts) in [(true, false), (true, true), (false, false), (false, true)] {
        let mut bench = Bench::new();
        bench.link();
        let mut group = bench.in_a_group_with(&[identity(3)]);
        let talk = Conversation::Group { id: GROUP, membership: 3 };
        let mut n = bench.bob_writes(0x22, &sign(carol(), "👍"), |header| header.conversation = talk);
        assert!(!arrival(&bench).body.is_empty() && arrival(&bench).amends.is_none());
        if starts {
            n = 20;
            let mut snapshot = snapshot();
            snapshot.unshown = vec![StoredMessage { conversation: talk, ..stored(n, 0x22, &sign(carol(), "👍")) }];
            bench = Bench::from(snapshot);
            group = bench.in_a_group_with(&[identity(3)]);
        }
        assert!(bench.marked().is_empty() && !bench.ops.contains(&StoreOp::Dismiss(vec![n])), "it waits");
        let reactions = vec![(bob(), "👍".into())];
        let there = StoredMessage { reactions, sender: carol(), other: carol(), conversation: talk, ..edited("x") };
        bench.lines.insert(there.n, there);
        let (who, change) = if comes { (identity(2), Change::Join) } else { (identity(3), Change::Leave) };
        let step = group.next(who.public(), 0, change);
        group.apply(&SignedStep::sign(&who, &step)).unwrap();
        bench.core.groups.put(group, None);
        bench.core.tend_group(GROUP);
        bench.drain();
        assert_eq!(bench.ops.contains(&StoreOp::Amend(n)), comes, "{starts}");
        assert_eq!(bench.ops.contains(&StoreOp::Dismiss(vec![n])), !comes, "{starts}");
        assert_eq!(told(&bench).len(), usize::from(comes), "{starts}");
    }
}

#[test]
fn own_lines_are_changed_before_the_chain_tells_of_their_writer_and_never_by_who_is_outside() {
    let mut bench = Bench::new();
    bench.link();
    for body in [edit("x"), Body::Delete(Delete { target: ID })] {
        for (membership, counts) in [(3, true), (0, false)] {
            let group = Conversation::Group { id: GROUP, membership };
            bench.bob_writes(0x22, &body, |header| header.conversation = group);
            let arrival = arrival(&bench);
            assert_eq!((arrival.amends.is_some(), !arrival.body.is_empty()), (counts, counts), "{body:?} {membership}");
        }
    }
}

#[test]
fn a_text_that_vanishes_is_stored_with_its_time() {
    let mut bench = Bench::new();
    bench.link();
    for (id, after_ms) in [(0x22, 1_000), (0x23, 60_000)] {
        let vanishing = Vanishing { text: "x".into(), reply_to: None, after_ms };
        bench.bob_writes(id, &Body::Vanishing(vanishing), |_| {});
        assert_eq!(arrival(&bench).vanishes_ms, Some(after_ms));
    }
    bench.bob_writes(0x24, &edit("x"), |_| {});
    assert_eq!(arrival(&bench).vanishes_ms, None);
}

#[test]
fn changes_order_nothing_whatever_their_sender_says() {
    let mut bench = Bench::new();
    bench.link();
    bench.bob_writes(0x22, &edit("x"), |header| (header.ordered, header.urgent, header.after) = (true, true, Some(ID)));
    let arrival = arrival(&bench);
    assert!(!arrival.ordered && !arrival.urgent && arrival.after.is_none());
}

fn stored(n: u64, id: u8, body: &Body) -> StoredMessage {
    let (kind, body) = body.encode();
    StoredMessage { n, id: MessageId([id; 16]), kind, body, ordered: false, ..line(n, ID, "") }
}

#[test]
fn after_a_start_a_change_is_told_unless_its_line_is_told_too_or_is_not_here() {
    let mut snapshot = snapshot();
    snapshot.unshown = vec![
        edited("hello"),
        stored(13, 0x22, &edit("hello")),
        stored(14, 0x23, &Body::Edit(Edit { target: MessageId([0x44; 16]), text: "there".into() })),
        stored(15, 0x24, &Body::Edit(Edit { target: MessageId([0x55; 16]), text: "nowhere".into() })),
    ];
    let mut bench = Bench::from(snapshot.clone());
    assert_eq!(bench.marked(), [13, 14, 15], "one goes with its line, the lines of the others are not here");
    assert!(told(&bench).is_empty());
    let asked = |query: &&Query| matches!(query, Query::Message(_));
    assert_eq!(bench.queries.iter().filter(asked).count(), 2);
    // The same with the line of the second one there.
    let message = stored(14, 0x23, &Body::Edit(Edit { target: MessageId([0x44; 16]), text: "there".into() }));
    let there = StoredMessage { edited: true, ..line(9, MessageId([0x44; 16]), "there") };
    bench.lines.insert(9, StoredMessage { sender: carol(), other: carol(), ..there.clone() });
    bench.core.look_for_line(message.clone());
    bench.drain();
    assert!(told(&bench).is_empty(), "the same id of another writer is another line");
    bench.lines.insert(9, there);
    bench.core.look_for_line(message);
    bench.drain();
    let marks: Vec<u64> = told(&bench).iter().map(|(_, view)| view.mark).collect();
    assert_eq!(marks, [14]);
}
