//! Mutual TLS for cases: certificates with the identities a case tells, and relays that speak it for plain peers.

use crate::case::Tls;
use anyhow::Result;
use rcgen::{CertificateParams, DnType, KeyPair, SanType};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const SOCKETS: &str = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3";

/// Two identities and the socket between them.
#[derive(Debug)]
pub(super) struct Relay {
    /// Where the TLS connection goes through.
    pub socket: PathBuf,
    /// The proxy's own certificate.
    pub local: Identity,
    /// The other side's certificate.
    pub peer: Identity,
}

/// A certificate and its key, in PEM.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    certificate: String,
    key: String,
}

// === impl Relay ===

impl Relay {
    /// Makes both certificates; `name` keeps the sockets of one folder apart.
    pub fn new(tls: &Tls, folder: &Path, name: &str) -> Result<Self> {
        Ok(Self {
            socket: folder.join(name),
            local: Identity::new(&tls.local)?,
            peer: Identity::new(&tls.peer)?,
        })
    }
}

// === impl Identity ===

impl Identity {
    /// A self-signed certificate with one URI SAN.
    ///
    /// # Errors
    /// When the URI is not ASCII.
    pub fn new(uri: &str) -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        // Envoy finds the trusted certificate of a peer by its subject.
        params.distinguished_name.push(DnType::CommonName, uri);
        params.subject_alt_names = vec![SanType::URI(uri.try_into()?)];
        let certificate = params.self_signed(&key)?;
        Ok(Self { certificate: certificate.pem(), key: key.serialize_pem() })
    }

    /// Transport socket of a listener that asks for the certificate of `peer`.
    pub fn server(&self, peer: &Self) -> Value {
        let context = json!({
            "@type": format!("{SOCKETS}.DownstreamTlsContext"),
            "require_client_certificate": true,
            "common_tls_context": self.context(peer),
        });
        json!({ "name": "envoy.transport_sockets.tls", "typed_config": context })
    }

    /// Transport socket of a cluster that expects the certificate of `peer`.
    pub fn client(&self, peer: &Self) -> Value {
        let context = json!({
            "@type": format!("{SOCKETS}.UpstreamTlsContext"),
            "common_tls_context": self.context(peer),
        });
        json!({ "name": "envoy.transport_sockets.tls", "typed_config": context })
    }

    fn context(&self, peer: &Self) -> Value {
        json!({
            "tls_certificates": [{
                "certificate_chain": { "inline_string": self.certificate },
                "private_key": { "inline_string": self.key },
            }],
            "validation_context": { "trusted_ca": { "inline_string": peer.certificate } },
        })
    }
}

/// A listener that hands bytes on to a cluster.
pub(crate) fn relay_listener(name: &str, address: &Value, cluster: &str) -> Value {
    let proxy = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": name,
        "cluster": cluster,
    });
    json!({
        "name": name,
        "address": address,
        "filter_chains": [{
            "filters": [{ "name": "envoy.filters.network.tcp_proxy", "typed_config": proxy }],
        }],
    })
}
