//! The header `x-envoy-peer-metadata`: any bytes, and what we write ourselves.

use super::oracle::{self, nested, properties_of, structure, text};
use super::{LabelNames, naive, names};
use arbitrary::{Result, Unstructured};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use opmeter_core::peer::cache::PeerCache;
use opmeter_core::peer::header::{LocalNode, MAX_HEADER_BYTES, decode, encode};
use std::collections::BTreeMap;

/// The first byte's lowest bit decides: the rest is a header, or says what a node is that writes one.
pub fn peer_header(data: &[u8]) {
    match data.split_first() {
        Some((first, rest)) if first & 1 == 0 => received(rest),
        Some((_, rest)) => {
            let _ = written(&mut Unstructured::new(rest));
        }
        None => {}
    }
}

/// A header gives what the base64 crate and the plain reader give, and the same again from the cache.
fn received(header: &[u8]) {
    let names = names();
    let peer = decode(header, &names).map(|peer| properties_of(&peer, &names));
    let bare = header.strip_suffix(b"=").unwrap_or(header);
    let bare = bare.strip_suffix(b"=").unwrap_or(bare);
    let bytes = STANDARD_NO_PAD.decode(bare).ok().filter(|_| header.len() <= MAX_HEADER_BYTES);
    assert_eq!(peer.clone().ok(), bytes.and_then(|bytes| naive::read(&bytes)));
    let mut cache = PeerCache::new(1, super::names());
    for _ in 0..2 {
        let found = cache.get_or_decode(header);
        assert_eq!(
            found.peer().map(|peer| properties_of(peer, &names)),
            peer.clone().ok().filter(|_| !header.is_empty())
        );
        assert_eq!(found.error(), peer.clone().err().filter(|_| !header.is_empty()));
    }
}

/// What a node writes says the same as the full encoding of the same node, to us and to prost.
fn written(input: &mut Unstructured<'_>) -> Result<()> {
    let mut word = || -> Result<String> {
        let len = input.int_in_range(0..=12)?;
        Ok(String::from_utf8_lossy(input.bytes(len)?).into_owned())
    };
    let [name, namespace, workload, cluster] = [word()?, word()?, word()?, word()?];
    let [identity, region, zone, kind] = [word()?, word()?, word()?, word()?];
    let kinds = ["pod", "deployment", "job", "cronjob", &kind];
    let owner = format!(
        "kubernetes://apis/apps/v1/namespaces/{namespace}/{}s/{workload}",
        input.choose(&kinds)?
    );
    let keys = [
        "service.istio.io/canonical-name",
        "service.istio.io/canonical-revision",
        "app",
        "app.kubernetes.io/name",
        "version",
        "app.kubernetes.io/version",
        "role",
        &kind,
    ];
    let mut labels = BTreeMap::new();
    for _ in 0..input.int_in_range(0..=6)? {
        let key = *input.choose(&keys)?;
        let len = input.int_in_range(0..=8)?;
        labels.insert(key, String::from_utf8_lossy(input.bytes(len)?).into_owned());
    }
    let pairs: Vec<_> = labels.iter().map(|(k, v)| (k.as_bytes(), v.as_bytes())).collect();
    let local = LocalNode {
        name: name.as_bytes(),
        namespace: namespace.as_bytes(),
        owner: owner.as_bytes(),
        workload: workload.as_bytes(),
        cluster: cluster.as_bytes(),
        identity: identity.as_bytes(),
        region: region.as_bytes(),
        availability_zone: zone.as_bytes(),
        labels: &pairs,
    };
    // The value of `app` and `version` may come from another label, which one that is asked for by name hides.
    let third = if keys[..6].contains(&&*kind) { "team" } else { &kind };
    let names = LabelNames::new(["role", "REGION", third]);
    let full = structure([
        ("NAME", text(&name)),
        ("NAMESPACE", text(&namespace)),
        ("OWNER", text(&owner)),
        ("WORKLOAD_NAME", text(&workload)),
        ("CLUSTER_ID", text(&cluster)),
        ("IDENTITY", text(&identity)),
        ("REGION", text(&region)),
        ("AVAILABILITY_ZONE", text(&zone)),
        ("LABELS", nested(structure(labels.iter().map(|(k, v)| (*k, text(v)))))),
    ]);
    let expected = oracle::properties(&full, &names);
    let header = encode(&local, &names);
    let peer = decode(&header, &names).expect("what we wrote");
    assert_eq!(properties_of(&peer, &names), expected);
    assert_eq!(oracle::read(&header, &names).expect("what we wrote"), expected);
    Ok(())
}
