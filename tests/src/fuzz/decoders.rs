//! Everything that is decoded from the wire: frames of each direction, records, sealed items and what is inside, names. What
//! decodes must encode to something that decodes to the same; what does not must say so.

use std::cell::RefCell;
use std::fmt::Debug;
use std::str::FromStr;

use common::body::Text;
use common::identity::{Context, Fingerprint, Identity, PublicKey, Signature};
use common::limits::{FRAME_LOGIN_MAX_BYTES, FRAME_MAX_BYTES, NAME_MAX_CHARS, NAME_MIN_CHARS, PREKEY_BYTES};
use common::message::{Envelope, Header, PairState};
use common::name::Name;
use common::record::{Binding, Bound, Prekey, PrekeyRecord};
use common::seal::{CONTENT_MAX_BYTES, OpenError, Opener, PrekeySecret, SealError, Sealer, generate_prekey};
use common::wire::codec;
use common::wire::directory::{FromDirectory, ToDirectory};
use common::wire::file::FileFrame;
use common::wire::peer::{Parcel, PeerFrame};
use common::wire::{self, Frame, FrameError, PAYLOAD_AT};
use peer::cli::values::{self, DirectoryAddress};
use peer_core::command::To;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Input;

/// Frames from a peer to its directory.
pub(super) fn to_directory(bytes: &[u8]) {
    frames::<ToDirectory>(bytes);
}

/// Frames from a directory to a peer.
pub(super) fn from_directory(bytes: &[u8]) {
    frames::<FromDirectory>(bytes);
}

/// Frames between peers, and on the stream of a file between them.
pub(super) fn between_peers(bytes: &[u8]) {
    frames::<PeerFrame>(bytes);
    frames::<FileFrame>(bytes);
}

/// A stream of frames as a connection reads it, the same whichever way it is cut.
fn frames<F: Frame + Debug + PartialEq>(bytes: &[u8]) {
    let Some((&first, stream)) = bytes.split_first() else { return };
    let limit = if first & 1 == 0 { FRAME_MAX_BYTES } else { FRAME_LOGIN_MAX_BYTES };
    let mut left = stream;
    while let Ok(Some(head)) = wire::peek(left, limit) {
        let (frame, rest) = left.split_at(head.frame_bytes);
        assert!(frame.len() <= limit + wire::LENGTH_BYTES, "a frame over the limit");
        assert!(matches!(wire::peek(&frame[..frame.len() - 1], limit), Ok(None)), "a frame is whole only when it is");
        one_frame::<F>(head.kind, &frame[PAYLOAD_AT..]);
        left = rest;
    }
    // The kind, then the payload: reaches the decoders without a length that fits.
    if let Some((kind, payload)) = stream.split_first_chunk::<2>() {
        one_frame::<F>(u16::from_be_bytes(*kind), payload);
    }
}

fn one_frame<F: Frame + Debug + PartialEq>(kind: u16, payload: &[u8]) {
    match F::decode(kind, payload) {
        Ok(frame) => {
            assert_eq!(frame.kind(), kind);
            let mut again = Vec::new();
            frame.encode_into(&mut again);
            assert!(again.len() <= PAYLOAD_AT + payload.len(), "the shortest form is what is written");
            assert_eq!(F::decode(kind, &again[PAYLOAD_AT..]).as_ref(), Ok(&frame));
        }
        Err(FrameError::Unsupported(unknown)) => assert_eq!(unknown, kind),
        Err(FrameError::Decode(_)) => {}
        Err(FrameError::Length { .. }) => panic!("a payload has no length field"),
    }
}

fn value<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) -> Option<T> {
    let value: T = codec::decode(bytes).ok()?;
    assert_eq!(codec::decode::<T>(&codec::encode(&value)).as_ref(), Ok(&value));
    Some(value)
}

