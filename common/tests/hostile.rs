//! Bytes that nobody honest sends: cut, extended, lying about lengths, random. Nothing here may panic or be taken for
//! something it is not. The honest bytes are pinned in `golden.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod samples;

use common::body::Text;
use common::identity::{PublicKey, Signature};
use common::limits::FRAME_MAX_BYTES;
use common::message::{Conversation, Envelope, Epoch, EpochId, Header, Held, MessageId, PairState};
use common::name::Name;
use common::record::{Binding, Bound, Prekey, PrekeyRecord};
use common::wire::codec::{self, DecodeError};
use common::wire::directory::{Accept, Deposit, FromDirectory, Place, Register, ToDirectory};
use common::wire::file::FileFrame;
use common::wire::peer::{Parcel, PeerFrame};
use common::wire::{self, Frame, FrameError};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// How a length of 2^60 is written.
const HUGE: [u8; 9] = [253, 0, 0, 0, 0, 0, 0, 0, 0x10];

#[test]
fn a_frame_cut_anywhere_does_not_decode() {
    for (name, frame) in samples::frames() {
        let bytes = frame.encode();
        for end in 0..bytes.len() {
            assert_eq!(wire::peek(&bytes[..end], FRAME_MAX_BYTES), Ok(None), "{name} at {end}");
            if let Some(payload) = bytes[..end].get(wire::PAYLOAD_AT..) {
                let cut = frame.decode(frame.kind(), payload);
                assert!(matches!(cut, Err(FrameError::Decode(DecodeError::Malformed(_)))), "{name} at {end}");
            }
        }
    }
}

#[test]
fn a_byte_too_many_is_an_error() {
    for (name, frame) in samples::frames() {
        let mut payload = frame.encode().split_off(wire::PAYLOAD_AT);
        payload.push(0);
        let extended = frame.decode(frame.kind(), &payload);
        assert_eq!(extended, Err(FrameError::Decode(DecodeError::Trailing(1))), "{name}");
    }
}

#[test]
fn more_than_a_frame_is_never_decoded() {
    let refused = codec::decode::<Vec<u8>>(&vec![0; FRAME_MAX_BYTES + 1]);
    assert_eq!(refused, Err(DecodeError::TooLong(FRAME_MAX_BYTES + 1)));
}

#[test]
fn a_length_that_lies_fails_cleanly() {
    assert!(codec::decode::<Accept>(&HUGE).is_err());
    assert!(codec::decode::<Name>(&HUGE).is_err());
    assert!(codec::decode::<Text>(&HUGE).is_err());
    let place = Place { recipient: PublicKey([1; 32]), epoch: EpochId([2; 16]), seq: 1 };
    let deposit = Deposit { place, tag: [0; 8], prekey: 1, urgent: false, human: true, sealed: vec![] };
    let mut bytes = codec::encode(&deposit);
    assert_eq!(bytes.pop(), Some(0));
    bytes.extend(HUGE);
    assert!(codec::decode::<Deposit>(&bytes).is_err());
    let epoch = samples::epoch();
    let mut bytes = codec::encode(&(epoch, 1_u64, 1_u64));
    bytes.extend(HUGE);
    bytes.extend([0; 64]);
    assert!(codec::decode::<Held>(&bytes).is_err());
    // Within the frame limit by count, far beyond it by what the bytes hold.
    let claim = [251, 0xff, 0xff];
    assert!(codec::decode::<Accept>(&claim).is_err());
}

#[test]
fn a_name_is_checked_on_the_wire() {
    let register = Register { request: 1, name: samples::name("abc"), prekey: samples::prekey_record() };
    let payload = ToDirectory::from(register).payload();
    assert_eq!(payload[..5], [1, 3, b'a', b'b', b'c']);
    for bad in [b"a b", b"ab\n", b"a\x1bb", b"a/b", b"\xc3\xa9b", b"\xff\xffb"] {
        let mut bytes = payload.clone();
        bytes[2..5].copy_from_slice(bad);
        assert!(ToDirectory::decode(wire::kind::to_directory::REGISTER, &bytes).is_err(), "{bad:?}");
    }
    assert!(codec::decode::<Name>(&codec::encode(&"ab")).is_err());
    assert!(codec::decode::<Name>(&codec::encode(&"a".repeat(16))).is_err());
    assert!(codec::decode::<Name>(&codec::encode(&"a".repeat(15))).is_ok());
}

