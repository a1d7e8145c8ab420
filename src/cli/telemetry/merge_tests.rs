//! The rows of Istio's own `telemetry_test.go`, as resources.

use std::rc::Rc;

use super::{Mode, PerMetric, Workload, resolve};
use crate::documents::{Document, DocumentKind};
use crate::telemetry::{METRICS, read};
use crate::text::{Source, parse};

/// What both sides end up with, for resources given as (namespace, `spec.metrics`).
#[track_caller]
fn ends_up(resources: &[(&str, &str)]) -> [Option<Vec<PerMetric>>; 2] {
    let telemetries: Vec<_> = resources
        .iter()
        .enumerate()
        .map(|(i, (namespace, metrics))| {
            let text = format!(
                "apiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: {{name: t{i}, namespace: {namespace}}}\nspec: {{metrics: {metrics}}}\n"
            );
            let node = parse(&text).unwrap().remove(0);
            let source = Rc::new(Source { name: "t".to_owned(), text });
            read(&Document { source, node, kind: DocumentKind::Telemetry }).unwrap()
        })
        .collect();
    let resolved =
        resolve(&telemetries, "istio-system", &Workload { namespace: "ns", labels: &[] });
    [Mode::Client, Mode::Server].map(|mode| resolved.side(mode).map(<[_]>::to_vec))
}

fn with(name: &str, dimensions: &[(&str, &str)], remove: &[&str]) -> PerMetric {
    PerMetric {
        name: name.to_owned(),
        drop: false,
        dimensions: dimensions.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        tags_to_remove: remove.iter().map(|tag| (*tag).to_owned()).collect(),
    }
}

fn all_with(dimensions: &[(&str, &str)]) -> Vec<PerMetric> {
    METRICS.iter().map(|(_, name)| with(name, dimensions, &[])).collect()
}

const ROOT: &str = "istio-system";

#[test]
fn nothing_is_the_default_filter() {
    assert_eq!(ends_up(&[]), [Some(vec![]), Some(vec![])]);
}

#[test]
fn all_metrics_disabled_is_no_filter() {
    assert_eq!(ends_up(&[(ROOT, "[{overrides: [{disabled: true}]}]")]), [None, None]);
    let all = "[{overrides: [{match: {metric: ALL_METRICS}, disabled: true}]}]";
    assert_eq!(ends_up(&[(ROOT, all)]), [None, None]);
    assert_eq!(
        ends_up(&[(ROOT, all), ("ns", "[{providers: [{name: prometheus}]}]")]),
        [None, None]
    );
}

#[test]
fn any_later_override_brings_the_filter_back() {
    let off = "[{overrides: [{disabled: true}]}]";
    let back = ends_up(&[(ROOT, off), ("ns", "[{overrides: [{match: {metric: ALL_METRICS}}]}]")]);
    assert_eq!(back, [Some(all_with(&[])), Some(all_with(&[]))]);
    let one = "[{overrides: [{match: {metric: REQUEST_COUNT}, tagOverrides: {add: {value: bar}, remove: {operation: REMOVE}}}]}]";
    let expected = vec![with("requests_total", &[("add", "bar")], &["remove"])];
    assert_eq!(ends_up(&[(ROOT, off), ("ns", one)]), [Some(expected.clone()), Some(expected)]);
}

#[test]
fn order_beats_specificity() {
    let count = "{match: {metric: REQUEST_COUNT}, tagOverrides: {add: {value: own}}}";
    let all = "{match: {metric: ALL_METRICS}, tagOverrides: {add: {value: bar}}}";
    let mut expected = all_with(&[("add", "bar")]);
    expected[2] = with("requests_total", &[("add", "own")], &[]);
    let [client, _] = ends_up(&[("ns", &format!("[{{overrides: [{all}, {count}]}}]"))]);
    assert_eq!(client, Some(expected));
    let [client, _] = ends_up(&[("ns", &format!("[{{overrides: [{count}, {all}]}}]"))]);
    assert_eq!(client, Some(all_with(&[("add", "bar")])));
}

#[test]
fn modes_are_separate() {
    let server_off = "{match: {mode: SERVER}, disabled: true}";
    let client_tag =
        "{match: {metric: REQUEST_COUNT, mode: CLIENT}, tagOverrides: {a: {value: b}}}";
    let [client, server] =
        ends_up(&[("ns", &format!("[{{overrides: [{server_off}, {client_tag}]}}]"))]);
    assert_eq!(client, Some(vec![with("requests_total", &[("a", "b")], &[])]));
    assert_eq!(server, None);
}

#[test]
fn providers_are_inherited_and_the_last_list_decides() {
    let root = "[{providers: [{name: prometheus}]}]";
    let tag = "[{overrides: [{match: {metric: REQUEST_COUNT}, tagOverrides: {a: {value: b}}}]}]";
    let [client, _] = ends_up(&[(ROOT, root), ("ns", tag)]);
    assert_eq!(client, Some(vec![with("requests_total", &[("a", "b")], &[])]));
    assert_eq!(
        ends_up(&[(ROOT, root), ("ns", "[{providers: [{name: stackdriver}]}]")]),
        [None, None]
    );
}

#[test]
fn a_disabled_metric_is_dropped() {
    let off = "[{overrides: [{match: {metric: REQUEST_SIZE}, disabled: true}]}]";
    let [client, _] = ends_up(&[("ns", off)]);
    let dropped = PerMetric { drop: true, ..with("request_bytes", &[], &[]) };
    assert_eq!(client, Some(vec![dropped]));
}
