//! PEFT's files beyond their tensors: the same bytes as PEFT's, settings and networks that fit or
//! do not, offsets that lie. `adapter_files.rs` has the rest.

use std::fs;
use std::path::{Path, PathBuf};

use decora::init::Rng;
use decora::param::Slot;
use personalize::peft::{self, Adapter, CONFIG, Config, MODEL, PeftError, Tensor, Tensors};

type Test = Result<(), Box<dyn core::error::Error>>;

/// An adapter that PEFT itself wrote: three layers, 6 → 7 → 5 → 3, rank 2, DoRA.
fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/peft_adapter")
}

fn layers(widths: &[usize]) -> Vec<(String, usize, usize)> {
    let layer = |(i, w): (usize, &[usize])| (format!("layers.{i}"), w[1], w[0]);
    widths.windows(2).enumerate().map(layer).collect()
}

/// The bytes of a safetensors file.
fn file(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

fn tensor(shape: &[usize]) -> Tensor {
    let values = (0..shape.iter().product::<usize>()).map(|i| i as f32).collect();
    Tensor { shape: shape.to_vec(), values }
}

/// A DoRA adapter of rank 2 on one layer, 4 → 3.
fn small() -> Tensors {
    let one = [(Slot::LoraA, &[2, 4][..]), (Slot::LoraB, &[3, 2]), (Slot::Magnitude, &[3])];
    one.map(|(slot, shape)| (peft::key("layers.0", slot), tensor(shape))).into()
}

fn small_config() -> Config {
    Config::new(2, 4, true, vec!["layers.0".to_owned()])
}

#[test]
fn what_peft_wrote_is_read_and_written_again_byte_for_byte() -> Test {
    let adapter = peft::load(&golden())?;
    adapter.fits(&layers(&[6, 7, 5, 3]))?;
    assert_eq!((adapter.config().r, adapter.config().alpha()), (2, 4.0));
    assert!(adapter.module("layers.2").and_then(|m| m.m).is_some_and(|m| m.shape == [3]));
    let dir = tempfile::tempdir()?;
    peft::save(dir.path(), &adapter)?;
    for name in [MODEL, CONFIG] {
        let (ours, theirs) = (fs::read(dir.path().join(name))?, fs::read(golden().join(name))?);
        assert_eq!(ours.trim_ascii_end(), theirs.trim_ascii_end(), "{name}");
    }
    assert_eq!(peft::load(dir.path())?, adapter);
    Ok(())
}

#[test]
fn a_new_configuration_has_the_fields_of_pefts_own() -> Test {
    let theirs: serde_json::Value = serde_json::from_slice(&fs::read(golden().join(CONFIG))?)?;
    let ours: serde_json::Value = serde_json::from_str(&small_config().to_json()?)?;
    let names = |v: &serde_json::Value| -> Vec<String> {
        v.as_object().into_iter().flat_map(|o| o.keys().cloned()).collect()
    };
    assert_eq!(names(&ours), names(&theirs));
    assert_eq!(Config::parse(small_config().to_json()?.as_bytes())?, small_config());
    Ok(())
}

#[test]
fn random_damage_never_panics() -> Test {
    let (bytes, config) = (fs::read(golden().join(MODEL))?, fs::read(golden().join(CONFIG))?);
    let mut rng = Rng::new(5);
    let mut damage = |bytes: &[u8]| {
        let mut damaged = bytes.to_vec();
        for _ in 0..=rng.below(3) {
            // Half of the time in the header, where it matters.
            let end = if rng.below(2) == 0 { damaged.len().min(940) } else { damaged.len() };
            let at = rng.below(end);
            damaged[at] = rng.next_u64() as u8;
        }
        damaged
    };
    let (mut refused, rounds) = (0, 20_000);
    for _ in 0..rounds {
        let settings = Config::parse(&damage(&config));
        let tensors = peft::decode(&damage(&bytes));
        let adapter = settings.and_then(|settings| Adapter::new(settings, tensors?));
        if let Err(e) = adapter.and_then(|a| a.fits(&layers(&[6, 7, 5, 3]))) {
            refused += 1;
            assert!(!e.to_string().contains('\n'), "{e}");
        }
    }
    assert!(refused > rounds / 2, "{refused} of {rounds}");
    Ok(())
}

#[test]
fn headers_that_lie_are_caught() {
    let decode = |header: &str, data: &[u8]| peft::decode(&file(header, data)).err();
    let entry =
        |from: u64, to: u64| format!(r#""dtype":"F32","shape":[1],"data_offsets":[{from},{to}]"#);

    let long = peft::decode(&[&[0xFF; 8][..], b"{}"].concat()).err();
    assert!(matches!(long, Some(PeftError::HeaderLength { found: u64::MAX, expected: 2 })));
    let short = peft::decode(&[9, 0, 0, 0, 0, 0, 0, 0, b'{', b'}']).err();
    assert!(matches!(short, Some(PeftError::HeaderLength { found: 9, expected: 2 })));

    let overlap = format!(r#"{{"a":{{{}}},"b":{{{}}}}}"#, entry(0, 4), entry(2, 6));
    let error = decode(&overlap, &[0; 8]);
    assert!(matches!(error, Some(PeftError::Offsets { found: (2, 6), expected: (4, 8), .. })));
    let outside = format!(r#"{{"a":{{{}}}}}"#, entry(0, 4));
    assert!(matches!(decode(&outside, &[0; 3]), Some(PeftError::Offsets { available: 3, .. })));
    assert!(matches!(
        decode(&outside, &[0; 5]),
        Some(PeftError::Trailing { found: 5, expected: 4 })
    ));
    let backwards = format!(r#"{{"a":{{{}}}}}"#, entry(4, 0));
    assert!(matches!(decode(&backwards, &[0; 4]), Some(PeftError::Offsets { found: (4, 0), .. })));
}

#[test]
fn sizes_that_overflow_are_caught() {
    let entry = |name: char, from: u64, to: u64, count: u64| {
        format!(r#""{name}":{{"dtype":"F32","shape":[{count}],"data_offsets":[{from},{to}]}}"#)
    };
    let decode = |entries: &[String]| {
        peft::decode(&file(&format!("{{{}}}", entries.join(",")), &[0; 8])).err()
    };
    let product = decode(&[entry('a', 0, 8, u64::MAX / 2)]);
    assert!(matches!(product, Some(PeftError::Shape { .. })), "{product:?}");
    let half = u64::MAX / 8;
    let sum = decode(&[entry('a', 0, 4 * half, half), entry('b', 4 * half, 8 * half, half)]);
    assert!(matches!(sum, Some(PeftError::Offsets { .. })), "{sum:?}");
}

#[test]
fn tensors_and_settings_must_fit_each_other() {
    assert!(Adapter::new(small_config(), small()).is_ok());
    let (a, m) = (peft::key("layers.0", Slot::LoraA), peft::key("layers.0", Slot::Magnitude));

    let mut missing = small();
    missing.remove(&a);
    let error = Adapter::new(small_config(), missing).err().map(|e| e.to_string());
    let expected = "adapter: found no base_model.model.layers.0.lora_A.weight, expected one";
    assert_eq!(error.as_deref(), Some(expected));

    let mut extra = small();
    extra.insert("base_model.model.head.weight".to_owned(), tensor(&[1]));
    let error = Adapter::new(small_config(), extra).err();
    assert!(matches!(error, Some(PeftError::Unexpected { .. })));

    let mut shape = small();
    shape.insert(m, tensor(&[4]));
    let error = Adapter::new(small_config(), shape).err().map(|e| e.to_string());
    let expected =
        "adapter: base_model.model.layers.0.lora_magnitude_vector: found shape [4], expected [3]";
    assert_eq!(error.as_deref(), Some(expected));

    let lora = Config { use_dora: false, ..small_config() };
    assert!(matches!(Adapter::new(lora, small()), Err(PeftError::Unexpected { .. })));
    let two = Config::new(2, 4, true, vec!["layers.0".to_owned(), "layers.1".to_owned()]);
    assert!(matches!(Adapter::new(two, small()), Err(PeftError::Missing { .. })));
    let none = Config { r: 0, ..small_config() };
    assert!(matches!(Adapter::new(none, small()), Err(PeftError::Config { field: "r", .. })));
}

#[test]
fn an_adapter_of_another_network_does_not_fit() -> Test {
    let adapter = Adapter::new(small_config(), small())?;
    adapter.fits(&layers(&[4, 3]))?;
    assert!(matches!(adapter.fits(&layers(&[5, 3])), Err(PeftError::Shape { .. })));
    assert!(matches!(adapter.fits(&layers(&[4, 3, 2])), Err(PeftError::Missing { .. })));
    assert!(matches!(adapter.fits(&[]), Err(PeftError::Unexpected { .. })));
    Ok(())
}

#[test]
fn ranks_of_their_own_and_magnitudes_by_another_name_are_understood() -> Test {
    let mut tensors = small();
    if let Some(m) = tensors.remove(&peft::key("layers.0", Slot::Magnitude)) {
        tensors.insert(format!("{}.weight", peft::key("layers.0", Slot::Magnitude)), m);
    }
    let mut config = Config { r: 5, ..small_config() };
    config.rank_pattern.insert("layers.0".to_owned(), 2.into());
    let adapter = Adapter::new(config, tensors)?;
    assert_eq!(adapter.tensors(), &small());
    Ok(())
}

#[test]
fn files_that_are_not_there_are_named() -> Test {
    let dir = tempfile::tempdir()?;
    let error = peft::load(dir.path()).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(error.starts_with("cannot read ") && error.contains(CONFIG), "{error}");
    let blocked = dir.path().join("file");
    fs::write(&blocked, "")?;
    let adapter = Adapter::new(small_config(), small())?;
    assert!(matches!(peft::save(&blocked, &adapter), Err(PeftError::File { .. })));
    Ok(())
}
