//! Envelopes, items and slots of others: what is believed, committed, acknowledged, held back and shown.

use common::wire::codec;
use common::wire::directory::{Item, Slot, Taking};
use common::wire::peer::Parcel;

use super::super::pairing::GENERATION_MAX;
use super::*;
use crate::event::{NotOpened, SealedKind};
use crate::limits::{GAP_PATIENCE_MS, STRANGER_BYTES_MAX, STRANGER_MESSAGES_MAX};
use crate::stored::{Arrival, OwnPrekey};
use common::seal::generate_prekey;

const BODY_MAX: usize = common::limits::TEXT_MAX_BYTES + 1024;

impl Bench {
    fn arrive(&mut self, from: u8, envelope: Envelope, via: Via, item: Option<u64>) {
        self.core.arrive(key(from), envelope, via, false, item);
    }

    fn received(&self) -> Vec<&Arrival> {
        self.stored
            .iter()
            .filter_map(|op| match op {
                StoreOp::Receive(arrival) => Some(arrival.as_ref()),
                _ => None,
            })
            .collect()
    }

    fn taken(&mut self) -> Vec<(u64, Taking)> {
        std::mem::take(&mut self.core.owed.takes)
    }

    /// Numbers of what was shown since this was last asked, and whether it was late.
    fn shown(&mut self) -> Vec<(u64, bool)> {
        self.settle();
        let out = std::mem::take(&mut self.out);
        out.into_iter()
            .filter_map(|output| match output {
                Output::Event(Event::Message(view)) => Some((view.n, view.late)),
                _ => None,
            })
            .collect()
    }

    fn has_prekey(&mut self, counter: u64) {
        let (secret, _) = generate_prekey([9; 32]);
        let record = prekey(ALICE, counter);
        let own = OwnPrekey { counter, record, secret, created_age_ms: 0, replaced_age_ms: None };
        self.core.prekeys.add(own);
    }

    /// The ticket of the last thing that is to be opened.
    fn opening(&mut self) -> Option<(Ticket, SealedKind)> {
        self.settle();
        self.out.iter().rev().find_map(|output| match output {
            Output::Open { ticket, kind, .. } => Some((*ticket, *kind)),
            _ => None,
        })
    }
}

fn parcel(from: u8, number: u64) -> Vec<u8> {
    codec::encode(&Parcel { envelope: envelope(from, number), binding: None })
}

fn stored(from: u8, number: u64) -> StoredMessage {
    StoredMessage {
        n: number,
        id: id(number),
        sender: key(from),
        other: key(from),
        mine: false,
        conversation: Conversation::Pair,
        kind: 1,
        body: Vec::new(),
        sent_at_ms: 0,
        received_at_ms: 0,
        via: None,
        request: true,
        urgent: false,
        waited: false,
        ordered: true,
        after: None,
        state: None,
        elapsed_ms: 0,
        quote: None,
        edited: false,
        gone: None,
        reactions: Vec::new(),
        tally: None,
    }
}

fn item(from: u8, number: u64, counter: u64) -> Item {
    Item {
        item: number,
        submitter: key(from),
        epoch: EpochId([from; 16]),
        seq: number,
        prekey: counter,
        waited: false,
        deposited_at_ms: 0,
        sealed: vec![4],
    }
}

