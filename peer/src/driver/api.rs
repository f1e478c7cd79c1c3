//! How a front end talks to the loop: a [`Handle`] to submit commands and to attach, an [`Attached`] to receive events.
//! Any number of fronts may be attached: the prompt or the pipe, and connections of the control socket. Not here:
//! words for people, and anything the loop does with what it is told.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use peer_core::command::{Command, CommandError};
use peer_core::event::{CommandId, Event, Source};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

/// Commands of all fronts that wait for the loop; a front that submits more waits.
pub const COMMANDS_MAX: usize = 256;
/// "These were put out" notes that wait for the loop.
pub const SHOWN_MAX: usize = 256;
/// Events that wait in the channel of one front.
pub const EVENTS_MAX: usize = 1_024;

/// What a front end tells the loop.
#[derive(Debug)]
pub enum FrontInput {
    /// A line, parsed or not; answered by exactly one `Event::Answer` with this number.
    Command {
        /// Pairs the answer; its source is the front's own.
        id: CommandId,
        /// The command, or what was wrong with the line.
        command: Result<Command, CommandError>,
    },
    /// These messages were put out and flushed.
    Shown(Vec<u64>),
    /// The front's input has ended: flush what is queued, go offline, leave the program.
    EndOfInput,
    /// This front has gone; its answers are not wanted any more.
    SourceClosed(Source),
}

/// The loop has ended: there is nobody to talk to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the program is leaving")]
pub struct Gone;

/// What happens when a front does not take its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Nothing is dropped: the loop takes no more commands and nothing more from the network until it has caught up.
    Wait,
    /// It is detached: its channel ends after what fitted in.
    CutOff,
}

/// A front's end of the wire.
#[derive(Debug)]
pub struct Attached {
    /// The number of this front, to be used in its `CommandId`s.
    pub source: Source,
    /// Everything that happens, and the answers to this front's own commands. Ends when the loop has left.
    ///
    /// A front must go on receiving while it submits: with [`Patience::Wait`] the loop takes no command while this is
    /// full. `Shown` is always taken.
    pub events: mpsc::Receiver<Event>,
    /// To be dropped when the last of `events` is put out and `Shown` submitted: the leaving loop waits for that.
    pub done: Done,
}

/// A front's word that it has nothing more to tell: dropping it says so.
#[derive(Debug)]
pub struct Done(#[expect(dead_code, reason = "its end is what it tells")] oneshot::Sender<()>);

/// One attached front, as the loop sees it.
#[derive(Debug)]
pub(super) struct Subscriber {
    pub(super) source: Source,
    pub(super) patience: Patience,
    pub(super) sender: mpsc::Sender<Event>,
    pub(super) done: oneshot::Receiver<()>,
}

/// Submits to the loop and attaches fronts. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    commands: mpsc::Sender<FrontInput>,
    shown: mpsc::Sender<Vec<u64>>,
    leave: mpsc::Sender<()>,
    fresh: Arc<Mutex<Vec<Subscriber>>>,
    sources: Arc<AtomicU64>,
}

/// The loop's end of all fronts.
#[derive(Debug)]
pub struct FrontSide {
    pub(super) commands: mpsc::Receiver<FrontInput>,
    pub(super) shown: mpsc::Receiver<Vec<u64>>,
    pub(super) leave: mpsc::Receiver<()>,
    fresh: Arc<Mutex<Vec<Subscriber>>>,
}

/// The two ends. Attach the first front before the loop runs, so that it sees `Event::Ready`.
#[must_use]
pub fn fronts() -> (Handle, FrontSide) {
    let (commands_in, commands) = mpsc::channel(COMMANDS_MAX);
    let (shown_in, shown) = mpsc::channel(SHOWN_MAX);
    let (leave_in, leave) = mpsc::channel(1);
    let fresh = Arc::new(Mutex::new(Vec::new()));
    let sources = Arc::default();
    let handle = Handle { commands: commands_in, shown: shown_in, leave: leave_in, fresh: fresh.clone(), sources };
    (handle, FrontSide { commands, shown, leave, fresh })
}

impl Handle {
    /// Attaches a front: from now on it receives events.
    #[must_use]
    pub fn attach(&self, patience: Patience) -> Attached {
        let source = Source(self.sources.fetch_add(1, Ordering::Relaxed));
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        let (done, watched) = oneshot::channel();
        lock(&self.fresh).push(Subscriber { source, patience, sender, done: watched });
        Attached { source, events, done: Done(done) }
    }

    /// Asks the loop to leave, as [`FrontInput::EndOfInput`] does, but also when no command is taken any more because a
    /// front does not take its events.
    pub fn leave(&self) {
        // Full: it was asked for already. Closed: the loop has left.
        let _ = self.leave.try_send(());
    }

    /// Hands an input to the loop, waiting while the loop has too much to do.
    ///
    /// # Errors
    /// [`Gone`] when the loop has ended.
    pub async fn submit(&self, input: FrontInput) -> Result<(), Gone> {
        match input {
            FrontInput::Shown(numbers) => self.shown.send(numbers).await.map_err(|_| Gone),
            other => self.commands.send(other).await.map_err(|_| Gone),
        }
    }

    /// As [`Self::submit`], for a thread outside the runtime, such as the prompt's. Panics inside the runtime.
    ///
    /// # Errors
    /// [`Gone`] when the loop has ended.
    pub fn submit_blocking(&self, input: FrontInput) -> Result<(), Gone> {
        match input {
            FrontInput::Shown(numbers) => self.shown.blocking_send(numbers).map_err(|_| Gone),
            other => self.commands.blocking_send(other).map_err(|_| Gone),
        }
    }
}

impl FrontSide {
    /// How many commands wait.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.commands.len()
    }

    /// The next command, for a loop that a test plays.
    #[cfg(test)]
    pub(crate) async fn command(&mut self) -> Option<FrontInput> {
        self.commands.recv().await
    }

    /// Where the last front that was attached hears from a loop that a test plays.
    #[cfg(test)]
    pub(crate) fn tells(&self) -> Option<mpsc::Sender<Event>> {
        self.fresh().pop().map(|subscriber| subscriber.sender)
    }

    /// Fronts attached since the last call.
    pub(super) fn fresh(&self) -> Vec<Subscriber> {
        std::mem::take(&mut *lock(&self.fresh))
    }
}

/// A panic while the list was held cannot have left it half changed: every change is one call.
fn lock(list: &Mutex<Vec<Subscriber>>) -> MutexGuard<'_, Vec<Subscriber>> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}
