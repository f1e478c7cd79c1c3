//! How much may be in flight on a link: the library's own rule, with a floor and a beginning of its own; and what is known
//! of acknowledgements, for who has to find out that a link is silent. Not here: loss, timers, and flow control.

use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use quinn::Connection;
use quinn::congestion::{Controller, ControllerFactory, ControllerMetrics, CubicConfig};
use quinn_proto::RttEstimator;

/// May be in flight on a new link, and on one that is as good as new: decision 0021. QUIC's usual ten packets hold some
/// eighty messages, and more of them at once took round trips that no line asked for.
pub(super) const FIRST_BYTES: u64 = 256 * 1024;
/// After so long without a loss a link with nothing in flight is as good as new. A window that has shrunk grows only while
/// it is full, which that of a chat never is: each loss of a day would be felt by the next burst.
const FORGIVEN_AFTER: Duration = Duration::from_secs(10);
/// May always be in flight: what QUIC lets every new connection begin with (RFC 9002, section 7.2). The library's own floor
/// is two packets. A line that loses half of everything, by noise and not by crowding, holds it there, and a burst of short
/// messages then leaves two at a time, each pair after a longer pause than the one before. A link whose user could as well
/// dial anew may keep what a new one gets.
const FLOOR_BYTES: u64 = 14_720;
/// Two of the largest packets, for each time that a silent link is asked, and so many at most.
const EXTRA_BYTES: u64 = 2 * 1_452;
const EXTRA_MAX_BYTES: u64 = 10 * EXTRA_BYTES;

/// Makes the rule for each link.
#[derive(Debug)]
pub(super) struct Floored(Arc<CubicConfig>);

impl Default for Floored {
    fn default() -> Self {
        let mut cubic = CubicConfig::default();
        cubic.initial_window(FIRST_BYTES);
        Self(Arc::new(cubic))
    }
}

impl ControllerFactory for Floored {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        let (cubic, rule) = (self.0.clone(), self.0.clone().build(now, current_mtu));
        Box::new(Window { cubic, rule, mtu: current_mtu, lost: None, progress: Arc::default() })
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
    cubic: Arc<CubicConfig>,
    rule: Box<dyn Controller>,
    mtu: u16,
    /// When something was lost last.
    lost: Option<Instant>,
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
        let quiet = self.lost.is_some_and(|lost| now.saturating_duration_since(lost) >= FORGIVEN_AFTER);
        if quiet && in_flight == 0 && self.rule.window() < FIRST_BYTES {
            self.rule = self.cubic.clone().build(now, self.mtu);
        }
    }

    fn on_congestion_event(&mut self, now: Instant, sent: Instant, is_persistent_congestion: bool, lost_bytes: u64) {
        self.progress.heard().clear = None;
        self.lost = Some(now);
        self.rule.on_congestion_event(now, sent, is_persistent_congestion, lost_bytes);
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.mtu = new_mtu;
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
        let (cubic, rule, progress) = (self.cubic.clone(), self.rule.clone_box(), self.progress.clone());
        Box::new(Self { cubic, rule, mtu: self.mtu, lost: self.lost, progress })
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
        assert_eq!(window.window(), FIRST_BYTES);
        for second in 1..20 {
            let now = begin + std::time::Duration::from_secs(second);
            window.on_congestion_event(now, now, true, 1_200);
            assert_eq!(window.window(), FLOOR_BYTES);
        }
        assert_eq!(window.clone_box().window(), FLOOR_BYTES);
    }

    #[test]
    fn a_link_that_lost_nothing_for_a_while_and_has_nothing_under_way_begins_again_as_a_new_one() {
        let begin = Instant::now();
        let at = |ms| begin + std::time::Duration::from_millis(ms);
        let mut window = Arc::new(Floored::default()).build(begin, 1_200);
        window.on_congestion_event(at(1_000), at(900), false, 1_200);
        let shrunk = window.window();
        assert!(shrunk < FIRST_BYTES);
        for (ms, in_flight) in [(1_100, 0), (10_999, 0), (20_000, 1)] {
            window.on_end_acks(at(ms), in_flight, true, Some(1));
            assert_eq!(window.window(), shrunk, "after {ms} ms, {in_flight} bytes in flight");
        }
        // A copy knows when the loss was.
        let mut copy = window.clone_box();
        for window in [&mut window, &mut copy] {
            window.on_end_acks(at(11_000), 0, true, Some(2));
            assert_eq!(window.window(), FIRST_BYTES);
        }
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
