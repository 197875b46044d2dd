//! Devices made of other devices: what [`Strict`](crate::strict::Strict) and
//! [`Trace`](crate::trace::Trace) have in common.

use decora::backend::{Backend, Clip, Elem};
use decora::buffer::{Acc, Index, Role};
use decora::mat::{Layout, Mat, MatMut};
use decora::sequence::Attention;

/// What the bodies that [`forward!`](crate::forward) writes need in scope.
pub mod prelude {
    pub use super::{Cost, Wrapper, attended, bytes, clip, len, mat, mat_mut};
    pub use decora::backend::{
        AccumOf, AdamWStep, Backend, Clip, Dropout, Elem, SgdStep, Side, Store, Weight,
    };
    pub use decora::buffer::{Acc, Act, Buffer, Float, Index, Role};
    pub use decora::frozen::Frozen;
    pub use decora::mat::{Mat, MatMut};
    pub use decora::network::{Activation, Network};
    pub use decora::sequence::{Attention, AttentionGrad, Norm, Sequence, Turn};
}

/// What one call takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// The method.
    pub op: &'static str,
    /// Multiplications, additions, and functions of one number, each counted once.
    pub flops: usize,
    /// Bytes of the operands that are read, each once.
    pub read: usize,
    /// Bytes of the results.
    pub written: usize,
}

/// A device that hands operations on to another, `B`.
///
/// The macro [`forward!`](crate::forward) writes the methods that do only that; the others are
/// written by hand.
pub trait Wrapper<B: Backend>: Backend<Scalar = B::Scalar, Error = B::Error> {
    /// The other device.
    fn inner(&mut self) -> &mut B;

    /// The other device's buffer, to read.
    fn lower<R: Role>(buf: &Self::Buf<R>) -> &B::Buf<R>;

    /// The other device's buffer, to write.
    fn lower_mut<R: Role>(buf: &mut Self::Buf<R>) -> &mut B::Buf<R>;

    /// Called before each operation. `false`: the operation is not handed on.
    fn before(&mut self, cost: Cost) -> bool {
        let _ = cost;
        true
    }

    /// Called where an operation is about to use the first `len` elements of a vector.
    ///
    /// # Errors
    /// Shape, where the vector must not be that long.
    fn vector<R: Role>(
        &self,
        what: &'static str,
        buf: &Self::Buf<R>,
        len: usize,
    ) -> Result<(), B::Error> {
        let _ = (what, buf, len);
        Ok(())
    }

    /// Called after each operation, for each of its operands.
    ///
    /// # Errors
    /// Device errors.
    fn after<R: Role>(&mut self, op: &'static str, buf: &Self::Buf<R>) -> Result<(), B::Error> {
        let _ = (op, buf);
        Ok(())
    }
}

/// The same matrix on the other device.
pub fn mat<'a, B: Backend, W: Wrapper<B>, R: Role>(m: Mat<'a, W, R>) -> Mat<'a, B, R> {
    Mat { buf: W::lower(m.buf), at: m.at }
}

/// The same matrix on the other device, to write.
pub fn mat_mut<'a, B: Backend, W: Wrapper<B>, R: Role>(
    m: &'a mut MatMut<'_, W, R>,
) -> MatMut<'a, B, R> {
    MatMut { buf: W::lower_mut(m.buf), at: m.at }
}

/// The same clipping on the other device.
pub fn clip<'a, B: Backend, W: Wrapper<B>>(clip: Option<&Clip<'a, W>>) -> Option<Clip<'a, B>> {
    clip.map(|c| Clip { max: c.max, sum_sq: W::lower::<Acc>(c.sum_sq) })
}

/// The same attention on the other device.
pub fn attended<'a, B: Backend, W: Wrapper<B>>(of: &Attention<'a, W>) -> Attention<'a, B> {
    let (q, k, v) = (mat(of.q), mat(of.k), mat(of.v));
    Attention { heads: of.heads, q, k, v, spans: W::lower::<Index>(of.spans) }
}

/// How many elements a matrix has.
#[must_use]
pub fn len(at: Layout) -> usize {
    at.rows * at.cols
}

/// How many bytes `count` elements take.
#[must_use]
pub fn bytes<B: Backend, R: Role>(count: usize) -> usize {
    count * size_of::<Elem<B, R>>()
}
