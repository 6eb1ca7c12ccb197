#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| hotstove_fuzz::targets::frames::run(input));
