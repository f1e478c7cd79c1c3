//! Planted bugs: each must be caught by the simulation, and the seed that caught it must be clean without it. The amount
//! is the number of seeds tried for each bug.

use std::fmt;

use anyhow::{Result, bail, ensure};
use common::identity::PublicKey;
use common::planted::{Bug, plant};
use crash_vfs::{Disk, Fault, NAME};
use peer::storage::Store;
use peer_core::event::Ticket;
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;

use super::{Form, Order, power};
use crate::sim::{CHECKER, Profile, Sum, Watch, failure, profile_of};

/// How a bug was caught.
#[derive(Debug)]
pub struct Catch {
    /// The bug.
    pub bug: Bug,
    /// The seed that broke a promise with it.
    pub seed: u64,
    /// Seeds run until then.
    pub tried: u64,
    /// The promise that was broken.
    pub promise: String,
}

impl fmt::Display for Catch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: seed {}, {} tried: {}", self.bug, self.seed, self.tried, self.promise)
    }
}

/// Bugs that show only when a disk fails or loses power. They are caught on the stores alone, too.
pub const OF_DISKS: [Bug; 3] = [Bug::WaterMarkApart, Bug::SynchronousOff, Bug::CommitErrorIgnored];

/// Bugs that the history checker alone notices too, from the event logs of a simulated world. The others break what no log tells:
/// which item left the directory's disk and why, what stands in a history, how old a message is.
pub const OF_LOGS: [Bug; 10] = [
    Bug::AckBeforeCommit,
    Bug::WaterMarkApart,
    Bug::DedupeWindow,
    Bug::SeqReused,
    Bug::SynchronousOff,
    Bug::CommitErrorIgnored,
    Bug::DepositWithoutLane,
    Bug::ShownBeforeCommit,
    Bug::FloorPastUnsettled,
    Bug::PresenceBelieved,
];

/// The storms in which a bug shows, with the worlds without datagrams for all that concerns the directory.
#[must_use]
pub fn fitting(bug: Bug) -> &'static [Profile] {
    match bug {
        Bug::AckBeforeCommit | Bug::ShownBeforeCommit => &[Profile::Crashes],
        Bug::DedupeWindow => &[Profile::Everything, Profile::Years, Profile::PeerRollbacks],
        Bug::SeqReused | Bug::AckUnopened => &[Profile::PeerRollbacks, Profile::Everything],
        Bug::DeleteBeforeTaken | Bug::DepositWithoutLane | Bug::FloorPastUnsettled | Bug::PresenceBelieved => {
            &[Profile::NoDirect]
        }
        Bug::SenderClockOrder => &[Profile::Clocks, Profile::Years],
        Bug::WallClockLifetime => &[Profile::Years],
        Bug::WaterMarkApart | Bug::SynchronousOff => &[Profile::Crashes, Profile::Full],
        Bug::CommitErrorIgnored => &[Profile::Disks],
    }
}

/// Runs seeds with a bug until one of them breaks a promise, as `watch` sees it; that one is then run without the bug.
///
/// # Errors
/// The bug was not caught by any of the seeds, or the seed fails without it too.
pub fn hunt(bug: Bug, seeds: impl IntoIterator<Item = u64>, watch: Watch) -> Result<Catch> {
    let mut sum = Sum::default();
    for seed in seeds.into_iter().filter(|seed| fitting(bug).contains(&profile_of(*seed))) {
        plant(Some(bug));
        let caught = failure(seed, watch, &mut sum);
        plant(None);
        let Some(how) = caught else { continue };
        let promise = how.lines().last().unwrap_or_default().to_owned();
        // A world may also end in a panic, which is nobody's judgement.
        if watch == Watch::Logs && !promise.starts_with(CHECKER) {
            continue;
        }
        if let Some(clean) = failure(seed, watch, &mut Sum::default()) {
            bail!("seed {seed} fails without {bug:?} too:\n{clean}");
        }
        return Ok(Catch { bug, seed, tried: sum.seeds, promise });
    }
    bail!("{bug:?} was not caught by {} seeds, judged by {watch:?}", sum.seeds)
}

/// Catches a bug of [`OF_DISKS`]: by cuts of power, or by flushes that fail.
///
/// # Errors
/// The bug was not caught, or the store fails without it too.
pub fn hunt_on_disk(bug: Bug, seed: u64) -> Result<Catch> {
    plant(Some(bug));
    let caught = if bug == Bug::CommitErrorIgnored {
        failing_flushes(seed)
    } else {
        power::run(&Order { form: Form::Gate, seed, amount: Some(1) })
    };
    plant(None);
    // That cuts of power take nothing without a bug is what `proof-power` shows.
    failing_flushes(seed)?;
    match caught {
        Ok(()) => bail!("{bug:?} was not caught"),
        Err(error) => Ok(Catch { bug, seed, tried: 1, promise: format!("{error:#}") }),
    }
}

/// A peer's store whose `nth` flush fails, for many `nth`: what it said is there afterwards.
fn failing_flushes(seed: u64) -> Result<()> {
    const JOBS: u64 = 12;
    let (me, other) = (PublicKey([1; 32]), PublicKey([2; 32]));
    for nth in 1..=JOBS {
        let disk = Disk::new();
        let mut store = Store::open_on(NAME, &disk.path("store.db"), me)?;
        disk.fail_at(Fault::Sync, nth);
        let mut said = 0;
        for number in 1..=JOBS {
            let op = power::peer::queue(other, number, number, vec![1; 900]);
            if store.apply(vec![(Ticket(number), vec![op])]).is_err() {
                break;
            }
            said += 1;
        }
        drop(store);
        let left = disk.crash(&mut ChaCha8Rng::seed_from_u64(seed + nth));
        let mut again = Store::open_on(NAME, &Disk::from_image(left).path("store.db"), me)?;
        let found = again.load("localhost:1")?.outbox.len();
        ensure!(found >= said, "{said} messages were called queued before flush {nth} failed, {found} are there");
    }
    Ok(())
}

/// Catches a bug in the simulation by the model, one of [`OF_LOGS`] by the history checker as well, and one of [`OF_DISKS`]
/// on the stores alone besides.
///
/// # Errors
/// As [`hunt`] and [`hunt_on_disk`].
pub fn find(bug: Bug, seeds: std::ops::Range<u64>) -> Result<(Catch, Option<Catch>)> {
    let seed = seeds.start;
    let caught = hunt(bug, seeds.clone(), Watch::Model)?;
    if OF_DISKS.contains(&bug) {
        hunt_on_disk(bug, seed)?;
    }
    let noticed = if OF_LOGS.contains(&bug) { Some(hunt(bug, seeds, Watch::Logs)?) } else { None };
    Ok((caught, noticed))
}

/// Runs it.
///
/// # Errors
/// The bugs that were not caught.
pub fn run(order: &Order) -> Result<()> {
    let amount = order.amount(2_000, 20_000);
    let mut missed = Vec::new();
    for bug in Bug::ALL {
        match find(bug, order.seed..order.seed + amount) {
            Ok((caught, noticed)) => {
                [Some(caught), noticed].iter().flatten().for_each(|catch| super::say(&catch.to_string()))
            }
            Err(error) => {
                super::say(&format!("{bug:?}: {error}"));
                missed.push(bug);
            }
        }
    }
    if missed.is_empty() { Ok(()) } else { bail!("not caught: {missed:?}") }
}
