//! From examples to batches, and where one is among them.

use decora::init::Rng;
use serde::{Deserialize, Serialize};

use crate::data::{Example, IGNORED, Labels, Row};

/// What a token sees of its sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Itself and all before it.
    Causal {
        /// The token that is no text: as in transformers, a sequence is classified at its last other one.
        pad: Option<u32>,
    },
    /// All of it.
    Whole,
}

/// Sequences of one pass, one after the other: a row for each token, without padding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Token of each row.
    pub ids: Vec<u32>,
    /// Its position in its sequence.
    pub positions: Vec<u32>,
    /// The kind of its segment.
    pub types: Vec<u32>,
    /// What it sees where there is no window: the first row, and one past the last; two numbers for each
    /// row. Neither ever decreases.
    pub spans: Vec<u32>,
    /// The row of each sequence that is classified: its first where tokens see the whole, else its last
    /// that is no padding.
    pub picks: Vec<u32>,
    /// For each row the token that follows, or [`IGNORED`]; of a classifier, for each sequence its
    /// class.
    pub labels: Vec<u32>,
}

impl Batch {
    /// The sequences of `examples`.
    pub fn new<'e>(examples: impl IntoIterator<Item = &'e Example>, view: View) -> Self {
        let mut batch = Self::default();
        for example in examples {
            batch.push(&example.ids, &example.types, view);
            match &example.labels {
                Labels::Next(labels) => batch.labels.extend(labels),
                Labels::Class(class) => batch.labels.push(*class),
            }
        }
        batch
    }

    /// One sequence without labels; without `types`, all are 0.
    #[must_use]
    pub fn of_tokens(ids: &[u32], types: &[u32], view: View) -> Self {
        let mut batch = Self::default();
        batch.push(ids, types, view);
        batch
    }

    fn push(&mut self, ids: &[u32], types: &[u32], view: View) {
        let first = self.ids.len();
        let end = first + ids.len();
        self.picks.push(match view {
            View::Whole => first,
            View::Causal { pad } => first + last_text(ids, pad),
        } as u32);
        self.ids.extend(ids);
        self.positions.extend(0..ids.len() as u32);
        self.types.extend(types.iter().take(ids.len()));
        self.types.resize(end, 0);
        for row in first..end {
            let (start, end) = match view {
                View::Whole => (first, end),
                View::Causal { .. } => (first, row + 1),
            };
            self.spans.extend([start as u32, end as u32]);
        }
    }

    /// The tokens, as a network takes them.
    #[must_use]
    pub fn tokens(&self) -> decora::transformer::Batch<'_> {
        decora::transformer::Batch {
            ids: &self.ids,
            positions: &self.positions,
            types: &self.types,
            spans: &self.spans,
            picks: &self.picks,
        }
    }

    /// How many labels count.
    #[must_use]
    pub fn counted(&self) -> usize {
        self.labels.iter().filter(|&&label| label != IGNORED).count()
    }
}

/// Where the last token is that is not `pad`; 0 when all of them are.
fn last_text(ids: &[u32], pad: Option<u32>) -> usize {
    ids.iter().rposition(|&id| Some(id) != pad).unwrap_or_default()
}

/// Where a training run is in its data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Times through the data so far.
    pub epoch: u64,
    /// Rows taken since.
    pub index: usize,
}

/// The order in which rows are taken: another one in each epoch.
#[derive(Clone, Debug)]
pub struct Order {
    rows: Vec<Row>,
    batch: usize,
    accumulate: usize,
    seed: Option<u64>,
    position: Position,
    shuffled: (u64, Vec<usize>),
}

impl Order {
    /// Takes `accumulate` times `batch` rows in a step; in the order they have, or shuffled by `seed`.
    #[must_use]
    pub fn new(rows: Vec<Row>, batch: usize, accumulate: usize, seed: Option<u64>) -> Self {
        let shuffled = (0, order(rows.len(), seed, 0));
        Self { rows, batch, accumulate, seed, position: Position::default(), shuffled }
    }

    /// Where it is.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// Goes on elsewhere.
    pub fn resume_at(&mut self, position: Position) {
        self.position = position;
        self.shuffled = (position.epoch, order(self.rows.len(), self.seed, position.epoch));
    }

    /// Steps in an epoch.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.rows.len().div_ceil(self.batch * self.accumulate) as u64
    }

    /// The rows of the next step: a list for each of its batches. The last step of an epoch may have
    /// fewer.
    pub fn next_step(&mut self) -> Vec<Vec<&Row>> {
        if self.position.index >= self.rows.len() {
            let epoch = self.position.epoch + 1;
            self.resume_at(Position { epoch, index: 0 });
        }
        let start = self.position.index;
        let end = (start + self.batch * self.accumulate).min(self.rows.len());
        self.position.index = end;
        let taken = self.shuffled.1.get(start..end).unwrap_or_default();
        let rows = |part: &[usize]| part.iter().filter_map(|&i| self.rows.get(i)).collect();
        taken.chunks(self.batch).map(rows).collect()
    }
}

