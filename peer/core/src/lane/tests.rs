//! Both halves of a lane: against each other, against plain maps, and at each of their limits.

use common::identity::PublicKey;
use common::message::{Conversation, EpochId, Header};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

use super::*;

fn epoch(generation: u64, id: u8) -> Epoch {
    Epoch { generation, id: EpochId([id; 16]) }
}

fn id(n: u8) -> MessageId {
    MessageId([n; 16])
}

fn envelope(epoch: Epoch, seq: u64, floor: u64, n: u8) -> Envelope {
    let key = PublicKey([1; 32]);
    let header = Header {
        sender: key,
        recipient: key,
        epoch,
        seq,
        floor,
        id: id(n),
        after: None,
        ordered: true,
        urgent: false,
        conversation: Conversation::Pair,
        sent_at_ms: 0,
        kind: 1,
    };
    Envelope { header, body: Vec::new() }
}

#[test]
fn what_a_recipient_says_covers_what_it_holds_and_the_sender_agrees() {
    let mut sent = Sent::default();
    for n in 1..=5 {
        sent.give(id(n));
    }
    let mut received = Received::new(epoch(1, 1), 1);
    for n in [1, 3, 5] {
        received.hold(n, id(n as u8));
    }
    let held = received.held();
    assert_eq!((held.top, held.missing.clone()), (5, vec![(2, 2), (4, 4)]));
    assert!(is_sane(&held));
    assert_eq!(sent.contradicts(&held), None);
    assert_eq!(sent.covered(&held), [1, 3, 5]);
    for seq in sent.covered(&held) {
        sent.settle(seq);
    }
    assert_eq!(sent.floor(), 2);
    received.follow(epoch(1, 1), 2);
    assert_eq!(sent.contradicts(&received.held()), None);
    assert!(sent.forget_below(2));
}

#[test]
fn a_rolled_back_sender_is_told_by_each_kind_of_evidence() {
    let mut sent = Sent::default();
    sent.give(id(1));
    let mut received = Received::new(epoch(1, 1), 1);
    received.hold(1, id(9));
    assert_eq!(sent.contradicts(&received.held()), Some(Evidence::OtherDigest));
    received.hold(2, id(2));
    assert_eq!(sent.contradicts(&received.held()), Some(Evidence::UnknownSeq));
    let above = Received::new(epoch(1, 1), 2);
    assert_eq!(sent.contradicts(&above.held()), Some(Evidence::HigherFloor));
}

#[test]
fn envelopes_are_judged_by_epoch_floor_and_id() {
    let mut lane = Received::new(epoch(2, 1), 5);
    lane.hold(6, id(6));
    let judge = |e| Received::judge(Some(&lane), &e);
    assert_eq!(Received::judge(None, &envelope(epoch(1, 1), 1, 1, 1)), Arriving::Follow);
    assert_eq!(judge(envelope(epoch(2, 1), 7, 5, 7)), Arriving::Store);
    assert_eq!(judge(envelope(epoch(2, 1), 4, 4, 4)), Arriving::Withdrawn);
    assert_eq!(judge(envelope(epoch(2, 1), 6, 5, 6)), Arriving::Double);
    assert_eq!(judge(envelope(epoch(2, 1), 6, 5, 7)), Arriving::Conflict);
    assert_eq!(judge(envelope(epoch(3, 9), 1, 1, 7)), Arriving::Follow);
    assert_eq!(judge(envelope(epoch(2, 9), 1, 1, 7)), Arriving::StoreUnacknowledged);
    assert_eq!(judge(envelope(epoch(1, 9), 1, 1, 7)), Arriving::StoreUnacknowledged);
    assert_eq!(judge(envelope(epoch(2, 1), 3, 4, 7)), Arriving::Refuse);
}

