//! What the clients send: requests rendered once, sent over and over in turn.

use opmeter_core::peer::LabelNames;
use opmeter_core::peer::header::{ID_HEADER, LocalNode, METADATA_HEADER, encode};
use std::fmt::Write;

/// How many operations the larger configuration has.
pub const OPERATIONS: usize = 10_000;

/// Requests of HTTP/1.1, all of the same length.
#[derive(Debug)]
pub struct Traffic {
    requests: Vec<Vec<u8>>,
}

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// An application, to its own sidecar.
    Application,
    /// Another sidecar, which tells who it is.
    Sidecar,
}

// === impl Traffic ===

impl Traffic {
    /// One request for each operation of [`path`], to one host.
    pub fn of_operations(sender: Sender) -> Self {
        let requests = (0..OPERATIONS).map(|i| request(&host(0), &path(i), sender));
        Self { requests: requests.collect() }
    }

    /// One request for each of so many hosts, to one path: the host is the label `destination_service`.
    pub fn of_hosts(hosts: usize) -> Self {
        let requests = (0..hosts).map(|i| request(&host(i), &path(0), Sender::Sidecar));
        Self { requests: requests.collect() }
    }

    /// How many requests there are.
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    /// A request by a number that only grows.
    pub fn request(&self, number: u64) -> &[u8] {
        let index = number % self.requests.len() as u64;
        &self.requests[index as usize]
    }
}

/// The path of an operation: four segments, the last a parameter.
pub fn path(operation: usize) -> String {
    format!("{}/item-{:04}", stem(operation), (operation * 7919) % OPERATIONS)
}

/// The template of an operation.
pub fn template(operation: usize) -> String {
    format!("{}/{{id}}", stem(operation))
}

fn stem(operation: usize) -> String {
    format!("/api/service-{:03}/resource-{:03}", operation / 100, operation % 100)
}

fn host(number: usize) -> String {
    format!("ratings-{number:05}.default.svc.cluster.local:9080")
}

fn request(host: &str, path: &str, sender: Sender) -> Vec<u8> {
    let mut text = format!(
        "GET {path} HTTP/1.1\r\nhost: {host}\r\nuser-agent: bench/1.0\r\naccept: application/json\r\n\
         x-request-id: 6f1c0f0e-9a53-4c27-8ac5-3d0f7d1e6b11\r\n"
    );
    if sender == Sender::Sidecar {
        // Writing to a String cannot fail.
        let _ = write!(text, "{ID_HEADER}: sidecar~10.0.0.9~reviews-v1-7c9.default~default\r\n");
        let _ = write!(text, "{METADATA_HEADER}: {}\r\n", caller());
    }
    text.push_str("\r\n");
    text.into_bytes()
}

/// What a sidecar tells of its workload.
fn caller() -> String {
    let node = LocalNode {
        name: b"reviews-v1-7c9",
        namespace: b"default",
        owner: b"kubernetes://apis/apps/v1/namespaces/default/deployments/reviews-v1",
        workload: b"reviews-v1",
        cluster: b"cluster1",
        labels: &[
            (b"app", b"reviews"),
            (b"version", b"v1"),
            (b"service.istio.io/canonical-name", b"reviews"),
            (b"service.istio.io/canonical-revision", b"v1"),
        ],
        ..LocalNode::default()
    };
    String::from_utf8_lossy(&encode(&node, &LabelNames::default())).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use opmeter_core::operation::{Template, Tree};

    #[test]
    fn every_path_is_an_operation_of_its_own() {
        let mut tree = Tree::default();
        for number in 0..OPERATIONS {
            let parsed = Template::parse(&template(number)).unwrap();
            tree.insert(Some("GET"), &parsed, number as u32).unwrap();
        }
        for number in 0..OPERATIONS {
            assert_eq!(tree.find(b"GET", path(number).as_bytes()), Some(number as u32));
        }
    }

    #[test]
    fn requests_differ_in_nothing_but_their_names() {
        let of_operations = Traffic::of_operations(Sender::Sidecar);
        let of_hosts = Traffic::of_hosts(20_000);
        let len = of_hosts.request(0).len();
        assert!((0..10_000).all(|i| of_operations.request(i).len() == len));
        assert!((0..20_000).all(|i| of_hosts.request(i).len() == len));
    }
}
