//! Work shared with threads that live within one call.

use std::thread;

/// What `mine` gives on this thread, and what `theirs` gives for each part, in
/// the order of parts. Each part has a thread of its own meanwhile; where the
/// system has none to give, its part is done on this thread, too.
pub fn beside<P: Sync, M, T: Send>(
    parts: &[P],
    theirs: impl Fn(&P) -> T + Sync,
    mine: impl FnOnce() -> M,
) -> (M, Vec<T>) {
    let theirs = &theirs;
    thread::scope(|scope| {
        let start = |part| thread::Builder::new().spawn_scoped(scope, move || theirs(part));
        let workers: Vec<_> = parts.iter().map(start).collect();
        let mine = mine();
        let workers = workers.into_iter().zip(parts);
        let theirs = workers.map(|(worker, part)| match worker {
            Ok(worker) => worker
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(_) => theirs(part),
        });
        (mine, theirs.collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_parts() {
        let (mine, theirs) = beside(&[1, 2, 3], |part| part * 10, || "mine");
        assert_eq!((mine, theirs), ("mine", vec![10, 20, 30]));
        assert_eq!(beside(&[], |part: &u8| *part, || 7), (7, vec![]));
    }
}
