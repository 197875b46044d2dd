//! The frozen layer under an adapter.

use crate::backend::{AccumOf, Backend, Weight};
use crate::buffer::Acc;
use crate::error::{Error, Shape, same};
use crate::frozen::Frozen;

/// A frozen linear layer: y = x·Wᵀ + b, W `(out, in)`, b `(out)`. Configuration, not state: any
/// number of adapters may share one.
#[derive(Debug)]
pub struct Linear<'w, B: Backend> {
    /// W.
    pub weight: B::Weight<'w>,
    /// b.
    pub bias: Option<B::Buf<Acc>>,
}

impl<'w, B: Backend> Linear<'w, B> {
    /// Puts W and b on the device.
    ///
    /// # Errors
    /// [`Error::Shape`] unless b has `out` elements, [`Error::NonFinite`] for an infinite or NaN
    /// bias; device errors.
    pub fn new(
        be: &mut B,
        weight: Frozen<'w>,
        bias: Option<&[AccumOf<B>]>,
    ) -> Result<Self, Error<B::Error>> {
        let out = weight.shape().0;
        let bias = match bias {
            None => None,
            Some(b) => Some(upload_bias(be, b, out)?),
        };
        Ok(Self { weight: be.weight(weight)?, bias })
    }

    /// `(out, in)`.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.weight.shape()
    }
}

fn upload_bias<B: Backend>(
    be: &mut B,
    b: &[AccumOf<B>],
    out: usize,
) -> Result<B::Buf<Acc>, Error<B::Error>> {
    same("bias (elements)", (b.len(), 1), (out, 1))?;
    if let Some(row) = b.iter().position(|x| !crate::scalar::Accum::finite(*x)) {
        return Err(Error::non_finite("bias", row, 0));
    }
    let mut buf = be.alloc::<Acc>(out)?;
    be.write::<Acc>(&mut buf, 0, b)?;
    Ok(buf)
}
