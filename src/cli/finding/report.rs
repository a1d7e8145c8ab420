//! Findings as text with carets, or as JSON.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use anyhow::Result;
use clap::ValueEnum;
use opmeter_core::Severity;
use serde::Serialize;

use super::Finding;

/// How to write results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

#[derive(Serialize)]
struct Report<'f> {
    findings: Vec<Line<'f>>,
    errors: usize,
    warnings: usize,
}

#[derive(Serialize)]
struct Line<'f> {
    rule: String,
    severity: &'static str,
    file: &'f str,
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
    path: &'f str,
    message: &'f str,
    why: &'f str,
    fix: &'f str,
}

/// Prints findings in the order of files and lines.
///
/// # Errors
/// Standard output cannot be written.
pub fn report(mut findings: Vec<Finding>, checked: usize, format: Format) -> Result<()> {
    // Stable, so that findings at one place stay in the order of their rules.
    findings.sort_by(|a, b| (&a.source.name, a.span.start).cmp(&(&b.source.name, b.span.start)));
    let count = |severity| findings.iter().filter(|f| f.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    match format {
        Format::Json => {
            let findings = findings.iter().map(line).collect();
            let report = Report { findings, errors, warnings };
            anstream::println!("{}", serde_json::to_string_pretty(&report)?);
        }
        Format::Text => {
            for finding in &findings {
                anstream::println!("{}\n", text(finding));
            }
            anstream::println!("{}", summary(errors, warnings, checked));
        }
    }
    Ok(())
}

fn summary(errors: usize, warnings: usize, checked: usize) -> String {
    let count = |n: usize, what: &str| match n {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    };
    let documents = count(checked, "document");
    match (errors, warnings) {
        (0, 0) => format!("{documents} checked, nothing found"),
        _ => format!(
            "{documents} checked, {} and {}",
            count(errors, "error"),
            count(warnings, "warning")
        ),
    }
}

/// One finding with its line and caret; coloured, which the output stream takes away where there is no terminal.
pub fn text(finding: &Finding) -> String {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let name = finding.rule.name();
    let caret = AnnotationKind::Primary.span(finding.span.clone());
    let snippet =
        Snippet::source(&finding.source.text).path(&finding.source.name).annotation(caret);
    let mut group = level.primary_title(&finding.message).id(name).element(snippet);
    for (word, text) in [("why", &finding.why), ("fix", &finding.fix)] {
        if !text.is_empty() {
            group = group.element(Level::NOTE.with_name(word).message(text));
        }
    }
    Renderer::styled().render(&[group])
}

fn line(finding: &Finding) -> Line<'_> {
    let start = finding.source.position(finding.span.start);
    let end = finding.source.position(finding.span.end);
    Line {
        rule: finding.rule.name(),
        severity: match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        file: &finding.source.name,
        line: start.line,
        column: start.column,
        end_line: end.line,
        end_column: end.column,
        path: &finding.path,
        message: &finding.message,
        why: &finding.why,
        fix: &finding.fix,
    }
}
