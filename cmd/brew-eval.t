#!/bin/sh
# brew-eval: tables, JSON, baselines, slices, comparison, gates, bad input.
# shellcheck source=testdata/lib.sh
. "$PWD/testdata/lib.sh"

# 12 members with 6 answers in 2 requests; the scores lean to the outcome, B less than A.
make_scores() { # how much the score knows, decimals
    awk -v know="$1" -v form="%.$2f" 'BEGIN {
        x = 12345
        for (m = 0; m < 12; m++) for (q = 0; q < 2; q++) {
            scores = targets = items = places = ""
            for (i = 0; i < 3; i++) {
                x = (x * 1103515245 + 12345) % 2147483648; hit = x % 1000 < 450
                x = (x * 1103515245 + 12345) % 2147483648; noise = (x % 1000) / 1000
                p = sprintf(form, know * (hit ? 0.8 : 0.3) + (1 - know) * noise)
                comma = i ? "," : ""
                scores = scores comma sprintf("[%s,%s]", p, 1 - p); targets = targets comma (1 - hit)
                items = items comma "\"i" (m * q + i) "-" i "\""; places = places comma i
            }
            printf "{\"id\":\"r%d/%d\",\"scores\":[%s],\"targets\":[%s],\"item_ids\":[%s],", m, q, scores, targets, items
            printf "\"item_meta\":{\"place\":[%s]},\"meta\":{\"member\":\"m%d\",\"history\":%d}}\n", places, m, m * 3
        }
    }'
}
make_scores 0.5 4 >"$work/a"
make_scores 0.1 4 >"$work/b"
make_scores 0.5 1 >"$work/rounded"
# shellcheck disable=SC2317  # called through ok
has() { grep -q -e "$1" "$work/out"; }

exits 0 "metrics of a file" brew-eval "$work/a"
ok "counts first" sh -c "grep -q '^72 answers, 12 members, 24 groups$' '$work/out' &&
    grep -q '^95 % intervals from 1,000 bootstrap replicates over members$' '$work/out'"
is "$(sed -n 5p "$work/out" | cut -c1-13)" positive_rate "the positive rate is the first metric"
for name in auc pr_auc auc_member auc_member_weighted ndcg@10 mrr recall@10 map popularity@10 logloss normalised_entropy brier ece copc ties; do
    ok "$name has a value and an interval" has "^$name  *[0-9.]*  \[[0-9.]*, [0-9.]*\]  *[0-9]"
done
ok "history is sliced" has '^history 6-10 '
ok "what is left out is said" has 'groups without a positive, not in ndcg'
exits 0 "standard input" brew-eval - <"$work/a"
exits 0 "JSON" brew-eval --json -o "$work/one.json" -j 1 "$work/a"
is "$(wc -l <"$work/one.json")" 1 "is one line"
for j in 2 3; do
    exits 0 "JSON with $j threads" brew-eval --json -o "$work/more.json" -j $j "$work/a"
    same "$work/one.json" "$work/more.json" "the same bytes with $j threads"
done
exits 0 "another seed" brew-eval --json --seed 1 -o "$work/more.json" "$work/a"
ok "gives other intervals" sh -c "! cmp -s '$work/one.json' '$work/more.json'"
exits 0 "one pass instead of replicates" brew-eval --replicates 0 "$work/a"
ok "is named" has 'from the variance between members, in one pass'
exits 0 "slices by an item's field" brew-eval --by item.place "$work/a"
ok "in order of value" sh -c "grep '^item.place' '$work/out' | sort -c"
exits 0 "slices by edges" brew-eval --by item.place:1,2 --by 'history:0,9*item.place:1' "$work/a"
ok "half-open ranges" sh -c "grep -q '^item.place <1 ' '$work/out' && grep -q '^item.place \[1,2) ' '$work/out' &&
    grep -q '^item.place \[2,inf) ' '$work/out'"
ok "crossed" has '^history\*item.place \[9,inf) \* <1 '
exits 2 "edges that go down" brew-eval --by item.place:2,1 "$work/a"
exits 2 "no field" brew-eval --by 'item.place*' "$work/a"
exits 2 "months ahead of nothing" brew-eval --by time:ahead "$work/a"
sed 's/"meta":{/"meta":{"time":1530000000,/' "$work/a" >"$work/timed"
exits 0 "months" brew-eval --by time:month --by time:ahead --since 2018-05-01 "$work/timed"
ok "by the calendar and since a day" sh -c "grep -q '^time:month 2018-06 ' '$work/out' &&
    grep -q '^time:ahead 2 ' '$work/out'"

