//! The owner of a pod, which names the kind of its workload (Envoy `metadata_object`, `parseOwner`).

/// Kinds of workload Istio knows; any other is unknown.
const TYPES: [&[u8]; 4] = [b"pod", b"deployment", b"job", b"cronjob"];

const PREFIX: &[u8] = b"kubernetes://apis/apps/v1/namespaces/";

/// `text` if it is a kind of workload, else empty.
pub(super) fn known_type(text: &[u8]) -> &[u8] {
    if TYPES.contains(&text) { text } else { &[] }
}

/// The kind of workload in an owner such as `kubernetes://apis/apps/v1/namespaces/NS/deployments/WORKLOAD`, empty if
/// unknown: the last `s/WORKLOAD` is dropped by length, and what follows the last `/` is the kind.
pub(super) fn workload_type<'a>(owner: &'a [u8], workload: &[u8]) -> &'a [u8] {
    let suffix = workload.len().saturating_add(2);
    let kept = owner.len().checked_sub(suffix).and_then(|n| owner.get(..n));
    let kept = kept.unwrap_or_default();
    match kept.iter().rposition(|&b| b == b'/') {
        Some(slash) => known_type(kept.get(slash.saturating_add(1)..).unwrap_or_default()),
        None => &[],
    }
}

/// The owner a sidecar writes for a workload of a known kind; the API group is always `apps/v1`, even for jobs.
pub(super) fn owner(namespace: &[u8], workload_type: &[u8], workload: &[u8]) -> Vec<u8> {
    [PREFIX, namespace, b"/", workload_type, b"s/", workload].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn kind(owner: &str, workload: &str, expected: &str) {
        let got = workload_type(owner.as_bytes(), workload.as_bytes());
        assert_eq!(String::from_utf8_lossy(got), expected);
    }

    #[test]
    fn the_kind_is_the_segment_before_the_workload() {
        const NS: &str = "kubernetes://apis/apps/v1/namespaces/default";
        kind(&format!("{NS}/deployments/web"), "web", "deployment");
        kind(&format!("{NS}/pods/web"), "web", "pod");
        kind("kubernetes://apis/batch/v1/namespaces/d/jobs/j", "j", "job");
        kind(&format!("{NS}/cronjobs/nightly"), "nightly", "cronjob");
        kind(&format!("{NS}/statefulsets/db"), "db", "");
        kind(&format!("{NS}/Deployments/web"), "web", "");
    }

    #[test]
    fn the_workload_counts_by_length_only() {
        kind("x/deployments/abc", "xyz", "deployment");
        kind("x/deployments/abc", "ab", "");
        kind("x/deployments/abc", "abcd", "");
        kind("x/deployments/", "", "deployment");
    }

    #[test]
    fn an_owner_without_a_segment_is_unknown() {
        kind("", "", "");
        kind("s/web", "web", "");
        kind("deployments/web", "web", "");
        kind("/deployments/web", "web", "deployment");
        kind("short", "a-much-longer-workload", "");
    }

    #[test]
    fn writes_what_it_reads() {
        let text = owner(b"ns", b"job", b"w");
        assert_eq!(text, b"kubernetes://apis/apps/v1/namespaces/ns/jobs/w");
        assert_eq!(workload_type(&text, b"w"), b"job");
    }
}
