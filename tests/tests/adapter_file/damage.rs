//! Damaged files: refused, or read as what the format's library reads; never a panic.

use decora::init::Rng;
use decora::safetensors::{File, FileError};
use safetensors::SafeTensors;

use super::{file, golden};

/// Parses; what is accepted must be consistent, and the same to the format's library.
fn consistent(bytes: &[u8]) -> Result<(), FileError> {
    let file = File::parse(bytes)?;
    let total: usize = file.tensors().map(|t| t.data().len()).sum();
    let length = u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
    let header = str::from_utf8(&bytes[8..8 + length]).unwrap();
    assert_eq!(8 + length + total, bytes.len());
    assert_eq!(file.tensors().count(), file.len());
    let witness = SafeTensors::deserialize(bytes).unwrap_or_else(|e| panic!("{e}: {header:?}"));
    assert_eq!(witness.len(), file.len());
    for tensor in file.tensors() {
        let other = witness.tensor(tensor.name()).unwrap();
        assert_eq!((tensor.data(), tensor.dims().as_slice()), (other.data(), other.shape()));
        assert_eq!(tensor.dtype().name(), other.dtype().to_string());
        assert_eq!(file.tensor(tensor.name()).unwrap().index(), tensor.index());
    }
    Ok(())
}

/// A small file with all that a header can have.
fn small() -> Vec<u8> {
    let header = r#"{"__metadata__":{"format":"pt","k":"v"},"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"data_offsets":[8,12],"shape":[1,2],"dtype":"F16"},"c":{"dtype":"I8","shape":[0],"data_offsets":[12,12]}}  "#;
    file(header, &[1; 12])
}

#[test]
fn every_truncation_is_refused() {
    for whole in [golden(), small()] {
        consistent(&whole).unwrap();
        for end in 0..whole.len() {
            assert!(consistent(&whole[..end]).is_err(), "{end} bytes of {}", whole.len());
        }
        assert!(consistent(&[&whole[..], b"x"].concat()).is_err());
    }
}

#[test]
fn every_flipped_bit_of_a_header_is_refused_or_consistent() {
    for whole in [golden(), small()] {
        let header = 8 + u64::from_le_bytes(*whole.first_chunk().unwrap()) as usize;
        let mut refused = 0;
        for bit in 0..8 * header {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            refused += usize::from(consistent(&damaged).is_err());
        }
        // What is left are other letters in names, and other white space.
        assert!(refused > 8 * header / 3, "{refused} of {}", 8 * header);
    }
}

#[test]
fn random_damage_is_refused_or_consistent() {
    let mut rng = Rng::new(3);
    let (wholes, rounds, mut accepted) = ([golden(), small()], 40_000, 0);
    // What a header is made of.
    let tokens: Vec<&[u8]> = vec![
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\"",
        b"0",
        b"4",
        b"12",
        b"9999999999999999999",
        b" ",
        b"\\",
        b"\\n",
        b"\\u00E9",
        b"\\uD83D",
        b"\\uDE00",
        b"\"a\"",
        b"F32",
        b"shape",
        b"\xFF",
        b"\x01",
        b"null",
        b"1e3",
        b"-1",
    ];
    for _ in 0..rounds {
        let mut bytes = wholes[rng.below(2)].clone();
        for _ in 0..=rng.below(2) {
            let at = 8 + rng.below(bytes.len() - 8);
            let end = (at + rng.below(4)).min(bytes.len());
            let token = tokens[rng.below(tokens.len())];
            let header = u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
            bytes.splice(at..end, token.iter().copied());
            // Half of the time the length follows, so that the damage is in the JSON.
            if rng.below(2) == 0 {
                let length = (header + token.len()).saturating_sub(end - at);
                bytes[..8].copy_from_slice(&(length as u64).to_le_bytes());
            }
        }
        accepted += usize::from(consistent(&bytes).is_ok());
    }
    assert!(accepted > 100 && accepted < rounds / 2, "{accepted} of {rounds}");
}

#[test]
fn headers_put_together_by_chance_are_refused_or_consistent() {
    let mut rng = Rng::new(4);
    let (rounds, mut accepted) = (20_000, 0);
    for _ in 0..rounds {
        let mut number = |most| rng.below(most);
        let entries: Vec<String> = (0..number(4))
            .map(|_| {
                let (name, from, len) = (number(3), number(4) * 2, number(3) * 2);
                let (dtype, width) = [("F16", 2), ("F32", 4), ("U8", 1)][number(3)];
                let (shape, to) = (len / width, from + len);
                format!(
                    r#""{name}":{{"dtype":"{dtype}","shape":[{shape}],"data_offsets":[{from},{to}]}}"#
                )
            })
            .collect();
        let bytes = file(&format!("{{{}}}", entries.join(",")), &vec![0; number(5) * 2]);
        let answer = consistent(&bytes);
        accepted += usize::from(answer.is_ok());
        // The library keeps the last of two tensors with one name.
        let mut names: Vec<&str> = entries.iter().map(|entry| &entry[..3]).collect();
        names.sort_unstable();
        if answer.is_err() && names.windows(2).all(|pair| pair[0] < pair[1]) {
            assert!(SafeTensors::deserialize(&bytes).is_err(), "{answer:?} {entries:?}");
        }
    }
    assert!(accepted > 500 && accepted < rounds / 2, "{accepted} of {rounds}");
}

#[test]
fn noise_is_refused() {
    let mut rng = Rng::new(5);
    for _ in 0..20_000 {
        let len = rng.below(64);
        let mut bytes: Vec<u8> = (0..len).map(|_| rng.next_u64() as u8).collect();
        if let Some(length) = bytes.first_chunk_mut() {
            *length = (rng.below(64) as u64).to_le_bytes();
        }
        assert!(consistent(&bytes).is_err());
    }
}
