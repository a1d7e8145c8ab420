//! Every diagnostic of the configuration's structure and meaning, word by word.

use super::*;

#[track_caller]
fn reported(text: &str, expected: &[&str]) {
    let problems = match parse(text.as_bytes()) {
        Ok((_, problems)) => problems,
        Err(problem) => vec![problem],
    };
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(lines, expected);
}

#[track_caller]
fn warned(text: &str, expected: &[&str]) -> Config {
    let (config, warnings) = parse(text.as_bytes()).unwrap();
    let lines: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(lines, expected);
    config
}

#[track_caller]
fn accepted(text: &str) -> Config {
    warned(text, &[])
}

#[test]
fn nothing_is_the_default_configuration() {
    let config = accepted("");
    assert_eq!(config, accepted("{}"));
    assert_eq!(config, accepted(" \n"));
    assert!(config.standard_metrics && !config.strict && !config.disable_host_header_fallback);
    assert_eq!(config.reporter, ReporterMode::ByDirection);
    assert_eq!(config.stat_names, StatNames::default());
}

#[test]
fn text_that_is_not_json_is_reported_with_its_place() {
    reported("{", &["configuration: not JSON: EOF while parsing an object at line 1 column 1"]);
    reported("[]", &["configuration: found a list, expected an object"]);
    reported("\u{1}", &["configuration: not JSON: expected value at line 1 column 1"]);
}

#[test]
fn an_unknown_field_is_reported_with_the_nearest_name() {
    reported(
        r#"{"metrics":[{"nam":"x"}]}"#,
        &[
            "metrics[0].nam: unknown field (did you mean \"name\"?); the entry has no effect; allowed: dimensions, drop, match, name, tags_to_remove",
        ],
    );
    reported(
        r#"{"metrics":[{"":"x"}]}"#,
        &["metrics[0].\"\": unknown field; allowed: dimensions, drop, match, name, tags_to_remove"],
    );
    reported(
        r#"{"attributes":[{"output_attribute":"a","match":[{"value":"v","colour":1}]}]}"#,
        &["attributes[0].match[0].colour: unknown field; allowed: condition, value"],
    );
    reported(
        r#"{"definitions":[{"Name":"x","name":"y","value":"1"}]}"#,
        &[
            "definitions[0].Name: unknown field (did you mean \"name\"?); the entry has no effect; allowed: name, type, value",
        ],
    );
}

