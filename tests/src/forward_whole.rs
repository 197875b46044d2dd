//! The rest of [`forward!`](crate::forward): norms, vectors as long as their buffers, and networks.

/// One method: norms of an update, those whose operands are whole buffers, and those of `Network`.
#[doc(hidden)]
#[macro_export]
macro_rules! forward_whole {
    (low_rank_row_sq) => {
        fn low_rank_row_sq(
            &mut self,
            s: AccumOf<Self>,
            base_sq: &Self::Buf<Acc>,
            b: Mat<'_, Self, Acc>,
            u: Mat<'_, Self, Acc>,
            gram: Mat<'_, Self, Acc>,
            mut t: MatMut<'_, Self, Acc>,
            sq: &mut Self::Buf<Acc>,
        ) -> Result<(), Self::Error> {
            let (out, r) = b.at.shape();
            let read = bytes::<Self, Acc>(out + 2 * out * r + r * r);
            let (flops, written) = (2 * out * r * (r + 2), bytes::<Self, Acc>(out));
            self.vector::<Acc>("low_rank_row_sq: base_sq", base_sq, out)?;
            self.vector::<Acc>("low_rank_row_sq: sq", sq, out)?;
            if self.before(Cost { op: "low_rank_row_sq", flops, read, written }) {
                let (base_sq, sq) = (Self::lower::<Acc>(base_sq), Self::lower_mut::<Acc>(sq));
                let (b, u, gram, t) = (mat(b), mat(u), mat(gram), mat_mut(&mut t));
                self.inner().low_rank_row_sq(s, base_sq, b, u, gram, t, sq)?;
            }
            [b.buf, u.buf, gram.buf, &*t.buf, base_sq, &*sq]
                .into_iter()
                .try_for_each(|buf| self.after::<Acc>("low_rank_row_sq", buf))
        }
    };
    (gain) => {
        fn gain(
            &mut self,
            base_sq: &Self::Buf<Acc>,
            sq: &Self::Buf<Acc>,
            m: &mut Self::Buf<Acc>,
            n: &mut Self::Buf<Acc>,
            g: &mut Self::Buf<Acc>,
        ) -> Result<(), Self::Error> {
            let each = bytes::<Self, Acc>(base_sq.len());
            let cost =
                Cost { op: "gain", flops: 2 * base_sq.len(), read: 3 * each, written: 2 * each };
            if self.before(cost) {
                let (base_sq, sq) = (Self::lower::<Acc>(base_sq), Self::lower::<Acc>(sq));
                let (m, n) = (Self::lower_mut::<Acc>(m), Self::lower_mut::<Acc>(n));
                self.inner().gain(base_sq, sq, m, n, Self::lower_mut::<Acc>(g))?;
            }
            [base_sq, sq, m, n, g].into_iter().try_for_each(|buf| self.after::<Acc>("gain", buf))
        }
    };
    (gain_grad) => {
        fn gain_grad(
            &mut self,
            base_sq: &Self::Buf<Acc>,
            n: &Self::Buf<Acc>,
            g: &Self::Buf<Acc>,
            q: &Self::Buf<Acc>,
            into: Store,
            dm: &mut Self::Buf<Acc>,
            c: &mut Self::Buf<Acc>,
        ) -> Result<(), Self::Error> {
            let (len, each) = (base_sq.len(), bytes::<Self, Acc>(base_sq.len()));
            let cost = Cost { op: "gain_grad", flops: 4 * len, read: 4 * each, written: 2 * each };
            if self.before(cost) {
                let (base_sq, n) = (Self::lower::<Acc>(base_sq), Self::lower::<Acc>(n));
                let (g, q) = (Self::lower::<Acc>(g), Self::lower::<Acc>(q));
                let (dm, c) = (Self::lower_mut::<Acc>(dm), Self::lower_mut::<Acc>(c));
                self.inner().gain_grad(base_sq, n, g, q, into, dm, c)?;
            }
            [base_sq, n, g, q, dm, c]
                .into_iter()
                .try_for_each(|buf| self.after::<Acc>("gain_grad", buf))
        }
    };
    (sum_sq) => {
        fn sum_sq(
            &mut self,
            x: &Self::Buf<Acc>,
            into: Store,
            out: &mut Self::Buf<Acc>,
        ) -> Result<(), Self::Error> {
            let (read, written) = (bytes::<Self, Acc>(x.len()), bytes::<Self, Acc>(1));
            if self.before(Cost { op: "sum_sq", flops: 2 * x.len(), read, written }) {
                self.inner().sum_sq(Self::lower::<Acc>(x), into, Self::lower_mut::<Acc>(out))?;
            }
            self.after::<Acc>("sum_sq", x)?;
            self.after::<Acc>("sum_sq", out)
        }
    };
    (adamw) => {
        fn adamw(
            &mut self,
            step: AdamWStep<AccumOf<Self>>,
            clipping: Option<Clip<'_, Self>>,
            grad: &Self::Buf<Acc>,
            p: &mut Self::Buf<Acc>,
            m: &mut Self::Buf<Acc>,
            v: &mut Self::Buf<Acc>,
        ) -> Result<(), Self::Error> {
            let each = bytes::<Self, Acc>(p.len());
            let cost = Cost { op: "adamw", flops: 13 * p.len(), read: 4 * each, written: 3 * each };
            if self.before(cost) {
                let (grad, p) = (Self::lower::<Acc>(grad), Self::lower_mut::<Acc>(p));
                let (m, v) = (Self::lower_mut::<Acc>(m), Self::lower_mut::<Acc>(v));
                self.inner().adamw(step, clip(clipping.as_ref()), grad, p, m, v)?;
            }
            [grad, p, m, v].into_iter().try_for_each(|buf| self.after::<Acc>("adamw", buf))
        }
    };
    (sgd) => {
        fn sgd(
            &mut self,
            step: SgdStep<AccumOf<Self>>,
            clipping: Option<Clip<'_, Self>>,
            grad: &Self::Buf<Acc>,
            p: &mut Self::Buf<Acc>,
            mut u: Option<&mut Self::Buf<Acc>>,
        ) -> Result<(), Self::Error> {
            let each = bytes::<Self, Acc>(p.len());
            let cost = Cost { op: "sgd", flops: 7 * p.len(), read: 2 * each, written: each };
            if self.before(cost) {
                let (grad, p) = (Self::lower::<Acc>(grad), Self::lower_mut::<Acc>(p));
                let u = u.as_mut().map(|u| Self::lower_mut::<Acc>(u));
                self.inner().sgd(step, clip(clipping.as_ref()), grad, p, u)?;
            }
            let u = u.map(|u| &*u);
            [Some(grad), Some(&*p), u]
                .into_iter()
                .flatten()
                .try_for_each(|b| self.after::<Acc>("sgd", b))
        }
    };
    (activate) => {
        fn activate(
            &mut self,
            f: Activation,
            mut y: MatMut<'_, Self, Act>,
        ) -> Result<(), Self::Error> {
            let (flops, moved) = (len(y.at), bytes::<Self, Act>(len(y.at)));
            if self.before(Cost { op: "activate", flops, read: moved, written: moved }) {
                self.inner().activate(f, mat_mut(&mut y))?;
            }
            self.after::<Act>("activate", &*y.buf)
        }
    };
    (activate_grad) => {
        fn activate_grad(
            &mut self,
            f: Activation,
            kept: Mat<'_, Self, Act>,
            mut dy: MatMut<'_, Self, Act>,
        ) -> Result<(), Self::Error> {
            let (flops, each) = (2 * len(dy.at), bytes::<Self, Act>(len(dy.at)));
            if self.before(Cost { op: "activate_grad", flops, read: 2 * each, written: each }) {
                self.inner().activate_grad(f, mat(kept), mat_mut(&mut dy))?;
            }
            self.after::<Act>("activate_grad", kept.buf)?;
            self.after::<Act>("activate_grad", &*dy.buf)
        }
    };
    (softmax_cross_entropy) => {
        fn softmax_cross_entropy(
            &mut self,
            scale: AccumOf<Self>,
            mut x: MatMut<'_, Self, Act>,
            labels: &Self::Buf<Index>,
            into: Store,
            loss: &mut Self::Buf<Acc>,
        ) -> Result<(), Self::Error> {
            let (flops, moved) = (4 * len(x.at), bytes::<Self, Act>(len(x.at)));
            self.vector::<Index>("softmax_cross_entropy: labels", labels, x.at.rows)?;
            self.vector::<Acc>("softmax_cross_entropy: loss", loss, 1)?;
            let cost = Cost { op: "softmax_cross_entropy", flops, read: moved, written: moved };
            if self.before(cost) {
                let (labels, loss) = (Self::lower::<Index>(labels), Self::lower_mut::<Acc>(loss));
                self.inner().softmax_cross_entropy(scale, mat_mut(&mut x), labels, into, loss)?;
            }
            self.after::<Act>("softmax_cross_entropy", &*x.buf)?;
            self.after::<Index>("softmax_cross_entropy", labels)?;
            self.after::<Acc>("softmax_cross_entropy", loss)
        }
    };
    (squared_error) => {
        fn squared_error(
            &mut self,
            scale: AccumOf<Self>,
            mut x: MatMut<'_, Self, Act>,
            target: Mat<'_, Self, Act>,
            into: Store,
            loss: &mut Self::Buf<Acc>,
        ) -> Result<(), Self::Error> {
            let (flops, each) = (4 * len(x.at), bytes::<Self, Act>(len(x.at)));
            self.vector::<Acc>("squared_error: loss", loss, 1)?;
            if self.before(Cost { op: "squared_error", flops, read: 2 * each, written: each }) {
                let loss = Self::lower_mut::<Acc>(loss);
                self.inner().squared_error(scale, mat_mut(&mut x), mat(target), into, loss)?;
            }
            self.after::<Act>("squared_error", &*x.buf)?;
            self.after::<Act>("squared_error", target.buf)?;
            self.after::<Acc>("squared_error", loss)
        }
    };
    ($op:ident) => {
        $crate::forward_sequence!($op);
    };
}
