//! One adapted layer on a device, with numbers in `f64` going in and out.

use decora::adapter::{Adapter, Pass};
use decora::backend::{AccumOf, Backend, Elem, Store};
use decora::buffer::{Acc, Act, Buffer, Role};
use decora::direction::Any;
use decora::error::Error;
use decora::init::Rng;
use decora::linear::Linear;
use decora::mat::{Mat, MatMut};
use decora::merge::Merge;
use decora::param::{Parameters, Slot, Visitor};
use decora::scalar::{Accum, Element};
use decora::spec::{Plan, Spec};
use decora::workspace::Workspace;

use crate::ops::Stored;
use crate::paint::paint;
use crate::reference::Layer;

type Fallible<T, B> = Result<T, Error<<B as Backend>::Error>>;

/// A linear layer and its adapter.
pub(crate) struct Rig<'w, B: Backend> {
    pub(crate) ws: Workspace<B>,
    pub(crate) base: Linear<'w, B>,
    pub(crate) adapter: Adapter<B, Any<B>>,
    pub(crate) plan: Plan,
    w: &'w Stored,
    bias: Option<Vec<f64>>,
}

impl<'w, B: Backend> Rig<'w, B> {
    /// The adapter that `spec` describes on W and b, with room for `rows` rows of x.
    pub(crate) fn new(
        be: &mut B,
        w: &'w Stored,
        bias: Option<&[f64]>,
        spec: Spec,
        rows: usize,
    ) -> Fallible<Self, B> {
        let (out, inputs) = w.shape();
        let plan = Plan { out, inputs, bias: bias.is_some(), rows, spec, moments: 2 };
        let b: Option<Vec<AccumOf<B>>> =
            bias.map(|b| b.iter().map(|&x| AccumOf::<B>::of(x)).collect());
        let base = Linear::new(be, w.frozen()?, b.as_deref())?;
        let mut ws = Workspace::new(be, plan.needs())?;
        let adapter = Adapter::new(be, &mut ws, &base, plan, &mut Rng::new(7))?;
        let bias = b.map(|b| b.iter().map(|x| x.f64()).collect());
        Ok(Self { ws, base, adapter, plan, w, bias })
    }

    /// Moves every parameter away from where it starts.
    pub(crate) fn stir(&mut self, be: &mut B) -> Fallible<(), B> {
        for (slot, mut values) in self.params(be)? {
            let cols = if slot == Slot::LoraA { self.plan.inputs } else { 3 };
            for (e, x) in values.iter_mut().enumerate() {
                let p = paint(slot as usize + 1, e / cols, e % cols);
                *x = match slot {
                    Slot::LoraA => 0.7 * p,
                    Slot::LoraB => 0.5 * p,
                    Slot::Magnitude => *x * (1.0 + 0.4 * p),
                    _ => *x + 0.3 * p,
                };
            }
            self.set(be, slot, &values)?;
        }
        Ok(())
    }

    /// y of x.
    pub(crate) fn forward(&mut self, be: &mut B, x: &[f64], pass: Pass) -> Fallible<Vec<f64>, B> {
        let (out, inputs) = self.w.shape();
        let rows = x.len() / inputs;
        let x = upload::<B, Act>(be, x)?;
        let mut y = upload::<B, Act>(be, &vec![f64::NAN; rows * out])?;
        let Self { ws, base, adapter, .. } = self;
        let (from, to) = (Mat::new(&x, rows, inputs)?, MatMut::new(&mut y, rows, out)?);
        adapter.forward(be, ws, base, from, to, pass)?;
        download::<B, Act>(be, &y)
    }

    /// dx of x and dy, after [`forward`](Rig::forward) with the same x.
    pub(crate) fn backward(
        &mut self,
        be: &mut B,
        x: &[f64],
        dy: &[f64],
        store: Store,
    ) -> Fallible<Vec<f64>, B> {
        let (out, inputs) = self.w.shape();
        let rows = x.len() / inputs;
        let x = upload::<B, Act>(be, x)?;
        let mut dy = upload::<B, Act>(be, dy)?;
        let mut dx = upload::<B, Act>(be, &vec![f64::NAN; rows * inputs])?;
        let Self { ws, base, adapter, .. } = self;
        let (from, dy) = (Mat::new(&x, rows, inputs)?, MatMut::new(&mut dy, rows, out)?);
        let to = Some(MatMut::new(&mut dx, rows, inputs)?);
        adapter.backward(be, ws, base, from, dy, to, store)?;
        download::<B, Act>(be, &dx)
    }

