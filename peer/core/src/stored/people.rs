//! People in the store: what their names are pinned to, and what is known of their keys.

use std::net::SocketAddr;

use common::identity::PublicKey;
use common::message::Epoch;
use common::name::Name;
use common::record::PrekeyRecord;

/// A name as one directory gives it out, and the key it is pinned to. A key that was given another name since keeps the
/// old one too, until the user gives it to somebody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// The directory's key.
    pub directory: PublicKey,
    /// The name.
    pub name: Name,
    /// The key.
    pub key: PublicKey,
    /// Newest serial of the directory's word that gives the name to this key.
    pub serial: u64,
    /// Another key to which the directory has given this name since: everything for the pinned one waits for the user.
    pub rival: Option<Claim>,
    /// Keys that the user has refused: not asked about again. The newest last.
    pub refused: Vec<Claim>,
}

/// The directory's word that gives a pinned name to another key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The other key.
    pub key: PublicKey,
    /// Newest serial of that word.
    pub serial: u64,
}

/// Somebody this store has to do with. The key is the identity; names are pinned to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// The key.
    pub key: PublicKey,
    /// The name believed for this key; none when the name now belongs to another key that the user accepted, or was
    /// never believed.
    pub name: Option<Name>,
    /// The directory's word for the name, newest serial seen.
    pub serial: u64,
    /// The user compared fingerprints.
    pub verified: bool,
    /// The user wrote to them or accepted them.
    pub accepted: bool,
    /// Addresses that answered or were published last, best first.
    pub addresses: Vec<SocketAddr>,
    /// Their newest prekey, verified.
    pub prekey: Option<PrekeyRecord>,
    /// Their newest applied pair state: (generation, version).
    pub applied: Option<(Epoch, u64)>,
    /// Written to, or heard from.
    pub talked: bool,
    /// Nothing is taken from them.
    pub blocked: bool,
}
