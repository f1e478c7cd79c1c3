//! The commands at the prompt, as scripts use them: their answers, their aliases, their errors, each line answered
//! once and in order.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use serde_json::Value;
use system_tests::checks::{numbered, texts_from};
use system_tests::programs::peer::text;
use system_tests::programs::{PATIENCE, World};

fn names(answer: &Value) -> Vec<String> {
    let people = answer["people"].as_array().expect("people");
    people.iter().map(|person| text(person, "name")).collect()
}

#[test]
fn every_line_is_answered_once_and_in_order() {
    let world = World::new();
    let alice = world.peer("alice");
    let bob = world.peer("bob");
    let lines = [
        "!help",
        "!whoami",
        "!who",
        "!nonsense",
        "!send bob one",
        "!send nobody two",
        "!status 99",
        "!contacts",
        "bare words",
        "!history bob",
        "!verify bob",
        "!send",
        "!cancel x",
        "!send bob three",
        "/whoami",
        "!chat bob",
        "in the conversation",
        "!close",
        "!help send",
    ];
    let places: Vec<usize> = lines.iter().map(|line| alice.command(&[line])).collect();
    for (place, line) in places.iter().zip(lines) {
        let answer = alice.answer(*place);
        let command = text(&answer, "command");
        let first = line.split_whitespace().next().unwrap();
        let bare = |word: &str| word.trim_start_matches(['!', '/']).to_string();
        if answer["event"] == "error" || line.starts_with(['!', '/']) {
            assert_eq!(bare(&command), bare(first), "the answer to {line:?}: {answer}");
        }
    }
    alice.ok("!whoami");
    bob.wait_message("alice", "in the conversation");
    assert_eq!(texts_from(&bob.history("alice"), "alice"), ["one", "three", "in the conversation"]);
    let answers = alice.log().lines(0, |line| line.event() == "result" || !line.json["command"].is_null());
    assert_eq!(answers.len(), 1 + lines.len() + 1, "no line is answered twice");
}

#[test]
fn an_unknown_command_is_never_sent_and_names_the_nearest() {
    let world = World::new();
    let (alice, bob) = (world.peer("alice"), world.peer("bob"));
    alice.ok("!chat bob");
    for (line, nearest) in
        [("!sned bob secret", "!send"), ("/hsitory bob", "history"), ("!quti", "!quit"), ("!SEDN x", "send")]
    {
        let answer = alice.ask(line);
        assert_eq!((&answer["event"], &answer["code"]), (&"error".into(), &"unknown-command".into()), "{answer}");
        assert!(text(&answer, "message").contains(nearest), "{line:?} names {nearest}: {answer}");
    }
    assert_eq!(alice.refused("!"), "unknown-command");
    alice.send("bob", "end");
    bob.wait_message("alice", "end");
    assert_eq!(texts_from(&bob.history("alice"), "alice"), ["end"]);
}

#[test]
fn both_prefixes_and_all_aliases_do_the_same() {
    let world = World::new();
    let (alice, bob) = (world.peer("alice"), world.peer("bob"));
    for (number, line) in ["!send bob", "/send bob", "!message bob", "/msg bob", "!SEND bob"].iter().enumerate() {
        alice.ok(&format!("{line} t{number}"));
        bob.wait_message("alice", &format!("t{number}"));
    }
    for line in ["!who", "/who", "!whoisonline", "!names"] {
        assert_eq!(names(&alice.ok(line)), ["alice", "bob"], "{line}");
    }
    for line in ["!history bob", "!gethistory bob", "/history BOB"] {
        assert_eq!(texts_from(alice.ok(line)["messages"].as_array().unwrap(), "alice"), numbered("t", 5), "{line}");
    }
    assert_eq!(alice.ok("!status 1")["trace"], alice.ok("!trace 1")["trace"]);
    alice.ok("!query bob");
    alice.ok("in conversation");
    bob.wait_message("alice", "in conversation");
    alice.ok("!close");
    alice.ok("!offline");
    bob.expect("presence", "alice offline", |presence| presence["state"] == "offline");
    alice.ok("!online");
    let mut carol = world.peer("carol");
    carol.command(&["!exit"]);
    assert_eq!(carol.wait_exit(), Some(0));
}

