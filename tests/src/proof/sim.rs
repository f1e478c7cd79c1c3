//! The simulation at scale: as many seeds as time allows, on all processors. The amount is the number of seeds, the seed
//! of the order the first of them.

use std::time::Instant;

use anyhow::{Result, bail};

use super::Order;
use crate::sim::{Watch, many};

/// Seeds between two lines of output.
const BLOCK: u64 = 5_000;

/// Runs it.
///
/// # Errors
/// The first seed that broke a promise, which one, and how to see it again.
pub fn run(order: &Order) -> Result<()> {
    let (from, amount) = (order.seed, order.amount(520, 100_000));
    let begun = Instant::now();
    let mut done = 0;
    let (mut events, mut messages, mut virtual_ms) = (0, 0, 0);
    let mut failures = Vec::new();
    while done < amount {
        let first = from + done;
        let mut sum = many(first..first + BLOCK.min(amount - done), Watch::Both);
        done += sum.seeds;
        events += sum.events;
        messages += sum.messages;
        virtual_ms += sum.virtual_ms;
        let seconds = begun.elapsed().as_secs_f64();
        let hourly = 3_600.0 * done as f64 / seconds;
        super::say(&format!(
            "{done} seeds from {from}: {messages} messages, {events} events, {} virtual hours in {seconds:.0} s, \
             {hourly:.0} seeds an hour, {} failed",
            virtual_ms / 3_600_000,
            failures.len() + sum.failures.len()
        ));
        for (seed, how) in &sum.failures {
            super::say(&format!("seed {seed}: {}", how.lines().last().unwrap_or_default()));
        }
        failures.append(&mut sum.failures);
    }
    match failures.first() {
        None => Ok(()),
        Some((_, how)) => bail!("{} seeds failed; the first:\n{how}", failures.len()),
    }
}
