#!/bin/sh
# Exact AUC beside scikit-learn.
# usage: auc.sh [ROWS [ROUNDS]]    BUILD: where the library is; PEERS_PYTHON: a Python with scikit-learn
set -eu
cd "$(dirname "$0")/../.."
: "${BUILD:=$PWD/build}"
: "${PEERS_PYTHON:=$(scripts/bench/python)}"
mkdir -p "$BUILD/bench"
make -s "$BUILD/libbrew.a" "$BUILD/bin/brew-eval"
${CC:-cc} -std=c11 -D_POSIX_C_SOURCE=200809L -O2 -pthread -Ilib scripts/bench/auc.c "$BUILD/libbrew.a" -lm \
    -o "$BUILD/bench/auc"
"$PEERS_PYTHON" scripts/bench/auc.py "$BUILD/bench/auc" "${1:-5000000}" "${2:-3}"
exec "$PEERS_PYTHON" scripts/bench/auc_folder.py "$BUILD/bin/brew-eval" "${1:-5000000}" "${2:-3}"
