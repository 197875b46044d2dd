//! An adapter and its layer as one weight, W' = diag(g)·(W + s·B·A), by the core's [`Merge`].

use core::ops::Range;

use decora::adapter::Adapter;
use decora::direction::Any;
use decora::frozen::{Format, Frozen};
use decora::init::Rng;
use decora::linear::Linear;
use decora::merge::Merge;
use decora::param::Slot;
use decora::spec::{Plan, Spec};
use decora::workspace::Workspace;
use decora_cpu::{CpuError, FastCpu};
use decora_hub::peft::{Adapted, Layer};
use decora_hub::tensors::{Array, Tensor};
use decora_hub::{HubError, Module, Weights};

type Cpu = FastCpu<f32>;
type CoreError = decora::error::Error<CpuError>;

/// Elements of W' that are made at a time, unless a row has more.
const PIECE: usize = 1 << 16;

/// An adapter on a weight that is stored row by row, or (`Conv1D`) column by column.
#[derive(Debug)]
pub(super) struct Merged<'a> {
    module: Module,
    spec: Spec,
    layer: &'a Layer,
    /// W' as a `Conv1D` is stored, while it is being written: its rows are columns of W, and g takes
    /// whole rows.
    columns: Vec<f32>,
}

impl<'a> Merged<'a> {
    pub(super) fn new(adapted: Adapted, layer: &'a Layer) -> Self {
        let spec = Spec { dropout: 0.0, ..adapted.spec };
        Self { module: adapted.module, spec, layer, columns: Vec::new() }
    }

    /// The bias in place of the module's own, by its name.
    pub(super) fn bias(&self) -> Option<(String, &'a Array)> {
        Some((self.module.bias_name(), self.layer.bias.as_ref()?))
    }

    /// The name of the weight.
    pub(super) fn name(&self) -> String {
        self.module.weight_name()
    }

    /// Changes rows of the file from `first` on; `tensor` is where they are from.
    ///
    /// # Errors
    /// [`HubError::Tensor`] for elements of an unknown format, or that are not finite.
    pub(super) fn rows(
        &mut self,
        weights: &Weights,
        tensor: &Tensor<'_>,
        first: usize,
        rows: &mut [f32],
    ) -> Result<(), HubError> {
        if !self.module.transposed {
            return self.merge(first, rows).map_err(|e| wrong(tensor, &e));
        }
        if first == 0 {
            let Module { out, inputs, .. } = self.module;
            self.columns = Array::new(vec![out, inputs], self.whole(weights)?).transposed().values;
        }
        let end = first * self.module.out + rows.len();
        let part = self.columns.get(end - rows.len()..end).unwrap_or_default();
        rows.iter_mut().zip(part).for_each(|(to, from)| *to = *from);
        if end == self.columns.len() {
            self.columns = Vec::new();
        }
        Ok(())
    }

    /// W' `(out, in)`.
    ///
    /// # Errors
    /// As [`rows`](Merged::rows); [`HubError::Missing`].
    pub(super) fn whole(&self, weights: &Weights) -> Result<Vec<f32>, HubError> {
        let mut w = weights.matrix(&self.module)?.to_f32();
        let name = self.name();
        self.merge(0, &mut w).map_err(|e| match weights.get(&name) {
            Some(tensor) => wrong(&tensor, &e),
            None => HubError::Missing { path: weights.dir().to_owned(), tensor: name },
        })?;
        Ok(w)
    }

    /// Turns rows of W, from `first` on, into those of W'. A row of W' needs that row of W alone.
    fn merge(&self, first: usize, w: &mut [f32]) -> Result<(), CoreError> {
        let (inputs, rank) = (self.module.inputs, self.spec.rank());
        let count = w.len().checked_div(inputs).unwrap_or_default();
        // A layer has at least as many rows as its rank: here rows of zeros, of which nothing is kept.
        let out = count.max(rank);
        let mut base = w.to_vec();
        base.resize(out * inputs, 0.0);
        let plan = Plan { out, inputs, bias: false, rows: 0, spec: self.spec, moments: 0 };
        let be = &mut Cpu::fast();
        let base = Linear::<Cpu>::new(be, Frozen::new(out, inputs, Format::F32(&base))?, None)?;
        let mut ws = Workspace::new(be, plan.needs())?;
        let mut adapter = self.adapter(be, &mut ws, &base, plan, first..first + count)?;
        let piece = (PIECE / inputs.max(1)).clamp(1, out.max(1));
        let mut host = vec![0.0; piece * inputs];
        let merge = &mut Merge::new(be, piece, inputs)?;
        merge.stream(be, &mut ws, &base, &mut adapter, &mut host, &mut |rows, merged| {
            let to = w.get_mut(rows.start * inputs..).unwrap_or_default();
            to.iter_mut().zip(merged).for_each(|(to, from)| *to = *from);
            Ok(())
        })
    }

    /// The adapter of some rows of the layer.
    fn adapter(
        &self,
        be: &mut Cpu,
        ws: &mut Workspace<Cpu>,
        base: &Linear<'_, Cpu>,
        plan: Plan,
        rows: Range<usize>,
    ) -> Result<Adapter<Cpu, Any<Cpu>>, CoreError> {
        let part = |values: &[f32], width: usize| {
            let part = values.get(rows.start * width..rows.end * width).unwrap_or_default();
            let mut part = part.to_vec();
            part.resize(plan.out * width, 0.0);
            part
        };
        let Layer { a, b, m, .. } = self.layer;
        let mut adapter = Adapter::lean(be, ws, base, plan, &mut Rng::new(0))?;
        adapter.visit(be, 0, &mut |be, _, p| match (p.slot, m) {
            (Slot::LoraA, _) => p.set(be, &a.values),
            (Slot::LoraB, _) => p.set(be, &part(&b.values, plan.spec.rank())),
            (Slot::Magnitude, Some(m)) => p.set(be, &part(&m.values, 1)),
            _ => Ok(()),
        })?;
        Ok(adapter)
    }
}

fn wrong(tensor: &Tensor<'_>, e: &CoreError) -> HubError {
    HubError::Tensor {
        path: tensor.path().to_owned(),
        tensor: tensor.name().to_owned(),
        found: e.to_string(),
        expected: "a weight that the adapter fits".to_owned(),
    }
}
