//! Planted bugs: each must be caught by the simulation, and the seed that caught it must be clean without it. The amount
//! is the number of seeds tried for each bug.

use anyhow::{Result, bail};
use common::planted::{Bug, plant};

use super::Order;
use crate::sim::{Profile, Sum, failure, profile_of};

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

/// Bugs that show only when a disk fails or loses power: the simulation's disks do neither by themselves. They are
/// planted for runs on a disk that does.
pub const OF_DISKS: [Bug; 3] = [Bug::WaterMarkApart, Bug::SynchronousOff, Bug::CommitErrorIgnored];

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
        Bug::WaterMarkApart | Bug::SynchronousOff | Bug::CommitErrorIgnored => &[Profile::Disks],
    }
}

/// Runs seeds with a bug until one of them breaks a promise; that one is then run without the bug.
///
/// # Errors
/// The bug was not caught by any of the seeds, or the seed fails without it too.
pub fn hunt(bug: Bug, seeds: impl IntoIterator<Item = u64>) -> Result<Catch> {
    let mut sum = Sum::default();
    for seed in seeds.into_iter().filter(|seed| fitting(bug).contains(&profile_of(*seed))) {
        plant(Some(bug));
        let caught = failure(seed, &mut sum);
        plant(None);
        let Some(how) = caught else { continue };
        let promise = how.lines().last().unwrap_or_default().to_owned();
        if let Some(clean) = failure(seed, &mut Sum::default()) {
            bail!("seed {seed} fails without {bug:?} too:\n{clean}");
        }
        return Ok(Catch { bug, seed, tried: sum.seeds, promise });
    }
    bail!("{bug:?} was not caught by {} seeds", sum.seeds)
}

/// Runs it.
///
/// # Errors
/// The bugs that were not caught.
pub fn run(order: &Order) -> Result<()> {
    let amount = order.amount(2_000, 20_000);
    let mut missed = Vec::new();
    for bug in Bug::ALL.into_iter().filter(|bug| !OF_DISKS.contains(bug)) {
        match hunt(bug, order.seed..order.seed + amount) {
            Ok(Catch { seed, tried, promise, .. }) => {
                super::say(&format!("{bug:?}: seed {seed}, {tried} tried: {promise}"));
            }
            Err(error) => {
                super::say(&format!("{bug:?}: {error}"));
                missed.push(bug);
            }
        }
    }
    if missed.is_empty() { Ok(()) } else { bail!("not caught: {missed:?}") }
}
