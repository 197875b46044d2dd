//! The backward of a block.

use super::block::{Block, Parts, Projections, Scene};
use super::layer::Layer;
use super::saved::{Gradients, Projected, Saved, columns, mat, mat_mut};
use super::shape::Placement;
use super::tensor::copy;
use crate::backend::Store;
use crate::buffer::{Act, Index};
use crate::direction::Direction;
use crate::error::Error;
use crate::mat::{Mat, MatMut};
use crate::sequence::{Attention, AttentionGrad, Heads, Sequence};

impl<'w, B: Sequence, D: Direction<B>> Block<'w, B, D> {
    /// d, the gradient of its output, becomes that of its input, unless it is the `last` that anyone
    /// asks for. `store` says whether gradients of parameters start anew.
    pub(super) fn backward(
        &mut self,
        be: &mut B,
        scene: &mut Scene<'_, B>,
        saved: &mut Saved<B>,
        grads: &mut Gradients<B>,
        mut d: MatMut<'_, B, Act>,
        (store, last): (Store, bool),
    ) -> Result<(), Error<B::Error>> {
        let x = mat::<B>(&self.x, scene.n, scene.shape.width);
        self.parts.lend(saved);
        let result = self.parts.of_perceive(be, scene, saved, grads, d.reborrow(), store);
        let result = result
            .and_then(|()| self.parts.of_attend(be, scene, (x, saved), grads, d, (store, last)));
        self.parts.lend(saved);
        result
    }
}

impl<'w, B: Sequence, D: Direction<B>> Parts<'w, B, D> {
    /// d becomes the gradient of middle.
    fn of_perceive(
        &mut self,
        be: &mut B,
        scene: &mut Scene<'_, B>,
        saved: &mut Saved<B>,
        grads: &mut Gradients<B>,
        d: MatMut<'_, B, Act>,
        store: Store,
    ) -> Result<(), Error<B::Error>> {
        let (n, shape) = (scene.n, scene.shape);
        let (width, norm) = (shape.width, shape.norm);
        let mut seen = mat_mut::<B>(&mut grads.seen, n, width);
        if shape.placement == Placement::After {
            let (sum, dx) = (mat(&saved.sum, n, width), Some((seen.reborrow(), Store::Replace)));
            self.norms[1].backward(be, norm, sum, d.view(), dx, store)?;
        }
        let from = if shape.placement == Placement::After { seen.view() } else { d.view() };
        let mut spent = mat_mut::<B>(&mut grads.spent, n, width);
        copy(be, from, Store::Replace, spent.reborrow())?;
        let inner = mat(&saved.inner, n, shape.inner);
        let dx = Some((mat_mut(&mut grads.inner, n, shape.inner), Store::Replace));
        self.down.backward(be, scene.ws, inner, spent, dx, store)?;
        let onto = match shape.placement {
            Placement::Before => Store::Replace,
            Placement::After => Store::Add,
        };
        self.of_unfold(be, scene, saved, grads, (onto, store))?;
        let (middle, seen) = (mat(&saved.middle, n, width), mat(&grads.seen, n, width));
        match shape.placement {
            Placement::Before => {
                let dx = Some((d, Store::Add));
                self.norms[1].backward(be, norm, middle, seen, dx, store)?;
            }
            Placement::After => {
                let dx = Some((d, Store::Replace));
                self.norms[0].backward(be, norm, middle, seen, dx, store)?;
            }
        }
        Ok(())
    }

    /// From the gradient of the inner values to that of what the perceptron sees.
    fn of_unfold(
        &mut self,
        be: &mut B,
        scene: &mut Scene<'_, B>,
        saved: &mut Saved<B>,
        grads: &mut Gradients<B>,
        (onto, store): (Store, Store),
    ) -> Result<(), Error<B::Error>> {
        let (n, shape) = (scene.n, scene.shape);
        let x = mat(&saved.seen, n, shape.width);
        let mut inner = mat_mut::<B>(&mut grads.inner, n, shape.inner);
        let (mut dx, spare) = (mat_mut::<B>(&mut grads.seen, n, shape.width), &mut grads.spare);
        let mut up = mat_mut::<B>(&mut saved.up, n, shape.inner);
        let Some(layer) = &mut self.gate else {
            let kept = match shape.activation.keeps_output() {
                true => mat(&saved.inner, n, shape.inner),
                false => up.view(),
            };
            be.activate_grad(shape.activation, kept, inner.reborrow())?;
            return back(be, scene, &mut self.up, x, inner, Some((dx, onto)), spare, store);
        };
        let mut gate = mat_mut::<B>(&mut saved.gate, n, shape.inner);
        be.gate_grad(shape.activation, inner.view(), gate.reborrow(), up.reborrow())?;
        let first = Some((dx.reborrow(), onto));
        back(be, scene, layer, x, gate, first, &mut *spare, store)?;
        back(be, scene, &mut self.up, x, up, Some((dx, Store::Add)), spare, store)
    }

