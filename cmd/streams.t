#!/bin/sh
# Streams between commands: cut anywhere, flipped, of a producer that is killed; and what is left behind.
# shellcheck source=testdata/lib.sh
. "$PWD/testdata/lib.sh"

model=$root/testdata/models/tiny
cd "$work" || exit 1
head -n 6 "$root/testdata/tokenize/records.jsonl" >r.jsonl
brew-tokenize -m "$model" -o s.tar r.jsonl
brew-score -m "$model" -o want s.tar
gzip -c s.tar >s.tar.gz

# Every reader of streams refuses it, as a file and in a pipe, in one line, and leaves nothing.
# shellcheck disable=SC2317 # called through ok
refused() {
    for tool in "brew-score -m $model" "brew-tokenize -m $model --decode" brew-inspect; do
        $tool -o o "$1" 2>err && return 1
        [ $? = 65 ] && [ ! -e o ] || return 1
        [ "$(wc -l <err)" = 1 ] || return 1
        head -c 1000000 "$1" | $tool -o o - 2>err && return 1
        [ $? = 65 ] && [ ! -e o ] || return 1
    done
}

size=$(wc -c <s.tar)
at=0
while [ $at -lt "$size" ]; do # the library's test cuts at every byte
    head -c $at s.tar >part
    ok "cut at byte $at" refused part
    at=$((at + 1291))
done
{ cat s.tar && echo; } >long
ok "bytes behind the end" refused long
cat s.tar s.tar >twice
ok "two streams in one" refused twice
size=$(wc -c <s.tar.gz)
for at in 1 9 10 11 $((size / 2)) $((size - 9)) $((size - 1)); do
    head -c $at s.tar.gz >part
    ok "a compressed one cut at byte $at" refused part
done

at=3
while [ $at -lt "$size" ]; do # a byte that differs is found, or makes no difference
    head -c $at s.tar.gz >flip
    tail -c +$((at + 1)) s.tar.gz | head -c 1 | tr '\000-\377' '\001-\377\000' >>flip
    tail -c +$((at + 2)) s.tar.gz >>flip
    run brew-score -m "$model" flip
    [ "$status" = 65 ] || { [ "$status" = 0 ] && cmp -s out want; }
    result $? "byte $at of a compressed one"
    at=$((at + 97))
done

# ---- producers and consumers that die ----
echo old >o
mkfifo pipe
for tool in "brew-score -m $model" "brew-tokenize -m $model" "brew-tokenize -m $model --to jsonl" brew-eval; do
    $tool -o o - <pipe 2>err &
    pid=$!
    exec 3>pipe
    [ "$tool" = brew-eval ] || cat r.jsonl >&3
    kill -TERM $pid
    wait $pid
    is $? 143 "$tool: SIGTERM ends it"
    exec 3>&-
    is "$(cat o)$(find . -name '.*.tmp')" old "the old output stays, and nothing beside it"
done
{ cat want && printf '{"id":"cut'; } >partial
exits 65 "scores cut within a line" sh -c 'cat partial | brew-eval'
cp o linked && ln linked second
exits 0 "an output is replaced" brew-eval -o linked want
is "$(cat second)" old "not written over"
cd "$root" || exit 1
done_testing
