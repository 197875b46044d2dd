//! What the tests share.
#![allow(dead_code, reason = "each test uses a part")]

use std::fs;
use std::path::{Path, PathBuf};

use decora_hub::Architecture;
use serde_json::Value;

/// A file that transformers or PEFT made.
pub(crate) fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

pub(crate) fn json(name: &str) -> Value {
    let text = fs::read_to_string(data(name)).expect("run tests/make.py");
    serde_json::from_str(&text).expect("JSON")
}

pub(crate) fn parse(config: &Value) -> Architecture {
    try_parse(config).expect("an architecture")
}

pub(crate) fn try_parse(config: &Value) -> Result<Architecture, decora_hub::HubError> {
    Architecture::parse(Path::new("config.json"), config.to_string().as_bytes())
}

/// The network of this name in `models.json`.
pub(crate) fn network(name: &str) -> Architecture {
    parse(&json("models.json")[name]["config"])
}

pub(crate) fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
    }
}

/// Random numbers that are the same in every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    /// The same bytes with some flipped, cut or put in.
    pub(crate) fn damage(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..=self.below(3) {
            let at = self.below(bytes.len());
            match self.below(6) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, self.next() as u8),
                2 if at < bytes.len() => {
                    bytes[at] = *b"0123456789-.[]{}\",:".get(self.below(19)).expect("one")
                }
                _ if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                _ => {}
            }
        }
        bytes
    }
}
