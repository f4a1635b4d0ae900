#!/bin/sh
# Tokenising English and code on one core, beside Hugging Face's tokenizers.
# usage: tokenizer.sh [TEXT [TOKENIZER.json[.xz] [ROUNDS]]]
#   TEXT: by default the first 20 MB of the texts and sources found under /usr/share and /usr/include
#   BUILD: where the library is; PEERS_PYTHON: a Python with tokenizers 0.23
set -eu
cd "$(dirname "$0")/../.."
: "${BUILD:=$PWD/build}"
: "${PEERS_PYTHON:=$(scripts/bench/python)}"
mkdir -p "$BUILD/bench"
make -s "$BUILD/libbrew.a"
# shellcheck disable=SC2046 # the list of libraries is words
${CC:-cc} -std=c11 -D_POSIX_C_SOURCE=200809L -O2 -pthread -Ilib scripts/bench/tokenizer.c \
    "$BUILD/libbrew.a" $(make -s print-config | sed -n 's/^LDLIBS *//p') -o "$BUILD/bench/tokenizer"
text=${1:-$BUILD/bench/text}
if [ $# -eq 0 ] && [ ! -s "$text" ]; then
    # Every second file, so that documents and sources of many packages are in it.
    find /usr/share/doc /usr/share/perl /usr/lib/python3* /usr/share/common-licenses /usr/include -type f \
        \( -name '*.py' -o -name copyright -o -name '*.txt' -o -name '*.md' -o -name '*.pod' -o \
        -name 'GPL*' -o -name '*.h' \) -size -400k 2>/dev/null | LC_ALL=C sort | awk 'NR % 2' |
        tr '\n' '\0' | xargs -0 cat | iconv -c -f UTF-8 -t UTF-8 | head -c 20000000 | iconv -c -f UTF-8 -t UTF-8 >"$text"
fi
exec "$PEERS_PYTHON" scripts/bench/tokenizer.py "$BUILD/bench/tokenizer" "$text" \
    "${2:-testdata/tokenizers/smollm2.json.xz}" "${3:-3}"
