//! Transformers: embeddings, blocks of attention and perceptrons, and a head, with an adapter on any
//! linear layer (Vaswani et al. 2017; DoRA on its layers: Liu et al. 2024).
//!
//! The layers of [`Shape`], [`Stem`], [`Parts`] and [`Head`] make GPT-2, Llama, Qwen2, Mistral and BERT:
//! normalisations before or after, of either kind; learned or rotary positions; gated or plain
//! perceptrons; keys shared by several heads; logits of tokens or of sequences. Sequences of a batch lie
//! one after the other, a row for each token, and each row names the rows it sees.
//!
//! All memory is taken at construction; blocks live where the caller keeps them.

mod block;
mod cache;
mod descend;
mod exchange;
mod head;
mod inputs;
mod layer;
mod module;
mod pass;
mod picks;
mod saved;
mod shape;
mod stem;
mod tensor;

use core::ops::DerefMut;

pub use block::{Block, Parts, Projections};
pub use cache::{Cache, KeyValues};
pub use head::Head;
pub use inputs::{Angles, Batch, angles};
pub use layer::Layer;
pub use module::{Module, Part};
pub use shape::{Placement, Shape};
pub use stem::Stem;
pub use tensor::{Normalizer, Table};

use crate::buffer::{Acc, Act, Index};
use crate::direction::Direction;
use crate::error::Error;
use crate::param::{Parameters, Visitor};
use crate::sequence::Sequence;
use crate::workspace::Workspace;
use inputs::Inputs;
use picks::Picks;
use saved::{Gradients, Saved};

/// What a transformer is made of, but for its blocks.
#[derive(Debug)]
pub struct Frame<'w, B: Sequence, D: Direction<B>> {
    /// From tokens to the first block.
    pub stem: Stem<'w, B>,
    /// Rotary positions, where there are such.
    pub angles: Option<Angles<B>>,
    /// The normalisation after the last block, where there is one.
    pub norm: Option<Normalizer<B>>,
    /// From the last block to logits. Its adapters are planned for [`Shape::chunk`] rows, or for
    /// [`Shape::sequences`].
    pub head: Head<'w, B, D>,
    /// Scratch of the layers: enough for the [`needs`](Shape::needs) of each.
    pub ws: Workspace<B>,
}

/// A transformer over blocks `S`: anything that lends a slice of [`Block`]s, such as a vector.
#[derive(Debug)]
pub struct Transformer<'w, B: Sequence, D: Direction<B>, S> {
    shape: Shape,
    frame: Frame<'w, B, D>,
    blocks: S,
    inputs: Inputs<B>,
    picks: Picks<B>,
    /// Activations of the blocks that do not keep their own.
    shared: Option<Saved<B>>,
    /// Scratch of backward; `None` in a network that only answers.
    grads: Option<Gradients<B>>,
    rows: Rows<B>,
    /// Rows of the last pass.
    n: usize,
}

/// What is between blocks and loss.
#[derive(Debug)]
struct Rows<B: Sequence> {
    /// Embeddings before their normalisation: n·width.
    sum: B::Buf<Act>,
    /// The output of the last block: n·width.
    hidden: B::Buf<Act>,
    /// The same, normalised: n·width.
    normed: B::Buf<Act>,
    /// The gradient that runs from block to block: n·width.
    d: B::Buf<Act>,
    /// First rows of sequences, what the pooler makes of them, and two gradients: sequences·width.
    first: B::Buf<Act>,
    pooled: B::Buf<Act>,
    d_first: B::Buf<Act>,
    d_pooled: B::Buf<Act>,
    /// chunk·outputs, or sequences·outputs.
    logits: B::Buf<Act>,
    labels: B::Buf<Index>,
    loss: B::Buf<Acc>,
}

