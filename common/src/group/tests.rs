//! Who belongs to a group, and what a chain refuses.

use super::*;

struct Chain {
    steps: Vec<SignedStep>,
    group: Membership,
}

fn person(n: u8) -> Identity {
    Identity::from_seed(&[n; 32])
}

impl Chain {
    fn new(private: bool) -> Self {
        let change = Change::Found { name: "family".parse().unwrap(), private };
        let first = SignedStep::sign(&person(1), &Step::founding([7; 16], person(1).public(), 0, change));
        Self { group: Membership::found(&first).unwrap(), steps: vec![first] }
    }

    fn step(&mut self, by: u8, change: Change) -> Result<(), StepError> {
        let step = SignedStep::sign(&person(by), &self.group.next(person(by).public(), 0, change));
        self.group.apply(&step)?;
        self.steps.push(step);
        Ok(())
    }
}

fn key(n: u8) -> PublicKey {
    person(n).public()
}

#[test]
fn who_belongs_is_what_the_chain_adds_up_to() {
    let mut chain = Chain::new(false);
    chain.step(2, Change::Join).unwrap();
    chain.step(3, Change::Join).unwrap();
    assert_eq!(chain.step(3, Change::Join), Err(StepError::AlreadyAMember));
    assert_eq!(chain.step(3, Change::Remove { who: key(2) }), Err(StepError::NotTheOwner));
    chain.step(1, Change::Leave).unwrap();
    assert_eq!(chain.group.owner(), Some(&key(2)), "the longest-standing member");
    chain.step(2, Change::Remove { who: key(3) }).unwrap();
    assert_eq!(chain.step(3, Change::Join), Err(StepError::NotInvited));
    assert!(chain.group.is_removed(&key(3)) && !chain.group.is_removed(&key(1)), "who left was not taken out");
    chain.step(2, Change::Invite { who: key(3) }).unwrap();
    chain.step(3, Change::Join).unwrap();
    assert!(!chain.group.is_removed(&key(3)));
    assert_eq!((chain.group.members(), chain.group.version()), (&[key(2), key(3)][..], 7));
    assert!(!chain.group.is_invited(&key(3)) && !chain.group.is_invited(&key(9)));
    assert_eq!(Membership::of(&chain.steps), Ok(chain.group.clone()));
    let was: Vec<bool> = (1..=8).map(|version| chain.group.was_member(&key(3), version)).collect();
    assert_eq!(was, [false, false, true, true, false, false, true, true]);
}

#[test]
fn a_private_group_takes_only_those_a_member_has_invited() {
    let mut chain = Chain::new(true);
    assert_eq!(chain.step(2, Change::Join), Err(StepError::NotInvited));
    assert_eq!(chain.step(3, Change::Invite { who: key(2) }), Err(StepError::NotAMember));
    chain.step(1, Change::Invite { who: key(2) }).unwrap();
    assert!(chain.group.is_invited(&key(2)));
    assert_eq!(chain.step(1, Change::Invite { who: key(2) }), Err(StepError::AlreadyAMember), "open is open");
    chain.step(2, Change::Join).unwrap();
    assert_eq!(chain.step(1, Change::Invite { who: key(2) }), Err(StepError::AlreadyAMember));
    assert_eq!(chain.step(1, Change::Remove { who: key(1) }), Err(StepError::NoSuchMember));
}

#[test]
fn nobody_adds_a_step_for_somebody_else_or_elsewhere() {
    let mut chain = Chain::new(false);
    let forged = {
        let step = chain.group.next(key(2), 0, Change::Join);
        SignedStep::new(step.bytes(), person(9).sign(Context::GroupStep, &step.bytes()))
    };
    assert_eq!(chain.group.apply(&forged), Err(StepError::Forged));
    let crossed = {
        let step = chain.group.next(key(2), 0, Change::Join);
        SignedStep::new(step.bytes(), person(2).sign(Context::Binding, &step.bytes()))
    };
    assert_eq!(chain.group.apply(&crossed), Err(StepError::Forged));
    let early = SignedStep::sign(&person(2), &chain.group.next(key(2), 0, Change::Join));
    chain.step(3, Change::Join).unwrap();
    assert_eq!(chain.group.apply(&early), Err(StepError::Stale), "it names another step before it");
    let other = SignedStep::sign(&person(2), &Step { group: [8; 16], ..chain.group.next(key(2), 0, Change::Join) });
    assert_eq!(chain.group.apply(&other), Err(StepError::Stale));
    let again = Change::Found { name: "family".parse().unwrap(), private: false };
    assert_eq!(chain.step(1, again), Err(StepError::Stale));
}

#[test]
fn a_group_without_members_is_over() {
    let mut chain = Chain::new(false);
    chain.step(1, Change::Leave).unwrap();
    assert_eq!(chain.group.owner(), None);
    assert_eq!(chain.step(2, Change::Join), Err(StepError::Stale));
}

