//! The recorder against a scripted proxy: what happens when the proxy does not play along.

mod support;

use opmeter_core::attribute::Fact;
use opmeter_core::record::{self, Verdict};
use opmeter_core::{Recorder, Stream, configure};
use support::{Script, Stats, int};

fn at(method: &str, path: &str) -> Script {
    let mut host = ok_request();
    host.facts.insert(Fact::Method, method.as_bytes().to_vec());
    host.facts.insert(Fact::Path, path.as_bytes().to_vec());
    host
}

const OPERATIONS: &str = r#"{"attributes":[{"output_attribute":"op",
    "match":[{"value":"healthy","condition":"is_probe"}],
    "operations":[{"value":"user","method":"GET","path":"/users/{id}"},{"value":"me","path":"/users/me"}],
    "openapi":{"openapi":"3.1.0","servers":[{"url":"https://example.com/v1"}],
               "paths":{"/orders/{id}":{"get":{"operationId":"getOrder"},"delete":{}}}}}],
    "metrics":[{"dimensions":{"operation":"op"}}]}"#;

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

/// The budget is asked of what the workers share; a stream counts whatever comes of that.
#[test]
fn a_stream_counts_even_if_other_workers_are_always_faster() {
    let (mut host, mut stats) = (ok_request(), Stats::default());
    let mut recorder = recorder("{}", &mut host, &mut stats);
    stats.contended = true;
    log(&mut recorder, &mut host, &mut stats);
    log(&mut recorder, &mut host, &mut stats);
    assert_eq!(stats.total("istio_requests_total"), 2);
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

/// A filter in front that answers by itself leaves only the log: the headers are as that filter saw them.
#[test]
fn what_was_never_seen_as_a_request_is_derived_for_the_log() {
    let (mut host, mut stats) = (ok_request(), Stats::default());
    host.answers.insert("early".into(), vec![1]);
    host.answers.insert("after".into(), vec![1]);
    let config = r#"{"attributes":[
        {"output_attribute":"late","match":[{"value":"2","condition":"after"}]},
        {"output_attribute":"op","phase":"ON_REQUEST","match":[{"value":"get","condition":"early"}]}],
        "metrics":[{"dimensions":{"operation":"op"}}]}"#;
    let mut recorder = recorder(config, &mut host, &mut stats);
    recorder.on_log(&mut Stream::default(), &mut host, &mut stats);
    let both = [("op".to_owned(), "get".to_owned()), ("late".to_owned(), "2".to_owned())];
    assert_eq!(host.published, both);
    assert!(stats.labels("istio_requests_total").contains("operation=.=get;.;"));
}

#[test]
fn an_error_abandons_one_attribute_and_is_counted() {
    let (mut host, mut stats) = (ok_request(), Stats::default());
    host.answers.insert("no_bool".into(), b"text".to_vec());
    let config = r#"{"attributes":[
        {"output_attribute":"a","match":[{"value":"1","condition":"missing"},{"value":"2"}]},
        {"output_attribute":"b","match":[{"value":"1","condition":"no_bool"},{"value":"2"}]},
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
    let mut host = Script { refused: vec!["broken()".into()], ..Script::default() };
    let config = r#"{"strict":true,
        "attributes":[{"output_attribute":"op","match":[{"value":"x","condition":"broken("}]}],
        "definitions":[{"name":"calls","value":"broken()"}],
        "metrics":[{"dimensions":{"a":"xds.node.id + broken()","b":"1"}},{"match":"1 = 2","tags_to_remove":["reporter"]}]}"#;
    let lines: Vec<String> = configure(config.as_bytes(), &mut host)
        .unwrap_err()
        .into_problems()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        lines,
        [
            "attributes[0].match[0].condition: 1:8: expected \")\", found end of expression; attribute \"op\" is left out",
            "definitions[0].value: 1:1: unknown function \"broken\"; metric \"calls\" is left out",
            "metrics[0].dimensions.a: 1:15: unknown function \"broken\"; label \"a\" is left out",
            "metrics[1].match: 1:3: unexpected \"=\" (did you mean \"==\"?); the entry has no effect",
        ]
    );
}

