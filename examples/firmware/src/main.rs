//! The firmware: adapts the network to its owner on a Cortex-M4F, and logs over defmt.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod device;

#[cfg(target_os = "none")]
mod program {
    use cortex_m::singleton;
    use cortex_m_rt::entry;
    use decora_firmware::app::Memory;
    use decora_firmware::app::personalize::{self, Owner};
    use decora_firmware::flash::{ADAPTER, CHECKPOINT, MERGED, erased};
    use decora_firmware::setup::{ARENA, Setup};

    use crate::device::{Device, stack};

    /// The arena, its length known to the compiler.
    const WORDS: usize = Setup::ALL.words();
    // The build fails when it exceeds its budget.
    const _: () = assert!(WORDS <= ARENA);

    #[entry]
    fn main() -> ! {
        stack::paint();
        Device::run(|board| {
            let place = singleton!(: Option<Owner<'static>> = None)?;
            Some(personalize::run(board, memory()?, place))
        })
    }

    /// All memory there is, once. The flash is emulated: this board has none that it could write.
    fn memory() -> Option<Memory<'static>> {
        Some(Memory {
            arena: singleton!(: [f32; WORDS] = [0.0; WORDS])?,
            adapter: erased(singleton!(: [u8; ADAPTER] = [0; ADAPTER])?),
            checkpoint: erased(singleton!(: [u8; CHECKPOINT] = [0; CHECKPOINT])?),
            merged: erased(singleton!(: [u8; MERGED] = [0; MERGED])?),
        })
    }
}

#[cfg(not(target_os = "none"))]
fn main() {
    println!("this is firmware: examples/firmware/run builds it for a Cortex-M4F and runs it");
}
