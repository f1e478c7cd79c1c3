//! Garbage, slowness and greed at the ports of the real programs: they stay up, good sessions go on, refusals are
//! typed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use common::name::Name;
use common::wire::directory::{
    Deposit, FromDirectory, Hello, LookUp, Online, Place, Refusal, Register, Rejection, Whom,
};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use system_tests::hostile::{
    DirectorySession, bytes_of, epoch, hello, prekey_of, raise_open_files, raw_frame, stranger,
};
use system_tests::programs::{Peer, World};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Asserts that two peers talk both ways within a few seconds.
fn assert_talk(alice: &Peer, bob: &Peer, words: &str) {
    let begin = Instant::now();
    let there = alice.send("bob", words);
    let back = bob.send("alice", words);
    alice.wait_state(&there.id, "delivered");
    bob.wait_state(&back.id, "delivered");
    assert!(begin.elapsed() < Duration::from_secs(10), "{words}: {:?}", begin.elapsed());
}

/// Up to `most` random bytes.
fn noise(rng: &mut ChaCha8Rng, most: usize) -> Vec<u8> {
    let mut bytes = vec![0; rng.next_u32() as usize % most + 1];
    rng.fill_bytes(&mut bytes);
    bytes
}

/// A frame that no correct program sends: random, cut off, of a false length, or true with a bit turned.
fn bad_frame(rng: &mut ChaCha8Rng) -> Vec<u8> {
    let mut good = bytes_of(&common::wire::directory::ToDirectory::from(hello()));
    match rng.next_u32() % 5 {
        0 => noise(rng, 600),
        1 => {
            good.truncate(1 + rng.next_u32() as usize % (good.len() - 1));
            good
        }
        2 => [&u32::MAX.to_be_bytes()[..], &good[4..]].concat(),
        3 => raw_frame(0x0103, &noise(rng, 300)),
        _ => raw_frame(0x0101, &[&good[6..], &noise(rng, 20)[..]].concat()),
    }
}

#[test]
fn ten_thousand_bad_frames_do_not_disturb_the_directory() {
    let mut world = World::new();
    let (alice, bob) = (world.peer("alice"), world.peer("bob"));
    assert_talk(&alice, &bob, "before");
    let directory = world.directory.address();
    let mut rng = ChaCha8Rng::seed_from_u64(14);
    for number in 0..7_000 {
        let mut raw = TcpStream::connect(directory).expect("the directory accepts");
        // It may close at the first wrong byte.
        let _ = raw.write_all(&noise(&mut rng, 400));
        if number % 1_000 == 0 {
            assert_talk(&alice, &bob, &format!("meanwhile {number}"));
        }
    }
    runtime().block_on(async {
        for number in 0..1_000 {
            let mut session = DirectorySession::open(directory, stranger(number % 50)).await.expect("TLS");
            // It may close at the first wrong byte.
            let _ = session.send_raw(&bad_frame(&mut rng)).await;
        }
        for number in 0..8 {
            let (mut session, _) = DirectorySession::log_in(directory, stranger(100 + number)).await.expect("a login");
            for kind in 0..250u16 {
                session.send_raw(&raw_frame(0x7000 + kind, &noise(&mut rng, 100))).await.expect("a session");
            }
            for kind in 0..250u16 {
                match session.receive().await.expect("an answer") {
                    Some(FromDirectory::Unsupported(answer)) => assert_eq!(answer.kind, 0x7000 + kind),
                    other => panic!("an unknown kind is answered as such: {other:?}"),
                }
            }
            session.send_raw(&bad_frame(&mut rng)).await.expect("a session");
        }
    });
    assert_talk(&alice, &bob, "after");
    assert!(world.directory.runs());
    assert_eq!(alice.log().lines(0, |line| line.event() == "offline").len(), 0, "the good sessions were not cut");
}