#[test]
fn an_unknown_variant_or_flag_is_refused() {
    assert!(PeerFrame::decode(wire::kind::peer::CLOSE, &[6]).is_ok());
    assert!(PeerFrame::decode(wire::kind::peer::CLOSE, &[7]).is_err());
    assert!(FileFrame::decode(wire::kind::file::ANSWER, &[3]).is_ok());
    assert!(FileFrame::decode(wire::kind::file::ANSWER, &[4]).is_err());
    assert!(codec::decode::<bool>(&[2]).is_err());
    assert!(codec::decode::<Option<u8>>(&[2, 0]).is_err());
    assert!(codec::decode::<String>(&[1, 0xff]).is_err());
}

fn public_key() -> impl Strategy<Value = PublicKey> {
    any::<[u8; 32]>().prop_map(PublicKey)
}

fn message_id() -> impl Strategy<Value = MessageId> {
    any::<[u8; 16]>().prop_map(MessageId)
}

fn epoch() -> impl Strategy<Value = Epoch> {
    (any::<u64>(), any::<[u8; 16]>()).prop_map(|(generation, id)| Epoch { generation, id: EpochId(id) })
}

fn name() -> impl Strategy<Value = Name> {
    "[A-Za-z0-9_-]{3,15}".prop_map(|text| text.parse().unwrap())
}

fn conversation() -> impl Strategy<Value = Conversation> {
    let group = (any::<[u8; 16]>(), any::<u64>()).prop_map(|(id, membership)| Conversation::Group { id, membership });
    prop_oneof![Just(Conversation::Pair), group]
}

fn header() -> impl Strategy<Value = Header> {
    let place = (public_key(), public_key(), epoch(), any::<u64>(), any::<u64>());
    let order = (message_id(), option::of(message_id()), any::<bool>(), any::<bool>());
    (place, order, conversation(), any::<i64>(), any::<u16>()).prop_map(
        |((sender, recipient, epoch, seq, floor), (id, after, ordered, urgent), conversation, sent_at_ms, kind)| {
            Header { sender, recipient, epoch, seq, floor, id, after, ordered, urgent, conversation, sent_at_ms, kind }
        },
    )
}

fn envelope() -> impl Strategy<Value = Envelope> {
    (header(), vec(any::<u8>(), 0..300)).prop_map(|(header, body)| Envelope { header, body })
}

fn bound() -> impl Strategy<Value = Bound> {
    (public_key(), name(), public_key(), any::<u64>()).prop_map(|(directory, name, key, serial)| Bound {
        directory,
        name,
        key,
        serial,
    })
}

fn binding() -> impl Strategy<Value = Binding> {
    (any::<u8>(), bound()).prop_map(|(seed, bound)| Binding::sign(&samples::identity(seed), &bound))
}

fn prekey() -> impl Strategy<Value = Prekey> {
    (public_key(), any::<u64>(), any::<i64>(), vec(any::<u8>(), 0..1300))
        .prop_map(|(owner, counter, created_ms, key)| Prekey { owner, counter, created_ms, key })
}

fn prekey_record() -> impl Strategy<Value = PrekeyRecord> {
    (any::<u8>(), prekey()).prop_map(|(seed, prekey)| PrekeyRecord::sign(&samples::identity(seed), &prekey))
}

fn held() -> impl Strategy<Value = Held> {
    (epoch(), any::<u64>(), any::<u64>(), vec(any::<(u64, u64)>(), 0..20), any::<[u8; 8]>())
        .prop_map(|(epoch, floor, top, missing, digest)| Held { epoch, floor, top, missing, digest })
}

fn pair_state() -> impl Strategy<Value = PairState> {
    let ends = (public_key(), public_key(), epoch(), any::<u64>(), any::<u64>());
    let told = (option::of((epoch(), any::<u64>())), option::of(held()), option::of(message_id()));
    (ends, told, any::<bool>(), option::of(prekey_record())).prop_map(
        |((from, to, epoch, version, floor), (applied, held, read), blocked, prekey)| PairState {
            from,
            to,
            epoch,
            version,
            floor,
            applied,
            held,
            read,
            blocked,
            prekey,
        },
    )
}

fn round_trips<T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T) {
    let bytes = codec::encode(value);
    let decoded: T = codec::decode(&bytes).unwrap();
    assert_eq!(&decoded, value);
    assert_eq!(codec::encode(&decoded), bytes);
}

