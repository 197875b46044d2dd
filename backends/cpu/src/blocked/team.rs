//! Threads: the one that calls, and a pool of helpers.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

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

/// Calls `f` with each of `of`, on as many threads, or as there are; returns when all are done. A thread
/// that is done with one takes the next.
pub(super) fn each<P: Send>(of: Vec<P>, f: impl Fn(P) + Sync) {
    let (true, Some(helpers)) = (of.len() > 1, helpers()) else {
        return of.into_iter().for_each(f);
    };
    keep_awake(helpers);
    let count = helpers.current_num_threads().min(of.len() - 1);
    let (rest, left) = (Mutex::new(of.into_iter()), AtomicUsize::new(count));
    let next = || rest.lock().ok().and_then(|mut rest| rest.next());
    let work = || {
        while let Some(part) = next() {
            f(part);
        }
    };
    helpers.in_place_scope(|scope| {
        for _ in 0..count {
            scope.spawn(|_| {
                work();
                left.fetch_sub(1, Ordering::Release);
            });
        }
        work();
        for _ in 0..LOOKS {
            if left.load(Ordering::Acquire) == 0 {
                break;
            }
            core::hint::spin_loop();
        }
    });
}
