//! `opmeter lint` as a person starts it: every folder of `tests/lint` has files and what is said about them, word by word.

mod command;

use std::fs;
use std::path::Path;

use command::{golden, opmeter};

#[test]
fn every_finding_is_told_with_its_place_reason_and_fix() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lint");
    let mut cases: Vec<_> =
        fs::read_dir(folder).expect("cases").map(|entry| entry.expect("a case").path()).collect();
    cases.sort();
    assert!(cases.len() >= 8, "{cases:?}");
    for case in cases {
        let mut files: Vec<_> = fs::read_dir(&case)
            .expect("files")
            .map(|entry| entry.expect("a file").file_name().into_string().expect("a name"))
            .filter(|name| name != "expected.txt")
            .collect();
        files.sort();
        let args = ["lint".to_owned()].into_iter().chain(files);
        let output = opmeter(&case, &args.collect::<Vec<_>>());
        golden(&case.join("expected.txt"), &output.stdout);
        let clean = output.stdout.contains("nothing found");
        assert_eq!(output.code, i32::from(!clean), "{}", case.display());
        assert_eq!(output.stderr, "");
    }
}

#[test]
fn a_program_gets_the_same_as_json() {
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lint/telemetry");
    let output = opmeter(&case, &["lint", "--format", "json", "telemetry.yaml"]);
    let report: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
    assert_eq!((&report["errors"], &report["warnings"]), (&5.into(), &6.into()));
    assert_eq!(
        report["findings"][0],
        serde_json::json!({
            "rule": "invalid", "severity": "error", "file": "telemetry.yaml",
            "line": 11, "column": 23, "end_line": 11, "end_column": 37, "path": "",
            "message": "unknown metric \"REQUESTS_COUNT\"",
            "why": "Istio refuses the resource", "fix": "write REQUEST_COUNT",
        })
    );
}

#[test]
fn the_bootstraps_of_this_repository_are_clean() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut seen = 0;
    for folder in ["envoy", "envoy/sinks"] {
        for entry in fs::read_dir(root.join(folder)).expect("bootstraps") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|extension| extension == "yaml") {
                let output = opmeter(&root, &["lint".as_ref(), path.as_os_str()]);
                assert_eq!(output.stdout, "1 document checked, nothing found\n", "{path:?}");
                seen += 1;
            }
        }
    }
    assert!(seen >= 7, "{seen}");
}

#[test]
fn kinds_of_findings_can_be_allowed() {
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lint/operator");
    let args = ["lint", "operator.yaml", "--allow", "ignored,invalid"];
    let output = opmeter(&case, &args);
    assert_eq!((output.code, output.stdout.as_str()), (0, "1 document checked, nothing found\n"));
    let old = opmeter(&case, &["lint", "operator.yaml", "--istio-version", "1.20"]);
    assert!(!old.stdout.contains("takes no notice of configOverride"), "{}", old.stdout);
}

#[test]
fn what_cannot_be_done_is_one_sentence_and_exit_status_2() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = opmeter(here, &["lint", "nowhere.yaml"]);
    assert_eq!((output.code, output.stdout.as_str()), (2, ""));
    assert_eq!(
        output.stderr,
        "opmeter: cannot read nowhere.yaml: No such file or directory (os error 2)\n"
    );
    assert_eq!(opmeter(here, &["lint", "--format", "xml", "x"]).code, 2);
    assert_eq!(opmeter(here, &["lint"]).code, 2);
}

#[test]
fn colours_are_for_terminals() {
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lint/telemetry");
    assert!(!opmeter(&case, &["lint", "telemetry.yaml"]).stdout.contains('\u{1b}'));
    let forced = command::with(&case, &["lint", "telemetry.yaml"], &[("CLICOLOR_FORCE", "1")]);
    assert!(forced.stdout.contains('\u{1b}'));
}
