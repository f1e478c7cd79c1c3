//! The lossy relay by hand; `scripts/lossy-relay` calls it. It runs until it is ended, and says each 5 s what it did. What
//! it does to datagrams is in the library.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for developers talks to them")]

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use system_tests::lossy::{Options, Relay};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[String]) -> Result<()> {
    let options = Options::parse(words)?;
    let relay = Relay::listen(options.listen, options.shape, options.seed)
        .with_context(|| format!("cannot listen at {}", options.listen))?;
    relay.pass_to(options.to);
    println!("relaying {} to {}: {:?}", relay.address(), options.to, options.shape);
    let mut told = String::new();
    loop {
        std::thread::sleep(Duration::from_secs(5));
        let counts = format!("{:?}", relay.counts());
        if counts != told {
            println!("{counts}");
            told = counts;
        }
    }
}
