//! The peer's one UDP socket: bound, dual stack, with large buffers. Not here: what travels on it.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;

/// Bytes asked for as the kernel's receive and send buffers: at this size bulk transfers on one machine lose nothing.
pub const BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// Why there is no socket.
#[derive(Debug, Error)]
pub enum BindError {
    /// Another program has the port.
    #[error("the UDP address {0} is in use by another program")]
    InUse(SocketAddr),
    /// The address belongs to no interface of this machine.
    #[error("{} is not an address of this machine", .0.ip())]
    NotLocal(SocketAddr),
    /// A port below 1024, without the right to it.
    #[error("UDP port {} of {} needs special rights", .0.port(), .0.ip())]
    Denied(SocketAddr),
    /// Anything else.
    #[error("UDP {address} cannot be bound: {source}")]
    Other {
        /// What was asked for.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
}

/// A bound socket, and what the system gave.
#[derive(Debug)]
pub struct Bound {
    /// The socket, non-blocking.
    pub socket: UdpSocket,
    /// Its real address.
    pub address: SocketAddr,
    /// Bytes of the receive buffer that the system granted, by its own count.
    pub receive_buffer_bytes: usize,
    /// Bytes of the send buffer that the system granted, by its own count.
    pub send_buffer_bytes: usize,
}

/// Binds `address`; port 0 picks a free one; `[::]` takes IPv4 too. The port is never shared: whoever could bind it a
/// second time would take the datagrams.
///
/// # Errors
/// [`BindError`].
pub fn bind(address: SocketAddr) -> Result<Bound, BindError> {
    open(address).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse(address),
        io::ErrorKind::AddrNotAvailable => BindError::NotLocal(address),
        io::ErrorKind::PermissionDenied => BindError::Denied(address),
        _ => BindError::Other { address, source },
    })
}

fn open(address: SocketAddr) -> io::Result<Bound> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // Smaller buffers only cost speed: the system may clamp or refuse them.
    let _ = socket.set_recv_buffer_size(BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(BUFFER_BYTES);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    let receive_buffer_bytes = socket.recv_buffer_size()?;
    let send_buffer_bytes = socket.send_buffer_size()?;
    let socket = UdpSocket::from(socket);
    let address = socket.local_addr()?;
    Ok(Bound { socket, address, receive_buffer_bytes, send_buffer_bytes })
}

/// The one form of an address: IPv4 as IPv4, also where a dual-stack socket says `::ffff:a.b.c.d`.
#[must_use]
pub fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// `remote` as a socket bound to `local` has to name it; none when that socket cannot reach it.
#[must_use]
pub fn reachable_from(local: SocketAddr, remote: SocketAddr) -> Option<SocketAddr> {
    match (local, canonical(remote)) {
        (SocketAddr::V4(_), remote @ SocketAddr::V4(_)) | (SocketAddr::V6(_), remote @ SocketAddr::V6(_)) => {
            Some(remote)
        }
        (SocketAddr::V6(local), SocketAddr::V4(remote)) if *local.ip() == Ipv6Addr::UNSPECIFIED => {
            Some(SocketAddr::new(remote.ip().to_ipv6_mapped().into(), remote.port()))
        }
        (SocketAddr::V4(_), SocketAddr::V6(_)) | (SocketAddr::V6(_), SocketAddr::V4(_)) => None,
    }
}

/// Whether datagrams may be sent to `address` on somebody else's word: one host's, never a group's, no port of a
/// system service.
#[must_use]
pub fn may_be_dialled(address: SocketAddr) -> bool {
    let ip = address.ip().to_canonical();
    let broadcast = ip == Ipv4Addr::BROADCAST;
    address.port() >= 1024 && !ip.is_unspecified() && !ip.is_multicast() && !broadcast
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_port_in_use_and_a_foreign_address_are_told_apart() {
        let first = bind(address("127.0.0.1:0")).unwrap();
        assert!(matches!(bind(first.address), Err(BindError::InUse(at)) if at == first.address));
        assert!(matches!(bind(address("192.0.2.1:0")), Err(BindError::NotLocal(_))));
    }

    #[test]
    fn a_dual_stack_socket_takes_ipv4() {
        let Ok(bound) = bind(address("[::]:0")) else { return };
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.send_to(b"x", ("127.0.0.1", bound.address.port())).unwrap();
        bound.socket.set_nonblocking(false).unwrap();
        bound.socket.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
        let (_, from) = bound.socket.recv_from(&mut [0; 8]).unwrap();
        assert_eq!(canonical(from), sender.local_addr().unwrap());
    }

    #[test]
    fn the_buffers_read_back_are_the_systems_answer() {
        let bound = bind(address("127.0.0.1:0")).unwrap();
        assert!(bound.receive_buffer_bytes > 0 && bound.send_buffer_bytes > 0);
    }

    #[test]
    fn an_address_is_dialled_in_the_sockets_own_family() {
        let (four, six, any) = (address("0.0.0.0:1"), address("[::1]:1"), address("[::]:1"));
        let remote = address("10.0.0.1:2000");
        assert_eq!(reachable_from(four, remote), Some(remote));
        assert_eq!(reachable_from(any, remote), Some(address("[::ffff:10.0.0.1]:2000")));
        assert_eq!(reachable_from(six, remote), None);
        assert_eq!(reachable_from(four, address("[::ffff:10.0.0.1]:2000")), Some(remote));
        assert_eq!(reachable_from(four, address("[2001:db8::1]:2000")), None);
    }

    #[test]
    fn groups_and_system_ports_are_never_dialled() {
        for refused in ["224.0.0.1:5000", "255.255.255.255:5000", "[ff02::1]:5000", "10.0.0.1:53", "0.0.0.0:5000"] {
            assert!(!may_be_dialled(address(refused)), "{refused}");
        }
        assert!(may_be_dialled(address("127.0.0.1:8283")));
    }
}
