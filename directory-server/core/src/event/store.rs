//! The questions that the core asks a store, and the answers. No behaviour: how a store keeps things is not here.
//!
//! Every store operation is one atomic read, check and write. Operations are carried out in the order of their
//! outputs; many of them may share one commit, and their results come back together, in the same order, only after
//! that commit is on stable storage. What an operation reads includes the writes of those before it.

use std::net::SocketAddr;

use common::identity::PublicKey;
use common::message::{Epoch, EpochId};
use common::name::Name;
use common::record::{Binding, PrekeyRecord};
use common::wire::directory::{Deposit, Fate, Item, Place, PutSlot, Refusal, Slot, Taking, Token, Whom};

use super::files::{FileOp, FileResult};
use super::groups::{GroupOp, GroupResult};
use crate::limits::{MailboxLimits, SlotLimits};

/// A prekey record whose signature the core has checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedPrekey {
    /// The counter inside.
    pub counter: u64,
    /// The record as its owner signed it.
    pub record: PrekeyRecord,
}

/// A deposit on its way to the store; comes back with the result, so that its bytes are not kept twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DepositOp {
    /// Who deposits.
    pub submitter: PublicKey,
    /// The frame.
    pub deposit: Deposit,
    /// The recipient was not online when it came.
    pub waited: bool,
    /// When it came, milliseconds since 1970.
    pub now_ms: i64,
    /// What it may take.
    pub limits: MailboxLimits,
}

/// A slot on its way to the store; comes back with the result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutSlotOp {
    /// Whose slot.
    pub from: PublicKey,
    /// The frame.
    pub slot: PutSlot,
    /// When it came, milliseconds since 1970.
    pub now_ms: i64,
    /// It may take more bytes than the content it overwrites, if there is any.
    pub may_grow: bool,
    /// What the slots of its recipient may take.
    pub limits: SlotLimits,
}

/// What is too old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpireOp {
    /// Items deposited, slots filled and files begun before go, milliseconds since 1970; each item leaves a tombstone.
    pub items_before_ms: i64,
    /// Tombstones made and empty lanes last used before go, milliseconds since 1970.
    pub tombstones_before_ms: i64,
    /// Keys without a name that have nothing here and logged in last before go, milliseconds since 1970.
    pub accounts_before_ms: i64,
    /// The time to write into the new tombstones, milliseconds since 1970.
    pub now_ms: i64,
    /// At most so many rows of each sort.
    pub limit: u32,
}

/// A place in the order of a drain: urgent items first, then lane by lane, each in order of seq.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainPosition {
    /// Urgent items come before the others.
    pub urgent: bool,
    /// The lane's number in the store: grows with the first deposit of each (submitter, recipient, epoch), so a newer
    /// epoch of one submitter comes after its older one.
    pub lane: u64,
    /// The submitter's seq.
    pub seq: u64,
}

/// Where a page of items begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageFrom {
    /// In the order of [`DrainPosition`]: after `after`, among items numbered up to `newest`.
    Drain {
        /// The last position handed out; none: from the beginning.
        after: Option<DrainPosition>,
        /// What is numbered higher came after the drain began.
        newest: u64,
    },
    /// In the order of item numbers: those above `item`.
    Since {
        /// The last number handed out.
        item: u64,
    },
}

