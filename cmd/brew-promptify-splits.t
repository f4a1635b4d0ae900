#!/bin/sh
# brew-promptify: gaps, windows, what is held out, histories cut short.
# shellcheck source=testdata/lib.sh
. "$PWD/testdata/lib.sh"

data=$PWD/testdata/ml-latest-small
cat >"$work/split.task.json" <<END
{"task": "movies", "events": {"file": "$data/ratings.csv", "member": "userId", "item": "movieId", "time": "timestamp",
  "value": "rating"}, "items": {"file": "$data/movies.csv", "id": "movieId"},
 "actions": [{"name": "liked", "label": " Yes", "min": 4}, {"name": "not liked", "label": " No"}],
 "templates": {"question": "#{item} {title}:", "summary": "{count} so far."},
 "split": {"valid_from": "2015-01-01", "test_from": "2016-01-01", "gap": "30d", "window": "26w",
           "hold_out": {"members": 0.1, "items": 0.2, "tasks": 0}}}
END
exits 0 "a split by time, which is the default" brew-promptify -t "$work/split.task.json" -o "$work/whole" \
    --summary "$work/summary"
field() { # SPLIT KEY: of item_meta or meta, one a line
    grep "\"split\":\"$1\"" "$work/whole" | grep -o "\"$2\":\[\{0,1\}[^],}]*" | sed 's/.*://; s/\[//'
}
moments() {
    grep "\"split\":\"$1\"" "$work/whole" | grep -o '],"time":\[[^]]*' | sed 's/.*\[//' | tr ',' '\n' | sort -n
}
is "$(awk -v a="$(moments train | tail -n 1)" 'BEGIN {print (a < 1417478400)}')" 1 "train ends a gap before valid"
is "$(moments valid | sed -n '1p;$p' | awk 'NR == 1 {a = $1} END {print (a >= 1420070400), ($1 < 1449014400)}')" "1 1" \
    "valid begins at its boundary and ends a gap before test"
is "$(moments test | awk 'NR == 1 {print ($1 >= 1451606400)}')" 1 "test begins at its boundary"
is "$(grep '"split":"test"' "$work/whole" |
    sed 's/.*"time":\([0-9]*\),"window":\([0-9]*\).*/\1 \2/' |
    awk '{w = int(($1 - 1451606400) / (182 * 86400)) + 1} w != $2 {n++} END {print n + 0, (NR > 100)}')" "0 1" \
    "the windows of test"
is "$(field train window | wc -l | tr -d ' ')" 0 "and of nothing else"
is "$(field train cold_member | sort -u)" false "no member in train is held out"
is "$(field test cold_member | sort -u | tr '\n' ' ')" "false true " "in test some are"
is "$(grep '"split":"train"' "$work/whole" | grep -c '"cold_item":\[[^]]*true')" 0 "no item either"
grep '"split":"test"' "$work/whole" | sed 's/.*"item_ids":\[\([^]]*\)\].*"cold_item":\[\([^]]*\)\].*/\1 \2/' |
    tr -d '"' | awk '{n = split($1, a, ","); split($2, c, ","); for (i = 1; i <= n; i++) if (c[i] == "true") print a[i]}' |
    sort -u >"$work/cold"
is "$(wc -l <"$work/cold" | awk '{print ($1 > 300)}')" 1 "items are held out"
grep '"split":"train"' "$work/whole" | sed 's/.*"query":"\(.*\)","items".*/\1/; s/\\n/\n/g' | sed -n 's/^#\([0-9]*\) .*/\1/p' |
    sort -u >"$work/told"
is "$(comm -12 "$work/cold" "$work/told" | wc -l | tr -d ' ')" 0 "and are in no history of train"
grep '"split":"test"' "$work/whole" | sed 's/.*"query":"\(.*\)","items".*/\1/; s/\\n/\n/g' | sed -n 's/^#\([0-9]*\) .*/\1/p' |
    sort -u >"$work/told"
is "$(comm -12 "$work/cold" "$work/told" | awk 'END {print (NR > 100)}')" 1 "but in those of test"
is "$(sed 's/.*"training_later":{"movies":\([^}]*\)}.*/\1/' "$work/summary")" 0 "nothing in train is later than test"
is "$(wc -c <"$work/err" | tr -d ' ')" 0 "and so nothing is said"

sed 's/"tasks": 0/"tasks": 1/' "$work/split.task.json" >"$work/task.task.json"
run brew-promptify -t "$work/task.task.json" -o "$work/tasks"
is "$(grep -c '"split":"train"' "$work/tasks")" 0 "a task held out has no train records"
is "$(grep -c '"cold_task":true' "$work/tasks")" "$(wc -l <"$work/tasks")" "and says so"

# By each member's last share, others' training events lie behind test questions: counted over all pairs.
printf 'm,i,t,v\na,1,10,5\na,2,20,5\na,3,30,5\nb,1,25,5\nb,2,35,5\nb,3,40,1\n' >"$work/late.csv"
cat >"$work/late.task.json" <<'END'
{"task": "late", "events": {"file": "late.csv", "member": "m", "item": "i", "time": "t", "value": "v"},
 "actions": [{"name": "y", "label": " Yes", "min": 4}, {"name": "n", "label": " No"}],
 "templates": {"question": "{item}:"}, "split": {"by": "last", "test": 0.5}}
