//! Groups made after the backup that a directory is put back to, with the real programs: their members bring them back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use system_tests::programs::files::{copy_dir, put_back};
use system_tests::programs::peer::text;
use system_tests::programs::{PATIENCE, Peer, World, eventually};

/// Copies the directory's data away while it is stopped.
fn back_up(world: &mut World) -> std::path::PathBuf {
    let copy = world.path("directory-copy");
    world.directory.terminate();
    copy_dir(world.directory.data_dir(), &copy);
    world.directory.restart();
    copy
}

fn put_directory_back(world: &mut World, copy: &std::path::Path) {
    world.directory.terminate();
    put_back(copy, world.directory.data_dir());
    world.directory.restart();
}

fn members(peer: &Peer, group: &str) -> Vec<String> {
    let answer = peer.ok(&format!("!members {group}"));
    answer["members"].as_array().expect("members").iter().map(|member| text(member, "name")).collect()
}

/// Whether the directory knows of a group, as a stranger sees it.
fn is_listed(peer: &Peer, group: &str, members: u64) -> bool {
    let listed = peer.ok("!groups");
    let groups = listed["groups"].as_array().expect("groups");
    groups.iter().any(|listed| listed["name"] == group && listed["members"] == members)
}

fn all_hear_each_other(peers: &[(&str, &Peer)], group: &str) {
    for (name, peer) in peers {
        let line = format!("{name} is here");
        peer.send(group, &line);
        for (_, other) in peers.iter().filter(|(other, _)| other != name) {
            other.wait_message(name, &line);
        }
    }
}

#[test]
fn a_group_made_after_the_backup_is_brought_back_and_grows() {
    let mut world = World::new();
    let (mut anna, mut bert, carla) = (world.peer("anna"), world.peer("bert"), world.peer("carla"));
    let copy = back_up(&mut world);
    [&anna, &bert, &carla].iter().for_each(|peer| online(peer));
    anna.ok("!create family");
    bert.ok("!join family");
    let first = anna.send("@family", "before");
    anna.wait_state(&first.id, "delivered");
    anna.quit();
    bert.quit();
    put_directory_back(&mut world, &copy);
    online(&carla);
    assert_eq!(carla.refused("!join family"), "no-such-group", "it was lost");
    anna.restart_online();
    bert.restart_online();
    eventually("the group is back", PATIENCE, || is_listed(&carla, "@family", 2));
    carla.ok("!join family");
    for peer in [&anna, &bert, &carla] {
        eventually("all know all", PATIENCE, || members(peer, "family") == ["anna", "bert", "carla"]);
    }
    all_hear_each_other(&[("anna", &anna), ("bert", &bert), ("carla", &carla)], "@family");
}

#[test]
fn steps_made_after_the_backup_are_brought_back_while_everybody_stays() {
    let mut world = World::new();
    let (anna, bert, carla) = (world.peer("anna"), world.peer("bert"), world.peer("carla"));
    anna.ok("!create family");
    let copy = back_up(&mut world);
    [&anna, &bert, &carla].iter().for_each(|peer| online(peer));
    bert.ok("!join family");
    carla.ok("!join family");
    anna.ok("!kick carla family");
    put_directory_back(&mut world, &copy);
    [&anna, &bert, &carla].iter().for_each(|peer| online(peer));
    eventually("the chain is whole", PATIENCE, || is_listed(&carla, "@family", 2));
    assert_eq!(carla.refused("!join family"), "not-allowed", "she was taken out");
    anna.ok("!invite carla family");
    carla.ok("!join family");
    for peer in [&anna, &bert, &carla] {
        eventually("all know all", PATIENCE, || members(peer, "family") == ["anna", "bert", "carla"]);
    }
    all_hear_each_other(&[("anna", &anna), ("bert", &bert), ("carla", &carla)], "@family");
}

/// Waits until a peer whose directory went away has found it again.
fn online(peer: &Peer) {
    eventually("online", PATIENCE + Duration::from_secs(20), || peer.ok("!whoami")["state"] == "online");
}