/// A question to the store. Keys without a row are not an error unless it is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreOp {
    /// What is known of a key. Result: `Account`.
    LoadAccount {
        /// Whose.
        key: PublicKey,
    },
    /// Records `token` as offered, replacing an offer; creates the account if there is none. Result: `Done`.
    OfferToken {
        /// Whose.
        key: PublicKey,
        /// The new token.
        token: Token,
        /// The hello carried the token offered before: it is confirmed by that.
        proven: Option<Token>,
        /// When, milliseconds since 1970.
        now_ms: i64,
    },
    /// Makes the offered token the confirmed one and empties the offer; records `epoch`. Result: `Done`, or
    /// `NotOffered` when another token is on offer (then nothing is changed).
    ConfirmToken {
        /// Whose.
        key: PublicKey,
        /// The token of the welcome.
        token: Token,
        /// The epoch of the hello.
        epoch: Epoch,
        /// When, milliseconds since 1970.
        now_ms: i64,
    },
    /// Binds a name, compared folded, if it is free and the key has none; keeps the prekey as `PutPrekey` does.
    /// Result: `Registered` (with the binding already there, if the name is the key's own) or `Refused`
    /// (`NameTaken`, `AlreadyRegistered`).
    Register {
        /// Whose.
        key: PublicKey,
        /// The wanted name.
        name: Name,
        /// Signed for it; kept only if the name was free.
        binding: Binding,
        /// The serial inside.
        serial: u64,
        /// The first prekey.
        prekey: CheckedPrekey,
        /// When, milliseconds since 1970.
        now_ms: i64,
    },
    /// Releases the key's name. Result: `Done` or `Refused(NotRegistered)`.
    Deregister {
        /// Whose.
        key: PublicKey,
    },
    /// Keeps prekey (never a lower counter in place of a higher) and addresses. Result: `Online` or
    /// `Refused(NotRegistered)`.
    Online {
        /// Who.
        key: PublicKey,
        /// The current prekey.
        prekey: CheckedPrekey,
        /// The addresses it gave.
        candidates: Vec<SocketAddr>,
        /// When, milliseconds since 1970.
        now_ms: i64,
    },
    /// Records when a key was last seen. Result: `Done`.
    WentOffline {
        /// Who.
        key: PublicKey,
        /// When, milliseconds since 1970.
        now_ms: i64,
    },
    /// Replaces the prekey unless the one kept has a higher counter. Result: `Done` or `Refused(NotRegistered)`.
    PutPrekey {
        /// Whose.
        key: PublicKey,
        /// The new one.
        prekey: CheckedPrekey,
    },
    /// One registered person. Result: `Profile`.
    LookUp {
        /// Who.
        whom: Whom,
    },
    /// A page of registered names in folded order. Result: `People`.
    Who {
        /// Only names after this one.
        after: Option<Name>,
        /// Only names that contain this, without case; it holds no characters but those of names.
        text: Option<String>,
        /// At most so many.
        limit: usize,
    },
    /// When these keys were last seen. Result: `LastSeen`, in the same order.
    LastSeen {
        /// Whose.
        keys: Vec<PublicKey>,
    },
    /// Keeps an item. Above the lane's highest deposited seq it is new; at or below it the row is looked up: replaced,
    /// under a new item number, if its tag is the same, `Conflict` if not, kept if there is none (a tombstone of the
    /// place is dropped). Bytes of the row replaced do not count against the limits. It is stamped with the newest time
    /// of the store if its own lies before that. Result: `Deposited`; refusals: `NoSuchUser`, `NoPrekey`,
    /// `NotRegistered` (the submitter), `Conflict`, `MailboxFull`, `QuotaExceeded`, `StrangersFull`.
    Deposit(Box<DepositOp>),
    /// Deletes own items; unknown places are passed over. Result: `Done`.
    Withdraw {
        /// Who deposited them.
        submitter: PublicKey,
        /// Which.
        places: Vec<Place>,
    },
    /// What became of own items: a row is `Held`; a tombstone is `NotOpened` or `Expired`; else `Taken` at or below
    /// the lane's highest deposited seq; else `Unknown`. Result: `Fates`, in the same order.
    Have {
        /// Who deposited them.
        submitter: PublicKey,
        /// Which.
        places: Vec<Place>,
    },
    /// Deletes items of this recipient; `NotOpened` leaves a tombstone. Numbers that are not there, or belong to
    /// somebody else, are passed over. Result: `Taken`.
    Take {
        /// Whose mailbox.
        recipient: PublicKey,
        /// Which, and how.
        items: Vec<(u64, Taking)>,
        /// When, milliseconds since 1970.
        now_ms: i64,
    },
    /// A page of a mailbox. Result: `Page`.
    Page {
        /// Whose.
        recipient: PublicKey,
        /// From where and in which order.
        from: PageFrom,
        /// At most so many items, at least one.
        limit_items: usize,
        /// At most so many sealed bytes, but always one item if there is any.
        limit_bytes: usize,
        /// Only urgent items.
        urgent_only: bool,
    },
    /// What waits in a mailbox. Result: `Waiting`.
    Waiting {
        /// Whose.
        recipient: PublicKey,
    },
    /// Overwrites a slot and gives it a new serial. Result: `SlotKept`, or `SlotRefused` when one of the two is not
    /// registered, or there is no room (for strangers, or at all).
    PutSlot(Box<PutSlotOp>),
    /// Empties a slot if it has still this serial. Result: `Done`.
    TakeSlot {
        /// Who took it.
        recipient: PublicKey,
        /// Whose slot.
        from: PublicKey,
        /// Which content.
        serial: u64,
    },
    /// A page of the slots for one recipient in order of serials. Result: `Slots`.
    SlotPage {
        /// For whom.
        recipient: PublicKey,
        /// Only serials above this.
        after_serial: u64,
        /// At most so many, at least one.
        limit_slots: usize,
        /// At most so many sealed bytes, but always one slot if there is any.
        limit_bytes: usize,
    },
    /// Adds to the senders that a user has accepted; above the limit the rest is passed over, as is who is not
    /// registered, on either side. Result: `Done`.
    Accept {
        /// Whose word it is.
        key: PublicKey,
        /// Who is accepted.
        keys: Vec<PublicKey>,
        /// Most that may be accepted in all.
        limit: u64,
    },
    /// Removes what is too old. Result: `Expired`.
    Expire(ExpireOp),
    /// About groups. Result: `Group` or `Refused`.
    Group(GroupOp),
    /// About files in pieces. Result: `File`, or `Done` for a drop.
    File(FileOp),
}