/// Without what narrows it, an entry would apply to more than was meant.
#[test]
fn an_entry_is_left_out_with_what_narrows_it() {
    let config = |text: &str| parse(text.as_bytes()).unwrap();
    for entry in [
        r#"{"nam":"requests_total","dimensions":{"a":"1"}}"#,
        r#"{"name":7,"dimensions":{"a":"1"}}"#,
        r#"{"mach":"request.method == 'GET'","dimensions":{"a":"1"}}"#,
        r#"{"match":true,"dimensions":{"a":"1"}}"#,
        "7",
    ] {
        let (config, problems) = config(&format!(r#"{{"metrics":[{entry}]}}"#));
        assert_eq!((config.metrics.len(), problems.len()), (0, 1), "{entry}");
    }
    for entry in [
        r#"{"condition":7,"value":"x"}"#,
        r#"{"conditon":"false","value":"x"}"#,
        r#"{"condition":"false"}"#,
    ] {
        let text = format!(
            r#"{{"attributes":[{{"output_attribute":"a","match":[{entry},{{"value":"y"}}]}}]}}"#
        );
        assert!(config(&text).0.attributes.is_empty(), "{entry}");
    }
    for entry in [
        r#"{"match":{"mode":"CLIENTS"},"tagOverrides":{"a":{"value":"1"}}}"#,
        r#"{"match":{"metrics":"REQUEST_COUNT"},"tagOverrides":{"a":{"value":"1"}}}"#,
        r#"{"mtch":{},"disabled":true}"#,
    ] {
        let text = format!(r#"{{"telemetry":{{"metrics":[{{"overrides":[{entry}]}}]}}}}"#);
        let (config, problems) = config(&text);
        assert_eq!((config.metrics.len(), problems.len()), (0, 1), "{entry}");
        assert_eq!(config.disabled, Disabled::default(), "{entry}");
    }
    let (exchange, _) = config(r#"{"metadata_exchange":{"skip_extrenal":true}}"#);
    assert!(exchange.exchange.is_some_and(|exchange| exchange.skip_external));
}

#[test]
fn a_field_of_a_later_version_is_left_out_alone() {
    let text = r#"{"later":{"a":[1]},"metrics":[{"name":"requests_total","later":1,"dimensions":{"a":"1"}}],
        "attributes":[{"output_attribute":"a","later":[],"match":[{"value":"x","later":true}]}]}"#;
    let (config, problems) = parse(text.as_bytes()).unwrap();
    assert_eq!((config.metrics.len(), config.attributes.len(), problems.len()), (1, 1, 4));
}

#[test]
fn an_unknown_selector_selects_nothing() {
    let text = r#"{"telemetry":{"metrics":[{"overrides":[{"match":{"workload":"a"},"disabled":true}]},
        {"providers":[{"kind":"a"}],"overrides":[{"disabled":true}]}]}}"#;
    let (config, problems) = parse(text.as_bytes()).unwrap();
    assert_eq!(config.disabled, Disabled::default());
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        problems,
        [
            "telemetry.metrics[0].overrides[0].match.workload: unknown field; the entry has no effect; allowed: \
             customMetric, metric, mode",
            "telemetry.metrics[1].providers[0].kind: unknown field; the entry has no effect; allowed: name",
        ]
    );
}

#[test]
fn without_a_provider_that_can_be_read_a_telemetry_has_no_effect() {
    for provider in [r#""provider":7"#, r#""providr":"mine""#] {
        let text = format!(
            r#"{{"telemetry":{{{provider},"metrics":[{{"providers":[{{"name":"mine"}}],"overrides":[{{"disabled":true}}]}}]}}}}"#
        );
        let (config, problems) = parse(text.as_bytes()).unwrap();
        assert_eq!((config.disabled, problems.len()), (Disabled::default(), 1), "{provider}");
        assert!(config.standard_metrics && config.metrics.is_empty(), "{provider}");
    }
}

#[test]
fn a_struct_is_named() {
    reported(
        "\n\u{b}\n\u{1}a\u{12}\u{6}\u{1a}\u{4}text",
        &[
            "configuration: found a serialised google.protobuf.Struct, expected JSON: give the configuration as google.protobuf.StringValue",
        ],
    );
    // A text that begins with an empty line is none.
    reported("\n\n{", &["configuration: not JSON: EOF while parsing an object at line 3 column 1"]);
}

#[test]
fn a_value_of_another_type_is_reported() {
    reported(
        r#"{"strict":"yes","attributes":{},"metrics":[{"drop":1,"dimensions":[],"tags_to_remove":["a",2],"name":null}]}"#,
        &[
            "attributes: found an object, expected a list",
            "strict: found the string \"yes\", expected true or false",
            "metrics[0].dimensions: found a list, expected an object",
            "metrics[0].tags_to_remove[1]: found the number 2, expected a string",
            "metrics[0].drop: found the number 1, expected true or false",
        ],
    );
    reported(
        r#"{"metrics":[{"dimensions":{"a":true}}, 5]}"#,
        &[
            "metrics[0].dimensions.a: found true, expected a string",
            "metrics[1]: found the number 5, expected an object",
        ],
    );
}

