//! What was written, for people and programs.

use anyhow::Result;
use serde_json::json;

use super::PackageArgs;
use super::image::Image;
use crate::finding::Format;
use crate::table;

/// Prints it.
pub fn print(args: &PackageArgs, image: &Image) -> Result<()> {
    let (folder, tag) = (args.output.display(), &args.tag);
    let manifest = &image.manifest.descriptor;
    let layers: Vec<_> = image.layers().iter().map(|layer| &layer.descriptor).collect();
    if args.format == Format::Json {
        let all = json!({
            "layout": folder.to_string(), "tag": tag, "manifest": manifest, "layers": layers,
        });
        anstream::println!("{}", serde_json::to_string_pretty(&all)?);
        return Ok(());
    }
    anstream::println!("{folder}:{tag}");
    anstream::println!("  manifest {} {}", manifest.digest, manifest.media_type);
    for layer in layers {
        let size = table::count(layer.size as u64);
        anstream::println!("  layer    {} {}, {size} bytes", layer.digest, layer.media_type);
    }
    Ok(())
}
