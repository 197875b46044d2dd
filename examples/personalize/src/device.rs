//! Devices that are replaced when they are lost: all work on a device goes through here.

use core::fmt;

use decora::error::{DeviceError, ErrorKind};
use decora::network::Network;

use crate::error::Error;
use crate::net::NetResult;

/// New devices in the place of lost ones, for one seed. A device that is lost again and again is
/// lost for a reason that another new one does not take away.
const REPLACEMENTS: u32 = 3;

/// How devices are made, and how far a run falls back when its device is lost.
pub struct Source<'m, B> {
    make: &'m (dyn Fn() -> Result<B, Error> + Sync),
    /// Steps between two copies of a run; 0: none, a run begins again.
    pub shadow: u64,
}

impl<B> Clone for Source<'_, B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B> Copy for Source<'_, B> {}

impl<B> fmt::Debug for Source<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source(shadow: {})", self.shadow)
    }
}

impl<'m, B: Network> Source<'m, B> {
    /// Devices that `make` makes, each time a sound one.
    pub fn new(make: &'m (dyn Fn() -> Result<B, Error> + Sync), shadow: u64) -> Self {
        Self { make, shadow }
    }

    /// A device.
    ///
    /// # Errors
    /// What makes devices answers.
    pub fn open(self) -> Result<Device<'m, B>, Error> {
        Ok(Device { be: (self.make)()?, source: self, number: 0 })
    }
}

/// A device, and the way to another.
#[derive(Debug)]
pub struct Device<'m, B: Network> {
    be: B,
    source: Source<'m, B>,
    /// How many were lost before this one.
    number: u32,
}

impl<B: Network> Device<'_, B> {
    /// Steps between two copies of a run.
    #[must_use]
    pub fn shadow(&self) -> u64 {
        self.source.shadow
    }

    /// What `f` answers: on a new device, when one is lost meanwhile. `what` is being done.
    ///
    /// # Errors
    /// [`Error::Network`]; what makes devices answers.
    pub fn run<T>(
        &mut self,
        what: &str,
        mut f: impl FnMut(&mut B) -> NetResult<T, B>,
    ) -> Result<T, Error> {
        self.numbered(what, |be, _| f(be))
    }

    /// As [`run`](Device::run), with the number of the device, so that whoever keeps something on
    /// one notices that it is another.
    ///
    /// # Errors
    /// As [`run`](Device::run).
    pub fn numbered<T>(
        &mut self,
        what: &str,
        mut f: impl FnMut(&mut B, u32) -> NetResult<T, B>,
    ) -> Result<T, Error> {
        loop {
            match f(&mut self.be, self.number) {
                Err(e) if is_lost(&e) && self.number < REPLACEMENTS => {
                    eprintln!("{what}: {e}; going on with a new device");
                    self.be = (self.source.make)()?;
                    self.number += 1;
                }
                answer => return answer.map_err(Error::network(what)),
            }
        }
    }
}

fn is_lost<E: DeviceError>(e: &decora::error::Error<E>) -> bool {
    matches!(e, decora::error::Error::Device(e) if e.kind() == ErrorKind::Lost)
}
