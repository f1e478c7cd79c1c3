//! What a directory says to a peer: the frames of [`FromDirectory`]. No requests here.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{BroadcastSent, FileRoom, GroupNews, GroupSteps, Groups, Notices, Piece, Place, RequestId, Shouted, Token};
use crate::identity::PublicKey;
use crate::name::Name;
use crate::record::{Binding, PrekeyRecord};
use crate::wire::frames;

/// Answer to a good hello. The session is logged in when the token is confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The version both speak.
    pub version: u16,
    /// Feature bits both may use.
    pub features: u64,
    /// Random, made with the directory's store; another one means another or a restored store.
    pub store_id: [u8; 16],
    /// Commits of the directory's store; lower than seen before counts as a new store id.
    pub commits: u64,
    /// The directory's clock, milliseconds since 1970.
    pub now_ms: i64,
    /// Where the directory sees this session come from.
    pub observed: SocketAddr,
    /// The name bound to this key, if any.
    pub binding: Option<Binding>,
    /// To be committed, then confirmed.
    pub token: Token,
}

/// Answer to a hello of a rolled-back or copied store: a new epoch above this generation is needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Behind {
    /// The highest generation this directory has seen of this key.
    pub highest_generation: u64,
}

/// Why a session ends before it is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rejection {
    /// No common protocol version; these are spoken here.
    Version(u16, u16),
    /// No room; try again after so many milliseconds.
    Full(u32),
    /// The first frame was not a hello, or a frame came that is not allowed yet.
    Protocol,
    /// The directory is shutting down.
    ShuttingDown,
}

/// Last frame before the directory closes the connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// Why.
    pub reason: Rejection,
}

/// The confirmed token is committed here too: logged in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenKept {}

/// Another session of this key has taken over: be quiet until the user says otherwise. Last frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenOver {}

/// The request was carried out and committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Which.
    pub request: RequestId,
}

/// Why a request or a deposit is refused. The directory's word holds a message, never ends one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// No such name or key is registered.
    NoSuchUser,
    /// The name belongs to another key.
    NameTaken,
    /// This key has another name already.
    AlreadyRegistered(Name),
    /// This key has no name.
    NotRegistered,
    /// Requests or registrations come too fast; try again after so many milliseconds.
    RateLimited(u32),
    /// The recipient's mailbox is full.
    MailboxFull,
    /// The sender's own quota is used up.
    QuotaExceeded,
    /// The recipient does not know the sender, and the room for strangers is full.
    StrangersFull,
    /// The disk is too full for new mail.
    DiskFull,
    /// The recipient has published no prekey.
    NoPrekey,
    /// Another message lies at this place: evidence of a rolled-back submitter.
    Conflict,
    /// Over a limit; names it.
    TooLarge {
        /// The limit in bytes or entries.
        limit: u64,
    },
    /// A record does not verify, a list is too long, a candidate is not allowed.
    Invalid,
    /// The directory's store failed; nothing was done.
    StoreFailed,
    /// There is no such group, or it is closed to who asks.
    NoSuchGroup,
    /// Another group has this name.
    GroupExists,
    /// Only members may do that.
    NotAMember,
    /// They are a member already.
    AlreadyAMember,
    /// An invitation is needed, or only the owner may.
    NotAllowed,
    /// The group, or the number of groups of one owner, is at its limit.
    GroupFull,
    /// The group has changed meanwhile: look it up and try again.
    GroupChanged,
    /// Over a limit of groups; names it.
    OverGroupLimit {
        /// Which limit.
        which: GroupLimit,
        /// How much it allows.
        limit: u64,
    },
}

/// A limit of the groups at a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum GroupLimit {
    /// Groups that one key has founded, or brought back, and that still exist.
    Founded,
    /// Groups of everybody.
    Groups,
    /// Bytes of the chains of all groups.
    Bytes,
}

/// The request was refused; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Which.
    pub request: RequestId,
    /// Why.
    pub reason: Refusal,
}

/// The name is bound and committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    /// Which request.
    pub request: RequestId,
    /// The directory's word.
    pub binding: Binding,
}

/// Somebody's presence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// Logged in.
    Online,
    /// Logged in, away.
    Away,
    /// Logged in, takes nothing but urgent messages.
    Busy,
    /// Not logged in.
    Offline,
}

/// Everything a directory tells about one person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The key.
    pub key: PublicKey,
    /// The directory's word for the name.
    pub binding: Binding,
    /// Presence.
    pub standing: Standing,
    /// Since when, the directory's clock, milliseconds since 1970.
    pub since_ms: i64,
    /// Where to try directly, best first; empty while offline.
    pub candidates: Vec<SocketAddr>,
    /// To seal to.
    pub prekey: Option<PrekeyRecord>,
}

/// Answer to a look-up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Which request.
    pub request: RequestId,
    /// The person.
    pub profile: Profile,
}

/// One line of a page of people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// The name as registered.
    pub name: Name,
    /// The key.
    pub key: PublicKey,
    /// Presence.
    pub standing: Standing,
    /// Since when, the directory's clock, milliseconds since 1970.
    pub since_ms: i64,
    /// Their note.
    pub note: Option<String>,
}

