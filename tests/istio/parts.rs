//! The programs that a mesh is made of.

use anyhow::{Context, Result, ensure};
use std::path::PathBuf;

/// Where they are. `make/test-istio.sh` gets them and sets the variables.
#[derive(Clone, Debug)]
pub struct Parts {
    /// What `make/istio-parts.sh` made: `bin`, `files`, `iptables`.
    pub folder: PathBuf,
    /// Envoy.
    pub envoy: PathBuf,
    /// The module, which is mounted into every proxy's `/var/lib/opmeter`.
    pub module: PathBuf,
    /// What `opmeter package` made of it: an OCI layout. The image `0.1.1` has another digest and does the same.
    pub image: PathBuf,
    /// A container registry.
    pub registry: PathBuf,
    /// What copies the image into it.
    pub skopeo: PathBuf,
}

// === impl Parts ===

impl Parts {
    /// `None` where `OPMETER_ISTIO` is not set.
    ///
    /// # Errors
    /// A part that is named and is not there, or one that is not named.
    pub fn from_environment() -> Result<Option<Self>> {
        if std::env::var_os("OPMETER_ISTIO").is_none() {
            return Ok(None);
        }
        Ok(Some(Self {
            folder: path("OPMETER_ISTIO")?,
            envoy: path("OPMETER_ENVOY")?,
            module: path("OPMETER_MODULE")?,
            image: path("OPMETER_IMAGE")?,
            registry: path("OPMETER_REGISTRY")?,
            skopeo: path("OPMETER_SKOPEO")?,
        }))
    }

    /// A program of Istio, Kubernetes or etcd.
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }

    /// A file of Istio.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join("files").join(name)
    }
}

fn path(variable: &str) -> Result<PathBuf> {
    let value = std::env::var_os(variable).with_context(|| format!("{variable} is not set"))?;
    let path = PathBuf::from(value);
    ensure!(path.exists(), "{variable}={} is not there", path.display());
    Ok(path.canonicalize()?)
}
