//! How many threads a piece of work is worth.

use std::num::NonZero;
use std::sync::OnceLock;

/// At least one, and at most one for each `apiece` of `work`, or for each
/// processor.
pub fn worth(work: usize, apiece: usize) -> usize {
    let wanted = work / apiece;
    if wanted < 2 {
        return 1;
    }
    // Asking costs as much as a small question does.
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    let ask = || std::thread::available_parallelism().map_or(1, NonZero::get);
    wanted.min(*PROCESSORS.get_or_init(ask))
}
