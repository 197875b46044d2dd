//! Accuracy over rank: the new user on the left, the old ones on the right.

use plotters::prelude::*;

use super::axes::{Axis, Chart, band, chart, curve, marks, room, ticks};
use super::{Area, Drawn, Entry, LEGEND, colour, dash, legend, marker};
use crate::config::{Method, Variant};
use crate::report::Report;
use crate::report::summary::Row;
use crate::stats::Summary;

pub(super) const SIZE: (u32, u32) = (960, 420);

pub(super) fn draw(root: &Area<'_>, report: &Report) -> Drawn {
    let (top, rest) = root.split_vertically(LEGEND);
    let methods = report.settings.methods.iter().map(|&m| (Some(m), m.name().to_owned()));
    let base = (None, "no adaptation (old users)".to_owned());
    let entries: Vec<Entry> =
        methods.chain([base]).map(|(m, label)| Entry::of(m, label, true)).collect();
    legend(&top, &entries)?;
    let (left, right) = rest.split_horizontally(SIZE.0 / 2);
    panel(&left, report, "New user", |row| row.user, false)?;
    panel(&right, report, "Old users", |row| row.old, true)
}

/// One panel; the base network's line only where it is near the others.
fn panel(
    area: &Area<'_>,
    report: &Report,
    heading: &str,
    of: fn(&Row) -> Summary,
    with_base: bool,
) -> Drawn {
    let rows = || report.figures.rows.iter().filter(|r| with_base || r.variant.is_some());
    let ends = rows().flat_map(|r| [of(r).mean - of(r).sd, of(r).mean + of(r).sd]);
    let (from, to) = room(ends.map(|v| 100.0 * v), 0.06);
    let ranks = &report.settings.ranks;
    let name = |x: &f64| ranks.get(x.round() as usize).map_or(String::new(), |r| r.to_string());
    let last = ranks.len().saturating_sub(1) as f64;
    let x = Axis {
        title: "rank r",
        from: -0.35,
        to: last + 0.35,
        ticks: (0..ranks.len()).map(|i| i as f64).collect(),
        format: &name,
    };
    let number = |y: &f64| format!("{y:.0}");
    let y = Axis { title: "accuracy (%)", from, to, ticks: ticks(from, to, 6), format: &number };
    let mut chart = chart(area, heading, &x, &y)?;
    let level = |row: &Row| row.variant.is_none_or(|v| v.rank.is_none());
    for row in rows().filter(|row| level(row)) {
        draw_level(&mut chart, row.variant.map(|v| v.method), of(row), (x.from, x.to))?;
    }
    for (i, &method) in report.settings.methods.iter().filter(|m| m.has_rank()).enumerate() {
        // Side by side, so that neither method's bars hide the other's.
        let shift = 0.09 * (i as f64 - 0.5);
        let at = |(i, &rank): (usize, &usize)| {
            let row = report.figures.row(Some(Variant::of(method, rank)))?;
            Some((i as f64 + shift, of(row)))
        };
        draw_ranks(
            &mut chart,
            method,
            &ranks.iter().enumerate().filter_map(at).collect::<Vec<_>>(),
        )?;
    }
    Ok(())
}

/// A method without a rank: a line across, and a band of one sd.
fn draw_level(
    chart: &mut Chart<'_, '_>,
    method: Option<Method>,
    found: Summary,
    (from, to): (f64, f64),
) -> Drawn {
    let across = |share: f64| [(from, 100.0 * share), (to, 100.0 * share)];
    let Summary { mean, sd } = found;
    band(chart, &across(mean - sd), &across(mean + sd), colour(method))?;
    curve(chart, &across(mean), colour(method), dash(method))
}

fn draw_ranks(chart: &mut Chart<'_, '_>, method: Method, found: &[(f64, Summary)]) -> Drawn {
    let tint = colour(Some(method));
    let line: Vec<(f64, f64)> = found.iter().map(|(x, s)| (*x, 100.0 * s.mean)).collect();
    for (x, Summary { mean, sd }) in found {
        let (low, high) = (100.0 * (mean - sd), 100.0 * (mean + sd));
        chart.draw_series([PathElement::new([(*x, low), (*x, high)], tint.stroke_width(2))])?;
        for y in [low, high] {
            let cap = PathElement::new([(-5, 0), (5, 0)], tint.stroke_width(2));
            chart.draw_series([EmptyElement::at((*x, y)) + cap])?;
        }
    }
    curve(chart, &line, tint, dash(Some(method)))?;
    match marker(method) {
        Some(shape) => marks(chart, &line, shape, 5, tint.filled()),
        None => Ok(()),
    }
}
