//! What every way of running the peer begins with: store and socket opened, the loop's parts gathered. And why that, or
//! what follows, can fail, as exit codes.

use std::io;
use std::path::PathBuf;

use event_log::{EventFile, EventLogError};
use peer_core::event::Config;
use thiserror::Error;

use crate::config::{ConfigError, Settings};
use crate::control::ControlError;
use crate::driver::{self, Parts, StartError};
use crate::keystore::{DataDir, DataDirError};
use crate::progress::exit;
use crate::storage::{Store, StoreError};
use crate::transport::socket::{self, BindError};

/// Why the program ends without having done what it was started for.
#[derive(Debug, Error)]
pub enum Failure {
    /// Settings that cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The store in it cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another process owns the data directory and does not answer.
    #[error("the data directory {} is in use: {error}", path.display())]
    NoAnswer {
        /// The data directory.
        path: PathBuf,
        /// What was tried.
        error: ControlError,
    },
    /// The UDP socket cannot be opened.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The event log cannot be written.
    #[error(transparent)]
    EventLog(#[from] EventLogError),
    /// The loop cannot begin.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The system refuses something the program cannot do without.
    #[error("{0}")]
    System(#[from] io::Error),
    /// The system has no entropy.
    #[error("the system gives no random bytes: {0}")]
    Entropy(#[from] getrandom::Error),
    /// The directory has another key than the pinned one.
    #[error("the directory's key is not the pinned one; nothing was sent")]
    WrongDirectoryKey,
    /// The same, and the message waits here for the right one.
    #[error("the directory's key is not the pinned one; the message is queued here")]
    WrongDirectoryKeyQueued,
    /// The store failed while running.
    #[error("the message store failed, so nothing more can be promised: {0}")]
    StoreFailed(String),
}

impl Failure {
    /// The exit code that stands for it.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) => exit::USAGE,
            Self::Store(StoreError::Full) => exit::FAILED,
            Self::DataDir(_) | Self::Store(_) | Self::NoAnswer { .. } => exit::DATA_DIR,
            Self::WrongDirectoryKey | Self::WrongDirectoryKeyQueued => exit::WRONG_KEY,
            Self::Bind(_)
            | Self::EventLog(_)
            | Self::Start(_)
            | Self::System(_)
            | Self::Entropy(_)
            | Self::StoreFailed(_) => exit::FAILED,
        }
    }
}

/// Opens store and socket and gathers what the loop is made of.
///
/// # Errors
/// [`Failure`].
pub fn open(settings: &Settings, data_dir: &DataDir, shows: bool) -> Result<Parts, Failure> {
    let identity = data_dir.identity().clone();
    let event_log = settings.event_log.as_deref().map(EventFile::open).transpose()?;
    let mut store = Store::open(&data_dir.store_path(), identity.public())?;
    let snapshot = store.load(&settings.directory.address)?;
    let bound = socket::bind(settings.bind)?;
    let (mut instance, mut seed) = ([0; 16], [0; 32]);
    getrandom::fill(&mut instance)?;
    getrandom::fill(&mut seed)?;
    let config = Config {
        me: identity.public(),
        instance,
        seed,
        directory: settings.directory.address.clone(),
        directory_pin: settings.directory.pin,
        name: settings.name.clone(),
        bind: bound.address,
        candidates: driver::candidates(bound.address, settings.advertise),
        shows,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        accept_from: settings.accept_from.clone(),
    };
    let advertise = settings.advertise;
    let downloads = settings.downloads.clone();
    Ok(Parts { identity, config, snapshot, store, socket: bound.socket, advertise, downloads, event_log })
}
