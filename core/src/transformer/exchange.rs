//! Several adapters on one base: each set can take the place of another.

use core::ops::DerefMut;

use super::block::Block;
use super::{Frame, Transformer};
use crate::adapter::Adapter;
use crate::direction::Direction;
use crate::error::{Error, same};
use crate::sequence::Sequence;
use crate::spec::Needs;

impl<'w, B: Sequence, D: Direction<B>, S: DerefMut<Target = [Block<'w, B, D>]>>
    Transformer<'w, B, D, S>
{
    /// Exchanges the adapters of all layers, in the order of [`layers_mut`](Transformer::layers_mut), for
    /// those in `adapters`, which gets the old ones. Nothing is copied; adapters that keep more than the
    /// old ones get room for it.
    ///
    /// # Errors
    /// [`Error::Shape`] unless there is a place for each layer and each adapter fits its layer, with
    /// nothing exchanged; out of memory.
    pub fn exchange(
        &mut self,
        be: &mut B,
        adapters: &mut [Option<Adapter<B, D>>],
    ) -> Result<(), Error<B::Error>> {
        let Frame { head, ws, .. } = &mut self.frame;
        let blocks = self.blocks.iter_mut().flat_map(|block| block.parts.layers_mut());
        let mut count = 0;
        for (layer, adapter) in blocks.chain(head.layers_mut()).zip(adapters.iter()) {
            count += 1;
            let plan = match adapter {
                Some(adapter) => *adapter.plan(),
                None => layer.bare(&self.shape),
            };
            same("adapter on weight", (plan.out, plan.inputs), layer.base.shape())?;
            ws.grow(be, plan.needs())?;
        }
        let all = self.layers_mut().0.count();
        same("adapters (number)", (adapters.len(), count), (all, all))?;
        for (layer, adapter) in self.layers_mut().0.zip(adapters) {
            core::mem::swap(&mut layer.adapter, adapter);
        }
        self.frame.head.settle(be)?;
        self.make_room(be)
    }

    /// Makes room in the scratch of the layers for adapters with these needs.
    ///
    /// # Errors
    /// Out of memory.
    pub fn reserve(&mut self, be: &mut B, needs: Needs) -> Result<(), Error<B::Error>> {
        Ok(self.frame.ws.grow(be, needs)?)
    }

    /// Room for what the adapters of all blocks keep.
    pub(super) fn make_room(&mut self, be: &mut B) -> Result<(), Error<B::Error>> {
        for block in self.blocks.iter_mut() {
            let Block { parts, saved, .. } = block;
            let Some(saved) = saved.as_mut().or(self.shared.as_mut()) else { continue };
            for (layer, kept) in parts.layers().zip(&mut saved.kept) {
                if let Some(adapter) = &layer.adapter {
                    kept.grow(be, adapter.plan())?;
                }
            }
        }
        Ok(())
    }
}
