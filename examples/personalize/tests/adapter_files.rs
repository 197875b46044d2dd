//! Adapter files: PEFT's are read and written back the same, and no damage goes unnoticed.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs;
use std::path::PathBuf;

use decora::init::Rng;
use personalize::peft::{CONFIG, MODEL, decode, encode, load, save};

/// What PEFT itself wrote.
fn golden() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/peft_adapter")
}

fn bytes() -> Vec<u8> {
    fs::read(golden().join(MODEL)).unwrap()
}

/// A file with this header and these data.
fn file(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

#[track_caller]
fn refused(bytes: &[u8], words: &[&str]) {
    let error = decode(bytes).unwrap_err().to_string();
    assert!(words.iter().all(|w| error.contains(w)), "{error:?} names not all of {words:?}");
    assert!(!error.contains('\n'), "one line: {error:?}");
}

#[test]
fn a_file_from_peft_is_read_and_written_back_with_the_same_tensors() {
    let adapter = load(&golden()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    save(dir.path(), &adapter).unwrap();
    assert_eq!(load(dir.path()).unwrap(), adapter, "settings and tensors survive");
    let again = fs::read(dir.path().join(MODEL)).unwrap();
    let (theirs, ours) = (bytes(), again);
    let (theirs, ours) =
        [&theirs, &ours].map(|b| safetensors::SafeTensors::deserialize(b).unwrap()).into();
    let mut names = theirs.names();
    names.sort();
    for name in &names {
        let (a, b) = (theirs.tensor(name).unwrap(), ours.tensor(name).unwrap());
        assert_eq!((a.dtype(), a.shape(), a.data()), (b.dtype(), b.shape(), b.data()), "{name}");
    }
    assert_eq!(ours.len(), names.len(), "no tensor more");
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let bytes = bytes();
    for end in 0..bytes.len() {
        let error = decode(&bytes[..end]).unwrap_err().to_string();
        assert!(error.contains("found") || error.contains("header"), "{end}: {error}");
    }
}

#[test]
fn a_flipped_bit_never_panics_and_is_refused_or_changes_the_tensors() {
    let (whole, mut rng) = (bytes(), Rng::new(11));
    let original = decode(&whole).unwrap();
    let (mut refusals, tries) = (0, 4000);
    for _ in 0..tries {
        let (at, bit) = (rng.below(whole.len()), rng.below(8));
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << bit;
        match decode(&bytes) {
            Err(_) => refusals += 1,
            // Metadata and white space may change without a tensor changing.
            Ok(tensors) => assert!(tensors != original || at < whole.len() / 2, "byte {at}"),
        }
    }
    assert!(refusals > tries / 10, "{refusals} of {tries} refused");
}

#[test]
fn what_is_wrong_is_named() {
    refused(&[1, 2, 3], &["found 3 bytes", "8"]);
    refused(&u64::MAX.to_le_bytes(), &["header", &u64::MAX.to_string()]);
    let entry = |dtype: &str, shape: &str, from: usize, to: usize| {
        format!(r#"{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{from},{to}]}}"#)
    };
    let one = |e: String| format!(r#"{{"t":{e}}}"#);
    refused(&file(&one(entry("BF16", "[1]", 0, 2)), &[0; 2]), &["t", "BF16", "F32"]);
    refused(&file(&one(entry("F32", "[2]", 0, 4)), &[0; 4]), &["t", "4", "8"]);
    refused(&file(&one(entry("F32", "[1]", 8, 12)), &[0; 4]), &["t", "8", "12"]);
    let two =
        format!(r#"{{"a":{},"b":{}}}"#, entry("F32", "[2]", 0, 8), entry("F32", "[2]", 4, 12));
    refused(&file(&two, &[0; 12]), &["b", "4", "12"]);
    refused(&file(&one(entry("F32", "[1]", 0, 4)), &[0; 8]), &["8", "4"]);
    let huge = one(entry("F32", &format!("[{},{}]", usize::MAX, usize::MAX), 0, 4));
    refused(&file(&huge, &[0; 4]), &["t"]);
    let nan = f32::NAN.to_le_bytes();
    refused(&file(&one(entry("F32", "[1]", 0, 4)), &nan), &["t", "0"]);
}

#[test]
fn deep_json_is_refused_and_not_followed() {
    for depth in [200, 100_000] {
        let deep = format!(r#"{{"t":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        refused(&file(&deep, &[]), &["header"]);
    }
}

#[test]
fn settings_and_tensors_that_do_not_fit_each_other_are_refused() {
    let config = fs::read_to_string(golden().join(CONFIG)).unwrap();
    let damages = [
        ("\"r\": 2", "\"r\": 3", "shape"),
        ("\"r\": 2", "\"r\": 0", "found 0"),
        ("\"peft_type\": \"LORA\"", "\"peft_type\": \"VERA\"", "VERA"),
        ("\"use_dora\": true", "\"use_dora\": false", "lora_magnitude_vector"),
        ("\"layers.1\"", "\"layers.7\"", "layers.1"),
        ("{", "", "adapter_config.json"),
    ];
    for (from, to, word) in damages {
        assert!(config.contains(from), "{from} is in the file");
        let dir = tempfile::tempdir().unwrap();
        fs::copy(golden().join(MODEL), dir.path().join(MODEL)).unwrap();
        fs::write(dir.path().join(CONFIG), config.replacen(from, to, 1)).unwrap();
        let error = load(dir.path()).unwrap_err().to_string();
        assert!(error.contains(word), "{from} as {to}: {error:?} does not name {word:?}");
    }
}

#[test]
fn a_missing_magnitude_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let mut tensors = decode(&bytes()).unwrap();
    tensors.retain(|name, _| !name.ends_with("layers.1.lora_magnitude_vector"));
    fs::copy(golden().join(CONFIG), dir.path().join(CONFIG)).unwrap();
    fs::write(dir.path().join(MODEL), encode(&tensors, None).unwrap()).unwrap();
    let error = load(dir.path()).unwrap_err().to_string();
    assert!(error.contains("layers.1.lora_magnitude_vector"), "{error}");
}
