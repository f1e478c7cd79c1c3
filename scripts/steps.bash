# Shared by scripts/test and scripts/check: named steps with their durations, and what a machine must have.
# Sourced, never run.

step_name=start
started=$SECONDS

# step NAME COMMAND...: says what runs, then how long it took; the first failure ends the script.
step() {
    step_name=$1
    shift
    local began=$SECONDS
    printf '\n==> %s\n' "$step_name"
    "$@"
    printf '    %s: ok, %d s\n' "$step_name" "$((SECONDS - began))"
}

# on_exit STATUS: the last words.
last_words() {
    local spent=$((SECONDS - started))
    if [ "$1" -eq 0 ]; then
        printf '\nAll steps passed in %d min %d s.\n' "$((spent / 60))" "$((spent % 60))"
    else
        printf '\nFAILED at step "%s" after %d min %d s (status %d).\n' \
            "$step_name" "$((spent / 60))" "$((spent % 60))" "$1" >&2
    fi
}

# What no step can do without; each missing thing with its fix.
needs() {
    local missing=0
    if ! command -v cargo >/dev/null; then
        echo "Rust is missing: install it from https://rustup.rs" >&2
        missing=1
    else
        cargo fmt --version >/dev/null 2>&1 || {
            echo "rustfmt is missing: rustup component add rustfmt (or your system's package of that name)" >&2
            missing=1
        }
        cargo clippy --version >/dev/null 2>&1 || {
            echo "clippy is missing: rustup component add clippy (or your system's package of that name)" >&2
            missing=1
        }
    fi
    if ! command -v "${CC:-cc}" >/dev/null; then
        echo "a C compiler is missing (SQLite and the TLS library need one): install gcc or clang" >&2
        missing=1
    fi
    return "$missing"
}
