//! What makes bytes no file, each by its name.

use decora::frozen::FrozenError;
use decora::safetensors::{File, FileError, MAX_DIMENSIONS};

use super::file;

fn refusal(header: &str, data: usize) -> Option<FileError> {
    let bytes = file(header, &vec![0; data]);
    let error = File::parse(&bytes).err();
    if let Some(error) = error {
        let text = error.to_string();
        assert!(text.starts_with("tensor file: ") && !text.contains('\n'), "{text}");
    }
    error
}

fn entry(name: &str, shape: &str, from: u64, to: u64) -> String {
    format!(r#""{name}":{{"dtype":"F32","shape":{shape},"data_offsets":[{from},{to}]}}"#)
}

fn all(entries: &[String]) -> String {
    format!("{{{}}}", entries.join(","))
}

#[test]
fn lengths_that_lie() {
    assert_eq!(File::parse(&[0; 7]).err(), Some(FileError::NoHeader { found: 7 }));
    let long = File::parse(&[0xFF; 10]).err();
    assert_eq!(long, Some(FileError::HeaderLength { found: u64::MAX, expected: 2 }));
    assert_eq!(File::parse(&[0; 8]).err(), Some(FileError::Json { tensor: 0 }));
    assert_eq!(refusal("{}", 0), None);
    assert_eq!(refusal("{}", 1), Some(FileError::Overlap { at: 0, available: 1 }));
}

#[test]
fn json_of_another_form() {
    let whole = all(&[entry("a", "[1]", 0, 4), entry("b", "[]", 4, 8)]);
    assert_eq!(refusal(&whole, 8), None);
    let damages = [
        (r#""F32""#, "32", 0),
        (r#""shape":[1],"#, "", 0),
        (r#""shape":[1]"#, r#""shape":[1.0]"#, 0),
        (r#""shape":[1]"#, r#""shape":[-1]"#, 0),
        (r#""shape":[1]"#, r#""shape":[1,]"#, 0),
        (r#""shape":[1]"#, r#""shape":[,1]"#, 0),
        (r#""shape":[1]"#, r#""shape":[01]"#, 0),
        (r#""shape":[1]"#, r#""shape":[1],"shape":[1]"#, 0),
        (r#""shape":[1]"#, r#""shape":[1],"strides":[1]"#, 0),
        (r#""shape":[1]"#, r#""shape":[18446744073709551616]"#, 0),
        ("[0,4]", "[0]", 0),
        ("[0,4]", "[0,4,4]", 0),
        (r#","b""#, r#""b""#, 1),
        ("}}", "},}", 2),
        ("}}", "}}x", 2),
        ("}}", "}", 2),
        ("{\"a", r#"{"__metadata__":{"k":1},"a"#, 0),
        ("{\"a", r#"{"__metadata__":[],"a"#, 0),
        ("{\"a", r#"{"__metadata__":{"k":"\x"},"a"#, 0),
        ("{\"a", r#"{"__metadata__":{"k":"\uD800"},"a"#, 0),
        ("{\"a", r#"{"__metadata__":{},"__metadata__":{},"a"#, 2),
    ];
    for (from, to, tensor) in damages {
        assert!(whole.contains(from), "{from}");
        let damaged = whole.replacen(from, to, 1);
        assert_eq!(refusal(&damaged, 8), Some(FileError::Json { tensor }), "{damaged}");
    }
    let deep = format!(r#"{{"a":{}"#, "[".repeat(100_000));
    assert_eq!(refusal(&deep, 0), Some(FileError::Json { tensor: 0 }));
}

#[test]
fn names_that_stand_twice_or_are_escaped() {
    let twice = all(&[entry("b", "[1]", 0, 4), entry("a", "[1]", 4, 8), entry("b", "[1]", 8, 12)]);
    assert_eq!(refusal(&twice, 12), Some(FileError::Duplicate { tensor: 2 }));
    let keys = r#"{"__metadata__":{"k":"1","a":"2","k":"3"}}"#;
    assert_eq!(refusal(keys, 0), Some(FileError::Duplicate { tensor: 0 }));
    let alike = format!(r#"{{"__metadata__":{{"a":"a"}},{}}}"#, entry("a", "[]", 0, 4));
    assert_eq!(refusal(&alike, 4), None, "a key of metadata is no tensor");
    for name in ["a\\u0062", "a\\n", "a\tb"] {
        let escaped = all(&[entry("a", "[1]", 0, 4), entry(name, "[1]", 4, 8)]);
        assert_eq!(refusal(&escaped, 8), Some(FileError::Text { tensor: 1 }));
    }
    let quoted = file(r#"{"__metadata__":{"k":"a \"b\""}}"#, &[]);
    assert_eq!(File::parse(&quoted).unwrap().metadata("k"), Some(r#"a \"b\""#));
}

#[test]
fn tensors_that_do_not_fit_the_data() {
    let one = |shape: &str, from, to| refusal(&all(&[entry("a", shape, from, to)]), 8);
    let offsets =
        |found, expected| Some(FileError::Offsets { tensor: 0, found, expected, available: 8 });
    assert_eq!(one("[2]", 0, 8), None);
    assert_eq!(one("[1]", 0, 8), offsets((0, 8), Some(4)));
    assert_eq!(one("[3]", 0, 12), offsets((0, 12), Some(12)));
    assert_eq!(one("[2]", 8, 0), offsets((8, 0), Some(8)));
    assert_eq!(one("[2]", u64::MAX - 7, u64::MAX), offsets((u64::MAX - 7, u64::MAX), Some(8)));
    assert_eq!(one("[4294967296,4294967296]", 0, 8), offsets((0, 8), None));
    assert_eq!(one("[1]", 4, 8), Some(FileError::Overlap { at: 0, available: 8 }));
    assert_eq!(one("[1]", 0, 4), Some(FileError::Overlap { at: 4, available: 8 }));
    let expected = MAX_DIMENSIONS;
    let many = FileError::Dimensions { tensor: 0, found: 5, expected };
    assert_eq!(one("[1,1,1,1,2]", 0, 8), Some(many));
    let unknown = all(&[entry("a", "[2]", 0, 8)]).replace("F32", "F4");
    assert_eq!(refusal(&unknown, 8), Some(FileError::Dtype { tensor: 0 }));
}

#[test]
fn tensors_that_overlap_or_leave_a_gap() {
    let [a, b, c] = [entry("a", "[1]", 0, 4), entry("b", "[1]", 4, 8), entry("c", "[1]", 8, 12)];
    let overlap = |at| Some(FileError::Overlap { at, available: 12 });
    assert_eq!(refusal(&all(&[c.clone(), b.clone(), a.clone()]), 12), None, "in any order");
    assert_eq!(refusal(&all(&[a.clone(), c.clone()]), 12), overlap(4));
    let across = entry("d", "[2]", 2, 10);
    assert_eq!(refusal(&all(&[a.clone(), b.clone(), c.clone(), across]), 12), overlap(12));
    let again = entry("d", "[1]", 4, 8);
    assert_eq!(refusal(&all(&[a.clone(), b.clone(), c.clone(), again]), 12), overlap(12));
    let empty = |at| entry("d", "[2,0]", at, at);
    for at in [0, 4, 8, 12] {
        assert_eq!(refusal(&all(&[empty(at), a.clone(), b.clone(), c.clone()]), 12), None);
    }
    assert_eq!(refusal(&all(&[a, b, c, empty(6)]), 12), overlap(6));
}

#[test]
fn tensors_that_are_no_weight() {
    let matrix = |shape: &str, data: &[f32]| {
        let bytes: Vec<u8> = data.iter().flat_map(|v| v.to_le_bytes()).collect();
        let mut header = all(&[entry("a", shape, 0, bytes.len() as u64)]);
        header += &" ".repeat(header.len().next_multiple_of(8) - header.len());
        // One of these is aligned.
        (0..8).find_map(|shift| {
            let room = [vec![0; shift], file(&header, &bytes)].concat();
            let parsed = File::parse(&room[shift..]).unwrap();
            let answer = parsed.tensor("a").unwrap().frozen().err();
            (answer != Some(FileError::Misaligned { tensor: 0 })).then_some(answer)
        })
    };
    assert_eq!(matrix("[1,2]", &[1.0, 2.0]), Some(None));
    let flat = FileError::Dimensions { tensor: 0, found: 1, expected: 2 };
    assert_eq!(matrix("[2]", &[1.0, 2.0]), Some(Some(flat)));
    let nan = FileError::Frozen(FrozenError::NonFinite { row: 1.into(), col: 0.into() });
    assert_eq!(matrix("[2,1]", &[1.0, f32::NAN]), Some(Some(nan)));
}
