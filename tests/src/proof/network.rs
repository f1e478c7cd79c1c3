//! Networks: over every bad one, between two real peers with a directory, each message arrives once and in order, and its
//! receipt in time. Datagrams that are lost, late, doubled, too long or swallowed; a line to the directory that is cut,
//! reset, stalled or slow; partitions. Each kind has a module below; this one chooses, runs several at once where the
//! form is short, and prints one line of a table for each.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};

use super::{Form, Order, say};

mod datagrams;
mod traffic;

use datagrams::{Amount, CASES};

/// One network to be tried: its name, and what tries it and gives the rest of its line.
struct Trial {
    name: String,
    run: Box<dyn Fn() -> Result<String> + Send + Sync>,
}

/// The proof. `--amount` is the number of messages each way and each manner, over each network.
///
/// # Errors
/// Which networks broke what.
pub fn run(order: &Order) -> Result<()> {
    let order = *order;
    let only = std::env::var("HOMING_NETWORK").ok();
    let trials: Vec<Trial> = datagram_trials(order)
        .into_iter()
        .filter(|trial| only.as_ref().is_none_or(|only| trial.name.contains(only.as_str())))
        .collect();
    say("| network | messages | direct | p50 | p99 | max | took |");
    say("| --- | --- | --- | --- | --- | --- | --- |");
    // At night one after the other, so that figures are of the network and not of the machine.
    let at_once = if order.form == Form::Gate { 6 } else { 1 };
    let broken = all(&trials, at_once);
    if !broken.is_empty() {
        bail!("seed {}: {}", order.seed, broken.join("; "));
    }
    Ok(())
}

fn datagram_trials(order: Order) -> Vec<Trial> {
    let count = usize::try_from(order.amount(40, 500)).unwrap_or(usize::MAX);
    let amount = Amount { spaced: count, gap: Duration::from_millis(50), burst: count };
    let trial = |case: &'static datagrams::Case| Trial {
        name: case.name.to_string(),
        run: Box::new(move || {
            let receipts = datagrams::run(case, amount, order.seed, true)?;
            Ok(line(&receipts))
        }),
    };
    CASES.iter().map(trial).collect()
}

fn line(receipts: &traffic::Receipts) -> String {
    let ms = |share: f64| receipts.percentile_ms(share);
    let (count, direct) = (receipts.ms.len(), 100 * receipts.direct / receipts.ms.len().max(1));
    format!("{count} | {direct} % | {:.0} ms | {:.0} ms | {:.0} ms", ms(0.5), ms(0.99), ms(1.0))
}

/// Runs all trials, so many at once; what broke.
fn all(trials: &[Trial], at_once: usize) -> Vec<String> {
    let (next, broken) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some(trial) = trials.get(next.fetch_add(1, Ordering::SeqCst)) {
                    if let Err(error) = one(trial) {
                        broken
                            .lock()
                            .unwrap_or_else(std::sync::PoisonError::into_inner)
                            .push(format!("{}: {error:#}", trial.name));
                    }
                }
            });
        }
    });
    broken.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn one(trial: &Trial) -> Result<()> {
    let begin = Instant::now();
    let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| (trial.run)()));
    let took = begin.elapsed().as_secs_f64();
    let result = ran.unwrap_or_else(|panic| {
        let words =
            panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        Err(anyhow!("{}", words.unwrap_or("a panic without words")))
    });
    match &result {
        Ok(line) => say(&format!("| {} | {line} | {took:.0} s |", trial.name)),
        Err(error) => say(&format!("| {} | BROKEN: {error:#} | {took:.0} s |", trial.name)),
    }
    result.map(drop)
}
