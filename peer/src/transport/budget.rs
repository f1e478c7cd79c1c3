//! How often addresses may be dialled, whoever asked for it: other people's candidates must not turn this peer into a
//! weapon. Two token buckets, one for each address with port and one for each host. Pure: the time is an argument.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

/// Dials at once to one address with port.
pub const ADDRESS_BURST: f64 = 10.0;
/// Dials a second to one address with port, in the long run.
pub const ADDRESS_PER_SECOND: f64 = 1.0;
/// Dials at once to one host.
pub const HOST_BURST: f64 = 64.0;
/// Dials a second to one host, in the long run.
pub const HOST_PER_SECOND: f64 = 8.0;
/// Addresses remembered; beyond that nothing new is dialled until old ones have rested.
pub const REMEMBERED_MAX: usize = 1_024;

/// What has been dialled lately.
#[derive(Debug)]
pub struct Budget {
    addresses: Buckets<SocketAddr>,
    hosts: Buckets<IpAddr>,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            addresses: Buckets::new(ADDRESS_BURST, ADDRESS_PER_SECOND),
            hosts: Buckets::new(HOST_BURST, HOST_PER_SECOND),
        }
    }
}

impl Budget {
    /// Whether `address` may be dialled now; counts the dial if so.
    pub fn spend(&mut self, address: SocketAddr, now: Instant) -> bool {
        self.addresses.has(&address, now) && self.hosts.spend(address.ip(), now) && self.addresses.spend(address, now)
    }
}

#[derive(Debug)]
struct Buckets<K> {
    burst: f64,
    per_second: f64,
    /// Tokens, and when they were counted. What is not here is full.
    left: HashMap<K, (f64, Instant)>,
}

impl<K: Hash + Eq> Buckets<K> {
    fn new(burst: f64, per_second: f64) -> Self {
        Self { burst, per_second, left: HashMap::new() }
    }

    fn tokens(&self, (tokens, counted): (f64, Instant), now: Instant) -> f64 {
        let rested = now.saturating_duration_since(counted).as_secs_f64();
        (tokens + rested * self.per_second).min(self.burst)
    }

    fn has(&mut self, key: &K, now: Instant) -> bool {
        match self.left.get(key) {
            Some(entry) => self.tokens(*entry, now) >= 1.0,
            None => self.has_room(now),
        }
    }

    fn spend(&mut self, key: K, now: Instant) -> bool {
        if !self.has(&key, now) {
            return false;
        }
        let tokens = self.left.get(&key).map_or(self.burst, |entry| self.tokens(*entry, now));
        self.left.insert(key, (tokens - 1.0, now));
        true
    }

    fn has_room(&mut self, now: Instant) -> bool {
        if self.left.len() >= REMEMBERED_MAX {
            let (burst, per_second) = (self.burst, self.per_second);
            self.left.retain(|_, (tokens, counted)| {
                *tokens + now.saturating_duration_since(*counted).as_secs_f64() * per_second < burst
            });
        }
        self.left.len() < REMEMBERED_MAX
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_address_is_dialled_in_a_burst_and_then_slowly() {
        let (mut budget, start) = (Budget::default(), Instant::now());
        let address: SocketAddr = "192.0.2.1:5000".parse().unwrap();
        assert_eq!((0..20).filter(|_| budget.spend(address, start)).count(), 10);
        assert!(budget.spend(address, start + Duration::from_millis(1_100)));
        assert!(!budget.spend(address, start + Duration::from_millis(1_200)));
    }

    #[test]
    fn many_ports_of_one_host_share_a_budget() {
        let (mut budget, start) = (Budget::default(), Instant::now());
        let dialled = (2_000..3_000).filter(|port| budget.spend(SocketAddr::from(([192, 0, 2, 1], *port)), start));
        assert_eq!(dialled.count(), 64);
        assert!(budget.spend(SocketAddr::from(([192, 0, 2, 2], 2_000)), start));
    }

    #[test]
    fn memory_is_bounded_and_rested_addresses_make_room() {
        let (mut budget, start) = (Budget::default(), Instant::now());
        let address = |n: usize| SocketAddr::from(([10, 0, (n >> 8) as u8, n as u8], 2_000));
        assert_eq!((0..2_000).filter(|n| budget.spend(address(*n), start)).count(), REMEMBERED_MAX);
        assert!(budget.spend(address(3_000), start + Duration::from_secs(5)));
    }
}