#[test]
fn a_conversation_takes_lines_without_a_prefix_and_a_doubled_prefix_is_text() {
    let world = World::new();
    let (alice, bob) = (world.peer("alice"), world.peer("bob"));
    let answer = alice.ask("hello?");
    assert_eq!((&answer["event"], &answer["command"]), (&"error".into(), &"hello?".into()), "{answer}");
    assert!(text(&answer, "message").contains("!chat"), "it says how: {answer}");
    alice.ok("!chat bob");
    for (line, wanted) in
        [("plain words", "plain words"), ("!!bang", "!bang"), ("//slash", "/slash"), ("a !b /c", "a !b /c")]
    {
        alice.ok(line);
        bob.wait_message("alice", wanted);
    }
    alice.ok("!close");
    assert_eq!(alice.ask("after")["event"], "error");
    assert_eq!(alice.refused("!chat nobody"), "no-such-user");
    assert_eq!(bob.history("alice").len(), 4);
}

#[test]
fn who_lists_everybody_with_state_oneself_included() {
    let world = World::new();
    let alice = world.peer("alice");
    let mut bob = world.peer("Bob");
    world.peer("carol").quit();
    let answer = alice.ok("!who");
    assert_eq!(names(&answer), ["alice", "Bob", "carol"]);
    let people = answer["people"].as_array().unwrap();
    let states: Vec<String> = people.iter().map(|person| text(person, "state")).collect();
    assert_eq!(states, ["online", "online", "offline"]);
    assert!(people.iter().all(|person| !person["since"].is_null() && person.get("reachable").is_some()), "{answer}");
    assert_eq!(names(&alice.ok("!who BO")), ["Bob"]);
    assert_eq!(names(&alice.ok("!who zzz")), Vec::<String>::new());
    bob.kill_9();
    system_tests::programs::eventually("bob is shown offline", Duration::from_secs(5), || {
        alice.ok("!who bob")["people"][0]["state"] == "offline"
    });
}

#[test]
fn whoami_says_name_fingerprint_directory_and_state() {
    let world = World::new();
    let alice = world.setup("alice").start();
    let answer = alice.ok("!whoami");
    assert_eq!((&answer["name"], &answer["state"]), (&Value::Null, &"unregistered".into()));
    alice.ok("!register alice");
    let answer = alice.ok("!whoami");
    assert_eq!((&answer["name"], &answer["state"]), (&"alice".into(), &"online".into()));
    assert_eq!(text(&answer, "fingerprint"), text(&alice.expect("ready", "", |_| true), "fingerprint"));
    assert_eq!(text(&answer, "directory"), world.directory.address().to_string());
    assert!(answer["addresses"].to_string().contains(&alice.address().to_string()), "{answer}");
    alice.ok("!logout");
    assert_eq!(alice.ok("!whoami")["state"], "offline");
}

#[test]
fn registering_is_answered_after_online_and_online_after_registered() {
    let world = World::new();
    let alice = world.peer("alice");
    let events: Vec<String> = alice.log().lines(0, |_| true).iter().map(|line| line.event().to_string()).collect();
    assert_eq!(events[..4], ["ready", "registered", "online", "result"]);
    alice.ok("!register alice");
    assert_eq!(alice.log().lines(0, |line| line.event() == "registered").len(), 1, "it was registered before");
}

#[test]
fn sending_is_refused_with_stable_codes() {
    let mut world = World::new();
    let fresh = world.setup("fresh").start();
    assert_eq!(fresh.refused("!send bob hello"), "not-registered");
    let alice = world.peer("Alice");
    assert_eq!(alice.refused("!send alice hello"), "to-yourself");
    assert_eq!(alice.refused("!send nobody hello"), "no-such-user");
    assert_eq!(alice.refused("!send no.body hello"), "bad-name");
    assert_eq!(alice.refused("!send"), "bad-argument");
    assert_eq!(alice.refused("!login now please"), "bad-argument");
    for line in ["!status", "!status x", "!cancel", "!history", "!chat", "!verify"] {
        assert_eq!(alice.refused(line), "bad-argument", "{line}");
    }
    assert_eq!(alice.refused("!status 4711"), "no-such-message");
    assert_eq!(alice.refused("!cancel 4711"), "no-such-message");
    assert_eq!(alice.refused("!verify nobody"), "no-such-user");
    assert_eq!(alice.refused("!help nonsense"), "unknown-command");
    world.directory.kill_9();
    assert_eq!(alice.refused("!send stranger hello"), "directory-unreachable");
    assert_eq!(alice.refused("!who"), "directory-unreachable");
    let kept = alice.ok("!contacts").to_string();
    assert!(!kept.contains("stranger") && !kept.contains("nobody"), "nothing is stored: {kept}");
}

