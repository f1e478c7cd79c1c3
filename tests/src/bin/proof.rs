//! One program for all proofs; `scripts/proof-*` call it. What is proved, and how, is in the library.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use system_tests::proof::{Form, Order, PROOFS, Proof, check};

const USAGE: &str = "usage: proof NAME [--night] [--seed N] [--amount N], or: proof check [--healed] FILE...";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let ended = match arguments.split_first() {
        Some((name, files)) if name == "check" => check::run(files),
        _ => understand(&arguments).and_then(|(proof, order)| proof(&order)),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[allow(clippy::print_stderr, reason = "a program for developers says on standard error why it failed")]
            {
                eprintln!("FAILED: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}

fn understand(arguments: &[String]) -> Result<(Proof, Order)> {
    let names = || PROOFS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let Some((name, options)) = arguments.split_first() else { bail!("{USAGE}; there are {}", names()) };
    let found = PROOFS.iter().find(|(known, _)| known == name);
    let (_, proof) = found.with_context(|| format!("there is no proof {name:?}; there are {}", names()))?;
    let mut order = Order { form: Form::Gate, seed: 1, amount: None };
    let mut options = options.iter();
    while let Some(option) = options.next() {
        let mut number = || -> Result<u64> {
            let text = options.next().with_context(|| format!("{option} wants a number; {USAGE}"))?;
            text.parse().with_context(|| format!("{option} wants a number, not {text:?}"))
        };
        match option.as_str() {
            "--night" => order.form = Form::Night,
            "--seed" => order.seed = number()?,
            "--amount" => order.amount = Some(number()?),
            other => bail!("{other:?} is no option; {USAGE}"),
        }
    }
    Ok((*proof, order))
}