# sampled negatives without rates: no calibration, and the rest says so
sed 's/"meta":{/"meta":{"sampled":true,/' "$work/a" >"$work/sampled"
exits 0 "sampled records" brew-eval "$work/sampled"
ok "say so" sh -c "grep -q '^auc (sampled)  *0' '$work/out' && grep -q '^logloss (sampled)  *-  *-' '$work/out'"
ok "and have no reliability table" sh -c "! grep -q '^reliability' '$work/out'"
exits 1 "nor pass a gate on calibration" brew-eval --gate 'logloss<=9' "$work/sampled"
exits 0 "the same by an option" brew-eval --sampled "$work/a"
ok "says the same" has '^auc (sampled)'
sed 's/"item_ids"/"sample_rates":[1,0.5,0.5],"item_ids"/' "$work/sampled" >"$work/rated"
exits 0 "with rates" brew-eval --sampled "$work/rated"
ok "all is well" sh -c "grep -q '^logloss  *0' '$work/out' && grep -q 'groups, weighted$' '$work/out'"

# two tasks; macro is their plain mean
sed 's/"meta":{/"meta":{"task":"big",/' "$work/a" >"$work/tasks"
head -8 "$work/b" | sed 's/"meta":{/"meta":{"task":"sm.all",/; s/"id":"/&x/' >>"$work/tasks"
exits 0 "tasks" brew-eval --json "$work/tasks" --gate 'tasks.*.auc.lo>=0.01' --gate 'tasks.sm.all.n>=24' \
    --gate 'worst.auc<0.9' --gate 'macro.tasks>=2'
for task in big sm.all; do
    sed "/\"task\":\"$task\"/!d" "$work/tasks" | brew-eval --json >"$work/$task.json"
done
value() { sed 's/^{"n":[0-9]*,"members":[0-9]*,"metrics":{[^}]*},"auc":{"value":\([0-9.]*\).*/\1/' "$1"; }
is "$(sed 's/.*"macro":{"tasks":2,"metrics":{[^}]*},"auc":{"value":\([0-9.]*\).*/\1/' "$work/out" | cut -c1-8)" \
    "$(awk -v a="$(value "$work/big.json")" -v b="$(value "$work/sm.all.json")" 'BEGIN { printf "%.9f", (a + b) / 2 }' | cut -c1-8)" \
    "the macro auc is the mean of two"
exits 0 "as text" brew-eval "$work/tasks"
ok "with mean and worst" sh -c "grep -q '^(mean of tasks) ' '$work/out' && grep -q '^(worst) ' '$work/out'"
sort "$work/a" >"$work/sorted"
brew-eval --json "$work/a" | sed 's/\([0-9]\.[0-9]\{9\}\)[0-9e-]*/\1/g' >"$work/one.json"
brew-eval --json "$work/sorted" | sed 's/\([0-9]\.[0-9]\{9\}\)[0-9e-]*/\1/g' >"$work/more.json"
same "$work/one.json" "$work/more.json" "another order of records gives the same figures and intervals"

awk -v score=7 'BEGIN { for (i = 0; i < 60; i++) { score = score * 16807 % 2147483647
    printf "{\"score\":%.2f,\"label\":%d}\n", score % 10 / 10, score % 7 < 3 } }' >"$work/nameless"
sort "$work/nameless" >"$work/sorted"
brew-eval --json "$work/nameless" | sed 's/"questions":"[^"]*"//;s/\([0-9]\.[0-9]\{9\}\)[0-9e-]*/\1/g' >"$work/one.json"
brew-eval --json "$work/sorted" | sed 's/"questions":"[^"]*"//;s/\([0-9]\.[0-9]\{9\}\)[0-9e-]*/\1/g' >"$work/more.json"
same "$work/one.json" "$work/more.json" "of rows without member and id, too"

