//! The user's commands on a line.

use common::body::{Body, Delete, Edit, Forward, Reaction, Text};
use common::limits::TEXT_MAX_BYTES;
use common::message::{Conversation, MessageId};

use super::bench::{Bench, GROUP, bob, carol, identity, line, to};
use crate::command::{Command, ErrorCode, Which};
use crate::event::{Answer, Event};
use crate::stored::{Amended, Gone, Reason, State, StoreOp, StoredMessage, Talk};

const ID: MessageId = MessageId([0x11; 16]);

fn with_line(change: impl FnOnce(&mut StoredMessage)) -> Bench {
    let mut bench = Bench::new();
    let mut line = line(12, ID, "on my way");
    change(&mut line);
    bench.lines.insert(12, line);
    bench
}

fn reply(n: u64, text: &str) -> Command {
    Command::Reply { n, text: text.to_owned() }
}

fn edit(n: u64, text: &str) -> Command {
    Command::Edit { n, text: text.to_owned() }
}

fn react(n: u64, emoji: &str) -> Command {
    Command::React { n, emoji: emoji.to_owned() }
}

#[test]
fn a_reply_goes_to_the_conversation_of_its_line_and_names_it() {
    let mut bench = with_line(|_| {});
    let answer = bench.command(reply(12, "  yes")).unwrap();
    assert!(matches!(answer, Answer::Sent { ref to, .. } if to == "bob"), "{answer:?}");
    assert_eq!(bench.queued(), (vec![bob()], Body::Text(Text { text: "  yes".into(), reply_to: Some(ID) })));
}

#[test]
fn the_name_of_the_other_before_a_reply_is_no_part_of_it_if_more_follows() {
    for (typed, text) in [("BOB yes I do", "yes I do"), ("bob", "bob"), ("bob  ", "bob  "), ("carol yes", "carol yes")]
    {
        let mut bench = with_line(|_| {});
        bench.command(reply(12, typed)).unwrap();
        assert_eq!(bench.queued().1.text(), Some(text), "{typed:?}");
    }
}

#[test]
fn what_is_said_to_a_line_of_a_group_goes_to_all_other_members() {
    let mut bench = with_line(|line| line.conversation = Conversation::Group { id: GROUP, membership: 1 });
    assert_eq!(bench.command(reply(12, "yes")), Err(ErrorCode::NotAMember));
    bench.in_a_group();
    bench.command(reply(12, "yes")).unwrap();
    let mut recipients = bench.queued().0;
    recipients.sort_unstable();
    let mut others = vec![bob(), carol()];
    others.sort_unstable();
    assert_eq!(recipients, others);
    let changed = bench.command(react(12, "👍")).unwrap();
    assert!(matches!(changed, Answer::Changed { ref conversation, n: 12, .. } if conversation == "@family"));
    assert_eq!(bench.queued().0.len(), 2);
}

#[test]
fn a_text_with_a_line_it_answers_stays_in_that_lines_conversation() {
    for which in [Which::Number(12), Which::Id(ID)] {
        let mut bench = with_line(|_| {});
        let send = |name: &str, which| Command::Send {
            to: to(name),
            text: "yes".into(),
            key: None,
            urgent: false,
            reply_to: Some(which),
        };
        assert!(matches!(bench.command(send("bob", which)), Ok(Answer::Sent { .. })));
        assert_eq!(bench.queued().1.reply_to(), Some(ID));
        assert_eq!(bench.command(send("carol", which)), Err(ErrorCode::NoSuchMessage));
        assert_eq!(bench.command(send("bob", Which::Number(99))), Err(ErrorCode::NoSuchMessage));
    }
}

#[test]
fn what_is_asked_behind_a_command_on_a_line_waits_for_it() {
    let mut bench = with_line(|_| {});
    bench.command(reply(12, "first")).unwrap();
    bench.send("bob", "second");
    let texts: Vec<String> = bench
        .ops
        .iter()
        .filter_map(|op| match op {
            StoreOp::Queue(new) => Body::decode(new.row.kind, &new.row.body).text().map(str::to_owned),
            _ => None,
        })
        .collect();
    assert_eq!(texts, ["first", "second"]);
}

