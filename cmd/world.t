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

# A larger world, the same task without the second kind of question, and the true probabilities as scores:
# they must be calibrated wherever one looks. Of worlds one in twenty is outside an interval by chance.
large=$work/large
exits 0 "20,000 impressions" "$BUILD/scripts/world/jobs-world" -o "$large" -n 20000 -d 60 -s 3 -w
jq 'del(.sources[0].kinds)' $world/world.task.json >"$large/world.task.json"
brew-promptify -t "$large/world.task.json" -o "$large/prompts"
for scores in truth without-position without-newcomer without-season without-drift; do
    jq -nc --rawfile p "$large/$scores.csv" --rawfile jobs "$large/jobs.csv" -f $world/scores.jq \
        "$large/prompts" >"$large/$scores"
    # the same about applications alone
    jq -c 'select(.meta.surface == "jobs") | .positive = [0] | del(.gains)' "$large/$scores" >"$large/$scores.applied"
done
report() { brew-eval --json "$@" >"$work/json" || echo false >"$work/json"; } # false has no metrics
holds() { ok "$1" jq -e "$2" "$work/json"; }
# shellcheck disable=SC2016  # these are jq's variables
around='def around($x): .lo <= $x and .hi >= $x;'
# shellcheck disable=SC2016
slices='def slice($by): .slices[] | select(.by == $by) | .metrics;'

report -t "$large/world.task.json" --by 'item.position:1,3,5,7' --by surface --by 'history:0,11' \
    --by 'item.remote*item.time:0,1707696000' "$large/truth"
holds "truth is calibrated" "$around .metrics | (.copc | around(1)) and .ece.lo < 0.001 and .ece.value < 0.012"
holds "in every slice but by chance" "$around [.slices[].metrics.copc | around(1) | not] | (map(select(.)) | length) <= length / 10"
holds "in most bins of the reliability table" "$around [.reliability[] | . as \$b | around(\$b.predicted) | not] | map(select(.)) | length <= 2"
holds "and beats every baseline" "[.ahead.baselines, .ahead.as_of | .[] | .auc.lo > 0 and (.logloss.hi // -1) < 0] | length == 14 and all"

# Regret is the log loss of a system less that of the truth on the same answers. The log loss of the truth
# itself is what chance makes inevitable: what it is if each answer counts as both, weighed by their probabilities.
awk -F, 'NR > 1 {p = $6 + $8
    for (label = 0; label < 2; label++)
        printf "{\"score\":%.6f,\"label\":%d,\"weight\":%.6f,\"member\":\"%s\"}\n", p, label, label ? p : 1 - p, $3}' \
    "$large/truth.csv" >"$large/expected"
inevitable=$(brew-eval --json --replicates 0 "$large/expected" | jq .metrics.logloss.value)
holds "the log loss of the truth is the inevitable one" "$around .metrics.logloss | around($inevitable)"
for side in train test; do grep "\"split\":\"$side\"" "$large/truth" >"$large/$side"; done
brew-eval --fit-calibration "$large/curve" "$large/train" >"$work/out"
report --calibration "$large/curve" "$large/test"
holds "no curve makes the truth better" "$around .ahead.systems.uncalibrated.logloss | around(0)"
ok "and the curve is the diagonal" jq -e '.tasks.world | (.a | fabs) < 0.1 and (.b - 1 | fabs) < 0.1' "$large/curve"
report "$large/truth" --add position="$large/without-position" --add newcomer="$large/without-newcomer"
holds "who overlooks the position or newcomers has a regret" ".ahead.systems | [.[].logloss.hi < 0] | length == 2 and all"
report "$large/truth.applied" --add season="$large/without-season.applied" --add drift="$large/without-drift.applied"
holds "and the season or drift, in applications" ".ahead.systems | [.[].logloss.hi < 0] | length == 2 and all"

# What a slice shows of a system that overlooks an effect: outcomes over predictions leave 1 where the effect
# is, and only there.
report --by 'item.position:1,3,5,7' "$large/without-position"
holds "position: too high, the further down the more" "$slices [slice(\"item.position\").copc] |
    length == 4 and .[0].hi > 0.95 and .[1].hi < .[0].lo and .[2].hi < .[1].lo and .[3].hi < .[2].lo"
holds "as fewer are opened further down" "$slices [slice(\"item.position\").positive_rate] |
    .[1].hi < .[0].lo and .[2].hi < .[1].lo and .[3].hi < .[2].lo"
report "$large/without-newcomer"
holds "newcomers: too low where the history is short" "$around $slices [slice(\"history\").copc] |
    .[0].lo > 1.2 and (.[3] | around(1))"
report --by 'item.remote*item.time:0,1707696000' "$large/without-drift.applied"
holds "drift: too low for remote jobs of the last days, and nowhere else" "$around $slices [slice(\"item.remote*item.time\").copc] |
    length == 4 and (.[0:3] | map(around(1)) | all) and .[3].lo > 1.5"
