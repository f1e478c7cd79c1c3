//! What a peer says to its directory: the frames of [`ToDirectory`]. No answers here.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{
    BeginFile, Broadcast, ChangeGroup, DropFile, FollowGroups, GetPiece, ListGroups, LookUpGroup, Place, PutPiece,
    RequestId, RestoreGroup, SetStanding, Standing, Token,
};
use crate::identity::PublicKey;
use crate::message::Epoch;
use crate::name::Name;
use crate::record::PrekeyRecord;
use crate::wire::frames;

/// First frame of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Lowest and highest protocol version spoken.
    pub versions: (u16, u16),
    /// Feature bits.
    pub features: u64,
    /// Random at each start of the program.
    pub instance: [u8; 16],
    /// The epoch of this store.
    pub epoch: Epoch,
    /// The newest token this store has committed for this directory store; none at the first login of an epoch.
    pub token: Option<Token>,
}

/// Confirms that the token of the welcome is committed; only then is the session logged in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfirmToken {
    /// The token of the welcome.
    pub token: Token,
}

/// Binds a name to this session's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Register {
    /// Pairs the answer.
    pub request: RequestId,
    /// The wanted name.
    pub name: Name,
    /// The first prekey.
    pub prekey: PrekeyRecord,
}

/// Releases the name of this session's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deregister {
    /// Pairs the answer.
    pub request: RequestId,
}

/// Comes online: presence, addresses, prekey. Answered by `Done` after the commit; then the drain begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Online {
    /// Pairs the answer.
    pub request: RequestId,
    /// UDP addresses to be tried, best first, at most `limits::CANDIDATES_MAX`. An unspecified IP stands for the
    /// address the directory sees this session come from.
    pub candidates: Vec<SocketAddr>,
    /// The current prekey.
    pub prekey: PrekeyRecord,
    /// What this peer is; never `Offline`.
    pub standing: Standing,
    /// Shown beside it, at most `limits::NOTE_MAX_BYTES` bytes.
    pub note: Option<String>,
}

/// Goes offline. The directory closes the session after answering `Done`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offline {
    /// Pairs the answer.
    pub request: RequestId,
}

/// Whom a look-up asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Whom {
    /// By name.
    Name(Name),
    /// By key.
    Key(PublicKey),
}

/// Asks for one person. Answered by `Person` or `Refused(NoSuchUser)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookUp {
    /// Pairs the answer.
    pub request: RequestId,
    /// Who.
    pub whom: Whom,
}

/// Asks for a page of the people registered. Answered by `People`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// Pairs the answer.
    pub request: RequestId,
    /// Only names after this one, in folded order.
    pub after: Option<Name>,
    /// Only names that contain this, without case; at most 15 characters.
    pub text: Option<String>,
}

/// Subscribes to the presence of keys: replaces nothing, adds and removes. Each added key is answered by a `Presence`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// Keys to watch from now on.
    pub add: Vec<PublicKey>,
    /// Keys to watch no longer.
    pub remove: Vec<PublicKey>,
}

/// Hands a sealed item over for keeping. Answered in a `Deposited`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deposit {
    /// Its place; repeating it replaces the bytes.
    pub place: Place,
    /// Tag of the message id; another tag at the same place is a conflict.
    pub tag: [u8; 8],
    /// Counter of the prekey it is sealed to.
    pub prekey: u64,
    /// Handed out first.
    pub urgent: bool,
    /// A person wrote it: it counts in "you have N messages".
    pub human: bool,
    /// The sealed bytes, at most `limits::SEALED_MAX_BYTES`.
    pub sealed: Vec<u8>,
}

/// Removes own items that were delivered otherwise, cancelled or expired. Not answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdraw {
    /// The items.
    pub places: Vec<Place>,
}

/// Asks what became of own items. Answered by `Had`, in the same order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Have {
    /// Pairs the answer.
    pub request: RequestId,
    /// The items, at most `limits::HAVE_MAX`.
    pub places: Vec<Place>,
}

