//! Impersonation at a real directory: tokens, hellos, registrations, prekeys, names, places and slots of others. Each is
//! refused in the words of the protocol, and what the owner had is as it was.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use common::identity::{Context, Identity};
use common::limits::PREKEY_BYTES;
use common::name::Name;
use common::record::{Binding, Bound, Prekey, PrekeyRecord};
use common::wire::codec;
use common::wire::directory::{
    ConfirmToken, Deposit, Deregister, Fate, FromDirectory, Have, Hello, LookUp, Online, Place, PublishPrekey, PutSlot,
    Refusal, Register, Rejection, Take, TakeSlot, Taking, Whom, Withdraw,
};
use system_tests::hostile::{DirectorySession, epoch, hello, prekey_of, raw_frame, stranger};
use system_tests::programs::World;

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

/// A session of the stranger with this number, logged in.
async fn log_in(world: &World, number: u64) -> DirectorySession {
    DirectorySession::log_in(world.directory.address(), stranger(number)).await.expect("a login").0
}

/// A session that owns `own`.
async fn registered(world: &World, number: u64, own: &str) -> DirectorySession {
    let mut session = log_in(world, number).await;
    let prekey = prekey_of(&stranger(number));
    session.send(Register { request: 1, name: name(own), prekey }).await.unwrap();
    assert!(
        matches!(session.receive().await.unwrap(), Some(FromDirectory::Registered(_))),
        "the control: {own} is free"
    );
    session
}

/// The answer to a request that may be refused.
async fn asked(
    session: &mut DirectorySession,
    frame: impl Into<common::wire::directory::ToDirectory>,
) -> Result<(), Refusal> {
    session.send(frame).await.unwrap();
    match session.receive().await.unwrap() {
        Some(FromDirectory::Refused(refused)) => Err(refused.reason),
        Some(FromDirectory::Registered(_) | FromDirectory::Done(_)) => Ok(()),
        other => panic!("no answer to a request: {other:?}"),
    }
}

/// Why a session ended.
async fn rejected(mut session: DirectorySession) -> Option<Rejection> {
    match session.last().await.unwrap() {
        Some(FromDirectory::Rejected(rejected)) => Some(rejected.reason),
        _ => None,
    }
}

#[test]
fn tokens_and_hellos_of_others_open_no_session() {
    let world = World::new();
    let directory = world.directory.address();
    run(async {
        let (first, welcome) = DirectorySession::log_in(directory, stranger(1)).await.unwrap();
        let token = Some(welcome.token);
        drop(first);
        // The control: the newest token opens the next login.
        let mut again = DirectorySession::open(directory, stranger(1)).await.unwrap();
        again.send(Hello { token, ..hello() }).await.unwrap();
        let Some(FromDirectory::Welcome(next)) = again.receive().await.unwrap() else { panic!("no welcome") };
        again.send(ConfirmToken { token: next.token }).await.unwrap();
        assert!(matches!(again.receive().await.unwrap(), Some(FromDirectory::TokenKept(_))));

        let behind = async |hello: Hello| {
            let mut session = DirectorySession::open(directory, stranger(1)).await.unwrap();
            session.send(hello).await.unwrap();
            matches!(session.receive().await.unwrap(), Some(FromDirectory::Behind(behind)) if behind.highest_generation == 1)
        };
        assert!(behind(Hello { token, ..hello() }).await, "replayed-hello: its token is used up");
        assert!(behind(hello()).await, "first-hello-replayed: it has no token");
        assert!(behind(Hello { token: Some([0; 16]), ..hello() }).await, "guessed-token");
        let copied = Hello { token: Some(next.token), instance: [4; 16], ..hello() };
        assert!(behind(copied).await, "takeover-by-copied-token: another instance is logged in");
        let mut other_epoch = Hello { token: Some(next.token), ..hello() };
        other_epoch.epoch.id.0 = [8; 16];
        assert!(behind(other_epoch).await, "copied-token-in-another-epoch");

        // Under another key it is that key's first hello, and opens nothing of the owner's.
        let mut thief = DirectorySession::open(directory, stranger(2)).await.unwrap();
        thief.send(Hello { token: Some(next.token), ..hello() }).await.unwrap();
        let Some(FromDirectory::Welcome(fresh)) = thief.receive().await.unwrap() else { panic!("no welcome") };
        assert_eq!(fresh.binding, None, "copied-token-under-another-key");
        thief.send(ConfirmToken { token: next.token }).await.unwrap();
        assert_eq!(rejected(thief).await, Some(Rejection::Protocol), "confirm-with-token-of-another");

        for (word, token) in [("confirm-with-old-token", welcome.token), ("confirm-with-zeros", [0; 16])] {
            let mut session = DirectorySession::open(directory, stranger(3)).await.unwrap();
            session.send(hello()).await.unwrap();
            assert!(matches!(session.receive().await.unwrap(), Some(FromDirectory::Welcome(_))));
            session.send(ConfirmToken { token }).await.unwrap();
            assert_eq!(rejected(session).await, Some(Rejection::Protocol), "{word}");
        }
        let mut early = DirectorySession::open(directory, stranger(4)).await.unwrap();
        early.send(ConfirmToken { token: next.token }).await.unwrap();
        assert_eq!(rejected(early).await, Some(Rejection::Protocol), "confirm-before-hello");
        let mut early = DirectorySession::open(directory, stranger(4)).await.unwrap();
        early.send(Register { request: 1, name: name("early"), prekey: prekey_of(&stranger(4)) }).await.unwrap();
        assert_eq!(rejected(early).await, Some(Rejection::Protocol), "registration-before-login");
        let (mut twice, _) = DirectorySession::log_in(directory, stranger(5)).await.unwrap();
        twice.send(hello()).await.unwrap();
        assert_eq!(rejected(twice).await, Some(Rejection::Protocol), "second-hello");
    });
}

