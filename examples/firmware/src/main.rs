//! The firmware: adapts the network to its owner on a Cortex-M4F, and logs over defmt.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod device;
#[cfg(target_os = "none")]
mod vectors;

#[cfg(target_os = "none")]
mod program {
    use core::mem::MaybeUninit;

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

    /// All memory there is. The flash is emulated: this board has none that it could write.
    #[entry]
    fn main() -> ! {
        static mut IN_RAM: [f32; WORDS] = [0.0; WORDS];
        static mut IN_ADAPTER: [u8; ADAPTER] = [0; ADAPTER];
        static mut IN_CHECKPOINT: [u8; CHECKPOINT] = [0; CHECKPOINT];
        static mut IN_MERGED: [u8; MERGED] = [0; MERGED];
        // `None` is no zeros: a `static` that begins with it would lie in flash, too.
        static mut PLACE: MaybeUninit<Option<Owner<'static>>> = MaybeUninit::uninit();
        stack::paint();
        let memory = Memory {
            arena: IN_RAM,
            adapter: erased(IN_ADAPTER),
            checkpoint: erased(IN_CHECKPOINT),
            merged: erased(IN_MERGED),
        };
        let place = PLACE.write(None);
        Device::run(|board| personalize::run(board, memory, place))
    }
}

#[cfg(not(target_os = "none"))]
fn main() {
    println!("this is firmware: examples/firmware/run builds it for a Cortex-M4F and runs it");
}
