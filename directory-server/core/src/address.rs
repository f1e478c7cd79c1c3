//! What an address counts as, wherever something is limited by address. Which limits there are is not here.

use std::net::{IpAddr, Ipv6Addr};

/// What an address is counted under: IPv6 by network of 64 bits, since one host has a whole one; loopback not at all.
#[must_use]
pub fn counted(address: IpAddr) -> Option<IpAddr> {
    match address.to_canonical() {
        ip if ip.is_loopback() => None,
        IpAddr::V4(v4) => Some(v4.into()),
        IpAddr::V6(v6) => Some(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(address: &str) -> Option<IpAddr> {
        counted(address.parse().unwrap())
    }

    #[test]
    fn hosts_of_one_ipv6_network_count_as_one_and_loopback_as_none() {
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
        assert_eq!([of("127.0.0.1"), of("::1"), of("::ffff:127.0.0.1")], [None; 3]);
    }
}
