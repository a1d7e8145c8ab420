//! `strict: true` asks for a configuration to be refused, and for what follows from that.

use crate::cases::rule::LABELS;
use crate::real_envoy;
use crate::traffic::Applications;
use support::envoy::Envoy;
use support::fleet::{BARE_HTTP, Fleet, Layer, Mounted, Way};
use support::scrape::Scrape;

const GOOD: &str = r#"{"strict":true}"#;
const BROKEN: &str = r#"{"strict":true,"metrics":[{"dimension":{}}]}"#;
const TOLD: &str =
    "configuration refused: metrics[0].dimension: unknown field (did you mean \"dimensions\"?)";

fn fleet(applications: &Applications, way: Way, layer: Layer, config: &str) -> Fleet {
    let mount = Mounted { name: "strict".to_owned(), layer, config: config.into() };
    Fleet {
        way,
        mounts: vec![mount],
        http: applications.http.port,
        tcp: applications.tcp.port,
        dimensions: LABELS.iter().map(|label| label.name.to_owned()).collect(),
        failure_policy: "FAIL_OPEN",
    }
}

#[tokio::test]
async fn an_envoy_does_not_start_with_it() {
    let Some(binary) = real_envoy() else { return };
    let applications = Applications::start().await.unwrap();
    for layer in Layer::ALL {
        let fleet = fleet(&applications, Way::Static, layer, BROKEN);
        let mut log = String::new();
        assert!(fleet.try_start(&binary, &mut log).await.unwrap().is_none(), "{layer:?}");
        assert!(log.contains(TOLD), "{log}");
    }
}

#[tokio::test]
async fn a_new_filter_without_another_configuration_answers_500() {
    let Some(binary) = real_envoy() else { return };
    let applications = Applications::start().await.unwrap();
    let fleet = fleet(&applications, Way::Filters, Layer::HttpFilter, BROKEN);
    let envoy = fleet.start(&binary).await.unwrap();
    let answers = applications.ask(&envoy, "strict", true).await.unwrap();
    assert!(answers.iter().all(|(told, _)| told.starts_with("500 ")), "{answers:?}");
    let bare = applications.ask(&envoy, BARE_HTTP, true).await.unwrap();
    assert!(bare.iter().all(|(told, _)| told.starts_with("200 ")), "{bare:?}");
}

#[tokio::test]
async fn an_update_keeps_the_last_good_configuration() {
    let Some(binary) = real_envoy() else { return };
    let applications = Applications::start().await.unwrap();
    for way in [Way::Filters, Way::Listeners] {
        let mut fleet = fleet(&applications, way, Layer::HttpFilter, GOOD);
        let envoy = fleet.start(&binary).await.unwrap();
        assert_counts(&applications, &envoy, 3.0).await;
        fleet.mounts[0].config = BROKEN.into();
        fleet.update(&envoy).unwrap();
        Scrape::when(&envoy, "opmeter_config_rejected_total", 1.0).await.unwrap();
        assert!(envoy.log().unwrap().contains(TOLD));
        assert_counts(&applications, &envoy, 6.0).await;
    }
}

async fn assert_counts(applications: &Applications, envoy: &Envoy, total: f64) {
    let answers = applications.ask(envoy, "strict", true).await.unwrap();
    assert!(answers.iter().all(|(told, _)| told.starts_with("200 ")), "{answers:?}");
    Scrape::when(envoy, "istio_requests_total", total).await.unwrap();
}
