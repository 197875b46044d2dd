//! What a buffer holds: activations, numbers to sum in, or indices.

use crate::scalar::{Element, Scalar};

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Act {}
    impl Sealed for super::Acc {}
    impl Sealed for super::Index {}
}

/// What a buffer is for. With the backend's [`Scalar`] it decides the element type, so that a
/// backend has three element types and never a cross product of them.
pub trait Role: sealed::Sealed + Copy + core::fmt::Debug + 'static {
    /// The element type on a backend whose activations are made of `S`.
    type Of<S: Scalar>: Element;
    /// Which of the three this is.
    const KIND: RoleKind;
}

/// The three roles as values: what a device picks its kernel by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RoleKind {
    /// [`Acc`].
    Acc,
    /// [`Act`].
    Act,
    /// [`Index`].
    Index,
}

/// Activations and their gradients: elements are [`Scalar`].
#[derive(Clone, Copy, Debug)]
pub enum Act {}

/// Parameters, norms, gradients of parameters, optimiser moments, sums: elements are
/// [`Scalar::Accum`].
#[derive(Clone, Copy, Debug)]
pub enum Acc {}

/// Class labels and token numbers: elements are `u32`.
#[derive(Clone, Copy, Debug)]
pub enum Index {}

impl Role for Act {
    type Of<S: Scalar> = S;
    const KIND: RoleKind = RoleKind::Act;
}

impl Role for Acc {
    type Of<S: Scalar> = S::Accum;
    const KIND: RoleKind = RoleKind::Acc;
}

impl Role for Index {
    type Of<S: Scalar> = u32;
    const KIND: RoleKind = RoleKind::Index;
}

/// The roles one can calculate with: all but [`Index`].
pub trait Float: Role {}

impl Float for Act {}
impl Float for Acc {}

/// Device memory. Not `Clone`: `&` reads and `&mut` writes, so that the compiler proves that no
/// operation's output aliases its inputs.
pub trait Buffer: core::fmt::Debug {
    /// Elements, not bytes.
    fn len(&self) -> usize;
    /// No elements.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
