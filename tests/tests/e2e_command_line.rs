//! The programs' options, defaults, environment, exit codes and the ends of their inputs and outputs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::{SocketAddr, UdpSocket};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use system_tests::programs::files::names_in;
use system_tests::programs::one_shot::{confine, finish};
use system_tests::programs::peer::text;
use system_tests::programs::{Directory, PATIENCE, World, binary, own_address, run};

/// A UDP port that is free on this world's address.
fn free_port(world: &World) -> u16 {
    UdpSocket::bind((world.ip, 0)).and_then(|socket| socket.local_addr()).expect("a free port").port()
}

#[test]
fn help_names_every_option_with_its_default_and_version_names_the_program() {
    let root = tempfile::tempdir().unwrap();
    for flag in ["-h", "--help"] {
        let peer = run("peer", root.path(), &[flag], b"");
        assert_eq!(peer.code, Some(0), "{peer:?}");
        let all = peer.lines.join("\n");
        for word in [
            "--bind",
            "--directory",
            "--data-dir",
            "--name",
            "--json",
            "--no-color",
            "--advertise",
            "8283",
            "8282",
            "send",
            "identity",
        ] {
            assert!(all.contains(word), "peer {flag} names {word}: {all}");
        }
        let server = run("directory-server", root.path(), &[flag], b"");
        assert_eq!(server.code, Some(0), "{server:?}");
        let all = server.lines.join("\n");
        for word in ["--port", "--bind", "--data-dir", "8282", "user", "fingerprint"] {
            assert!(all.contains(word), "directory-server {flag} names {word}: {all}");
        }
    }
    for program in ["peer", "directory-server"] {
        for flag in ["-V", "--version"] {
            let version = run(program, root.path(), &[flag], b"");
            assert_eq!(version.code, Some(0));
            assert!(version.lines[0].contains(env!("CARGO_PKG_VERSION")), "{version:?}");
        }
    }
    assert!(names_in(&root.path().join("home/data")).is_empty(), "asking for help creates nothing");
}

#[test]
fn bad_options_end_with_2_and_name_the_option_the_value_and_what_is_accepted() {
    let root = tempfile::tempdir().unwrap();
    let cases: &[(&str, &[&str], &[&str])] = &[
        ("peer", &["--bind", "nonsense"], &["--bind", "nonsense"]),
        ("peer", &["-s", "127.0.0.1:99999"], &["--bind", "127.0.0.1:99999"]),
        ("peer", &["-s", "300.0.0.1"], &["--bind", "300.0.0.1"]),
        ("peer", &["--directory", "host:port"], &["--directory", "host:port"]),
        ("peer", &["--directory", "host:8282#XYZ"], &["--directory", "XYZ", "32"]),
        ("peer", &["--name", "no spaces"], &["--name", "no spaces", "3"]),
        ("peer", &["--frobnicate"], &["--frobnicate"]),
        ("peer", &["frobnicate"], &["frobnicate"]),
        ("peer", &["send"], &["TO"]),
        ("peer", &["send", "--wait", "forever", "bob", "x"], &["--wait", "forever", "queued", "kept", "delivered"]),
        ("peer", &["send", "--timeout", "soon", "bob", "x"], &["--timeout", "soon"]),
        ("peer", &["-s", "127.0.0.1:0"], &["--data-dir"]),
        ("directory-server", &["--port", "99999"], &["--port", "99999", "65535"]),
        ("directory-server", &["-p", "eighty"], &["--port", "eighty"]),
        ("directory-server", &["--bind", "nonsense"], &["--bind", "nonsense"]),
        ("directory-server", &["--frobnicate"], &["--frobnicate"]),
        ("directory-server", &["user", "release"], &["NAME"]),
    ];
    for (program, arguments, words) in cases {
        let outcome = run(program, root.path(), arguments, b"");
        assert_eq!(outcome.code, Some(2), "{program} {arguments:?}: {outcome:?}");
        for word in *words {
            assert!(outcome.stderr.contains(word), "{program} {arguments:?} names {word}: {}", outcome.stderr);
        }
        assert!(outcome.lines.is_empty(), "standard output stays clean: {outcome:?}");
    }
}