#[test]
fn an_envelope_must_come_from_its_writer_to_this_key_with_possible_numbers() {
    let mut bench = Bench::new();
    let with = |change: &dyn Fn(&mut Header)| {
        let mut envelope = envelope(BOB, 1);
        change(&mut envelope.header);
        envelope
    };
    let to_itself = with(&|header| (header.sender, header.recipient) = (key(ALICE), key(ALICE)));
    let long = Envelope { body: vec![1; BODY_MAX + 1], ..envelope(BOB, 1) };
    let cases = [
        (BOB, with(&|header| header.sender = key(EVE)), Dropped::EnvelopeOfOthers),
        (BOB, with(&|header| header.recipient = key(EVE)), Dropped::EnvelopeOfOthers),
        (ALICE, to_itself, Dropped::EnvelopeOfOthers),
        (BOB, with(&|header| header.epoch.generation = GENERATION_MAX + 1), Dropped::EnvelopeAbsurd),
        (BOB, long, Dropped::EnvelopeAbsurd),
        (BOB, with(&|header| header.floor = 0), Dropped::EnvelopeAbsurd),
    ];
    for (from, envelope, why) in cases {
        bench.arrive(from, envelope, Via::Directory, Some(8));
        assert_eq!(bench.dropped(), [why]);
        assert_eq!(bench.taken(), [(8, Taking::Stored)], "it is not handed out again");
    }
    bench.settle();
    assert!(bench.received().is_empty());
    let mut last = with(&|header| header.epoch.generation = GENERATION_MAX);
    last.body = vec![1; BODY_MAX];
    bench.arrive(BOB, last, Via::Directory, None);
    bench.settle();
    assert_eq!(bench.received().len(), 1);
}

#[test]
fn an_arrival_is_acknowledged_and_taken_after_its_commit_and_shown_once() {
    let mut bench = Bench::new();
    bench.arrive(BOB, envelope(BOB, 1), Via::Directory, Some(8));
    assert!(bench.core.owed.acks.is_empty() && bench.taken().is_empty(), "nothing is said before the commit");
    assert_eq!(bench.shown(), [(1, false)]);
    let arrival = bench.received()[0];
    assert_eq!((arrival.held, arrival.request, arrival.ordered), (Some((epoch(3, BOB), 1)), false, true));
    assert_eq!(bench.core.received[&key(BOB)].water_mark(), 1);
    bench.arrive(BOB, envelope(BOB, 1), Via::Directory, Some(9));
    assert_eq!((bench.taken(), bench.core.owed.acks.len()), (vec![(9, Taking::Stored)], 1), "a double is said again");
    assert_eq!(bench.shown(), []);
    bench.arrive(EVE, envelope(EVE, 1), Via::Direct, None);
    bench.settle();
    assert!(bench.received().last().unwrap().request, "eve was never accepted");
}

#[test]
fn what_is_withdrawn_in_conflict_or_of_an_older_epoch_is_answered() {
    let mut bench = Bench::new();
    let floor = |floor, number| {
        let mut envelope = envelope(BOB, number);
        envelope.header.floor = floor;
        envelope
    };
    bench.arrive(BOB, floor(3, 3), Via::Direct, None);
    bench.settle();
    assert_eq!(bench.core.following[&key(BOB)], (epoch(3, BOB), 3));
    let mut other_id = floor(3, 3);
    other_id.header.id = id(99);
    for unstored in [floor(1, 2), other_id] {
        bench.core.owed.acks.clear();
        bench.arrive(BOB, unstored, Via::Directory, Some(4));
        assert_eq!((bench.core.owed.acks.len(), bench.taken()), (1, vec![(4, Taking::Stored)]));
        bench.settle();
        assert_eq!(bench.received().len(), 1);
    }
    let mut older = envelope(BOB, 7);
    older.header.epoch = epoch(2, BOB);
    let mut absurd = older.clone();
    absurd.header.seq = 0;
    bench.arrive(BOB, absurd, Via::Direct, None);
    assert_eq!(bench.dropped(), [Dropped::EnvelopeAbsurd]);
    bench.core.owed.acks.clear();
    bench.arrive(BOB, older, Via::Direct, None);
    assert_eq!(bench.core.owed.acks.len(), 1);
    bench.settle();
    assert_eq!(bench.received().last().unwrap().held, None, "stored, and held by nothing");
    let mut newer = envelope(BOB, 1);
    newer.header.epoch = epoch(4, BOB);
    newer.header.id = id(50);
    bench.arrive(BOB, newer, Via::Direct, None);
    bench.settle();
    assert_eq!(bench.core.received[&key(BOB)].epoch(), epoch(4, BOB));
}

