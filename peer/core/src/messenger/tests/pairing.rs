//! Pair states made, repeated and applied; evidence of a roll-back, and the new epoch after it.

use common::message::Held;

use super::super::pairing::GENERATION_MAX;
use super::*;

const SECOND: u64 = 1_000;

/// What somebody holds of our lane: everything up to `top`, as this store would say it.
fn holds(bench: &Bench, of: u8, top: u64) -> Held {
    let mut lane = Received::new(bench.core.meta.epoch, 1);
    for seq in 1..=top {
        let id = bench.core.outbox.all().find(|message| message.row.recipient == key(of) && message.row.seq == seq);
        lane.hold(seq, id.map_or(id_of_nothing(), |message| message.row.id));
    }
    lane.held()
}

fn id_of_nothing() -> MessageId {
    MessageId([0xff; 16])
}

fn accusing(bench: &Bench, from: u8, version: u64, generation: u64) -> PairState {
    let newer = Epoch { generation, id: EpochId([77; 16]) };
    assert_ne!(newer, bench.core.meta.epoch);
    PairState { applied: Some((newer, 1)), ..state(from, version) }
}

#[test]
fn a_version_is_reserved_on_the_disk_long_before_it_is_said() {
    let mut bench = Bench::new();
    let reserved = bench.core.meta.version_reserve;
    bench.core.version = reserved - 1_001;
    assert_eq!(bench.core.pair_state(key(BOB), false).version, reserved - 1_000);
    bench.settle();
    assert_eq!(bench.core.meta.version_reserve, reserved, "there is enough yet");
    assert!(!bench.stored.iter().any(|op| matches!(op, StoreOp::PutMeta(_))));
    assert_eq!(bench.core.pair_state(key(BOB), false).version, reserved - 999);
    bench.settle();
    let written: Vec<u64> = bench
        .stored
        .iter()
        .filter_map(|op| match op {
            StoreOp::PutMeta(meta) => Some(meta.version_reserve),
            _ => None,
        })
        .collect();
    assert_eq!(written, [reserved - 999 + VERSION_RESERVE]);
}

#[test]
fn what_an_earlier_run_holds_is_acknowledged_once_again_after_the_first_login() {
    let mut bench = Bench::new();
    let mut lane = Received::new(epoch(3, BOB), 1);
    lane.hold(1, id(1));
    bench.core.received.insert(key(BOB), lane);
    bench.core.received.insert(key(EVE), Received::new(epoch(3, EVE), 1));
    bench.core.repeat_acks();
    assert_eq!(bench.core.owed.slots, BTreeSet::from([key(BOB)]), "of eve nothing is held");
    bench.core.owed.slots.clear();
    bench.core.repeat_acks();
    assert!(bench.core.owed.slots.is_empty());
}

#[test]
fn acknowledgements_are_owed_while_there_is_a_way_for_them() {
    let mut bench = Bench::new();
    assert!(!bench.core.owes_slots());
    bench.core.owed.slots.insert(key(BOB));
    assert!(bench.core.owes_slots(), "bob's prekey is known");
    bench.core.session.go(Step::LoggedIn);
    assert!(!bench.core.owes_slots(), "nothing goes through a directory that is not there");
    bench.core.session.go(Step::Online);
    bench.core.owed.slots = BTreeSet::from([key(9)]);
    assert!(!bench.core.owes_slots(), "nothing can be sealed for a key nobody knows");
    bench.core.errands.lookups.insert(1, LookUp::Refresh(key(BOB)));
    assert!(!bench.core.owes_slots());
    bench.core.errands.lookups.insert(2, LookUp::Refresh(key(9)));
    assert!(bench.core.owes_slots(), "it is being looked up");
    bench.core.owed.slots.clear();
    assert!(!bench.core.owes_slots());
    bench.core.owed.slots_sealing.insert(key(BOB));
    assert!(bench.core.owes_slots(), "one is being sealed");
    bench.core.owed.slots_sealing.clear();
    bench.core.errands.opening.insert(Ticket(1), Opening::Slot { from: key(BOB), serial: 1, prekey: 1 });
    assert!(bench.core.owes_slots(), "what is being opened will be answered");
}

