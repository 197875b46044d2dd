//! One block: attention and a multi-layer perceptron, each with a residual and a normalisation.

use heapless::Vec;

use super::cache::KeyValues;
use super::inputs::Inputs;
use super::layer::Layer;
use super::saved::{LAYERS, Saved, columns, mat, mat_mut};
use super::shape::{Placement, Shape};
use super::tensor::{Normalizer, copy};
use crate::adapter::Pass;
use crate::backend::{Backend, Store};
use crate::buffer::Act;
use crate::direction::Direction;
use crate::error::{Error, same};
use crate::mat::{Mat, MatMut};
use crate::param::Visitor;
use crate::sequence::{Attention, Heads, Sequence};
use crate::workspace::Workspace;

/// From the width to queries, keys and values.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one for each block, and most blocks have three layers"
)]
pub enum Projections<'w, B: Backend, D: Direction<B>> {
    /// One layer for all three, `(qkv, width)`: GPT-2.
    Fused(Layer<'w, B, D>),
    /// One for each.
    Split([Layer<'w, B, D>; 3]),
}

/// The layers of a block.
#[derive(Debug)]
pub struct Parts<'w, B: Backend, D: Direction<B>> {
    /// What the products of queries and keys are multiplied by in this block, in place of the scale of
    /// [`Shape::heads`].
    pub scale: f64,
    /// Whether rows see no more than the [window](Shape::window) in this block.
    pub windowed: bool,
    /// To queries, keys and values.
    pub projections: Projections<'w, B, D>,
    /// From the heads, `(width, heads·dim)`.
    pub output: Layer<'w, B, D>,
    /// The gate, `(inner, width)`, where the perceptron is gated.
    pub gate: Option<Layer<'w, B, D>>,
    /// `(inner, width)`.
    pub up: Layer<'w, B, D>,
    /// `(width, inner)`.
    pub down: Layer<'w, B, D>,
    /// The normalisation of the attention, then that of the perceptron.
    pub norms: [Normalizer<B>; 2],
}

/// A block, with room for what backward needs.
#[derive(Debug)]
pub struct Block<'w, B: Backend, D: Direction<B>> {
    /// Its layers.
    pub parts: Parts<'w, B, D>,
    /// Its input, n·width.
    pub(super) x: B::Buf<Act>,
    /// Its activations, unless it shares those of others.
    pub(super) saved: Option<Saved<B>>,
}

/// What a pass through blocks is about.
#[derive(Debug)]
pub(super) struct Scene<'s, B: Backend> {
    pub(super) shape: &'s Shape,
    pub(super) inputs: &'s Inputs<B>,
    pub(super) ws: &'s mut Workspace<B>,
    pub(super) n: usize,
}

impl<'w, B: Sequence, D: Direction<B>> Block<'w, B, D> {
    /// A block of these layers; `keep`s its activations, or shares those of others and is computed
    /// again for backward.
    ///
    /// # Errors
    /// [`Error::Shape`] when a layer does not fit; out of memory.
    pub fn new(
        be: &mut B,
        shape: &Shape,
        parts: Parts<'w, B, D>,
        keep: bool,
    ) -> Result<Self, Error<B::Error>> {
        parts.check(shape)?;
        let saved = match keep {
            true => Some(parts.saved(be, shape)?),
            false => None,
        };
        Ok(Self { parts, x: be.alloc::<Act>(shape.rows * shape.width)?, saved })
    }

    /// From its input to `out`.
    pub(super) fn forward(
        &mut self,
        be: &mut B,
        scene: &mut Scene<'_, B>,
        saved: &mut Saved<B>,
        cache: Option<(&mut KeyValues<B>, usize)>,
        out: MatMut<'_, B, Act>,
        pass: Pass,
    ) -> Result<(), Error<B::Error>> {
        let x = mat::<B>(&self.x, scene.n, scene.shape.width);
        self.parts.lend(saved);
        let result = self.parts.attend(be, scene, x, saved, cache, pass);
        let result = result.and_then(|()| self.parts.perceive(be, scene, saved, out, pass));
        self.parts.lend(saved);
        result
    }
}

