//! Embeddings, normalisations, rotary positions, gates and attention on a GPU.

use decora::backend::{Store, Weight};
use decora::buffer::{Acc, Act, Buffer, Index};
use decora::check;
use decora::mat::{Layout, Mat, MatMut};
use decora::network::Activation;
use decora::sequence::{Attention, AttentionGrad, Norm, Sequence, Turn};

use crate::attention::{Attended, Known, Wanted};
use crate::buffer::{VulkanBuf, VulkanWeight};
use crate::error::VulkanError;
use crate::kernel::Kernel;
use crate::network::number;
use crate::push;
use crate::rowwise::rows;
use crate::vulkan::{GpuScalar, Vulkan};

impl<T: GpuScalar> Vulkan<T> {
    fn attended<'b>(&self, of: &Attention<'b, Self>) -> Attended<'b> {
        let spans = self.vector(of.spans, 2 * of.q.at.rows);
        let (q, k, v) = (self.mat(&of.q), self.mat(&of.k), self.mat(&of.v));
        Attended { heads: of.heads, q, k, v, spans }
    }
}

impl<T: GpuScalar> Sequence for Vulkan<T> {
    fn gather(
        &mut self,
        w: &VulkanWeight,
        ids: &VulkanBuf<Index>,
        store: Store,
        y: MatMut<'_, Self, Act>,
    ) -> Result<(), VulkanError> {
        let (out, inputs) = w.shape();
        check::gather(Layout::row_major(0, out, inputs), ids.len, y.at)?;
        self.rows_of_weight(w, self.vector(ids, y.at.rows), store, self.mat_mut(&y))
    }

    fn gather_rows(
        &mut self,
        table: Mat<'_, Self, Acc>,
        ids: &VulkanBuf<Index>,
        store: Store,
        y: MatMut<'_, Self, Act>,
    ) -> Result<(), VulkanError> {
        check::gather(table.at, ids.len, y.at)?;
        let ids = self.vector(ids, y.at.rows);
        self.rows_of_table(self.mat(&table), ids, store, self.mat_mut(&y))
    }

    fn gather_grad(
        &mut self,
        dy: Mat<'_, Self, Act>,
        ids: &VulkanBuf<Index>,
        store: Store,
        dtable: MatMut<'_, Self, Acc>,
    ) -> Result<(), VulkanError> {
        check::gather(dtable.at, ids.len, dy.at)?;
        let (dy, table) = (self.mat(&dy), self.mat_mut(&dtable));
        let ids = self.vector(ids, dy.at.rows);
        if store == Store::Replace && table.at.rows * table.at.cols > 0 {
            self.reduce(1.0, ids, 0, store, table)?;
        }
        self.add_rows(dy, ids, table)
    }

    fn normalize(
        &mut self,
        norm: Norm,
        x: Mat<'_, Self, Act>,
        gamma: &VulkanBuf<Acc>,
        beta: Option<&VulkanBuf<Acc>>,
        y: MatMut<'_, Self, Act>,
    ) -> Result<(), VulkanError> {
        check::normalize(x.at, gamma.len, beta.map(Buffer::len), y.at)?;
        let k = x.at.cols;
        let (gamma, beta) = (self.vector(gamma, k), beta.map(|b| self.vector(b, k)));
        self.normalized(norm, self.mat(&x), gamma, beta, self.mat_mut(&y))
    }

    fn normalize_grad(
        &mut self,
        norm: Norm,
        x: Mat<'_, Self, Act>,
        gamma: &VulkanBuf<Acc>,
        dy: Mat<'_, Self, Act>,
        store: Store,
        dx: MatMut<'_, Self, Act>,
    ) -> Result<(), VulkanError> {
        check::normalize_grad(x.at, gamma.len, dy.at, dx.at)?;
        let known = [self.mat(&x), self.vector(gamma, x.at.cols), self.mat(&dy)];
        self.normalized_grad(norm, known, store, self.mat_mut(&dx))
    }

    fn normalize_gain_grad(
        &mut self,
        norm: Norm,
        x: Mat<'_, Self, Act>,
        dy: Mat<'_, Self, Act>,
        store: Store,
        dgamma: &mut VulkanBuf<Acc>,
    ) -> Result<(), VulkanError> {
        check::normalize_gain_grad(x.at, dy.at, dgamma.len)?;
        let dgamma = self.operand(dgamma, Layout::row_major(0, 1, x.at.cols));
        self.gain_of_normalized(norm, self.mat(&x), self.mat(&dy), store, dgamma)
    }

