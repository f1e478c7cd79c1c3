//! Which name is believed for which key: first sight, new names, other keys, the user's word.

use super::*;

const HERE: PublicKey = PublicKey([9; 32]);
const BOB: PublicKey = PublicKey([1; 32]);
const EVE: PublicKey = PublicKey([2; 32]);

fn book() -> Book {
    Book::new(Vec::new(), Vec::new(), Some(HERE))
}

fn bound(name: &str, key: PublicKey, serial: u64) -> Bound {
    Bound { directory: HERE, name: name.parse().unwrap(), key, serial }
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn pinned(book: &Book, text: &str) -> Option<PublicKey> {
    book.named(&name(text)).map(|contact| contact.key)
}

fn called(book: &Book, key: PublicKey) -> Option<&str> {
    book.name_of(&key).map(Name::as_str)
}

/// The book as a restart finds it.
fn reopened(book: &mut Book) -> Book {
    Book::new(book.take_changed(), book.take_pins(), book.directory)
}

#[test]
fn one_name_at_two_directories_is_two_people() {
    let mut book = book();
    book.hear(&bound("bob", BOB, 7));
    let there = PublicKey([8; 32]);
    book.use_directory(there);
    assert_eq!(pinned(&book, "bob"), None);
    assert_eq!(book.hear(&Bound { directory: there, ..bound("bob", EVE, 1) }), Belief::Pinned);
    assert_eq!(pinned(&book, "bob"), Some(EVE));
    let mut again = reopened(&mut book);
    again.use_directory(HERE);
    assert_eq!(pinned(&again, "bob"), Some(BOB));
}

#[test]
fn the_first_key_of_a_name_is_pinned_and_another_one_waits_for_the_user() {
    let mut book = book();
    assert_eq!(book.hear(&bound("bob", BOB, 1)), Belief::Pinned);
    assert_eq!(book.hear(&bound("BOB", BOB, 1)), Belief::Known);
    assert_eq!(book.hear(&bound("bob", EVE, 5)), Belief::Rival { pinned: BOB, is_new: true });
    assert_eq!(book.hear(&bound("bob", EVE, 6)), Belief::Rival { pinned: BOB, is_new: false });
    assert_eq!(pinned(&book, "bob"), Some(BOB));
    assert_eq!(called(&book, EVE), None);
    let mut book = reopened(&mut book);
    assert_eq!(book.contest_of(&BOB), Some((&name("bob"), EVE)), "it is still asked after a restart");
    assert_eq!(book.accept(&name("bob"), &EVE), Some(Accepted { pinned: BOB, new: EVE, moved: true }));
    assert_eq!(pinned(&book, "bob"), Some(EVE));
    assert_eq!((called(&book, BOB), called(&book, EVE)), (None, Some("bob")));
    assert!(!book.is_contested(&BOB) && !book.is_contested(&EVE));
    assert_eq!(book.take_changed().len(), 2);
}

#[test]
fn an_older_word_for_a_pinned_name_is_not_believed_and_a_newer_one_gives_it_back() {
    let mut book = book();
    book.hear(&bound("bob", BOB, 5));
    assert_eq!(book.hear(&bound("bob", EVE, 5)), Belief::Stale);
    assert!(!book.is_contested(&BOB));
    book.hear(&bound("bob", EVE, 8));
    book.hear(&bound("bob", BOB, 7));
    assert!(book.is_contested(&BOB), "an older word gives nothing back");
    assert_eq!(book.hear(&bound("bob", PublicKey([3; 32]), 6)), Belief::Stale, "older than the rival's");
    book.hear(&bound("bob", BOB, 9));
    assert!(!book.is_contested(&BOB));
}

#[test]
fn a_key_that_takes_another_name_is_told_and_keeps_the_old_one() {
    let mut book = book();
    book.hear(&bound("bob", BOB, 1));
    assert_eq!(book.hear(&bound("robert", BOB, 3)), Belief::Renamed { old: name("bob") });
    assert_eq!(called(&book, BOB), Some("robert"));
    assert_eq!((pinned(&book, "bob"), pinned(&book, "robert")), (Some(BOB), Some(BOB)));
    assert_eq!(book.former_names(&BOB).collect::<Vec<_>>(), [&name("bob")]);
    // Old words, of a link or a replay, change nothing.
    assert_eq!(book.hear(&bound("bob", BOB, 1)), Belief::Known);
    assert_eq!(book.hear(&bound("bobby", BOB, 2)), Belief::Known);
    assert_eq!((called(&book, BOB), pinned(&book, "bobby")), (Some("robert"), None));
    // One of the same age, of a directory that was put back, names no other and leads to the same key.
    assert_eq!(book.hear(&bound("bobby", BOB, 3)), Belief::Pinned);
    assert_eq!((called(&book, BOB), pinned(&book, "bobby")), (Some("robert"), Some(BOB)));
    // A newer word for the older name does.
    assert_eq!(book.hear(&bound("bob", BOB, 4)), Belief::Renamed { old: name("robert") });
    assert_eq!(called(&book, BOB), Some("bob"));
}

#[test]
fn a_name_that_a_known_key_had_is_given_to_nobody_else_unasked() {
    let mut book = book();
    book.hear(&bound("bob", BOB, 1));
    book.hear(&bound("robert", BOB, 9));
    let mut book = reopened(&mut book);
    // The directory gave it away before it gave the new one: still newer than the word that pinned it.
    assert_eq!(book.hear(&bound("bob", EVE, 5)), Belief::Rival { pinned: BOB, is_new: true });
    assert!(book.is_contested(&BOB));
    assert_eq!((pinned(&book, "bob"), called(&book, EVE)), (Some(BOB), None));
    // What waits for robert is robert's, whoever is bob now.
    assert_eq!(book.accept(&name("bob"), &EVE), Some(Accepted { pinned: BOB, new: EVE, moved: false }));
    assert_eq!((called(&book, BOB), called(&book, EVE)), (Some("robert"), Some("bob")));
    assert_eq!((pinned(&book, "bob"), pinned(&book, "robert")), (Some(EVE), Some(BOB)));
    assert_eq!(book.former_names(&BOB).count(), 0);
}

#[test]
fn what_waits_for_a_friend_goes_to_nobody_whose_name_the_friend_was_given() {
    let mut book = book();
    book.hear(&bound("bob", BOB, 1));
    // The directory calls bob eve, and then says that eve is somebody else: which is true, and the user says so.
    book.hear(&bound("eve", BOB, 2));
    assert_eq!(book.hear(&bound("eve", EVE, 3)), Belief::Rival { pinned: BOB, is_new: true });
    assert_eq!(book.accept(&name("eve"), &EVE), Some(Accepted { pinned: BOB, new: EVE, moved: false }));
    assert_eq!((called(&book, BOB), called(&book, EVE)), (Some("bob"), Some("eve")), "bob is called bob again");
    assert_eq!(book.hear(&bound("robert", BOB, 4)), Belief::Renamed { old: name("bob") });
}

#[test]
fn a_key_that_the_user_refused_is_not_asked_about_again_and_can_be_accepted_after_all() {
    let mut book = book();
    book.hear(&bound("bob", BOB, 1));
    assert_eq!(book.refuse(&name("bob")), None, "nothing to refuse");
    book.hear(&bound("bob", EVE, 5));
    assert_eq!(book.refuse(&name("bob")), Some(BOB));
    assert!(!book.is_contested(&BOB));
    let mut book = reopened(&mut book);
    assert_eq!(book.hear(&bound("bob", EVE, 50)), Belief::Stale);
    assert_eq!(pinned(&book, "bob"), Some(BOB));
    let third = PublicKey([3; 32]);
    assert_eq!(book.hear(&bound("bob", third, 6)), Belief::Rival { pinned: BOB, is_new: true }, "another key is asked");
    assert_eq!(book.claimant(&name("bob"), EVE.fingerprint()), Some(EVE));
    assert_eq!(book.claimant(&name("bob"), BOB.fingerprint()), None);
    assert_eq!(book.accept(&name("bob"), &EVE), Some(Accepted { pinned: BOB, new: EVE, moved: true }));
    assert_eq!(called(&book, EVE), Some("bob"));
    assert!(book.pin_of(&name("bob")).is_some_and(|pin| pin.refused.is_empty()));
}

#[test]
fn what_is_remembered_of_names_and_refusals_is_bounded_and_no_pin_is_let_go_for_it() {
    let mut book = book();
    book.hear(&bound("bob", BOB, 1));
    for number in 2..=NAMES_OF_ONE_MAX as u64 {
        let belief = book.hear(&bound(&format!("bob{number}"), BOB, number));
        assert!(matches!(belief, Belief::Renamed { .. }), "{number}: {belief:?}");
    }
    assert_eq!(book.hear(&bound("onemore", BOB, 1_000)), Belief::Stale);
    assert_eq!((pinned(&book, "bob"), pinned(&book, "onemore")), (Some(BOB), None));
    for number in 0..REFUSED_MAX as u64 + 3 {
        let mut key = [7; 32];
        key[0] = u8::try_from(number).unwrap();
        book.hear(&bound("bob", PublicKey(key), 2_000 + number));
        assert_eq!(book.refuse(&name("bob")), Some(BOB));
    }
    let refused = &book.pin_of(&name("bob")).unwrap().refused;
    assert_eq!((refused.len(), refused.last().unwrap().serial), (REFUSED_MAX, 2_000 + REFUSED_MAX as u64 + 2));
}