/// Every kind number there is, and some there are not.
fn kind() -> impl Strategy<Value = u16> {
    let known: Vec<u16> = samples::frames().iter().map(|(_, frame)| frame.kind()).collect();
    prop_oneof![8 => prop::sample::select(known), 1 => any::<u16>()]
}

/// Decodes in every direction; what decodes is a value that encodes and decodes to itself.
fn decode_everywhere(kind: u16, payload: &[u8]) {
    fn direction<F: Frame + PartialEq + std::fmt::Debug>(kind: u16, payload: &[u8]) {
        if let Ok(frame) = F::decode(kind, payload) {
            assert_eq!(F::decode(frame.kind(), &frame.payload()).as_ref(), Ok(&frame));
        }
    }
    direction::<ToDirectory>(kind, payload);
    direction::<FromDirectory>(kind, payload);
    direction::<PeerFrame>(kind, payload);
    direction::<FileFrame>(kind, payload);
}

proptest! {
    #[test]
    fn random_bytes_never_panic_in_a_frame(kind in kind(), payload in vec(any::<u8>(), 0..600)) {
        decode_everywhere(kind, &payload);
    }

    #[test]
    fn random_bytes_never_panic_in_a_record(bytes in vec(any::<u8>(), 0..600)) {
        let _ = codec::decode::<Parcel>(&bytes);
        let _ = codec::decode::<Bound>(&bytes);
        let _ = codec::decode::<Prekey>(&bytes);
        let _ = codec::decode::<Text>(&bytes);
        let _ = codec::decode::<Signature>(&bytes);
        if let Ok(binding) = codec::decode::<Binding>(&bytes) {
            prop_assert!(binding.verify(&samples::key(9)).is_err());
        }
        if let Ok(record) = codec::decode::<PrekeyRecord>(&bytes) {
            prop_assert!(record.verify(&samples::key(1)).is_err());
        }
    }

    #[test]
    fn a_damaged_frame_never_panics(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let frames = samples::frames();
        let (_, frame) = which.get(&frames);
        let mut payload = frame.encode().split_off(wire::PAYLOAD_AT);
        if !payload.is_empty() {
            let at = at.index(payload.len());
            payload[at] = byte;
        }
        decode_everywhere(frame.kind(), &payload);
    }

    #[test]
    fn whatever_is_written_reads_back(envelope in envelope(), state in pair_state(), binding in option::of(binding())) {
        round_trips(&envelope);
        round_trips(&state);
        round_trips(&Parcel { envelope, binding });
    }

    #[test]
    fn whatever_is_signed_reads_back(seed in any::<u8>(), bound in bound(), prekey in prekey()) {
        let signer = samples::identity(seed);
        let bound = Bound { directory: signer.public(), ..bound };
        let binding = Binding::sign(&signer, &bound);
        round_trips(&binding);
        prop_assert_eq!(binding.verify(&signer.public()).unwrap(), bound);
        let mut key = prekey.key.clone();
        key.resize(common::limits::PREKEY_BYTES, 0);
        let prekey = Prekey { owner: signer.public(), key, ..prekey };
        let record = PrekeyRecord::sign(&signer, &prekey);
        round_trips(&record);
        prop_assert_eq!(record.verify(&signer.public()).unwrap(), prekey);
    }

    #[test]
    fn peek_never_takes_a_length_out_of_bounds(
        length in prop_oneof![0_u32..80, any::<u32>()],
        rest in vec(any::<u8>(), 0..100),
        limit in prop_oneof![0_usize..80, Just(FRAME_MAX_BYTES)],
        cut in any::<prop::sample::Index>(),
    ) {
        let whole = [length.to_be_bytes().as_slice(), &rest].concat();
        let buffer = &whole[..cut.index(whole.len() + 1)];
        let allowed = (wire::KIND_BYTES..=limit).contains(&(length as usize));
        let frame_bytes = wire::LENGTH_BYTES + length as usize;
        match wire::peek(buffer, limit) {
            Err(error) => {
                prop_assert_eq!(error, FrameError::Length { length: length as usize, limit });
                prop_assert!(!allowed && buffer.len() >= wire::LENGTH_BYTES);
            }
            Ok(None) => prop_assert!(buffer.len() < wire::LENGTH_BYTES || (allowed && buffer.len() < frame_bytes)),
            Ok(Some(head)) => {
                prop_assert!(allowed && buffer.len() >= frame_bytes);
                prop_assert_eq!(head.frame_bytes, frame_bytes);
                prop_assert_eq!(head.kind, u16::from_be_bytes([buffer[4], buffer[5]]));
            }
        }
    }
}