    fn rotate(
        &mut self,
        turn: Turn,
        table: Mat<'_, Self, Acc>,
        positions: &VulkanBuf<Index>,
        x: MatMut<'_, Self, Act>,
    ) -> Result<(), VulkanError> {
        check::rotate(table.at, positions.len, x.at)?;
        let (table, x) = (self.mat(&table), self.mat_mut(&x));
        let positions = self.vector(positions, x.at.rows);
        let (n, pairs) = (x.at.rows, x.at.cols / 2);
        let push = push::Rotate {
            rows: n as u32,
            pairs: pairs as u32,
            half_head: (table.at.cols / 2) as u32,
            places: table.at.rows as u32,
            x: rows(&x),
            table: rows(&table),
            turn: if turn == Turn::Back { -1.0 } else { 1.0 },
        };
        let operands = [x, table, positions];
        self.run_each(Kernel::Rotate, &[x.kind as u32], &operands, &push, n * pairs)
    }

    fn gate(
        &mut self,
        f: Activation,
        g: Mat<'_, Self, Act>,
        u: Mat<'_, Self, Act>,
        y: MatMut<'_, Self, Act>,
    ) -> Result<(), VulkanError> {
        check::gate(g.at, u.at, y.at)?;
        let (g, u, y) = (self.mat(&g), self.mat(&u), self.mat_mut(&y));
        let (n, k) = y.at.shape();
        let (g_at, u_at, y_at) = (rows(&g), rows(&u), rows(&y));
        let push = push::Gate { rows: n as u32, cols: k as u32, g: g_at, u: u_at, y: y_at };
        let constants = [y.kind as u32, number(f)?];
        self.run_each(Kernel::Gate, &constants, &[g, u, y], &push, n * k)
    }

    fn gate_grad(
        &mut self,
        f: Activation,
        dy: Mat<'_, Self, Act>,
        g: MatMut<'_, Self, Act>,
        u: MatMut<'_, Self, Act>,
    ) -> Result<(), VulkanError> {
        check::gate(g.at, u.at, dy.at)?;
        let (dy, g, u) = (self.mat(&dy), self.mat_mut(&g), self.mat_mut(&u));
        let (n, k) = dy.at.shape();
        let (dy_at, g_at, u_at) = (rows(&dy), rows(&g), rows(&u));
        let push = push::GateGrad { rows: n as u32, cols: k as u32, dy: dy_at, g: g_at, u: u_at };
        let constants = [dy.kind as u32, number(f)?];
        self.run_each(Kernel::GateGrad, &constants, &[dy, g, u], &push, n * k)
    }

    fn attention(
        &mut self,
        of: Attention<'_, Self>,
        o: MatMut<'_, Self, Act>,
        lse: &mut VulkanBuf<Acc>,
    ) -> Result<(), VulkanError> {
        let operands = [of.q.at, of.k.at, of.v.at];
        check::attention(&of.heads, operands, of.spans.len, o.at, lse.len)?;
        let lse = self.vector(lse, o.at.rows * of.heads.heads);
        let o = self.mat_mut(&o);
        self.attend(&self.attended(&of), &Wanted::Forward { o, lse })
    }

    fn attention_grad(
        &mut self,
        of: Attention<'_, Self>,
        o: Mat<'_, Self, Act>,
        lse: &VulkanBuf<Acc>,
        d_o: Mat<'_, Self, Act>,
        dots: &mut VulkanBuf<Acc>,
        grad: AttentionGrad<'_, Self>,
    ) -> Result<(), VulkanError> {
        let AttentionGrad { dq, dk, dv } = grad;
        let (operands, grads) = ([of.q.at, of.k.at, of.v.at], [dq.at, dk.at, dv.at]);
        check::attention(&of.heads, operands, of.spans.len, o.at, lse.len)?;
        check::attention_grad(&of.heads, [of.q.at, of.k.at], d_o.at, grads, dots.len)?;
        let count = o.at.rows * of.heads.heads;
        let (lse, dots) = (self.vector(lse, count), self.vector(dots, count));
        let known = Known { d_o: self.mat(&d_o), lse, dots };
        self.attention_dots(of.heads, self.mat(&o), known.d_o, dots)?;
        let attended = self.attended(&of);
        let (dq, dk, dv) = (self.mat_mut(&dq), self.mat_mut(&dk), self.mat_mut(&dv));
        self.attend(&attended, &Wanted::Queries { known, dq })?;
        self.attend(&attended, &Wanted::Keys { known, dk, dv })
    }
}
