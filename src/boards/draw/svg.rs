//! SVG, written piece by piece.

use std::fmt::Write;

/// Text and lines, from strong to faint.
pub(super) const INK: &str = "#1f2733";
pub(super) const SOFT: &str = "#667085";
pub(super) const FAINT: &str = "#e6e9ef";
pub(super) const CARD: &str = "#ffffff";
pub(super) const GROUND: &str = "#f4f6f9";
/// What failed.
pub(super) const BAD: &str = "#c8352b";
/// What is as it should be.
pub(super) const GOOD: &str = "#1f8a5b";
/// Of series, in order; told apart by people who see red and green alike.
const COLOURS: [&str; 8] =
    ["#2f6fd0", "#e0812b", "#1f9e89", "#a855a0", "#c9a227", "#5b5bd6", "#d1495b", "#4d7c8a"];
/// Of what has no operation.
const GREY: &str = "#98a2b3";
/// Width of a character of the font, as a share of its size, on average.
const CHARACTER: f64 = 0.56;

/// Where a text begins, ends or lies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A picture that is being written.
#[derive(Debug)]
pub(super) struct Svg {
    out: String,
}

/// How a text looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub size: f64,
    pub colour: &'static str,
    pub anchor: Anchor,
    pub bold: bool,
}

// === impl Style ===

impl Style {
    pub fn new(size: f64, colour: &'static str) -> Self {
        Self { size, colour, anchor: Anchor::Start, bold: false }
    }

    pub fn at(self, anchor: Anchor) -> Self {
        Self { anchor, ..self }
    }

    pub fn bold(self) -> Self {
        Self { bold: true, ..self }
    }
}

// === impl Svg ===

impl Svg {
    pub fn new(width: f64, height: f64) -> Self {
        let mut out = String::new();
        let _ = write!(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
             font-family=\"ui-sans-serif, system-ui, 'Segoe UI', 'DejaVu Sans', Helvetica, Arial, sans-serif\">"
        );
        Self { out }
    }

    pub fn finish(mut self) -> String {
        self.out.push_str("</svg>\n");
        self.out
    }

    pub fn rect(&mut self, [x, y, width, height]: [f64; 4], fill: &str, radius: f64) {
        let (width, height) = (width.max(0.0), height.max(0.0));
        self.put(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"{radius}\" fill=\"{fill}\"/>"
        ));
    }

    pub fn outline(
        &mut self,
        [x, y, width, height]: [f64; 4],
        fill: &str,
        line: &str,
        radius: f64,
    ) {
        self.put(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"{radius}\" fill=\"{fill}\" \
             stroke=\"{line}\"/>"
        ));
    }

    pub fn line(&mut self, [x1, y1, x2, y2]: [f64; 4], colour: &str, width: f64) {
        self.put(format_args!(
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{colour}\" stroke-width=\"{width}\"/>"
        ));
    }

    pub fn curve(&mut self, points: &[(f64, f64)], colour: &str, width: f64) {
        let path = path(points);
        self.put(format_args!(
            "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\" stroke-linejoin=\"round\" \
             stroke-linecap=\"round\"/>"
        ));
    }

    pub fn area(&mut self, points: &[(f64, f64)], colour: &str) {
        let path = path(points);
        self.put(format_args!("<path d=\"{path}Z\" fill=\"{colour}\" fill-opacity=\"0.55\"/>"));
    }

    pub fn dot(&mut self, (x, y): (f64, f64), radius: f64, colour: &str) {
        self.put(format_args!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" fill=\"{colour}\"/>"
        ));
    }

    pub fn raw(&mut self, text: &str) {
        self.out.push_str(text);
    }

    pub fn text(&mut self, (x, y): (f64, f64), text: &str, style: Style) {
        let anchor = match style.anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let weight = if style.bold { " font-weight=\"600\"" } else { "" };
        let (size, colour, text) = (style.size, style.colour, escape(text));
        self.put(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" fill=\"{colour}\" text-anchor=\"{anchor}\"{weight}>{text}</text>"
        ));
    }

    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a String does not fail.
        let _ = self.out.write_fmt(text);
    }
}

fn path(points: &[(f64, f64)]) -> String {
    let step = |(at, (x, y)): (usize, &(f64, f64))| {
        format!("{}{x:.1} {y:.1}", if at == 0 { 'M' } else { 'L' })
    };
    points.iter().enumerate().map(step).collect()
}

/// Colour of the series at a place; what has no operation is grey wherever it stands.
pub(super) fn colour(at: usize, name: &str) -> &'static str {
    if name.starts_with("unknown") { GREY } else { COLOURS[at % COLOURS.len()] }
}

/// About how wide a text is.
pub(super) fn width(text: &str, size: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a text of some words")]
    let characters = text.chars().count() as f64;
    characters * size * CHARACTER
}

/// A text cut to a width.
pub(super) fn fitting(text: &str, size: f64, room: f64) -> String {
    if width(text, size) <= room {
        return text.to_owned();
    }
    let mut short = String::new();
    for c in text.chars() {
        if width(&short, size) + 2.0 * size * CHARACTER > room {
            break;
        }
        short.push(c);
    }
    short + "…"
}

/// Text as XML and HTML hold it.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
