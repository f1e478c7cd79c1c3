//! What the hostile directory and mallory say: every frame there is, with honest and dishonest parts mixed. They sign with their
//! own keys only; what is bobby's or alice's they can only repeat.

use std::net::SocketAddr;

use common::body::{Body, File, FileFault, FileSaying, FileWord, Text};
use common::identity::PublicKey;
use common::message::{Conversation, Envelope, Epoch, EpochId, Header, Held, MessageId, PairState, digest_of};
use common::name::Name;
use common::record::{Binding, Prekey, PrekeyRecord};
use common::wire::codec;
use common::wire::directory::{self as wire, Fate, FromDirectory, Refusal, Rejection, Standing};
use common::wire::peer::{self, CloseReason, Greeting, Parcel, PeerFrame};
use peer_core::event::{Input as Told, Output, SealedKind, Ticket};

use super::World;
use super::cast::{ALICE, BOBBY, BOBBYS_PREKEY, MALLORY, binding, prekey};

const BOBBYS: &str = "bobby";

fn key(world: &mut World<'_>) -> PublicKey {
    match world.input.below(8) {
        0..=2 => BOBBY.public(),
        3..=5 => MALLORY.public(),
        6 => ALICE.public(),
        _ => PublicKey([world.input.byte(); 32]),
    }
}

fn some_binding(world: &mut World<'_>, of: PublicKey) -> Binding {
    let serial = world.input.number();
    let name = world.input.pick(&["mallory", "bobby", "Bobby", "alice", "carol"]);
    binding(name, of, serial)
}

fn some_prekey(world: &mut World<'_>) -> PrekeyRecord {
    if world.input.flag() { BOBBYS_PREKEY.clone() } else { prekey(&MALLORY, world.input.number()) }
}

fn request(world: &mut World<'_>) -> u32 {
    let back = world.input.below(8);
    world.requests.iter().rev().nth(back).copied().unwrap_or_else(|| u32::from(world.input.byte()))
}

fn place(world: &mut World<'_>) -> wire::Place {
    let back = world.input.below(8);
    if let Some(place) = world.places.iter().rev().nth(back) {
        return *place;
    }
    wire::Place { recipient: key(world), epoch: EpochId([world.input.byte(); 16]), seq: world.input.number() }
}

fn addresses(world: &mut World<'_>) -> Vec<SocketAddr> {
    let hosts: [[u8; 4]; 4] = [[127, 0, 0, 1], [10, 0, 0, 9], [224, 0, 0, 1], [0; 4]];
    (0..world.input.below(40)).map(|n| SocketAddr::from((world.input.pick(&hosts), n as u16 * 1_000))).collect()
}

fn standing(world: &mut World<'_>) -> Standing {
    world.input.pick(&[Standing::Online, Standing::Away, Standing::Busy, Standing::Offline])
}

fn refusal(world: &mut World<'_>) -> Refusal {
    match world.input.below(14) {
        0 => Refusal::NoSuchUser,
        1 => Refusal::NameTaken,
        2 => Refusal::AlreadyRegistered("carol".parse().expect("a name")),
        3 => Refusal::NotRegistered,
        4 => Refusal::RateLimited(world.input.pick(&[0, 1, 1_000, u32::MAX])),
        5 => Refusal::MailboxFull,
        6 => Refusal::QuotaExceeded,
        7 => Refusal::StrangersFull,
        8 => Refusal::DiskFull,
        9 => Refusal::NoPrekey,
        10 => Refusal::Conflict,
        11 => Refusal::TooLarge { limit: world.input.number() },
        12 => Refusal::Invalid,
        _ => Refusal::StoreFailed,
    }
}

