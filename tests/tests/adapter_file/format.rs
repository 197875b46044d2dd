//! Files that are whole: the same tensors as the format's library reads, the same bytes as it
//! writes.

use std::collections::{BTreeMap, HashMap};

use decora::frozen::Format;
use decora::init::Rng;
use decora::safetensors::{Dtype, File, FileError, Sink, file_len, write_floats, write_header};
use safetensors::tensor::{Dtype as TheirDtype, TensorView};
use safetensors::{SafeTensors, serialize};

use super::{file, golden};

type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

fn theirs(tensors: &Tensors, metadata: Option<(&str, &str)>) -> Vec<u8> {
    let data: Vec<Vec<u8>> =
        tensors.values().map(|(_, v)| v.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
    let views = tensors.iter().zip(&data).map(|((name, (shape, _)), data)| {
        (name.as_str(), TensorView::new(TheirDtype::F32, shape.clone(), data).unwrap())
    });
    let metadata = metadata.map(|(key, text)| HashMap::from([(key.to_owned(), text.to_owned())]));
    serialize(views, metadata).unwrap()
}

fn ours(tensors: &Tensors, metadata: Option<(&str, &str)>) -> Vec<u8> {
    let describe = |header: &mut decora::safetensors::Header<'_, ()>| {
        metadata.map_or(Ok(()), |(key, text)| header.metadata(key, text))?;
        tensors.iter().try_for_each(|(name, (shape, _))| {
            let (first, second) = name.split_at(name.len() / 2);
            header.tensor(&[first, second], shape)
        })
    };
    let mut bytes = Vec::new();
    let mut sink = |piece: &[u8]| {
        bytes.extend_from_slice(piece);
        Ok(())
    };
    let sink: &mut Sink<'_, ()> = &mut sink;
    write_header(sink, describe).unwrap();
    tensors.values().for_each(|(_, v)| write_floats(sink, v.iter().copied()).unwrap());
    assert_eq!(file_len(describe), Ok(bytes.len()));
    bytes
}

/// Tensors of any number, shape and length of name.
fn random(rng: &mut Rng) -> Tensors {
    let tensor = |rng: &mut Rng| {
        let name = "layers.".to_owned() + &"é".repeat(rng.below(4)) + &rng.below(100).to_string();
        let shape: Vec<usize> = (0..rng.below(5)).map(|_| rng.below(5)).collect();
        let values = (0..shape.iter().product()).map(|_| rng.within(1.0) as f32).collect();
        (name, (shape, values))
    };
    (0..rng.below(9)).map(|_| tensor(rng)).collect()
}

#[test]
fn the_bytes_are_those_of_the_library() {
    let mut rng = Rng::new(1);
    for _ in 0..500 {
        let tensors = random(&mut rng);
        for metadata in [None, Some(("format", "pt"))] {
            assert_eq!(ours(&tensors, metadata), theirs(&tensors, metadata), "{tensors:?}");
        }
    }
}

#[test]
fn what_was_written_is_read() {
    let mut rng = Rng::new(2);
    for _ in 0..500 {
        let tensors = random(&mut rng);
        let bytes = ours(&tensors, Some(("key", "text")));
        let file = File::parse(&bytes).unwrap();
        assert_eq!((file.len(), file.metadata("key")), (tensors.len(), Some("text")));
        assert_eq!(file.metadata("format"), None);
        assert!(file.tensor("layers").is_none());
        for (tensor, (name, (shape, values))) in file.tensors().zip(&tensors) {
            assert_eq!((tensor.name(), tensor.dims().as_slice()), (&name[..], &shape[..]));
            assert_eq!((tensor.dtype(), tensor.len()), (Dtype::F32, values.len()));
            assert_eq!(tensor.values().unwrap().collect::<Vec<f32>>(), *values);
            assert_eq!(file.tensor(name).unwrap().index(), tensor.index());
        }
    }
}

#[test]
fn pefts_own_file_is_read() {
    let bytes = golden();
    let (file, witness) = (File::parse(&bytes).unwrap(), SafeTensors::deserialize(&bytes).unwrap());
    assert_eq!((file.len(), file.metadata("format")), (9, Some("pt")));
    for tensor in file.tensors() {
        let other = witness.tensor(tensor.name()).unwrap();
        assert_eq!((tensor.data(), tensor.dims().as_slice()), (other.data(), other.shape()));
    }
    let b = file.tensor("base_model.model.layers.1.lora_B.weight").unwrap();
    assert_eq!(b.dims().as_slice(), [5, 2]);
}

/// A 2×2 matrix in each format, and what is in it.
fn matrices() -> Vec<u8> {
    let entry = |name: &str, dtype: &str, from: usize, to: usize| {
        format!(r#""{name}":{{"dtype":"{dtype}","shape":[2,2],"data_offsets":[{from},{to}]}}"#)
    };
    let entries = [
        entry("a", "F64", 0, 32),
        entry("b", "F32", 32, 48),
        entry("c", "F16", 48, 56),
        entry("d", "BF16", 56, 64),
        entry("e", "I16", 64, 72),
    ];
    let mut header = format!("{{{}}}", entries.join(","));
    header += &" ".repeat(header.len().next_multiple_of(8) - header.len());
    let values = [1.5f32, -2.0, 0.0, 0.25];
    let mut data: Vec<u8> = values.iter().flat_map(|&v| f64::from(v).to_le_bytes()).collect();
    data.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    data.extend(values.iter().flat_map(|&v| decora::f16::from_f32(v).to_le_bytes()));
    data.extend(values.iter().flat_map(|&v| decora::bf16::from_f32(v).to_le_bytes()));
    data.extend([0; 8]);
    file(&header, &data)
}

#[test]
fn every_float_is_read_as_it_is_and_in_place() {
    let whole = matrices();
    // A byte off is never aligned; one of these eight is.
    for shift in 0..8 {
        let room = [vec![0; shift], whole.clone()].concat();
        let bytes = &room[shift..];
        let aligned = bytes.as_ptr().align_offset(8) == 0;
        let parsed = File::parse(bytes).unwrap();
        for name in ["a", "b", "c", "d"] {
            let tensor = parsed.tensor(name).unwrap();
            assert_eq!(tensor.values().unwrap().collect::<Vec<f64>>(), [1.5, -2.0, 0.0, 0.25]);
            match tensor.frozen() {
                Ok(w) => assert_eq!((w.shape(), w.data().value(3)), ((2, 2), Some(0.25))),
                Err(e) => assert!(!aligned && matches!(e, FileError::Misaligned { .. }), "{e}"),
            }
        }
        let whole_numbers = parsed.tensor("e").unwrap();
        let found = FileError::NoFloat { tensor: 4, found: Dtype::I16 };
        assert_eq!(whole_numbers.in_place().err(), Some(found));
        assert_eq!(whole_numbers.values::<f32>().err(), Some(found));
        if aligned {
            let b = parsed.tensor("b").unwrap().in_place();
            assert!(matches!(b, Ok(Format::F32([1.5, ..]))));
        }
    }
}
