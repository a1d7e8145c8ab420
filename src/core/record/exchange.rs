//! The metadata exchange on one message's headers.

use super::health::{Call, Errors};
use super::stream::{Added, Exchanged};
use crate::attribute::decode;
use crate::attribute::facts::Ranges;
use crate::attribute::memory::Memories;
use crate::attribute::{Fact, Facts};
use crate::peer::cache::PeerCache;
use crate::peer::direction::{Cluster, Direction, Received, Step};
use crate::peer::header::{ID_HEADER, METADATA_HEADER};
use crate::peer::{Peer, baggage};
use crate::plan::ExchangePlan;
use crate::port::{Host, Message};
use std::rc::Rc;

/// The exchange of one worker.
#[derive(Debug)]
pub(super) struct Exchange {
    /// Whether the host of a gRPC request is remembered, for reports while it lasts.
    remembers_host: bool,
    peers: PeerCache,
    facts: Ranges,
    buffer: Vec<u8>,
}

const DIRECTION: &str = "xds\0listener_direction";
const CLUSTER: &str = "xds\0cluster_name";
const HOST: &str = "request\0host";

// === impl Exchange ===

impl Exchange {
    pub fn new(remembers_host: bool, peers: PeerCache) -> Self {
        let (facts, buffer) = (Ranges::new(), Vec::new());
        Self { remembers_host, peers, facts, buffer }
    }

    /// The request headers pass.
    pub fn on_request(
        &mut self,
        plan: &ExchangePlan,
        memories: &mut Memories,
        grpc: bool,
        host: &mut impl Host,
        errors: &mut Errors,
    ) -> Exchanged {
        let direction = self.direction(host);
        self.read(CLUSTER, host);
        self.facts.clear();
        self.facts.set_fact(Fact::ClusterName, 0..self.buffer.len());
        memories.recall(false, host, &mut self.buffer, &mut self.facts);
        let facts = Facts::new(&self.buffer, &self.facts);
        let cluster = Cluster {
            name: facts.bytes(Fact::ClusterName),
            external: facts.is_true(Fact::ClusterExternal),
            disable_mx: facts.is_true(Fact::ClusterDisablesExchange),
        };
        let disabled = cluster.disable_mx;
        let step = direction.on_request(plan.skip_external, Some(cluster));
        let (received, mut downstream) = self.pass(step, plan, Message::Request, host, errors);
        if plan.baggage && downstream.is_none() {
            downstream = peer_in_baggage(host, errors);
        }
        let added = Added { request: plan.added(step), response: 0 };
        let host = if grpc { self.host(host) } else { Vec::new() };
        Exchanged { direction, disabled, host, received, downstream, added, ..Exchanged::default() }
    }

    /// A filter in front has answered the request. Its headers are as received and can only be read any more.
    pub fn on_answered_before(
        &mut self,
        plan: &ExchangePlan,
        host: &mut impl Host,
        errors: &mut Errors,
    ) -> Exchanged {
        let direction = self.direction(host);
        let mut downstream = None;
        if direction != Direction::Outbound {
            let metadata = host.header(Message::Request, METADATA_HEADER);
            let metadata = errors.host_call(Call::Header, metadata).flatten().unwrap_or_default();
            downstream = self.peer(&metadata, errors);
            if plan.baggage && downstream.is_none() {
                downstream = peer_in_baggage(host, errors);
            }
        }
        Exchanged { direction, downstream, answered: true, ..Exchanged::default() }
    }

    /// The response headers pass.
    pub fn on_response(
        &mut self,
        exchanged: &mut Exchanged,
        plan: &ExchangePlan,
        host: &mut impl Host,
        errors: &mut Errors,
    ) {
        let cluster = Cluster { disable_mx: exchanged.disabled, ..Cluster::default() };
        let step = exchanged.direction.on_response(exchanged.received, Some(cluster));
        (_, exchanged.upstream) = self.pass(step, plan, Message::Response, host, errors);
        exchanged.added.response = plan.added(step);
        exchanged.answered = true;
    }

    /// Direction of the stream's listener. Listeners of several directions may share a plugin: Envoy 1.40 has one for
    /// equal configurations.
    fn direction(&mut self, host: &mut impl Host) -> Direction {
        let number = decode::int(self.read(DIRECTION, host));
        number.map(Direction::from_number).unwrap_or_default()
    }

    /// The host of a gRPC request; empty when it is not needed. Headers are gone once they have passed.
    fn host(&mut self, host: &mut impl Host) -> Vec<u8> {
        if self.remembers_host { self.read(HOST, host).to_vec() } else { Vec::new() }
    }

    /// An attribute; empty when it is absent, which is no error.
    fn read(&mut self, path: &str, host: &mut impl Host) -> &[u8] {
        self.buffer.clear();
        let _ = host.attribute(path, &mut self.buffer);
        &self.buffer
    }

    fn pass(
        &mut self,
        step: Step,
        plan: &ExchangePlan,
        message: Message,
        host: &mut impl Host,
        errors: &mut Errors,
    ) -> (Received, Option<Rc<Peer>>) {
        let mut came = (Received::default(), None);
        if step.read_and_remove {
            let id = take(message, ID_HEADER, host, errors);
            let metadata = take(message, METADATA_HEADER, host, errors);
            came = (Received::of(&id, &metadata), self.peer(&metadata, errors));
        }
        if step.add_id {
            errors.host_call(Call::Header, host.set_header(message, ID_HEADER, &plan.id));
        }
        if step.add_metadata {
            errors
                .host_call(Call::Header, host.set_header(message, METADATA_HEADER, &plan.metadata));
        }
        came
    }

    #[inline(never)]
    fn peer(&mut self, metadata: &[u8], errors: &mut Errors) -> Option<Rc<Peer>> {
        let found = self.peers.get_or_decode(metadata);
        if found.error().is_some() {
            errors.peer_decode();
        }
        found.peer().cloned()
    }
}

/// The client, if it tells who it is in `baggage`. The header is the application's too and stays.
fn peer_in_baggage(host: &mut impl Host, errors: &mut Errors) -> Option<Rc<Peer>> {
    let value = errors.host_call(Call::Header, host.header(Message::Request, "baggage"))??;
    baggage::parse(&value).map(Rc::new)
}

/// Reads a header and takes it away; empty when it is not there.
#[inline(never)]
fn take(message: Message, name: &str, host: &mut impl Host, errors: &mut Errors) -> Vec<u8> {
    let Some(Some(value)) = errors.host_call(Call::Header, host.header(message, name)) else {
        return Vec::new();
    };
    errors.host_call(Call::Header, host.remove_header(message, name));
    value
}
