//! A request whose labels are known allocates nothing.

mod support;

use opmeter_core::attribute::Fact;
use opmeter_core::port::{Content, ExprId, Failed, Host, Message, Refused};
use opmeter_core::{Recorder, Share, Stream, configure};
use std::collections::HashMap;
use support::{FAILURE, Script, Stats, int};

/// A scripted proxy whose answers are worked out once, so that only the core can allocate afterwards.
struct Known {
    script: Script,
    answers: HashMap<u32, Option<Vec<u8>>>,
}

impl Host for Known {
    fn compile(&mut self, expression: &str) -> Result<ExprId, Refused> {
        self.script.compile(expression)
    }

    fn evaluate(&mut self, expression: ExprId, out: &mut Vec<u8>) -> Result<(), Failed> {
        let script = &mut self.script;
        let answer = self.answers.entry(expression.0).or_insert_with(|| {
            let mut value = Vec::new();
            script.evaluate(expression, &mut value).ok().map(|()| value)
        });
        out.extend_from_slice(answer.as_ref().ok_or(FAILURE)?);
        Ok(())
    }

    fn attribute(&mut self, path: &str, out: &mut Vec<u8>) -> Result<(), Failed> {
        if path == Fact::Path.path() {
            out.extend_from_slice(PATH);
            return Ok(());
        }
        self.script.attribute(path, out)
    }

    fn node(&mut self, path: &[&str]) -> Option<Vec<u8>> {
        self.script.node(path)
    }

    fn declare(&mut self, name: &str, content: Content) -> Result<(), Failed> {
        self.script.declare(name, content)
    }

    fn publish(&mut self, _: &str, _: &[u8]) -> Result<(), Failed> {
        Ok(())
    }

    fn header(&mut self, message: Message, name: &str) -> Result<Option<Vec<u8>>, Failed> {
        self.script.header(message, name)
    }

    fn remove_header(&mut self, message: Message, name: &str) -> Result<(), Failed> {
        self.script.remove_header(message, name)
    }

    fn set_header(&mut self, message: Message, name: &str, value: &[u8]) -> Result<(), Failed> {
        self.script.set_header(message, name, value)
    }
}

const PATH: &[u8] = b"/users/7/orders/9?full=1";

fn request() -> Script {
    let facts = [
        (Fact::ListenerDirection, int(2)),
        (Fact::Host, b"web.shop".to_vec()),
        (Fact::Method, b"GET".to_vec()),
        (Fact::Path, PATH.to_vec()),
        (Fact::ResponseCode, int(200)),
        (Fact::GrpcStatus, int(0)),
        (Fact::Duration, int(1_000_000)),
        (Fact::RequestBytes, int(100)),
        (Fact::ResponseBytes, int(100)),
        (Fact::ClusterName, b"outbound|80||web".to_vec()),
        (Fact::UpstreamAddress, b"10.0.0.1:80".to_vec()),
        (Fact::EndpointWorkload, b"web-v1;shop;web;v1;west".to_vec()),
    ];
    Script { facts: facts.into(), ..Script::default() }
}

/// Allocations of the thousandth stream and the ones after it, as requests of a filter or entries of an access log.
fn allocations(config: &str, is_entry: bool) -> u64 {
    let mut host = Known { script: request(), answers: HashMap::new() };
    let mut stats = Stats::default();
    let plan = configure(config.as_bytes(), &mut host).expect("an accepted configuration").plan;
    let mut recorder = Recorder::new(plan, &mut host, &mut stats);
    let mut one = |stats: &mut Stats| {
        if is_entry {
            recorder.on_entry(Share::All, &mut host, stats);
        } else {
            let mut stream = Stream::default();
            recorder.on_request(&mut stream, &mut host, stats);
            recorder.on_response(&mut stream, &mut host, stats);
            recorder.on_log(&mut stream, &mut host, stats);
        }
    };
    (0..1_000).for_each(|_| one(&mut stats));
    let counted = allocation_counter::measure(|| (0..100).for_each(|_| one(&mut stats)));
    assert_eq!(stats.total("istio_requests_total"), 1_100);
    counted.count_total
}

const OPERATIONS: &str = r#"{
    "attributes": [{"output_attribute": "op", "operations": [{"method": "GET", "path": "/users/{id}/orders/{order}"}],
        "match": [{"value": "admin", "condition": "request.url_path.startsWith('/admin')"}]}],
    "metrics": [{"dimensions": {"operation": "op", "verb": "request.method"}}]}"#;

#[test]
fn a_known_request_allocates_nothing() {
    for config in ["{}", OPERATIONS] {
        assert_eq!(allocations(config, false), 0, "{config}");
        assert_eq!(allocations(config, true), 0, "{config}, entry of an access log");
    }
}

/// The counter counts.
#[test]
fn a_request_that_must_allocate_is_seen() {
    let counted = allocation_counter::measure(|| drop(std::hint::black_box(vec![1_u8; 100])));
    assert_eq!(counted.count_total, 1);
}