    /// d, the gradient of middle, becomes that of x.
    fn of_attend(
        &mut self,
        be: &mut B,
        scene: &mut Scene<'_, B>,
        (x, saved): (Mat<'_, B, Act>, &Saved<B>),
        grads: &mut Gradients<B>,
        d: MatMut<'_, B, Act>,
        (store, last): (Store, bool),
    ) -> Result<(), Error<B::Error>> {
        let (n, shape) = (scene.n, scene.shape);
        let mut spent = mat_mut::<B>(&mut grads.spent, n, shape.width);
        copy(be, d.view(), Store::Replace, spent.reborrow())?;
        let o = mat(&saved.o, n, shape.heads.width());
        let dx = Some((mat_mut(&mut grads.o, n, shape.heads.width()), Store::Replace));
        self.output.backward(be, scene.ws, o, spent, dx, store)?;
        let seen = (self.heads(scene.shape), scene.inputs.spans(self.windowed));
        of_heads(be, scene, seen, saved, grads)?;
        let Gradients { seen, spare, projected, .. } = grads;
        let Projected { parts, .. } = &mut *projected;
        scene.inputs.turn_back(be, shape, n, parts)?;
        if shape.placement == Placement::After {
            let dx = (!last).then_some((d, Store::Add));
            return self.of_project(be, scene, x, projected, dx, spare, store);
        }
        let (normed, norm) = (mat(&saved.normed, n, shape.width), &mut self.norms[0]);
        let needed = !last || norm.trains();
        let dx = needed.then(|| (mat_mut::<B>(seen, n, shape.width), Store::Replace));
        self.of_project(be, scene, normed, projected, dx, spare, store)?;
        if needed {
            let dx = (!last).then_some((d, Store::Add));
            let dy = mat(seen, n, shape.width);
            self.norms[0].backward(be, shape.norm, x, dy, dx, store)?;
        }
        Ok(())
    }

    /// From the gradients of queries, keys and values to that of what they see.
    #[expect(clippy::too_many_arguments, reason = "each is a matrix of the formula or its place")]
    fn of_project(
        &mut self,
        be: &mut B,
        scene: &mut Scene<'_, B>,
        x: Mat<'_, B, Act>,
        projected: &mut Projected<B>,
        mut dx: Option<(MatMut<'_, B, Act>, Store)>,
        spare: &mut B::Buf<Act>,
        store: Store,
    ) -> Result<(), Error<B::Error>> {
        let layouts = columns(scene.shape, x.at.rows);
        match &mut self.projections {
            Projections::Fused(layer) => {
                let Projected { parts, all } = projected;
                for (part, at) in parts.iter().zip(layouts) {
                    let part = mat(part, at.rows, at.cols);
                    copy(be, part, Store::Replace, MatMut { buf: &mut *all, at })?;
                }
                let dy = mat_mut(all, x.at.rows, scene.shape.qkv());
                back(be, scene, layer, x, dy, dx, spare, store)
            }
            Projections::Split(layers) => {
                for ((layer, part), at) in layers.iter_mut().zip(&mut projected.parts).zip(layouts)
                {
                    let dy = mat_mut(part, at.rows, at.cols);
                    let to = dx.as_mut().map(|(dx, onto)| (dx.reborrow(), *onto));
                    back(be, scene, layer, x, dy, to, &mut *spare, store)?;
                    dx = dx.map(|(dx, _)| (dx, Store::Add));
                }
                Ok(())
            }
        }
    }
}

/// From the gradient of what the heads answer to those of queries, keys and values.
fn of_heads<B: Sequence>(
    be: &mut B,
    scene: &Scene<'_, B>,
    (heads, spans): (Heads, &B::Buf<Index>),
    saved: &Saved<B>,
    grads: &mut Gradients<B>,
) -> Result<(), Error<B::Error>> {
    let (n, shape) = (scene.n, scene.shape);
    let [q, k, v] = columns(shape, n).map(|at| Mat { buf: &saved.qkv, at });
    let of = Attention { heads, q, k, v, spans };
    let (width, kv) = (heads.width(), heads.kv_width());
    let (o, d_o) = (mat(&saved.o, n, width), mat(&grads.o, n, width));
    let [dq, dk, dv] = &mut grads.projected.parts;
    let to =
        AttentionGrad { dq: mat_mut(dq, n, width), dk: mat_mut(dk, n, kv), dv: mat_mut(dv, n, kv) };
    Ok(be.attention_grad(of, o, &saved.lse, d_o, &mut grads.dots, to)?)
}

/// The backward of a layer onto dx, through `spare` where its adapter cannot add.
#[expect(clippy::too_many_arguments, reason = "each is a matrix of the formula or its place")]
fn back<'w, B: Sequence, D: Direction<B>>(
    be: &mut B,
    scene: &mut Scene<'_, B>,
    layer: &mut Layer<'w, B, D>,
    x: Mat<'_, B, Act>,
    dy: MatMut<'_, B, Act>,
    dx: Option<(MatMut<'_, B, Act>, Store)>,
    spare: &mut B::Buf<Act>,
    store: Store,
) -> Result<(), Error<B::Error>> {
    let Some((dx, Store::Add)) = dx else {
        return layer.backward(be, scene.ws, x, dy, dx, store);
    };
    if layer.adds() {
        return layer.backward(be, scene.ws, x, dy, Some((dx, Store::Add)), store);
    }
    let mut spare = mat_mut::<B>(spare, x.at.rows, x.at.cols);
    layer.backward(be, scene.ws, x, dy, Some((spare.reborrow(), Store::Replace)), store)?;
    Ok(copy(be, spare.view(), Store::Add, dx)?)
}
