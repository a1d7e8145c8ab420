//! The schemas in an editor: what its language server completes, tells and finds with them.

mod command;

use command::editor::{Editor, server};
use command::opmeter;

/// A schema in a file beside the documents, which name it in their first line.
struct Desk {
    editor: Editor,
    _folder: tempfile::TempDir,
}

// === impl Desk ===

impl Desk {
    fn new(schema: &[&str]) -> Option<Self> {
        let server = server()?;
        let folder = tempfile::tempdir().expect("a folder");
        let output = opmeter(folder.path(), &[&["schema"], schema].concat());
        assert_eq!(output.code, 0);
        std::fs::write(folder.path().join("schema.json"), output.stdout).expect("a schema");
        Some(Self { editor: Editor::open(&server, folder.path()), _folder: folder })
    }

    fn text(text: &str) -> String {
        format!("# yaml-language-server: $schema=./schema.json\n{text}")
    }

    #[track_caller]
    fn offers(&mut self, text: &str, expected: &[&str]) {
        let mut found = self.editor.completions(&Self::text(text));
        found.sort();
        // What is not said: protobuf JSON, and so the module, takes it everywhere.
        found.retain(|label| label != "null");
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn an_editor_completes_a_plugin_configuration() {
    let Some(mut desk) = Desk::new(&[]) else { return };
    let all = desk.editor.completions(&Desk::text("m¦"));
    for name in ["attributes", "metrics", "metadata_exchange", "telemetry", "limits", "prewarm"] {
        assert!(all.iter().any(|found| found == name), "{name} in {all:?}");
    }
    desk.offers(
        "attributes:\n- output_attribute: op\n  m¦",
        &["match", "openapi", "operations", "path_source", "phase"],
    );
    desk.offers("attributes:\n- phase: ¦", &["AFTER_RESPONSE", "ON_REQUEST", "PHASE_UNSPECIFIED"]);
    desk.offers("telemetry:\n  metrics:\n  - ¦", &["overrides", "providers", "reportingInterval"]);
    desk.offers(
        "telemetry:\n  metrics:\n  - overrides:\n    - match:\n        mode: ¦",
        &["CLIENT", "CLIENT_AND_SERVER", "SERVER"],
    );
    desk.offers(
        "telemetry:\n  metrics:\n  - overrides:\n    - tagOverrides:\n        x:\n          operation: ¦",
        &["REMOVE", "UPSERT"],
    );
}

#[test]
fn an_editor_completes_opmeter_yaml() {
    let Some(mut desk) = Desk::new(&["project"]) else { return };
    desk.offers("where:\n  side: ¦", &["both", "gateway", "inbound", "outbound"]);
    desk.offers("module:\n  ¦", &["file", "sha256", "url"]);
    desk.offers("attributes:\n- operations:\n  - ¦", &["method", "path", "value"]);
}

#[test]
fn an_editor_tells_what_a_field_is_and_what_is_wrong() {
    let Some(mut desk) = Desk::new(&[]) else { return };
    let told = desk.editor.hover(&Desk::text("limits:\n  max_se¦ries: 100\n"));
    assert!(told.contains("Most label sets of all workers together"), "{told}");
    assert_eq!(
        desk.editor.problems(&Desk::text("metrics:\n- nam: x\n")),
        ["Property nam is not allowed."]
    );
    assert_eq!(desk.editor.problems(&Desk::text("metrics:\n- name: x\n")), [""; 0]);
}