END
run brew-promptify -t "$work/late.task.json" --summary "$work/summary"
is "$(sed 's/.*"training_later":{"late":\([^}]*\)}.*/\1/' "$work/summary")" 0.125 \
    "train at 10, 20, 25, 35; test at 30, 40"
says 'late: 12 % of training events are later than a test question' "is said"

# The same questions with shorter histories.
run brew-promptify -t "$work/split.task.json" --truncate-history 0,5 -o "$work/cut"
grep -v '"truncated"' "$work/cut" >"$work/got"
same "$work/got" "$work/whole" "the others are what they were"
for n in 0 5; do
    grep "\"truncated\":$n," "$work/cut" >"$work/some"
    is "$(grep -c . "$work/some")" "$(grep -c '"split":"\(valid\|test\)"' "$work/whole")" "all but train again, cut to $n"
    is "$(sed 's/.*"shown":\([0-9]*\).*/\1/' "$work/some" | sort -n | tail -n 1)" $n "no more lines than $n"
    sed 's/.*\("items":.*\),"lines".*/\1/' "$work/some" >"$work/got"
    grep -v '"split":"train"' "$work/whole" | sed 's/.*\("items":.*\),"lines".*/\1/' >"$work/want"
    same "$work/got" "$work/want" "the same questions"
done
is "$(grep '"truncated":5' "$work/cut" | grep -c ' so far.\\n"')" "$(grep -c '"truncated":5' "$work/cut")" \
    "the summary counts what is left"
is "$(grep '"truncated":0' "$work/cut" | grep -cv '"query":"0 so far.\\n"')" 0 "which is nothing"
is "$(sed 's/.*"id":"\([^"]*\)".*/\1/' "$work/cut" | sort | uniq -d | wc -l | tr -d ' ')" 0 "each with its id"

# Controls: each wrong in its way, in nothing else, and nothing learned from the history.
lines() { # of the test queries, as they stand
    grep '"split":"test"' "$1" | sed 's/.*"query":"\(.*\)","items".*/\1/; s/\\n/\n/g' | grep '^#'
}
brew-promptify -t "$work/split.task.json" --split test -o "$work/plain"
lines "$work/plain" >"$work/lines"
sed 's/.*\("items":.*\),"lines".*/\1/' "$work/plain" >"$work/items"
for control in shuffle-labels flip-labels no-history no-labels shuffle-order; do
    exits 0 "--control $control" brew-promptify -t "$work/split.task.json" --control $control -o "$work/control"
    is "$(grep -c answered "$work/control") $(grep -vc "\"control\":\"$control\"" "$work/control")" "0 0" \
        "answers nothing and says so"
    grep '"split":"test"' "$work/control" | sed 's/.*\("items":.*\),"lines".*/\1/' >"$work/got"
    same "$work/got" "$work/items" "asks the same"
    lines "$work/control" >"$work/control.$control"
    for options in "-j 3" "--memory 1"; do
        # shellcheck disable=SC2086  # options are words
        run brew-promptify -t "$work/split.task.json" --control $control $options
        same "$work/out" "$work/control" "$options: the same bytes"
    done
done
is "$(sed 's/: Yes$/: X/; s/: No$/: Yes/; s/: X$/: No/' "$work/lines" | sha256sum)" \
    "$(sha256sum <"$work/control.flip-labels")" "flipped: each answer is the other"
is "$(sed 's/: [YN][a-z]*$/:/' "$work/lines" | sha256sum)" "$(sha256sum <"$work/control.no-labels")" "no answers"
is "$(wc -c <"$work/control.no-history" | tr -d ' ')" 0 "no lines"
is "$(sort "$work/lines" | sha256sum)" "$(sort "$work/control.shuffle-order" | sha256sum)" "another order of the same lines"
ok "which is another" sh -c "! cmp -s $work/lines $work/control.shuffle-order"
is "$(sed 's/: [YN][a-z]*$/:/' "$work/control.shuffle-labels" | sha256sum)" "$(sha256sum <"$work/control.no-labels")" \
    "shuffled answers stand on the same lines"
is "$(grep -c ': Yes$' "$work/control.shuffle-labels")" "$(grep -c ': Yes$' "$work/lines")" "as many of each"
is "$(paste "$work/lines" "$work/control.shuffle-labels" | awk -F'\t' '$1 != $2' | wc -l |
    awk -v n="$(wc -l <"$work/lines")" '{print ($1 > 0.2 * n && $1 < 0.8 * n)}')" 1 "on others"
run brew-promptify -t testdata/promptify/jobs.task.json --control other-note
is "$(sed 's/.*Member: \([A-Z][a-z]*\).*"member":"\([a-z]*\)".*/\1 \2/' "$work/out" | sort -u | tr '\n' ' ')" \
    "Ann bo Bo ann " "the other member's note"
