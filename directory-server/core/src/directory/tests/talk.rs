//! How one stands, who is told, busy, broadcasts.

use common::limits::NOTE_MAX_BYTES;
use common::shout::{Shout, SignedShout};

use super::*;

/// What is told of people on their own, and what is gathered.
fn told(heard: &[FromDirectory]) -> Vec<(u8, Standing, Option<&str>)> {
    let number = |key: &PublicKey| (1..=250).find(|who| super::key(*who) == *key).unwrap();
    let mut told = vec![];
    for frame in heard {
        match frame {
            FromDirectory::Presence(of) => told.push((number(&of.key), of.standing, of.note.as_deref())),
            FromDirectory::Notices(of) => {
                told.extend(of.people.iter().map(|of| (number(&of.key), of.standing, of.note.as_deref())));
            }
            _ => {}
        }
    }
    told
}

fn items(heard: &[FromDirectory]) -> Vec<u64> {
    heard.iter().filter_map(|frame| if let FromDirectory::Item(item) = frame { Some(item.seq) } else { None }).collect()
}

fn numbers(heard: &[FromDirectory]) -> Vec<(u64, Taking)> {
    let number = |frame: &FromDirectory| match frame {
        FromDirectory::Item(item) => Some((item.item, Taking::Stored)),
        _ => None,
    };
    heard.iter().filter_map(number).collect()
}

fn stand(world: &mut World, session: SessionId, standing: Standing, note: Option<&str>) -> FromDirectory {
    world.send(session, SetStanding { request: 11, standing, note: note.map(str::to_owned) });
    let heard = world.hear(session);
    let answer = heard.iter().find(|frame| matches!(frame, FromDirectory::Done(_) | FromDirectory::Refused(_)));
    let answer = answer.cloned().unwrap();
    world.heard.insert(session, heard);
    answer
}

fn urgent(to: u8, seq: u64) -> Deposit {
    Deposit { urgent: true, ..deposit(to, seq) }
}

fn done() -> FromDirectory {
    Done { request: 11 }.into()
}

#[test]
fn a_change_of_standing_is_told_to_watchers_then_and_later_and_in_look_ups() {
    let mut world = World::new();
    let (alice, bob, carol) = (world.come(1, "alice"), world.come(2, "bob"), world.come(3, "carol"));
    world.send(bob, Watch { add: vec![key(1)], remove: vec![] });
    world.pass(5_000);
    world.hear(bob);
    assert_eq!(stand(&mut world, alice, Standing::Away, Some("at lunch")), done());
    let away_ms = world.now.wall_ms;
    let heard = world.hear(bob);
    assert_eq!(told(&heard), [(1, Standing::Away, Some("at lunch"))]);
    world.pass(60_000);
    assert_eq!(stand(&mut world, alice, Standing::Away, Some("asleep")), done());
    world.hear(carol);
    world.send(carol, Watch { add: vec![key(1)], remove: vec![] });
    world.send(carol, LookUp { request: 1, whom: Whom::Key(key(1)) });
    world.send(carol, Who { request: 2, after: None, text: Some("alice".to_owned()) });
    let heard = world.hear(carol);
    let [FromDirectory::Presence(presence), FromDirectory::Person(person), FromDirectory::People(page)] = &heard[..]
    else {
        panic!("{heard:?}")
    };
    assert_eq!((presence.standing, presence.note.as_deref()), (Standing::Away, Some("asleep")));
    assert_eq!((person.profile.standing, person.profile.since_ms), (Standing::Away, away_ms));
    assert_eq!((page.people[0].note.as_deref(), page.people[0].since_ms), (Some("asleep"), away_ms));
    assert_eq!(presence.since_ms, away_ms, "another note is the same standing");
}