#[test]
fn before_a_new_floor_or_epoch_is_committed_it_is_judged_by_it_already() {
    let mut bench = Bench::new();
    bench.core.follow_lane(key(BOB), epoch(3, BOB), 5);
    bench.arrive(BOB, envelope(BOB, 4), Via::Directory, Some(4));
    assert_eq!(bench.taken(), [(4, Taking::Stored)], "withdrawn");
    bench.arrive(BOB, envelope(BOB, 5), Via::Direct, None);
    bench.settle();
    bench.core.follow_lane(key(BOB), epoch(4, BOB), 1);
    bench.arrive(BOB, envelope(BOB, 6), Via::Direct, None);
    let mut copied = envelope(BOB, 7);
    copied.header.epoch = epoch(4, 99);
    bench.arrive(BOB, copied, Via::Direct, None);
    bench.settle();
    let held: Vec<_> = bench.received().iter().map(|arrival| (arrival.id, arrival.held.is_some())).collect();
    assert_eq!(held, [(id(5), true), (id(6), false), (id(7), false)]);
}

#[test]
fn a_stranger_fills_only_so_much_of_the_disk_by_number_and_by_bytes() {
    let mut bench = Bench::new();
    let link = bench.link(EVE);
    for number in 1..=u64::from(STRANGER_MESSAGES_MAX) + 2 {
        bench.arrive(EVE, envelope(EVE, number), Via::Direct, None);
        bench.arrive(BOB, envelope(BOB, number), Via::Direct, None);
    }
    assert_eq!(bench.dropped(), [Dropped::TooMuch; 2]);
    bench.settle();
    let of = |who| bench.received().iter().filter(|arrival| arrival.sender == key(who)).count();
    assert_eq!((of(EVE), of(BOB)), (STRANGER_MESSAGES_MAX as usize, STRANGER_MESSAGES_MAX as usize + 2));
    let closed = |output: &&Output| matches!(output, Output::LinkClose { link: closed } if *closed == link);
    assert!(bench.out.iter().any(|output| closed(&output)));
    bench.arrive(EVE, envelope(EVE, 900), Via::Directory, None);
    assert_eq!(bench.dropped(), [], "the directory has its own quota for strangers");
    let mut bench = Bench::new();
    let most = STRANGER_BYTES_MAX / 8_192;
    for number in 1..=most as u64 {
        bench.arrive(EVE, Envelope { body: vec![1; 8_192], ..envelope(EVE, number) }, Via::Direct, None);
    }
    assert_eq!(bench.dropped(), []);
    bench.arrive(EVE, Envelope { body: vec![1; 1], ..envelope(EVE, most as u64 + 1) }, Via::Direct, None);
    assert_eq!(bench.dropped(), [Dropped::TooMuch]);
}

#[test]
fn what_comes_through_the_directory_beside_a_link_is_acknowledged_there_too() {
    let mut bench = Bench::new();
    bench.link(BOB);
    for (number, via, waited, beside) in
        [(1, Via::Direct, false, false), (2, Via::Directory, true, false), (3, Via::Directory, false, true)]
    {
        bench.core.arrive(key(BOB), envelope(BOB, number), via, waited, None);
        assert_eq!(bench.states_sent().len(), 1);
        let sealed = |output: &Output| matches!(output, Output::Seal { to, .. } if *to == key(BOB));
        assert_eq!(bench.out.iter().any(sealed), beside, "message {number}");
        bench.forget();
    }
}

