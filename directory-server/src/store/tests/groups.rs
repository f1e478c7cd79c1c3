//! Groups in the store: what it takes and refuses is what a member who checks the chain would, and a little less.

use common::group::{Change, Membership, SignedStep, Step, StepError};
use common::limits::GROUP_STEPS_MAX;
use common::wire::directory::{ListedGroup, WhichGroup};
use directory_core::event::{GroupOp, GroupResult, StepOp};
use directory_core::limits::GroupLimits;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const ID: [u8; 16] = [5; 16];

fn op(step: Step, by: u8) -> StoreOp {
    let signed = SignedStep::sign(&identity(by), &step);
    StoreOp::Group(GroupOp::Step(Box::new(StepOp { step, signed, limits: GroupLimits::default(), now_ms: 1_000 })))
}

fn founding(id: [u8; 16], by: u8, name: &str, private: bool) -> Step {
    Step::founding(id, key(by), 0, Change::Found { name: name.parse().unwrap(), private })
}

/// A group and what its chain adds up to for somebody who checks it.
struct Group {
    chain: Membership,
}

impl Bench {
    fn group(&mut self, op: GroupOp) -> Result<GroupResult, Refusal> {
        match self.ask(StoreOp::Group(op)) {
            StoreResult::Group(result) => Ok(result),
            StoreResult::Refused(refusal) => Err(refusal),
            other => panic!("{other:?}"),
        }
    }

    fn step(&mut self, step: Step, by: u8) -> Result<Vec<PublicKey>, Refusal> {
        match self.ask(op(step, by)) {
            StoreResult::Group(GroupResult::Stepped { members, .. }) => Ok(members),
            StoreResult::Refused(refusal) => Err(refusal),
            other => panic!("{other:?}"),
        }
    }

    fn found(&mut self, id: [u8; 16], by: u8, name: &str, private: bool) -> Group {
        let step = founding(id, by, name, private);
        assert_eq!(self.step(step.clone(), by), Ok(vec![key(by)]));
        Group { chain: Membership::found(&SignedStep::sign(&identity(by), &step)).unwrap() }
    }

    fn change(&mut self, group: &mut Group, by: u8, change: Change) -> Result<Vec<PublicKey>, Refusal> {
        let step = group.chain.next(key(by), 0, change);
        let told = self.step(step.clone(), by)?;
        group.chain.apply(&SignedStep::sign(&identity(by), &step)).unwrap();
        Ok(told)
    }

    fn steps(&mut self, of: u8, which: WhichGroup, after: u64) -> Result<(Vec<SignedStep>, bool), Refusal> {
        let GroupResult::Steps { steps, more } = self.group(GroupOp::Steps { key: key(of), which, after, limit: 3 })?
        else {
            panic!("no steps")
        };
        Ok((steps, more))
    }

    fn news(&mut self, of: u8, groups: &[([u8; 16], u64)], limit: usize) -> Vec<([u8; 16], Vec<u64>)> {
        let op = GroupOp::News { key: key(of), groups: groups.to_vec(), limit };
        let Ok(GroupResult::News(news)) = self.group(op) else { panic!("no news") };
        let version = |step: &SignedStep| step.verify().unwrap().version;
        news.into_iter().map(|(group, steps)| (group, steps.iter().map(version).collect())).collect()
    }

    fn list(&mut self, of: u8, after: Option<&str>, limit: usize) -> (Vec<ListedGroup>, bool) {
        let after = after.map(|after| after.parse().unwrap());
        let Ok(GroupResult::Groups { groups, more }) = self.group(GroupOp::List { key: key(of), after, limit }) else {
            panic!("no page")
        };
        (groups, more)
    }

    /// As they are kept: groups, bytes of their chains.
    fn totals(&self) -> (i64, i64) {
        let sql = "SELECT groups, bytes FROM group_totals";
        self.store.db.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    }

