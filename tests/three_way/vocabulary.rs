//! The vocabulary of attributes held against a real Envoy: a request over mutual TLS on both sides, which has nearly all.

use super::Answer;
use super::envoy::{ask, free_port};
use anyhow::Result;
use opmeter_core::expr::{ATTRIBUTES, Attribute, AttributeType};
use rcgen::{CertificateParams, DnType, KeyPair, SanType};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

/// What no request has that was answered.
const NOT_HERE: [&str; 2] =
    ["connection.termination_details", "connection.transport_failure_reason"];

/// Attributes that Envoys before this version do not have.
const SINCE: [(&str, (u32, u32)); 2] =
    [("request.headers_bytes", (1, 37)), ("response.headers_bytes", (1, 37))];

/// Fields to look for in every group of attributes, beside those that some group has.
const OTHER_FIELDS: [&str; 24] = [
    "attempt_count",
    "body_bytes",
    "bytes",
    "body_size",
    "cluster_name",
    "endpoint_count",
    "end_time",
    "first_byte_time",
    "header_bytes",
    "headers_size",
    "hostname",
    "ja3_fingerprint",
    "ja4_fingerprint",
    "local_port",
    "name",
    "nosuch",
    "reason",
    "remote_address",
    "route",
    "sni",
    "start_time",
    "trailers_bytes",
    "version",
    "zone",
];

/// Every attribute that this Envoy should have is there with its type; one of a newer Envoy is absent, which is no error.
#[test]
fn every_attribute_is_envoys_and_has_its_type() {
    let Some(binary) = support::envoy::binary().expect("an Envoy") else { return };
    let version = support::envoy::version(&binary).expect("a version");
    let names: Vec<&Attribute> = ATTRIBUTES.iter().collect();
    for name in SINCE.iter().map(|(name, _)| name).chain(&NOT_HERE) {
        assert!(names.iter().any(|attribute| attribute.name == *name), "{name}");
    }
    let mut texts: Vec<String> = names.iter().map(|attribute| of_its_type(attribute)).collect();
    texts.extend(names.iter().map(|attribute| is_there(attribute.name)));
    let answers = answers(&binary, &texts).expect("Envoy answers");
    let (types, present) = answers.split_at(names.len());
    let mut wrong = Vec::new();
    for (attribute, (fits, there)) in names.iter().zip(types.iter().zip(present)) {
        let name = attribute.name;
        let newer = SINCE.iter().any(|(known, since)| *known == name && version < *since);
        let expected = if newer || NOT_HERE.contains(&name) {
            (Answer::Error, Answer::Value(vec![0]))
        } else {
            (Answer::Value(vec![1]), Answer::Value(vec![1]))
        };
        if (fits, there) != (&expected.0, &expected.1) {
            wrong.push(format!("{name}: type {fits:?}, has {there:?}"));
        }
    }
    assert!(wrong.is_empty(), "Envoy {version:?}:\n{}", wrong.join("\n"));
}

/// What this Envoy has beyond the vocabulary, among all combinations of groups and fields.
#[test]
fn envoy_has_no_attribute_that_is_not_known() {
    let Some(binary) = support::envoy::binary().expect("an Envoy") else { return };
    let parts = || ATTRIBUTES.iter().filter_map(|attribute| attribute.name.split_once('.'));
    let groups: BTreeSet<&str> = parts().map(|(group, _)| group).collect();
    let mut fields: BTreeSet<&str> = parts().map(|(_, field)| field).collect();
    fields.extend(OTHER_FIELDS);
    let names = groups.iter().flat_map(|group| fields.iter().map(move |f| format!("{group}.{f}")));
    let known = |name: &str| ATTRIBUTES.iter().any(|attribute| attribute.name == name);
    let names: Vec<String> = names.filter(|name| !known(name)).collect();
    let answers = answers(&binary, &names).expect("Envoy answers");
    let found: Vec<_> =
        names.iter().zip(answers).filter(|(_, answer)| *answer != Answer::Error).collect();
    assert!(found.is_empty(), "{found:?}");
}

/// A bool: whether the attribute has the type of the vocabulary.
fn of_its_type(attribute: &Attribute) -> String {
    let name = attribute.name;
    let kind = match attribute.kind {
        AttributeType::Str => "string",
        AttributeType::Int => "int",
        AttributeType::Uint => "uint",
        AttributeType::Bool => "bool",
        AttributeType::Duration => "type(duration('1s'))",
        AttributeType::Timestamp => "type(timestamp('2020-01-01T00:00:00Z'))",
        AttributeType::Headers => "map",
        // Messages, maps and, for what names the plugin, texts: that it is there is all.
        AttributeType::Message => return format!("type({name}) != null_type"),
    };
    format!("type({name}) == {kind}")
}

