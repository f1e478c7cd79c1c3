//! Deposits, the drain, pushing, taking, slots, and how much of it at once.

use super::*;

fn answers(heard: Vec<FromDirectory>) -> Vec<(u64, Option<Refusal>)> {
    let part = |frame| match frame {
        FromDirectory::Deposited(deposited) => deposited.answers,
        other => panic!("not answers: {other:?}"),
    };
    heard.into_iter().flat_map(part).map(|answer| (answer.place.seq, answer.refusal)).collect()
}

fn items(heard: &[FromDirectory]) -> Vec<&Item> {
    heard.iter().filter_map(|frame| if let FromDirectory::Item(item) = frame { Some(item) } else { None }).collect()
}

fn take(world: &mut World, session: SessionId, numbers: impl IntoIterator<Item = u64>) {
    world.send(session, Take { items: numbers.into_iter().map(|number| (number, Taking::Stored)).collect() });
}

fn fate(world: &mut World, session: SessionId, place: Place) -> Fate {
    world.send(session, Have { request: 8, places: vec![place] });
    let [FromDirectory::Had(had)] = &world.hear(session)[..] else { panic!() };
    assert_eq!((had.request, had.fates[0].0), (8, place));
    had.fates[0].1.clone()
}

#[test]
fn a_deposit_is_kept_pushed_and_taken() {
    let mut world = World::new();
    let (alice, bob) = (world.come(1, "alice"), world.come(2, "bob"));
    world.send(alice, deposit(2, 1));
    assert_eq!(answers(world.hear(alice)), [(1, None)]);
    let heard = world.hear(bob);
    let [item] = items(&heard).try_into().unwrap();
    assert_eq!((item.submitter, item.seq, item.waited), (key(1), 1, false));
    assert_eq!(item.sealed, deposit(2, 1).sealed);
    assert_eq!(fate(&mut world, alice, place(2, 1)), Fate::Held);
    let number = item.item;
    take(&mut world, bob, [number]);
    assert_eq!(world.shelf.items_of(&key(2)), 0);
    assert_eq!(fate(&mut world, alice, place(2, 1)), Fate::Taken);
    assert_eq!(fate(&mut world, alice, place(2, 2)), Fate::Unknown);
}

#[test]
fn kept_is_not_said_before_the_commit_and_one_frame_answers_a_batch() {
    let mut world = World::new();
    let alice = world.come(1, "alice");
    world.absent(2, "bob");
    world.stalled = true;
    (1..=100).for_each(|seq| world.send(alice, deposit(2, seq)));
    assert_eq!(world.hear(alice), []);
    world.stalled = false;
    world.settle();
    let heard = world.hear(alice);
    assert_eq!(heard.len(), 1);
    assert_eq!(answers(heard).len(), 100);
}

#[test]
fn a_deposit_for_nobody_too_large_or_without_room_is_refused() {
    let mut world = World::new();
    let alice = world.come(1, "alice");
    world.absent(2, "bob");
    world.send(alice, deposit(9, 1));
    world.send(alice, Deposit { sealed: vec![0; 24 * 1024 + 1], ..deposit(2, 2) });
    world.send(alice, deposit(2, 0));
    world.input(Input::DiskFree { free_bytes: 400 << 20, total_bytes: 1 << 40 });
    world.send(alice, deposit(2, 3));
    world.input(Input::DiskFree { free_bytes: 100 << 30, total_bytes: 1 << 40 });
    world.send(alice, deposit(2, 3));
    let expected = [
        (1, Some(Refusal::NoSuchUser)),
        (2, Some(Refusal::TooLarge { limit: 24 * 1024 })),
        (0, Some(Refusal::Invalid)),
        (3, Some(Refusal::DiskFull)),
        (3, None),
    ];
    assert_eq!(answers(world.hear(alice)), expected);
}

#[test]
fn the_same_message_replaces_itself_and_another_at_its_place_is_a_conflict() {
    let mut world = World::new();
    let alice = world.come(1, "alice");
    world.absent(2, "bob");
    world.send(alice, deposit(2, 1));
    world.send(alice, deposit(2, 1));
    world.send(alice, Deposit { tag: [0xff; 8], ..deposit(2, 1) });
    assert_eq!(answers(world.hear(alice)), [(1, None), (1, None), (1, Some(Refusal::Conflict))]);
    assert_eq!(world.shelf.items_of(&key(2)), 1);
    world.send(alice, Withdraw { places: vec![place(2, 1)] });
    assert_eq!(world.shelf.items_of(&key(2)), 0);
}