#[test]
fn a_long_value_is_shortened_in_the_message() {
    let long = "x".repeat(60);
    reported(
        &format!(r#"{{"strict":"{long}"}}"#),
        &[
            "strict: found the string \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...\", expected true or false",
        ],
    );
}

#[test]
fn enums_are_names_or_numbers() {
    assert_eq!(accepted(r#"{"reporter":"SERVER_GATEWAY"}"#).reporter, ReporterMode::ServerGateway);
    assert_eq!(accepted(r#"{"reporter":1}"#).reporter, ReporterMode::ServerGateway);
    reported(
        r#"{"reporter":"SERVER_GATEWAYS"}"#,
        &[
            "reporter: found the string \"SERVER_GATEWAYS\", expected UNSPECIFIED or SERVER_GATEWAY (did you mean \"SERVER_GATEWAY\"?)",
        ],
    );
    reported(
        r#"{"definitions":[{"name":"a","value":"1","type":7}]}"#,
        &[
            "definitions[0].type: found the number 7, expected COUNTER or GAUGE or HISTOGRAM; the entry has no effect",
        ],
    );
    reported(
        r#"{"attributes":[{"output_attribute":"a","phase":"ON_REQUESTS"}]}"#,
        &[
            "attributes[0].phase: found the string \"ON_REQUESTS\", expected PHASE_UNSPECIFIED or ON_REQUEST or AFTER_RESPONSE (did you mean \"ON_REQUEST\"?)",
        ],
    );
}

#[test]
fn protobuf_json_names_mean_the_same() {
    let config = accepted(
        r#"{"disableHostHeaderFallback":true,"metrics":[{"tagsToRemove":["a"]}],
            "attributes":[{"outputAttribute":"op","match":[{"value":"v"}]}]}"#,
    );
    assert!(config.disable_host_header_fallback);
    assert_eq!(config.metrics[0].tags_to_remove, ["a"]);
    assert_eq!(config.attributes[0].name, "op");
    reported(
        r#"{"disableHostHeaderFallback":true,"disable_host_header_fallback":false}"#,
        &["disable_host_header_fallback: also given as \"disableHostHeaderFallback\", keep one"],
    );
}

#[test]
fn an_attribute_needs_a_usable_name() {
    reported(
        r#"{"attributes":[{},{"output_attribute":"a.b"},{"output_attribute":""},{"output_attribute":"request"}]}"#,
        &[
            "attributes[0].output_attribute: missing, expected the attribute's name",
            "attributes[1].output_attribute: found \"a.b\", expected letters, digits, `_` and `-` without a `.`",
            "attributes[2].output_attribute: found \"\", expected letters, digits, `_` and `-` without a `.`",
            "attributes[3].output_attribute: found \"request\", which is the name of an Envoy attribute, choose another",
        ],
    );
    reported(
        r#"{"attributes":[{"output_attribute":"a","match":[{"condition":"true"}]}]}"#,
        &[
            "attributes[0].match[0].value: missing, expected the attribute's value",
            "attributes[0]: attribute \"a\" is left out, since an entry of it is",
        ],
    );
}

#[test]
fn attributes_keep_their_order_and_phase() {
    let config = accepted(
        r#"{"attributes":[
            {"output_attribute":"a","phase":"ON_REQUEST","match":[{"condition":"c1","value":"1"},{"value":"2"}]},
            {"output_attribute":"b","phase":"AFTER_RESPONSE"},
            {"output_attribute":"c","phase":"PHASE_UNSPECIFIED"}]}"#,
    );
    let phases: Vec<Phase> = config.attributes.iter().map(|a| a.phase).collect();
    assert_eq!(phases, [Phase::OnRequest, Phase::AfterResponse, Phase::AfterResponse]);
    let conditions: Vec<&str> =
        config.attributes[0].entries.iter().map(|e| e.condition.as_str()).collect();
    assert_eq!(conditions, ["c1", ""]);
}

#[test]
fn a_definition_that_cannot_be_used_is_left_out() {
    let config = warned(
        r#"{"definitions":[
            {"name":"ok","value":"1"},
            {"value":"1"},
            {"name":"requests_total","value":"1"},
            {"name":"ok","value":"2","type":"GAUGE"},
            {"name":"empty"},
            {"name":"a b","value":"1"}]}"#,
        &[
            "definitions[1].name: missing or empty, left out",
            "definitions[2].name: \"requests_total\" is a standard metric, left out",
            "definitions[3].name: \"ok\" is defined already by definitions[0], left out",
            "definitions[4].value: missing or empty, left out",
            "definitions[5].name: found \"a b\", expected at most 127 letters, digits, `_`, `.`, `:`, `/` and `-`, left out",
        ],
    );
    assert_eq!(config.definitions.len(), 1);
    assert_eq!(config.definitions[0].value, "1");
}

