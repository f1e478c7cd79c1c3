//! Networks: over every bad one, between two real peers with a directory, each message arrives once and in order, and its
//! receipt in time. Datagrams that are lost, late, doubled, too long or swallowed; a line to the directory that is cut,
//! reset, stalled or slow; partitions. Each kind has a module below; this one chooses, runs several at once where the
//! form is short, and prints one line of a table for each.

use std::any::Any;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Error, Result, anyhow, bail};

use super::{Form, Order, say};
use crate::namespaces;

mod datagrams;
mod lines;
mod partitions;
mod traffic;

use datagrams::Amount;
use traffic::Receipts;

/// Networks tried at once, where nothing depends on how fast the machine is.
const AT_ONCE: usize = 8;

/// One network to be tried: its name, and what tries it and gives the rest of its line.
struct Trial {
    name: String,
    run: Box<dyn Fn() -> Result<String> + Send + Sync>,
}

/// The proof. `--amount` is the number of messages each way and each manner, over each network that loses datagrams.
/// `HOMING_NETWORK`, when set, chooses the networks whose name holds it.
///
/// # Errors
/// Which networks broke what.
pub fn run(order: &Order) -> Result<()> {
    let only = std::env::var("HOMING_NETWORK").unwrap_or_default();
    say("| network | messages | direct | p50 | p99 | max | what happened | took |");
    say("| --- | --- | --- | --- | --- | --- | --- | --- |");
    let (mut timed, mut others) = (datagram_trials(*order), line_trials(*order));
    others.extend(partition_trials(*order));
    timed.retain(|trial| trial.name.contains(&only));
    others.retain(|trial| trial.name.contains(&only));
    let mut broken = Vec::new();
    if order.form == Form::Gate {
        others.extend(timed);
    } else {
        // One after the other, so that the figures are of the network and not of the machine.
        broken = all(&timed, 1);
    }
    broken.extend(all(&others, AT_ONCE));
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
        run: Box::new(move || datagrams::run(case, amount, order.seed, order.form).map(line)),
    };
    datagrams::CASES.iter().map(trial).collect()
}

fn line_trials(order: Order) -> Vec<Trial> {
    let cases = if order.form == Form::Gate { lines::GATE } else { lines::NIGHT };
    let trial = |case: &'static lines::Case| Trial {
        name: case.name.to_string(),
        run: Box::new(move || lines::run(case).map(line)),
    };
    let mut trials: Vec<Trial> = cases.iter().map(trial).collect();
    // Each pair of peers takes its share; the cuts of one pair wait for each other's reconnecting.
    let (every_byte, pairs) = if order.form == Form::Gate { (false, 4) } else { (true, 16) };
    let cuts = move |pair| move || lines::cuts(every_byte, (pair, pairs));
    if order.form == Form::Gate {
        trials.extend((0..pairs).map(|pair| Trial {
            name: format!("TCP: cuts at records' ends, {} of {pairs}", pair + 1),
            run: Box::new(cuts(pair)),
        }));
    } else {
        trials
            .push(Trial { name: "TCP: cuts at every byte".to_string(), run: Box::new(move || together(pairs, cuts)) });
    }
    trials
}

/// Runs `pairs` at once; the line of the first.
fn together<F: Fn() -> Result<String> + Send>(pairs: usize, of: impl Fn(usize) -> F) -> Result<String> {
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..pairs).map(|pair| scope.spawn(of(pair))).collect();
        let lines: Result<Vec<String>> = running.into_iter().map(|one| one.join().map_err(words)?).collect();
        Ok(lines?.first().map(|first| format!("{pairs} x {first}")).unwrap_or_default())
    })
}

fn partition_trials(order: Order) -> Vec<Trial> {
    let missing = namespaces::missing();
    if let Some(reason) = &missing {
        say(&format!("SKIPPED: partitions: no network namespaces here: {reason}"));
    }
    let time = Duration::from_secs(if order.form == Form::Gate { 6 } else { 110 });
    let trial = |case: &'static partitions::Case| Trial {
        name: case.name.to_string(),
        run: Box::new(move || partitions::run(case, time).map(line)),
    };
    partitions::CASES.iter().filter(|_| missing.is_none()).map(trial).collect()
}

fn line((receipts, note): (Receipts, String)) -> String {
    let ms = |share: f64| receipts.percentile_ms(share);
    let (count, direct) = (receipts.ms.len(), 100 * receipts.direct / receipts.ms.len().max(1));
    format!("{count} | {direct} % | {:.0} ms | {:.0} ms | {:.0} ms | {note}", ms(0.5), ms(0.99), ms(1.0))
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

fn words(panic: Box<dyn Any + Send>) -> Error {
    let words = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    anyhow!("{}", words.unwrap_or("a panic without words"))
}
