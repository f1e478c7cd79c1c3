//! Strangers that finish a QUIC handshake with a real peer and then misbehave.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use common::identity::Identity;
use common::message::PairState;
use common::wire::Frame;
use common::wire::peer::{Greeting, Hello, PeerFrame};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use system_tests::hostile::{bytes_of, epoch, quic_connect, quic_endpoint, raw_frame, read_frame, stranger};
use system_tests::programs::peer::text;
use system_tests::programs::{Peer, World};

const ALPN: &[u8] = b"homing-peer/1";

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}

/// A hello to `to` of somebody that no directory knows.
fn unnamed_hello(identity: &Identity, to: &Identity) -> Hello {
    let state = PairState {
        from: identity.public(),
        to: to.public(),
        epoch: epoch(),
        version: 1,
        floor: 1,
        applied: None,
        held: None,
        read: None,
        blocked: false,
        prekey: None,
    };
    Hello(Greeting {
        versions: common::wire::VERSIONS,
        features: 0,
        instance: [1; 16],
        epoch: epoch(),
        binding: None,
        state,
    })
}

fn assert_talk(alice: &Peer, bob: &Peer, words: &str) {
    let sent = alice.send("bob", words);
    alice.wait_state(&sent.id, "delivered");
    bob.wait_message("alice", words);
}

#[test]
fn bad_frames_on_good_connections_end_those_connections_only() {
    let world = World::new();
    let alice = world.peer("alice");
    let mut bob = world.peer("bob");
    assert_talk(&alice, &bob, "before");
    let peer = bob.address();
    let mut rng = ChaCha8Rng::seed_from_u64(141);
    runtime().block_on(async {
        let endpoint = quic_endpoint(world.ip.into()).expect("an endpoint");
        for number in 0..200 {
            let identity = stranger(number);
            // A busy peer may turn strangers away.
            let Ok(connection) = quic_connect(&endpoint, peer, &identity, ALPN).await else { continue };
            let Ok((mut send, _receive)) = connection.open_bi().await else { continue };
            let mut bytes = vec![0; 1 + rng.next_u32() as usize % 2_000];
            rng.fill_bytes(&mut bytes);
            let good = bytes_of(&PeerFrame::from(unnamed_hello(&identity, &stranger(0))));
            let bad = match number % 4 {
                0 => bytes,
                1 => good[..good.len() - 1].to_vec(),
                2 => raw_frame(0x0303, &bytes),
                _ => [&u32::MAX.to_be_bytes()[..], &bytes].concat(),
            };
            // The peer may have closed already.
            let _ = send.write_all(&bad).await;
            let _ = send.finish();
            if number % 2 == 0 {
                connection.close(0u32.into(), b"");
            }
        }
        endpoint.close(0u32.into(), b"");
    });
    assert_talk(&alice, &bob, "after");
    assert!(bob.runs());
    assert_eq!(bob.messages_from("alice").len(), 2, "nothing was shown under a false name");
    let all: Vec<String> =
        bob.log().lines(0, |line| line.event() == "message").into_iter().map(|line| text(&line.json, "from")).collect();
    assert!(all.iter().all(|from| from == "alice"), "{all:?}");
}

#[test]
fn a_stranger_without_a_name_is_answered_in_kind_and_shown_nowhere() {
    let world = World::new();
    let bob = world.peer("bob");
    let answer = runtime().block_on(async {
        let endpoint = quic_endpoint(world.ip.into()).expect("an endpoint");
        let identity = stranger(9);
        let connection = quic_connect(&endpoint, bob.address(), &identity, ALPN).await.expect("a handshake");
        let key = common::tls::key_of(
            connection.peer_identity().and_then(|any| any.downcast::<Vec<_>>().ok()).as_deref().map(Vec::as_slice),
        );
        let (mut send, mut receive) = connection.open_bi().await.expect("a stream");
        let mut hello = unnamed_hello(&identity, &identity);
        hello.0.state.to = key.expect("the peer's key");
        send.write_all(&bytes_of(&PeerFrame::from(hello))).await.expect("a stream");
        read_frame::<PeerFrame>(&mut receive, &mut Vec::new()).await.expect("an answer")
    });
    assert!(matches!(answer, Some(PeerFrame::Welcome(_) | PeerFrame::Close(_))), "{answer:?}");
    assert_eq!(bob.ok("!whoami")["name"], "bob");
    assert!(bob.log().lines(0, |line| line.event() == "message").is_empty());
}

#[test]
fn another_protocol_is_refused_in_the_handshake() {
    let world = World::new();
    let bob = world.peer("bob");
    runtime().block_on(async {
        let endpoint = quic_endpoint(world.ip.into()).expect("an endpoint");
        for alpn in [&b"h3"[..], b"homing-directory/1", b"homing-peer/2"] {
            let refused = quic_connect(&endpoint, bob.address(), &stranger(3), alpn).await;
            assert!(refused.is_err(), "{alpn:?} is not spoken here");
        }
    });
    assert_eq!(bob.ok("!whoami")["name"], "bob");
    // The numbers of the frames are part of the protocol.
    assert_eq!(PeerFrame::from(unnamed_hello(&stranger(1), &stranger(2))).kind(), 0x0301);
}