/// What is known of a key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Account {
    /// Its name.
    pub binding: Option<Binding>,
    /// The epoch of its last completed login.
    pub epoch: Option<Epoch>,
    /// The token of its last completed login.
    pub confirmed: Option<Token>,
    /// A token given out since and not confirmed.
    pub offered: Option<Token>,
}

/// A registered person, as far as the store knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredProfile {
    /// The key.
    pub key: PublicKey,
    /// Its name.
    pub binding: Binding,
    /// The current prekey.
    pub prekey: Option<PrekeyRecord>,
    /// When it was last seen (came online, went offline), milliseconds since 1970.
    pub last_seen_ms: i64,
}

/// What waits in a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Items that people wrote.
    pub human: u64,
    /// The highest item number given so far, in any mailbox.
    pub newest: u64,
}

/// One line of a page of people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredListed {
    /// The name as registered.
    pub name: Name,
    /// The key.
    pub key: PublicKey,
    /// When it was last seen, milliseconds since 1970.
    pub last_seen_ms: i64,
}

/// An item of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageItem {
    /// As it travels.
    pub item: Item,
    /// Its place in a drain.
    pub position: DrainPosition,
}

/// Place of a deposit, seen from the recipient's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Who deposited.
    pub submitter: PublicKey,
    /// The submitter's epoch id.
    pub epoch: EpochId,
    /// The submitter's seq.
    pub seq: u64,
}

/// An answer of the store, given after the commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreResult {
    /// It is done.
    Done,
    /// A request was refused, and nothing was changed.
    Refused(Refusal),
    /// The confirmed token is not the one on offer.
    NotOffered,
    /// What is known of the key; empty if nothing is.
    Account(Box<Account>),
    /// The name is bound.
    Registered {
        /// The binding kept.
        binding: Binding,
        /// It was made now.
        new: bool,
    },
    /// Prekey and addresses are kept.
    Online {
        /// What waits.
        waiting: Waiting,
        /// The name as registered.
        name: Name,
        /// The word for it.
        binding: Box<Binding>,
    },
    /// What waits in a mailbox.
    Waiting(Waiting),
    /// The person, if registered.
    Profile(Option<Box<StoredProfile>>),
    /// A page of people.
    People {
        /// In folded order.
        people: Vec<StoredListed>,
        /// There are more after the last.
        more: bool,
    },
    /// One for each key asked about; none if it was never seen.
    LastSeen(Vec<Option<i64>>),
    /// What became of a deposit.
    Deposited {
        /// The operation, bytes and all.
        op: Box<DepositOp>,
        /// The number of the item kept, or why it is not.
        kept: Result<u64, Refusal>,
    },
    /// One for each place asked about.
    Fates(Vec<Fate>),
    /// The items are taken.
    Taken {
        /// Those that could not be opened.
        not_opened: Vec<Origin>,
        /// The recipient's current prekey.
        prekey: Option<PrekeyRecord>,
    },
    /// A page of a mailbox.
    Page {
        /// In the order asked for.
        items: Vec<PageItem>,
        /// There are more after the last.
        more: bool,
    },
    /// The slot is kept.
    SlotKept {
        /// The operation, bytes and all.
        op: Box<PutSlotOp>,
        /// Its serial, higher than any before it in this store.
        serial: u64,
    },
    /// The slot is not kept.
    SlotRefused,
    /// A page of slots.
    Slots {
        /// In order of serials.
        slots: Vec<Slot>,
        /// There are more after the last.
        more: bool,
    },
    /// What was too old is gone.
    Expired {
        /// There is more of it.
        more: bool,
    },
    /// An answer about groups.
    Group(GroupResult),
    /// An answer about files.
    File(FileResult),
}
