//! The ten digits in both hands.

use plotters::prelude::*;

use super::axes::left_middle;
use super::{Area, Drawn, FONT, GRID, INK};
use crate::data::{CLASSES, Digits, PIXELS, SIDE};
use crate::warp::{Hand, NEW_USER, UPRIGHT};

pub(super) const SIZE: (u32, u32) = (960, 186);
/// Pixels of the plot for each pixel of a digit.
const DOT: i32 = 9;
const LEFT: i32 = 104;
const STEP: i32 = 85;

pub(super) fn draw(root: &Area<'_>, digits: &Digits) -> Drawn {
    let rows = [("old users", UPRIGHT), ("new user", NEW_USER)];
    for (i, (name, hand)) in rows.into_iter().enumerate() {
        let top = 10 + 90 * i as i32;
        let style = (FONT, 17).into_text_style(root).color(&INK).pos(left_middle());
        root.draw(&Text::new(name, (16, top + DOT * SIDE as i32 / 2), style))?;
        for class in 0..CLASSES {
            let find = |i: &usize| digits.get(*i).is_some_and(|d| usize::from(d.1) == class);
            let Some(first) = (0..digits.len()).find(find) else { continue };
            let Some((image, _)) = digits.get(first) else { continue };
            digit(root, &hand, image, (LEFT + STEP * class as i32, top))?;
        }
    }
    Ok(())
}

fn digit(root: &Area<'_>, hand: &Hand, image: &[u8; PIXELS], (left, top): (i32, i32)) -> Drawn {
    let side = DOT * SIDE as i32;
    for (i, ink) in hand.write(image).into_iter().enumerate().filter(|(_, ink)| *ink > 0.0) {
        let (x, y) = (left + DOT * (i % SIDE) as i32, top + DOT * (i / SIDE) as i32);
        let shade = (255.0 * (1.0 - ink)) as u8;
        let tint = RGBColor(shade, shade, shade).filled();
        root.draw(&Rectangle::new([(x, y), (x + DOT, y + DOT)], tint))?;
    }
    let frame = [(left - 1, top - 1), (left + side, top + side)];
    Ok(root.draw(&Rectangle::new(frame, GRID.stroke_width(1)))?)
}