#[test]
fn an_edit_takes_effect_here_with_its_commit_and_goes_out() {
    let mut bench = Bench::new();
    let (n, id) = bench.send("bob", "helo");
    let changed = bench.command(edit(n, "hello")).unwrap();
    assert_eq!(changed, Answer::Changed { n, id, conversation: "bob".into() });
    assert_eq!(bench.queued(), (vec![bob()], Body::Edit(Edit { target: id, text: "hello".into() })));
    let Some(StoreOp::Queue(new)) = bench.ops.iter().rfind(|op| matches!(op, StoreOp::Queue(_))) else { panic!() };
    let amends = new.amends.as_ref().expect("it is done here too");
    assert_eq!((amends.author, amends.target), (identity(1).public(), id));
    assert_eq!(amends.what, Amended::Edit("hello".into()));
    assert!(!new.row.ordered && new.row.after.is_none(), "it orders nothing");
    let told = bench.events.iter().filter(|event| matches!(event, Event::State(_))).count();
    assert_eq!(told, 1, "an edit has no state of its own to tell");
}

#[test]
fn a_deletion_cancels_what_is_not_delivered_in_the_same_transaction_and_goes_out() {
    let mut bench = Bench::new();
    let (n, target) = bench.send("bob", "oops");
    bench.ops.clear();
    bench.command(Command::Delete(n)).unwrap();
    assert_eq!(bench.queued(), (vec![bob()], Body::Delete(Delete { target })));
    let cancelled = bench.ops.iter().any(|op| {
        let (state, reason) = (State::Cancelled, Some(Reason::User));
        matches!(op, StoreOp::State { n: of, state: s, reason: r, .. } if *of == n && *s == state && *r == reason)
    });
    assert!(cancelled, "{:?}", bench.ops);
}

#[test]
fn only_ones_own_texts_are_edited_and_taken_back() {
    let mut bench = with_line(|_| {});
    assert_eq!(bench.command(edit(12, "x")), Err(ErrorCode::NotAllowed));
    assert_eq!(bench.command(Command::Delete(12)), Err(ErrorCode::NotAllowed));
    let forward = Body::Forward(Forward { text: "t".into(), author: "carol".into(), written_ms: 1 }).encode();
    let mut bench = with_line(|line| (line.mine, (line.kind, line.body)) = (true, forward));
    assert_eq!(bench.command(edit(12, "x")), Err(ErrorCode::NotAllowed), "somebody else's words");
    let mut bench = with_line(|line| (line.mine, line.state) = (true, Some((State::Expired, None))));
    assert_eq!(bench.command(edit(12, "x")), Err(ErrorCode::NoSuchMessage), "nobody would see it");
    assert!(!bench.ops.iter().any(|op| matches!(op, StoreOp::Queue(_))));
}

#[test]
fn commands_on_no_line_say_so() {
    let amendment = Body::Delete(Delete { target: ID }).encode();
    let mut gone = with_line(|line| (line.mine, line.gone) = (true, Some(Gone::Vanished)));
    let mut none = with_line(|line| (line.mine, (line.kind, line.body)) = (true, amendment));
    for bench in [&mut gone, &mut none] {
        for command in [
            reply(12, "x"),
            edit(12, "x"),
            Command::Delete(12),
            react(12, "x"),
            Command::Forward { n: 12, to: to("carol") },
            reply(99, "x"),
        ] {
            assert_eq!(bench.command(command.clone()), Err(ErrorCode::NoSuchMessage), "{command:?}");
        }
    }
}

#[test]
fn wrong_texts_signs_and_people_are_refused_before_the_line_is_read() {
    let mut bench = with_line(|_| {});
    let long = "x".repeat(TEXT_MAX_BYTES + 1);
    assert_eq!(bench.command(reply(12, &long)), Err(ErrorCode::TooLarge));
    assert_eq!(bench.command(edit(12, &long)), Err(ErrorCode::TooLarge));
    assert_eq!(bench.command(reply(12, "")), Err(ErrorCode::BadArgument));
    for sign in ["\u{1b}[2J", "a b", &"x".repeat(33)] {
        assert_eq!(bench.command(react(12, sign)), Err(ErrorCode::BadArgument), "{sign:?}");
    }
    assert_eq!(bench.command(Command::Forward { n: 12, to: to("anna") }), Err(ErrorCode::ToYourself));
    assert_eq!(bench.command(Command::Forward { n: 12, to: to("@nobody") }), Err(ErrorCode::NoSuchGroup));
    assert!(bench.queries.len() == 1, "only the last one is about a line");
    bench.core.meta.suspended = true;
    assert_eq!(bench.command(react(12, "x")), Err(ErrorCode::Suspended));
    bench.core.name = None;
    assert_eq!(bench.command(react(12, "x")), Err(ErrorCode::NotRegistered));
}

