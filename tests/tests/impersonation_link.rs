//! Impersonation on direct links of a real peer: names one has no right to, frames out of turn, envelopes and
//! acknowledgements of others. The link is closed with its reason, or the log says why something was dropped, and
//! neither a screen nor a state shows any of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use common::identity::{Context, Identity, PublicKey};
use common::message::PairState;
use common::record::{Binding, Bound};
use common::wire::directory::{FromDirectory, Register};
use common::wire::peer::{CloseReason, Greeting, Hello, PeerFrame, Welcome};
use system_tests::hostile::{
    DirectorySession, bytes_of, epoch, prekey_of, quic_connect, quic_endpoint, raw_frame, read_frame, stranger,
};
use system_tests::impersonation::letters::{
    binding, binding_in, dropped, envelope, hello, holds_first, state, state_with_prekey_of, stolen_directory_key,
    stolen_key,
};
use system_tests::programs::events::log_of;
use system_tests::programs::{PATIENCE, Peer, World, eventually};

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.expect("a runtime").block_on(work)
}

/// A QUIC connection to a peer with its one stream.
struct Call {
    connection: quinn::Connection,
    send: quinn::SendStream,
    receive: quinn::RecvStream,
    held: Vec<u8>,
}

impl Call {
    async fn open(endpoint: &quinn::Endpoint, peer: &Peer, me: &Identity) -> Self {
        let connection = quic_connect(endpoint, peer.address(), me, b"homing-peer/1").await.expect("a handshake");
        let (send, receive) = connection.open_bi().await.expect("a stream");
        Self { connection, send, receive, held: Vec::new() }
    }

    async fn say(&mut self, frame: impl Into<PeerFrame>) {
        self.send.write_all(&bytes_of(&frame.into())).await.expect("a stream");
    }

    async fn hear(&mut self) -> Option<PeerFrame> {
        read_frame(&mut self.receive, &mut self.held).await.expect("an answer")
    }

    /// Says `frame`, and why the link was closed then; what comes before is passed over.
    async fn closed_after(mut self, frame: impl Into<PeerFrame>) -> Option<CloseReason> {
        self.say(frame).await;
        loop {
            if let PeerFrame::Close(close) = self.hear().await? {
                return Some(close.reason);
            }
        }
    }

    /// Greets and is greeted.
    async fn greeted(mut self, hello: Hello) -> (Self, Greeting) {
        self.say(hello).await;
        match self.hear().await {
            Some(PeerFrame::Welcome(welcome)) => (self, welcome.0),
            other => panic!("the control: a good hello is welcome, not {other:?}"),
        }
    }
}

/// The directory's word for a name that it gave to `identity`.
async fn registered(world: &World, identity: Identity, name: &str) -> Binding {
    let prekey = prekey_of(&identity);
    let (mut session, _) = DirectorySession::log_in(world.directory.address(), identity).await.expect("a login");
    session.send(Register { request: 1, name: name.parse().unwrap(), prekey }).await.unwrap();
    match session.receive().await.unwrap() {
        Some(FromDirectory::Registered(registered)) => registered.binding,
        other => panic!("not registered: {other:?}"),
    }
}

/// Asserts that `peer` has dropped something of `from` for this reason, once more than `before`.
fn assert_dropped(peer: &Peer, from: PublicKey, why: &str, before: usize, word: &str) {
    eventually(&format!("{word}: {why}"), PATIENCE, || dropped(peer, &from, why) > before);
}

fn assert_shown(peer: &Peer, wanted: &[(&str, &str)]) {
    let lines = peer.log().lines(0, |line| line.event() == "message");
    let shown: Vec<_> =
        lines.iter().map(|line| (line.json["from"].as_str().unwrap(), line.json["text"].as_str().unwrap())).collect();
    assert_eq!(shown, wanted);
}

