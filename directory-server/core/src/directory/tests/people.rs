//! Names, look-ups, presence, and the rates of asking.

use super::*;
use crate::limits::Rate;

fn register(world: &mut World, session: SessionId, who: u8, name: &str) -> FromDirectory {
    world.send(session, Register { request: 7, name: name.parse().unwrap(), prekey: prekey(who, 1) });
    world.hear(session).pop().unwrap()
}

fn presences(heard: Vec<FromDirectory>) -> Vec<(PublicKey, Standing)> {
    let notice = |frame| match frame {
        FromDirectory::Presence(presence) => (presence.key, presence.standing),
        other => panic!("not a notice: {other:?}"),
    };
    heard.into_iter().map(notice).collect()
}

#[test]
fn a_name_is_bound_by_a_signed_word_and_stays_with_its_key() {
    let mut world = World::new();
    let (alice, other) = (world.log_in_from(1, LOOPBACK), world.log_in_from(2, LOOPBACK));
    let FromDirectory::Registered(registered) = register(&mut world, alice, 1, "Alice") else { panic!() };
    let bound = registered.binding.verify(&key(200)).unwrap();
    assert_eq!((bound.name.as_str(), bound.key), ("Alice", key(1)));
    assert_eq!(register(&mut world, other, 2, "aLICE"), refused(7, Refusal::NameTaken));
    let mine = Refusal::AlreadyRegistered("Alice".parse().unwrap());
    assert_eq!(register(&mut world, alice, 1, "bob"), refused(7, mine));
    assert_eq!(register(&mut world, alice, 1, "ALICE"), FromDirectory::Registered(registered), "the same word again");
}

#[test]
fn serials_of_bindings_grow_and_a_released_name_is_free() {
    let mut world = World::new();
    let (alice, other) = (world.come(1, "alice"), world.log_in_from(2, LOOPBACK));
    world.send(alice, Deregister { request: 3 });
    assert_eq!(world.hear(alice), [Done { request: 3 }.into()]);
    world.send(alice, Deregister { request: 4 });
    assert_eq!(world.hear(alice), [refused(4, Refusal::NotRegistered)]);
    let FromDirectory::Registered(registered) = register(&mut world, other, 2, "alice") else { panic!() };
    let bound = registered.binding.verify(&key(200)).unwrap();
    assert_eq!(bound.key, key(2));
    assert!(bound.serial > 1);
}

#[test]
fn a_prekey_of_somebody_else_is_refused() {
    let mut world = World::new();
    let session = world.log_in_from(1, LOOPBACK);
    assert_eq!(register(&mut world, session, 2, "alice"), refused(7, Refusal::Invalid));
}

#[test]
fn nobody_comes_online_without_a_name() {
    let mut world = World::new();
    let session = world.log_in_from(1, LOOPBACK);
    world.online(session, 1, &[]);
    assert_eq!(world.hear(session), [refused(2, Refusal::NotRegistered)]);
}

#[test]
fn a_lower_prekey_never_replaces_a_higher_one() {
    let mut world = World::new();
    let session = world.come(1, "alice");
    world.send(session, PublishPrekey { request: 3, prekey: prekey(1, 9) });
    world.send(session, PublishPrekey { request: 4, prekey: prekey(1, 8) });
    assert_eq!(world.hear(session), [Done { request: 3 }.into(), Done { request: 4 }.into()]);
    assert_eq!(world.shelf.prekey_counter(&key(1)), Some(9));
}

#[test]
fn names_from_one_address_are_rationed_but_not_on_loopback() {
    let mut world = World::new();
    let from = "203.0.113.7:1000";
    for who in 1..=30 {
        let session = world.log_in_from(who, from);
        assert!(matches!(register(&mut world, session, who, &format!("user{who}")), FromDirectory::Registered(_)));
    }
    let session = world.log_in_from(31, from);
    assert_eq!(register(&mut world, session, 31, "user31"), refused(7, Refusal::RateLimited(20_000)));
    world.pass(20_000);
    assert!(matches!(register(&mut world, session, 31, "user31"), FromDirectory::Registered(_)));
    for who in 40..=80 {
        let session = world.log_in_from(who, LOOPBACK);
        assert!(matches!(register(&mut world, session, who, &format!("user{who}")), FromDirectory::Registered(_)));
    }
}

