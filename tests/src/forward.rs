//! The methods of a [`Wrapper`](crate::wrapper::Wrapper) that hand an operation on.

/// Writes the named methods of `Backend`, `Network` or `Sequence` for a [`Wrapper`](crate::wrapper::Wrapper):
/// each asks `before`, checks its vectors with `vector`, hands the operation on, and shows every
/// operand to `after`. Needs `use decora_conformance::wrapper::prelude::*`.
///
/// ```text
/// impl<B: Backend> Backend for Mine<B> {
///     type Scalar = B::Scalar;
///     type Buf<R: Role> = B::Buf<R>;
///     type Weight<'w> = B::Weight<'w>;
///     type Error = B::Error;
///     decora_conformance::forward!(alloc write read weight gemm_frozen);
///     fn gemm<X: Float, Y: Float, Z: Float>(..) { .. } // by hand
/// }
/// ```
#[macro_export]
macro_rules! forward {
    ($($op:ident)*) => { $($crate::forward_one!($op);)* };
}

/// One method. Costs are those of the mathematics, whatever the device does.
#[doc(hidden)]
#[macro_export]
macro_rules! forward_one {
    (alloc) => {
        fn alloc<R: Role>(&mut self, len: usize) -> Result<Self::Buf<R>, Self::Error> {
            let written = bytes::<Self, R>(len);
            self.before(Cost { op: "alloc", flops: 0, read: 0, written });
            self.inner().alloc::<R>(len)
        }
    };
    (write) => {
        fn write<R: Role>(
            &mut self,
            dst: &mut Self::Buf<R>,
            offset: usize,
            src: &[Elem<Self, R>],
        ) -> Result<(), Self::Error> {
            let moved = bytes::<Self, R>(src.len());
            self.vector::<R>("write (end, of length)", dst, offset.saturating_add(src.len()))?;
            if self.before(Cost { op: "write", flops: 0, read: moved, written: moved }) {
                self.inner().write::<R>(Self::lower_mut::<R>(dst), offset, src)?;
            }
            self.after::<R>("write", dst)
        }
    };
    (read) => {
        fn read<R: Role>(
            &mut self,
            src: &Self::Buf<R>,
            offset: usize,
            dst: &mut [Elem<Self, R>],
        ) -> Result<(), Self::Error> {
            let moved = bytes::<Self, R>(dst.len());
            self.vector::<R>("read (end, of length)", src, offset.saturating_add(dst.len()))?;
            if self.before(Cost { op: "read", flops: 0, read: moved, written: moved }) {
                self.inner().read::<R>(Self::lower::<R>(src), offset, dst)?;
            }
            self.after::<R>("read", src)
        }
    };
    (weight) => {
        fn weight<'w>(&mut self, w: Frozen<'w>) -> Result<Self::Weight<'w>, Self::Error> {
            self.before(Cost { op: "weight", flops: 0, read: 0, written: 0 });
            self.inner().weight(w)
        }
    };
    (gemm) => {
        fn gemm<X: Float, Y: Float, Z: Float>(
            &mut self,
            alpha: AccumOf<Self>,
            a: Mat<'_, Self, X>,
            b: Mat<'_, Self, Y>,
            into: Store,
            mut c: MatMut<'_, Self, Z>,
        ) -> Result<(), Self::Error> {
            let read = bytes::<Self, X>(len(a.at)) + bytes::<Self, Y>(len(b.at));
            let flops = 2 * len(a.at) * b.at.cols;
            let cost = Cost { op: "gemm", flops, read, written: bytes::<Self, Z>(len(c.at)) };
            if self.before(cost) {
                self.inner().gemm(alpha, mat(a), mat(b), into, mat_mut(&mut c))?;
            }
            self.after::<X>("gemm", a.buf)?;
            self.after::<Y>("gemm", b.buf)?;
            self.after::<Z>("gemm", &*c.buf)
        }
    };
    (gemm_frozen) => {
        fn gemm_frozen<X: Float, Z: Float>(
            &mut self,
            alpha: AccumOf<Self>,
            a: Mat<'_, Self, X>,
            w: &Self::Weight<'_>,
            side: Side,
            into: Store,
            mut c: MatMut<'_, Self, Z>,
        ) -> Result<(), Self::Error> {
            let (out, inputs) = w.shape();
            let (flops, read) = (2 * a.at.rows * out * inputs, bytes::<Self, X>(len(a.at)));
            let written = bytes::<Self, Z>(len(c.at));
            if self.before(Cost { op: "gemm_frozen", flops, read, written }) {
                self.inner().gemm_frozen(alpha, mat(a), w, side, into, mat_mut(&mut c))?;
            }
            self.after::<X>("gemm_frozen", a.buf)?;
            self.after::<Z>("gemm_frozen", &*c.buf)
        }
    };
    (gemm_adapted) => {
        fn gemm_adapted<X: Float, Z: Float>(
            &mut self,
            a: Mat<'_, Self, X>,
            (w, side): (&Self::Weight<'_>, Side),
            (s, p, q): (AccumOf<Self>, Mat<'_, Self, Acc>, Mat<'_, Self, Acc>),
            into: Store,
            mut c: MatMut<'_, Self, Z>,
        ) -> Result<(), Self::Error> {
            let (out, inputs) = w.shape();
            let flops = 2 * a.at.rows * out * inputs + 2 * len(p.at) * q.at.cols;
            let low = bytes::<Self, Acc>(len(p.at) + len(q.at));
            let read = bytes::<Self, X>(len(a.at)) + low;
            let written = bytes::<Self, Z>(len(c.at));
            if self.before(Cost { op: "gemm_adapted", flops, read, written }) {
                let low = (s, mat(p), mat(q));
                self.inner().gemm_adapted(mat(a), (w, side), low, into, mat_mut(&mut c))?;
            }
            self.after::<X>("gemm_adapted", a.buf)?;
            self.after::<Acc>("gemm_adapted", p.buf)?;
            self.after::<Acc>("gemm_adapted", q.buf)?;
            self.after::<Z>("gemm_adapted", &*c.buf)
        }
    };
    (frozen_rows) => {
        fn frozen_rows(
            &mut self,
            w: &Self::Weight<'_>,
            first: usize,
            mut c: MatMut<'_, Self, Acc>,
        ) -> Result<(), Self::Error> {
            let written = bytes::<Self, Acc>(len(c.at));
            if self.before(Cost { op: "frozen_rows", flops: 0, read: 0, written }) {
                self.inner().frozen_rows(w, first, mat_mut(&mut c))?;
            }
            self.after::<Acc>("frozen_rows", &*c.buf)
        }
    };
    (frozen_row_sq) => {
        fn frozen_row_sq(
            &mut self,
            w: &Self::Weight<'_>,
            sq: &mut Self::Buf<Acc>,
        ) -> Result<(), Self::Error> {
            let (out, inputs) = w.shape();
            let (flops, written) = (2 * out * inputs, bytes::<Self, Acc>(out));
            self.vector::<Acc>("frozen_row_sq: sq", sq, out)?;
            if self.before(Cost { op: "frozen_row_sq", flops, read: 0, written }) {
                self.inner().frozen_row_sq(w, Self::lower_mut::<Acc>(sq))?;
            }
            self.after::<Acc>("frozen_row_sq", sq)
        }
    };
    (axpy) => {
        fn axpy<X: Float, Y: Float>(
            &mut self,
            alpha: AccumOf<Self>,
            x: Mat<'_, Self, X>,
            into: Store,
            mut y: MatMut<'_, Self, Y>,
        ) -> Result<(), Self::Error> {
            let flops = len(x.at) * if into == Store::Add { 2 } else { 1 };
            let (read, written) = (bytes::<Self, X>(len(x.at)), bytes::<Self, Y>(len(y.at)));
            if self.before(Cost { op: "axpy", flops, read, written }) {
                self.inner().axpy(alpha, mat(x), into, mat_mut(&mut y))?;
            }
            self.after::<X>("axpy", x.buf)?;
            self.after::<Y>("axpy", &*y.buf)
        }
    };
    (dropout) => {
        fn dropout(
            &mut self,
            drop: Dropout,
            x: Mat<'_, Self, Act>,
            into: Store,
            mut y: MatMut<'_, Self, Act>,
        ) -> Result<(), Self::Error> {
            let (flops, moved) = (len(x.at), bytes::<Self, Act>(len(x.at)));
            if self.before(Cost { op: "dropout", flops, read: moved, written: moved }) {
                self.inner().dropout(drop, mat(x), into, mat_mut(&mut y))?;
            }
            self.after::<Act>("dropout", x.buf)?;
            self.after::<Act>("dropout", &*y.buf)
        }
    };
    (scale_rows) => {
        fn scale_rows(
            &mut self,
            d: Mat<'_, Self, Acc>,
            mut c: MatMut<'_, Self, Acc>,
        ) -> Result<(), Self::Error> {
            let (flops, written) = (len(c.at), bytes::<Self, Acc>(len(c.at)));
            let read = bytes::<Self, Acc>(d.at.rows) + written;
            if self.before(Cost { op: "scale_rows", flops, read, written }) {
                self.inner().scale_rows(mat(d), mat_mut(&mut c))?;
            }
            self.after::<Acc>("scale_rows", d.buf)?;
            self.after::<Acc>("scale_rows", &*c.buf)
        }
    };
    (row_dot) => {
        fn row_dot(
            &mut self,
            alpha: AccumOf<Self>,
            a: Mat<'_, Self, Acc>,
            b: Mat<'_, Self, Acc>,
            into: Store,
            out: &mut Self::Buf<Acc>,
        ) -> Result<(), Self::Error> {
            let (flops, read) = (2 * len(a.at), bytes::<Self, Acc>(2 * len(a.at)));
            let written = bytes::<Self, Acc>(a.at.rows);
            self.vector::<Acc>("row_dot: out", out, a.at.rows)?;
            if self.before(Cost { op: "row_dot", flops, read, written }) {
                self.inner().row_dot(alpha, mat(a), mat(b), into, Self::lower_mut::<Acc>(out))?;
            }
            self.after::<Acc>("row_dot", a.buf)?;
            self.after::<Acc>("row_dot", b.buf)?;
            self.after::<Acc>("row_dot", out)
        }
    };
    (affine) => {
        fn affine(
            &mut self,
            z: Mat<'_, Self, Acc>,
            g: Option<&Self::Buf<Acc>>,
            b: Option<&Self::Buf<Acc>>,
            into: Store,
            mut y: MatMut<'_, Self, Act>,
        ) -> Result<(), Self::Error> {
            let flops = len(z.at) * (usize::from(g.is_some()) + usize::from(b.is_some()));
            let (read, written) = (bytes::<Self, Acc>(len(z.at)), bytes::<Self, Act>(len(y.at)));
            for vector in [g, b].into_iter().flatten() {
                self.vector::<Acc>("affine: g or b", vector, z.at.cols)?;
            }
            if self.before(Cost { op: "affine", flops, read, written }) {
                let (g, b) = (g.map(Self::lower::<Acc>), b.map(Self::lower::<Acc>));
                self.inner().affine(mat(z), g, b, into, mat_mut(&mut y))?;
            }
            for vector in [g, b].into_iter().flatten() {
                self.after::<Acc>("affine", vector)?;
            }
            self.after::<Acc>("affine", z.buf)?;
            self.after::<Act>("affine", &*y.buf)
        }
    };
    (affine_grad) => {
        fn affine_grad(
            &mut self,
            z: Mat<'_, Self, Acc>,
            g: &Self::Buf<Acc>,
            mut dy: MatMut<'_, Self, Act>,
            q: &mut Self::Buf<Acc>,
        ) -> Result<(), Self::Error> {
            let written = bytes::<Self, Act>(len(dy.at));
            let (flops, read) = (3 * len(z.at), bytes::<Self, Acc>(len(z.at)) + written);
            self.vector::<Acc>("affine_grad: g", g, z.at.cols)?;
            self.vector::<Acc>("affine_grad: q", q, z.at.cols)?;
            if self.before(Cost { op: "affine_grad", flops, read, written }) {
                let (g, q) = (Self::lower::<Acc>(g), Self::lower_mut::<Acc>(q));
                self.inner().affine_grad(mat(z), g, mat_mut(&mut dy), q)?;
            }
            self.after::<Acc>("affine_grad", z.buf)?;
            self.after::<Acc>("affine_grad", g)?;
            self.after::<Act>("affine_grad", &*dy.buf)?;
            self.after::<Acc>("affine_grad", q)
        }
    };
    (col_sum) => {
        fn col_sum(
            &mut self,
            x: Mat<'_, Self, Act>,
            into: Store,
            s: &mut Self::Buf<Acc>,
        ) -> Result<(), Self::Error> {
            let (read, written) = (bytes::<Self, Act>(len(x.at)), bytes::<Self, Acc>(x.at.cols));
            self.vector::<Acc>("col_sum: s", s, x.at.cols)?;
            if self.before(Cost { op: "col_sum", flops: len(x.at), read, written }) {
                self.inner().col_sum(mat(x), into, Self::lower_mut::<Acc>(s))?;
            }
            self.after::<Act>("col_sum", x.buf)?;
            self.after::<Acc>("col_sum", s)
        }
    };
    ($op:ident) => {
        $crate::forward_whole!($op);
    };
}
