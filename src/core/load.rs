//! A plugin gets a configuration: what is in force afterwards.
//!
//! Whatever the bytes are, the proxy has to go on. Where nothing in them can be read, the last configuration of this process
//! that could be read stays in force, so that nothing counted before is lost. All VMs of a process share it: after an update
//! Envoy may start another VM for the same plugin.

use crate::diag::Diagnostic;
use crate::metric::cut;
use crate::plan::Plan;
use crate::port::{Host, Sink};
use crate::record::Verdict;
use crate::{Configured, Unusable, configure};

/// What a plugin goes on with.
#[derive(Debug)]
pub struct Loaded {
    /// The plan in force; `None` to count nothing.
    pub plan: Option<Plan>,
    /// What became of the configuration.
    pub verdict: Verdict,
    /// The problems in it.
    pub problems: Vec<Diagnostic>,
    /// Whether another VM of this process has read the same configuration before, and so has reported its problems.
    pub reported: bool,
    /// Where nothing could be read: the text that is in force instead.
    pub instead: Option<Readable>,
}

/// The text of a plugin that could be read last, by its hash; `None` where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readable(Option<u64>);

/// Hash of the text that a plugin was given last. The names have no version: an older or newer module goes on with them.
const SEEN: &str = "opmeter.configuration.seen.";
/// The last text of a plugin that could be read, and its hash.
const READABLE: &str = "opmeter.configuration.readable.";
const READABLE_HASH: &str = "opmeter.configuration.readable-hash.";

/// Loads the configuration of a plugin, which is known by `name`; `None` when the proxy does not hand one over.
pub fn load(name: &str, text: Option<&[u8]>, host: &mut impl Host, sink: &mut impl Sink) -> Loaded {
    let Some(text) = text else {
        let problem = Diagnostic::error("configuration", "the proxy does not hand it over");
        return last_readable(name, problem, false, host, sink);
    };
    let reported = is_seen(name, text, sink);
    match configure(text, host) {
        Ok(Configured { plan, problems }) => {
            if !reported {
                // Without it an unreadable configuration would find nothing to go on with, no more.
                let _ = sink.share(&[READABLE, name].concat(), text, None);
                let hash = cut::hash(text).to_le_bytes();
                let _ = sink.share(&[READABLE_HASH, name].concat(), &hash, None);
            }
            Loaded {
                plan: Some(plan),
                verdict: Verdict::Accepted,
                problems,
                reported,
                instead: None,
            }
        }
        Err(Unusable::Strict(problems)) => {
            Loaded { plan: None, verdict: Verdict::Rejected, problems, reported, instead: None }
        }
        Err(Unusable::Unreadable(problem)) => last_readable(name, problem, reported, host, sink),
    }
}

fn last_readable(
    name: &str,
    mut problem: Diagnostic,
    reported: bool,
    host: &mut impl Host,
    sink: &mut impl Sink,
) -> Loaded {
    let (plan, readable) = readable_plan(name, host, sink);
    problem.message.push_str(match plan {
        Some(_) => "; the last readable configuration stays in force",
        None => "; nothing is counted",
    });
    let (verdict, problems) = (Verdict::Unreadable, vec![problem]);
    Loaded { plan, verdict, problems, reported, instead: Some(readable) }
}

/// The plan of the last readable text of a plugin, and which text that is. For a plugin whose own text cannot be read, and
/// that Envoy uses again: other configurations may have come and gone since.
pub fn readable_plan(
    name: &str,
    host: &mut impl Host,
    sink: &mut impl Sink,
) -> (Option<Plan>, Readable) {
    let readable = readable(name, sink);
    let mut text = Vec::new();
    let found = sink.shared(&[READABLE, name].concat(), &mut text);
    let plan = match found {
        Ok(Some(_)) => configure(&text, host).ok().map(|configured| configured.plan),
        _ => None,
    };
    (plan, readable)
}

/// Which text of a plugin could be read last.
pub fn readable(name: &str, sink: &mut impl Sink) -> Readable {
    let mut hash = Vec::new();
    let found = matches!(sink.shared(&[READABLE_HASH, name].concat(), &mut hash), Ok(Some(_)));
    Readable(if found { hash.try_into().ok().map(u64::from_le_bytes) } else { None })
}

/// Whether a VM of this process was given the same text last; from now on it was.
fn is_seen(name: &str, text: &[u8], sink: &mut impl Sink) -> bool {
    let name = [SEEN, name].concat();
    let hash = cut::hash(text).to_le_bytes();
    let mut seen = Vec::new();
    // What cannot be shared is reported by each VM.
    let found = matches!(sink.shared(&name, &mut seen), Ok(Some(_)));
    if found && seen == hash {
        return true;
    }
    let _ = sink.share(&name, &hash, None);
    false
}
