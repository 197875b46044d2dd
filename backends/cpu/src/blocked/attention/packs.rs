//! Keys and values of a group, packed by each thread for itself: to take them from another core takes
//! longer.

use alloc::vec::Vec;
use core::ops::Range;

use decora::mat::Layout;
use decora::scalar::Scalar;

use super::product::{Packed, Panels};
use super::units::Unit;
use crate::blocked::lane::{Lane, room};
use crate::products::Operand;

/// How K or V is packed, and what it is multiplied by.
#[derive(Clone, Copy)]
pub(super) struct Form<'a, T, A> {
    pub(super) of: Operand<'a, T>,
    pub(super) turned: bool,
    pub(super) alpha: A,
}

impl<'a, T: Scalar, A: Lane> Form<'a, T, A> {
    fn panels(&self, keys: usize, dim: usize) -> Panels {
        if self.turned { Panels::new::<A>(dim, keys) } else { Panels::new::<A>(keys, dim) }
    }

    /// The keys and the head of a unit.
    fn head(&self, of: &Unit<'_, T>) -> Operand<'a, T> {
        let (keys, dim) = (&of.keys, of.group.of.heads.dim);
        let offset = self.of.at.offset + keys.start * self.of.at.rs + of.group.number * dim;
        let at = Layout { offset, rows: keys.len(), cols: dim, ..self.of.at };
        let head = Operand { data: self.of.data, at };
        if self.turned { head.t() } else { head }
    }
}

/// Keys and values of one group in some forms.
pub(super) struct Packs<'a, T, A, const N: usize> {
    forms: [Form<'a, T, A>; N],
    number: Option<usize>,
    keys: Range<usize>,
    panels: [Panels; N],
    scratch: Vec<A>,
}

impl<'a, T: Scalar, A: Lane, const N: usize> Packs<'a, T, A, N> {
    pub(super) fn new(forms: [Form<'a, T, A>; N]) -> Self {
        let panels = [Panels::new::<A>(0, 0); N];
        Self { forms, number: None, keys: 0..0, panels, scratch: A::take() }
    }

    /// What a unit takes, from the first key that it sees on. What was packed last is kept if it begins
    /// with the same.
    pub(super) fn of(&mut self, unit: &Unit<'_, T>) -> [Heads<'_, A>; N] {
        let known = self.number == Some(unit.group.number)
            && self.keys.start == unit.keys.start
            && self.keys.end >= unit.keys.end;
        if !known {
            (self.number, self.keys) = (Some(unit.group.number), unit.keys.clone());
            let (keys, dim) = (unit.keys.len(), unit.group.of.heads.dim);
            self.panels = self.forms.each_ref().map(|form| form.panels(keys, dim));
        }
        let len = |panels: &Panels| panels.len().next_multiple_of(16);
        let mut rest = room(&mut self.scratch, self.panels.iter().map(len).sum());
        let mut all = self.panels.map(|panels| Heads { panels, data: Default::default() });
        for (form, heads) in self.forms.iter().zip(&mut all) {
            let (to, left) = rest.split_at_mut(len(&heads.panels));
            if !known {
                heads.panels.pack(form.alpha, form.head(unit), to);
            }
            (heads.data, rest) = (to, left);
        }
        all
    }

    pub(super) fn keep(self) {
        A::keep(self.scratch);
    }
}

/// Keys or values of one head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heads<'a, A> {
    pub(super) panels: Panels,
    data: &'a [A],
}

impl<'a, A> Heads<'a, A> {
    /// From line `line` and column `col` on, the first of a panel.
    pub(super) fn from(&self, line: usize, col: usize) -> Packed<'a, A> {
        self.panels.of(self.data, line, col / self.panels.width)
    }
}
