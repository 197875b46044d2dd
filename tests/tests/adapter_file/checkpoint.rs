//! Models to files and back.

use std::collections::BTreeSet;

use decora::checkpoint::{Contents, Key, LoadError, ModulesError, Part, SaveError, fingerprint};
use decora::error::Error;
use decora::f16;
use decora::optim::{Rule, Training};
use decora::param::Slot;
use decora::safetensors::{Dims, Dtype, File};
use decora::spec::Spec;
use safetensors::SafeTensors;

use super::golden;
use super::run::{DORA, MODULES, Run, base};

const ADAPTER: Contents<'static> = Contents { modules: &MODULES, base: None, steps: None };

fn key(layer: usize, slot: Slot, part: Part) -> Key {
    Key { layer, slot, part }
}

/// The same bytes with one text in the place of another of the same length, wherever it stands.
fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = bytes.to_vec();
    let mut at = 0;
    while let Some(i) = bytes[at..].windows(from.len()).position(|w| w == from.as_bytes()) {
        bytes[at + i..at + i + to.len()].copy_from_slice(to.as_bytes());
        at += i + to.len();
    }
    assert!(at > 0, "{from} is in the file");
    bytes
}

#[test]
fn pefts_own_adapter_is_read_and_written_again_byte_for_byte() {
    let mut run = Run::<f32>::dora(1);
    let loaded = run.read(&golden(), Some(7)).unwrap();
    assert_eq!((loaded.steps, loaded.fingerprint), (None, None));
    assert_eq!(run.adapter(), golden());
}

#[test]
fn magnitudes_are_read_by_either_name() {
    let (bytes, mut run) = (golden(), Run::<f32>::dora(1));
    let length = u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
    let header = str::from_utf8(&bytes[8..8 + length]).unwrap();
    let name = Slot::Magnitude.peft_name();
    let other = header.replace(name, &format!("{name}.weight"));
    run.read(&super::file(&other, &bytes[8 + length..]), None).unwrap();
    assert_eq!(run.adapter(), bytes);
}

#[test]
fn the_library_writes_the_same_bytes_of_a_checkpoint() {
    for rule in [Rule::Sgd { momentum: 0.0 }, Rule::Sgd { momentum: 0.9 }, Training::default().rule]
    {
        for spec in [DORA, Spec { bias: true, ..DORA }, Spec::full(), Spec::bitfit()] {
            let mut run = Run::<f32>::new(spec, rule, 1);
            run.train(2);
            let ours = run.checkpoint();
            let witness = SafeTensors::deserialize(&ours).unwrap();
            let theirs = safetensors::serialize(witness.tensors(), None).unwrap();
            let tensors = |bytes: &[u8]| {
                let length = u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
                let header = str::from_utf8(&bytes[8..8 + length]).unwrap().trim_end();
                let tensors = header.find("\"base").map(|at| header[at..].to_owned());
                (tensors, bytes[8 + length..].to_vec())
            };
            assert_eq!(tensors(&ours), tensors(&theirs));
        }
    }
}

#[test]
fn keys_are_exactly_those_of_peft_and_a_checkpoint_adds_moments() {
    let mut run = Run::<f32>::dora(1);
    let names = |bytes: &[u8]| -> BTreeSet<String> {
        File::parse(bytes).unwrap().tensors().map(|t| t.name().to_owned()).collect()
    };
    let peft = names(&golden());
    assert_eq!(names(&run.adapter()), peft);
    let moments = |name: &String| ["", ".exp_avg", ".exp_avg_sq"].map(|end| name.clone() + end);
    assert_eq!(names(&run.checkpoint()), peft.iter().flat_map(moments).collect());
    let mut frozen = Run::<f32>::new(DORA.with_frozen_a(), Training::default().rule, 1);
    assert_eq!(names(&frozen.adapter()), peft, "A is stored though it is not trained");
    let trained = peft.iter().filter(|name| !name.contains("lora_A"));
    let expected: BTreeSet<String> =
        trained.flat_map(moments).chain(peft.iter().cloned()).collect();
    assert_eq!(names(&frozen.checkpoint()), expected);
}