#[test]
fn what_came_too_early_is_held_back_until_the_gap_is_filled_or_patience_ends() {
    let mut bench = Bench::new();
    bench.arrive(BOB, envelope(BOB, 2), Via::Direct, None);
    assert_eq!(bench.shown(), []);
    bench.arrive(BOB, envelope(BOB, 1), Via::Direct, None);
    assert_eq!(bench.shown(), [(2, false), (1, false)]);
    assert!(bench.core.inbox.patience_ends_ms(key(BOB)).is_none());
    bench.arrive(BOB, envelope(BOB, 5), Via::Direct, None);
    bench.settle();
    bench.pass(GAP_PATIENCE_MS - 1);
    bench.wake();
    assert_eq!(bench.shown(), []);
    bench.pass(1);
    bench.wake();
    let gap = bench.out.iter().find_map(|output| match output {
        Output::Event(Event::Gap { missing, .. }) => Some(*missing),
        _ => None,
    });
    assert_eq!(gap, Some(2), "3 and 4");
    assert_eq!(bench.shown(), [(3, false)]);
    bench.arrive(BOB, envelope(BOB, 4), Via::Direct, None);
    assert_eq!(bench.shown(), [(4, true)]);
}

#[test]
fn what_nothing_is_missing_before_waits_for_nobody() {
    let mut bench = Bench::new();
    let above = |number| {
        let mut envelope = envelope(BOB, number);
        envelope.header.floor = 3;
        envelope
    };
    bench.arrive(BOB, above(3), Via::Direct, None);
    assert_eq!(bench.shown(), [(1, false)], "2, which it names, was withdrawn");
    bench.arrive(BOB, above(5), Via::Direct, None);
    assert_eq!(bench.shown(), []);
    let mut urgent = above(4);
    (urgent.header.id, urgent.header.after) = (id(40), None);
    (urgent.header.ordered, urgent.header.urgent) = (false, true);
    bench.arrive(BOB, urgent, Via::Direct, None);
    assert_eq!(bench.shown(), [(3, false), (2, false)], "what 5 names was no seq of this lane");
}

#[test]
fn what_is_urgent_has_no_order_and_lines_of_a_group_have_one() {
    let mut bench = Bench::new();
    let mut urgent = envelope(BOB, 2);
    (urgent.header.ordered, urgent.header.urgent, urgent.header.after) = (false, true, None);
    let mut in_group = envelope(BOB, 3);
    in_group.header.conversation = Conversation::Group { id: [1; 16], membership: 1 };
    for (envelope, ordered) in [(urgent, false), (in_group, true)] {
        bench.arrive(BOB, envelope, Via::Direct, None);
        bench.settle();
        assert_eq!(bench.received().last().unwrap().ordered, ordered);
    }
    assert_eq!(bench.shown(), [(1, false)], "whose chain is not known here is not heard yet");
}

#[test]
fn what_was_not_put_out_before_a_restart_is_shown_then_or_waits_for_what_is_missing() {
    for (floor, at_once) in [(2, true), (1, false)] {
        let unshown = StoredMessage { n: 4, after: Some(id(1)), ..stored(BOB, 2) };
        let mut bench = Bench::from(Snapshot {
            unshown: vec![unshown],
            lanes: vec![(key(BOB), epoch(3, BOB), floor)],
            held: vec![(key(BOB), 2, id(2))],
            ..Snapshot::default()
        });
        let gap = |output: &Output| matches!(output, Output::Event(Event::Gap { .. }));
        assert_eq!(bench.out.iter().any(gap), !at_once, "1 is withdrawn, or missing, and patience ended long ago");
        assert_eq!(bench.shown(), [(4, false)]);
    }
}

#[test]
fn progress_of_the_sender_prolongs_patience() {
    let mut bench = Bench::new();
    bench.arrive(BOB, envelope(BOB, 2), Via::Direct, None);
    bench.settle();
    bench.pass(GAP_PATIENCE_MS - 1_000);
    bench.core.on_item(item(BOB, 1, 77));
    bench.settle();
    bench.pass(1_000);
    bench.wake();
    assert_eq!(bench.shown(), [], "something of bob's is on its way");
    bench.pass(GAP_PATIENCE_MS - 1_000);
    bench.wake();
    assert_eq!(bench.shown(), [(1, false)]);
}

