//! ΔM over ΔD: a panel for each method, a marker for each layer.

use decora::decompose::correlation;
use plotters::prelude::*;

use super::axes::{Axis, chart, curve, marks, room, ticks};
use super::{Area, Drawn, Entry, INK, LEGEND, Marker, SOFT, colour, legend, shown};
use crate::adapt::Point;
use crate::config::{Method, Variant};
use crate::net::LAYERS;
use crate::report::Report;
use crate::report::summary::{outcomes, pairs};
use crate::report::tables::signed;
use crate::stats;

pub(super) const SIZE: (u32, u32) = (1080, 420);
const SHAPES: [Marker; LAYERS] = [Marker::Circle, Marker::Square, Marker::Triangle];

pub(super) fn draw(root: &Area<'_>, report: &Report) -> Drawn {
    let (top, rest) = root.split_vertically(LEGEND);
    let layer = |(i, shape): (usize, &Marker)| Entry {
        label: format!("layer {}", i + 1),
        colour: SOFT,
        line: None,
        marker: Some(*shape),
    };
    let line = Entry {
        label: "least squares, all points".to_owned(),
        colour: INK,
        line: Some(None),
        marker: None,
    };
    let entries: Vec<Entry> = SHAPES.iter().enumerate().map(layer).chain([line]).collect();
    legend(&top, &entries)?;
    let variants: Vec<Variant> =
        shown(report).into_iter().filter(|v| v.method != Method::Magnitude).collect();
    let panels = rest.split_evenly((1, variants.len().max(1)));
    for (area, variant) in panels.iter().zip(variants) {
        panel(area, report, variant)?;
    }
    Ok(())
}

fn panel(area: &Area<'_>, report: &Report, variant: Variant) -> Drawn {
    let points: Vec<Point> =
        outcomes(variant, &report.seeds).flat_map(|run| &run.deviations).copied().collect();
    let all = pairs(&points);
    let (_, right) = room(all.iter().map(|p| p.0).chain([0.0]), 0.06);
    let (_, high) = room(all.iter().map(|p| p.1).chain([0.0]), 0.06);
    let number = |v: &f64| short(*v);
    let x =
        Axis { title: "ΔD", from: 0.0, to: right, ticks: ticks(0.0, right, 4), format: &number };
    let y = Axis { title: "ΔM", from: 0.0, to: high, ticks: ticks(0.0, high, 5), format: &number };
    let heading = format!("{variant}: correlation {}", signed(correlation(&all)));
    let mut chart = chart(area, &heading, &x, &y)?;
    let tint = colour(Some(variant.method)).mix(0.45);
    for (layer, &shape) in SHAPES.iter().enumerate() {
        let own: Vec<Point> = points.iter().copied().filter(|p| p.layer == layer).collect();
        marks(&mut chart, &pairs(&own), shape, 4, tint.filled())?;
    }
    if let Some((slope, start)) = stats::line(&all) {
        let ends = inside(slope, start, (0.0, right), (0.0, high));
        curve(&mut chart, &ends, INK, None)?;
    }
    Ok(())
}

/// The ends of the part of a line that lies in the chart.
fn inside(slope: f64, start: f64, x: (f64, f64), y: (f64, f64)) -> Vec<(f64, f64)> {
    let at = |y: f64| ((y - start) / slope).clamp(x.0, x.1);
    let ends = match slope == 0.0 {
        true => [x.0, x.1],
        false => [at(y.0), at(y.1)],
    };
    ends.map(|x| (x, start + slope * x)).to_vec()
}

/// As few decimals as the number needs, at most 4.
fn short(v: f64) -> String {
    let text = format!("{v:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
