#!/usr/bin/env bash
# Counts the lines of code of the kernel library and of the x86-64 part, without comments, blank lines and tests, and says
# whether they stay below the limit. `--files` prints each file's count too.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
limit=9000

# Lines of one Rust file: what `#[cfg(test)]` and `#[cfg(any(test` stand before ends with the bracket at the same depth.
count() {
    awk -v assembly="$([[ $1 == *.s ]] && echo 1 || echo 0)" '
        /^[ \t]*$/ || /^[ \t]*\/\// || (assembly && /^[ \t]*#/) { next }
        /^[ \t]*#\[cfg\((test|any\(test)/ { match($0, /^[ \t]*/); indent = substr($0, 1, RLENGTH); skipping = 1; next }
        skipping == 1 && /;[ \t]*$/ && !/\{/ && substr($0, 1, length(indent) + 1) != indent " " { skipping = 0; next }
        skipping { if ($0 == indent "}") skipping = 0; else if (skipping == 1) skipping = 2; next }
        { lines++ }
        END { print lines + 0 }' "$1"
}

total=0
while IFS= read -r file; do
    lines=$(count "$file")
    total=$((total + lines))
    [ "${1:-}" != --files ] || printf '%6d %s\n' "$lines" "$file"
done < <(find kernel/src kernel/x86_64/src \( -name '*.rs' -o -name '*.s' \) ! -path '*/tests/*' ! -name simulated.rs | sort)
echo "kernel: $total lines of code (limit $limit)"
[ "$total" -lt "$limit" ]
