//! What the sidecars of the repository become.

use std::path::Path;

use serde_json::Value;

use super::super::bootstrap::{self, Bootstrap};
use super::super::places::{Back, Places};
use super::share;
use crate::args::{Cli, Command};
use clap::Parser;

fn places() -> Places {
    let command = ["opmeter", "run", "--envoy", "envoy", "--shared"];
    match Cli::try_parse_from(command).unwrap().command {
        Command::Run(args) => Places::new(&args.addresses, false, args.shared),
        _ => unreachable!(),
    }
}

fn shared() -> [Value; 2] {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../envoy");
    let places = places();
    let module = Path::new("/module.wasm");
    let mut bootstraps = [
        bootstrap::client(&folder, &places, module).unwrap(),
        bootstrap::server(&folder, &places, module).unwrap(),
    ];
    let back: Back = places.back.unwrap();
    share(&mut bootstraps, &places, &back).unwrap();
    bootstraps
        .map(|bootstrap: Bootstrap| serde_json::from_str(&bootstrap.to_json().unwrap()).unwrap())
}

/// Filters of the listener of a direction.
fn plugin(bootstrap: &Value, direction: &str) -> Value {
    let listeners = bootstrap["static_resources"]["listeners"].as_array().unwrap();
    let mut of = listeners.iter().filter(|listener| listener["traffic_direction"] == direction);
    let listener = of.next().unwrap();
    assert!(of.next().is_none(), "two listeners are {direction}");
    let manager = &listener["filter_chains"][0]["filters"][0]["typed_config"];
    manager["http_filters"][0]["typed_config"]["config"].clone()
}

#[test]
fn both_directions_of_both_sidecars_have_one_plugin() {
    let [client, server] = shared();
    let plugin_of_client = plugin(&client, "OUTBOUND");
    assert!(
        plugin_of_client["configuration"]["value"].as_str().unwrap().contains("metadata_exchange")
    );
    for (bootstrap, direction) in
        [(&client, "INBOUND"), (&server, "OUTBOUND"), (&server, "INBOUND")]
    {
        assert_eq!(plugin(bootstrap, direction), plugin_of_client);
    }
}

#[test]
fn the_way_back_is_that_of_productpage() {
    let [client, server] = shared();
    let back = places().back.unwrap();
    for (bootstrap, cluster, port) in [
        (&client, "inbound|9080||", places().upstream.port()),
        (&server, super::PRODUCTPAGE, back.inbound.port()),
    ] {
        let clusters = bootstrap["static_resources"]["clusters"].as_array().unwrap();
        let cluster = clusters.iter().find(|one| one["name"] == cluster).unwrap();
        let service = &cluster["metadata"]["filter_metadata"]["istio"]["services"][0]["name"];
        assert_eq!(service, "productpage");
        let endpoint = &cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"];
        assert_eq!(endpoint["address"]["socket_address"]["port_value"], port);
    }
}
