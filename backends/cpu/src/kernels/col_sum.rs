//! sⱼ = Σₜ Xₜⱼ, or the same added to sⱼ.

use decora::backend::Store;
use decora::scalar::Scalar;

use super::row;
use crate::products::Operand;

pub(crate) fn col_sum<T: Scalar>(x: Operand<'_, T>, store: Store, s: &mut [T::Accum]) {
    if store == Store::Replace {
        s.iter_mut().take(x.at.cols).for_each(|s| *s = T::Accum::default());
    }
    for i in 0..x.at.rows {
        for (s, x) in s.iter_mut().zip(row(x.data, x.at, i)) {
            *s += x.widen();
        }
    }
}