#[test]
fn no_name_is_believed_but_by_the_directorys_word_for_the_key_that_tls_proved() {
    let world = World::new();
    let bob = world.setup("bob").with("-vv").registered();
    let alice = world.peer("alice");
    let first = alice.send("bob", "first");
    alice.wait_state(&first.id, "delivered");
    let (directory, to) = (stolen_directory_key(&world), stolen_key(&bob.setup.data_dir).public());
    let here = directory.public();
    let mallory = stranger(1);
    let me = mallory.public();
    run(async {
        let endpoint = quic_endpoint(world.ip.into()).unwrap();
        let victims = registered(&world, stranger(2), "victim").await;
        let bound = |directory| Bound { directory, name: "mallory".parse().unwrap(), key: me, serial: 99 };
        let elsewhere = stranger(9);
        let cases = [
            ("hello-without-binding", None, "Unnamed"),
            ("binding-of-another-key", Some(victims), "Binding"),
            ("binding-by-another-directory", Some(Binding::sign(&elsewhere, &bound(elsewhere.public()))), "Binding"),
            ("binding-signed-by-oneself", Some(Binding::sign(&mallory, &bound(here))), "Binding"),
            ("binding-about-another-directory", Some(Binding::sign(&directory, &bound(elsewhere.public()))), "Binding"),
            ("binding-signed-as-prekey", Some(binding_in(Context::Prekey, &directory, &bound(here))), "Binding"),
            ("binding-signed-as-envelope", Some(binding_in(Context::Envelope, &directory, &bound(here))), "Binding"),
            ("binding-older-for-a-pinned-name", Some(binding(&directory, here, "alice", me, 0)), "Unnamed"),
            ("binding-of-the-readers-key", Some(binding(&directory, here, "bob", to, 99)), "Binding"),
        ];
        for (word, shown, why) in cases {
            let before = dropped(&bob, &me, why);
            let call = Call::open(&endpoint, &bob, &mallory).await;
            assert_eq!(call.closed_after(hello(me, to, shown)).await, Some(CloseReason::Unnamed), "{word}");
            assert_dropped(&bob, me, why, before, word);
        }
        assert!(
            bob.log().lines(0, |line| line.json["code"] == "key-changed").is_empty(),
            "an older word changes no key"
        );
        // While he compares the key that he was shown, another is named.
        bob.ok("!verify alice");
        let call = Call::open(&endpoint, &bob, &mallory).await;
        let newer = hello(me, to, Some(binding(&directory, here, "ALICE", me, 1 << 60)));
        assert_eq!(call.closed_after(newer).await, Some(CloseReason::Unnamed), "binding-newer-for-a-pinned-name");
        bob.expect("error", "told and not believed", |error| {
            error["code"] == "key-changed" && error["new"] == me.fingerprint().to_string()
        });
    });
    assert_eq!(bob.refused("!verify alice ok"), "key-changed", "the word was about the key he has seen");
    let held = bob.send("alice", "for the pinned key alone");
    assert_eq!(bob.wait_state(&held.id, "held")["reason"], "key-changed");
    assert_shown(&bob, &[("alice", "first")]);
}

