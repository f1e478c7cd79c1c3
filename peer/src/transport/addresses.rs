//! Which addresses to publish, and whether this host's own addresses have changed. Asks the system which source address
//! it would use, by connecting UDP sockets that never send. Not here: what the directory sees, which it puts in itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use common::limits::CANDIDATES_MAX;

/// Somewhere out there by IPv4 (RFC 5737): nothing is ever sent to it.
const ELSEWHERE_V4: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9);
/// Somewhere out there by IPv6 (RFC 3849): nothing is ever sent to it.
const ELSEWHERE_V6: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)), 9);

/// The source addresses this host would use now: towards `directory` if given, then towards anywhere, each once.
/// Cheap: no packet leaves.
#[must_use]
pub fn sources(directory: Option<SocketAddr>) -> Vec<IpAddr> {
    let mut sources = Vec::new();
    for towards in directory.into_iter().chain([ELSEWHERE_V4, ELSEWHERE_V6]) {
        if let Some(source) = source_towards(towards)
            && !sources.contains(&source)
        {
            sources.push(source);
        }
    }
    sources
}

fn source_towards(remote: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = if remote.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(remote).ok()?;
    let source = socket.local_addr().ok()?.ip().to_canonical();
    (!source.is_unspecified()).then_some(source)
}

/// What to publish for a socket bound to `bind`, best first, at most `CANDIDATES_MAX`.
///
/// `advertise` is the user's word and stands alone. A specific IP is published as it is. An unspecified one goes first,
/// for the directory to put in the address it sees, followed by those of `sources` that are private: others could not
/// be told from a lie.
#[must_use]
pub fn candidates(bind: SocketAddr, advertise: Option<SocketAddr>, sources: &[IpAddr]) -> Vec<SocketAddr> {
    if let Some(advertised) = advertise {
        return vec![advertised];
    }
    if !bind.ip().is_unspecified() {
        return vec![bind];
    }
    let private = sources.iter().filter(|source| is_private(**source) && (source.is_ipv4() || bind.is_ipv6()));
    let own = private.map(|source| SocketAddr::new(*source, bind.port()));
    std::iter::once(bind).chain(own).take(CANDIDATES_MAX).collect()
}

fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private(),
        IpAddr::V6(ip) => ip.is_unique_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_source_towards_loopback_is_loopback() {
        assert_eq!(sources(Some(address("127.0.0.1:9"))).first(), Some(&IpAddr::from([127, 0, 0, 1])));
    }

    #[test]
    fn an_advertised_address_stands_alone() {
        let advertised = address("198.51.100.7:4000");
        assert_eq!(candidates(address("0.0.0.0:8283"), Some(advertised), &[[10, 0, 0, 1].into()]), [advertised]);
    }

    #[test]
    fn a_specific_address_is_published_as_it_is() {
        assert_eq!(candidates(address("127.0.0.1:2222"), None, &[[10, 0, 0, 1].into()]), [address("127.0.0.1:2222")]);
    }

    #[test]
    fn an_unspecified_address_goes_with_the_private_ones_it_can_be_reached_at() {
        let sources = ["203.0.113.1", "10.0.0.1", "fd00::1", "10.0.0.2", "10.0.0.3", "10.0.0.4"];
        let sources: Vec<IpAddr> = sources.iter().map(|ip| ip.parse().unwrap()).collect();
        let published = candidates(address("0.0.0.0:8283"), None, &sources);
        let expected = ["0.0.0.0:8283", "10.0.0.1:8283", "10.0.0.2:8283", "10.0.0.3:8283"].map(address);
        assert_eq!(published, expected);
        assert_eq!(candidates(address("[::]:8283"), None, &sources)[2], address("[fd00::1]:8283"));
    }
}
