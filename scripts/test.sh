#!/usr/bin/env bash
# The test command behind `./flob test`.
#
#   ./flob test            everything that fits in fifteen minutes on two cores
#   ./flob test --quick    format, lints, host tests, one boot: for every commit
#   ./flob test --soak     the long forms: the same tests with bigger numbers (FLOB_ROUNDS)
#   ./flob test --proof    the proofs of the kernel in their long forms, and their figures: states, points and stages, drops,
#                          garbage (FLOB_ROUNDS=1 for short forms)
#   ./flob test --repeat N [NAME]   the QEMU tests (whose name contains NAME) N times in a row
#
# FLOB_SEED=N repeats a random test. The last line counts the tests.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

mode=full repeat=1 name=
while [ $# -gt 0 ]; do
    case $1 in
        --quick) mode=quick ;;
        --soak) mode=soak; export FLOB_ROUNDS=${FLOB_ROUNDS:-1000} ;;
        --proof) mode=proof; export FLOB_ROUNDS=${FLOB_ROUNDS:-1000} ;;
        --repeat) repeat=${2:?--repeat needs a number}; mode=repeat; shift ;;
        -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit 0 ;;
        -*) echo "flob test: there is no option '$1'; --help lists them" >&2; exit 120 ;;
        *) name=$1 ;;
    esac
    shift
done

passed=0 failed=0 broken=0
log=$(mktemp) figures=$(mktemp)
trap 'rm -f "$log" "$figures"' EXIT

# Runs one step that is no test: it counts only when it fails.
step() {
    echo "== $1"
    shift
    "$@" || { broken=$((broken + 1)); echo "== FAILED: $*"; }
}

# Runs `cargo test` with these arguments and adds up what its result lines say.
tests() {
    echo "== $1"
    shift
    timeout --kill-after=10 "${FLOB_TEST_LIMIT:-1800}" cargo test --quiet --no-fail-fast "$@" 2>&1 | tee "$log"
    local status=${PIPESTATUS[0]} now_passed now_failed
    now_passed=$(sed -n 's/^test result: .* \([0-9]*\) passed; .*/\1/p' "$log" | paste -sd+ | bc_sum)
    now_failed=$(sed -n 's/^test result: .* passed; \([0-9]*\) failed; .*/\1/p' "$log" | paste -sd+ | bc_sum)
    passed=$((passed + now_passed)) failed=$((failed + now_failed))
    if [ "$status" != 0 ] && [ "$now_failed" = 0 ]; then broken=$((broken + 1)); fi
}

# Runs proofs with `cargo test` and prints their figures and seeds, and what goes wrong.
proofs() {
    local title=$1
    shift
    tests "$title" "$@" -- --nocapture > "$figures" 2>&1
    grep -aoE '^== .*|(proof|explored|torture|amnesia|garbage): .*|.* FLOB_SEED=.*|panicked at.*|^test result: .*|^error.*' "$figures"
}

# The kernel's own: optimised, or they would take hours, with all checks of debug builds.
kernel_proofs() {
    CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS=true CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS=true \
        proofs "$1" --release -p flob-kernel --lib "$2"
}

bc_sum() { local sum; read -r sum || true; echo $((${sum:-0})); }

# shellcheck source=scripts/packages.sh
source scripts/packages.sh

checks() {
    step "format" cargo fmt --all --check
    # shellcheck disable=SC2086
    step "lints (host)" cargo clippy --quiet $host -p flob-tests -p flob-s3-server --all-targets --all-features -- -D warnings
    # shellcheck disable=SC2086
    step "lints (guest)" cargo clippy --quiet --profile guest $guest -- -D warnings
}

step "build" cargo build --quiet -p flob --bin flob
# By itself: what it needs of its libraries is not what flob needs of them.
step "build (S3 server)" cargo build --quiet -p flob-s3-server
case $mode in
    quick)
        checks
        # shellcheck disable=SC2086
        tests "host tests" $host --all-features
        # shellcheck disable=SC2086
        tests "guest libraries" --lib $guest_libs
        tests "one boot" -p flob-tests --test boot
        ;;
    proof)
        FLOB_TEST_LIMIT=${FLOB_TEST_LIMIT:-7200}
        kernel_proofs "exhaustive" explore
        kernel_proofs "torture, amnesia and restore of every call" everything
        kernel_proofs "torture and amnesia of many threads" tests::disturbed
        kernel_proofs "garbage" garbage
        kernel_proofs "hostile children" hostile
        proofs "garbage in QEMU" -p flob-tests --test garbage
        proofs "torture and amnesia in QEMU" -p flob-tests --test torture --test calls
        ;;
    repeat)
        for round in $(seq "$repeat"); do
            tests "round $round of $repeat" -p flob-tests ${name:+-- "$name"}
            [ $((failed + broken)) = 0 ] || break
        done
        ;;
    *)
        # shellcheck disable=SC2086
        tests "host tests" $host --all-features
        # shellcheck disable=SC2086
        tests "guest libraries" --lib $guest_libs
        tests "end to end" -p flob-tests
        ;;
esac

[ "$broken" = 0 ] || echo "$broken steps could not be run to their end (see above)"
echo "$passed passed, $((failed + broken)) failed"
[ $((failed + broken)) = 0 ]
