//! What waits to be written on one connection: encoded frames, bounded in bytes, and the wish to end. The loop puts in
//! without ever waiting; the connection's task takes everything at once. Not here: the writing itself.

use std::sync::{Mutex, MutexGuard, PoisonError};

use common::wire::Frame;
use tokio::sync::{Notify, watch};

/// What an idle connection keeps of each of its two buffers, at most.
const IDLE_BYTES: usize = 4 * 1024;

/// How a connection is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Write what waits, then close.
    Flush,
    /// The other side does not keep up: give up at once.
    Overflow,
}

/// The queue of one connection.
#[derive(Debug)]
pub(super) struct Outgoing {
    bytes: Mutex<Vec<u8>>,
    limit_bytes: usize,
    ready: Notify,
    ending: watch::Sender<Option<Ending>>,
}

impl Outgoing {
    pub(super) fn new(limit_bytes: usize) -> Self {
        let ending = watch::Sender::new(None);
        Self { bytes: Mutex::default(), limit_bytes, ready: Notify::new(), ending }
    }

    /// Appends a frame. After the end, or above the limit, it is lost with the connection.
    pub(super) fn push(&self, frame: &impl Frame) {
        if self.ending.borrow().is_some() {
            return;
        }
        let overflow = {
            let mut bytes = self.lock();
            frame.encode_into(&mut bytes);
            bytes.len() > self.limit_bytes
        };
        if overflow { self.end(Ending::Overflow) } else { self.ready.notify_one() }
    }

    /// Asks for the end; the first word counts.
    pub(super) fn end(&self, ending: Ending) {
        self.ending.send_if_modified(|present| {
            let first = present.is_none();
            *present = present.or(Some(ending));
            first
        });
        self.ready.notify_one();
    }

    pub(super) fn ending(&self) -> Option<Ending> {
        *self.ending.borrow()
    }

    /// Returns when an end was asked for.
    pub(super) async fn ended(&self) -> Ending {
        let mut ending = self.ending.subscribe();
        loop {
            if let Some(ending) = *ending.borrow_and_update() {
                return ending;
            }
            // The sender lives in `self`, so this cannot fail; if it did, the loop would only look again.
            let _ = ending.changed().await;
        }
    }

    /// Takes all that waits, leaving the emptied `spare` in its place; none when everything was taken and an end was
    /// asked for.
    pub(super) async fn take(&self, spare: &mut Vec<u8>) -> Option<()> {
        loop {
            spare.clear();
            {
                let mut bytes = self.lock();
                if !bytes.is_empty() || bytes.capacity() > IDLE_BYTES {
                    std::mem::swap(&mut *bytes, spare);
                }
            }
            if !spare.is_empty() {
                return Some(());
            }
            if self.ending().is_some() {
                return None;
            }
            if spare.capacity() > IDLE_BYTES {
                // A burst has passed: an idle connection keeps no large buffer.
                *spare = Vec::new();
            }
            self.ready.notified().await;
        }
    }

    /// A panic while the bytes were held leaves at worst a cut-off frame, which the other side refuses.
    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use common::wire::directory::{Ping, ToDirectory};

    use super::*;

    fn ping() -> ToDirectory {
        Ping {}.into()
    }

    #[tokio::test]
    async fn all_frames_that_wait_are_taken_at_once_and_the_end_comes_after_them() {
        let outgoing = Outgoing::new(1_000);
        outgoing.push(&ping());
        outgoing.push(&ping());
        outgoing.end(Ending::Flush);
        outgoing.push(&ping());
        let mut bytes = Vec::new();
        assert_eq!(outgoing.take(&mut bytes).await, Some(()));
        let mut one = Vec::new();
        ping().encode_into(&mut one);
        assert_eq!(bytes.len(), 2 * one.len());
        assert_eq!(outgoing.take(&mut bytes).await, None);
    }

    #[tokio::test]
    async fn too_much_ends_the_connection_and_not_the_loop() {
        let outgoing = Outgoing::new(10);
        outgoing.push(&ping());
        assert_eq!(outgoing.ending(), None);
        outgoing.push(&ping());
        assert_eq!(outgoing.ended().await, Ending::Overflow);
        outgoing.end(Ending::Flush);
        assert_eq!(outgoing.ending(), Some(Ending::Overflow));
    }
}
