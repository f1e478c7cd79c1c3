//! The one loop: takes what came from connections, the store, the clock and the disk, lets the core handle it, and
//! carries out what the core wants. It decides nothing, and nothing in it waits for room in a channel.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::time::{Duration, Instant, SystemTime};

use common::wire::Frame;
use common::wire::directory::FromDirectory;
use directory_core::{Directory, Input, Now, Output, SessionId, StoreOp, Ticket};
use event_log::EventFile;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use crate::connection::{Arrival, Incoming};
use crate::data_dir::DataDir;
use crate::event_log::Observer;
use crate::link::{Ending, Link};
use crate::store::StoreError;
use crate::store::writer::{Answer, BATCH_MAX, Writer, batch};

#[cfg(test)]
mod tests;

/// Batches of frames that connections may have ready for the loop.
pub const ARRIVALS: usize = 256;
/// Batches handled before what they gave is carried out.
const ARRIVALS_PER_TURN: usize = 64;
/// Store operations given to the store's thread and not answered yet.
const IN_FLIGHT_MAX: usize = 2 * BATCH_MAX;
/// Store operations held back; then nothing more is taken from connections.
const BACKLOG_MAX: usize = 8 * BATCH_MAX;
/// How often the disk is measured.
const DISK_EVERY: Duration = Duration::from_secs(2);
/// How long the answers to what is in hand may take at the end.
const FINISH_MAX: Duration = Duration::from_secs(4);

/// The loop's own state.
pub struct Driver {
    core: Directory,
    clock: Clock,
    arrivals: mpsc::Receiver<Arrival>,
    writer: Writer,
    data_dir: DataDir,
    links: HashMap<SessionId, Arc<Link>>,
    backlog: VecDeque<(Ticket, StoreOp)>,
    in_flight: usize,
    /// See [`crate::store::Store::spare_bytes`].
    spare_bytes: u64,
    failure: Option<StoreError>,
    fatal: bool,
    log: Option<EventLog>,
}

/// What is noted of what flows between core and shell, and where.
pub struct EventLog {
    /// Notes it.
    pub observer: Observer,
    /// Keeps it.
    pub file: EventFile,
}

