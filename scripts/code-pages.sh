#!/usr/bin/env bash
# Which functions of a guest's binary run, how many blocks of each, and how many pages of code that touches: what belongs into
# kernel/x86_64/near.ld and runtime/link/near.ld.
#
#   scripts/code-pages.sh LOG BINARY        (BINARY: target/guest-build/guest/platform, …/flob-kernel)
#
# For the log name by FLOB_QEMU a script that does `exec qemu-system-x86_64 "$@" -monitor unix:SOCKET,server,nowait -D LOG`, and
# say there `log exec,nochain` while the guest does what is to be looked at, then `log none`.
set -euo pipefail
[ $# = 2 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 2; }

# Addresses have 16 digits in both, so they sort as text: a block belongs to the last symbol before it.
{
    nm -n -C "$2" | awk '$2 ~ /^[tTwW]$/ { address = $1; $1 = $2 = ""; print address, "0", $0 }'
    awk -F/ '/^Trace/ { blocks[$2]++ } END { for (address in blocks) print address, "1", blocks[address] }' "$1"
} | LC_ALL=C sort -k 1,2 | awk '
    $2 == "0" { name = $0; sub(/^[^ ]+ 0 +/, "", name); at = $1; next }
    # What lies far behind all symbols is of another program.
    name == "" || substr($1, 1, 10) != substr(at, 1, 10) { next }
    { blocks[name] += $3; pages[substr($1, 1, 13)] = 1 }
    END {
        for (page in pages) count++
        for (name in blocks) printf "%8d %s\n", blocks[name], name | "sort -rn"
        close("sort -rn")
        printf "%8d pages of code\n", count
    }'
