//! The recorder against a scripted proxy: what happens when the proxy does not play along.

mod support;

use opmeter_core::attribute::Fact;
use opmeter_core::{Recorder, Stream, configure, record};
use support::{Script, Stats, int};

#[track_caller]
fn recorder(config: &str, host: &mut Script, stats: &mut Stats) -> Recorder {
    let configured = configure(config.as_bytes(), host).expect("the configuration is accepted");
    Recorder::new(configured.plan, host, stats)
}

fn log(recorder: &mut Recorder, host: &mut Script, stats: &mut Stats) {
    recorder.on_log(&mut Stream::default(), host, stats);
}

fn ok_request() -> Script {
    let facts = [
        (Fact::ListenerDirection, int(1)),
        (Fact::ResponseCode, int(200)),
        (Fact::Duration, int(5_900_000)),
        (Fact::RequestBytes, int(100)),
        (Fact::ResponseBytes, int(2_000)),
    ];
    Script { facts: facts.into(), ..Script::default() }
}

#[test]
fn a_stream_is_recorded_once() {
    let (mut host, mut stats) = (ok_request(), Stats::default());
    let mut recorder = recorder("{}", &mut host, &mut stats);
    let mut stream = Stream::default();
    recorder.on_log(&mut stream, &mut host, &mut stats);
    recorder.on_log(&mut stream, &mut host, &mut stats);
    assert_eq!(stats.total("istio_requests_total"), 1);
    assert_eq!(stats.total("istio_request_duration_milliseconds"), 5);
    assert_eq!(stats.total("istio_request_bytes"), 100);
    assert_eq!(stats.total("istio_response_bytes"), 2_000);
}

#[test]
fn a_known_label_set_costs_one_evaluation_and_one_call_per_metric() {
    let (mut host, mut stats) = (ok_request(), Stats::default());
    let mut recorder = recorder("{}", &mut host, &mut stats);
    log(&mut recorder, &mut host, &mut stats);
    let (evaluations, calls) = (host.evaluations, stats.calls);
    log(&mut recorder, &mut host, &mut stats);
    assert_eq!((host.evaluations - evaluations, stats.calls - calls), (1, 4));
}

#[test]
fn facts_are_fetched_one_by_one_when_the_list_fails() {
    let (mut host, mut stats) = (ok_request(), Stats::default());
    host.lists_fail = true;
    let mut recorder = recorder("{}", &mut host, &mut stats);
    log(&mut recorder, &mut host, &mut stats);
    let labels = stats.labels("istio_requests_total");
    assert!(labels.contains("reporter=.=destination;.;"), "{labels}");
    assert!(labels.contains("response_code=.=200;.;"), "{labels}");
    assert_eq!(stats.total("opmeter_evaluation_errors_total"), 0);
}

#[test]
fn a_list_that_is_not_one_is_no_list() {
    let (mut host, mut stats) = (ok_request(), Stats::default());
    host.facts.insert(Fact::Host, b"x".to_vec());
    let mut recorder = recorder("{}", &mut host, &mut stats);
    host.facts.clear();
    log(&mut recorder, &mut host, &mut stats);
    assert!(stats.labels("istio_requests_total").contains("response_code=.=0;.;"));
}

#[test]
fn a_duration_nobody_knows_is_not_recorded() {
    let (mut host, mut stats) = (ok_request(), Stats::default());
    host.facts.remove(&Fact::Duration);
    let mut recorder = recorder("{}", &mut host, &mut stats);
    log(&mut recorder, &mut host, &mut stats);
    assert_eq!(stats.total("istio_requests_total"), 1);
    assert!(
        !stats.names.iter().any(|(_, name)| name.ends_with("istio_request_duration_milliseconds"))
    );
}

#[test]
fn a_metric_the_proxy_refuses_is_counted_and_tried_again() {
    let (mut host, mut stats) = (ok_request(), Stats::default());
    let mut recorder = recorder("{}", &mut host, &mut stats);
    stats.defining_fails = true;
    log(&mut recorder, &mut host, &mut stats);
    assert_eq!(stats.total("opmeter_host_errors_total"), 4);
    stats.defining_fails = false;
    log(&mut recorder, &mut host, &mut stats);
    assert_eq!(stats.total("istio_requests_total"), 1);
}

#[test]
fn an_attribute_the_proxy_refuses_still_labels() {
    let (mut host, mut stats) = (ok_request(), Stats::default());
    host.publishing_fails = true;
    let config = r#"{"attributes":[{"output_attribute":"op","match":[{"value":"all"}]}],
                     "metrics":[{"dimensions":{"operation":"op"}}]}"#;
    let mut recorder = recorder(config, &mut host, &mut stats);
    log(&mut recorder, &mut host, &mut stats);
    assert!(stats.labels("istio_requests_total").contains("operation=.=all;.;"));
    assert_eq!(stats.total("opmeter_host_errors_total"), 1);
}

