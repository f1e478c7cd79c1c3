//! What works.

use super::asked::{say, write};
use super::town::{Town, name};
use crate::command::{Command, ErrorCode, To};
use crate::event::{Answer, Dropped, GroupChange};
use crate::limits::STRANGER_MESSAGES_MAX;
use crate::stored::State;

const ANNA: usize = 0;
const BERT: usize = 1;
const CARLA: usize = 2;
const DORA: usize = 3;

fn family() -> Town {
    let mut town = Town::new(&["anna", "bert", "carla", "dora"]);
    town.create(ANNA, "family", false);
    town.join(BERT, "Family");
    town.join(CARLA, "family");
    town.join(DORA, "family");
    for who in 0..4 {
        town.news(who);
    }
    town
}

#[test]
fn what_one_says_in_a_group_each_other_member_gets_once_and_no_request() {
    let mut town = family();
    let n = town.says(ANNA, "family", "who cooks?");
    town.says(ANNA, "family", "and what?");
    for who in [BERT, CARLA, DORA] {
        assert_eq!(town.lines(who), ["@family anna: who cooks?", "@family anna: and what?"]);
        assert!(town.seen(who).iter().all(|view| !view.request && view.to == "@family"));
    }
    assert!(town.lines(ANNA).is_empty());
    let (state, tally, _) = town.state(ANNA, n).unwrap();
    assert_eq!((state, tally.total, tally.delivered), (State::Delivered, 3, 3));
    town.says(CARLA, "family", "me");
    assert_eq!(town.lines(ANNA), ["@family carla: me"]);
    // A group that anybody may join makes nobody less of a stranger, neither to the directory nor in a conversation of two.
    assert!(!town.registry.accepts.contains(&(town.key(BERT), town.key(DORA))));
    town.does(BERT, write("dora", "hello")).unwrap();
    assert_eq!(town.seen(DORA).last().map(|view| (view.conversation.as_str(), view.request)), Some(("bert", true)));
}

#[test]
fn what_a_fellow_says_to_one_alone_has_the_room_of_a_stranger() {
    let mut town = family();
    let most = STRANGER_MESSAGES_MAX as usize;
    for number in 0..most + 5 {
        town.says(BERT, "family", &format!("to all {number}"));
    }
    assert_eq!((town.lines(DORA).len(), &town.people[DORA].dropped[..]), (most + 5, &[][..]));
    for number in 0..most {
        town.does(BERT, write("dora", &format!("to one {number}"))).unwrap();
    }
    assert!(town.people[DORA].dropped.is_empty());
    town.does(BERT, write("dora", "one too many")).unwrap();
    let dropped = &town.people[DORA].dropped;
    assert!(dropped.contains(&(town.key(BERT), Dropped::TooMuch)), "{dropped:?}");
}

#[test]
fn the_tally_tells_who_is_away_and_ends_when_they_are_back() {
    let mut town = family();
    town.stop(DORA);
    let n = town.says(ANNA, "family", "supper");
    town.wait(3_000);
    let (state, tally, _) = town.state(ANNA, n).unwrap();
    assert_eq!((state, tally.delivered, tally.kept, tally.total), (State::Kept, 2, 1, 3));
    town.start(DORA);
    town.wait(3_000);
    assert_eq!(town.lines(DORA), ["@family anna: supper"]);
    let (state, tally, _) = town.state(ANNA, n).unwrap();
    assert_eq!((state, tally.delivered, tally.kept), (State::Delivered, 3, 0));
}

#[test]
fn changes_are_told_to_the_others_once_with_names() {
    let mut town = Town::new(&["anna", "bert", "carla"]);
    town.create(ANNA, "family", false);
    town.join(BERT, "family");
    assert_eq!(town.news(ANNA), ["joined bert @family"]);
    town.join(CARLA, "family");
    assert_eq!(
        (town.news(ANNA), town.news(BERT)),
        (vec!["joined carla @family".to_owned()], vec!["joined carla @family".to_owned()])
    );
    assert!(town.news(CARLA).is_empty(), "what was there before one came is no news");
    town.does(ANNA, Command::Kick { name: name("bert"), group: name("family") }).unwrap();
    assert_eq!(town.news(BERT), ["kicked bert @family by anna"]);
    assert_eq!(town.news(CARLA), ["kicked bert @family by anna"]);
    assert!(town.news(ANNA).is_empty(), "one's own doing is the answer");
    town.does(ANNA, Command::Leave(name("family"))).unwrap();
    assert_eq!(town.news(CARLA), ["left anna @family"]);
    assert_eq!(town.members(CARLA, "family"), ["carla*"], "the longest-standing member owns it now");
    let answer = town.does(CARLA, Command::Leave(name("family"))).unwrap();
    assert_eq!(answer, Answer::Group { group: name("family"), change: GroupChange::Left, name: "carla".into() });
    assert_eq!(town.news(CARLA), ["removed carla @family"]);
}

