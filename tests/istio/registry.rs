//! A container registry on the node, with the image that `opmeter package` makes.

use crate::network::NODE;
use crate::parts::Parts;
use crate::process::{Server, run};
use crate::wait::until;
use anyhow::{Context, Result};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const START: Duration = Duration::from_secs(30);
const PORT: u16 = 5000;

/// Name of the registry in manifests and docs.
const DOCUMENTED: &str = "registry.example.com";

/// Starts it and copies the image into it, as `docs/guide/package.md` says.
///
/// # Errors
/// When it does not come up, or does not take the image.
pub async fn start(parts: &Parts, work: &Path, logs: &Path) -> Result<Server> {
    let config = work.join("registry.yaml");
    let storage = work.join("registry");
    let text = format!(
        "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '{NODE}:{PORT}'}}\n",
        storage.display()
    );
    std::fs::write(&config, text)?;
    let mut server = Command::new(&parts.registry);
    let server = Server::start("registry", server.arg("serve").arg(&config), logs)?;
    until("the registry", START, async || push(parts, "0.1.0", "0.1.0").map(Some))
        .await
        .with_context(|| server.last_words())?;
    Ok(server)
}

/// Copies an image into the registry under a tag.
///
/// # Errors
/// What skopeo says.
pub fn push(parts: &Parts, image: &str, tag: &str) -> Result<()> {
    let mut copy = Command::new(&parts.skopeo);
    copy.args(["--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"]);
    copy.arg(format!("oci:{}:{image}", parts.image.display()));
    copy.arg(format!("docker://{NODE}:{PORT}/opmeter:{tag}"));
    run(&mut copy, "").map(drop)
}

/// Documents as they are shipped, with this registry's address in place of the documented one.
pub fn addressed(documents: &str) -> String {
    documents.replace(DOCUMENTED, &format!("{NODE}:{PORT}"))
}
