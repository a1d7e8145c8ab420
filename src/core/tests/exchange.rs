//! The metadata exchange through the recorder: which headers stay, go and come, and what the labels say.
#![cfg(not(target_arch = "wasm32"))]

mod support;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use opmeter_core::attribute::Fact;
use opmeter_core::peer::LabelNames;
use opmeter_core::peer::header::{ID_HEADER, LocalNode, METADATA_HEADER, encode};
use opmeter_core::{Recorder, Stream, configure};
use support::{Script, Stats, int};

const INBOUND: i64 = 1;
const OUTBOUND: i64 = 2;
const GATEWAY: i64 = 0;

fn script(direction: i64) -> Script {
    let node = [
        ("id", "sidecar~10.0.0.1~ratings-v1-abc.default~default.svc.cluster.local"),
        ("metadata/WORKLOAD_NAME", "ratings-v1"),
        ("metadata/NAMESPACE", "default"),
    ];
    Script {
        facts: [(Fact::ListenerDirection, int(direction)), (Fact::ResponseCode, int(200))].into(),
        node: node.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        ..Script::default()
    }
}

fn recorder(config: &str, host: &mut Script, stats: &mut Stats) -> Recorder {
    let plan = configure(config.as_bytes(), host).expect("accepted").plan;
    Recorder::new(plan, host, stats)
}

fn productpage() -> Vec<u8> {
    let node = LocalNode {
        workload: b"productpage-v1",
        namespace: b"shop",
        cluster: b"Kubernetes",
        labels: &[(b"app", b"productpage"), (b"role", b"canary")],
        ..LocalNode::default()
    };
    encode(&node, &LabelNames::new(["role"]))
}

/// Sends one stream through and gives it back.
fn pass(recorder: &mut Recorder, host: &mut Script, stats: &mut Stats) {
    let mut stream = Stream::default();
    recorder.on_request(&mut stream, host, stats);
    recorder.on_response(&mut stream, host, stats);
    recorder.on_log(&mut stream, host, stats);
}