exits 0 "groups by a field" brew-eval --group member -k 2 "$work/a"
ok "12 groups, another cut" sh -c "grep -q '12 groups' '$work/out' && grep -q '^ndcg@2 ' '$work/out'"
exits 0 "ties" brew-eval "$work/rounded"
ok "are seen" has '^ties  *0\.[1-9]'

# an answer worked out by hand: of 2 x 2 pairs 3 are won
cat >"$work/hand" <<'END'
{"score":0.9,"label":1,"member":"u"}
{"score":0.2,"label":0,"member":"u"}
{"score":0.4,"label":1,"member":"v"}
{"score":0.6,"label":0,"member":"v"}
{"score":0.6,"member":"v"}
END
exits 0 "plain rows" brew-eval --json "$work/hand"
ok "auc by hand" has '"auc":{"value":0.75,'
ok "auc_member by hand" has '"auc_member":{"value":0.5,'
ok "brier by hand" has '"brier":{"value":0.1925,'
ok "copc by hand" has '"copc":{"value":0.952380952380952'
ok "unknown outcomes are counted" has '"unknown_outcomes":1'
sed -n '1p;3p' "$work/hand" >"$work/ones"
exits 0 "one class" brew-eval --json "$work/ones"
ok "has no auc" has '"auc":{"value":null,"lo":null,"hi":null,'
ok "its members are counted" has '"one_class_members":2'
exits 1 "and passes no gate" brew-eval --gate 'auc>=0' "$work/ones"
says 'gate missed: auc>=0 (it has no value)' "which is said"
exits 0 "no outcome at all" brew-eval "$work/hand" --max-errors 0 --by nothing
sed -n 5p "$work/hand" >"$work/none"
exits 0 "no outcome known" brew-eval "$work/none"
says 'no item has an outcome' "is a warning"
exits 1 "that passes no gate" brew-eval --gate 'ece<=1' "$work/none"

exits 0 "a gate that holds" brew-eval --gate 'auc.lo>=0.5' --gate 'members >= 12' "$work/a"
ok "is listed" has '^gate auc.lo>=0.5: passed'
exits 1 "one of two missed" brew-eval --gate 'auc.lo>=0.5' --gate 'auc.lo>=0.9999' "$work/a"
says 'gate missed: auc.lo>=0.9999 (it is 0\.' "the missed one is named"
ok "and listed" has '^gate auc.lo>=0.9999: missed'
exits 4 "one that the data cannot decide" brew-eval --gate 'auc.lo>=0.95' "$work/a"
says 'gate undecided: auc.lo>=0.95' "is named"
ok "with how many members would do" has '^gate auc.lo>=0.95: undecided (0\.[0-9]*; about [0-9,]* members needed, 12 here)$'
exits 0 "gates on slices" brew-eval --gate 'slices.history.6-10.auc.lo>=0.01' --gate 'slices.history.*.auc.lo>=0.01' "$work/a"
ok "each by its name" sh -c "grep -q '^gate slices.history.6-10.auc.lo>=0.01: passed' '$work/out' && grep -q '^  11-100: passed' '$work/out'"
exits 2 "a slice that is not there" brew-eval --gate 'slices.history.6-7.auc>0' "$work/a"
exits 1 "a missed one beside it counts more" brew-eval --gate 'auc.lo>=0.95' --gate 'auc<0' "$work/a"
exits 2 "no gate" brew-eval --gate 'auc' "$work/a"
exits 2 "a gate on nothing" brew-eval --gate 'acu>=0.5' "$work/a"
says 'names no figure' "is told"

exits 0 "comparison" brew-eval --compare "$work/a" "$work/b"
ok "has both and the difference" has '^auc  *0\.[0-9]*  *0\.[0-9]*  *-0\.[0-9]*  \[-0\.'
exits 1 "a gate on the difference" brew-eval --compare --gate 'delta.auc.lo>=-0.001' "$work/a" "$work/b"
ok "and how far the answers moved" \
    has '^moved: divergence 0\.[0-9]*; log-odds [-+][0-9.]*, between members [0-9.]*, within [0-9.]*$'
exits 0 "a file with itself" brew-eval --compare "$work/a" "$work/a" --gate 'delta.auc.lo>=0' \
    --gate 'delta.logloss.hi<=0' --gate 'moved.divergence<=0'
