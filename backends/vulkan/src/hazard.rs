//! Which operations must wait for which: pure bookkeeping, without a device.

use std::collections::HashMap;

/// What an operation does to a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Only looks.
    Read,
    /// Writes, and may look as well.
    Write,
}

/// Bytes `start..end` of the buffer `id`, and what is done to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Use {
    pub(crate) id: u64,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) access: Access,
}

impl Use {
    fn conflicts(&self, earlier: &Self) -> bool {
        let overlap = self.start < earlier.end && earlier.start < self.end;
        overlap && (self.access == Access::Write || earlier.access == Access::Write)
    }
}

/// What was done since the last barrier.
#[derive(Debug, Default)]
pub(crate) struct Hazards {
    since: HashMap<u64, Vec<Use>>,
}

impl Hazards {
    /// Notes that an operation does `uses`, after a barrier when this is `true`: it touches what an
    /// operation since the last barrier wrote, or writes what one touched.
    pub(crate) fn barrier_before(&mut self, uses: &[Use]) -> bool {
        let conflict = uses.iter().any(|new| {
            let earlier = self.since.get(&new.id).map(Vec::as_slice).unwrap_or_default();
            earlier.iter().any(|old| new.conflicts(old))
        });
        if conflict {
            self.since.clear();
        }
        for &new in uses.iter().filter(|u| u.start < u.end) {
            let all = self.since.entry(new.id).or_default();
            if !all.contains(&new) {
                all.push(new);
            }
        }
        conflict
    }

    /// Everything done so far is over: the host has waited for it.
    pub(crate) fn settle(&mut self) {
        self.since.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(id: u64, start: u64, end: u64) -> Use {
        Use { id, start, end, access: Access::Read }
    }

    fn write(id: u64, start: u64, end: u64) -> Use {
        Use { access: Access::Write, ..read(id, start, end) }
    }

    /// For each operation in turn: whether it needs a barrier before it.
    fn barriers(operations: &[&[Use]]) -> Vec<bool> {
        let mut hazards = Hazards::default();
        operations.iter().map(|uses| hazards.barrier_before(uses)).collect()
    }

    #[test]
    fn what_was_written_is_read_behind_a_barrier() {
        assert_eq!(barriers(&[&[write(1, 0, 8)], &[read(1, 4, 6)]]), [false, true]);
        assert_eq!(barriers(&[&[write(1, 0, 8)], &[write(1, 7, 9)]]), [false, true]);
        assert_eq!(barriers(&[&[read(1, 0, 8)], &[write(1, 7, 9)]]), [false, true]);
    }

    #[test]
    fn reads_other_buffers_and_other_ranges_need_none() {
        assert_eq!(barriers(&[&[read(1, 0, 8)], &[read(1, 0, 8)]]), [false, false]);
        assert_eq!(barriers(&[&[write(1, 0, 8)], &[write(2, 0, 8)]]), [false, false]);
        assert_eq!(barriers(&[&[write(1, 0, 8)], &[write(1, 8, 16)]]), [false, false]);
        assert_eq!(barriers(&[&[write(1, 4, 4)], &[write(1, 0, 8)]]), [false, false]);
    }

    #[test]
    fn one_barrier_covers_all_that_came_before_it() {
        let chain: [&[Use]; 4] = [
            &[write(1, 0, 8)],
            &[write(2, 0, 8)],
            &[read(1, 0, 8), write(3, 0, 8)],
            &[read(2, 0, 8)],
        ];
        assert_eq!(barriers(&chain), [false, false, true, false]);
    }

    #[test]
    fn what_comes_after_a_barrier_is_watched_again() {
        let chain: [&[Use]; 4] = [
            &[write(1, 0, 8)],
            &[read(1, 0, 8), write(2, 0, 8)],
            &[write(1, 0, 8)],
            &[read(2, 0, 8)],
        ];
        assert_eq!(barriers(&chain), [false, true, true, false]);
    }

    #[test]
    fn operands_of_one_operation_do_not_wait_for_each_other() {
        assert_eq!(barriers(&[&[read(1, 0, 8), write(1, 0, 8)]]), [false]);
    }

    #[test]
    fn after_a_wait_nothing_is_outstanding() {
        let mut hazards = Hazards::default();
        assert!(!hazards.barrier_before(&[write(1, 0, 8)]));
        hazards.settle();
        assert!(!hazards.barrier_before(&[read(1, 0, 8)]));
    }
}