/// How an item was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Taking {
    /// Committed at the recipient, or not wanted there (a double, below the floor).
    Stored,
    /// The recipient has no key to open it any more.
    NotOpened,
}

/// The recipient has committed these items; the directory may forget them. Not answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Take {
    /// Item numbers, each with how it was taken.
    pub items: Vec<(u64, Taking)>,
}

/// Overwrites the slot of the pair (me, recipient) with a sealed pair state. Not answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutSlot {
    /// For whom.
    pub recipient: PublicKey,
    /// Counter of the prekey it is sealed to.
    pub prekey: u64,
    /// The sealed bytes.
    pub sealed: Vec<u8>,
}

/// The slot's content was applied or is of no use; it may be emptied if it is still that one. Not answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakeSlot {
    /// Whose slot.
    pub from: PublicKey,
    /// Its serial, from the `Slot` frame.
    pub serial: u64,
}

/// Tells which senders the user has accepted (they count against no stranger's quota). Not answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accept {
    /// The keys.
    pub keys: Vec<PublicKey>,
}

/// Replaces the prekey without coming online anew. Answered by `Done`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishPrekey {
    /// Pairs the answer.
    pub request: RequestId,
    /// The new prekey.
    pub prekey: PrekeyRecord,
}

/// Keep-alive, from the peer, every `limits::KEEP_ALIVE_MS`. Answered by `Pong`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ping {}

frames! {
    /// A frame from a peer to its directory.
    ToDirectory in to_directory {
        /// First.
        Hello(Hello) = HELLO,
        /// Completes the login.
        ConfirmToken(ConfirmToken) = CONFIRM_TOKEN,
        /// Binds a name.
        Register(Register) = REGISTER,
        /// Releases it.
        Deregister(Deregister) = DEREGISTER,
        /// Presence on.
        Online(Online) = ONLINE,
        /// Presence off.
        Offline(Offline) = OFFLINE,
        /// One person.
        LookUp(LookUp) = LOOK_UP,
        /// A page of people.
        Who(Who) = WHO,
        /// Presence subscriptions.
        Watch(Watch) = WATCH,
        /// Keep this.
        Deposit(Deposit) = DEPOSIT,
        /// Keep this no longer.
        Withdraw(Withdraw) = WITHDRAW,
        /// What became of these.
        Have(Have) = HAVE,
        /// These are committed here.
        Take(Take) = TAKE,
        /// Pair state for one recipient.
        PutSlot(PutSlot) = PUT_SLOT,
        /// That pair state is applied.
        TakeSlot(TakeSlot) = TAKE_SLOT,
        /// Senders the user accepted.
        Accept(Accept) = ACCEPT,
        /// New prekey.
        PublishPrekey(PublishPrekey) = PUBLISH_PREKEY,
        /// Keep-alive.
        Ping(Ping) = PING,
        /// Another presence.
        SetStanding(SetStanding) = SET_STANDING,
        /// A line to everybody online.
        Broadcast(Broadcast) = BROADCAST,
        /// A step of a group's chain.
        ChangeGroup(ChangeGroup) = CHANGE_GROUP,
        /// A group's chain.
        LookUpGroup(LookUpGroup) = LOOK_UP_GROUP,
        /// Groups to hear of.
        FollowGroups(FollowGroups) = FOLLOW_GROUPS,
        /// A page of groups.
        ListGroups(ListGroups) = LIST_GROUPS,
        /// Room for a file.
        BeginFile(BeginFile) = BEGIN_FILE,
        /// Keep this piece of it.
        PutPiece(PutPiece) = PUT_PIECE,
        /// A piece of a file that waits.
        GetPiece(GetPiece) = GET_PIECE,
        /// Keep this file no longer.
        DropFile(DropFile) = DROP_FILE,
        /// Steps of a group's chain that the directory has lost.
        RestoreGroup(RestoreGroup) = RESTORE_GROUP,
    }
}