/// Bindings and prekey records: nothing but what the right key signed for this use is believed.
pub(super) fn records(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let (signer, other) = (Identity::from_seed(&[1; 32]), Identity::from_seed(&[2; 32]));
    let context = input.pick(&[Context::Binding, Context::Prekey, Context::Envelope, Context::PairState]);
    let signed = input.flag();
    let (change_at, change) = (usize::from(u16::from_be_bytes(input.array())), input.byte());
    let content = input.rest();
    let signature = if signed { signer.sign(context, content) } else { Signature([7; 64]) };
    let mut record = codec::encode(&(content.to_vec(), signature));
    let place = change_at % record.len();
    record[place] ^= change;
    let whole = signed && change == 0;
    if let Some(binding) = value::<Binding>(&record) {
        let said = binding.verify(&signer.public());
        assert!(said.is_err() || (whole && context == Context::Binding), "a binding that nobody signed");
        assert!(binding.verify(&other.public()).is_err(), "a binding of another directory");
        assert!(said.is_ok_and(|bound| bound.directory == signer.public()) || !matches_bound(whole, context, content));
    }
    if let Some(prekey) = value::<PrekeyRecord>(&record) {
        let said = prekey.verify(&signer.public());
        assert!(said.is_err() || (whole && context == Context::Prekey), "a prekey that nobody signed");
        assert!(prekey.verify(&other.public()).is_err(), "a prekey of somebody else");
        assert!(said.is_err() || said.is_ok_and(|prekey| prekey.key.len() == PREKEY_BYTES));
    }
    // As a hostile one sends it.
    if let Some(binding) = value::<Binding>(content) {
        assert!(binding.verify(&PublicKey([0; 32])).is_err(), "the empty key signs nothing");
    }
    let _ = value::<PrekeyRecord>(content);
}

fn matches_bound(whole: bool, context: Context, content: &[u8]) -> bool {
    let signer = Identity::from_seed(&[1; 32]).public();
    whole && context == Context::Binding && codec::decode::<Bound>(content).is_ok_and(|bound| bound.directory == signer)
}

struct Seals {
    sealer: Sealer,
    opener: Opener,
    secret: PrekeySecret,
    prekey: Prekey,
    me: Identity,
    to: Identity,
}

thread_local! {
    static SEALS: RefCell<Seals> = RefCell::new({
        let (me, to) = (Identity::from_seed(&[3; 32]), Identity::from_seed(&[4; 32]));
        let (secret, key) = generate_prekey([5; 32]);
        let prekey = Prekey { owner: to.public(), counter: 6, created_ms: 0, key };
        Seals { sealer: Sealer::new(), opener: Opener::new(), secret, prekey, me, to }
    });
}

/// Sealed items: as somebody hostile makes them, and honest ones that were changed on their way.
pub(super) fn sealed(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let context = input.pick(&[Context::Envelope, Context::PairState]);
    let other = if context == Context::Envelope { Context::PairState } else { Context::Envelope };
    let mode = input.below(4);
    let (at, change) = (usize::from(u16::from_be_bytes(input.array())), input.byte());
    SEALS.with_borrow_mut(|seals| {
        let Seals { sealer, opener, secret, prekey, me, to } = seals;
        let (from, to) = (me.public(), to.public());
        if mode == 0 {
            let opened = opener.open(&to, &from, secret, prekey.counter, context, input.rest());
            assert!(opened.is_err(), "bytes that nobody sealed are opened");
            return;
        }
        let content = input.rest().repeat(if mode == 1 { 1 } else { at % 64 });
        let mut entropy = |bytes: &mut [u8]| bytes.fill(change);
        let sealed = sealer.seal(me, &to, prekey, context, &content, &mut entropy);
        let Ok(mut sealed) = sealed else {
            assert_eq!(sealed, Err(SealError::TooLarge { bytes: content.len() }));
            assert!(content.len() > CONTENT_MAX_BYTES);
            return;
        };
        assert_eq!(opener.open(&to, &from, secret, prekey.counter, context, &sealed), Ok(content.clone()));
        let wrong = [
            opener.open(&to, &from, secret, prekey.counter, other, &sealed),
            opener.open(&to, &from, secret, prekey.counter + 1, context, &sealed),
            opener.open(&to, &to, secret, prekey.counter, context, &sealed),
            opener.open(&from, &from, secret, prekey.counter, context, &sealed),
        ];
        assert!(wrong.iter().all(|opened| *opened == Err(OpenError::NotForThisKey)), "{wrong:?}");
        if mode == 3 {
            sealed.truncate(at % sealed.len());
        } else {
            let place = at % sealed.len();
            sealed[place] ^= change.max(1);
        }
        assert!(opener.open(&to, &from, secret, prekey.counter, context, &sealed).is_err(), "changed, and opened");
    });
}

