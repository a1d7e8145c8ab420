//! Where stats tags come from: a bootstrap's `stats_config`, or Istio's `extraStatTags`.

use std::ops::Range;
use std::rc::Rc;

use regex::Regex;

use super::{Document, DocumentKind};
use crate::text::{Node, Source, embedded};

/// A list of stats tags.
#[derive(Debug)]
pub struct TagSource {
    /// The file.
    pub source: Rc<Source>,
    /// Number of the document.
    pub document: usize,
    /// Where the list stands.
    pub anchor: Range<usize>,
    /// How it is written.
    pub scheme: Scheme,
    /// Its tags, in order.
    pub tags: Vec<StatsTag>,
}

/// How tags are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `stats_config.stats_tags` of a bootstrap.
    Bootstrap,
    /// `extraStatTags`: Istio writes the expressions.
    Istio,
}

/// One stats tag.
#[derive(Debug)]
pub struct StatsTag {
    /// Name of the label.
    pub name: String,
    /// What takes it out of a name; `None` for one of Envoy's own.
    pub regex: Option<Regex>,
    /// Where it stands.
    pub span: Range<usize>,
}

const ANNOTATION: &str = "sidecar.istio.io/extraStatTags";
const PROXY_CONFIG: &str = "proxy.istio.io/config";
const EXTRA: &str = "extraStatTags";

/// Every list of tags of a document.
pub fn tag_sources(number: usize, document: &Document) -> Vec<TagSource> {
    let new = |anchor: &Range<usize>, scheme, tags| TagSource {
        source: Rc::clone(&document.source),
        document: number,
        anchor: anchor.clone(),
        scheme,
        tags,
    };
    if document.kind == DocumentKind::Bootstrap {
        let config = document.node.either(["stats_config", "statsConfig"]);
        let list = config.and_then(|c| c.either(["stats_tags", "statsTags"]));
        let anchor = list.or(config).map_or(0..0, |node| node.span.clone());
        let tags = list.map(Node::items).unwrap_or_default().iter().filter_map(of_bootstrap);
        return vec![new(&anchor, Scheme::Bootstrap, tags.collect())];
    }
    let mut lists = Vec::new();
    let text = &document.source.text;
    if document.kind == DocumentKind::EnvoyFilter {
        document.node.walk(&mut |node| {
            if let Some(list) = node.either(["stats_tags", "statsTags"]) {
                let tags = list.items().iter().filter_map(of_bootstrap).collect();
                lists.push(new(&list.span, Scheme::Istio, tags));
            }
        });
    }
    document.node.walk(&mut |node| {
        of_istio(node, &mut |node, tags| lists.push(new(&node.span, Scheme::Istio, tags)));
        // The mesh configuration of a ConfigMap, and the proxy's in an annotation, are YAML in a string.
        for key in ["mesh", PROXY_CONFIG] {
            let inner = node.get(key).and_then(|inner| embedded(inner, text));
            if let Some(Ok(Some(inner))) = inner.map(|inner| inner.parse()) {
                inner.walk(&mut |node| {
                    of_istio(node, &mut |node, tags| {
                        lists.push(new(&node.span, Scheme::Istio, tags));
                    });
                });
            }
        }
    });
    lists
}

fn of_bootstrap(node: &Node) -> Option<StatsTag> {
    let name = node.either(["tag_name", "tagName"])?;
    let regex = node.get("regex").and_then(Node::text).and_then(|regex| Regex::new(regex).ok());
    Some(StatsTag { name: name.text()?.to_owned(), regex, span: name.span.clone() })
}

fn of_istio(node: &Node, found: &mut dyn FnMut(&Node, Vec<StatsTag>)) {
    if let Some(list) = node.get(EXTRA) {
        let tags = list.items().iter().filter_map(|item| istio_tag(item.text()?, &item.span));
        found(list, tags.collect());
    }
    if let Some((node, text)) = node.get(ANNOTATION).and_then(|node| Some((node, node.text()?))) {
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        found(node, names.filter_map(|name| istio_tag(name, &node.span)).collect());
    }
}

/// Istio's expression for a name of its list (Istio, `bootstrap/config.go`, as in its releases so far).
fn istio_tag(name: &str, span: &Range<usize>) -> Option<StatsTag> {
    let regex = Regex::new(&format!(r"({name}=\.=(.*?);\.;)")).ok()?;
    Some(StatsTag { name: name.to_owned(), regex: Some(regex), span: span.clone() })
}
