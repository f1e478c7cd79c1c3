//! A directory that lies, and people who speak where they do not belong.

use common::group::{Change, Membership, SignedStep};
use common::identity::{Context, Identity};
use common::wire::directory::GroupNews;

use super::asked::say;
use super::town::{Town, name};
use super::wrong::invite;
use crate::command::{Command, ErrorCode};
use crate::event::Dropped;

const ANNA: usize = 0;
const BERT: usize = 1;
const CARLA: usize = 2;

fn group_of(town: &Town) -> (common::group::GroupId, Vec<SignedStep>) {
    let (id, steps) = town.registry.groups.iter().next().expect("a group");
    (*id, steps.clone())
}

/// Steps that the directory shows to anna.
fn show(town: &mut Town, steps: Vec<SignedStep>) {
    let (group, _) = group_of(town);
    let anna = town.key(ANNA);
    town.registry.outbox.push((anna, GroupNews { group, steps }.into()));
    town.settle();
}

#[test]
fn a_directory_can_neither_add_a_listener_nor_put_another_chain_in_the_place_of_one() {
    let mut town = Town::new(&["anna", "bert", "carla"]);
    town.create(ANNA, "family", false);
    town.join(BERT, "family");
    let (id, chain) = group_of(&town);
    let group = Membership::of(&chain).unwrap();
    let carla = town.key(CARLA);
    let forged = {
        let step = group.next(carla, 0, Change::Join);
        SignedStep::new(step.bytes(), Identity::from_seed(&[200; 32]).sign(Context::GroupStep, &step.bytes()))
    };
    show(&mut town, vec![forged]);
    // A true step, in a fork from before bert came.
    let early = Membership::of(&chain[..1]).unwrap();
    let fork = SignedStep::sign(&town.people[CARLA].identity, &early.next(carla, 0, Change::Join));
    let beyond = {
        let mut forked = early.clone();
        forked.apply(&fork).unwrap();
        SignedStep::sign(&town.people[CARLA].identity, &forked.next(carla, 0, Change::Leave))
    };
    let anna = town.key(ANNA);
    town.registry.lies.insert((anna, id), vec![chain[0].clone(), fork.clone(), beyond.clone()]);
    show(&mut town, vec![fork, beyond]);
    town.wait(60_000);
    assert_eq!(town.members(ANNA, "family"), ["anna*", "bert"]);
    assert!(town.people[ANNA].dropped.iter().any(|(_, why)| *why == Dropped::Step));
    town.says(ANNA, "family", "only us");
    assert!(town.lines(CARLA).is_empty());
    assert_eq!(town.lines(BERT), ["@family anna: only us"]);
    town.registry.lies.clear();
    town.join(CARLA, "family");
    assert_eq!(town.members(ANNA, "family"), ["anna*", "bert", "carla"]);
}

#[test]
fn what_a_newcomer_says_waits_for_the_chain_that_tells_of_them() {
    let mut town = Town::new(&["anna", "bert", "carla"]);
    town.create(ANNA, "family", false);
    town.join(BERT, "family");
    let ((id, chain), anna) = (group_of(&town), town.key(ANNA));
    town.registry.silent = true;
    town.registry.lies.insert((anna, id), chain);
    town.join(CARLA, "family");
    town.says(CARLA, "family", "one");
    town.says(CARLA, "family", "two");
    town.wait(60_000);
    assert!(town.lines(ANNA).is_empty() && town.people[ANNA].dismissed.is_empty(), "it waits");
    town.registry.lies.clear();
    town.wait(60_000);
    assert_eq!(town.lines(ANNA), ["@family carla: one", "@family carla: two"]);
}

#[test]
fn what_waits_is_looked_at_again_after_a_start() {
    let mut town = Town::new(&["anna", "bert", "carla"]);
    town.create(ANNA, "family", false);
    town.join(BERT, "family");
    let ((id, chain), anna) = (group_of(&town), town.key(ANNA));
    town.registry.silent = true;
    town.registry.lies.insert((anna, id), chain);
    town.join(CARLA, "family");
    town.says(CARLA, "family", "one");
    town.stop(ANNA);
    town.registry.lies.clear();
    town.start(ANNA);
    town.wait(3_000);
    assert_eq!(town.lines(ANNA), ["@family carla: one"]);
}

#[test]
fn a_member_is_heard_without_the_directory_though_the_chain_has_grown() {
    let mut town = Town::new(&["anna", "bert", "carla"]);
    town.create(ANNA, "family", false);
    town.join(BERT, "family");
    let ((id, chain), anna) = (group_of(&town), town.key(ANNA));
    town.registry.silent = true;
    town.registry.lies.insert((anna, id), chain);
    town.join(CARLA, "family");
    town.registry.silent = false;
    town.wait(100);
    let follow = town.members(BERT, "family");
    assert_eq!(follow.len(), 3);
    town.directory_goes();
    town.says(BERT, "family", "can you hear me?");
    town.wait(6_000);
    assert_eq!(town.lines(ANNA), ["@family bert: can you hear me?"]);
}

