//! The digits: 1,797 images of 8×8 pixels, and who gets which of them.

use core::fmt;
use std::fs;
use std::path::Path;

use decora::init::Rng;
use decora::scalar::{Accum, Scalar};

use crate::error::Error;
use crate::warp::Hand;

/// Rows and columns of an image.
pub const SIDE: usize = 8;
/// Pixels of an image.
pub const PIXELS: usize = SIDE * SIDE;
/// Digits.
pub const CLASSES: usize = 10;
/// The darkest pixel.
pub const BLACK: u8 = 16;
/// Labelled samples of each digit that the new user gives.
pub const SAMPLES_PER_DIGIT: usize = 10;
/// The share of the other images that the base network is trained on; the rest are for testing.
pub const BASE_SHARE: f64 = 0.6;

/// The first bytes of a file of digits.
pub const MAGIC: [u8; 8] = *b"DIGITS8x";
const HEADER: usize = MAGIC.len() + 4;
const RECORD: usize = PIXELS + 1;

/// One image: pixels row after row, 0 (white) to 16 (black).
pub type Image = [u8; PIXELS];

/// Labelled images.
#[derive(Clone, Debug)]
pub struct Digits {
    images: Vec<(Image, u8)>,
}

/// What is wrong with a file of digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataError {
    /// It starts with other bytes than [`MAGIC`].
    Magic {
        /// Its first bytes, at most 8.
        found: Vec<u8>,
    },
    /// Its length and the number of images in its header do not agree.
    Length {
        /// Bytes of the file.
        found: usize,
        /// Bytes that a file of so many images has.
        expected: u64,
        /// Images, by the header.
        images: u32,
    },
    /// A label above 9.
    Label {
        /// Which image, from 0.
        image: usize,
        /// Its label.
        found: u8,
    },
    /// A pixel above 16.
    Pixel {
        /// Which image, from 0.
        image: usize,
        /// Which of its pixels, from 0.
        pixel: usize,
        /// Its value.
        found: u8,
    },
    /// Too few images of one digit to train, adapt and test.
    TooFew {
        /// Which digit.
        digit: usize,
        /// How many there are.
        found: usize,
        /// How many there should be, at least.
        expected: usize,
    },
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magic { found } => write!(
                f,
                "digits: found a file that starts with \"{}\", expected \"{}\"",
                found.escape_ascii(),
                MAGIC.escape_ascii()
            ),
            Self::Length { found, expected, images } => {
                write!(f, "digits: found {found} bytes, expected {expected} for {images} images")
            }
            Self::Label { image, found } => {
                write!(f, "digits: image {image}: found label {found}, expected 0 to 9")
            }
            Self::Pixel { image, pixel, found } => {
                write!(f, "digits: image {image}, pixel {pixel}: found {found}, expected 0 to 16")
            }
            Self::TooFew { digit, found, expected } => write!(
                f,
                "digits: found {found} images of the digit {digit}, expected at least {expected}"
            ),
        }
    }
}

impl core::error::Error for DataError {}

impl Digits {
    /// The digits that are part of the program.
    ///
    /// # Errors
    /// None, as long as the program is whole.
    pub fn embedded() -> Result<Self, DataError> {
        Self::parse(include_bytes!("../data/digits.bin"))
    }

    /// The digits in a file.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be read, else as [`Digits::parse`].
    pub fn load(path: &Path) -> Result<Self, Error> {
        let bytes = fs::read(path).map_err(Error::file("read", path))?;
        Ok(Self::parse(&bytes)?)
    }

