//! What a store knows of itself and of directories.

use common::identity::PublicKey;
use common::message::Epoch;
use common::record::{Binding, PrekeyRecord};
use common::seal::PrekeySecret;
use common::wire::directory::{Standing, Token};

/// Facts about this store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// The epoch of all lanes.
    pub epoch: Epoch,
    /// Highest generation heard from anyone.
    pub highest_generation: u64,
    /// Pair states up to this version may have been sent.
    pub version_reserve: u64,
    /// The age clock, milliseconds of life of this store.
    pub age_ms: u64,
    /// Wall clock when the age clock was written, milliseconds since 1970.
    pub wall_ms: i64,
    /// Whether the user wants to be online (false after `!logout`).
    pub wants_online: bool,
    /// Another machine took over; only `!login` ends it.
    pub suspended: bool,
    /// The last run ended on purpose: everything decided was also told.
    pub left_cleanly: bool,
    /// The name the user asked for and the directory bound.
    pub binding: Option<Binding>,
    /// Others are told what was read.
    pub receipts: bool,
    /// What the user says they are; never `Offline`.
    pub standing: Standing,
    /// The note beside it.
    pub note: Option<String>,
}

/// A directory as this store knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryRecord {
    /// `HOST:PORT` as given by the user.
    pub address: String,
    /// Its pinned key.
    pub key: PublicKey,
    /// Its store, as of the last welcome.
    pub store_id: [u8; 16],
    /// Its commit counter, as of the last welcome.
    pub commits: u64,
    /// The newest token.
    pub token: Option<Token>,
}

/// An own prekey with its private half.
#[derive(Debug, Clone)]
pub struct OwnPrekey {
    /// Counter.
    pub counter: u64,
    /// The signed public half.
    pub record: PrekeyRecord,
    /// The private half.
    pub secret: PrekeySecret,
    /// Age clock when it was made, milliseconds.
    pub created_age_ms: u64,
    /// Age clock when a newer one was confirmed by the directory, milliseconds.
    pub replaced_age_ms: Option<u64>,
}

impl PartialEq for OwnPrekey {
    fn eq(&self, other: &Self) -> bool {
        self.counter == other.counter && self.record == other.record
    }
}

impl Eq for OwnPrekey {}
