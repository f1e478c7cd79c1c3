//! How bad a network is, and what chance makes of each datagram by it. Pure: all chance comes from a seed; no socket,
//! no clock.

use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// Which way a datagram goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From a client to the target.
    There,
    /// From the target to a client.
    Back,
}

/// How bad the network is; probabilities in percent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shape {
    /// Lost.
    pub loss_percent: u32,
    /// Losses come in runs of so many on average (the two states of Gilbert and Elliott); 0 and 1: each alone.
    pub burst: u32,
    /// The only way on which anything is lost; none: both.
    pub lossy_way: Option<Way>,
    /// Sent twice.
    pub double_percent: u32,
    /// Held back for up to 30 ms, so that later ones overtake it.
    pub reorder_percent: u32,
    /// Added to everything, milliseconds.
    pub delay_ms: u64,
    /// Added at random on top, up to so many milliseconds: it reorders too.
    pub jitter_ms: u64,
    /// Bits a second on each way, in thousands; 0: any number.
    pub rate_kbit: u32,
    /// With a rate: bytes that wait for their turn, at most. What finds no room is dropped, as a router does.
    pub queue_bytes: u32,
    /// Longer datagrams are dropped and nobody is told; 0: none is too long.
    pub mtu_bytes: usize,
    /// The translator forgets a client's port after so many datagrams of that client and takes a new one; 0: never.
    pub rebind_after: u64,
    /// So many datagrams of each client pass, counted both ways; then none does. 0: all.
    pub hole_after: u64,
}

/// What becomes of one datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Luck {
    /// Lost by chance.
    Lost,
    /// Longer than the line takes.
    TooLong,
    /// Passed on.
    Passed {
        /// How often.
        copies: u32,
        /// It was held back.
        late: bool,
        /// After how long.
        wait: Duration,
    },
}

/// The dice of one relay, with a memory of the burst that each way is in.
#[derive(Debug)]
pub struct Dice {
    rng: ChaCha8Rng,
    in_burst: [bool; 2],
}

impl Dice {
    /// The same seed falls the same way.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed), in_burst: [false; 2] }
    }

    /// Throws for one datagram of `bytes` on its `way`.
    pub fn throw(&mut self, shape: &Shape, way: Way, bytes: usize) -> Luck {
        let lost = shape.lossy_way.is_none_or(|only| only == way) && self.loses(shape, way);
        let (doubled, late) = (self.happens(shape.double_percent), self.happens(shape.reorder_percent));
        if shape.mtu_bytes > 0 && bytes > shape.mtu_bytes {
            return Luck::TooLong;
        }
        if lost {
            return Luck::Lost;
        }
        let mut wait_ms = shape.delay_ms;
        if late {
            wait_ms += 5 + self.below(25);
        }
        if shape.jitter_ms > 0 {
            wait_ms += self.below(shape.jitter_ms + 1);
        }
        Luck::Passed { copies: if doubled { 2 } else { 1 }, late, wait: Duration::from_millis(wait_ms) }
    }

    /// In a burst everything is lost, outside nothing: with an average length of n, a burst ends after each datagram with
    /// probability 1/n, and begins with the one that makes the average loss come out.
    fn loses(&mut self, shape: &Shape, way: Way) -> bool {
        let loss = shape.loss_percent.min(100);
        if shape.burst <= 1 || loss == 0 || loss == 100 {
            return self.happens(loss);
        }
        let in_burst = self.in_burst[way as usize];
        let (loss, length) = (f64::from(loss) / 100.0, f64::from(shape.burst));
        let turns = if in_burst { 1.0 / length } else { loss / (1.0 - loss) / length };
        let now = in_burst != (self.fraction() < turns);
        self.in_burst[way as usize] = now;
        now
    }

    fn happens(&mut self, percent: u32) -> bool {
        self.below(100) < u64::from(percent)
    }

    fn below(&mut self, end: u64) -> u64 {
        u64::from(self.rng.next_u32()) % end
    }

    fn fraction(&mut self) -> f64 {
        f64::from(self.rng.next_u32()) / (f64::from(u32::MAX) + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANY: usize = 40_000;

    fn losses(shape: Shape, way: Way) -> Vec<bool> {
        let mut dice = Dice::new(5);
        (0..MANY).map(|_| dice.throw(&shape, way, 100) == Luck::Lost).collect()
    }

    fn share(losses: &[bool]) -> f64 {
        100.0 * losses.iter().filter(|lost| **lost).count() as f64 / losses.len() as f64
    }

    /// The average length of the runs of losses.
    fn run_length(losses: &[bool]) -> f64 {
        let runs = losses.windows(2).filter(|pair| !pair[0] && pair[1]).count();
        losses.iter().filter(|lost| **lost).count() as f64 / runs as f64
    }

    #[test]
    fn losses_come_as_often_and_as_long_as_asked_for() {
        let alone = losses(Shape { loss_percent: 20, ..Shape::default() }, Way::There);
        assert!((share(&alone) - 20.0).abs() < 1.5, "{}", share(&alone));
        assert!((run_length(&alone) - 1.25).abs() < 0.1, "{}", run_length(&alone));
        let bursts = losses(Shape { loss_percent: 20, burst: 8, ..Shape::default() }, Way::Back);
        assert!((share(&bursts) - 20.0).abs() < 3.0, "{}", share(&bursts));
        assert!((run_length(&bursts) - 8.0).abs() < 1.0, "{}", run_length(&bursts));
    }

    #[test]
    fn one_way_loses_and_the_other_does_not() {
        let shape = Shape { loss_percent: 50, lossy_way: Some(Way::There), ..Shape::default() };
        assert!((share(&losses(shape, Way::There)) - 50.0).abs() < 2.0);
        assert!(losses(shape, Way::Back).iter().all(|lost| !lost));
    }

    #[test]
    fn what_is_too_long_never_passes_and_the_rest_waits_its_time() {
        let shape = Shape { mtu_bytes: 1_280, delay_ms: 40, jitter_ms: 20, ..Shape::default() };
        let mut dice = Dice::new(1);
        assert_eq!(dice.throw(&shape, Way::There, 1_281), Luck::TooLong);
        let mut waits = Vec::new();
        for _ in 0..1_000 {
            let Luck::Passed { copies: 1, late: false, wait } = dice.throw(&shape, Way::There, 1_280) else {
                panic!("it passes once")
            };
            waits.push(wait.as_millis());
        }
        assert_eq!((waits.iter().min(), waits.iter().max()), (Some(&40), Some(&60)));
    }
}
