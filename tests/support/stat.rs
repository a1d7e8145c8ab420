//! Stat names as Envoy's `stats_tags` take them apart.

use std::collections::BTreeMap;

/// Metric name and labels of a stat name `label=.=value;.;label=.=value;.;metric`, as the bootstrap's regexes see it:
/// a value ends at the first `;.;`. What no regex takes stays in the name, as in Envoy.
pub fn parse(stat: &str) -> (String, BTreeMap<String, String>) {
    let mut labels = BTreeMap::new();
    let mut rest = stat;
    while let Some((label, value, after)) = first_label(rest) {
        labels.insert(sanitize(label), value.to_owned());
        rest = after;
    }
    if let Some((component, after)) = dotted(rest, "component.", ".")
        && let Some((tag, name)) = dotted(after, "tag.", ";.")
    {
        labels.insert("component".to_owned(), component.to_owned());
        labels.insert("tag".to_owned(), tag.to_owned());
        rest = name;
    }
    (sanitize(rest), labels)
}

fn first_label(stat: &str) -> Option<(&str, &str, &str)> {
    let (label, rest) = stat.split_once("=.=")?;
    let (value, rest) = rest.split_once(";.;")?;
    Some((label, value, rest))
}

fn dotted<'a>(text: &'a str, prefix: &str, end: &str) -> Option<(&'a str, &'a str)> {
    text.strip_prefix(prefix)?.split_once(end)
}

/// Prometheus' alphabet: Envoy writes `_` for everything else.
fn sanitize(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '_' || c == ':' { c } else { '_' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_come_out_of_the_name() {
        let (name, labels) = parse(
            "reporter=.=source;.;grpc_response_status=.=;.;app=.=a.b=c;.;istio_requests_total",
        );
        assert_eq!(name, "istio_requests_total");
        assert_eq!(
            format!("{labels:?}"),
            r#"{"app": "a.b=c", "grpc_response_status": "", "reporter": "source"}"#
        );
    }

    #[test]
    fn the_build_gauge_has_its_own_form() {
        let (name, labels) = parse("component.proxy.tag.1.28.0;.istio_build");
        assert_eq!(name, "istio_build");
        assert_eq!(format!("{labels:?}"), r#"{"component": "proxy", "tag": "1.28.0"}"#);
    }

    #[test]
    fn a_name_without_labels_stays() {
        assert_eq!(
            parse("opmeter_errors_total"),
            ("opmeter_errors_total".to_owned(), BTreeMap::new())
        );
    }
}
