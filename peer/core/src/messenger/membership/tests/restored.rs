//! A directory whose store was put back to an older copy: members bring back what it has lost of their groups.

use std::collections::BTreeMap;

use common::group::{Change, GroupId, Membership, SignedStep};
use common::wire::directory::GroupNews;

use super::town::{Town, name};
use crate::command::{Command, ErrorCode};

const ANNA: usize = 0;
const BERT: usize = 1;
const CARLA: usize = 2;

type Copy = BTreeMap<GroupId, Vec<SignedStep>>;

fn town() -> Town {
    Town::new(&["anna", "bert", "carla", "dora"])
}

impl Town {
    fn copy(&self) -> Copy {
        self.registry.groups.clone()
    }

    /// The directory's store is put back, and everybody finds it again.
    fn put_back(&mut self, copy: Copy) {
        self.directory_goes();
        self.registry.groups = copy;
        self.registry.restored.clear();
        self.directory_comes();
    }

    fn handed_in(&self) -> usize {
        self.registry.restored.iter().map(|(_, steps)| steps).sum()
    }
}

#[test]
fn a_chain_that_the_directory_has_lost_the_end_of_is_whole_again_and_most_find_it_done() {
    for lost in [1, 2] {
        let mut town = town();
        town.create(ANNA, "family", false);
        let mut copies = vec![town.copy()];
        for who in [BERT, CARLA] {
            town.join(who, "family");
            copies.push(town.copy());
        }
        town.put_back(copies[2 - lost].clone());
        assert_eq!(town.copy(), copies[2], "as it was");
        assert!(town.handed_in() <= 2 * lost, "{:?}", town.registry.restored);
        for who in [ANNA, BERT, CARLA] {
            assert_eq!(town.members(who, "family"), ["anna*", "bert", "carla"]);
        }
        town.join(3, "family");
        town.says(3, "family", "all here?");
        assert!([ANNA, BERT, CARLA].iter().all(|who| town.lines(*who) == ["@family dora: all here?"]));
    }
}

#[test]
fn a_group_that_the_directory_never_heard_of_is_brought_back_page_by_page() {
    for private in [false, true] {
        let mut town = town();
        let before = town.copy();
        town.create(ANNA, "family", private);
        for round in 0..30 {
            if private {
                town.does(ANNA, Command::Invite { name: name("bert"), group: name("family"), chat: None }).unwrap();
            }
            town.join(BERT, "family");
            if round < 29 {
                town.does(BERT, Command::Leave(name("family"))).unwrap();
                town.wait(20);
            }
            town.does(CARLA, Command::Join(name("family"))).ok();
            town.does(CARLA, Command::Leave(name("family"))).ok();
        }
        let whole = town.copy();
        let steps = whole.values().next().unwrap().len();
        town.put_back(before);
        town.wait(10_000);
        assert_eq!(town.copy(), whole);
        assert_eq!(town.registry.restored.len() > 1, steps > 100, "{steps} steps: {:?}", town.registry.restored);
        assert_eq!(town.members(BERT, "family"), ["anna*", "bert"]);
    }
}

#[test]
fn who_adds_a_step_hands_in_first_what_the_directory_has_lost_unseen() {
    type Lost = fn(&mut Copy);
    let ways: [Lost; 2] = [|copy| copy.values_mut().for_each(|chain| chain.truncate(1)), Copy::clear];
    for lose in ways {
        for command in [
            Command::Leave(name("family")),
            Command::Invite { name: name("dora"), group: name("family"), chat: Some(name("bert")) },
            Command::Kick { name: name("bert"), group: name("family") },
        ] {
            let mut town = town();
            town.create(ANNA, "family", false);
            town.join(BERT, "family");
            town.join(CARLA, "family");
            let whole = town.copy();
            lose(&mut town.registry.groups);
            town.does(ANNA, command.clone()).unwrap();
            let (id, chain) = town.copy().pop_first().unwrap();
            assert_eq!((&chain[..3], chain.len()), (&whole[&id][..], 4), "{command:?}");
            assert_eq!(town.registry.groups.len(), 1, "{command:?}");
        }
    }
}

