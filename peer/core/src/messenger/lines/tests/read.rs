//! Read receipts, at both ends.

use common::message::{Conversation, MessageId};

use super::bench::{Bench, bob, line, snapshot, text};
use crate::command::Command;
use crate::event::{Answer, Event, Input};
use crate::stored::{State, StoreOp};

fn id(n: u8) -> MessageId {
    MessageId([n; 16])
}

/// The mark in the last state that was said.
fn said(bench: &Bench) -> Option<MessageId> {
    bench.states.last().and_then(|state| state.read)
}

fn receiving(receipts: bool) -> Bench {
    let mut bench = Bench::new();
    bench.link();
    if receipts {
        assert_eq!(bench.command(Command::Receipts(Some(true))), Ok(Answer::Receipts(true)));
    }
    bench
}

#[test]
fn a_mark_is_said_when_the_line_is_out_and_only_if_the_user_lets_it() {
    let mut bench = receiving(true);
    let n = bench.bob_writes(1, &text("a"), |_| {});
    assert_eq!(said(&bench), None, "stored, not put out");
    let before = bench.states.len();
    bench.input(Input::Shown(vec![n]));
    assert_eq!((bench.states.len(), said(&bench)), (before + 1, Some(id(1))));
    bench.input(Input::Shown(vec![n]));
    assert_eq!(bench.states.len(), before + 1, "once");
    assert_eq!(bench.command(Command::Receipts(Some(false))), Ok(Answer::Receipts(false)));
    let n = bench.bob_writes(2, &text("b"), |_| {});
    assert_eq!(said(&bench), None, "nobody is told any more");
    let before = bench.states.len();
    bench.input(Input::Shown(vec![n]));
    assert_eq!(bench.states.len(), before);
    let kept = bench.ops.iter().rev().find_map(|op| match op {
        StoreOp::PutMeta(meta) => Some(meta.receipts),
        _ => None,
    });
    assert_eq!(kept, Some(false));
    assert_eq!(bench.command(Command::Receipts(None)), Ok(Answer::Receipts(false)));
}

#[test]
fn they_are_off_until_they_are_switched_on() {
    let mut bench = receiving(false);
    let n = bench.bob_writes(1, &text("a"), |_| {});
    bench.input(Input::Shown(vec![n]));
    assert_eq!(said(&bench), None);
}

#[test]
fn a_line_that_overtakes_is_not_told_as_read_before_those_it_overtook() {
    let mut bench = receiving(true);
    let first = bench.bob_writes(1, &text("a"), |_| {});
    let urgent = bench.bob_writes(2, &text("!"), |header| (header.ordered, header.urgent) = (false, true));
    bench.input(Input::Shown(vec![urgent]));
    assert_eq!(said(&bench), None);
    bench.input(Input::Shown(vec![first]));
    assert_eq!(said(&bench), Some(id(2)));
}

#[test]
fn while_a_late_line_is_not_out_nothing_is_told() {
    let mut bench = receiving(true);
    let n = bench.bob_writes(7, &text("g"), |header| header.seq += 1);
    bench.wait(6_000);
    bench.input(Input::Shown(vec![n]));
    assert_eq!(said(&bench), Some(id(7)));
    let late = bench.bob_writes(5, &text("e"), |header| header.seq -= 1);
    assert_eq!(said(&bench), None, "5 is acknowledged here and is not read");
    bench.input(Input::Shown(vec![late]));
    assert_eq!(said(&bench), Some(id(7)));
}

#[test]
fn what_was_read_before_a_start_is_known_after_it() {
    let mut snapshot = snapshot();
    if let Some(meta) = &mut snapshot.meta {
        meta.receipts = true;
    }
    snapshot.last_shown = vec![(bob(), Conversation::Pair, id(4))];
    let mut unshown = snapshot.clone();
    unshown.unshown = vec![line(3, id(3), "c")];
    for (snapshot, mark) in [(snapshot, Some(id(4))), (unshown, None)] {
        let mut bench = Bench::from(snapshot);
        bench.link();
        bench.core.owed.acks.insert(bob());
        bench.drain();
        assert_eq!(said(&bench), mark);
    }
}

#[test]
fn somebody_blocked_is_told_nothing() {
    let mut bench = receiving(true);
    let n = bench.bob_writes(1, &text("a"), |_| {});
    bench.input(Input::Shown(vec![n]));
    bench.core.book.change(&bob(), |contact| contact.blocked = true);
    assert_eq!(bench.core.pair_state(bob(), false).read, None);
}

fn reads(bench: &Bench) -> Vec<MessageId> {
    let marks = bench.ops.iter().filter_map(|op| match op {
        StoreOp::Read { up_to, .. } => Some(*up_to),
        _ => None,
    });
    marks.collect()
}

#[test]
fn a_mark_turns_what_is_delivered_into_read_after_it_was_delivered() {
    let mut bench = Bench::new();
    bench.link();
    let (n, own) = bench.send("bob", "hello");
    bench.read = vec![(n, own, 77)];
    bench.bob_holds_all(Some(own));
    let states: Vec<(State, u64)> = bench
        .events
        .iter()
        .filter_map(|event| match event {
            Event::State(view) if view.n == n && view.to == "bob" => Some((view.state, view.elapsed_ms)),
            _ => None,
        })
        .collect();
    assert_eq!(states, [(State::Queued, 0), (State::Delivered, 0), (State::Read, 77)]);
    bench.bob_holds_all(Some(own));
    assert_eq!(reads(&bench), [own], "said once more, nothing new");
}

#[test]
fn what_is_delivered_late_is_read_when_a_mark_says_so_after_its_delivery() {
    let mut bench = Bench::new();
    bench.link();
    let (_, first) = bench.send("bob", "a");
    bench.bob_holds_all(Some(first));
    let (n, late) = bench.send("bob", "b");
    let (_, last) = bench.send("bob", "c");
    // Held by its window or on its way: the one after it was there and read first.
    bench.core.lines.read.insert(bob(), last);
    bench.bob_holds_all(None);
    let read = |bench: &Bench| {
        let mut ops = bench.ops.iter();
        ops.any(|op| matches!(op, StoreOp::State { n: of, state: State::Read, .. } if *of == n))
    };
    assert!(!read(&bench), "delivered, and not said to be read");
    bench.bob_holds_all(Some(first));
    assert!(!read(&bench), "a lower mark says nothing of it");
    bench.bob_holds_all(Some(last));
    assert!(read(&bench));
    assert!(
        bench
            .events
            .iter()
            .any(|event| matches!(event, Event::State(view) if view.id == late && view.state == State::Read))
    );
    assert_eq!(reads(&bench), [first]);
}

#[test]
fn absurd_marks_do_nothing() {
    let mut bench = Bench::new();
    bench.link();
    bench.bob_holds_all(Some(id(0)));
    bench.send("bob", "hello");
    bench.bob_holds_all(Some(id(0xff)));
    assert_eq!(reads(&bench), [], "nothing of mine has such an id");
    let read = bench.events.iter().any(|event| matches!(event, Event::State(view) if view.state == State::Read));
    assert!(!read);
}
