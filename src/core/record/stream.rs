//! What has to be kept of a stream while it lasts.

use super::claim::Share;
use crate::metric::series::MetricIds;
use crate::metric::standard::Quantity;
use crate::peer::Peer;
use crate::peer::direction::{Direction, Received};
use std::rc::Rc;

/// One request, or one TCP connection.
#[derive(Debug, Default)]
pub struct Stream {
    pub(super) kind: Kind,
    /// Whether the attributes of the request phase were evaluated.
    pub(super) received: bool,
    /// Whether the request's content type is gRPC's, as received: later filters may change it. `None` when the headers
    /// never passed here.
    pub(super) grpc: Option<bool>,
    /// Whether the request is gRPC over HTTP/3, of which Envoy does not tell the status at the end.
    pub(super) grpc_over_http3: bool,
    /// The gRPC status as headers and trailers told it, where the end does not.
    pub(super) grpc_status: Option<i64>,
    /// The path as received: the route may rewrite it. Empty when nothing needs it, or the headers never passed here.
    pub(super) path: Vec<u8>,
    /// How often the timer has fired for it, as far as that matters.
    pub(super) ticks: u8,
    /// Outcome of the `ON_REQUEST` attributes; empty when there are none.
    pub(super) attributes: Vec<Outcome>,
    /// The exchange with the peers; `None` without one.
    pub(super) exchange: Option<Exchanged>,
    /// What was reported while it lasts; `None` before the first report.
    pub(super) growth: Option<Box<Growth>>,
    pub(super) recorded: bool,
    /// What this mount records of it.
    pub(super) share: Share,
    /// What it records of what is reported while the stream lasts; `None` before the first report.
    pub(super) lasting: Option<Share>,
}

/// What a stream is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Request,
    Connection,
}

/// Which attribute of the plan gave a name its value, and which value; `None` while it is not set.
pub(super) type Outcome = Option<(usize, usize)>;

/// What came of the metadata exchange so far.
#[derive(Debug, Default)]
pub(super) struct Exchanged {
    pub direction: Direction,
    /// Whether the cluster's endpoints take no exchange headers.
    pub disabled: bool,
    /// Host of a gRPC request, for reports while it lasts; empty when not needed.
    pub host: Vec<u8>,
    /// What the request brought.
    pub received: Received,
    pub downstream: Option<Rc<Peer>>,
    pub upstream: Option<Rc<Peer>>,
    /// Whether the response headers have passed, so that no more is to come.
    pub answered: bool,
    /// Bytes of the headers that were added to the request and to the response.
    pub added: Added,
}

/// Bytes that the exchange adds to the headers of a stream, so that sizes can be told without them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Added {
    pub request: u64,
    pub response: u64,
}

/// Reports of a stream that lasts. The labels are those of the first report.
#[derive(Debug)]
pub(super) struct Growth {
    /// One per group of the occasion, in the order of the plan.
    pub ids: Vec<MetricIds>,
    pub reported: Quantities,
}

/// How much there is of each quantity.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Quantities {
    pub request_messages: u64,
    pub response_messages: u64,
    pub opened: u64,
    pub closed: u64,
    pub sent_bytes: u64,
    pub received_bytes: u64,
}

// === impl Stream ===

impl Stream {
    /// A TCP connection; the default is a request.
    pub fn connection() -> Self {
        Self { kind: Kind::Connection, ..Self::default() }
    }

    /// Leaves a part of its metrics to another mount.
    pub fn set_share(&mut self, share: Share) {
        self.share = share;
    }

    /// Whether it is a TCP connection.
    pub fn is_connection(&self) -> bool {
        self.kind == Kind::Connection
    }

    /// Whether the exchange has told the peer that the reporter's labels are made of.
    pub(super) fn knows_peer(&self) -> bool {
        self.exchange.as_ref().is_some_and(|exchanged| match exchanged.direction {
            Direction::Inbound => exchanged.downstream.is_some(),
            _ => exchanged.upstream.is_some(),
        })
    }
}

// === impl Exchanged ===

impl Exchanged {
    /// Whether the peer that the reporter asks for has had its chance to tell who it is.
    pub fn is_settled(&self) -> bool {
        self.direction == Direction::Inbound || self.answered
    }
}

// === impl Quantities ===

impl Quantities {
    /// The greater of each.
    pub fn max(self, other: Self) -> Self {
        Self {
            request_messages: self.request_messages.max(other.request_messages),
            response_messages: self.response_messages.max(other.response_messages),
            opened: self.opened.max(other.opened),
            closed: self.closed.max(other.closed),
            sent_bytes: self.sent_bytes.max(other.sent_bytes),
            received_bytes: self.received_bytes.max(other.received_bytes),
        }
    }

    pub fn of(&self, quantity: Quantity) -> u64 {
        match quantity {
            Quantity::RequestMessages => self.request_messages,
            Quantity::ResponseMessages => self.response_messages,
            Quantity::Opened => self.opened,
            Quantity::Closed => self.closed,
            Quantity::SentBytes => self.sent_bytes,
            Quantity::ReceivedBytes => self.received_bytes,
        }
    }
}
