//! The tables as SVG plots.

use crate::compare::{Comparison, Series};
use crate::report::Report;
use anyhow::{Result, anyhow};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

const SIZE: (u32, u32) = (860, 440);
const OURS: RGBColor = RGBColor(31, 119, 180);
const OTHERS: RGBColor = RGBColor(150, 150, 150);
const COLOURS: [RGBColor; 3] = [OURS, RGBColor(44, 160, 44), RGBColor(214, 39, 40)];

/// The plots of what was measured, by name.
///
/// # Errors
/// When the plotting library cannot draw one.
pub fn all(report: &Report) -> Result<Vec<(&'static str, String)>> {
    let mut plots = Vec::new();
    if let Some(mounts) = &report.mounts {
        plots.push(("mounts", bars(mounts)?));
    }
    if let Some(series) = &report.operations {
        plots.push(("operations", curves("operations or conditions", series)?));
    }
    if let Some(sets) = &report.series {
        plots.push(("label-sets", curves("label sets", &sets.curves)?));
    }
    Ok(plots)
}

/// Overhead per mount, one bar each.
fn bars(mounts: &Comparison) -> Result<String> {
    let rows: Vec<_> = mounts.rows.iter().filter(|row| !row.is_baseline).collect();
    let most = rows.iter().map(|row| row.overhead().high).fold(1.0, f64::max);
    draw(|area| {
        let mut chart = ChartBuilder::on(area)
            .margin(14)
            .x_label_area_size(38)
            .y_label_area_size(250)
            .build_cartesian_2d(0.0..most * 1.15, 0.0..rows.len() as f64)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .y_labels(0)
            .x_desc("CPU over no filter, µs per request")
            .draw()?;
        for (index, row) in rows.iter().enumerate() {
            let over = row.overhead();
            let top = (rows.len() - index) as f64;
            let is_ours = row.name.contains("filter,")
                || row.name == "filter"
                || row.name.starts_with("access logger");
            let colour = if is_ours { OURS } else { OTHERS };
            let bar =
                Rectangle::new([(0.0, top - 0.15), (over.middle, top - 0.85)], colour.filled());
            let range =
                PathElement::new(vec![(over.low, top - 0.5), (over.high, top - 0.5)], BLACK);
            chart.draw_series([bar])?;
            chart.draw_series([range])?;
            let (x, y) = chart.backend_coord(&(over.high.max(over.middle), top - 0.5));
            let style = ("sans-serif", 13).into_font();
            area.draw(&Text::new(format!("{:.1}", over.middle), (x + 6, y - 7), style.clone()))?;
            let (left, _) = chart.backend_coord(&(0.0, 0.0));
            let anchor = plotters::style::text_anchor::Pos::new(
                plotters::style::text_anchor::HPos::Right,
                plotters::style::text_anchor::VPos::Center,
            );
            let style = TextStyle::from(style).pos(anchor);
            area.draw(&Text::new(row.name.clone(), (left - 8, y), style))?;
        }
        Ok(())
    })
}

/// Overhead against a number, one line each; both axes logarithmic if the overheads differ much.
fn curves(what: &str, series: &[Series]) -> Result<String> {
    let counts = || series.iter().flat_map(|s| s.points.iter().map(|p| p.count as f64));
    let overheads = || series.iter().flat_map(|s| s.points.iter().map(|p| p.middle()));
    let (few, many) = (counts().fold(f64::MAX, f64::min), counts().fold(1.0, f64::max));
    let (least, most) = (overheads().fold(f64::MAX, f64::min), overheads().fold(1.0, f64::max));
    let across = (few * 0.8..many * 1.25).log_scale();
    draw(|area| {
        let mut builder = ChartBuilder::on(area);
        builder.margin(14).x_label_area_size(38).y_label_area_size(60);
        if most > 8.0 * least.max(0.1) {
            let up = (least.max(0.1) * 0.7..most * 1.5).log_scale();
            lines(builder.build_cartesian_2d(across, up)?, what, series)
        } else {
            let up: RangedCoordf64 = (0.0..most * 1.3).into();
            lines(builder.build_cartesian_2d(across, up)?, what, series)
        }
    })
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Drawn<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn lines<'a, X, Y>(
    mut chart: ChartContext<'a, SVGBackend<'a>, Cartesian2d<X, Y>>,
    what: &str,
    series: &[Series],
) -> Drawn<()>
where
    X: Ranged<ValueType = f64> + plotters::coord::ranged1d::ValueFormatter<f64>,
    Y: Ranged<ValueType = f64> + plotters::coord::ranged1d::ValueFormatter<f64>,
{
    chart
        .configure_mesh()
        .x_desc(what)
        .y_desc("CPU over no filter, µs per request")
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{y:.0}"))
        .draw()?;
    for (series, colour) in series.iter().zip(COLOURS) {
        let points = || series.points.iter().map(|p| (p.count as f64, p.middle()));
        chart
            .draw_series(LineSeries::new(points(), colour.stroke_width(2)))?
            .label(series.name.clone())
            .legend(move |(x, y)| {
                PathElement::new(vec![(x, y), (x + 18, y)], colour.stroke_width(2))
            });
        chart.draw_series(points().map(|at| Circle::new(at, 3, colour.filled())))?;
    }
    let position = SeriesLabelPosition::UpperLeft;
    chart
        .configure_series_labels()
        .position(position)
        .background_style(WHITE.mix(0.85))
        .border_style(OTHERS)
        .draw()?;
    Ok(())
}

fn draw(paint: impl FnOnce(&Area<'_>) -> Drawn<()>) -> Result<String> {
    let mut svg = String::new();
    let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
    let painted = area
        .fill(&WHITE)
        .map_err(Box::from)
        .and_then(|()| paint(&area))
        .and_then(|()| area.present().map_err(Box::from));
    painted.map_err(|error: Box<dyn std::error::Error>| anyhow!("cannot plot: {error}"))?;
    drop(area);
    Ok(svg)
}
