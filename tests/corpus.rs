//! The corpus: every case of `corpus/*.toml` on every engine it names, one test each.
//!
//! `cargo test --test corpus -- core::` runs one engine, `-- ::labels::` one file, `-- --list` shows all; `core-logger::`
//! is the module as an access logger. `envoy-shared::` is an Envoy whose listeners of all directions share one configuration:
//! every case in one of the ways there are, in all of them with `OPMETER_SHARED=all` (`make test-shared`).

use libtest_mimic::{Arguments, Failed, Trial};
use std::collections::BTreeSet;
use std::path::Path;
use support::case::{Case, read_all};
use support::check;
use support::engine::{Engine, Mount, Outcome};
use support::envoy::directions::{self, Directions};
use support::{envoy, module, native_host, wasm_host};

fn main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let cases = read_all(&folder).unwrap_or_else(|error| panic!("{error:#}"));
    let mut all: Vec<Trial> = cases.iter().flat_map(|(name, case)| trials(name, case)).collect();
    all.extend(cases.iter().flat_map(|(name, case)| shared(name, case)));
    all.push(Trial::test("envoy-shared::no-way-is-left-out", move || every_way(&cases)));
    libtest_mimic::run(&Arguments::from_args(), all).exit();
}

fn trials(name: &str, case: &Case) -> Vec<Trial> {
    let ways = case.on.iter().flat_map(|e| case.mounts().into_iter().map(|mount| (*e, mount)));
    ways.map(|(engine, mount)| {
        let case = case.clone();
        Trial::test(format!("{engine}{mount}::{name}"), move || test(engine, mount, &case))
    })
    .collect()
}

fn is_real(case: &Case) -> bool {
    case.on.contains(&Engine::Envoy)
}

/// A case where all directions share a configuration.
fn shared(name: &str, case: &Case) -> Vec<Trial> {
    if !is_real(case) {
        return Vec::new();
    }
    let ways = match std::env::var_os("OPMETER_SHARED") {
        Some(_) => Directions::all(case),
        None => Directions::of(name, case).into_iter().collect(),
    };
    let trial = |way: Directions| {
        let case = case.clone();
        Trial::test(format!("envoy-shared::{name} {way}"), move || test_shared(way, &case))
    };
    ways.into_iter().map(trial).collect()
}

fn test_shared(way: Directions, case: &Case) -> Result<(), Failed> {
    let Some(binary) = envoy::binary()? else { return Ok(()) };
    let outcome = directions::run(case, way, &binary)
        .map_err(|error| format!("rule: {}\n{error:#}", case.rule))?;
    verdict(case, &outcome)
}

/// Every way is that of some case, and every direction comes first before cases of every side.
fn every_way(cases: &[(String, Case)]) -> Result<(), Failed> {
    let mut all = BTreeSet::new();
    let mut taken = BTreeSet::new();
    for (name, case) in cases.iter().filter(|(_, case)| is_real(case)) {
        let both =
            |way: Directions| [way.to_string(), format!("{} before {}", way.first, case.side)];
        all.extend(Directions::all(case).into_iter().flat_map(both));
        taken.extend(Directions::of(name, case).into_iter().flat_map(both));
    }
    let missing: Vec<&String> = all.difference(&taken).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("no case for {missing:?}").into()) }
}

fn test(engine: Engine, mount: Mount, case: &Case) -> Result<(), Failed> {
    let outcome = match engine {
        Engine::Core => native_host::run(case, mount),
        Engine::Wasm => wasm_host::run(case, mount, module::bytes())
            .map_err(|error| format!("rule: {}\n{error:#}", case.rule))?,
        Engine::Envoy => {
            let Some(binary) = envoy::binary()? else { return Ok(()) };
            envoy::run(case, mount, &binary)
                .map_err(|error| format!("rule: {}\n{error:#}", case.rule))?
        }
    };
    verdict(case, &outcome)
}

fn verdict(case: &Case, outcome: &Outcome) -> Result<(), Failed> {
    let problems = check::problems(case, outcome);
    if problems.is_empty() { Ok(()) } else { Err(check::report(case, outcome, &problems).into()) }
}
