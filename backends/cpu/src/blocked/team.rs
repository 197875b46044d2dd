//! Threads: the one that calls, and a pool of helpers.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::OnceLock;

use rayon::{ThreadPool, ThreadPoolBuilder, Yield};

/// Multiply-adds from which another thread pays.
const SHARE: usize = 1 << 20;

/// How often a thread looks whether the others are done before it goes to sleep: longer than most of
/// them take, as waking up takes longer still.
const LOOKS: usize = 20_000;

/// One helper fewer than there are cores, or than `RAYON_NUM_THREADS` says: the caller works too.
fn helpers() -> Option<&'static ThreadPool> {
    static HELPERS: OnceLock<Option<ThreadPool>> = OnceLock::new();
    let pool = || {
        let asked = std::env::var("RAYON_NUM_THREADS").ok().and_then(|n| n.parse().ok());
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let helpers = asked.filter(|&n| n > 0).unwrap_or_else(cores) - 1;
        let name = |i| std::format!("decora-cpu {i}");
        let pool = ThreadPoolBuilder::new().num_threads(helpers).thread_name(name);
        if helpers == 0 { None } else { pool.build().ok() }
    };
    HELPERS.get_or_init(pool).as_ref()
}

/// How many threads pay for so many multiply-adds.
pub(super) fn threads(work: usize) -> usize {
    let paid = (work / SHARE).max(1);
    if paid == 1 { 1 } else { paid.min(1 + helpers().map_or(0, ThreadPool::current_num_threads)) }
}

/// How often a helper looks for work before it goes to sleep: longer than it takes from one operation to
/// the next.
const PATIENCE: usize = 2_000;

/// Helpers that look for work.
static AWAKE: AtomicUsize = AtomicUsize::new(0);

/// Keeps helpers awake for a while: to wake them up takes as long as a small product.
fn keep_awake(helpers: &ThreadPool) {
    if AWAKE.load(Ordering::Relaxed) > 0 {
        return;
    }
    AWAKE.fetch_add(helpers.current_num_threads(), Ordering::Relaxed);
    helpers.spawn_broadcast(|_| {
        let mut looks = 0;
        while looks < PATIENCE {
            looks = if rayon::yield_now() == Some(Yield::Executed) { 0 } else { looks + 1 };
            core::hint::spin_loop();
        }
        AWAKE.fetch_sub(1, Ordering::Relaxed);
    });
}

/// Calls `f` with each of `of`, on as many threads; returns when all are done.
pub(super) fn each<P: Send>(mut of: Vec<P>, f: impl Fn(P) + Sync) {
    let Some(own) = of.pop() else { return };
    let (false, Some(helpers)) = (of.is_empty(), helpers()) else {
        of.into_iter().for_each(&f);
        return f(own);
    };
    keep_awake(helpers);
    let left = AtomicUsize::new(of.len());
    helpers.in_place_scope(|scope| {
        let (f, left) = (&f, &left);
        for part in of {
            scope.spawn(move |_| {
                f(part);
                left.fetch_sub(1, Ordering::Release);
            });
        }
        f(own);
        for _ in 0..LOOKS {
            if left.load(Ordering::Acquire) == 0 {
                break;
            }
            core::hint::spin_loop();
        }
    });
}
