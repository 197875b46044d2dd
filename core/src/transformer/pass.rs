//! From tokens to logits, and from the loss to gradients.

use core::ops::DerefMut;

use super::block::{Block, Scene};
use super::cache::{Cache, KeyValues};
use super::head::Top;
use super::inputs::Batch;
use super::saved::{mat, mat_mut};
use super::{Frame, Rows, Transformer};
use crate::adapter::Pass;
use crate::backend::{AccumOf, Store};
use crate::buffer::{Acc, Act, Index};
use crate::direction::Direction;
use crate::error::{Error, same};
use crate::mat::{Layout, Mat, MatMut};
use crate::scalar::Accum;
use crate::sequence::Sequence;

impl<'w, B: Sequence, D: Direction<B>, S: DerefMut<Target = [Block<'w, B, D>]>>
    Transformer<'w, B, D, S>
{
    /// Runs a batch through the blocks. [`learn`](Transformer::learn), [`judge`](Transformer::judge) and
    /// [`logits`](Transformer::logits) go on from there.
    ///
    /// # Errors
    /// [`Error::Capacity`] for more rows or sequences than planned, [`Error::OutOfRange`] for a token,
    /// position or type that is none, [`Error::Shape`] when the parts of the batch differ in length;
    /// device errors.
    pub fn forward(
        &mut self,
        be: &mut B,
        batch: &Batch<'_>,
        pass: Pass,
    ) -> Result<(), Error<B::Error>> {
        self.load(be, batch)?;
        self.run::<&mut [KeyValues<B>]>(be, None, pass)
    }

    /// As [`forward`](Transformer::forward), for the next tokens of a text whose earlier ones are in
    /// `cache`: spans count the rows of the cache, these tokens included.
    ///
    /// # Errors
    /// As [`forward`](Transformer::forward); [`Error::Capacity`] when the cache is full.
    pub fn extend<K: DerefMut<Target = [KeyValues<B>]>>(
        &mut self,
        be: &mut B,
        batch: &Batch<'_>,
        cache: &mut Cache<K>,
    ) -> Result<(), Error<B::Error>> {
        let (found, expected) = (cache.len + batch.ids.len(), cache.capacity);
        if found > expected {
            return Err(Error::capacity("tokens of a text", found, expected));
        }
        same("cache (blocks)", (cache.blocks.len(), 1), (self.blocks.len(), 1))?;
        self.load(be, batch)?;
        self.run(be, Some(cache), Pass::Eval)?;
        cache.len = found;
        Ok(())
    }

    fn load(&mut self, be: &mut B, batch: &Batch<'_>) -> Result<(), Error<B::Error>> {
        let (found, expected) = (batch.ids.len(), self.shape.rows);
        if found > expected {
            return Err(Error::capacity("rows in one pass", found, expected));
        }
        self.frame.stem.admits(batch)?;
        self.inputs.load(be, batch)?;
        if self.classifies() {
            self.picks.load(be, batch.picks, found)?;
        }
        self.n = found;
        Ok(())
    }

    fn run<K: DerefMut<Target = [KeyValues<B>]>>(
        &mut self,
        be: &mut B,
        mut cache: Option<&mut Cache<K>>,
        pass: Pass,
    ) -> Result<(), Error<B::Error>> {
        let Self { shape, frame, inputs, rows, n, .. } = self;
        let (n, width) = (*n, shape.width);
        let first = self.blocks.first_mut().map_or(&mut rows.hidden, |block| &mut block.x);
        frame.stem.forward(be, shape, inputs, n, (&mut rows.sum, first))?;
        let mut scene = Scene { shape, inputs, ws: &mut frame.ws, n };
        let (mut rest, mut number) = (&mut self.blocks[..], 0);
        while let Some((block, after)) = rest.split_first_mut() {
            let out = after.first_mut().map_or(&mut rows.hidden, |next| &mut next.x);
            let out = mat_mut::<B>(out, n, width);
            let cache =
                cache.as_mut().and_then(|cache| Some((cache.blocks.get_mut(number)?, cache.len)));
            let mut own = block.saved.take();
            let Some(saved) = own.as_mut().or(self.shared.as_mut()) else { break };
            let result = block.forward(be, &mut scene, saved, cache, out, pass);
            block.saved = own;
            result?;
            (rest, number) = (after, number + 1);
        }
        if let Some(norm) = &frame.norm {
            let y = mat_mut(&mut rows.normed, n, width);
            norm.forward(be, shape.norm, mat::<B>(&rows.hidden, n, width), y)?;
        }
        if self.frame.head.classifies() {
            let first = mat_mut(&mut self.rows.first, self.picks.sequences(), width);
            let top = if self.frame.norm.is_some() { &self.rows.normed } else { &self.rows.hidden };
            self.picks.take(be, mat(top, n, width), first)?;
        }
        Ok(())
    }

    /// The loss of the last pass, scale·Σ −ln p(label), or the same added to the loss; a label for each
    /// answer, [`IGNORED`](crate::network::IGNORED) for none. Nothing is learned from it.
    ///
    /// # Errors
    /// [`Error::Shape`] unless there is a label for each answer; device errors.
    pub fn judge(
        &mut self,
        be: &mut B,
        labels: &[u32],
        scale: f64,
        store: Store,
    ) -> Result<(), Error<B::Error>> {
        self.descend(be, labels, scale, store, (Pass::Eval, false))
    }

    /// The loss of the last pass and its gradient: adds scale·Σ −ln p(label) to the loss and its
    /// gradient to those of the parameters; `store` starts both anew. `pass` is that of forward. Waits
    /// for nothing.
    ///
    /// # Errors
    /// [`Error::Shape`] unless there is a label for each answer; [`Error::Capacity`] in a network that
    /// was made without memory for backward; device errors.
    pub fn learn(
        &mut self,
        be: &mut B,
        labels: &[u32],
        scale: f64,
        pass: Pass,
        store: Store,
    ) -> Result<(), Error<B::Error>> {
        if self.grads.is_none() {
            let what = "gradients, in a network made without room for them";
            return Err(Error::capacity(what, self.n, 0));
        }
        self.descend(be, labels, scale, store, (pass, true))?;
        self.backward(be, pass, store)
    }

    /// Logits, loss and, where it learns, the gradient of what the head sees, some rows at a time.
    fn descend(
        &mut self,
        be: &mut B,
        labels: &[u32],
        scale: f64,
        store: Store,
        (pass, learns): (Pass, bool),
    ) -> Result<(), Error<B::Error>> {
        same("labels (number)", (labels.len(), 1), (self.answers(), 1))?;
        let (chunk, mut stores) = (self.at_once(), store);
        for (i, labels) in labels.chunks(chunk).enumerate() {
            self.some_logits(be, i * chunk, labels.len(), pass)?;
            be.write::<Index>(&mut self.rows.labels, 0, labels)?;
            let Rows { logits, labels: numbers, loss, .. } = &mut self.rows;
            let x = mat_mut::<B>(logits, labels.len(), self.shape.outputs);
            be.softmax_cross_entropy(AccumOf::<B>::of(scale), x, numbers, stores, loss)?;
            if learns {
                self.some_gradients(be, i * chunk, labels.len(), stores)?;
            }
            stores = Store::Add;
        }
        Ok(())
    }

    /// How many answers have logits in memory at once.
    fn at_once(&self) -> usize {
        let n = if self.classifies() { self.shape.sequences } else { self.shape.chunk };
        n.max(1)
    }

    /// Logits of `count` answers from `first` on.
    fn some_logits(
        &mut self,
        be: &mut B,
        first: usize,
        count: usize,
        pass: Pass,
    ) -> Result<(), Error<B::Error>> {
        let Self { shape, frame, rows, .. } = self;
        let Rows { hidden, normed, first: picked, pooled, logits, .. } = rows;
        let at = Layout::row_major(first * shape.width, count, shape.width);
        let buf = match (&frame.norm, frame.head.classifies()) {
            (_, true) => picked,
            (Some(_), false) => normed,
            (None, false) => hidden,
        };
        let Frame { stem, head, ws, .. } = frame;
        let mut top = Top { ws, tokens: &mut stem.tokens };
        let logits = mat_mut(logits, count, shape.outputs);
        head.forward(be, &mut top, Mat { buf, at }, pooled, logits, pass)
    }

    /// From the gradient of these logits to that of what the head sees: in d, or d_first.
    fn some_gradients(
        &mut self,
        be: &mut B,
        first: usize,
        count: usize,
        store: Store,
    ) -> Result<(), Error<B::Error>> {
        let Self { shape, frame, rows, .. } = self;
        let Rows { hidden, normed, d, first: picked, pooled, d_first, d_pooled, logits, .. } = rows;
        let at = Layout::row_major(first * shape.width, count, shape.width);
        let (buf, to) = match (&frame.norm, frame.head.classifies()) {
            (_, true) => (picked, d_first),
            (Some(_), false) => (normed, d),
            (None, false) => (hidden, d),
        };
        let Frame { stem, head, ws, .. } = frame;
        let mut top = Top { ws, tokens: &mut stem.tokens };
        let d = mat_mut(logits, count, shape.outputs);
        let dx = MatMut { buf: to, at };
        head.backward(be, &mut top, Mat { buf, at }, (pooled, d_pooled), (d, dx), store)
    }

    /// From the gradient of what the head sees to those of the parameters, down to the first that is
    /// trained.
    fn backward(&mut self, be: &mut B, pass: Pass, store: Store) -> Result<(), Error<B::Error>> {
        let (n, width, tied) =
            (self.n, self.shape.width, matches!(self.frame.head, super::Head::Tied));
        self.below_head(be, store)?;
        let Self { shape, frame, blocks, inputs, shared, rows, .. } = self;
        let Some(grads) = &mut self.grads else { return Ok(()) };
        let stem = frame.stem.trains();
        let first = if stem { Some(0) } else { blocks.iter().position(|b| b.parts.trains()) };
        let mut scene = Scene { shape, inputs, ws: &mut frame.ws, n };
        for i in (first.unwrap_or(blocks.len())..blocks.len()).rev() {
            let Some(block) = blocks.get_mut(i) else { break };
            let d = mat_mut::<B>(&mut rows.d, n, width);
            let mut own = block.saved.take();
            let again = own.is_none();
            let Some(saved) = own.as_mut().or(shared.as_mut()) else { break };
            let last = !stem && first == Some(i);
            let mut result = Ok(());
            if again {
                let out = mat_mut(&mut rows.hidden, n, width);
                result = block.forward(be, &mut scene, saved, None, out, pass);
            }
            let result = result
                .and_then(|()| block.backward(be, &mut scene, saved, grads, d, (store, last)));
            block.saved = own;
            result?;
        }
        if stem {
            let bufs = [&rows.sum, &rows.d];
            let tokens = if tied { Store::Add } else { store };
            frame.stem.backward(be, shape, inputs, n, bufs, &mut grads.spent, (tokens, store))?;
        }
        Ok(())
    }

    /// From what the head sees to the output of the last block, in d.
    fn below_head(&mut self, be: &mut B, store: Store) -> Result<(), Error<B::Error>> {
        let (n, width) = (self.n, self.shape.width);
        let Self { rows, picks, frame, shape, grads, .. } = self;
        if frame.head.classifies() {
            let dy = mat(&rows.d_first, picks.sequences(), width);
            picks.put_back(be, dy, mat_mut(&mut rows.d, n, width))?;
        }
        let (Some(norm), Some(grads)) = (&mut frame.norm, grads) else { return Ok(()) };
        let x = mat::<B>(&rows.hidden, n, width);
        let dx = Some((mat_mut::<B>(&mut grads.spare, n, width), Store::Replace));
        norm.backward(be, shape.norm, x, mat(&rows.d, n, width), dx, store)?;
        core::mem::swap(&mut rows.d, &mut grads.spare);
        Ok(())
    }

    /// Logits of the answers from `first` on, as many whole rows as `to` has room for. Waits for the
    /// device.
    ///
    /// # Errors
    /// [`Error::Shape`] when `to` is no whole number of rows, or reaches beyond the last answer; device
    /// errors.
    pub fn logits(
        &mut self,
        be: &mut B,
        first: usize,
        to: &mut [B::Scalar],
    ) -> Result<(), Error<B::Error>> {
        let outputs = self.shape.outputs;
        let (count, left) = (to.len() / outputs, self.answers().saturating_sub(first));
        same("logits (numbers)", (to.len(), 1), (count.min(left) * outputs, 1))?;
        let chunk = self.at_once();
        for (i, part) in to.chunks_mut(chunk * outputs).enumerate() {
            self.some_logits(be, first + i * chunk, part.len() / outputs, Pass::Eval)?;
            be.read::<Act>(&self.rows.logits, 0, part)?;
        }
        Ok(())
    }

    /// What the blocks make of the tokens from `first` on, normalised where a normalisation follows: as
    /// many whole rows of the width as `to` has room for. Waits for the device.
    ///
    /// # Errors
    /// [`Error::Shape`] when `to` is no whole number of rows, or reaches beyond the last token; device
    /// errors.
    pub fn states(
        &mut self,
        be: &mut B,
        first: usize,
        to: &mut [B::Scalar],
    ) -> Result<(), Error<B::Error>> {
        let (width, left) = (self.shape.width, self.n.saturating_sub(first));
        let count = to.len() / width;
        same("states (numbers)", (to.len(), 1), (count.min(left) * width, 1))?;
        let Rows { hidden, normed, .. } = &self.rows;
        let top = if self.frame.norm.is_some() { normed } else { hidden };
        Ok(be.read::<Act>(top, first * width, to)?)
    }

    /// The loss since it last started anew. Waits for the device.
    ///
    /// # Errors
    /// Device errors.
    pub fn loss(&self, be: &mut B) -> Result<f64, Error<B::Error>> {
        let mut loss = [AccumOf::<B>::default()];
        be.read::<Acc>(&self.rows.loss, 0, &mut loss)?;
        Ok(loss[0].f64())
    }
}
