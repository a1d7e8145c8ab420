//! Mutual TLS between the two sidecars, with certificates made for one run.
//!
//! One authority signs both, and each names its workload by a SPIFFE URI, as in Istio. The authority's key is never written,
//! so nothing can be signed with it once the run has started.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType,
};
use serde_json::{Value, json};

use super::bootstrap::{Bootstrap, INBOUND, RATINGS};
use super::shared::PRODUCTPAGE;

const CLIENT: &str = "spiffe://cluster.local/ns/default/sa/productpage";
const SERVER: &str = "spiffe://cluster.local/ns/default/sa/ratings";

/// Package of Envoy's TLS contexts.
const TLS: &str = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3";

type Authority = CertifiedIssuer<'static, KeyPair>;

/// What one sidecar shows and whom it trusts: paths of PEM files.
#[derive(Debug)]
struct Identity {
    certificate: String,
    key: String,
    authority: String,
}

/// Makes certificates in `folder` and has the client's bootstrap connect, the server's accept with them, and only so; the
/// other way round too, where calls go both ways.
pub fn secure(folder: &Path, [client, server]: &mut [Bootstrap; 2]) -> Result<()> {
    let issuer = authority().context("cannot make a certificate authority")?;
    let trusted = write(&folder.join("authority.pem"), &issuer.pem())?;
    let productpage = Identity::issue(&issuer, folder, "productpage", CLIENT, &trusted)?;
    let ratings = Identity::issue(&issuer, folder, "ratings", SERVER, &trusted)?;
    client
        .set_cluster_socket(RATINGS, &productpage.upstream(SERVER))
        .context("the client sidecar cannot have mutual TLS")?;
    if server.has("clusters", PRODUCTPAGE) {
        server.set_cluster_socket(PRODUCTPAGE, &ratings.upstream(CLIENT))?;
        client.set_listener_socket(INBOUND, &productpage.downstream())?;
    }
    server
        .set_listener_socket(INBOUND, &ratings.downstream())
        .context("the server sidecar cannot have mutual TLS")
}

// === impl Identity ===

impl Identity {
    fn issue(
        issuer: &Authority,
        folder: &Path,
        name: &str,
        uri: &str,
        trusted: &str,
    ) -> Result<Self> {
        let key = KeyPair::generate()?;
        let certificate = leaf(name, uri)?.signed_by(&key, issuer)?;
        Ok(Self {
            certificate: write(&folder.join(format!("{name}.pem")), &certificate.pem())?,
            key: write(&folder.join(format!("{name}.key")), &key.serialize_pem())?,
            authority: trusted.to_owned(),
        })
    }

    /// Transport socket of a cluster whose endpoints must prove to be `server`.
    fn upstream(&self, server: &str) -> Value {
        let validation = json!({
            "trusted_ca": { "filename": self.authority },
            "match_typed_subject_alt_names": [{ "san_type": "URI", "matcher": { "exact": server } }],
        });
        socket(json!({
            "@type": format!("{TLS}.UpstreamTlsContext"),
            "common_tls_context": self.common(&validation),
        }))
    }

    /// Transport socket of a filter chain whose clients must show a certificate of the authority.
    fn downstream(&self) -> Value {
        let validation = json!({ "trusted_ca": { "filename": self.authority } });
        socket(json!({
            "@type": format!("{TLS}.DownstreamTlsContext"),
            "require_client_certificate": true,
            "common_tls_context": self.common(&validation),
        }))
    }

    fn common(&self, validation: &Value) -> Value {
        json!({
            "tls_certificates": [{
                "certificate_chain": { "filename": self.certificate },
                "private_key": { "filename": self.key },
            }],
            "validation_context": validation,
        })
    }
}

fn socket(context: Value) -> Value {
    json!({ "name": "envoy.transport_sockets.tls", "typed_config": context })
}

fn authority() -> Result<Authority> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "opmeter run");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}

fn leaf(name: &str, uri: &str) -> Result<CertificateParams> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.subject_alt_names = vec![SanType::URI(uri.try_into()?)];
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    // A sidecar has one certificate for both directions.
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    Ok(params)
}

/// Writes a file that only its owner can read, and gives its path as text.
fn write(file: &Path, text: &str) -> Result<String> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(file)
        .and_then(|mut open| open.write_all(text.as_bytes()))
        .with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file.to_str().context("the path of the folder for this run is not UTF-8")?.to_owned())
}

#[cfg(test)]
#[path = "certificates_tests.rs"]
mod tests;
