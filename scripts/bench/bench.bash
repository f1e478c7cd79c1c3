# Shared by the benchmarks: builds the programs and the benchmark in the profile `fast`, and runs one of them. Sourced.
# HOMING_BIN_DIR, when set, names a folder with the built programs; then nothing is built. HOMING_BENCH_ROUNDS, when set,
# says how often each figure is measured (3 otherwise). Files are written below TMPDIR: a disk, not a RAM disk, if fsync
# is to mean anything.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

rounds=${HOMING_BENCH_ROUNDS:-3}
if [ -z "${HOMING_BIN_DIR:-}" ]; then
    nice cargo build --locked --quiet --profile fast -p directory-server -p peer -p system-tests --bins
    HOMING_BIN_DIR=$(cd "${CARGO_TARGET_DIR:-target}/fast" && pwd)
fi
export HOMING_BIN_DIR

# The head of the table, unless whoever calls prints one for many.
head_of_table() {
    [ -n "${HOMING_BENCH_HEADLESS:-}" ] || "$HOMING_BIN_DIR/bench" head
}

# measure NAME
measure() {
    "$HOMING_BIN_DIR/bench" "$1" "$rounds"
}

# measure_pinned NAME: all programs on one CPU, since waking an idle one costs more than what is measured.
measure_pinned() {
    local cpu=${HOMING_BENCH_CPU:-0}
    if command -v taskset >/dev/null; then
        taskset -c "$cpu" "$HOMING_BIN_DIR/bench" "$1" "$rounds"
    else
        echo "<!-- $1 is not pinned to one CPU: there is no taskset -->"
        measure "$1"
    fi
}