/// Prekey records that `me` may not publish, with a word for each.
fn false_prekeys(me: &Identity, other: &Identity) -> Vec<(&'static str, PrekeyRecord)> {
    let honest =
        |owner: &Identity| Prekey { owner: owner.public(), counter: 7, created_ms: 0, key: vec![7; PREKEY_BYTES] };
    let forge = |bytes: Vec<u8>, signature: common::identity::Signature| {
        codec::decode::<PrekeyRecord>(&[codec::encode(&bytes), signature.0.to_vec()].concat()).expect("a record")
    };
    let encoded = codec::encode(&honest(me));
    let bound = Bound { directory: other.public(), name: name("mallory"), key: me.public(), serial: 9 };
    let mut small_order = [0; 64];
    small_order[0] = 1;
    let mut cases = vec![
        ("prekey-of-another", PrekeyRecord::sign(other, &honest(other))),
        ("prekey-signed-by-another", PrekeyRecord::sign(other, &honest(me))),
        ("prekey-naming-another", PrekeyRecord::sign(me, &honest(other))),
        ("prekey-signed-as-binding", forge(encoded.clone(), me.sign(Context::Binding, &encoded))),
        ("prekey-signed-as-envelope", forge(encoded.clone(), me.sign(Context::Envelope, &encoded))),
        ("prekey-signature-of-small-order", forge(encoded.clone(), common::identity::Signature(small_order))),
        ("binding-as-prekey", codec::decode(&codec::encode(&Binding::sign(me, &bound))).expect("the same shape")),
        ("prekey-empty", PrekeyRecord::sign(me, &Prekey { key: Vec::new(), ..honest(me) })),
        ("prekey-short", PrekeyRecord::sign(me, &Prekey { key: vec![7; PREKEY_BYTES - 1], ..honest(me) })),
        ("prekey-long", PrekeyRecord::sign(me, &Prekey { key: vec![7; PREKEY_BYTES + 1], ..honest(me) })),
        ("prekey-counter-absurd", PrekeyRecord::sign(me, &Prekey { counter: 1 << 63, ..honest(me) })),
    ];
    let mut changed = encoded.clone();
    *changed.last_mut().expect("bytes") ^= 1;
    cases.push(("prekey-changed", forge(changed, me.sign(Context::Prekey, &encoded))));
    cases
}

