#!/bin/sh
# brew-quantize on SmolLM2-135M, and scoring what it writes: BF16, FP8 and INT8, taking turns.
# usage: quantize.sh [ROUNDS]    BUILD: where the programs are    BENCH_THREADS: threads (all processors)
#
# Best of the rounds in seconds, and in processor seconds, which other work on the machine hardly moves; the
# speeds are those of BF16's. The long star is 50 of its 500 items: items and query keep their proportion of products to
# attention. Memory is what a model that is ready to score holds.
set -eu
cd "$(dirname "$0")/../.."
: "${BUILD:=$PWD/build}"
threads=${BENCH_THREADS:-$(nproc)}
rounds=${1:-3}
gguf=$(scripts/fetch-model)
folder=$BUILD/bench/quantize
make -s "$BUILD/bin/brew-quantize" "$BUILD/libbrew.a"
mkdir -p "$folder"
for program in forward sensitivity; do
    ${CC:-cc} -std=c11 -D_POSIX_C_SOURCE=200809L -O2 -pthread -Ilib scripts/bench/$program.c "$BUILD/libbrew.a" \
        -ljansson -larchive -lz -lpcre2-8 -lnettle -lm -o "$BUILD/bench/$program"
done
: >"$folder/log"
for _ in $(seq "$rounds"); do
    for scheme in bf16 fp8 int8 q8_0; do
        to=$folder/$scheme
        [ $scheme = q8_0 ] && to=$folder/q8_0.gguf
        rm -rf "$to"
        "$BUILD/bin/brew-quantize" -q -j "$threads" -m "$gguf" -o "$to" --scheme $scheme --summary "$folder/summary.json"
        jq -r --arg scheme $scheme '["write", $scheme, .seconds, .cpu_seconds, 0] | @tsv' "$folder/summary.json" >>"$folder/log"
    done
    for scheme in bf16 fp8 int8; do
        printf '%s\n' '2048 50 60' '256 20 12' '256 20 12' |
            "$BUILD/bench/forward" "$folder/$scheme" bf16 "$threads" |
            jq -rs --arg scheme $scheme 'to_entries[] | select(.key != 2) |
                [["ready", "star", "", "query"][.key], $scheme, .value.seconds, .value.cpu, .value.bytes] | @tsv' >>"$folder/log"
    done
done
awk -F'\t' -v rounds="$rounds" -v threads="$threads" '
    { key = $1 "\t" $2; n[key]++
      if (n[key] == 1 || $3 < wall[key]) wall[key] = $3
      if (n[key] == 1 || $4 < cpu[key]) cpu[key] = $4
      if (n[key] == 1 || $5 < bytes[key]) bytes[key] = $5 }
    function line(what, scheme) {
        key = what "\t" scheme; base = what "\tbf16"
        printf "%-38s %-5s %8.3f s %8.3f s of processor time", title[what], scheme, wall[key], cpu[key]
        if (what == "ready") printf "  %6.1f MB", bytes[key] / 1e6
        else if (what != "write") printf "  %.3f, %.3f x bf16", wall[base] / wall[key], cpu[base] / cpu[key]
        print "" }
    END {
        printf "%d rounds, %d threads\n", rounds, threads
        title["write"] = "written from GGUF"; title["ready"] = "ready to score"
        title["star"] = "50 items x 60 tokens on 2,048"; title["query"] = "20 items x 12 tokens on 256"
        split("bf16 fp8 int8 q8_0", schemes, " ")
        for (i = 1; i <= 4; i++) line("write", schemes[i])
        for (i = 1; i <= 3; i++) line("ready", schemes[i])
        for (i = 1; i <= 3; i++) line("star", schemes[i])
        for (i = 1; i <= 3; i++) line("query", schemes[i]) }' "$folder/log"
"$BUILD/bench/sensitivity" "$folder/bf16" "$threads" 4 |
    jq -r '"sensitivity of \(.groups) groups: \(.sensitivity) s of processor time, \(.scorings) scorings"'
