//! Files: the only rooms with paths, and the only one with a mapping.
#![cfg_attr(
    not(test),
    allow(
        dead_code,
        unused_imports,
        reason = "used by the engine, which is yet to come"
    )
)]

pub mod disk;
#[cfg(test)]
mod disk_suite;
mod mmap;
pub mod real_disk;
#[cfg(any(test, feature = "internals"))]
pub mod sim_disk;