#[test]
fn a_friends_other_name_is_told_and_the_old_name_is_given_to_nobody_unasked() {
    let world = World::new();
    let bob = world.peer("bob");
    let mut alice = world.peer("alice");
    let first = alice.send("bob", "first");
    alice.wait_state(&first.id, "delivered");
    bob.wait_message("alice", "first");
    let (directory, to) = (stolen_directory_key(&world), stolen_key(&bob.setup.data_dir).public());
    let (friend, here) = (stolen_key(&alice.setup.data_dir), directory.public());
    let (mallory, alices) = (stranger(1), friend.public());
    let me = mallory.public();
    alice.quit();
    // Serials follow the directory's clock; these are later than any of an honest one.
    let word = |name: &str, key, later: u64| Some(binding(&directory, here, name, key, (1 << 60) + later));
    run(async {
        let endpoint = quic_endpoint(world.ip.into()).unwrap();
        // The dishonest directory gives its friend another name, and then the old name to its own key.
        let call = Call::open(&endpoint, &bob, &friend).await;
        let (call, _) = call.greeted(hello(alices, to, word("alicia", alices, 1))).await;
        bob.expect("renamed", "by the directory's word", |told| {
            told["old"] == "alice" && told["new"] == "alicia" && told["fingerprint"] == alices.fingerprint().to_string()
        });
        drop(call);
        let closed = Call::open(&endpoint, &bob, &mallory).await.closed_after(hello(me, to, word("alice", me, 2)));
        assert_eq!(closed.await, Some(CloseReason::Unnamed), "former-name-for-another-key");
        let told = bob.expect("error", "another key for the old name", |error| error["code"] == "key-changed");
        assert_eq!((&told["name"], &told["called"]), (&"alice".into(), &"alicia".into()));
        assert_eq!(told["new"], me.fingerprint().to_string());
    });
    assert_eq!(bob.refused("!send alice who would get this?"), "key-changed");
    assert_eq!(bob.refused("!forward 1 alice"), "key-changed");
    let held = bob.send("alicia", "for the one I know");
    assert_eq!(bob.wait_state(&held.id, "held")["reason"], "key-changed");
    let mark = bob.mark();
    let answer = bob.ok("!verify alice no");
    let prints = [alices, me].map(|key| serde_json::Value::from(key.fingerprint().to_string()));
    assert_eq!((&answer["theirs"], &answer["refused"][0]), (&prints[0], &prints[1]));
    assert!(answer["rival"].is_null(), "{answer}");
    bob.expect_line(mark, PATIENCE, "state", "goes on", |state| {
        state["id"] == held.id.as_str() && state["state"] != "held"
    });
    run(async {
        let endpoint = quic_endpoint(world.ip.into()).unwrap();
        let closed = Call::open(&endpoint, &bob, &mallory).await.closed_after(hello(me, to, word("alice", me, 3)));
        assert_eq!(closed.await, Some(CloseReason::Unnamed), "refused-key-again");
    });
    let asked = bob.log().lines(mark, |line| line.json["code"] == "key-changed");
    assert!(asked.is_empty(), "a refused key is not asked about again: {asked:?}");
    let by_the_old_name = bob.send("alice", "the same one");
    alice.restart_online();
    bob.wait_states(&[held, by_the_old_name], "delivered", PATIENCE);
    alice.wait_message("bob", "the same one");
    assert_shown(&bob, &[("alice", "first")]);
}

#[test]
fn frames_out_of_turn_and_foreign_versions_end_the_link() {
    let world = World::new();
    let bob = world.peer("bob");
    let thief = stolen_key(&bob.setup.data_dir);
    let (mallory, to) = (stranger(1), thief.public());
    let me = mallory.public();
    run(async {
        let endpoint = quic_endpoint(world.ip.into()).unwrap();
        let mine = Some(registered(&world, stranger(1), "mallory").await);
        let good = || hello(me, to, mine.clone());
        let open = || Call::open(&endpoint, &bob, &mallory);
        let reason = open().await.closed_after(Welcome(good().0)).await;
        assert_eq!(reason, Some(CloseReason::Protocol), "welcome-in-place-of-hello");
        let reason = open().await.closed_after(envelope(me, to, 1, "early")).await;
        assert_eq!(reason, Some(CloseReason::Protocol), "envelope-before-hello");
        let reason = open().await.closed_after(state(me, to, 1)).await;
        assert_eq!(reason, Some(CloseReason::Protocol), "state-before-hello");
        let (call, _) = open().await.greeted(good()).await;
        assert_eq!(call.closed_after(good()).await, Some(CloseReason::Protocol), "second-hello");
        let (call, welcome) = open().await.greeted(good()).await;
        assert_eq!(call.closed_after(Welcome(welcome)).await, Some(CloseReason::Protocol), "reflected-welcome");
        let later = Hello(Greeting { versions: (90, 99), ..good().0 });
        assert_eq!(open().await.closed_after(later).await, Some(CloseReason::Version), "later-version");
        let itself = Call::open(&endpoint, &bob, &thief).await;
        let reason = itself.closed_after(hello(to, to, None)).await;
        assert_eq!(reason, Some(CloseReason::Leaving), "own-key-of-the-reader");

        let (mut call, _) = open().await.greeted(good()).await;
        call.send.write_all(&raw_frame(0x0399, b"of a later group")).await.unwrap();
        loop {
            match call.hear().await {
                Some(PeerFrame::Unsupported(answer)) => break assert_eq!(answer.kind, 0x0399, "unknown-kind"),
                Some(PeerFrame::State(_)) => {}
                other => panic!("unknown-kind: {other:?}"),
            }
        }
        call.send.write_all(&raw_frame(0x0303, b"no envelope")).await.unwrap();
        let closed = call.connection.closed().await;
        let garbage = quinn::VarInt::from_u32(1);
        assert!(
            matches!(&closed, quinn::ConnectionError::ApplicationClosed(close) if close.error_code == garbage),
            "no-frame: {closed:?}"
        );
    });
    assert_shown(&bob, &[]);
}

