//! The plots, as SVG: one palette that colour-blind readers can tell apart (Okabe & Ito), one
//! marker and one dash for each method, legends above the data.

mod accuracy;
mod axes;
mod deviation;
mod hands;
mod loss;

use plotters::coord::Shift;
use plotters::element::DashedPathElement;
use plotters::prelude::*;

use super::Report;
use crate::config::{Method, Variant};
use crate::data::Digits;
use crate::error::Error;

/// The plots of a report; empty where there is nothing to show.
#[derive(Clone, Debug)]
pub struct Plots {
    /// Accuracy over rank.
    pub accuracy: String,
    /// Loss over steps.
    pub loss: String,
    /// ΔM over ΔD.
    pub deviation: String,
    /// Digits in both hands.
    pub hands: String,
}

impl Plots {
    /// Of this report.
    ///
    /// # Errors
    /// [`Error::Plot`].
    pub fn new(report: &Report, digits: &Digits) -> Result<Self, Error> {
        let deviation = match report.figures.clouds.is_empty() {
            true => String::new(),
            false => draw(deviation::SIZE, |root| deviation::draw(root, report))?,
        };
        Ok(Self {
            accuracy: draw(accuracy::SIZE, |root| accuracy::draw(root, report))?,
            loss: draw(loss::SIZE, |root| loss::draw(root, report))?,
            deviation,
            hands: draw(hands::SIZE, |root| hands::draw(root, digits))?,
        })
    }

    /// Names and contents of the files.
    #[must_use]
    pub fn files(&self) -> Vec<(&'static str, &str)> {
        let all = [
            ("accuracy.svg", self.accuracy.as_str()),
            ("loss.svg", &self.loss),
            ("deviation.svg", &self.deviation),
            ("hands.svg", &self.hands),
        ];
        all.into_iter().filter(|(_, svg)| !svg.is_empty()).collect()
    }
}

type Drawn = Result<(), Box<dyn core::error::Error>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn draw(size: (u32, u32), f: impl FnOnce(&Area<'_>) -> Drawn) -> Result<String, Error> {
    let mut svg = String::new();
    let drawn = {
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        root.fill(&WHITE)
            .map_err(Into::into)
            .and_then(|()| f(&root))
            .and_then(|()| Ok(root.present()?))
    };
    drawn.map_err(|e| Error::Plot(e.to_string()))?;
    Ok(svg)
}

const INK: RGBColor = RGBColor(0x1C, 0x1E, 0x21);
const SOFT: RGBColor = RGBColor(0x5B, 0x64, 0x70);
const GRID: RGBColor = RGBColor(0xE1, 0xE5, 0xEA);
const FONT: &str = "sans-serif";
/// Height of the strip above the plots.
const LEGEND: u32 = 40;

const fn colour(method: Option<Method>) -> RGBColor {
    match method {
        Some(Method::Full) => RGBColor(0x00, 0x9E, 0x73),
        Some(Method::Lora) => RGBColor(0xD5, 0x5E, 0x00),
        Some(Method::Dora) => RGBColor(0x00, 0x72, 0xB2),
        Some(Method::Magnitude) => RGBColor(0xB1, 0x5C, 0x93),
        None => SOFT,
    }
}

/// Length and spacing of a method's dashes; `None` for an unbroken line.
const fn dash(method: Option<Method>) -> Option<(u32, u32)> {
    match method {
        Some(Method::Lora | Method::Dora) => None,
        Some(Method::Full) => Some((9, 4)),
        Some(Method::Magnitude) => Some((3, 3)),
        None => Some((1, 4)),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Marker {
    Circle,
    Square,
    Triangle,
}

const fn marker(method: Method) -> Option<Marker> {
    match method {
        Method::Dora => Some(Marker::Circle),
        Method::Lora => Some(Marker::Square),
        Method::Full | Method::Magnitude => None,
    }
}

/// Draws a marker at a pixel, or at a place in a chart that `at` begins with.
fn mark(root: &Area<'_>, shape: Marker, at: (i32, i32), size: i32, style: ShapeStyle) -> Drawn {
    let (x, y) = at;
    match shape {
        Marker::Circle => root.draw(&Circle::new(at, size, style))?,
        Marker::Square => {
            let side = size - 1;
            root.draw(&Rectangle::new([(x - side, y - side), (x + side, y + side)], style))?;
        }
        Marker::Triangle => root.draw(&TriangleMarker::new(at, size + 1, style))?,
    }
    Ok(())
}

/// An entry of a legend.
struct Entry {
    label: String,
    colour: RGBColor,
    /// `None` for no line; the dash of the line otherwise.
    line: Option<Option<(u32, u32)>>,
    marker: Option<Marker>,
}

impl Entry {
    fn of(method: Option<Method>, label: String, marked: bool) -> Self {
        let marker = method.and_then(marker).filter(|_| marked);
        Self { label, colour: colour(method), line: Some(dash(method)), marker }
    }
}

/// Pixels that a text of this size takes, near enough to place the next one.
fn width(text: &str, size: i32) -> i32 {
    text.chars().count() as i32 * size * 45 / 100
}

/// Draws a legend, centred in `area`.
fn legend(area: &Area<'_>, entries: &[Entry]) -> Drawn {
    const SIZE: i32 = 17;
    const LINE: i32 = 30;
    const GAP: i32 = 26;
    let wide = |e: &Entry| LINE + 7 + width(&e.label, SIZE);
    let total: i32 = entries.iter().map(wide).sum::<i32>() + GAP * (entries.len() as i32 - 1);
    let (all, high) = area.dim_in_pixel();
    let (mut x, y) = ((all as i32 - total) / 2, high as i32 / 2);
    for entry in entries {
        if let Some(dash) = entry.line {
            line(area, &[(x, y), (x + LINE, y)], entry.colour, dash)?;
        }
        if let Some(shape) = entry.marker {
            mark(area, shape, (x + LINE / 2, y), 5, entry.colour.filled())?;
        }
        let style = (FONT, SIZE).into_text_style(area).color(&INK);
        let style = style.pos(axes::left_middle());
        area.draw(&Text::new(entry.label.clone(), (x + LINE + 7, y), style))?;
        x += wide(entry) + GAP;
    }
    Ok(())
}

fn line(area: &Area<'_>, at: &[(i32, i32)], colour: RGBColor, dash: Option<(u32, u32)>) -> Drawn {
    let style = colour.stroke_width(2);
    let points = at.iter().copied();
    match dash {
        None => area.draw(&PathElement::new(at, style))?,
        Some((on, off)) => area.draw(&DashedPathElement::new(points, on, off, style))?,
    }
    Ok(())
}

/// What curves and scatters show: each method at the rank in the middle.
fn shown(report: &Report) -> Vec<Variant> {
    let rank = report.settings.shown_rank();
    report.settings.methods.iter().map(|&method| Variant::of(method, rank)).collect()
}