#[test]
fn the_drain_hands_out_urgent_items_first_and_each_sender_in_order_of_seq() {
    let mut world = World::new();
    let (alice, carol) = (world.come(1, "alice"), world.come(3, "carol"));
    world.absent(2, "bob");
    for seq in [2, 1, 4] {
        world.send(alice, deposit(2, seq));
        world.send(carol, deposit(2, seq));
    }
    world.send(alice, Deposit { urgent: true, human: false, ..deposit(2, 3) });
    let bob = world.back(2);
    world.online(bob, 2, &[]);
    let heard = world.hear(bob);
    assert_eq!(heard[..2], [Done { request: 2 }.into(), DrainBegin { human: 6 }.into()]);
    assert_eq!(heard.last(), Some(&DrainEnd {}.into()));
    let order: Vec<_> = items(&heard).iter().map(|item| (item.submitter, item.seq)).collect();
    let (a, c) = (key(1), key(3));
    assert_eq!(order, [(a, 3), (a, 1), (a, 2), (a, 4), (c, 1), (c, 2), (c, 4)]);
    assert!(items(&heard).iter().all(|item| item.waited));
}

#[test]
fn the_drain_goes_on_as_items_are_taken_and_everything_comes_once() {
    let mut world = World::new();
    let alice = world.come(1, "alice");
    world.absent(2, "bob");
    (1..=1_000).for_each(|seq| world.send(alice, deposit(2, seq)));
    let bob = world.back(2);
    world.online(bob, 2, &[]);
    let mut seqs = vec![];
    let mut fresh = 1_000;
    let mut ended = false;
    loop {
        let heard = world.hear(bob);
        let out = items(&heard);
        if out.is_empty() {
            break;
        }
        assert!(out.len() <= 128, "no more than the window at once");
        assert!(!ended || out.iter().all(|item| item.seq > 1_000), "what came meanwhile follows the end");
        ended |= heard.contains(&DrainEnd {}.into());
        seqs.extend(out.iter().map(|item| item.seq));
        if fresh < 1_200 {
            (1..=100).for_each(|more| world.send(alice, deposit(2, fresh + more)));
            fresh += 100;
        }
        take(&mut world, bob, out.iter().map(|item| item.item));
    }
    assert!(ended);
    assert_eq!(seqs, (1..=1_200).collect::<Vec<_>>());
    assert_eq!(world.shelf.items_of(&key(2)), 0);
}

#[test]
fn an_online_recipient_who_takes_nothing_is_pushed_one_window_and_the_rest_later() {
    let mut world = World::new();
    let (alice, bob) = (world.come(1, "alice"), world.come(2, "bob"));
    (1..=600).for_each(|seq| world.send(alice, deposit(2, seq)));
    let mut seqs: Vec<u64> = vec![];
    let first = world.hear(bob);
    assert_eq!(items(&first).len(), 128);
    seqs.extend(items(&first).iter().map(|item| item.seq));
    take(&mut world, bob, items(&first).iter().map(|item| item.item));
    while let Some(heard) = Some(world.hear(bob)).filter(|heard| !heard.is_empty()) {
        seqs.extend(items(&heard).iter().map(|item| item.seq));
        take(&mut world, bob, items(&heard).iter().map(|item| item.item));
    }
    assert_eq!(seqs, (1..=600).collect::<Vec<_>>());
}

#[test]
fn a_new_item_is_never_pushed_past_one_that_waits_in_the_store() {
    let mut world = World::new();
    let (alice, bob) = (world.come(1, "alice"), world.come(2, "bob"));
    (1..=300).for_each(|seq| world.send(alice, deposit(2, seq)));
    let numbers: Vec<u64> = items(&world.hear(bob)).iter().map(|item| item.item).collect();
    take(&mut world, bob, numbers[..10].iter().copied());
    world.send(alice, deposit(2, 301));
    assert_eq!(world.hear(bob), [], "room for ten, but 129 comes first");
    take(&mut world, bob, numbers[10..].iter().copied());
    let seqs: Vec<u64> = items(&world.hear(bob)).iter().map(|item| item.seq).collect();
    assert_eq!(seqs, (129..=256).collect::<Vec<_>>());
}

#[test]
fn big_items_are_bounded_by_their_bytes() {
    let mut world = World::new();
    let (alice, bob) = (world.come(1, "alice"), world.come(2, "bob"));
    (1..=20).for_each(|seq| world.send(alice, Deposit { sealed: vec![0; 24 * 1024], ..deposit(2, seq) }));
    let heard = world.hear(bob);
    assert_eq!(items(&heard).len(), 3, "72 KiB of 24 KiB each");
}

#[test]
fn what_was_pushed_and_not_taken_comes_again_at_the_next_login() {
    let mut world = World::new();
    let (alice, bob) = (world.come(1, "alice"), world.come(2, "bob"));
    world.send(alice, deposit(2, 1));
    assert_eq!(items(&world.hear(bob)).len(), 1);
    world.input(Input::SessionClosed { session: bob });
    let bob = world.back(2);
    world.online(bob, 2, &[]);
    let heard = world.hear(bob);
    assert_eq!(items(&heard).len(), 1);
}

