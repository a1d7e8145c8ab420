//! Both directions in both sidecars, under one configuration: what a mesh has under a resource that names no side.
//!
//! Each sidecar also gets the other's kind of listener, and ratings calls productpage as productpage calls ratings.

use anyhow::{Context, Result};
use serde_yaml_ng::Value;

use super::bootstrap::{Bootstrap, INBOUND, OUTBOUND, RATINGS};
use super::places::{Back, Places};

/// The server's cluster that stands for the client.
pub const PRODUCTPAGE: &str = "outbound|9080||productpage.default.svc.cluster.local";
/// The cluster of an application behind its sidecar.
pub const APPLICATION: &str = "inbound|9080||";

/// Adds the way back, and gives all listeners the client's configuration of the module.
pub fn share([client, server]: &mut [Bootstrap; 2], places: &Places, back: &Back) -> Result<()> {
    let configuration = client.configuration().context("the client sidecar has none to share")?;
    let inbound = [server.part("listeners", INBOUND)?, server.part("clusters", APPLICATION)?];
    let outbound = [client.part("listeners", OUTBOUND)?, client.part("clusters", RATINGS)?];
    for (sidecar, [listener, cluster]) in [(&mut *client, inbound), (&mut *server, outbound)] {
        sidecar.add("listeners", of_productpage(listener))?;
        sidecar.add("clusters", of_productpage(cluster))?;
        sidecar.set_configuration(&configuration);
    }
    client.move_listener(INBOUND, back.inbound)?;
    client.move_cluster(APPLICATION, places.upstream)?;
    server.move_listener(OUTBOUND, back.outbound)?;
    server.move_cluster(PRODUCTPAGE, back.inbound)
}

/// A part that stood for ratings.
fn of_productpage(part: Value) -> Value {
    match part {
        Value::String(text) => text.replace("ratings", "productpage").into(),
        Value::Sequence(list) => Value::Sequence(list.into_iter().map(of_productpage).collect()),
        Value::Mapping(map) => Value::Mapping(
            map.into_iter().map(|(name, item)| (name, of_productpage(item))).collect(),
        ),
        other => other,
    }
}

#[cfg(test)]
#[path = "shared_tests.rs"]
mod tests;