fn order(count: usize, seed: Option<u64>, epoch: u64) -> Vec<usize> {
    let mut all: Vec<usize> = (0..count).collect();
    if let Some(seed) = seed {
        let mut mixed = Rng::new(seed ^ (epoch << 32));
        Rng::new(mixed.next_u64()).shuffle(&mut all);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{apart, pack};

    fn example(ids: &[u32], labels: &[u32]) -> Example {
        Example { ids: ids.to_vec(), types: Vec::new(), labels: Labels::Next(labels.to_vec()) }
    }

    const fn causal(pad: Option<u32>) -> View {
        View::Causal { pad }
    }

    #[test]
    fn a_sequence_is_classified_at_its_last_token_that_is_no_padding() {
        let picks = |ids: &[u32], pad| Batch::of_tokens(ids, &[], causal(pad)).picks;
        assert_eq!((picks(&[4, 0, 5, 0, 0], Some(0)), picks(&[4, 5, 0], None)), (vec![2], vec![2]));
        assert_eq!((picks(&[0, 0], Some(0)), picks(&[4, 5], Some(0))), (vec![0], vec![1]));
    }

    #[test]
    fn sequences_lie_one_after_the_other_and_see_only_themselves() {
        let all = [example(&[7, 8, 9], &[8, 9, IGNORED]), example(&[5, 6], &[IGNORED, IGNORED])];
        let batch = Batch::new(&all, causal(None));
        assert_eq!(batch.ids, [7, 8, 9, 5, 6]);
        assert_eq!((&batch.positions, &batch.types), (&vec![0, 1, 2, 0, 1], &vec![0; 5]));
        assert_eq!(batch.spans, [0, 1, 0, 2, 0, 3, 3, 4, 3, 5]);
        assert_eq!((&batch.picks, batch.counted()), (&vec![2, 4], 2));
        let whole = Batch::new(&all, View::Whole);
        assert_eq!((whole.spans, whole.labels), (vec![0, 3, 0, 3, 0, 3, 3, 5, 3, 5], batch.labels));
        assert_eq!(whole.picks, [0, 3]);
    }

    #[test]
    fn spans_never_decrease() {
        let all: Vec<_> = (1..9).map(|n| example(&vec![1; n], &vec![1; n])).collect();
        for view in [View::Whole, causal(None)] {
            let spans = Batch::new(&all, view).spans;
            assert!((2..spans.len()).all(|i| spans[i - 2] <= spans[i]), "{view:?}: {spans:?}");
        }
    }

    fn steps(order: &mut Order, count: usize) -> Vec<Vec<Vec<Row>>> {
        let owned = |step: Vec<Vec<&Row>>| {
            step.into_iter().map(|batch| batch.into_iter().cloned().collect()).collect()
        };
        (0..count).map(|_| owned(order.next_step())).collect()
    }

    #[test]
    fn an_epoch_has_every_row_once_and_the_next_another_order() {
        let mut order = Order::new(apart(10), 2, 2, Some(1));
        assert_eq!(order.steps(), 3);
        let first = steps(&mut order, 3);
        assert_eq!(first.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
        let flat = |steps: &[Vec<Vec<Row>>]| -> Vec<usize> {
            steps.iter().flatten().flatten().flatten().copied().collect()
        };
        let second = steps(&mut order, 3);
        assert_ne!(flat(&first), flat(&second));
        for epoch in [first, second] {
            let mut all = flat(&epoch);
            all.sort_unstable();
            assert_eq!(all, (0..10).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_resumed_order_goes_on_where_it_was() {
        let rows = pack(&[3, 1, 4, 1, 5, 9, 2, 6], 10);
        let mut whole = Order::new(rows.clone(), 1, 2, Some(7));
        for taken in 0..7 {
            steps(&mut whole, 1);
            let mut resumed = Order::new(rows.clone(), 1, 2, Some(7));
            resumed.resume_at(whole.position());
            assert_eq!(steps(&mut resumed, 4), steps(&mut whole.clone(), 4), "after {taken}");
        }
    }

    #[test]
    fn without_a_seed_rows_keep_their_order() {
        let mut order = Order::new(apart(3), 1, 1, None);
        let rows: Vec<_> = steps(&mut order, 5).into_iter().flatten().flatten().flatten().collect();
        assert_eq!(rows, [0, 1, 2, 0, 1]);
    }
}
