//! What answers of queries may take of the memory budget while they are made. An
//! answer that was given belongs to who asked.
//!
//! Small answers take what they need. Of the others one is made at a time, and may
//! take all there is: whether a question is answered never depends on other ones, and
//! two of them never wait for each other's half.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Condvar, Mutex};

use crate::engine::budget::shown;
use crate::error::{Error, ErrorKind, Result};

/// The part of all there is up to which an answer is small.
const SMALL: usize = 16;
const ITEMS_MIN: usize = 4;

/// What answers may take, all that are being made together.
pub struct Answers {
    bytes: usize,
    /// Whether a large one is being made.
    large: Mutex<bool>,
    done: Condvar,
}

/// What one answer takes. Threads that make it together share it.
#[derive(Debug)]
pub struct Allowance {
    answers: Arc<Answers>,
    held: AtomicUsize,
    /// Whether it is the large one.
    large: Mutex<bool>,
}

impl Answers {
    /// Answers that may take so many bytes.
    pub fn new(bytes: usize) -> Self {
        Answers {
            bytes,
            large: Mutex::default(),
            done: Condvar::new(),
        }
    }

    /// Begins an answer.
    pub fn begin(self: &Arc<Self>) -> Allowance {
        Allowance {
            answers: self.clone(),
            held: AtomicUsize::new(0),
            large: Mutex::default(),
        }
    }
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answers")
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl Allowance {
    /// Takes bytes, to be asked for before they are allocated. It may wait until
    /// another large answer is made.
    ///
    /// # Errors
    /// [`ErrorKind::Limit`] where there are not as many for any answer.
    pub fn hold(&self, bytes: usize) -> Result<()> {
        let before = self.held.fetch_add(bytes, Ordering::Relaxed);
        let most = self.answers.bytes;
        match before.checked_add(bytes) {
            Some(held) if held <= most / SMALL => Ok(()),
            Some(held) if held <= most => {
                self.become_large();
                Ok(())
            }
            _ => {
                self.release(bytes);
                Err(Error::new(
                    ErrorKind::Limit,
                    format!(
                        "the answer takes more than {}, the part of the memory budget that answers have",
                        shown(most)
                    ),
                )
                .help(
                    "ask for longer buckets, fewer minutes or fewer series at once, or open \
                     with a larger memory_budget",
                ))
            }
        }
    }

    /// Gives bytes back.
    pub fn release(&self, bytes: usize) {
        let held = self.held.fetch_sub(bytes, Ordering::Relaxed);
        debug_assert!(bytes <= held, "more is given back than was taken");
    }

    /// Makes room in a list; says how many bytes that took.
    ///
    /// # Errors
    /// As [`Allowance::hold`].
    pub fn make_room<T>(&self, list: &mut Vec<T>, more: usize) -> Result<usize> {
        let free = list.capacity() - list.len();
        if free >= more {
            return Ok(0);
        }
        // Twofold as long as there is room for it: lists of ever other sizes keep the
        // allocator from giving the memory of the last answer to the next.
        let least = more.max(ITEMS_MIN);
        let steps = [list.len(), list.len() / 8, 0].map(|step| least.max(step));
        let mut made = Ok(0);
        for more in steps {
            let bytes = (more - free).saturating_mul(size_of::<T>());
            made = self.hold(bytes).map(|()| bytes);
            if made.is_ok() {
                list.reserve_exact(more);
                break;
            }
        }
        made
    }

    fn become_large(&self) {
        let mut own = self.large.lock();
        if *own {
            return;
        }
        let mut large = self.answers.large.lock();
        while *large {
            self.answers.done.wait(&mut large);
        }
        *large = true;
        *own = true;
    }
}

impl Drop for Allowance {
    fn drop(&mut self) {
        if *self.large.lock() {
            *self.answers.large.lock() = false;
            self.answers.done.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_takes_all_there_is_and_no_more() {
        let answers = Arc::new(Answers::new(1_600));
        let allowance = answers.begin();
        allowance.hold(100).unwrap();
        assert!(!*answers.large.lock());
        allowance.hold(1_500).unwrap();
        assert!(*answers.large.lock());
        let error = allowance.hold(1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit);
        assert!(error.to_string().contains("memory_budget"), "{error}");
        allowance.release(1);
        allowance.hold(1).unwrap();
        // A small one goes on beside it.
        answers.begin().hold(100).unwrap();
        drop(allowance);
        assert!(!*answers.large.lock());
        answers.begin().hold(1_600).unwrap();
    }

    #[test]
    fn large_answers_come_one_after_the_other() {
        let answers = Arc::new(Answers::new(1_000));
        let making = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let allowance = answers.begin();
                        allowance.hold(30).unwrap();
                        allowance.hold(900).unwrap();
                        assert_eq!(making.fetch_add(1, Ordering::SeqCst), 0);
                        making.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
    }

    #[test]
    fn a_list_is_refused_before_it_grows() {
        let answers = Arc::new(Answers::new(64 << 10));
        let allowance = answers.begin();
        let mut list: Vec<u64> = Vec::new();
        while allowance.make_room(&mut list, 3).is_ok() {
            list.extend([1, 2, 3]);
            assert!(list.capacity() * size_of::<u64>() <= 64 << 10);
        }
        assert!(list.len() * size_of::<u64>() > 56 << 10, "{}", list.len());
        allowance.release(list.capacity() * size_of::<u64>());
        allowance.hold(64 << 10).unwrap();
    }
}
