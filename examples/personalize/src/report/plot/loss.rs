//! Loss over steps, on a logarithmic scale.

use super::axes::{Axis, band, chart, curve, room};
use super::{Area, Drawn, Entry, LEGEND, colour, dash, legend, shown};
use crate::config::Variant;
use crate::report::Report;
use crate::report::summary::outcomes;
use crate::stats::Summary;

pub(super) const SIZE: (u32, u32) = (960, 420);

/// log₁₀ of the loss of each epoch, over seeds, with the steps taken by its end.
fn curve_of(report: &Report, variant: Variant) -> Vec<(f64, Summary)> {
    let seeds: Vec<&[f64]> =
        outcomes(variant, &report.seeds).map(|run| run.losses.as_slice()).collect();
    let epochs = seeds.first().map_or(0, |losses| losses.len());
    let steps = report.settings.steps as f64;
    let of = |epoch: usize| {
        let logs = seeds.iter().filter_map(|s| s.get(epoch)).map(|l| l.max(1e-12).log10());
        let step = steps * (epoch + 1) as f64 / epochs as f64;
        (step, Summary::of(&logs.collect::<Vec<_>>()))
    };
    (0..epochs).map(of).collect()
}

pub(super) fn draw(root: &Area<'_>, report: &Report) -> Drawn {
    let curves: Vec<(Variant, Vec<(f64, Summary)>)> =
        shown(report).into_iter().map(|v| (v, curve_of(report, v))).collect();
    let (top, rest) = root.split_vertically(LEGEND);
    let entry = |(v, _): &(Variant, _)| Entry::of(Some(v.method), v.to_string(), false);
    legend(&top, &curves.iter().map(entry).collect::<Vec<_>>())?;
    let ends = curves.iter().flat_map(|(_, c)| c);
    let (from, to) = room(ends.flat_map(|(_, s)| [s.mean - s.sd, s.mean + s.sd]), 0.04);
    let steps = report.settings.steps as f64;
    let number = |x: &f64| format!("{x:.0}");
    let x_ticks = super::axes::ticks(0.0, steps, 6);
    let x = Axis { title: "step", from: 0.0, to: steps, ticks: x_ticks, format: &number };
    let power = |y: &f64| decimal(10f64.powf(*y));
    let y = Axis {
        title: "cross-entropy (nats)",
        from,
        to,
        ticks: logarithmic(from, to),
        format: &power,
    };
    let mut chart = chart(&rest, "", &x, &y)?;
    for (variant, points) in &curves {
        let tint = colour(Some(variant.method));
        let at = |side: f64| -> Vec<(f64, f64)> {
            points.iter().map(|(x, s)| (*x, s.mean + side * s.sd)).collect()
        };
        band(&mut chart, &at(-1.0), &at(1.0), tint)?;
        curve(&mut chart, &at(0.0), tint, dash(Some(variant.method)))?;
    }
    Ok(())
}

/// log₁₀ of 1, 2 and 5 times powers of ten.
fn logarithmic(from: f64, to: f64) -> Vec<f64> {
    let powers = (from.floor() as i32)..=(to.ceil() as i32);
    let all = powers.flat_map(|p| [1.0, 2.0, 5.0].map(|m: f64| f64::from(p) + m.log10()));
    all.filter(|t| (from..=to).contains(t)).collect()
}

/// A number of one digit without needless zeros.
fn decimal(x: f64) -> String {
    let places = (-x.log10().floor()).max(0.0) as usize;
    format!("{x:.places$}")
}
