//! Frozen weights: how they get to the device, and what is computed from them part by part.

use decora::backend::Store;
use decora::buffer::Acc;
use decora::frozen::{Format, Frozen};
use decora::mat::Layout;

use crate::buffer::{Part, VulkanBuf, VulkanWeight};
use crate::error::VulkanError;
use crate::pipelines::Kind;
use crate::vulkan::{GpuScalar, Operand, Vulkan};

/// Elements converted at a time, where the device cannot take them as they are.
const CONVERTED: usize = 1 << 18;

impl Operand<'_> {
    /// `count` of its rows.
    pub(crate) fn rows(self, first: usize, count: usize) -> Self {
        let off = self.off + (first * self.at.rs) as u32;
        Self { off, at: Layout { rows: count, ..self.at }, ..self }
    }

    /// `count` of its columns.
    pub(crate) fn cols(self, first: usize, count: usize) -> Self {
        let off = self.off + (first * self.at.cs) as u32;
        Self { off, at: Layout { cols: count, ..self.at }, ..self }
    }

    fn t(self) -> Self {
        Self { at: self.at.t(), ..self }
    }
}

impl<T: GpuScalar> Vulkan<T> {
    /// W in as many parts as the device's limit on buffers asks for. f16 and bf16 stay as they are
    /// where 16-bit storage is there; all else becomes f32.
    pub(crate) fn upload_weight(&mut self, w: Frozen<'_>) -> Result<VulkanWeight, VulkanError> {
        let (info, limits) = (&self.recorder.shared.info, self.recorder.shared.settings.limits);
        let (kind, width) = match w.data() {
            Format::F16(_) if info.half_storage => (Kind::F16, 2),
            Format::Bf16(_) if info.half_storage => (Kind::Bf16, 2),
            _ => (Kind::F32, 4),
        };
        let ((out, inputs), limit) = (w.shape(), info.binding);
        let whole = limits.weight.unwrap_or(limit).min(limit);
        let row = inputs as u64 * width;
        if row > limit {
            return Err(VulkanError::TooLarge { asked: row, limit });
        }
        let most = whole.checked_div(row).map_or(out, |most| most as usize).max(1);
        let mut parts = Vec::new();
        for first in (0..out).step_by(most) {
            let rows = most.min(out - first);
            let block = self.recorder.scratch(rows as u64 * row)?;
            let part = Part { block, first, rows };
            self.upload_part(&part, w.data(), first * inputs..(first + rows) * inputs, kind)?;
            parts.push(part);
        }
        Ok(VulkanWeight { parts, shape: w.shape(), kind, width })
    }

    fn upload_part(
        &mut self,
        part: &Part,
        data: Format<'_>,
        range: core::ops::Range<usize>,
        kind: Kind,
    ) -> Result<(), VulkanError> {
        let bytes: &[u8] = match (data, kind) {
            (Format::F32(w), _) => bytemuck::cast_slice(w.get(range).unwrap_or_default()),
            (Format::F16(w), Kind::F16) => bytemuck::cast_slice(w.get(range).unwrap_or_default()),
            (Format::Bf16(w), Kind::Bf16) => bytemuck::cast_slice(w.get(range).unwrap_or_default()),
            _ => return self.upload_converted(part, data, range),
        };
        self.recorder.upload(&part.block, 0, bytes)
    }

    fn upload_converted(
        &mut self,
        part: &Part,
        data: Format<'_>,
        range: core::ops::Range<usize>,
    ) -> Result<(), VulkanError> {
        let start = range.start;
        for first in range.clone().step_by(CONVERTED) {
            let last = range.end.min(first + CONVERTED);
            let value = |i| data.value(i).map(|x| x as f32).ok_or(VulkanError::Format);
            let words: Vec<f32> = (first..last).map(value).collect::<Result<_, _>>()?;
            let at = 4 * (first - start) as u64;
            self.recorder.upload(&part.block, at, bytemuck::cast_slice(&words))?;
        }
        Ok(())
    }

    pub(crate) fn part<'w>(&self, w: &'w VulkanWeight, part: &'w Part) -> Operand<'w> {
        let at = Layout::row_major(0, part.rows, w.shape.1);
        self.bind(&part.block, w.width, w.kind, at)
    }

    /// C = α·A·Wᵀ: each part of W makes columns of C.
    pub(crate) fn product_of_transposed(
        &mut self,
        alpha: f32,
        a: Operand<'_>,
        w: &VulkanWeight,
        store: Store,
        c: Operand<'_>,
    ) -> Result<(), VulkanError> {
        for part in &w.parts {
            let b = self.part(w, part).t();
            self.product(alpha, a, b, store, c.cols(part.first, part.rows))?;
        }
        Ok(())
    }

    /// C = α·A·W: each part of W is part of the sum, which is rounded once, at its end.
    pub(crate) fn product_of_weight(
        &mut self,
        alpha: f32,
        a: Operand<'_>,
        w: &VulkanWeight,
        store: Store,
        c: Operand<'_>,
    ) -> Result<(), VulkanError> {
        if w.parts.len() == 1 || c.kind == Kind::F32 {
            return self.sum_of_parts(alpha, a, w, store, c);
        }
        let (m, n) = c.at.shape();
        let block = self.recorder.scratch(4 * (m * n) as u64)?;
        let sum = self.bind(&block, 4, Kind::F32, Layout::row_major(0, m, n));
        self.sum_of_parts(alpha, a, w, Store::Replace, sum)?;
        self.reduce(1.0, sum, 1, store, c)
    }

    fn sum_of_parts(
        &mut self,
        alpha: f32,
        a: Operand<'_>,
        w: &VulkanWeight,
        mut store: Store,
        c: Operand<'_>,
    ) -> Result<(), VulkanError> {
        if w.parts.is_empty() {
            let nothing = Operand { at: Layout { cols: 0, ..a.at }, ..a };
            let b = Operand { at: Layout::row_major(0, 0, c.at.cols), ..nothing };
            return self.product(alpha, nothing, b, store, c);
        }
        for part in &w.parts {
            self.product(alpha, a.cols(part.first, part.rows), self.part(w, part), store, c)?;
            store = Store::Add;
        }
        Ok(())
    }

    /// Cᵢ = W₍first+i₎.
    pub(crate) fn copy_rows(
        &mut self,
        w: &VulkanWeight,
        first: usize,
        c: Operand<'_>,
    ) -> Result<(), VulkanError> {
        let last = first + c.at.rows;
        for part in &w.parts {
            let (from, to) = (first.max(part.first), last.min(part.first + part.rows));
            if from < to {
                let rows = self.part(w, part).rows(from - part.first, to - from);
                self.scaled(1.0, rows, Store::Replace, c.rows(from - first, to - from))?;
            }
        }
        Ok(())
    }

    /// sqᵢ = Σⱼ Wᵢⱼ².
    pub(crate) fn weight_row_sq(
        &mut self,
        w: &VulkanWeight,
        sq: &VulkanBuf<Acc>,
    ) -> Result<(), VulkanError> {
        let sq = self.vector(sq, w.shape.0);
        for part in &w.parts {
            let rows = self.part(w, part);
            self.dots(1.0, rows, rows, Store::Replace, sq.rows(part.first, part.rows))?;
        }
        Ok(())
    }
}