#[test]
fn help_lists_the_commands_and_explains_each_with_an_example() {
    let world = World::new();
    let alice = world.peer("alice");
    let all = alice.ok("!help").to_string();
    let commands = [
        "help",
        "register",
        "deregister",
        "login",
        "logout",
        "whoami",
        "who",
        "send",
        "chat",
        "close",
        "history",
        "status",
        "cancel",
        "contacts",
        "verify",
        "quit",
    ];
    for command in commands {
        assert!(all.contains(&format!("!{command}")), "!help lists !{command}");
        let one = alice.ok(&format!("!help {command}")).to_string();
        assert!(one.contains(&format!("!{command}")), "!help {command}: {one}");
    }
    assert!(alice.ok("!help !send").to_string().contains("!send bob"), "an example");
}

#[test]
fn history_is_oldest_first_counted_and_paged() {
    let world = World::new();
    let (alice, bob) = (world.peer("alice"), world.peer("bob"));
    let sent = alice.send_many("bob", "m", 0..10);
    alice.wait_states(&sent, "delivered", PATIENCE);
    let back = bob.send("alice", "answer");
    bob.wait_state(&back.id, "delivered");
    alice.wait_message("bob", "answer");
    let page = |line: &str| {
        let answer = alice.ok(line);
        let messages = answer["messages"].as_array().unwrap().clone();
        messages.iter().map(|message| text(message, "text")).collect::<Vec<_>>()
    };
    assert_eq!(page("!history bob 3"), ["m8", "m9", "answer"]);
    let before = sent[4].n;
    assert_eq!(page(&format!("!history bob 2 before {before}")), ["m2", "m3"]);
    assert_eq!(page(&format!("!history bob 100 before {before}")), numbered("m", 4));
    assert_eq!(page("!history bob 10000").len(), 11);
    assert_eq!(alice.refused("!history bob 10001"), "bad-argument");
    let whole = alice.history("bob");
    assert!(whole[..10].iter().all(|message| message["state"] == "delivered" && message["to"] == "bob"), "{whole:?}");
    assert_eq!(whole[10]["from"], "bob");
    assert!(
        whole[10].get("state").is_none() || whole[10]["state"].is_null(),
        "a state is for one's own: {}",
        whole[10]
    );
}

#[test]
fn numbers_are_stable_and_never_used_again() {
    let world = World::new();
    let mut alice = world.peer("alice");
    let bob = world.peer("bob");
    let first = alice.send("bob", "one");
    bob.wait_message("alice", "one");
    let back = bob.send("alice", "two");
    let two = alice.wait_message("bob", "two");
    assert_eq!((first.n, two["n"].as_u64(), text(&two, "id")), (1, Some(2), back.id.clone()));
    alice.wait_states(std::slice::from_ref(&first), "delivered", PATIENCE);
    alice.quit();
    alice.restart_online();
    let third = alice.send("bob", "three");
    assert_eq!(third.n, 3);
    let numbers: Vec<Option<u64>> = alice.history("bob").iter().map(|message| message["n"].as_u64()).collect();
    assert_eq!(numbers, [Some(1), Some(2), Some(3)]);
    assert!(first.id < third.id, "identities grow with time");
}

