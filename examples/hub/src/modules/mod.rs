//! The modules of a network by their paths in PyTorch, in the order of `named_modules()`: what PEFT
//! matches its patterns with.

mod tables;

use crate::config::{Architecture, Family, Head, Positions};
use tables::Part;

/// What a linear layer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Queries.
    Q,
    /// Keys.
    K,
    /// Values.
    V,
    /// Queries, keys and values, one after the other in the rows of one matrix.
    Qkv,
    /// What comes out of attention.
    O,
    /// The gate of a gated MLP.
    Gate,
    /// Into an MLP.
    Up,
    /// Out of an MLP.
    Down,
    /// Scores of tokens: `lm_head`.
    Head,
    /// Scores of classes: `score`, `classifier`.
    Classifier,
    /// BERT's layer on the first token, before a tanh.
    Pooler,
}

/// A linear layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// Its path, as in `model.layers.0.self_attn.q_proj`.
    pub path: String,
    /// What it is for.
    pub role: Role,
    /// Its block, from 0; `None` for one outside of the blocks.
    pub block: Option<usize>,
    /// Rows of its weight.
    pub out: usize,
    /// Columns of its weight.
    pub inputs: usize,
    /// Whether it has a bias.
    pub bias: bool,
    /// Whether the file has its weight as `[in, out]`.
    pub transposed: bool,
}

impl Module {
    /// The name of its weight.
    #[must_use]
    pub fn weight_name(&self) -> String {
        format!("{}.weight", self.path)
    }

    /// The name of its bias.
    #[must_use]
    pub fn bias_name(&self) -> String {
        format!("{}.bias", self.path)
    }
}

/// A table that is looked up by a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Table {
    /// By token.
    Tokens,
    /// By place.
    Positions,
    /// By token type.
    Types,
}

/// Where a norm is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NormRole {
    /// After the embeddings.
    Embeddings,
    /// Before attention, or after it and its sum.
    Attention,
    /// Before the MLP, or after it and its sum.
    Mlp,
    /// After the last block.
    Last,
}

/// What a module is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A linear layer.
    Linear(Module),
    /// A table `(rows, hidden)`.
    Table {
        /// Which.
        role: Table,
        /// Its rows.
        rows: usize,
    },
    /// A norm: a weight `(hidden)`, and for a layer norm a bias `(hidden)`.
    Norm {
        /// Where.
        role: NormRole,
        /// In which block.
        block: Option<usize>,
    },
    /// A container, or something without weights.
    Other,
}

/// A module and its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its path.
    pub path: String,
    /// What it is.
    pub kind: Kind,
}

impl Architecture {
    /// Every module of the network but the network itself, as `named_modules()` has them.
    #[must_use]
    pub fn named(&self) -> Vec<Named> {
        let (before, blocks, block, after) = tables::of(self.family);
        let prefix = self.prefix();
        let mut all = Vec::new();
        if self.head != Head::None {
            all.push(other(self.family.base_name()));
        }
        self.push(&mut all, &prefix, None, before);
        all.push(other(&format!("{prefix}{blocks}")));
        for i in 0..self.layers {
            let path = format!("{prefix}{blocks}.{i}");
            all.push(other(&path));
            self.push(&mut all, &format!("{path}."), Some(i), block);
        }
        self.push(&mut all, &prefix, None, after);
        self.push(&mut all, "", None, self.head_parts());
        all
    }

    /// Every linear layer of the network, in the order of [`Architecture::named`].
    #[must_use]
    pub fn modules(&self) -> Vec<Module> {
        let linear = |named: Named| match named.kind {
            Kind::Linear(module) => Some(module),
            _ => None,
        };
        self.named().into_iter().filter_map(linear).collect()
    }

    fn head_parts(&self) -> &'static [(&'static str, Part)] {
        match (self.head, self.family) {
            (Head::None, _) => &[],
            (Head::Language, _) => tables::LANGUAGE,
            (Head::Classes, Family::Bert) => tables::BERT_CLASSES,
            (Head::Classes, _) => tables::CLASSES,
        }
    }

    fn push(
        &self,
        all: &mut Vec<Named>,
        prefix: &str,
        block: Option<usize>,
        parts: &[(&str, Part)],
    ) {
        all.extend(parts.iter().map(|(name, part)| {
            let path = format!("{prefix}{name}");
            Named { kind: self.kind(&path, block, *part), path }
        }));
    }

    fn kind(&self, path: &str, block: Option<usize>, part: Part) -> Kind {
        match part {
            Part::Other => Kind::Other,
            Part::Norm(role) => Kind::Norm { role, block },
            Part::Table(role) => Kind::Table { role, rows: self.rows(role) },
            Part::Linear(role) => {
                let ((out, inputs), bias) = (self.shape(role), self.has_bias(role));
                let transposed = block.is_some() && self.family.is_transposed();
                let path = path.to_owned();
                Kind::Linear(Module { path, role, block, out, inputs, bias, transposed })
            }
        }
    }

    const fn rows(&self, table: Table) -> usize {
        match (table, self.positions) {
            (Table::Tokens, _) => self.vocab,
            (Table::Positions, Positions::Learned(rows)) => rows,
            (Table::Positions, Positions::Rope(_)) => 0,
            (Table::Types, _) => self.token_types,
        }
    }

    /// `(out, in)` of the layers with this role.
    #[must_use]
    pub const fn shape(&self, role: Role) -> (usize, usize) {
        match role {
            Role::Q => (self.queries(), self.hidden),
            Role::K | Role::V => (self.keys(), self.hidden),
            Role::Qkv => (self.queries() + 2 * self.keys(), self.hidden),
            Role::O => (self.hidden, self.queries()),
            Role::Gate | Role::Up => (self.inner, self.hidden),
            Role::Down => (self.hidden, self.inner),
            Role::Head => (self.vocab, self.hidden),
            Role::Classifier => (self.classes, self.hidden),
            Role::Pooler => (self.hidden, self.hidden),
        }
    }

    const fn has_bias(&self, role: Role) -> bool {
        match role {
            Role::Q | Role::K | Role::V | Role::Qkv => self.biases.qkv,
            Role::O => self.biases.output,
            Role::Gate | Role::Up | Role::Down => self.biases.mlp,
            Role::Head => false,
            Role::Classifier => !self.family.is_causal(),
            Role::Pooler => true,
        }
    }
}

fn other(path: &str) -> Named {
    Named { path: path.to_owned(), kind: Kind::Other }
}
