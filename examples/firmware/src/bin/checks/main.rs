//! What must hold on every device, tried on this one, and what each setup achieves and costs.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
#[path = "../../device/mod.rs"]
mod device;
#[cfg(target_os = "none")]
#[path = "../../vectors.rs"]
mod vectors;

#[cfg(target_os = "none")]
mod program {
    use cortex_m_rt::entry;
    use decora_firmware::app::{AppError, Memory, checks, table};
    use decora_firmware::flash::{ADAPTER, CHECKPOINT, MERGED, erased};
    use decora_firmware::setup::ARENA;

    use crate::device::{Device, stack};

    #[entry]
    fn main() -> ! {
        static mut IN_RAM: [f32; ARENA] = [0.0; ARENA];
        static mut IN_ADAPTER: [u8; ADAPTER] = [0; ADAPTER];
        static mut IN_CHECKPOINT: [u8; CHECKPOINT] = [0; CHECKPOINT];
        static mut IN_MERGED: [u8; MERGED] = [0; MERGED];
        stack::paint();
        let mut memory = Memory {
            arena: IN_RAM,
            adapter: erased(IN_ADAPTER),
            checkpoint: erased(IN_CHECKPOINT),
            merged: erased(IN_MERGED),
        };
        Device::run(|board| all(board, &mut memory))
    }

    fn all(board: &mut Device, memory: &mut Memory<'_>) -> Result<(), AppError> {
        checks::run(board, memory)?;
        table::run(board, memory.arena)
    }
}

#[cfg(not(target_os = "none"))]
fn main() {
    println!("these are checks for a microcontroller: examples/firmware/run runs them");
}
