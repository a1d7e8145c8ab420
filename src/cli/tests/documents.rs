//! Documentation that is made, and documentation that must stay true.

mod command;

use std::fs;
use std::path::{Path, PathBuf};

use command::{golden, opmeter};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn references_are_made_from_the_schemas() {
    for (args, file) in [
        (&["schema", "--markdown"][..], "reference.md"),
        (&["schema", "project", "--markdown"][..], "opmeter-yaml.md"),
    ] {
        let output = opmeter(&root(), args);
        assert_eq!(output.code, 0);
        golden(&root().join("docs/guide").join(file), &output.stdout);
    }
}

/// The guide's own file goes through every command that the guide gives it.
#[test]
fn the_guide_works() {
    let guide = fs::read_to_string(root().join("docs/guide/start.md")).expect("the guide");
    let project = guide.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next());
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("a file");
    write("opmeter.yaml", project.expect("opmeter.yaml in the guide"));
    write("petstore.yaml", "openapi: 3.1.0\npaths: {/pets: {get: {operationId: listPets}}}\n");
    let mut seen = 0;
    for line in guide
        .split("```sh\n")
        .skip(1)
        .flat_map(|rest| rest.split("```").next().unwrap_or_default().lines())
    {
        let line = line.split('#').next().unwrap_or_default().trim();
        let (words, target) =
            line.split_once('>').map_or((line, None), |(w, t)| (w, Some(t.trim())));
        let words: Vec<&str> = words.split_whitespace().collect();
        let [program, args @ ..] = words.as_slice() else { continue };
        if *program == "kubectl" {
            // That needs a cluster.
            continue;
        }
        assert_eq!(*program, "opmeter", "{line}");
        if ["scrape", "top", "doctor"].contains(&args[0]) {
            // These need a proxy; tests/live.rs gives them one.
            continue;
        }
        let output = opmeter(folder.path(), args);
        assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{line}: {}", output.stdout);
        if let Some(target) = target {
            write(target, &output.stdout);
        }
        seen += 1;
    }
    assert!(seen >= 8, "{seen}");
    let told = opmeter(folder.path(), &["explain", "opmeter.json", "GET", "/items/7"]).stdout;
    let shown = guide.split("```text\n").nth(1).and_then(|rest| rest.split("```").next());
    assert!(told.starts_with(shown.expect("what explain tells")), "{told}");
}

/// Every command line in the documentation is one that the command takes.
#[test]
fn command_lines_in_documents_are_understood() {
    let mut files = vec![root().join("README.md"), root().join("istio-manifests/README.md")];
    let guide = fs::read_dir(root().join("docs/guide")).expect("docs/guide");
    files.extend(guide.map(|entry| entry.expect("a file").path()));
    let mut seen = 0;
    for file in files {
        let text = fs::read_to_string(&file).expect("a document");
        for piece in text.split('`').filter(|piece| piece.starts_with("opmeter ")) {
            let words: Vec<&str> = piece.split_whitespace().skip(1).collect();
            let Some(name) = words.first().filter(|name| name.chars().all(char::is_lowercase))
            else {
                continue;
            };
            let help = opmeter(&root(), &[name, "--help"]);
            assert_eq!(help.code, 0, "{}: {piece}", file.display());
            for option in words.iter().filter(|word| word.starts_with("--")) {
                let option = option.trim_end_matches([',', '.']);
                assert!(help.stdout.contains(option), "{}: {piece}: {option}", file.display());
            }
            seen += 1;
        }
    }
    assert!(seen > 10, "{seen}");
}