#[test]
fn a_floor_that_rises_releases_what_waited_for_the_withdrawn() {
    let mut bench = Bench::new();
    bench.arrive(BOB, envelope(BOB, 3), Via::Direct, None);
    bench.arrive(BOB, envelope(BOB, 6), Via::Direct, None);
    assert_eq!(bench.shown(), []);
    bench.core.follow_lane(key(BOB), epoch(3, BOB), 3);
    assert_eq!(bench.shown(), [(1, false)]);
    bench.core.follow_lane(key(BOB), epoch(3, BOB), 9);
    assert_eq!(bench.shown(), [(2, false)], "settled with its seq forgotten");
    assert!(bench.core.received[&key(BOB)].seq_of(&id(6)).is_none());
}

#[test]
fn an_item_that_cannot_be_opened_is_said_so_and_a_forged_one_is_done_with() {
    let mut bench = Bench::new();
    bench.core.on_item(item(BOB, 1, 77));
    assert_eq!(bench.taken(), [(1, Taking::NotOpened)]);
    assert!(bench.opening().is_none());
    bench.has_prekey(5);
    let cases = [
        (Err(NotOpened::WrongPrekey), Some(Dropped::NotOpened), Taking::NotOpened),
        (Err(NotOpened::Forged), Some(Dropped::Forged), Taking::Stored),
        (Ok(vec![1, 2, 3]), Some(Dropped::Forged), Taking::Stored),
        (Ok(parcel(EVE, 2)), Some(Dropped::EnvelopeOfOthers), Taking::Stored),
    ];
    for (number, (plain, why, taking)) in (2..).zip(cases) {
        bench.core.on_item(item(BOB, number, 5));
        let (ticket, kind) = bench.opening().unwrap();
        assert_eq!(kind, SealedKind::Parcel);
        bench.core.on_opened(ticket, plain);
        assert_eq!(bench.dropped(), Vec::from_iter(why));
        assert_eq!(bench.taken(), [(number, taking)]);
        bench.core.on_opened(ticket, Err(NotOpened::Forged));
        assert_eq!(bench.taken(), [], "an answer that nobody waits for");
    }
    bench.core.on_item(item(BOB, 9, 5));
    let (ticket, _) = bench.opening().unwrap();
    bench.core.on_opened(ticket, Ok(parcel(BOB, 1)));
    assert_eq!(bench.shown(), [(1, false)]);
    bench.core.on_item(item(44, 10, 5));
    let (ticket, _) = bench.opening().unwrap();
    bench.core.on_opened(ticket, Ok(parcel(44, 1)));
    assert_eq!((bench.dropped(), bench.taken()), (vec![Dropped::Unnamed], vec![(10, Taking::Stored)]));
}

#[test]
fn a_prekey_that_is_sealed_to_and_not_here_is_replaced_and_an_older_one_is_not() {
    let made = |counter, opens: bool| {
        let mut bench = Bench::new();
        bench.has_prekey(5);
        bench.core.on_item(item(BOB, 1, counter));
        if opens {
            let (ticket, _) = bench.opening().unwrap();
            bench.core.on_opened(ticket, Err(NotOpened::WrongPrekey));
        }
        bench.settle();
        bench.out.iter().any(|output| matches!(output, Output::MakePrekey { .. }))
    };
    assert!(made(6, false), "it was lost, or the store was put back");
    assert!(made(5, true), "another key of that number is with the others");
    assert!(!made(4, false));
}