#[test]
fn envelopes_and_acknowledgements_are_taken_from_their_own_key_alone() {
    let world = World::new();
    let bob = world.setup("bob").with("-vv").registered();
    let mut alice = world.peer("alice");
    alice.ok("!send bob first");
    bob.wait_message("alice", "first");
    alice.kill_9();
    let waiting = bob.send("alice", "for alice");
    let (victim, to) = (stolen_key(&alice.setup.data_dir), stolen_key(&bob.setup.data_dir).public());
    let mallory = stranger(1);
    let (me, alices) = (mallory.public(), victim.public());
    run(async {
        let endpoint = quic_endpoint(world.ip.into()).unwrap();
        let mine = Some(registered(&world, stranger(1), "mallory").await);
        let mut greeting = hello(me, to, mine.clone());
        greeting.0.state = state(alices, to, 1);
        let call = Call::open(&endpoint, &bob, &mallory).await;
        let (mut call, welcome) = call.greeted(greeting).await;
        assert_dropped(&bob, me, "StateOfOthers", 0, "hello-with-state-of-another");

        for (word, letter) in [
            ("envelope-of-another", envelope(alices, to, 1, "as alice")),
            ("envelope-to-another", envelope(me, alices, 1, "to alice")),
            ("envelope-of-the-reader", envelope(to, me, 1, "as bob")),
            ("envelope-of-the-zero-key", envelope(PublicKey([0; 32]), to, 1, "as nobody")),
        ] {
            let before = dropped(&bob, &me, "EnvelopeOfOthers");
            call.say(letter).await;
            assert_dropped(&bob, me, "EnvelopeOfOthers", before, word);
        }
        let covers =
            |from, to, version| PairState { held: holds_first(welcome.epoch, &waiting.id), ..state(from, to, version) };
        for (word, said) in [
            ("state-of-a-third", covers(alices, to, 50)),
            ("state-for-a-third", covers(me, alices, 51)),
            ("reflected-state", welcome.state.clone()),
            ("state-of-the-reader", covers(to, to, 52)),
            ("state-of-the-zero-key", covers(PublicKey([0; 32]), to, 53)),
        ] {
            let before = dropped(&bob, &me, "StateOfOthers");
            call.say(said).await;
            assert_dropped(&bob, me, "StateOfOthers", before, word);
        }
        call.say(state_with_prekey_of(&victim, me, to, 60)).await;
        assert_dropped(&bob, me, "Prekey", 0, "prekey-of-another-in-a-state");
        call.say(state(me, to, 60)).await;
        assert_dropped(&bob, me, "StateOld", 0, "replayed-state");
        assert!(!bob.states_of(&waiting.id).contains(&"delivered".to_string()), "receipt-by-a-third");

        // The control: the same words under their own keys.
        call.say(envelope(me, to, 1, "as myself")).await;
        bob.wait_message("mallory", "as myself");
        loop {
            match call.hear().await.expect("an acknowledgement") {
                PeerFrame::State(state) if state.held.as_ref().is_some_and(|held| held.covers(1)) => break,
                _ => {}
            }
        }
        // Whoever has the key of alice is alice, to everybody.
        let call = Call::open(&endpoint, &bob, &victim).await;
        let (mut call, _) = call.greeted(hello(alices, to, None)).await;
        let mut said = covers(alices, to, 1 << 30);
        said.epoch = common::message::Epoch { generation: 2, ..epoch() };
        call.say(said).await;
        bob.wait_state(&waiting.id, "delivered");
    });
    assert_shown(&bob, &[("alice", "first"), ("mallory", "as myself")]);
    // What the thief of her key acknowledged her own log cannot know.
    std::fs::remove_file(log_of(&alice.setup.data_dir)).unwrap();
}