exits 1 "a gate on how far they moved" brew-eval --compare "$work/a" "$work/b" --gate 'moved.divergence<=0'
sed 1d "$work/b" >"$work/short"
exits 65 "rows missing on one side" brew-eval --compare "$work/a" "$work/short"
says '3 answers are only in the first file, 0 only in the second' "are counted"
exits 0 "may be allowed" brew-eval --compare --allow-missing "$work/a" "$work/short"
ok "and are said" has '^3 answers only in A'
cat "$work/b" "$work/short" >"$work/twice"
exits 65 "an answer twice" brew-eval --compare "$work/a" "$work/twice"
sed '1s/"targets":\[\([01]\)/"targets":[9\1/; s/\[90/[1/; s/\[91/[0/' "$work/b" >"$work/other"
exits 65 "another outcome" brew-eval --compare "$work/a" "$work/other"
says '^brew-eval: 1 answers have another outcome' "is counted"
exits 2 "--compare with one file" brew-eval --compare "$work/a"
exits 2 "two files without --compare" brew-eval "$work/a" "$work/b"
exits 2 "--allow-missing alone" brew-eval --allow-missing "$work/a"

# the same questions with less of the history: b as if it had seen five lines of what a saw
{ cat "$work/a"; sed 's/"id":"\([^"]*\)"/"id":"\1@5"/; s/"meta":{/&"truncated":5,/' "$work/b"; } >"$work/shortened"
delta() { grep -o '"delta":{.*' "$work/out" | sed 's/\("ties":{[^}]*}\).*/\1/'; }
exits 0 "a comparison" brew-eval --json --compare "$work/a" "$work/b"
delta >"$work/delta"
brew-eval --json "$work/a" | sed 's/,"left_out".*//' >"$work/whole.json"
exits 0 "truncated histories" brew-eval --json --gate 'truncated.5.delta.auc<0' "$work/shortened"
ok "are told beside the whole ones" has '"truncated":{"5":{"n":72,"members":12,"metrics":{"positive_rate":'
delta >"$work/more"
same "$work/delta" "$work/more" "as paired differences"
sed 's/,"left_out".*//' "$work/out" >"$work/more.json"
same "$work/whole.json" "$work/more.json" "and nowhere else"
exits 0 "as a table" brew-eval "$work/shortened"
ok "of values and intervals" has '^5  *72  *12  *0\.[0-9]*  \[-0\.[0-9]*, -*+*0\.[0-9]*\]  *0\.'
sed 1,3d "$work/shortened" >"$work/half"
exits 0 "without some whole ones" brew-eval "$work/half"
ok "the others are counted" has '^9 answers with meta.truncated whose whole form is not here'
grep truncated "$work/shortened" >"$work/half"
exits 65 "truncated ones alone" brew-eval "$work/half"
says 'all records have meta.truncated' "are refused"

# other systems: a perfect one, ours again, and one with raw scores
brew-eval --json "$work/a" >"$work/one.json"
awk -F'"targets":\\[|\\],"item_ids":\\[|\\],"item_meta"' '{
    split($2, target, ","); n = split($3, item, ","); split($1, id, "\"")
    for (i = 1; i <= n; i++) print id[4] "," substr(item[i], 2, length(item[i]) - 2) "," 0.9 - 0.8 * target[i]
}' "$work/a" >"$work/perfect"
{ echo q,i,s && cat "$work/perfect"; } >"$work/perfect.csv"
{ printf 'id\titem_id\tscore\n' && tr , '\t' <"$work/perfect"; } >"$work/perfect.tsv"
awk -F, '{ print "{\"score\":" $3 ",\"id\":\"" $1 "\",\"item_id\":\"" $2 "\"}" }' "$work/perfect" >"$work/perfect.jsonl"
awk -F, '{ print $1, "Q0", $2, NR, 10 * $3, "run1" }' "$work/perfect" >"$work/perfect.run"
exits 0 "another system" brew-eval --add best="$work/perfect.csv:q,i,s" --add self="$work/a" --json "$work/a"
ok "has all its metrics" has '"systems":{"best":{"positive_rate":{[^}]*},"auc":{"value":1,"lo":1,"hi":1,'
ok "ours is behind" has '"ahead":{"systems":{"best":{"positive_rate":{[^}]*},"auc":{"value":-0\.'
ok "and not ahead of itself" has '"self":{"positive_rate":{"value":0,"lo":0,"hi":0,"n":72},"auc":{"value":0,"lo":0,"hi":0,'
mv "$work/out" "$work/csv.json"
for form in tsv jsonl; do
    exits 0 "from $form" brew-eval --add best="$work/perfect.$form" --add self="$work/a" --json "$work/a"
    same "$work/csv.json" "$work/out" "gives the same"