#[test]
fn an_address_without_a_port_takes_8283_and_a_directory_without_one_8282() {
    let world = World::new();
    let ip = own_address();
    let _directory = Directory::start(world.root(), "at-8282", ip, 8282);
    let mut bare = Command::new(binary("peer"));
    confine(&mut bare, world.root());
    bare.args(["-s", &ip.to_string(), "-d", &ip.to_string(), "--name", "alice", "--json"]);
    let outcome = finish(bare, b"!register alice\n!whoami\n", PATIENCE);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let ready = &outcome.events()[0];
    assert_eq!((text(ready, "event"), text(ready, "bind")), ("ready".to_string(), format!("{ip}:8283")));
    assert!(outcome.events().iter().any(|event| event["event"] == "online"), "{outcome:?}");
    assert_eq!(names_in(&world.path("home/data/homing")), ["peer-8283"], "the data directory is named by the port");
}

#[test]
fn peers_on_one_machine_keep_apart_by_their_ports() {
    let world = World::new();
    let ports = [free_port(&world), free_port(&world)];
    let directory = world.directory.address().to_string();
    for (port, name) in ports.iter().zip(["alice", "bob"]) {
        let mut command = Command::new(binary("peer"));
        confine(&mut command, world.root());
        let bind = format!("{}:{port}", world.ip);
        command.args(["--bind", &bind, "--directory", &directory, "--json"]);
        let outcome = finish(command, format!("!register {name}\n").as_bytes(), PATIENCE);
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
    }
    let mut wanted = ports.map(|port| format!("peer-{port}"));
    wanted.sort();
    assert_eq!(names_in(&world.path("home/data/homing")), wanted);
}

#[test]
fn a_flag_beats_the_environment_which_beats_the_configuration_file() {
    let world = World::new();
    let config = world.path("home/config/homing");
    std::fs::create_dir_all(&config).unwrap();
    let nowhere = format!("{}:9", world.ip);
    let bind = |port: u16| format!("{}:{port}", world.ip);
    let (in_file, in_environment, in_flag) = (free_port(&world), free_port(&world), free_port(&world));
    std::fs::write(config.join("config.toml"), format!("bind = \"{}\"\ndirectory = \"{nowhere}\"\n", bind(in_file)))
        .unwrap();
    let started = |environment: bool, flag: bool| {
        let mut command = Command::new(binary("peer"));
        confine(&mut command, world.root());
        command.arg("--json").arg("--data-dir").arg(world.path("alice"));
        if environment {
            command.env("HOMING_BIND", bind(in_environment));
        }
        if flag {
            command.args(["--bind", &bind(in_flag)]);
        }
        let outcome = finish(command, b"", PATIENCE);
        let ready = outcome.events().first().cloned().unwrap_or_default();
        assert_eq!(text(&ready, "directory"), nowhere, "{outcome:?}");
        text(&ready, "bind")
    };
    assert_eq!(started(false, false), bind(in_file));
    assert_eq!(started(true, false), bind(in_environment));
    assert_eq!(started(true, true), bind(in_flag));
}

#[test]
fn localhost_and_ipv6_are_addresses_too() {
    let world = World::new();
    for (option, ip) in [("localhost:0", "127.0.0.1"), ("[::1]:0", "::1")] {
        if UdpSocket::bind((ip, 0)).is_err() {
            continue;
        }
        let mut command = Command::new(binary("peer"));
        confine(&mut command, world.root());
        command.args(["--bind", option, "--json", "--data-dir"]).arg(world.path(ip));
        command.args(["--directory", &world.directory.address().to_string()]);
        let outcome = finish(command, b"", PATIENCE);
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        let bind: SocketAddr = text(&outcome.events()[0], "bind").parse().expect("an address");
        assert!(bind.ip().to_string() == ip && bind.port() != 0, "{option}: {bind}");
    }
}

