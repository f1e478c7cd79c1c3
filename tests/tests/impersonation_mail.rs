//! Impersonation through the directory: items and slots of others, resubmitted, sealed anew, reflected, signed for
//! another use. The log of the real peer that gets them says why each was dropped; no message is shown, none of its own
//! counts as delivered.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use common::identity::{Context, Identity, PublicKey};
use common::message::PairState;
use common::record::{Binding, Prekey};
use common::wire::codec;
use common::wire::directory::{
    Deposit, FromDirectory, Have, Item, LookUp, Online, Place, PutSlot, Register, Slot, Whom,
};
use system_tests::hostile::{DirectorySession, epoch, stranger};
use system_tests::impersonation::letters::{
    binding, dropped, envelope, holds_first, parcel, seal, state, state_with_prekey_of, stolen_key,
};
use system_tests::programs::{PATIENCE, Peer, World, eventually};

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}

/// A prekey pair of `owner` that opens: its record and its private half.
fn own_prekey(owner: &Identity) -> (common::record::PrekeyRecord, common::seal::PrekeySecret) {
    let (secret, key) = common::seal::generate_prekey([owner.public().0[0]; 32]);
    let prekey = Prekey { owner: owner.public(), counter: 1, created_ms: 0, key };
    (common::record::PrekeyRecord::sign(owner, &prekey), secret)
}

/// Somebody with a name and a session with the directory, who writes to one real peer.
struct Writer {
    session: DirectorySession,
    me: Identity,
    binding: Binding,
    to: PublicKey,
    prekey: Prekey,
    seq: u64,
}

impl Writer {
    async fn registered(world: &World, number: u64, name: &str, to: PublicKey) -> Self {
        let me = stranger(number);
        let (mut session, _) = DirectorySession::log_in(world.directory.address(), me.clone()).await.unwrap();
        let (prekey, _) = own_prekey(&me);
        session.send(Register { request: 1, name: name.parse().unwrap(), prekey }).await.unwrap();
        let Some(FromDirectory::Registered(registered)) = session.receive().await.unwrap() else {
            panic!("registered")
        };
        session.send(LookUp { request: 2, whom: Whom::Key(to) }).await.unwrap();
        let Some(FromDirectory::Person(person)) = session.receive().await.unwrap() else { panic!("a person") };
        let prekey = person.profile.prekey.unwrap().verify(&to).unwrap();
        Self { session, me, binding: registered.binding, to, prekey, seq: 0 }
    }

    fn key(&self) -> PublicKey {
        self.me.public()
    }

    fn sealed(&self, context: Context, content: &[u8]) -> Vec<u8> {
        seal(&self.me, &self.to, &self.prekey, context, content)
    }

    /// Puts bytes into the mailbox as the next item of the lane; the place it has there.
    async fn deposit(&mut self, sealed: Vec<u8>, prekey: u64) -> Place {
        self.seq += 1;
        let place = Place { recipient: self.to, epoch: epoch().id, seq: self.seq };
        let tag = self.seq.to_be_bytes();
        self.session.send(Deposit { place, tag, prekey, urgent: false, human: true, sealed }).await.unwrap();
        loop {
            match self.session.receive().await.unwrap().expect("a session") {
                FromDirectory::Deposited(deposited) => {
                    break assert_eq!(
                        deposited.answers,
                        [common::wire::directory::DepositAnswer { place, refusal: None }]
                    );
                }
                FromDirectory::NotOpened(_) | FromDirectory::Slot(_) => {}
                other => panic!("a deposit is answered: {other:?}"),
            }
        }
        place
    }

    async fn put_slot(&mut self, sealed: Vec<u8>) {
        let (recipient, prekey) = (self.to, self.prekey.counter);
        self.session.send(PutSlot { recipient, prekey, sealed }).await.unwrap();
    }

