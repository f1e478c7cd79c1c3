//! Texts that go some time after they were read.

use common::body::{Body, Expiry, Forward, Vanishing};
use common::group::{Change, SignedStep};
use common::message::{Conversation, MessageId};

use super::bench::{Bench, GROUP, bob, carol, identity, line, snapshot, text, to};
use crate::command::{Command, ErrorCode};
use crate::event::{Answer, Event, Input};
use crate::stored::{StoreOp, StoredMessage, Talk};

fn expire(name: &str, after_ms: Option<u64>) -> Command {
    Command::Expire { with: to(name), after_ms }
}

fn durations(bench: &Bench) -> Vec<(Talk, Option<u64>)> {
    let of = |op: &StoreOp| match op {
        StoreOp::PutDuration { talk, after_ms, .. } => Some((*talk, *after_ms)),
        _ => None,
    };
    bench.ops.iter().filter_map(of).collect()
}

fn countdowns(bench: &Bench) -> usize {
    bench.ops.iter().filter(|op| matches!(op, StoreOp::Countdown { .. })).count()
}

#[test]
fn a_duration_is_agreed_by_message_and_texts_are_sent_so_from_then_on() {
    let mut bench = Bench::new();
    let answer = bench.command(expire("bob", Some(60_000))).unwrap();
    assert_eq!(answer, Answer::Expiry { conversation: "bob".into(), after_ms: Some(60_000) });
    assert_eq!(bench.queued(), (vec![bob()], Body::Expiry(Expiry { after_ms: Some(60_000) })));
    assert_eq!(durations(&bench), [(Talk::Pair(bob()), Some(60_000))]);
    bench.send("bob", "secret");
    assert!(matches!(bench.queued().1, Body::Vanishing(Vanishing { after_ms: 60_000, .. })));
    let vanishes = bench.ops.iter().rev().find_map(|op| match op {
        StoreOp::Queue(new) => Some(new.vanishes_ms),
        _ => None,
    });
    assert_eq!(vanishes, Some(Some(60_000)));
    bench.send("carol", "plain");
    assert_eq!(bench.queued().1, text("plain"));
    bench.command(expire("bob", None)).unwrap();
    bench.send("bob", "plain");
    assert_eq!(bench.queued().1, text("plain"));
    assert_eq!(bench.command(expire("anna", None)), Err(ErrorCode::ToYourself));
    assert_eq!(bench.command(expire("@family", None)), Err(ErrorCode::NoSuchGroup));
}

#[test]
fn a_group_agrees_on_a_duration_like_two() {
    let mut bench = Bench::new();
    bench.in_a_group();
    bench.command(expire("@family", Some(5_000))).unwrap();
    assert_eq!(bench.queued().0.len(), 2);
    assert_eq!(durations(&bench), [(Talk::Group(GROUP), Some(5_000))]);
}

#[test]
fn what_is_passed_on_where_texts_vanish_vanishes_too() {
    let mut bench = Bench::new();
    bench.lines.insert(12, line(12, MessageId([0x11; 16]), "on my way"));
    bench.command(expire("carol", Some(5_000))).unwrap();
    bench.command(Command::Forward { n: 12, to: to("carol") }).unwrap();
    let vanishing = Vanishing { text: "on my way".into(), reply_to: None, after_ms: 5_000 };
    assert_eq!(bench.queued(), (vec![carol()], Body::Vanishing(vanishing)));
    bench.command(Command::Forward { n: 12, to: to("bob") }).unwrap();
    assert!(matches!(bench.queued().1, Body::Forward(Forward { .. })));
}

