//! What works: files go and come by each way.

use common::body::FileFault;
use common::wire::directory::Refusal;

use super::house::{House, file, pieces};
use crate::command::{Command, ErrorCode};
use crate::event::{AcceptFrom, Answer, FileStop};
use crate::stored::{FileState, State, Via};

const ANNA: usize = 0;
const BERT: usize = 1;
const CARLA: usize = 2;

fn three() -> House {
    House::new(&["anna", "bert", "carla"])
}

#[test]
fn a_file_that_is_accepted_comes_on_the_link_and_both_are_told() {
    let mut house = three();
    let n = house.offers(ANNA, "bert", "a.txt", 52);
    let seen = house.town.seen(BERT);
    let offered = seen.last().and_then(|view| view.file.as_ref()).expect("an offer");
    assert_eq!((offered.name.as_str(), offered.size, offered.sha256), ("a.txt", 52, [2; 32]));
    assert!(house.came.is_empty() && house.told(BERT, house.offered(BERT)).is_empty(), "nothing before it is accepted");
    let there = house.accepts(BERT);
    assert_eq!(house.told(BERT, there), [FileState::Accepted, FileState::Done]);
    assert_eq!(house.told(ANNA, n), [FileState::Accepted, FileState::Done]);
    let done = house.views(BERT, there).last().copied().expect("done").clone();
    assert_eq!((done.path, done.via, done.bytes), (Some("downloads/a.txt".into()), Some(Via::Direct), 52));
    house.wait(20_000);
    assert!(house.kept.values().all(|kept| kept.next == 0), "what went on the link is not left at the directory");
    assert_eq!(house.town.state(ANNA, n).map(|state| state.0), Some(State::Delivered));
}

#[test]
fn what_nobody_fetches_waits_at_the_directory_and_comes_without_its_sender() {
    let mut house = three();
    house.town.cut = true;
    house.town.stop(BERT);
    let n = house.offers(ANNA, "bert", "a.bin", pieces(7));
    house.wait(20_000);
    let kept = house.views(ANNA, n).last().copied().expect("told").clone();
    assert_eq!((kept.kept, kept.state), (true, FileState::Offered));
    house.town.stop(ANNA);
    house.town.start(BERT);
    house.wait(5_000);
    let there = house.accepts(BERT);
    house.wait(5_000);
    assert_eq!(house.told(BERT, there), [FileState::Accepted, FileState::Done]);
    assert_eq!(house.views(BERT, there).last().and_then(|view| view.via), Some(Via::Directory));
    let at_directory = house.kept.values().next().expect("kept");
    assert_eq!((at_directory.next, at_directory.taken), (7, 7), "what is on the disk is forgotten there");
    house.town.start(ANNA);
    house.wait(20_000);
    assert_eq!(house.told(ANNA, n).last(), Some(&FileState::Done));
}

#[test]
fn either_side_may_die_between_any_two_pieces() {
    let mut house = three();
    house.town.cut = true;
    let n = house.offers(ANNA, "bert", "a.bin", pieces(9));
    let there = house.offered(BERT);
    house.does(BERT, Command::Accept { n: there, place: None }).unwrap();
    for round in 0..40 {
        let who = if round % 2 == 0 { ANNA } else { BERT };
        house.town.wait(400);
        house.idle = round % 3 == 0;
        house.settle();
        house.town.stop(who);
        house.town.people[who].jobs.clear();
        house.idle = false;
        house.town.start(who);
        house.settle();
    }
    house.wait(120_000);
    assert_eq!(house.told(BERT, there).last(), Some(&FileState::Done));
    assert_eq!(house.told(ANNA, n).last(), Some(&FileState::Done));
}

#[test]
fn a_link_that_comes_up_is_preferred_and_one_that_breaks_is_left_for_the_directory() {
    let mut house = three();
    house.town.cut = true;
    let n = house.offers(ANNA, "bert", "a.bin", pieces(3));
    house.refuses = Some(Refusal::TooLarge { limit: 1 });
    house.wait(10_000);
    let told = house.views(ANNA, n).last().copied().expect("told").clone();
    assert_eq!((told.kept, told.reason, told.state), (false, Some(FileFault::TooLarge), FileState::Offered));
    let there = house.accepts(BERT);
    house.wait(10_000);
    assert_eq!(house.told(BERT, there), [FileState::Accepted], "it waits until both are there");
    house.town.cut = false;
    house.ends = Some(FileStop::Broken);
    house.wait(90_000);
    assert_eq!(house.told(BERT, there), [FileState::Accepted], "a broken stream ends nothing");
    house.ends = None;
    house.wait(90_000);
    assert_eq!(house.told(BERT, there), [FileState::Accepted, FileState::Done]);
    assert_eq!(house.told(ANNA, n).last(), Some(&FileState::Done));
}

