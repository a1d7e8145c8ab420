//! Where the time goes: modules written by hand that each do a part of it.

use super::Bench;
use crate::config::PLAIN;
use crate::hand::Hand;
use crate::mount::{Mount, Place};
use crate::sample::Spread;
use anyhow::{Context, Result};
use opmeter_core::Recorder;
use opmeter_core::attribute::Fact;
use opmeter_core::attribute::fact::TABLE;
use opmeter_core::port::{
    Content, ExprId, Failed, Host, Message, MetricId, MetricKind, Refused, Sink,
};

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

/// The list that the module itself has evaluated at the end of an inbound request, once it has found out what these requests
/// are without; and how many facts it asks for.
fn request_list() -> Result<(String, usize)> {
    let mut host = Listener::default();
    let configured = opmeter_core::configure(PLAIN.as_bytes(), &mut host);
    let plan = configured.ok().context("the plain configuration is refused")?.plan;
    Recorder::new(plan, &mut host, &mut Nowhere);
    let lists = host.compiled.into_iter().filter(|text| text.starts_with(BY_DIRECTION));
    let list = lists.filter(|text| text.contains("response.code")).min_by_key(String::len);
    let mut list = list.context("the module compiles no list for requests")?;
    let (inbound, _) = list.split_once("] : [").context("a list for each direction")?;
    let facts = inbound.split(", ").count();
    for absent in [Fact::ContentType, Fact::ClusterName] {
        let guarded = absent.expression();
        let (_, bare) = guarded.split_once(" ? ").context("a fact that guards itself")?;
        list = list.replace(bare.trim_end_matches(" : ''"), guarded);
    }
    Ok((list, facts))
}

/// How the list begins that takes for granted what it can.
const BY_DIRECTION: &str = "xds.listener_direction == 1 ? [";

/// A proxy that takes down what is compiled.
#[derive(Default)]
struct Listener {
    compiled: Vec<String>,
}

impl Host for Listener {
    fn compile(&mut self, expression: &str) -> Result<ExprId, Refused> {
        self.compiled.push(expression.to_owned());
        Ok(ExprId(0))
    }

    fn evaluate(&mut self, _: ExprId, _: &mut Vec<u8>) -> Result<(), Failed> {
        Err(Failed(1))
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
