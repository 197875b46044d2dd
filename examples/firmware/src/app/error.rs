//! What the device cannot go on after.

use core::fmt;

use crate::base::BaseError;
use crate::flash::StoreFault;
use crate::learner::{Fault, LearnError, SaveFault};

/// What the device cannot go on after.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
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
