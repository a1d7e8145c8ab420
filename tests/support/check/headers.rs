//! Compares the headers behind the proxy with what the case expects.

use crate::case::{Case, Want, peer};
use crate::engine::{Headers, Outcome, Passed};
use std::collections::BTreeMap;

/// Adds every header of every request that is not what the case expects.
pub(super) fn compare(case: &Case, outcome: &Outcome, problems: &mut Vec<String>) {
    let none = Passed::default();
    for (index, request) in case.requests.iter().enumerate() {
        let passed = outcome.passed.get(index).unwrap_or(&none);
        let sides = [
            ("upstream", &request.upstream_headers, &passed.upstream),
            ("client", &request.client_headers, &passed.client),
        ];
        for (side, wanted, found) in sides {
            let place = format!("request {index}: {side}");
            side_of(case, &place, wanted, found.as_ref(), problems);
        }
    }
}

fn side_of(
    case: &Case,
    place: &str,
    wanted: &BTreeMap<String, Want>,
    found: Option<&Headers>,
    problems: &mut Vec<String>,
) {
    let Some(found) = found else {
        if !wanted.is_empty() {
            problems.push(format!("{place} to get headers, it got none"));
        }
        return;
    };
    for (name, want) in wanted {
        let value = found.get(name).map(|value| String::from_utf8_lossy(value).into_owned());
        let fits = match want {
            Want::There(there) => value.is_some() == *there,
            Want::Text(text) => value.as_ref() == Some(text),
            Want::OwnMetadata(own) => {
                let labels = &own.own_metadata_with;
                value == Some(peer::own_metadata(&case.node, &case.locality, labels))
            }
        };
        if !fits {
            problems.push(format!("{place} header {name}: {want:?}\n  found {value:?}"));
        }
    }
}