#[test]
fn slots_are_sealed_a_few_at_a_time_each_once() {
    let mut bench = Bench::new();
    let contacts: Vec<Contact> = (10..50).map(|of| contact(of, &format!("friend{of}"), true)).collect();
    bench.core.owed.slots = contacts.iter().map(|contact| contact.key).collect();
    bench.core.book = Book::new(contacts, Vec::new(), None);
    bench.settle();
    let seals = |bench: &Bench| -> Vec<PublicKey> {
        bench
            .out
            .iter()
            .filter_map(|output| if let Output::Seal { to, .. } = output { Some(*to) } else { None })
            .collect()
    };
    assert_eq!((seals(&bench).len(), bench.core.owed.slots.len()), (32, 8));
    let first = seals(&bench)[0];
    bench.core.owed.slots.insert(first);
    bench.settle();
    assert_eq!(seals(&bench).len(), 32, "nothing is sealed twice at once");
    bench.core.on_state_sealed(first, 1, Some(vec![5]));
    bench.settle();
    assert_eq!(seals(&bench).len(), 33);
    let put = bench.to_directory().into_iter().filter(|frame| matches!(frame, ToDirectory::PutSlot(_))).count();
    assert_eq!((put, bench.core.owed.slots_put.len()), (1, 1));
}

#[test]
fn what_cannot_be_handed_over_any_more_is_owed_again() {
    let mut bench = Bench::new();
    bench.core.session.go(Step::LoggedIn);
    bench.core.on_state_sealed(key(BOB), 1, None);
    assert!(bench.core.owed.slots.is_empty());
    bench.core.on_state_sealed(key(BOB), 1, Some(vec![5]));
    assert_eq!(bench.core.owed.slots, BTreeSet::from([key(BOB)]));
    assert!(bench.core.owed.slots_put.is_empty());
}

