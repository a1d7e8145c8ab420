//! The metadata exchange on one message's headers.

use super::health::{Call, Errors};
use super::stream::Exchanged;
use crate::attribute::facts::Ranges;
use crate::attribute::memory::Memories;
use crate::attribute::{Fact, Facts, Query};
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
    query: Query,
    peers: PeerCache,
    facts: Ranges,
    buffer: Vec<u8>,
}

// === impl Exchange ===

impl Exchange {
    pub fn new(query: Query, peers: PeerCache) -> Self {
        Self { query, peers, facts: Ranges::new(), buffer: Vec::new() }
    }

    /// The request headers pass.
    pub fn on_request(
        &mut self,
        plan: &ExchangePlan,
        memories: &mut Memories,
        host: &mut impl Host,
        errors: &mut Errors,
    ) -> Exchanged {
        self.buffer.clear();
        self.query.fetch(host, &mut self.buffer, &mut self.facts);
        memories.recall(true, host, &mut self.buffer, &mut self.facts);
        let facts = Facts::new(&self.buffer, &self.facts);
        let direction =
            Direction::from_number(facts.int(Fact::ListenerDirection).unwrap_or_default());
        let cluster = Cluster {
            name: facts.bytes(Fact::ClusterName),
            external: facts.is_true(Fact::ClusterExternal),
            disable_mx: facts.is_true(Fact::ClusterDisablesExchange),
        };
        let (disabled, authority) = (cluster.disable_mx, facts.bytes(Fact::GrpcHost).to_vec());
        let step = direction.on_request(plan.skip_external, Some(cluster));
        let (received, mut downstream) = self.pass(step, plan, Message::Request, host, errors);
        if plan.baggage && downstream.is_none() {
            downstream = told_by_baggage(host, errors);
        }
        Exchanged {
            direction,
            disabled,
            host: authority,
            received,
            downstream,
            ..Exchanged::default()
        }
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
        exchanged.answered = true;
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
fn told_by_baggage(host: &mut impl Host, errors: &mut Errors) -> Option<Rc<Peer>> {
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