#[test]
fn status_tells_every_step_with_its_time_and_path() {
    let world = World::new();
    let alice = world.peer("alice");
    let mut bob = world.peer("bob");
    bob.quit();
    let sent = alice.send("bob", "trace me");
    alice.wait_state(&sent.id, "kept");
    bob.restart_online();
    alice.wait_state(&sent.id, "delivered");
    let answer = alice.ok(&format!("!status {}", sent.n));
    let steps: Vec<String> =
        answer["trace"].as_array().expect("a trace").iter().map(|step| text(step, "state")).collect();
    let places: Vec<Option<usize>> =
        ["queued", "kept", "delivered"].iter().map(|state| steps.iter().position(|step| step == state)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{answer}");
    assert!(answer.to_string().contains("directory"), "the path: {answer}");
    let times: Vec<String> = answer["trace"].as_array().unwrap().iter().map(|step| text(step, "at")).collect();
    // Of one form, so that their order as words is their order in time.
    assert!(times.iter().all(|time| is_rfc_3339(time)) && times.is_sorted(), "{answer}");
    let sent_at = text(&alice.history("bob")[0], "sent_at");
    assert!(times[0] >= sent_at && sent_at.len() == times[0].len(), "from when it was sent, {sent_at}: {answer}");
}

/// Whether `time` is one of RFC 3339 in UTC with milliseconds, as `2026-02-03T14:02:07.123Z`.
fn is_rfc_3339(time: &str) -> bool {
    let shape: String = time.chars().map(|one| if one.is_ascii_digit() { '0' } else { one }).collect();
    shape == "0000-00-00T00:00:00.000Z"
}

#[test]
fn a_cancelled_message_never_arrives() {
    let world = World::new();
    let alice = world.peer("alice");
    let mut bob = world.peer("bob");
    bob.quit();
    let keep = alice.send("bob", "stays");
    let gone = alice.send("bob", "cancelled");
    let last = alice.send("bob", "stays too");
    alice.wait_states(&[keep.clone(), gone.clone(), last.clone()], "kept", PATIENCE);
    alice.ok(&format!("!cancel {}", gone.n));
    alice.wait_state(&gone.id, "cancelled");
    bob.restart_online();
    alice.wait_states(&[keep.clone(), last], "delivered", PATIENCE);
    bob.wait_message("alice", "stays too");
    assert_eq!(texts_from(&bob.history("alice"), "alice"), ["stays", "stays too"]);
    assert_eq!(bob.expect("pending", "count", |_| true)["count"], 2);
    assert!(bob.log().lines(0, |line| line.event() == "gap").is_empty(), "what was withdrawn leaves no gap");
    assert_eq!(alice.ask(&format!("!cancel {}", keep.n))["event"], "error", "what is delivered cannot be withdrawn");
    assert_eq!(alice.states_of(&gone.id).last().map(String::as_str), Some("cancelled"));
}

#[test]
fn deregistering_asks_once_more_while_messages_wait() {
    let world = World::new();
    let alice = world.peer("alice");
    world.peer("bob").quit();
    let waiting = alice.send("bob", "waits");
    alice.wait_state(&waiting.id, "kept");
    let asked = alice.ask("!deregister").to_string();
    assert!(asked.contains("!deregister yes"), "it says how to go on: {asked}");
    assert_eq!(alice.ok("!whoami")["name"], "alice", "not without a second word");
    alice.ok("!deregister yes");
    alice.expect("deregistered", "own", |event| event["name"] == "alice");
    assert_eq!(alice.ok("!whoami")["name"], Value::Null);
}

#[test]
fn verify_shows_both_fingerprints_and_marks_the_key() {
    let world = World::new();
    let (alice, bob) = (world.peer("alice"), world.peer("bob"));
    let hello = alice.send("bob", "hello");
    alice.wait_state(&hello.id, "delivered");
    let shown = alice.ok("!verify bob").to_string();
    for peer in [&alice, &bob] {
        assert!(shown.contains(&text(&peer.ok("!whoami"), "fingerprint")), "both fingerprints: {shown}");
    }
    let contact = |peer: &system_tests::programs::Peer, name: &str| {
        let answer = peer.ok("!contacts");
        answer["contacts"].as_array().expect("contacts").iter().find(|contact| contact["name"] == name).cloned()
    };
    assert_eq!(contact(&alice, "bob").expect("bob is a contact")["verified"], false);
    alice.ok("!verify bob ok");
    assert_eq!(contact(&alice, "bob").expect("bob is a contact")["verified"], true);
}

#[test]
fn presence_is_told_of_people_one_has_talked_to_and_in_a_small_house_of_everybody() {
    let world = World::new();
    let alice = world.peer("alice");
    let (bob, carol) = (world.peer("bob"), world.peer("carol"));
    let hello = alice.send("bob", "hello");
    alice.wait_state(&hello.id, "delivered");
    for (name, mut other) in [("bob", bob), ("carol", carol)] {
        let told = |mark, state: &str| {
            alice.expect_line(mark, PATIENCE, "presence", &format!("{name} {state}"), |event| {
                event["name"] == name && event["state"] == state
            });
        };
        let mark = alice.mark();
        other.quit();
        told(mark, "offline");
        let mark = alice.mark();
        other.restart_online();
        told(mark, "online");
    }
}