#[test]
fn of_slots_handed_over_the_newest_are_remembered() {
    let mut bench = Bench::new();
    let somebody = |number: u16| PublicKey([number.to_be_bytes(); 16].concat().try_into().unwrap());
    for number in 0..514 {
        bench.pass(1);
        bench.core.on_state_sealed(somebody(number), 1, Some(vec![5]));
        assert_eq!(bench.core.owed.slots_put.len(), usize::from(number + 1).min(512));
    }
    let gone = (0..514).filter(|number| !bench.core.owed.slots_put.contains_key(&somebody(*number)));
    assert_eq!(gone.collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn a_lost_session_puts_in_doubt_what_was_handed_over_shortly_before_it_was_last_heard() {
    let mut bench = Bench::new();
    let heard_ms = bench.now.mono_ms;
    bench.core.session.heard(heard_ms);
    for (who, ago_ms) in [(10, 120_001), (11, 120_000), (12, 0)] {
        bench.core.owed.slots_put.insert(key(who), heard_ms - ago_ms);
    }
    bench.core.owed.slots_put.insert(key(13), heard_ms + 5);
    bench.core.doubt_slots();
    assert_eq!(bench.core.owed.slots, BTreeSet::from([key(11), key(12), key(13)]));
    assert!(bench.core.owed.slots_put.is_empty());
}

#[test]
fn a_pair_state_must_come_from_its_writer_to_this_key_with_possible_numbers() {
    let mut bench = Bench::new();
    let cases = [
        (PairState { from: key(EVE), ..state(BOB, 1) }, Dropped::StateOfOthers),
        (PairState { to: key(EVE), ..state(BOB, 1) }, Dropped::StateOfOthers),
        (PairState { floor: 0, ..state(BOB, 1) }, Dropped::StateAbsurd),
        (PairState { epoch: epoch(GENERATION_MAX + 1, BOB), ..state(BOB, 1) }, Dropped::StateAbsurd),
        (
            PairState {
                held: Some(Held { epoch: epoch(5, ALICE), floor: 0, top: 0, missing: vec![], digest: [0; 8] }),
                ..state(BOB, 1)
            },
            Dropped::StateAbsurd,
        ),
    ];
    for (absurd, why) in cases {
        bench.apply(BOB, absurd);
        assert_eq!(bench.dropped(), [why]);
        assert_eq!(bench.core.ways.get(&key(BOB)).and_then(|way| way.applied), None);
    }
    bench.apply(BOB, PairState { epoch: epoch(GENERATION_MAX, BOB), ..state(BOB, 1) });
    assert_eq!(bench.dropped(), []);
    assert!(bench.core.way(key(BOB)).applied.is_some());
}

#[test]
fn only_a_newer_state_is_applied_and_an_overtaken_one_is_answered_now_and_then() {
    let mut bench = Bench::new();
    bench.link(BOB);
    bench.apply(BOB, state(BOB, 5));
    assert_eq!(bench.core.way(key(BOB)).applied, Some((epoch(3, BOB), 5)));
    bench.settle();
    bench.forget();
    bench.apply(BOB, state(BOB, 5));
    assert_eq!(bench.dropped(), [Dropped::StateOld]);
    assert!(bench.core.owed.acks.is_empty(), "the same again needs no answer");
    for (older, answered, wait_ms) in [
        (state(BOB, 4), true, 0),
        (state(BOB, 3), false, 9_999),
        (PairState { epoch: epoch(2, BOB), ..state(BOB, 99) }, true, 1),
        (PairState { epoch: epoch(3, 44), ..state(BOB, 5) }, true, 10_000),
    ] {
        bench.pass(wait_ms);
        bench.apply(BOB, older);
        assert_eq!(bench.dropped(), [Dropped::StateOld]);
        assert_eq!(bench.states_sent().len(), usize::from(answered), "after {wait_ms} ms");
        bench.forget();
    }
    bench.apply(BOB, PairState { epoch: epoch(4, BOB), ..state(BOB, 1) });
    assert_eq!(bench.core.way(key(BOB)).applied, Some((epoch(4, BOB), 1)), "a newer epoch counts anew");
}

#[test]
fn a_new_prekey_of_a_correspondent_is_answered_through_the_directory() {
    let mut bench = Bench::new();
    bench.apply(BOB, PairState { prekey: Some(prekey(BOB, 5)), ..state(BOB, 1) });
    assert!(bench.core.owed.slots.is_empty(), "nothing of bob's is held here");
    bench.core.received.insert(key(BOB), Received::new(epoch(3, BOB), 1));
    bench.apply(BOB, PairState { prekey: Some(prekey(BOB, 5)), ..state(BOB, 2) });
    assert!(bench.core.owed.slots.is_empty(), "that one is known");
    bench.apply(BOB, PairState { prekey: Some(prekey(BOB, 6)), ..state(BOB, 3) });
    assert_eq!(bench.core.owed.slots, BTreeSet::from([key(BOB)]));
    bench.core.owed.slots.clear();
    bench.link(BOB);
    bench.apply(BOB, PairState { prekey: Some(prekey(BOB, 7)), ..state(BOB, 4) });
    assert!(bench.core.owed.slots.is_empty(), "the link carries it");
}

#[test]
fn what_is_covered_is_delivered_by_the_way_it_went_and_forgotten_below_the_floor() {
    let mut bench = Bench::new();
    bench.waiting(BOB, 1, Deposit::Kept);
    bench.waiting(BOB, 2, Deposit::None);
    bench.waiting(BOB, 3, Deposit::Kept);
    bench.core.outbox.at(&key(BOB), 3).unwrap().tried_direct = true;
    bench.waiting(BOB, 4, Deposit::None);
    let held = holds(&bench, BOB, 3);
    bench.apply(BOB, PairState { held: Some(held.clone()), ..state(BOB, 1) });
    bench.settle();
    let delivered: Vec<(u64, Option<Via>)> = bench
        .stored
        .iter()
        .filter_map(|op| match op {
            StoreOp::State { n, state: State::Delivered, via, .. } => Some((*n, *via)),
            _ => None,
        })
        .collect();
    assert_eq!(delivered, [(1, Some(Via::Directory)), (2, Some(Via::Direct)), (3, Some(Via::Direct))]);
    assert!(!bench.stored.iter().any(|op| matches!(op, StoreOp::Forget { .. })));
    assert_eq!(bench.core.outbox.len(), 1);
    bench.core.sent.get_mut(&key(BOB)).unwrap().settle(4);
    let risen = Received::new(epoch(5, ALICE), 4).held();
    bench.apply(BOB, PairState { held: Some(risen), ..state(BOB, 2) });
    bench.settle();
    let forgotten = StoreOp::Forget { recipient: key(BOB), below: 4 };
    assert_eq!(bench.stored.iter().filter(|op| **op == forgotten).count(), 1);
}

#[test]
fn what_had_ended_here_and_arrived_all_the_same_is_delivered() {
    let mut bench = Bench::new();
    for n in 1..=3 {
        bench.waiting(BOB, n, Deposit::None);
    }
    let held = holds(&bench, BOB, 2);
    for seq in 1..=3 {
        let gone = bench.core.outbox.remove(&key(BOB), seq).unwrap();
        bench.core.sent.get_mut(&key(BOB)).unwrap().settle(seq);
        bench.core.ended.insert((key(BOB), seq), gone.row);
    }
    bench.core.ended.insert((key(EVE), 1), own_row(EVE, 9, 1));
    bench.apply(BOB, PairState { held: Some(held), ..state(BOB, 1) });
    let ended: Vec<(PublicKey, u64)> = bench.core.ended.keys().copied().collect();
    let left = BTreeSet::from([(key(BOB), 3), (key(EVE), 1)]);
    assert_eq!(ended.into_iter().collect::<BTreeSet<_>>(), left);
    bench.settle();
    let delivered = |op: &&StoreOp| matches!(op, StoreOp::State { state: State::Delivered, .. });
    assert_eq!(bench.stored.iter().filter(delivered).count(), 2);
    // Their floor has risen above the third: nothing will be heard of it any more.
    let risen = Received::new(epoch(5, ALICE), 4).held();
    bench.apply(BOB, PairState { held: Some(risen), ..state(BOB, 2) });
    assert_eq!(bench.core.ended.keys().copied().collect::<Vec<_>>(), [(key(EVE), 1)]);
}

#[test]
fn room_that_a_recipient_made_at_the_directory_is_used_at_once() {
    let mut bench = Bench::new();
    bench.waiting(BOB, 1, Deposit::Kept);
    for n in [2, 3] {
        bench.waiting(BOB, n, Deposit::None);
        let message = bench.core.outbox.at(&key(BOB), n).unwrap();
        message.row.state = State::Held;
        message.row.reason = Some(Reason::MailboxFull);
        message.retry_at_ms = u64::MAX;
    }
    let mut nothing = holds(&bench, BOB, 0);
    nothing.floor = 1;
    bench.apply(BOB, PairState { held: Some(nothing), ..state(BOB, 1) });
    assert_eq!(bench.core.outbox.at(&key(BOB), 2).unwrap().retry_at_ms, u64::MAX, "nothing was taken");
    let held = holds(&bench, BOB, 1);
    bench.core.timers.clear(Timer::Peer(key(BOB)));
    bench.apply(BOB, PairState { held: Some(held), ..state(BOB, 2) });
    let retries = [2, 3].map(|seq| bench.core.outbox.at(&key(BOB), seq).unwrap().retry_at_ms);
    assert_eq!(retries, [0, u64::MAX], "the first finds out for all");
    assert_eq!(bench.core.timers.next(), Some(bench.now.mono_ms + 2));
}

#[test]
fn a_lane_is_followed_when_its_epoch_or_floor_rises() {
    let mut bench = Bench::new();
    let mut followed = |epoch, floor| {
        bench.core.follow_lane(key(BOB), epoch, floor);
        bench.core.ops.drain(..).count() == 1
    };
    assert!(followed(epoch(3, BOB), 2));
    assert!(!followed(epoch(3, BOB), 2) && !followed(epoch(3, BOB), 1));
    assert!(followed(epoch(3, BOB), 3));
    assert!(!followed(epoch(2, BOB), 9) && !followed(epoch(3, 99), 9));
    assert!(followed(epoch(4, 99), 1));
}

#[test]
fn a_generation_far_ahead_is_believed_once_in_a_while_and_one_beyond_belief_never() {
    let mut bench = Bench::new();
    let mut hear = |wait_ms, generation| {
        bench.pass(wait_ms);
        bench.core.meta_changed = false;
        bench.core.hear_generation(generation);
        (bench.core.meta.highest_generation, bench.core.meta_changed)
    };
    assert_eq!(hear(0, 5), (5, false));
    assert_eq!(hear(0, 1_005), (1_005, true), "a step");
    assert_eq!(hear(0, 2_006), (2_006, true), "a leap");
    assert_eq!(hear(59_999, 9_000), (2_006, false));
    assert_eq!(hear(0, 3_006), (3_006, true), "steps go on meanwhile");
    assert_eq!(hear(1, 9_000), (9_000, true));
    let far = 9_000 + (1 << 20);
    assert_eq!(hear(60_000, far + 1), (9_000, false));
    assert_eq!(hear(0, far), (far, true));
    bench.core.meta.highest_generation = GENERATION_MAX - 2;
    let mut hear = |generation| {
        bench.pass(60_000);
        bench.core.hear_generation(generation);
        bench.core.meta.highest_generation
    };
    assert_eq!(hear(GENERATION_MAX), GENERATION_MAX - 2);
    assert_eq!(hear(GENERATION_MAX - 1), GENERATION_MAX - 1);
}

#[test]
fn evidence_begins_a_new_epoch_above_all_generations_with_links_closed_and_all_that_waits_moved() {
    let mut bench = Bench::new();
    let link = bench.link(EVE);
    bench.core.sent.insert(key(BOB), Sent::after(6));
    bench.waiting(BOB, 1, Deposit::Kept);
    bench.waiting(BOB, 2, Deposit::None);
    bench.core.outbox.at(&key(BOB), 8).unwrap().link = Some(link);
    bench.core.received.insert(key(EVE), Received::new(epoch(3, EVE), 1));
    bench.core.ended.insert((key(EVE), 1), own_row(EVE, 9, 1));
    bench.core.errands.depositing = 3;
    bench.core.owed.slots_sealing.insert(key(EVE));
    let accuser = accusing(&bench, BOB, 1, 8);
    bench.apply(BOB, accuser);
    assert_eq!(bench.core.epochs.wanted, Some(8));
    assert!(!bench.core.may_talk());
    assert!(
        bench.core.out.iter().any(|output| matches!(output, Output::LinkClose { link: closed } if *closed == link))
    );
    let prekeys_before = bench.core.prekeys.wants(0, 0);
    assert!(prekeys_before.is_none_or(|counter| counter > 0));
    bench.settle();
    let Some(StoreOp::NewEpoch { epoch: new, moves }) =
        bench.stored.iter().find(|op| matches!(op, StoreOp::NewEpoch { .. }))
    else {
        panic!("no new epoch")
    };
    assert_eq!((new.generation, *new), (9, bench.core.meta.epoch));
    assert_eq!(bench.core.meta.highest_generation, 9);
    let moves: Vec<(u64, u64)> = moves.iter().map(|moved| (moved.n, moved.seq)).collect();
    assert_eq!(moves, [(1, 1), (2, 2)], "seqs begin anew");
    assert!(bench.core.ended.is_empty() && bench.core.may_talk());
    assert!(bench.core.outbox.all().all(|message| message.link.is_none()));
    let withdrawn = |frame: &&ToDirectory| match frame {
        ToDirectory::Withdraw(withdraw) => withdraw.places.iter().map(|place| place.seq).eq([7]),
        _ => false,
    };
    assert_eq!(bench.to_directory().into_iter().filter(withdrawn).count(), 1, "what the directory kept, and no more");
    let sealing_for_eve = |output: &Output| matches!(output, Output::Seal { to, .. } if *to == key(EVE));
    assert!(bench.out.iter().any(sealing_for_eve), "whom we hold mail of is told of the new epoch");
}

#[test]
fn an_accuser_is_heard_ever_more_seldom_and_a_stranger_more_seldom_still() {
    let mut bench = Bench::new();
    let mut again_ms = |from, version, wait_ms| {
        bench.pass(wait_ms);
        bench.core.epochs.last_ms = None;
        let accuser = accusing(&bench, from, version, bench.core.meta.epoch.generation);
        bench.apply(from, accuser);
        bench.core.way(key(from)).accuse_again_ms.saturating_sub(bench.now.mono_ms)
    };
    assert_eq!([again_ms(BOB, 1, 0), again_ms(EVE, 1, 0)], [10 * SECOND, 600 * SECOND]);
    assert_eq!(again_ms(BOB, 2, 9_999), 1, "it is not heard now");
    assert_eq!([again_ms(BOB, 2, 1), again_ms(BOB, 3, 20 * SECOND)], [20 * SECOND, 40 * SECOND]);
    let mut bench = Bench::new();
    bench.core.way(key(BOB)).accusations = 50;
    let accuser = accusing(&bench, BOB, 1, 6);
    bench.apply(BOB, accuser);
    assert_eq!(bench.core.way(key(BOB)).accuse_again_ms - bench.now.mono_ms, 5_120 * SECOND);
}

#[test]
fn evidence_that_comes_too_soon_is_taken_up_later_unless_it_was_answered_meanwhile() {
    let mut bench = Bench::new();
    let accuser = accusing(&bench, BOB, 1, 8);
    bench.apply(BOB, accuser);
    bench.settle();
    assert_eq!((bench.core.meta.epoch.generation, bench.core.epochs.last_ms), (9, Some(bench.now.mono_ms)));
    bench.pass(4_000);
    let soon = accusing(&bench, EVE, 1, 12);
    bench.apply(EVE, soon);
    bench.settle();
    bench.pass(5_999);
    bench.wake();
    assert_eq!(bench.core.meta.epoch.generation, 9, "one epoch in ten seconds");
    bench.pass(1);
    bench.wake();
    assert_eq!(bench.core.meta.epoch.generation, 13);
    bench.pass(10_000);
    bench.core.epochs.later = Some(12);
    bench.core.epoch_due();
    assert_eq!((bench.core.epochs.wanted, bench.core.epochs.later), (None, None), "the epoch that began is above it");
    bench.core.epochs.later = Some(13);
    bench.core.epoch_due();
    assert_eq!(bench.core.epochs.wanted, Some(13), "another epoch of the same generation was heard of");
}

#[test]
fn no_epoch_begins_beyond_belief_or_twice_or_while_something_is_being_committed() {
    let mut bench = Bench::new();
    assert!(!bench.core.want_epoch(5 + (1 << 20) + 1));
    assert!(bench.core.want_epoch(5) && !bench.core.want_epoch(6), "one is wanted already");
    bench.core.commits.push_back((Ticket(99), Vec::new()));
    bench.core.change_epoch_if_quiet();
    assert!(!bench.core.epochs.changing);
    bench.core.commits.clear();
    bench.core.store(StoreOp::Shown(vec![1]), Then::Nothing);
    bench.core.change_epoch_if_quiet();
    assert!(!bench.core.epochs.changing);
    bench.core.ops.clear();
    bench.core.thens.clear();
    bench.core.change_epoch_if_quiet();
    assert!(bench.core.epochs.changing && !bench.core.want_epoch(9));
    let mut bench = Bench::new();
    bench.core.epochs.last_ms = Some(bench.now.mono_ms - 9_999);
    assert!(!bench.core.want_epoch(5));
    bench.core.epochs.last_ms = Some(bench.now.mono_ms - 10_000);
    assert!(bench.core.want_epoch(5));
}

#[test]
fn a_lane_that_contradicts_this_store_is_evidence_in_the_epoch_of_this_store_alone() {
    let covers_more = |epoch| {
        let mut lane = Received::new(epoch, 1);
        lane.hold(1, id(1));
        Some(lane.held())
    };
    let mut bench = Bench::new();
    bench.apply(BOB, PairState { held: covers_more(epoch(4, ALICE)), ..state(BOB, 1) });
    assert_eq!(bench.core.epochs.wanted, None, "of an older epoch nothing is remembered");
    assert!(bench.core.way(key(BOB)).applied.is_some());
    bench.apply(BOB, PairState { held: covers_more(epoch(5, ALICE)), ..state(BOB, 2) });
    assert_eq!(bench.core.epochs.wanted, Some(5), "nothing was ever sent to bob");
    assert_eq!(bench.core.way(key(BOB)).applied, Some((epoch(3, BOB), 1)), "and it acknowledges nothing");
}

#[test]
fn who_blocks_refuses_all_that_is_committed_but_what_they_hold() {
    let mut bench = Bench::new();
    for n in 1..=3 {
        bench.waiting(BOB, n, Deposit::Kept);
    }
    bench.core.outbox.at(&key(BOB), 3).unwrap().committed = false;
    let held = Some(holds(&bench, BOB, 1));
    bench.apply(BOB, PairState { held, blocked: true, ..state(BOB, 1) });
    bench.settle();
    let states = bench.stored.iter().filter_map(|op| match op {
        StoreOp::State { n, state, reason, .. } => Some((*n, *state, *reason)),
        _ => None,
    });
    assert_eq!(
        states.collect::<Vec<_>>(),
        [(1, State::Delivered, None), (2, State::Refused, Some(Reason::Blocked))],
        "the first was there before they blocked"
    );
}