#[test]
fn coming_online_again_in_one_session_changes_addresses_and_drains_nothing_twice() {
    let mut world = World::new();
    let (alice, bob) = (world.come(1, "alice"), world.come(2, "bob"));
    world.send(alice, deposit(2, 1));
    world.hear(bob);
    world.online(bob, 2, &["127.0.0.1:9000"]);
    assert_eq!(world.hear(bob), [Done { request: 2 }.into()]);
}

#[test]
fn a_submitter_hears_what_could_not_be_opened_and_with_which_key_to_seal_again() {
    let mut world = World::new();
    let (alice, bob) = (world.come(1, "alice"), world.come(2, "bob"));
    world.send(alice, deposit(2, 1));
    world.hear(alice);
    let heard = world.hear(bob);
    let number = items(&heard)[0].item;
    world.send(bob, Take { items: vec![(number, Taking::NotOpened)] });
    let expected = NotOpened { places: vec![place(2, 1)], prekey: Some(prekey(2, 1)) };
    assert_eq!(world.hear(alice), [expected.into()]);
    assert_eq!(fate(&mut world, alice, place(2, 1)), Fate::NotOpened);
    world.send(alice, deposit(2, 1));
    assert_eq!(items(&world.hear(bob)).len(), 1, "sealed again, it comes again");
}

#[test]
fn nobody_takes_the_items_of_somebody_else() {
    let mut world = World::new();
    let (alice, bob) = (world.come(1, "alice"), world.come(2, "bob"));
    world.send(alice, deposit(2, 1));
    let heard = world.hear(bob);
    take(&mut world, alice, [items(&heard)[0].item]);
    assert_eq!(world.shelf.items_of(&key(2)), 1);
}

#[test]
fn items_expire_and_their_submitter_can_ask() {
    let mut world = World::new();
    let alice = world.come(1, "alice");
    world.absent(2, "bob");
    (1..=1_200).for_each(|seq| world.send(alice, deposit(2, seq)));
    world.input(Input::SessionClosed { session: alice });
    world.pass(34 * common::limits::DAY_MS);
    assert_eq!(world.shelf.items_of(&key(2)), 1_200);
    world.pass(common::limits::DAY_MS + 60_001);
    assert_eq!(world.shelf.items_of(&key(2)), 0);
    let alice = world.back(1);
    assert_eq!(fate(&mut world, alice, place(2, 7)), Fate::Expired);
}

#[test]
fn reading_pauses_while_too_many_deposits_are_unanswered() {
    let mut world = World::new();
    let alice = world.come(1, "alice");
    world.absent(2, "bob");
    world.stalled = true;
    (1..=256).for_each(|seq| world.send(alice, deposit(2, seq)));
    assert!(!world.paused.contains(&alice));
    world.send(alice, deposit(2, 257));
    assert!(world.paused.contains(&alice));
    world.stalled = false;
    world.settle();
    assert!(!world.paused.contains(&alice));
    assert_eq!(answers(world.hear(alice)).len(), 257);
}

#[test]
fn reading_pauses_while_a_few_frames_with_many_entries_are_unanswered() {
    let mut world = World::new();
    let alice = world.come(1, "alice");
    world.stalled = true;
    take(&mut world, alice, 1..=200);
    assert!(!world.paused.contains(&alice));
    world.send(alice, Withdraw { places: (1..=57).map(|seq| place(2, seq)).collect() });
    assert!(world.paused.contains(&alice));
    world.stalled = false;
    world.settle();
    assert!(!world.paused.contains(&alice));
}

#[test]
fn a_deposit_of_a_submitter_gone_meanwhile_is_pushed_all_the_same() {
    let mut world = World::new();
    let (alice, bob) = (world.come(1, "alice"), world.come(2, "bob"));
    world.stalled = true;
    world.send(alice, deposit(2, 1));
    world.input(Input::SessionClosed { session: alice });
    world.stalled = false;
    world.settle();
    assert_eq!(items(&world.hear(bob)).len(), 1);
}

fn put_slot(world: &mut World, from: SessionId, to: u8, content: u8) {
    world.send(from, PutSlot { recipient: key(to), prekey: 1, sealed: vec![content; 50] });
}

fn slots(heard: Vec<FromDirectory>) -> Vec<(u64, u8)> {
    heard
        .into_iter()
        .filter_map(
            |frame| if let FromDirectory::Slot(slot) = frame { Some((slot.serial, slot.sealed[0])) } else { None },
        )
        .collect()
}

