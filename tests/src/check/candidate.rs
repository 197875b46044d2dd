//! What can be tried.

use core::fmt;
use std::rc::Rc;

use decora::backend::Backend;
use decora::network::Network;
use decora::scalar::Scalar;
use decora::sequence::Sequence;

use crate::against::{Part, Playing, Property, Recorder};
use crate::report::Report;
use crate::strict::Strict;
use crate::{
    each_of_adapters, each_of_backend, each_of_gradients, each_of_mlp, each_of_network,
    each_of_sequence, each_of_sequence_gradients,
};

type Open = dyn Fn() -> Result<Devices, String>;

/// A backend by its name on the command line, and how to get at its device.
pub struct Candidate {
    pub(super) name: &'static str,
    open: Box<Open>,
}

impl Candidate {
    /// A backend of this name. `open` is called when it is asked for, and answers with a line of
    /// text where the device is not there.
    pub fn new(name: &'static str, open: impl Fn() -> Result<Devices, String> + 'static) -> Self {
        Self { name, open: Box::new(open) }
    }

    /// The device, in all its scalars.
    ///
    /// # Errors
    /// Why it is not there.
    pub fn open(&self) -> Result<Devices, String> {
        (self.open)()
    }
}

impl fmt::Debug for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Candidate").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What a property is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// A method of the contract.
    Operation,
    /// What holds for adapters and networks on every device.
    Invariant,
    /// Gradients against differences.
    Gradient,
    /// A method of the contract once more, in [`Strict`]: named `strict/` and its name.
    Strict,
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Operation => "operation",
            Self::Invariant => "invariant",
            Self::Gradient => "gradient",
            Self::Strict => "strict",
        })
    }
}

/// A property that can be tried on a device in one scalar.
pub struct Trialled {
    /// Its name.
    pub name: &'static str,
    /// What it is about.
    pub group: Group,
    /// The name of the scalar.
    pub scalar: &'static str,
    pub(super) recorder: fn() -> Recorder,
    pub(super) run: Box<dyn Fn(Part) -> Report>,
}

impl fmt::Debug for Trialled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.name, self.scalar)
    }
}

/// A device in one or more scalars, and every property that can be tried on it.
pub struct Devices {
    pub(super) name: String,
    pub(super) properties: Vec<Trialled>,
    pub(super) messages: Box<dyn Fn() -> Vec<String>>,
}

impl fmt::Debug for Devices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, properties, .. } = self;
        f.debug_struct("Devices").field("name", name).field("properties", properties).finish()
    }
}

/// A property, what it is called, and what it is called in [`Strict`].
type Entry<B> = (&'static str, &'static str, Property<B>);

macro_rules! entries {
    ($module:ident: $($property:ident)*) => {
        &[$((
            stringify!($property),
            concat!("strict/", stringify!($property)),
            crate::$module::$property as Property<_>,
        )),*]
    };
}

impl Devices {
    /// A device, named as a reader of the results knows it, in no scalar yet.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), properties: Vec::new(), messages: Box::new(Vec::new) }
    }

    /// Also in the scalar of `B`, for devices without [`Network`]; `make` makes a fresh one.
    #[must_use]
    pub fn backend<B: Backend + 'static>(mut self, make: impl Fn() -> B + 'static) -> Self {
        let make: Rc<dyn Fn() -> B> = Rc::new(make);
        self.add(Group::Operation, each_of_backend!([entries]), &make);
        self.add(Group::Invariant, each_of_adapters!([entries]), &make);
        self.add(Group::Strict, each_of_backend!([entries]), &strict(&make));
        self
    }

    /// Also in the scalar of `B`; `make` makes a fresh device.
    #[must_use]
    pub fn sequence<B: Sequence + 'static>(self, make: impl Fn() -> B + 'static) -> Self {
        let make: Rc<dyn Fn() -> B> = Rc::new(make);
        let mut of = self.network({
            let make = Rc::clone(&make);
            move || make()
        });
        of.add(Group::Operation, each_of_sequence!([entries]), &make);
        of.add(Group::Strict, each_of_sequence!([entries]), &strict(&make));
        of
    }

    /// Also in the scalar of `B`, for devices without [`Sequence`]; `make` makes a fresh one.
    #[must_use]
    pub fn network<B: Network + 'static>(mut self, make: impl Fn() -> B + 'static) -> Self {
        let make: Rc<dyn Fn() -> B> = Rc::new(make);
        self.add(Group::Operation, each_of_backend!([entries]), &make);
        self.add(Group::Operation, each_of_network!([entries]), &make);
        self.add(Group::Invariant, each_of_adapters!([entries]), &make);
        self.add(Group::Invariant, each_of_mlp!([entries]), &make);
        self.add(Group::Strict, each_of_backend!([entries]), &strict(&make));
        self.add(Group::Strict, each_of_network!([entries]), &strict(&make));
        self
    }

    /// Also gradients, for devices whose numbers are `f64`.
    #[must_use]
    pub fn gradients<B>(mut self, make: impl Fn() -> B + 'static) -> Self
    where
        B: Network<Scalar = f64> + 'static,
    {
        let make: Rc<dyn Fn() -> B> = Rc::new(make);
        self.add(Group::Gradient, each_of_gradients!([entries]), &make);
        self
    }

    /// Also gradients of networks over sequences, for devices whose numbers are `f64`.
    #[must_use]
    pub fn sequence_gradients<B>(mut self, make: impl Fn() -> B + 'static) -> Self
    where
        B: Sequence<Scalar = f64> + 'static,
    {
        let make: Rc<dyn Fn() -> B> = Rc::new(make);
        self.add(Group::Gradient, each_of_sequence_gradients!([entries]), &make);
        self
    }

    /// `messages` answers with everything that a checker of the device (a validation layer, a
    /// sanitiser) has said so far. What is new after a property is a failure of that property.
    #[must_use]
    pub fn messages(mut self, messages: impl Fn() -> Vec<String> + 'static) -> Self {
        self.messages = Box::new(messages);
        self
    }

    /// The names of the scalars, in the order in which they were added.
    #[must_use]
    pub fn scalars(&self) -> Vec<&'static str> {
        let mut all: Vec<_> = self.properties.iter().map(|property| property.scalar).collect();
        all.dedup();
        all
    }

    fn add<B: Backend + 'static>(
        &mut self,
        group: Group,
        entries: &[Entry<B>],
        make: &Rc<dyn Fn() -> B>,
    ) {
        for &(name, strict, property) in entries {
            let name = if group == Group::Strict { strict } else { name };
            let make = Rc::clone(make);
            self.properties.push(Trialled {
                name,
                group,
                scalar: B::Scalar::NAME,
                recorder: Recorder::new::<B::Scalar>,
                run: Box::new(move |part| {
                    let make = &*make;
                    Report { op: name, ..property(&Playing { make, part }) }
                }),
            });
        }
    }
}

fn strict<B: Backend + 'static>(make: &Rc<dyn Fn() -> B>) -> Rc<dyn Fn() -> Strict<B>> {
    let make = Rc::clone(make);
    Rc::new(move || Strict::new(make()))
}