#[test]
fn a_server_reads_the_client_and_answers_what_was_asked() {
    let (mut host, mut stats) = (script(INBOUND), Stats::default());
    let mut recorder = recorder(r#"{"metadata_exchange":{}}"#, &mut host, &mut stats);
    host.request.insert(METADATA_HEADER.into(), productpage());
    host.request.insert(ID_HEADER.into(), b"client".to_vec());
    host.request.insert("x-other".into(), b"stays".to_vec());
    pass(&mut recorder, &mut host, &mut stats);
    assert_eq!(host.request.keys().collect::<Vec<_>>(), ["x-other"]);
    assert_eq!(host.response[ID_HEADER], host.node["id"].as_bytes());
    assert!(host.response.contains_key(METADATA_HEADER));
    let labels = stats.labels("istio_requests_total");
    for label in [
        "source_workload=.=productpage-v1;.;",
        "source_workload_namespace=.=shop;.;",
        "source_app=.=productpage;.;",
        "source_cluster=.=Kubernetes;.;",
        "source_canonical_service=.=unknown;.;",
        "source_canonical_revision=.=latest;.;",
        "destination_workload=.=ratings-v1;.;",
    ] {
        assert!(labels.contains(label), "{label} in {labels}");
    }
}

#[test]
fn a_server_does_not_answer_what_nobody_asked() {
    let (mut host, mut stats) = (script(INBOUND), Stats::default());
    let mut recorder = recorder(r#"{"metadata_exchange":{}}"#, &mut host, &mut stats);
    host.request.insert(ID_HEADER.into(), b"client".to_vec());
    host.request.insert(METADATA_HEADER.into(), Vec::new());
    pass(&mut recorder, &mut host, &mut stats);
    assert!(host.request.is_empty());
    assert_eq!(host.response.keys().collect::<Vec<_>>(), [ID_HEADER]);
    assert_eq!(stats.total("opmeter_peer_decode_errors_total"), 0);
}

#[test]
fn a_client_tells_who_it_is_and_reads_the_answer() {
    let (mut host, mut stats) = (script(OUTBOUND), Stats::default());
    let mut recorder = recorder(r#"{"metadata_exchange":{}}"#, &mut host, &mut stats);
    host.request.insert(ID_HEADER.into(), b"forged by the workload".to_vec());
    host.response.insert(METADATA_HEADER.into(), productpage());
    host.response.insert(ID_HEADER.into(), b"server".to_vec());
    pass(&mut recorder, &mut host, &mut stats);
    assert_eq!(host.request[ID_HEADER], host.node["id"].as_bytes());
    let sent = STANDARD.decode(&host.request[METADATA_HEADER]).unwrap();
    assert!(sent.windows(10).any(|window| window == b"ratings-v1"));
    assert!(host.response.is_empty());
    let labels = stats.labels("istio_requests_total");
    assert!(labels.contains("destination_workload=.=productpage-v1;.;"), "{labels}");
    assert!(labels.contains("destination_service_namespace=.=shop;.;"), "{labels}");
}

#[test]
fn a_gateway_keeps_both_sides_apart() {
    let (mut host, mut stats) = (script(GATEWAY), Stats::default());
    let mut recorder = recorder(r#"{"metadata_exchange":{}}"#, &mut host, &mut stats);
    host.request.insert(METADATA_HEADER.into(), productpage());
    host.response.insert(METADATA_HEADER.into(), productpage());
    pass(&mut recorder, &mut host, &mut stats);
    assert_eq!(host.request[ID_HEADER], host.node["id"].as_bytes());
    assert_ne!(host.request[METADATA_HEADER], productpage());
    assert_eq!(host.response.keys().collect::<Vec<_>>(), [METADATA_HEADER]);
    assert_ne!(host.response[METADATA_HEADER], productpage());
}

#[test]
fn without_the_exchange_headers_are_left_alone() {
    let (mut host, mut stats) = (script(INBOUND), Stats::default());
    let mut recorder = recorder("{}", &mut host, &mut stats);
    host.request.insert(METADATA_HEADER.into(), productpage());
    let evaluations = host.evaluations;
    let mut stream = Stream::default();
    recorder.on_request(&mut stream, &mut host, &mut stats);
    recorder.on_response(&mut stream, &mut host, &mut stats);
    assert_eq!(host.evaluations, evaluations);
    assert_eq!(host.request.len(), 1);
}

#[test]
fn external_services_learn_nothing_when_they_are_to_be_skipped() {
    for (config, external, disabled, sent) in [
        (r#"{"metadata_exchange":{}}"#, true, false, true),
        (r#"{"metadata_exchange":{"skip_external":true}}"#, true, false, false),
        (r#"{"metadata_exchange":{"skip_external":true}}"#, false, false, true),
        (r#"{"metadata_exchange":{}}"#, false, true, false),
    ] {
        let (mut host, mut stats) = (script(OUTBOUND), Stats::default());
        host.facts.insert(Fact::ClusterExternal, vec![u8::from(external)]);
        host.facts.insert(Fact::ClusterDisablesExchange, vec![u8::from(disabled)]);
        let mut recorder = recorder(config, &mut host, &mut stats);
        pass(&mut recorder, &mut host, &mut stats);
        assert_eq!(!host.request.is_empty(), sent, "{config} {external} {disabled}");
    }
}

#[test]
fn bytes_that_are_no_metadata_cost_a_counter_and_nothing_else() {
    let (mut host, mut stats) = (script(INBOUND), Stats::default());
    let mut recorder = recorder(r#"{"metadata_exchange":{}}"#, &mut host, &mut stats);
    for hostile in [b"\xff\xfe".to_vec(), b"!!!!".to_vec(), vec![b'A'; 20_000], b"AAA=".to_vec()] {
        host.request.insert(METADATA_HEADER.into(), hostile);
        pass(&mut recorder, &mut host, &mut stats);
        assert!(host.request.is_empty());
    }
    assert_eq!(stats.total("opmeter_peer_decode_errors_total"), 4);
    assert_eq!(stats.total("istio_requests_total"), 4);
    assert!(stats.labels("istio_requests_total").contains("source_workload=.=unknown;.;"));
}

#[test]
fn the_same_id_with_other_metadata_is_another_peer() {
    let (mut host, mut stats) = (script(INBOUND), Stats::default());
    let mut recorder = recorder(r#"{"metadata_exchange":{}}"#, &mut host, &mut stats);
    for workload in [&b"honest"[..], b"forger"] {
        let node = LocalNode { workload, ..LocalNode::default() };
        host.request.insert(ID_HEADER.into(), b"same".to_vec());
        host.request.insert(METADATA_HEADER.into(), encode(&node, &LabelNames::default()));
        pass(&mut recorder, &mut host, &mut stats);
    }
    let names: Vec<&str> = stats.names.iter().map(|(_, name)| name.as_str()).collect();
    let of = |workload: &str| {
        let label = format!("source_workload=.={workload};.;");
        names.iter().filter(|n| n.contains(&label) && n.ends_with("istio_requests_total")).count()
    };
    assert_eq!((of("honest"), of("forger")), (1, 1));
}

#[test]
fn expressions_read_peers_whoever_told_of_them() {
    let config = r#"{"metadata_exchange":{},"metrics":[{"dimensions":{
        "role":"filter_state.upstream_peer.labels['role']","peer":"filter_state['upstream_peer'].workload"}}]}"#;
    let (mut host, mut stats) = (script(OUTBOUND), Stats::default());
    let mut recorder = recorder(config, &mut host, &mut stats);
    host.response.insert(METADATA_HEADER.into(), productpage());
    pass(&mut recorder, &mut host, &mut stats);
    let labels = stats.labels("istio_requests_total");
    assert!(labels.contains("peer=.=productpage-v1;.;role=.=canary;.;"), "{labels}");

    let (mut host, mut stats) = (script(OUTBOUND), Stats::default());
    host.facts.insert(
        Fact::UpstreamPeer,
        b"\x02\0\0\0\x08\0\0\0\x02\0\0\0\x06\0\0\0\x18\0\0\0workload\0ab\0labels\0\
          \x01\0\0\0\x04\0\0\0\x06\0\0\0role\0native\0\0"
            .to_vec(),
    );
    let mut recorder = self::recorder(config, &mut host, &mut stats);
    pass(&mut recorder, &mut host, &mut stats);
    let labels = stats.labels("istio_requests_total");
    assert!(labels.contains("peer=.=ab;.;role=.=native;.;"), "{labels}");
}

#[test]
fn the_endpoint_speaks_for_an_upstream_that_does_not() {
    let (mut host, mut stats) = (script(OUTBOUND), Stats::default());
    host.facts.insert(Fact::EndpointWorkload, b"reviews-v2;shop;reviews;v2;west".to_vec());
    let mut recorder = recorder("{}", &mut host, &mut stats);
    pass(&mut recorder, &mut host, &mut stats);
    let labels = stats.labels("istio_requests_total");
    for label in [
        "destination_workload=.=reviews-v2;.;",
        "destination_workload_namespace=.=shop;.;",
        "destination_canonical_service=.=reviews;.;",
        "destination_canonical_revision=.=v2;.;",
        "destination_cluster=.=west;.;",
        "destination_app=.=unknown;.;",
    ] {
        assert!(labels.contains(label), "{label} in {labels}");
    }
}

/// The workload whose header each version has left in `headers/`.
fn released() -> LocalNode<'static> {
    LocalNode {
        name: b"reviews-v2-5f7d9c8b6-abcde",
        namespace: b"shop",
        owner: b"kubernetes://apis/apps/v1/namespaces/shop/deployments/reviews-v2",
        workload: b"reviews-v2",
        cluster: b"Kubernetes",
        identity: b"spiffe://cluster.local/ns/shop/sa/reviews",
        region: b"eu-west-1",
        availability_zone: b"eu-west-1a",
        labels: &[
            (b"app", b"reviews"),
            (b"version", b"v2"),
            (b"service.istio.io/canonical-name", b"reviews"),
            (b"service.istio.io/canonical-revision", b"v2"),
            (b"role", b"canary"),
        ],
    }
}

/// Versions run side by side during an update: what any of them sends is read by this one, and this one sends what the
/// file of its own version holds, which later versions will read. A change of the form needs a new version and file.
#[test]
fn versions_understand_each_other() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/headers");
    let own = format!("{folder}/{}.txt", env!("CARGO_PKG_VERSION"));
    let sent = encode(&released(), &LabelNames::new(["role"]));
    assert_eq!(std::fs::read_to_string(own).unwrap().trim_end().as_bytes(), sent);
    for entry in std::fs::read_dir(folder).unwrap() {
        let header = std::fs::read(entry.unwrap().path()).unwrap();
        let (mut host, mut stats) = (script(INBOUND), Stats::default());
        let config = r#"{"metadata_exchange":{"additional_labels":["role"]},
            "metrics":[{"dimensions":{"role":"filter_state.downstream_peer.labels['role']"}}]}"#;
        let mut recorder = recorder(config, &mut host, &mut stats);
        host.request.insert(METADATA_HEADER.into(), header.trim_ascii_end().to_vec());
        pass(&mut recorder, &mut host, &mut stats);
        let labels = stats.labels("istio_requests_total");
        for label in [
            "source_workload=.=reviews-v2;.;",
            "source_workload_namespace=.=shop;.;",
            "source_app=.=reviews;.;",
            "source_version=.=v2;.;",
            "source_canonical_service=.=reviews;.;",
            "source_canonical_revision=.=v2;.;",
            "source_cluster=.=Kubernetes;.;",
            "role=.=canary;.;",
        ] {
            assert!(labels.contains(label), "{label} in {labels}");
        }
    }
}

/// Envoy 1.40 has one plugin for listeners of all directions with equal configurations.
#[test]
fn streams_of_all_directions_may_share_a_plugin() {
    for first in [INBOUND, OUTBOUND, GATEWAY] {
        let (mut host, mut stats) = (script(first), Stats::default());
        let mut recorder = recorder(r#"{"metadata_exchange":{}}"#, &mut host, &mut stats);
        pass(&mut recorder, &mut host, &mut stats);
        for direction in [INBOUND, OUTBOUND, GATEWAY, INBOUND] {
            host.facts.insert(Fact::ListenerDirection, int(direction));
            host.request = [(METADATA_HEADER.to_owned(), productpage())].into();
            host.response.clear();
            pass(&mut recorder, &mut host, &mut stats);
            let sent = host.request.get(METADATA_HEADER);
            match direction {
                INBOUND => assert_eq!(sent, None, "first {first}"),
                _ => assert_ne!(sent, Some(&productpage()), "first {first}, then {direction}"),
            }
            assert_eq!(direction != OUTBOUND, host.response.contains_key(METADATA_HEADER));
        }
    }
}
