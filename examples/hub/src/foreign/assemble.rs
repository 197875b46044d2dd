//! An adapter of PEFT out of layers that each have a rank and an α of their own.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use crate::config::Architecture;
use crate::peft::{Adapter, Config, Layer, Part, Targets, key};
use crate::tensors::{Array, Arrays};
use crate::{HubError, Module};

/// A layer while a file is read; A and B as PEFT has them.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) a: Option<Array>,
    pub(super) b: Option<Array>,
    pub(super) m: Option<Array>,
    /// α, when the file has one for each layer.
    pub(super) alpha: Option<f64>,
}

/// Layers by the paths of their modules.
pub(super) type Layers = BTreeMap<String, Parts>;

/// The adapter of these layers. `alpha` gives that of a layer whose file does not, from its rank. With a
/// magnitude in any layer, all must have one.
pub(super) fn assemble(
    path: &Path,
    architecture: &Architecture,
    parts: Layers,
    use_dora: bool,
    alpha: impl Fn(usize) -> f64,
) -> Result<Adapter, HubError> {
    let use_dora = use_dora || parts.values().any(|parts| parts.m.is_some());
    let mut layers = BTreeMap::new();
    let mut sizes = Vec::new();
    for (module, parts) in parts {
        let missing =
            |part| HubError::Missing { path: path.to_path_buf(), tensor: key(&module, part) };
        let a = parts.a.ok_or_else(|| missing(Part::A))?;
        let b = parts.b.ok_or_else(|| missing(Part::B))?;
        if use_dora && parts.m.is_none() {
            return Err(missing(Part::Magnitude));
        }
        let rank = a.shape.first().copied().unwrap_or_default();
        sizes.push((module.clone(), rank, parts.alpha.unwrap_or_else(|| alpha(rank))));
        layers.insert(module, Layer { a, b, m: parts.m, bias: None });
    }
    let config = config(path, architecture, &sizes, use_dora)?;
    Ok(Adapter { config, layers, saved: Arrays::new(), path: path.to_path_buf() })
}

fn config(
    path: &Path,
    architecture: &Architecture,
    sizes: &[(String, usize, f64)],
    use_dora: bool,
) -> Result<Config, HubError> {
    let Some(&rank) = most_frequent(sizes.iter().map(|row| row.1)).as_ref() else {
        return Err(HubError::damaged(path, "no layer", "one or more with an adapter"));
    };
    let alpha = most_frequent(sizes.iter().map(|row| row.2.to_bits())).map_or(0.0, f64::from_bits);
    let names = sizes.iter().map(|row| row.0.clone()).collect();
    let mut config = Config::new(architecture, rank, alpha, Targets::Names(names));
    let others = |differs: &dyn Fn(&(String, usize, f64)) -> bool| {
        sizes.iter().filter(|row| differs(row)).cloned().collect::<Vec<_>>()
    };
    let ranks = others(&|row| row.1 != rank).into_iter().map(|row| (row.0, row.1));
    let alphas = others(&|row| row.2 != alpha).into_iter().map(|row| (row.0, row.2));
    config.rank_pattern = ranks.collect();
    config.alpha_pattern = alphas.collect();
    config.use_dora = use_dora;
    // None of these files has a head of its own: that of the model stays as it is.
    config.task = None;
    config.modules_to_save = Vec::new();
    config.path = path.to_path_buf();
    config.check()?;
    Ok(config)
}

fn most_frequent<T: Copy + Eq + core::hash::Hash + Ord>(all: impl Iterator<Item = T>) -> Option<T> {
    let mut counts: HashMap<T, usize> = HashMap::new();
    all.for_each(|x| *counts.entry(x).or_default() += 1);
    counts.into_iter().max_by_key(|&(x, n)| (n, x)).map(|row| row.0)
}

/// The error for a part of another shape than its module asks for.
pub(super) fn fits(
    path: &Path,
    tensor: &str,
    array: Array,
    expected: &[Option<usize>],
) -> Result<Array, HubError> {
    let same = array.shape.len() == expected.len()
        && array.shape.iter().zip(expected).all(|(n, e)| e.is_none_or(|e| e == *n));
    match same {
        true => Ok(array),
        false => {
            let sizes =
                expected.iter().map(|n| n.map_or_else(|| "r".to_owned(), |n| n.to_string()));
            let expected = format!("[{}]", sizes.collect::<Vec<_>>().join(", "));
            let found = format!("shape {:?}", array.shape);
            Err(HubError::tensor(path, tensor, found, expected))
        }
    }
}

/// The error for a tensor of a module that the network does not have.
pub(super) fn no_module(path: &Path, tensor: &str, modules: &[Module]) -> HubError {
    let example = modules.first().map_or("", |module| &*module.path);
    let expected = format!("tensors of linear layers of this model, such as {example}");
    HubError::Unexpected { path: path.to_path_buf(), tensor: tensor.to_owned(), expected }
}