/// A frame of the directory.
pub(super) fn from_directory(world: &mut World<'_>) -> FromDirectory {
    match world.input.below(26) {
        0 => welcome(world),
        1 => wire::Behind { highest_generation: world.input.number() }.into(),
        2 => {
            let full = Rejection::Full(world.input.pick(&[0, 1, u32::MAX]));
            let reasons = [Rejection::Version(2, 3), full, Rejection::Protocol, Rejection::ShuttingDown];
            let reason = reasons[world.input.below(4)].clone();
            wire::Rejected { reason }.into()
        }
        3 => wire::TokenKept {}.into(),
        4 if world.input.below(4) == 0 => wire::TakenOver {}.into(),
        4 | 5 => wire::Done { request: request(world) }.into(),
        6 => wire::Refused { request: request(world), reason: refusal(world) }.into(),
        7 => wire::Registered { request: request(world), binding: any_binding(world) }.into(),
        8..=10 => person(world),
        11 => people(world),
        12 => {
            let (key, standing) = (key(world), standing(world));
            let since_ms = i64::from_be_bytes(world.input.array());
            wire::Presence { key, standing, since_ms, candidates: addresses(world), note: None }.into()
        }
        13..=15 => deposited(world),
        16 | 17 => had(world),
        18..=20 => item(world),
        21 => wire::DrainBegin { human: world.input.number() }.into(),
        22 => wire::DrainEnd {}.into(),
        23 | 24 => {
            let (from, serial) = (key(world), world.input.number());
            let (sealed, prekey) = sealed(world, SealedKind::State);
            wire::Slot { from, serial, prekey, sealed }.into()
        }
        _ => {
            let places = (0..world.input.below(4)).map(|_| place(world)).collect();
            let prekey = world.input.flag().then(|| some_prekey(world));
            wire::NotOpened { places, prekey }.into()
        }
    }
}

fn any_binding(world: &mut World<'_>) -> Binding {
    let of = key(world);
    some_binding(world, of)
}

fn welcome(world: &mut World<'_>) -> FromDirectory {
    let token = world.input.array();
    world.tokens.push(token);
    wire::Welcome {
        version: u16::from(world.input.byte()),
        features: world.input.number(),
        store_id: [world.input.byte() % 4; 16],
        commits: world.input.number(),
        now_ms: world.now.wall_ms.saturating_add(i64::from_be_bytes(world.input.array())),
        observed: SocketAddr::from(([224, 0, 0, 1], 0)),
        binding: world.input.flag().then(|| any_binding(world)),
        token,
    }
    .into()
}

fn person(world: &mut World<'_>) -> FromDirectory {
    let request = request(world);
    let of = key(world);
    let honest = world.input.flag() && of == BOBBY.public();
    let profile = wire::Profile {
        key: of,
        binding: if honest { binding(BOBBYS, of, 1) } else { some_binding(world, of) },
        standing: standing(world),
        since_ms: i64::from_be_bytes(world.input.array()),
        candidates: addresses(world),
        prekey: world.input.flag().then(|| some_prekey(world)),
    };
    wire::Person { request, profile }.into()
}

fn people(world: &mut World<'_>) -> FromDirectory {
    let request = request(world);
    let names = ["alice", "bobby", "mallory", "carol"];
    let people = (0..world.input.below(5)).map(|_| {
        let name: Name = world.input.pick(&names).parse().expect("a name");
        wire::Listed {
            name,
            key: key(world),
            standing: standing(world),
            since_ms: i64::from_be_bytes(world.input.array()),
            note: None,
        }
    });
    let people = people.collect();
    wire::People { request, people, more: world.input.flag() }.into()
}

fn deposited(world: &mut World<'_>) -> FromDirectory {
    let answers = (0..world.input.below(4)).map(|_| {
        let place = place(world);
        wire::DepositAnswer { place, refusal: world.input.flag().then(|| refusal(world)) }
    });
    wire::Deposited { answers: answers.collect() }.into()
}