#[test]
fn who_does_not_belong_is_not_heard() {
    let mut town = Town::new(&["anna", "bert", "carla"]);
    town.create(ANNA, "family", false);
    town.join(BERT, "family");
    town.join(CARLA, "family");
    // Carla is taken out, and is not told.
    let ((id, chain), carla) = (group_of(&town), town.key(CARLA));
    town.registry.lies.insert((carla, id), chain);
    town.registry.silent = true;
    town.does(ANNA, Command::Kick { name: name("carla"), group: name("family") }).unwrap();
    town.members(BERT, "family");
    town.says(CARLA, "family", "still there?");
    town.wait(10_000);
    // She named a version at which she was a member: said before it was known to her.
    assert_eq!(town.lines(ANNA), ["@family carla: still there?"]);
    // Somebody who left on their own wants to hear nothing more.
    town.does(BERT, Command::Leave(name("family"))).unwrap();
    town.says(CARLA, "family", "and you?");
    town.wait(10_000);
    assert_eq!(town.lines(BERT), ["@family carla: still there?"]);
    assert!(town.people[BERT].dropped.contains(&(carla, Dropped::NotAMember)));
    assert_eq!(town.people[BERT].dismissed.len(), 1);
}

#[test]
fn a_directory_that_shows_one_group_for_another_is_told_nothing_and_signed_nothing() {
    let mut town = Town::new(&["anna", "bert", "carla"]);
    town.create(ANNA, "work", true);
    town.does(ANNA, invite("bert", "work")).unwrap();
    town.join(BERT, "work");
    let (work, chain) = group_of(&town);
    // The true chain of a group that anna is in, and one of those that she is not in.
    for other in ["party", "friends"] {
        town.registry.taken_for.insert(other.to_owned(), work);
    }
    for command in [invite("carla", "party"), say("friends", "hello"), Command::Leave(name("party"))] {
        assert_eq!(town.refused(ANNA, command.clone()).0, ErrorCode::NoSuchGroup, "{command:?}");
    }
    assert_eq!(town.refused(CARLA, Command::Members(name("party"))).0, ErrorCode::NoSuchGroup);
    assert!(town.people[ANNA].dropped.iter().any(|(_, why)| *why == Dropped::Step));
    assert_eq!(town.registry.groups[&work], chain);
    assert!(town.lines(BERT).is_empty());
    // Without case it is the same name.
    assert_eq!(town.members(ANNA, "WORK"), ["anna*", "bert"]);
    // By identity too.
    town.create(CARLA, "party", false);
    town.registry.taken_for.clear();
    let (anna, party) = (town.key(ANNA), *town.registry.groups.keys().find(|id| **id != work).unwrap());
    town.registry.lies.insert((anna, party), chain);
    assert_eq!(town.refused(ANNA, Command::Join(name("party"))).0, ErrorCode::NoSuchGroup);
}

#[test]
fn while_the_directory_is_gone_nothing_is_looked_at_again_and_again() {
    let mut town = Town::new(&["anna", "bert", "carla"]);
    town.create(ANNA, "family", false);
    town.join(BERT, "family");
    let ((id, chain), anna) = (group_of(&town), town.key(ANNA));
    town.registry.silent = true;
    town.registry.lies.insert((anna, id), chain);
    town.join(CARLA, "family");
    town.says(CARLA, "family", "one");
    town.directory_goes();
    town.wait(130_000);
    let before = town.wakes;
    town.wait(10_000);
    assert!(town.wakes - before < 1_000, "{} times in 10 s", town.wakes - before);
    assert!(town.lines(ANNA).is_empty() && town.people[ANNA].dismissed.is_empty(), "it waits");
    town.registry.lies.clear();
    town.directory_comes();
    town.wait(60_000);
    assert_eq!(town.lines(ANNA), ["@family carla: one"]);
}

#[test]
fn invitations_are_looked_into_one_group_at_a_time_however_many_there_are() {
    let mut town = Town::new(&["anna", "bert"]);
    let groups = ["red", "green", "blue"];
    town.stop(BERT);
    for group in groups {
        town.create(ANNA, group, true);
        town.does(ANNA, invite("bert", group)).unwrap();
        town.does(ANNA, invite("bert", group)).unwrap();
    }
    let asked = |town: &Town| town.registry.looked_up.iter().filter(|(by, _)| *by == town.key(BERT)).count();
    town.start(BERT);
    town.settle();
    assert!(asked(&town) <= 1, "{} look-ups at once", asked(&town));
    town.wait(10_000);
    assert_eq!(asked(&town), 3);
    assert_eq!(town.news(BERT), groups.map(|group| format!("invited bert @{group} by anna")));
    assert_eq!(town.people[BERT].dismissed.len(), 3, "said twice, shown once");
}

#[test]
fn whoever_invites_to_too_much_is_not_listened_to() {
    let mut town = Town::new(&["anna", "bert"]);
    town.stop(BERT);
    for number in 0..25 {
        let group = format!("group{number}");
        town.create(ANNA, &group, true);
        town.does(ANNA, invite("bert", &group)).unwrap();
    }
    town.start(BERT);
    town.wait(60_000);
    let shown = town.news(BERT).len();
    assert!((20..25).contains(&shown), "{shown}");
    assert_eq!(shown + town.people[BERT].dismissed.len(), 25);
}
