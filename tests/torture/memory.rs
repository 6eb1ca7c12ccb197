//! Memory that is refused: the writer's allocator fails at one allocation after
//! the other, once or from then on. Who asks with `try_reserve` gets an error;
//! everybody else ends the process, as everywhere in Rust, and that death has to
//! be as harmless as any other. What zstd allocates in C is not refused.

use std::alloc::{GlobalAlloc, Layout, System};
use std::env;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::child::{self, FINITE, Workload};
use super::client::Client;
use super::place::Place;
use super::process::{Ended, Process};
use super::survivor::{Death, Depth, check};
use super::tools::number;

/// How many allocations of a writer are granted before one is refused, and
/// whether those after it are as well.
const GRANTED: &str = "HOTSTOVE_TORTURE_ALLOCATIONS";

const SIGABRT: i32 = 6;

#[global_allocator]
static ALLOCATOR: Refusing = Refusing;

struct Refusing;

static LIMITED: AtomicBool = AtomicBool::new(false);
static FOR_EVER: AtomicBool = AtomicBool::new(false);
static MADE: AtomicU64 = AtomicU64::new(0);
static LIMIT: AtomicU64 = AtomicU64::new(0);

fn refused() -> bool {
    if !LIMITED.load(Ordering::Relaxed) {
        return false;
    }
    let made = MADE.fetch_add(1, Ordering::Relaxed);
    let limit = LIMIT.load(Ordering::Relaxed);
    made == limit || (made > limit && FOR_EVER.load(Ordering::Relaxed))
}

// SAFETY: each call is that of the system's allocator, or gives the null pointer
// that says there is no memory.
#[expect(unsafe_code, reason = "an allocator can not be made without")]
unsafe impl GlobalAlloc for Refusing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if refused() {
            return std::ptr::null_mut();
        }
        // SAFETY: what the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: what the caller promised.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if refused() {
            return std::ptr::null_mut();
        }
        // SAFETY: what the caller promised.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// In a writer: begins to count, if its orders say so.
pub fn begin() {
    let Ok(orders) = env::var(GRANTED) else {
        return;
    };
    let (granted, mode) = orders.split_once(' ').expect("a number and a mode");
    LIMIT.store(granted.parse().expect("a number"), Ordering::Relaxed);
    FOR_EVER.store(mode == "on", Ordering::Relaxed);
    LIMITED.store(true, Ordering::Relaxed);
}

/// Refuses the allocation after so many of a writer; says how that ended.
fn refuse(place: &Place, workload: Workload, granted: u64, for_ever: bool) -> Ended {
    place.clear();
    let store = place.path("store");
    let mut command = child::command(&[], workload, 0, &store);
    let mode = if for_ever { "on" } else { "once" };
    command
        .env(GRANTED, format!("{granted} {mode}"))
        .env("RUST_BACKTRACE", "0");
    let mut process = Process::start(command);
    let mut client = Client::default();
    process.go();
    while let Some(told) = process.hear() {
        client.hear(&told);
    }
    let ended = process.end();
    let said = format!("{workload:?}, allocation {granted} refused ({mode})");
    assert!(
        matches!(ended, Ended::Done | Ended::Signal(SIGABRT)),
        "{said}: {ended:?} {}",
        process.noise
    );
    check(&store, &mut client, Death::Kill, Depth::Recover)
        .unwrap_or_else(|wrong| panic!("{said}: {wrong}"));
    ended
}

/// Refuses every `stride`-th allocation of every workload.
fn refuse_all(stride: u64) {
    let place = Place::new();
    for workload in FINITE {
        let (mut died, mut went_on, mut granted) = (0, 0, 0);
        loop {
            let ended = refuse(&place, workload, granted, granted / stride % 2 == 1);
            if ended != Ended::Done {
                died += 1;
            } else if refuse(&place, workload, granted, true) == Ended::Done {
                // So many it never makes.
                break;
            } else {
                went_on += 1;
            }
            granted += stride;
        }
        println!("{workload:?}: {granted} allocations, {died} deaths, {went_on} went on");
    }
}

#[test]
fn some_memory_is_refused() {
    refuse_all(997);
}

#[test]
#[ignore = "long: every STRIDE-th allocation"]
fn long_memory_is_refused() {
    refuse_all(number("STRIDE", 7));
}
