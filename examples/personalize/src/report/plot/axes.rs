//! Axes with round numbers, a thin grid, and places to draw at.

use core::ops::Range;

use plotters::chart::ChartContext;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{Area, Drawn, FONT, GRID, INK, Marker, SOFT};

/// A chart.
pub(super) type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Scale, Scale>>;

/// A linear scale that is labelled where it is told to.
#[derive(Debug)]
pub(super) struct Scale {
    range: Range<f64>,
    ticks: Vec<f64>,
}

impl Ranged for Scale {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (low, high): (i32, i32)) -> i32 {
        let share = (value - self.range.start) / (self.range.end - self.range.start);
        low + (share * f64::from(high - low)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() { Vec::new() } else { self.ticks.clone() }
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

/// One axis.
pub(super) struct Axis<'a> {
    pub(super) title: &'a str,
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) ticks: Vec<f64>,
    pub(super) format: &'a dyn Fn(&f64) -> String,
}

impl Axis<'_> {
    fn scale(&self) -> Scale {
        Scale { range: self.from..self.to, ticks: self.ticks.clone() }
    }
}

pub(super) const fn left_middle() -> Pos {
    Pos { h_pos: HPos::Left, v_pos: VPos::Center }
}

/// Round numbers from `from` to `to`, about `n` of them.
pub(super) fn ticks(from: f64, to: f64, n: usize) -> Vec<f64> {
    let rough = (to - from) / n.max(1) as f64;
    if rough.is_nan() || rough <= 0.0 {
        return Vec::new();
    }
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().find(|s| s * power >= rough * 0.999);
    let step = step.unwrap_or(10.0) * power;
    let first = (from / step - 1e-9).ceil() as i64;
    let last = (to / step + 1e-9).floor() as i64;
    (first..=last).map(|i| i as f64 * step).collect()
}

/// The smallest and the largest, with a share of room on both sides; 0 to 1 of nothing.
pub(super) fn room(values: impl Iterator<Item = f64>, share: f64) -> (f64, f64) {
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    match low <= high {
        false => (0.0, 1.0),
        true => {
            let more = ((high - low) * share).max(1e-9);
            (low - more, high + more)
        }
    }
}

/// A chart with these axes and a heading.
pub(super) fn chart<'a, 'b>(
    area: &'a Area<'b>,
    heading: &str,
    x: &Axis<'_>,
    y: &Axis<'_>,
) -> Result<Chart<'a, 'b>, Box<dyn core::error::Error>> {
    let mut builder = ChartBuilder::on(area);
    builder.margin(8).margin_right(18).x_label_area_size(52).y_label_area_size(70);
    if !heading.is_empty() {
        builder.caption(heading, (FONT, 19).into_font().color(&INK));
    }
    let mut chart = builder.build_cartesian_2d(x.scale(), y.scale())?;
    chart
        .configure_mesh()
        .x_desc(x.title)
        .y_desc(y.title)
        .x_labels(x.ticks.len())
        .y_labels(y.ticks.len())
        .x_label_formatter(x.format)
        .y_label_formatter(y.format)
        .bold_line_style(GRID.stroke_width(1))
        .light_line_style(TRANSPARENT)
        .axis_style(SOFT.stroke_width(1))
        .label_style((FONT, 16).into_font().color(&INK))
        .axis_desc_style((FONT, 18).into_font().color(&INK))
        .draw()?;
    Ok(chart)
}

/// A line through these places.
pub(super) fn curve(
    chart: &mut Chart<'_, '_>,
    points: &[(f64, f64)],
    colour: RGBColor,
    dash: Option<(u32, u32)>,
) -> Drawn {
    let style = colour.stroke_width(2);
    match dash {
        None => chart.draw_series(LineSeries::new(points.iter().copied(), style))?,
        Some((on, off)) => {
            chart.draw_series(DashedLineSeries::new(points.iter().copied(), on, off, style))?
        }
    };
    Ok(())
}

/// The area between two lines, faintly.
pub(super) fn band(
    chart: &mut Chart<'_, '_>,
    low: &[(f64, f64)],
    high: &[(f64, f64)],
    colour: RGBColor,
) -> Drawn {
    let outline: Vec<_> = low.iter().chain(high.iter().rev()).copied().collect();
    chart.draw_series([Polygon::new(outline, colour.mix(0.13))])?;
    Ok(())
}

/// A marker at each place.
pub(super) fn marks(
    chart: &mut Chart<'_, '_>,
    points: &[(f64, f64)],
    shape: Marker,
    size: i32,
    style: ShapeStyle,
) -> Drawn {
    let at = points.iter().map(|&p| EmptyElement::at(p));
    match shape {
        Marker::Circle => chart.draw_series(at.map(|e| e + Circle::new((0, 0), size, style)))?,
        Marker::Square => {
            let corners = [(1 - size, 1 - size), (size - 1, size - 1)];
            chart.draw_series(at.map(|e| e + Rectangle::new(corners, style)))?
        }
        Marker::Triangle => {
            chart.draw_series(at.map(|e| e + TriangleMarker::new((0, 0), size + 1, style)))?
        }
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(ticks(0.0, 1.0, 5), [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]);
        assert_eq!(ticks(81.0, 93.0, 5), [85.0, 90.0]);
        assert_eq!(ticks(-1.2, 1.2, 3), [-1.0, 0.0, 1.0]);
        assert!(ticks(1.0, 1.0, 5).is_empty());
        assert!(ticks(f64::NAN, 1.0, 5).is_empty());
    }
}
