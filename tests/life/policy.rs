//! What becomes of a proxy whose module traps, by failure policy: measured, and held against the table in the decision.

use crate::real_envoy;
use crate::traps::{At, Trapping, request, trapping};
use http_body_util::Full;
use std::path::Path;
use std::time::Duration;
use support::app::App;
use support::envoy::Envoy;
use support::mesh::{Sidecar, Updates};
use support::scrape::Scrape;
use support::{http, module};

/// Where the table is.
const DECISION: &str = "docs/adr/0019-failure-policy.md";

const POLICIES: [&str; 3] = ["FAIL_CLOSED", "FAIL_OPEN", "FAIL_RELOAD"];

/// By then an update is taken or refused.
const UPDATED: Duration = Duration::from_millis(1_000);

/// How long Envoy waits at least before it loads a module again; a second when nobody says.
const BACKOFF: &str = "3s";
/// By then a worker has its module again, if it gets it again (Envoy waits a little more), and an old listener is gone.
const RELOADED: Duration = Duration::from_secs(6);

/// A configuration that the module refuses, as it asks for.
const STRICT: &str = r#"{"strict":true,"metric":[]}"#;

fn sidecar(trapping: &Trapping, upstream: u16, policy: &str) -> Sidecar {
    let mut sidecar = Sidecar::ratings(upstream);
    sidecar.module.clone_from(&trapping.path);
    sidecar.plugin.insert("failure_policy".to_owned(), policy.into());
    let backoff = serde_json::json!({ "backoff": { "base_interval": BACKOFF } });
    sidecar.plugin.insert("reload_config".to_owned(), backoff);
    sidecar
}

/// Sends a request; its status and whether it was counted.
async fn send(proxy: &Envoy, at: Option<At>) -> String {
    let before = Scrape::of(proxy).await.unwrap().total("istio_requests_total");
    let request = request(at).body(Full::default()).unwrap();
    let answer = http::call(proxy.traffic_port, request).await;
    tokio::time::sleep(Duration::from_millis(150)).await;
    let counted = Scrape::of(proxy).await.unwrap().total("istio_requests_total") - before;
    let status = match answer {
        Ok(answer) => answer.status().as_u16().to_string(),
        Err(_) => "connection closed".to_owned(),
    };
    match counted {
        0.0 => format!("{status}, not counted"),
        1.0 => format!("{status}, counted"),
        more => format!("{status}, counted {more} times"),
    }
}

/// A row: what happens, and what becomes of it under each policy.
async fn row(what: &str, outcome: impl AsyncFn(&str) -> String) -> String {
    let [closed, open, reload] = POLICIES;
    let (closed, open, reload) = tokio::join!(outcome(closed), outcome(open), outcome(reload));
    format!("| {what} | {closed} | {open} | {reload} |")
}

/// A configuration that traps or is refused, when the proxy starts.
async fn at_boot(
    envoy: &Path,
    trapping: &Trapping,
    config: &str,
    updates: Updates,
    policy: &str,
) -> String {
    let app = App::start(&[]).await.unwrap();
    let mut sidecar = sidecar(trapping, app.port, policy);
    sidecar.updates = updates;
    sidecar.config = config.to_owned();
    match sidecar.start(envoy).await {
        Ok(proxy) => format!("starts; requests: {}", send(&proxy, None).await),
        Err(_) => "Envoy does not start".to_owned(),
    }
}

/// The same in an update, and what a good one makes of it.
async fn on_update(
    envoy: &Path,
    trapping: &Trapping,
    config: &str,
    updates: Updates,
    policy: &str,
) -> String {
    let app = App::start(&[]).await.unwrap();
    let mut sidecar = sidecar(trapping, app.port, policy);
    sidecar.updates = updates;
    let proxy = sidecar.start(envoy).await.unwrap();
    assert_eq!(send(&proxy, None).await, "200, counted");
    sidecar.config = config.to_owned();
    sidecar.update(&proxy).unwrap();
    tokio::time::sleep(UPDATED).await;
    let scrape = Scrape::of(&proxy).await.unwrap();
    let refused = scrape.total("envoy_listener_manager_lds_update_rejected")
        + scrape.total("envoy_extension_config_discovery_http_filter_opmeter_update_rejected");
    let update = if refused > 0.0 { "refused" } else { "taken" };
    let now = send(&proxy, None).await;
    sidecar.config = r#"{"metadata_exchange":{"max_peers":7}}"#.to_owned();
    sidecar.update(&proxy).unwrap();
    // The old listener is gone by then.
    tokio::time::sleep(RELOADED).await;
    let later = send(&proxy, None).await;
    format!("{update}; requests: {now}; after a good update: {later}")
}

/// A request that traps, those right behind it, and those after a while.
async fn on_request(envoy: &Path, trapping: &Trapping, at: At, policy: &str) -> String {
    let app = App::start(&[]).await.unwrap();
    let mut sidecar = sidecar(trapping, app.port, policy);
    sidecar.updates = Updates::Listener;
    let proxy = sidecar.start(envoy).await.unwrap();
    assert_eq!(send(&proxy, None).await, "200, counted");
    let trapped = send(&proxy, Some(at)).await;
    let next = send(&proxy, None).await;
    tokio::time::sleep(RELOADED).await;
    let _wakes_it = send(&proxy, None).await;
    let later = send(&proxy, None).await;
    sidecar.config = r#"{"metadata_exchange":{"max_peers":7}}"#.to_owned();
    sidecar.update(&proxy).unwrap();
    tokio::time::sleep(RELOADED).await;
    let updated = send(&proxy, None).await;
    format!("it: {trapped}; the next: {next}; later: {later}; after an update: {updated}")
}

#[tokio::test]
async fn the_decision_tells_what_happens() {
    let Some(envoy) = real_envoy() else { return };
    let traps = Trapping::new().unwrap();
    let good = r#"{"metadata_exchange":{}}"#;
    let trapping = trapping(good);
    let boot = async |what: &str, config: &str, updates| {
        row(what, async |policy| at_boot(&envoy, &traps, config, updates, policy).await).await
    };
    let update = async |what: &str, config: &str, updates| {
        row(what, async |policy| on_update(&envoy, &traps, config, updates, policy).await).await
    };
    let request = async |what: &str, at| {
        row(what, async |policy| on_request(&envoy, &traps, at, policy).await).await
    };
    let boots = tokio::join!(
        boot("a configuration that traps, at boot", &trapping, Updates::None),
        boot("a configuration that `strict` refuses, at boot", STRICT, Updates::None),
        boot("a configuration that `strict` refuses, by ECDS at boot", STRICT, Updates::Filter),
    );
    let updates = tokio::join!(
        update("a configuration that traps, by LDS", &trapping, Updates::Listener),
        update("a configuration that traps, by ECDS", &trapping, Updates::Filter),
        update("a configuration that `strict` refuses, by LDS", STRICT, Updates::Listener),
        update("a configuration that `strict` refuses, by ECDS", STRICT, Updates::Filter),
    );
    let requests = tokio::join!(
        request("a request that traps", At::Headers),
        request("a request that traps when it is logged", At::Log),
    );
    let boots = [boots.0, boots.1, boots.2];
    let updates = [updates.0, updates.1, updates.2, updates.3];
    let table = [boots.join("\n"), updates.join("\n"), requests.0, requests.1].join("\n");
    let decision = std::fs::read_to_string(module::workspace().join(DECISION)).unwrap_or_default();
    assert!(decision.contains(&table), "{DECISION} should say:\n{table}");
}
