//! What `tests/golden/models.py` wrote.

use std::fs;
use std::path::{Path, PathBuf};

use decora::network::IGNORED;
use decora_hub::Architecture;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value;

pub(crate) fn folder(model: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/models").join(model)
}

/// The tensors of one file.
pub(crate) struct File(Vec<u8>);

impl File {
    pub(crate) fn open(path: &Path) -> Self {
        Self(fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
    }

    fn tensors(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.0).unwrap()
    }

    pub(crate) fn shape(&self, name: &str) -> Vec<usize> {
        self.tensors().tensor(name).unwrap().shape().to_vec()
    }

    pub(crate) fn floats(&self, name: &str) -> Vec<f64> {
        floats(&self.tensors().tensor(name).unwrap_or_else(|e| panic!("{name}: {e}")))
    }

    pub(crate) fn whole(&self, name: &str) -> Option<Vec<i64>> {
        let all = self.tensors();
        let t = all.tensor(name).ok()?;
        let (bytes, _) = t.data().as_chunks::<8>();
        Some(bytes.iter().map(|b| i64::from_le_bytes(*b)).collect())
    }
}

fn floats(t: &TensorView<'_>) -> Vec<f64> {
    match t.dtype() {
        Dtype::F64 => t.data().as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b)).collect(),
        Dtype::F32 => {
            let (bytes, _) = t.data().as_chunks::<4>();
            bytes.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect()
        }
        other => panic!("{other:?}"),
    }
}

pub(crate) fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// A batch without its padding: sequences one after the other.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    pub(crate) ids: Vec<u32>,
    pub(crate) positions: Vec<u32>,
    pub(crate) types: Vec<u32>,
    pub(crate) spans: Vec<u32>,
    pub(crate) picks: Vec<u32>,
    pub(crate) labels: Vec<u32>,
    /// Which rows of the padded batch these are.
    pub(crate) places: Vec<usize>,
}

impl Tokens {
    pub(crate) fn read(file: &File, batch: &str, architecture: &Architecture) -> Self {
        let tensor = |name: &str| file.whole(&format!("{batch}/{name}"));
        let shape = file.shape(&format!("{batch}/input_ids"));
        let (ids, mask) = (tensor("input_ids").unwrap(), tensor("attention_mask").unwrap());
        let (types, labels) = (tensor("token_type_ids"), tensor("labels").unwrap());
        let per_token = labels.len() == ids.len();
        let mut all = Self::default();
        for row in 0..shape[0] {
            let start = row * shape[1];
            let len = mask[start..start + shape[1]].iter().filter(|&&m| m == 1).count();
            let first = all.ids.len();
            all.picks.push(first as u32);
            for t in 0..len {
                all.ids.push(ids[start + t] as u32);
                all.positions.push(t as u32);
                all.types.extend(types.as_ref().map(|types| types[start + t] as u32));
                all.spans.extend(span(architecture, first, t, len));
                all.places.push(start + t);
                if per_token {
                    all.labels.push(if t + 1 < len {
                        label(labels[start + t + 1])
                    } else {
                        IGNORED
                    });
                }
            }
            if !per_token {
                all.labels.push(label(labels[row]));
            }
        }
        all
    }

    /// The first sequence alone.
    pub(crate) fn first(&self, architecture: &Architecture) -> Self {
        let len = self.picks.get(1).map_or(self.ids.len(), |&next| next as usize);
        Self {
            ids: self.ids[..len].to_vec(),
            positions: self.positions[..len].to_vec(),
            spans: (0..len).flat_map(|t| span(architecture, 0, t, len)).collect(),
            ..Self::default()
        }
    }

    /// Some tokens, as what follows those before them.
    pub(crate) fn part(&self, first: usize, end: usize) -> decora::transformer::Batch<'_> {
        decora::transformer::Batch {
            ids: &self.ids[first..end],
            positions: &self.positions[first..end],
            spans: &self.spans[2 * first..2 * end],
            ..Default::default()
        }
    }

    pub(crate) fn counted(&self) -> usize {
        self.labels.iter().filter(|&&label| label != IGNORED).count()
    }

    pub(crate) fn batch(&self) -> decora::transformer::Batch<'_> {
        decora::transformer::Batch {
            ids: &self.ids,
            positions: &self.positions,
            types: &self.types,
            spans: &self.spans,
            picks: &self.picks,
        }
    }
}

fn label(x: i64) -> u32 {
    u32::try_from(x).unwrap_or(IGNORED)
}

/// The rows that token t of the sequence from row `first` on sees where there is no window.
fn span(architecture: &Architecture, first: usize, t: usize, len: usize) -> [u32; 2] {
    if !architecture.family.is_causal() {
        return [first as u32, (first + len) as u32];
    }
    [first as u32, (first + t + 1) as u32]
}