#[test]
fn names_from_one_ipv6_network_are_rationed_together() {
    let mut world = World::with(Limits { registrations: Rate { burst: 1, every_ms: 20_000 }, ..Limits::default() });
    let first = world.log_in_from(1, "[2001:db8::1]:1000");
    let neighbour = world.log_in_from(2, "[2001:db8::2]:1000");
    let elsewhere = world.log_in_from(3, "[2001:db8:0:1::1]:1000");
    assert!(matches!(register(&mut world, first, 1, "alice"), FromDirectory::Registered(_)));
    assert_eq!(register(&mut world, neighbour, 2, "bob"), refused(7, Refusal::RateLimited(20_000)));
    assert!(matches!(register(&mut world, elsewhere, 3, "carol"), FromDirectory::Registered(_)));
}

#[test]
fn a_look_up_tells_key_state_and_where_to_try() {
    let mut world = World::new();
    let (_alice, bob) = (world.come(1, "alice"), world.come(2, "bob"));
    world.absent(3, "carol");
    world.send(bob, LookUp { request: 5, whom: Whom::Name("ALICE".parse().unwrap()) });
    world.send(bob, LookUp { request: 6, whom: Whom::Key(key(3)) });
    world.send(bob, LookUp { request: 7, whom: Whom::Key(key(4)) });
    let heard = world.hear(bob);
    let [FromDirectory::Person(alice), FromDirectory::Person(carol), gone] = heard.as_slice() else {
        panic!("{heard:?}")
    };
    assert_eq!((alice.profile.key, alice.profile.standing), (key(1), Standing::Online));
    assert_eq!(alice.profile.candidates, ["127.0.0.1:8283".parse().unwrap()]);
    assert_eq!(alice.profile.prekey, Some(prekey(1, 1)));
    assert_eq!((carol.profile.key, carol.profile.standing), (key(3), Standing::Offline));
    assert_eq!(carol.profile.candidates, []);
    assert_eq!(*gone, refused(7, Refusal::NoSuchUser));
}

#[test]
fn pages_of_people_say_who_is_online() {
    let mut world = World::new();
    let bob = world.come(2, "bob");
    world.absent(1, "alice");
    world.send(bob, Who { request: 1, after: None, text: None });
    let [FromDirectory::People(page)] = &world.hear(bob)[..] else { panic!() };
    let seen: Vec<_> = page.people.iter().map(|listed| (listed.name.as_str(), listed.standing)).collect();
    assert_eq!(seen, [("alice", Standing::Offline), ("bob", Standing::Online)]);
    world.send(bob, Who { request: 2, after: None, text: Some("a%".to_owned()) });
    assert_eq!(world.hear(bob), [People { request: 2, people: vec![], more: false }.into()]);
    world.send(bob, Who { request: 3, after: None, text: Some("a".repeat(16)) });
    assert_eq!(world.hear(bob), [refused(3, Refusal::TooLarge { limit: 15 })]);
}

#[test]
fn an_unspecified_candidate_is_the_address_seen() {
    let mut world = World::new();
    let session = world.log_in_from(1, "203.0.113.7:1000");
    register(&mut world, session, 1, "alice");
    world.online(session, 1, &["0.0.0.0:8283"]);
    assert_eq!(world.shelf.candidates(&key(1)), ["203.0.113.7:8283".parse().unwrap()]);
}

#[test]
fn an_address_that_may_not_be_published_is_passed_over_and_the_others_are_kept() {
    let mut world = World::new();
    let session = world.log_in_from(1, "203.0.113.7:1000");
    register(&mut world, session, 1, "alice");
    world.online(session, 1, &["198.51.100.1:8283", "127.0.0.1:8283", "203.0.113.7:8283"]);
    assert_eq!(world.hear(session)[0], Done { request: 2 }.into());
    assert_eq!(world.shelf.candidates(&key(1)), ["203.0.113.7:8283".parse().unwrap()]);
}

