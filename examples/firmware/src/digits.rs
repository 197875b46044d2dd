//! What the device reads and what it is told: images of digits, as its sensor delivers them.

/// Rows and columns of an image.
pub const SIDE: usize = 8;
/// Pixels of an image.
pub const PIXELS: usize = SIDE * SIDE;
/// Digits.
pub const CLASSES: usize = 10;
/// Bytes of an image and its label in a stream.
pub const RECORD: usize = PIXELS + 1;

/// One labelled image: pixels from 0 (white) to 1 (black).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Row after row.
    pub pixels: [f32; PIXELS],
    /// Which digit it is.
    pub label: u32,
}

impl Sample {
    /// Nothing written.
    pub const BLANK: Self = Self { pixels: [0.0; PIXELS], label: 0 };
}

/// The sample that a sensor delivers as bytes: 64 pixels, 0 to 255, and the label.
#[must_use]
pub fn sample(record: &[u8; RECORD]) -> Sample {
    let mut sample = Sample::BLANK;
    fill(record, &mut sample);
    sample
}

fn fill(record: &[u8; RECORD], sample: &mut Sample) {
    let [pixels @ .., label] = record;
    sample.label = u32::from(*label);
    for (to, &pixel) in sample.pixels.iter_mut().zip(pixels) {
        *to = f32::from(pixel) / 255.0;
    }
}

/// The bytes of a sample, its pixels rounded to the nearest of 255 steps.
#[must_use]
pub fn record(sample: &Sample) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    for (to, &pixel) in record.iter_mut().zip(&sample.pixels) {
        // Saturates: no pixel and no NaN makes this anything but a byte.
        *to = (pixel * 255.0 + 0.5) as u8;
    }
    if let (Some(last), Ok(label)) = (record.last_mut(), u8::try_from(sample.label)) {
        *last = label;
    }
    record
}

/// A recording of a sensor, to be played as often as one likes, one sample at a time.
#[derive(Clone, Copy, Debug)]
pub struct Recording<'d> {
    records: &'d [[u8; RECORD]],
}

impl<'d> Recording<'d> {
    /// The whole records in `bytes`.
    #[must_use]
    pub const fn new(bytes: &'d [u8]) -> Self {
        Self { records: bytes.as_chunks().0 }
    }

    /// How many samples it has.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.records.len()
    }

    /// None at all.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Makes `to` the sample with this number; `false` when there is none. A sample takes a
    /// quarter of a kilobyte, which is not moved about where stacks are short.
    pub fn read(&self, number: usize, to: &mut Sample) -> bool {
        match self.records.get(number) {
            Some(record) => fill(record, to),
            None => return false,
        }
        true
    }

    /// Its samples, first to last.
    pub fn play(&self) -> impl Iterator<Item = Sample> + use<'d> {
        self.records.iter().map(sample)
    }
}
