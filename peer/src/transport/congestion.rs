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

    fn measured(&self, took: Duration) {
        let mut heard = self.heard();
        heard.fastest = Some(heard.fastest.map_or(took, |fastest| fastest.min(took)));
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
        self.progress.measured(now.saturating_duration_since(sent));
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

    #[test]
    fn what_is_written_is_settled_once_all_that_left_after_it_is_acknowledged() {
        let begin = Instant::now();
        let at = |ms| begin + std::time::Duration::from_millis(ms);
        let mut window = Arc::new(Floored::default()).build(begin, 1_200);
        let watched = window.clone_box().into_any().downcast::<Window>().unwrap().progress;
        window.on_sent(at(1), 40, 1);
        window.on_end_acks(at(2), 0, true, Some(1));
        assert!(watched.is_settled(at(1)) && !watched.is_settled(at(2)), "what is written later has not left");
        window.on_sent(at(3), 40, 2);
        window.on_end_acks(at(4), 40, true, Some(1));
        assert!(!watched.is_settled(at(1)), "something is in flight");
        window.on_end_acks(at(5), 0, true, Some(2));
        assert!(watched.is_settled(at(3)));
        window.on_congestion_event(at(6), at(3), false, 40);
        assert!(!watched.is_settled(at(3)), "what was lost leaves again");
        assert_eq!(watched.acks(), 3);
    }

    #[test]
    fn who_asks_gets_room_until_the_next_acknowledgement() {
        let begin = Instant::now();
        let mut window = Arc::new(Floored::default()).build(begin, 1_200);
        let (quiet, watched) = (window.window(), window.clone_box().into_any().downcast::<Window>().unwrap().progress);
        watched.widen();
        assert_eq!(window.window(), quiet + EXTRA_BYTES);
        (0..100).for_each(|_| watched.widen());
        assert_eq!(window.window(), quiet + EXTRA_MAX_BYTES);
        window.on_end_acks(begin, 0, true, Some(1));
        assert_eq!(window.window(), quiet);
    }

    #[test]
    fn the_fastest_round_trip_is_the_measure() {
        let begin = Instant::now();
        let ms = std::time::Duration::from_millis;
        let window = Arc::new(Floored::default()).build(begin, 1_200);
        let watched = window.into_any().downcast::<Window>().unwrap().progress;
        assert_eq!(watched.fastest(), None);
        for took in [300, 100, 200] {
            watched.measured(ms(took));
        }
        assert_eq!(watched.fastest(), Some(ms(100)));
    }
}