impl<'w, B: Sequence, D: Direction<B>> Parts<'w, B, D> {
    /// Its linear layers, in the order of [`Part`](super::Part).
    pub fn layers_mut(&mut self) -> impl Iterator<Item = &mut Layer<'w, B, D>> {
        let first = match &mut self.projections {
            Projections::Fused(layer) => core::slice::from_mut(layer),
            Projections::Split(layers) => layers.as_mut_slice(),
        };
        let rest = [&mut self.up, &mut self.down];
        first.iter_mut().chain([&mut self.output]).chain(&mut self.gate).chain(rest)
    }

    /// Its linear layers, in the order of [`Part`](super::Part).
    pub fn layers(&self) -> impl Iterator<Item = &Layer<'w, B, D>> {
        let first = match &self.projections {
            Projections::Fused(layer) => core::slice::from_ref(layer),
            Projections::Split(layers) => layers.as_slice(),
        };
        first.iter().chain([&self.output]).chain(&self.gate).chain([&self.up, &self.down])
    }

    /// Whether anything of it is trained.
    #[must_use]
    pub fn trains(&self) -> bool {
        self.layers().any(Layer::trains) || self.norms.iter().any(Normalizer::trains)
    }

    fn check(&self, shape: &Shape) -> Result<(), Error<B::Error>> {
        let (q, kv) = (shape.heads.width(), shape.heads.kv_width());
        match &self.projections {
            Projections::Fused(layer) => {
                same("queries, keys and values", layer.base.shape(), (shape.qkv(), shape.width))?;
            }
            Projections::Split([query, key, value]) => {
                same("queries", query.base.shape(), (q, shape.width))?;
                same("keys", key.base.shape(), (kv, shape.width))?;
                same("values", value.base.shape(), (kv, shape.width))?;
            }
        }
        same("output of the heads", self.output.base.shape(), (shape.width, q))?;
        if let Some(gate) = &self.gate {
            same("gate", gate.base.shape(), (shape.inner, shape.width))?;
        }
        same("up", self.up.base.shape(), (shape.inner, shape.width))?;
        Ok(same("down", self.down.base.shape(), (shape.width, shape.inner))?)
    }

    /// The heads of its attention.
    pub(super) fn heads(&self, shape: &Shape) -> Heads {
        Heads { scale: self.scale, ..shape.heads }
    }

    /// Room for what a pass keeps.
    pub(super) fn saved(&self, be: &mut B, shape: &Shape) -> Result<Saved<B>, Error<B::Error>> {
        let mut kept = Vec::<_, LAYERS>::new();
        for layer in self.layers() {
            let full = |_| Error::capacity("layers of a block", 8, LAYERS);
            kept.push(layer.kept(be)?).map_err(full)?;
        }
        Ok(Saved::new(be, shape, self.gate.is_some(), kept)?)
    }

    /// Lends the adapters what they keep, or takes it back.
    pub(super) fn lend(&mut self, saved: &mut Saved<B>) {
        self.layers_mut().zip(&mut saved.kept).for_each(|(layer, kept)| layer.swap_kept(kept));
    }

    /// middle = x + output(attention(norm(x))), the norm where it comes before.
    fn attend(
        &mut self,
        be: &mut B,
        scene: &mut Scene<'_, B>,
        x: Mat<'_, B, Act>,
        saved: &mut Saved<B>,
        cache: Option<(&mut KeyValues<B>, usize)>,
        pass: Pass,
    ) -> Result<(), Error<B::Error>> {
        let (shape, n) = (scene.shape, scene.n);
        if shape.placement == Placement::Before {
            let y = mat_mut::<B>(&mut saved.normed, n, shape.width);
            self.norms[0].forward(be, shape.norm, x, y)?;
        }
        let seen = match shape.placement {
            Placement::Before => mat(&saved.normed, n, shape.width),
            Placement::After => x,
        };
        self.project(be, scene, seen, &mut saved.qkv, pass)?;
        scene.inputs.rotate(be, shape, n, &mut saved.qkv)?;
        let [q, k, v] = columns(shape, n).map(|at| Mat { buf: &saved.qkv, at });
        let (heads, spans) = (self.heads(shape), scene.inputs.spans(self.windowed));
        let mut of = Attention { heads, q, k, v, spans };
        if let Some((cache, len)) = cache {
            cache.append(be, len, k, v)?;
            [of.k, of.v] = cache.views(len + n, heads.kv_width())?;
        }
        let o = mat_mut::<B>(&mut saved.o, n, heads.width());
        be.attention(of, o, &mut saved.lse)?;
        let mut middle = mat_mut::<B>(&mut saved.middle, n, shape.width);
        copy(be, x, Store::Replace, middle.reborrow())?;
        let o = mat(&saved.o, n, heads.width());
        self.output.forward(be, scene.ws, o, Store::Add, middle, pass)
    }

    fn project(
        &mut self,
        be: &mut B,
        scene: &mut Scene<'_, B>,
        x: Mat<'_, B, Act>,
        qkv: &mut B::Buf<Act>,
        pass: Pass,
    ) -> Result<(), Error<B::Error>> {
        let (n, cols) = (scene.n, scene.shape.qkv());
        match &mut self.projections {
            Projections::Fused(layer) => {
                layer.forward(be, scene.ws, x, Store::Replace, mat_mut(qkv, n, cols), pass)
            }
            Projections::Split(layers) => {
                for (layer, at) in layers.iter_mut().zip(columns(scene.shape, n)) {
                    let y = MatMut { buf: &mut *qkv, at };
                    layer.forward(be, scene.ws, x, Store::Replace, y, pass)?;
                }
                Ok(())
            }
        }
    }

    /// out = middle + mlp(norm(middle)), or with norms that come after norm(seen + mlp(seen)),
    /// seen = norm(middle).
    fn perceive(
        &mut self,
        be: &mut B,
        scene: &mut Scene<'_, B>,
        saved: &mut Saved<B>,
        mut out: MatMut<'_, B, Act>,
        pass: Pass,
    ) -> Result<(), Error<B::Error>> {
        let (shape, n) = (scene.shape, scene.n);
        let (width, before) = (shape.width, shape.placement == Placement::Before);
        let norm = if before { &self.norms[1] } else { &self.norms[0] };
        let (middle, seen) = (mat::<B>(&saved.middle, n, width), &mut saved.seen);
        norm.forward(be, shape.norm, middle, mat_mut(seen, n, width))?;
        self.unfold(be, scene, saved, pass)?;
        let inner = mat(&saved.inner, n, shape.inner);
        if before {
            copy(be, mat::<B>(&saved.middle, n, width), Store::Replace, out.reborrow())?;
            return self.down.forward(be, scene.ws, inner, Store::Add, out, pass);
        }
        let mut sum = mat_mut::<B>(&mut saved.sum, n, width);
        copy(be, mat::<B>(&saved.seen, n, width), Store::Replace, sum.reborrow())?;
        self.down.forward(be, scene.ws, inner, Store::Add, sum.reborrow(), pass)?;
        Ok(self.norms[1].forward(be, shape.norm, sum.view(), out)?)
    }

    /// inner = φ(gate)⊙up, or φ(up).
    fn unfold(
        &mut self,
        be: &mut B,
        scene: &mut Scene<'_, B>,
        saved: &mut Saved<B>,
        pass: Pass,
    ) -> Result<(), Error<B::Error>> {
        let (n, shape) = (scene.n, scene.shape);
        let x = mat(&saved.seen, n, shape.width);
        let mut up = mat_mut::<B>(&mut saved.up, n, shape.inner);
        self.up.forward(be, scene.ws, x, Store::Replace, up.reborrow(), pass)?;
        let mut inner = mat_mut(&mut saved.inner, n, shape.inner);
        let Some(layer) = &mut self.gate else {
            copy(be, up.view(), Store::Replace, inner.reborrow())?;
            return Ok(be.activate(shape.activation, inner)?);
        };
        let mut gate = mat_mut::<B>(&mut saved.gate, n, shape.inner);
        layer.forward(be, scene.ws, x, Store::Replace, gate.reborrow(), pass)?;
        Ok(be.gate(shape.activation, gate.view(), up.view(), inner)?)
    }

    pub(super) fn visit(
        &mut self,
        be: &mut B,
        f: &mut Visitor<'_, B>,
    ) -> Result<(), Error<B::Error>> {
        self.layers_mut().try_for_each(|layer| layer.visit(be, f))?;
        self.norms.iter_mut().try_for_each(|norm| norm.visit(be, f))
    }
}