/// A page of people, in folded order of names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct People {
    /// Which request.
    pub request: RequestId,
    /// At most `limits::WHO_PAGE` of them.
    pub people: Vec<Listed>,
    /// There are more after the last.
    pub more: bool,
}

/// Somebody watched has changed presence, address or prekey, or has just been subscribed to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// Who.
    pub key: PublicKey,
    /// Presence.
    pub standing: Standing,
    /// Since when, the directory's clock, milliseconds since 1970.
    pub since_ms: i64,
    /// Where to try directly, best first; empty while offline.
    pub candidates: Vec<SocketAddr>,
    /// Their note.
    pub note: Option<String>,
}

/// What became of one deposit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DepositAnswer {
    /// Which.
    pub place: Place,
    /// None: kept, on stable storage. Some: not kept, and why.
    pub refusal: Option<Refusal>,
}

/// Answers to deposits, many in one frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deposited {
    /// One for each deposit.
    pub answers: Vec<DepositAnswer>,
}

/// What a directory knows of an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fate {
    /// It is here.
    Held,
    /// The recipient took it.
    Taken,
    /// The recipient could not open it.
    NotOpened,
    /// It outlived the directory's lifetime.
    Expired,
    /// Nothing is known of it.
    Unknown,
}

/// Answer to `Have`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Had {
    /// Which request.
    pub request: RequestId,
    /// In the order asked.
    pub fates: Vec<(Place, Fate)>,
}

/// An item kept for this peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Its number, for `Take`. Grows within one directory store.
    pub item: u64,
    /// Who deposited it.
    pub submitter: PublicKey,
    /// The submitter's epoch id.
    pub epoch: crate::message::EpochId,
    /// The submitter's seq.
    pub seq: u64,
    /// Counter of the prekey it is sealed to.
    pub prekey: u64,
    /// Deposited while this peer was not logged in.
    pub waited: bool,
    /// When it was deposited, the directory's clock, milliseconds since 1970.
    pub deposited_at_ms: i64,
    /// The sealed bytes.
    pub sealed: Vec<u8>,
}

/// The drain of this login begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainBegin {
    /// Items that people wrote and that wait now.
    pub human: u64,
}

/// The drain of this login ends; what comes after was deposited meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainEnd {}

/// A sealed pair state from one submitter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// Whose.
    pub from: PublicKey,
    /// For `TakeSlot`.
    pub serial: u64,
    /// Counter of the prekey it is sealed to.
    pub prekey: u64,
    /// The sealed bytes.
    pub sealed: Vec<u8>,
}

/// A recipient could not open own items and has published this prekey since: seal again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotOpened {
    /// The items.
    pub places: Vec<Place>,
    /// The recipient's current prekey.
    pub prekey: Option<PrekeyRecord>,
}

/// Answer to a ping.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pong {}

/// The answer to a frame of an unknown kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsupported {
    /// The kind number that was not understood.
    pub kind: u16,
}

frames! {
    /// A frame from a directory to a peer.
    FromDirectory in from_directory {
        /// The hello was good.
        Welcome(Welcome) = WELCOME,
        /// The store was rolled back.
        Behind(Behind) = BEHIND,
        /// Last frame.
        Rejected(Rejected) = REJECTED,
        /// Logged in.
        TokenKept(TokenKept) = TOKEN_KEPT,
        /// Last frame: another machine has this key now.
        TakenOver(TakenOver) = TAKEN_OVER,
        /// Carried out.
        Done(Done) = DONE,
        /// Refused.
        Refused(Refused) = REFUSED,
        /// Name bound.
        Registered(Registered) = REGISTERED,
        /// Look-up answer.
        Person(Person) = PERSON,
        /// Page of people.
        People(People) = PEOPLE,
        /// Somebody's presence.
        Presence(Presence) = PRESENCE,
        /// Deposit answers.
        Deposited(Deposited) = DEPOSITED,
        /// Fates of items.
        Had(Had) = HAD,
        /// Mail.
        Item(Item) = ITEM,
        /// Drain begins.
        DrainBegin(DrainBegin) = DRAIN_BEGIN,
        /// Drain ends.
        DrainEnd(DrainEnd) = DRAIN_END,
        /// Pair state.
        Slot(Slot) = SLOT,
        /// Seal again.
        NotOpened(NotOpened) = NOT_OPENED,
        /// Keep-alive.
        Pong(Pong) = PONG,
        /// Answer to an unknown kind.
        Unsupported(Unsupported) = UNSUPPORTED,
        /// A broadcast is sent.
        BroadcastSent(BroadcastSent) = BROADCAST_SENT,
        /// Somebody's broadcast.
        Shouted(Shouted) = SHOUTED,
        /// A group's chain.
        GroupSteps(GroupSteps) = GROUP_STEPS,
        /// New steps of a group.
        GroupNews(GroupNews) = GROUP_NEWS,
        /// A page of groups.
        Groups(Groups) = GROUPS,
        /// Who came and left.
        Notices(Notices) = NOTICES,
        /// How far a file is.
        FileRoom(FileRoom) = FILE_ROOM,
        /// A piece of a file.
        Piece(Piece) = PIECE,
    }
}