#[test]
fn an_expression_that_is_too_long_is_not_given_to_the_proxy() {
    let long = "a".repeat(9_000);
    let config = format!(r#"{{"metrics":[{{"dimensions":{{"a":"{long}"}}}}]}}"#);
    let warnings = configure(config.as_bytes(), &mut Script::default()).unwrap().problems;
    assert_eq!(
        warnings[0].to_string(),
        "metrics[0].dimensions.a: 1:1: expression of 9000 bytes, at most 8192 are allowed; label \"a\" is left out"
    );
}

#[test]
fn problems_of_a_configuration_are_counted() {
    let mut stats = Stats::default();
    record::count_configuration(Verdict::Rejected, false, 3, &mut stats);
    record::count_configuration(Verdict::Accepted, true, 1, &mut stats);
    record::count_configuration(Verdict::Unreadable, true, 1, &mut stats);
    assert_eq!(stats.total("opmeter_config_errors_total"), 5);
    assert_eq!(stats.total("opmeter_config_unreadable_total"), 1);
    assert_eq!(stats.total("opmeter_config_rejected_total"), 1);
    assert_eq!(stats.total("opmeter_config_accepted_total"), 2);
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

/// A proxy is asked once for all expressions, and what takes the place of `string()` says the same of bools.
#[test]
fn an_older_proxy_has_bools_written_out() {
    let config = r#"{"metrics":[{"dimensions":{"a":"[request.method == 'GET'][0]","b":"[request.path][0]"}}]}"#;
    let old = |text: &str| {
        format!("type(\n{text}\n) == bool ? ((\n{text}\n) ? 'true' : 'false') : string(\n{text}\n)")
    };
    for bools_fail in [false, true] {
        let (mut host, mut stats) = (ok_request(), Stats::default());
        host.bools_fail = bools_fail;
        for (text, value) in [("[request.method == 'GET'][0]", "true"), ("[request.path][0]", "/")]
        {
            let key = if bools_fail { old(text) } else { text.to_owned() };
            host.answers.insert(key, value.into());
        }
        let mut recorder = recorder(config, &mut host, &mut stats);
        assert_eq!(host.expressions.iter().filter(|text| *text == "string(true)").count(), 1);
        log(&mut recorder, &mut host, &mut stats);
        let labels = stats.labels("istio_requests_total");
        assert!(labels.contains("a=.=true;.;") && labels.contains("b=.=/;.;"), "{labels}");
    }
}

#[test]
fn conditions_come_before_operations_and_those_before_the_document() {
    for (method, path, probe, operation) in [
        ("GET", "/users/7", false, "user"),
        ("GET", "/users/me?x=1", false, "me"),
        ("PUT", "/users/7", false, "unknown"),
        ("GET", "/users/7", true, "healthy"),
        ("GET", "/v1/orders/9", false, "getOrder"),
        ("DELETE", "/v1/orders/9", false, "DELETE /v1/orders/{id}"),
        ("get", "/v1/orders/9", false, "unknown"),
        ("GET", "/orders/9", false, "unknown"),
        ("", "", false, "unknown"),
    ] {
        let (mut host, mut stats) = (at(method, path), Stats::default());
        host.answers.insert("is_probe".into(), vec![u8::from(probe)]);
        let mut recorder = recorder(OPERATIONS, &mut host, &mut stats);
        log(&mut recorder, &mut host, &mut stats);
        let labels = stats.labels("istio_requests_total");
        let label = format!("operation=.={operation};.;");
        assert!(labels.contains(&label), "{method} {path}: {labels}");
    }
}

#[test]
fn ten_thousand_operations_cost_the_calls_of_one() {
    let operations: Vec<String> = (0..10_000)
        .map(|i| format!(r#"{{"method":"GET","path":"/api/v1/resource{i}/{{id}}"}}"#))
        .collect();
    let config = format!(
        r#"{{"attributes":[{{"output_attribute":"op","operations":[{}]}}]}}"#,
        operations.join(",")
    );
    let (mut host, mut stats) = (at("GET", "/api/v1/resource9999/7"), Stats::default());
    let mut recorder = recorder(&config, &mut host, &mut stats);
    log(&mut recorder, &mut host, &mut stats);
    let (evaluations, calls) = (host.evaluations, stats.calls);
    log(&mut recorder, &mut host, &mut stats);
    assert_eq!((host.evaluations - evaluations, stats.calls - calls), (1, 4));
    assert_eq!(host.published[1].1, "GET /api/v1/resource9999/{id}");
}

/// Conditions of path and method are looked up together; whatever else is native reads from the one list.
#[test]
fn a_thousand_conditions_cost_the_calls_of_one() {
    let conditions: Vec<String> = (0..1_000)
        .map(|i| {
            format!(r#"{{"value":"{i}","condition":"request.url_path.matches('^/r{i}/[0-9]+$')"}}"#)
        })
        .collect();
    let config = format!(
        r#"{{"attributes":[{{"output_attribute":"op","match":[
            {{"value":"probe","condition":"request.headers['x'] == 'probe'"}},{}]}}],
        "metrics":[{{"match":"request.method == 'GET'","dimensions":{{
            "a":"op","b":"op + '/' + request.headers['x']","c":"request.host","d":"string(connection.id)"}}}}]}}"#,
        conditions.join(",")
    );
    let (mut host, mut stats) = (at("GET", "/r999/7?x=1"), Stats::default());
    host.facts.insert(Fact::Host, b"web".to_vec());
    host.attributes.insert("request.headers['x']".into(), b"y".to_vec());
    host.facts.insert(Fact::ConnectionId, int(9));
    let mut recorder = recorder(&config, &mut host, &mut stats);
    log(&mut recorder, &mut host, &mut stats);
    let (evaluations, calls) = (host.evaluations, stats.calls);
    log(&mut recorder, &mut host, &mut stats);
    assert_eq!((host.evaluations - evaluations, stats.calls - calls), (1, 4));
    let labels = stats.labels("istio_requests_total");
    assert!(labels.ends_with("a=.=999;.;b=.=999/y;.;c=.=web;.;d=.=9;.;"), "{labels}");
    assert_eq!(stats.total("opmeter_evaluation_errors_total"), 0);
}

