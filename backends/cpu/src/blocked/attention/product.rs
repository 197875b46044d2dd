//! Products of blocks of scores with packed heads, without what nobody sees.

use core::marker::PhantomData;
use core::ops::Range;

use decora::backend::Store;
use decora::scalar::Element;
use pulp::{Arch, Simd, WithSimd};

use crate::blocked::kernel::Rows;
use crate::blocked::lane::Lane;
use crate::blocked::pack::{self, Source};
use crate::products::Operand;

/// Vectors in a line of a panel, unless one wastes less: with twelve rows all sums, a line and a number of
/// a row fit in 32 registers.
const WIDE: usize = 2;

/// How many numbers a vector holds on this processor.
fn lanes<A: Lane>() -> usize {
    struct Lanes<A>(PhantomData<A>);
    impl<A: Lane> WithSimd for Lanes<A> {
        type Output = usize;
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> usize {
            A::lanes::<S>()
        }
    }
    Arch::new().dispatch(Lanes::<A>(PhantomData))
}

/// How a right operand is packed: panels of so many columns, line after line of k.
#[derive(Clone, Copy, Debug)]
pub(super) struct Panels {
    lines: usize,
    /// Whole panels of columns, in numbers.
    pub(super) cols: usize,
    /// Columns of a panel.
    pub(super) width: usize,
    /// Vectors in a line of a panel.
    wide: usize,
}

impl Panels {
    pub(super) fn new<A: Lane>(lines: usize, cols: usize) -> Self {
        let lanes = lanes::<A>();
        let vectors = cols.div_ceil(lanes);
        // The last of a few panels would be half empty.
        let wide = if vectors % WIDE == 1 && vectors < 8 { 1 } else { WIDE };
        let width = wide * lanes;
        Self { lines, cols: cols.next_multiple_of(width), width, wide }
    }

    /// Numbers in all panels.
    pub(super) const fn len(self) -> usize {
        self.lines * self.cols
    }

    /// α·B in panels, zeros behind its columns.
    pub(super) fn pack<A: Lane, E: Element>(self, alpha: A, of: Operand<'_, E>, to: &mut [A]) {
        let Self { lines, width, .. } = self;
        let panels = pack::Panels { data: to, width, stride: lines * width };
        of.pack(alpha, 0..lines, 0..of.at.cols, panels);
    }

    /// What was packed, from line `line` and panel `panel` on.
    pub(super) fn of<A>(self, data: &[A], line: usize, panel: usize) -> Packed<'_, A> {
        let data = data.get(panel * self.lines * self.width..).unwrap_or_default();
        Packed { data, line, at: self }
    }
}

/// A right operand in panels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packed<'a, A> {
    data: &'a [A],
    /// The first line.
    line: usize,
    at: Panels,
}

impl<'a, A> Packed<'a, A> {
    /// Lines `k` of panel `j`.
    fn lines(&self, j: usize, k: &Range<usize>) -> &'a [A] {
        let Panels { lines, width, .. } = self.at;
        let start = (j * lines + self.line) * width;
        self.data.get(start + k.start * width..start + k.end * width).unwrap_or_default()
    }
}

/// What some rows of a product take: which k are not all zero, and in which columns anybody looks.
pub(super) struct Need {
    pub(super) k: Range<usize>,
    pub(super) cols: Range<usize>,
}

/// C = A·B, or C += A·B, as far as anybody looks. A has adjacent columns, or adjacent rows and a tile's
/// more behind.
pub(super) struct Product<'a, A> {
    pub(super) a: Operand<'a, A>,
    pub(super) b: Packed<'a, A>,
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) store: Store,
    pub(super) needs: &'a dyn Fn(Range<usize>) -> Need,
    /// Row after row of whole panels.
    pub(super) c: &'a mut [A],
    pub(super) stride: usize,
}

impl<A: Lane> Product<'_, A> {
    pub(super) fn compute(self) {
        Arch::new().dispatch(self);
    }

    #[inline(always)]
    fn tiles<const M: usize, const N: usize, S: Simd>(self, s: S) {
        let width = self.b.at.width;
        for (j, start) in (0..self.cols).step_by(width).enumerate() {
            for first in (0..self.rows).step_by(M) {
                let rows = first..self.rows.min(first + M);
                let Need { k, cols } = (self.needs)(rows.clone());
                if cols.end <= start || cols.start >= start + width {
                    continue;
                }
                let (panel, count) = (self.b.lines(j, &k), rows.len());
                let c = self.c.get_mut(first * self.stride + start..).unwrap_or_default();
                let (a, k, stride, store) = (self.a, k.start, self.stride, self.store);
                let tile = Tile::<M, N, A> { a, first, count, k, panel, store, c, stride };
                match count {
                    1..=4 if M > 4 => s.vectorize(tile.of_rows::<4>()),
                    5..=8 if M > 8 => s.vectorize(tile.of_rows::<8>()),
                    _ => s.vectorize(tile),
                }
            }
        }
    }
}

impl<A: Lane> WithSimd for Product<'_, A> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        match (S::REGISTER_COUNT >= 32, self.b.at.wide) {
            (true, 1) => self.tiles::<12, 1, S>(s),
            (true, _) => self.tiles::<12, WIDE, S>(s),
            (false, 1) => self.tiles::<8, 1, S>(s),
            (false, _) => self.tiles::<4, WIDE, S>(s),
        }
    }
}

/// Rows of C from `first` on, in one panel. A function of its own, whose sums are in registers whatever
/// is around it.
struct Tile<'a, const M: usize, const N: usize, A> {
    a: Operand<'a, A>,
    first: usize,
    count: usize,
    /// The first k.
    k: usize,
    panel: &'a [A],
    store: Store,
    c: &'a mut [A],
    stride: usize,
}

impl<'a, const M: usize, const N: usize, A> Tile<'a, M, N, A> {
    /// The same, computed as a tile of `R` rows.
    #[inline(always)]
    fn of_rows<const R: usize>(self) -> Tile<'a, R, N, A> {
        let Self { a, first, count, k, panel, store, c, stride } = self;
        Tile { a, first, count, k, panel, store, c, stride }
    }
}

impl<const M: usize, const N: usize, A: Lane> WithSimd for Tile<'_, M, N, A> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let (panel, _) = A::vectors::<S>(self.panel).as_chunks::<N>();
        let mut sums = [[A::splat(s, A::default()); N]; M];
        if let Some(rows) = Rows::<M, A>::new(self.a, self.first, self.k, panel.len()) {
            sums = rows.times(s, panel, sums);
        }
        let one = A::splat(s, A::of(1.0));
        for (line, sums) in self.c.chunks_mut(self.stride).take(self.count).zip(&sums) {
            let Some(line) = A::vectors_mut::<S>(line).first_chunk_mut::<N>() else { return };
            match self.store {
                Store::Replace => *line = *sums,
                Store::Add => {
                    for j in 0..N {
                        line[j] = A::fma(s, sums[j], one, line[j]);
                    }
                }
            }
        }
    }
}