#[test]
fn ready_does_not_wait_for_the_directory() {
    let mut world = World::new();
    world.directory.kill_9();
    let begin = Instant::now();
    let alice = world.setup("alice").start();
    assert!(begin.elapsed() < Duration::from_secs(5), "ready after {:?}", begin.elapsed());
    let ready = alice.expect("ready", "", |_| true);
    assert_eq!(ready["name"], serde_json::Value::Null);
    assert_eq!(text(&ready, "directory"), world.directory.address().to_string());
    assert_eq!(text(&ready, "version"), env!("CARGO_PKG_VERSION"));
    assert_eq!(text(&ready, "fingerprint").len(), 32);
    assert_eq!(alice.refused("!register alice"), "directory-unreachable");
}

#[test]
fn a_name_option_registers_once_and_never_renames() {
    let world = World::new();
    let mut setup = world.setup("alice");
    setup.arguments = vec!["--name".to_string(), "alice".to_string()];
    let mut alice = setup.start();
    alice.expect("online", "by itself", |event| event["name"] == "alice");
    alice.quit();
    alice.setup.arguments = vec!["--name".to_string(), "alicia".to_string()];
    alice.restart_online();
    assert_eq!(alice.ok("!whoami")["name"], "alice");
}

#[test]
fn the_end_of_input_sends_what_is_queued_and_ends_with_0() {
    let world = World::new();
    let bob = world.peer("bob");
    let alice = world.setup("alice");
    let mut input = String::from("!register alice\n");
    for number in 0..50 {
        input.push_str(&format!("!send bob m{number}\n"));
    }
    let outcome = alice.run(&[], input.as_bytes());
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    bob.wait_messages("alice", 50, PATIENCE);
    system_tests::checks::assert_history(&bob, "alice", &system_tests::checks::numbered("m", 50));
    let offline = outcome.events().into_iter().filter(|event| event["event"] == "offline").count();
    assert_eq!(offline, 1, "it went offline by itself");
}

#[test]
fn the_end_of_input_does_not_wait_longer_than_5_seconds_for_the_impossible() {
    let mut world = World::new();
    let (mut alice, bob) = (world.peer("alice"), world.peer("bob"));
    let first = alice.send("bob", "first");
    alice.wait_state(&first.id, "delivered");
    drop(bob);
    world.directory.kill_9();
    alice.send("bob", "waits");
    let begin = Instant::now();
    assert_eq!(alice.end_input(), Some(0));
    assert!(begin.elapsed() < Duration::from_secs(9), "{:?}", begin.elapsed());
}

#[test]
fn a_closed_output_ends_the_program_quietly() {
    let world = World::new();
    let bob = world.peer("bob");
    let mut command = world.setup("alice").command(&[]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut input = child.stdin.take().unwrap();
    let begin = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(begin.elapsed() < PATIENCE, "it goes on talking to nobody");
        // The program's end closes its input.
        let _ = std::io::Write::write_all(&mut input, b"!whoami\n");
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut stderr = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut stderr).unwrap();
    assert!(!stderr.contains("panicked"), "{stderr}");
    assert_eq!(bob.ok("!whoami")["name"], "bob");
}

#[test]
fn a_port_in_use_is_said_and_nothing_is_taken_from_its_owner() {
    let world = World::new();
    let alice = world.peer("alice");
    let outcome = world.setup("bob").bound_to(alice.address()).run(&[], b"");
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.all_text().contains(&alice.address().to_string()), "names the address: {outcome:?}");
    let address = world.directory.address();
    let (ip, port) = (address.ip().to_string(), address.port().to_string());
    let data_dir = world.path("second-directory").display().to_string();
    let arguments = ["--bind", &ip, "--port", &port, "--data-dir", &data_dir];
    let server = run("directory-server", world.root(), &arguments, b"");
    assert_eq!(server.code, Some(1), "{server:?}");
    assert!(server.stderr.contains(&port), "names the port: {server:?}");
    assert_eq!(alice.ok("!whoami")["name"], "alice");
}

#[test]
fn a_directory_server_ends_with_0_on_a_signal_and_prints_where_it_listens_first() {
    let mut world = World::new();
    let alice = world.peer("alice");
    world.directory.terminate();
    alice.expect("offline", "its directory left", |_| true);
    let mark = alice.mark();
    // The back-off begins with half a second and ends at 15 s.
    world.directory.restart();
    alice.expect_line(mark, Duration::from_secs(25), "online", "again by itself", |event| event["name"] == "alice");
}
