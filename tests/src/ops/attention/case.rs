//! What attention is tried on.

use decora::buffer::{Act, Index};
use decora::mat::{Layout, Mat};
use decora::sequence::{Attention, Heads, Sequence};

use crate::operand::Operand;
use crate::paint::{View, paint};
use crate::reference::Attend;
use crate::trial::Trial;

/// Which keys queries see.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Spans {
    /// All.
    All,
    /// Those up to their own; keys beyond the number of queries come first, from a cache.
    Causal,
    /// The last so many of those.
    Window(u32),
    /// So many before their own and after it.
    Around(u32),
    /// Those of their own sequence, of many, up to their own.
    Packed,
    /// Those of their own sequence, of many.
    PackedBothWays,
    /// The first and last rows are padding, which sees nothing.
    Padded,
    /// Every other query sees nothing.
    Holes,
    /// From their own to one far beyond the last; some start beyond it.
    Beyond,
}

/// Lengths of packed sequences, again and again.
const LENGTHS: [u32; 6] = [3, 1, 8, 5, 16, 2];

impl Spans {
    /// First key and end for each of n queries.
    pub(crate) fn of(self, n: usize, keys: usize) -> Vec<(u32, u32)> {
        let (n, keys) = (n as u32, keys as u32);
        let cached = keys.saturating_sub(n);
        let span = |t: u32| match self {
            Self::All => (0, keys),
            Self::Causal => (0, cached + t + 1),
            Self::Window(w) => ((cached + t + 1).saturating_sub(w), cached + t + 1),
            Self::Around(w) => (t.saturating_sub(w), keys.min(t + 1 + w)),
            Self::Packed => (sequence(t, n).0, t + 1),
            Self::PackedBothWays => sequence(t, n),
            Self::Padded if t < 2 => (0, 0),
            Self::Padded => (if t + 3 < n { 2 } else { n - 3 }, n - 3),
            Self::Holes if t.is_multiple_of(2) => (t, t + 2),
            Self::Holes => (t + 1, t + 1),
            Self::Beyond if t > keys => (u32::MAX, u32::MAX),
            Self::Beyond => (t, keys + 1 + 10_000 * t),
        };
        (0..n).map(span).collect()
    }
}

/// Start and end of the sequence that row t is of.
fn sequence(t: u32, n: u32) -> (u32, u32) {
    let mut start = 0;
    for length in LENGTHS.iter().cycle() {
        if t < start + length {
            return (start, n.min(start + length));
        }
        start += length;
    }
    (start, n)
}

/// One attention.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    /// Queries and keys.
    pub(crate) shape: (usize, usize),
    /// Heads, and those of keys.
    pub(crate) heads: (usize, usize),
    pub(crate) dim: usize,
    pub(crate) spans: Spans,
    /// What painted queries are multiplied by, and scores.
    pub(crate) size: (f64, f64),
    pub(crate) views: [View; 3],
    /// Q, K and V are columns of one matrix.
    pub(crate) fused: bool,
}

type Row = ((usize, usize), (usize, usize), usize, Spans);

