//! What nobody gets or does with files that are not theirs.

use common::body::{Body, FileSaying, FileWord};

use super::house::House;
use crate::command::{Command, ErrorCode};
use crate::event::FileJob;
use crate::messenger::files::answering::OFFERED_MAX;
use crate::messenger::posting::{Post, Waiting};
use crate::stored::FileState;

const ANNA: usize = 0;
const BERT: usize = 1;
const CARLA: usize = 2;

#[test]
fn who_was_offered_nothing_gets_nothing() {
    let mut house = House::new(&["anna", "bert", "carla"]);
    house.offers(ANNA, "bert", "a.txt", 5);
    house.does(CARLA, crate::messenger::membership::tests::asked::write("anna", "hello")).unwrap();
    let offer = house.town.seen(BERT)[0].id;
    let link = house.town.links.iter().find(|((one, _), (other, _))| (*one, *other) == (CARLA, ANNA));
    let link = link.map(|((_, link), _)| *link).expect("carla has a link to anna");
    house.idle = true;
    let serving = house.asks(CARLA, link, offer).unwrap();
    house.settle();
    let jobs = &house.town.people[ANNA].jobs;
    assert!(matches!(jobs[..], [FileJob::Refuse { serving: refused, later: false }] if refused == serving), "{jobs:?}");
}

#[test]
fn nobody_says_what_becomes_of_a_file_of_others() {
    let mut house = House::new(&["anna", "bert", "carla"]);
    let n = house.offers(ANNA, "bert", "a.txt", 5);
    let offer = house.town.seen(BERT)[0].id;
    let author = house.town.key(ANNA);
    house.does(CARLA, crate::messenger::membership::tests::asked::write("anna", "hello")).unwrap();
    house.does(CARLA, crate::messenger::membership::tests::asked::write("bert", "hello")).unwrap();
    for saying in [FileSaying::Declined, FileSaying::Cancelled, FileSaying::Done, FileSaying::Accepted] {
        for to in [ANNA, BERT] {
            let recipients = vec![house.town.key(to)];
            let body = Body::FileWord(FileWord { author, offer, saying });
            let conversation = common::message::Conversation::Pair;
            let post = Post { conversation, recipients, body, urgent: false, key: None, amends: None };
            house.town.with(CARLA, |carla| {
                carla.post(Waiting::Nobody, post);
            });
            house.settle();
        }
    }
    assert!(house.told(ANNA, n).is_empty() && house.told(BERT, house.offered(BERT)).is_empty());
    // And the recipient does not accept, decline or have a file in its sender's name.
    let body = Body::FileWord(FileWord { author, offer, saying: FileSaying::Done });
    let (conversation, recipients) = (common::message::Conversation::Pair, vec![house.town.key(BERT)]);
    let post = Post { conversation, recipients, body, urgent: false, key: None, amends: None };
    house.town.with(ANNA, |anna| {
        anna.post(Waiting::Nobody, post);
    });
    house.settle();
    assert!(house.told(BERT, house.offered(BERT)).is_empty());
    house.accepts(BERT);
    assert_eq!(house.told(ANNA, n).last(), Some(&FileState::Done));
}

#[test]
fn ten_thousand_offers_take_a_bounded_room_and_nothing_is_written() {
    let mut house = House::new(&["anna", "bert"]);
    for number in 0..OFFERED_MAX + 20 {
        house.offers(ANNA, "bert", &format!("{number}.txt"), 5);
    }
    assert!(house.came.is_empty());
    let last = house.offered(BERT);
    let refused = house.does(BERT, Command::Accept { n: last, place: None }).unwrap_err();
    assert_eq!(refused.code, ErrorCode::NoSuchMessage);
    let first = house.town.seen(BERT)[0].n;
    house.does(BERT, Command::Accept { n: first, place: None }).unwrap();
    assert_eq!(house.told(BERT, first).last(), Some(&FileState::Done));
}