    /// The digits in the bytes of a file: [`MAGIC`], the number of images (`u32`, little-endian),
    /// then 64 pixels and a label for each.
    ///
    /// # Errors
    /// [`DataError`], naming what was found and what was expected.
    pub fn parse(bytes: &[u8]) -> Result<Self, DataError> {
        let Some((magic, rest)) = bytes.split_first_chunk::<8>().filter(|(m, _)| **m == MAGIC)
        else {
            let found = bytes.iter().take(MAGIC.len()).copied().collect();
            return Err(DataError::Magic { found });
        };
        let (images, records) = match rest.split_first_chunk::<4>() {
            Some((count, records)) => (u32::from_le_bytes(*count), records),
            None => (0, &[][..]),
        };
        let expected = HEADER as u64 + u64::from(images) * RECORD as u64;
        let found = magic.len() + rest.len();
        if found as u64 != expected {
            return Err(DataError::Length { found, expected, images });
        }
        let (records, _) = records.as_chunks::<RECORD>();
        let images = records.iter().enumerate().map(|(i, r)| record(i, r));
        Ok(Self { images: images.collect::<Result<_, _>>()? })
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// None at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// An image and its label.
    #[must_use]
    pub fn get(&self, i: usize) -> Option<&(Image, u8)> {
        self.images.get(i)
    }

    /// Who gets which images, in an order that `rng` decides.
    ///
    /// # Errors
    /// [`DataError::TooFew`].
    pub fn split(&self, rng: &mut Rng) -> Result<Split, DataError> {
        self.enough()?;
        let mut order: Vec<usize> = (0..self.len()).collect();
        rng.shuffle(&mut order);
        let mut given = [0; CLASSES];
        let (samples, rest): (Vec<usize>, Vec<usize>) = order.into_iter().partition(|&i| {
            let count = self.get(i).and_then(|(_, label)| given.get_mut(usize::from(*label)));
            count.is_some_and(|count| {
                *count += 1;
                *count <= SAMPLES_PER_DIGIT
            })
        });
        let (train, test) = rest.split_at((rest.len() as f64 * BASE_SHARE) as usize);
        Ok(Split { train: train.to_vec(), samples, test: test.to_vec() })
    }

    /// `Ok` when there are enough images of each digit for a split.
    fn enough(&self) -> Result<(), DataError> {
        let expected = 2 * SAMPLES_PER_DIGIT;
        for digit in 0..CLASSES {
            let found = self.images.iter().filter(|(_, l)| usize::from(*l) == digit).count();
            if found < expected {
                return Err(DataError::TooFew { digit, found, expected });
            }
        }
        Ok(())
    }
}

fn record(image: usize, record: &[u8; RECORD]) -> Result<(Image, u8), DataError> {
    let mut pixels = [0; PIXELS];
    let [pixel_bytes @ .., label] = record;
    pixels.copy_from_slice(pixel_bytes);
    if let Some(pixel) = pixels.iter().position(|&p| p > BLACK) {
        return Err(DataError::Pixel { image, pixel, found: pixel_bytes[pixel] });
    }
    match usize::from(*label) < CLASSES {
        true => Ok((pixels, *label)),
        false => Err(DataError::Label { image, found: *label }),
    }
}

/// Which images serve for what; no image for two things.
#[derive(Clone, Debug)]
pub struct Split {
    /// The base network is trained on these, upright.
    pub train: Vec<usize>,
    /// The new user gives these, in the new hand.
    pub samples: Vec<usize>,
    /// Old users (upright) and the new user (in the new hand) are tested on these.
    pub test: Vec<usize>,
}

/// What a network is trained or tested on: rows of x, scaled to 0..1, and their labels.
#[derive(Clone, Debug)]
pub struct Samples<S> {
    /// Inputs, [`PIXELS`] for each sample.
    pub x: Vec<S>,
    /// Labels.
    pub labels: Vec<u32>,
}

impl<S: Scalar> Samples<S> {
    /// The images `of` the digits, as `hand` writes them.
    #[must_use]
    pub fn new(digits: &Digits, of: &[usize], hand: &Hand) -> Self {
        let mut samples = Self { x: Vec::new(), labels: Vec::new() };
        for (image, label) in of.iter().filter_map(|&i| digits.get(i)) {
            let pixels = hand.write(image);
            samples.x.extend(pixels.iter().map(|&p| S::narrow(S::Accum::of(p))));
            samples.labels.push(u32::from(*label));
        }
        samples
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// None at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Those of `order`, one after the other.
    pub fn gather(&self, order: &[usize], x: &mut Vec<S>, labels: &mut Vec<u32>) {
        x.clear();
        labels.clear();
        for &i in order {
            x.extend_from_slice(self.x.get(i * PIXELS..(i + 1) * PIXELS).unwrap_or_default());
            labels.extend(self.labels.get(i));
        }
    }
}
