//! Asking again on a link that has fallen silent while something written on it is not acknowledged.
//!
//! QUIC asks too, but waits twice as long each time. Where half of all packets are lost, three of four questions and
//! answers fail, and a link could be silent for a quarter of a minute although nothing is wrong but the line. So as long as
//! something is open, a datagram of one byte leaves after each short silence. Whatever acknowledges it says what else
//! has arrived, so that QUIC knows what to repeat and counts its own waiting from the beginning again. Not here: what is
//! acknowledged, and how much may be in flight.

use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use quinn::Connection;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::congestion::Progress;

/// A link is silent when nothing was acknowledged for so long, or for two round trips if that is longer.
const SILENT: Duration = Duration::from_millis(50);
/// Each question without an answer lets the next one wait longer, by one in so many parts ...
const PATIENCE_GROWS_BY: u32 = 5;
/// ... up to this. Fifteen seconds without a word end a link: some sixty such packets have left by then.
const PATIENCE_MAX: Duration = Duration::from_millis(300);
/// A round trip is never taken to be longer.
const ROUND_TRIP_MAX: Duration = Duration::from_secs(1);
/// What is sent. Nobody reads it.
const QUESTION: &[u8] = &[0];

/// Watches one link.
pub(super) struct Probing<'a> {
    connection: &'a Connection,
    /// When something was written last.
    written: Mutex<Instant>,
    wake: Notify,
}

impl<'a> Probing<'a> {
    pub(super) fn new(connection: &'a Connection) -> Self {
        Self { connection, written: Mutex::new(Instant::now()), wake: Notify::new() }
    }

    /// Something is about to be written.
    pub(super) fn written(&self) {
        *self.written.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.wake.notify_one();
    }

    /// Asks whenever it is due. Ends with the link.
    pub(super) async fn run(&self) -> Infallible {
        loop {
            self.wake.notified().await;
            self.until_settled().await;
        }
    }

    async fn until_settled(&self) {
        let mut patience = Patience::default();
        while let Some(progress) = Progress::of(self.connection) {
            let acks = progress.acks();
            sleep(patience.span(progress.fastest())).await;
            let written = *self.written.lock().unwrap_or_else(PoisonError::into_inner);
            if progress.is_settled(written.into_std()) {
                return;
            }
            if progress.acks() != acks {
                patience = Patience::default();
                continue;
            }
            patience.grow();
            progress.widen();
            // Refused by an end that takes no datagrams, or whose link is gone: then QUIC's own questions have to do.
            if self.connection.send_datagram(Bytes::from_static(QUESTION)).is_err() {
                return;
            }
        }
    }
}

/// How long to wait for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Patience(Duration);

impl Default for Patience {
    fn default() -> Self {
        Self(SILENT)
    }
}

impl Patience {
    /// On a link whose shortest round trip was `fastest`.
    fn span(self, fastest: Option<Duration>) -> Duration {
        self.0.max(2 * fastest.unwrap_or_default().min(ROUND_TRIP_MAX))
    }

    /// There was none.
    fn grow(&mut self) {
        self.0 = (self.0 + self.0 / PATIENCE_GROWS_BY).min(PATIENCE_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn patience_grows_to_its_bound_and_a_dead_link_costs_some_sixty_packets() {
        let (mut patience, mut asked, mut spent) = (Patience::default(), 0, Duration::ZERO);
        assert_eq!(patience.span(None), SILENT);
        while spent < Duration::from_secs(15) {
            spent += patience.span(Some(ms(1)));
            patience.grow();
            asked += 1;
        }
        assert_eq!(patience.span(None), PATIENCE_MAX);
        assert!((50..70).contains(&asked), "{asked}");
    }

    #[test]
    fn nobody_is_asked_before_two_round_trips_have_passed() {
        assert_eq!(Patience::default().span(Some(ms(120))), ms(240));
        assert_eq!(Patience::default().span(Some(ms(10_000))), 2 * ROUND_TRIP_MAX);
    }
}
