//! What the operating system says of processes and of the machine (Linux), and helpers that end with their owner.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};

/// A copy of this program in another role, killed when dropped.
pub struct Echo {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Echo {
    /// Starts this program with the one argument `role` and reads from its first line where it listens.
    ///
    /// # Errors
    /// When it does not start or says no address.
    pub fn start(role: &str) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.arg(role).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        let read = BufReader::new(child.stdout.take().context("piped")?).read_line(&mut line);
        let address = read.map_err(anyhow::Error::from).and_then(|_| Ok(line.trim().parse()?));
        match address {
            Ok(address) => Ok(Self { child, address }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is reaped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Resident memory of a process, kB.
///
/// # Errors
/// When there is no such process or the system does not tell.
pub fn resident_kb(process: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}

/// Time that all threads of a process that still live have spent on a CPU, milliseconds.
///
/// # Errors
/// When there is no such process or the system does not tell.
pub fn cpu_ms(process: u32) -> Result<f64> {
    let mut total_ns = 0.0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let text = fs::read_to_string(thread?.path().join("schedstat"))?;
        let spent = text.split_whitespace().next().context("an empty schedstat")?;
        total_ns += spent.parse::<f64>()?;
    }
    Ok(total_ns / 1e6)
}

/// A line that says under which load the table is made.
#[must_use]
pub fn machine() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("unknown").to_owned();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let busy = load.parse::<f64>().is_ok_and(|load| load > 0.5);
    let note = if busy { "; other programs are busy, absolute figures are too low" } else { "" };
    format!("{cores} CPU(s) for this run, load {load} at its start{note}")
}
