//! Operations on sequences with one fault each.

use decora::mat::Layout;
use decora::scalar::{Accum, Scalar};
use decora::sequence::{Heads, NormKind};
use decora_conformance::forward;
use decora_conformance::wrapper::prelude::*;
use decora_cpu::CpuError;

use crate::fault::Fault;
use crate::mutant::Mutant;

type Of<T, R> = <Mutant<T> as Backend>::Buf<R>;

/// Where element (i, j) lies.
const fn place(at: Layout, i: usize, j: usize) -> usize {
    at.offset + i * at.rs + j
}

impl<T: Scalar> Mutant<T> {
    fn norm(&self, norm: Norm) -> Norm {
        match self.fault {
            Fault::ForgetsEps => Norm { eps: 0.0, ..norm },
            Fault::AlwaysRms => Norm { kind: NormKind::Rms, ..norm },
            _ => norm,
        }
    }

    /// Numbers of rows as the fault has them.
    fn ids(&mut self, ids: &Of<T, Index>, rows: usize) -> Result<Of<T, Index>, CpuError> {
        let mut changed = self.inner.alloc::<Index>(ids.len())?;
        for (i, id) in ids.iter().enumerate() {
            changed[i] = match self.fault {
                Fault::NearestRow => (*id).min(rows.saturating_sub(1) as u32),
                Fault::OverwritesRepeats if ids[i + 1..].contains(id) => u32::MAX,
                _ => *id,
            };
        }
        Ok(changed)
    }

    /// Spans as the fault has them; many starts that are ignored would take too long.
    fn spans(&mut self, spans: &Of<T, Index>) -> Result<Of<T, Index>, CpuError> {
        let mut changed = self.inner.alloc::<Index>(spans.len())?;
        let few = spans.len() < 2048;
        for (i, &bound) in spans.iter().enumerate() {
            let is_end = i % 2 == 1;
            changed[i] = match self.fault {
                Fault::IgnoresStart if !is_end && few => 0,
                Fault::SeesEnd if is_end => bound.saturating_add(1),
                _ => bound,
            };
        }
        Ok(changed)
    }

    /// Keys or values, a head for each head of queries: head h is head h mod `kv_heads`.
    fn in_turn(&mut self, x: Mat<'_, Self, Act>, heads: Heads) -> Result<Of<T, Act>, CpuError> {
        let mut all = self.inner.alloc::<Act>(x.at.rows * heads.width())?;
        for (e, to) in all.iter_mut().enumerate() {
            let (row, h, d) = (e / heads.width(), e / heads.dim % heads.heads, e % heads.dim);
            *to = x.buf[place(x.at, row, h % heads.kv_heads * heads.dim + d)];
        }
        Ok(all)
    }

    /// Attention with heads in turn.
    fn attend_in_turn(
        &mut self,
        of: Attention<'_, Self>,
        mut o: MatMut<'_, Self, Act>,
        lse: &mut Of<T, Acc>,
    ) -> Result<(), CpuError> {
        let (k, v) = (self.in_turn(of.k, of.heads)?, self.in_turn(of.v, of.heads)?);
        let at = Layout::row_major(0, of.k.at.rows, of.heads.width());
        let heads = Heads { kv_heads: of.heads.heads.max(1), ..of.heads };
        let (k, v) = (Mat { buf: &k, at }, Mat { buf: &v, at });
        let of = Attention { heads, k, v, ..of };
        self.inner.attention(attended(&of), mat_mut(&mut o), lse)
    }

    /// What the fault makes of O and lse.
    fn spoil(
        &self,
        Heads { heads, dim, .. }: Heads,
        o: &mut MatMut<'_, Self, Act>,
        lse: &mut [T::Accum],
    ) {
        for (i, sum) in lse.iter_mut().enumerate().take(o.at.rows * heads) {
            match self.fault {
                Fault::LogTwo => *sum *= T::Accum::of(core::f64::consts::LOG2_E),
                // An f32 holds no larger power of e.
                Fault::ForgetsMax if sum.f64() > 88.7 => {
                    o.buf[place(o.at, i / heads, i % heads * dim)] = T::store(f64::NAN);
                }
                _ => {}
            }
        }
    }