#[test]
fn of_a_slot_only_the_newest_content_waits() {
    let mut world = World::new();
    let alice = world.come(1, "alice");
    world.absent(2, "bob");
    (1..=5).for_each(|content| put_slot(&mut world, alice, 2, content));
    let bob = world.back(2);
    world.online(bob, 2, &[]);
    assert_eq!(slots(world.hear(bob)), [(5, 5)]);
}

#[test]
fn a_full_disk_takes_acknowledgements_that_need_no_more_room() {
    let mut world = World::new();
    let alice = world.come(1, "alice");
    let bob = world.come(2, "bob");
    put_slot(&mut world, alice, 2, 1);
    world.send(bob, TakeSlot { from: key(1), serial: 1 });
    world.input(Input::DiskFree { free_bytes: 400 << 20, total_bytes: 1 << 40 });
    put_slot(&mut world, alice, 2, 2);
    put_slot(&mut world, bob, 1, 3);
    put_slot(&mut world, bob, 1, 4);
    assert_eq!((slots(world.hear(bob)), slots(world.hear(alice))), (vec![(1, 1)], vec![]));
    world.input(Input::DiskFree { free_bytes: 1 << 40, total_bytes: 1 << 40 });
    put_slot(&mut world, alice, 2, 5);
    world.hear(bob);
    world.input(Input::DiskFree { free_bytes: 400 << 20, total_bytes: 1 << 40 });
    put_slot(&mut world, alice, 2, 6);
    world.send(bob, TakeSlot { from: key(1), serial: 2 });
    assert_eq!(slots(world.hear(bob)), [(3, 6)]);
}

#[test]
fn a_slot_is_pushed_at_once_and_overwritten_ones_after_the_take() {
    let mut world = World::new();
    let (alice, bob) = (world.come(1, "alice"), world.come(2, "bob"));
    (1..=5).for_each(|content| put_slot(&mut world, alice, 2, content));
    assert_eq!(slots(world.hear(bob)), [(1, 1)]);
    world.send(bob, TakeSlot { from: key(1), serial: 1 });
    assert_eq!(slots(world.hear(bob)), [(5, 5)]);
    world.send(bob, TakeSlot { from: key(1), serial: 5 });
    assert_eq!(slots(world.hear(bob)), []);
    put_slot(&mut world, alice, 2, 6);
    assert_eq!(slots(world.hear(bob)), [(6, 6)]);
}

#[test]
fn a_slot_that_is_never_taken_does_not_hold_up_those_of_others() {
    let mut world = World::new();
    let (alice, bob, carol) = (world.come(1, "alice"), world.come(2, "bob"), world.come(3, "carol"));
    (1..=2).for_each(|content| put_slot(&mut world, alice, 2, content));
    world.hear(bob);
    put_slot(&mut world, carol, 2, 30);
    assert!(slots(world.hear(bob)).contains(&(3, 30)));
}

#[test]
fn a_recipient_who_takes_no_slots_is_pushed_one_window_of_them() {
    let mut world = World::with(Limits { window_slots: 2, ..Limits::default() });
    let bob = world.come(2, "bob");
    for who in 3..7 {
        let session = world.come(who, &format!("friend{who}"));
        put_slot(&mut world, session, 2, who);
    }
    let mut serials: Vec<u64> = slots(world.hear(bob)).iter().map(|slot| slot.0).collect();
    assert_eq!(serials, [1, 2]);
    for who in 3..7 {
        world.send(bob, TakeSlot { from: key(who), serial: u64::from(who) - 2 });
        let more = slots(world.hear(bob));
        serials.extend(more.iter().map(|slot| slot.0));
        assert!(serials.len() <= usize::from(who), "one more for each that was taken");
    }
    assert_eq!(serials, [1, 2, 3, 4]);
}

#[test]
fn a_name_given_up_and_taken_again_in_one_session_begins_a_new_drain() {
    let mut world = World::new();
    let bob = world.come(2, "bob");
    world.send(bob, Deregister { request: 3 });
    world.send(bob, Register { request: 4, name: "bob".parse().unwrap(), prekey: prekey(2, 1) });
    world.hear(bob);
    world.online(bob, 2, &[]);
    assert_eq!(world.hear(bob), [Done { request: 2 }.into(), DrainBegin { human: 0 }.into(), DrainEnd {}.into()]);
}

#[test]
fn nobody_is_answered_who_left_between_the_commit_and_the_answer() {
    let mut world = World::new();
    let alice = world.come(1, "alice");
    world.absent(2, "bob");
    world.stalled = true;
    world.send(alice, deposit(2, 1));
    let (ticket, op) = world.asked.pop_front().unwrap();
    let results = vec![(ticket, world.shelf.run(op))];
    world.directory.handle(Input::Stored { results, commits: 6 }, world.now);
    world.input(Input::SessionClosed { session: alice });
    assert_eq!(world.hear(alice), []);
}
