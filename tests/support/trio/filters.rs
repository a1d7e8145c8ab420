//! The HTTP filters of every listener. All but the module, `grpc_stats` and the router are off until a host asks for them.

use super::Mounts;
use crate::engine::Mount;
use crate::envoy::bootstrap::{TYPES, router, wasm_filter};
use crate::grpc::descriptor;
use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::path::Path;

/// A filter that a host can have: its short name, the type of its configuration for a route, and whether it comes before
/// the module, as those do that refuse requests.
struct Known {
    name: &'static str,
    kind: &'static str,
    of_route: &'static str,
    before: bool,
}

const fn known(name: &'static str, kind: &'static str, of_route: &'static str) -> Known {
    Known { name, kind, of_route, before: false }
}

/// In the order of a chain.
const ALL: [Known; 10] = [
    Known {
        before: true,
        ..known(
            "local_ratelimit",
            "local_ratelimit.v3.LocalRateLimit",
            "local_ratelimit.v3.LocalRateLimit",
        )
    },
    Known { before: true, ..known("rbac", "rbac.v3.RBAC", "rbac.v3.RBACPerRoute") },
    Known {
        before: true,
        ..known("ext_authz", "ext_authz.v3.ExtAuthz", "ext_authz.v3.ExtAuthzPerRoute")
    },
    known("grpc_web", "grpc_web.v3.GrpcWeb", ""),
    known("grpc_http1_bridge", "grpc_http1_bridge.v3.Config", ""),
    known("grpc_json_transcoder", "grpc_json_transcoder.v3.GrpcJsonTranscoder", ""),
    known("grpc_http1_reverse_bridge", "grpc_http1_reverse_bridge.v3.FilterConfig", ""),
    known("buffer", "buffer.v3.Buffer", "buffer.v3.BufferPerRoute"),
    known("fault", "fault.v3.HTTPFault", "fault.v3.HTTPFault"),
    known("cors", "cors.v3.Cors", "cors.v3.CorsPolicy"),
];

/// The filters of a listener.
pub(super) fn chain(mounts: Mounts, config: &str, module: &Path) -> Value {
    let mut chain: Vec<Value> = ALL.iter().filter(|f| f.before).map(filter).collect();
    if mounts.contains(&Mount::Filter) {
        let opmeter = wasm_filter("http", config, module);
        chain.push(json!({ "name": "opmeter", "typed_config": opmeter }));
    }
    if mounts.len() > 1 {
        // A team's own plugin beside that of the mesh.
        let fields = config.trim_end().strip_suffix('}').unwrap_or(config);
        let config = [fields, r#", "tcp_reporting_duration": "7s"}"#].concat();
        let opmeter = wasm_filter("http", &config, module);
        chain.push(json!({ "name": "opmeter_of_a_team", "typed_config": opmeter }));
    }
    chain.extend(ALL.iter().filter(|f| !f.before).map(filter));
    let stats = format!("{TYPES}.http.grpc_stats.v3.FilterConfig");
    chain.push(json!({
        "name": "grpc_stats",
        "typed_config": { "@type": stats, "emit_filter_state": true },
    }));
    chain.push(router());
    chain.into()
}

/// What a host has in `typed_per_filter_config` to have one of the filters: its name and the value. Without settings it
/// is only switched on.
///
/// # Errors
/// When there is no such filter, or it has no settings for a host.
pub fn of_host(short: &str, settings: &Value) -> Result<(String, Value)> {
    let known = ALL.iter().find(|f| f.name == short).with_context(|| format!("filter {short}"))?;
    if settings.as_object().is_none_or(serde_json::Map::is_empty) {
        let on = json!({
            "@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig",
            "config": {},
        });
        return Ok((full_name(known), on));
    }
    let mut settings = settings.clone();
    let kind = Some(known.of_route).filter(|kind| !kind.is_empty());
    let kind = kind.with_context(|| format!("{short} has no settings"))?;
    settings["@type"] = format!("{TYPES}.http.{kind}").into();
    Ok((full_name(known), settings))
}

fn full_name(known: &Known) -> String {
    format!("envoy.filters.http.{}", known.name)
}

fn filter(known: &Known) -> Value {
    let mut config = match known.name {
        "local_ratelimit" => json!({ "stat_prefix": "limit" }),
        "ext_authz" => json!({
            "http_service": { "server_uri": { "uri": "authz", "cluster": "refused", "timeout": "1s" } },
        }),
        "buffer" => json!({ "max_request_bytes": 100 }),
        "grpc_json_transcoder" => json!({
            "proto_descriptor_bin": STANDARD.encode(descriptor()),
            "services": ["ratings.Ratings"],
            "auto_mapping": true,
            "convert_grpc_status": true,
        }),
        "grpc_http1_reverse_bridge" => json!({
            "content_type": "application/x-protobuf", "withhold_grpc_frames": true,
        }),
        _ => json!({}),
    };
    config["@type"] = format!("{TYPES}.http.{}", known.kind).into();
    json!({ "name": full_name(known), "typed_config": config, "disabled": true })
}
