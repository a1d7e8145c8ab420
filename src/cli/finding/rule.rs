//! The kinds of problems, by the names that `--allow` takes.

use clap::ValueEnum;

/// A kind of problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum)]
pub enum Rule {
    /// Neither YAML nor JSON, or a configuration of which the module can read nothing
    Unreadable,
    /// Nothing that is known here
    UnknownDocument,
    /// `strict: true` refuses the configuration
    Refused,
    /// The module leaves a part out
    LeftOut,
    /// Can never match
    Unreachable,
    /// Overridden by something later
    Overridden,
    /// A label with as many values as clients can think of
    Unbounded,
    /// The Host header becomes a label on a proxy that anybody can send to
    HostFallback,
    /// A label without a stats tag
    NoStatsTag,
    /// A stats tag that takes what belongs to another
    TagClash,
    /// Histograms without bounds of their own
    Buckets,
    /// Istio's native stats and the module both emit the standard metrics
    NativeAlsoOn,
    /// Two plugins of the module for the same requests
    TwoPlugins,
    /// A module that the proxy has to find in a file of its own
    LocalFile,
    /// A place in the chain of filters that comes too late
    Order,
    /// A name that newer Istio reads as `unknown`
    BareAttribute,
    /// A failing plugin would stop traffic
    FailClose,
    /// A resource that Istio refuses
    Invalid,
    /// A resource or field that Istio ignores
    Ignored,
}

// === impl Rule ===

impl Rule {
    /// The name.
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Why it is a problem, where that is the same wherever it is found.
    pub fn why(self) -> &'static str {
        match self {
            Rule::Unreadable => "a file that cannot be read configures nothing",
            Rule::UnknownDocument => "nothing in it was checked",
            Rule::Refused => {
                "`strict` refuses the whole configuration: a static listener does not start, a WasmPlugin's filter answers \
                 500 until it has another one, and an update leaves the old one in force"
            }
            Rule::LeftOut => "the module goes on without this part, as Istio does",
            Rule::Unreachable => "the first rule that matches wins",
            Rule::Overridden => "entries of `metrics` apply in their order, and the last one wins",
            Rule::Unbounded => {
                "every new value is new series in every proxy, and a series that Wasm defines is never freed"
            }
            Rule::HostFallback => {
                "whoever can send requests can invent names, and every new name is new series that are never freed"
            }
            Rule::NoStatsTag => {
                "labels travel inside the metric's name; without a tag that takes it out, the label stays in the name"
            }
            Rule::TagClash => "Envoy applies every tag to the name as the ones before have left it",
            Rule::Buckets => {
                "bounds for `istio` do not reach names that begin with `wasmcustom`, which keep Envoy's default ones"
            }
            Rule::NativeAlsoOn => {
                "both emit istio_requests_total, so every request is counted twice"
            }
            Rule::TwoPlugins => {
                "the first in the chain counts them; attributes and dimensions of the other are left out, custom metrics of each stay"
            }
            Rule::LocalFile => {
                "where the file is not there, the filter answers 500 to every request, whatever the failStrategy"
            }
            Rule::Order => {
                "logs are written in the order of the filters, so what this derives is not there yet"
            }
            Rule::BareAttribute => {
                "since Istio 1.24 a bare name is no attribute, and the label reads `unknown`"
            }
            Rule::FailClose => "metrics are no reason to refuse a request",
            Rule::Invalid => "Istio refuses the resource",
            Rule::Ignored => "Istio takes no notice of it",
        }
    }
}
