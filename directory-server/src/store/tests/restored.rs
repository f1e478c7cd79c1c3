//! A store that was put back to an older copy, and members who hand in what it has lost; and what all groups may take.

use common::group::{Change, GroupId, Membership, SignedStep, Step};
use common::wire::directory::{GroupLimit, WhichGroup};
use directory_core::event::{GroupOp, GroupResult, RestoreOp, StepOp};
use directory_core::limits::GroupLimits;

use super::*;

const ID: GroupId = [5; 16];

/// A chain as its members hold it.
struct Chain(Vec<SignedStep>);

impl Chain {
    fn found(id: GroupId, by: u8, name: &str, private: bool) -> Self {
        let change = Change::Found { name: name.parse().unwrap(), private };
        Self(vec![SignedStep::sign(&identity(by), &Step::founding(id, key(by), 0, change))])
    }

    fn then(mut self, by: u8, change: Change) -> Self {
        let step = Membership::of(&self.0).unwrap().next(key(by), 0, change);
        self.0.push(SignedStep::sign(&identity(by), &step));
        self
    }

    /// Founded by 1; 2 and 3 are in, 2 is out again.
    fn family(private: bool) -> Self {
        let founded = Self::found(ID, 1, "family", private).then(1, Change::Invite { who: key(2) });
        let all = founded.then(2, Change::Join).then(1, Change::Invite { who: key(3) }).then(3, Change::Join);
        all.then(1, Change::Remove { who: key(2) })
    }
}

type Restored = Result<(usize, Vec<PublicKey>, Option<Refusal>), Refusal>;

impl Bench {
    fn limited(&mut self, by: u8, steps: &[SignedStep], limits: GroupLimits) -> Restored {
        let steps = steps.iter().map(|signed| (signed.verify().unwrap(), signed.clone())).collect();
        let op = GroupOp::Restore(Box::new(RestoreOp { key: key(by), steps, limits, now_ms: 1_000 }));
        match self.ask(StoreOp::Group(op)) {
            StoreResult::Group(GroupResult::Restored { group, steps, members, refused }) => {
                assert!(steps.iter().all(|step| step.verify().unwrap().group == group));
                Ok((steps.len(), members, refused))
            }
            StoreResult::Refused(refusal) => Err(refusal),
            other => panic!("{other:?}"),
        }
    }

    fn restore(&mut self, by: u8, steps: &[SignedStep]) -> Restored {
        self.limited(by, steps, GroupLimits::default())
    }

    fn step_with(&mut self, signed: &SignedStep, limits: GroupLimits) -> Option<Refusal> {
        let (step, signed) = (signed.verify().unwrap(), signed.clone());
        match self.ask(StoreOp::Group(GroupOp::Step(Box::new(StepOp { step, signed, limits, now_ms: 1_000 })))) {
            StoreResult::Group(GroupResult::Stepped { .. }) => None,
            StoreResult::Refused(refusal) => Some(refusal),
            other => panic!("{other:?}"),
        }
    }

    fn chain(&mut self, of: u8, which: WhichGroup) -> Result<Vec<SignedStep>, Refusal> {
        let op = GroupOp::Steps { key: key(of), which, after: 0, limit: 1_000 };
        match self.ask(StoreOp::Group(op)) {
            StoreResult::Group(GroupResult::Steps { steps, more: false }) => Ok(steps),
            StoreResult::Refused(refusal) => Err(refusal),
            other => panic!("{other:?}"),
        }
    }

    fn by_name(&mut self, of: u8, name: &str) -> Result<GroupId, Refusal> {
        let chain = self.chain(of, WhichGroup::Name(name.parse().unwrap()))?;
        Ok(chain[0].verify().unwrap().group)
    }

