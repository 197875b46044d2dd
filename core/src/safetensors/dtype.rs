//! What elements of a tensor in a file are.

/// A format of elements. Values are read from the first four; the others can stand in a file, and
/// their bytes be taken from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names are those of the format")]
pub enum Dtype {
    F64,
    F32,
    F16,
    Bf16,
    Bool,
    C64,
    F8E4M3,
    F8E5M2,
    F8E8M0,
    I16,
    I32,
    I64,
    I8,
    U16,
    U32,
    U64,
    U8,
}

/// Every format, its name in files, and bytes of an element. Formats smaller than a byte are left
/// out.
const ALL: [(Dtype, &str, usize); 17] = [
    (Dtype::F64, "F64", 8),
    (Dtype::F32, "F32", 4),
    (Dtype::F16, "F16", 2),
    (Dtype::Bf16, "BF16", 2),
    (Dtype::Bool, "BOOL", 1),
    (Dtype::C64, "C64", 8),
    (Dtype::F8E4M3, "F8_E4M3", 1),
    (Dtype::F8E5M2, "F8_E5M2", 1),
    (Dtype::F8E8M0, "F8_E8M0", 1),
    (Dtype::I16, "I16", 2),
    (Dtype::I32, "I32", 4),
    (Dtype::I64, "I64", 8),
    (Dtype::I8, "I8", 1),
    (Dtype::U16, "U16", 2),
    (Dtype::U32, "U32", 4),
    (Dtype::U64, "U64", 8),
    (Dtype::U8, "U8", 1),
];

impl Dtype {
    /// The format of this name; `None` for one that is not known here.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        ALL.iter().find(|row| row.1 == name).map(|row| row.0)
    }

    /// Its name in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        ALL.get(self as usize).map_or("", |row| row.1)
    }

    /// Bytes of an element.
    #[must_use]
    pub fn bytes(self) -> usize {
        ALL.get(self as usize).map_or(0, |row| row.2)
    }

    /// Whether values can be read from it.
    #[must_use]
    pub const fn is_float(self) -> bool {
        matches!(self, Self::F64 | Self::F32 | Self::F16 | Self::Bf16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_formats() {
        for (i, (dtype, name, bytes)) in ALL.into_iter().enumerate() {
            assert_eq!(dtype as usize, i);
            assert_eq!((dtype.name(), dtype.bytes()), (name, bytes));
            assert_eq!(Dtype::named(name), Some(dtype));
        }
        assert_eq!(Dtype::named("F4"), None);
    }
}
