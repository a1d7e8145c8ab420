//! One Envoy with many mounts of the module, each on a listener of its own with a configuration of its own, whatever bytes
//! that is. What a mount counts has its name as destination service.
//!
//! ```text
//! client -> [listener NAME: the module as filter or access logger] -> cluster NAME -> application
//! ```

mod bootstrap;

use crate::envoy::{self, Envoy};
use anyhow::{Result, ensure};
use std::path::Path;

/// Name of the HTTP listener without the module.
pub const BARE_HTTP: &str = "entry";
/// Name of the TCP listener without the module.
pub const BARE_TCP: &str = "bare-tcp";

/// An Envoy to be started.
#[derive(Clone, Debug)]
pub struct Fleet {
    /// How its configuration reaches it.
    pub way: Way,
    /// The mounts.
    pub mounts: Vec<Mounted>,
    /// Port of the HTTP application on the loopback address.
    pub http: u16,
    /// Port of the TCP application on the loopback address.
    pub tcp: u16,
    /// Labels of metrics beyond the standard ones.
    pub dimensions: Vec<String>,
    /// `failure_policy` of every plugin.
    pub failure_policy: &'static str,
}

/// How configurations reach an Envoy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// In its bootstrap.
    Static,
    /// In its listeners, from a file (LDS).
    Listeners,
    /// In its filters, each from a file (ECDS). Access loggers have theirs in the bootstrap.
    Filters,
}

/// A listener with the module.
#[derive(Clone, Debug)]
pub struct Mounted {
    /// Name of the listener, of the plugin and of the destination service.
    pub name: String,
    /// How the module is mounted.
    pub layer: Layer,
    /// Its configuration.
    pub config: Vec<u8>,
}

/// How the module is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// An HTTP filter.
    HttpFilter,
    /// An access logger of the HTTP connection manager.
    HttpLogger,
    /// A network filter.
    TcpFilter,
    /// An access logger of the TCP proxy.
    TcpLogger,
}

// === impl Fleet ===

impl Fleet {
    /// Starts an Envoy with one worker; `None` when it ends by itself, which it says in `log`.
    ///
    /// # Errors
    /// When it neither comes up nor ends.
    pub async fn try_start(&self, binary: &Path, log: &mut String) -> Result<Option<Envoy>> {
        let folder = envoy::folder()?;
        bootstrap::write_updates(self, folder.path())?;
        let bootstrap = bootstrap::build(self, folder.path());
        let mut envoy = Envoy::start(binary, folder, &bootstrap, 1)?;
        let up = envoy.wait_until_up().await?;
        *log = envoy.log()?;
        Ok(up.then_some(envoy))
    }

    /// Starts one that comes up.
    ///
    /// # Errors
    /// When it does not.
    pub async fn start(&self, binary: &Path) -> Result<Envoy> {
        let mut log = String::new();
        let envoy = self.try_start(binary, &mut log).await?;
        ensure!(envoy.is_some(), "Envoy ended:\n{log}");
        Ok(envoy.expect("it is there"))
    }

    /// Gives a running Envoy the configurations as they are now.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn update(&self, envoy: &Envoy) -> Result<()> {
        bootstrap::write_updates(self, envoy.folder())
    }
}

// === impl Layer ===

impl Layer {
    /// All of them.
    pub const ALL: [Layer; 4] =
        [Layer::HttpFilter, Layer::HttpLogger, Layer::TcpFilter, Layer::TcpLogger];

    /// Whether it counts requests rather than connections.
    pub fn is_http(self) -> bool {
        matches!(self, Layer::HttpFilter | Layer::HttpLogger)
    }

    /// Whether it is a filter rather than an access logger.
    pub fn is_filter(self) -> bool {
        matches!(self, Layer::HttpFilter | Layer::TcpFilter)
    }
}