    fn bytes(&self) -> i64 {
        let sql = "SELECT ifnull(sum(length(step)), 0) FROM group_steps";
        self.store.db.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    fn people_of_groups(&self) -> i64 {
        self.store.db.query_row("SELECT count(*) FROM group_people", [], |row| row.get(0)).unwrap()
    }
}

fn by_name(name: &str) -> WhichGroup {
    WhichGroup::Name(name.parse().unwrap())
}

#[test]
fn each_wrong_step_has_its_own_refusal_and_changes_nothing() {
    let mut bench = Bench::with_people();
    let mut family = bench.found(ID, 1, "Family", false);
    assert_eq!(bench.step(founding([6; 16], 2, "FAMILY", false), 2), Err(Refusal::GroupExists));
    assert_eq!(bench.step(founding(ID, 1, "other", false), 1), Err(Refusal::GroupChanged));
    assert_eq!(bench.step(founding([7; 16], 8, "nameless", false), 8), Err(Refusal::NotRegistered));
    let lost = Step { group: [9; 16], ..family.chain.next(key(2), 0, Change::Join) };
    assert_eq!(bench.step(lost, 2), Err(Refusal::NoSuchGroup));
    assert_eq!(bench.change(&mut family, 2, Change::Leave), Err(Refusal::NotAMember));
    assert_eq!(bench.change(&mut family, 1, Change::Join), Err(Refusal::AlreadyAMember));
    let stale = family.chain.next(key(3), 0, Change::Join);
    assert_eq!(bench.change(&mut family, 2, Change::Join), Ok(vec![key(1), key(2)]));
    assert_eq!(bench.step(stale, 3), Err(Refusal::GroupChanged));
    assert_eq!(bench.change(&mut family, 2, Change::Remove { who: key(1) }), Err(Refusal::NotAllowed));
    assert_eq!(bench.change(&mut family, 1, Change::Remove { who: key(3) }), Err(Refusal::NotAMember));
    assert_eq!(bench.change(&mut family, 1, Change::Remove { who: key(9) }), Err(Refusal::NotAMember));
    assert_eq!(bench.change(&mut family, 1, Change::Invite { who: key(2) }), Err(Refusal::AlreadyAMember));
    assert_eq!(bench.change(&mut family, 1, Change::Invite { who: key(9) }), Err(Refusal::NoSuchUser));
    assert_eq!(bench.change(&mut family, 1, Change::Remove { who: key(2) }), Ok(vec![key(1), key(2)]));
    assert_eq!(bench.change(&mut family, 2, Change::Join), Err(Refusal::NotAllowed), "they were taken out");
    bench.change(&mut family, 1, Change::Invite { who: key(2) }).unwrap();
    bench.change(&mut family, 2, Change::Join).unwrap();
    let (steps, more) = bench.steps(3, by_name("family"), 0).unwrap();
    let (rest, end) = bench.steps(3, WhichGroup::Id(ID), 3).unwrap();
    assert_eq!((steps.len(), more, rest.len(), end), (3, true, 2, false));
    let chain: Vec<_> = steps.into_iter().chain(rest).collect();
    assert_eq!(Membership::of(&chain), Ok(family.chain));
}

#[test]
fn of_two_who_step_at_once_one_comes_first_and_the_other_is_told() {
    let mut bench = Bench::with_people();
    let family = bench.found(ID, 1, "family", false);
    let (two, three) = (family.chain.next(key(2), 0, Change::Join), family.chain.next(key(3), 0, Change::Join));
    let applied = bench.store.apply(vec![(Ticket(1), op(two, 2)), (Ticket(2), op(three, 3))]).unwrap();
    assert!(matches!(applied.results[0].1, StoreResult::Group(GroupResult::Stepped { .. })));
    assert_eq!(applied.results[1].1, StoreResult::Refused(Refusal::GroupChanged));
}

#[test]
fn the_owner_leaving_hands_over_and_the_last_one_ends_it_and_frees_the_name() {
    let mut bench = Bench::with_people();
    let mut family = bench.found(ID, 1, "family", false);
    bench.change(&mut family, 3, Change::Join).unwrap();
    bench.change(&mut family, 2, Change::Join).unwrap();
    bench.change(&mut family, 1, Change::Leave).unwrap();
    assert_eq!(bench.change(&mut family, 2, Change::Remove { who: key(3) }), Err(Refusal::NotAllowed));
    bench.change(&mut family, 3, Change::Remove { who: key(2) }).unwrap();
    assert_eq!(bench.change(&mut family, 3, Change::Leave), Ok(vec![key(3)]));
    assert_eq!(bench.steps(1, by_name("family"), 0), Err(Refusal::NoSuchGroup));
    assert_eq!(bench.list(1, None, 10).0, []);
    bench.found([6; 16], 2, "Family", false);
    assert_eq!(bench.list(1, None, 10).0.len(), 1);
}

#[test]
fn what_is_over_is_there_for_those_who_missed_its_end_and_for_nobody_else_until_it_expires() {
    let mut bench = Bench::with_people();
    let mut family = bench.found(ID, 1, "family", false);
    bench.change(&mut family, 2, Change::Join).unwrap();
    bench.change(&mut family, 1, Change::Remove { who: key(2) }).unwrap();
    bench.change(&mut family, 1, Change::Leave).unwrap();
    assert_eq!(bench.news(2, &[(ID, 2)], 10), [(ID, vec![3, 4])]);
    assert_eq!(bench.steps(2, WhichGroup::Id(ID), 2).unwrap().0.len(), 2);
    assert_eq!(bench.steps(3, WhichGroup::Id(ID), 0), Err(Refusal::NoSuchGroup));
    assert_eq!(bench.news(3, &[(ID, 2)], 10), [(ID, vec![])]);
    let next = family.chain.next(key(2), 0, Change::Join);
    assert_eq!(bench.step(next, 2), Err(Refusal::NoSuchGroup));
    assert_eq!(bench.totals(), (1, bench.bytes()));
    for (before_ms, people) in [(1_000, 2), (1_001, 0)] {
        bench.ask(StoreOp::Expire(ExpireOp { tombstones_before_ms: before_ms, limit: 100, ..expire(0, 0) }));
        assert_eq!(bench.people_of_groups(), people);
    }
    assert_eq!((bench.totals(), bench.bytes()), ((0, 0), 0));
    assert_eq!(bench.news(2, &[(ID, 2)], 10), [(ID, vec![])]);
}

#[test]
fn a_private_group_is_there_for_its_members_and_those_invited() {
    let mut bench = Bench::with_people();
    let mut club = bench.found(ID, 1, "club", true);
    assert_eq!(bench.steps(2, by_name("club"), 0), Err(Refusal::NoSuchGroup));
    assert_eq!((bench.list(2, None, 10).0.len(), bench.news(2, &[(ID, 0)], 10).len()), (0, 0));
    assert_eq!(bench.change(&mut club, 2, Change::Join), Err(Refusal::NotAllowed));
    bench.change(&mut club, 1, Change::Invite { who: key(2) }).unwrap();
    assert_eq!(bench.steps(2, by_name("CLUB"), 0).unwrap().0.len(), 2);
    let line = |members, member, invited| ListedGroup {
        name: "club".parse().unwrap(),
        group: ID,
        private: true,
        members,
        member,
        invited,
    };
    assert_eq!(bench.list(2, None, 10), (vec![line(1, false, true)], false));
    bench.change(&mut club, 2, Change::Join).unwrap();
    assert_eq!(bench.list(2, None, 10), (vec![line(2, true, false)], false));
    bench.change(&mut club, 1, Change::Remove { who: key(2) }).unwrap();
    bench.change(&mut club, 1, Change::Invite { who: key(3) }).unwrap();
    assert_eq!(bench.steps(2, by_name("club"), 0), Err(Refusal::NoSuchGroup));
    let (ending, more) = bench.steps(2, WhichGroup::Id(ID), 1).unwrap();
    assert_eq!((ending.last().unwrap().verify().unwrap().version, more), (4, false), "up to their own end");
    assert_eq!(bench.news(2, &[(ID, 2)], 10), [(ID, vec![3, 4])], "and no further");
    assert_eq!(bench.news(2, &[(ID, 4)], 10), []);
}

#[test]
fn who_left_is_told_up_to_then_and_who_came_back_is_taken_out_no_more() {
    let mut bench = Bench::with_people();
    let mut club = bench.found(ID, 1, "club", true);
    bench.change(&mut club, 1, Change::Invite { who: key(2) }).unwrap();
    bench.change(&mut club, 2, Change::Join).unwrap();
    bench.change(&mut club, 2, Change::Leave).unwrap();
    bench.change(&mut club, 1, Change::Invite { who: key(3) }).unwrap();
    assert_eq!(bench.news(2, &[(ID, 3)], 10), [(ID, vec![4])], "their own end and no further");
    let mut open = bench.found([6; 16], 1, "open", false);
    bench.change(&mut open, 2, Change::Join).unwrap();
    bench.change(&mut open, 1, Change::Remove { who: key(2) }).unwrap();
    bench.change(&mut open, 1, Change::Invite { who: key(2) }).unwrap();
    bench.change(&mut open, 2, Change::Join).unwrap();
    bench.change(&mut open, 2, Change::Leave).unwrap();
    assert!(bench.change(&mut open, 2, Change::Join).is_ok(), "nobody took them out this time");
}

#[test]
fn news_of_many_groups_fit_and_tell_of_each() {
    let mut bench = Bench::with_people();
    for n in 0..3 {
        let mut group = bench.found([n; 16], 1, &format!("group{n}"), false);
        bench.change(&mut group, 2, Change::Join).unwrap();
        bench.change(&mut group, 3, Change::Join).unwrap();
    }
    let known = [([0; 16], 1), ([1; 16], 0), ([2; 16], 0), ([9; 16], 0)];
    let news = bench.news(2, &known, 2);
    assert_eq!(news, [([0; 16], vec![2, 3]), ([1; 16], vec![2, 3]), ([2; 16], vec![3])]);
    // One is as long as it is known, one shorter, one gone; the last is not named, and has them as a member.
    let known = [([0; 16], 3), ([1; 16], 99), ([9; 16], 1)];
    assert_eq!(bench.news(2, &known, 2), [([1; 16], vec![3]), ([9; 16], vec![]), ([2; 16], vec![3])]);
    assert_eq!(bench.steps(2, WhichGroup::Id([1; 16]), 99).unwrap().0.len(), 1, "the newest");
    assert_eq!(bench.steps(2, WhichGroup::Id([1; 16]), 3).unwrap(), (vec![], false));
}

#[test]
fn groups_are_listed_in_pages_of_what_one_may_see() {
    let mut bench = Bench::with_people();
    for (n, name) in ["delta", "Alpha", "charlie", "bravo", "echo"].into_iter().enumerate() {
        let private = name == "charlie";
        bench.found([u8::try_from(n).unwrap(); 16], 1, name, private);
    }
    let names = |page: (Vec<ListedGroup>, bool)| {
        (page.0.iter().map(|listed| listed.name.as_str().to_owned()).collect::<Vec<_>>(), page.1)
    };
    assert_eq!(names(bench.list(2, None, 2)), (vec!["Alpha".to_owned(), "bravo".to_owned()], true));
    assert_eq!(names(bench.list(2, Some("BRAVO"), 2)), (vec!["delta".to_owned(), "echo".to_owned()], false));
    assert_eq!(bench.list(1, None, 10).0.len(), 5);
    assert!(bench.list(1, None, 10).0.iter().all(|listed| listed.member && listed.members == 1));
    assert_eq!(bench.list(88, None, 10).0.len(), 4, "a key that is not known here");
}

#[test]
fn private_groups_of_others_hide_nothing_from_a_list() {
    let mut bench = Bench::with_people();
    for n in 0..40 {
        bench.found([n; 16], 1, &format!("aa{n:02}"), true);
    }
    bench.found([40; 16], 1, "public", false);
    let mut mine = bench.found([41; 16], 3, "mine", true);
    bench.change(&mut mine, 3, Change::Invite { who: key(2) }).unwrap();
    let (page, more) = bench.list(2, None, 1);
    assert_eq!((page[0].name.as_str(), page[0].member, page[0].invited, more), ("mine", false, true, true));
    let (page, more) = bench.list(2, Some("mine"), 1);
    assert_eq!((page[0].name.as_str(), page.len(), more), ("public", 1, false));
    let plan = format!("EXPLAIN QUERY PLAN {}", crate::store::groups::LIST);
    let mut plan = bench.store.db.prepare(&plan).unwrap();
    let steps = plan.query_map([(); 3].map(|()| 1), |row| row.get::<_, String>(3)).unwrap();
    let scans: Vec<String> =
        steps.map(Result::unwrap).filter(|step| step.starts_with("SCAN g") || step.starts_with("SCAN p")).collect();
    assert!(scans.is_empty(), "{scans:?}");
}

#[test]
fn somebody_founds_and_joins_so_many_groups() {
    let mut bench = Bench::with_people();
    let limits = GroupLimits { owned: 2, joined: 3, ..GroupLimits::default() };
    let mut ask = |step: Step, by: u8| {
        let signed = SignedStep::sign(&identity(by), &step);
        bench.group(GroupOp::Step(Box::new(StepOp { step, signed, limits, now_ms: 0 }))).err()
    };
    let group = |n: u8, by| founding([n; 16], by, &format!("group{n}"), false);
    assert_eq!([1, 2, 3].map(|n| ask(group(n, 1), 1)), [None, None, Some(Refusal::GroupFull)]);
    assert_eq!([4, 5].map(|n| ask(group(n, 2), 2)), [None, None]);
    let joining = |n| {
        let founded = Membership::found(&SignedStep::sign(&identity(2), &group(n, 2))).unwrap();
        founded.next(key(1), 0, Change::Join)
    };
    assert_eq!([4, 5].map(|n| ask(joining(n), 1)), [None, Some(Refusal::GroupFull)]);
}

#[test]
fn who_gives_up_their_name_stays_a_member_and_may_leave() {
    let mut bench = Bench::with_people();
    let mut family = bench.found(ID, 1, "family", false);
    bench.change(&mut family, 2, Change::Join).unwrap();
    bench.ask(StoreOp::Deregister { key: key(2) });
    assert_eq!(bench.list(2, None, 10).0[0].members, 2);
    assert_eq!(bench.change(&mut family, 2, Change::Invite { who: key(3) }), Err(Refusal::NotRegistered));
    bench.change(&mut family, 2, Change::Leave).unwrap();
    assert_eq!(bench.list(2, None, 10).0[0].members, 1);
}

#[test]
fn nobody_who_was_ever_of_a_group_is_forgotten_while_it_lives() {
    let mut bench = Bench::with_people();
    let mut family = bench.found(ID, 1, "family", false);
    bench.change(&mut family, 2, Change::Join).unwrap();
    bench.change(&mut family, 1, Change::Invite { who: key(3) }).unwrap();
    bench.change(&mut family, 1, Change::Remove { who: key(2) }).unwrap();
    (1..=3).for_each(|who| drop(bench.ask(StoreOp::Deregister { key: key(who) })));
    let late = ExpireOp { accounts_before_ms: i64::MAX, tombstones_before_ms: i64::MAX, limit: 100, ..expire(0, 0) };
    bench.ask(StoreOp::Expire(late));
    let accounts = |bench: &Bench| -> i64 {
        bench.store.db.query_row("SELECT count(*) FROM accounts", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(accounts(&bench), 3);
    bench.register(2, "Bob");
    assert_eq!(bench.change(&mut family, 2, Change::Join), Err(Refusal::NotAllowed), "still taken out");
    bench.ask(StoreOp::Deregister { key: key(2) });
    bench.change(&mut family, 1, Change::Leave).unwrap();
    bench.ask(StoreOp::Expire(late));
    assert_eq!(accounts(&bench), 0);
}

#[test]
fn a_step_costs_the_same_in_a_long_chain_and_a_full_one_only_loses_members() {
    let mut bench = Bench::with_people();
    let mut family = bench.found(ID, 1, "family", false);
    while family.chain.version() < GROUP_STEPS_MAX {
        let change = if family.chain.version() % 2 == 1 { Change::Join } else { Change::Leave };
        bench.change(&mut family, 2, change).unwrap();
    }
    assert!(family.chain.is_member(&key(2)));
    assert_eq!(bench.change(&mut family, 3, Change::Join), Err(Refusal::GroupFull));
    assert_eq!(bench.change(&mut family, 1, Change::Invite { who: key(3) }), Err(Refusal::GroupFull));
    bench.change(&mut family, 1, Change::Remove { who: key(2) }).unwrap();
    assert_eq!(bench.change(&mut family, 2, Change::Join), Err(Refusal::GroupFull));
    bench.change(&mut family, 1, Change::Leave).unwrap();
    assert_eq!(bench.list(1, None, 10).0, []);
}

fn counts(store: &Store) -> bool {
    let sql = "SELECT 1 FROM groups g WHERE (members, invited, owner) IS NOT
        ((SELECT count(*) FROM group_people p WHERE p.number = g.number AND joined IS NOT NULL),
        (SELECT count(*) FROM group_people p WHERE p.number = g.number AND p.invited),
        (SELECT account FROM group_people p WHERE p.number = g.number AND joined IS NOT NULL ORDER BY joined LIMIT 1))
        AND ended_ms IS NULL
        OR version IS NOT (SELECT max(version) FROM group_steps s WHERE s.number = g.number)
        OR version IS NOT (SELECT count(*) FROM group_steps s WHERE s.number = g.number)
        OR (SELECT groups FROM group_totals) IS NOT (SELECT count(*) FROM groups)
        OR (SELECT bytes FROM group_totals) IS NOT (SELECT sum(length(step)) FROM group_steps)";
    !store.db.prepare(sql).unwrap().exists([]).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is tried: the store takes it if the chain does, and what it keeps adds up to the same.
    #[test]
    fn the_store_judges_as_a_member_does(
        private: bool, tries in vec((1..4_u8, 0..4_u8, 1..4_u8), 1..40)
    ) {
        let mut bench = Bench::with_people();
        let mut family = bench.found(ID, 1, "family", private);
        for (by, sort, who) in tries {
            let who = key(who);
            let change = match sort {
                0 => Change::Join,
                1 => Change::Leave,
                2 => Change::Invite { who },
                _ => Change::Remove { who },
            };
            let expected = family.chain.may(&key(by), &change);
            let done = bench.change(&mut family, by, change);
            prop_assert_eq!(done.is_ok(), expected.is_ok(), "{:?} but {:?}", done, expected);
            if let (Err(refusal), Err(error)) = (&done, expected) {
                prop_assert_eq!(*refusal == Refusal::GroupChanged, error == StepError::Stale);
            }
            prop_assert!(counts(&bench.store));
            if family.chain.members().is_empty() {
                break;
            }
        }
    }
}
