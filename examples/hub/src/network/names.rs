//! Which parameter of a network is which tensor of a file.

use std::collections::HashMap;

use decora::param::Slot;
use decora::transformer::{Module as Place, Part};

use super::blocks::part_of;
use crate::config::Architecture;
use crate::modules::{Kind, Module, Role, Table};

/// The paths of the parts of a network, by the number that a visitor is told.
#[derive(Clone, Debug)]
pub struct Names(HashMap<usize, String>);

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
        Self(named.filter_map(|n| Some((place(&n.kind)?.number(), n.path))).collect())
    }

    /// The path of the part with this number.
    #[must_use]
    pub fn path(&self, number: usize) -> Option<&str> {
        self.0.get(&number).map(String::as_str)
    }
}

/// The name of a parameter in its module, in a file of PEFT or, for what is trained as a whole, of the
/// model.
#[must_use]
pub const fn name_of_slot(slot: Slot) -> &'static str {
    slot.peft_name()
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
