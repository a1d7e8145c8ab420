//! Any change of a valid configuration: it never panics and always gives a plan, what is right is in force, and nothing applies
//! to more than in the valid one.
#![cfg(not(target_arch = "wasm32"))]

mod cases;
#[path = "../support/mod.rs"]
mod support;

use cases::random::Random;
use cases::rule::{self, Counted, REQUESTS};
use cases::{Broken, Version, Wrong, edits, texts, valid};
use opmeter_core::attribute::Fact;
use opmeter_core::{Configured, Diagnostic, Plan, Recorder, Stream, Unusable, configure};
use proptest::prelude::*;
use support::{Script, Stats, int};

const GENERATION: &str = "g";

fn version() -> Version {
    Version::new(GENERATION, 0)
}

/// An inbound listener.
fn host() -> Script {
    let facts = [
        (Fact::ListenerDirection, int(1)),
        (Fact::ResponseCode, int(200)),
        (Fact::Duration, int(5_900_000)),
        (Fact::RequestBytes, int(100)),
        (Fact::ResponseBytes, int(2_000)),
    ];
    Script { facts: facts.into(), ..Script::default() }
}

/// What the metrics add up for one request.
const AMOUNTS: [(&str, u64); 5] = [
    ("requests_total", 1),
    ("request_duration_milliseconds", 5),
    ("request_bytes", 100),
    ("response_bytes", 2_000),
    ("custom_total", 1),
];

/// How each of the requests is counted.
fn counted(plan: Plan, mut host: Script) -> [Counted; 2] {
    let mut stats = Stats::default();
    let mut recorder = Recorder::new(plan, &mut host, &mut stats);
    REQUESTS.map(|(method, path)| {
        let before = std::mem::take(&mut stats.values);
        // Names stay defined.
        stats.values = before.keys().map(|name| (name.clone(), 0)).collect();
        host.facts.insert(Fact::Method, method.as_bytes().to_vec());
        host.facts.insert(Fact::Path, path.as_bytes().to_vec());
        let mut stream = Stream::default();
        recorder.on_request(&mut stream, &mut host, &mut stats);
        recorder.on_response(&mut stream, &mut host, &mut stats);
        recorder.on_log(&mut stream, &mut host, &mut stats);
        let metrics = AMOUNTS.into_iter().map(|(name, amount)| {
            let end = format!("_{name}");
            let all = stats.values.iter().filter(|(stat, _)| stat.ends_with(&end));
            let sum: u64 = all.map(|(_, value)| value).sum();
            assert_eq!(sum % amount, 0, "{name}");
            (name.to_owned(), sum / amount)
        });
        let is_total =
            |(stat, value): &(&String, &u64)| stat.ends_with("_requests_total") && **value > 0;
        let total = stats.values.iter().find(is_total);
        let labels = total.iter().flat_map(|(stat, _)| stat.split(";.;"));
        let labels = labels.filter_map(|field| field.split_once("=.="));
        let labels = labels.filter(|(_, value)| !value.is_empty());
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Counted { labels: labels.collect(), metrics: metrics.collect() }
    })
}

/// What is against the rule.
fn problems(case: &Broken) -> Vec<String> {
    let mut host = host();
    let configured = configure(&case.text, &mut host);
    match (configured, case.wrong) {
        (Err(Unusable::Unreadable(problem)), Wrong::Everything) if is_told(&problem) => Vec::new(),
        (Err(problems), _) => vec![format!("found {problems:?}")],
        (Ok(_), Wrong::Everything) => vec!["it is read".to_owned()],
        (Ok(Configured { problems, .. }), Wrong::Part) if problems.is_empty() => {
            vec!["no problem is reported".to_owned()]
        }
        (Ok(Configured { plan, problems }), _) => {
            assert!(problems.iter().all(is_told), "{problems:?}");
            rule::problems(case, GENERATION, &counted(plan, host))
        }
    }
}

fn is_told(problem: &Diagnostic) -> bool {
    !problem.path.is_empty() && !problem.message.is_empty()
}

#[track_caller]
fn check(cases: impl Iterator<Item = Broken>) {
    let mut all = Vec::new();
    for case in cases {
        let found = problems(&case);
        all.extend(
            found.into_iter().map(|problem| format!("{:?}: {}: {problem}", case.wrong, case.what)),
        );
    }
    assert!(all.is_empty(), "{} problems:\n{}", all.len(), all.join("\n"));
}

#[test]
fn the_valid_configuration_is_what_the_rule_says() {
    let text = valid(&version()).into_bytes();
    let valid = Broken { what: String::new(), wrong: Wrong::Part, places: Vec::new(), text };
    let counted = |text: &[u8]| {
        let mut host = host();
        let configured = configure(text, &mut host).unwrap();
        assert_eq!(configured.problems, []);
        self::counted(configured.plan, host)
    };
    let found = rule::problems(&valid, GENERATION, &counted(&valid.text));
    assert_eq!(found, Vec::<String>::new());
    // And an empty one has none of it: labels set, labels removed, metrics.
    let found = rule::problems(&valid, GENERATION, &counted(b""));
    assert_eq!(found.len(), (6 + 2 + 2) + (7 + 2 + 3));
}

#[test]
fn every_single_change() {
    let edits = edits::all();
    assert!(edits.len() > 2_000, "{}", edits.len());
    check(edits.iter().map(|edit| edits::one(&version(), edit)));
}

#[test]
fn every_text() {
    check(texts::all().into_iter());
}

proptest! {
    #[test]
    fn several_changes(chosen in prop::collection::vec(any::<prop::sample::Index>(), 2..6)) {
        let edits = edits::all();
        let chosen: Vec<_> = chosen.iter().map(|index| index.get(edits).clone()).collect();
        let case = edits::several(&version(), &chosen);
        prop_assert_eq!(problems(&case), Vec::<String>::new(), "{}", case.what);
    }

    #[test]
    fn any_bytes_changed(seed: u64) {
        let case = texts::random(&version(), &mut Random::new(seed));
        prop_assert_eq!(problems(&case), Vec::<String>::new(), "{}", case.what);
    }
}