#[test]
fn coming_online_carries_standing_and_note_and_a_later_word_wins() {
    let mut world = World::new();
    let alice = world.log_in_from(1, LOOPBACK);
    world.send(alice, Register { request: 1, name: "alice".parse().unwrap(), prekey: prekey(1, 1) });
    assert_eq!(stand(&mut world, alice, Standing::Away, None), refused(11, Refusal::Invalid), "not online");
    let bob = world.come(2, "bob");
    world.send(bob, Watch { add: vec![key(1)], remove: vec![] });
    world.hear(bob);
    world.stalled = true;
    let online = |standing, note| Online { request: 2, candidates: vec![], prekey: prekey(1, 1), standing, note };
    world.send(alice, online(Standing::Busy, Some("writing".to_owned())));
    world.send(alice, SetStanding { request: 11, standing: Standing::Away, note: None });
    world.stalled = false;
    world.settle();
    let heard = world.hear(bob);
    assert_eq!(told(&heard), [(1, Standing::Away, None)], "it came before the commit and after the request");
    world.send(alice, online(Standing::Busy, Some("writing".to_owned())));
    let heard = world.hear(bob);
    assert_eq!(told(&heard), [(1, Standing::Busy, Some("writing"))]);
    for (standing, note) in [
        (Standing::Offline, None),
        (Standing::Away, Some("x".repeat(NOTE_MAX_BYTES + 1))),
        (Standing::Away, Some("a\u{1b}[2J".to_owned())),
    ] {
        world.hear(alice);
        world.send(alice, online(standing, note.clone()));
        assert_eq!(world.hear(alice), [refused(2, Refusal::Invalid)]);
        assert_eq!(stand(&mut world, alice, standing, note.as_deref()), refused(11, Refusal::Invalid));
    }
    world.input(Input::SessionClosed { session: alice });
    let alice = world.back(1);
    world.online(alice, 1, &[]);
    world.hear(bob);
    world.pass(60_000);
    world.send(bob, LookUp { request: 1, whom: Whom::Key(key(1)) });
    let heard = world.hear(bob);
    let person = heard.iter().find_map(|frame| if let FromDirectory::Person(of) = frame { Some(of) } else { None });
    assert_eq!(person.unwrap().profile.standing, Standing::Online, "nothing of it is kept");
}

#[test]
fn who_is_busy_gets_what_is_urgent_and_the_rest_afterwards() {
    let mut world = World::new();
    let (alice, bob) = (world.come(1, "alice"), world.come(2, "bob"));
    stand(&mut world, bob, Standing::Busy, None);
    world.hear(bob);
    (1..=3).for_each(|seq| world.send(alice, deposit(2, seq)));
    world.send(alice, urgent(2, 4));
    world.send(alice, PutSlot { recipient: key(2), prekey: 1, sealed: vec![5; 50] });
    let heard = world.hear(bob);
    assert_eq!(items(&heard), [4]);
    assert!(heard.iter().any(|frame| matches!(frame, FromDirectory::Slot(_))), "acknowledgements flow");
    let answers = world.hear(alice);
    let kept = answers.iter().filter(|frame| matches!(frame, FromDirectory::Deposited(_))).count();
    assert_eq!(kept, 4, "kept as ever");
    world.send(bob, Take { items: numbers(&heard) });
    stand(&mut world, bob, Standing::Away, None);
    let heard = world.hear(bob);
    assert_eq!(heard[..2], [done(), DrainBegin { human: 3 }.into()]);
    assert_eq!((items(&heard), heard.last()), (vec![1, 2, 3], Some(&DrainEnd {}.into())));
    world.send(alice, deposit(2, 5));
    assert_eq!(items(&world.hear(bob)), [5]);
}

