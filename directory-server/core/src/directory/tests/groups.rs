//! What is refused about groups before the store is asked. What the store decides is tested with the store.

use common::group::{Change, SignedStep, Step};

use super::*;

fn founding(by: u8) -> Step {
    let change = Change::Found { name: "family".parse().unwrap(), private: false };
    Step::founding([5; 16], key(by), 0, change)
}

fn joining(by: u8) -> Step {
    Step { version: 2, previous: [7; 32], change: Change::Join, ..founding(by) }
}

/// Whether the store is asked, or why not.
fn step(world: &mut World, session: SessionId, signer: u8, step: &Step) -> Option<Refusal> {
    world.stalled = true;
    world.asked.clear();
    world.send(session, ChangeGroup { request: 3, step: SignedStep::sign(&identity(signer), step) });
    world.stalled = false;
    let asked = std::mem::take(&mut world.asked);
    match (&world.hear(session)[..], asked.len()) {
        ([], 1) => None,
        ([FromDirectory::Refused(refused)], 0) => Some(refused.reason.clone()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_ones_own_word_and_one_that_begins_or_follows_is_looked_at() {
    let mut world = World::new();
    let alice = world.come(1, "alice");
    assert_eq!(step(&mut world, alice, 1, &founding(1)), None);
    assert_eq!(step(&mut world, alice, 1, &joining(1)), None);
    assert_eq!(step(&mut world, alice, 2, &joining(2)), Some(Refusal::Invalid), "another's word");
    assert_eq!(step(&mut world, alice, 2, &joining(1)), Some(Refusal::Invalid), "not signed by its maker");
    let absurd = Step { version: u64::MAX, ..joining(1) };
    assert_eq!(step(&mut world, alice, 1, &absurd), Some(Refusal::Invalid), "more than a store counts");
    for stale in [
        Step { version: 2, ..founding(1) },
        Step { previous: [7; 32], ..founding(1) },
        Step { version: 1, previous: [0; 32], ..joining(1) },
    ] {
        assert_eq!(step(&mut world, alice, 1, &stale), Some(Refusal::GroupChanged), "{stale:?}");
    }
}

#[test]
fn where_the_disk_is_full_one_may_still_leave_and_take_out_until_it_is_at_the_floor() {
    let mut world = World::new();
    let alice = world.come(1, "alice");
    let changes = [Change::Join, Change::Invite { who: key(2) }, Change::Leave, Change::Remove { who: key(2) }];
    let mut refused = |free_bytes| {
        world.input(Input::DiskFree { free_bytes, total_bytes: 1 << 40 });
        changes.clone().map(|change| step(&mut world, alice, 1, &Step { change, ..joining(1) }).is_some())
    };
    assert_eq!(refused(100 << 30), [false; 4]);
    assert_eq!(refused(400 << 20), [true, true, false, false]);
    assert_eq!(refused(100 << 20), [true; 4]);
}

#[test]
fn following_more_groups_than_a_frame_may_name_ends_the_session() {
    let mut world = World::new();
    let alice = world.come(1, "alice");
    world.send(alice, FollowGroups { groups: vec![([1; 16], 0); 201] });
    assert_eq!(world.hear(alice), [Rejected { reason: Rejection::Protocol }.into()]);
    assert!(world.closed.contains(&alice));
}

#[test]
fn anybodys_steps_may_be_handed_in_as_one_piece_of_a_chain_and_nothing_else() {
    let mut world = World::new();
    let alice = world.come(1, "alice");
    let mut hand_in = |steps: Vec<SignedStep>| {
        world.stalled = true;
        world.asked.clear();
        world.send(alice, RestoreGroup { request: 3, steps });
        world.stalled = false;
        let asked = std::mem::take(&mut world.asked).len();
        match &world.hear(alice)[..] {
            [] if asked == 1 => None,
            [FromDirectory::Refused(refused)] if asked == 0 => Some(refused.reason.clone()),
            other => panic!("{other:?}"),
        }
    };
    let first = SignedStep::sign(&identity(2), &founding(2));
    let next = |by: u8, after: &SignedStep| {
        let version = after.verify().unwrap().version + 1;
        SignedStep::sign(&identity(by), &Step { version, previous: after.hash(), ..joining(by) })
    };
    let second = next(3, &first);
    assert_eq!(hand_in(vec![first.clone(), second.clone()]), None, "all of them of others");
    assert_eq!(hand_in(vec![second.clone()]), None);
    assert_eq!(hand_in(vec![]), Some(Refusal::Invalid));
    assert_eq!(hand_in(vec![first.clone(), next(3, &second)]), Some(Refusal::Invalid), "a gap");
    assert_eq!(hand_in(vec![second.clone(), first.clone()]), Some(Refusal::Invalid), "another order");
    let forged = SignedStep::sign(&identity(4), &second.verify().unwrap());
    assert_eq!(hand_in(vec![first.clone(), forged]), Some(Refusal::Invalid), "not signed by its maker");
    let other = Step { group: [6; 16], ..second.verify().unwrap() };
    assert_eq!(hand_in(vec![first.clone(), SignedStep::sign(&identity(3), &other)]), Some(Refusal::Invalid));
    let absurd = Step { version: u64::MAX, ..joining(2) };
    assert_eq!(hand_in(vec![SignedStep::sign(&identity(2), &absurd)]), Some(Refusal::Invalid));
    assert_eq!(hand_in(vec![first; 101]), Some(Refusal::TooLarge { limit: 100 }));
    world.input(Input::DiskFree { free_bytes: 400 << 20, total_bytes: 1 << 40 });
    world.send(alice, RestoreGroup { request: 4, steps: vec![second] });
    let [FromDirectory::Refused(refused)] = &world.hear(alice)[..] else { panic!() };
    assert_eq!(refused.reason, Refusal::DiskFull);
}
