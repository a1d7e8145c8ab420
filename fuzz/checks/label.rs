//! Labels inside stat names, and their way out again through the bootstraps' `stats_tags`.

use arbitrary::{Result, Unstructured};
use opmeter_core::config::StatNames;
use opmeter_core::metric::Value;
use opmeter_core::metric::name::{Encoder, build_info};
use opmeter_core::metric::standard::{HTTP_LABELS, labels};
use regex::{Regex, RegexSet};
use std::cell::OnceCell;
use std::collections::BTreeMap;

/// Any values, under the tags of each bootstrap in `envoy/` and of Istio's own: exactly the labels that were written come
/// out, each with its value, and what remains is the metric's name.
pub fn label(data: &[u8]) {
    thread_local! {
        static BOOTSTRAPS: OnceCell<Vec<Bootstrap>> = const { OnceCell::new() };
    }
    BOOTSTRAPS.with(|bootstraps| {
        let _ = render(bootstraps.get_or_init(bootstraps_known), &mut Unstructured::new(data));
    });
}

/// How one bootstrap takes names apart.
struct Bootstrap {
    encoder: Encoder,
    separators: [&'static str; 2],
    traps: &'static [&'static str],
    /// Labels that it takes out.
    names: Vec<String>,
    tags: Vec<(String, Regex)>,
    any: RegexSet,
}

/// Longest value, in bytes: as short as it can be asked for.
const LONGEST: usize = 32;

const METRICS: [&str; 3] = ["istio_requests_total", "istio_tcp_sent_bytes_total", "istio_build"];

fn render(bootstraps: &[Bootstrap], input: &mut Unstructured<'_>) -> Result<()> {
    let bootstrap = input.choose(bootstraps)?;
    if input.ratio(1, 16)? {
        return build(bootstrap, input);
    }
    let mut name = String::new();
    let mut written: BTreeMap<&str, Value<'_>> = BTreeMap::new();
    for _ in 0..input.int_in_range(1..=3)? {
        let label = input.choose(&bootstrap.names)?.as_str();
        let value = match input.int_in_range(0..=7)? {
            0 => Value::Absent,
            1 => Value::Int(input.arbitrary()?),
            2 => Value::Flags(input.arbitrary()?),
            _ => {
                let len = input.int_in_range(0..=40)?;
                Value::Text(input.bytes(len.min(input.len()))?)
            }
        };
        if written.contains_key(label) {
            continue;
        }
        bootstrap.encoder.label(label, value, &mut name);
        written.insert(label, value);
    }
    let metric = *input.choose(&METRICS)?;
    name.push_str(metric);
    let (rest, tags) = bootstrap.take_apart(&name);
    assert_eq!(rest, format!("wasmcustom.{metric}"), "{name}");
    written.retain(|_, value| *value != Value::Absent);
    assert!(tags.keys().eq(written.keys()), "{tags:?} for {name}");
    for (label, value) in written {
        match value {
            Value::Absent => {}
            Value::Int(number) => bootstrap.check_text(number.to_string().as_bytes(), tags[label]),
            Value::Flags(_) | Value::ConnectionFlags(_) => {
                let known =
                    |c: char| c.is_ascii_uppercase() || c.is_ascii_hexdigit() || "-,_~".contains(c);
                assert!(!tags[label].is_empty() && tags[label].chars().all(known));
            }
            Value::Text(bytes) => bootstrap.check_text(bytes, tags[label]),
        }
    }
    Ok(())
}