#[test]
fn who_has_left_since_the_copy_is_taken_for_a_member_only_until_they_say_so() {
    let mut town = town();
    town.create(ANNA, "family", false);
    town.join(BERT, "family");
    let copy = town.copy();
    town.stop(BERT);
    town.does(ANNA, Command::Leave(name("family"))).unwrap();
    town.put_back(copy);
    town.start(BERT);
    town.wait(5_000);
    assert_eq!(town.members(BERT, "family"), ["bert*"]);
    assert_eq!(town.registry.groups.values().next().unwrap().len(), 3);
}

#[test]
fn a_group_that_is_not_there_any_more_is_not_brought_back_by_who_has_left_it() {
    let mut town = town();
    town.create(ANNA, "family", false);
    town.join(BERT, "family");
    town.does(BERT, Command::Leave(name("family"))).unwrap();
    let id = *town.registry.groups.keys().next().unwrap();
    town.stop(ANNA);
    town.put_back(Copy::new());
    let bert = town.key(BERT);
    town.registry.outbox.push((bert, GroupNews { group: id, steps: vec![] }.into()));
    town.wait(20_000);
    assert!(town.copy().is_empty());
}

#[test]
fn a_group_of_one_directory_is_not_brought_to_another() {
    let mut town = town();
    town.create(ANNA, "family", false);
    town.join(BERT, "family");
    town.stop(BERT);
    let elsewhere = common::identity::Identity::from_seed(&[201; 32]).public();
    town.people[BERT].seen_groups_at(elsewhere);
    let whole = town.copy();
    town.stop(ANNA);
    town.put_back(Copy::new());
    town.start(BERT);
    town.wait(20_000);
    assert!(town.copy().is_empty());
    assert_eq!(town.refused(BERT, Command::Leave(name("family"))).0, ErrorCode::NoSuchGroup);
    town.start(ANNA);
    town.wait(20_000);
    assert_eq!(town.copy(), whole);
}

#[test]
fn where_others_went_on_without_what_was_lost_it_is_said_and_not_tried_for_ever() {
    let mut town = town();
    town.create(ANNA, "family", false);
    let copy = town.copy();
    town.join(BERT, "family");
    town.stop(BERT);
    let (id, chain) = town.copy().pop_first().unwrap();
    let carla = town.key(CARLA);
    let fork = Membership::of(&chain[..1]).unwrap().next(carla, 0, Change::Join);
    let fork = SignedStep::sign(&town.people[CARLA].identity, &fork);
    let mut forked = copy;
    forked.get_mut(&id).unwrap().push(fork.clone());
    town.put_back(forked.clone());
    assert_eq!(town.copy(), forked, "what the directory has stays");
    assert_eq!(town.members(ANNA, "family"), ["anna*", "bert"], "and what a member holds");
    // The chain that the directory has is shorter, or longer, or as long.
    for shown in [1, 2] {
        let steps = forked[&id][..shown].to_vec();
        town.registry.groups.insert(id, steps);
        for _ in 0..3 {
            town.directory_goes();
            town.directory_comes();
        }
    }
    town.registry.groups.insert(id, vec![chain[0].clone(), fork]);
    town.wait(600_000);
    assert!(town.registry.restored.len() <= 12, "{:?}", town.registry.restored);
    let (code, _) = town.refused(ANNA, Command::Kick { name: name("bert"), group: name("family") });
    assert!(matches!(code, ErrorCode::NotAllowed | ErrorCode::RateLimited), "{code:?}");
}

#[test]
fn a_directory_that_shows_an_old_end_for_ever_is_given_the_rest_once_a_minute() {
    let mut town = town();
    town.create(ANNA, "family", false);
    town.join(BERT, "family");
    town.join(CARLA, "family");
    let (id, chain) = town.copy().pop_first().unwrap();
    let anna = town.key(ANNA);
    for _ in 0..600 {
        let news = GroupNews { group: id, steps: vec![chain[0].clone()] };
        town.registry.outbox.push((anna, news.into()));
        town.wait(1_000);
    }
    assert!((9..=12).contains(&town.registry.restored.len()), "{}", town.registry.restored.len());
    assert_eq!(town.members(ANNA, "family"), ["anna*", "bert", "carla"]);
}
