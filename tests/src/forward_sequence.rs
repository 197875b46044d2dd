//! The rest of [`forward!`](crate::forward): networks over sequences.

/// One method of `Sequence`. Attention is counted as if every query saw every key: which it sees is
/// written on the device.
#[doc(hidden)]
#[macro_export]
macro_rules! forward_sequence {
    (gather) => {
        fn gather(
            &mut self,
            w: &Self::Weight<'_>,
            ids: &Self::Buf<Index>,
            store: Store,
            mut y: MatMut<'_, Self, Act>,
        ) -> Result<(), Self::Error> {
            let (read, written) = (bytes::<Self, Index>(y.at.rows), bytes::<Self, Act>(len(y.at)));
            self.vector::<Index>("gather: ids", ids, y.at.rows)?;
            if self.before(Cost { op: "gather", flops: 0, read, written }) {
                self.inner().gather(w, Self::lower::<Index>(ids), store, mat_mut(&mut y))?;
            }
            self.after::<Index>("gather", ids)?;
            self.after::<Act>("gather", &*y.buf)
        }
    };
    (gather_rows) => {
        fn gather_rows(
            &mut self,
            table: Mat<'_, Self, Acc>,
            ids: &Self::Buf<Index>,
            store: Store,
            mut y: MatMut<'_, Self, Act>,
        ) -> Result<(), Self::Error> {
            let (read, written) = (bytes::<Self, Acc>(len(y.at)), bytes::<Self, Act>(len(y.at)));
            self.vector::<Index>("gather: ids", ids, y.at.rows)?;
            if self.before(Cost { op: "gather_rows", flops: 0, read, written }) {
                let ids = Self::lower::<Index>(ids);
                self.inner().gather_rows(mat(table), ids, store, mat_mut(&mut y))?;
            }
            self.after::<Acc>("gather_rows", table.buf)?;
            self.after::<Index>("gather_rows", ids)?;
            self.after::<Act>("gather_rows", &*y.buf)
        }
    };
    (gather_grad) => {
        fn gather_grad(
            &mut self,
            dy: Mat<'_, Self, Act>,
            ids: &Self::Buf<Index>,
            store: Store,
            mut dtable: MatMut<'_, Self, Acc>,
        ) -> Result<(), Self::Error> {
            let (flops, read) = (len(dy.at), bytes::<Self, Act>(len(dy.at)));
            let written = bytes::<Self, Acc>(len(dtable.at));
            self.vector::<Index>("gather: ids", ids, dy.at.rows)?;
            if self.before(Cost { op: "gather_grad", flops, read, written }) {
                let ids = Self::lower::<Index>(ids);
                self.inner().gather_grad(mat(dy), ids, store, mat_mut(&mut dtable))?;
            }
            self.after::<Act>("gather_grad", dy.buf)?;
            self.after::<Index>("gather_grad", ids)?;
            self.after::<Acc>("gather_grad", &*dtable.buf)
        }
    };
    (normalize) => {
        fn normalize(
            &mut self,
            norm: Norm,
            x: Mat<'_, Self, Act>,
            gamma: &Self::Buf<Acc>,
            beta: Option<&Self::Buf<Acc>>,
            mut y: MatMut<'_, Self, Act>,
        ) -> Result<(), Self::Error> {
            let (flops, moved) = (5 * len(x.at), bytes::<Self, Act>(len(x.at)));
            self.vector::<Acc>("normalize: gamma", gamma, x.at.cols)?;
            self.vector::<Acc>("normalize: beta", beta.unwrap_or(gamma), x.at.cols)?;
            if self.before(Cost { op: "normalize", flops, read: moved, written: moved }) {
                let (of_gamma, beta) = (Self::lower::<Acc>(gamma), beta.map(Self::lower::<Acc>));
                self.inner().normalize(norm, mat(x), of_gamma, beta, mat_mut(&mut y))?;
            }
            self.after::<Act>("normalize", x.buf)?;
            self.after::<Acc>("normalize", gamma)?;
            self.after::<Acc>("normalize", beta.unwrap_or(gamma))?;
            self.after::<Act>("normalize", &*y.buf)
        }
    };
    (normalize_grad) => {
        fn normalize_grad(
            &mut self,
            norm: Norm,
            x: Mat<'_, Self, Act>,
            gamma: &Self::Buf<Acc>,
            dy: Mat<'_, Self, Act>,
            store: Store,
            mut dx: MatMut<'_, Self, Act>,
        ) -> Result<(), Self::Error> {
            let (flops, each) = (11 * len(x.at), bytes::<Self, Act>(len(x.at)));
            self.vector::<Acc>("normalize: gamma", gamma, x.at.cols)?;
            if self.before(Cost { op: "normalize_grad", flops, read: 2 * each, written: each }) {
                let (of_gamma, dx) = (Self::lower::<Acc>(gamma), mat_mut(&mut dx));
                self.inner().normalize_grad(norm, mat(x), of_gamma, mat(dy), store, dx)?;
            }
            self.after::<Act>("normalize_grad", x.buf)?;
            self.after::<Acc>("normalize_grad", gamma)?;
            self.after::<Act>("normalize_grad", dy.buf)?;
            self.after::<Act>("normalize_grad", &*dx.buf)
        }
    };
    (normalize_gain_grad) => {
        fn normalize_gain_grad(
            &mut self,
            norm: Norm,
            x: Mat<'_, Self, Act>,
            dy: Mat<'_, Self, Act>,
            store: Store,
            dgamma: &mut Self::Buf<Acc>,
        ) -> Result<(), Self::Error> {
            let (flops, read) = (6 * len(x.at), bytes::<Self, Act>(2 * len(x.at)));
            let written = bytes::<Self, Acc>(x.at.cols);
            self.vector::<Acc>("normalize: gamma", dgamma, x.at.cols)?;
            if self.before(Cost { op: "normalize_gain_grad", flops, read, written }) {
                let of_gamma = Self::lower_mut::<Acc>(dgamma);
                self.inner().normalize_gain_grad(norm, mat(x), mat(dy), store, of_gamma)?;
            }
            self.after::<Act>("normalize_gain_grad", x.buf)?;
            self.after::<Act>("normalize_gain_grad", dy.buf)?;
            self.after::<Acc>("normalize_gain_grad", dgamma)
        }
    };
    (rotate) => {
        fn rotate(
            &mut self,
            turn: Turn,
            table: Mat<'_, Self, Acc>,
            positions: &Self::Buf<Index>,
            mut x: MatMut<'_, Self, Act>,
        ) -> Result<(), Self::Error> {
            let (flops, moved) = (3 * len(x.at), bytes::<Self, Act>(len(x.at)));
            self.vector::<Index>("rotate: positions", positions, x.at.rows)?;
            if self.before(Cost { op: "rotate", flops, read: moved, written: moved }) {
                let positions = Self::lower::<Index>(positions);
                self.inner().rotate(turn, mat(table), positions, mat_mut(&mut x))?;
            }
            self.after::<Acc>("rotate", table.buf)?;
            self.after::<Index>("rotate", positions)?;
            self.after::<Act>("rotate", &*x.buf)
        }
    };
    (gate) => {
        fn gate(
            &mut self,
            f: Activation,
            g: Mat<'_, Self, Act>,
            u: Mat<'_, Self, Act>,
            mut y: MatMut<'_, Self, Act>,
        ) -> Result<(), Self::Error> {
            let (flops, each) = (2 * len(y.at), bytes::<Self, Act>(len(y.at)));
            if self.before(Cost { op: "gate", flops, read: 2 * each, written: each }) {
                self.inner().gate(f, mat(g), mat(u), mat_mut(&mut y))?;
            }
            self.after::<Act>("gate", g.buf)?;
            self.after::<Act>("gate", u.buf)?;
            self.after::<Act>("gate", &*y.buf)
        }
    };
    (gate_grad) => {
        fn gate_grad(
            &mut self,
            f: Activation,
            dy: Mat<'_, Self, Act>,
            mut g: MatMut<'_, Self, Act>,
            mut u: MatMut<'_, Self, Act>,
        ) -> Result<(), Self::Error> {
            let (flops, each) = (5 * len(dy.at), bytes::<Self, Act>(len(dy.at)));
            if self.before(Cost { op: "gate_grad", flops, read: 3 * each, written: 2 * each }) {
                self.inner().gate_grad(f, mat(dy), mat_mut(&mut g), mat_mut(&mut u))?;
            }
            self.after::<Act>("gate_grad", dy.buf)?;
            self.after::<Act>("gate_grad", &*g.buf)?;
            self.after::<Act>("gate_grad", &*u.buf)
        }
    };
    (attention) => {
        fn attention(
            &mut self,
            of: Attention<'_, Self>,
            mut o: MatMut<'_, Self, Act>,
            lse: &mut Self::Buf<Acc>,
        ) -> Result<(), Self::Error> {
            let (q, k) = (len(of.q.at), len(of.k.at));
            let sums = of.q.at.rows * of.heads.heads;
            self.vector::<Index>("attention: spans", of.spans, 2 * of.q.at.rows)?;
            self.vector::<Acc>("attention: lse", lse, sums)?;
            let flops = 4 * q * of.k.at.rows;
            let (read, written) = (bytes::<Self, Act>(q + 2 * k), bytes::<Self, Act>(q));
            if self.before(Cost { op: "attention", flops, read, written }) {
                let lse = Self::lower_mut::<Acc>(lse);
                self.inner().attention(attended(&of), mat_mut(&mut o), lse)?;
            }
            for operand in [of.q, of.k, of.v] {
                self.after::<Act>("attention", operand.buf)?;
            }
            self.after::<Index>("attention", of.spans)?;
            self.after::<Act>("attention", &*o.buf)?;
            self.after::<Acc>("attention", lse)
        }
    };
    (attention_grad) => {
        fn attention_grad(
            &mut self,
            of: Attention<'_, Self>,
            o: Mat<'_, Self, Act>,
            lse: &Self::Buf<Acc>,
            d_o: Mat<'_, Self, Act>,
            dots: &mut Self::Buf<Acc>,
            grad: AttentionGrad<'_, Self>,
        ) -> Result<(), Self::Error> {
            let AttentionGrad { mut dq, mut dk, mut dv } = grad;
            let (q, k) = (len(of.q.at), len(of.k.at));
            let sums = of.q.at.rows * of.heads.heads;
            self.vector::<Index>("attention: spans", of.spans, 2 * of.q.at.rows)?;
            self.vector::<Acc>("attention: lse", lse, sums)?;
            self.vector::<Acc>("attention_grad: dots", dots, sums)?;
            let flops = 10 * q * of.k.at.rows;
            let (read, written) =
                (bytes::<Self, Act>(3 * q + 2 * k), bytes::<Self, Act>(q + 2 * k));
            if self.before(Cost { op: "attention_grad", flops, read, written }) {
                let (dq, dk, dv) = (mat_mut(&mut dq), mat_mut(&mut dk), mat_mut(&mut dv));
                let (lse, dots) = (Self::lower::<Acc>(lse), Self::lower_mut::<Acc>(dots));
                let grad = AttentionGrad { dq, dk, dv };
                self.inner().attention_grad(attended(&of), mat(o), lse, mat(d_o), dots, grad)?;
            }
            for operand in [of.q, of.k, of.v, o, d_o] {
                self.after::<Act>("attention_grad", operand.buf)?;
            }
            self.after::<Index>("attention_grad", of.spans)?;
            self.after::<Acc>("attention_grad", lse)?;
            self.after::<Acc>("attention_grad", dots)?;
            for gradient in [dq, dk, dv] {
                self.after::<Act>("attention_grad", &*gradient.buf)?;
            }
            Ok(())
        }
    };
}