/// What the core is told about time.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// Starts at zero.
    #[must_use]
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Now { mono_ms: millis(self.started.elapsed()), wall_ms: i64::try_from(wall.as_millis()).unwrap_or(i64::MAX) }
    }

    fn instant(&self, mono_ms: u64) -> Instant {
        // A deadline in the far future is as good as one in a day.
        self.started + Duration::from_millis(mono_ms.min(millis(self.started.elapsed()) + 86_400_000))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What the loop is woken by.
enum Event {
    Arrivals(Vec<Arrival>),
    Answer(Option<Answer>),
    Deadline,
    Disk,
    Stop,
}

impl Driver {
    /// A loop around `core`, whose time is `clock`.
    #[must_use]
    pub fn new(
        core: Directory,
        clock: Clock,
        arrivals: mpsc::Receiver<Arrival>,
        writer: Writer,
        data_dir: DataDir,
        log: Option<EventLog>,
    ) -> Self {
        let (links, backlog) = Default::default();
        let (in_flight, spare_bytes, failure, fatal) = (0, writer.spare_bytes, None, false);
        Self { core, clock, arrivals, writer, data_dir, links, backlog, in_flight, spare_bytes, failure, fatal, log }
    }

    /// Runs until `stop` is ready and what was in hand then is answered.
    ///
    /// # Errors
    /// [`StoreError`] when the store failed: nothing that was not committed has been acknowledged.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> Result<(), StoreError> {
        let mut disk = tokio::time::interval(DISK_EVERY);
        disk.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::pin!(stop);
        while !self.fatal {
            let deadline = self.core.poll_timeout().map(|at| self.clock.instant(at));
            let open = self.backlog.len() < BACKLOG_MAX;
            let event = tokio::select! {
                answer = self.writer.answers.recv() => Event::Answer(answer),
                arrivals = take(&mut self.arrivals), if open => Event::Arrivals(arrivals),
                () = until(deadline) => Event::Deadline,
                _ = disk.tick() => Event::Disk,
                () = &mut stop => Event::Stop,
            };
            if matches!(event, Event::Stop) {
                break;
            }
            self.turn(event);
        }
        self.finish().await
    }

    /// One turn: handle, drain, carry out.
    fn turn(&mut self, event: Event) {
        let now = self.clock.now();
        match event {
            Event::Arrivals(arrivals) => arrivals.into_iter().for_each(|arrival| self.arrived(arrival, now)),
            Event::Answer(answer) => self.answered(answer, now),
            Event::Deadline => self.tell(Input::Timeout, now),
            Event::Disk => self.measure_disk(now),
            Event::Stop => {}
        }
        self.carry_out();
        self.submit();
    }

    fn arrived(&mut self, arrival: Arrival, now: Now) {
        match arrival {
            Arrival::Opened { session, key, address, link } => {
                self.links.insert(session, link);
                self.tell(Input::SessionOpened { session, key, address }, now);
            }
            Arrival::Frames { session, frames } => {
                for incoming in frames {
                    if !self.links.contains_key(&session) {
                        break;
                    }
                    let input = match incoming {
                        Incoming::Frame(frame) => Input::Frame { session, frame },
                        Incoming::Unknown(kind) => Input::UnknownFrame { session, kind },
                        Incoming::Bad => Input::BadFrame { session },
                    };
                    self.tell(input, now);
                }
            }
            Arrival::Closed { session } => {
                if self.links.remove(&session).is_some() {
                    self.tell(Input::SessionClosed { session }, now);
                }
            }
        }
    }

    fn answered(&mut self, answer: Option<Answer>, now: Now) {
        match answer {
            Some(Ok(applied)) => {
                self.in_flight = self.in_flight.saturating_sub(applied.results.len());
                self.spare_bytes = applied.spare_bytes;
                if applied.full {
                    // The next measuring finds out whether that is still so.
                    self.tell(Input::DiskFree { free_bytes: 0, total_bytes: u64::MAX }, now);
                }
                self.tell(Input::Stored { results: applied.results, commits: applied.commits }, now);
            }
            Some(Err(error)) => self.fail(error, now),
            None => self.fail(StoreError::Damaged("the store's thread ended unexpectedly"), now),
        }
    }

    fn fail(&mut self, error: StoreError, now: Now) {
        tracing::error!(%error, "the store failed; nothing more is acknowledged");
        self.backlog.clear();
        self.failure.get_or_insert(error);
        self.fatal = true;
        self.tell(Input::StoreFailed, now);
    }

    fn measure_disk(&mut self, now: Now) {
        match self.data_dir.room() {
            Ok(room) => {
                let free_bytes = room.usable_bytes(self.spare_bytes);
                self.tell(Input::DiskFree { free_bytes, total_bytes: room.total_bytes }, now);
            }
            Err(error) => tracing::warn!(%error, "the free room on the disk is not known"),
        }
    }

    /// Hands the core an input.
    fn tell(&mut self, input: Input, now: Now) {
        if let Some(log) = &mut self.log {
            log.observer.input(&input);
        }
        self.core.handle(input, now);
    }

    /// Writes down what the inputs of this turn tell, before anything is said that follows from them.
    fn note(&mut self) {
        if let Some(EventLog { observer, file }) = &mut self.log {
            file.append(&observer.take());
            observer.turn(self.clock.now().wall_ms);
        }
    }

    fn carry_out(&mut self) {
        self.note();
        while let Some(output) = self.core.poll_output() {
            if let Some(log) = &mut self.log {
                log.observer.output(&output);
            }
            match output {
                Output::Send { session, frame } => self.send(session, &frame),
                Output::Share { ticket, sessions, frame } => self.share(ticket, &sessions, &frame),
                Output::Close { session } => {
                    if let Some(link) = self.links.remove(&session) {
                        link.end(Ending::Flushed);
                    }
                }
                Output::Pause { session } => self.pause(session, true),
                Output::Resume { session } => self.pause(session, false),
                Output::Store { ticket, op } => self.backlog.push_back((ticket, op)),
                Output::Fatal => self.fatal = true,
            }
        }
    }

    fn send(&mut self, session: SessionId, frame: &FromDirectory) {
        let Some(link) = self.links.get(&session) else { return };
        if matches!(frame, FromDirectory::TokenKept(_)) {
            link.log_in();
        }
        if !link.push(frame) {
            tracing::debug!(session = session.0, "takes too little of what is sent to it, and is closed");
            link.end(Ending::Now);
            self.links.remove(&session);
            self.tell(Input::SessionClosed { session }, self.clock.now());
        }
    }

    fn share(&mut self, ticket: Ticket, sessions: &[SessionId], frame: &FromDirectory) {
        let mut bytes = Vec::new();
        frame.encode_into(&mut bytes);
        let taken = sessions.iter().filter_map(|session| self.links.get(session)).filter(|link| link.offer(&bytes));
        let count = u32::try_from(taken.count()).unwrap_or(u32::MAX);
        self.tell(Input::Shared { ticket, count }, self.clock.now());
    }

    fn pause(&mut self, session: SessionId, paused: bool) {
        if let Some(link) = self.links.get(&session) {
            link.pause(paused);
        }
    }

    /// Gives the store what it has room for. What stays is tried again at the next answer, which is sure to come.
    fn submit(&mut self) {
        while !self.backlog.is_empty() && self.in_flight < IN_FLIGHT_MAX {
            let Ok(permit) = self.writer.batches.try_reserve() else { return };
            let batch = batch(&mut self.backlog);
            self.in_flight += batch.len();
            permit.send(batch);
        }
    }

    /// Answers what is in hand, says goodbye, closes the store.
    async fn finish(mut self) -> Result<(), StoreError> {
        self.settle().await;
        self.tell(Input::Shutdown, self.clock.now());
        self.carry_out();
        for link in self.links.values() {
            link.end(Ending::Flushed);
        }
        // The core's own parting notes, such as who was last seen when: one for each session, and so more than the
        // store is given at once.
        self.submit();
        self.settle().await;
        let Self { writer, failure, .. } = self;
        let closed = tokio::task::spawn_blocking(|| writer.close()).await;
        match failure {
            Some(error) => Err(error),
            None => closed.unwrap_or(Err(StoreError::Damaged("the store's thread ended unexpectedly"))),
        }
    }

    /// Waits until the store has answered everything, but for [`FINISH_MAX`] at most.
    async fn settle(&mut self) {
        let end = Instant::now() + FINISH_MAX;
        while !self.fatal && self.in_flight + self.backlog.len() > 0 {
            let event = tokio::select! {
                answer = self.writer.answers.recv() => Event::Answer(answer),
                () = until(Some(end)) => return,
            };
            self.turn(event);
        }
    }
}

/// At least one arrival, and all that are there, as far as one turn takes them.
async fn take(arrivals: &mut mpsc::Receiver<Arrival>) -> Vec<Arrival> {
    let mut taken = Vec::new();
    if arrivals.recv_many(&mut taken, ARRIVALS_PER_TURN).await == 0 {
        // Nobody accepts any more; the other branches go on.
        std::future::pending::<()>().await;
    }
    taken
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
