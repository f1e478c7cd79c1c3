//! One program for all benchmarks; `scripts/bench` calls it. The other roles of a benchmark are this program too.
//! What is measured, and how, is in the library.

use std::process::ExitCode;

use anyhow::{Result, bail};
use system_tests::bench::{
    ROUNDS, files, history, idle, limits, mail, parts, peers, restart, system, table, transport,
};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let rounds = arguments.next().map_or(Ok(ROUNDS), |text| text.parse());
    let done = match rounds {
        Ok(rounds @ 1..) => run(&name, rounds),
        _ => Err(anyhow::anyhow!("the number of rounds is a number above 0")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            table::say(&format!("<!-- {name} could not be measured: {error:#} -->"));
            ExitCode::FAILURE
        }
    }
}

fn run(name: &str, rounds: usize) -> Result<()> {
    // One thread, as the peer's transport has.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let echo = name.starts_with("echo-") || name.starts_with("count-");
    if !echo && name != "head" {
        table::say(&format!("<!-- {name}: {} -->", system::machine()));
    }
    match name {
        "head" => table::head(),
        "echo-udp" => runtime.block_on(limits::echo_udp())?,
        "count-udp" => runtime.block_on(limits::count_udp())?,
        "echo-link" => runtime.block_on(transport::echo_link())?,
        "transport-latency" => runtime.block_on(transport::latency(rounds))?,
        "transport-throughput" => runtime.block_on(transport::throughput(rounds))?,
        "peers-latency" => runtime.block_on(peers::latency(rounds))?,
        "peers-throughput" => runtime.block_on(peers::throughput(rounds))?,
        "mail" => runtime.block_on(mail::run(rounds))?,
        "restart" => runtime.block_on(restart::run(rounds))?,
        "sessions" => runtime.block_on(idle::sessions(rounds))?,
        "idle" => runtime.block_on(idle::programs(rounds))?,
        "parts" => parts::run(rounds)?,
        "history" => history::run(rounds)?,
        "files" => files::run(rounds)?,
        other => bail!(
            "there is no benchmark {other:?}; there are transport-latency, transport-throughput, peers-latency, \
             peers-throughput, mail, restart, sessions, idle, parts, history and files"
        ),
    }
    Ok(())
}
