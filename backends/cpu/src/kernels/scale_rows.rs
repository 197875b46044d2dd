//! C = diag(d)·C.

use decora::mat::Layout;
use decora::scalar::Accum;

use super::{row, row_mut};
use crate::products::Operand;

pub(crate) fn scale_rows<A: Accum>(d: Operand<'_, A>, c: &mut [A], at: Layout) {
    for i in 0..at.rows {
        for &d in row(d.data, d.at, i) {
            row_mut(c, at, i).iter_mut().for_each(|c| *c *= d);
        }
    }
}
