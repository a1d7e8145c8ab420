//! Configuration text.

use crate::filter::{Proxy, Stats};
use arbitrary::Unstructured;
use opmeter_core::{Configured, Diagnostic, Recorder, Stream, Unusable, configure};
use serde_json::Value;

/// Any JSON object gives a plan that works, any other text nothing; `strict` refuses exactly what has a problem of any kind.
pub fn config(data: &[u8]) {
    let object = matches!(serde_json::from_slice(data), Ok(Value::Object(_)));
    let empty = data.trim_ascii().is_empty();
    match read(data) {
        Ok(configured) => {
            assert!(object || empty);
            configured.problems.iter().for_each(check);
            run(configured);
        }
        Err(Unusable::Unreadable(problem)) => {
            assert!(!object && !empty);
            check(&problem);
        }
        Err(Unusable::Strict(problems)) => {
            assert!(object && !problems.is_empty());
            problems.iter().for_each(check);
        }
    }
    if let Ok(Value::Object(mut fields)) = serde_json::from_slice(data) {
        let mut with = |strict: bool| {
            fields.insert("strict".to_owned(), Value::Bool(strict));
            read(Value::Object(fields.clone()).to_string().as_bytes())
        };
        match (with(false), with(true)) {
            (Ok(lax), Ok(_)) => assert!(lax.problems.is_empty()),
            (Ok(lax), Err(Unusable::Strict(strict))) => {
                assert_eq!(lax.problems.len(), strict.len());
            }
            (lax, strict) => panic!("found {lax:?} and {strict:?}"),
        }
    }
}

fn read(text: &[u8]) -> Result<Configured, Unusable> {
    configure(text, &mut Proxy::new(Unstructured::new(&[]), Vec::new()))
}

fn check(problem: &Diagnostic) {
    assert!(!problem.path.is_empty() && !problem.message.is_empty(), "{problem:?}");
}

/// One request and one connection, each counted at most once: the configuration may drop what counts them.
fn run(configured: Configured) {
    let mut proxy = Proxy::new(Unstructured::new(&[]), Vec::new());
    let mut stats = Stats::default();
    let mut recorder = Recorder::new(configured.plan, &mut proxy, &mut stats);
    for (at, mut stream) in [Stream::default(), Stream::connection()].into_iter().enumerate() {
        proxy.begin(at == 1);
        proxy.turn_to(at);
        recorder.on_request(&mut stream, &mut proxy, &mut stats);
        recorder.on_response(&mut stream, &mut proxy, &mut stats);
        proxy.timer(|proxy| recorder.on_tick(&mut stream, proxy, &mut stats));
        recorder.on_log(&mut stream, &mut proxy, &mut stats);
    }
    for metric in ["requests_total", "tcp_connections_opened_total"] {
        assert!(stats.total(metric) <= 1, "{metric}");
    }
}