done
exits 0 "from a TREC run" brew-eval --add best="$work/perfect.run" "$work/a"
ok "auc, but no calibration" has '^best  *1\.0000 .* -  *-$'
exits 1 "a gate on the lead" brew-eval --add best="$work/perfect.csv:q,i,s" --gate 'ahead.systems.best.auc.lo>=0' "$work/a"
sed 1,3d "$work/perfect.run" >"$work/short.run"
exits 65 "answers without a score" brew-eval --add best="$work/short.run" "$work/a"
says '3 of 72 answers have no score' "are counted"
exits 0 "may be left out" brew-eval --allow-missing --add best="$work/short.run" "$work/a"
ok "for all" sh -c "grep -q '^69 answers' '$work/out' && grep -q '^3 answers have no score in best' '$work/out'"
{ cat "$work/perfect.run" && echo "zz Q0 a 1 1 x"; } >"$work/long.run"
exits 0 "rows of other answers" brew-eval --add best="$work/long.run" "$work/a"
says '1 rows are of other answers' "are counted"
{ cat "$work/perfect.run" && tail -1 "$work/perfect.run"; } >"$work/double.run"
exits 65 "a row twice" brew-eval --add best="$work/double.run" "$work/a"
says 'double.run:73: the same id and item' "is named"
sed '2s/,[^,]*$/,canary/' "$work/perfect.csv" >"$work/bad.csv"
exits 65 "a score that is none" brew-eval --add best="$work/bad.csv:q,i,s" "$work/a"
says 'bad.csv:2: the score is not a number' "is named"
exits 65 "a run with a field too many" sh -c "sed '5s/\$/ x/' '$work/perfect.run' >'$work/six.run' && brew-eval --add b='$work/six.run' '$work/a'"
exits 65 "columns that are not there" brew-eval --add best="$work/perfect.csv" "$work/a"
exits 66 "a file that is not there" brew-eval --add best="$work/nothing" "$work/a"
sed 's/"targets":\[[-0-9,]*\],//' "$work/b" >"$work/blind"
exits 0 "score records without outcomes" brew-eval --json --add b="$work/b" "$work/a"
mv "$work/out" "$work/seeing.json"
exits 0 "need none" brew-eval --json --add b="$work/blind" "$work/a"
same "$work/seeing.json" "$work/out" "as ours count"
exits 0 "and others do not" brew-eval --json --add b="$work/other" "$work/a"
same "$work/seeing.json" "$work/out" "at all"
exits 2 "two systems of one name" brew-eval --add b="$work/b" --add b="$work/a" "$work/a"
exits 2 "a system without a name" brew-eval --add "$work/perfect.csv" "$work/a"
exits 2 "two columns" brew-eval --add best="$work/perfect.csv:q,i" "$work/a"
exits 2 "--add in a comparison" brew-eval --compare --add a="$work/a" "$work/a" "$work/b"

# calibration: fitted on a, applied to b
exits 0 "a calibration" brew-eval --fit-calibration "$work/curve" "$work/a"
ok "is a file" grep -q '^{"format":"brew-calibration","version":1,"method":"platt","questions":"[0-9a-f]*","answers":72,' "$work/curve"
exits 0 "an isotonic one" brew-eval --fit-calibration "$work/steps" --calibration-method isotonic "$work/a"
make_scores 0.2 4 | sed 's/"id":"/&new/' >"$work/c"
for curve in curve steps; do
    exits 0 "applied to others" brew-eval --calibration "$work/$curve" "$work/c"
    ok "beside the scores as they were" has '^metric .* uncalibrated$'