#[test]
fn a_metric_nobody_knows_has_no_effect() {
    warned(
        r#"{"metrics":[{"name":"istio_requests_totl"},{"name":"nonsense"},{"name":"get_call"}],
            "definitions":[{"name":"get_calls","value":"1"}]}"#,
        &[
            "metrics[0].name: unknown metric \"istio_requests_totl\" (did you mean \"requests_total\"?); the entry has no effect",
            "metrics[1].name: unknown metric \"nonsense\"; the entry has no effect",
            "metrics[2].name: unknown metric \"get_call\" (did you mean \"get_calls\"?); the entry has no effect",
        ],
    );
}

#[test]
fn drop_needs_a_named_standard_metric() {
    warned(
        r#"{"metrics":[{"drop":true},{"name":"c","drop":true},{"name":"request_bytes","drop":true}],
            "definitions":[{"name":"c","value":"1"}]}"#,
        &[
            "metrics[0].drop: works for a named standard metric only, has no effect here",
            "metrics[1].drop: works for a named standard metric only, has no effect here",
        ],
    );
}

#[test]
fn a_label_name_that_could_break_stat_names_is_reported() {
    reported(
        r#"{"metrics":[{"dimensions":{"a=b":"1","ok":"1",";":"1"}}]}"#,
        &[
            "metrics[0].dimensions.;: not a label name, expected at most 127 letters, digits, `_`, `.`, `:`, `/` and `-`",
            "metrics[0].dimensions.a=b: not a label name, expected at most 127 letters, digits, `_`, `.`, `:`, `/` and `-`",
        ],
    );
}

#[test]
fn the_fields_of_old_wasm_configurations_are_understood() {
    let config = accepted(
        r#"{"debug":"false","stat_prefix":"istio","max_peer_cache_size":"20","field_separator":";.;",
            "value_separator":"=.=","rotation_interval":"0s","graceful_deletion_interval":"300.5s"}"#,
    );
    assert_eq!(config.stat_names, StatNames::default());
    let config = accepted(
        r#"{"stat_prefix":"mesh","field_separator":"|","value_separator":"~","debug":true}"#,
    );
    assert_eq!(config.stat_names.prefix, "mesh");
    assert_eq!(config.stat_names.field_separator, "|");
    assert_eq!(config.stat_names.value_separator, "~");
    reported(
        r#"{"debug":"maybe","stat_prefix":"a b","max_peer_cache_size":true,"field_separator":"a","value_separator":"",
            "rotation_interval":"soon"}"#,
        &[
            "debug: found the string \"maybe\", expected true or false",
            "rotation_interval: found the string \"soon\", expected a duration such as \"10s\"",
            "max_peer_cache_size: found true, expected a number",
            "stat_prefix: found \"a b\", expected at most 127 letters, digits, `_`, `.`, `:`, `/` and `-`",
            "field_separator: found \"a\", expected at most 16 of !#$%&*+,-./:;<=>?@^|~",
        ],
    );
    reported(
        r#"{"field_separator":"::","value_separator":":"}"#,
        &[
            "value_separator: \":\" and the field separator \"::\" contain each other, choose different ones",
        ],
    );
}

