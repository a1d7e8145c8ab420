//! The namespace inside an Istio certificate.

/// The namespace in a URI SAN such as `spiffe://cluster.local/ns/default/sa/web`: what stands between the first
/// `/ns/` and the next `/`, or the end. Empty if there is none (Envoy `istio_stats`, `getNamespace`).
pub fn namespace(uri: &[u8]) -> &[u8] {
    const KEY: &[u8] = b"/ns/";
    let Some(at) = uri.windows(KEY.len()).position(|w| w == KEY) else {
        return &[];
    };
    let rest = uri.get(at.saturating_add(KEY.len())..).unwrap_or_default();
    rest.split(|&b| b == b'/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_namespace_is_the_segment_after_ns() {
        let cases: [(&str, &str); 9] = [
            ("spiffe://cluster.local/ns/default/sa/web", "default"),
            ("spiffe://cluster.local/ns/default", "default"),
            ("cluster.local/ns/a/ns/b", "a"),
            ("/ns/x/", "x"),
            ("/ns/", ""),
            ("/ns//sa/web", ""),
            ("spiffe://cluster.local/NS/default", ""),
            ("ns/default", ""),
            ("", ""),
        ];
        for (uri, expected) in cases {
            assert_eq!(namespace(uri.as_bytes()), expected.as_bytes(), "{uri}");
        }
    }

    proptest! {
        #[test]
        fn no_namespace_has_a_slash(uri in "[/ns:a-c]{0,40}") {
            let found = namespace(uri.as_bytes());
            prop_assert!(!found.contains(&b'/'));
            if !found.is_empty() {
                let whole = [b"/ns/", found].concat();
                prop_assert!(uri.as_bytes().windows(whole.len()).any(|w| w == whole));
            }
        }
    }
}
