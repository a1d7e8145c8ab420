//! What is asked of the proxy for each request, and what is remembered, against a scripted one.

mod support;

use opmeter_core::attribute::Fact;
use opmeter_core::{Recorder, Stream, configure};
use support::{Script, Stats, int};

/// `services[0]` of a cluster, as a map is encoded.
fn service(host: &str) -> Vec<u8> {
    let mut map = vec![1, 0, 0, 0, 4, 0, 0, 0, host.len() as u8, 0, 0, 0];
    map.extend_from_slice(b"host\0");
    map.extend_from_slice(host.as_bytes());
    map.push(0);
    map
}

/// What every request has that was read and answered.
fn ordinary() -> [(Fact, Vec<u8>); 7] {
    [
        (Fact::Host, b"web.shop".to_vec()),
        (Fact::ResponseCode, int(200)),
        (Fact::GrpcStatus, int(0)),
        (Fact::ResponseFlags, int(0)),
        (Fact::Duration, int(1_000_000)),
        (Fact::RequestBytes, int(100)),
        (Fact::ResponseBytes, int(100)),
    ]
}

fn outbound() -> Script {
    let facts = [
        (Fact::ListenerDirection, int(2)),
        (Fact::ClusterName, b"outbound|80||web".to_vec()),
        (Fact::ClusterService, service("web.shop")),
        (Fact::UpstreamAddress, b"10.0.0.1:80".to_vec()),
        (Fact::EndpointWorkload, b"web-v1;shop;web;v1;west".to_vec()),
    ];
    Script { facts: ordinary().into_iter().chain(facts).collect(), ..Script::default() }
}

fn inbound() -> Script {
    let facts = [
        (Fact::ListenerDirection, int(1)),
        (Fact::ConnectionId, int(7)),
        (Fact::DownstreamPeerSan, b"spiffe://td/ns/shop/sa/cart".to_vec()),
        (Fact::DownstreamLocalSan, b"spiffe://td/ns/shop/sa/web".to_vec()),
    ];
    Script { facts: ordinary().into_iter().chain(facts).collect(), ..Script::default() }
}

struct Proxy {
    host: Script,
    stats: Stats,
    recorder: Recorder,
}

impl Proxy {
    fn new(mut host: Script) -> Self {
        let mut stats = Stats::default();
        let configured = configure(b"{}", &mut host).expect("the configuration is accepted");
        let recorder = Recorder::new(configured.plan, &mut host, &mut stats);
        Self { host, stats, recorder }
    }

    /// A proxy of which one stream is logged: what others lack beside it is known.
    fn used(host: Script) -> Self {
        let mut proxy = Self::new(host);
        proxy.log();
        proxy.recorder.forget();
        proxy
    }

    /// Logs a request; how many evaluations it took.
    fn log(&mut self) -> usize {
        let before = self.host.evaluations;
        self.recorder.on_log(&mut Stream::default(), &mut self.host, &mut self.stats);
        self.host.evaluations - before
    }

    fn series_with(&self, label: &str) -> bool {
        self.stats.names.iter().any(|(_, name)| name.contains(label))
    }
}

#[test]
fn a_cluster_and_an_endpoint_are_asked_for_once() {
    let mut proxy = Proxy::used(outbound());
    assert_eq!(proxy.log(), 3, "the list, the cluster, the endpoint");
    assert_eq!(proxy.log(), 1);
    assert!(proxy.series_with("destination_service=.=web.shop;"));
    assert!(proxy.series_with("destination_workload=.=web-v1;"));

    proxy.host.facts.insert(Fact::UpstreamAddress, b"10.0.0.2:80".to_vec());
    proxy.host.facts.insert(Fact::EndpointWorkload, b"web-v2;shop;web;v2;west".to_vec());
    assert_eq!(proxy.log(), 2, "another endpoint of the same cluster");
    assert!(proxy.series_with("destination_workload=.=web-v2;"));
}

