//! What is asked of the proxy about a stream, compiled once.

use crate::attribute::memory::keys_of;
use crate::attribute::read::Fetch;
use crate::attribute::{Fact, Query};
use crate::expr::Slot;
use crate::plan::{Needs, Plan, Reads};
use crate::port::Host;

/// Facts that are fetched together.
#[derive(Debug)]
pub(super) struct Queries {
    /// What attributes of the request phase are found by.
    pub early: Query,
    /// All about a request.
    pub request: Query,
    /// The same without what would tell a peer that the exchange has told.
    pub exchanged: Query,
    /// All about a connection.
    pub connection: Query,
}

// === impl Queries ===

impl Queries {
    pub fn compile(plan: &Plan, host: &mut impl Host) -> Self {
        let of_all = |needs: &Needs| vec![needs.facts.clone()];
        let keys = keys_by_reporter(plan);
        let exchanged = match (keys.as_slice(), &plan.exchange) {
            ([inbound, others], Some(_)) => vec![
                without(inbound, &[Fact::DownstreamPeer]),
                without(others, &[Fact::UpstreamPeer, Fact::UpstreamAddress]),
            ],
            _ => keys.clone(),
        };
        Self {
            early: query(&of_all(&plan.early), &plan.early, &plan.early_reads, host),
            request: query(&keys, &plan.request, &plan.reads, host),
            exchanged: query(&exchanged, &plan.request, &plan.reads, host),
            connection: query(&of_all(&plan.connection), &plan.connection, &plan.reads, host),
        }
    }
}

fn without(facts: &[Fact], told: &[Fact]) -> Vec<Fact> {
    facts.iter().copied().filter(|fact| !told.contains(fact)).collect()
}

/// What is fetched of a request by each reporter, keys in the place of what is remembered.
pub(super) fn keys_by_reporter(plan: &Plan) -> Vec<Vec<Fact>> {
    plan.request_facts.iter().map(|facts| keys_of(facts)).collect()
}

pub(super) fn query(
    facts: &[Vec<Fact>],
    needs: &Needs,
    reads: &Reads,
    host: &mut impl Host,
) -> Query {
    let mut fetched: Vec<(Slot, &Fetch)> = Vec::new();
    for slot in &needs.slots {
        if let Some(fetch) = reads.fetch(*slot)
            && fetched.iter().all(|(known, _)| known != slot)
        {
            fetched.push((*slot, fetch));
        }
    }
    let facts: Vec<&[Fact]> = facts.iter().map(Vec::as_slice).collect();
    Query::with_reads(&facts, &fetched, host)
}