#[test]
fn prekeys_are_published_by_their_owners_alone_and_never_go_back() {
    let world = World::new();
    run(async {
        let (me, other) = (stranger(1), stranger(2));
        let mut session = registered(&world, 1, "mallory").await;
        let _victim = registered(&world, 2, "victim").await;
        let mut newcomer = log_in(&world, 3).await;
        for (word, record) in false_prekeys(&me, &other) {
            let refused = asked(&mut session, PublishPrekey { request: 2, prekey: record.clone() }).await;
            assert_eq!(refused, Err(Refusal::Invalid), "{word}");
            let refused = asked(
                &mut session,
                Online {
                    request: 3,
                    candidates: Vec::new(),
                    prekey: record.clone(),
                    standing: common::wire::directory::Standing::Online,
                    note: None,
                },
            )
            .await;
            assert_eq!(refused, Err(Refusal::Invalid), "{word} at Online");
            let refused = asked(&mut newcomer, Register { request: 4, name: name("newcomer"), prekey: record }).await;
            assert_eq!(refused, Err(Refusal::Invalid), "{word} at Register");
        }
        let signed = |counter| {
            let prekey = Prekey { owner: me.public(), counter, created_ms: 0, key: vec![7; PREKEY_BYTES] };
            PrekeyRecord::sign(&me, &prekey)
        };
        assert_eq!(asked(&mut session, PublishPrekey { request: 5, prekey: signed(9) }).await, Ok(()), "the control");
        assert_eq!(asked(&mut session, PublishPrekey { request: 6, prekey: signed(8) }).await, Ok(()));
        session.send(LookUp { request: 7, whom: Whom::Key(me.public()) }).await.unwrap();
        let Some(FromDirectory::Person(person)) = session.receive().await.unwrap() else { panic!("no answer") };
        assert_eq!(person.profile.prekey, Some(signed(9)), "prekey-older: ignored");
    });
}

#[test]
fn names_of_others_are_neither_taken_nor_released_and_nothing_that_looks_alike_is_a_name() {
    let world = World::new();
    run(async {
        let mut victim = registered(&world, 1, "Victim").await;
        let (mut thief, prekey) = (log_in(&world, 2).await, prekey_of(&stranger(2)));
        let replayed = Register { request: 1, name: name("Victim"), prekey: prekey_of(&stranger(1)) };
        assert_eq!(asked(&mut thief, replayed).await, Err(Refusal::Invalid), "replayed-registration");
        for taken in ["Victim", "victim", "VICTIM"] {
            let register = Register { request: 2, name: name(taken), prekey: prekey.clone() };
            assert_eq!(asked(&mut thief, register).await, Err(Refusal::NameTaken), "name-in-other-case {taken}");
        }
        assert_eq!(
            asked(&mut thief, Deregister { request: 3 }).await,
            Err(Refusal::NotRegistered),
            "release-of-another"
        );
        let online = Online {
            request: 4,
            candidates: Vec::new(),
            prekey: prekey.clone(),
            standing: common::wire::directory::Standing::Online,
            note: None,
        };
        assert_eq!(asked(&mut thief, online).await, Err(Refusal::NotRegistered), "online-without-name");
        let refused =
            asked(&mut victim, Register { request: 5, name: name("second"), prekey: prekey_of(&stranger(1)) }).await;
        assert_eq!(refused, Err(Refusal::AlreadyRegistered(name("Victim"))), "second-name");
        thief.send(LookUp { request: 6, whom: Whom::Name(name("victim")) }).await.unwrap();
        let Some(FromDirectory::Person(person)) = thief.receive().await.unwrap() else { panic!("no answer") };
        assert_eq!((person.profile.key, person.profile.prekey), (stranger(1).public(), Some(prekey_of(&stranger(1)))));

        let rest = codec::encode(&prekey);
        for (number, (word, alike)) in (10..).zip(LOOK_ALIKES) {
            let payload = [&[1], &codec::encode(&(*alike).to_string())[..], &rest].concat();
            let mut session = log_in(&world, number).await;
            session.send_raw(&raw_frame(0x0103, &payload)).await.unwrap();
            assert_eq!(rejected(session).await, Some(Rejection::Protocol), "{word}");
        }
        let payload = [&[1], &codec::encode(&"honest".to_string())[..], &rest].concat();
        thief.send_raw(&raw_frame(0x0103, &payload)).await.unwrap();
        assert!(
            matches!(thief.receive().await.unwrap(), Some(FromDirectory::Registered(_))),
            "the control: a plain name"
        );
    });
}

/// Names that look like `victim`, or like nothing at all.
const LOOK_ALIKES: &[(&str, &str)] = &[
    ("name-cyrillic", "v\u{456}ctim"),
    ("name-fullwidth", "\u{ff56}ictim"),
    ("name-combining", "vi\u{301}ctim"),
    ("name-zero-width", "vic\u{200b}tim"),
    ("name-bidi", "\u{202e}mitciv"),
    ("name-long-s", "victim\u{17f}"),
    ("name-trailing-space", "victim "),
    ("name-leading-space", " victim"),
    ("name-nul", "victim\0"),
    ("name-newline", "victim\n"),
    ("name-escape", "vic\u{1b}[8mtim"),
    ("name-fingerprint-mark", "victim#AAAA"),
    ("name-empty", ""),
    ("name-short", "vi"),
    ("name-long", "victim-victim-vi"),
];

