//! Several mounts of the module may see one stream: plugins in one filter chain, a filter and an access logger. The
//! standard metrics of a stream are recorded by one of them, the first.

use super::Recorder;
use super::arrival::PROTOCOL;
use super::health::Errors;
use super::stream::{Kind, Stream};
use crate::metric::standard::Occasion;
use crate::port::Host;

/// Which metrics of a stream a mount records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Share {
    /// All of its configuration.
    #[default]
    All,
    /// Its own definitions: another mount records the standard metrics.
    Definitions,
    /// None: a mount with the same configuration records all.
    Nothing,
}

/// A mark begins with this; the hash of the configuration follows.
const MARK: &[u8] = b"opmeter:";
/// Names of the marks that the first mount leaves on a stream, before the stat prefix.
const MESSAGES: &str = "opmeter_messages_";
const CONNECTION: &str = "opmeter_connection_";
/// The same of the mount that exchanges metadata.
const EXCHANGE: &str = "opmeter_exchange";

/// Whether the connection in hand is one of the HTTP connection manager's: its requests are recorded, not the connection.
/// Istio adds plugins of type `NETWORK` to the filter chains of HTTP too.
fn carries_requests(host: &mut impl Host) -> bool {
    let mut protocol = Vec::new();
    host.attribute(PROTOCOL, &mut protocol).is_ok() && protocol.starts_with(b"HTTP/")
}

impl Recorder {
    /// The stat prefix under which standard metrics of requests are recorded; `None` where there are none.
    pub fn request_prefix(&self) -> Option<&str> {
        let standard = [Occasion::Request, Occasion::Messages];
        standard.iter().any(|due| self.plan.records(*due)).then_some(self.plan.prefix.as_str())
    }

    /// Whether anything of requests is recorded.
    pub fn counts_requests(&self) -> bool {
        self.known.is_some() || self.plan.records(Occasion::Messages)
    }

    /// Whether headers of requests are exchanged.
    pub fn exchanges(&self) -> bool {
        self.exchange.is_some()
    }

    /// Identifies the configuration: mounts with the same one record a stream once.
    pub fn configuration(&self) -> u64 {
        self.plan.configuration
    }

    /// Whether other mounts may see the same requests: then a stream that lasts, and the exchange of metadata, have to be
    /// claimed by a mark, as callbacks of several streams mix.
    pub fn set_contested(&mut self, metrics: bool, exchange: bool) {
        self.contested_metrics = metrics;
        self.contested_exchange = exchange;
    }

    /// Whether this mount records what is reported while a stream lasts.
    pub(super) fn claims_lasting(
        &self,
        stream: &mut Stream,
        host: &mut impl Host,
        errors: &mut Errors,
    ) -> bool {
        // An entry of an access log was told from a request already.
        let may_carry = stream.lasting.is_none() && !self.scratch.silent;
        if stream.is_connection() && may_carry && carries_requests(host) {
            stream.lasting = Some(Share::Nothing);
            return false;
        }
        let share = stream.lasting.unwrap_or_else(|| self.claim(stream, host));
        if stream.lasting.is_none() && share != stream.share {
            errors.duplicate();
        }
        stream.lasting = Some(share);
        share == Share::All
    }

    /// Whether this mount exchanges the metadata of the request in hand.
    pub(super) fn claim_exchange(&self, host: &mut impl Host) -> bool {
        if !self.contested_exchange || self.exchange.is_none() {
            return self.exchange.is_some();
        }
        // Nobody else would tell the peers that it learns.
        self.claim_by_mark(EXCHANGE, host) == Share::All
    }

    fn claim(&self, stream: &Stream, host: &mut impl Host) -> Share {
        let mark = match stream.kind {
            Kind::Request if !self.contested_metrics => return stream.share,
            Kind::Request => MESSAGES,
            Kind::Connection => CONNECTION,
        };
        if stream.share != Share::All {
            return stream.share;
        }
        self.claim_by_mark(&[mark, &self.plan.prefix].concat(), host)
    }

    /// Leaves a mark on the stream in hand, unless another mount was first.
    pub fn claim_by_mark(&self, mark: &str, host: &mut impl Host) -> Share {
        let own = [MARK, &self.plan.configuration.to_le_bytes()].concat();
        let mut found = Vec::new();
        let read = host.attribute(mark, &mut found);
        if read.is_err() || !found.starts_with(MARK) {
            // An access logger cannot leave one, and is the last anyway.
            let _ = host.publish(mark, &own);
            return Share::All;
        }
        if found == own { Share::Nothing } else { Share::Definitions }
    }
}