fn had(world: &mut World<'_>) -> FromDirectory {
    let all = [Fate::Held, Fate::Taken, Fate::NotOpened, Fate::Expired, Fate::Unknown];
    let request = request(world);
    let fates = (0..world.input.below(4)).map(|_| (place(world), all[world.input.below(5)].clone()));
    wire::Had { request, fates: fates.collect() }.into()
}

fn item(world: &mut World<'_>) -> FromDirectory {
    let (sealed, prekey) = sealed(world, SealedKind::Parcel);
    wire::Item {
        item: world.input.number(),
        submitter: key(world),
        epoch: EpochId([world.input.byte() % 4; 16]),
        seq: world.input.number(),
        prekey,
        waited: world.input.flag(),
        deposited_at_ms: i64::from_be_bytes(world.input.array()),
        sealed,
    }
    .into()
}

/// Sealed by mallory for alice, sent back from what alice sealed, or no such thing.
fn sealed(world: &mut World<'_>, kind: SealedKind) -> (Vec<u8>, u64) {
    let mode = world.input.below(8);
    let counter = world.prekey.as_ref().map_or(0, |prekey| prekey.counter);
    if mode == 0 {
        return (world.input.blob(100).to_vec(), counter);
    }
    if mode == 1 && !world.sealed.is_empty() {
        let back = world.input.below(world.sealed.len());
        return (world.sealed[back].clone(), counter);
    }
    let plain = match kind {
        _ if mode == 2 => world.input.blob(200).to_vec(),
        SealedKind::Parcel => {
            let envelope = envelope(world);
            let binding = world.input.flag().then(|| any_binding(world));
            codec::encode(&Parcel { envelope, binding })
        }
        SealedKind::State => codec::encode(&state(world)),
    };
    let Some(prekey) = world.prekey.clone() else { return (plain, counter) };
    (seal(world, kind, prekey, plain), if mode == 3 { world.input.number() } else { counter })
}

fn seal(world: &mut World<'_>, kind: SealedKind, prekey: Prekey, plain: Vec<u8>) -> Vec<u8> {
    let seal = Output::Seal { ticket: Ticket(0), kind, to: ALICE.public(), prekey: Box::new(prekey), plain };
    let Some(Told::Sealed { sealed: Some(sealed), .. }) = world.seals.answer(&MALLORY, seal, &mut world.dice) else {
        panic!("the stand-in seals everything");
    };
    sealed
}

/// What mallory's program says first on a link.
pub(super) fn greeting(world: &mut World<'_>, answers: bool) -> PeerFrame {
    let binding = match world.input.below(4) {
        0 => None,
        1 => Some(any_binding(world)),
        _ => Some(binding("mallory", MALLORY.public(), world.input.number())),
    };
    let greeting = Greeting {
        versions: world.input.pick(&[(1, 1), (1, 1), (1, 1), (0, 9), (2, 3), (3, 1)]),
        features: world.input.number(),
        instance: [world.input.byte() % 3; 16],
        epoch: epoch(world),
        binding,
        state: state(world),
    };
    if answers { peer::Welcome(greeting).into() } else { peer::Hello(greeting).into() }
}

/// Anything mallory sends on a link.
pub(super) fn between(world: &mut World<'_>) -> PeerFrame {
    match world.input.below(8) {
        0..=2 => envelope(world).into(),
        3..=5 => state(world).into(),
        6 => peer::Close { reason: close_reason(world) }.into(),
        _ if world.input.flag() => {
            let answers = world.input.flag();
            greeting(world, answers)
        }
        _ => peer::Unsupported { kind: u16::from(world.input.byte()) }.into(),
    }
}

fn close_reason(world: &mut World<'_>) -> CloseReason {
    use CloseReason::{Blocked, Busy, Duplicate, Leaving, Protocol, Unnamed, Version};
    world.input.pick(&[Version, Duplicate, Leaving, Blocked, Unnamed, Protocol, Busy])
}