#[test]
fn missing_ranges_are_bounded_and_filling_one_is_still_allowed() {
    let mut lane = Received::new(epoch(1, 1), 1);
    for n in 1..=LANE_MISSING_RANGES_MAX as u64 {
        lane.hold(n * 2, id(1));
    }
    assert_eq!(Received::judge(Some(&lane), &envelope(epoch(1, 1), 100_000, 1, 3)), Arriving::Refuse);
    assert_eq!(Received::judge(Some(&lane), &envelope(epoch(1, 1), 1, 1, 3)), Arriving::Store);
    assert_eq!(Received::judge(Some(&lane), &envelope(epoch(1, 1), 3, 1, 3)), Arriving::Store);
}

#[test]
fn the_window_counts_from_the_floor() {
    let mut sent = Sent::default();
    for _ in 0..=LANE_WINDOW {
        sent.give(id(1));
    }
    assert!(sent.in_window(LANE_WINDOW) && !sent.in_window(LANE_WINDOW + 1));
    sent.settle(1);
    assert!(sent.in_window(LANE_WINDOW + 1));
}

fn digest_over(held: &BTreeMap<u64, u8>, range: std::ops::RangeInclusive<u64>) -> [u8; 8] {
    let mut digest = [0; 8];
    for (seq, n) in held.iter().filter(|(seq, _)| range.contains(seq)) {
        xor(&mut digest, digest_of(*seq, &id(*n)));
    }
    digest
}

proptest! {
    /// A lane from somebody, against a plain map of what is held.
    #[test]
    fn a_received_lane_says_what_a_plain_map_says(
        first in 1_u64..4,
        steps in vec((any::<bool>(), 1_u64..24), 1..40),
    ) {
        let followed = epoch(1, 1);
        let (mut lane, mut floor, mut plain) = (Received::new(followed, first), first, BTreeMap::new());
        for (hold, seq) in steps {
            if hold {
                lane.hold(seq, id(seq as u8));
                if seq >= floor {
                    plain.insert(seq, seq as u8);
                }
            } else if seq < floor + 6 {
                let settled: Vec<MessageId> = plain.range(..seq.max(floor)).map(|(_, n)| id(*n)).collect();
                prop_assert_eq!(lane.settled_by(followed, seq.max(floor)).into_iter().collect::<Vec<_>>(), settled);
                prop_assert!(lane.settled_by(epoch(1, 2), seq).is_empty());
                lane.follow(followed, seq);
                floor = floor.max(seq);
                plain = plain.split_off(&floor);
            }
            let top = plain.keys().next_back().copied().unwrap_or(floor - 1);
            let gaps: Vec<u64> = (floor..=top).filter(|seq| !plain.contains_key(seq)).collect();
            let held = lane.held();
            prop_assert_eq!((held.epoch, held.floor, held.top), (followed, floor, top));
            let said: Vec<u64> = held.missing.iter().flat_map(|(first, last)| *first..=*last).collect();
            prop_assert_eq!(&said, &gaps);
            prop_assert!(held.missing.windows(2).all(|two| two[0].1 + 1 < two[1].0), "ranges do not touch");
            prop_assert_eq!(held.digest, digest_over(&plain, floor..=top));
            prop_assert!(is_sane(&held));
            let mark = (floor..).take_while(|seq| plain.contains_key(seq)).last().unwrap_or(floor - 1);
            prop_assert_eq!(lane.water_mark(), mark);
            prop_assert_eq!((lane.floor(), lane.holds_any()), (floor, !plain.is_empty()));
            for seq in 1..30 {
                let missing = (floor..seq).filter(|seq| !plain.contains_key(seq)).count() as u64;
                prop_assert_eq!(lane.missing_below(seq), missing);
                prop_assert_eq!(lane.is_whole_below(seq), missing == 0);
                prop_assert_eq!(lane.seq_of(&id(seq as u8)), plain.contains_key(&seq).then_some(seq));
            }
        }
    }

    /// A lane towards somebody who says the truth about some of it, or changes one thing about it.
    #[test]
    fn a_sent_lane_believes_the_truth_and_nothing_else(
        count in 1_u64..16,
        forgotten in 0_u64..8,
        holds in btree_set(1_u64..16, 0..16),
        floor in 1_u64..10,
        wrong in any::<bool>(),
    ) {
        let mut sent = Sent::default();
        for n in 1..=count {
            prop_assert_eq!(sent.give(id(n as u8)), n);
        }
        let forgotten = forgotten.min(count);
        (1..=forgotten).for_each(|seq| sent.settle(seq));
        prop_assert_eq!((sent.floor(), sent.last_seq()), (forgotten + 1, count));
        prop_assert_eq!(sent.clone().forget_below(forgotten + 9), forgotten > 0, "what is not settled stays");
        let floor = floor.min(forgotten + 1);
        let mut lane = Received::new(epoch(1, 1), floor);
        holds.iter().filter(|seq| **seq <= count).for_each(|seq| lane.hold(*seq, id(*seq as u8)));
        let mut held = lane.held();
        prop_assert_eq!(sent.contradicts(&held), None);
        let covered: Vec<u64> = (floor..=count).filter(|seq| holds.contains(seq)).collect();
        prop_assert_eq!(sent.covered(&held), covered.clone());
        if wrong {
            held.digest[3] ^= 1;
            prop_assert_eq!(sent.contradicts(&held), (held.top >= held.floor).then_some(Evidence::OtherDigest));
        }
        // What is remembered no more cannot be held against the other side.
        let settled = forgotten;
        let forgot = sent.forget_below(floor);
        prop_assert_eq!(forgot, floor > 1 && settled > 0);
        prop_assert_eq!(sent.covered(&lane.held()), covered);
    }
}

