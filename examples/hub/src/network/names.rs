//! Which parameter of a network is which tensor of a file.

use std::borrow::Cow;
use std::collections::HashMap;

use decora::param::Slot;
use decora::transformer::{Module as Place, Part};

use super::blocks::part_of;
use crate::config::Architecture;
use crate::modules::{Kind, Module, Named, Role, Table};
use crate::tensors::Array;

/// The paths of the parts of a network, by the number that a visitor is told, and whether files have
/// their weights as `[in, out]`.
#[derive(Clone, Debug)]
pub struct Names(HashMap<usize, (String, bool)>);

impl Names {
    /// Those of a network of this architecture.
    #[must_use]
    pub fn new(architecture: &Architecture) -> Self {
        let named = architecture.named().into_iter();
        let place = |kind: &Kind| match kind {
            Kind::Linear(module) => Some(module_of(module)),
            Kind::Table { role, .. } => Some(Place::outside(match role {
                Table::Tokens => Part::Tokens,
                Table::Positions => Part::Positions,
                Table::Types => Part::Types,
            })),
            Kind::Norm { role, block } => Some(Place { block: *block, part: part_of(*role) }),
            Kind::Other => None,
        };
        let transposed = |kind: &Kind| matches!(kind, Kind::Linear(module) if module.transposed);
        let entry = |n: Named| Some((place(&n.kind)?.number(), (n.path, transposed(&n.kind))));
        Self(named.filter_map(entry).collect())
    }

    /// The path of the part with this number.
    #[must_use]
    pub fn path(&self, number: usize) -> Option<&str> {
        self.0.get(&number).map(|entry| entry.0.as_str())
    }

    /// A tensor of this part as files have it, or from there as the network has it: weights of a
    /// `Conv1D` transposed, everything else as it is.
    #[must_use]
    pub fn turned<'a>(&self, number: usize, slot: Slot, array: &'a Array) -> Cow<'a, Array> {
        let transposed = self.0.get(&number).is_some_and(|entry| entry.1);
        match transposed && slot == Slot::Weight {
            true => Cow::Owned(array.clone().transposed()),
            false => Cow::Borrowed(array),
        }
    }
}

/// Which part of the network a linear layer is.
#[must_use]
pub const fn module_of(module: &Module) -> Place {
    let part = match module.role {
        Role::Q => Part::Query,
        Role::K => Part::Key,
        Role::V => Part::Value,
        Role::Qkv => Part::Qkv,
        Role::O => Part::Output,
        Role::Gate => Part::Gate,
        Role::Up => Part::Up,
        Role::Down => Part::Down,
        Role::Head | Role::Classifier => Part::Head,
        Role::Pooler => Part::Pooler,
    };
    Place { block: module.block, part }
}
