//! Names, tokens, prekeys, and what an operator sees and does.

use common::message::Epoch;
use common::wire::directory::Whom;

use super::*;
use crate::store::people::People;

fn account(bench: &mut Bench, who: u8) -> directory_core::event::Account {
    let StoreResult::Account(account) = bench.ask(StoreOp::LoadAccount { key: key(who) }) else { panic!("no account") };
    *account
}

fn prekey_of(bench: &mut Bench, who: u8) -> Prekey {
    let found = bench.ask(StoreOp::LookUp { whom: Whom::Key(key(who)) });
    let StoreResult::Profile(Some(profile)) = found else { panic!("not registered") };
    profile.prekey.unwrap().verify(&key(who)).unwrap()
}

fn counter(bench: &mut Bench, who: u8) -> u64 {
    prekey_of(bench, who).counter
}

#[test]
fn a_name_belongs_to_the_first_key_in_any_letter_case() {
    let mut bench = Bench::with_people();
    assert_eq!(bench.register(4, "aLiCe"), StoreResult::Refused(Refusal::NameTaken));
    let own = "Alice".parse().unwrap();
    assert_eq!(bench.register(1, "Dora"), StoreResult::Refused(Refusal::AlreadyRegistered(own)));
    assert!(matches!(bench.register(1, "ALICE"), StoreResult::Registered { new: false, .. }));
    assert_eq!(bench.ask(StoreOp::Deregister { key: key(1) }), StoreResult::Done);
    assert_eq!(bench.ask(StoreOp::Deregister { key: key(1) }), StoreResult::Refused(Refusal::NotRegistered));
    assert!(matches!(bench.register(4, "aLiCe"), StoreResult::Registered { new: true, .. }));
}

#[test]
fn a_token_counts_once_it_is_confirmed_and_only_the_one_on_offer() {
    let mut bench = Bench::new();
    let epoch = Epoch { generation: u64::MAX, id: EpochId([5; 16]) };
    let offer = |token, proven| StoreOp::OfferToken { key: key(1), token: [token; 16], proven, now_ms: 8 };
    let confirm = |token| StoreOp::ConfirmToken { key: key(1), token: [token; 16], epoch, now_ms: 9 };
    assert_eq!(account(&mut bench, 1), Default::default());
    bench.ask(offer(1, None));
    assert_eq!(bench.ask(confirm(2)), StoreResult::NotOffered);
    assert_eq!(bench.ask(confirm(1)), StoreResult::Done);
    bench.ask(offer(2, None));
    let known = account(&mut bench, 1);
    assert_eq!((known.confirmed, known.offered, known.epoch), (Some([1; 16]), Some([2; 16]), Some(epoch)));
    bench.ask(offer(3, Some([2; 16])));
    let known = account(&mut bench, 1);
    assert_eq!((known.confirmed, known.offered), (Some([2; 16]), Some([3; 16])));
}

#[test]
fn a_prekey_never_gives_way_to_an_older_one() {
    let mut bench = Bench::with_people();
    for (put, kept) in [(5, 5), (3, 5), (u64::MAX, u64::MAX), (6, u64::MAX)] {
        bench.ask(StoreOp::PutPrekey { key: key(1), prekey: prekey(1, put) });
        assert_eq!(counter(&mut bench, 1), kept);
    }
    // A store that was put back counts to the same number again: its newest word is the one that it can open.
    let mut again = prekey(1, u64::MAX);
    let remade = Prekey { owner: key(1), counter: u64::MAX, created_ms: 0, key: vec![77; PREKEY_BYTES] };
    again.record = PrekeyRecord::sign(&identity(1), &remade);
    bench.ask(StoreOp::PutPrekey { key: key(1), prekey: again });
    assert_eq!(prekey_of(&mut bench, 1).key, remade.key);
}