#[test]
fn metadata_exchange_is_on_when_it_is_there() {
    assert_eq!(accepted("{}").exchange, None);
    let exchange =
        accepted(r#"{"metadata_exchange":{},"max_peer_cache_size":7}"#).exchange.unwrap();
    assert_eq!(exchange.max_peers, 7);
    let exchange = accepted(
        r#"{"metadataExchange":{"additionalLabels":["role"],"max_peers":"20","skip_external":true}}"#,
    );
    let expected = MetadataExchange {
        additional_labels: vec!["role".to_owned()],
        max_peers: 20,
        skip_external: true,
    };
    assert_eq!(exchange.exchange, Some(expected));
    reported(
        r#"{"metadata_exchange":{"max_peers":-1,"labels":[]},"tcp_reporting_duration":5}"#,
        &[
            "tcp_reporting_duration: found the number 5, expected a duration such as \"10s\"",
            "metadata_exchange.labels: unknown field; allowed: additional_labels, max_peers, skip_external",
            "metadata_exchange.max_peers: found the number -1, expected a number",
        ],
    );
    reported(
        r#"{"metadata_exchange":true}"#,
        &["metadata_exchange: found true, expected an object"],
    );
}

#[test]
fn durations_are_protobuf_json() {
    let interval = |text: &str| {
        accepted(&format!(r#"{{"tcp_reporting_duration":"{text}"}}"#)).reporting_interval
    };
    assert_eq!(accepted("").reporting_interval, 5_000);
    assert_eq!(interval("15s"), 15_000);
    assert_eq!(interval("0s"), 0);
    assert_eq!(interval("1.5s"), 1_500);
    assert_eq!(interval("0.0019s"), 1);
    assert_eq!(interval("999999999999s"), u32::MAX);
    for text in ["5", "s", "-1s", "1.s", ".5s", "1e3s", "5ms", "1000000000000s"] {
        let config = format!(r#"{{"tcp_reporting_duration":"{text}"}}"#);
        let (config, problems) = parse(config.as_bytes()).unwrap();
        assert_eq!((config.reporting_interval, problems.len()), (5_000, 1), "{text}");
    }
}

#[test]
fn operations_are_templates_with_a_default_value() {
    let config = accepted(
        r#"{"attributes":[{"output_attribute":"op","operations":[
            {"method":"GET","path":"/users/{id}"},{"path":"/static/{*rest}"},{"value":"all","path":"/"}]}]}"#,
    );
    let values: Vec<&str> =
        config.attributes[0].operations.iter().map(|o| o.value.as_str()).collect();
    assert_eq!(values, ["GET /users/{id}", "/static/{*rest}", "all"]);
}

#[test]
fn a_template_that_is_none_is_reported() {
    reported(
        r#"{"attributes":[{"output_attribute":"op","operations":[{"path":"users"},{"value":"x"},{"path":7},
            {"path":"/a/{b"},{"path":"/{*a}/b"}]}]}"#,
        &[
            "attributes[0].operations[2].path: found the number 7, expected a string; the entry has no effect",
            "attributes[0].operations[0].path: found \"users\", a path template begins with \"/\"",
            "attributes[0].operations[1].path: missing, expected a template such as \"/users/{id}\"",
            "attributes[0].operations[3].path: found \"/a/{b\", unbalanced \"{\" or \"}\"",
            "attributes[0].operations[4].path: found \"/{*a}/b\", \"{*name}\" has to be the whole last segment",
        ],
    );
}

#[test]
fn templates_for_the_same_paths_conflict_and_both_are_named() {
    reported(
        r#"{"attributes":[{"output_attribute":"op","operations":[{"method":"GET","path":"/users/{id}"},
            {"method":"PUT","path":"/users/{id}"},{"method":"GET","path":"/users/{name}"}]}]}"#,
        &[
            "attributes[0].operations[2].path: \"/users/{name}\" stands for the same paths as attributes[0].operations[0] (\"/users/{id}\")",
        ],
    );
    reported(
        r#"{"attributes":[{"output_attribute":"op","openapi":{"openapi":"3.0.0","paths":{
            "/a/{x}":{"get":{}},"/a/{y}":{"get":{}}}}}]}"#,
        &[
            "attributes[0].openapi: paths[\"/a/{y}\"].get stands for the same paths as paths[\"/a/{x}\"].get",
        ],
    );
}