/// The control plane may describe a cluster anew under the same name.
#[test]
fn clusters_and_endpoints_are_forgotten_after_some_time() {
    let mut proxy = Proxy::new(outbound());
    assert!(proxy.recorder.tick_period() > 0);
    proxy.log();
    proxy.host.facts.insert(Fact::ClusterService, service("cart.shop"));
    proxy.log();
    assert!(!proxy.series_with("destination_service=.=cart.shop;"));
    proxy.recorder.forget();
    assert_eq!(proxy.log(), 3);
    assert!(proxy.series_with("destination_service=.=cart.shop;"));
}

#[test]
fn the_identities_of_a_connection_are_asked_for_once() {
    let mut proxy = Proxy::new(inbound());
    assert_eq!(proxy.log(), 5, "the list, and four identities");
    assert_eq!(proxy.log(), 1);
    assert!(proxy.series_with("source_principal=.=spiffe://td/ns/shop/sa/cart;"));
    assert!(proxy.series_with("connection_security_policy=.=mutual_tls;"));

    proxy.host.facts.insert(Fact::ConnectionId, int(8));
    proxy.host.facts.remove(&Fact::DownstreamPeerSan);
    assert_eq!(proxy.log(), 5, "another connection");
    assert!(proxy.series_with("connection_security_policy=.=none;"));
}

