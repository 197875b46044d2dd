//! The network with the adapter merged into it, as a file like that of the base network: W' = g⊙V,
//! written row by row. It reads as before, and costs what the base network costs.

use decora::direction::Direction;
use decora::safetensors::{Sink, write_floats, write_header};

use crate::app::AppError;
use crate::base::Base;
use crate::flash::StoreFault;
use crate::learner::{Device, Learner};
use crate::setup::{LAYERS, MODULES, SIDES};

/// Writes the file. Every element is checked to be finite before the first row of its layer.
///
/// # Errors
/// Those of the sink; a merged weight that is not finite.
pub fn write<'m, D: Direction<Device<'m>>>(
    learner: &mut Learner<'m, D>,
    base: &Base<'_>,
    sink: &mut Sink<'_, StoreFault>,
) -> Result<(), AppError> {
    write_header(sink, |header| {
        for (module, sides) in MODULES.iter().zip(SIDES.windows(2)) {
            let &[inputs, out] = sides else { continue };
            header.tensor(&[module, ".bias"], &[out])?;
            header.tensor(&[module, ".weight"], &[out, inputs])?;
        }
        Ok(())
    })?;
    for layer in 0..LAYERS {
        write_floats(sink, base.bias(layer).iter().copied())?;
        let mut written = Ok(());
        learner.merge(layer, &mut |row| {
            if written.is_ok() {
                written = write_floats(sink, row.iter().copied());
            }
        })?;
        written?;
    }
    Ok(())
}
