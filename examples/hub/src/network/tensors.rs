//! Everything a network is made of, read and checked.

use std::collections::HashMap;

use decora::backend::{AccumOf, Backend};
use decora::frozen::{Frozen, FrozenError};
use decora::init::Rng;
use decora::scalar::Accum;

use crate::HubError;
use crate::config::{Architecture, Head, Norm};
use crate::modules::{Kind, Module, Role};
use crate::tensors::Values;
use crate::weights::Weights;

/// Standard deviation of the weights of a head that is new, as in transformers.
const NEW: f64 = 0.02;

/// Everything a network is made of: in the mapped files where it can be, else copied.
#[derive(Debug)]
pub struct Tensors<'a> {
    weights: &'a Weights,
    values: HashMap<String, Values<'a>>,
}

impl<'a> Tensors<'a> {
    /// Reads what `architecture` needs. A head that the files do not have is drawn from `seed`, where
    /// one is given: a classifier that is about to be trained.
    ///
    /// # Errors
    /// [`HubError`] for the first tensor that is missing, of another shape, or of an unknown format.
    pub fn read(
        weights: &'a Weights,
        architecture: &Architecture,
        seed: Option<u64>,
    ) -> Result<Self, HubError> {
        let mut tensors = Self { weights, values: HashMap::new() };
        for named in architecture.named() {
            match named.kind {
                Kind::Linear(module) if tied(architecture, &module) => {}
                Kind::Linear(module) => tensors.add(architecture, &module, seed)?,
                Kind::Table { rows, .. } => {
                    let name = format!("{}.weight", named.path);
                    tensors.keep(name, &[rows, architecture.hidden])?;
                }
                Kind::Norm { .. } => {
                    tensors.keep(format!("{}.weight", named.path), &[architecture.hidden])?;
                    if matches!(architecture.norm, Norm::Layer { .. }) {
                        tensors.keep(format!("{}.bias", named.path), &[architecture.hidden])?;
                    }
                }
                Kind::Other => {}
            }
        }
        Ok(tensors)
    }

    fn keep(&mut self, name: String, shape: &[usize]) -> Result<(), HubError> {
        let values = self.weights.values(&name, shape)?;
        self.values.insert(name, values);
        Ok(())
    }

    fn add(
        &mut self,
        architecture: &Architecture,
        module: &Module,
        seed: Option<u64>,
    ) -> Result<(), HubError> {
        let new = matches!(module.role, Role::Classifier | Role::Pooler)
            && self.weights.get(&module.weight_name()).is_none();
        if let (true, Some(seed)) = (new, seed) {
            let count = module.out * module.inputs;
            let drawn = Values::F32(normal(&mut Rng::new(seed), count).into());
            self.values.insert(module.weight_name(), drawn);
            if module.bias {
                self.values.insert(module.bias_name(), Values::F32(vec![0.0; module.out].into()));
            }
            return Ok(());
        }
        let copied = architecture.copied && module.role == Role::Head;
        if copied && self.weights.exactly(&module.weight_name()).is_none() {
            let table =
                self.weights.values(&architecture.table_name(), &[module.out, module.inputs])?;
            self.values.insert(module.weight_name(), table);
            return Ok(());
        }
        self.values.insert(module.weight_name(), self.weights.matrix(module)?);
        if let Some(bias) = self.weights.bias(module)? {
            self.values.insert(module.bias_name(), bias);
        }
        Ok(())
    }

    /// The folder's files.
    #[must_use]
    pub const fn weights(&self) -> &'a Weights {
        self.weights
    }

    /// Puts other values in the place of those of a tensor: a weight that something was merged into.
    pub fn replace(&mut self, name: String, values: Vec<f32>) {
        self.values.insert(name, Values::F32(values.into()));
    }

    /// The tensor of this name.
    ///
    /// # Errors
    /// [`HubError::Missing`].
    pub fn get(&self, name: &str) -> Result<&Values<'a>, HubError> {
        let missing = || HubError::Missing {
            path: self.weights.dir().to_path_buf(),
            tensor: name.to_owned(),
        };
        self.values.get(name).ok_or_else(missing)
    }

    /// The matrix of this name, `(rows, cols)`.
    ///
    /// # Errors
    /// [`HubError::Missing`]; [`HubError::Tensor`] for elements that are not finite.
    pub fn matrix(&self, name: &str, rows: usize, cols: usize) -> Result<Frozen<'_>, HubError> {
        let values = self.get(name)?;
        let wrong = |e: FrozenError| {
            let expected = "a matrix of finite numbers";
            HubError::tensor(self.weights.dir(), name, e.to_string(), expected)
        };
        Frozen::new(rows, cols, values.format()).map_err(wrong)
    }

    /// Weight and bias of a linear layer.
    pub(super) fn linear(
        &self,
        module: &Module,
    ) -> Result<(Frozen<'_>, Option<&Values<'a>>), HubError> {
        let weight = self.matrix(&module.weight_name(), module.out, module.inputs)?;
        let bias = module.bias.then(|| self.get(&module.bias_name())).transpose()?;
        Ok((weight, bias))
    }
}

/// Whether the table of embeddings is this layer.
pub(super) fn tied(architecture: &Architecture, module: &Module) -> bool {
    let shared = architecture.tied && !architecture.copied;
    shared && module.role == Role::Head && architecture.head == Head::Language
}

/// Numbers as a device sums them.
pub(super) fn accum<B: Backend>(values: &Values<'_>) -> Vec<AccumOf<B>> {
    values.to_f32().into_iter().map(AccumOf::<B>::of_f32).collect()
}

/// Normal numbers with deviation [`NEW`] (Box and Muller 1958).
fn normal(rng: &mut Rng, count: usize) -> Vec<f32> {
    let mut draw = || {
        let radius = (-2.0 * (1.0 - rng.unit::<f64>()).ln()).sqrt();
        (NEW * radius * (core::f64::consts::TAU * rng.unit::<f64>()).cos()) as f32
    };
    (0..count).map(|_| draw()).collect()
}
