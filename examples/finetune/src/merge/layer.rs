//! An adapter and its layer as one weight: W' = diag(g)·(W + s·B·A), some rows at a time.

use std::thread;

use decora::spec::Spec;
use decora_hub::HubError;
use decora_hub::peft::Layer;
use decora_hub::tensors::{Tensor, Values};

/// An adapter on a weight that is stored row by row, or (`Conv1D`) column by column.
#[derive(Debug)]
pub(super) struct Merged<'a> {
    layer: &'a Layer,
    /// s.
    scale: f32,
    /// r.
    rank: usize,
    /// Whether the rows in files are columns of W.
    transposed: bool,
    /// g of every row of W, where that must be known before its elements come along.
    gains: Vec<f32>,
}

impl<'a> Merged<'a> {
    pub(super) fn new(layer: &'a Layer, spec: &Spec, transposed: bool) -> Self {
        let (scale, rank) = (spec.scale() as f32, spec.rank());
        Self { layer, scale, rank, transposed, gains: Vec::new() }
    }

    /// Changes rows of the file from `first` on, of `width` numbers each; `whole` is where they are from.
    ///
    /// # Errors
    /// [`HubError::Tensor`] for elements of an unknown format.
    pub(super) fn rows(
        &mut self,
        whole: &Tensor<'_>,
        width: usize,
        first: usize,
        rows: &mut [f32],
    ) -> Result<(), HubError> {
        if self.transposed && first == 0 && self.layer.m.is_some() {
            self.gains = self.gains_of_columns(&whole.values()?, width);
        }
        let this = &*self;
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let each = (rows.len() / width.max(1)).div_ceil(threads).max(1);
        thread::scope(|scope| {
            for (i, part) in rows.chunks_mut(each * width).enumerate() {
                scope.spawn(move || this.part(width, first + i * each, part));
            }
        });
        Ok(())
    }

    fn part(&self, width: usize, first: usize, rows: &mut [f32]) {
        for (i, row) in rows.chunks_mut(width).enumerate() {
            let number = first + i;
            if self.transposed {
                self.add_to_column(number, row);
                row.iter_mut().zip(&self.gains).for_each(|(x, g)| *x *= g);
            } else {
                let before = square(row);
                self.add_to_row(number, row);
                let g = self.gain(number, before, square(row));
                row.iter_mut().for_each(|x| *x *= g);
            }
        }
    }

    /// V = W + s·B·A in row `number` of W.
    fn add_to_row(&self, number: usize, row: &mut [f32]) {
        let b = self.layer.b.values.chunks(self.rank).nth(number).unwrap_or_default();
        let mut sum = vec![0.0; row.len()];
        for (b, a) in b.iter().zip(self.layer.a.values.chunks(row.len())) {
            sum.iter_mut().zip(a).for_each(|(sum, a)| *sum += b * a);
        }
        row.iter_mut().zip(&sum).for_each(|(x, sum)| *x += self.scale * sum);
    }

    /// The same in column `number` of W.
    fn add_to_column(&self, number: usize, column: &mut [f32]) {
        let (a, b) = (&self.layer.a.values, &self.layer.b.values);
        let inputs = a.len().checked_div(self.rank).unwrap_or_default();
        let a: Vec<f32> = a.iter().skip(number).step_by(inputs.max(1)).copied().collect();
        for (x, b) in column.iter_mut().zip(b.chunks(self.rank)) {
            *x += self.scale * b.iter().zip(&a).map(|(b, a)| b * a).sum::<f32>();
        }
    }

    /// g = m/‖V‖, by DoRA's rules for rows that are zero; 1 without a magnitude.
    fn gain(&self, row: usize, before: f64, after: f64) -> f32 {
        let m = self.layer.m.as_ref().and_then(|m| m.values.get(row));
        match m {
            Some(&m) if before > 0.0 && after > 0.0 => (f64::from(m) / after.sqrt()) as f32,
            _ => 1.0,
        }
    }

    fn gains_of_columns(&self, whole: &Values<'_>, out: usize) -> Vec<f32> {
        let mut squares = vec![(0.0, 0.0); out];
        let format = whole.format();
        for number in 0..whole.len().checked_div(out).unwrap_or_default() {
            let elements = (number * out..(number + 1) * out).filter_map(|i| format.value(i));
            let mut column: Vec<f32> = elements.map(|x| x as f32).collect();
            squares.iter_mut().zip(&column).for_each(|(s, x)| s.0 += f64::from(x * x));
            self.add_to_column(number, &mut column);
            squares.iter_mut().zip(&column).for_each(|(s, x)| s.1 += f64::from(*x).powi(2));
        }
        squares.iter().enumerate().map(|(i, s)| self.gain(i, s.0, s.1)).collect()
    }
}

fn square(row: &[f32]) -> f64 {
    row.iter().map(|&x| f64::from(x).powi(2)).sum()
}
