//! What is made from the definition of the command line: help, completions, manual pages.

mod command;

use std::path::Path;

use command::opmeter;

const COMMANDS: &[&str] = &[
    "run",
    "lint",
    "render",
    "openapi",
    "budget",
    "package",
    "schema",
    "scrape",
    "top",
    "completions",
    "man",
];

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn every_command_has_help_with_examples() {
    let all = opmeter(here(), &["--help"]);
    assert_eq!(all.code, 0);
    for name in COMMANDS {
        assert!(all.stdout.contains(&format!("\n  {name} ")), "{name} in {}", all.stdout);
        let help = opmeter(here(), &[name, "--help"]);
        assert_eq!(help.code, 0);
        assert!(help.stdout.contains("Examples:\n  opmeter "), "{}", help.stdout);
    }
    assert!(!all.stdout.contains("guard"), "what is for itself alone is not shown");
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = opmeter(here(), &["completions", shell]);
        assert_eq!(output.code, 0);
        for name in COMMANDS {
            assert!(output.stdout.contains(name), "{name} for {shell}");
        }
    }
}

#[test]
fn there_is_a_manual_page_for_each_command() {
    let folder = tempfile::tempdir().expect("a folder");
    let pages = folder.path().join("man1");
    assert_eq!(opmeter(here(), &["man".as_ref(), pages.as_os_str()]).code, 0);
    let main = std::fs::read_to_string(pages.join("opmeter.1")).expect("the page");
    assert!(main.starts_with(".ie") || main.contains(".TH opmeter 1"), "{main}");
    for name in COMMANDS {
        let page = std::fs::read_to_string(pages.join(format!("opmeter-{name}.1")));
        assert!(page.expect("a page").contains(".SH SYNOPSIS"), "{name}");
    }
}
