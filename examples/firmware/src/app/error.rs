//! What the device cannot go on after.

use core::fmt;

use crate::base::BaseError;
use crate::flash::StoreFault;
use crate::learner::{Fault, LearnError, SaveFault};

/// What the device cannot go on after.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AppError {
    /// There is no base network to run.
    Base(BaseError),
    /// It cannot learn.
    Learn(LearnError),
    /// What it learned cannot be written.
    Save(SaveFault),
    /// It cannot save.
    Store(StoreFault),
}

impl AppError {
    /// In a few words. Formatting whole errors would take kilobytes of the device; on a host they say
    /// what was found and what was expected.
    #[must_use]
    pub const fn text(&self) -> &'static str {
        match self {
            Self::Base(_) => "there is no base network to run",
            Self::Learn(LearnError::Diverged { .. }) => "a loss is infinite or not a number",
            Self::Learn(LearnError::Label { .. } | LearnError::Pixel { .. }) => {
                "a sample is refused"
            }
            Self::Learn(LearnError::Library(_)) => "the network cannot learn",
            Self::Save(_) => "what was learned cannot be written",
            Self::Store(_) => "the store cannot save or load",
        }
    }
}

impl fmt::Display for AppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Base(e) => e.fmt(f),
            Self::Learn(e) => e.fmt(f),
            Self::Save(e) => e.fmt(f),
            Self::Store(e) => e.fmt(f),
        }
    }
}

impl core::error::Error for AppError {}

impl From<BaseError> for AppError {
    fn from(e: BaseError) -> Self {
        Self::Base(e)
    }
}

impl From<LearnError> for AppError {
    fn from(e: LearnError) -> Self {
        Self::Learn(e)
    }
}

impl From<Fault> for AppError {
    fn from(e: Fault) -> Self {
        Self::Learn(LearnError::Library(e))
    }
}

impl From<SaveFault> for AppError {
    fn from(e: SaveFault) -> Self {
        Self::Save(e)
    }
}

impl From<StoreFault> for AppError {
    fn from(e: StoreFault) -> Self {
        Self::Store(e)
    }
}