#[test]
fn a_run_goes_on_in_the_same_bits() {
    for rule in [Rule::Sgd { momentum: 0.9 }, Training::default().rule] {
        for spec in [Spec { bias: true, dropout: 0.25, ..DORA }, DORA.with_frozen_a(), Spec::full()]
        {
            let mut whole = Run::<f32>::new(spec, rule, 1);
            whole.train(3);
            let bytes = whole.checkpoint();
            whole.train(6);
            let mut again = Run::<f32>::new(spec, rule, 2);
            again.train(1);
            let loaded = again.read(&bytes, None).unwrap();
            assert_eq!(loaded.steps, Some(3));
            again.optimizer.resume_at(loaded.steps.unwrap());
            assert_eq!(again.checkpoint(), bytes);
            again.train(6);
            assert_eq!(again.checkpoint(), whole.checkpoint());
        }
    }
}

#[test]
fn an_adapter_starts_its_moments_anew() {
    let mut trained = Run::<f32>::dora(1);
    trained.train(3);
    let adapter = trained.adapter();
    let mut ends = [0, 2].map(|steps| {
        let mut run = Run::<f32>::dora(2);
        run.train(steps);
        run.read(&adapter, None).unwrap();
        run.optimizer.resume_at(0);
        run.train(3);
        run.checkpoint()
    });
    let [fresh, used] = &mut ends;
    assert_eq!(fresh, used);
}

#[test]
fn other_floats_are_read_and_doubles_are_rounded() {
    let (mut single, mut double) = (Run::<f32>::dora(1), Run::<f64>::dora(1));
    double.train(2);
    let bytes = double.adapter();
    single.read(&bytes, None).unwrap();
    let rounded = double.values().iter().map(|&v| f64::from(v as f32)).collect::<Vec<_>>();
    assert_eq!(single.values(), rounded);
    let header = r#"{"base_model.model.layers.0.bias":{"dtype":"F16","shape":[7],"data_offsets":[0,14]},"base_model.model.layers.1.bias":{"dtype":"F64","shape":[5],"data_offsets":[14,54]},"base_model.model.layers.2.bias":{"dtype":"BF16","shape":[3],"data_offsets":[54,60]}}"#;
    let mut data: Vec<u8> = f16::from_f32(1.5).to_le_bytes().repeat(7);
    data.extend(2.5f64.to_le_bytes().repeat(5));
    data.extend(decora::bf16::from_f32(3.5).to_le_bytes().repeat(3));
    let mut run = Run::<f32>::new(Spec::bitfit(), Training::default().rule, 1);
    run.read(&super::file(header, &data), None).unwrap();
    assert_eq!(run.values(), [vec![1.5; 7], vec![2.5; 5], vec![3.5; 3]].concat());
    let whole = super::file(header, &data);
    let error = run.read(&replaced(&whole, "\"F16\"", "\"I16\""), None);
    let (key, found) = (key(0, Slot::Bias, Part::Value), Dtype::I16);
    assert_eq!(error, Err(LoadError::Dtype { key, found }));
}

#[test]
fn a_file_of_another_base_is_refused() {
    let mut run = Run::<f32>::dora(1);
    let own = fingerprint(base());
    let bytes = run.write(&Contents { base: Some(own), ..ADAPTER }).unwrap();
    assert_eq!(run.read(&bytes, None).map(|l| l.fingerprint), Ok(Some(own)));
    assert_eq!(run.read(&bytes, Some(own)).map(|l| l.fingerprint), Ok(Some(own)));
    let (found, expected) = (own, own ^ 1);
    assert_eq!(run.read(&bytes, Some(expected)), Err(LoadError::Base { found, expected }));
    let digits = format!("{own:016x}");
    let wrong = replaced(&bytes, &digits, &digits.replace(char::is_alphanumeric, "x"));
    assert_eq!(run.read(&wrong, None), Err(LoadError::Metadata { key: "decora.base" }));
}

