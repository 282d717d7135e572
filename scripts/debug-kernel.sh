#!/usr/bin/env bash
# Starts the guest with the emulator's own gdb stub, stopped before its first instruction, and the kernel's early
# console on standard output. For the days when the kernel itself is what is wrong.
#
#   ./flob debug-kernel [PROGRAM [ARGUMENT...]]      (philosophers if none is named)
#
# FLOB_GDB_PORT (1234) is the port of the stub, FLOB_MEMORY (256) the guest's memory in MiB. Nobody answers the link.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

[ $# -gt 0 ] || set -- philosophers
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${CARGO_TARGET_DIR:-target}/debug/flob" boot-files "$folder" "$@" > /dev/null
port=${FLOB_GDB_PORT:-1234}

# Software breakpoints do not work before the kernel has turned paging on: hence hbreak.
cat >&2 <<END
The guest waits for a debugger. In another terminal:

  gdb -ex 'target remote localhost:$port' -ex 'hbreak kernel_main' -ex continue $folder/kernel

END
qemu-system-x86_64 -accel tcg -M pc -m "${FLOB_MEMORY:-256}" -nodefaults -no-reboot -display none \
    -gdb "tcp:localhost:$port" -S -kernel "$folder/kernel" -initrd "$folder/archive" \
    -append "$(cat "$folder/command-line")" -serial null \
    -debugcon stdio -device isa-debug-exit,iobase=0xf4,iosize=0x04
