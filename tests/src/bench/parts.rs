//! What single parts cost on one core: sealing and opening, the first of a channel and the ones after it.

use std::time::Instant;

use anyhow::{Context as _, Result};
use common::identity::{Context, Identity};
use common::record::Prekey;
use common::seal::{Opener, PrekeySecret, Sealer, generate_prekey};

use super::table::{Samples, Target, row};

/// Items of one round.
const ITEMS: usize = 300;
/// A short text in its envelope.
const CONTENT: [u8; 300] = [7; 300];

struct Pair {
    sender: Identity,
    recipient: Identity,
    secret: PrekeySecret,
    prekey: Prekey,
}

impl Pair {
    fn new() -> Self {
        let (sender, recipient) = (Identity::from_seed(&[1; 32]), Identity::from_seed(&[2; 32]));
        let (secret, key) = generate_prekey([3; 32]);
        let prekey = Prekey { owner: recipient.public(), counter: 1, created_ms: 0, key };
        Self { sender, recipient, secret, prekey }
    }

    fn seal(&self, sealer: &mut Sealer) -> Result<Vec<u8>> {
        // Good enough where nothing is secret, and no cost of its own.
        let mut entropy = |bytes: &mut [u8]| bytes.fill(9);
        let to = self.recipient.public();
        Ok(sealer.seal(&self.sender, &to, &self.prekey, Context::Envelope, &CONTENT, &mut entropy)?)
    }

    fn open(&self, opener: &mut Opener, sealed: &[u8]) -> Result<()> {
        let (me, from) = (self.recipient.public(), self.sender.public());
        opener.open(&me, &from, &self.secret, 1, Context::Envelope, sealed)?;
        Ok(())
    }
}

/// µs for each of [`ITEMS`] calls.
fn timed(mut call: impl FnMut() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    for _ in 0..ITEMS {
        call()?;
    }
    Ok(start.elapsed().as_secs_f64() * 1e6 / ITEMS as f64)
}

/// Sealing and opening.
///
/// # Errors
/// When something does not seal or open.
pub fn run(rounds: usize) -> Result<()> {
    let pair = Pair::new();
    let [mut first_seal, mut seal, mut first_open, mut open] = std::array::from_fn(|_| Samples::default());
    for _ in 0..rounds {
        let mut sealer = Sealer::new();
        let sealed = pair.seal(&mut sealer).context("sealing")?;
        let mut opener = Opener::new();
        pair.open(&mut opener, &sealed)?;
        first_seal.push(timed(|| pair.seal(&mut Sealer::new()).map(drop))?);
        seal.push(timed(|| pair.seal(&mut sealer).map(drop))?);
        first_open.push(timed(|| pair.open(&mut Opener::new(), &sealed))?);
        open.push(timed(|| pair.open(&mut opener, &sealed))?);
    }
    row("sealing 300 B, first of a channel", "µs", &first_seal, None, Target::None);
    row("sealing 300 B, the ones after it", "µs", &seal, Some(("first of a channel", &first_seal)), Target::None);
    row("opening 300 B, first of a channel", "µs", &first_open, None, Target::None);
    row("opening 300 B, the ones after it", "µs", &open, Some(("first of a channel", &first_open)), Target::None);
    Ok(())
}
