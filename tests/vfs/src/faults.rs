//! Failures on command: which operation of a disk fails, and how. Not here: the operations.

/// How an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A write finds no room, `SQLITE_FULL`; shared memory cannot grow.
    Full,
    /// A write finds the quota of the file system used up: `SQLITE_IOERR_WRITE`, the system's error being `EDQUOT`.
    Quota,
    /// A write fails after half of it, `SQLITE_IOERR_WRITE`.
    Write,
    /// A flush fails, `SQLITE_IOERR_FSYNC`, and what it was to write is lost.
    Sync,
}

/// What is to fail.
#[derive(Debug, Default)]
pub struct Faults {
    /// The fault, and how many of its operations still succeed before it.
    once: Option<(Fault, u64)>,
    on: Option<Fault>,
    /// Bytes that all files together may have.
    pub room: Option<u64>,
    /// Flushes succeed and do nothing.
    pub flushes_ignored: bool,
}

impl Faults {
    /// The `nth` operation from now that can fail in this way does, 1 for the next.
    pub fn at(&mut self, fault: Fault, nth: u64) {
        self.once = Some((fault, nth.saturating_sub(1)));
    }

    /// All of them fail until told otherwise.
    pub fn hold(&mut self, fault: Option<Fault>) {
        self.on = fault;
    }

    /// Whether the operation now begun fails, of those that fail as one of `kinds`.
    pub fn strikes(&mut self, kinds: &[Fault]) -> Option<Fault> {
        let held = self.on.filter(|fault| kinds.contains(fault));
        match &mut self.once {
            Some((fault, 0)) if kinds.contains(fault) => {
                let fault = *fault;
                self.once = None;
                Some(fault)
            }
            Some((fault, left)) if kinds.contains(fault) => {
                *left -= 1;
                held
            }
            _ => held,
        }
    }

    /// Whether shared memory can grow.
    pub fn is_full(&self) -> bool {
        self.on == Some(Fault::Full)
    }
}
