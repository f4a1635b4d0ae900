#!/bin/sh
# A world whose probabilities are known: its task as prompts, and what evaluation finds in it.
# shellcheck source=testdata/lib.sh
. "$PWD/testdata/lib.sh"

# The small world of testdata: every query, question and answer was predicted from truth.csv by
# scripts/peers/world.py, without the task file and without the actions of the logs.
world=testdata/world
golden=f9216736390666a9956d1a80ed80cea544e35dfdea27a2b7b0f5728a809ddfcf
exits 0 "three surfaces" brew-promptify -t $world/world.task.json -o "$work/small"
is "$(sha256sum <"$work/small" | cut -c1-64)" $golden "are told as predicted from the truth"
for options in "-j 1" "-j 3 --memory 1"; do
    # shellcheck disable=SC2086  # options are words
    run brew-promptify -t $world/world.task.json $options
    same "$work/out" "$work/small" "$options: the same bytes"
done
if command -v python3 >/dev/null; then
    ok "an independent reading agrees" python3 scripts/peers/world.py $world "$work/small"
    awk '!done && sub(": viewed\\\\n", ": ignored\\\\n") {done = 1} {print}' "$work/small" >"$work/forged"
    ok "and would not, were one action told wrongly" \
        sh -c "! python3 scripts/peers/world.py $world $work/forged"
else
    skip "an independent reading agrees" "no python3"
fi
exits 0 "the same world" "$BUILD/scripts/world/jobs-world" -o "$work/again" -n 1200 -d 42 -s 4
for file in members jobs posts ads jobs-log feed-log ads-log truth; do
    same "$work/again/$file.csv" $world/$file.csv "can be made again: $file.csv"
done

done_testing