#[test]
fn a_document_that_is_not_openapi_3_is_reported() {
    reported(
        r#"{"attributes":[{"output_attribute":"op","openapi":{"swagger":"2.0"}},{"output_attribute":"p","openapi":[]}]}"#,
        &[
            "attributes[0].openapi: swagger 2.0 document, OpenAPI 3.0 or 3.1 is needed",
            "attributes[1].openapi: not an OpenAPI document: the field \"openapi\" with its version is missing",
        ],
    );
}

#[test]
fn limits_have_defaults_and_bounds() {
    let limits = accepted("{}").limits;
    assert_eq!(limits, Limits { max_series: 500, max_values: None, max_label_bytes: 256 });
    let text = r#"{"limits":{"max_series":9,"max_values_per_dimension":"3","maxLabelBytes":2048}}"#;
    let limits = accepted(text).limits;
    assert_eq!(limits, Limits { max_series: 9, max_values: Some(3), max_label_bytes: 2048 });
    reported(
        r#"{"limits":{"max_series":100001,"max_label_bytes":2049}}"#,
        &[
            "limits.max_series: found 100001, expected 1 to 100000",
            "limits.max_label_bytes: found 2049, expected 32 to 2048",
        ],
    );
    reported(r#"{"limits":7}"#, &["limits: found the number 7, expected an object"]);
}

#[test]
fn prewarm_takes_status_codes() {
    assert_eq!(accepted("{}").prewarm, None);
    let codes = |text: &str| accepted(text).prewarm.unwrap().response_codes;
    assert_eq!(codes(r#"{"prewarm":{}}"#), [200]);
    assert_eq!(codes(r#"{"prewarm":{"response_codes":[200,503,200]}}"#), [200, 503]);
    reported(
        r#"{"prewarm":{"response_codes":[99,"200"]}}"#,
        &[
            "prewarm.response_codes[1]: found the string \"200\", expected a number",
            "prewarm.response_codes[0]: found 99, expected a status code",
        ],
    );
    let many: Vec<String> = (200..233).map(|code| code.to_string()).collect();
    reported(
        &format!(r#"{{"prewarm":{{"response_codes":[{}]}}}}"#, many.join(",")),
        &["prewarm.response_codes: found 33 codes, expected at most 32"],
    );
    reported(r#"{"prewarm":true}"#, &["prewarm: found true, expected an object"]);
}

#[test]
fn what_a_telemetry_cannot_hold_is_refused_at_its_path() {
    reported(
        r#"{"telemetry":{"metric":[],"metrics":[{"provider":[],"reportingInterval":"5","overrides":[{"tags":{}}]}]}}"#,
        &[
            "telemetry.metric: unknown field (did you mean \"metrics\"?); allowed: metrics, provider",
            "telemetry.metrics[0].provider: unknown field (did you mean \"providers\"?); the entry has no effect; allowed: overrides, providers, \
             reportingInterval",
            "telemetry.metrics[0].reportingInterval: found the string \"5\", expected a duration such as \"10s\"",
            "telemetry.metrics[0].overrides[0].tags: unknown field; allowed: disabled, match, tagOverrides",
        ],
    );
    reported(
        r#"{"telemetry":{"metrics":[{"providers":["prometheus",{"name":"prometheus"}],"overrides":[
            {"match":{"metric":"REQUEST_COUNTS","mode":"CLIENTS"},"disabled":1},
            {"match":{"metric":"REQUEST_COUNT","customMetric":"request_bytes"}}]}]}}"#,
        &[
            "telemetry.metrics[0].providers[0]: found the string \"prometheus\", expected an object",
            "telemetry.metrics[0].overrides[0].disabled: found the number 1, expected true or false",
            "telemetry.metrics[0].overrides[0].match.mode: found the string \"CLIENTS\", expected CLIENT_AND_SERVER or \
             CLIENT or SERVER (did you mean \"CLIENT\"?); the entry has no effect",
            "telemetry.metrics[0].overrides[0].match.metric: found the string \"REQUEST_COUNTS\", expected ALL_METRICS or \
             REQUEST_COUNT or REQUEST_DURATION or REQUEST_SIZE or RESPONSE_SIZE or TCP_OPENED_CONNECTIONS or \
             TCP_CLOSED_CONNECTIONS or TCP_SENT_BYTES or TCP_RECEIVED_BYTES or GRPC_REQUEST_MESSAGES or \
             GRPC_RESPONSE_MESSAGES (did you mean \"REQUEST_COUNT\"?); the entry has no effect",
            "telemetry.metrics[0].overrides[1].match.customMetric: also given as \"metric\", keep one; the entry has no effect",
        ],
    );
    reported(
        r#"{"telemetry":{"metrics":[{"overrides":[{"tagOverrides":{"a":{},"b":{"operation":"REMOVE","value":"1"},
            "c":{"operation":"DELETE"},"d":{"value":1},"e":"1","f;":{"value":"1"}}}]}]}}"#,
        &[
            "telemetry.metrics[0].overrides[0].tagOverrides.a.value: missing, expected an expression",
            "telemetry.metrics[0].overrides[0].tagOverrides.b.value: REMOVE takes none",
            "telemetry.metrics[0].overrides[0].tagOverrides.c.operation: found the string \"DELETE\", expected UPSERT or REMOVE; the entry has no effect",
            "telemetry.metrics[0].overrides[0].tagOverrides.d.value: found the number 1, expected a string; the entry has no effect",
            "telemetry.metrics[0].overrides[0].tagOverrides.e: found the string \"1\", expected an object",
            "telemetry.metrics[0].overrides[0].tagOverrides.f;.value: not a label name, expected at most 127 letters, \
             digits, `_`, `.`, `:`, `/` and `-`",
        ],
    );
}