#[test]
fn a_group_has_a_limit() {
    let mut chain = Chain::new(false);
    for n in 2..=u16::try_from(GROUP_MEMBERS_MAX).unwrap() + 1 {
        let mut seed = [0; 32];
        seed[..2].copy_from_slice(&n.to_be_bytes());
        let who = Identity::from_seed(&seed);
        let step = SignedStep::sign(&who, &chain.group.next(who.public(), 0, Change::Join));
        let full = usize::from(n) > GROUP_MEMBERS_MAX;
        assert_eq!(chain.group.apply(&step).err(), full.then_some(StepError::Full));
    }
}

#[test]
fn a_chain_that_is_full_can_be_left_and_its_members_taken_out() {
    let member = Seat { member: true, ..Seat::default() };
    let owner = Seat { owner: true, ..member };
    let at = |version, by, who| Standpoint { version, private: false, members: 2, invited: 0, by, who };
    let (full, who) = (GROUP_STEPS_MAX, key(2));
    assert_eq!(at(full, owner, member).may(&Change::Remove { who }), Ok(()));
    assert_eq!(at(full, member, Seat::default()).may(&Change::Leave), Ok(()));
    assert_eq!(at(full, member, owner).may(&Change::Remove { who }), Err(StepError::NotTheOwner));
    let open = Seat { invited: true, ..Seat::default() };
    for (by, change) in [(open, Change::Join), (owner, Change::Invite { who })] {
        assert_eq!(at(full, by, Seat::default()).may(&change), Err(StepError::Full));
        assert_eq!(at(full - 1, by, Seat::default()).may(&change), Ok(()));
    }
}

#[test]
fn a_step_follows_one_step_only() {
    let mut chain = Chain::new(false);
    let at_two = chain.group.clone();
    chain.step(2, Change::Join).unwrap();
    let mut other = at_two;
    let join = SignedStep::sign(&person(3), &other.next(key(3), 0, Change::Join));
    other.apply(&join).unwrap();
    let next = other.next(key(1), 0, Change::Leave);
    let elsewhere = SignedStep::sign(&person(1), &next);
    assert_ne!(chain.steps[1].hash(), join.hash());
    assert_eq!(chain.group.apply(&elsewhere), Err(StepError::Stale), "the step before it is another one");
    let later = Step { version: next.version + 1, ..chain.group.next(key(1), 0, Change::Leave) };
    assert_eq!(
        chain.group.apply(&SignedStep::sign(&person(1), &later)),
        Err(StepError::Stale),
        "a version is left out"
    );
    assert_eq!(other.apply(&elsewhere).map(|step| step.version), Ok(3));
}

#[test]
fn a_group_begins_with_its_first_step() {
    let change = Change::Found { name: "family".parse().unwrap(), private: true };
    let first = Step::founding([7; 16], key(1), 0, change);
    let begin = |step: &Step| Membership::found(&SignedStep::sign(&person(1), step));
    let group = begin(&first).unwrap();
    assert_eq!((group.id(), group.name().as_str(), group.version()), ([7; 16], "family", 1));
    assert!(group.is_private() && !Chain::new(false).group.is_private());
    for step in [
        Step { previous: [1; 32], ..first.clone() },
        Step { version: 2, ..first.clone() },
        Step { change: Change::Join, ..first.clone() },
    ] {
        assert_eq!(begin(&step), Err(StepError::Stale), "{step:?}");
    }
    assert_eq!(Membership::of(&[]), Err(StepError::Stale));
    let forged = SignedStep::sign(&person(2), &first);
    assert_eq!(Membership::found(&forged), Err(StepError::Forged));
}

#[test]
fn as_many_are_invited_as_there_is_room_for_and_only_members_taken_out() {
    let owner = Seat { member: true, owner: true, ..Seat::default() };
    let at = |invited, who| Standpoint { version: 9, private: true, members: 2, invited, by: owner, who };
    let invite = Change::Invite { who: key(2) };
    assert_eq!(at(GROUP_MEMBERS_MAX - 1, Seat::default()).may(&invite), Ok(()));
    assert_eq!(at(GROUP_MEMBERS_MAX, Seat::default()).may(&invite), Err(StepError::Full));
    let remove = Change::Remove { who: key(2) };
    for who in [Seat::default(), Seat { invited: true, ..Seat::default() }, Seat { removed: true, ..Seat::default() }] {
        assert_eq!(at(0, who).may(&remove), Err(StepError::NoSuchMember));
    }
    let outsider = Standpoint { by: Seat { invited: true, ..Seat::default() }, ..at(0, Seat::default()) };
    for change in [invite, remove, Change::Leave] {
        assert_eq!(outsider.may(&change), Err(StepError::NotAMember));
    }
}
