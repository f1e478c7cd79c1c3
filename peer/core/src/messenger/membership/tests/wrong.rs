//! Each wrong use has its own error, and changes nothing.

use super::asked::say;
use super::town::{Town, name};
use crate::command::{Command, ErrorCode};

const ANNA: usize = 0;
const BERT: usize = 1;
const CARLA: usize = 2;

pub(super) fn invite(who: &str, group: &str) -> Command {
    Command::Invite { name: name(who), group: name(group), chat: None }
}

fn kick(who: &str, group: &str) -> Command {
    Command::Kick { name: name(who), group: name(group) }
}

#[test]
fn each_wrong_use_has_its_own_error() {
    let mut town = Town::new(&["anna", "bert", "carla"]);
    town.create(ANNA, "family", false);
    town.create(ANNA, "secret", true);
    town.join(BERT, "family");
    let steps = |town: &Town| town.registry.groups.values().map(Vec::len).sum::<usize>();
    let before = steps(&town);
    let none = [
        (BERT, Command::Join(name("nowhere"))),
        (BERT, Command::Leave(name("nowhere"))),
        (BERT, say("nowhere", "x")),
        (BERT, Command::Members(name("nowhere"))),
        (BERT, invite("carla", "nowhere")),
        (BERT, kick("carla", "nowhere")),
        (BERT, Command::Join(name("secret"))),
    ];
    for (who, command) in none {
        assert_eq!(town.refused(who, command.clone()).0, ErrorCode::NoSuchGroup, "{command:?}");
    }
    let outside = [
        (CARLA, Command::Leave(name("family"))),
        (CARLA, say("family", "x")),
        (CARLA, invite("bert", "family")),
        (CARLA, kick("bert", "family")),
        (ANNA, kick("carla", "family")),
    ];
    for (who, command) in outside {
        assert_eq!(town.refused(who, command.clone()).0, ErrorCode::NotAMember, "{command:?}");
    }
    let already = [Command::Join(name("family")), invite("anna", "family"), invite("bert", "family")];
    for command in already {
        assert_eq!(town.refused(BERT, command.clone()).0, ErrorCode::AlreadyAMember, "{command:?}");
    }
    let (code, message) = town.refused(BERT, kick("anna", "family"));
    assert!(code == ErrorCode::NotAllowed && message.contains("anna"), "{message}");
    let (code, message) = town.refused(ANNA, kick("anna", "family"));
    assert!(code == ErrorCode::NotAllowed && message.contains("!leave"), "{message}");
    let (code, message) = town.refused(ANNA, say("secret", "x"));
    assert!(code == ErrorCode::NotAllowed && message.contains("nobody else"), "{message}");
    for private in [true, false] {
        let create = Command::Create { group: name("FAMILY"), private };
        assert_eq!(town.refused(BERT, create).0, ErrorCode::GroupExists);
    }
    assert_eq!(town.refused(ANNA, invite("nobody", "family")).0, ErrorCode::NoSuchUser);
    assert_eq!(town.refused(ANNA, kick("nobody", "family")).0, ErrorCode::NoSuchUser);
    assert_eq!(steps(&town), before);
}

#[test]
fn who_was_taken_out_of_an_open_group_needs_an_invitation() {
    let mut town = Town::new(&["anna", "bert"]);
    town.create(ANNA, "family", false);
    town.join(BERT, "family");
    town.does(ANNA, kick("bert", "family")).unwrap();
    let (code, message) = town.refused(BERT, Command::Join(name("family")));
    assert!(code == ErrorCode::NotAllowed && message.contains("taken out"), "{message}");
    town.does(ANNA, invite("bert", "family")).unwrap();
    town.join(BERT, "family");
}

#[test]
fn without_the_directory_nothing_is_changed_and_what_is_known_is_known() {
    let mut town = Town::new(&["anna", "bert", "carla"]);
    town.create(ANNA, "family", false);
    town.join(BERT, "family");
    town.directory_goes();
    let away = [
        Command::Create { group: name("other"), private: false },
        Command::Join(name("other")),
        Command::Leave(name("family")),
        invite("bert", "family"),
        say("other", "x"),
        Command::Groups,
        Command::Members(name("other")),
    ];
    for command in away {
        let before_ms = town.now.mono_ms;
        assert_eq!(town.refused(ANNA, command.clone()).0, ErrorCode::DirectoryUnreachable, "{command:?}");
        assert!(town.now.mono_ms - before_ms <= 5_000);
    }
    assert_eq!(town.members(ANNA, "family"), ["anna*", "bert"]);
    town.says(ANNA, "family", "still here");
    assert_eq!(town.lines(BERT), ["@family anna: still here"]);
    town.directory_comes();
    town.create(ANNA, "other", false);
}

#[test]
fn a_change_whose_answer_was_lost_is_found_in_the_chain() {
    let mut town = Town::new(&["anna", "bert"]);
    town.create(ANNA, "family", false);
    let id = town.ask(BERT, Command::Join(name("family")));
    town.registry.silent = true;
    town.lose_the_answer_to_a_change(BERT);
    assert_eq!(town.answer(BERT, id).unwrap().unwrap_err().code, ErrorCode::DirectoryUnreachable);
    town.registry.silent = false;
    town.directory_comes();
    town.says(BERT, "family", "I am in");
    assert_eq!(town.lines(ANNA), ["@family bert: I am in"]);
}
