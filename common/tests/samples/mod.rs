//! One fixed value of everything that travels, every variant of every enumeration included. No checks here.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::net::SocketAddr;

use common::body::Body;
use common::group::{Change, SignedStep, Step};
use common::identity::{Identity, PublicKey};
use common::message::{Conversation, Envelope, Epoch, EpochId, Header, Held, MessageId, PairState};
use common::name::Name;
use common::record::{Binding, Bound, Prekey, PrekeyRecord};
use common::shout::{Shout, SignedShout};
use common::wire::directory::{self, Place, Profile, Standing};
use common::wire::directory::{Fate, FromDirectory, GroupLimit, Refusal, Rejection, Taking, ToDirectory, Whom};
use common::wire::file::{Answer, Ask, Coming, FileFrame};
use common::wire::peer::{self, CloseReason, Greeting, Parcel, PeerFrame};
use common::wire::{Frame, FrameError};

/// A frame of any direction.
#[allow(clippy::large_enum_variant, reason = "a handful of values in tests")]
#[derive(Debug, Clone, PartialEq)]
pub enum Any {
    To(ToDirectory),
    From(FromDirectory),
    Peer(PeerFrame),
    File(FileFrame),
}

impl Any {
    pub fn kind(&self) -> u16 {
        match self {
            Self::To(frame) => frame.kind(),
            Self::From(frame) => frame.kind(),
            Self::Peer(frame) => frame.kind(),
            Self::File(frame) => frame.kind(),
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self {
            Self::To(frame) => frame.encode_into(&mut bytes),
            Self::From(frame) => frame.encode_into(&mut bytes),
            Self::Peer(frame) => frame.encode_into(&mut bytes),
            Self::File(frame) => frame.encode_into(&mut bytes),
        }
        bytes
    }

    /// Decodes in the direction of `self`.
    pub fn decode(&self, kind: u16, payload: &[u8]) -> Result<Self, FrameError> {
        match self {
            Self::To(_) => ToDirectory::decode(kind, payload).map(Self::To),
            Self::From(_) => FromDirectory::decode(kind, payload).map(Self::From),
            Self::Peer(_) => PeerFrame::decode(kind, payload).map(Self::Peer),
            Self::File(_) => FileFrame::decode(kind, payload).map(Self::File),
        }
    }
}

pub fn identity(seed: u8) -> Identity {
    Identity::from_seed(&[seed; 32])
}

pub fn key(seed: u8) -> PublicKey {
    identity(seed).public()
}

pub fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub fn epoch() -> Epoch {
    Epoch { generation: 300, id: EpochId([0x1e; 16]) }
}

pub fn message_id(last: u8) -> MessageId {
    MessageId::new(1_700_000_000_000, [last; 10])
}

pub fn binding() -> Binding {
    let bound = Bound { directory: key(9), name: name("Bob_1"), key: key(1), serial: 70_000 };
    Binding::sign(&identity(9), &bound)
}

/// A record with a key that is too short for use, to keep vectors readable.
pub fn prekey_record() -> PrekeyRecord {
    PrekeyRecord::sign(&identity(1), &Prekey { owner: key(1), counter: 5, created_ms: -1, key: vec![1, 2, 3] })
}

pub fn envelope(conversation: Conversation) -> Envelope {
    let header = Header {
        sender: key(1),
        recipient: key(2),
        epoch: epoch(),
        seq: 251,
        floor: 250,
        id: message_id(1),
        after: Some(message_id(0)),
        ordered: true,
        urgent: false,
        conversation,
        sent_at_ms: 1_700_000_000_123,
        kind: 1,
    };
    Envelope { header, body: b"body".to_vec() }
}

pub fn parcel() -> Parcel {
    Parcel { envelope: envelope(Conversation::Pair), binding: Some(binding()) }
}

pub fn full_state() -> PairState {
    let held = Held { epoch: epoch(), floor: 3, top: 9, missing: vec![(5, 6), (8, 8)], digest: [0xd1; 8] };
    PairState {
        from: key(1),
        to: key(2),
        epoch: epoch(),
        version: 17,
        floor: 4,
        applied: Some((epoch(), 16)),
        held: Some(held),
        read: Some(message_id(2)),
        blocked: true,
        prekey: Some(prekey_record()),
    }
}

pub fn empty_state() -> PairState {
    let (applied, held, read, prekey) = (None, None, None, None);
    PairState { version: 0, floor: 1, applied, held, read, blocked: false, prekey, ..full_state() }
}

fn greeting() -> Greeting {
    let (instance, binding) = ([0x15; 16], Some(binding()));
    Greeting { versions: (1, 1), features: 1 << 40, instance, epoch: epoch(), binding, state: empty_state() }
}

fn place() -> Place {
    Place { recipient: key(2), epoch: epoch().id, seq: 65_536 }
}

fn candidates() -> Vec<SocketAddr> {
    vec!["192.0.2.7:8283".parse().unwrap(), "[2001:db8::7]:443".parse().unwrap()]
}

fn profile() -> Profile {
    let (standing, candidates) = (Standing::Online, candidates());
    Profile { key: key(1), binding: binding(), standing, since_ms: 5, candidates, prekey: Some(prekey_record()) }
}

type Named = Vec<(String, Any)>;

fn add(list: &mut Named, name: impl Into<String>, frame: Any) {
    list.push((name.into(), frame));
}

/// All frames, each under a name of its own.
pub fn frames() -> Named {
    let mut list = Named::new();
    to_directory_session(&mut list);
    to_directory_mail(&mut list);
    to_directory_talk(&mut list);
    from_directory_session(&mut list);
    from_directory_people(&mut list);
    from_directory_mail(&mut list);
    from_directory_talk(&mut list);
    between_peers(&mut list);
    files(&mut list);
    list
}

fn to_directory_session(list: &mut Named) {
    use directory::{ConfirmToken, Deregister, Hello, LookUp, Offline, Online, Ping, PublishPrekey, Register, Who};
    let mut to = |name: &str, frame: ToDirectory| add(list, format!("to-directory/{name}"), Any::To(frame));
    let hello = Hello { versions: (1, 2), features: 3, instance: [0x15; 16], epoch: epoch(), token: Some([0x70; 16]) };
    to("hello-first", Hello { token: None, ..hello.clone() }.into());
    to("hello", hello.into());
    to("confirm-token", ConfirmToken { token: [0x70; 16] }.into());
    to("register", Register { request: 1, name: name("Bob_1"), prekey: prekey_record() }.into());
    to("deregister", Deregister { request: 251 }.into());
    to(
        "online",
        Online {
            request: 65_536,
            candidates: candidates(),
            prekey: prekey_record(),
            standing: Standing::Busy,
            note: Some("é".into()),
        }
        .into(),
    );
    to("offline", Offline { request: u32::MAX }.into());
    to("look-up-name", LookUp { request: 2, whom: Whom::Name(name("Bob_1")) }.into());
    to("look-up-key", LookUp { request: 3, whom: Whom::Key(key(1)) }.into());
    to("who", Who { request: 4, after: Some(name("bob")), text: Some("o".into()) }.into());
    to("who-all", Who { request: 5, after: None, text: None }.into());
    to("watch", directory::Watch { add: vec![key(1), key(2)], remove: vec![key(3)] }.into());
    to("accept", directory::Accept { keys: vec![key(1)] }.into());
    to("publish-prekey", PublishPrekey { request: 6, prekey: prekey_record() }.into());
    to("ping", Ping {}.into());
}

fn to_directory_mail(list: &mut Named) {
    use directory::{Deposit, Have, PutSlot, Take, TakeSlot, Withdraw};
    let mut to = |name: &str, frame: ToDirectory| add(list, format!("to-directory/{name}"), Any::To(frame));
    let (tag, sealed) = ([0x7a; 8], vec![1, 2, 3]);
    to("deposit", Deposit { place: place(), tag, prekey: 5, urgent: true, human: false, sealed }.into());
    to("withdraw", Withdraw { places: vec![place()] }.into());
    to("have", Have { request: 7, places: vec![place()] }.into());
    to("take", Take { items: vec![(1, Taking::Stored), (1 << 40, Taking::NotOpened)] }.into());
    to("put-slot", PutSlot { recipient: key(2), prekey: 5, sealed: vec![1, 2, 3] }.into());
    to("take-slot", TakeSlot { from: key(1), serial: 8 }.into());
}

fn from_directory_session(list: &mut Named) {
    use directory::{Behind, Done, Pong, Refused, Registered, Rejected, TakenOver, TokenKept, Unsupported, Welcome};
    let mut from = |name: &str, frame: FromDirectory| add(list, format!("from-directory/{name}"), Any::From(frame));
    let welcome = Welcome {
        version: 1,
        features: 2,
        store_id: [0x51; 16],
        commits: 1 << 33,
        now_ms: 1_700_000_000_000,
        observed: candidates()[0],
        binding: Some(binding()),
        token: [0x70; 16],
    };
    from("welcome", welcome.into());
    from("behind", Behind { highest_generation: 300 }.into());
    for (name, reason) in rejections() {
        from(&format!("rejected-{name}"), Rejected { reason }.into());
    }
    from("token-kept", TokenKept {}.into());
    from("taken-over", TakenOver {}.into());
    from("done", Done { request: 1 }.into());
    for (name, reason) in refusals() {
        from(&format!("refused-{name}"), Refused { request: 2, reason }.into());
    }
    from("registered", Registered { request: 3, binding: binding() }.into());
    from("pong", Pong {}.into());
    from("unsupported", Unsupported { kind: 0xffff }.into());
}

fn rejections() -> [(&'static str, Rejection); 4] {
    [
        ("version", Rejection::Version(1, 3)),
        ("full", Rejection::Full(5_000)),
        ("protocol", Rejection::Protocol),
        ("shutting-down", Rejection::ShuttingDown),
    ]
}

fn refusals() -> [(&'static str, Refusal); 24] {
    [
        ("no-such-user", Refusal::NoSuchUser),
        ("name-taken", Refusal::NameTaken),
        ("already-registered", Refusal::AlreadyRegistered(name("Bob_1"))),
        ("not-registered", Refusal::NotRegistered),
        ("rate-limited", Refusal::RateLimited(2_000)),
        ("mailbox-full", Refusal::MailboxFull),
        ("quota-exceeded", Refusal::QuotaExceeded),
        ("strangers-full", Refusal::StrangersFull),
        ("disk-full", Refusal::DiskFull),
        ("no-prekey", Refusal::NoPrekey),
        ("conflict", Refusal::Conflict),
        ("too-large", Refusal::TooLarge { limit: 24_576 }),
        ("invalid", Refusal::Invalid),
        ("store-failed", Refusal::StoreFailed),
        ("no-such-group", Refusal::NoSuchGroup),
        ("group-exists", Refusal::GroupExists),
        ("not-a-member", Refusal::NotAMember),
        ("already-a-member", Refusal::AlreadyAMember),
        ("not-allowed", Refusal::NotAllowed),
        ("group-full", Refusal::GroupFull),
        ("group-changed", Refusal::GroupChanged),
        ("group-limit-founded", Refusal::OverGroupLimit { which: GroupLimit::Founded, limit: 100 }),
        ("group-limit-groups", Refusal::OverGroupLimit { which: GroupLimit::Groups, limit: 100_000 }),
        ("group-limit-bytes", Refusal::OverGroupLimit { which: GroupLimit::Bytes, limit: 1 << 28 }),
    ]
}

fn from_directory_people(list: &mut Named) {
    use directory::{Listed, People, Person, Presence};
    let mut from = |name: &str, frame: FromDirectory| add(list, format!("from-directory/{name}"), Any::From(frame));
    from("person", Person { request: 4, profile: profile() }.into());
    let listed =
        Listed { name: name("Bob_1"), key: key(1), standing: Standing::Away, since_ms: 6, note: Some("n".into()) };
    from("people", People { request: 5, people: vec![listed], more: true }.into());
    let standings = [
        ("online", Standing::Online, candidates()),
        ("away", Standing::Away, candidates()),
        ("busy", Standing::Busy, candidates()),
        ("offline", Standing::Offline, vec![]),
    ];
    for (name, standing, candidates) in standings {
        let presence = Presence { key: key(1), standing, since_ms: 7, candidates, note: None };
        from(&format!("presence-{name}"), presence.into());
    }
}

fn from_directory_mail(list: &mut Named) {
    use directory::{DepositAnswer, Deposited, DrainBegin, DrainEnd, Had, Item, NotOpened, Slot};
    let mut from = |name: &str, frame: FromDirectory| add(list, format!("from-directory/{name}"), Any::From(frame));
    let kept = DepositAnswer { place: place(), refusal: None };
    let full = DepositAnswer { place: place(), refusal: Some(Refusal::MailboxFull) };
    from("deposited", Deposited { answers: vec![kept, full] }.into());
    let fates = [Fate::Held, Fate::Taken, Fate::NotOpened, Fate::Expired, Fate::Unknown];
    let fates = fates.into_iter().map(|fate| (place(), fate)).collect();
    from("had", Had { request: 6, fates }.into());
    let item = Item {
        item: 9,
        submitter: key(1),
        epoch: epoch().id,
        seq: 251,
        prekey: 5,
        waited: true,
        deposited_at_ms: 8,
        sealed: vec![1, 2, 3],
    };
    from("item", item.into());
    from("drain-begin", DrainBegin { human: 3 }.into());
    from("drain-end", DrainEnd {}.into());
    from("slot", Slot { from: key(1), serial: 8, prekey: 5, sealed: vec![1, 2, 3] }.into());
    from("not-opened", NotOpened { places: vec![place()], prekey: Some(prekey_record()) }.into());
}

fn between_peers(list: &mut Named) {
    let mut peer = |name: &str, frame: PeerFrame| add(list, format!("peer/{name}"), Any::Peer(frame));
    peer("hello", peer::Hello(greeting()).into());
    peer("welcome", peer::Welcome(Greeting { binding: None, ..greeting() }).into());
    peer("envelope", envelope(Conversation::Pair).into());
    peer("envelope-group", envelope(Conversation::Group { id: [0x67; 16], membership: 12 }).into());
    peer("state", full_state().into());
    peer("state-empty", empty_state().into());
    let reasons = [
        ("version", CloseReason::Version),
        ("duplicate", CloseReason::Duplicate),
        ("leaving", CloseReason::Leaving),
        ("blocked", CloseReason::Blocked),
        ("unnamed", CloseReason::Unnamed),
        ("protocol", CloseReason::Protocol),
        ("busy", CloseReason::Busy),
    ];
    for (name, reason) in reasons {
        peer(&format!("close-{name}"), peer::Close { reason }.into());
    }
    peer("unsupported", peer::Unsupported { kind: 0xffff }.into());
}

/// One step of each sort, by alternating people.
pub fn group_steps() -> [(&'static str, SignedStep); 6] {
    let step =
        |version, change| Step { version, previous: [0x9e; 32], ..Step::founding([0x67; 16], key(1), 5, change) };
    let sign = |step: Step| SignedStep::sign(&identity(1), &step);
    let found = |private| Change::Found { name: name("Family"), private };
    [
        ("found", sign(Step::founding([0x67; 16], key(1), -1, found(false)))),
        ("found-private", sign(Step::founding([0x67; 16], key(1), -1, found(true)))),
        ("join", sign(step(2, Change::Join))),
        ("invite", sign(step(300, Change::Invite { who: key(2) }))),
        ("leave", sign(step(4, Change::Leave))),
        ("remove", sign(step(5, Change::Remove { who: key(2) }))),
    ]
}

pub fn signed_shout() -> SignedShout {
    SignedShout::sign(&identity(1), &Shout { directory: key(9), by: key(1), at_ms: 70_000, text: "hé".into() })
}

fn to_directory_talk(list: &mut Named) {
    use directory::{
        Broadcast, ChangeGroup, FollowGroups, ListGroups, LookUpGroup, RestoreGroup, SetStanding, WhichGroup,
    };
    let mut to = |name: &str, frame: ToDirectory| add(list, format!("to-directory/{name}"), Any::To(frame));
    to("set-standing", SetStanding { request: 8, standing: Standing::Away, note: Some("tea".into()) }.into());
    to("broadcast", Broadcast { request: 9, shout: signed_shout() }.into());
    for (name, step) in group_steps() {
        to(&format!("change-group-{name}"), ChangeGroup { request: 10, step }.into());
    }
    to("look-up-group-name", LookUpGroup { request: 11, which: WhichGroup::Name(name("Family")), after: 0 }.into());
    to("look-up-group-id", LookUpGroup { request: 12, which: WhichGroup::Id([0x67; 16]), after: 300 }.into());
    to("follow-groups", FollowGroups { groups: vec![([0x67; 16], 300)] }.into());
    to("list-groups", ListGroups { request: 13, after: Some(name("family")) }.into());
    let [(_, first), (_, second), ..] = group_steps();
    to("restore-group", RestoreGroup { request: 14, steps: vec![first, second] }.into());
}

fn from_directory_talk(list: &mut Named) {
    use directory::{BroadcastSent, GroupNews, GroupSteps, Groups, Listed, ListedGroup, Notices, Shouted};
    let mut from = |name: &str, frame: FromDirectory| add(list, format!("from-directory/{name}"), Any::From(frame));
    from("broadcast-sent", BroadcastSent { request: 9, count: 300 }.into());
    from("shouted", Shouted { binding: binding(), shout: signed_shout() }.into());
    let [(_, first), ..] = group_steps();
    from("group-steps", GroupSteps { request: 11, steps: vec![first.clone()], more: true }.into());
    from("group-news", GroupNews { group: [0x67; 16], steps: vec![first] }.into());
    let (group, private, members, member, invited) = ([0x67; 16], true, 256, true, false);
    let listed = ListedGroup { name: name("Family"), group, private, members, member, invited };
    from("groups", Groups { request: 13, groups: vec![listed], more: false }.into());
    let (standing, since_ms, note) = (Standing::Busy, 6, None);
    from(
        "notices",
        Notices { people: vec![Listed { name: name("Bob_1"), key: key(1), standing, since_ms, note }] }.into(),
    );
}

/// Files in pieces at a directory, and on a stream between peers.
fn files(list: &mut Named) {
    use directory::{BeginFile, DropFile, FileRoom, GetPiece, Piece, PutPiece};
    let (recipient, submitter, offer) = (key(2), key(1), message_id(4));
    let mut to = |name: &str, frame: ToDirectory| add(list, format!("to-directory/{name}"), Any::To(frame));
    to("begin-file", BeginFile { recipient, offer, bytes: 65_616, pieces: 2 }.into());
    to("put-piece", PutPiece { recipient, offer, index: 300, sealed: vec![1, 2, 3] }.into());
    to("get-piece", GetPiece { submitter, offer, index: 1 }.into());
    to("drop-file", DropFile { submitter, recipient, offer }.into());
    let mut from = |name: &str, frame: FromDirectory| add(list, format!("from-directory/{name}"), Any::From(frame));
    from("file-room", FileRoom { recipient, offer, next: 2, refusal: None }.into());
    let refusal = Some(Refusal::TooLarge { limit: 10_485_760 });
    from("file-room-refused", FileRoom { recipient, offer, next: 0, refusal }.into());
    from("piece", Piece { submitter, offer, index: 1, sealed: Some(vec![1, 2, 3]) }.into());
    from("piece-none", Piece { submitter, offer, index: 2, sealed: None }.into());
    let mut stream = |name: &str, frame: FileFrame| add(list, format!("file/{name}"), Any::File(frame));
    stream("ask", Ask { offer, from_part: 300 }.into());
    let answers = [
        ("here", Coming::Here),
        ("not-offered", Coming::NotOffered),
        ("changed", Coming::Changed),
        ("later", Coming::Later),
    ];
    for (name, coming) in answers {
        stream(&format!("answer-{name}"), Answer { coming }.into());
    }
}

fn file_words() -> Vec<(String, Body)> {
    use common::body::{FileFault, FileSaying, FileWord};
    let faults = [
        ("missing", FileFault::Missing),
        ("no-file", FileFault::NoFile),
        ("unreadable", FileFault::Unreadable),
        ("no-name", FileFault::NoName),
        ("too-large", FileFault::TooLarge),
        ("changed", FileFault::Changed),
        ("disk-full", FileFault::DiskFull),
        ("hash-wrong", FileFault::HashWrong),
        ("no-place", FileFault::NoPlace),
        ("withdrawn", FileFault::Withdrawn),
        ("too-many", FileFault::TooMany),
    ];
    let sayings = [
        ("accepted", FileSaying::Accepted),
        ("declined", FileSaying::Declined),
        ("cancelled", FileSaying::Cancelled),
        ("done", FileSaying::Done),
    ];
    let failed = faults.map(|(name, fault)| (format!("failed-{name}"), FileSaying::Failed(fault)));
    let sayings = sayings.map(|(name, saying)| (name.to_owned(), saying)).into_iter().chain(failed);
    let word = |saying| Body::FileWord(FileWord { author: key(2), offer: message_id(4), saying });
    sayings.map(|(name, saying)| (format!("file-word-{name}"), word(saying))).collect()
}

/// Bodies of each kind.
pub fn bodies() -> Vec<(String, Body)> {
    use common::body::{Delete, Edit, Expiry, File, Forward, Invitation, Reaction, Text, Vanishing};
    let (target, author) = (message_id(3), key(2));
    let [(_, founding), ..] = group_steps();
    let file = File { name: "é.txt".into(), size: 70_000, sha256: [0x25; 32], blake3: [0xb3; 32], key: [0x6b; 32] };
    let bodies = [
        ("text", Body::Text(Text { text: "hé".into(), reply_to: Some(target) })),
        ("edit", Body::Edit(Edit { target, text: "hé".into() })),
        ("delete", Body::Delete(Delete { target })),
        ("reaction", Body::Reaction(Reaction { author, target, emoji: "👍".into() })),
        ("forward", Body::Forward(Forward { text: "hé".into(), author: "carol".into(), written_ms: -1 })),
        ("vanishing", Body::Vanishing(Vanishing { text: "hé".into(), reply_to: None, after_ms: 60_000 })),
        ("expiry", Body::Expiry(Expiry { after_ms: Some(60_000) })),
        ("invitation", Body::Invitation(Invitation { founding })),
        ("file", Body::File(file)),
    ];
    bodies.into_iter().map(|(name, body)| (name.to_owned(), body)).chain(file_words()).collect()
}
