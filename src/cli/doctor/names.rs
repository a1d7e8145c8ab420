//! Names in a scrape that still hold labels.

/// Labels found in the names of metrics, each once: `reporter___source____istio_requests_total` has `reporter`.
///
/// Envoy writes `_` for every character Prometheus does not allow, so `=.=` is `___` there.
pub fn labels_in_names(scrape: &str, known: &[&str]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for line in scrape.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        let Some(at) = name.find("istio_").filter(|at| *at > 0) else { continue };
        for label in known {
            let inside = format!("{label}___");
            let there = name[..at].match_indices(&inside).any(|(at, _)| {
                // Not the end of another label's name.
                at == 0 || name[..at].ends_with("___")
            });
            if there && !found.iter().any(|label_found| label_found == label) {
                found.push((*label).to_owned());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::labels_in_names;

    #[test]
    fn labels_are_found_where_they_should_not_be() {
        let scrape = "# TYPE x counter\nreporter___source___source_app___x____istio_requests_total{} 1\n\
                      istio_requests_total{reporter=\"source\"} 1\n";
        let known = ["app", "reporter", "response_code", "source_app"];
        assert_eq!(labels_in_names(scrape, &known), ["reporter", "source_app"]);
        assert!(labels_in_names("istio_requests_total{} 1\n", &known).is_empty());
    }
}
