#!/bin/sh
# Training SmolLM2-135M on stars, beside PyTorch.
# usage: train.sh [ROUNDS]    BUILD: where the library is; PEERS_PYTHON: a Python with torch and transformers
set -eu
cd "$(dirname "$0")/../.."
: "${BUILD:=$PWD/build}"
: "${PEERS_PYTHON:=$(scripts/bench/python)}"
gguf=$(scripts/fetch-model)
hf=$BUILD/bench/SmolLM2-135M-Instruct
mkdir -p "$BUILD/bench"
[ -e "$hf/config.json" ] || "$PEERS_PYTHON" scripts/peers/gguf_to_hf.py "$gguf" "$hf"
make -s "$BUILD/libbrew.a"
${CC:-cc} -std=c11 -D_POSIX_C_SOURCE=200809L -O2 -pthread -Ilib scripts/bench/train.c "$BUILD/libbrew.a" \
    -ljansson -larchive -lz -lpcre2-8 -lnettle -lm -o "$BUILD/bench/train"
exec "$PEERS_PYTHON" scripts/bench/train.py "$BUILD/bench/train" "$hf" "${1:-3}"