/// A bool that never fails; a name without a dot has nothing around it that `has()` could be asked of.
fn is_there(name: &str) -> String {
    if name.contains('.') { format!("has({name})") } else { "true".to_owned() }
}

fn answers(binary: &Path, texts: &[String]) -> Result<Vec<Answer>> {
    let (entry, middle, end) = (free_port()?, free_port()?, free_port()?);
    let (client, proxy, server) =
        (Identity::new("client")?, Identity::new("proxy")?, Identity::new("server")?);
    let referer: [(&str, &[u8]); 1] = [("referer", b"http://r/")];
    ask(binary, (entry, &referer), texts, |probe| {
        let router = json!({ "name": "router", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" } });
        let routes = |action: Value| {
            let mut route = json!({
                "match": { "prefix": "/" },
                "metadata": { "filter_metadata": { "probe": { "a": "b" } } },
            });
            route
                .as_object_mut()
                .expect("an object")
                .extend(action.as_object().cloned().unwrap_or_default());
            json!([route])
        };
        let forward = routes(json!({ "name": "route", "route": { "cluster": "end" } }));
        let answer = routes(json!({ "direct_response": { "status": 201 } }));
        json!({
            "node": { "id": "n1", "cluster": "c", "metadata": { "a": "b" } },
            "static_resources": {
                "listeners": [
                    listener("entry", entry, &tcp("middle"), None),
                    listener("middle", middle, &http(&forward, &json!([probe, router])), Some(&proxy.server(&client))),
                    listener("end", end, &http(&answer, &json!([router])), Some(&server.server(&proxy))),
                ],
                "clusters": [
                    cluster("middle", middle, &client.client(&proxy)),
                    cluster("end", end, &proxy.client(&server)),
                ],
            },
        })
    })
}

fn listener(name: &str, port: u16, filter: &Value, socket: Option<&Value>) -> Value {
    let mut chain =
        json!({ "name": "chain", "filters": [{ "name": name, "typed_config": filter }] });
    if let Some(socket) = socket {
        chain["transport_socket"] = socket.clone();
    }
    json!({
        "name": name,
        "address": { "socket_address": { "address": "127.0.0.1", "port_value": port } },
        "traffic_direction": "INBOUND",
        "metadata": { "filter_metadata": { "probe": { "a": "b" } } },
        "listener_filters": [],
        "filter_chains": [chain],
    })
}

fn tcp(cluster: &str) -> Value {
    json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": cluster,
        "cluster": cluster,
    })
}

fn http(routes: &Value, filters: &Value) -> Value {
    json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "probe",
        "route_config": { "virtual_hosts": [{
            "name": "all",
            "domains": ["*"],
            "metadata": { "filter_metadata": { "probe": { "a": "b" } } },
            "routes": routes,
        }] },
        "http_filters": filters,
    })
}

fn cluster(name: &str, port: u16, socket: &Value) -> Value {
    let metadata = json!({ "filter_metadata": { "probe": { "a": "b" } } });
    json!({
        "name": name,
        "type": "STATIC",
        "metadata": metadata,
        "transport_socket": socket,
        "load_assignment": { "cluster_name": name, "endpoints": [{
            "locality": { "region": "r", "zone": "z" },
            "metadata": metadata,
            "lb_endpoints": [{
                "endpoint": { "address": { "socket_address": { "address": "127.0.0.1", "port_value": port } } },
                "metadata": metadata,
            }],
        }] },
    })
}

/// A certificate with names of every kind that attributes tell.
struct Identity {
    certificate: String,
    key: String,
}

// === impl Identity ===

impl Identity {
    fn new(name: &str) -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.subject_alt_names = vec![
            SanType::URI(
                format!("spiffe://cluster.local/ns/default/sa/{name}").as_str().try_into()?,
            ),
            SanType::DnsName(format!("{name}.example").as_str().try_into()?),
        ];
        let certificate = params.self_signed(&key)?;
        Ok(Self { certificate: certificate.pem(), key: key.serialize_pem() })
    }

    fn server(&self, peer: &Self) -> Value {
        self.socket("DownstreamTlsContext", &json!({ "require_client_certificate": true }), peer)
    }

    fn client(&self, peer: &Self) -> Value {
        self.socket("UpstreamTlsContext", &json!({ "sni": "name.example" }), peer)
    }

    fn socket(&self, kind: &str, more: &Value, peer: &Self) -> Value {
        let mut context = more.clone();
        context["@type"] =
            format!("type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.{kind}").into();
        context["common_tls_context"] = json!({
            "tls_certificates": [{
                "certificate_chain": { "inline_string": self.certificate },
                "private_key": { "inline_string": self.key },
            }],
            "validation_context": { "trusted_ca": { "inline_string": peer.certificate } },
        });
        json!({ "name": "envoy.transport_sockets.tls", "typed_config": context })
    }
}
