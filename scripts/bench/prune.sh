#!/bin/sh
# The statistics of a pruning of SmolLM2-135M over 256 calibration requests, beside scoring them.
# usage: prune.sh [ROUNDS [REQUESTS]]    BUILD: where the programs are
set -eu
cd "$(dirname "$0")/../.."
: "${BUILD:=$PWD/build}"
gguf=$(scripts/fetch-model)
requests=${2:-256}
mkdir -p "$BUILD/bench"
make -s "$BUILD/libbrew.a" "$BUILD/bin/brew-promptify" "$BUILD/bin/brew-tokenize"
calibration=$BUILD/bench/calibration-$requests
"$BUILD/bin/brew-promptify" -q --task testdata/movies.task.json --split train --max-history 50 \
    testdata/ml-latest-small/ratings.csv >"$calibration.jsonl"
awk -v n="$(wc -l <"$calibration.jsonl")" -v want="$requests" 'NR * want % n < want' "$calibration.jsonl" |
    "$BUILD/bin/brew-tokenize" -q -m "$gguf" -o "$calibration.tar"
${CC:-cc} -std=c11 -D_POSIX_C_SOURCE=200809L -O2 -pthread -Ilib scripts/bench/prune.c "$BUILD/libbrew.a" \
    -ljansson -larchive -lz -lpcre2-8 -lnettle -Wl,--as-needed -lopenblas -lm -o "$BUILD/bench/prune"
exec "$BUILD/bench/prune" "$gguf" "$calibration.tar" "${1:-3}" "$(nproc)"
