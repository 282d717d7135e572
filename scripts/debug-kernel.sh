#!/bin/sh
# Starts the guest with the emulator's own gdb stub, stopped before its first instruction, and the kernel's early
# console on standard output. For the days when the kernel itself is what is wrong.
#
#   scripts/debug-kernel.sh KERNEL ARCHIVE [WORD…]
#
# KERNEL is the built `flob-kernel`, ARCHIVE a boot archive, the words the kernel's command line.
# FLOB_GDB_PORT (1234) is the port of the stub, FLOB_MEMORY (256) the guest's memory in MiB.
set -eu

if [ $# -lt 2 ]; then
    echo "usage: $0 KERNEL ARCHIVE [WORD...]" >&2
    exit 2
fi
kernel=$1
archive=$2
shift 2
for file in "$kernel" "$archive"; do
    if [ ! -r "$file" ]; then
        echo "$0: cannot read $file" >&2
        exit 2
    fi
done
port=${FLOB_GDB_PORT:-1234}

# Software breakpoints do not work before the kernel has turned paging on: hence hbreak.
cat >&2 <<END
The guest waits for a debugger. In another terminal:

  gdb -ex 'target remote localhost:$port' -ex 'hbreak kernel_main' -ex continue $kernel

END
exec qemu-system-x86_64 -accel tcg -M pc -m "${FLOB_MEMORY:-256}" -nodefaults -no-reboot -display none \
    -gdb "tcp:localhost:$port" -S -kernel "$kernel" -initrd "$archive" -append "$*" \
    -debugcon stdio -device isa-debug-exit,iobase=0xf4,iosize=0x04