#[test]
fn busy_in_the_middle_of_a_drain_breaks_it_off_and_back_gives_the_rest_and_nothing_twice() {
    let mut world = World::new();
    let alice = world.come(1, "alice");
    world.absent(2, "bob");
    (1..=300).for_each(|seq| world.send(alice, deposit(2, seq)));
    let bob = world.back(2);
    world.online(bob, 2, &[]);
    let first = world.hear(bob);
    assert_eq!(items(&first), (1..=128).collect::<Vec<_>>());
    stand(&mut world, bob, Standing::Busy, None);
    world.hear(bob);
    world.send(bob, Take { items: numbers(&first)[..100].to_vec() });
    assert_eq!(world.hear(bob), [], "and no end of the drain: something waits");
    world.send(alice, urgent(2, 301));
    let heard = world.hear(bob);
    assert_eq!(items(&heard), [301]);
    stand(&mut world, bob, Standing::Online, None);
    let mut heard = world.hear(bob);
    assert_eq!(heard[1], DrainBegin { human: 201 }.into(), "with what is out and not taken");
    world.send(bob, Take { items: numbers(&first)[100..].to_vec() });
    let mut seqs = vec![];
    loop {
        heard.extend(world.hear(bob));
        if items(&heard).is_empty() {
            break;
        }
        seqs.extend(items(&heard));
        let taken = numbers(&heard);
        heard.clear();
        world.send(bob, Take { items: taken });
    }
    assert_eq!(seqs, (129..=300).collect::<Vec<_>>());
}

#[test]
fn who_comes_online_busy_is_told_how_much_waits_and_given_what_is_urgent() {
    let mut world = World::new();
    let alice = world.come(1, "alice");
    world.absent(2, "bob");
    world.send(alice, deposit(2, 1));
    world.send(alice, urgent(2, 2));
    let bob = world.back(2);
    let (standing, note) = (Standing::Busy, None);
    world.send(bob, Online { request: 2, candidates: vec![], prekey: prekey(2, 1), standing, note });
    let heard = world.hear(bob);
    assert_eq!((&heard[1], items(&heard), heard.len()), (&DrainBegin { human: 2 }.into(), vec![2], 3));
    world.send(alice, urgent(2, 3));
    assert_eq!(items(&world.hear(bob)), [3]);
    world.online(bob, 2, &[]);
    let heard = world.hear(bob);
    assert_eq!((items(&heard), heard.last()), (vec![1], Some(&DrainEnd {}.into())), "back by another Online");
}

fn say(world: &mut World, session: SessionId, who: u8, at_ms: i64, text: &str) {
    let shout = Shout { directory: key(200), by: key(who), at_ms, text: text.to_owned() };
    world.send(session, Broadcast { request: 12, shout: SignedShout::sign(&identity(who), &shout) });
}

fn lines(heard: Vec<FromDirectory>) -> Vec<String> {
    let line = |frame| match frame {
        FromDirectory::Shouted(of) => {
            let bound = of.binding.verify(&key(200)).unwrap();
            let shout = of.shout.verify(&key(200), &bound.key).unwrap();
            Some(format!("{}: {}", bound.name, shout.text))
        }
        _ => None,
    };
    heard.into_iter().filter_map(line).collect()
}

#[test]
fn a_broadcast_reaches_everybody_online_but_the_busy_and_those_who_cannot_take_it() {
    let mut world = World::new();
    let people: Vec<_> = (1..=5).map(|who| world.come(who, &format!("user{who}"))).collect();
    world.absent(6, "user6");
    let named_only = world.log_in_from(7, LOOPBACK);
    stand(&mut world, people[1], Standing::Busy, None);
    stand(&mut world, people[2], Standing::Away, None);
    world.deaf.insert(people[3]);
    people.iter().for_each(|session| drop(world.hear(*session)));
    say(&mut world, people[0], 1, 5, "fire drill");
    assert_eq!(world.hear(people[0]), [BroadcastSent { request: 12, count: 2 }.into()]);
    let heard: Vec<_> = people[1..].iter().map(|session| lines(world.hear(*session)).len()).collect();
    assert_eq!(heard, [0, 1, 0, 1]);
    say(&mut world, named_only, 7, 5, "me too");
    assert_eq!(world.hear(named_only), [refused(12, Refusal::NotRegistered)]);
}