done
exits 65 "applied to what it was fitted on" brew-eval --calibration "$work/curve" "$work/b"
says 'fitted on these very answers' "is refused: b asks the same, with other scores"
exits 65 "another task" sh -c "sed 's/\"meta\":{/&\"task\":\"x\",/' '$work/c' | brew-eval --calibration '$work/curve'"
exits 65 "sampled items" brew-eval --sampled --fit-calibration "$work/no" "$work/a"
ok "give no curve" test ! -e "$work/no"
exits 73 "a folder that is not there" brew-eval --fit-calibration "$work/no/where" "$work/a"
exits 2 "a method of nothing" brew-eval --calibration-method platt "$work/a"
exits 65 "a gate on what was chosen on" brew-eval --chosen-on "$work/one.json" --gate 'auc>0' "$work/b"
says 'one.json was made on these very answers' "is refused"
exits 0 "without a gate" brew-eval --chosen-on "$work/one.json" "$work/b"
says 'one.json was made on these very answers' "there is a warning"
exits 0 "a gate on other answers" brew-eval --chosen-on "$work/one.json" --gate 'auc>0' "$work/c"
digest=$(sed 's/.*"questions":"\([0-9a-f]*\).*/\1/' "$work/curve")
sed "s/\"scores\"/\"calibrated_on\":\"$digest\",&/" "$work/a" >"$work/told"
exits 65 "scores calibrated on these answers" brew-eval --gate 'auc>0' "$work/told"
says 'calibrated on these very answers' "are not judged"

# a folder of columns: four rows of two members
npy() { # name type rows
    {
        printf '\223NUMPY\001\000\166\000'
        printf "%-117s\n" "{'descr': '$2', 'fortran_order': False, 'shape': ($3,), }"
        cat
    } >"$work/columns/$1.npy"
}
mkdir "$work/columns"
printf '\000\000\000\077\000\000\200\076\000\000\100\077\000\000\000\077' | npy scores '<f4' 4 # .5 .25 .75 .5
printf '\001\000\001\000' | npy targets '|u1' 4
printf '\007\000\000\000\007\000\000\000\011\000\000\000\011\000\000\000' | npy members '<i4' 4
exits 0 "a folder of columns" brew-eval --json "$work/columns"
ok "has 3.5 of 4 pairs in order" has '^{"n":4,"members":2,"metrics":{"positive_rate":{"value":0.5,.*"auc":{"value":0.875,'
exits 1 "gates" brew-eval --gate 'auc>0.9' "$work/columns"
exits 2 "records are needed to slice" brew-eval --by history "$work/columns"
exits 2 "and to rank" brew-eval --top 5 "$work/columns"
printf '\001\000\002\000' | npy targets '|u1' 4
exits 65 "a target of 2" brew-eval "$work/columns"
says 'columns: row 2: the target is not 1, 0 or -1' "is named by its row"
printf '\001\000\001' | npy targets '|u1' 3
exits 65 "a short column" brew-eval "$work/columns"
rm "$work/columns/targets.npy"
exits 66 "a missing column" brew-eval "$work/columns"

# events: 1 is liked. The last event of each member is behind the split.
cat >"$work/task.json" <<'END'
{"task": "t", "events": {"file": "log.csv", "member": "u", "item": "i", "time": "t", "time_unit": "s", "value": "v"},
 "items": {"file": "items.csv", "id": "i"},
 "actions": [{"name": "liked", "label": " Yes", "values": ["1"]}, {"name": "not", "label": " No"}],
 "positive": ["liked"], "templates": {"question": "{title}:"},
 "history": {"max": 5}, "questions": {"max": 5}, "split": {"by": "last", "test": 0.1}}
END
printf 'i,title\ni0-0,A\ni0-1,B\ni9,C\n' >"$work/items.csv"
cat >"$work/log.csv" <<'END'
u,i,t,v
m0,i0-0,1,1
m0,i0-1,2,0
m0,i0-1,2,0
m0,i9,3,1
m1,i0-0,1,0
m1,i0-0,3,1
END
exits 0 "baselines" brew-eval --json --task "$work/task.json" "$work/a"
ok "from the events before the split, each once" has '"before_split":3,"positive":1,'
for name in rate item member member_item like_ratio; do
    ok "$name is there" has "\"$name\":{\"positive_rate\""
done
ok "a sum of deviations is no probability" \
    sh -c "! grep -q '\"member_item\":{[^}]*}[^}]*}[^}]*\"logloss\"' '$work/out'"