#[test]
fn watchers_hear_of_a_crash_as_soon_as_the_connection_breaks() {
    let mut world = World::new();
    let (alice, bob) = (world.come(1, "alice"), world.come(2, "bob"));
    world.send(bob, Watch { add: vec![key(1), key(3)], remove: vec![] });
    assert_eq!(presences(world.hear(bob)), [(key(1), Standing::Online), (key(3), Standing::Offline)]);
    world.input(Input::SessionClosed { session: alice });
    assert_eq!(presences(world.hear(bob)), [(key(1), Standing::Offline)]);
    world.send(bob, Watch { add: vec![], remove: vec![key(1)] });
    let alice = world.back(1);
    world.online(alice, 1, &[]);
    assert_eq!(world.hear(bob), []);
}

#[test]
fn going_offline_is_done_and_then_closed() {
    let mut world = World::new();
    let (alice, bob) = (world.come(1, "alice"), world.come(2, "bob"));
    world.send(bob, Watch { add: vec![key(1)], remove: vec![] });
    world.hear(bob);
    world.send(alice, Offline { request: 9 });
    assert_eq!(world.hear(alice), [Done { request: 9 }.into()]);
    assert!(world.closed.contains(&alice));
    assert_eq!(presences(world.hear(bob)), [(key(1), Standing::Offline)]);
}

#[test]
fn notices_about_one_person_are_rationed_and_the_last_state_is_always_sent() {
    let mut world = World::new();
    let (mut alice, bob) = (world.come(1, "alice"), world.come(2, "bob"));
    world.send(bob, Watch { add: vec![key(1)], remove: vec![] });
    world.hear(bob);
    for _ in 0..4 {
        world.online(alice, 1, &["127.0.0.1:9001"]);
        world.online(alice, 1, &["127.0.0.1:9002"]);
    }
    assert_eq!(world.hear(bob).len(), 3);
    world.input(Input::SessionClosed { session: alice });
    assert_eq!(world.hear(bob), []);
    world.pass(4_999);
    assert_eq!(world.hear(bob), []);
    world.pass(1);
    assert_eq!(presences(world.hear(bob)), [(key(1), Standing::Offline)]);
    world.pass(60_000);
    assert_eq!(world.hear(bob), []);
    alice = world.back(1);
    world.online(alice, 1, &[]);
    assert_eq!(presences(world.hear(bob)), [(key(1), Standing::Online)]);
}

#[test]
fn one_session_watches_so_many_and_no_more() {
    let mut world = World::with(Limits { watches: 3, ..Limits::default() });
    let bob = world.come(2, "bob");
    world.send(bob, Watch { add: (10..20).map(key).collect(), remove: vec![] });
    assert_eq!(world.hear(bob).len(), 3);
    world.send(bob, Watch { add: vec![key(30), key(10)], remove: vec![key(11)] });
    assert_eq!(presences(world.hear(bob)), [(key(30), Standing::Offline), (key(10), Standing::Offline)]);
}

#[test]
fn requests_above_the_rate_are_delayed_in_order_and_reading_pauses() {
    let mut world = World::new();
    let session = world.log_in_from(1, LOOPBACK);
    world.pass(60_000);
    (0..600).for_each(|_| world.send(session, Ping {}));
    assert_eq!(world.hear(session).len(), 500);
    assert!(world.paused.contains(&session));
    world.pass(1_000);
    assert_eq!(world.hear(session).len(), 50);
    world.pass(1_000);
    assert_eq!(world.hear(session).len(), 50);
    assert!(!world.paused.contains(&session) && !world.closed.contains(&session));
}

#[test]
fn a_request_with_many_entries_counts_as_many() {
    let mut world = World::new();
    let session = world.log_in_from(1, LOOPBACK);
    world.pass(60_000);
    for _ in 0..46 {
        world.send(session, Have { request: 1, places: (1..=500).map(|seq| place(2, seq)).collect() });
    }
    assert_eq!(world.hear(session).len(), 45, "500 requests' worth, at 11 each");
    assert!(world.paused.contains(&session));
    world.pass(1_000);
    assert_eq!(world.hear(session).len(), 1);
}

#[test]
fn asking_too_fast_for_half_a_minute_ends_the_session() {
    let mut world = World::new();
    let session = world.log_in_from(1, LOOPBACK);
    for _ in 0..40 {
        (0..100).for_each(|_| world.send(session, Ping {}));
        world.pass(1_000);
    }
    assert!(world.closed.contains(&session));
    assert_eq!(world.hear(session).pop(), Some(Rejected { reason: Rejection::Full(30_000) }.into()));
}
