//! Attention, with every score in memory.

use decora::sequence::Heads;

use crate::expected::Expected;

/// Numbers of an attention, row after row without gaps.
#[derive(Clone, Debug)]
pub(crate) struct Attend {
    pub(crate) heads: Heads,
    pub(crate) q: Vec<f64>,
    pub(crate) k: Vec<f64>,
    pub(crate) v: Vec<f64>,
    /// First key and end of each query.
    pub(crate) spans: Vec<(u32, u32)>,
}

/// What forward gives.
#[derive(Clone, Debug)]
pub(crate) struct Attended {
    pub(crate) o: Vec<Expected>,
    pub(crate) lse: Vec<Expected>,
}

/// What backward gives.
#[derive(Clone, Debug)]
pub(crate) struct Gradients {
    pub(crate) dq: Vec<Expected>,
    pub(crate) dk: Vec<Expected>,
    pub(crate) dv: Vec<Expected>,
}

/// The score of one pair.
#[derive(Clone, Copy, Debug)]
struct Score {
    key: usize,
    value: f64,
    /// The sum of the absolute values of its terms.
    size: f64,
}

/// What each number of a result is made of: a score off by ε·`size` is a weight off by that share of
/// itself, and a device may compute exp(x) with an error of ε·|x|.
fn doubt(score: Score, of_sum: f64, lse: f64) -> f64 {
    1.0 + score.size + of_sum + lse.abs() + (score.value - lse).abs()
}

impl Attend {
    fn keys(&self) -> usize {
        self.k.len() / self.heads.kv_width().max(1)
    }

    /// The keys that query `t` sees.
    pub(crate) fn seen(&self, t: usize) -> core::ops::Range<usize> {
        let (start, end) = self.spans[t];
        start as usize..self.keys().min(end as usize)
    }

    /// Where the numbers of key `j` for head `h` of queries start.
    fn place(&self, j: usize, h: usize) -> usize {
        let Heads { heads, kv_heads, dim, .. } = self.heads;
        (j * kv_heads + h / (heads / kv_heads)) * dim
    }

    fn scores(&self, t: usize, h: usize) -> Vec<Score> {
        let Heads { heads, dim, scale, .. } = self.heads;
        let q = &self.q[(t * heads + h) * dim..][..dim];
        let score = |key| {
            let k = &self.k[self.place(key, h)..][..dim];
            let terms = q.iter().zip(k).map(|(q, k)| scale * q * k);
            let (value, size) = terms.fold((0.0, 0.0), |(v, s), x: f64| (v + x, s + x.abs()));
            Score { key, value, size }
        };
        self.seen(t).map(score).collect()
    }

    /// O and lse.
    pub(crate) fn forward(&self) -> Attended {
        let Heads { heads, dim, .. } = self.heads;
        let (mut o, mut lse) = (Vec::new(), Vec::new());
        for (t, h) in (0..self.spans.len()).flat_map(|t| (0..heads).map(move |h| (t, h))) {
            let scores = self.scores(t, h);
            if scores.is_empty() {
                o.extend(vec![Expected::exactly(0.0); dim]);
                lse.push(Expected::exactly(0.0));
                continue;
            }
            let max = scores.iter().fold(f64::NEG_INFINITY, |max, s| max.max(s.value));
            let sum: f64 = scores.iter().map(|s| (s.value - max).exp()).sum();
            let of_row = max + sum.ln();
            let p = |s: &Score| (s.value - of_row).exp();
            let size: f64 = scores.iter().map(|s| p(s) * s.size).sum();
            let terms = dim + scores.len();
            let whole = 1.0 + size + of_row.abs();
            lse.push(Expected { terms, ..Expected::within(of_row, whole) });
            o.extend((0..dim).map(|d| {
                let start = Expected { terms: dim, ..Expected::default() };
                scores.iter().fold(start, |sum, s| {
                    let term = p(s) * self.v[self.place(s.key, h) + d];
                    sum.plus_within(term, term.abs() * doubt(*s, size, of_row))
                })
            }));
        }
        Attended { o, lse }
    }

    /// dQ, dK and dV of dO, with O and lse as forward gave them.
    pub(crate) fn backward(&self, o: &[f64], lse: &[f64], d_o: &[f64]) -> Gradients {
        let Heads { heads, dim, .. } = self.heads;
        let none = |len: usize| vec![Expected { terms: 2 * dim, ..Expected::default() }; len];
        let mut grads =
            Gradients { dq: none(self.q.len()), dk: none(self.k.len()), dv: none(self.v.len()) };
        for (t, h) in (0..self.spans.len()).flat_map(|t| (0..heads).map(move |h| (t, h))) {
            let row = (t * heads + h) * dim;
            let (o, d_o) = (&o[row..][..dim], &d_o[row..][..dim]);
            for score in self.scores(t, h) {
                let pair = Pair { row, place: self.place(score.key, h), score };
                self.add(&mut grads, pair, lse[t * heads + h], o, d_o);
            }
        }
        grads
    }

    /// Adds what one query, one of its heads and one key give.
    fn add(&self, to: &mut Gradients, pair: Pair, lse: f64, o: &[f64], d_o: &[f64]) {
        let Heads { dim, scale, .. } = self.heads;
        let Pair { row, place, score } = pair;
        let v = &self.v[place..][..dim];
        let (p, share) = ((score.value - lse).exp(), doubt(score, 0.0, lse));
        let terms = (0..dim).map(|d| (d_o[d] * v[d], d_o[d] * o[d]));
        let (ds, size) = terms.fold((0.0, 0.0), |(sum, size), (a, b): (f64, f64)| {
            (sum + p * (a - b), size + p * (a.abs() + b.abs()))
        });
        let plus = |sum: &mut Expected, factor: f64, value: f64, size: f64| {
            *sum = sum.plus_within(factor * value, (factor * size).abs() * share);
        };
        for (d, d_o) in d_o.iter().enumerate() {
            plus(&mut to.dq[row + d], scale * self.k[place + d], ds, size);
            plus(&mut to.dk[place + d], scale * self.q[row + d], ds, size);
            plus(&mut to.dv[place + d], *d_o, p, p);
        }
    }
}

/// Where the numbers of a query and a key for one head start, and their score.
#[derive(Clone, Copy, Debug)]
struct Pair {
    row: usize,
    place: usize,
    score: Score,
}
