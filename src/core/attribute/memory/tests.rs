use super::*;

#[test]
fn keys_stand_for_what_is_remembered() {
    let keys =
        keys_of(&[Fact::Host, Fact::ClusterService, Fact::EndpointWorkload, Fact::LocalPrincipal]);
    let expected = [
        Fact::Host,
        Fact::ClusterName,
        Fact::ClusterName,
        Fact::UpstreamAddress,
        Fact::ConnectionId,
    ];
    assert_eq!(keys, expected);
}