#[test]
fn declined_cancelled_and_failed_are_told_to_the_other_side_with_the_reason() {
    let mut house = three();
    let n = house.offers(ANNA, "bert", "a.txt", 5);
    let there = house.offered(BERT);
    house.does(BERT, Command::Decline(there)).unwrap();
    assert_eq!((house.told(BERT, there), house.told(ANNA, n)), (vec![FileState::Declined], vec![FileState::Declined]));
    assert_eq!(house.does(BERT, Command::Accept { n: there, place: None }).unwrap_err().code, ErrorCode::NoSuchMessage);

    let n = house.offers(ANNA, "bert", "b.txt", 5);
    let there = house.offered(BERT);
    house.does(ANNA, Command::Cancel(n)).unwrap();
    assert_eq!(
        (house.told(BERT, there), house.told(ANNA, n)),
        (vec![FileState::Cancelled], vec![FileState::Cancelled])
    );

    let n = house.offers(ANNA, "bert", "c.txt", 5);
    house.ends = Some(FileStop::Fault(FileFault::DiskFull));
    let there = house.accepts(BERT);
    assert_eq!(house.told(BERT, there), [FileState::Accepted, FileState::Failed]);
    let failed = house.views(ANNA, n).last().copied().expect("told").clone();
    assert_eq!((failed.state, failed.reason), (FileState::Failed, Some(FileFault::DiskFull)));
    house.ends = None;
    house.does(BERT, Command::Accept { n: there, place: None }).unwrap();
    assert_eq!(house.told(BERT, there).last(), Some(&FileState::Done), "what failed may be accepted again");
    assert_eq!(house.told(ANNA, n).last(), Some(&FileState::Done));

    let n = house.offers(ANNA, "bert", "d.txt", 5);
    house.idle = true;
    let there = house.accepts(BERT);
    house.does(BERT, Command::Cancel(there)).unwrap();
    house.idle = false;
    house.settle();
    assert_eq!(house.told(BERT, there), [FileState::Accepted, FileState::Cancelled]);
    assert_eq!(house.told(ANNA, n).last(), Some(&FileState::Cancelled));
}

#[test]
fn a_group_gets_one_offer_and_each_member_answers_for_itself() {
    let mut house = three();
    house.town.create(ANNA, "family", false);
    house.town.join(BERT, "family");
    house.town.join(CARLA, "family");
    house.settle();
    let n = house.offers(ANNA, "@family", "a.txt", 5);
    house.accepts(BERT);
    let there = house.offered(CARLA);
    house.does(CARLA, Command::Decline(there)).unwrap();
    let told: Vec<(String, FileState)> =
        house.views(ANNA, n).into_iter().map(|view| (view.to.clone(), view.state)).collect();
    assert!(told.contains(&("bert".to_owned(), FileState::Done)), "{told:?}");
    assert!(told.contains(&("carla".to_owned(), FileState::Declined)), "{told:?}");
}

#[test]
fn a_rule_accepts_without_the_user_and_for_nobody_else() {
    let mut house = three();
    house.town.people[BERT].accept_from = AcceptFrom::Names(vec!["Anna".parse().unwrap()]);
    house.town.stop(BERT);
    house.town.start(BERT);
    house.wait(20_000);
    let n = house.offers(ANNA, "bert", "a.txt", 5);
    house.wait(5_000);
    assert_eq!(house.told(ANNA, n).last(), Some(&FileState::Done));
    let other = house.offers(CARLA, "bert", "c.txt", 5);
    house.wait(2_000);
    assert!(house.told(CARLA, other).is_empty());
}

#[test]
fn a_file_that_cannot_be_read_is_not_offered_and_each_reason_has_its_word() {
    let mut house = three();
    for (fault, code) in [
        (FileFault::Missing, ErrorCode::FileMissing),
        (FileFault::NoFile, ErrorCode::FileNoFile),
        (FileFault::Unreadable, ErrorCode::FileUnreadable),
        (FileFault::NoName, ErrorCode::FileNoName),
        (FileFault::Changed, ErrorCode::FileChanged),
    ] {
        house.own.insert((ANNA, "a".into()), Err(fault));
        assert_eq!(house.does(ANNA, file("bert", "a")).unwrap_err().code, code);
    }
    assert!(house.town.seen(BERT).is_empty());
    assert_eq!(house.does(ANNA, file("anna", "a")).unwrap_err().code, ErrorCode::ToYourself);
    assert_eq!(house.does(ANNA, file("nobody", "a")).unwrap_err().code, ErrorCode::NoSuchUser);
}

#[test]
fn a_source_that_changed_is_given_to_nobody_and_both_are_told() {
    let mut house = three();
    house.town.cut = true;
    let n = house.offers(ANNA, "bert", "a.bin", pieces(2));
    let there = house.offered(BERT);
    house.own.insert((ANNA, "a.bin".into()), Err(FileFault::Changed));
    house.wait(20_000);
    for (who, n) in [(ANNA, n), (BERT, there)] {
        let told = house.views(who, n).last().copied().expect("told").clone();
        assert_eq!((told.state, told.reason), (FileState::Failed, Some(FileFault::Changed)));
    }
}

#[test]
fn files_are_listed_with_how_they_stand() {
    let mut house = three();
    house.offers(ANNA, "bert", "a.txt", 5);
    // The stand-in of a store lists nothing; that it is asked is what this shows.
    assert!(matches!(house.does(ANNA, Command::Files), Err(error) if error.code == ErrorCode::StoreFailed));
    let answer = house.does(BERT, Command::Accept { n: house.offered(BERT), place: Some("/tmp".into()) });
    assert!(matches!(answer, Ok(Answer::File(view)) if view.state == FileState::Accepted));
}