#[test]
fn the_newest_word_of_either_side_counts_also_when_clocks_differ() {
    let mut bench = Bench::new();
    bench.link();
    // Bob's clock is hours ahead.
    let ahead = MessageId::new(1_700_080_000_000, [1; 10]);
    let body = Body::Expiry(Expiry { after_ms: Some(9_000) });
    let mark = bench.bob_writes(1, &body, |header| header.id = ahead);
    let told = bench.events.iter().any(|event| {
        matches!(event, Event::Expiry { conversation, by, after_ms: Some(9_000), mark: of }
            if conversation == "bob" && by == "bob" && *of == mark)
    });
    assert!(told);
    let older = bench.bob_writes(2, &Body::Expiry(Expiry { after_ms: None }), |header| {
        header.id = MessageId::new(1_700_070_000_000, [1; 10]);
    });
    assert_eq!(durations(&bench), [(Talk::Pair(bob()), Some(9_000))]);
    assert_eq!(bench.marked(), [older], "it says nothing any more");
    bench.command(expire("bob", None)).unwrap();
    let own = bench.ops.iter().rev().find_map(|op| match op {
        StoreOp::PutDuration { id, after_ms: None, .. } => Some(*id),
        _ => None,
    });
    assert!(own > Some(ahead), "the later word outdoes the earlier one at both ends");
}

/// When the last own word on a duration was said, by its id.
fn said_at(bench: &Bench) -> Option<u64> {
    bench.ops.iter().rev().find_map(|op| match op {
        StoreOp::PutDuration { id, after_ms: None, .. } => Some(id.unix_ms()),
        _ => None,
    })
}

#[test]
fn a_word_from_far_ahead_does_not_count_and_never_moves_own_ids() {
    let now_ms = 1_700_000_000_000;
    let day_ms = 86_400_000;
    let body = Body::Expiry(Expiry { after_ms: Some(9_000) });
    for (ahead_ms, counts) in [(day_ms, true), (day_ms + 1, false), (1 << 46, false)] {
        let mut bench = Bench::new();
        bench.link();
        let n = bench.bob_writes(1, &body, |header| header.id = MessageId::new(now_ms + ahead_ms, [1; 10]));
        assert_eq!(durations(&bench).len(), usize::from(counts));
        assert_eq!(bench.ops.contains(&StoreOp::Dismiss(vec![n])), !counts);
        bench.command(expire("bob", None)).unwrap();
        let at_ms = said_at(&bench).unwrap();
        assert!(at_ms <= now_ms + day_ms + 1 && (counts || at_ms <= now_ms + 1_000));
    }
    // One that an earlier program took.
    let mut snapshot = snapshot();
    snapshot.durations = vec![(Talk::Pair(bob()), MessageId::new(1 << 46, [1; 10]), Some(7_000))];
    let mut bench = Bench::from(snapshot);
    bench.command(expire("bob", None)).unwrap();
    assert!(said_at(&bench).unwrap() <= now_ms + 1_000);
}

#[test]
fn a_member_by_what_is_known_says_how_long_though_the_chain_has_grown_and_who_was_taken_out_does_not() {
    let mut bench = Bench::new();
    bench.link();
    let body = Body::Expiry(Expiry { after_ms: Some(9_000) });
    let at = |membership| Conversation::Group { id: GROUP, membership };
    let mut group = bench.in_a_group_with(&[identity(2), identity(3)]);
    bench.bob_writes(1, &body, |header| header.conversation = at(4));
    assert_eq!(durations(&bench), [(Talk::Group(GROUP), Some(9_000))]);
    let removal = group.next(identity(1).public(), 0, Change::Remove { who: bob() });
    group.apply(&SignedStep::sign(&identity(1), &removal)).unwrap();
    bench.core.groups.put(group, None);
    let n = bench.bob_writes(2, &Body::Expiry(Expiry { after_ms: Some(1_000) }), |header| {
        header.conversation = at(3);
    });
    assert_eq!(durations(&bench).len(), 1);
    assert!(bench.ops.contains(&StoreOp::Dismiss(vec![n])));
}

