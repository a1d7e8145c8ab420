//! The files of a run, and where they go in the repository's bootstraps.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{CLIENT, Identity, SERVER, authority, leaf, secure};
use crate::run::bootstrap::Bootstrap;

fn bootstraps() -> [Bootstrap; 2] {
    ["client-sidecar.yaml", "server-sidecar.yaml"].map(|name| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../envoy").join(name);
        Bootstrap::parse(&fs::read_to_string(path).unwrap()).unwrap()
    })
}

fn written(bootstrap: &Bootstrap) -> Value {
    serde_json::from_str(&bootstrap.to_json().unwrap()).unwrap()
}

fn identity() -> Identity {
    Identity { certificate: "/c".to_owned(), key: "/k".to_owned(), authority: "/a".to_owned() }
}

#[test]
fn the_client_expects_the_identity_of_the_server() {
    let expected = json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            "common_tls_context": {
                "tls_certificates": [{
                    "certificate_chain": { "filename": "/c" },
                    "private_key": { "filename": "/k" },
                }],
                "validation_context": {
                    "trusted_ca": { "filename": "/a" },
                    "match_typed_subject_alt_names": [
                        { "san_type": "URI", "matcher": { "exact": "spiffe://x/y" } },
                    ],
                },
            },
        },
    });
    assert_eq!(identity().upstream("spiffe://x/y"), expected);
}

#[test]
fn the_server_asks_for_a_certificate() {
    let expected = json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "require_client_certificate": true,
            "common_tls_context": {
                "tls_certificates": [{
                    "certificate_chain": { "filename": "/c" },
                    "private_key": { "filename": "/k" },
                }],
                "validation_context": { "trusted_ca": { "filename": "/a" } },
            },
        },
    });
    assert_eq!(identity().downstream(), expected);
}

/// Takes the transport socket away again and gives the files it names: certificate, key and authority.
fn taken(owner: &mut Value) -> [String; 3] {
    let socket = owner.as_object_mut().unwrap().remove("transport_socket").unwrap();
    let common = &socket["typed_config"]["common_tls_context"];
    let [certificate] = common["tls_certificates"].as_array().unwrap().as_slice() else {
        panic!("one certificate");
    };
    let authority = &common["validation_context"]["trusted_ca"];
    [&certificate["certificate_chain"], &certificate["private_key"], authority]
        .map(|file| file["filename"].as_str().unwrap().to_owned())
}

#[test]
fn the_repositorys_sidecars_get_one_transport_socket_each_and_nothing_else() {
    let folder = TempDir::new().unwrap();
    let plain = bootstraps();
    let mut secured = plain.clone();
    secure(folder.path(), &mut secured).unwrap();

    let [mut client, mut server] = secured.each_ref().map(written);
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let files = ["productpage.pem", "productpage.key", "authority.pem"].map(path);
    assert_eq!(taken(&mut client["static_resources"]["clusters"][0]), files);
    let inbound = &mut server["static_resources"]["listeners"][0];
    assert_eq!(inbound["name"], "inbound");
    let files = ["ratings.pem", "ratings.key", "authority.pem"].map(path);
    assert_eq!(taken(&mut inbound["filter_chains"][0]), files);
    assert_eq!([client, server], plain.each_ref().map(written));
}

#[test]
fn a_run_has_two_keys_and_not_that_of_the_authority() {
    let folder = TempDir::new().unwrap();
    secure(folder.path(), &mut bootstraps()).unwrap();
    let mut keys = Vec::new();
    for entry in fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if fs::read_to_string(&path).unwrap().contains("PRIVATE KEY") {
            keys.push(path.file_name().unwrap().to_str().unwrap().to_owned());
        }
    }
    keys.sort();
    assert_eq!(keys, ["productpage.key", "ratings.key"]);
}

#[cfg(unix)]
#[test]
fn keys_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = TempDir::new().unwrap();
    secure(folder.path(), &mut bootstraps()).unwrap();
    for name in ["productpage.key", "ratings.key"] {
        let mode = fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn certificates_carry_the_identity() {
    let issuer = authority().unwrap();
    for (uri, expected) in [
        (CLIENT, "spiffe://cluster.local/ns/default/sa/productpage"),
        (SERVER, "spiffe://cluster.local/ns/default/sa/ratings"),
    ] {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = leaf("x", uri).unwrap().signed_by(&key, &issuer).unwrap();
        let der = certificate.der().windows(expected.len());
        assert_eq!(der.filter(|part| *part == expected.as_bytes()).count(), 1, "{expected}");
    }
}
