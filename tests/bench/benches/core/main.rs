//! What the core costs alone, in CPU time: finding operations, configuring, a request on a proxy that answers at once, a
//! peer's header.

mod cpu;
mod script;

use cpu::CpuTime;
use criterion::Criterion;
use opmeter_core::expr::{Slots, Vocabulary, compile};
use opmeter_core::operation::{Found, MatcherBuilder, Template, Tree};
use opmeter_core::peer::LabelNames;
use opmeter_core::peer::header::{LocalNode, decode, encode};
use opmeter_core::{Recorder, Stream, configure};
use script::{Metrics, Script};
use std::hint::black_box;

/// How many operations.
const OPERATIONS: usize = 10_000;
/// How many conditions with a regular expression.
const CONDITIONS: usize = 1_000;
/// Steps through the operations, so that neighbours in time are none in memory.
const STRIDE: usize = 7919;

fn template(number: usize) -> String {
    format!("/api/service-{:03}/resource-{:03}/{{id}}", number / 100, number % 100)
}

fn path(number: usize) -> Vec<u8> {
    template(number).replace("{id}", "item-4711").into_bytes()
}

/// 10,000 templates of four segments: always the same one, and all in turn, which no cache holds. Bar: 150 ns.
fn templates(criterion: &mut Criterion<CpuTime>) {
    let mut tree = Tree::default();
    for number in 0..OPERATIONS {
        let parsed = Template::parse(&template(number)).expect("a template");
        tree.insert(Some("GET"), &parsed, number as u32).expect("no conflict");
    }
    let paths: Vec<Vec<u8>> = (0..OPERATIONS).map(path).collect();
    criterion.bench_function("find one of 10,000 templates", |bencher| {
        bencher.iter(|| tree.find(b"GET", black_box(&paths[STRIDE])));
    });
    let mut number = 0;
    criterion.bench_function("find each of 10,000 templates", |bencher| {
        bencher.iter(|| {
            number = (number + STRIDE) % OPERATIONS;
            let found = tree.find(b"GET", black_box(&paths[number]));
            assert_eq!(found, Some(number as u32));
        });
    });
}

/// One automaton for 1,000 conditions, of which the last holds; bar: 1 µs.
fn regexes(criterion: &mut Criterion<CpuTime>) {
    let mut slots = Slots::default();
    let mut builder = MatcherBuilder::default();
    for number in 0..CONDITIONS {
        let text = condition(number);
        let expr = compile(&text, &Vocabulary::default(), &mut slots).expect("an expression");
        assert!(builder.condition(Some(&expr), &slots), "{text} is not matched natively");
    }
    let matcher = builder.build();
    let find = |path: &[u8]| matcher.find(b"GET", path, path, |_| Err(()));
    let last = condition_path(CONDITIONS - 1);
    let number = CONDITIONS as u32 - 1;
    assert_eq!(find(&last), Ok(Some(Found::Condition(number))));
    criterion.bench_function("find one of 1,000 regular expressions", |bencher| {
        bencher.iter(|| find(black_box(&last)));
    });
    let paths: Vec<Vec<u8>> = (0..CONDITIONS).map(condition_path).collect();
    let mut number = 0;
    criterion.bench_function("find each of 1,000 regular expressions", |bencher| {
        bencher.iter(|| {
            number = (number + STRIDE) % CONDITIONS;
            find(black_box(&paths[number]))
        });
    });
}

/// 10,000 operations from text to plan; also tells the memory.
fn plan(criterion: &mut Criterion<CpuTime>) {
    let text = operations();
    let memory = allocation_counter::measure(|| {
        drop(black_box(configure(text.as_bytes(), &mut Script::default())));
    });
    println!(
        "configuring 10,000 operations: {:.1} MB at most, {:.1} MB and {} allocations in total, from {:.1} MB of text",
        memory.bytes_max as f64 / 1e6,
        memory.bytes_total as f64 / 1e6,
        memory.count_total,
        text.len() as f64 / 1e6
    );
    let mut group = criterion.benchmark_group("configure");
    group.sample_size(20);
    group.bench_function("10,000 operations", |bencher| {
        bencher.iter(|| configure(black_box(text.as_bytes()), &mut Script::default()).is_ok());
    });
}

/// A request from its end to its metrics, label set known. The share of the proxy's answers is a copy of some bytes.
fn requests(criterion: &mut Criterion<CpuTime>) {
    for (name, text) in [
        ("a request: standard metrics", "{}".to_owned()),
        ("a request: 10,000 operations", operations()),
        ("a request: 1,000 regular expressions", conditions()),
    ] {
        let mut host = Script::default();
        let mut metrics = Metrics::default();
        let plan = configure(text.as_bytes(), &mut host).expect("accepted").plan;
        let mut recorder = Recorder::new(plan, &mut host, &mut metrics);
        recorder.on_log(&mut Stream::default(), &mut host, &mut metrics);
        let (evaluated, recorded) = (host.evaluated, metrics.recorded);
        recorder.on_log(&mut Stream::default(), &mut host, &mut metrics);
        println!(
            "{name}: {} evaluations by the host, {} records",
            host.evaluated - evaluated,
            metrics.recorded - recorded
        );
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| {
                recorder.on_log(black_box(&mut Stream::default()), &mut host, &mut metrics);
            });
        });
    }
}

/// A peer's header that was not seen before.
fn header(criterion: &mut Criterion<CpuTime>) {
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
    let names = LabelNames::default();
    let value = encode(&node, &names);
    criterion.bench_function("decode a peer header", |bencher| {
        bencher.iter(|| decode(black_box(&value), &names).is_ok());
    });
}

fn operations() -> String {
    let operations = (0..OPERATIONS).map(|number| {
        format!(r#"{{"value":"op-{}","method":"GET","path":"{}"}}"#, number % 3, template(number))
    });
    let operations = operations.collect::<Vec<String>>().join(",");
    format!(
        r#"{{"attributes":[{{"output_attribute":"op","operations":[{operations}]}}],{DIMENSION}}}"#
    )
}

fn conditions() -> String {
    let entries = (0..CONDITIONS)
        .map(|number| format!(r#"{{"value":"op-{number}","condition":"{}"}}"#, condition(number)));
    let entries = entries.collect::<Vec<String>>().join(",");
    format!(r#"{{"attributes":[{{"output_attribute":"op","match":[{entries}]}}],{DIMENSION}}}"#)
}

fn condition(number: usize) -> String {
    format!("request.url_path.matches('^/api/service-{number:03}/resource-[0-9]+/[^/]+$')")
}

fn condition_path(number: usize) -> Vec<u8> {
    format!("/api/service-{number:03}/resource-017/item-4711").into_bytes()
}

const DIMENSION: &str = r#""metrics":[{"dimensions":{"operation":"op"}}]"#;

fn main() {
    let mut criterion = Criterion::default().with_measurement(CpuTime).configure_from_args();
    templates(&mut criterion);
    regexes(&mut criterion);
    plan(&mut criterion);
    requests(&mut criterion);
    header(&mut criterion);
    criterion.final_summary();
}