/// One of mallory's epochs, or alice's own as her deposits name it.
fn epoch(world: &mut World<'_>) -> Epoch {
    let generation = world.input.number();
    let back = world.input.below(8);
    match world.places.iter().rev().nth(back) {
        Some(place) if world.input.flag() => Epoch { generation, id: place.epoch },
        _ => Epoch { generation, id: EpochId([world.input.byte() % 4; 16]) },
    }
}

fn id(world: &mut World<'_>) -> MessageId {
    let n = world.input.byte() % 16;
    MessageId::new(1_700_000_000_000 + u64::from(n), [n; 10])
}

fn party(world: &mut World<'_>, right: PublicKey) -> PublicKey {
    if world.input.below(8) == 7 { key(world) } else { right }
}

fn envelope(world: &mut World<'_>) -> Envelope {
    let floor = world.input.number();
    let seq = floor.saturating_add(world.input.number());
    let group = Conversation::Group { id: [world.input.byte() % 2; 16], membership: 1 };
    let body = if world.input.flag() {
        let text = String::from_utf8_lossy(world.input.blob(20)).into_owned();
        codec::encode(&Text { text, reply_to: None })
    } else {
        world.input.blob(20).to_vec()
    };
    let header = Header {
        sender: party(world, MALLORY.public()),
        recipient: party(world, ALICE.public()),
        epoch: epoch(world),
        seq,
        floor,
        id: id(world),
        after: world.input.flag().then(|| id(world)),
        ordered: world.input.flag(),
        urgent: world.input.flag(),
        conversation: if world.input.below(4) == 3 { group } else { Conversation::Pair },
        sent_at_ms: i64::from_be_bytes(world.input.array()),
        kind: if world.input.below(4) == 3 { u16::from(world.input.byte()) } else { Body::TEXT },
    };
    let body = match header.kind {
        Body::FILE | Body::FILE_WORD => of_file(world, header.kind),
        _ => body,
    };
    Envelope { header, body }
}

/// An offer of a file, or a word about one.
fn of_file(world: &mut World<'_>, kind: u16) -> Vec<u8> {
    if kind == Body::FILE {
        let name = String::from_utf8_lossy(world.input.blob(20)).into_owned();
        let size = world.input.number();
        return codec::encode(&File { name, size, sha256: [2; 32], blake3: [1; 32], key: [3; 32] });
    }
    let (author, back) = (party(world, ALICE.public()), world.input.below(8));
    let offer = world.offered(back).unwrap_or_else(|| id(world));
    let saying = match world.input.below(5) {
        0 => FileSaying::Accepted,
        1 => FileSaying::Declined,
        2 => FileSaying::Cancelled,
        3 => FileSaying::Done,
        _ => FileSaying::Failed(FileFault::DiskFull),
    };
    codec::encode(&FileWord { author, offer, saying })
}

fn state(world: &mut World<'_>) -> PairState {
    let applied = world.input.flag().then(|| (epoch(world), world.input.number()));
    let held = world.input.flag().then(|| held(world));
    PairState {
        from: party(world, MALLORY.public()),
        to: party(world, ALICE.public()),
        epoch: epoch(world),
        version: world.input.number(),
        floor: world.input.number(),
        applied,
        held,
        read: world.input.flag().then(|| id(world)),
        blocked: world.input.below(8) == 7,
        prekey: world.input.flag().then(|| some_prekey(world)),
    }
}

fn held(world: &mut World<'_>) -> Held {
    let floor = world.input.number();
    let top = floor.wrapping_add(world.input.number()).wrapping_sub(1);
    let missing = (0..world.input.below(4)).map(|_| {
        let first = floor.wrapping_add(world.input.number());
        (first, first.wrapping_add(world.input.number() % 4))
    });
    let missing = missing.collect();
    let digest = if world.input.flag() { [0; 8] } else { digest_of(floor, &id(world)) };
    Held { epoch: epoch(world), floor, top, missing, digest }
}