    /// Every trained tensor.
    pub(crate) fn params(&mut self, be: &mut B) -> Fallible<Vec<(Slot, Vec<f64>)>, B> {
        let mut all = Vec::new();
        self.visit(be, &mut |be, _, p| {
            all.push((p.slot, download::<B, Acc>(be, p.value())?));
            Ok(())
        })?;
        Ok(all)
    }

    /// Every gradient, in the same order.
    pub(crate) fn grads(&mut self, be: &mut B) -> Fallible<Vec<(Slot, Vec<f64>)>, B> {
        let mut all = Vec::new();
        self.visit(be, &mut |be, _, p| {
            all.push((p.slot, download::<B, Acc>(be, &p.grad)?));
            Ok(())
        })?;
        Ok(all)
    }

    /// Sets one trained tensor.
    pub(crate) fn set(&mut self, be: &mut B, slot: Slot, values: &[f64]) -> Fallible<(), B> {
        let values: Vec<AccumOf<B>> = values.iter().map(|&x| AccumOf::<B>::of(x)).collect();
        self.visit(be, &mut |be, _, p| if p.slot == slot { p.set(be, &values) } else { Ok(()) })
    }

    /// One trained tensor; empty when there is none of that kind.
    pub(crate) fn param(&mut self, be: &mut B, slot: Slot) -> Fallible<Vec<f64>, B> {
        let all = self.params(be)?;
        Ok(all.into_iter().find(|(s, _)| *s == slot).map_or(Vec::new(), |(_, values)| values))
    }

    /// W', three rows at a time.
    pub(crate) fn merged(&mut self, be: &mut B) -> Fallible<Vec<f64>, B> {
        let inputs = self.plan.inputs;
        let mut room = vec![AccumOf::<B>::default(); 3 * inputs];
        let mut merged = Vec::new();
        let mut merge = Merge::new(be, 3, inputs)?;
        let Self { ws, base, adapter, .. } = self;
        merge.stream(be, ws, base, adapter, &mut room, &mut |_, rows| {
            merged.extend(rows.iter().map(|x| x.f64()));
            Ok(())
        })?;
        Ok(merged)
    }

    /// n and g; after a forward pass, those of that pass.
    pub(crate) fn norms_and_gains(&self, be: &mut B) -> Fallible<(Vec<f64>, Vec<f64>), B> {
        let Some(magnitude) = self.adapter.magnitude() else { return Ok(Default::default()) };
        Ok((download::<B, Acc>(be, &magnitude.n)?, download::<B, Acc>(be, &magnitude.g)?))
    }

    /// The same layer in plain loops, with the parameters of now.
    pub(crate) fn reference(&mut self, be: &mut B) -> Fallible<Layer, B> {
        let (out, inputs) = self.w.shape();
        let w = (0..out * inputs).map(|e| self.w.value(e / inputs, e % inputs)).collect();
        let (bias, spec) = (self.bias.clone(), self.plan.spec);
        Ok(Layer { out, inputs, w, bias, spec, params: self.params(be)? })
    }
}

impl<B: Backend> Parameters<B> for Rig<'_, B> {
    fn visit(&mut self, be: &mut B, f: &mut Visitor<'_, B>) -> Fallible<(), B> {
        self.adapter.visit(be, 0, f)
    }
}

fn upload<B: Backend, R: Role>(be: &mut B, x: &[f64]) -> Result<B::Buf<R>, B::Error> {
    let elements: Vec<Elem<B, R>> = x.iter().map(|&x| Element::store(x)).collect();
    let mut buf = be.alloc::<R>(elements.len())?;
    be.write::<R>(&mut buf, 0, &elements)?;
    Ok(buf)
}

/// What a buffer holds.
pub(crate) fn download<B: Backend, R: Role>(be: &mut B, buf: &B::Buf<R>) -> Fallible<Vec<f64>, B> {
    let mut elements = vec![Elem::<B, R>::default(); buf.len()];
    be.read::<R>(buf, 0, &mut elements)?;
    Ok(elements.iter().map(|e| e.load()).collect())
}
