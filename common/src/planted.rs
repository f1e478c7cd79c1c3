//! Bugs planted on purpose, so that the proofs can be seen to catch them. Without the feature `planted` nothing of it is
//! built: [`is`] is a constant `false`, and what hangs on it is compiled away. No production build has the feature.

/// A bug, as a programmer might make it. Where it is planted, `planted::is` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Bug {
    /// An acknowledgement leaves before what it covers is committed.
    AckBeforeCommit = 1,
    /// The water-mark is written in a transaction of its own, before the message.
    WaterMarkApart,
    /// A message that came longest ago is not known any more when it comes again.
    DedupeWindow,
    /// After a rollback the lanes begin anew in the old epoch, with seqs that others know.
    SeqReused,
    /// The directory deletes what it has handed out, not what was taken.
    DeleteBeforeTaken,
    /// The store does not wait for the disk.
    SynchronousOff,
    /// A commit that fails is taken for one that went well.
    CommitErrorIgnored,
    /// A deposit replaces whatever lies at its seq in the mailbox, whosever it is.
    DepositWithoutLane,
    /// What could not be opened is reported as stored.
    AckUnopened,
    /// A conversation stands in the order of its senders' clocks.
    SenderClockOrder,
    /// A message is shown before it is committed.
    ShownBeforeCommit,
    /// The age of a message is counted by the wall clock.
    WallClockLifetime,
    /// The floor passes what is only kept at the directory.
    FloorPastUnsettled,
    /// Nothing is deposited for somebody whom presence calls online.
    PresenceBelieved,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::AckBeforeCommit,
        Self::WaterMarkApart,
        Self::DedupeWindow,
        Self::SeqReused,
        Self::DeleteBeforeTaken,
        Self::SynchronousOff,
        Self::CommitErrorIgnored,
        Self::DepositWithoutLane,
        Self::AckUnopened,
        Self::SenderClockOrder,
        Self::ShownBeforeCommit,
        Self::WallClockLifetime,
        Self::FloorPastUnsettled,
        Self::PresenceBelieved,
    ];
}

/// Whether this bug is planted here.
#[cfg(not(feature = "planted"))]
#[inline(always)]
#[must_use]
pub const fn is(_bug: Bug) -> bool {
    false
}

/// Nothing is planted in this build, whatever is asked for.
#[cfg(not(feature = "planted"))]
#[inline(always)]
pub fn plant_named(_name: impl FnOnce() -> Option<String>) {}

#[cfg(feature = "planted")]
pub use chosen::{is, plant, plant_named};

#[cfg(feature = "planted")]
mod chosen {
    use std::cell::Cell;
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::Bug;

    thread_local! {
        static HERE: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    static EVERYWHERE: AtomicU8 = AtomicU8::new(0);

    /// Whether this bug is planted in this thread or in the whole program.
    #[must_use]
    pub fn is(bug: Bug) -> bool {
        HERE.get() == Some(bug) || EVERYWHERE.load(Ordering::Relaxed) == bug as u8
    }

    /// Plants a bug in this thread, or none.
    pub fn plant(bug: Option<Bug>) {
        HERE.set(bug);
    }

    /// Plants a bug in the whole program by its name, if one is named.
    pub fn plant_named(name: impl FnOnce() -> Option<String>) {
        let name = name().unwrap_or_default();
        if let Some(bug) = Bug::ALL.into_iter().find(|bug| format!("{bug:?}") == name) {
            EVERYWHERE.store(bug as u8, Ordering::Relaxed);
        }
    }
}
