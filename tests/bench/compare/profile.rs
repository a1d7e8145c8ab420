//! Where the time goes: modules written by hand that each do a part of it.

use super::Bench;
use crate::config::PLAIN;
use crate::hand::Hand;
use crate::mount::{Mount, Place};
use crate::sample::Spread;
use anyhow::{Context, Result};
use opmeter_core::attribute::Fact;
use opmeter_core::attribute::fact::TABLE;
use opmeter_core::port::{
    Content, ExprId, Failed, Host, Message, MetricId, MetricKind, Refused, Sink,
};
use opmeter_core::{Recorder, Stream};

/// Overhead of one part.
#[derive(Debug)]
pub struct Step {
    pub name: String,
    /// Microseconds per request over no filter.
    pub over: Spread,
}

// === impl Bench ===

impl Bench {
    /// Measures the parts of what a request costs, in both mounts.
    ///
    /// # Errors
    /// When one does not work.
    pub fn profile(&self) -> Result<Vec<Step>> {
        self.phase("profile");
        let mut mounts = vec![Mount::none(1)];
        let mut add = |name: String, place, hand: Hand| -> Result<()> {
            mounts.push(self.by_hand(&name, place, &hand)?);
            Ok(())
        };
        let (list, elements) = request_list()?;
        add("filter: callbacks, nothing in them".into(), Place::Filter, Hand::trivial())?;
        for (place, name) in [(Place::Filter, "filter"), (Place::Logger, "access logger")] {
            let at_end = |expressions, records| Hand {
                all_callbacks: place == Place::Filter,
                expressions,
                records,
            };
            add(format!("{name}: called at the end"), place, Hand::default())?;
            for elements in [8, 16, 24] {
                let name = format!("{name}: list of {elements} facts");
                add(name, place, at_end(vec![first_facts(elements)], false))?;
            }
            let own = || vec![list.clone()];
            add(format!("{name}: own list ({elements} facts)"), place, at_end(own(), false))?;
            add(format!("{name}: 4 records"), place, at_end(Vec::new(), true))?;
            add(format!("{name}: own list and 4 records"), place, at_end(own(), true))?;
        }
        mounts.push(self.ours("filter: opmeter", Place::Filter, PLAIN));
        if self.logs {
            mounts.push(self.ours("access logger: opmeter", Place::Logger, PLAIN));
        }
        let mut samples = vec![Vec::new(); mounts.len()];
        for generation in 1..=self.effort.generations {
            self.step(&format!("generation {generation} of {}: starting", self.effort.generations));
            for (samples, over) in samples.iter_mut().zip(self.overheads(mounts.iter())?) {
                samples.extend(over);
            }
        }
        let steps = mounts.iter().zip(samples).skip(1);
        let step = |(mount, samples): (&Mount, Vec<f64>)| Step {
            name: mount.name.clone(),
            over: Spread::of(samples),
        };
        Ok(steps.map(step).collect())
    }
}

/// A list of the first facts of the module's table.
fn first_facts(count: usize) -> String {
    let texts: Vec<&str> = TABLE.iter().take(count).map(|(_, text)| *text).collect();
    format!("[{}]", texts.join(", "))
}

/// The list that the module itself has evaluated at the end of an inbound request, once it has seen one; and how many facts it
/// asks for of one without a content type.
fn request_list() -> Result<(String, usize)> {
    let mut host = Listener::default();
    let configured = opmeter_core::configure(PLAIN.as_bytes(), &mut host);
    let plan = configured.ok().context("the plain configuration is refused")?.plan;
    let mut recorder = Recorder::new(plan, &mut host, &mut Nowhere);
    recorder.on_log(&mut Stream::default(), &mut host, &mut Nowhere);
    let list = host.compiled.into_iter().rfind(|text| text.starts_with(BY_TYPE));
    let list = list.context("the module compiles no list for requests")?;
    let (_, untyped) = list.split_once("] : [").context("a list for requests without a type")?;
    let facts = untyped.split(", ").count();
    Ok((list, facts))
}

/// How the list begins that is for inbound requests or for others.
const BY_DIRECTION: &str = "xds.listener_direction == 1 ? [";
/// How the list begins that is for requests with or without a content type.
const BY_TYPE: &str = "'content-type' in request.headers ? [";

/// What is known of an inbound request without a body that the proxy answers itself.
fn value(text: &str) -> &'static [u8] {
    let fact = TABLE.iter().find(|(_, asks)| *asks == text).map(|(fact, _)| *fact);
    match fact {
        None => &[1, 0, 0, 0, 0, 0, 0, 0],
        Some(
            Fact::ContentType
            | Fact::ClusterName
            | Fact::ClusterService
            | Fact::DownstreamPeer
            | Fact::GrpcMessages,
        ) => b"",
        Some(_) => b"eight or",
    }
}

/// A proxy that takes down what is compiled.
#[derive(Default)]
struct Listener {
    compiled: Vec<String>,
}

impl Host for Listener {
    fn compile(&mut self, expression: &str) -> Result<ExprId, Refused> {
        self.compiled.push(expression.to_owned());
        Ok(ExprId(self.compiled.len() as u32 - 1))
    }

    fn evaluate(&mut self, expression: ExprId, out: &mut Vec<u8>) -> Result<(), Failed> {
        let text = self.compiled.get(expression.0 as usize).ok_or(Failed(1))?;
        let (_, lists) = text.split_once(BY_DIRECTION).ok_or(Failed(1))?;
        let (inbound, _) = lists.split_once("] : [").ok_or(Failed(1))?;
        let values: Vec<&[u8]> = inbound.split(", ").map(value).collect();
        out.extend((values.len() as u32).to_le_bytes());
        out.extend(values.iter().flat_map(|value| (value.len() as u64).to_le_bytes()));
        out.extend(values.iter().flat_map(|value| [value, &b"\0\0"[..]].concat()));
        Ok(())
    }

    fn attribute(&mut self, _: &str, _: &mut Vec<u8>) -> Result<(), Failed> {
        Err(Failed(1))
    }

    fn node(&mut self, _: &[&str]) -> Option<Vec<u8>> {
        None
    }

    fn declare(&mut self, _: &str, _: Content) -> Result<(), Failed> {
        Ok(())
    }

    fn publish(&mut self, _: &str, _: &[u8]) -> Result<(), Failed> {
        Ok(())
    }

    fn header(&mut self, _: Message, _: &str) -> Result<Option<Vec<u8>>, Failed> {
        Ok(None)
    }

    fn remove_header(&mut self, _: Message, _: &str) -> Result<(), Failed> {
        Ok(())
    }

    fn set_header(&mut self, _: Message, _: &str, _: &[u8]) -> Result<(), Failed> {
        Ok(())
    }
}

/// Statistics that nobody reads.
struct Nowhere;

impl Sink for Nowhere {
    fn shared(&mut self, _: &str, _: &mut Vec<u8>) -> Result<Option<u32>, Failed> {
        Ok(None)
    }

    fn share(&mut self, _: &str, _: &[u8], _: Option<u32>) -> Result<bool, Failed> {
        Ok(true)
    }

    fn define(&mut self, _: MetricKind, _: &str) -> Result<MetricId, Failed> {
        Ok(MetricId(0))
    }

    fn increment(&mut self, _: MetricId, _: i64) -> Result<(), Failed> {
        Ok(())
    }

    fn record(&mut self, _: MetricId, _: u64) -> Result<(), Failed> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_the_one_that_is_evaluated_in_the_end() {
        let (list, facts) = request_list().expect("a list");
        assert!(list.ends_with("connection.id]"), "{list}");
        assert_eq!(facts, 11);
    }
}
