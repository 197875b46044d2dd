//! PEFT's names of tensors.

/// What every name starts with.
pub const PREFIX: &str = "base_model.model.";

/// A part of the adapter of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A `[r, in]`.
    A,
    /// B `[out, r]`.
    B,
    /// m `[out]`.
    Magnitude,
    /// b `[out]`, the module's own.
    Bias,
}

impl Part {
    const ALL: [(Self, &'static str); 4] = [
        (Self::A, "lora_A.weight"),
        (Self::B, "lora_B.weight"),
        (Self::Magnitude, "lora_magnitude_vector"),
        (Self::Bias, "base_layer.bias"),
    ];

    const fn suffix(self) -> &'static str {
        match self {
            Self::A => Self::ALL[0].1,
            Self::B => Self::ALL[1].1,
            Self::Magnitude => Self::ALL[2].1,
            Self::Bias => Self::ALL[3].1,
        }
    }
}

/// PEFT's name of a part of a module's adapter.
#[must_use]
pub fn key(module: &str, part: Part) -> String {
    format!("{PREFIX}{module}.{}", part.suffix())
}

/// What a name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key<'a> {
    /// A part of the adapter of a module.
    Part(&'a str, Part),
    /// A tensor of a module that is trained as a whole, by its name in the model.
    Saved(&'a str),
    /// Nothing that is known here; and what it should be instead.
    Unknown(&'static str),
}

/// The magnitude's name in files of the authors of DoRA.
const DECOMPOSED: &str = "weight_m_wdecomp.weight";

/// Takes a name apart. Some programs put `.weight` after the magnitude's, which PEFT reads as well.
pub(super) fn parse(name: &str) -> Key<'_> {
    let Some(inner) = name.strip_prefix(PREFIX) else {
        return Key::Unknown("names that start with base_model.model.");
    };
    let magnitude = inner.strip_suffix(".weight").filter(|s| s.ends_with(Part::Magnitude.suffix()));
    let inner = magnitude.unwrap_or(inner);
    let other = [(Part::Magnitude, DECOMPOSED)];
    let part = Part::ALL.iter().chain(&other).find_map(|(part, suffix)| {
        let module = inner.strip_suffix(suffix)?.strip_suffix('.')?;
        Some(Key::Part(module, *part))
    });
    part.unwrap_or_else(|| saved(inner))
}

fn saved(inner: &str) -> Key<'_> {
    let has = |part: &str| inner.split('.').any(|piece| piece == part);
    if inner.contains("lora_embedding_") {
        return Key::Unknown("adapters of linear layers: those of embeddings are not supported");
    }
    if has("base_layer") {
        return Key::Unknown("no weights of the base but biases: its embeddings are not supported");
    }
    match inner.contains("lora_") || !(inner.ends_with(".weight") || inner.ends_with(".bias")) {
        true => Key::Unknown("lora_A.weight, lora_B.weight or lora_magnitude_vector"),
        false => Key::Saved(inner),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        let m = "base_model.model.a.b.lora_magnitude_vector";
        assert_eq!(parse(m), Key::Part("a.b", Part::Magnitude));
        assert_eq!(parse(&format!("{m}.weight")), Key::Part("a.b", Part::Magnitude));
        let theirs = "base_model.model.a.b.weight_m_wdecomp.weight";
        assert_eq!(parse(theirs), Key::Part("a.b", Part::Magnitude));
        for part in [Part::A, Part::B, Part::Magnitude, Part::Bias] {
            assert_eq!(parse(&key("x.y", part)), Key::Part("x.y", part));
        }
        assert_eq!(parse("base_model.model.score.weight"), Key::Saved("score.weight"));
        let unknown = [
            "score.weight",
            "base_model.model.a.lora_embedding_A",
            "base_model.model.a.base_layer.weight",
            "base_model.model.a.lora_B.bias",
            "base_model.model.lora_A.weight",
        ];
        for name in unknown {
            assert!(matches!(parse(name), Key::Unknown(_)), "{name}");
        }
    }
}
