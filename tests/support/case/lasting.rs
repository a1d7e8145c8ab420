//! What lasts: gRPC streams and TCP connections, reported from time to time.

use super::Fault;
use serde::Deserialize;

/// A moment at which the proxy's timer fires while a stream lasts, and the series that have to be there right after.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tick {
    /// What came from the client and what went to it by then: messages of a gRPC stream, bytes of a connection.
    pub so_far: [u64; 2],
    /// Whether the response headers have passed by then.
    #[serde(default = "yes")]
    pub answered: bool,
    /// As [`super::Case::expect`].
    #[serde(default)]
    pub expect: Vec<String>,
    /// As [`super::Case::absent`].
    #[serde(default)]
    pub absent: Vec<String>,
}

/// A TCP connection.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Connection {
    /// Bytes that the client sends.
    pub received_bytes: u64,
    /// Bytes that the client is sent.
    pub sent_bytes: u64,
    /// How long the upstream keeps it open when all bytes have passed.
    pub pause_ms: u64,
    /// The timer while it lasts.
    pub ticks: Vec<Tick>,
    /// How often it is made.
    pub count: u32,
    /// What goes wrong: `refuse` or `no-endpoint`.
    pub fault: Fault,
    /// Envoy's response flags.
    pub flags: Vec<String>,
}

// === impl Connection ===

impl Connection {
    /// What has passed by the end; nothing without an upstream, as Envoy reads from the client only then.
    pub fn in_the_end(&self) -> [u64; 2] {
        if self.fault == Fault::None { [self.received_bytes, self.sent_bytes] } else { [0, 0] }
    }
}

impl Default for Connection {
    fn default() -> Self {
        Self {
            received_bytes: 10,
            sent_bytes: 20,
            pause_ms: 0,
            ticks: Vec::new(),
            count: 1,
            fault: Fault::None,
            flags: Vec::new(),
        }
    }
}

fn yes() -> bool {
    true
}
