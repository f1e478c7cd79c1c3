//! The largest value that the limits allow of each frame with a list or a blob fits where it must travel, and reads
//! back. Numbers are the largest there are, because small ones take fewer bytes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod samples;

use common::body::Text;
use common::group::{Change, SignedStep, Step};
use common::identity::{Identity, PublicKey};
use common::limits::{
    BROADCAST_MAX_BYTES, CANDIDATES_MAX, FRAME_LOGIN_MAX_BYTES, FRAME_MAX_BYTES, GROUP_STEPS_PAGE, GROUPS_PAGE,
    HAVE_MAX, LANE_WINDOW, NOTE_MAX_BYTES, PIECE_SEALED_MAX_BYTES, SEALED_MAX_BYTES, TAKE_MAX, TEXT_MAX_BYTES,
    WATCH_MAX, WHO_PAGE,
};
use common::message::{Conversation, Envelope, Epoch, EpochId, Held, MessageId, PairState};
use common::name::Name;
use common::record::{Binding, Bound, Prekey, PrekeyRecord};
use common::seal::{self, CONTENT_MAX_BYTES};
use common::shout::{Shout, SignedShout};
use common::wire::directory::{
    Broadcast, Deposit, DepositAnswer, Deposited, Fate, FollowGroups, FromDirectory, GroupNews, GroupSteps, Groups,
    Had, Have, Hello, Item, Listed, ListedGroup, NotOpened, Online, People, Piece, Place, PutPiece, Refusal, Register,
    RestoreGroup, Shouted, Standing, Take, Taking, ToDirectory, Watch, Withdraw,
};
use common::wire::peer::{self, Greeting, Parcel, PeerFrame};
use common::wire::{Frame, PAYLOAD_AT, codec};
use samples::{identity, key};

const KEY: PublicKey = PublicKey([0xff; 32]);
const EPOCH: Epoch = Epoch { generation: u64::MAX, id: EpochId([0xff; 16]) };
/// Deposits of one session that are not answered yet, at most.
const DEPOSITS_UNANSWERED: usize = 256;

fn longest_name() -> Name {
    "abcdefghijklmno".parse().unwrap()
}

fn longest_note() -> Option<String> {
    Some("n".repeat(NOTE_MAX_BYTES))
}

fn largest_step() -> SignedStep {
    let change = Change::Found { name: longest_name(), private: true };
    let by = Identity::from_seed(&[1; 32]);
    let step = Step { version: u64::MAX, ..Step::founding([0xff; 16], by.public(), i64::MIN, change) };
    SignedStep::sign(&by, &step)
}

fn largest_binding() -> Binding {
    Binding::sign(&identity(9), &Bound { directory: key(9), name: longest_name(), key: KEY, serial: u64::MAX })
}

fn largest_prekey() -> PrekeyRecord {
    let (_, public) = seal::generate_prekey([7; 32]);
    let prekey = Prekey { owner: key(1), counter: u64::MAX, created_ms: i64::MAX, key: public };
    PrekeyRecord::sign(&identity(1), &prekey)
}

/// Every second seq of the window missing: as many ranges as a window can have.
fn largest_state() -> PairState {
    let first = u64::MAX - LANE_WINDOW;
    let missing: Vec<_> = (first..u64::MAX).step_by(2).map(|seq| (seq, seq)).collect();
    let held = Held { epoch: EPOCH, floor: first, top: u64::MAX, missing, digest: [0xff; 8] };
    PairState {
        epoch: EPOCH,
        version: u64::MAX,
        floor: u64::MAX,
        applied: Some((EPOCH, u64::MAX)),
        held: Some(held),
        prekey: Some(largest_prekey()),
        ..samples::full_state()
    }
}

fn largest_envelope() -> Envelope {
    let mut envelope = samples::envelope(Conversation::Group { id: [0xff; 16], membership: u64::MAX });
    let header = &mut envelope.header;
    (header.epoch, header.seq, header.floor, header.kind) = (EPOCH, u64::MAX, u64::MAX, u16::MAX);
    let text = "x".repeat(TEXT_MAX_BYTES);
    envelope.body = codec::encode(&Text { text, reply_to: Some(samples::message_id(1)) });
    envelope
}

fn place() -> Place {
    Place { recipient: KEY, epoch: EPOCH.id, seq: u64::MAX }
}

#[track_caller]
fn fits<F: Frame + PartialEq + std::fmt::Debug>(frame: impl Into<F>, limit: usize) {
    let frame = frame.into();
    let mut bytes = Vec::new();
    frame.encode_into(&mut bytes);
    let length = bytes.len() - common::wire::LENGTH_BYTES;
    assert!(length <= limit, "{length} bytes in a frame of {limit}");
    assert_eq!(F::decode(frame.kind(), &bytes[PAYLOAD_AT..]).unwrap(), frame);
}

#[test]
fn the_largest_parcel_and_pair_state_can_be_sealed() {
    let parcel = Parcel { envelope: largest_envelope(), binding: Some(largest_binding()) };
    for bytes in [codec::encode(&parcel).len(), codec::encode(&largest_state()).len()] {
        assert!(bytes <= CONTENT_MAX_BYTES, "{bytes} bytes where {CONTENT_MAX_BYTES} can be sealed");
    }
}

#[test]
fn the_largest_frames_between_peers_fit() {
    let greeting = Greeting {
        versions: (u16::MAX, u16::MAX),
        features: u64::MAX,
        instance: [0xff; 16],
        epoch: EPOCH,
        binding: Some(largest_binding()),
        state: largest_state(),
    };
    fits::<PeerFrame>(peer::Hello(greeting), FRAME_MAX_BYTES);
    fits::<PeerFrame>(largest_envelope(), FRAME_MAX_BYTES);
}

