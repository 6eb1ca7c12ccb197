#!/usr/bin/env bash
# The long part of the tests from outside, hours of it: tests/torture/long.sh
# Needs Linux; root, strace, xfsprogs and eatmydata for all of it. What is
# missing is said by name and left out.
#
# KILLS, CUTS, RACES, SECONDS_OF_READING and STEP say how much of each; FUZZ_SECONDS is for
# each fuzz target (with a nightly toolchain).
set -euo pipefail
cd "$(dirname "$0")/../.."
export KILLS=${KILLS:-100000} CUTS=${CUTS:-10000} RACES=${RACES:-1000} STEP=${STEP:-4}

run() {
  printf '\n== %s\n' "$1"
  nice -n 19 cargo test --all-features --test torture "$1" -- --ignored --nocapture
}

run long_every_call_kills
run long_every_call_fails
run long_kills_at_any_moment
run long_races_have_one_winner
run long_readers_see_states
run long_every_size_of_a_full_disk
run long_power_cuts
.ci/fuzz-smoke "${FUZZ_SECONDS:-600}"
