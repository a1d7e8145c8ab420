//! What is compared: proxies that differ in nothing but what counts their requests.

use std::path::PathBuf;

/// A way to count requests, or not to.
#[derive(Clone, Debug)]
pub struct Mount {
    /// Its row in the tables.
    pub name: String,
    /// What counts.
    pub what: What,
    /// Where it is mounted.
    pub place: Place,
    /// One proxy, or a client's and a server's sidecar.
    pub hops: usize,
    /// What takes the labels out of the names.
    pub tags: Tags,
}

/// What counts.
#[derive(Clone, Debug)]
pub enum What {
    /// Nothing.
    Nothing,
    /// Envoy's stats access logger.
    Native,
    /// A WebAssembly module.
    Wasm {
        /// The module.
        file: PathBuf,
        /// Its configuration.
        config: String,
        /// Whether it counts requests, which is then checked.
        counts: bool,
    },
}

/// Where a module is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// As an HTTP filter.
    Filter,
    /// As an access logger.
    Logger,
}

/// The regular expressions of a bootstrap that take labels out of stat names: each new name pays for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tags {
    /// None: labels stay in the names.
    Nothing,
    /// As in the bootstraps below `envoy/`.
    Anchored,
    /// As Istio's agent writes them.
    Istio,
    /// Anchored at the start of the name, by a prefix that Envoy compares before it runs the expression.
    Prefixed,
}

// === impl Mount ===

impl Mount {
    /// Nothing counts.
    pub fn none(hops: usize) -> Self {
        let name = if hops == 1 { "none" } else { "two hops: none" };
        Self {
            name: name.into(),
            what: What::Nothing,
            place: Place::Filter,
            hops,
            tags: Tags::Anchored,
        }
    }

    /// Envoy's own access logger.
    pub fn native() -> Self {
        let name = "native stats access logger".into();
        Self { name, what: What::Native, place: Place::Logger, hops: 1, tags: Tags::Anchored }
    }

    /// A module that counts every request.
    pub fn counting(name: &str, place: Place, file: PathBuf, config: String) -> Self {
        let what = What::Wasm { file, config, counts: true };
        Self { name: name.into(), what, place, hops: 1, tags: Tags::Anchored }
    }

    /// A module that does some part of it.
    pub fn partial(name: &str, place: Place, file: PathBuf) -> Self {
        let what = What::Wasm { file, config: String::new(), counts: false };
        Self { name: name.into(), what, place, hops: 1, tags: Tags::Anchored }
    }

    /// The same with two proxies in a row.
    pub fn twice(mut self) -> Self {
        self.hops = 2;
        self
    }

    /// The same with other regular expressions.
    pub fn with_tags(mut self, tags: Tags) -> Self {
        self.tags = tags;
        self
    }

    /// Whether every request must have been counted.
    pub fn counts(&self) -> bool {
        match &self.what {
            What::Nothing => false,
            What::Native => true,
            What::Wasm { counts, .. } => *counts,
        }
    }
}
