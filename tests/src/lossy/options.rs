//! A relay as the words of a command line ask for it: `--listen ADDR --to ADDR [--loss 20 ...]`. Not here: running it.

use std::net::SocketAddr;
use std::str::FromStr;

use anyhow::{Context, Result, bail};

use super::shape::{Shape, Way};

/// What may be asked for.
pub const USAGE: &str = "\
usage: lossy-relay --listen ADDR:PORT --to ADDR:PORT [OPTION...]
  --loss PERCENT       lost by chance
  --burst N            losses in runs of N on average
  --one-way there|back lost on this way only
  --double PERCENT     passed twice
  --reorder PERCENT    held back for 5 to 30 ms
  --delay MS           added to everything
  --jitter MS          added at random, up to this
  --rate KBIT          bits a second on each way, in thousands
  --queue BYTES        of what waits for its turn at that rate; the rest is dropped
  --mtu BYTES          longer datagrams are dropped
  --rebind N           a client's port behind the relay changes after N datagrams
  --hole N             N datagrams of each client pass, then none
  --seed N             where all chance comes from";

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Where clients find it.
    pub listen: SocketAddr,
    /// Where it passes to.
    pub to: SocketAddr,
    /// How bad it is.
    pub shape: Shape,
    /// Where chance comes from.
    pub seed: u64,
}

impl Options {
    /// Understands `words`.
    ///
    /// # Errors
    /// What is wrong with them, with the usage.
    pub fn parse(words: &[String]) -> Result<Self> {
        let (mut listen, mut to, mut shape, mut seed) = (None, None, Shape::default(), 1);
        let mut words = words.iter();
        while let Some(option) = words.next() {
            let value = words.next().with_context(|| format!("{option} wants a value\n{USAGE}"))?;
            match option.as_str() {
                "--listen" => listen = Some(read(option, value)?),
                "--to" => to = Some(read(option, value)?),
                "--loss" => shape.loss_percent = percent(option, value)?,
                "--burst" => shape.burst = read(option, value)?,
                "--one-way" => shape.lossy_way = Some(way(value)?),
                "--double" => shape.double_percent = percent(option, value)?,
                "--reorder" => shape.reorder_percent = percent(option, value)?,
                "--delay" => shape.delay_ms = read(option, value)?,
                "--jitter" => shape.jitter_ms = read(option, value)?,
                "--rate" => shape.rate_kbit = read(option, value)?,
                "--queue" => shape.queue_bytes = read(option, value)?,
                "--mtu" => shape.mtu_bytes = read(option, value)?,
                "--rebind" => shape.rebind_after = read(option, value)?,
                "--hole" => shape.hole_after = read(option, value)?,
                "--seed" => seed = read(option, value)?,
                other => bail!("{other:?} is no option\n{USAGE}"),
            }
        }
        let listen = listen.with_context(|| format!("--listen is missing\n{USAGE}"))?;
        let to = to.with_context(|| format!("--to is missing\n{USAGE}"))?;
        Ok(Self { listen, to, shape, seed })
    }
}

fn read<T: FromStr>(option: &str, value: &str) -> Result<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    value.parse().with_context(|| format!("{option} cannot be {value:?}"))
}

fn percent(option: &str, value: &str) -> Result<u32> {
    let percent = read(option, value)?;
    if percent > 100 {
        bail!("{option} is at most 100");
    }
    Ok(percent)
}

fn way(value: &str) -> Result<Way> {
    match value {
        "there" => Ok(Way::There),
        "back" => Ok(Way::Back),
        other => bail!("--one-way is there (to the target) or back, not {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options> {
        Options::parse(&line.split_whitespace().map(str::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn options_make_a_shape() {
        let found =
            parse("--listen 127.0.0.1:1 --to 127.0.0.1:2 --loss 20 --burst 4 --one-way back --mtu 1200").unwrap();
        let shape =
            Shape { loss_percent: 20, burst: 4, lossy_way: Some(Way::Back), mtu_bytes: 1_200, ..Shape::default() };
        assert_eq!((found.shape, found.to.port(), found.seed), (shape, 2, 1));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_a_reason() {
        for (wrong, reason) in [
            ("--to 127.0.0.1:2", "--listen is missing"),
            ("--listen 127.0.0.1:1", "--to is missing"),
            ("--loss 101", "at most 100"),
            ("--loss", "wants a value"),
            ("--loss many", "cannot be"),
            ("--one-way up", "there"),
            ("--speed 3", "no option"),
        ] {
            let said = format!("{:#}", parse(wrong).unwrap_err());
            assert!(said.contains(reason), "{wrong}: {said}");
        }
    }
}