#[test]
fn what_was_derived_on_the_request_is_kept_for_the_log() {
    let (mut host, mut stats) = (ok_request(), Stats::default());
    host.answers.insert("early".into(), vec![1]);
    let config = r#"{"attributes":[
        {"output_attribute":"op","phase":"ON_REQUEST","match":[{"value":"get","condition":"early"}]}],
        "metrics":[{"dimensions":{"operation":"op"}}]}"#;
    let mut recorder = recorder(config, &mut host, &mut stats);
    let mut stream = Stream::default();
    recorder.on_request(&mut stream, &mut host, &mut stats);
    host.answers.insert("early".into(), vec![0]);
    recorder.on_log(&mut stream, &mut host, &mut stats);
    assert_eq!(host.published, [("op".to_owned(), "get".to_owned())]);
    assert!(stats.labels("istio_requests_total").contains("operation=.=get;.;"));
}

#[test]
fn an_error_abandons_one_attribute_and_is_counted() {
    let (mut host, mut stats) = (ok_request(), Stats::default());
    host.answers.insert("no bool".into(), b"text".to_vec());
    let config = r#"{"attributes":[
        {"output_attribute":"a","match":[{"value":"1","condition":"missing"},{"value":"2"}]},
        {"output_attribute":"b","match":[{"value":"1","condition":"no bool"},{"value":"2"}]},
        {"output_attribute":"c","match":[{"value":"3"}]}]}"#;
    let mut recorder = recorder(config, &mut host, &mut stats);
    log(&mut recorder, &mut host, &mut stats);
    assert_eq!(host.published, [("c".to_owned(), "3".to_owned())]);
    assert_eq!(stats.total("opmeter_evaluation_errors_total"), 2);
}

#[test]
fn an_attribute_nobody_matched_is_no_error() {
    let (mut host, mut stats) = (ok_request(), Stats::default());
    host.answers.insert("never".into(), vec![0]);
    let config = r#"{"attributes":[{"output_attribute":"op","match":[{"value":"1","condition":"never"}]}],
                     "metrics":[{"dimensions":{"operation":"op"}}]}"#;
    let mut recorder = recorder(config, &mut host, &mut stats);
    log(&mut recorder, &mut host, &mut stats);
    assert!(stats.labels("istio_requests_total").contains("operation=.=unknown;.;"));
    assert_eq!(stats.total("opmeter_evaluation_errors_total"), 0);
}

#[test]
fn an_attributes_only_plugin_defines_no_metric_of_streams() {
    let (mut host, mut stats) = (ok_request(), Stats::default());
    let config = r#"{"standard_metrics":false,"attributes":[{"output_attribute":"op","match":[{"value":"x"}]}]}"#;
    let mut recorder = recorder(config, &mut host, &mut stats);
    let (evaluations, calls) = (host.evaluations, stats.calls);
    log(&mut recorder, &mut host, &mut stats);
    assert_eq!((host.evaluations, stats.calls), (evaluations, calls));
    assert_eq!(host.published.len(), 1);
    assert!(!stats.names.iter().any(|(_, name)| name.contains("istio_")));
}

#[test]
fn strict_refuses_what_would_be_left_out() {
    let mut host = Script { refused: vec!["broken(".into()], ..Script::default() };
    let config = r#"{"strict":true,
        "attributes":[{"output_attribute":"op","match":[{"value":"x","condition":"broken("}]}],
        "definitions":[{"name":"calls","value":"broken("}],
        "metrics":[{"dimensions":{"a":"broken(","b":"1"}}]}"#;
    let lines: Vec<String> = configure(config.as_bytes(), &mut host)
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        lines,
        [
            "attributes[0].match[0].condition: expression does not compile: broken(; attribute \"op\" is left out",
            "definitions[0].value: expression does not compile: broken(; metric \"calls\" is left out",
            "metrics[0].dimensions.a: expression does not compile: broken(; label \"a\" is left out",
        ]
    );
}

#[test]
fn an_expression_that_is_too_long_is_not_given_to_the_proxy() {
    let long = "a".repeat(9_000);
    let config = format!(r#"{{"metrics":[{{"dimensions":{{"a":"{long}"}}}}]}}"#);
    let warnings = configure(config.as_bytes(), &mut Script::default()).unwrap().warnings;
    assert_eq!(
        warnings[0].to_string(),
        "metrics[0].dimensions.a: expression of 9000 bytes, at most 8192 are allowed; label \"a\" is left out"
    );
}

#[test]
fn problems_of_a_configuration_are_counted() {
    let mut stats = Stats::default();
    record::count_config_errors(3, &mut stats);
    assert_eq!(stats.total("opmeter_config_errors_total"), 3);
}

#[test]
fn a_value_of_zero_makes_the_series_without_an_increment() {
    let (mut host, mut stats) = (ok_request(), Stats::default());
    let config = r#"{"standard_metrics":false,"definitions":[{"name":"calls","value":"0"}]}"#;
    let mut recorder = recorder(config, &mut host, &mut stats);
    log(&mut recorder, &mut host, &mut stats);
    assert_eq!(stats.values.get("istio_calls"), Some(&0));
    assert_eq!(stats.total("opmeter_host_errors_total"), 0);
}
