//! What somebody writes who may not be who they say: envelopes, pair states, bindings and sealed items, each field as
//! the test wants it. Nothing here is sent.

use common::body::{Body, Text};
use common::identity::{Context, Identity, PublicKey};
use common::message::{Conversation, Envelope, Epoch, Header, Held, MessageId, PairState, digest_of};
use common::record::{Binding, Bound, Prekey};
use common::seal::Sealer;
use common::wire::codec;
use common::wire::peer::{Greeting, Hello, Parcel};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use crate::hostile::{epoch, prekey_of};
use crate::programs::{Directory, Peer, World};

/// The identity in a data directory: what somebody has who stole it.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn stolen_key(data_dir: &std::path::Path) -> Identity {
    let seed = std::fs::read(data_dir.join("identity.key")).expect("an identity");
    Identity::from_seed(seed.as_slice().try_into().expect("32 bytes"))
}

/// The private key of a world's directory.
#[must_use]
pub fn stolen_directory_key(world: &World) -> Identity {
    stolen_key(Directory::data_dir(&world.directory))
}

/// Whether the log of `peer` says that something of `from` was dropped for this reason, and how often.
#[must_use]
pub fn dropped(peer: &Peer, from: &PublicKey, why: &str) -> usize {
    let line = format!("dropped from={} why={why}\n", from.fingerprint());
    peer.log().stderr().matches(&line).count()
}

/// A binding with `signer`'s signature under it.
#[must_use]
pub fn binding(signer: &Identity, directory: PublicKey, name: &str, key: PublicKey, serial: u64) -> Binding {
    Binding::sign(signer, &Bound { directory, name: name.parse().expect("a name"), key, serial })
}

/// The same bytes with a signature of another use.
#[must_use]
pub fn binding_in(context: Context, signer: &Identity, bound: &Bound) -> Binding {
    let bytes = codec::encode(bound);
    let signature = signer.sign(context, &bytes);
    codec::decode(&[codec::encode(&bytes), signature.0.to_vec()].concat()).expect("a binding's shape")
}

/// A text in the lane from `sender` to `recipient`.
#[must_use]
pub fn envelope(sender: PublicKey, recipient: PublicKey, seq: u64, words: &str) -> Envelope {
    let id = MessageId::new(1_700_000_000_000 + seq, blake(words));
    let header = Header {
        sender,
        recipient,
        epoch: epoch(),
        seq,
        floor: 1,
        id,
        after: None,
        ordered: true,
        urgent: false,
        conversation: Conversation::Pair,
        sent_at_ms: 1_700_000_000_000,
        kind: Body::TEXT,
    };
    Envelope { header, body: codec::encode(&Text { text: words.to_string(), reply_to: None }) }
}

/// Bytes that follow from the words.
fn blake(words: &str) -> [u8; 10] {
    let mut seed = [0; 32];
    for (at, byte) in words.bytes().enumerate() {
        seed[at % 32] ^= byte.rotate_left(u32::try_from(at / 32 % 8).expect("under 8"));
    }
    let mut bytes = [0; 10];
    ChaCha8Rng::from_seed(seed).fill_bytes(&mut bytes);
    bytes
}

/// A state of a newcomer who holds nothing.
#[must_use]
pub fn state(from: PublicKey, to: PublicKey, version: u64) -> PairState {
    PairState {
        from,
        to,
        epoch: epoch(),
        version,
        floor: 1,
        applied: None,
        held: None,
        read: None,
        blocked: false,
        prekey: None,
    }
}

/// What acknowledges the message `id`, the first one of a lane in `epoch`.
///
/// # Panics
/// When `id` is not an identifier as programs print them.
#[must_use]
pub fn holds_first(epoch: Epoch, id: &str) -> Option<Held> {
    let bytes: Vec<u8> = (0..32).step_by(2).map(|at| u8::from_str_radix(&id[at..at + 2], 16).expect("hex")).collect();
    let id = MessageId(bytes.try_into().expect("16 bytes"));
    Some(Held { epoch, floor: 1, top: 1, missing: Vec::new(), digest: digest_of(1, &id) })
}

/// The hello of somebody with this binding.
#[must_use]
pub fn hello(me: PublicKey, to: PublicKey, binding: Option<Binding>) -> Hello {
    let versions = common::wire::VERSIONS;
    Hello(Greeting { versions, features: 0, instance: [1; 16], epoch: epoch(), binding, state: state(me, to, 1) })
}

/// Seals `content` as `me` would, to `prekey` of `to`.
///
/// # Panics
/// When it cannot be sealed.
#[must_use]
pub fn seal(me: &Identity, to: &PublicKey, prekey: &Prekey, context: Context, content: &[u8]) -> Vec<u8> {
    let mut rng = ChaCha8Rng::seed_from_u64(content.len() as u64);
    let mut entropy = |target: &mut [u8]| rng.fill_bytes(target);
    Sealer::new().seal(me, to, prekey, context, content, &mut entropy).expect("sealed")
}

/// A parcel's bytes.
#[must_use]
pub fn parcel(envelope: Envelope, binding: Option<Binding>) -> Vec<u8> {
    codec::encode(&Parcel { envelope, binding })
}

/// A state with the prekey record of somebody else in it.
#[must_use]
pub fn state_with_prekey_of(other: &Identity, from: PublicKey, to: PublicKey, version: u64) -> PairState {
    PairState { prekey: Some(prekey_of(other)), ..state(from, to, version) }
}
