//! Embeddings, normalisations, rotary positions, gates and attention on a CPU.

use decora::backend::Store;
use decora::buffer::{Acc, Act, Buffer, Index};
use decora::check;
use decora::mat::{Mat, MatMut};
use decora::network::Activation;
use decora::scalar::Scalar;
use decora::sequence::{Attention, AttentionGrad, Norm, Sequence, Turn};

use crate::arena::Cpu;
use crate::backend::{CpuWeight, head, head_mut, operand};
use crate::error::CpuError;
use crate::kernels::attention::{Attend, Backward};
use crate::kernels::frozen::each_format;
use crate::kernels::gather::{gather, gather_grad};
use crate::kernels::normalize::normalize_gain_grad;
use crate::kernels::rotate::rotate;
use crate::products::{Operand, Products};

impl<'m, T: Scalar, K: Products> Cpu<'m, T, K> {
    fn attend<'a>(of: &Attention<'a, Self>) -> Attend<'a, T> {
        let (q, k, v) = (operand(&of.q), operand(&of.k), operand(&of.v));
        Attend { heads: of.heads, q, k, v, spans: of.spans }
    }
}

impl<T: Scalar, K: Products> Sequence for Cpu<'_, T, K> {
    fn gather(
        &mut self,
        w: &CpuWeight<'_>,
        ids: &Self::Buf<Index>,
        store: Store,
        y: MatMut<'_, Self, Act>,
    ) -> Result<(), CpuError> {
        let at = w.at();
        check::gather(at, ids.len(), y.at)?;
        let ids = head(ids, y.at.rows);
        each_format!(w.data(), data => gather(Operand { data, at }, ids, store, y.buf, y.at));
        Ok(())
    }

    fn gather_rows(
        &mut self,
        table: Mat<'_, Self, Acc>,
        ids: &Self::Buf<Index>,
        store: Store,
        y: MatMut<'_, Self, Act>,
    ) -> Result<(), CpuError> {
        check::gather(table.at, ids.len(), y.at)?;
        gather(operand(&table), head(ids, y.at.rows), store, y.buf, y.at);
        Ok(())
    }

    fn gather_grad(
        &mut self,
        dy: Mat<'_, Self, Act>,
        ids: &Self::Buf<Index>,
        store: Store,
        dtable: MatMut<'_, Self, Acc>,
    ) -> Result<(), CpuError> {
        check::gather(dtable.at, ids.len(), dy.at)?;
        gather_grad(operand(&dy), head(ids, dy.at.rows), store, dtable.buf, dtable.at);
        Ok(())
    }

    fn normalize(
        &mut self,
        norm: Norm,
        x: Mat<'_, Self, Act>,
        gamma: &Self::Buf<Acc>,
        beta: Option<&Self::Buf<Acc>>,
        y: MatMut<'_, Self, Act>,
    ) -> Result<(), CpuError> {
        check::normalize(x.at, gamma.len(), beta.map(Buffer::len), y.at)?;
        let beta = beta.map(|b| head(b, x.at.cols));
        K::normalize(norm, operand(&x), head(gamma, x.at.cols), beta, (y.buf, y.at));
        Ok(())
    }

    fn normalize_grad(
        &mut self,
        norm: Norm,
        x: Mat<'_, Self, Act>,
        gamma: &Self::Buf<Acc>,
        dy: Mat<'_, Self, Act>,
        store: Store,
        dx: MatMut<'_, Self, Act>,
    ) -> Result<(), CpuError> {
        check::normalize_grad(x.at, gamma.len(), dy.at, dx.at)?;
        let gamma = head(gamma, x.at.cols);
        K::normalize_grad(norm, operand(&x), gamma, operand(&dy), store, (dx.buf, dx.at));
        Ok(())
    }

    fn normalize_gain_grad(
        &mut self,
        norm: Norm,
        x: Mat<'_, Self, Act>,
        dy: Mat<'_, Self, Act>,
        store: Store,
        dgamma: &mut Self::Buf<Acc>,
    ) -> Result<(), CpuError> {
        check::normalize_gain_grad(x.at, dy.at, dgamma.len())?;
        let dgamma = head_mut(dgamma, x.at.cols);
        normalize_gain_grad(norm, operand(&x), operand(&dy), store, dgamma);
        Ok(())
    }

    fn rotate(
        &mut self,
        turn: Turn,
        table: Mat<'_, Self, Acc>,
        positions: &Self::Buf<Index>,
        x: MatMut<'_, Self, Act>,
    ) -> Result<(), CpuError> {
        check::rotate(table.at, positions.len(), x.at)?;
        let (table, positions) = (operand(&table), head(positions, x.at.rows));
        K::bands((x.buf, x.at), |rows, (x, at)| {
            rotate(turn, table, positions.get(rows).unwrap_or_default(), x, at);
        });
        Ok(())
    }

    fn gate(
        &mut self,
        f: Activation,
        g: Mat<'_, Self, Act>,
        u: Mat<'_, Self, Act>,
        y: MatMut<'_, Self, Act>,
    ) -> Result<(), CpuError> {
        check::gate(g.at, u.at, y.at)?;
        K::gate(f, operand(&g), operand(&u), (y.buf, y.at));
        Ok(())
    }

    fn gate_grad(
        &mut self,
        f: Activation,
        dy: Mat<'_, Self, Act>,
        g: MatMut<'_, Self, Act>,
        u: MatMut<'_, Self, Act>,
    ) -> Result<(), CpuError> {
        check::gate(g.at, u.at, dy.at)?;
        K::gate_grad(f, operand(&dy), (g.buf, g.at), (u.buf, u.at));
        Ok(())
    }

    fn attention(
        &mut self,
        of: Attention<'_, Self>,
        o: MatMut<'_, Self, Act>,
        lse: &mut Self::Buf<Acc>,
    ) -> Result<(), CpuError> {
        let operands = [of.q.at, of.k.at, of.v.at];
        check::attention(&of.heads, operands, of.spans.len(), o.at, lse.len())?;
        let lse = head_mut(lse, o.at.rows * of.heads.heads);
        K::attention(Self::attend(&of), o.buf, o.at, lse);
        Ok(())
    }

    fn attention_grad(
        &mut self,
        of: Attention<'_, Self>,
        o: Mat<'_, Self, Act>,
        lse: &Self::Buf<Acc>,
        d_o: Mat<'_, Self, Act>,
        dots: &mut Self::Buf<Acc>,
        grad: AttentionGrad<'_, Self>,
    ) -> Result<(), CpuError> {
        let AttentionGrad { dq, dk, dv } = grad;
        let (operands, grads) = ([of.q.at, of.k.at, of.v.at], [dq.at, dk.at, dv.at]);
        check::attention(&of.heads, operands, of.spans.len(), o.at, lse.len())?;
        check::attention_grad(&of.heads, [of.q.at, of.k.at], d_o.at, grads, dots.len())?;
        let (o, d_o) = (operand(&o), operand(&d_o));
        let backward = Backward { of: Self::attend(&of), o, d_o, lse };
        K::attention_grad(&backward, dots, [(dq.buf, dq.at), (dk.buf, dk.at), (dv.buf, dv.at)]);
        Ok(())
    }
}
