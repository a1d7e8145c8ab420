//! The namespace inside a SPIFFE identity.

/// `spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT` -> `NAMESPACE`; empty when there is none.
///
/// ```
/// let namespace = opmeter_core::mesh::namespace_of(b"spiffe://cluster.local/ns/shop/sa/cart");
/// assert_eq!(namespace, b"shop");
/// ```
pub fn namespace_of(principal: &[u8]) -> &[u8] {
    let mut segments = principal.split(|b| *b == b'/');
    segments.find(|segment| *segment == b"ns");
    segments.next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_without_a_namespace_has_none() {
        assert_eq!(namespace_of(b""), b"");
        assert_eq!(namespace_of(b"spiffe://cluster.local/vm/a"), b"");
        assert_eq!(namespace_of(b"spiffe://cluster.local/ns"), b"");
        assert_eq!(namespace_of(b"spiffe://cluster.local/ns/"), b"");
    }
}