#[test]
fn forgetting_stops_at_what_is_not_settled_and_gives_no_seq_again() {
    let mut sent = Sent::default();
    (1..=4).for_each(|n| assert_eq!(sent.give(id(n)), u64::from(n)));
    sent.settle(1);
    assert!(sent.forget_below(4));
    let held = Held { epoch: epoch(1, 1), floor: 1, top: 4, missing: vec![(1, 1)], digest: [9; 8] };
    assert_eq!(sent.contradicts(&held), None, "seq 1 is forgotten, so a digest from there on proves nothing");
    assert_eq!(sent.covered(&held), [2, 3, 4]);
    assert!(!sent.forget_below(4));
    assert_eq!(sent.give(id(5)), 5);
    let loaded = Sent::after(7);
    assert_eq!((loaded.last_seq(), loaded.floor()), (7, 8));
    let mut loaded = Sent::after(2);
    loaded.restore(5, id(5), false);
    loaded.restore(4, id(4), true);
    assert_eq!((loaded.last_seq(), loaded.floor()), (5, 5));
    let nothing = Held { epoch: epoch(1, 1), floor: 3, top: 2, missing: vec![], digest: [0; 8] };
    assert!(loaded.covered(&nothing).is_empty());
}

#[test]
fn another_epoch_starts_a_lane_anew_and_an_older_floor_changes_nothing() {
    let mut lane = Received::new(epoch(1, 1), 3);
    lane.hold(3, id(3));
    lane.hold(3, id(9));
    assert_eq!((lane.seq_of(&id(3)), lane.seq_of(&id(9))), (Some(3), None), "the first one stays");
    lane.hold(2, id(2));
    assert_eq!(lane.seq_of(&id(2)), None, "below the floor nothing is held");
    lane.follow(epoch(1, 1), 2);
    assert_eq!((lane.floor(), lane.water_mark()), (3, 3));
    lane.follow(epoch(2, 1), 7);
    assert_eq!((lane.epoch(), lane.floor(), lane.water_mark(), lane.holds_any()), (epoch(2, 1), 7, 6, false));
    assert_eq!(lane.held().digest, [0; 8]);
}