/// The build gauge has no label of ours. Its version is the operator's word, which is only not looked into for words of
/// Istio's tags.
fn build(bootstrap: &Bootstrap, input: &mut Unstructured<'_>) -> Result<()> {
    let version = input.bytes(input.len())?;
    let text = String::from_utf8_lossy(version);
    let spelt: String = text.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
    let mut traps = bootstrap.traps.iter().map(|trap| trap.trim_matches('.'));
    if version.is_empty() || traps.any(|trap| spelt.contains(trap)) {
        return Ok(());
    }
    let name = build_info("istio", "proxy", version);
    let (rest, tags) = bootstrap.take_apart(&name);
    assert_eq!(rest, "wasmcustom.istio_build", "{name}");
    assert_eq!(tags.keys().copied().collect::<Vec<_>>(), ["component", "tag"], "{name}");
    assert_eq!(tags["component"], "proxy");
    Ok(())
}

// === impl Bootstrap ===

impl Bootstrap {
    fn new(
        separators: [&'static str; 2],
        traps: &'static [&'static str],
        tags: Vec<(String, String)>,
    ) -> Self {
        let [field, value] = separators;
        let names = StatNames {
            field_separator: field.to_owned(),
            value_separator: value.to_owned(),
            ..StatNames::default()
        };
        let part = format!("{}(.*?){})", regex::escape(value), regex::escape(field));
        let labels = tags.iter().filter(|(_, regex)| regex.ends_with(&part));
        let labels: Vec<String> = labels.map(|(name, _)| name.clone()).collect();
        assert!(labels.len() >= HTTP_LABELS.len());
        Self {
            encoder: Encoder::new(&names, !traps.is_empty(), LONGEST),
            separators,
            traps,
            names: labels,
            any: RegexSet::new(tags.iter().map(|(_, regex)| regex)).expect("regexes"),
            tags: tags
                .into_iter()
                .map(|(name, regex)| (name, Regex::new(&regex).expect("a regex")))
                .collect(),
        }
    }

    /// What Envoy makes of a stat name of a module: each expression is searched in the whole name, its first group is taken
    /// out, its second is the value (Envoy `TagExtractorStdRegexImpl`, `TagProducerImpl`).
    fn take_apart<'n>(&self, name: &'n str) -> (String, BTreeMap<&str, &'n str>)
where {
        let full = format!("wasmcustom.{name}");
        let shift = full.len() - name.len();
        let mut tags = BTreeMap::new();
        let mut taken = vec![false; full.len()];
        for at in &self.any.matches(&full) {
            let (tag, regex) = &self.tags[at];
            let Some(groups) = regex.captures(&full) else { continue };
            let (Some(out), Some(value)) = (groups.get(1), groups.get(2)) else { continue };
            taken[out.range()].fill(true);
            tags.insert(tag.as_str(), &name[value.start() - shift..value.end() - shift]);
        }
        let kept = full.char_indices().filter(|(at, _)| !taken[*at]).map(|(_, c)| c).collect();
        (kept, tags)
    }

    /// A value comes out with each character in its place or replaced by `_`, and verbatim when nothing in it is special.
    fn check_text(&self, bytes: &[u8], rendered: &str) {
        let text = String::from_utf8_lossy(bytes);
        assert!(rendered.len() <= LONGEST, "{rendered}");
        let (text, rendered) = match text.len() {
            ..=LONGEST => (text.as_ref(), rendered),
            _ => {
                // What is cut ends in a hash of 16 digits; a character is cut as a whole.
                let (head, hash) = rendered.rsplit_once('~').expect("a hash");
                assert!(hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()));
                let chars = text.char_indices().nth(head.chars().count());
                (&text[..chars.map_or(text.len(), |(end, _)| end)], head)
            }
        };
        assert_eq!(text.chars().count(), rendered.chars().count());
        for (given, written) in text.chars().zip(rendered.chars()) {
            assert!(
                written == given && !given.is_control() || written == '_',
                "{given:?} {written:?}"
            );
        }
        let special = |c: char| c.is_control() || self.separators.concat().contains(c);
        // With Istio's tags the dot is one of them only where a trap is near.
        let dots =
            |c: char| if self.traps.is_empty() { special(c) } else { special(c) && c != '.' };
        let trapped = self.traps.iter().any(|trap| text.contains(trap.trim_matches('.')));
        if !text.chars().any(dots) && !trapped {
            assert_eq!(text, rendered);
        }
    }
}

