//! A line of a certain speed with a queue in front of it: when a datagram has left, and which finds no room. Pure: times
//! come from outside. Not here: delay and chance.

use std::time::Duration;

use tokio::time::Instant;

use super::shape::{Shape, Way};

/// When each way has sent all it was given; none before the first.
#[derive(Debug, Default)]
pub struct Queues([Option<Instant>; 2]);

impl Queues {
    /// How long a datagram of `bytes` takes that comes `now`, waiting for its turn included; none when the queue is full.
    pub fn join(&mut self, now: Instant, shape: &Shape, way: Way, bytes: usize) -> Option<Duration> {
        if shape.rate_kbit == 0 {
            return Some(Duration::ZERO);
        }
        let takes = |bytes: u64| Duration::from_micros(bytes * 8_000 / u64::from(shape.rate_kbit));
        let free = &mut self.0[way as usize];
        let begin = free.map_or(now, |free| free.max(now));
        if begin - now > takes(u64::from(shape.queue_bytes)) {
            return None;
        }
        let end = begin + takes(bytes as u64);
        *free = Some(end);
        Some(end - now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_sends_one_after_the_other_at_its_rate_and_drops_what_finds_the_queue_full() {
        let shape = Shape { rate_kbit: 80, queue_bytes: 2_000, ..Shape::default() };
        let (mut queues, now, ms) = (Queues::default(), Instant::now(), Duration::from_millis);
        for nth in 1..=3 {
            assert_eq!(queues.join(now, &shape, Way::There, 1_000), Some(ms(100 * nth)));
        }
        assert_eq!(queues.join(now, &shape, Way::There, 1_000), None);
        assert_eq!(queues.join(now, &shape, Way::Back, 500), Some(ms(50)), "the other way has a queue of its own");
        assert_eq!(queues.join(now + ms(200), &shape, Way::There, 1_000), Some(ms(200)));
        assert_eq!(queues.join(now + ms(9_000), &shape, Way::There, 1_000), Some(ms(100)));
        assert_eq!(queues.join(now, &Shape::default(), Way::There, 1_000), Some(Duration::ZERO));
    }
}
