//! From token numbers to what the first block sees.

use super::inputs::{Batch, Inputs};
use super::module::{Module, Part};
use super::saved::{mat, mat_mut};
use super::shape::Shape;
use super::tensor::{Normalizer, Table};
use crate::backend::{Backend, Store};
use crate::buffer::Act;
use crate::error::{Error, same};
use crate::mat::MatMut;
use crate::param::Visitor;
use crate::sequence::Sequence;

/// The embeddings: x = tokens₍id₎ + positions₍position₎ + types₍type₎, then normalised; each but the
/// first where there is one.
#[derive(Debug)]
pub struct Stem<'w, B: Backend> {
    /// `(vocabulary, width)`.
    pub tokens: Table<'w, B>,
    /// The token that fills texts up: where its embedding is read, it is not learned, as PyTorch's
    /// `padding_idx` has it. A tied head learns it all the same.
    pub padding: Option<u32>,
    /// `(positions, width)`.
    pub positions: Option<Table<'w, B>>,
    /// `(types, width)`.
    pub types: Option<Table<'w, B>>,
    /// The normalisation of the sum.
    pub norm: Option<Normalizer<B>>,
}

impl<B: Sequence> Stem<'_, B> {
    pub(super) fn check(&self, shape: &Shape) -> Result<(), Error<B::Error>> {
        let tables = [Some(&self.tokens), self.positions.as_ref(), self.types.as_ref()];
        for table in tables.into_iter().flatten() {
            same("embeddings (columns)", (table.shape().1, 1), (shape.width, 1))?;
        }
        Ok(())
    }

    /// Whether anything of it is trained.
    pub(super) fn trains(&self) -> bool {
        matches!(self.tokens, Table::Trained(_))
            || self.norm.as_ref().is_some_and(Normalizer::trains)
    }

    /// The token whose embedding stays out of the gradient, where there is one.
    pub(super) fn unlearned(&self) -> Option<u32> {
        self.padding.filter(|_| matches!(self.tokens, Table::Trained(_)))
    }

    /// `Ok` when every number of the batch is one of a row.
    pub(super) fn admits(&self, batch: &Batch<'_>) -> Result<(), Error<B::Error>> {
        within("token number", "less than the size of the vocabulary", batch.ids, &self.tokens)?;
        if let Some(table) = &self.positions {
            within(
                "position",
                "less than the number of embedded positions",
                batch.positions,
                table,
            )?;
        }
        match &self.types {
            Some(table) => within("type", "less than the number of types", batch.types, table),
            None => Ok(()),
        }
    }

    /// x from the tokens; `sum` keeps what is normalised.
    pub(super) fn forward(
        &self,
        be: &mut B,
        shape: &Shape,
        inputs: &Inputs<B>,
        n: usize,
        (sum, x): (&mut B::Buf<Act>, &mut B::Buf<Act>),
    ) -> Result<(), B::Error> {
        let mut x = mat_mut::<B>(x, n, shape.width);
        let Some(norm) = &self.norm else { return self.add_up(be, inputs, x) };
        let mut sum = mat_mut::<B>(sum, n, shape.width);
        self.add_up(be, inputs, sum.reborrow())?;
        norm.forward(be, shape.norm, sum.view(), x.reborrow())
    }

    fn add_up(
        &self,
        be: &mut B,
        inputs: &Inputs<B>,
        mut y: MatMut<'_, B, Act>,
    ) -> Result<(), B::Error> {
        self.tokens.gather(be, &inputs.ids, Store::Replace, y.reborrow())?;
        if let Some(table) = &self.positions {
            table.gather(be, &inputs.positions, Store::Add, y.reborrow())?;
        }
        match &self.types {
            Some(table) => table.gather(be, &inputs.types, Store::Add, y),
            None => Ok(()),
        }
    }

    /// Gradients of the tables from that of x, d; `sum` is what forward kept. `tokens` says whether those of the tokens start anew.
    #[expect(clippy::too_many_arguments, reason = "each is a matrix of the formula or its place")]
    pub(super) fn backward(
        &mut self,
        be: &mut B,
        shape: &Shape,
        inputs: &Inputs<B>,
        n: usize,
        [sum, d]: [&B::Buf<Act>; 2],
        spent: &mut B::Buf<Act>,
        (tokens, store): (Store, Store),
    ) -> Result<(), B::Error> {
        let mut dy = mat(d, n, shape.width);
        if let Some(norm) = &mut self.norm {
            let dx = Some((mat_mut::<B>(spent, n, shape.width), Store::Replace));
            norm.backward(be, shape.norm, mat(sum, n, shape.width), dy, dx, store)?;
            dy = mat(spent, n, shape.width);
        }
        self.tokens.grad(be, inputs.learned(), dy, tokens)?;
        if let Some(table) = &mut self.positions {
            table.grad(be, &inputs.positions, dy, store)?;
        }
        match &mut self.types {
            Some(table) => table.grad(be, &inputs.types, dy, store),
            None => Ok(()),
        }
    }

    pub(super) fn visit(
        &mut self,
        be: &mut B,
        f: &mut Visitor<'_, B>,
    ) -> Result<(), Error<B::Error>> {
        self.tokens.visit(be, Module::outside(Part::Tokens), f)?;
        if let Some(table) = &mut self.positions {
            table.visit(be, Module::outside(Part::Positions), f)?;
        }
        if let Some(table) = &mut self.types {
            table.visit(be, Module::outside(Part::Types), f)?;
        }
        match &mut self.norm {
            Some(norm) => norm.visit(be, f),
            None => Ok(()),
        }
    }
}

fn within<B: Sequence>(
    what: &'static str,
    expected: &'static str,
    numbers: &[u32],
    table: &Table<'_, B>,
) -> Result<(), Error<B::Error>> {
    match numbers.iter().find(|&&x| x as usize >= table.shape().0) {
        Some(&x) => Err(Error::out_of_range(what, f64::from(x), expected)),
        None => Ok(()),
    }
}
