//! Keys and values of earlier tokens, for text that is made token by token.

use super::tensor::copy;
use crate::backend::{Backend, Store};
use crate::buffer::Act;
use crate::error::Error;
use crate::mat::{Layout, Mat, MatMut};

/// The keys and values that one block has computed so far.
#[derive(Debug)]
pub struct KeyValues<B: Backend> {
    k: B::Buf<Act>,
    v: B::Buf<Act>,
}

impl<B: Backend> KeyValues<B> {
    /// Room for `capacity` tokens, `kv_width` numbers each.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new(be: &mut B, capacity: usize, kv_width: usize) -> Result<Self, B::Error> {
        let len = capacity * kv_width;
        Ok(Self { k: be.alloc::<Act>(len)?, v: be.alloc::<Act>(len)? })
    }

    /// Keeps k and v as rows `len` and following.
    pub(super) fn append(
        &mut self,
        be: &mut B,
        len: usize,
        k: Mat<'_, B, Act>,
        v: Mat<'_, B, Act>,
    ) -> Result<(), Error<B::Error>> {
        let at = Layout::row_major(len * k.at.cols, k.at.rows, k.at.cols);
        copy(be, k, Store::Replace, MatMut::with(&mut self.k, at)?)?;
        Ok(copy(be, v, Store::Replace, MatMut::with(&mut self.v, at)?)?)
    }

    /// The first `len` keys and values.
    pub(super) fn views(
        &self,
        len: usize,
        width: usize,
    ) -> Result<[Mat<'_, B, Act>; 2], Error<B::Error>> {
        Ok([Mat::new(&self.k, len, width)?, Mat::new(&self.v, len, width)?])
    }
}

/// The keys and values of a text so far, in all blocks. `K` holds one [`KeyValues`] for each block.
#[derive(Debug)]
pub struct Cache<K> {
    /// Those of each block.
    pub(super) blocks: K,
    pub(super) capacity: usize,
    /// How many tokens are in it.
    pub(super) len: usize,
}

impl<K> Cache<K> {
    /// An empty cache over room for `capacity` tokens in each block.
    #[must_use]
    pub const fn new(blocks: K, capacity: usize) -> Self {
        Self { blocks, capacity, len: 0 }
    }

    /// How many tokens are in it.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether no token is.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many tokens there is room for.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// Forgets all tokens beyond the first `len`.
    pub const fn truncate(&mut self, len: usize) {
        if len < self.len {
            self.len = len;
        }
    }
}