#[test]
fn a_name_is_free_again_and_the_new_group_is_another() {
    let mut town = Town::new(&["anna", "bert"]);
    town.create(ANNA, "family", false);
    town.does(ANNA, Command::Leave(name("family"))).unwrap();
    town.create(BERT, "family", true);
    assert_eq!(town.registry.groups.len(), 2);
    let refused = town.refused(ANNA, say("family", "hello"));
    assert_eq!(refused.0, ErrorCode::NotAMember);
    town.does(BERT, Command::Invite { name: name("anna"), group: name("family"), chat: None }).unwrap();
    town.join(ANNA, "family");
    town.says(ANNA, "family", "again");
    assert_eq!(town.lines(BERT), ["@family anna: again"]);
}

#[test]
fn an_invitation_opens_a_private_group_and_is_told_by_who_made_it() {
    let mut town = Town::new(&["anna", "bert", "carla"]);
    town.create(ANNA, "secret", true);
    let invite = |who: &str| Command::Invite { name: name(who), group: name("secret"), chat: None };
    assert_eq!(town.refused(BERT, Command::Join(name("secret"))).0, ErrorCode::NoSuchGroup);
    town.stop(BERT);
    let answer = town.does(ANNA, invite("bert")).unwrap();
    assert_eq!(answer, Answer::Group { group: name("secret"), change: GroupChange::Invited, name: "bert".into() });
    town.start(BERT);
    town.wait(3_000);
    assert_eq!(town.news(BERT), ["invited bert @secret by anna"]);
    assert!(town.lines(BERT).is_empty(), "it is no line");
    town.does(ANNA, invite("bert")).unwrap();
    town.join(BERT, "secret");
    town.does(BERT, invite("carla")).unwrap();
    assert_eq!(town.news(CARLA), ["invited carla @secret by bert"]);
    assert_eq!(town.news(ANNA), ["joined bert @secret", "invited carla @secret by bert"]);
}

#[test]
fn a_conversation_grows_into_a_group() {
    let mut town = Town::new(&["anna", "bert", "carla"]);
    town.does(ANNA, write("bert", "shall we?")).unwrap();
    let grow = Command::Invite { name: name("carla"), group: name("trip"), chat: Some(name("bert")) };
    let answer = town.does(ANNA, grow).unwrap();
    assert_eq!(answer, Answer::Group { group: name("trip"), change: GroupChange::Invited, name: "carla".into() });
    assert_eq!(town.news(ANNA), ["created anna @trip"]);
    assert_eq!(town.news(BERT), ["invited bert @trip by anna"]);
    assert_eq!(town.news(CARLA), ["invited carla @trip by anna"]);
    town.join(BERT, "trip");
    town.join(CARLA, "trip");
    town.says(CARLA, "trip", "yes");
    assert_eq!(town.lines(ANNA), ["@trip carla: yes"]);
    assert_eq!(town.lines(BERT).last().map(String::as_str), Some("@trip carla: yes"));
    let private = town.does(ANNA, Command::Groups).unwrap();
    let Answer::Groups(groups) = private else { panic!("no groups: {private:?}") };
    assert!(groups.iter().any(|group| group.private && group.member && group.members == 3));
}

#[test]
fn two_who_join_at_once_both_come_in() {
    let mut town = Town::new(&["anna", "bert", "carla", "dora"]);
    town.create(ANNA, "family", false);
    let asked: Vec<_> = [BERT, CARLA, DORA].map(|who| (who, town.ask(who, Command::Join(name("family"))))).into();
    town.settle();
    for (who, id) in asked {
        assert!(town.answer(who, id).is_some_and(|answer| answer.is_ok()));
    }
    assert_eq!(town.members(ANNA, "family").len(), 4);
    town.says(DORA, "family", "all here");
    assert_eq!(town.lines(BERT), town.lines(CARLA));
}

