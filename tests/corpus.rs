//! The corpus: every case of `corpus/*.toml` on every engine it names, one test each.
//!
//! `cargo test --test corpus -- core::` runs one engine, `-- ::labels::` one file, `-- --list` shows all; `core-logger::`
//! is the module as an access logger.

use libtest_mimic::{Arguments, Failed, Trial};
use std::path::Path;
use support::case::{Case, read_all};
use support::check;
use support::engine::{Engine, Mount, Outcome};
use support::{envoy, module, native_host, wasm_host};

fn main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let cases = read_all(&folder).unwrap_or_else(|error| panic!("{error:#}"));
    let trials = cases.into_iter().flat_map(|(name, case)| trials(&name, &case)).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn trials(name: &str, case: &Case) -> Vec<Trial> {
    let ways = case.on.iter().flat_map(|e| case.mounts().into_iter().map(|mount| (*e, mount)));
    ways.map(|(engine, mount)| {
        let case = case.clone();
        Trial::test(format!("{engine}{mount}::{name}"), move || test(engine, mount, &case))
    })
    .collect()
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
