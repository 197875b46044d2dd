//! The parts of a transformer, as numbers: what [`Visitor`](crate::param::Visitor)s are called with.

/// What a part does. In the order in which a block uses them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Part {
    /// Queries, keys and values at once.
    Qkv,
    /// Queries.
    Query,
    /// Keys.
    Key,
    /// Values.
    Value,
    /// From the heads back to the width of the network.
    Output,
    /// What opens a gated unit.
    Gate,
    /// To the inner width.
    Up,
    /// From the inner width back.
    Down,
    /// The normalisation of the attention.
    AttentionNorm,
    /// The normalisation of the multi-layer perceptron.
    MlpNorm,
    /// Embeddings of tokens.
    Tokens,
    /// Embeddings of positions.
    Positions,
    /// Embeddings of the kinds of segments.
    Types,
    /// The normalisation of embeddings.
    EmbeddingNorm,
    /// The last normalisation.
    FinalNorm,
    /// What pools a sequence into one vector.
    Pooler,
    /// From the width to logits.
    Head,
}

impl Part {
    const ALL: [Self; 17] = [
        Self::Qkv,
        Self::Query,
        Self::Key,
        Self::Value,
        Self::Output,
        Self::Gate,
        Self::Up,
        Self::Down,
        Self::AttentionNorm,
        Self::MlpNorm,
        Self::Tokens,
        Self::Positions,
        Self::Types,
        Self::EmbeddingNorm,
        Self::FinalNorm,
        Self::Pooler,
        Self::Head,
    ];
}

/// Which part of a transformer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Module {
    /// The number of its block; `None` for what comes before or after the blocks.
    pub block: Option<usize>,
    /// What it does there.
    pub part: Part,
}

impl Module {
    /// A part of block `block`.
    #[must_use]
    pub const fn of_block(block: usize, part: Part) -> Self {
        Self { block: Some(block), part }
    }

    /// A part before or after the blocks.
    #[must_use]
    pub const fn outside(part: Part) -> Self {
        Self { block: None, part }
    }

    /// Its number: the layer that a [`Visitor`](crate::param::Visitor) is told.
    #[must_use]
    pub const fn number(&self) -> usize {
        let block = match self.block {
            Some(block) => block + 1,
            None => 0,
        };
        block * Part::ALL.len() + self.part as usize
    }

    /// The part with this number.
    #[must_use]
    pub fn from_number(number: usize) -> Self {
        let part = Part::ALL.get(number % Part::ALL.len()).copied().unwrap_or(Part::Head);
        Self { block: (number / Part::ALL.len()).checked_sub(1), part }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_found_by_its_number() {
        for part in Part::ALL {
            for module in [Module::outside(part), Module::of_block(7, part)] {
                assert_eq!(Module::from_number(module.number()), module);
            }
        }
    }
}
