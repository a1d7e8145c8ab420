//! The bootstraps of `envoy/` as they are, on free ports.

use super::{Envoy, folder};
use crate::module;
use anyhow::{Context, Result, ensure};
use std::path::Path;

/// Port of the application, as the bootstraps have it.
const APPLICATION: u16 = 9080;

/// Ports of listeners of the bootstraps; here each gets a free one.
const LISTENERS: [u16; 3] = [15006, 15021, 15090];

// === impl Envoy ===

impl Envoy {
    /// Starts an Envoy with the bootstrap `envoy/FILE` before an application, `overlay` of the same folder laid over it as
    /// `--config-yaml` does, and waits until it accepts. Listeners move to free ports, and what listens on a port of
    /// `moved` is looked for on the second one.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn shipped(
        binary: &Path,
        file: &str,
        overlay: Option<&str>,
        application: u16,
        moved: &[(u16, u16)],
    ) -> Result<Self> {
        let folder = folder()?;
        let moved = [&[(APPLICATION, application)], moved].concat();
        let read = |name: &str| place(name, folder.path(), &moved);
        let bootstrap = read(file)?;
        let scraped = bootstrap.contains("- name: prometheus\n");
        std::fs::write(folder.path().join("envoy.yaml"), bootstrap)?;
        let overlay = overlay.map(read).transpose()?;
        let mut arguments = vec!["--config-path", "envoy.yaml"];
        arguments.extend(overlay.iter().flat_map(|overlay| ["--config-yaml", overlay]));
        let mut envoy = Self::start_with(binary, folder, &arguments)?;
        let up = envoy.wait_for("inbound", scraped.then_some("prometheus")).await?;
        ensure!(up, "Envoy ended:\n{}", envoy.log()?);
        Ok(envoy)
    }
}

fn place(name: &str, folder: &Path, moved: &[(u16, u16)]) -> Result<String> {
    let path = module::workspace().join("envoy").join(name);
    let mut text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let module = module::path().to_str().context("a path in UTF-8")?;
    let socket = |port: u16| format!("address: 127.0.0.1, port_value: {port} }}");
    let admin = format!("pipe: {{ path: {} }}", folder.join("admin").display());
    text = text.replace("dist/opmeter.wasm", module);
    text = text.replace("0.0.0.0", "127.0.0.1");
    text = text.replace(&format!("socket_address: {{ {}", socket(15000)), &admin);
    text = text.replace("stats_flush_interval: 10s", "stats_flush_interval: 0.1s");
    for port in LISTENERS {
        text = text.replace(&socket(port), &socket(0));
    }
    for (from, to) in moved {
        text = text.replace(&socket(*from), &socket(*to));
    }
    Ok(text)
}
