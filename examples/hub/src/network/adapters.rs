//! Further adapters on the base of a network.

use decora::adapter::Adapter;
use decora::direction::Any;
use decora::init::Rng;
use decora::param::{Parameters, Visitor};
use decora::sequence::Sequence;
use decora::spec::{Plan, Spec};
use decora::transformer::Layer;

use super::{BuildError, Net, frame, module_of};
use crate::config::Architecture;
use crate::modules::Module;

/// A set of adapters, a place for each linear layer of a network. The network has one set at a time;
/// [`exchange`](Adapters::exchange) puts another in its place.
#[derive(Debug)]
pub struct Adapters<B: Sequence>(Vec<Option<Adapter<B, Any<B>>>>, Vec<usize>);

impl<B: Sequence> Adapters<B> {
    /// No adapter on any layer of `net`: with it in place, the network is its base.
    pub fn none(net: &mut Net<'_, B>) -> Self {
        let numbers: Vec<usize> = net.layers_mut().0.map(|layer| layer.module.number()).collect();
        Self(numbers.iter().map(|_| None).collect(), numbers)
    }

    /// New adapters on the base of `net`, which keeps those that it has.
    ///
    /// # Errors
    /// [`BuildError::Core`] for adapters that do not fit, or a device without memory for them.
    pub fn new(
        be: &mut B,
        net: &mut Net<'_, B>,
        architecture: &Architecture,
        spec: &dyn Fn(&Module) -> Option<Spec>,
        rng: &mut Rng,
    ) -> Result<Self, BuildError<B::Error>> {
        let modules = architecture.modules();
        let find = |number| modules.iter().find(|module| module_of(module).number() == number);
        let mut all = Self::none(net);
        let shape = *net.shape();
        let plan = |layer: &Layer<'_, B, Any<B>>| {
            let module = find(layer.module.number())?;
            let plan = Layer::<B, Any<B>>::plan(&shape, &layer.base, spec(module)?);
            Some(Plan { rows: frame::rows_of(module, &shape), ..plan })
        };
        let plans: Vec<Option<Plan>> = net.layers_mut().0.map(|layer| plan(layer)).collect();
        for plan in plans.iter().flatten() {
            net.reserve(be, plan.needs())?;
        }
        let (layers, ws) = net.layers_mut();
        for ((layer, plan), place) in layers.zip(plans).zip(&mut all.0) {
            if let Some(plan) = plan {
                *place = Some(Adapter::lean(be, ws, &layer.base, plan, rng)?);
            }
        }
        Ok(all)
    }

    /// Puts these adapters in the place of those of `net`, and keeps those.
    ///
    /// # Errors
    /// [`BuildError::Core`] when they are of another network.
    pub fn exchange(
        &mut self,
        be: &mut B,
        net: &mut Net<'_, B>,
    ) -> Result<(), BuildError<B::Error>> {
        Ok(net.exchange(be, &mut self.0)?)
    }
}

impl<B: Sequence> Parameters<B> for Adapters<B> {
    fn visit(
        &mut self,
        be: &mut B,
        f: &mut Visitor<'_, B>,
    ) -> Result<(), decora::error::Error<B::Error>> {
        for (adapter, number) in self.0.iter_mut().zip(&self.1) {
            if let Some(adapter) = adapter {
                adapter.visit(be, *number, f)?;
            }
        }
        Ok(())
    }
}
