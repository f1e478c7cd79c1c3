//! The bytes of everything that travels, pinned. A change here is a change of the protocol; the vectors stand in
//! `golden.txt`, one `name = hex` a line. Behaviour under hostile bytes is tested in `hostile.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod samples;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use common::body::Body;
use common::identity::Context;
use common::piece;
use common::record::{Binding, Bound, Prekey, PrekeyRecord};
use common::seal::{self, Opener, PrekeySecret, Sealer};
use common::wire::{self, codec};
use data_encoding::HEXLOWER;
use samples::{Any, identity, key};
use serde::Serialize;
use serde::de::DeserializeOwned;

const GOLDEN: &str = include_str!("golden.txt");
const WIRE_SOURCE: &str = include_str!("../src/wire.rs");

fn vectors() -> BTreeMap<&'static str, Vec<u8>> {
    let lines = GOLDEN.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let pairs: Vec<_> = lines.map(|line| line.split_once(" = ").unwrap()).collect();
    let vectors: BTreeMap<_, _> =
        pairs.iter().map(|(name, hex)| (*name, HEXLOWER.decode(hex.as_bytes()).unwrap())).collect();
    assert_eq!(vectors.len(), pairs.len(), "a name stands twice");
    vectors
}

/// The stored bytes, or a failure that shows the line as it would have to be.
fn expect(name: &str, encoded: &[u8]) {
    let line = format!("{name} = {}", HEXLOWER.encode(encoded));
    assert!(GOLDEN.lines().any(|golden| golden == line), "not in golden.txt:\n{line}");
}

#[track_caller]
fn check_value<T: Serialize + DeserializeOwned + PartialEq + Debug>(name: &str, value: &T) {
    let encoded = codec::encode(value);
    expect(name, &encoded);
    assert_eq!(&codec::decode::<T>(&vectors()[name]).unwrap(), value);
}

/// (constant, number) of every kind declared in the one list.
fn declared_kinds() -> Vec<(&'static str, u16)> {
    let constants = WIRE_SOURCE.lines().filter_map(|line| line.trim().strip_prefix("pub const "));
    let kinds = constants.filter_map(|line| line.split_once(": u16 = 0x"));
    kinds.map(|(name, hex)| (name, u16::from_str_radix(hex.trim_end_matches(';'), 16).unwrap())).collect()
}

#[test]
fn every_frame_has_the_bytes_it_always_had() {
    for (name, frame) in samples::frames() {
        let encoded = frame.encode();
        expect(&name, &encoded);
        let head = wire::peek(&encoded, common::limits::FRAME_MAX_BYTES).unwrap().unwrap();
        assert_eq!((head.kind, head.frame_bytes), (frame.kind(), encoded.len()), "{name}");
        let decoded = frame.decode(head.kind, &vectors()[name.as_str()][wire::PAYLOAD_AT..]).unwrap();
        assert_eq!(decoded, frame, "{name}");
        assert_eq!(decoded.encode(), encoded, "{name}");
    }
}

#[test]
fn every_record_has_the_bytes_it_always_had() {
    check_value("record/parcel", &samples::parcel());
    check_value("record/binding", &samples::binding());
    check_value("record/prekey", &samples::prekey_record());
    check_value("record/envelope", &samples::envelope(common::message::Conversation::Pair));
    check_value("record/pair-state", &samples::full_state());
}

#[test]
fn every_body_has_the_bytes_it_always_had() {
    for (name, body) in samples::bodies() {
        let (kind, bytes) = body.encode();
        let name = format!("body/{name}");
        expect(&name, &bytes);
        assert_eq!(Body::decode(kind, &vectors()[name.as_str()]), body);
    }
}

#[test]
fn no_vector_is_left_over() {
    let frames = samples::frames().into_iter().map(|(name, _)| name);
    let bodies = samples::bodies().into_iter().map(|(name, _)| format!("body/{name}"));
    let records = ["parcel", "binding", "prekey", "envelope", "pair-state"].map(|name| format!("record/{name}"));
    let known: BTreeSet<String> =
        frames.chain(records).chain(bodies).chain(["sealed/envelope", "sealed/piece"].map(str::to_owned)).collect();
    assert_eq!(vectors().into_keys().map(str::to_owned).collect::<BTreeSet<_>>(), known);
}

