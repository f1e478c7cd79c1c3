//! The one loop of the program: it takes what happened, lets the messenger decide, and has it carried out. The only
//! place that knows transport, storage, fronts and the messenger together.
//!
//! One turn: take inputs in a batch, `handle` each, drain the outputs, carry them out, sleep until `poll_timeout`.
//! Nothing in the loop awaits a bounded send: what finds no room waits in a backlog, and as long as there is one,
//! nothing more is taken from commands and from the network. Answers of the store, of the sealing thread and "shown"
//! notes are always taken, since they are what makes room, and so is the wish to leave. Nothing is decided here.

pub mod api;
mod carrier;
mod fronts;
mod sealing;
mod sources;
mod watch;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;

use common::identity::Identity;
use common::tls::TlsError;
use event_log::EventFile;
use peer_core::event::{Config, Exit, Input, Now, Output, Ticket};
use peer_core::messenger::Messenger;
use peer_core::stored::{Snapshot, StoreOp};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval_at, sleep_until};

use crate::event_log::Observer;
use crate::files::{Files, Reserve};
use crate::storage::{Job, StorageThread, Store};
use crate::transport::{ACCEPTED_MAX, BATCHES_MAX, Directory, Quic, QuicError, addresses};
use api::FrontSide;
use carrier::Carrier;
use sealing::Sealing;
use sources::{Sources, Taken};
use watch::{CHECK_EVERY, Clocks, DISK_EVERY, Disk, Network};

/// Replies of the store that wait for the loop.
const REPLIES_MAX: usize = 1_024;
/// While something has found no room, it is tried again at least so often.
const RETRY_EVERY: std::time::Duration = std::time::Duration::from_millis(5);
/// Without any deadline the loop sleeps so long, milliseconds.
const LONG_MS: u64 = 3_600_000;

