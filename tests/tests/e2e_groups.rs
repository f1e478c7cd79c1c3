//! Groups with the real programs: founding, joining, inviting, talking, leaving, being taken out, and each wrong use.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::Value;
use system_tests::programs::World;
use system_tests::programs::peer::{Peer, text};

/// Waits until something has happened in a group, in this run.
fn happened(peer: &Peer, change: &str, name: &str, group: &str) -> Value {
    peer.expect("group", &format!("{change} {name} {group}"), |event| {
        event["change"] == change && event["name"] == name && event["group"] == group
    })
}

/// Waits until a message to a group is so far.
fn counted(peer: &Peer, id: &str, delivered: u64, kept: u64) -> Value {
    peer.expect("state", &format!("{delivered} delivered, {kept} kept"), |event| {
        event["id"] == id && event["tally"]["delivered"] == delivered && event["tally"]["kept"] == kept
    })
}

fn members(peer: &Peer, group: &str) -> Vec<String> {
    let answer = peer.ok(&format!("!members {group}"));
    answer["members"].as_array().expect("members").iter().map(|member| text(member, "name")).collect()
}

#[test]
fn a_message_to_a_group_reaches_each_member_once_and_is_counted() {
    let world = World::new();
    let (anna, bert, carla) = (world.peer("anna"), world.peer("bert"), world.peer("carla"));
    let mut dora = world.peer("dora");
    assert_eq!(anna.ok("!create family")["change"], "created");
    for (place, peer) in [&bert, &carla, &dora].into_iter().enumerate() {
        let joined = peer.ok("!join @Family");
        assert_eq!((&joined["change"], &joined["group"]), (&"joined".into(), &"@family".into()), "as it is called");
        happened(&anna, "joined", ["bert", "carla", "dora"][place], "@family");
    }
    assert_eq!(members(&carla, "family"), ["anna", "bert", "carla", "dora"]);

    let first = anna.send("@family", "who cooks?");
    let state = counted(&anna, &first.id, 3, 0);
    assert_eq!(
        (&state["state"], &state["to"], &state["tally"]["total"]),
        (&"delivered".into(), &"@family".into(), &3.into())
    );
    for peer in [&bert, &carla, &dora] {
        let message = peer.wait_message("anna", "who cooks?");
        assert_eq!(message["id"], first.id.as_str());
        assert_eq!((&message["conversation"], &message["request"]), (&"@family".into(), &false.into()));
    }

    dora.quit();
    happened_presence(&anna, "dora", "offline");
    let second = anna.send("@family", "supper is at eight");
    let state = counted(&anna, &second.id, 2, 1);
    assert_eq!(state["state"], "kept");
    dora.restart_online();
    let late = dora.wait_message("anna", "supper is at eight");
    assert_eq!((&late["offline"], &late["conversation"]), (&true.into(), &"@family".into()));
    assert_eq!(counted(&anna, &second.id, 3, 0)["state"], "delivered");
    let said: Vec<String> = dora.history("@family").iter().map(|message| text(message, "text")).collect();
    assert_eq!(said, ["who cooks?", "supper is at eight"]);
}

fn happened_presence(peer: &Peer, name: &str, state: &str) {
    peer.expect("presence", &format!("{name} {state}"), |event| event["name"] == name && event["state"] == state);
}

#[test]
fn each_wrong_use_has_its_own_error() {
    let world = World::new();
    let (anna, bert, carla) = (world.peer("anna"), world.peer("bert"), world.peer("carla"));
    anna.ok("!create family");
    anna.ok("!create secret private");
    bert.ok("!join family");
    for line in [
        "!join nowhere",
        "!leave nowhere",
        "!send @nowhere x",
        "!members nowhere",
        "!invite carla nowhere",
        "!join secret",
    ] {
        assert_eq!(bert.refused(line), "no-such-group", "{line}");
    }
    for line in ["!leave family", "!send @family x", "!invite bert family", "!kick bert family"] {
        assert_eq!(carla.refused(line), "not-a-member", "{line}");
    }
    assert_eq!(anna.refused("!kick carla family"), "not-a-member");
    for line in ["!join family", "!invite anna family", "!invite bert family"] {
        assert_eq!(bert.refused(line), "already-a-member", "{line}");
    }
    assert_eq!(bert.refused("!create FAMILY"), "group-exists");
    assert_eq!(bert.refused("!kick anna family"), "not-allowed");
    assert_eq!(anna.refused("!send @secret x"), "not-allowed");
    assert_eq!(anna.refused("!invite nobody family"), "no-such-user");
    let stranger = world.setup("stranger").start();
    for line in ["!create other", "!join family", "!send @family x"] {
        assert_eq!(stranger.refused(line), "not-registered", "{line}");
    }
}