#[test]
fn a_file_that_does_not_fit_changes_nothing() {
    let mut run = Run::<f32>::dora(1);
    run.train(2);
    let (adapter, whole, before) = (run.adapter(), run.checkpoint(), run.checkpoint());
    let mut refused = |bytes: &[u8], error: LoadError<_>| {
        assert_eq!(run.read(bytes, None), Err(error));
        assert_eq!(run.checkpoint(), before);
        assert!(!error.to_string().contains('\n'), "{error}");
    };
    let a = key(2, Slot::LoraA, Part::Value);
    let (from, to) = ("layers.2.lora_A.weight\"", "layers.2.lora_A.wEight\"");
    refused(&replaced(&adapter, from, to), LoadError::Missing { key: a });
    let second = key(1, Slot::Magnitude, Part::SecondMoment);
    let (from, to) = ("layers.1.lora_magnitude_vector.exp_avg_sq", &"x".repeat(41));
    refused(&replaced(&whole, from, to), LoadError::Missing { key: second });
    let missing = key(0, Slot::LoraA, Part::FirstMoment);
    refused(&replaced(&whole, ".exp_avg", ".exp_AVG"), LoadError::Missing { key: missing });
    refused(&replaced(&whole, "decora.steps", "decora_steps"), LoadError::Unexpected { tensor: 1 });
    refused(&replaced(&whole, "\"2\"", "\"x\""), LoadError::Metadata { key: "decora.steps" });
    let [found, expected] = [[6, 2], [2, 6]].map(|sizes| Dims::new(&sizes).unwrap());
    let error = LoadError::Shape { key: key(0, Slot::LoraA, Part::Value), found, expected };
    refused(&replaced(&adapter, "[2,6]", "[6,2]"), error);
    let ending = |bytes: &[u8], x: f32| [&bytes[..bytes.len() - 4], &x.to_le_bytes()].concat();
    let last = key(2, Slot::Magnitude, Part::Value);
    refused(&ending(&adapter, f32::INFINITY), LoadError::Value { key: last, index: 2 });
    let last = key(2, Slot::Magnitude, Part::SecondMoment);
    refused(&ending(&whole, -1.0), LoadError::Value { key: last, index: 2 });
}

#[test]
fn another_model_is_refused() {
    let bytes = Run::<f32>::dora(1).adapter();
    let mut lora = Run::<f32>::new(Spec::lora(2, 4.0), Training::default().rule, 1);
    assert_eq!(lora.read(&bytes, None), Err(LoadError::Unexpected { tensor: 2 }));
    let mut full = Run::<f32>::new(Spec::full(), Training::default().rule, 1);
    assert!(matches!(full.read(&bytes, None), Err(LoadError::Missing { .. })));
    let checkpoint = Run::<f32>::dora(1).checkpoint();
    let mut sgd = Run::<f32>::new(DORA, Rule::Sgd { momentum: 0.9 }, 1);
    assert_eq!(sgd.read(&checkpoint, None), Err(LoadError::Unexpected { tensor: 2 }));
}

#[test]
fn what_cannot_be_written_is_named() {
    let mut run = Run::<f32>::dora(1);
    let mut modules = |modules: &[&str]| match run.write(&Contents { modules, ..ADAPTER }) {
        Err(SaveError::Modules(e)) => Some(e),
        _ => None,
    };
    assert_eq!(modules(&["a", "b", "c", "more"]), None);
    assert_eq!(modules(&["a", "b"]), Some(ModulesError::TooFew { found: 2, expected: 3 }));
    assert_eq!(modules(&["a", "b\"", "c"]), Some(ModulesError::NotPlain { layer: 1 }));
    assert_eq!(modules(&["a", "b", "a"]), Some(ModulesError::Twice));
    run.spoil(Slot::LoraB, f64::NAN).unwrap();
    let what = Slot::LoraB.peft_name();
    let error = Error::non_finite(what, 6, 1);
    assert_eq!(run.write(&ADAPTER), Err(SaveError::Model(error)));
    let mut double = Run::<f64>::dora(1);
    double.spoil(Slot::LoraB, 1e300).unwrap();
    assert_eq!(double.write(&ADAPTER), Err(SaveError::Model(error)));
}

#[test]
fn the_error_of_a_sink_comes_back() {
    let mut run = Run::<f32>::dora(1);
    let whole = run.adapter().len();
    for room in [0, 8, 100, whole - 1] {
        let mut left = room;
        let mut sink = |piece: &[u8]| {
            left = usize::checked_sub(left, piece.len()).ok_or("full")?;
            Ok(())
        };
        let answer = decora::checkpoint::write(&mut run.be, &mut run.net, &ADAPTER, &mut sink);
        assert_eq!(answer, Err(SaveError::Sink("full")));
    }
}
