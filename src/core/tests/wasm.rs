//! The core on wasm32, under Node: what runs in a proxy is a 32-bit machine without threads, clock or entropy.
#![cfg(target_arch = "wasm32")]

mod support;

use opmeter_core::attribute::Fact;
use opmeter_core::attribute::decode::Pairs;
use opmeter_core::peer::cache::PeerCache;
use opmeter_core::peer::header::{LocalNode, encode};
use opmeter_core::peer::{Field, LabelNames};
use opmeter_core::{Recorder, Share, Stream, configure};
use support::{Script, Stats, encode_list, int};
use wasm_bindgen_test::wasm_bindgen_test;

const CONFIG: &str = r#"{"attributes":[{"output_attribute":"istio_operation_id","match":[
    {"value":"get_items","condition":"request.url_path == '/items'"}]}],
    "metrics":[{"dimensions":{"request_operation":"istio_operation_id"}}]}"#;

fn host() -> Script {
    let facts = [
        (Fact::ListenerDirection, int(2)),
        (Fact::Host, b"ratings:9080".to_vec()),
        (Fact::Method, b"GET".to_vec()),
        (Fact::Path, b"/items?page=2".to_vec()),
        (Fact::ResponseCode, int(503)),
        (Fact::ResponseFlags, int(1 << 5 | 1 << 40)),
        (Fact::Duration, int(i64::MAX)),
        (Fact::RequestBytes, int(-1)),
    ];
    Script { facts: facts.into(), ..Script::default() }
}

#[wasm_bindgen_test]
fn a_stream_becomes_series() {
    let (mut host, mut stats) = (host(), Stats::default());
    let plan = configure(CONFIG.as_bytes(), &mut host).unwrap().plan;
    let mut recorder = Recorder::new(plan, &mut host, &mut stats);
    for _ in 0..3 {
        recorder.on_log(&mut Stream::default(), &mut host, &mut stats);
    }
    let labels = stats.labels("istio_requests_total");
    for label in [
        "reporter=.=source;.;",
        "destination_service=.=ratings:9080;.;",
        "response_code=.=503;.;",
        "response_flags=.=UF,1099511627776;.;",
        "request_operation=.=get_items;.;",
    ] {
        assert!(labels.contains(label), "{label} in {labels}");
    }
    assert_eq!(stats.total("istio_requests_total"), 3);
}

#[wasm_bindgen_test]
fn numbers_beyond_32_bits_keep_their_value() {
    let (mut host, mut stats) = (host(), Stats::default());
    let plan = configure(b"", &mut host).unwrap().plan;
    Recorder::new(plan, &mut host, &mut stats).on_log(
        &mut Stream::default(),
        &mut host,
        &mut stats,
    );
    assert_eq!(stats.total("istio_request_duration_milliseconds"), 9_223_372_036_854);
    assert_eq!(stats.total("istio_request_bytes"), 0);
}

#[wasm_bindgen_test]
fn lengths_beyond_the_address_space_are_refused() {
    assert!(Pairs::parse(b"\xff\xff\xff\x7f").is_none());
    let mut huge = 1u32.to_le_bytes().to_vec();
    huge.extend(u32::MAX.to_le_bytes());
    huge.extend(u32::MAX.to_le_bytes());
    huge.extend(b"x\0\0");
    assert_eq!(Pairs::parse(&huge).unwrap().count(), 0);
    assert_eq!(Pairs::parse(&encode_list(&[b"a".to_vec()])).unwrap().count(), 1);
}

#[wasm_bindgen_test]
fn a_problem_says_where_and_what() {
    let problems = configure(b"{\"strikt\":true}", &mut host()).unwrap().problems;
    assert!(
        problems[0].to_string().starts_with("strikt: unknown field (did you mean \"strict\"?)")
    );
}

/// `{LABELS: {app: "ratings"}, WORKLOAD_NAME: "ratings-v1"}`, serialised by hand.
const HEADER: &[u8] =
    b"Ch4KBkxBQkVMUxIUKhIKEAoDYXBwEgkaB3JhdGluZ3MKHQoNV09SS0xPQURfTkFNRRIMGgpyYXRpbmdzLXYx";

#[wasm_bindgen_test]
fn peers_are_written_and_read_as_on_other_machines() {
    let node = LocalNode {
        workload: b"ratings-v1",
        labels: &[(b"app", b"ratings")],
        ..LocalNode::default()
    };
    let header = encode(&node, &LabelNames::default());
    assert_eq!(header, HEADER);
    let mut peers = PeerCache::new(2, LabelNames::default());
    let found = peers.get_or_decode(&header);
    let peer = found.peer().unwrap();
    assert_eq!(
        (peer.get(Field::Workload), peer.get(Field::App)),
        (&b"ratings-v1"[..], &b"ratings"[..])
    );
    assert!(peers.get_or_decode(&[b'A'; 20_000]).error().is_some());
}
