//! Links only if nothing that the device does to learn can panic: the panic handler calls a function
//! that does not exist, so that a panic that is reachable is an undefined symbol.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
#[path = "../vectors.rs"]
mod vectors;

#[cfg(target_os = "none")]
mod device {
    use core::hint::black_box;
    use core::panic::PanicInfo;

    use cortex_m::singleton;
    use cortex_m_rt::entry;
    use cortex_m_semihosting::debug::{EXIT_FAILURE, EXIT_SUCCESS, exit};
    use decora::safetensors::File;
    use decora_firmware::adapt::{Run, score};
    use decora_firmware::base::Base;
    use decora_firmware::board::{Board, Event};
    use decora_firmware::data::Precision;
    use decora_firmware::digits::{RECORD, Recording};
    use decora_firmware::learner::{Content, LearnError, Learner, LowRank};
    use decora_firmware::setup::{ARENA, Setup, training};

    #[entry]
    fn main() -> ! {
        let arena = singleton!(: [f32; ARENA] = [0.0; ARENA]);
        let place = singleton!(: Option<Learner<'static, LowRank<'static>>> = None);
        let learned = arena.zip(place).map(|(arena, place)| learn(arena, place));
        exit(if matches!(learned, Some(Ok(()))) { EXIT_SUCCESS } else { EXIT_FAILURE });
        loop {
            cortex_m::asm::wfi();
        }
    }

    /// All that learning calls, on data that the compiler knows nothing of: weights in each format,
    /// forward, backward, optimiser, norms, merging, and files that are written and read.
    fn learn(
        arena: &'static mut [f32],
        place: &mut Option<Learner<'static, LowRank<'static>>>,
    ) -> Result<(), LearnError> {
        let Ok(base) = Base::parse(black_box(Precision::Half.base())) else { return Ok(()) };
        let learner = Learner::start(place, arena, &base, black_box(&Setup::ALL), training())?;
        let records: &[u8] = black_box(&[0; 40 * RECORD]);
        Run::default().epoch(&mut Silent, learner, Recording::new(records))?;
        black_box(score(learner, Recording::new(records))?);
        learner.merge(black_box(1), &mut |row| _ = black_box(row))?;
        let saved = learner.save(black_box(Content::Checkpoint), &mut |bytes| {
            black_box(bytes);
            Ok(())
        });
        let loaded = File::parse(black_box(&[0; 64])).map(|file| learner.load(&file));
        black_box((saved.is_ok(), loaded.is_ok()));
        Ok(learner.reset()?)
    }

    struct Silent;

    impl Board for Silent {
        fn instructions(&mut self) -> u64 {
            black_box(0)
        }

        fn log(&mut self, event: &Event) {
            black_box(event);
        }

        fn has(&mut self, _: &str) -> bool {
            false
        }

        fn receive(&mut self, _: &str, _: &mut dyn FnMut(&[u8]) -> bool) {}

        fn send(&mut self, _: &str, _: &[u8]) {}
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