#[test]
fn the_directory_refuses_in_words_a_program_understands() {
    let world = World::new();
    let _alice = world.peer("alice");
    let directory = world.directory.address();
    runtime().block_on(async {
        let mut early = DirectorySession::open(directory, stranger(1)).await.expect("TLS");
        early.send(LookUp { request: 1, whom: Whom::Name("alice".parse::<Name>().unwrap()) }).await.unwrap();
        assert_rejected(early.last().await.unwrap(), &Rejection::Protocol);

        let mut newer = DirectorySession::open(directory, stranger(2)).await.expect("TLS");
        newer.send(Hello { versions: (90, 99), ..hello() }).await.unwrap();
        assert_rejected(newer.last().await.unwrap(), &Rejection::Version(1, 1));

        let mut long = DirectorySession::open(directory, stranger(3)).await.expect("TLS");
        long.send_raw(&raw_frame(0x0101, &[0; 5_000])).await.unwrap();
        assert_rejected(long.last().await.unwrap(), &Rejection::Protocol);

        let (mut session, _) = DirectorySession::log_in(directory, stranger(4)).await.expect("a login");
        let (mine, others) = (prekey_of(&stranger(4)), prekey_of(&stranger(5)));
        let name = |text: &str| text.parse::<Name>().unwrap();
        session.send(Register { request: 1, name: name("ALICE"), prekey: mine.clone() }).await.unwrap();
        assert_refused(session.receive().await.unwrap(), 1, &Refusal::NameTaken);
        session.send(Register { request: 2, name: name("carol"), prekey: others }).await.unwrap();
        assert_refused(session.receive().await.unwrap(), 2, &Refusal::Invalid);
        session.send(LookUp { request: 3, whom: Whom::Name(name("nobody")) }).await.unwrap();
        assert_refused(session.receive().await.unwrap(), 3, &Refusal::NoSuchUser);
        session.send(Register { request: 4, name: name("carol"), prekey: mine.clone() }).await.unwrap();
        let registered = session.receive().await.unwrap();
        assert!(matches!(registered, Some(FromDirectory::Registered(_))), "{registered:?}");
        let weapons = ["224.0.0.1:9000", "255.255.255.255:9000", "127.0.0.1:53", "8.8.8.8:9000", "127.0.0.1:9000"];
        let candidates = weapons.iter().map(|weapon| weapon.parse().unwrap()).collect();
        session
            .send(Online {
                request: 10,
                candidates,
                prekey: mine.clone(),
                standing: common::wire::directory::Standing::Online,
                note: None,
            })
            .await
            .unwrap();
        while !matches!(session.receive().await.unwrap().expect("a drain"), FromDirectory::DrainEnd(_)) {}
        session.send(LookUp { request: 11, whom: Whom::Name(name("carol")) }).await.unwrap();
        match session.receive().await.unwrap() {
            Some(FromDirectory::Person(carol)) => {
                assert_eq!(carol.profile.candidates, ["127.0.0.1:9000".parse().unwrap()]);
            }
            other => panic!("{other:?} for somebody who is online"),
        }
        let place = Place { recipient: stranger(77).public(), epoch: epoch().id, seq: 1 };
        let deposit = Deposit { place, tag: [0; 8], prekey: 1, urgent: false, human: true, sealed: vec![0; 2_000] };
        session.send(deposit).await.unwrap();
        match session.receive().await.unwrap() {
            Some(FromDirectory::Deposited(deposited)) => {
                assert_eq!(deposited.answers[0].refusal, Some(Refusal::NoSuchUser));
            }
            other => panic!("a deposit is answered: {other:?}"),
        }
    });
}

fn assert_rejected(frame: Option<FromDirectory>, wanted: &Rejection) {
    match frame {
        Some(FromDirectory::Rejected(rejected)) => assert_eq!(rejected.reason, *wanted),
        other => panic!("{wanted:?} wanted: {other:?}"),
    }
}

fn assert_refused(frame: Option<FromDirectory>, request: u32, wanted: &Refusal) {
    match frame {
        Some(FromDirectory::Refused(refused)) => assert_eq!((refused.request, &refused.reason), (request, wanted)),
        other => panic!("{wanted:?} wanted: {other:?}"),
    }
}

#[test]
fn two_thousand_half_open_connections_leave_room_for_good_ones() {
    raise_open_files();
    let mut world = World::new();
    let (alice, bob) = (world.peer("alice"), world.peer("bob"));
    let mut idle = Vec::new();
    for number in 0..2_000 {
        match TcpStream::connect(world.directory.address()) {
            Ok(connection) => idle.push(connection),
            Err(error) => panic!("connection {number}: {error}"),
        }
        if number == 1_500 {
            assert_talk(&alice, &bob, "meanwhile");
        }
    }
    let begin = Instant::now();
    let carol = world.peer("carol");
    assert!(begin.elapsed() < Duration::from_secs(10), "a newcomer gets in: {:?}", begin.elapsed());
    let hello = carol.send("alice", "I am new");
    carol.wait_state(&hello.id, "delivered");
    assert_talk(&alice, &bob, "after");
    assert!(world.directory.runs());
    assert_eq!(alice.log().lines(0, |line| line.event() == "offline").len(), 0, "the good sessions were not cut");
    // A connection that says nothing is closed when its time for the login is over.
    let mut last = idle.pop().expect("2,000 connections");
    last.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let closed = last.read(&mut [0; 16]);
    assert!(!matches!(&closed, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock), "{closed:?}");
}

