#!/bin/sh
# Writing prompts of the movies task, beside a script that does the least, and of a task of short lines in JSONL,
# beside readers of such rows: jq, jansson, Python.
# usage: promptify.sh [COPIES [ROUNDS]]   COPIES of ml-latest-small's 100,836 ratings, each with members of its own
#   BUILD: where the programs are; PEERS_PYTHON: a Python
set -eu
cd "$(dirname "$0")/../.."
: "${BUILD:=$PWD/build}"
: "${PEERS_PYTHON:=$(scripts/bench/python)}"
mkdir -p "$BUILD/bench"
make -s "$BUILD/bin/brew-promptify" "$BUILD/libbrew.a"
# shellcheck disable=SC2046 # the list of libraries is words
${CC:-cc} -std=c11 -D_POSIX_C_SOURCE=200809L -O2 -pthread -Ilib scripts/bench/rows.c "$BUILD/libbrew.a" \
    $(make -s print-config | sed -n 's/^LDLIBS *//p') -o "$BUILD/bench/rows"
exec "$PEERS_PYTHON" scripts/bench/promptify.py "$BUILD/bin/brew-promptify" "$BUILD/bench/rows" "$BUILD/bench" \
    "${1:-10}" "${2:-3}"