/// Dimensions of heads around 4, 16, 32, 64, 128 and 256; queries, keys and spans around the same.
const CASES: [Row; 32] = [
    ((1, 1), (1, 1), 1, Spans::All),
    ((5, 7), (2, 2), 3, Spans::All),
    ((7, 7), (3, 1), 5, Spans::Causal),
    ((16, 16), (4, 2), 16, Spans::Causal),
    ((17, 17), (6, 3), 32, Spans::Causal),
    ((65, 65), (4, 2), 64, Spans::Causal),
    ((33, 33), (2, 1), 128, Spans::Causal),
    ((9, 9), (2, 2), 256, Spans::Causal),
    ((6, 6), (4, 2), 255, Spans::All),
    ((5, 69), (4, 1), 31, Spans::Causal),
    ((1, 300), (8, 2), 64, Spans::Causal),
    ((2, 65), (2, 1), 96, Spans::Window(40)),
    ((130, 130), (2, 1), 33, Spans::Window(17)),
    ((11, 11), (2, 2), 8, Spans::Window(1)),
    ((40, 43), (2, 1), 12, Spans::Around(4)),
    ((64, 64), (4, 4), 48, Spans::Packed),
    ((37, 37), (3, 3), 80, Spans::PackedBothWays),
    ((129, 129), (2, 1), 17, Spans::PackedBothWays),
    ((12, 12), (2, 1), 24, Spans::Padded),
    ((67, 67), (4, 2), 4, Spans::Padded),
    ((10, 13), (2, 2), 7, Spans::Holes),
    ((9, 7), (4, 2), 6, Spans::Beyond),
    ((31, 33), (12, 4), 20, Spans::All),
    ((257, 257), (1, 1), 4, Spans::Causal),
    ((128, 129), (1, 1), 2, Spans::All),
    ((127, 63), (1, 1), 16, Spans::All),
    ((3, 1025), (1, 1), 8, Spans::All),
    ((1, 4099), (2, 1), 2, Spans::All),
    ((65_539, 65_539), (1, 1), 2, Spans::Window(2)),
    ((0, 5), (2, 1), 4, Spans::All),
    ((3, 0), (2, 1), 4, Spans::All),
    ((4, 4), (0, 1), 4, Spans::All),
];

/// Every case: scores are painted numbers over √dim. Then equal scores, and large ones, up to ±1000
/// and more.
pub(crate) fn cases() -> impl Iterator<Item = Case> {
    let plain = |(i, (shape, heads, dim, spans)): (usize, Row)| Case {
        shape,
        heads,
        dim,
        spans,
        size: (1.0, 1.0 / (dim as f64).sqrt().max(1.0)),
        views: [i, i / 2, i / 4].map(|i| View::ROWS[i % 2]),
        fused: shape.0 == shape.1 && i % 2 == 0,
    };
    let scored = |spans, queries, scale| Case {
        size: (queries, scale),
        ..plain((1, ((35, 35), (4, 2), 16, spans)))
    };
    let sizes = [(0.0, 1.0), (40.0, 0.3), (300.0, 1.0), (-500.0, 0.7)];
    let scored = sizes.map(|(queries, scale)| {
        [Spans::Causal, Spans::All].map(|spans| scored(spans, queries, scale))
    });
    CASES.into_iter().enumerate().map(plain).chain(scored.into_iter().flatten())
}

/// Operands of an attention on the device, and the same numbers without gaps.
pub(crate) struct Inputs<B: Sequence> {
    pub(crate) numbers: Attend,
    /// Q; K and V as well, unless they have buffers of their own.
    q: Operand<B, Act>,
    k_and_v: Option<[Operand<B, Act>; 2]>,
    at: [Layout; 3],
    spans: Operand<B, Index>,
}

impl Case {
    pub(crate) fn heads(&self) -> Heads {
        let ((heads, kv_heads), (_, scale)) = (self.heads, self.size);
        Heads { heads, kv_heads, dim: self.dim, scale }
    }

    /// Shapes of Q, K and V.
    pub(crate) fn shapes(&self) -> [(usize, usize); 3] {
        let ((n, keys), heads) = (self.shape, self.heads());
        [(n, heads.width()), (keys, heads.kv_width()), (keys, heads.kv_width())]
    }

    pub(crate) fn sides(&self) -> [usize; 5] {
        let ((n, keys), (heads, kv_heads)) = (self.shape, self.heads);
        [n, keys, heads, kv_heads, self.dim]
    }

