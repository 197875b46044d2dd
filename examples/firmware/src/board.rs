//! What the program needs of whatever it runs on, and what it says.

use core::fmt;

/// A board, or the host in its place.
pub trait Board {
    /// Instructions executed since it was switched on; 0 where nobody counts them.
    fn instructions(&mut self) -> u64;

    /// Says what happened.
    fn log(&mut self, event: &Event);

    /// Whether a file of this name came from outside.
    fn has(&mut self, name: &str) -> bool;

    /// A file that came from outside: `take` gets its bytes, piece by piece, until it is at its end or
    /// `take` answers that it wants no more.
    fn receive(&mut self, name: &str, take: &mut dyn FnMut(&[u8]) -> bool);

    /// Hands a file out.
    fn send(&mut self, name: &str, bytes: &[u8]);
}

/// How many test images were read rightly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Score {
    /// Right.
    pub right: u32,
    /// Of so many.
    pub of: u32,
}

impl Score {
    /// Tenths of a percent.
    #[must_use]
    pub const fn permille(&self) -> u32 {
        match (self.right * 1000 + self.of / 2).checked_div(self.of) {
            Some(permille) => permille,
            None => 0,
        }
    }
}

/// What an adaptation cost, in words of RAM and in instructions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Cost {
    /// Bytes of the arena.
    pub arena: u32,
    /// Instructions of a forward and backward pass of one sample, on average.
    pub sample: u32,
    /// Instructions of an optimiser step and the norms after it, on average.
    pub step: u32,
    /// Instructions of reading one image, on average; 0 where that was not measured.
    pub inference: u32,
}

/// What the program says, in the order in which it happens.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// It starts, and this is what it found in its store.
    Started {
        /// Bytes of the arena.
        arena: u32,
        /// The base network.
        base: u64,
    },
    /// Nothing is stored: the device runs with its base network.
    Fresh,
    /// An adapter or a checkpoint was taken from the store.
    Loaded {
        /// Steps it had been trained.
        steps: u64,
    },
    /// Something in the store or from outside is refused; the device runs on with what it had.
    Refused {
        /// Why, by its number; see [`Why`].
        why: Why,
    },
    /// How good the network is.
    Accuracy {
        /// When: `before`, `after`, `merged`, `received`.
        when: &'static str,
        /// On the owner's images.
        owner: Score,
        /// On the old users' images.
        old: Score,
    },
    /// One epoch of training.
    Epoch {
        /// Which, from 1.
        number: u32,
        /// The mean loss of its samples.
        loss: f32,
    },
    /// A hash of all that was computed so far: the same on every machine.
    Digest {
        /// After so many steps.
        steps: u64,
        /// Of all losses and parameters.
        hash: u64,
    },
    /// A file is in the store.
    Saved {
        /// What it is.
        what: &'static str,
        /// Its length in bytes.
        bytes: u32,
    },
    /// Something that must hold.
    Check {
        /// What.
        what: &'static str,
        /// Whether it does.
        holds: bool,
    },
    /// One adaptation, whole: a row of the table.
    Adapted {
        /// Which setup.
        setup: &'static str,
        /// What the weights are stored as.
        weights: &'static str,
        /// On the owner's images, before.
        before: Score,
        /// On the owner's images, after.
        after: Score,
    },
    /// What an adaptation cost.
    Spent(Cost),
}

/// Why something was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Why {
    /// Its checksum is wrong: bits have changed.
    Checksum,
    /// The file is cut short, or no safetensors file.
    File,
    /// It belongs to another base network.
    OtherBase,
    /// It adapts other layers, or has other shapes.
    Shapes,
    /// The records of the store cannot be read.
    Store,
    /// There is no room for it.
    TooLarge,
    /// A sample that is not finite, or whose label is no digit.
    Sample,
    /// A loss that is not finite.
    Diverged,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl Why {
    /// In words.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Checksum => "its checksum is wrong: bits have changed",
            Self::File => "it is cut short, or no safetensors file",
            Self::OtherBase => "it belongs to another base network",
            Self::Shapes => "it adapts other layers, or has other shapes",
            Self::Store => "the records of the store cannot be read",
            Self::TooLarge => "there is no room for it",
            Self::Sample => "a sample that is not finite, or whose label is no digit",
            Self::Diverged => "a loss that is infinite or not a number",
        }
    }
}
