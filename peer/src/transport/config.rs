//! How this peer speaks QUIC: windows, timers and limits, tighter than the library's own. Not here: keys, connections.

use std::sync::Arc;
use std::time::Duration;

use common::tls::TlsError;
use quinn::crypto::rustls::{NoInitialCipherSuite, QuicClientConfig, QuicServerConfig};
use quinn::{
    ClientConfig, EndpointConfig, MtuDiscoveryConfig, ServerConfig, TransportConfig, ValidationTokenConfig, VarInt,
};
use thiserror::Error;

use super::bulk::{STREAM_WINDOW_BYTES, WINDOW_BYTES};
use super::congestion::{FIRST_BYTES, Floored};

/// Open handshakes above which newcomers are refused.
pub const HANDSHAKES_MAX: usize = 64;
/// Open handshakes from one address, loopback exempt: above that it is refused.
pub const HANDSHAKES_PER_ADDRESS_MAX: usize = 8;
/// Streams that the other side may open: the link's own, and those of files. The limit is memory of every connection.
const STREAMS_MAX: u32 = 8;
const IDLE_TIMEOUT_MS: u32 = 15_000;
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Assumed until measured: loss in the first round trip is repaired after three times this.
const INITIAL_RTT: Duration = Duration::from_millis(100);
const INITIAL_MTU: u16 = 1_200;
const DISCOVERED_MTU_MAX: u16 = 1_452;
/// Bytes kept of a connection that is not accepted yet, and of all of them.
const INCOMING_BYTES: u64 = 16 * 1024;
const INCOMING_TOTAL_BYTES: u64 = 1024 * 1024;
/// A packet counts as lost when one sent after it was acknowledged and so many round trips have gone by since it was sent:
/// so many more than one that jitter and reordering are not taken for loss, which would cost the window as well.
const REORDERING_ROUND_TRIPS: f32 = 1.5;
/// Or when so many packets sent after it were acknowledged: more than a link's first window holds, so that of a burst that
/// fits into it none counts as lost because others overtook it, as many do where a line has jitter (decision 0021).
const REORDERING_PACKETS: u32 = 256;
const _: () = assert!(
    FIRST_BYTES <= STREAM_WINDOW_BYTES as u64 && REORDERING_PACKETS as u64 * INITIAL_MTU as u64 > FIRST_BYTES,
    "a first window has to fit into what the other end takes, and into what may overtake a packet"
);
/// Held of datagrams, which are one byte long and are read by nobody: they only ask for an acknowledgement.
const DATAGRAM_BYTES: usize = 128;
const QUIC_VERSION: u32 = 1;
/// A newcomer answers a retry at once or never.
const RETRY_TOKEN_LIFETIME: Duration = Duration::from_secs(5);

/// Why there is no endpoint, or no dial.
#[derive(Debug, Error)]
pub enum QuicError {
    /// No TLS configuration.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The TLS library has no cipher for QUIC's first packets.
    #[error("QUIC cannot be configured: {0}")]
    Cipher(#[from] NoInitialCipherSuite),
    /// The socket cannot be used.
    #[error("the UDP socket cannot be used: {0}")]
    Socket(#[from] std::io::Error),
}

/// How the endpoint speaks QUIC at all.
pub(super) fn endpoint_config() -> EndpointConfig {
    let mut config = EndpointConfig::default();
    config.supported_versions(vec![QUIC_VERSION]);
    config
}

fn transport() -> Arc<TransportConfig> {
    let mut discovery = MtuDiscoveryConfig::default();
    discovery.upper_bound(DISCOVERED_MTU_MAX);
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(STREAMS_MAX))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .max_idle_timeout(Some(VarInt::from_u32(IDLE_TIMEOUT_MS).into()))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(WINDOW_BYTES))
        .send_window(u64::from(WINDOW_BYTES))
        .datagram_receive_buffer_size(Some(DATAGRAM_BYTES))
        .datagram_send_buffer_size(DATAGRAM_BYTES)
        .congestion_controller_factory(Arc::new(Floored::default()))
        .initial_rtt(INITIAL_RTT)
        .time_threshold(REORDERING_ROUND_TRIPS)
        .packet_threshold(REORDERING_PACKETS)
        .initial_mtu(INITIAL_MTU)
        .mtu_discovery_config(Some(discovery))
        .enable_segmentation_offload(true);
    Arc::new(transport)
}

/// How others are accepted.
pub(super) fn server_config(tls: rustls::ServerConfig) -> Result<ServerConfig, QuicError> {
    let mut tokens = ValidationTokenConfig::default();
    tokens.sent(0);
    let mut config = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    config
        .transport_config(transport())
        .validation_token_config(tokens)
        .retry_token_lifetime(RETRY_TOKEN_LIFETIME)
        .max_incoming(HANDSHAKES_MAX)
        .incoming_buffer_size(INCOMING_BYTES)
        .incoming_buffer_size_total(INCOMING_TOTAL_BYTES);
    Ok(config)
}

/// How a dial speaks QUIC.
pub(super) fn client_config(tls: rustls::ClientConfig) -> Result<ClientConfig, QuicError> {
    let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    config.transport_config(transport());
    Ok(config)
}