    /// Where Q, K and V lie in their buffers, or in one, and the lengths of these.
    fn layouts(&self) -> [(Layout, usize); 3] {
        let shapes = self.shapes();
        if !self.fused {
            return [0, 1, 2].map(|i| self.views[i].layout(shapes[i].0, shapes[i].1));
        }
        let rs = shapes.iter().map(|shape| shape.1).sum::<usize>() + 1;
        let mut offset = 3;
        shapes.map(|(rows, cols)| {
            let at = Layout { offset, rows, cols, rs, cs: 1 };
            offset += cols;
            (at, rows * rs + 5)
        })
    }

    /// The keys between the first that a query sees and the last.
    fn seen(&self) -> core::ops::Range<usize> {
        let spans = self.spans.of(self.shape.0, self.shape.1);
        let seen = spans.iter().filter(|(start, end)| start < end);
        let (first, last) = (seen.clone().map(|s| s.0).min(), seen.map(|s| s.1).max());
        first.unwrap_or(0) as usize..last.unwrap_or(0) as usize
    }

    /// What the buffers of Q, K and V hold; where they are one, the first has it all. Rows of K and V
    /// before the first that is seen, and after the last, are NaN.
    fn hosts(&self) -> [Vec<f64>; 3] {
        let seen = self.seen();
        let mut hosts = [const { Vec::new() }; 3];
        for (operand, (at, len)) in self.layouts().into_iter().enumerate() {
            let host = &mut hosts[if self.fused { 0 } else { operand }];
            host.resize(len, f64::NAN);
            for (i, j) in (0..at.rows).flat_map(|i| (0..at.cols).map(move |j| (i, j))) {
                host[at.offset + i * at.rs + j] = match operand {
                    0 => self.size.0 * paint(1, i, j),
                    _ if seen.contains(&i) => paint(operand + 1, i, j),
                    _ => f64::NAN,
                };
            }
        }
        hosts
    }

    /// Painted operands.
    pub(crate) fn inputs<B: Sequence>(&self, t: &mut Trial<B>) -> Result<Inputs<B>, B::Error> {
        let (n, keys) = self.shape;
        let (at, hosts) = (self.layouts().map(|(at, _)| at), self.hosts());
        let q = t.put::<Act>(&hosts[0], at[0])?;
        let k_and_v = match self.fused {
            true => None,
            false => Some([t.put::<Act>(&hosts[1], at[1])?, t.put::<Act>(&hosts[2], at[2])?]),
        };
        let spans = self.spans.of(n, keys);
        let flat = spans.iter().flat_map(|&(start, end)| [f64::from(start), f64::from(end)]);
        let flat: Vec<f64> = flat.chain([0.0; 3]).collect();
        let on_device = t.put::<Index>(&flat, Layout::row_major(0, 2 * n, 1))?;
        let numbers = Attend { heads: self.heads(), q: vec![], k: vec![], v: vec![], spans };
        Ok(Inputs { numbers, q, k_and_v, at, spans: on_device }.noted())
    }
}

impl<B: Sequence> Inputs<B> {
    /// With the numbers that went to the device.
    fn noted(self) -> Self {
        let [q, k, v] = [0, 1, 2].map(|i| flat(&self.operand(i).host, self.at[i]));
        Self { numbers: Attend { q, k, v, ..self.numbers }, ..self }
    }

    /// What Q, K or V lies in.
    fn operand(&self, i: usize) -> &Operand<B, Act> {
        match (&self.k_and_v, i) {
            (Some(own), 1..) => &own[i - 1],
            _ => &self.q,
        }
    }

    /// The operands as the device takes them.
    pub(crate) fn attention(&self) -> Attention<'_, B> {
        let [q, k, v] = [0, 1, 2].map(|i| Mat { buf: &self.operand(i).buf, at: self.at[i] });
        Attention { heads: self.numbers.heads, q, k, v, spans: &self.spans.buf }
    }
}

/// The elements of a matrix, row after row.
pub(crate) fn flat(host: &[f64], at: Layout) -> Vec<f64> {
    let row = |i: usize| (0..at.cols).map(move |j| host[at.offset + i * at.rs + j]);
    (0..at.rows).flat_map(row).collect()
}
