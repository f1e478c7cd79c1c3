//! Planted bugs: each must be caught by the simulation, and the seed that caught it must be clean without it. The amount
//! is the number of seeds tried for each bug.

use anyhow::{Result, bail};
use common::planted::{Bug, plant};

use super::Order;
use crate::sim::{Sum, failure};

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

/// Runs seeds with a bug until one of them breaks a promise; that one is then run without the bug.
///
/// # Errors
/// The bug was not caught by any of the seeds, or the seed fails without it too.
pub fn hunt(bug: Bug, seeds: impl IntoIterator<Item = u64>) -> Result<Catch> {
    let mut sum = Sum::default();
    for seed in seeds {
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
    for bug in Bug::ALL {
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