impl<B: Sequence> Rows<B> {
    fn new<D: Direction<B>>(
        be: &mut B,
        shape: &Shape,
        head: &Head<'_, B, D>,
        learns: bool,
    ) -> Result<Self, B::Error> {
        let all = shape.rows * shape.width;
        let (sequences, some) = match head {
            Head::None => (0, 0),
            Head::Classes { .. } => (shape.sequences * shape.width, shape.sequences),
            Head::Tied | Head::Tokens(_) => (0, shape.chunk),
        };
        Ok(Self {
            sum: be.alloc::<Act>(all)?,
            hidden: be.alloc::<Act>(all)?,
            normed: be.alloc::<Act>(all)?,
            d: be.alloc::<Act>(if learns { all } else { 0 })?,
            first: be.alloc::<Act>(sequences)?,
            pooled: be.alloc::<Act>(sequences)?,
            d_first: be.alloc::<Act>(if learns { sequences } else { 0 })?,
            d_pooled: be.alloc::<Act>(if learns { sequences } else { 0 })?,
            logits: be.alloc::<Act>(some * shape.outputs)?,
            labels: be.alloc::<Index>(some)?,
            loss: be.alloc::<Acc>(1)?,
        })
    }
}

impl<'w, B: Sequence, D: Direction<B>, S: DerefMut<Target = [Block<'w, B, D>]>>
    Transformer<'w, B, D, S>
{
    /// A transformer of these parts; `learns` says whether it needs memory for backward.
    ///
    /// # Errors
    /// [`Error::Shape`] when parts do not fit each other, [`Error::OutOfRange`] for a size of 0; out of
    /// memory.
    pub fn new(
        be: &mut B,
        shape: Shape,
        mut frame: Frame<'w, B, D>,
        blocks: S,
        learns: bool,
    ) -> Result<Self, Error<B::Error>> {
        shape.check()?;
        frame.stem.check(&shape)?;
        frame.head.check(&shape, &frame.stem.tokens)?;
        frame.head.settle(be)?;
        let shared = match blocks.iter().find(|block| block.saved.is_none()) {
            Some(block) => Some(block.parts.saved(be, &shape)?),
            None => None,
        };
        let grads = match learns {
            true => Some(Gradients::new(be, &shape, shape.rows)?),
            false => None,
        };
        let classifies = frame.head.classifies();
        let sequences = if classifies { shape.sequences } else { 0 };
        let (angles, padding) = (frame.angles.take(), frame.stem.unlearned());
        let mut net = Self {
            inputs: Inputs::new(be, &shape, angles, padding)?,
            picks: Picks::new(be, sequences, shape.rows)?,
            rows: Rows::new(be, &shape, &frame.head, learns)?,
            shape,
            frame,
            blocks,
            shared,
            grads,
            n: 0,
        };
        net.make_room(be)?;
        Ok(net)
    }

    /// Its sizes.
    #[must_use]
    pub const fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Its blocks.
    #[must_use]
    pub fn blocks(&self) -> &[Block<'w, B, D>] {
        &self.blocks
    }

    /// All its linear layers, blocks first, with the scratch that they share.
    pub fn layers_mut(
        &mut self,
    ) -> (impl Iterator<Item = &mut Layer<'w, B, D>>, &mut Workspace<B>) {
        let Frame { head, ws, .. } = &mut self.frame;
        let blocks = self.blocks.iter_mut().flat_map(|block| block.parts.layers_mut());
        (blocks.chain(head.layers_mut()), ws)
    }

    /// Whether the logits are of whole sequences.
    #[must_use]
    pub const fn classifies(&self) -> bool {
        self.frame.head.classifies()
    }

    /// Rows of the last pass that have logits: its tokens, or its sequences.
    #[must_use]
    pub const fn answers(&self) -> usize {
        match self.frame.head {
            Head::None => 0,
            Head::Classes { .. } => self.picks.sequences(),
            Head::Tied | Head::Tokens(_) => self.n,
        }
    }
}

impl<'w, B: Sequence, D: Direction<B>, S: DerefMut<Target = [Block<'w, B, D>]>> Parameters<B>
    for Transformer<'w, B, D, S>
{
    fn visit(&mut self, be: &mut B, f: &mut Visitor<'_, B>) -> Result<(), Error<B::Error>> {
        self.frame.stem.visit(be, f)?;
        for block in self.blocks.iter_mut() {
            block.parts.visit(be, f)?;
        }
        if let Some(norm) = &mut self.frame.norm {
            norm.visit(be, f)?;
        }
        self.frame.head.visit(be, f)
    }
}