#[test]
fn the_first_frame_to_a_directory_fits_before_login() {
    let (versions, instance, token) = ((u16::MAX, u16::MAX), [0xff; 16], Some([0xff; 16]));
    fits::<ToDirectory>(Hello { versions, features: u64::MAX, instance, epoch: EPOCH, token }, FRAME_LOGIN_MAX_BYTES);
}

#[test]
fn the_largest_frames_to_a_directory_fit() {
    let (request, prekey) = (u32::MAX, largest_prekey());
    let candidates = vec!["[ffff::ffff]:65535".parse().unwrap(); CANDIDATES_MAX];
    fits::<ToDirectory>(Register { request, name: longest_name(), prekey: prekey.clone() }, FRAME_MAX_BYTES);
    fits::<ToDirectory>(
        Online { request, candidates, prekey, standing: Standing::Busy, note: longest_note() },
        FRAME_MAX_BYTES,
    );
    fits::<ToDirectory>(Watch { add: vec![KEY; WATCH_MAX], remove: vec![KEY; WATCH_MAX] }, FRAME_MAX_BYTES);
    fits::<ToDirectory>(Have { request, places: vec![place(); HAVE_MAX] }, FRAME_MAX_BYTES);
    fits::<ToDirectory>(Withdraw { places: vec![place(); HAVE_MAX] }, FRAME_MAX_BYTES);
    fits::<ToDirectory>(Take { items: vec![(u64::MAX, Taking::NotOpened); TAKE_MAX] }, FRAME_MAX_BYTES);
    let sealed = vec![0xff; SEALED_MAX_BYTES];
    let deposit = Deposit { place: place(), tag: [0xff; 8], prekey: u64::MAX, urgent: true, human: true, sealed };
    fits::<ToDirectory>(deposit, FRAME_MAX_BYTES);
    let (offer, index, sealed) = (MessageId([0xff; 16]), u32::MAX, vec![0xff; PIECE_SEALED_MAX_BYTES]);
    fits::<ToDirectory>(PutPiece { recipient: KEY, offer, index, sealed }, FRAME_MAX_BYTES);
}

#[test]
fn the_largest_frames_from_a_directory_fit() {
    let request = u32::MAX;
    let (standing, since_ms) = (Standing::Offline, i64::MAX);
    let listed = Listed { name: longest_name(), key: KEY, standing, since_ms, note: longest_note() };
    fits::<FromDirectory>(People { request, people: vec![listed; WHO_PAGE], more: true }, FRAME_MAX_BYTES);
    fits::<FromDirectory>(Had { request, fates: vec![(place(), Fate::Unknown); HAVE_MAX] }, FRAME_MAX_BYTES);
    let refusal = Some(Refusal::AlreadyRegistered(longest_name()));
    let answers = vec![DepositAnswer { place: place(), refusal }; DEPOSITS_UNANSWERED];
    fits::<FromDirectory>(Deposited { answers }, FRAME_MAX_BYTES);
    let places = vec![place(); HAVE_MAX];
    fits::<FromDirectory>(NotOpened { places, prekey: Some(largest_prekey()) }, FRAME_MAX_BYTES);
    let item = Item {
        item: u64::MAX,
        submitter: KEY,
        epoch: EPOCH.id,
        seq: u64::MAX,
        prekey: u64::MAX,
        waited: true,
        deposited_at_ms: i64::MAX,
        sealed: vec![0xff; SEALED_MAX_BYTES],
    };
    fits::<FromDirectory>(item, FRAME_MAX_BYTES);
    let (offer, index, sealed) = (MessageId([0xff; 16]), u32::MAX, Some(vec![0xff; PIECE_SEALED_MAX_BYTES]));
    fits::<FromDirectory>(Piece { submitter: KEY, offer, index, sealed }, FRAME_MAX_BYTES);
    let steps = vec![largest_step(); GROUP_STEPS_PAGE];
    fits::<FromDirectory>(GroupSteps { request, steps: steps.clone(), more: true }, FRAME_MAX_BYTES);
    fits::<FromDirectory>(GroupNews { group: [0xff; 16], steps }, FRAME_MAX_BYTES);
    let (name, group, members) = (longest_name(), [0xff; 16], u32::MAX);
    let listed = ListedGroup { name, group, private: true, members, member: true, invited: true };
    fits::<FromDirectory>(Groups { request, groups: vec![listed; GROUPS_PAGE], more: true }, FRAME_MAX_BYTES);
    let shout = Shout { directory: KEY, by: KEY, at_ms: i64::MAX, text: "x".repeat(BROADCAST_MAX_BYTES) };
    let shout = SignedShout::sign(&Identity::from_seed(&[1; 32]), &shout);
    fits::<FromDirectory>(Shouted { binding: largest_binding(), shout: shout.clone() }, FRAME_MAX_BYTES);
    fits::<ToDirectory>(Broadcast { request, shout }, FRAME_MAX_BYTES);
    fits::<ToDirectory>(
        RestoreGroup { request: u32::MAX, steps: vec![largest_step(); GROUP_STEPS_PAGE] },
        FRAME_MAX_BYTES,
    );
    fits::<ToDirectory>(FollowGroups { groups: vec![([0xff; 16], u64::MAX); GROUPS_PAGE] }, FRAME_MAX_BYTES);
}