#[test]
fn people_are_listed_in_folded_order_page_by_page() {
    let mut bench = Bench::with_people();
    bench.register(4, "bobby");
    let mut who = |after: Option<&str>, text: Option<&str>| {
        let (after, text) = (after.map(|name| name.parse().unwrap()), text.map(str::to_owned));
        let StoreResult::People { people, more } = bench.ask(StoreOp::Who { after, text, limit: 2 }) else {
            panic!("not a page of people")
        };
        (people.iter().map(|listed| listed.name.to_string()).collect::<Vec<_>>(), more)
    };
    assert_eq!(who(None, None), (vec!["Alice".to_owned(), "Bob".to_owned()], true));
    assert_eq!(who(Some("BOB"), None), (vec!["bobby".to_owned(), "Carol".to_owned()], false));
    assert_eq!(who(None, Some("OB")), (vec!["Bob".to_owned(), "bobby".to_owned()], false));
}

#[test]
fn a_page_of_people_looks_through_so_many_names_and_goes_on_from_the_last_one_found() {
    let mut bench = Bench::with_people();
    let many = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
                INSERT INTO accounts (key, touched_ms, folded, name)
                SELECT randomblob(32), 0, printf('b%06d', i), printf('b%06d', i) FROM n";
    bench.store.db.execute(many, []).unwrap();
    let mut who = |after: Option<&str>, text: &str| {
        let (after, text) = (after.map(|name| name.parse().unwrap()), Some(text.to_owned()));
        let StoreResult::People { people, more } = bench.ask(StoreOp::Who { after, text, limit: 200 }) else {
            panic!("not a page of people")
        };
        (people.iter().map(|listed| listed.name.to_string()).collect::<Vec<_>>(), more)
    };
    let (alice, carol) = (vec!["Alice".to_owned()], vec!["Carol".to_owned()]);
    assert_eq!(who(None, "c"), (alice, true));
    assert_eq!(who(Some("Alice"), "c"), (vec![], false), "Carol stands behind 20,000 others");
    assert_eq!(who(Some("b000002"), "c"), (carol, false));
}

#[test]
fn coming_online_needs_a_name_and_tells_what_waits() {
    let mut bench = Bench::with_people();
    bench.deposit(bench.item(1, 2, 1)).unwrap();
    let online = |who| StoreOp::Online { key: key(who), prekey: prekey(who, 2), candidates: vec![], now_ms: 77 };
    let StoreResult::Online { waiting, name, binding } = bench.ask(online(2)) else { panic!("not online") };
    assert_eq!(waiting, Waiting { human: 1, newest: 1 });
    assert_eq!((name.as_str(), binding.verify(&key(99)).unwrap().key), ("Bob", key(2)));
    assert_eq!(bench.ask(StoreOp::Waiting { recipient: key(2) }), StoreResult::Waiting(waiting));
    assert_eq!(bench.ask(online(9)), StoreResult::Refused(Refusal::NotRegistered));
    let seen = bench.ask(StoreOp::LastSeen { keys: vec![key(2), key(9)] });
    assert_eq!(seen, StoreResult::LastSeen(vec![Some(77), None]));
}

#[test]
fn a_released_name_is_free_for_another_key_while_the_server_runs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let mut bench = Bench { store: Store::open(&path).unwrap(), ..Bench::new() };
    bench.register(1, "Alice");
    bench.register(2, "Bob");
    bench.deposit(bench.item(2, 1, 1)).unwrap();
    let operator = People::open(&path).unwrap();
    let names: Vec<_> = operator.list(None, 10).unwrap().iter().map(|entry| entry.name.to_string()).collect();
    assert_eq!(names, ["Alice", "Bob"]);
    let alice = operator.show(&"ALICE".parse().unwrap()).unwrap().unwrap();
    assert_eq!((alice.key, alice.items, alice.bytes), (key(1), 1, 100));
    assert!(operator.release(&"alice".parse().unwrap()).unwrap());
    assert!(!operator.release(&"alice".parse().unwrap()).unwrap());
    let gone = bench.ask(StoreOp::LookUp { whom: Whom::Name("Alice".parse().unwrap()) });
    assert_eq!(gone, StoreResult::Profile(None));
    assert_eq!(bench.deposit(bench.item(2, 1, 2)), Err(Refusal::NoSuchUser));
    assert!(matches!(bench.register(5, "Alice"), StoreResult::Registered { new: true, .. }));
}
