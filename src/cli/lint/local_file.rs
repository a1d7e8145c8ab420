//! A module that Istio's proxy has to find in a file of its own.

use super::Scene;
use crate::documents::{DocumentKind, Home, Plugin};
use crate::finding::{Finding, Rule};
use crate::text::{Node, embedded};

const MOUNT: &str = "sidecar.istio.io/userVolumeMount";

/// What puts the file there.
pub const FIX: &str = "first mount a volume with the file into the proxy (annotations sidecar.istio.io/userVolume and \
                       userVolumeMount; give the Deployment's file in the same call), or let a WasmPlugin name an image (oci://)";

/// A warning, unless a document beside it mounts a volume with the file.
pub fn check(plugin: &Plugin, scene: &Scene, findings: &mut Vec<Finding>) {
    if plugin.home != Home::Istio {
        return;
    }
    let Some(document) = scene.documents.get(plugin.document) else { return };
    let mut files = Vec::new();
    let why = match document.kind {
        DocumentKind::WasmPlugin => Rule::LocalFile.why(),
        _ => {
            "where the file is not there, Envoy refuses the listener: a running proxy keeps the old one, a new one has none"
        }
    };
    match document.kind {
        DocumentKind::WasmPlugin => {
            let spec = document.node.get("spec");
            let url = spec.and_then(|spec| spec.get("url").or(spec.down(&["wasm", "url"])));
            files.extend(url.and_then(|url| Some((url, url.text()?.strip_prefix("file://")?))));
        }
        _ => document.node.walk(&mut |node| {
            let vm = node.either(["vm_config", "vmConfig"]);
            let file = vm.and_then(|vm| vm.down(&["code", "local", "filename"]));
            let ours = node.span.contains(&plugin.anchor.start);
            files.extend(file.filter(|_| ours).and_then(|file| Some((file, file.text()?))));
        }),
    }
    for (node, file) in files {
        if scene
            .documents
            .iter()
            .any(|document| mounts(&document.node, &document.source.text, file))
        {
            continue;
        }
        let message = format!("the proxy has to have the file {file}");
        let finding = Finding::warning(Rule::LocalFile, &plugin.source, &node.span, message);
        findings.push(finding.why(why).fix(FIX));
    }
}

/// Whether a resource mounts a volume into the sidecar in which the file can be.
fn mounts(resource: &Node, text: &str, file: &str) -> bool {
    let mut found = false;
    resource.walk(&mut |node| {
        let inner = node.get(MOUNT).and_then(|inner| embedded(inner, text));
        let Some(Ok(Some(volumes))) = inner.map(|inner| inner.parse()) else { return };
        volumes.walk(&mut |volume| {
            let inside = |path: &str| {
                let rest = file.strip_prefix(path.trim_end_matches('/'));
                rest.is_some_and(|rest| rest.starts_with('/'))
            };
            found |= volume.text_at(&["mountPath"]).is_some_and(inside);
        });
    });
    found
}
