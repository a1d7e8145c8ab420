//! Images of a module: layers, configuration and manifest (OCI Image Specification; Wasm Artifact Image Specification).
//!
//! Nothing in them depends on when, where or by whom they are made.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::Result;
use flate2::{Compression, GzBuilder};
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::Kind;
use super::module::Module;

/// Name under which Istio looks for the module in a layer.
const FILE: &str = "plugin.wasm";
/// What Envoy would find the plugin by, were there others in the module.
const ROOT_ID: &str = "opmeter";
/// Of gzip: made by an unknown system.
const NO_SYSTEM: u8 = 255;

/// An image: what its manifest leads to, and the manifest itself.
#[derive(Debug)]
pub struct Image {
    /// Configuration and layers.
    pub blobs: Vec<Blob>,
    /// The manifest.
    pub manifest: Blob,
}

/// Bytes with a type.
#[derive(Clone, Debug)]
pub struct Blob {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// How others refer to them.
    pub descriptor: Descriptor,
}

/// How a blob is referred to.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Media type.
    pub media_type: &'static str,
    /// `sha256:` and the checksum.
    pub digest: String,
    /// In bytes.
    pub size: usize,
    /// What else is said of it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'m> {
    schema_version: u8,
    media_type: &'static str,
    config: &'m Descriptor,
    layers: Vec<&'m Descriptor>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<&'static str, &'static str>,
}

/// Media types of an image with a file system.
struct Types {
    manifest: &'static str,
    config: &'static str,
    layer: &'static str,
}

const OCI: Types = Types {
    manifest: "application/vnd.oci.image.manifest.v1+json",
    config: "application/vnd.oci.image.config.v1+json",
    layer: "application/vnd.oci.image.layer.v1.tar+gzip",
};
const DOCKER: Types = Types {
    manifest: "application/vnd.docker.distribution.manifest.v2+json",
    config: "application/vnd.docker.container.image.v1+json",
    layer: "application/vnd.docker.image.rootfs.diff.tar.gzip",
};
const RUNTIME: &str = "application/vnd.module.wasm.config.v1+json";
const CONTENT: &str = "application/vnd.module.wasm.content.layer.v1+wasm";
const TITLE: &str = "org.opencontainers.image.title";

// === impl Image ===

impl Image {
    /// An image of a kind.
    ///
    /// # Errors
    /// The archive cannot be made.
    pub fn new(kind: Kind, module: &Module) -> Result<Self> {
        match kind {
            Kind::Oci => {
                let compat = [("module.wasm.image/variant", "compat")];
                Self::with_file(&OCI, module, compat.into())
            }
            Kind::Docker => Self::with_file(&DOCKER, module, BTreeMap::new()),
            Kind::Artifact => Self::artifact(module),
        }
    }

    fn with_file(
        types: &Types,
        module: &Module,
        annotations: BTreeMap<&'static str, &'static str>,
    ) -> Result<Self> {
        let archive = archive(&module.bytes)?;
        let config = json!({
            // What Rust calls the module's target: no system, on no hardware.
            "architecture": "wasm",
            "os": "unknown",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [digest(&archive)]},
            "history": [{"created_by": "opmeter package"}],
        });
        let config = Blob::new(types.config, serde_json::to_vec(&config)?);
        let layer = Blob::new(types.layer, compressed(&archive)?);
        Self::of(types.manifest, config, vec![layer], annotations)
    }

    /// Istio wants two layers there: what the module runs in, and the module.
    fn artifact(module: &Module) -> Result<Self> {
        let runtime = json!({
            "type": "envoy_proxy",
            "abiVersions": [module.abi],
            "config": {"root_ids": [ROOT_ID]},
        });
        let config = Blob::new(RUNTIME, serde_json::to_vec(&runtime)?);
        let runtime = config.clone().titled("runtime-config.json");
        let content = Blob::new(CONTENT, module.bytes.clone()).titled(FILE);
        Self::of(OCI.manifest, config, vec![runtime, content], BTreeMap::new())
    }

    fn of(
        media_type: &'static str,
        config: Blob,
        layers: Vec<Blob>,
        annotations: BTreeMap<&'static str, &'static str>,
    ) -> Result<Self> {
        let manifest = Manifest {
            schema_version: 2,
            media_type,
            config: &config.descriptor,
            layers: layers.iter().map(|layer| &layer.descriptor).collect(),
            annotations,
        };
        let manifest = Blob::new(media_type, serde_json::to_vec_pretty(&manifest)?);
        let mut blobs = vec![config];
        blobs.extend(layers);
        Ok(Self { blobs, manifest })
    }

    /// Its layers.
    pub fn layers(&self) -> &[Blob] {
        self.blobs.get(1..).unwrap_or_default()
    }
}

// === impl Blob ===

impl Blob {
    fn new(media_type: &'static str, bytes: Vec<u8>) -> Self {
        let (digest, size) = (digest(&bytes), bytes.len());
        let descriptor = Descriptor { media_type, digest, size, annotations: BTreeMap::new() };
        Self { bytes, descriptor }
    }

    fn titled(mut self, title: &str) -> Self {
        self.descriptor.annotations.insert(TITLE, title.to_owned());
        self
    }
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{:x}", Sha256::digest(bytes))
}

/// A tar archive with the module alone, of nobody and no time.
fn archive(module: &[u8]) -> Result<Vec<u8>> {
    let mut header = tar::Header::new_ustar();
    header.set_size(module.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, FILE, module)?;
    Ok(archive.into_inner()?)
}

fn compressed(archive: &[u8]) -> Result<Vec<u8>> {
    let gzip = GzBuilder::new().mtime(0).operating_system(NO_SYSTEM);
    let mut gzip = gzip.write(Vec::new(), Compression::best());
    gzip.write_all(archive)?;
    Ok(gzip.finish()?)
}