    /// dO, but for the heads that share a head of keys with a later one: 0 there.
    fn of_last(&mut self, d_o: Mat<'_, Self, Act>, heads: Heads) -> Result<Of<T, Act>, CpuError> {
        let mut all = self.inner.alloc::<Act>(d_o.buf.len())?;
        let share = heads.heads / heads.kv_heads;
        for (i, j) in (0..d_o.at.rows).flat_map(|i| (0..d_o.at.cols).map(move |j| (i, j))) {
            if j / heads.dim % share == share - 1 {
                all[place(d_o.at, i, j)] = d_o.buf[place(d_o.at, i, j)];
            }
        }
        Ok(all)
    }

    /// Columns of each head: those of pairs that are neighbours where the halves are, or back again.
    fn sort(x: &mut MatMut<'_, Self, Act>, dim: usize, back: bool) {
        for row in 0..x.at.rows {
            for start in (0..x.at.cols).step_by(dim) {
                let first = place(x.at, row, start);
                let head = x.buf[first..first + dim].to_vec();
                for j in 0..dim {
                    let (halved, paired) = (j, j % (dim / 2) * 2 + j / (dim / 2));
                    let (from, to) = if back { (halved, paired) } else { (paired, halved) };
                    x.buf[first + to] = head[from];
                }
            }
        }
    }
}

impl<T: Scalar> Sequence for Mutant<T> {
    forward!(gate_grad);

    fn gather(
        &mut self,
        w: &Self::Weight<'_>,
        ids: &Of<T, Index>,
        store: Store,
        mut y: MatMut<'_, Self, Act>,
    ) -> Result<(), CpuError> {
        if self.skips("gather") {
            return Ok(());
        }
        let (ids, store) = (self.ids(ids, w.shape().0)?, self.store("gather", store));
        self.inner.gather(w, &ids, store, mat_mut(&mut y))
    }

    fn gather_rows(
        &mut self,
        table: Mat<'_, Self, Acc>,
        ids: &Of<T, Index>,
        store: Store,
        mut y: MatMut<'_, Self, Act>,
    ) -> Result<(), CpuError> {
        if self.skips("gather_rows") {
            return Ok(());
        }
        let (ids, store) = (self.ids(ids, table.at.rows)?, self.store("gather_rows", store));
        self.inner.gather_rows(mat(table), &ids, store, mat_mut(&mut y))
    }

    fn gather_grad(
        &mut self,
        dy: Mat<'_, Self, Act>,
        ids: &Of<T, Index>,
        store: Store,
        mut dtable: MatMut<'_, Self, Acc>,
    ) -> Result<(), CpuError> {
        if self.skips("gather_grad") {
            return Ok(());
        }
        let (ids, store) = (self.ids(ids, dtable.at.rows)?, self.store("gather_grad", store));
        self.inner.gather_grad(mat(dy), &ids, store, mat_mut(&mut dtable))
    }

    fn normalize(
        &mut self,
        norm: Norm,
        x: Mat<'_, Self, Act>,
        gamma: &Of<T, Acc>,
        beta: Option<&Of<T, Acc>>,
        mut y: MatMut<'_, Self, Act>,
    ) -> Result<(), CpuError> {
        if self.skips("normalize") {
            return Ok(());
        }
        let beta = beta.filter(|_| self.fault != Fault::ForgetsBias);
        self.inner.normalize(self.norm(norm), mat(x), gamma, beta, mat_mut(&mut y))
    }

    fn normalize_grad(
        &mut self,
        norm: Norm,
        x: Mat<'_, Self, Act>,
        gamma: &Of<T, Acc>,
        dy: Mat<'_, Self, Act>,
        store: Store,
        mut dx: MatMut<'_, Self, Act>,
    ) -> Result<(), CpuError> {
        if self.skips("normalize_grad") {
            return Ok(());
        }
        let (norm, store) = (self.norm(norm), self.store("normalize_grad", store));
        self.inner.normalize_grad(norm, mat(x), gamma, mat(dy), store, mat_mut(&mut dx))
    }

    fn normalize_gain_grad(
        &mut self,
        norm: Norm,
        x: Mat<'_, Self, Act>,
        dy: Mat<'_, Self, Act>,
        store: Store,
        dgamma: &mut Of<T, Acc>,
    ) -> Result<(), CpuError> {
        if self.skips("normalize_gain_grad") {
            return Ok(());
        }
        let (norm, store) = (self.norm(norm), self.store("normalize_gain_grad", store));
        self.inner.normalize_gain_grad(norm, mat(x), mat(dy), store, dgamma)
    }