/// What the expressions of [`istio_tags`] that are not labels of ours look for, as literal text.
const TRAPS: &[&str] = &[
    "cache.",
    "component.",
    "rbac.",
    "tag.",
    "wasm_filter.",
    ".shadow_allowed",
    ".shadow_denied",
    ".istio_dry_run_allow",
    ".istio_dry_run_deny",
];

fn bootstraps_known() -> Vec<Bootstrap> {
    const DEFAULT: [&str; 2] = [";.;", "=.="];
    let ours = [
        include_str!("../../envoy/client-sidecar.yaml"),
        include_str!("../../envoy/server-sidecar.yaml"),
        include_str!("../../envoy/gateway.yaml"),
    ];
    let mut all: Vec<Bootstrap> =
        ours.map(|text| Bootstrap::new(DEFAULT, &[], stats_tags(text))).into();
    all.push(Bootstrap::new(DEFAULT, TRAPS, istio_tags()));
    for separators in [["|", ":"], ["-", ","], [";;", "=;="], [",", ":"]] {
        all.push(Bootstrap::new(separators, &[], own_tags(separators)));
    }
    all
}

/// The tags of a bootstrap that have an expression; those without are Envoy's built-in ones, none of which begins with
/// what a module's names begin with.
fn stats_tags(bootstrap: &str) -> Vec<(String, String)> {
    let document: serde_yaml_ng::Value = serde_yaml_ng::from_str(bootstrap).expect("YAML");
    let tags = document["stats_config"]["stats_tags"].as_sequence().expect("stats tags");
    let text = |tag: &serde_yaml_ng::Value, key: &str| tag[key].as_str().map(str::to_owned);
    tags.iter().filter_map(|tag| Some((text(tag, "tag_name")?, text(tag, "regex")?))).collect()
}

/// What Istio's agent writes (istio `envoy_bootstrap.json`): generic tags, and one for each label, none anchored.
fn istio_tags() -> Vec<(String, String)> {
    let generic = [
        ("authz_enforce_result", r"rbac(\.(allowed|denied))"),
        ("authz_dry_run_action", r"(\.istio_dry_run_(allow|deny)_)"),
        ("authz_dry_run_result", r"(\.shadow_(allowed|denied))"),
        ("cache", r"(cache\.(.+?)\.)"),
        ("component", r"(component\.(.+?)\.)"),
        ("response_code", r"_rq(_(\d{3}))$"),
        ("response_code_class", r"_rq(_(\dxx))$"),
        ("tag", r"(tag\.(.+?);\.)"),
        ("wasm_filter", r"(wasm_filter\.(.+?)\.)"),
    ];
    let generic = generic.map(|(name, regex)| (name.to_owned(), regex.to_owned()));
    let names = HTTP_LABELS.into_iter().map(|label| label.name());
    names.map(|name| (name.to_owned(), format!(r"({name}=\.=(.*?);\.;)"))).chain(generic).collect()
}

/// Tags for other separators, as an operator would write them after our own.
fn own_tags([field, value]: [&str; 2]) -> Vec<(String, String)> {
    let (field, value) = (regex::escape(field), regex::escape(value));
    let occasion = opmeter_core::metric::standard::Occasion::Request;
    let names = labels(occasion).map(|label| label.name()).chain(["app"]);
    let regex = |name| format!(r"^wasmcustom\.(?:.*?{field})?({name}{value}(.*?){field})");
    let build = [
        ("component", r"^wasmcustom\.(component\.(.+?)\.)tag\..+?;\."),
        ("tag", r"^wasmcustom\.component\..+?\.(tag\.(.+?);\.)"),
    ];
    let build = build.map(|(name, regex)| (name.to_owned(), regex.to_owned()));
    names.map(|name| (name.to_owned(), regex(name))).chain(build).collect()
}
