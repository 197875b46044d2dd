//! Packing: several short sequences in the place of a long one.

use std::collections::BTreeSet;

/// Sequences, by number, that are in one row of a batch.
pub type Row = Vec<usize>;

/// Rows of at most `context` tokens, by best-fit decreasing: the longest sequences first, each into
/// the fullest row that still has room. Rows are in the order of their first sequences. A sequence
/// that is longer than `context` has a row of its own.
#[must_use]
pub fn pack(lengths: &[usize], context: usize) -> Vec<Row> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    let length = |i: usize| lengths.get(i).copied().unwrap_or_default();
    order.sort_by_key(|&i| core::cmp::Reverse(length(i)));
    let mut rows: Vec<Row> = Vec::new();
    let mut room: BTreeSet<(usize, usize)> = BTreeSet::new();
    for i in order {
        let needed = length(i);
        let found = room.range((needed, 0)..).next().copied();
        let (left, row) = found.unwrap_or_else(|| (context.max(needed), rows.len()));
        room.remove(&(left, row));
        if found.is_none() {
            rows.push(Row::new());
        }
        if let Some(row) = rows.get_mut(row) {
            row.push(i);
        }
        room.insert((left - needed, row));
    }
    rows.iter_mut().for_each(|row| row.sort_unstable());
    rows.sort_unstable();
    rows
}

/// A row for each sequence.
#[must_use]
pub fn apart(count: usize) -> Vec<Row> {
    (0..count).map(|i| vec![i]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fullest_row_with_room_is_taken() {
        assert_eq!(pack(&[3, 8, 5, 2, 2], 10), [vec![0, 2, 4], vec![1, 3]]);
        assert_eq!(pack(&[4, 4, 4], 4), [vec![0], vec![1], vec![2]]);
        assert_eq!(pack(&[7, 20, 3], 10), [vec![0, 2], vec![1]], "longer than a row: alone");
        assert!(pack(&[], 4).is_empty());
    }

    #[test]
    fn every_sequence_is_in_one_row_and_no_row_overflows() {
        let mut rng = decora::init::Rng::new(3);
        let lengths: Vec<usize> = (0..500).map(|_| 1 + rng.below(64)).collect();
        let rows = pack(&lengths, 64);
        let mut all: Vec<usize> = rows.iter().flatten().copied().collect();
        all.sort_unstable();
        assert_eq!(all, (0..500).collect::<Vec<_>>());
        let sum = |row: &Row| row.iter().map(|&i| lengths[i]).sum::<usize>();
        assert!(rows.iter().all(|row| sum(row) <= 64));
        let least = lengths.iter().sum::<usize>().div_ceil(64);
        assert!(rows.len() <= least + 2, "{} rows, at least {least}", rows.len());
    }
}