/// A request is known by its direction too, where no label is made of anything else.
#[test]
fn the_reporter_is_told_where_nothing_else_is() {
    let names = opmeter_core::metric::standard::HTTP_LABELS.iter().map(|label| label.name());
    let others: Vec<String> =
        names.filter(|name| *name != "reporter").map(|name| format!("\"{name}\"")).collect();
    let config = format!(r#"{{"metrics":[{{"tags_to_remove":[{}]}}]}}"#, others.join(","));
    let (mut host, mut stats) = (outbound(), Stats::default());
    let plan = configure(config.as_bytes(), &mut host).expect("accepted").plan;
    let mut recorder = Recorder::new(plan, &mut host, &mut stats);
    for direction in [2, 1, 2, 1, 1] {
        host.facts.insert(Fact::ListenerDirection, int(direction));
        recorder.on_log(&mut Stream::default(), &mut host, &mut stats);
    }
    let total = |reporter: &str| {
        let of = |name: &String| name.contains(reporter) && name.ends_with("requests_total");
        stats.values.iter().filter(|(name, _)| of(name)).map(|(_, value)| value).sum::<u64>()
    };
    assert_eq!((total("reporter=.=source;"), total("reporter=.=destination;")), (2, 3));
}

/// What a request is known by tells where one value ends and the next begins.
#[test]
fn values_do_not_run_into_each_other() {
    let mut proxy = Proxy::used(inbound());
    for (connection, local, peer) in
        [(8, "ab", "c"), (9, "a", "bc"), (10, "abc", ""), (11, "", "abc")]
    {
        proxy.host.facts.insert(Fact::ConnectionId, int(connection));
        proxy.host.facts.insert(Fact::DownstreamLocalSan, local.into());
        proxy.host.facts.insert(Fact::DownstreamPeerSan, peer.into());
        proxy.log();
    }
    let requests = |name: &str| name.ends_with("istio_requests_total");
    assert_eq!(proxy.stats.names.iter().filter(|(_, name)| requests(name)).count(), 5);
    assert!(proxy.series_with("source_principal=.=bc;"));
}

/// More than is remembered is asked for again, with the same labels.
#[test]
fn what_is_remembered_is_bounded() {
    let mut proxy = Proxy::used(inbound());
    for connection in 8..3_008 {
        proxy.host.facts.insert(Fact::ConnectionId, int(connection));
        assert_eq!(proxy.log(), 5);
    }
    assert_eq!(proxy.log(), 1, "the last is known");
    proxy.host.facts.insert(Fact::ConnectionId, int(7));
    assert_eq!(proxy.log(), 5, "the first is not any more");
    assert_eq!(proxy.stats.total("istio_requests_total"), 3_003);
}

/// What only some streams have is taken for granted until one has not; from then on it is guarded, and no list fails for it.
#[test]
fn what_a_stream_lacks_fails_one_list() {
    let mut proxy = Proxy::used(outbound());
    proxy.log();
    proxy.host.facts.insert(Fact::RouteName, b"r".to_vec());
    proxy.host.facts.insert(Fact::ContentType, b"application/grpc".to_vec());
    assert_eq!(proxy.log(), 1);
    assert!(proxy.series_with("request_protocol=.=grpc;"));

    let mut typed = outbound();
    typed.facts.insert(Fact::RouteName, b"r".to_vec());
    typed.facts.insert(Fact::ContentType, b"text/plain".to_vec());
    let mut proxy = Proxy::new(typed);
    assert_eq!(proxy.log(), 3, "the list, the cluster, the endpoint");
    proxy.host.facts.remove(&Fact::ContentType);
    assert_eq!(proxy.log(), 2, "the list, and the careful one");
    assert_eq!(proxy.log(), 1);
    proxy.host.facts.remove(&Fact::RouteName);
    assert_eq!(proxy.log(), 2);
    assert_eq!(proxy.log(), 1);
    assert_eq!(proxy.stats.total("istio_requests_total"), 5);
}

/// A plugin sees one direction as a rule: the other one is expected from the first such stream on.
#[test]
fn a_second_direction_fails_one_list() {
    let mut proxy = Proxy::used(outbound());
    proxy.log();
    assert_eq!(proxy.log(), 1);
    for (fact, value) in inbound().facts {
        proxy.host.facts.insert(fact, value);
    }
    assert_eq!(proxy.log(), 6, "the list, the careful one, and four identities");
    assert_eq!(proxy.log(), 1);
    proxy.host.facts.insert(Fact::ListenerDirection, int(2));
    assert_eq!(proxy.log(), 1);
    assert_eq!(proxy.stats.total("istio_requests_total"), 6);
    assert!(proxy.series_with("reporter=.=source;"));
    assert!(proxy.series_with("connection_security_policy=.=mutual_tls;"));
}

/// What only gRPC has is asked for with a content type alone, and told all the same.
#[test]
fn a_content_type_brings_what_grpc_has() {
    let mut proxy = Proxy::used(inbound());
    assert_eq!(proxy.log(), 1);
    proxy.host.facts.insert(Fact::ContentType, b"application/grpc".to_vec());
    proxy.host.facts.insert(Fact::GrpcStatus, int(14));
    proxy.host.facts.insert(Fact::GrpcMessages, b"2,3".to_vec());
    assert_eq!(proxy.log(), 1);
    assert!(proxy.series_with("grpc_response_status=.=14;"));
    assert_eq!(proxy.stats.total("istio_request_messages_total"), 2);
    assert_eq!(proxy.stats.total("istio_response_messages_total"), 3);
    proxy.host.facts.remove(&Fact::ContentType);
    assert_eq!(proxy.log(), 1);
    assert_eq!(proxy.stats.total("istio_requests_total"), 4);
    assert_eq!(proxy.stats.total("istio_request_messages_total"), 2);
}

/// What every ordinary request has is taken for granted; after one that had not, the next are asked carefully.
#[test]
fn a_list_that_takes_too_much_for_granted_is_not_tried_again_at_once() {
    let mut proxy = Proxy::used(inbound());
    proxy.log();
    proxy.host.bare_fails = true;
    assert_eq!(proxy.log(), 2, "the list, and the careful one");
    for _ in 0..32 {
        assert_eq!(proxy.log(), 1, "the careful one alone");
    }
    assert_eq!(proxy.log(), 2);
    assert_eq!(proxy.stats.total("istio_requests_total"), 36);
    assert!(proxy.series_with("response_code=.=200;"));
}