ok "a constant has an auc of one half" has '"rate":{"positive_rate":{[^}]*},"auc":{"value":0.5,"lo":0.5,"hi":0.5,'
exits 0 "beside the metrics" brew-eval --task "$work/task.json" "$work/a"
ok "the two that matter most" has '^metric .* n  *rate  *member_item$'
exits 0 "events from elsewhere" brew-eval --task "$work/task.json" --events "$work/log.csv" "$work/a"
says 'have no time: no baselines as of each question' "those as of each question need times"
exits 0 "with times" brew-eval --task "$work/task.json" "$work/timed"
for name in rate item member member_item like_ratio popular_7d popular_30d repeat item_knn; do
    ok "$name as of each question" has "^$name as of  *[0-9.]*  *[-+]"
done
exits 0 "without them" brew-eval --static --task "$work/task.json" "$work/timed"
ok "they are not there" sh -c "! grep -q ' as of ' '$work/out'"
exits 2 "--events without --task" brew-eval --events "$work/log.csv" "$work/a"
exits 2 "--static without --task" brew-eval --static "$work/a"
exits 66 "no such task" brew-eval --task "$work/nothing.json" "$work/a"
brew-promptify --task "$work/task.json" --split test >"$work/prompts" 2>"$work/err"
exits 0 "prompts as constant scores" brew-eval --task "$work/task.json" --prompts --json "$work/prompts"
ok "with outcomes" has '^{"n":2,"members":2,'
exits 65 "prompts without asking for them" brew-eval "$work/prompts"

# the reference on MovieLens, to 1e-3 (in fact to the fourth decimal)
if brew-promptify --task testdata/movies.task.json --split test 2>"$work/err" |
    brew-eval --task testdata/movies.task.json --prompts --replicates 0 >"$work/out"; then
    of() { awk -v name="$1" -v at="$2" '$1 == name && $2 != "as" { print $at; exit }' "$work/out"; }
    is "$(of item 2) $(of member 2) $(of member_item 2)" "0.6711 0.7134 0.7633" \
        "MovieLens: auc of item, member and both"
    is "$(of item 4)" 0.6404 "MovieLens: item within a member"
    ok "MovieLens: 80,896 events before the split, 19,940 after" \
        sh -c "grep -q '^19,940 answers' '$work/out' && grep -q 'from 80,896 events' '$work/out'"
else
    result 1 "MovieLens: baselines"
fi

: >"$work/empty"
exits 65 "an empty file" brew-eval "$work/empty"
exits 0 "which is allowed" brew-eval --allow-empty "$work/empty"
exits 0 "in JSON, too" brew-eval --allow-empty --json "$work/empty"
ok "is full of nulls" has '^{"n":0,"members":0,"metrics":{"positive_rate":{"value":null,'
exits 0 "as many as expected" brew-eval --expect 24 "$work/a"
exits 65 "fewer than expected" brew-eval --expect 25 "$work/a"
exits 66 "no such file" brew-eval "$work/nothing"
head -c 1000 "$work/a" >"$work/cut"
exits 65 "a file cut in a line" brew-eval "$work/cut"
{
    cat "$work/a"
    echo '{"id":"canary","scores":[[0.5,"canary"]],"targets":[0]}'
} >"$work/bad"
exits 65 "a bad record" brew-eval "$work/bad"
says "bad:25: " "file and line are named"
ok "its contents are not" sh -c "! grep -q canary '$work/err'"
exits 3 "is left out if allowed" brew-eval --max-errors 1 --rejects "$work/rejects" "$work/bad"
is "$(grep -c canary "$work/rejects")" 1 "and kept with --rejects"
ok "the others count" has '^72 answers'
exits 74 "a full disk" sh -c "brew-eval '$work/a' >/dev/full"
exits 74 "a full disk, JSON" sh -c "brew-eval --json '$work/a' >/dev/full"
exits 73 "a folder that is not there" brew-eval -o "$work/no/where" "$work/a"
exits 0 "a summary" brew-eval --summary "$work/summary" "$work/a"
ok "counts answers" grep -q '"answers":72' "$work/summary"
for field in 0 40 400; do
    ok "a flipped byte at $field never crashes" sh -c "
        { head -c $field '$work/a'; printf '\\377'; tail -c +$((field + 2)) '$work/a'; } >'$work/flip'
        brew-eval '$work/flip' 2>/dev/null; test \$? = 65"
done
done_testing
