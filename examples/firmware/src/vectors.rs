//! The vectors of the board's interrupts. No program here uses one, so that the table ends after the
//! processor's own exceptions and one word; the crate of your chip brings them all.

/// Never read: no interrupt is enabled.
// SAFETY: nothing else has this name or this section, which is the place of the vectors.
#[unsafe(link_section = ".vector_table.interrupts")]
#[unsafe(no_mangle)]
static __INTERRUPTS: [usize; 1] = [0];
