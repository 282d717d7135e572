# The packages, by what they are built for and how they are tested. Sourced by `scripts/test.sh` and `.ci/run`.
# shellcheck shell=bash disable=SC2034

# What runs on the host, with all its tests.
host='-p flob-abi -p flob-kernel -p flob-image -p flob-link -p flob-session -p flob-gdb -p flob'

# Libraries of guest programs: their tests run on the host.
guest_libs='-p flob-runtime -p flob-program-platform -p flob-checkpointer -p flob-debugger-nester -p flob-program-wordcount
    -p flob-program-philosophers'

# What runs in the guest, in the profile `guest`.
guest='-p flob-checkpointer -p flob-kernel-x86_64 -p flob-program-platform -p flob-debugger-nester -p flob-program-wordcount
    -p flob-program-philosophers -p flob-program-shared -p flob-program-calls -p flob-program-scribble -p flob-program-garbage -p flob-program-random -p flob-program-crowd -p flob-program-courier -p flob-program-mortal -p flob-program-bench'
