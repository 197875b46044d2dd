//! The firmware in an emulator. `tests/run` builds it, and says here where it is.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use decora_firmware::app::INCOMING;

/// The folder with the programs.
pub(crate) fn programs() -> PathBuf {
    std::env::var_os("DECORA_FIRMWARE").expect("DECORA_FIRMWARE: folder of the firmware").into()
}

/// What a program said and handed out.
pub(crate) struct Outcome {
    pub(crate) log: String,
    pub(crate) sent: BTreeMap<String, Vec<u8>>,
    pub(crate) succeeded: bool,
}

impl Outcome {
    /// The digests it logged.
    pub(crate) fn digests(&self) -> Vec<(u64, u64)> {
        let digest = |line: &str| {
            let (steps, hash) = line.split_once("digest ")?.1.split_once(": ")?;
            Some((steps.parse().ok()?, u64::from_str_radix(hash.trim(), 16).ok()?))
        };
        self.log.lines().filter_map(digest).collect()
    }

    /// The number before these words.
    pub(crate) fn number_before(&self, words: &str) -> usize {
        let line = self.log.lines().find(|line| line.contains(words)).expect(words);
        let before = line.split(words).next().unwrap().split_whitespace().next_back();
        before.unwrap().parse().expect(words)
    }
}

fn emulator(program: &str) -> Command {
    let mut command = Command::new("qemu-system-arm");
    command
        .args(["-cpu", "cortex-m4", "-machine", "mps2-an386", "-nographic", "-icount", "shift=0"])
        .args(["-semihosting-config", "enable=on,target=native", "-kernel"])
        .arg(programs().join(program))
        .stdin(Stdio::null());
    command
}

/// What a program prints that does not log.
pub(crate) fn print(program: &str) -> String {
    let output = emulator(program).output().expect("qemu-system-arm runs");
    assert!(output.status.success(), "{program}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a program of the firmware, with what came from elsewhere.
pub(crate) fn run(program: &str, incoming: Option<&[u8]>) -> Outcome {
    let dir = tempfile::tempdir().unwrap();
    if let Some(bytes) = incoming {
        fs::write(dir.path().join(INCOMING), bytes).unwrap();
    }
    let elf = programs().join(program);
    let mut emulator = emulator(program)
        .current_dir(dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("qemu-system-arm runs");
    let printer = std::env::var_os("DEFMT_PRINT").expect("DEFMT_PRINT: path of defmt-print");
    let decoded = Command::new(printer)
        .arg("-e")
        .arg(&elf)
        .arg("stdin")
        .stdin(emulator.stdout.take().unwrap())
        .output()
        .expect("defmt-print runs");
    let succeeded = emulator.wait().unwrap().success();
    let log = String::from_utf8(decoded.stdout).unwrap();
    let mut sent = BTreeMap::new();
    for entry in fs::read_dir(dir.path()).unwrap().map(Result::unwrap) {
        let mut bytes = Vec::new();
        fs::File::open(entry.path()).unwrap().read_to_end(&mut bytes).unwrap();
        sent.insert(entry.file_name().into_string().unwrap(), bytes);
    }
    Outcome { log, sent, succeeded }
}
