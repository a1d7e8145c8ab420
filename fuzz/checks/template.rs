//! Template text: what is a template, and which paths it matches.

use crate::reference;
use opmeter_core::operation::{Template, Tree};

/// Lines: the first is a template, the others are paths.
///
/// Texts are templates, and paths match, as the documentation says; a tree of one template answers as the template.
pub fn template(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let Ok(text) = std::str::from_utf8(lines.next().unwrap_or_default()) else { return };
    let parsed = Template::parse(text);
    let expected = reference::Template::parse(text);
    assert_eq!(parsed.is_ok(), expected.is_some(), "{parsed:?}");
    let (template, expected) = match (parsed, expected) {
        (Ok(template), Some(expected)) => (template, expected),
        (Err(problem), _) => return assert!(!problem.to_string().is_empty()),
        (Ok(_), None) => return,
    };
    assert_eq!(template.text(), text);
    let mut tree = Tree::default();
    assert!(tree.insert(None, &template, 7).is_ok());
    assert!(tree.insert(None, &template, 8).is_err(), "the same template twice");
    for path in lines {
        assert_eq!(template.matches(path), expected.matches(path), "{}", path.escape_ascii());
        assert_eq!(tree.find(b"GET", path), expected.matches(path).then_some(7));
    }
}