#[test]
fn a_sign_names_the_writer_of_its_line() {
    let mut bench = with_line(|_| {});
    bench.command(react(12, "👍")).unwrap();
    let theirs = Body::Reaction(Reaction { author: bob(), target: ID, emoji: "👍".into() });
    assert_eq!(bench.queued(), (vec![bob()], theirs));
    let (n, target) = bench.send("bob", "mine");
    bench.command(react(n, "")).unwrap();
    let mine = Body::Reaction(Reaction { author: identity(1).public(), target, emoji: String::new() });
    assert_eq!(bench.queued().1, mine);
}

#[test]
fn what_is_passed_on_says_whose_it_was() {
    let mut bench = with_line(|_| {});
    let answer = bench.command(Command::Forward { n: 12, to: to("carol") }).unwrap();
    assert!(matches!(answer, Answer::Sent { ref to, .. } if to == "carol"));
    let forward = Forward { text: "on my way".into(), author: "bob".into(), written_ms: 5 };
    assert_eq!(bench.queued(), (vec![carol()], Body::Forward(forward.clone())));
    // Passed on again, it is still bob's.
    let (kind, body) = Body::Forward(forward.clone()).encode();
    let mut bench = with_line(|line| (line.kind, line.body, line.sender, line.other) = (kind, body, carol(), carol()));
    bench.command(Command::Forward { n: 12, to: to("bob") }).unwrap();
    assert_eq!(bench.queued(), (vec![bob()], Body::Forward(forward)));
}

#[test]
fn somebody_unknown_is_looked_up_before_a_text_is_passed_on_to_them() {
    let mut bench = with_line(|_| {});
    let source = crate::event::Source(1);
    let id = crate::event::CommandId { source, number: 1 };
    let command = Ok(Command::Forward { n: 12, to: to("dora") });
    bench.input(crate::event::Input::Command { id, command });
    assert_eq!(bench.core.answers.blocked_by(source), Some(id), "it waits for the directory");
    bench.wait(6_000);
    let unreachable = bench.events.iter().any(|event| {
        matches!(event, Event::Answer { answer: Err(error), .. } if error.code == ErrorCode::DirectoryUnreachable)
    });
    assert!(unreachable);
}

#[test]
fn searching_in_a_conversation_with_nobody_searches_for_these_words() {
    use crate::stored::Query;
    let mut bench = Bench::new();
    let search = |within| Command::Search { words: vec!["soup".into()], within };
    bench.command(search(Some(to("bob")))).unwrap();
    let answer = bench.command(search(Some(to("nobody")))).unwrap();
    assert!(matches!(answer, Answer::Found { ref words, .. } if words == &["soup", "in", "nobody"]), "{answer:?}");
    let asked: Vec<(usize, Option<Talk>)> = bench
        .queries
        .iter()
        .map(|query| match query {
            Query::Search { words, within, .. } => (words.len(), *within),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(asked, [(1, Some(Talk::Pair(bob()))), (3, None)]);
}

#[test]
fn texts_are_forgotten_only_after_a_yes() {
    let mut bench = Bench::new();
    let forget = |name: &str, sure| Command::Forget { with: to(name), sure };
    let answer = bench.command(forget("bob", false)).unwrap();
    assert_eq!(answer, Answer::Forgotten { conversation: "bob".into(), count: None });
    assert!(!bench.ops.iter().any(|op| matches!(op, StoreOp::ForgetTexts(_))));
    let answer = bench.command(forget("bob", true)).unwrap();
    assert_eq!(answer, Answer::Forgotten { conversation: "bob".into(), count: Some(3) });
    assert_eq!(bench.command(forget("nobody", true)), Err(ErrorCode::NoSuchUser));
    assert_eq!(bench.command(forget("@nobody", true)), Err(ErrorCode::NoSuchGroup));
    let history = |name| Command::History { with: to(name), count: 5, before: None };
    assert_eq!(bench.command(history("@family")), Err(ErrorCode::NoSuchGroup));
    bench.in_a_group();
    let answer = bench.command(history("@family")).unwrap();
    assert!(matches!(answer, Answer::History { ref with, .. } if with == "@family"));
}
