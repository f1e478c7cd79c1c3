# Shared by the proofs: builds the programs and the proofs in the profile `fast`, and runs one of them. Sourced, never run.
# HOMING_BIN_DIR, when set, names a folder with the built programs; then nothing is built. Options are those of the program:
# --night for the long form, --seed N, --amount N.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ -z "${HOMING_BIN_DIR:-}" ]; then
    cargo build --locked --quiet --profile fast -p directory-server -p peer -p system-tests --bins
    HOMING_BIN_DIR=$(cd "${CARGO_TARGET_DIR:-target}/fast" && pwd)
fi
export HOMING_BIN_DIR

# prove NAME [OPTION...]
prove() {
    "$HOMING_BIN_DIR/proof" "$@"
}