#[test]
fn who_was_taken_out_gets_what_was_sent_before_and_nothing_after() {
    let mut town = family();
    town.stop(DORA);
    town.says(BERT, "family", "before");
    town.does(ANNA, Command::Kick { name: name("dora"), group: name("family") }).unwrap();
    town.says(BERT, "family", "after");
    town.start(DORA);
    town.wait(10_000);
    assert_eq!(town.lines(DORA), ["@family bert: before"]);
    assert_eq!(town.news(DORA), ["kicked dora @family by anna"]);
    assert_eq!(town.refused(DORA, say("family", "and I?")).0, ErrorCode::NotAMember);
    let answer = town.does(DORA, Command::History { with: To::Group(name("family")), count: 9, before: None }).unwrap();
    assert!(matches!(answer, Answer::History { with, .. } if with == "@family"), "what was there stays readable");
}

#[test]
fn members_are_linked_before_anything_is_said() {
    let town = family();
    let linked = town.linked();
    assert_eq!(linked.len(), 6, "each with each: {linked:?}");
}

#[test]
fn groups_are_there_again_after_a_start() {
    let mut town = family();
    town.stop(BERT);
    town.does(DORA, Command::Leave(name("family"))).unwrap();
    town.start(BERT);
    town.wait(3_000);
    assert_eq!(town.news(BERT), ["left dora @family"]);
    town.says(BERT, "family", "back");
    assert_eq!(town.lines(CARLA), ["@family bert: back"]);
    assert!(town.lines(DORA).is_empty());
}

#[test]
fn a_member_is_listed_by_name_to_somebody_who_knows_nobody() {
    let mut town = family();
    let listed = town.members(CARLA, "family");
    assert_eq!(listed, ["anna*", "bert", "carla", "dora"]);
    let mut town = Town::new(&["anna", "bert"]);
    town.create(ANNA, "open", false);
    assert_eq!(town.members(BERT, "open"), ["anna*"]);
    let answer = town.does(BERT, Command::Chat(To::Group(name("open"))));
    assert_eq!(answer.map_err(|error| error.code), Err(ErrorCode::NotAMember));
    assert_eq!(town.does(ANNA, Command::Chat(To::Group(name("OPEN")))), Ok(Answer::Chat("@open".into())));
}

#[test]
fn the_directory_hears_of_fellows_whom_a_member_let_in_and_of_no_others() {
    let mut town = Town::new(&["anna", "bert", "carla", "dora"]);
    town.create(ANNA, "secret", true);
    for who in ["bert", "carla"] {
        town.does(ANNA, Command::Invite { name: name(who), group: name("secret"), chat: None }).unwrap();
    }
    town.join(BERT, "secret");
    town.create(CARLA, "open", false);
    town.join(BERT, "open");
    town.join(DORA, "open");
    let pair = |town: &Town, who, of| (town.key(who), town.key(of));
    assert!(!town.registry.accepts.contains(&pair(&town, BERT, CARLA)), "an open group vouches for nobody");
    town.does(BERT, Command::Block(name("carla"))).unwrap();
    town.join(CARLA, "secret");
    assert!(town.registry.accepts.contains(&pair(&town, CARLA, BERT)));
    for start in [false, true] {
        if start {
            town.stop(BERT);
            town.start(BERT);
            town.wait(3_000);
        }
        assert!(town.registry.accepts.contains(&pair(&town, BERT, ANNA)));
        assert!(!town.registry.accepts.contains(&pair(&town, BERT, CARLA)), "blocked");
        assert!(!town.registry.accepts.contains(&pair(&town, BERT, DORA)));
    }
}

#[test]
fn a_fellow_who_had_no_name_is_written_to_once_they_have_one() {
    let mut town = Town::new(&["anna", "bert", "carla"]);
    town.create(ANNA, "family", false);
    town.cut = true;
    // Anna has given up her name when carla comes, who has never heard of her.
    let anna = town.key(ANNA);
    let named = town.registry.people.remove(&anna).unwrap();
    town.registry.offline(&anna);
    town.join(CARLA, "family");
    town.says(CARLA, "family", "who is here?");
    town.wait(60_000);
    assert!(town.lines(ANNA).is_empty());
    town.registry.people.insert(anna, named);
    town.registry.online(anna);
    town.wait(60_000);
    assert_eq!(town.lines(ANNA), ["@family carla: who is here?"]);
}