    /// Waits until the recipient has said what became of an item.
    async fn settled(&mut self, place: Place) -> String {
        loop {
            self.session.send(Have { request: 9, places: vec![place] }).await.unwrap();
            let fate = loop {
                // What the directory says beside the answer is passed over.
                if let FromDirectory::Had(had) = self.session.receive().await.unwrap().expect("a session") {
                    break format!("{:?}", had.fates[0].1);
                }
            };
            if fate != "Held" {
                return fate;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

/// Waits until the log says that something of `from` was dropped for this reason once more.
fn assert_dropped(peer: &Peer, from: PublicKey, why: &str, before: usize, word: &str) {
    eventually(&format!("{word}: {why}"), PATIENCE, || dropped(peer, &from, why) > before);
}

/// A real peer that tells why it drops something, and its key.
fn reader(world: &World) -> (Peer, PublicKey) {
    let alice = world.setup("alice").with("-vv").registered();
    let key = stolen_key(&alice.setup.data_dir).public();
    (alice, key)
}

/// An item that must not pass: its word in the list of cases, its bytes, the prekey counter it names, why the reader drops
/// it, and what the directory says of it then.
type Case = (&'static str, Vec<u8>, u64, &'static str, &'static str);

/// Items that no key of the reader opens as mallory's.
fn items_of_others_keys(bob: &Writer, mallory: &Writer, genuine: &[u8]) -> Vec<Case> {
    let (me, to, counter) = (mallory.key(), mallory.to, bob.prekey.counter);
    let content = parcel(envelope(me, to, 7, "as myself"), Some(mallory.binding.clone()));
    let (other_prekey, _) = own_prekey(&mallory.me);
    let other_prekey = Prekey { owner: to, ..other_prekey.verify(&me).unwrap() };
    let not_hers = seal(&mallory.me, &to, &other_prekey, Context::Envelope, &content);
    let own = mallory.sealed(Context::Envelope, &content);
    let mut bent = own.clone();
    bent[1_500] ^= 1;
    let as_state = mallory.sealed(Context::PairState, &codec::encode(&state(me, to, 1)));
    vec![
        ("item-resubmitted-by-another", genuine.to_vec(), counter, "NotOpened", "NotOpened"),
        ("item-sealed-to-another-prekey", not_hers, counter, "NotOpened", "NotOpened"),
        ("item-under-another-counter", own, counter + 1, "NotOpened", "NotOpened"),
        ("item-changed", bent, counter, "NotOpened", "NotOpened"),
        ("state-as-item", as_state, counter, "NotOpened", "NotOpened"),
    ]
}

/// Items that open and are not what mallory may say.
fn items_of_others_names(bob: &Writer, mallory: &Writer, carols: PublicKey) -> Vec<Case> {
    let (bobs, me, to) = (bob.key(), mallory.key(), mallory.to);
    let (bobs_word, own_word) = (Some(bob.binding.clone()), Some(mallory.binding.clone()));
    let self_made = binding(&stranger(2), stranger(2).public(), "bobby", me, 9);
    let (as_bob, own) = (envelope(bobs, to, 7, "as bobby"), envelope(me, to, 7, "as myself"));
    let (to_carol, as_alice) = (envelope(me, carols, 7, "to carol"), envelope(to, me, 7, "as alice"));
    let contents = [
        ("item-with-binding-of-another", parcel(own.clone(), bobs_word.clone()), "Unnamed"),
        ("item-with-binding-made-oneself", parcel(own.clone(), Some(self_made)), "Binding"),
        ("item-without-binding", parcel(own, None), "Unnamed"),
        ("item-with-sender-another", parcel(as_bob.clone(), own_word.clone()), "EnvelopeOfOthers"),
        ("item-with-sender-and-binding-another", parcel(as_bob, bobs_word), "EnvelopeOfOthers"),
        ("item-to-another", parcel(to_carol, own_word.clone()), "EnvelopeOfOthers"),
        ("item-with-sender-the-reader", parcel(as_alice, own_word), "EnvelopeOfOthers"),
        ("binding-as-parcel", codec::encode(&bob.binding), "Forged"),
    ];
    let sealed = |content: &[u8]| mallory.sealed(Context::Envelope, content);
    let counter = bob.prekey.counter;
    contents.into_iter().map(|(word, content, why)| (word, sealed(&content), counter, why, "Taken")).collect()
}

#[test]
fn items_are_taken_from_the_key_that_sealed_and_signed_them_alone() {
    let world = World::new();
    let (alice, to) = reader(&world);
    let carol = world.peer("carol");
    let carols = stolen_key(&carol.setup.data_dir).public();
    run(async {
        let mut bob = Writer::registered(&world, 1, "bobby", to).await;
        let mut mallory = Writer::registered(&world, 2, "mallory", to).await;
        let (bobs, me, counter) = (bob.key(), mallory.key(), bob.prekey.counter);
        let (bobs_word, own_word) = (Some(bob.binding.clone()), Some(mallory.binding.clone()));

        // The control: what bobby wrote is shown as his.
        let genuine = bob.sealed(Context::Envelope, &parcel(envelope(bobs, to, 1, "genuine"), bobs_word));
        let place = bob.deposit(genuine.clone(), counter).await;
        assert_eq!(bob.settled(place).await, "Taken");
        alice.wait_message("bobby", "genuine");

        let not_to_be_opened = items_of_others_keys(&bob, &mallory, &genuine);
        let not_believed = items_of_others_names(&bob, &mallory, carols);
        let cases = not_to_be_opened.into_iter().chain(not_believed);
        for (word, sealed, counter, why, fate) in cases {
            let before = dropped(&alice, &me, why);
            let place = mallory.deposit(sealed, counter).await;
            assert_eq!(mallory.settled(place).await, fate, "{word}");
            assert_dropped(&alice, me, why, before, word);
        }
        // Bobby's own item at another place, as a directory could repeat it, is the same message.
        let place = bob.deposit(genuine.clone(), counter).await;
        assert_eq!(bob.settled(place).await, "Taken", "item-repeated");
        let own = of_the_control(&mallory, &own_word);
        let place = mallory.deposit(own, counter).await;
        assert_eq!(mallory.settled(place).await, "Taken");
        alice.wait_message("mallory", "as myself at last");
    });
    let lines = alice.log().lines(0, |line| line.event() == "message");
    let shown: Vec<_> = lines.iter().map(|line| line.json["text"].as_str().unwrap()).collect();
    assert_eq!(shown, ["genuine", "as myself at last"]);
    assert!(carol.log().lines(0, |line| line.event() == "message").is_empty());
}

fn of_the_control(mallory: &Writer, binding: &Option<Binding>) -> Vec<u8> {
    let content = parcel(envelope(mallory.key(), mallory.to, 1, "as myself at last"), binding.clone());
    mallory.sealed(Context::Envelope, &content)
}

#[test]
fn a_message_counts_as_delivered_by_its_recipients_own_state_alone() {
    let world = World::new();
    let (alice, to) = reader(&world);
    run(async {
        let mut bob = Writer::registered(&world, 1, "bobby", to).await;
        let mut mallory = Writer::registered(&world, 2, "mallory", to).await;
        let (bobs, me) = (bob.key(), mallory.key());
        // Known to alice, both of them.
        for writer in [&mut bob, &mut mallory] {
            let (key, word) = (writer.key(), Some(writer.binding.clone()));
            let sealed = writer.sealed(Context::Envelope, &parcel(envelope(key, to, 1, "hello"), word));
            let place = writer.deposit(sealed, writer.prekey.counter).await;
            assert_eq!(writer.settled(place).await, "Taken");
        }
        let waiting = alice.send("bobby", "for bobby alone");
        alice.wait_state(&waiting.id, "kept");
        let (item, slot) = drained(&mut bob).await;
        let (_, secret) = own_prekey(&bob.me);
        let mut opener = common::seal::Opener::new();
        let said = opener.open(&bobs, &to, &secret, slot.prekey, Context::PairState, &slot.sealed).unwrap();
        let alices: PairState = codec::decode(&said).unwrap();
        let covers = |from, to, version| {
            codec::encode(&PairState { held: holds_first(alices.epoch, &waiting.id), ..state(from, to, version) })
        };
        let genuine = bob.sealed(Context::PairState, &covers(bobs, to, 1 << 20));
        let by_me = |content: &[u8]| mallory.sealed(Context::PairState, content);
        let cases = [
            ("receipt-of-another-resubmitted", genuine.clone(), "NotOpened"),
            ("receipt-by-a-third", by_me(&covers(bobs, to, 2)), "StateOfOthers"),
            ("receipt-for-a-third", by_me(&covers(me, bobs, 3)), "StateOfOthers"),
            ("receipt-of-the-reader", by_me(&covers(to, me, 4)), "StateOfOthers"),
            ("reflected-slot", slot.sealed.clone(), "NotOpened"),
            ("reflected-item", item.sealed.clone(), "NotOpened"),
            ("envelope-as-state", mallory.sealed(Context::Envelope, &covers(bobs, to, 5)), "NotOpened"),
            ("parcel-as-state", by_me(&parcel(envelope(me, to, 2, "no state"), None)), "Forged"),
            ("slot-with-prekey-of-another", by_me(&codec::encode(&state_with_prekey_of(&bob.me, me, to, 6))), "Prekey"),
        ];
        for (word, sealed, why) in cases {
            let before = dropped(&alice, &me, why);
            mallory.put_slot(sealed).await;
            assert_dropped(&alice, me, why, before, word);
        }
        assert_eq!(alice.states_of(&waiting.id), ["queued", "kept"], "nobody but bobby can say that he has it");
        bob.put_slot(genuine.clone()).await;
        alice.wait_state(&waiting.id, "delivered");
        let before = dropped(&alice, &bobs, "StateOld");
        bob.put_slot(genuine).await;
        assert_dropped(&alice, bobs, "StateOld", before, "receipt-replayed");
    });
}

/// Comes online and takes what waits: an item and a slot.
async fn drained(writer: &mut Writer) -> (Item, Slot) {
    let prekey = own_prekey(&writer.me).0;
    writer
        .session
        .send(Online {
            request: 3,
            candidates: Vec::new(),
            prekey,
            standing: common::wire::directory::Standing::Online,
            note: None,
        })
        .await
        .unwrap();
    let (mut item, mut slot) = (None, None);
    while item.is_none() || slot.is_none() {
        match writer.session.receive().await.unwrap().expect("a drain") {
            FromDirectory::Item(found) => item = Some(found),
            FromDirectory::Slot(found) => slot = Some(found),
            _ => {}
        }
    }
    item.zip(slot).unwrap()
}
