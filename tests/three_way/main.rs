//! One corpus, three judges: our evaluator, the `cel` crate, and the CEL of a real Envoy.
//!
//! Envoy's answer is the rule. Every expression that we evaluate ourselves must give the same value or be an error in
//! both; every text that we refuse, Envoy must refuse. The `cel` crate is a second implementation of the language: where
//! it differs, [`reference::EXCEPTIONS`] says why. The Envoy comes from `OPMETER_ENVOY`, as for the corpus.

mod corpus;
mod envoy;
mod native;
mod reference;
mod vocabulary;

use std::collections::BTreeMap;

/// What a judge says about one expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The value as Envoy hands it to a module: texts raw, numbers eight bytes, bools one.
    Value(Vec<u8>),
    /// No value.
    Error,
    /// A value that has no form in a module, such as null.
    Shapeless,
    /// Does not compile.
    Refused,
    /// Left to another judge.
    Left,
}

#[test]
fn corpus_has_the_promised_size() {
    let texts = corpus::corpus();
    let own = texts
        .iter()
        .filter(|text| !matches!(native::answer(text), Answer::Left | Answer::Refused))
        .count();
    assert!(own >= 2000, "{own} of {} expressions are native", texts.len());
}

#[test]
fn agrees_with_the_cel_crate() {
    let (mut same, mut excepted, mut wrong) = (0, BTreeMap::new(), Vec::new());
    for text in corpus::corpus() {
        let (own, other) = (native::answer(&text), reference::answer(&text));
        if own == Answer::Left || other == Answer::Left {
            continue;
        }
        if own == other {
            same += 1;
        } else if let Some(name) = reference::exception(&text) {
            *excepted.entry(name).or_insert(0) += 1;
        } else {
            wrong.push(format!("{text}\n  ours {own:?}\n  cel  {other:?}"));
        }
    }
    println!("cel crate: {same} agree, {} differ, excepted {excepted:#?}", wrong.len());
    for (name, _) in reference::EXCEPTIONS {
        assert!(excepted.contains_key(name), "exception without a case: {name}");
    }
    assert!(wrong.is_empty(), "{} differences\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn agrees_with_envoy() {
    let Some(binary) = support::envoy::binary().expect("an Envoy") else { return };
    let texts = corpus::corpus();
    let answers = envoy::answers(&binary, &texts).expect("Envoy answers");
    let (mut same, mut left, mut wrong) = (0, 0, Vec::new());
    for (text, envoy) in texts.iter().zip(answers) {
        match native::answer(text) {
            Answer::Left => left += 1,
            own if own == envoy => same += 1,
            own => wrong.push(format!("{text}\n  ours  {own:?}\n  envoy {envoy:?}")),
        }
    }
    println!("Envoy: {same} agree, {left} left to the host, {} differ", wrong.len());
    assert!(wrong.is_empty(), "{} differences\n{}", wrong.len(), wrong.join("\n"));
}
