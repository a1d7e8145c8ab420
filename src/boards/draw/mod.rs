//! Pictures of panels from real answers, as SVG: what Grafana would show, for a page or a README without one.
//!
//! Each picture stands for itself: no fonts, scripts or images from elsewhere, and a background of its own, so that it can
//! be read on a dark page too.

mod board;
mod chart;
mod distribution;
mod frame;
mod heat;
mod map;
mod scale;
mod stat;
mod svg;
mod table;

pub use board::board;
pub use distribution::distributions;
pub use map::map;
pub(crate) use svg::escape;

use crate::answer::Series;
use crate::dashboard::{Kind, Panel};
use frame::Frame;
use svg::Svg;

/// A panel and what was answered to each of its queries, in their order.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The panel.
    pub panel: Panel,
    /// Its title with variables filled in.
    pub title: String,
    /// One list of series for each query.
    pub answers: Vec<Vec<Series>>,
}

/// A span of time, in seconds since 1970.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// Its start.
    pub start: f64,
    /// Its end.
    pub end: f64,
}

/// Width of a picture of one panel.
const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 300.0;

/// A picture of one panel.
pub fn panel(asked: &Asked, span: Span) -> String {
    let mut svg = Svg::new(WIDTH, HEIGHT);
    draw(&mut svg, asked, span, Frame { x: 0.0, y: 0.0, width: WIDTH, height: HEIGHT });
    svg.finish()
}

fn draw(svg: &mut Svg, asked: &Asked, span: Span, frame: Frame) {
    let inner = frame.card(svg, &asked.title);
    match asked.panel.kind {
        Kind::Lines => chart::lines(svg, asked, span, inner, false),
        Kind::Stacked => chart::lines(svg, asked, span, inner, true),
        Kind::Heatmap => heat::map(svg, asked, span, inner),
        Kind::Stat => stat::numbers(svg, asked, inner),
        Kind::Table => table::rows(svg, asked, inner),
    }
}

/// What a series is called in a picture.
fn name(series: &Series, legend: &str) -> String {
    let name = series.legend(legend);
    if name.trim().is_empty() { "(none)".to_owned() } else { name }
}