#[test]
fn the_owner_leaves_and_an_empty_group_leaves_its_name_to_another() {
    let world = World::new();
    let (anna, bert) = (world.peer("anna"), world.peer("bert"));
    anna.ok("!create family");
    bert.ok("!join family");
    let first = bert.send("@family", "of the old one");
    counted(&bert, &first.id, 1, 0);
    anna.wait_message("bert", "of the old one");
    assert_eq!(anna.ok("!leave family")["change"], "left");
    happened(&bert, "left", "anna", "@family");
    let listed = bert.ok("!members family");
    assert_eq!((&listed["members"][0]["name"], &listed["members"][0]["owner"]), (&"bert".into(), &true.into()));
    bert.ok("!leave family");
    happened(&bert, "removed", "bert", "@family");
    assert_eq!(bert.refused("!join family"), "no-such-group");

    bert.ok("!create family");
    anna.ok("!join family");
    happened(&bert, "joined", "anna", "@family");
    let second = anna.send("@family", "of the new one");
    counted(&anna, &second.id, 1, 0);
    bert.wait_message("anna", "of the new one");
    let said: Vec<String> = bert.history("@family").iter().map(|message| text(message, "text")).collect();
    assert_eq!(said, ["of the new one"], "another group, another history");
}

#[test]
fn a_private_group_takes_whom_a_member_invites_also_while_they_are_away() {
    let world = World::new();
    let anna = world.peer("anna");
    let mut bert = world.peer("bert");
    anna.ok("!create secret private");
    bert.quit();
    assert_eq!(anna.ok("!invite bert secret")["change"], "invited");
    bert.restart_online();
    assert_eq!(happened(&bert, "invited", "bert", "@secret")["by"], "anna");
    assert!(bert.log().lines(0, |line| line.event() == "message").is_empty(), "it is no line");
    let listed = bert.ok("!groups");
    assert_eq!((&listed["groups"][0]["name"], &listed["groups"][0]["invited"]), (&"@secret".into(), &true.into()));
    bert.ok("!join secret");
    let sent = bert.send("@secret", "psst");
    counted(&bert, &sent.id, 1, 0);
    anna.wait_message("bert", "psst");
}

#[test]
fn a_conversation_grows_into_a_group() {
    let world = World::new();
    let (anna, bert, carla) = (world.peer("anna"), world.peer("bert"), world.peer("carla"));
    anna.ok("!chat bert");
    assert_eq!(anna.ok("!invite carla trip")["change"], "invited");
    happened(&anna, "created", "anna", "@trip");
    for (peer, name) in [(&bert, "bert"), (&carla, "carla")] {
        assert_eq!(happened(peer, "invited", name, "@trip")["by"], "anna");
        peer.ok("!join trip");
        happened(&anna, "joined", name, "@trip");
    }
    anna.ok("!chat @trip");
    let sent = anna.ok("where to?");
    counted(&anna, &text(&sent, "id"), 2, 0);
    carla.wait_message("anna", "where to?");
    bert.wait_message("anna", "where to?");
}

#[test]
fn whoever_is_taken_out_gets_nothing_more() {
    let world = World::new();
    let (anna, bert, carla) = (world.peer("anna"), world.peer("bert"), world.peer("carla"));
    anna.ok("!create family");
    bert.ok("!join family");
    carla.ok("!join family");
    happened(&bert, "joined", "carla", "@family");
    let before = bert.send("@family", "before");
    counted(&bert, &before.id, 2, 0);
    anna.ok("!kick carla family");
    assert_eq!(happened(&bert, "kicked", "carla", "@family")["by"], "anna");
    happened(&carla, "kicked", "carla", "@family");
    let after = bert.send("@family", "after");
    let state = counted(&bert, &after.id, 1, 0);
    assert_eq!(state["tally"]["total"], 1);
    assert_eq!(carla.refused("!send @family and I?"), "not-a-member");
    assert_eq!(carla.refused("!join family"), "not-allowed");
    let said: Vec<String> = carla.history("@family").iter().map(|message| text(message, "text")).collect();
    assert_eq!(said, ["before"]);
    // A word to carla alone, after it: nothing else is on its way to her.
    let alone = bert.send("carla", "just us");
    bert.wait_state(&alone.id, "delivered");
    carla.wait_message("bert", "just us");
    assert!(carla.messages_from("bert").iter().all(|line| line.json["text"] != "after"));
}

/// Three in one group, who know of each other.
fn three_in_a_group(world: &World) -> [Peer; 3] {
    let [anna, bert, carla] = ["anna", "bert", "carla"].map(|name| world.peer(name));
    anna.ok("!create family");
    bert.ok("!join family");
    carla.ok("!join family");
    for peer in [&anna, &bert] {
        happened(peer, "joined", "carla", "@family");
    }
    [anna, bert, carla]
}