    fn count(&self, sql: &str) -> i64 {
        self.store.db.query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

fn over(which: GroupLimit, limit: u64) -> Refusal {
    Refusal::OverGroupLimit { which, limit }
}

#[test]
fn what_is_missing_is_taken_from_anybody_once_and_kept_as_if_its_makers_had_brought_it() {
    for (private, from) in [(false, 1), (true, 3), (false, 0)] {
        let (mut bench, Chain(steps)) = (Bench::with_people(), Chain::family(private));
        if from > 0 {
            // The copy was made when the chain was so long.
            assert_eq!(bench.restore(1, &steps[..from]).unwrap().0, from);
        }
        let (kept, members, refused) = bench.restore(3, &steps[from..]).unwrap();
        assert_eq!((kept, refused), (6 - from, None));
        assert!([1, 3].iter().all(|who| members.contains(&key(*who))), "they are to hear of it");
        assert_eq!(bench.chain(1, WhichGroup::Id(ID)), Ok(steps.clone()));
        // Two members who are at it at once, and one who hands in all there is.
        assert_eq!(bench.restore(1, &steps[from..]).unwrap().0, 0);
        assert_eq!(bench.restore(1, &steps).unwrap().0, 0);
        let next = Membership::of(&steps).unwrap().next(key(2), 0, Change::Join);
        let next = SignedStep::sign(&identity(2), &next);
        assert_eq!(bench.step_with(&next, GroupLimits::default()), Some(Refusal::NotAllowed), "they were taken out");
        assert_eq!(bench.count("SELECT bytes - (SELECT sum(length(step)) FROM group_steps) FROM group_totals"), 0);
    }
}

#[test]
fn makers_who_are_not_known_here_any_more_count_all_the_same() {
    let (mut bench, Chain(steps)) = (Bench::new(), Chain::family(true));
    assert_eq!(bench.restore(1, &steps), Err(Refusal::NotRegistered));
    bench.register(3, "Carol");
    assert_eq!(bench.restore(3, &steps), Ok((6, vec![key(1), key(3)], None)));
    bench.register(1, "Alice");
    assert_eq!(bench.chain(1, WhichGroup::Id(ID)), Ok(steps.clone()));
    let more = Chain(steps).then(1, Change::Remove { who: key(3) });
    assert_eq!(bench.step_with(more.0.last().unwrap(), GroupLimits::default()), None, "the owner is the owner");
}

#[test]
fn what_does_not_follow_is_refused_and_what_came_before_it_is_kept() {
    let (mut bench, Chain(steps)) = (Bench::with_people(), Chain::family(false));
    assert_eq!(bench.restore(1, &steps[1..]), Err(Refusal::NoSuchGroup), "its beginning is missing");
    bench.restore(1, &steps[..3]).unwrap();
    assert_eq!(bench.restore(1, &steps[4..]), Err(Refusal::GroupChanged), "a step is missing");
    // Somebody who did not know of what the store had lost has made another step in its place.
    let fork = Chain(steps[..3].to_vec()).then(2, Change::Leave);
    assert_eq!(bench.step_with(&fork.0[3], GroupLimits::default()), None);
    assert_eq!(bench.restore(3, &steps[3..]), Err(Refusal::GroupChanged));
    assert_eq!(bench.restore(3, &steps), Err(Refusal::GroupChanged));
    assert_eq!(bench.chain(1, WhichGroup::Id(ID)), Ok(fork.0.clone()), "what is there stays");
    // A step that nobody may make, after one that somebody may.
    let step = Membership::of(&fork.0).unwrap().next(key(3), 0, Change::Join);
    let join = SignedStep::sign(&identity(3), &step);
    let stray = Step { version: 6, previous: join.hash(), by: key(9), change: Change::Leave, ..step };
    let stray = SignedStep::sign(&identity(9), &stray);
    let accounts = bench.count("SELECT count(*) FROM accounts");
    let (kept, _, refused) = bench.restore(3, &[join, stray.clone()]).unwrap();
    assert_eq!((kept, refused), (1, Some(Refusal::NotAMember)));
    assert_eq!(bench.restore(3, &[stray]), Err(Refusal::NotAMember));
    assert_eq!(bench.count("SELECT count(*) FROM accounts"), accounts, "nothing is left of who may not");
}

#[test]
fn a_group_whose_name_was_given_away_comes_back_without_it_for_those_who_know_it() {
    let (mut bench, Chain(steps)) = (Bench::with_people(), Chain::family(false));
    let other = Chain::found([6; 16], 2, "Family", false);
    assert_eq!(bench.step_with(&other.0[0], GroupLimits::default()), None);
    assert_eq!(bench.restore(3, &steps).unwrap().0, 6);
    assert_eq!(bench.by_name(3, "family"), Ok([6; 16]));
    assert_eq!(bench.chain(3, WhichGroup::Id(ID)), Ok(steps.clone()));
    let list = GroupOp::List { key: key(3), after: None, limit: 10 };
    let StoreResult::Group(GroupResult::Groups { groups, .. }) = bench.ask(StoreOp::Group(list)) else { panic!() };
    assert_eq!(groups.iter().map(|listed| listed.group).collect::<Vec<_>>(), [[6; 16]]);
    let end = other.then(2, Change::Leave);
    assert_eq!(bench.step_with(&end.0[1], GroupLimits::default()), None);
    assert_eq!(bench.by_name(3, "family"), Err(Refusal::NoSuchGroup));
}

#[test]
fn a_group_that_is_over_is_not_brought_back_by_who_missed_its_end() {
    let mut bench = Bench::with_people();
    let chain = Chain::found(ID, 1, "family", true).then(1, Change::Invite { who: key(2) }).then(2, Change::Join);
    let before = chain.0.clone();
    let end = chain.then(1, Change::Remove { who: key(2) }).then(1, Change::Leave);
    bench.restore(1, &end.0).unwrap();
    assert_eq!(bench.restore(2, &before), Ok((0, vec![], None)), "all of it is known");
    let fork = Chain(before).then(2, Change::Leave);
    assert_eq!(bench.restore(2, &fork.0), Err(Refusal::GroupChanged));
    assert_eq!(bench.chain(2, WhichGroup::Id(ID)).unwrap().len(), 4, "up to where it ended for them");
    // A store that has lost the end is told of it by whoever made it.
    let mut lost = Bench::with_people();
    lost.restore(2, &end.0[..3]).unwrap();
    let (kept, members, refused) = lost.restore(1, &end.0[3..]).unwrap();
    assert_eq!((kept, members.len(), refused), (2, 2, None), "both were members before");
    assert_eq!(lost.by_name(1, "family"), Err(Refusal::NoSuchGroup));
}

#[test]
fn each_limit_of_all_groups_is_named_when_it_is_reached_and_nothing_is_kept() {
    let group = |n: u8, by: u8| Chain::found([n; 16], by, &format!("group{n}"), false);
    let step_bytes = common::wire::codec::encode(&group(1, 1).0[0]).len() as u64;
    for (limits, refusal) in [
        (GroupLimits { founded: 2, ..GroupLimits::default() }, over(GroupLimit::Founded, 2)),
        (GroupLimits { all: 2, ..GroupLimits::default() }, over(GroupLimit::Groups, 2)),
        (GroupLimits { bytes_all: 2 * step_bytes, ..GroupLimits::default() }, over(GroupLimit::Bytes, 2 * step_bytes)),
    ] {
        let mut bench = Bench::with_people();
        let tried = [1, 2, 3].map(|n| bench.step_with(&group(n, 1).0[0], limits));
        assert_eq!(tried, [None, None, Some(refusal.clone())]);
        assert_eq!(bench.limited(1, &group(4, 2).0, limits), Err(refusal), "nor is one brought back");
        assert_eq!(bench.count("SELECT groups FROM group_totals"), 2);
        assert_eq!(bench.count("SELECT count(*) FROM group_people"), 2);
    }
}

#[test]
fn a_full_store_loses_members_still_and_who_has_founded_much_stays_bound_when_others_own_it() {
    let mut bench = Bench::with_people();
    let limits = GroupLimits { founded: 1, ..GroupLimits::default() };
    let handed_over = Chain::found([1; 16], 1, "one", false).then(2, Change::Join).then(1, Change::Leave);
    for step in &handed_over.0 {
        assert_eq!(bench.step_with(step, limits), None);
    }
    let second = Chain::found([2; 16], 1, "two", false);
    assert_eq!(bench.step_with(&second.0[0], limits), Some(over(GroupLimit::Founded, 1)));
    assert_eq!(bench.limited(1, &second.0, limits), Err(over(GroupLimit::Founded, 1)));
    let full = GroupLimits { bytes_all: 1, ..limits };
    let join = Chain(handed_over.0.clone()).then(3, Change::Join);
    assert_eq!(bench.step_with(&join.0[3], full), Some(over(GroupLimit::Bytes, 1)));
    assert_eq!(bench.limited(3, &join.0[3..], full), Err(over(GroupLimit::Bytes, 1)));
    let end = handed_over.then(2, Change::Leave);
    assert_eq!(bench.step_with(&end.0[3], full), None);
    assert_eq!(bench.step_with(&second.0[0], limits), None, "what is over counts for nobody");
}

#[test]
fn groups_that_are_over_give_way_the_first_one_first() {
    let mut bench = Bench::with_people();
    let ended = |n: u8| Chain::found([n; 16], 1, &format!("group{n}"), false).then(1, Change::Leave);
    let limits = GroupLimits { all: 3, ..GroupLimits::default() };
    for n in 1..=3 {
        ended(n).0.iter().for_each(|step| assert_eq!(bench.step_with(step, limits), None));
        bench.store.db.execute("UPDATE groups SET ended_ms = number", []).unwrap();
    }
    assert_eq!(bench.step_with(&Chain::found([4; 16], 1, "four", false).0[0], limits), None);
    let left: Vec<Option<usize>> =
        (1..=4).map(|n| bench.chain(1, WhichGroup::Id([n; 16])).ok().map(|chain| chain.len())).collect();
    assert_eq!(left, [None, Some(2), Some(2), Some(1)]);
    assert_eq!(bench.count("SELECT groups FROM group_totals"), 3);
}

#[test]
fn an_operator_sees_what_lives_and_frees_a_name_whose_members_keep_their_group() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let mut bench = Bench { store: Store::open(&path).unwrap(), ..Bench::with_people() };
    [(1, "Alice"), (2, "Bob"), (3, "Carol")].iter().for_each(|(who, name)| drop(bench.register(*who, name)));
    let over = Chain::found([7; 16], 2, "over", false).then(2, Change::Leave);
    let (family, club) = (Chain::family(true), Chain::found([6; 16], 2, "Club", false));
    for chain in [&over, &family, &club] {
        bench.restore(2, &chain.0).unwrap();
    }
    let people = people::People::open(&path).unwrap();
    let seen = |after, limit| -> Vec<(String, bool, bool, u64, u64)> {
        let groups = people.groups(after, limit).unwrap();
        let seen = groups.into_iter().map(|of| (of.name.to_string(), of.named, of.private, of.members, of.steps));
        seen.collect()
    };
    let (family_line, club_line) = (("family".to_owned(), true, true, 2, 6), ("Club".to_owned(), true, false, 1, 1));
    assert_eq!(seen(None, 10), [family_line.clone(), club_line.clone()]);
    let first = people.groups(None, 1).unwrap();
    assert_eq!((first.len(), first[0].id, seen(Some(first[0].number), 10)), (1, ID, vec![club_line]));
    assert_eq!(
        i64::try_from(first[0].bytes).unwrap(),
        family.0.iter().map(|step| common::wire::codec::encode(step).len() as i64).sum::<i64>()
    );
    assert!(people.release_group(&"FAMILY".parse().unwrap()).unwrap());
    assert!(
        !people.release_group(&"family".parse().unwrap()).unwrap()
            && !people.release_group(&"over".parse().unwrap()).unwrap()
    );
    assert!(!seen(None, 1)[0].1, "it has no name any more");
    assert_eq!(bench.by_name(1, "family"), Err(Refusal::NoSuchGroup));
    assert_eq!(bench.chain(1, WhichGroup::Id(ID)), Ok(family.0));
    let other = Chain::found([8; 16], 3, "family", false);
    assert_eq!(bench.step_with(&other.0[0], GroupLimits::default()), None);
}
