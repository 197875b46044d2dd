//! What lies in flash: the base network, and recordings of its owner's samples and of test images.
//! All of it is written by the host's program `generate`.

use crate::digits::Recording;

/// Bytes that start where any number may start, so that weights are read in place.
#[repr(C, align(8))]
#[derive(Debug)]
struct Aligned<T: ?Sized>(T);

static SINGLE: &Aligned<[u8]> = &Aligned(*include_bytes!("../data/base.f32.safetensors"));
static HALF: &Aligned<[u8]> = &Aligned(*include_bytes!("../data/base.f16.safetensors"));

/// What weights are stored as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// `f32`.
    Single,
    /// `f16`.
    Half,
}

impl Precision {
    /// Its name in logs and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Single => "f32",
            Self::Half => "f16",
        }
    }

    /// The file of the base network.
    #[must_use]
    pub const fn base(self) -> &'static [u8] {
        match self {
            Self::Single => &SINGLE.0,
            Self::Half => &HALF.0,
        }
    }
}

/// The samples that the owner gives.
pub const OWNER: Recording<'static> = Recording::new(include_bytes!("../data/user.bin"));
/// Test images in the owner's hand.
pub const TEST_OWNER: Recording<'static> = Recording::new(include_bytes!("../data/test-user.bin"));
/// The same images in the hands the base network was trained on.
pub const TEST_OLD: Recording<'static> = Recording::new(include_bytes!("../data/test-old.bin"));