#[test]
fn what_a_newcomer_says_of_durations_waits_for_the_chain() {
    let body = Body::Expiry(Expiry { after_ms: Some(9_000) });
    for comes in [true, false] {
        let mut bench = Bench::new();
        bench.link();
        let mut group = bench.in_a_group_with(&[identity(3)]);
        let n = bench.bob_writes(1, &body, |header| {
            header.conversation = Conversation::Group { id: GROUP, membership: 3 };
        });
        assert!(durations(&bench).is_empty() && !bench.ops.contains(&StoreOp::Dismiss(vec![n])));
        let (who, change) = if comes { (identity(2), Change::Join) } else { (identity(3), Change::Leave) };
        let step = group.next(who.public(), 0, change);
        group.apply(&SignedStep::sign(&who, &step)).unwrap();
        bench.core.groups.put(group, None);
        bench.core.tend_group(GROUP);
        bench.drain();
        assert_eq!(durations(&bench).len(), usize::from(comes));
        assert_eq!(bench.ops.contains(&StoreOp::Dismiss(vec![n])), !comes);
    }
}

#[test]
fn countdowns_begin_when_a_text_is_out_or_delivered_and_at_a_start() {
    let mut bench = Bench::new();
    assert_eq!(countdowns(&bench), 1, "at a start");
    bench.link();
    let vanishing = Body::Vanishing(Vanishing { text: "t".into(), reply_to: None, after_ms: 5_000 });
    let n = bench.bob_writes(1, &vanishing, |_| {});
    assert_eq!(countdowns(&bench), 1, "not before it is out");
    bench.vanished = (Vec::new(), Some(bench.core.clock.age_ms() + 5_000));
    bench.input(Input::Shown(vec![n]));
    assert_eq!(countdowns(&bench), 2);
    bench.wait(4_000);
    assert_eq!(countdowns(&bench), 2);
    bench.vanished = (vec![n], None);
    bench.wait(1_000);
    assert_eq!(countdowns(&bench), 3);
    assert!(bench.events.contains(&Event::Vanished(vec![n])));
    let plain = bench.bob_writes(2, &text("plain"), |_| {});
    bench.input(Input::Shown(vec![plain]));
    bench.wait(100_000);
    assert_eq!(countdowns(&bench), 3, "nothing vanishes, nothing is looked at");
    bench.command(expire("bob", Some(5_000))).unwrap();
    bench.send("bob", "secret");
    bench.bob_holds_all(None);
    assert_eq!(countdowns(&bench), 4, "delivered");
}

#[test]
fn a_word_on_durations_that_was_committed_before_a_crash_counts_after_it() {
    let mut snapshot = snapshot();
    let (kind, body) = Body::Expiry(Expiry { after_ms: Some(7_000) }).encode();
    snapshot.unshown = vec![StoredMessage { kind, body, ordered: false, ..line(5, MessageId([1; 16]), "") }];
    let bench = Bench::from(snapshot.clone());
    assert_eq!(durations(&bench), [(Talk::Pair(bob()), Some(7_000))]);
    assert!(bench.events.iter().any(|event| matches!(event, Event::Expiry { mark: 5, .. })));
    // Known already, not told yet.
    snapshot.durations = vec![(Talk::Pair(bob()), MessageId([1; 16]), Some(7_000))];
    let bench = Bench::from(snapshot);
    assert!(durations(&bench).is_empty());
    assert!(bench.events.iter().any(|event| matches!(event, Event::Expiry { mark: 5, .. })));
}

#[test]
fn countdowns_wait_for_the_word_on_a_long_absence_but_not_for_long() {
    let mut snapshot = snapshot();
    if let Some(meta) = &mut snapshot.meta {
        meta.wall_ms -= 3 * 24 * 3_600_000;
    }
    let mut bench = Bench::from(snapshot.clone());
    assert_eq!(countdowns(&bench), 0, "three days may be counted any moment");
    bench.wait(600_000);
    assert_eq!(countdowns(&bench), 1, "nobody says so");
    let mut bench = Bench::from(snapshot);
    bench.core.lines.hear_the_time();
    bench.drain();
    assert_eq!(countdowns(&bench), 1, "the directory has said what time it is");
    let kept = bench.ops.iter().any(|op| matches!(op, StoreOp::PutMeta(meta) if meta.age_ms >= 1_000));
    assert!(kept, "the age is kept with what began at it");
}