/// Why the loop did not begin.
#[derive(Debug, Error)]
pub enum StartError {
    /// No QUIC endpoint.
    #[error(transparent)]
    Quic(#[from] QuicError),
    /// No TLS towards the directory.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The system gives no thread.
    #[error("no thread could be started: {0}")]
    Thread(#[from] io::Error),
}

/// What the loop is made of.
#[derive(Debug)]
pub struct Parts {
    /// Who this peer is.
    pub identity: Identity,
    /// What the messenger is told; `candidates` as [`candidates`] gives them, `bind` the socket's real address.
    pub config: Config,
    /// What was committed, loaded from `store`.
    pub snapshot: Snapshot,
    /// The open store.
    pub store: Store,
    /// From `transport::socket::bind`.
    pub socket: UdpSocket,
    /// `--advertise`.
    pub advertise: Option<SocketAddr>,
    /// Where files of others go, unless the user says otherwise.
    pub downloads: PathBuf,
    /// `--event-log`.
    pub event_log: Option<EventFile>,
}

/// What to publish at the start: for [`Config::candidates`].
#[must_use]
pub fn candidates(bind: SocketAddr, advertise: Option<SocketAddr>) -> Vec<SocketAddr> {
    addresses::candidates(bind, advertise, &addresses::sources(None))
}

/// Runs until the messenger says how the program ends. Needs a runtime with time and network; a current-thread one is
/// the fastest.
///
/// # Errors
/// [`StartError`]; nothing has happened then.
pub async fn run(parts: Parts, side: FrontSide) -> Result<Exit, StartError> {
    let (mut turns, mut sources) = Turns::start(parts, side)?;
    let exit = loop {
        if let Some(exit) = turns.carry_out(&mut sources) {
            break exit;
        }
        turns.take(&mut sources).await;
    };
    turns.leave(sources).await;
    Ok(exit)
}

/// The loop's own state.
struct Turns {
    messenger: Messenger,
    carrier: Carrier,
    clocks: Clocks,
    network: Network,
    disk: Disk,
    check: Interval,
    check_disk: Interval,
    log: Option<EventLog>,
}

/// What is noted, and where.
struct EventLog {
    observer: Observer,
    file: EventFile,
}

impl Turns {
    fn start(parts: Parts, side: FrontSide) -> Result<(Self, Sources), StartError> {
        let Parts { identity, config, snapshot, store, socket, advertise, downloads, event_log } = parts;
        let (batches_in, batches) = mpsc::channel(BATCHES_MAX);
        let (replies_in, replies) = mpsc::channel(REPLIES_MAX);
        let directory = Directory::new(config.directory.clone(), &identity, batches_in.clone())?;
        let (streams, accepted) = mpsc::channel(ACCEPTED_MAX);
        let quic = Quic::start(socket, identity.clone(), batches_in, streams)?;
        let (files, told) = Files::start(downloads, Reserve::default(), accepted);
        let (sealing, sealed) = Sealing::start(identity)?;
        let disk = Disk::of(store.folder());
        let storage = StorageThread::start(store, replies_in)?;
        let clocks = Clocks::new();
        let network = Network::new(config.bind, advertise);
        let now = clocks.now();
        let log = event_log.map(|file| EventLog { observer: Observer::start(&config, &snapshot, now.wall_ms), file });
        let messenger = Messenger::new(config, snapshot, now);
        let carrier = Carrier::new(quic, directory, storage, sealing, files);
        let (check, check_disk) = (every(CHECK_EVERY), every(DISK_EVERY));
        let mut turns = Self { messenger, carrier, clocks, network, disk, check, check_disk, log };
        // Before the first command.
        turns.measure_disk();
        Ok((turns, Sources::new(batches, replies, sealed, told, side)))
    }

    fn measure_disk(&mut self) {
        if let Some(measured) = self.disk.measure() {
            self.tell(measured, self.clocks.now());
        }
    }

    /// Carries out all outputs, those of fronts that went meanwhile included.
    fn carry_out(&mut self, sources: &mut Sources) -> Option<Exit> {
        self.carrier.retry();
        self.carrier.fronts.adopt(sources.fresh());
        loop {
            // Noted before the first of them is carried out: nothing is said that the event log has not.
            let outputs: Vec<Output> = std::iter::from_fn(|| self.messenger.poll_output()).collect();
            self.note(&outputs);
            for output in outputs {
                if let Some(exit) = self.carrier.carry(output) {
                    return Some(exit);
                }
            }
            let gone = self.carrier.fronts.gone();
            if gone.is_empty() {
                return None;
            }
            let now = self.clocks.now();
            gone.into_iter().for_each(|source| self.tell(Input::SourceClosed(source), now));
        }
    }

    fn note(&mut self, outputs: &[Output]) {
        let Some(EventLog { observer, file }) = &mut self.log else { return };
        outputs.iter().for_each(|output| observer.output(output));
        file.append(&observer.take());
        observer.turn(self.clocks.now().wall_ms);
    }

    /// Hands the messenger an input.
    fn tell(&mut self, input: Input, now: Now) {
        if let Some(log) = &mut self.log {
            log.observer.input(&input);
        }
        self.messenger.handle(input, now);
    }

    /// Waits for something to happen, then hands the messenger a batch of it.
    async fn take(&mut self, sources: &mut Sources) {
        let behind = self.carrier.is_behind();
        let due_ms = self.messenger.poll_timeout();
        let wake = self.clocks.at(due_ms.unwrap_or_else(|| self.clocks.now().mono_ms.saturating_add(LONG_MS)));
        let retry = async { if behind { tokio::time::sleep(RETRY_EVERY).await } else { std::future::pending().await } };
        let (mut network_checked, mut disk_due) = (false, false);
        tokio::select! {
            () = sources.wait(!behind) => {}
            () = sleep_until(wake) => {}
            () = self.carrier.fronts.room() => {}
            () = retry => {}
            _ = self.check.tick() => network_checked = true,
            _ = self.check_disk.tick() => disk_due = true,
        }
        if disk_due {
            self.measure_disk();
        }
        let now = self.clocks.now();
        let slept = self.clocks.slept(now);
        if slept || (network_checked && self.network.has_changed(self.carrier.directory.last_address())) {
            tracing::info!(slept, "the network has changed");
            self.tell(Input::NetworkChanged(self.network.candidates().to_vec()), now);
        }
        if due_ms.is_some_and(|due_ms| due_ms <= now.mono_ms) {
            self.tell(Input::Wake, now);
        }
        for taken in sources.take(!behind) {
            self.hand_over(taken, now);
        }
    }

    fn hand_over(&mut self, taken: Taken, now: Now) {
        match taken {
            Taken::Inputs(inputs) => inputs.into_iter().for_each(|input| self.tell(input, now)),
            Taken::Directory { session, inputs } => {
                if self.carrier.directory.is_current(session) {
                    inputs.into_iter().for_each(|input| self.tell(input, now));
                }
            }
            Taken::StoreFull(full) => {
                self.disk.refuses(full);
                self.measure_disk();
            }
            Taken::StoreFailed(why) => {
                self.carrier.store_failed();
                self.tell(Input::StoreFailed(why), now);
            }
        }
    }

    /// The last outputs have been carried out: let them arrive, then end everything that was started.
    async fn leave(self, sources: Sources) {
        let Carrier { quic, directory, fronts, storage, sealing, files, store_jobs, .. } = self.carrier;
        let (mut batches, mut shown) = sources.last();
        let mut numbers = Vec::new();
        // The network: taken and not heard, since a full channel would hold up the flushing.
        let taking = async {
            loop {
                tokio::select! {
                    Some(_) = batches.recv() => {}
                    Some(more) = shown.recv() => numbers.extend(more),
                    else => std::future::pending().await,
                }
            }
        };
        tokio::select! {
            _ = async { tokio::join!(files.shutdown(), quic.shutdown(), directory.shutdown(), fronts.finish()) } => {}
            () = taking => {}
        }
        while let Ok(more) = shown.try_recv() {
            numbers.extend(more);
        }
        sealing.shutdown();
        storage.hurry();
        for job in store_jobs {
            storage.submit(job).await;
        }
        if !numbers.is_empty() {
            if let Some(EventLog { mut observer, mut file }) = self.log {
                observer.input(&Input::Shown(numbers.clone()));
                file.append(&observer.take());
            }
            // Else the next start would show them again.
            storage.submit(Job::Store { ticket: Ticket(u64::MAX), ops: vec![StoreOp::Shown(numbers)] }).await;
        }
        storage.shutdown().await;
    }
}

fn every(period: std::time::Duration) -> Interval {
    let mut interval = interval_at(tokio::time::Instant::now() + period, period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

#[cfg(test)]
mod tests;
