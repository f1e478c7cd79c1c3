//! What the loop and one connection's task share: the bytes on their way out, and a few words about the session's
//! state. Bounded, never waited for by the loop.

use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use common::wire::Frame;
use directory_core::limits::{HANDED_OUT_MAX_BYTES, SHARED_BEHIND_BYTES};

/// Most bytes that wait for one session behind those being written. Beyond it [`Link::push`] says so, and the loop
/// closes the session: its messages stay kept.
pub const SEND_QUEUE_MAX_BYTES: usize = 704 * 1024;

const _: () = assert!(SEND_QUEUE_MAX_BYTES >= HANDED_OUT_MAX_BYTES);

/// How a connection is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// After what waits has been written.
    Flushed,
    /// At once.
    Now,
}

#[derive(Debug, Default)]
struct State {
    out: Vec<u8>,
    ending: Option<Ending>,
    logged_in: bool,
    paused: bool,
    waker: Option<Waker>,
}

/// One session's link between the loop and its connection's task.
#[derive(Debug, Default)]
pub struct Link {
    state: Mutex<State>,
}

/// What a connection's task finds in its link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glance {
    /// How to end, if at all.
    pub ending: Option<Ending>,
    /// The core counts this session as logged in.
    pub logged_in: bool,
    /// Nothing is to be read now.
    pub paused: bool,
}

impl Link {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let (result, waker) = {
            let mut state = self.state();
            let result = change(&mut state);
            (result, state.waker.take())
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        result
    }

    /// Appends a frame to what is to be written. False: more than [`SEND_QUEUE_MAX_BYTES`] wait now.
    pub fn push(&self, frame: &impl Frame) -> bool {
        self.changed(|state| {
            frame.encode_into(&mut state.out);
            state.out.len() <= SEND_QUEUE_MAX_BYTES
        })
    }

    /// Appends a frame that is shared with many, given as its bytes, if little enough waits already. False: it does not.
    pub fn offer(&self, bytes: &[u8]) -> bool {
        let mut state = self.state();
        if state.out.len() > SHARED_BEHIND_BYTES || state.ending.is_some() {
            return false;
        }
        state.out.extend_from_slice(bytes);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    /// Bytes that wait and that the task has not taken yet.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.state().out.len()
    }

    /// Marks the session as logged in.
    pub fn log_in(&self) {
        self.changed(|state| state.logged_in = true);
    }

    /// Asks the connection to end. The stronger wish wins.
    pub fn end(&self, ending: Ending) {
        self.changed(|state| {
            if state.ending != Some(Ending::Now) {
                state.ending = Some(ending);
            }
        });
    }

    /// Stops or resumes reading.
    pub fn pause(&self, paused: bool) {
        self.changed(|state| state.paused = paused);
    }

    /// Waits until the connection is to end.
    pub async fn ended(&self) {
        poll_fn(|context| if self.glance(context).ending.is_some() { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    /// What stands here now, and a wake-up at the next change.
    pub fn glance(&self, context: &Context<'_>) -> Glance {
        let mut state = self.state();
        match &mut state.waker {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Glance { ending: state.ending, logged_in: state.logged_in, paused: state.paused }
    }

    /// Takes what waits to be written; leaves no buffer behind.
    #[must_use]
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.state().out)
    }
}

#[cfg(test)]
mod tests {
    use common::wire::directory::{FromDirectory, Pong, Unsupported};

    use super::*;

    #[test]
    fn what_is_pushed_is_taken_in_order_and_leaves_nothing_behind() {
        let link = Link::default();
        assert!(link.push(&FromDirectory::from(Pong {})));
        assert!(link.push(&FromDirectory::from(Unsupported { kind: 7 })));
        let bytes = link.take();
        assert_eq!(bytes[..6], [0, 0, 0, 2, 2, 0x13]);
        assert_eq!(bytes[6..12], [0, 0, 0, 3, 2, 0x14]);
        assert_eq!(link.waiting_bytes(), 0);
    }

    #[test]
    fn what_is_shared_is_taken_while_little_waits() {
        let link = Link::default();
        assert!(link.offer(&[7; SHARED_BEHIND_BYTES]) && link.offer(&[8]));
        assert!(!link.offer(&[9]), "too much waits now");
        assert_eq!(link.take().len(), SHARED_BEHIND_BYTES + 1);
        assert!(link.offer(&[9]));
        link.end(Ending::Flushed);
        assert!(!link.offer(&[9]), "nothing follows the last frame");
    }

    #[test]
    fn an_end_at_once_is_not_softened() {
        let link = Link::default();
        link.end(Ending::Now);
        link.end(Ending::Flushed);
        assert_eq!(link.glance(&Context::from_waker(Waker::noop())).ending, Some(Ending::Now));
    }

    #[test]
    fn what_waits_is_bounded_and_the_loop_is_told() {
        let link = Link::default();
        let pong = FromDirectory::from(Pong {});
        let fitting = (0..).take_while(|_| link.push(&pong)).count();
        assert_eq!(fitting, SEND_QUEUE_MAX_BYTES / 6);
        assert_eq!(link.take().len(), (fitting + 1) * 6);
        assert!(link.push(&pong));
    }
}