#[test]
fn a_broadcast_is_rated_later_than_the_last_and_its_speakers_own() {
    let mut world = World::new();
    let (alice, bob) = (world.come(1, "alice"), world.come(2, "bob"));
    world.hear(bob);
    say(&mut world, alice, 1, 5, "one");
    assert_eq!(lines(world.hear(bob)), ["alice: one"]);
    world.hear(alice);
    world.pass(999);
    say(&mut world, alice, 1, 6, "two");
    assert_eq!(world.hear(alice), [refused(12, Refusal::RateLimited(1))]);
    world.pass(1);
    world.hear(alice);
    say(&mut world, alice, 1, 5, "one");
    say(&mut world, alice, 2, 7, "as bob");
    let invalid = refused(12, Refusal::Invalid);
    assert_eq!(world.hear(alice), [invalid.clone(), invalid]);
    say(&mut world, alice, 1, 6, "two");
    assert_eq!(world.hear(alice), [BroadcastSent { request: 12, count: 1 }.into()]);
    assert_eq!(lines(world.hear(bob)), ["alice: two"]);
    world.input(Input::SessionClosed { session: alice });
    let alice = world.back(1);
    world.online(alice, 1, &[]);
    world.hear(alice);
    say(&mut world, alice, 1, 7, "again");
    assert!(matches!(world.hear(alice)[..], [FromDirectory::Refused(_)]), "coming back does not mend the rate");
}

#[test]
fn a_class_that_comes_is_a_few_frames_and_a_crash_is_leaving() {
    let mut world = World::new();
    let teacher = world.come(1, "teacher");
    world.pass(10_000);
    world.hear(teacher);
    let mut class = vec![];
    for who in 2..=31 {
        class.push(world.come(who, &format!("pupil{who}")));
        world.pass(50);
    }
    world.pass(1_000);
    let heard = world.hear(teacher);
    assert!((1..=3).contains(&heard.len()), "{} frames", heard.len());
    let come: BTreeSet<u8> = told(&heard).into_iter().map(|(who, ..)| who).collect();
    assert_eq!(come, (2..=31).collect());
    class.iter().for_each(|session| drop(world.hear(*session)));
    world.input(Input::SessionClosed { session: class[0] });
    assert_eq!(world.hear(teacher), []);
    world.pass(1_000);
    assert_eq!(told(&world.hear(teacher)), [(2, Standing::Offline, None)]);
    let heard = world.hear(class[1]);
    assert_eq!(told(&heard), [(2, Standing::Offline, None)], "everybody hears it");
    stand(&mut world, teacher, Standing::Busy, Some("marking"));
    world.hear(teacher);
    world.pass(1_000);
    assert_eq!(told(&world.hear(class[1])), [(1, Standing::Busy, Some("marking"))]);
    assert_eq!(world.hear(teacher), [], "not about oneself");
}

#[test]
fn who_watches_somebody_has_no_other_notice_of_them() {
    let mut world = World::new();
    let (alice, bob) = (world.come(1, "alice"), world.come(2, "bob"));
    world.pass(10_000);
    world.send(bob, Watch { add: vec![key(1)], remove: vec![] });
    world.hear(bob);
    world.input(Input::SessionClosed { session: alice });
    assert_eq!(world.hear(bob).len(), 1);
    world.pass(10_000);
    assert_eq!(world.hear(bob), []);
}

#[test]
fn where_many_are_online_nobody_is_told_of_all_others() {
    let mut world = World::with(Limits { notices_online: 3, ..Limits::default() });
    let alice = world.come(1, "alice");
    for who in 2..=3 {
        world.come(who, &format!("user{who}"));
    }
    world.pass(1_000);
    assert_eq!(told(&world.hear(alice)).len(), 2);
    let fourth = world.come(4, "user4");
    world.pass(10_000);
    assert_eq!(world.hear(alice), []);
    world.input(Input::SessionClosed { session: fourth });
    world.pass(10_000);
    assert_eq!(told(&world.hear(alice)), [(4, Standing::Offline, None)], "three again");
}