exits 2 "no member in note and profile" brew-promptify -t "$work/split.task.json" --control other-note
says 'other-note changes nothing .*: neither note nor profile has a column' "is refused"

for options in "-j 3" "--memory 1"; do
    # shellcheck disable=SC2086  # options are words
    run brew-promptify -t "$work/split.task.json" --truncate-history 0,5 $options
    same "$work/out" "$work/cut" "$options: the same bytes"
done
for shard in 1 2 3; do
    brew-promptify -t "$work/split.task.json" --truncate-history 0,5 --shard $shard/3 2>"$work/err"
done >"$work/out"
same "$work/out" "$work/cut" "three shards are the whole"

# --stats counts what is written; --explain tells of every event, and shows what the record shows.
exits 0 "--stats" brew-promptify -t "$work/split.task.json" --stats
figure() { # SPLIT, FIGURE
    awk -F'\t' -v s="$1" -v f="$2" '$1 == s && $2 == f {print $3}' "$work/out"
}
is "$(figure train records) $(figure test records)" \
    "$(grep -c '"split":"train"' "$work/whole") $(grep -c '"split":"test"' "$work/whole")" "counts records"
is "$(figure test 'answer liked')" "$(grep '"split":"test"' "$work/whole" | sed 's/.*"targets":\[\([^]]*\)\].*/\1/' |
    tr ',' '\n' | grep -c '^0$')" "and their answers"
is "$(awk -F'\t' '$2 == "query characters" && $1 == "test" {print $3, $4}' "$work/out" | awk '{print $1, $6}')" \
    "$(grep '"split":"test"' "$work/whole" | sed 's/.*"query":"\(.*\)","items".*/\1/; s/\\[n"\\]/x/g' | LC_ALL=C tr -d '\200-\277' |
        awk '{n = length($0)} n > m {m = n} END {print NR, m}')" "and characters"
is "$(awk -F'\t' '/gap of the split/ {print ($3 > 100)} /held out/ {print ($3 > 10000)}' "$work/out" | tr '\n' ' ')" "1 1 " \
    "and what was left out"
ok "possible leaks" grep -q 'possible leak: the item table has no valid_from' "$work/out"
cp "$work/out" "$work/stats"
for options in "-j 3" "--memory 1"; do
    # shellcheck disable=SC2086  # options are words
    run brew-promptify -t "$work/split.task.json" --stats $options
    same "$work/out" "$work/stats" "$options: the same figures"
done
grep '"split":"test"' "$work/whole" | sed -n 2p >"$work/one"
id=$(sed 's/.*"id":"\([^"]*\)".*/\1/' "$work/one") member=$(sed 's/.*"member":"\([^"]*\)".*/\1/' "$work/one")
exits 0 "--explain" brew-promptify -t "$work/split.task.json" --explain "$id"
is "$(tail -n +2 "$work/out" | wc -l)" "$(awk -F, -v m="$member" '$1 == m' "$data/ratings.csv" | wc -l)" "tells of all events"
is "$(awk -F'\t' '$6 == "asked" {print $3}' "$work/out" | sort | tr '\n' ' ')" \
    "$(sed 's/.*"item_ids":\[\([^]]*\)\].*/\1/' "$work/one" | tr -d '"' | tr ',' '\n' | sort | tr '\n' ' ')" "asked"
is "$(awk -F'\t' '$6 ~ /^shown/ {print $3}' "$work/out" | tr '\n' ' ')" \
    "$(sed 's/.*"query":"\(.*\)","items".*/\1/; s/\\n/\n/g' "$work/one" | sed -n 's/^#\([0-9]*\) .*/\1/p' | tr '\n' ' ')" "shown"
run brew-promptify -t "$work/split.task.json" --explain "$id@2"
is "$(grep -c 'shown$' "$work/out")" 2 "cut short"
printf 'm,i,t,v\na,1,0,5\na,2,100,5\n' >"$work/unit.csv"
sed 's/"late/"unit/g; s/"value": "v"/&, "window": 1000, "until": 9999/; s/, "split".*/, "questions": {"max": 1}}/' \
    "$work/late.task.json" >"$work/unit.task.json"
run brew-promptify -t "$work/unit.task.json" --explain unit/a/2
is "$(cut -f 6 "$work/out" | tr '\n' ' ')" "why not shown: its action was not known yet asked " "what was not known yet"
exits 65 "no such record" brew-promptify -t "$work/split.task.json" --explain movies/1/99999
says 'no record of this id' "is said"
exits 2 "no id" brew-promptify -t "$work/split.task.json" --explain nonsense

# RecBole's atomic files: columns by their names, without the types behind them.
awk -F, 'NR == 1 {print "m:token\ti:token\tt:float\tv:float"; next} {print $1 "\t" $2 "\t" $3 ".0\t" $4 ".0"}' \
    "$work/late.csv" >"$work/late.inter"
run brew-promptify -t "$work/late.task.json"
cp "$work/out" "$work/want"
exits 0 "an atomic file" brew-promptify -t "$work/late.task.json" "$work/late.inter"
same "$work/out" "$work/want" "gives what CSV gives"
done_testing