jq -c 'select(.meta.surface == "jobs")' "$large/prompts" >"$large/constant"
report --prompts "$large/constant"
holds "a constant score: exactly one half" ".metrics | .auc.value == 0.5 and .auc_member.value == 0.5 and .auc_member.lo == 0.5"

# Each line tells which impression it is: none may show what was not known yet, or something else than happened.
jq '.sources[].templates.question = "{event.request} {item}:" | del(.sources[0].kinds)' \
    $world/world.task.json >"$large/named.task.json"
brew-promptify -t "$large/named.task.json" -o "$large/named"
cat "$large"/*-log.csv | awk -F, '$6 == "shown" {split($1, t, /[-T:Z]/)
    print $2, $4, $3, (t[2] == 1 ? t[3] - 1 : t[2] == 2 ? t[3] + 30 : t[3] + 59) * 86400 + t[4] * 3600 + t[5] * 60 + t[6] + 1704067200}' |
    sort -u >"$large/shown"
jq -r '.meta.time as $t | .query | split("\n")[] | select(test("^r[0-9]+ ")) | "\($t) \(.)"' "$large/named" >"$large/lines"
is "$(awk -v FS='[ ,:]+' 'FILENAME ~ /truth/ {action[$1, $3] = $9; next} FILENAME ~ /shown/ {time[$1, $2] = $4; next}
    {n++; early += !(time[$2, $3] + 3 * 86400 < $1); wrong += action[$2, $3] != $4}
    END {print (n > 30000), early + 0, wrong + 0}' "$large/truth.csv" "$large/shown" "$large/lines")" "1 0 0" \
    "of all lines none is early, and none is wrong"

# A scorer that looks for the item in the prompt, and says what stands there. Never shown before, or only
# in the last three days: it finds nothing, and is worth what a constant is. Known from earlier: honest memory.
jq '.sources[].templates.question = "{item}:" | del(.sources[0].kinds)' $world/world.task.json >"$large/items.task.json"
brew-promptify -t "$large/items.task.json" -o "$large/items"
sort -k3,3 -k2,2 -k4,4n "$large/shown" | awk '{if ($3 != m || $2 != i) first = $4; m = $3; i = $2
    print $1 "," i "," ($4 == first ? "new" : first + 3 * 86400 < $4 ? "known" : "pending")}' >"$large/seen"
cat >"$work/look.jq" <<'END'
([$seen | rtrimstr("\n") | split("\n")[] | split(",") | {key: (.[0] + " " + .[1]), value: .[2]}] | from_entries) as $seen
| foreach inputs as $r (null; null; $r
    | (.query | split("\n") | map(split(":") | select(length == 2) | {key: .[0], value: .[1]}) | from_entries) as $lines
    | .label_tokens as $labels | .positive as $yes
    | .scores = [.items[] | $lines[rtrimstr(":")] as $said
        | ($said as $s | if $s == null then 0.2 elif any($yes[]; $labels[.] == $s) then 0.9 else 0.1 end) as $p
        | [range($labels | length) | if IN($yes[]) then $p / ($yes | length) else (1 - $p) / (($labels | length) - ($yes | length)) end]]
    | .meta.request as $request | .item_meta.seen = [.item_ids[] | $seen[$request + " " + .]]
    | del(.query, .items, .lines))
END
jq -nc --rawfile seen "$large/seen" -f "$work/look.jq" "$large/items" >"$large/looked"
report --by item.seen "$large/looked"
holds "who looks for the answer does not find it" '[.slices[] | select(.by == "item.seen")] | length == 3 and
    (map(select(.value != "known")) | length == 2 and all(.[]; .n > 100 and (.metrics.auc.value - 0.5 | fabs) < 1e-9))'
jq -c '.query += ([.items, .targets, [.label_tokens]] as [$i, $t, $l] | [range($i | length) | $i[.] + $l[0][$t[.]] + "\n"] | add)' \
    "$large/items" | jq -nc --rawfile seen "$large/seen" -f "$work/look.jq" >"$large/leaky"
report "$large/leaky"
holds "and would, did it stand there" '.metrics.auc.value == 1'

# The same bytes however little memory, at any -j, and from shards: 10^6 rows with BREW_SLOW=1.
[ -n "${BREW_SLOW:-}" ] && "$BUILD/scripts/world/jobs-world" -o "$large" -n 770000 -s 5 2>"$work/err"
task=$large/world.task.json
digest() { brew-promptify -t "$task" "$@" | sha256sum; }
want=$(digest --memory 5000 -j 1)
for options in "--memory 50 -j 1" "--memory 50 -j 2" "--memory 50 -j 3" "--memory 5000 -j 2" "--memory 5000 -j 3" "--memory 1"; do
    # shellcheck disable=SC2086  # options are words
    is "$(digest $options)" "$want" "$(cat "$large"/*-log.csv | wc -l) rows, $options: the same bytes"
done
is "$(for shard in 1 2 3; do brew-promptify -t "$task" --shard $shard/3; done | sha256sum)" "$want" "and from three shards"

done_testing
