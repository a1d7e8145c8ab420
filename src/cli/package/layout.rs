//! The folder an image lies in (OCI Image Specification, "Image Layout").

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::image::{Blob, Image};

const MARK: &str = "oci-layout";
const INDEX: &str = "index.json";
const NAME: &str = "org.opencontainers.image.ref.name";

/// Writes an image; others in the folder stay, unless they have the same name.
///
/// # Errors
/// The folder holds something else, or cannot be written.
pub fn write(folder: &Path, tag: &str, image: &Image) -> Result<()> {
    let mut index = read(folder)?;
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs)?;
    for blob in image.blobs.iter().chain([&image.manifest]) {
        let name = blob.descriptor.digest.trim_start_matches("sha256:");
        fs::write(blobs.join(name), &blob.bytes)?;
    }
    fs::write(folder.join(MARK), json!({"imageLayoutVersion": "1.0.0"}).to_string())?;
    enter(&mut index, tag, &image.manifest)?;
    // Whoever reads at the same time finds an index that is complete.
    let new = folder.join("index.json.new");
    fs::write(&new, serde_json::to_vec_pretty(&index)?)?;
    fs::rename(new, folder.join(INDEX))?;
    Ok(())
}

/// The index that is there, or an empty one.
fn read(folder: &Path) -> Result<Value> {
    if folder.join(MARK).is_file() {
        let text = fs::read(folder.join(INDEX)).context("it has no index.json")?;
        return serde_json::from_slice(&text).context("its index.json is not JSON");
    }
    let empty = !folder.exists() || fs::read_dir(folder)?.next().is_none();
    ensure!(empty, "there is something in it that is not an OCI image layout");
    Ok(json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [],
    }))
}

/// Sorted by name, so that the order of commands does not show.
fn enter(index: &mut Value, tag: &str, manifest: &Blob) -> Result<()> {
    let mut descriptor = manifest.descriptor.clone();
    descriptor.annotations.insert(NAME, tag.to_owned());
    let manifests = index["manifests"].as_array_mut().context("its index.json lists nothing")?;
    manifests.retain(|known| name(known) != Some(tag));
    manifests.push(serde_json::to_value(descriptor)?);
    manifests.sort_by(|a, b| name(a).cmp(&name(b)));
    Ok(())
}

fn name(descriptor: &Value) -> Option<&str> {
    descriptor["annotations"][NAME].as_str()
}
