//! How the new user writes: slanted, turned, with a thicker pen.

use serde::Serialize;

use crate::data::{BLACK, Image, PIXELS, SIDE};

/// A hand: what it does to an upright digit. Everything is fixed; nothing is random.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Hand {
    /// How many pixels the writing leans to the right for each pixel of height.
    pub slant: f64,
    /// How far it is turned clockwise, after leaning.
    pub degrees: f64,
    /// The share of a pen one pixel wider on every side, 0 to 1.
    pub stroke: f64,
}

/// Leaves digits as they are.
pub const UPRIGHT: Hand = Hand { slant: 0.0, degrees: 0.0, stroke: 0.0 };

/// The new user. Strong enough that a network that never saw such writing fails on many digits,
/// weak enough that a person still reads them.
pub const NEW_USER: Hand = Hand { slant: 0.2, degrees: 8.0, stroke: 0.2 };

impl Hand {
    /// The digit in this hand, pixels 0 to 1.
    ///
    /// Pixel (row, col) lies at (col − 3.5, row − 3.5). Its ink is read, bilinearly, where the
    /// inverse turn and the inverse slant lead; outside the image there is none. Then
    /// ink ← (1 − stroke)·ink + stroke·max(ink, its four neighbours).
    #[must_use]
    pub fn write(&self, image: &Image) -> [f64; PIXELS] {
        let upright = image.map(|p| f64::from(p) / f64::from(BLACK));
        let moved = self.resample(&upright);
        core::array::from_fn(|i| {
            let (row, col) = place(i);
            let wide = [(0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)]
                .map(|(r, c)| ink(&moved, row + r, col + c));
            let wide = wide.into_iter().fold(0.0, f64::max);
            (1.0 - self.stroke) * moved[i] + self.stroke * wide
        })
    }

    fn resample(&self, image: &[f64; PIXELS]) -> [f64; PIXELS] {
        let centre = (SIDE as f64 - 1.0) / 2.0;
        // libm, not the machine's: the same images everywhere.
        let (sin, cos) = libm::sincos(self.degrees.to_radians());
        core::array::from_fn(|i| {
            let (row, col) = place(i);
            let (x, y) = (col as f64 - centre, row as f64 - centre);
            let (x, y) = (cos * x + sin * y, cos * y - sin * x);
            bilinear(image, y + centre, x + self.slant * y + centre)
        })
    }
}

fn place(i: usize) -> (isize, isize) {
    ((i / SIDE) as isize, (i % SIDE) as isize)
}

/// The pixel, or 0 outside the image.
fn ink(image: &[f64; PIXELS], row: isize, col: isize) -> f64 {
    let inside = |k: isize| usize::try_from(k).ok().filter(|&k| k < SIDE);
    match (inside(row), inside(col)) {
        (Some(row), Some(col)) => image[row * SIDE + col],
        _ => 0.0,
    }
}

fn bilinear(image: &[f64; PIXELS], row: f64, col: f64) -> f64 {
    let (r, c) = (row.floor(), col.floor());
    let (down, right) = (row - r, col - c);
    let (r, c) = (r as isize, c as isize);
    let line = |r| (1.0 - right) * ink(image, r, c) + right * ink(image, r, c + 1);
    (1.0 - down) * line(r) + down * line(r + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_pixel(row: usize, col: usize) -> Image {
        let mut image = [0; PIXELS];
        image[row * SIDE + col] = BLACK;
        image
    }

    #[test]
    fn an_upright_hand_changes_nothing() {
        let image: Image = core::array::from_fn(|i| (i % 17) as u8);
        let written = UPRIGHT.write(&image);
        assert!(written.iter().zip(image).all(|(w, p)| *w == f64::from(p) / 16.0));
    }

    #[test]
    fn slant_leans_the_top_to_the_right() {
        let lean = Hand { slant: 2.0 / 7.0, ..UPRIGHT };
        let top = lean.write(&one_pixel(0, 3));
        assert!((top[4] - 1.0).abs() < 1e-12, "3.5 pixels above the centre, one to the right");
        let bottom = lean.write(&one_pixel(7, 3));
        assert!((bottom[7 * SIDE + 2] - 1.0).abs() < 1e-12, "below it, one to the left");
    }

    #[test]
    fn a_quarter_turn_clockwise_takes_the_left_edge_to_the_top() {
        let turned = Hand { degrees: 90.0, ..UPRIGHT }.write(&one_pixel(2, 0));
        assert!((turned[5] - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_thicker_pen_reaches_the_four_neighbours() {
        let thick = Hand { stroke: 0.25, ..UPRIGHT }.write(&one_pixel(3, 3));
        let inked = thick.iter().filter(|p| **p > 0.0).count();
        assert_eq!((inked, thick[3 * SIDE + 3], thick[3 * SIDE + 4]), (5, 1.0, 0.25));
    }
}