#[test]
fn more_gaps_than_one_frame_can_name_are_said_as_far_as_they_go() {
    let mut lane = Received::new(epoch(1, 1), 1);
    let most = LANE_MISSING_RANGES_MAX as u64;
    (1..=most).for_each(|n| lane.hold(n * 2, id(1)));
    let all = lane.held();
    assert_eq!((all.missing.len(), all.top), (LANE_MISSING_RANGES_MAX, most * 2), "so many are just said");
    lane.hold(most * 2 + 2, id(1));
    let held = lane.held();
    assert_eq!((held.missing.len(), held.top), (LANE_MISSING_RANGES_MAX, most * 2));
    assert!(is_sane(&held) && held.covers(held.top));
    let mut digest = [0; 8];
    (1..=most).for_each(|n| xor(&mut digest, digest_of(n * 2, &id(1))));
    assert_eq!(held.digest, digest);
    let gap = |seq| Received::judge(Some(&lane), &envelope(epoch(1, 1), seq, seq, 3));
    assert_eq!(gap(most * 2 + 3), Arriving::Store, "behind what is held no new range opens");
    assert_eq!(gap(most * 2 + 4), Arriving::Refuse);
}

#[test]
fn what_echoes_a_newer_self_is_evidence() {
    let state = |applied: Option<(Epoch, u64)>, of: Option<Epoch>| PairState {
        from: PublicKey([1; 32]),
        to: PublicKey([2; 32]),
        epoch: epoch(9, 9),
        version: 1,
        floor: 1,
        applied,
        held: of.map(|epoch| Received::new(epoch, 1).held()),
        read: None,
        blocked: false,
        prekey: None,
    };
    let (mine, version) = (epoch(5, 1), 10);
    let newer = |applied, held| echoes_newer_self(&state(applied, held), mine, version);
    for same_or_older in [Some((mine, 10)), Some((mine, 9)), Some((epoch(4, 1), 99)), Some((epoch(4, 7), 99)), None] {
        assert!(!newer(same_or_older, None), "{same_or_older:?}");
        assert!(!newer(None, same_or_older.map(|(epoch, _)| epoch)), "{same_or_older:?}");
    }
    for later in [(mine, 11), (epoch(6, 1), 0), (epoch(5, 2), 0), (epoch(6, 2), 0)] {
        assert!(newer(Some(later), None), "{later:?}");
        assert_eq!(newer(None, Some(later.0)), later.0 != mine, "{later:?}");
    }
}

#[test]
fn only_numbers_that_an_honest_sender_gives_are_plausible() {
    let plausible = |seq, floor| is_plausible(&envelope(epoch(1, 1), seq, floor, 1).header);
    assert!(plausible(1, 1) && plausible(LANE_WINDOW, 1) && plausible(SEQ_MAX, SEQ_MAX));
    assert!(!plausible(0, 0) && !plausible(1, 0) && !plausible(4, 5) && !plausible(LANE_WINDOW + 1, 1));
    assert!(!plausible(SEQ_MAX + 1, SEQ_MAX) && !plausible(u64::MAX, u64::MAX));
}

#[test]
fn only_ranges_in_order_and_in_place_are_sane() {
    let sane = |floor, top, missing: &[(u64, u64)]| {
        is_sane(&Held { epoch: epoch(1, 1), floor, top, missing: missing.to_vec(), digest: [0; 8] })
    };
    assert!(sane(1, 0, &[]) && sane(3, 9, &[(3, 3), (5, 9)]) && sane(3, 9, &[(4, 5)]));
    assert!(!sane(0, 0, &[]) && !sane(0, 5, &[]) && !sane(3, 1, &[]));
    assert!(sane(SEQ_MAX, SEQ_MAX, &[]) && !sane(SEQ_MAX, SEQ_MAX + 1, &[]) && !sane(SEQ_MAX + 1, SEQ_MAX, &[]));
    for wrong in [&[(2, 4)][..], &[(5, 4)], &[(5, 10)], &[(4, 6), (6, 7)], &[(6, 7), (4, 4)]] {
        assert!(!sane(3, 9, wrong), "{wrong:?}");
    }
    let ranges: Vec<(u64, u64)> = (1..=LANE_MISSING_RANGES_MAX as u64).map(|n| (2 * n, 2 * n)).collect();
    assert!(sane(1, 9_999, &ranges) && !sane(1, 9_999, &[ranges.as_slice(), &[(9_000, 9_000)]].concat()));
}