/// The line with this identity, as `!history @family` shows it.
fn line(peer: &Peer, id: &str) -> Value {
    peer.history("@family").into_iter().find(|line| line["id"] == id).unwrap_or_default()
}

#[test]
fn what_is_done_to_a_line_of_a_group_reaches_all_its_members() {
    let world = World::new();
    let all @ [anna, bert, carla] = &three_in_a_group(&world);
    let sent = anna.send("@family", "who cooks?");
    let number = |peer: &Peer| peer.wait_message("anna", "who cooks?")["n"].as_u64().unwrap();
    let (at_bert, at_carla) = (number(bert), number(carla));

    let reply = bert.ok(&format!("!reply {at_bert} I do"));
    for peer in [anna, carla] {
        let answered = peer.wait_message("bert", "I do");
        assert_eq!((&answered["id"], &answered["reply_to"]), (&reply["id"], &sent.id.as_str().into()));
        assert_eq!((&answered["conversation"], &answered["quote"]["text"]), (&"@family".into(), &"who cooks?".into()));
    }

    carla.ok(&format!("!react {at_carla} 👍"));
    for peer in [anna, bert] {
        let reacted = peer.expect("reacted", "the question", |event| event["id"] == sent.id.as_str());
        assert_eq!((text(&reacted, "by"), text(&reacted, "emoji")), ("carla".into(), "👍".into()));
    }

    anna.ok(&format!("!edit {} who cooks tonight?", sent.n));
    for peer in [bert, carla] {
        let edited = peer.expect("edited", "the question", |event| event["id"] == sent.id.as_str());
        assert_eq!((text(&edited, "by"), text(&edited, "text")), ("anna".into(), "who cooks tonight?".into()));
    }
    for peer in all {
        let line = line(peer, &sent.id);
        assert_eq!((text(&line, "text"), &line["edited"]), ("who cooks tonight?".into(), &true.into()), "{line}");
        assert!(line["reactions"].to_string().contains('👍'), "{line}");
    }
    for (peer, n) in [(bert, at_bert), (carla, at_carla)] {
        assert_eq!(peer.refused(&format!("!edit {n} x")), "not-allowed");
        assert_eq!(peer.refused(&format!("!delete {n}")), "not-allowed");
    }

    anna.ok(&format!("!delete {}", sent.n));
    for peer in [bert, carla] {
        peer.expect("deleted", "the question", |event| event["id"] == sent.id.as_str() && event["by"] == "anna");
    }
    for peer in all {
        let line = line(peer, &sent.id);
        assert_eq!((&line["text"], &line["gone"]), (&Value::Null, &"deleted".into()), "{line}");
    }
}

#[test]
fn texts_of_a_group_vanish_at_all_its_members() {
    let world = World::new();
    let all @ [anna, bert, carla] = &three_in_a_group(&world);
    let plain = anna.send("@family", "stays");
    counted(anna, &plain.id, 2, 0);
    assert_eq!(anna.ok("!expire @family 2s")["after_ms"], 2_000);
    for peer in [bert, carla] {
        let told = peer.expect("expiry", "from anna", |event| event["conversation"] == "@family");
        assert_eq!((text(&told, "by"), &told["after_ms"]), ("anna".into(), &2_000.into()));
    }
    // Not only what is said by who has agreed it.
    let sent = bert.send("@family", "burn this");
    for peer in [anna, carla] {
        assert_eq!(peer.wait_message("bert", "burn this")["vanishes_ms"], 2_000);
    }
    for peer in all {
        peer.expect("vanished", "the secret", |event| event["n"].as_array().is_some_and(|gone| gone.len() == 1));
        let line = line(peer, &sent.id);
        assert_eq!((&line["text"], &line["gone"]), (&Value::Null, &"vanished".into()), "{line}");
        assert_eq!(peer.history("@family")[0]["text"], "stays");
    }
}

#[test]
fn one_message_and_out_goes_to_a_group_too() {
    let world = World::new();
    let (mut anna, bert) = (world.peer("anna"), world.peer("bert"));
    anna.ok("!create family");
    bert.ok("!join family");
    happened(&anna, "joined", "bert", "@family");
    anna.quit();
    let out = world.setup("anna").run(&["send", "--wait", "delivered", "@family", "and", "out"], b"");
    assert_eq!(out.code, Some(0), "{}", out.all_text());
    bert.wait_message("anna", "and out");
    let none = world.setup("anna").run(&["send", "@nowhere", "x"], b"");
    assert_eq!(none.code, Some(5), "{}", none.all_text());
}
