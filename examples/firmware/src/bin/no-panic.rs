//! Links only if nothing that the device does to learn can panic: the panic handler calls a function
//! that does not exist, so that a panic that is reachable is an undefined symbol.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod device {
    use core::hint::black_box;
    use core::panic::PanicInfo;

    use cortex_m::singleton;
    use cortex_m_rt::entry;
    use cortex_m_semihosting::debug::{EXIT_FAILURE, EXIT_SUCCESS, exit};
    use decora_firmware::base::Base;
    use decora_firmware::digits::{self, RECORD};
    use decora_firmware::learner::{LearnError, Learner};
    use decora_firmware::setup::{ARENA, Setup, training};

    #[entry]
    fn main() -> ! {
        let arena = singleton!(: [f32; ARENA] = [0.0; ARENA]);
        let learned = arena.map(|arena| learn(arena));
        exit(if matches!(learned, Some(Ok(()))) { EXIT_SUCCESS } else { EXIT_FAILURE });
        loop {}
    }

    /// All that training calls, on data that the compiler knows nothing of.
    fn learn(arena: &mut [f32]) -> Result<(), LearnError> {
        let base = Base::zero();
        let mut learner = Learner::new(arena, &base, black_box(&Setup::ALL), training())?;
        for number in 0..black_box(40) {
            let sample = digits::sample(&black_box([0; RECORD]));
            learner.learn(number, &sample)?;
            black_box(learner.outputs(&sample.pixels)?);
        }
        Ok(())
    }

    #[panic_handler]
    fn panic(_: &PanicInfo<'_>) -> ! {
        unsafe extern "C" {
            fn a_panic_is_reachable() -> !;
        }
        // SAFETY: never called, and never linked: see above.
        unsafe { a_panic_is_reachable() }
    }
}

#[cfg(not(target_os = "none"))]
fn main() {
    println!("build this for a microcontroller: it is a test of the linker");
}
