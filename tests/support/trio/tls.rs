//! The certificates of the proxies and the sockets made of them.

use crate::envoy::tls::Identity;
use crate::mesh::{PRODUCTPAGE, RATINGS};
use anyhow::Result;
use serde_json::{Value, json};

const SOCKETS: &str = "type.googleapis.com/envoy.extensions.transport_sockets";

/// Both ends of a connection, and a stranger.
pub(super) struct Certificates {
    client: Identity,
    server: Identity,
    stranger: Identity,
}

// === impl Certificates ===

impl Certificates {
    /// New ones.
    pub fn new() -> Result<Self> {
        Ok(Self {
            client: Identity::new(PRODUCTPAGE)?,
            server: Identity::new(RATINGS)?,
            stranger: Identity::new("spiffe://elsewhere/ns/any/sa/stranger")?,
        })
    }

    /// Of a listener that asks for the client's certificate and speaks both versions of HTTP.
    pub fn listener(&self) -> Value {
        with_protocols(self.server.server(&self.client), &["h2", "http/1.1"])
    }

    /// Of a listener for HTTP/3.
    pub fn quic(&self) -> Value {
        let listener = self.listener();
        let certificates = &listener["typed_config"]["common_tls_context"]["tls_certificates"];
        let tls = json!({ "common_tls_context": { "tls_certificates": certificates } });
        let quic = json!({
            "@type": format!("{SOCKETS}.quic.v3.QuicDownstreamTransport"),
            "downstream_tls_context": tls,
        });
        json!({ "name": "envoy.transport_sockets.quic", "typed_config": quic })
    }

    /// Of a cluster that speaks one protocol, or what it is told.
    pub fn cluster(&self, protocols: &[&str]) -> Value {
        with_protocols(self.client.client(&self.server), protocols)
    }

    /// Of a cluster that trusts somebody else.
    pub fn distrusting(&self) -> Value {
        self.client.client(&self.stranger)
    }

    /// Of a cluster that has no certificate.
    pub fn anonymous(&self) -> Value {
        let mut socket = self.client.client(&self.server);
        socket["typed_config"]["common_tls_context"]["tls_certificates"] = json!([]);
        socket
    }
}

fn with_protocols(mut socket: Value, protocols: &[&str]) -> Value {
    socket["typed_config"]["common_tls_context"]["alpn_protocols"] = json!(protocols);
    socket
}