    fn rotate(
        &mut self,
        turn: Turn,
        table: Mat<'_, Self, Acc>,
        positions: &Of<T, Index>,
        mut x: MatMut<'_, Self, Act>,
    ) -> Result<(), CpuError> {
        if self.skips("rotate") {
            return Ok(());
        }
        let positions = self.ids(positions, table.at.rows)?;
        let turn = if self.fault == Fault::TurnsAhead { Turn::Ahead } else { turn };
        let dim = table.at.cols;
        let fits = x.at.cs == 1 && x.at.cols.is_multiple_of(dim.max(1));
        let neighbours =
            self.fault == Fault::PairsNeighbours && fits && dim.is_multiple_of(2) && dim > 0;
        if neighbours {
            Self::sort(&mut x, dim, false);
        }
        self.inner.rotate(turn, mat(table), &positions, mat_mut(&mut x))?;
        if neighbours {
            Self::sort(&mut x, dim, true);
        }
        Ok(())
    }

    fn gate(
        &mut self,
        f: Activation,
        g: Mat<'_, Self, Act>,
        u: Mat<'_, Self, Act>,
        mut y: MatMut<'_, Self, Act>,
    ) -> Result<(), CpuError> {
        match self.fault {
            Fault::Skips("gate") => Ok(()),
            Fault::SwapsGate => self.inner.gate(f, mat(u), mat(g), mat_mut(&mut y)),
            _ => self.inner.gate(f, mat(g), mat(u), mat_mut(&mut y)),
        }
    }

    fn attention(
        &mut self,
        of: Attention<'_, Self>,
        mut o: MatMut<'_, Self, Act>,
        lse: &mut Of<T, Acc>,
    ) -> Result<(), CpuError> {
        if self.skips("attention") {
            return Ok(());
        }
        let (spans, heads) = (self.spans(of.spans)?, of.heads);
        let of = Attention { spans: &spans, ..of };
        self.inner.attention(attended(&of), mat_mut(&mut o), lse)?;
        match self.fault {
            Fault::HeadsInTurn => self.attend_in_turn(of, o, lse),
            _ => {
                self.spoil(heads, &mut o, lse);
                Ok(())
            }
        }
    }

    fn attention_grad(
        &mut self,
        of: Attention<'_, Self>,
        o: Mat<'_, Self, Act>,
        lse: &Of<T, Acc>,
        d_o: Mat<'_, Self, Act>,
        dots: &mut Of<T, Acc>,
        grad: AttentionGrad<'_, Self>,
    ) -> Result<(), CpuError> {
        if self.skips("attention_grad") {
            return Ok(());
        }
        let AttentionGrad { mut dq, mut dk, mut dv } = grad;
        let spans = self.spans(of.spans)?;
        let of = Attention { spans: &spans, ..of };
        let (to_k, to_v) = (mat_mut(&mut dk), mat_mut(&mut dv));
        let grad = AttentionGrad { dq: mat_mut(&mut dq), dk: to_k, dv: to_v };
        self.inner.attention_grad(attended(&of), mat(o), lse, mat(d_o), dots, grad)?;
        match self.fault {
            Fault::ForgetsScaleOfKeys => {
                let scale = of.heads.scale;
                for (i, j) in (0..dk.at.rows).flat_map(|i| (0..dk.at.cols).map(move |j| (i, j))) {
                    let x = &mut dk.buf[place(dk.at, i, j)];
                    *x = T::store(x.load::<f64>() / scale);
                }
            }
            Fault::LastHeadOnly if d_o.at.cols > 0 => {
                let last = self.of_last(d_o, of.heads)?;
                let (at, mut unused) = (dq.at, self.inner.alloc::<Act>(dq.buf.len())?);
                let of_last = Mat { buf: &last, at: d_o.at };
                let grad = AttentionGrad {
                    dq: MatMut { buf: &mut unused, at },
                    dk: mat_mut(&mut dk),
                    dv: mat_mut(&mut dv),
                };
                self.inner.attention_grad(attended(&of), mat(o), lse, of_last, dots, grad)?;
            }
            _ => {}
        }
        Ok(())
    }
}
