//! The parameters of connections and sockets: what the other side may make us hold.
//!
//! | what | bound |
//! |---|---|
//! | received on a stream and not read yet | 1 MiB |
//! | received on a connection and not read yet | 2 MiB |
//! | given to a connection and not acknowledged | 2 MiB |
//! | streams that the other side may have open | 2, and none of one direction |
//! | unordered bytes of a TLS handshake | 16 KiB |
//! | datagrams (of QUIC's extension) | none |
//! | handshakes that wait to be accepted | as many as may be under way, with 16 KiB each |
//!
//! A stream that nobody reads cannot use up what the connection may receive, nor one that the other side does not
//! read what it may send: half of it is always left for the other stream.

use std::sync::Arc;
use std::time::Duration;

use quinn::{EndpointConfig, IdleTimeout, ServerConfig, TransportConfig, VarInt};

use super::reset::RandomIds;
use crate::tls::ResetKey;

const STREAM_RECEIVE_BYTES: u32 = 1 << 20;
const RECEIVE_BYTES: u32 = 2 * STREAM_RECEIVE_BYTES;
const SEND_BYTES: u64 = 2 * STREAM_RECEIVE_BYTES as u64;
const STREAMS: u32 = 2;
const CRYPTO_BYTES: usize = 16 << 10;
const WAITING_BYTES: u64 = 16 << 10;
/// What a round trip is taken to last until one was measured. Three of them pass before something that may be lost
/// is sent again: the default, a third of a second, is for the far ends of the internet.
const FIRST_ROUND_TRIP: Duration = Duration::from_millis(50);

/// Of a connection that is closed after so long without a sign of life; the shorter one of both ends' counts.
pub(super) fn transport(silence_max: Duration) -> Arc<TransportConfig> {
    let mut config = TransportConfig::default();
    // What is longer than 2^62 ms is for ever.
    let idle = IdleTimeout::try_from(silence_max).ok();
    config
        .max_idle_timeout(idle)
        .max_concurrent_bidi_streams(VarInt::from_u32(STREAMS))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(STREAM_RECEIVE_BYTES))
        .receive_window(VarInt::from_u32(RECEIVE_BYTES))
        .send_window(SEND_BYTES)
        .crypto_buffer_size(CRYPTO_BYTES)
        .datagram_receive_buffer_size(None)
        .initial_rtt(FIRST_ROUND_TRIP);
    Arc::new(config)
}

/// Of a socket.
pub(super) fn endpoint(key: &ResetKey) -> EndpointConfig {
    let mut config = EndpointConfig::new(Arc::new(key.key().clone()));
    config.cid_generator(|| Box::new(RandomIds)).supported_versions(vec![1]);
    config
}

/// Bounds what waits to be accepted, and lets clients move to other addresses.
pub(super) fn server(mut config: ServerConfig, waiting_max: usize) -> ServerConfig {
    config
        .migration(true)
        .max_incoming(waiting_max)
        .incoming_buffer_size(WAITING_BYTES)
        .incoming_buffer_size_total(WAITING_BYTES * waiting_max as u64);
    config
}
