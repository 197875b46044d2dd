//! Adapter files of the core, which has no heap, held against the format's own library and against
//! a file that PEFT wrote.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod checkpoint;
mod damage;
mod format;
mod refused;
mod run;

use std::path::Path;

/// The bytes of a file with this header and data.
fn file(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

/// An adapter that PEFT itself wrote: three layers, 6 → 7 → 5 → 3, rank 2, DoRA.
fn golden() -> Vec<u8> {
    let path = "golden/peft_adapter/adapter_model.safetensors";
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}