/// What is found inside envelopes and sealed items.
pub(super) fn bodies(bytes: &[u8]) {
    let Some((&first, rest)) = bytes.split_first() else { return };
    match first % 6 {
        0 => drop(value::<Text>(rest)),
        1 => drop(value::<Envelope>(rest)),
        2 => drop(value::<Header>(rest)),
        3 => drop(value::<Parcel>(rest)),
        4 => drop(value::<Prekey>(rest)),
        _ => {
            let Some(state) = value::<PairState>(rest) else { return };
            let Some(held) = state.held.filter(peer_core::lane::is_sane) else { return };
            // A sane word about a lane costs no more than the rows that are remembered.
            let sent = peer_core::lane::Sent::after(held.top);
            assert_eq!(sent.contradicts(&held), None);
            assert!(sent.covered(&held).is_empty());
            assert!(
                held.floor > held.top
                    || held.covers(held.top)
                    || held.missing.iter().any(|(_, last)| *last == held.top)
            );
        }
    }
}

/// Names, fingerprints, recipients and addresses as text.
pub(super) fn names(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(name) = Name::from_str(text) {
        assert_eq!(name.as_str(), text);
        assert!((NAME_MIN_CHARS..=NAME_MAX_CHARS).contains(&text.chars().count()));
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')));
        assert_eq!(Name::from_str(&name.folded()).as_ref(), Ok(&name));
        assert_eq!(codec::decode::<Name>(&codec::encode(&text)).as_ref(), Ok(&name));
    } else {
        assert!(codec::decode::<Name>(&codec::encode(&text)).is_err(), "a name on the wire that is none");
    }
    if let Ok(fingerprint) = Fingerprint::from_str(text) {
        assert_eq!(fingerprint.to_string(), text.to_ascii_uppercase());
    }
    if let Ok(To::Person { name, fingerprint: Some(fingerprint) }) = To::from_str(text) {
        assert!(format!("{name}#{fingerprint}").eq_ignore_ascii_case(text));
    }
    if let Ok(DirectoryAddress { address, pin }) = DirectoryAddress::from_str(text) {
        let again =
            DirectoryAddress::from_str(&address).unwrap_or_else(|why| panic!("{address:?} from {text:?}: {why}"));
        assert_eq!((again.address, again.pin), (address.clone(), None));
        assert!(pin.is_none() || text.contains('#'));
        assert!(!address.contains(char::is_whitespace) && address.contains(':'));
    }
    if let Ok(address) = values::bind(text) {
        assert_eq!(values::bind(&address.to_string()), Ok(address));
    }
    if let Ok(address) = values::advertise(text) {
        assert!(address.port() > 0 && !address.ip().is_unspecified());
    }
    let _ = values::duration(text);
    let _ = values::key(text);
}

/// A frame that is sent fits where it travels, and reads back.
pub(super) fn fits<F: Frame + PartialEq>(frame: &F) {
    let mut bytes = Vec::new();
    frame.encode_into(&mut bytes);
    assert!(bytes.len() <= FRAME_MAX_BYTES + wire::LENGTH_BYTES, "a frame of {} bytes", bytes.len());
    assert!(F::decode(frame.kind(), &bytes[PAYLOAD_AT..]).is_ok_and(|again| again == *frame));
}
