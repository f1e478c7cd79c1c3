//! How much may be in flight on a link: the library's own rule, with a floor; and what is known of acknowledgements, for
//! who has to find out that a link is silent. Not here: loss, timers, and flow control.

use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use quinn::Connection;
use quinn::congestion::{Controller, ControllerFactory, ControllerMetrics, CubicConfig};
use quinn_proto::RttEstimator;

/// May always be in flight: what QUIC lets every new connection begin with (RFC 9002, section 7.2). The library's own floor
/// is two packets. A line that loses half of everything, by noise and not by crowding, holds it there, and a burst of short
/// messages then leaves two at a time, each pair after a longer pause than the one before. A link whose user could as well
/// dial anew may keep what a new one gets.
const FLOOR_BYTES: u64 = 14_720;
/// Two of the largest packets, for each time that a silent link is asked, and so many at most.
const EXTRA_BYTES: u64 = 2 * 1_452;
const EXTRA_MAX_BYTES: u64 = 10 * EXTRA_BYTES;

/// Makes the rule for each link.
#[derive(Debug, Default)]
pub(super) struct Floored(Arc<CubicConfig>);

impl ControllerFactory for Floored {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        Box::new(Window { rule: self.0.clone().build(now, current_mtu), progress: Arc::default() })
    }
}

/// What acknowledgements have said about one path, shared with who watches it.
#[derive(Debug, Default)]
pub(super) struct Progress(Mutex<Heard>);

#[derive(Debug, Default)]
struct Heard {
    /// Acknowledgements of something new.
    acks: u64,
    /// When the last packet left.
    sent: Option<Instant>,
    /// When the last of them had left when nothing was in flight any more; none since something was lost.
    clear: Option<Instant>,
    /// The shortest time from a packet to its acknowledgement.
    fastest: Option<Duration>,
    /// Allowed on top of the window until something is acknowledged.
    extra_bytes: u64,
}

impl Progress {
    /// That of the path in use.
    pub(super) fn of(connection: &Connection) -> Option<Arc<Self>> {
        let window = connection.congestion_state().into_any().downcast::<Window>().ok()?;
        Some(window.progress)
    }

    /// Whether everything written at `written` or before is acknowledged.
    pub(super) fn is_settled(&self, written: Instant) -> bool {
        self.heard().clear.is_some_and(|sent| sent >= written)
    }

    /// How many acknowledgements came.
    pub(super) fn acks(&self) -> u64 {
        self.heard().acks
    }

    /// The shortest round trip yet, by packets and their acknowledgements.
    pub(super) fn fastest(&self) -> Option<Duration> {
        self.heard().fastest
    }

    /// Lets two more packets into flight than the window does, until the next acknowledgement: what asks whether anybody
    /// is there must not wait for an answer.
    pub(super) fn widen(&self) {
        let mut heard = self.heard();
        heard.extra_bytes = (heard.extra_bytes + EXTRA_BYTES).min(EXTRA_MAX_BYTES);
    }

    /// A panic while it was held leaves counts that are off by one packet.
    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Window {
    rule: Box<dyn Controller>,
    progress: Arc<Progress>,
}

impl Controller for Window {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.progress.heard().sent = Some(now);
        self.rule.on_sent(now, bytes, last_packet_number);
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool, rtt: &RttEstimator) {
        let (took, mut heard) = (now.saturating_duration_since(sent), self.progress.heard());
        heard.fastest = Some(heard.fastest.map_or(took, |fastest| fastest.min(took)));
        drop(heard);
        self.rule.on_ack(now, sent, bytes, app_limited, rtt);
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, app_limited: bool, largest_packet_num_acked: Option<u64>) {
        let mut heard = self.progress.heard();
        heard.acks += 1;
        heard.extra_bytes = 0;
        heard.clear = if in_flight == 0 { heard.sent } else { None };
        drop(heard);
        self.rule.on_end_acks(now, in_flight, app_limited, largest_packet_num_acked);
    }

    fn on_congestion_event(&mut self, now: Instant, sent: Instant, is_persistent_congestion: bool, lost_bytes: u64) {
        self.progress.heard().clear = None;
        self.rule.on_congestion_event(now, sent, is_persistent_congestion, lost_bytes);
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.rule.on_mtu_update(new_mtu);
    }

    fn window(&self) -> u64 {
        self.rule.window().max(FLOOR_BYTES) + self.progress.heard().extra_bytes
    }

    fn metrics(&self) -> ControllerMetrics {
        self.rule.metrics()
    }

    /// The library asks for copies to look at, and when only the other end's address changes: they watch the same link.
    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Self { rule: self.rule.clone_box(), progress: self.progress.clone() })
    }

    fn initial_window(&self) -> u64 {
        self.rule.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_much_is_lost_the_window_stays_at_its_floor_and_grows_above_it() {
        let begin = Instant::now();
        let mut window = Arc::new(Floored::default()).build(begin, 1_200);
        assert!(window.window() >= FLOOR_BYTES);
        for second in 1..20 {
            let now = begin + std::time::Duration::from_secs(second);
            window.on_congestion_event(now, now, true, 1_200);
            assert_eq!(window.window(), FLOOR_BYTES);
        }
        assert_eq!(window.clone_box().window(), FLOOR_BYTES);
    }
}
