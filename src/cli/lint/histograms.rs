//! Bounds of histograms: the module's names begin with `wasmcustom`.

use super::Scene;
use crate::documents::{Document, DocumentKind, Home};
use crate::finding::{Finding, Rule};
use crate::text::{Node, embedded};

const ANNOTATION: &str = "sidecar.istio.io/statsHistogramBuckets";

/// Bounds in a bootstrap with the module, or in Istio's annotation.
pub fn check(document: &Document, scene: &Scene, findings: &mut Vec<Finding>) {
    if document.kind == DocumentKind::Bootstrap {
        bootstrap(document, scene, findings);
    }
    let ours = scene.plugins.iter().any(|plugin| plugin.home == Home::Istio);
    document.node.walk(&mut |node| {
        let Some(value) = node.get(ANNOTATION) else { return };
        let inner = embedded(value, &document.source.text);
        let Some(Ok(Some(inner))) = inner.map(|inner| inner.parse()) else { return };
        let reaches = |entry: &crate::text::Entry| "wasmcustom".starts_with(&entry.key);
        if ours && inner.is_map() && !inner.entries().iter().any(reaches) {
            let message = "no bounds for the histograms of the plugin";
            findings.push(
                Finding::warning(Rule::Buckets, &document.source, &inner.span, message)
                    .fix("add the same bounds under \"wasmcustom\""),
            );
        }
    });
}

fn bootstrap(document: &Document, scene: &Scene, findings: &mut Vec<Finding>) {
    let mut plugins = scene.plugins.iter();
    let Some(plugin) = plugins.find(|plugin| {
        plugin.home == Home::Bootstrap && std::ptr::eq(&scene.documents[plugin.document], document)
    }) else {
        return;
    };
    let config = document.node.either(["stats_config", "statsConfig"]);
    let settings = config
        .and_then(|config| config.either(["histogram_bucket_settings", "histogramBucketSettings"]))
        .map(Node::items)
        .unwrap_or_default();
    let prefixes: Vec<&str> =
        settings.iter().filter_map(|setting| setting.text_at(&["match", "prefix"])).collect();
    let istio = settings.iter().find(|setting| {
        let prefix = setting.text_at(&["match", "prefix"]);
        prefix.is_some_and(|prefix| prefix.starts_with("istio"))
    });
    let reached = prefixes.iter().any(|prefix| "wasmcustom.".starts_with(prefix));
    if let Some(istio) = istio.filter(|_| !reached) {
        let message = "no bounds for the histograms of the plugin";
        findings.push(
            Finding::warning(Rule::Buckets, &plugin.source, &istio.span, message)
                .fix("add the same bounds with match: {prefix: wasmcustom}"),
        );
    }
}