#[test]
fn the_last_reporting_interval_counts_behind_the_plugins_own() {
    let interval = |text: &str| accepted(text).reporting_interval;
    assert_eq!(interval(r#"{"telemetry":{"metrics":[{"reportingInterval":"15s"}]}}"#), 15_000);
    let hierarchy =
        r#"{"telemetry":{"metrics":[{"reportingInterval":"15s"},{"reportingInterval":"10s"},{}]}}"#;
    assert_eq!(interval(hierarchy), 10_000);
    let others = r#"{"telemetry":{"metrics":[{"reportingInterval":"15s"},
        {"providers":[{"name":"otel"}],"reportingInterval":"10s"},{"providers":[{"name":"prometheus"}]}]}}"#;
    assert_eq!(interval(others), 15_000);
    let own =
        r#"{"tcp_reporting_duration":"1s","telemetry":{"metrics":[{"reportingInterval":"15s"}]}}"#;
    assert_eq!(interval(own), 1_000);
}

#[test]
fn every_metric_of_the_enum_is_its_own() {
    let enums = [
        ("REQUEST_COUNT", "requests_total"),
        ("REQUEST_DURATION", "request_duration_milliseconds"),
        ("REQUEST_SIZE", "request_bytes"),
        ("RESPONSE_SIZE", "response_bytes"),
        ("TCP_OPENED_CONNECTIONS", "tcp_connections_opened_total"),
        ("TCP_CLOSED_CONNECTIONS", "tcp_connections_closed_total"),
        ("TCP_SENT_BYTES", "tcp_sent_bytes_total"),
        ("TCP_RECEIVED_BYTES", "tcp_received_bytes_total"),
        ("GRPC_REQUEST_MESSAGES", "request_messages_total"),
        ("GRPC_RESPONSE_MESSAGES", "response_messages_total"),
    ];
    for (metric, name) in enums {
        let config = accepted(&format!(
            r#"{{"telemetry":{{"metrics":[{{"overrides":[
                {{"match":{{"metric":"{metric}"}},"disabled":true,"tagOverrides":{{"x":{{"value":"1"}}}}}}]}}]}}}}"#
        ));
        assert_eq!(config.metrics[0].target, Target::Named(name.to_owned()));
        for (number, standard) in crate::metric::standard::ALL.iter().enumerate() {
            let expected = (standard.name == name).then_some(When::Always);
            assert_eq!(config.disabled.of(number), expected, "{metric}: {}", standard.name);
        }
    }
}
