#!/bin/sh
# Writing prompts of the movies task and of one with short lines, beside a script that does the least.
# usage: promptify.sh [COPIES [ROUNDS]]   COPIES of ml-latest-small's 100,836 ratings, each with members of its own
#   BUILD: where the programs are; PEERS_PYTHON: a Python
set -eu
cd "$(dirname "$0")/../.."
: "${BUILD:=$PWD/build}"
: "${PEERS_PYTHON:=$(scripts/bench/python)}"
mkdir -p "$BUILD/bench"
make -s "$BUILD/bin/brew-promptify"
exec "$PEERS_PYTHON" scripts/bench/promptify.py "$BUILD/bin/brew-promptify" "$BUILD/bench" "${1:-10}" "${2:-3}"
