//! sⱼ = Σₜ Xₜⱼ, or the same added to sⱼ.

use decora::backend::Store;
use decora::scalar::Scalar;

use super::row;
use crate::products::Operand;

pub(crate) fn col_sum<T: Scalar>(x: Operand<'_, T>, store: Store, s: &mut [T::Accum]) {
    if store == Store::Replace {
        s.iter_mut().take(x.at.cols).for_each(|s| *s = T::Accum::default());
    }
    for i in (0..x.at.rows).step_by(2) {
        let x0 = row(x.data, x.at, i);
        if i + 1 == x.at.rows {
            s.iter_mut().zip(x0).for_each(|(s, x)| *s += x.widen());
            break;
        }
        let pairs = x0.iter().zip(row(x.data, x.at, i + 1));
        s.iter_mut().zip(pairs).for_each(|(s, (x0, x1))| *s = *s + x0.widen() + x1.widen());
    }
}