#[test]
fn a_slot_is_taken_applied_if_its_writer_is_known_and_answered_if_it_does_not_open() {
    let mut bench = Bench::new();
    let slot = |from, serial, counter| Slot { from: key(from), serial, prekey: counter, sealed: vec![4] };
    let takes = |bench: &mut Bench| {
        bench.settle();
        let out = std::mem::take(&mut bench.out);
        let take =
            |output| matches!(output, Output::DirectorySend(frame) if matches!(*frame, ToDirectory::TakeSlot(_)));
        out.into_iter().filter_map(|output| take(output).then_some(())).count()
    };
    bench.has_prekey(5);
    let said = |from, version| codec::encode(&state(from, version));
    let cases = [
        (BOB, Ok(said(BOB, 1)), None),
        (44, Ok(said(44, 1)), Some(Dropped::Unnamed)),
        (BOB, Ok(vec![1]), Some(Dropped::Forged)),
        (BOB, Err(NotOpened::Forged), Some(Dropped::Forged)),
        (BOB, Err(NotOpened::WrongPrekey), Some(Dropped::NotOpened)),
    ];
    for (serial, (from, plain, why)) in (1..).zip(cases) {
        bench.core.on_slot(slot(from, serial, 5));
        let (ticket, kind) = bench.opening().unwrap();
        assert_eq!(kind, SealedKind::State);
        bench.core.on_opened(ticket, plain);
        assert_eq!(bench.dropped(), Vec::from_iter(why));
        assert_eq!(takes(&mut bench), 1, "slot {serial}");
    }
    assert_eq!(bench.core.way(key(BOB)).applied, Some((epoch(3, BOB), 1)));
    bench.core.on_slot(slot(BOB, 9, 5));
    let (ticket, _) = bench.opening().unwrap();
    bench.core.session.go(Step::Connecting);
    bench.core.on_opened(ticket, Ok(said(BOB, 2)));
    assert_eq!(takes(&mut bench), 0, "before the login it would end the session");
}

#[test]
fn a_useless_slot_of_somebody_known_is_answered_once_in_a_while_after_a_look_up() {
    let mut bench = Bench::new();
    let looked_up = |bench: &mut Bench, from, wait_ms| {
        bench.pass(wait_ms);
        let slot = Slot { from: key(from), serial: 1, prekey: 77, sealed: vec![4] };
        bench.core.on_slot(slot);
        bench.settle();
        let count = bench.to_directory().into_iter().filter(|frame| matches!(frame, ToDirectory::LookUp(_))).count();
        bench.forget();
        count
    };
    assert_eq!(looked_up(&mut bench, 44, 0), 0, "nobody knows who that is");
    assert_eq!(looked_up(&mut bench, BOB, 0), 1);
    assert!(bench.core.way(key(BOB)).state_after_look_up);
    assert_eq!([looked_up(&mut bench, BOB, 9_999), looked_up(&mut bench, BOB, 1)], [0, 1]);
}

#[test]
fn mail_of_a_key_without_a_name_waits_unseen_and_bounded() {
    let mut bench = Bench::new();
    (0..1_001).for_each(|number| bench.core.bring_in(stored(44, number), true));
    assert_eq!((bench.core.unnamed[&key(44)].len(), bench.shown()), (1_000, vec![]));
}

#[test]
fn more_held_back_than_can_be_kept_in_mind_ends_the_patience() {
    let mut bench = Bench::new();
    bench.core.follow_lane(key(BOB), epoch(3, BOB), 1);
    bench.settle();
    // Of an older epoch no seq is held, so the window bounds nothing: only what they wait for holds them back.
    let early = |number| {
        let mut envelope = envelope(BOB, number);
        (envelope.header.epoch, envelope.header.seq) = (epoch(2, BOB), 5);
        envelope
    };
    (2..=4_001).for_each(|number| bench.arrive(BOB, early(number), Via::Direct, None));
    assert_eq!((bench.shown().len(), bench.core.inbox.held_back_count(key(BOB))), (0, 4_000));
    bench.arrive(BOB, early(4_002), Via::Direct, None);
    assert_eq!(bench.shown().len(), 4_001);
}
