//! Damaged files of digits are refused, each with an error that says what was found.

use personalize::config::{Purpose, rng};
use personalize::data::{DataError, Digits, MAGIC, SAMPLES_PER_DIGIT};

/// A file of `labels.len()` images, all white.
fn file(labels: &[u8]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend((labels.len() as u32).to_le_bytes());
    for label in labels {
        bytes.extend([0; 64]);
        bytes.push(*label);
    }
    bytes
}

#[test]
fn the_embedded_digits_are_those_of_the_repository() -> Result<(), DataError> {
    let digits = Digits::embedded()?;
    assert_eq!(digits.len(), 1797);
    let count = |label| (0..1797).filter(|&i| digits.get(i).is_some_and(|d| d.1 == label)).count();
    let counts: Vec<usize> = (0..10).map(count).collect();
    assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
    let ink: u32 = (0..1797).filter_map(|i| digits.get(i)).flat_map(|d| d.0).map(u32::from).sum();
    assert_eq!(ink, 561_718);
    Ok(())
}

#[test]
fn every_kind_of_damage_is_named() {
    let magic = Digits::parse(b"PNG\r").err();
    assert_eq!(magic, Some(DataError::Magic { found: b"PNG\r".to_vec() }));
    let mut label = file(&[0, 10]);
    let found = Digits::parse(&label).err();
    assert_eq!(found, Some(DataError::Label { image: 1, found: 10 }));
    label[12 + 3] = 17;
    let found = Digits::parse(&label).err();
    assert_eq!(found, Some(DataError::Pixel { image: 0, pixel: 3, found: 17 }));
    let mut huge = file(&[1]);
    huge[8..12].fill(0xFF);
    let expected = 12 + 65 * u64::from(u32::MAX);
    let found = Digits::parse(&huge).err();
    assert_eq!(found, Some(DataError::Length { found: 77, expected, images: u32::MAX }));
}

#[test]
fn a_file_cut_off_anywhere_is_refused_in_one_line() {
    let whole = file(&[3, 4, 5]);
    assert!(Digits::parse(&whole).is_ok());
    for end in 0..whole.len() {
        let error = Digits::parse(&whole[..end]).err().map(|e| e.to_string());
        let error = error.unwrap_or_default();
        assert!(error.contains("found") && error.contains("expected"), "{end}: {error}");
        assert!(!error.contains('\n'), "{end}: {error}");
    }
    let longer = [whole, vec![0]].concat();
    assert!(matches!(Digits::parse(&longer), Err(DataError::Length { found: 208, .. })));
}

#[test]
fn a_split_gives_no_image_to_two_and_the_samples_evenly() -> Result<(), DataError> {
    let digits = Digits::embedded()?;
    let split = digits.split(&mut rng(7, Purpose::Split))?;
    let mut all = [split.train.clone(), split.samples.clone(), split.test].concat();
    all.sort_unstable();
    assert!(all.into_iter().eq(0..1797));
    let labels = split.samples.iter().filter_map(|&i| digits.get(i)).map(|d| d.1);
    let mut labels: Vec<u8> = labels.collect();
    labels.sort_unstable();
    assert!(labels.chunks(SAMPLES_PER_DIGIT).map(|c| (c[0], c.len())).eq((0..10).map(|d| (d, 10))));
    assert_ne!(split.train, digits.split(&mut rng(8, Purpose::Split))?.train);
    Ok(())
}

#[test]
fn too_few_digits_to_split_are_counted() -> Result<(), DataError> {
    let digits = Digits::parse(&file(&[0; 30]))?;
    let found = digits.split(&mut rng(1, Purpose::Split)).err();
    assert_eq!(found, Some(DataError::TooFew { digit: 1, found: 0, expected: 20 }));
    Ok(())
}