#[test]
fn every_kind_has_a_number_of_its_own_and_a_vector() {
    let declared = declared_kinds();
    assert!(declared.len() >= 64, "the list of kinds was not found");
    let numbers: BTreeSet<u16> = declared.iter().map(|(_, number)| *number).collect();
    assert_eq!(numbers.len(), declared.len(), "a number is used twice");
    let shown: BTreeSet<u16> = samples::frames().iter().map(|(_, frame)| frame.kind()).collect();
    assert_eq!(shown, numbers);
}

#[test]
fn a_frame_of_another_direction_is_unsupported() {
    let frames = samples::frames();
    let one_of = |wanted: fn(&Any) -> bool| frames.iter().map(|(_, frame)| frame).find(|frame| wanted(frame)).unwrap();
    let directions = [
        one_of(|frame| matches!(frame, Any::To(_))),
        one_of(|frame| matches!(frame, Any::From(_))),
        one_of(|frame| matches!(frame, Any::Peer(_))),
        one_of(|frame| matches!(frame, Any::File(_))),
    ];
    for (name, frame) in &frames {
        let payload = &frame.encode()[wire::PAYLOAD_AT..];
        for direction in directions {
            if std::mem::discriminant(direction) != std::mem::discriminant(frame) {
                let refused = direction.decode(frame.kind(), payload);
                assert_eq!(refused, Err(wire::FrameError::Unsupported(frame.kind())), "{name}");
            }
        }
    }
}

#[test]
fn a_frame_written_by_hand_is_the_one_that_is_sent() {
    let hello = &vectors()["to-directory/hello-first"];
    let mut by_hand = vec![0, 0, 0, 41, 0x01, 0x01]; // length, kind
    by_hand.extend([1, 2, 3]); // versions, features
    by_hand.extend([0x15; 16]); // instance
    by_hand.extend([251, 0x2c, 0x01]); // generation 300
    by_hand.extend([0x1e; 16]); // epoch id
    by_hand.extend([0]); // no token
    assert_eq!(hello, &by_hand);
    assert_eq!(vectors()["to-directory/ping"], [0, 0, 0, 2, 0x01, 0x12]);
}

#[test]
fn a_signed_record_of_the_vectors_verifies_for_its_signer_alone() {
    let binding: Binding = codec::decode(&vectors()["record/binding"]).unwrap();
    let bound = Bound { directory: key(9), name: samples::name("Bob_1"), key: key(1), serial: 70_000 };
    assert_eq!(binding.verify(&key(9)).unwrap(), bound);
    assert!(binding.verify(&key(1)).is_err());
    let whole = Prekey { owner: key(1), counter: 5, created_ms: 6, key: seal::generate_prekey([7; 32]).1 };
    let record = PrekeyRecord::sign(&identity(1), &whole);
    assert_eq!(record.verify(&key(1)).unwrap(), whole);
    assert!(record.verify(&key(2)).is_err());
    let short: PrekeyRecord = codec::decode(&vectors()["record/prekey"]).unwrap();
    assert!(short.verify(&key(1)).is_err());
    let of_another = PrekeyRecord::sign(&identity(2), &whole);
    assert!(of_another.verify(&key(2)).is_err());
}

#[test]
fn a_sealed_item_has_the_bytes_it_always_had() {
    let (secret, public) = seal::generate_prekey([7; 32]);
    let prekey = Prekey { owner: key(2), counter: 5, created_ms: 6, key: public };
    let mut entropy = |target: &mut [u8]| target.fill(0x42);
    let content = b"a sealed item";
    let sealed = Sealer::new().seal(&identity(1), &key(2), &prekey, Context::Envelope, content, &mut entropy).unwrap();
    expect("sealed/envelope", &sealed);
    let secret = PrekeySecret::from_bytes(secret.as_bytes()).unwrap();
    let golden = &vectors()["sealed/envelope"];
    let opened = Opener::new().open(&key(2), &key(1), &secret, 5, Context::Envelope, golden).unwrap();
    assert_eq!(opened, content);
}

#[test]
fn a_sealed_piece_has_the_bytes_it_always_had() {
    let (key, offer) = ([0x6b; 32], samples::message_id(4));
    let sealed = piece::seal(&key, offer, 1, [0x42; 24], b"a piece").unwrap();
    expect("sealed/piece", &sealed);
    assert_eq!(piece::open(&key, offer, 1, &vectors()["sealed/piece"]).unwrap(), b"a piece");
}