/// A sealed item's size, with bytes nobody opens.
const SEALED_BYTES: usize = 2_185;

fn place(seq: u64) -> Place {
    Place { recipient: stranger(1).public(), epoch: epoch().id, seq }
}

fn deposit(seq: u64, byte: u8) -> Deposit {
    Deposit {
        place: place(seq),
        tag: [byte; 8],
        prekey: 1,
        urgent: false,
        human: true,
        sealed: vec![byte; SEALED_BYTES],
    }
}

async fn deposited(session: &mut DirectorySession, item: Deposit) -> Option<Refusal> {
    session.send(item).await.unwrap();
    match session.receive().await.unwrap() {
        Some(FromDirectory::Deposited(deposited)) => deposited.answers[0].refusal.clone(),
        other => panic!("a deposit is answered: {other:?}"),
    }
}

async fn fate(session: &mut DirectorySession, seq: u64) -> Fate {
    session.send(Have { request: 9, places: vec![place(seq)] }).await.unwrap();
    match session.receive().await.unwrap() {
        Some(FromDirectory::Had(had)) => had.fates[0].1.clone(),
        other => panic!("have is answered: {other:?}"),
    }
}

#[test]
fn items_and_slots_of_others_are_neither_taken_nor_replaced_nor_withdrawn() {
    let world = World::new();
    run(async {
        let mut owner = registered(&world, 1, "recipient").await;
        let mut sender = registered(&world, 2, "sender").await;
        let mut thief = registered(&world, 3, "thief").await;
        let mut unnamed = log_in(&world, 4).await;
        assert_eq!(deposited(&mut unnamed, deposit(1, 1)).await, Some(Refusal::NotRegistered), "deposit-without-name");
        assert_eq!(deposited(&mut sender, deposit(1, 1)).await, None, "the control: a deposit is kept");
        assert_eq!(deposited(&mut sender, deposit(1, 2)).await, Some(Refusal::Conflict), "other-message-at-a-place");
        // The same place of another submitter is another place.
        assert_eq!(fate(&mut thief, 1).await, Fate::Unknown, "fate-of-another");
        thief.send(Withdraw { places: vec![place(1)] }).await.unwrap();
        thief.send(Take { items: (0..50).map(|item| (item, Taking::Stored)).collect() }).await.unwrap();
        sender
            .send(PutSlot { recipient: stranger(1).public(), prekey: 1, sealed: vec![5; SEALED_BYTES] })
            .await
            .unwrap();
        thief
            .send(PutSlot { recipient: stranger(1).public(), prekey: 1, sealed: vec![6; SEALED_BYTES] })
            .await
            .unwrap();
        for serial in 0..50 {
            thief.send(TakeSlot { from: stranger(2).public(), serial }).await.unwrap();
        }
        assert_eq!(deposited(&mut thief, deposit(1, 3)).await, None);
        assert_eq!(fate(&mut sender, 1).await, Fate::Held, "withdraw-of-another, take-of-another");

        owner
            .send(Online {
                request: 2,
                candidates: Vec::new(),
                prekey: prekey_of(&stranger(1)),
                standing: common::wire::directory::Standing::Online,
                note: None,
            })
            .await
            .unwrap();
        let (mut items, mut slots) = (Vec::new(), Vec::new());
        loop {
            match owner.receive().await.unwrap().expect("a drain") {
                FromDirectory::Item(item) => items.push((item.submitter, item.sealed[0])),
                FromDirectory::Slot(slot) => slots.push((slot.from, slot.sealed[0])),
                FromDirectory::DrainEnd(_) => break,
                _ => {}
            }
        }
        let (sender, thief) = (stranger(2).public(), stranger(3).public());
        items.sort_unstable();
        slots.sort_unstable();
        let mut wanted = [(sender, 1), (thief, 3)];
        wanted.sort_unstable();
        assert_eq!(items, wanted, "item-at-the-place-of-another: whoever proved the key is the submitter");
        let mut wanted = [(sender, 5), (thief, 6)];
        wanted.sort_unstable();
        assert_eq!(slots, wanted, "slot-of-another, take-of-a-slot-of-another");
    });
}
