//! How much may be in flight on a link: the library's own rule, with a floor. Not here: loss, timers, and flow control.

use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use quinn::congestion::{Controller, ControllerFactory, ControllerMetrics, CubicConfig};
use quinn_proto::RttEstimator;

/// May always be in flight: what QUIC lets every new connection begin with (RFC 9002, section 7.2). The library's own floor
/// is two packets. A line that loses half of everything, by noise and not by crowding, holds it there, and a burst of short
/// messages then leaves two at a time, each pair after a longer pause than the one before. A link whose user could as well
/// dial anew may keep what a new one gets.
const FLOOR_BYTES: u64 = 14_720;

/// Makes the rule for each link.
#[derive(Debug, Default)]
pub(super) struct Floored(Arc<CubicConfig>);

impl ControllerFactory for Floored {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        Box::new(Window(self.0.clone().build(now, current_mtu)))
    }
}

struct Window(Box<dyn Controller>);

impl Controller for Window {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.0.on_sent(now, bytes, last_packet_number);
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool, rtt: &RttEstimator) {
        self.0.on_ack(now, sent, bytes, app_limited, rtt);
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, app_limited: bool, largest_packet_num_acked: Option<u64>) {
        self.0.on_end_acks(now, in_flight, app_limited, largest_packet_num_acked);
    }

    fn on_congestion_event(&mut self, now: Instant, sent: Instant, is_persistent_congestion: bool, lost_bytes: u64) {
        self.0.on_congestion_event(now, sent, is_persistent_congestion, lost_bytes);
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.0.on_mtu_update(new_mtu);
    }

    fn window(&self) -> u64 {
        self.0.window().max(FLOOR_BYTES)
    }

    fn metrics(&self) -> ControllerMetrics {
        self.0.metrics()
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Self(self.0.clone_box()))
    }

    fn initial_window(&self) -> u64 {
        self.0.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self.0.into_any()
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
