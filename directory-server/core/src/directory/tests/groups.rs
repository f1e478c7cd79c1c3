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
