#!/usr/bin/env bash
# Lines and branches that the library's own tests reach, by room: tests/coverage.sh
# Needs llvm-profdata and llvm-cov of the compiler's LLVM (Debian's llvm-22 for Rust
# 1.95); LLVM says the end of their names, "-22" if nothing else.
#
# Without the tests that are long once instrumented: crashes, faults, planted bugs,
# damage byte by byte. Files of tests and the simulated disk are not counted.
set -euo pipefail
cd "$(dirname "$0")/.."
llvm=${LLVM--22}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# Counting branches is not stable yet.
binary=$(RUSTC_BOOTSTRAP=1 cargo rustc --all-features --lib --profile test \
  --message-format json -- -C instrument-coverage -Z coverage-options=branch |
  sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
LLVM_PROFILE_FILE="$scratch/%p.profraw" "$binary" -q --skip engine::tests::crash \
  --skip engine::tests::faults --skip engine::tests::planted --skip engine::tests::bits \
  --skip damage
"llvm-profdata$llvm" merge -sparse "$scratch"/*.profraw -o "$scratch/all"
"llvm-cov$llvm" export -summary-only -format lcov -instr-profile "$scratch/all" "$binary" |
  awk -F: '
    /^SF/ { room = $2; skip = room ~ /tests|sim_disk|disk_suite|measure|planted/
            if (!sub(".*/src/", "", room)) skip = 1
            if (!sub("/.*", "", room)) skip = 1 }
    /^LF/ && !skip { lines[room] += $2 }   /^LH/ && !skip { reached[room] += $2 }
    /^BRF/ && !skip { branches[room] += $2 } /^BRH/ && !skip { taken[room] += $2 }
    END { for (room in lines) printf "%-10s lines %5d of %5d, %.1f %%; branches %4d of %4d, %.1f %%\n",
            room, reached[room], lines[room], 100 * reached[room] / lines[room],
            taken[room], branches[room], 100 * taken[room] / (branches[room] ? branches[room] : 1) }' |
  sort
