//! The store from outside: real processes, real kernels, the public API alone.
//!
//! A *writer* is this binary started again (`child`); it says over a pipe what
//! was acknowledged to it. Then something happens to it: a kill at a system
//! call or at a moment of chance, a call that fails, a full or forbidden disk,
//! a power cut. The *survivor* (`survivor`) heard the pipe and asks of what is
//! left behind: is everything acknowledged there, each batch whole and once,
//! does a reader see the same as a recovered writer, is sending again answered
//! as it must be, has `verify` nothing to say.
//!
//! What needs root, a mount or a tool that is not there says by name that it
//! was skipped. The quick part runs with all tests; `tests/torture/long.sh`
//! runs the long one.

#![cfg(target_os = "linux")]

#[path = "../support/random.rs"]
mod random;

mod child;
mod client;
mod cuts;
mod full;
mod import;
mod kills;
mod limits;
mod locks;
mod memory;
mod mounts;
mod place;
mod plan;
mod process;
mod readers;
mod survivor;
mod syscalls;
mod tools;
