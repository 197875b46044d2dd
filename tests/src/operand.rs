//! What operations work on: matrices and vectors on the device, painted, in longer buffers.

use decora::backend::{Backend, Elem, Store};
use decora::buffer::{Float, Role};
use decora::mat::{Layout, Mat, MatMut};
use decora::scalar::Element;

use crate::paint::{GAP, View, paint};
use crate::trial::Trial;

/// A matrix on the device, and what its whole buffer held when it went there.
pub(crate) struct Operand<B: Backend, R: Role> {
    /// The whole buffer.
    pub(crate) buf: B::Buf<R>,
    /// Where the matrix lies in it.
    pub(crate) at: Layout,
    /// What the whole buffer held.
    pub(crate) host: Vec<f64>,
}

impl<B: Backend, R: Role> Operand<B, R> {
    /// Element (i, j), as it went to the device.
    pub(crate) fn value(&self, i: usize, j: usize) -> f64 {
        self.host[self.at.offset + i * self.at.rs + j * self.at.cs]
    }

    /// The matrix, to read.
    pub(crate) fn mat(&self) -> Mat<'_, B, R> {
        Mat { buf: &self.buf, at: self.at }
    }

    /// The matrix, to write.
    pub(crate) fn mat_mut(&mut self) -> MatMut<'_, B, R> {
        MatMut { buf: &mut self.buf, at: self.at }
    }
}

impl<B: Backend> Trial<B> {
    /// `host`, rounded to what the device holds, on the device.
    pub(crate) fn put<R: Role>(
        &mut self,
        host: &[f64],
        at: Layout,
    ) -> Result<Operand<B, R>, B::Error> {
        let host: Vec<f64> = host.iter().map(|&x| self.narrow(R::KIND, x)).collect();
        self.put_back(&host, at)
    }

    /// What came from the device, on the device again.
    pub(crate) fn put_back<R: Role>(
        &mut self,
        host: &[f64],
        at: Layout,
    ) -> Result<Operand<B, R>, B::Error> {
        let elements: Vec<Elem<B, R>> = host.iter().map(|&x| Element::store(x)).collect();
        let mut buf = self.be.alloc::<R>(elements.len())?;
        self.be.write::<R>(&mut buf, 0, &elements)?;
        Ok(Operand { buf, at, host: elements.iter().map(|e| e.load()).collect() })
    }

    /// A painted matrix; NaN wherever the buffer holds nothing of it.
    pub(crate) fn input<R: Float>(
        &mut self,
        (rows, cols): (usize, usize),
        view: View,
        salt: usize,
    ) -> Result<Operand<B, R>, B::Error> {
        let (at, len) = view.layout(rows, cols);
        self.put(&fill(at, len, f64::NAN, &|i, j| paint(salt, i, j)), at)
    }

    /// Where a result goes: painted when it is added to, else NaN.
    pub(crate) fn output<R: Float>(
        &mut self,
        (rows, cols): (usize, usize),
        view: View,
        into: Store,
        salt: usize,
    ) -> Result<Operand<B, R>, B::Error> {
        let (at, len) = view.layout(rows, cols);
        let old = |i, j| if into == Store::Add { paint(salt, i, j) } else { f64::NAN };
        self.put(&fill(at, len, GAP, &old), at)
    }

    /// A vector at the front of a longer buffer, which holds NaN behind it.
    pub(crate) fn vector<R: Float>(&mut self, x: &[f64]) -> Result<Operand<B, R>, B::Error> {
        self.put(&[x, &[f64::NAN; 3]].concat(), Layout::row_major(0, x.len(), 1))
    }

    /// A painted vector at the front of a longer buffer.
    pub(crate) fn painted<R: Float>(
        &mut self,
        len: usize,
        salt: usize,
    ) -> Result<Operand<B, R>, B::Error> {
        let x: Vec<f64> = (0..len).map(|i| paint(salt, i, 0)).collect();
        self.vector(&x)
    }

    /// A vector in a buffer of exactly its length.
    pub(crate) fn whole<R: Role>(&mut self, x: &[f64]) -> Result<Operand<B, R>, B::Error> {
        self.put(x, Layout::row_major(0, x.len(), 1))
    }

    /// Where a vector goes, at the front of a longer buffer.
    pub(crate) fn column<R: Float>(
        &mut self,
        len: usize,
        into: Store,
        salt: usize,
    ) -> Result<Operand<B, R>, B::Error> {
        let at = Layout::row_major(0, len, 1);
        let old = |i, _| if into == Store::Add { paint(salt, i, 0) } else { f64::NAN };
        self.put(&fill(at, len + 3, GAP, &old), at)
    }
}

/// A buffer of `len` elements with a matrix in it, and `gap` everywhere else.
fn fill(at: Layout, len: usize, gap: f64, value: &dyn Fn(usize, usize) -> f64) -> Vec<f64> {
    let mut all = vec![gap; len];
    for (i, j) in (0..at.rows).flat_map(|i| (0..at.cols).map(move |j| (i, j))) {
        all[at.offset + i * at.rs + j * at.cs] = value(i, j);
    }
    all
}