/// A header that is missing leaves what reads it unknown, and nothing else; bytes of any kind pass.
#[test]
fn what_a_stream_does_not_have_is_unknown_and_no_error() {
    let config = r#"{"metrics":[{"dimensions":{
        "a":"request.headers['x']","b":"request.headers['y']","c":"has(request.referer) ? 'has' : 'none'",
        "d":"request.headers['x'].startsWith('a') ? 'yes' : 'no'"}}]}"#;
    let (mut host, mut stats) = (ok_request(), Stats::default());
    host.attributes.insert("request.headers['x']".into(), b"a\xff".to_vec());
    let mut recorder = recorder(config, &mut host, &mut stats);
    log(&mut recorder, &mut host, &mut stats);
    let labels = stats.labels("istio_requests_total");
    assert!(labels.ends_with("b=.=unknown;.;c=.=none;.;d=.=yes;.;"), "{labels}");
    assert_eq!(stats.total("opmeter_evaluation_errors_total"), 0);
}

#[test]
fn an_entry_applies_to_the_streams_its_condition_holds_for() {
    let config = r#"{"metrics":[
        {"match":"is_slow","dimensions":{"speed":"'slow'","reporter":"'me'"},"tags_to_remove":["source_app"]},
        {"name":"response_bytes","match":"is_slow","drop":true}]}"#;
    for (slow, present, absent) in [
        (true, ["speed=.=slow;.;", "reporter=.=me;.;"], "source_app"),
        (false, ["source_app=.=unknown;.;", "reporter=.=destination;.;"], "speed"),
    ] {
        let (mut host, mut stats) = (ok_request(), Stats::default());
        host.answers.insert("is_slow".into(), vec![u8::from(slow)]);
        let mut recorder = recorder(config, &mut host, &mut stats);
        log(&mut recorder, &mut host, &mut stats);
        let labels = stats.labels("istio_requests_total");
        assert!(present.iter().all(|label| labels.contains(label)), "{labels}");
        assert!(!labels.contains(absent), "{labels}");
        let dropped = !stats.names.iter().any(|(_, n)| n.ends_with("istio_response_bytes"));
        assert_eq!(dropped, slow);
    }
}

#[test]
fn an_entry_whose_condition_fails_does_not_apply() {
    let (mut host, mut stats) = (ok_request(), Stats::default());
    let config = r#"{"metrics":[{"match":"missing","dimensions":{"a":"'b'"}}]}"#;
    let mut recorder = recorder(config, &mut host, &mut stats);
    log(&mut recorder, &mut host, &mut stats);
    assert!(!stats.labels("istio_requests_total").contains("a=.=b"));
    assert_eq!(stats.total("opmeter_evaluation_errors_total"), 1);
}

/// A request that could not be read has neither method nor path nor headers.
#[test]
fn a_malformed_request_is_no_error() {
    let config = r#"{
        "attributes":[
            {"output_attribute":"a","match":[{"value":"1","condition":"request.method == 'GET'"},{"value":"2"}]},
            {"output_attribute":"b","operations":[{"path":"/items","value":"items"}]},
            {"output_attribute":"c","phase":"ON_REQUEST","match":[{"value":"1","condition":"request.host == 'h'"}]}],
        "metrics":[{"match":"request.headers['x'] == 'y'","dimensions":{
            "x":"request.headers['x'] + '!'","y":"string(request.size + 1)","a":"a","b":"b + c"}}]}"#;
    let (mut host, mut stats) = (Script::default(), Stats::default());
    let mut recorder = recorder(config, &mut host, &mut stats);
    log(&mut recorder, &mut host, &mut stats);
    assert_eq!(host.published, []);
    assert_eq!(stats.total("istio_requests_total"), 1);
    assert_eq!(stats.total("opmeter_evaluation_errors_total"), 0);
}

/// What is there and does not fit is an error; so is what the proxy cannot evaluate, as nobody knows why.
#[test]
fn what_cannot_be_evaluated_is_counted() {
    for dimension in [
        "request.headers['x'] + 1",
        "string(int(request.headers['x']))",
        "string(1 / int(request.headers['zero']))",
        "string(9223372036854775807 + int(request.headers['one']))",
        "[request.headers['y']][0]",
    ] {
        let config = format!(r#"{{"metrics":[{{"dimensions":{{"x":"{dimension}"}}}}]}}"#);
        let (mut host, mut stats) = (ok_request(), Stats::default());
        for (name, value) in [("x", "text"), ("zero", "0"), ("one", "1")] {
            host.attributes.insert(format!("request.headers['{name}']"), value.into());
        }
        let mut recorder = recorder(&config, &mut host, &mut stats);
        log(&mut recorder, &mut host, &mut stats);
        let labels = stats.labels("istio_requests_total");
        assert!(labels.ends_with("x=.=unknown;.;"), "{labels}");
        assert_eq!(stats.total("opmeter_evaluation_errors_total"), 1, "{dimension}");
    }
}
