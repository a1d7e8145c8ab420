//! Lines and stacked areas over time.

use super::frame::Frame;
use super::scale::Scale;
use super::svg::{Anchor, FAINT, SOFT, Style, Svg, colour, fitting, width};
use super::{Asked, Span, name};
use crate::dashboard::Unit;

const SMALL: f64 = 11.0;
const LEGEND_LINE: f64 = 17.0;
const AXIS: f64 = 20.0;

/// One series to be drawn.
#[derive(Clone, Debug)]
struct Line {
    name: String,
    points: Vec<(f64, f64)>,
    /// What lies below it when stacked.
    base: Vec<f64>,
}

/// Draws the panel's series.
pub(super) fn lines(svg: &mut Svg, asked: &Asked, span: Span, frame: Frame, stacked: bool) {
    let mut lines = collect(asked);
    if stacked {
        stack(&mut lines);
    }
    let unit = asked.panel.unit;
    let legend = Legend::new(&lines, unit, frame.width);
    let tops = lines.iter().flat_map(|line| {
        line.points
            .iter()
            .zip(line.base.iter().chain(std::iter::repeat(&0.0)))
            .map(|(p, b)| p.1 + b)
    });
    let scale = Scale::of(unit, tops);
    let labels: Vec<String> = scale.ticks().iter().map(|tick| unit.show(*tick)).collect();
    let left = labels.iter().map(|label| width(label, SMALL)).fold(0.0, f64::max) + 8.0;
    let plot = frame.without(left, legend.height() + AXIS);
    for (tick, label) in scale.ticks().into_iter().zip(&labels) {
        let y = plot.bottom() - scale.share(tick) * plot.height;
        svg.line([plot.x, y, plot.right(), y], FAINT, 1.0);
        svg.text((plot.x - 8.0, y + 4.0), label, Style::new(SMALL, SOFT).at(Anchor::End));
    }
    time_axis(svg, span, plot);
    let place = |(time, value): (f64, f64)| {
        let x = plot.x + (time - span.start) / (span.end - span.start) * plot.width;
        (x, plot.bottom() - scale.share(value) * plot.height)
    };
    for (at, line) in lines.iter().enumerate() {
        let hue = colour(at, &line.name);
        let tops: Vec<(f64, f64)> = if stacked {
            let sums = line.points.iter().zip(&line.base).map(|((t, v), b)| place((*t, v + b)));
            let tops: Vec<_> = sums.collect();
            let floor = line.points.iter().zip(&line.base).rev().map(|((t, _), b)| place((*t, *b)));
            svg.area(&tops.iter().copied().chain(floor).collect::<Vec<_>>(), hue);
            tops
        } else {
            line.points.iter().filter(|(_, v)| v.is_finite()).map(|point| place(*point)).collect()
        };
        match tops.as_slice() {
            [] => {}
            [one] => svg.dot(*one, 2.5, hue),
            many => svg.curve(many, hue, if stacked { 1.2 } else { 2.0 }),
        }
    }
    legend.draw(svg, frame);
}

/// Labels seconds since the start.
pub(super) fn time_axis(svg: &mut Svg, span: Span, plot: Frame) {
    let length = span.end - span.start;
    let scale = Scale::holding([length].into_iter());
    for tick in scale.ticks().into_iter().filter(|tick| *tick <= length) {
        let x = plot.x + tick / length * plot.width;
        let anchor = match tick / length {
            share if share < 0.02 => Anchor::Start,
            share if share > 0.98 => Anchor::End,
            _ => Anchor::Middle,
        };
        let style = Style::new(SMALL, SOFT).at(anchor);
        svg.text((x, plot.bottom() + 15.0), &format!("{tick} s"), style);
    }
}

fn collect(asked: &Asked) -> Vec<Line> {
    let mut lines: Vec<Line> = asked
        .answers
        .iter()
        .zip(&asked.panel.queries)
        .flat_map(|(series, query)| {
            series.iter().map(|one| Line {
                name: name(one, query.legend),
                points: one.points.clone(),
                base: Vec::new(),
            })
        })
        .collect();
    lines.sort_by(|a, b| a.name.cmp(&b.name));
    lines
}

/// Puts each on top of those before it, at the times that any of them has.
fn stack(lines: &mut [Line]) {
    let mut times: Vec<f64> = lines.iter().flat_map(|l| l.points.iter().map(|p| p.0)).collect();
    times.sort_by(f64::total_cmp);
    times.dedup();
    let mut below = vec![0.0; times.len()];
    for line in lines {
        let known = std::mem::take(&mut line.points);
        let at = |time: f64| {
            known
                .iter()
                .find(|p| p.0 == time)
                .map_or(0.0, |p| if p.1.is_finite() { p.1 } else { 0.0 })
        };
        line.points = times.iter().map(|time| (*time, at(*time))).collect();
        line.base.clone_from(&below);
        for (below, point) in below.iter_mut().zip(&line.points) {
            *below += point.1;
        }
    }
}

/// Names and last values, in as many lines as they take.
struct Legend {
    entries: Vec<(String, &'static str, f64, usize)>,
    lines: usize,
}

impl Legend {
    fn new(lines: &[Line], unit: Unit, room: f64) -> Self {
        let (mut x, mut row) = (0.0, 0);
        let mut entries = Vec::new();
        for (at, line) in lines.iter().enumerate() {
            let last = line.points.iter().rev().map(|p| p.1).find(|value| value.is_finite());
            let value = last.map_or("-".to_owned(), |value| unit.show(value));
            let text = fitting(&format!("{}  {value}", line.name), SMALL, room - 20.0);
            let length = width(&text, SMALL) + 34.0;
            if x > 0.0 && x + length > room {
                (x, row) = (0.0, row + 1);
            }
            entries.push((text, colour(at, &line.name), x, row));
            x += length;
        }
        Self { entries, lines: row + 1 }
    }

    #[expect(clippy::cast_precision_loss, reason = "some lines")]
    fn height(&self) -> f64 {
        self.lines as f64 * LEGEND_LINE
    }

    #[expect(clippy::cast_precision_loss, reason = "some lines")]
    fn draw(&self, svg: &mut Svg, frame: Frame) {
        for (text, hue, x, row) in &self.entries {
            let y = frame.bottom() - self.height() + *row as f64 * LEGEND_LINE + 13.0;
            svg.rect([frame.x + x, y - 8.0, 12.0, 4.0], hue, 2.0);
            svg.text((frame.x + x + 18.0, y), text, Style::new(SMALL, SOFT));
        }
    }
}
