//! What a stream's attributes, dimensions and conditions come to.

use super::Recorder;
use super::health::{Call, Errors};
use super::scratch::Scratch;
use super::stream::{Kind, Outcome, Stream};
use super::view;
use crate::attribute::{Fact, Facts};
use crate::config::Phase;
use crate::expr::{NoValue, Side};
use crate::metric::Reporter;
use crate::peer::filter_state;
use crate::plan::{Needs, Plan, Reads, Use, Values};
use crate::port::Host;

impl Recorder {
    /// Evaluates the attributes of the request phase and keeps what came out.
    pub(super) fn derive_as_received(
        &mut self,
        stream: &mut Stream,
        host: &mut impl Host,
        errors: &mut Errors,
    ) {
        stream.received = true;
        if self.plan.derives_on_request() {
            self.scratch.begin(&self.plan, stream);
            let Scratch { facts, ranges, .. } = &mut self.scratch;
            self.queries.early.fetch(host, facts, ranges);
            self.publish_peers(stream, host, errors);
            self.derive(Phase::OnRequest, stream, host, errors);
            stream.attributes.clone_from(&self.scratch.attributes);
        }
    }

    /// Shows expressions of the host who the peers are, if one reads them.
    pub(super) fn publish_peers(&self, stream: &Stream, host: &mut impl Host, errors: &mut Errors) {
        let Some(exchanged) = &stream.exchange else { return };
        let peers =
            [(Side::Downstream, &exchanged.downstream), (Side::Upstream, &exchanged.upstream)];
        for (side, peer) in peers {
            let is_read = self.plan.published_peers.reads(side) || self.contested_exchange;
            if let (true, Some(peer)) = (is_read, peer) {
                let value = filter_state::encode(peer, &self.plan.peer_labels);
                errors.host_call(Call::SetAttribute, host.publish(side.key(), &value));
            }
        }
    }

    /// Evaluates the attributes of one phase; an error abandons that attribute only.
    pub(super) fn derive(
        &mut self,
        phase: Phase,
        stream: &Stream,
        host: &mut impl Host,
        errors: &mut Errors,
    ) {
        let plan = &self.plan;
        let reads = match phase {
            Phase::OnRequest => &plan.early_reads,
            Phase::AfterResponse => &plan.reads,
        };
        let Scratch { facts, ranges, buffer, attributes, silent, .. } = &mut self.scratch;
        let facts = Facts::new(facts, ranges);
        let (method, path) = (facts.bytes(Fact::Method), facts.bytes(Fact::Path));
        for (index, attribute) in plan.attributes.iter().enumerate() {
            if attribute.phase != phase {
                continue;
            }
            let values = values(plan, reads, stream, facts, attributes);
            let received = if stream.path.is_empty() { path } else { &stream.path };
            let template = if attribute.received_path { received } else { path };
            match attribute.find(method, path, template, &values, host, buffer) {
                Ok(None) => {}
                Ok(Some(value)) => {
                    if let Some(slot) = attributes.get_mut(attribute.name) {
                        *slot = Some((index, value));
                    }
                    let name = plan.attribute_names.get(attribute.name);
                    let name = name.filter(|_| !*silent);
                    let published = name.map(|name| host.publish(name, attribute.value(value)));
                    errors.host_call(Call::SetAttribute, published.unwrap_or(Ok(())));
                }
                Err(NoValue::NotSet) => {}
                Err(NoValue::Failed) => errors.evaluation(),
            }
        }
    }

    /// Evaluates the expressions of dimensions and definitions, and the conditions of entries.
    pub(super) fn evaluate(&mut self, stream: &Stream, host: &mut impl Host, errors: &mut Errors) {
        let needs = match stream.kind {
            Kind::Request => &self.plan.request,
            Kind::Connection => &self.plan.connection,
        };
        evaluate(&self.plan, needs, stream, &mut self.scratch, host, errors);
    }
}

/// What expressions read.
pub(super) fn values<'a>(
    plan: &'a Plan,
    reads: &'a Reads,
    stream: &'a Stream,
    facts: Facts<'a>,
    outcomes: &'a [Outcome],
) -> Values<'a> {
    Values {
        reads,
        facts,
        attributes: &plan.attributes,
        outcomes,
        downstream: view::downstream(stream, &facts),
        upstream: view::upstream(stream, &facts),
    }
}

/// Evaluates the expressions and conditions among `needs`; the others have no value.
pub(super) fn evaluate(
    plan: &Plan,
    needs: &Needs,
    stream: &Stream,
    scratch: &mut Scratch,
    host: &mut impl Host,
    errors: &mut Errors,
) {
    if needs.expressions.is_empty() && needs.conditions.is_empty() {
        return;
    }
    let Scratch { facts, ranges, buffer, values: found, conditions, attributes, .. } = scratch;
    let values = values(plan, &plan.reads, stream, Facts::new(facts, ranges), attributes);
    let client = view::reporter(plan, &values.facts) == Reporter::Source;
    for Use { index, client: of_client, server: of_server } in &needs.expressions {
        let Some(bound) = plan.expressions.get(*index) else { continue };
        if !(if client { *of_client } else { *of_server }) {
            continue;
        }
        let start = buffer.len();
        let written = bound.write(&values, host, buffer);
        if written == Err(NoValue::Failed) {
            errors.evaluation();
        }
        if let Some(place) = found.get_mut(*index) {
            *place = written.ok().map(|()| start..buffer.len());
        }
    }
    for index in &needs.conditions {
        let Some(bound) = plan.conditions.get(*index) else { continue };
        let holds = bound.holds(&values, host, buffer);
        if holds == Err(NoValue::Failed) {
            errors.evaluation();
        }
        if let Some(place) = conditions.get_mut(*index) {
            *place = holds.unwrap_or_default();
        }
    }
}
