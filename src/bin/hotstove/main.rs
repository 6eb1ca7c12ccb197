//! The command line of hotstove.

fn main() {}