#[test]
fn slow_senders_are_closed_and_hold_up_nobody() {
    let world = World::new();
    let (alice, bob) = (world.peer("alice"), world.peer("bob"));
    let directory = world.directory.address();
    let slow: Vec<_> = (0..20)
        .map(|_| {
            std::thread::spawn(move || {
                let mut slow = TcpStream::connect(directory).expect("the directory accepts");
                let begin = Instant::now();
                // The head of a TLS record of 512 bytes, then a byte at a time.
                let mut alive = slow.write_all(&[22, 3, 1, 2, 0, 1, 0, 1, 252]).is_ok();
                while alive && begin.elapsed() < Duration::from_secs(20) {
                    std::thread::sleep(Duration::from_millis(200));
                    alive = slow.write_all(&[3]).is_ok();
                }
                begin.elapsed()
            })
        })
        .collect();
    for round in 0..10 {
        assert_talk(&alice, &bob, &format!("round {round}"));
    }
    for slow in slow {
        let lasted = slow.join().expect("no panic");
        assert!(lasted < Duration::from_secs(15), "a slow sender was held for {lasted:?}");
    }
}

/// A datagram that no correct peer sends: random, or with the face of a QUIC packet.
fn bad_datagram(rng: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = noise(rng, 1_400);
    match rng.next_u32() % 4 {
        0 => bytes[0] |= 0x40,
        1 => {
            let head = [0xc3, 0, 0, 0, 1, 8];
            bytes.resize(1_200, 0);
            bytes[..head.len()].copy_from_slice(&head);
        }
        2 => {
            bytes.resize(1_200, 0);
            bytes[..6].copy_from_slice(&[0xc3, 0x1a, 0x2a, 0x3a, 0x4a, 20]);
        }
        _ => {}
    }
    bytes
}

#[test]
fn ten_thousand_bad_datagrams_do_not_disturb_a_peer_and_get_no_more_back_than_they_bring() {
    let world = World::new();
    let alice = world.peer("alice");
    let mut bob = world.peer("bob");
    assert_talk(&alice, &bob, "before");
    let socket = UdpSocket::bind((world.ip, 0)).expect("a socket");
    socket.set_nonblocking(true).expect("a socket");
    let mut rng = ChaCha8Rng::seed_from_u64(41);
    let (mut brought, mut got) = (0, 0);
    let mut buffer = [0; 2_048];
    for number in 0..10_000 {
        let datagram = bad_datagram(&mut rng);
        brought += socket.send_to(&datagram, bob.address()).unwrap_or(0);
        while let Ok(bytes) = socket.recv(&mut buffer) {
            got += bytes;
        }
        if number % 2_500 == 0 {
            assert_talk(&alice, &bob, &format!("meanwhile {number}"));
        }
    }
    assert_talk(&alice, &bob, "after");
    assert!(got <= brought, "{got} bytes came back for {brought}");
    assert!(bob.runs());
    let direct = alice.send("bob", "direct");
    assert_eq!(alice.wait_state(&direct.id, "delivered")["via"], "direct");
}

#[test]
fn datagrams_to_the_directorys_port_and_connections_to_a_peers_port_meet_nobody() {
    let world = World::new();
    let alice = world.peer("alice");
    let directory: SocketAddr = world.directory.address();
    assert!(TcpStream::connect_timeout(&alice.address(), Duration::from_secs(2)).is_err(), "a peer has no TCP port");
    let socket = UdpSocket::bind((world.ip, 0)).expect("a socket");
    socket.connect(directory).expect("a socket");
    let _ = socket.send(b"anybody?");
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    assert!(socket.recv(&mut [0; 16]).is_err(), "a directory has no UDP port");
    assert_eq!(alice.ok("!whoami")["name"], "alice");
}
