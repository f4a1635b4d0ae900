#!/bin/sh
# brew-promptify: a golden worked out by hand, the order of rows, ties, forging, spilling, shards, figures.
# shellcheck source=testdata/lib.sh
. "$PWD/testdata/lib.sh"

jobs=testdata/promptify/jobs.task.json
movies=testdata/movies.task.json
ratings=testdata/ml-latest-small/ratings.csv

records() { # what a summary says: SPLIT KEY
    sed "s/.*\"$1\":{\([^}]*\)}.*/\1/" "$work/summary" | tr ',' '\n' | sed -n "s/^\"$2\"://p"
}

# expected.jsonl: six records planned by hand; scripts/peers/promptify.py predicts the same bytes' values.
exits 0 "a small task" brew-promptify --task "$jobs"
same "$work/out" testdata/promptify/expected.jsonl "is told as worked out by hand"
for split in train valid test; do
    run brew-promptify -t "$jobs" --split $split
    grep "\"split\":\"$split\"" testdata/promptify/expected.jsonl >"$work/want"
    same "$work/out" "$work/want" "--split $split writes those records of the whole"
done

# Nothing from data begins a line: every line of the query is a section, or ends in an answer.
brew-promptify -t "$jobs" >"$work/all"
is "$(sed 's/.*"query":"\([^"\\]*\(\\.[^"\\]*\)*\)".*/\1/; s/\\n/\n/g' "$work/all" |
    grep -c '^Forged\|^Astronaut\|^Jobs so far.\{2\}')" 0 "titles and names begin no line"
is "$(sed -n 's/.*"lines":\[\([0-9,]*\)\].*/\1/p' "$work/all" | tr ',' '\n' | grep -c .)" 13 \
    "thirteen history lines"

# The order of rows, the format, and compression do not show.
cp testdata/promptify/*.csv testdata/promptify/*.jsonl "$jobs" "$work"
events=$work/events.csv
shuffle() { { head -n 1 "$1" && tail -n +2 "$1" | sort -t, "$2" "$3"; }; }
for key in -k4,4 -k2,2 -k3,3r; do
    shuffle testdata/promptify/events.csv $key -s >"$events"
    run brew-promptify -t "$work/jobs.task.json"
    same "$work/out" testdata/promptify/expected.jsonl "rows sorted by $key give the same"
done
tr ',' '\t' <"$events" >"$work/events.tsv"
run brew-promptify -t "$work/jobs.task.json" "$work/events.tsv"
same "$work/out" testdata/promptify/expected.jsonl "TSV gives the same"
awk -F, 'NR > 1 {printf "{\"job\":\"%s\",\"who\":\"%s\",\"x\":[1],\"when\":\"%s\",\"action\":\"%s\"}\n",
    $2, $1, $3, $4}' "$events" | gzip >"$work/events.jsonl.gz"
run brew-promptify -t "$work/jobs.task.json" "$work/events.jsonl.gz"
same "$work/out" testdata/promptify/expected.jsonl "gzipped JSONL gives the same"
run sh -c "gunzip <$work/events.jsonl.gz | brew-promptify -t $work/jobs.task.json -"
same "$work/out" testdata/promptify/expected.jsonl "standard input gives the same"
head -n 7 "$events" >"$work/part1.csv"
{ head -n 1 "$events" && tail -n +8 "$events"; } >"$work/part2.csv"
run brew-promptify -t "$work/jobs.task.json" "$work/part1.csv" "$work/part2.csv"
same "$work/out" testdata/promptify/expected.jsonl "two files give the same"

# MovieLens: the figures of the split, and the bytes under every condition.
exits 0 "ml-latest-small" brew-promptify -t "$movies" --summary "$work/summary" -o "$work/whole"
is "$(records test questions)" 19940 "19,940 questions after the split"
is "$(($(records train questions) + $(records train answered)))" 80896 \
    "80,896 events before it, each learned from once"
is "$(records test answered)" 0 "nothing behind the split is answered"
is "$(wc -l <"$work/whole")" "$(($(records train records) + $(records test records)))" "records"
is "$(cut -d'"' -f4 "$work/whole" | sort -u | wc -l)" "$(wc -l <"$work/whole")" "ids are unique"
# predicted, record by record, by scripts/peers/promptify.py; many ratings bear the time of a question
is "$(sha256sum <"$work/whole" | cut -c1-64)" \
    3a84e3686498aaccbf7bc1637994eeb9efc23a415f5ceb9c4c16bb80da13f526 "the bytes are those checked"
mkdir "$work/tmp"
for options in "-j 1" "-j 2" "-j 3" "--memory 1" "--memory 2 -j 3"; do
    # shellcheck disable=SC2086  # options are words
    run env TMPDIR="$work/tmp" brew-promptify -t "$movies" $options
    same "$work/out" "$work/whole" "$options: the same bytes"
done
is "$(ls -A "$work/tmp")" "" "no temporary file stays"
{ head -n 1 $ratings && tail -n +2 $ratings | sort -t, -k4,4n -k2,2; } | gzip >"$work/r.csv.gz"
run brew-promptify -t "$movies" "$work/r.csv.gz"
same "$work/out" "$work/whole" "ratings sorted by time give the same"
for shard in 1 2 3; do brew-promptify -t "$movies" --shard $shard/3; done >"$work/shards"
same "$work/shards" "$work/whole" "three shards one after the other are the whole"

# Features and offsets: what brew-eval's baseline member_item says of the same events, in log-odds.
rates=testdata/movies-rates.task.json
exits 0 "features" brew-promptify -t "$rates" -o "$work/rates"
asked() { sed 's/.*"item_ids"/"item_ids"/; s/"offsets":[^]]*],//; s/"answered".*"lines"/"lines"/
    s/"lines":[^]]*],//' "$1"; }
is "$(asked "$work/rates" | sha256sum)" "$(asked "$work/whole" | sha256sum)" "change nothing else"
is "$(grep -c 'adored by many: Yes.*adored by many: No' "$work/rates")" 536 "words of items stand in lines"
is "$(grep -o '"[^"]* (19[0-9]*), [a-z]* by [a-z]*:"' "$work/rates" | wc -l)" 25076 "and in questions"
for options in "-j 3" "--memory 1"; do
    # shellcheck disable=SC2086  # options are words
    run brew-promptify -t "$rates" $options
    same "$work/out" "$work/rates" "$options: the same bytes"
done
for shard in 1 2 3; do brew-promptify -t "$rates" --shard $shard/3; done >"$work/shards"
same "$work/shards" "$work/rates" "three shards one after the other are the whole"
sed 's/"instruction": "/&{opinion} /' "$rates" >"$work/early.task.json"
exits 2 "a feature before the history" brew-promptify -t "$work/early.task.json"
says 'has the feature {opinion}, which changes with the question' "is refused"

# State: fitted once, used again, whatever the later log holds; refused by another task.
exits 0 "--save-state" brew-promptify -t "$rates" --save-state "$work/state" -o "$work/out"
same "$work/out" "$work/rates" "changes nothing"
run brew-promptify -t "$rates" --state "$work/state"
same "$work/out" "$work/rates" "--state says the same"
head -n 3000 $ratings >"$work/early.csv"
exits 2 "both at once" brew-promptify -t "$rates" --state "$work/state" --save-state "$work/x"
brew-promptify -t "$rates" --state "$work/state" "$work/early.csv" >"$work/with"
brew-promptify -t "$rates" "$work/early.csv" >"$work/without"
is "$(grep -c ' by many:' "$work/with")" 0 "few have rated what a small log holds, by the state's edges"
ok "and many by its own" grep -q ' by many:' "$work/without"
exits 2 "another task's state" brew-promptify -t "$movies" --state "$work/state"
says "state: fitted for another task" "is refused"
sed 's/"valid_from": "2026-01-05", "test_from": "2026-01-07"/"valid": 0.2, "test": 0.3/' "$jobs" >"$work/share.task.json"
run brew-promptify -t "$work/share.task.json" --save-state "$work/share" -o "$work/want"
head -n 10 testdata/promptify/events.csv >"$work/less.csv"
brew-promptify -t "$work/share.task.json" --state "$work/share" "$work/less.csv" | sed 's/.*"time":\([0-9.]*\),"history".*"split":"\(.*\)".*/\1 \2/' | sort -u >"$work/sides"
cut_at=$(sed 's/.*"test_from":\([0-9]*\).*/\1/' "$work/share")
is "$(awk -v at="$((cut_at / 1000))" '($2 == "test") != ($1 >= at)' "$work/sides")" "" "the sides begin where they began"
for damage in 's/"brew_state":1/"brew_state":2/' 's/"mean":0/"mean":7/' 's/"edges":\[8,28\]/"edges":[28,8]/' \
    's/"features"/"featurse"/' 's/{/[/'; do
    sed "$damage" "$work/state" >"$work/damaged"
    exits 65 "a damaged state: $damage" brew-promptify -t "$rates" --state "$work/damaged"
done
exits 66 "no state" brew-promptify -t "$rates" --state "$work/none"

# Tables over time: a row holds strictly after its valid_from; a table without it is named.
cp testdata/promptify/jobs.jsonl testdata/promptify/events.csv "$work"
{
    echo who,since,name,city
    echo ann,2026-01-01T00:00:00Z,Early,Oslo
    echo ann,2026-01-07T00:00:00Z,Late,Rome
    echo bo,2026-01-01,Bo,Rome
} >"$work/over.csv"
sed 's/"members.csv", "id": "who"/"over.csv", "id": "who", "valid_from": "since"/' "$jobs" >"$work/over.task.json"
exits 0 "members over time" brew-promptify -t "$work/over.task.json" --summary "$work/summary"
is "$(sed -n 's/.*Member: \([A-Za-z]*\),.*/\1/p' "$work/out" | tr '\n' ' ')" "Early Early Early Late Bo Bo " \
    "the row of that very time does not hold yet"
is "$(sed 's/.*"possible_leaks":\[\([^]]*\)\].*/\1/' "$work/summary")" \
    '"the item table has no valid_from: prompts of any time show the same row"' "the other table is named"

# Limits.
run brew-promptify -t "$movies" --split test --max-history 5 --questions 3
is "$(sed 's/.*"shown":\([0-9]*\).*/\1/' "$work/out" | sort -un | tail -n 1)" 5 "--max-history"
is "$(sed 's/.*"targets":\[\([^]]*\)\].*/\1/' "$work/out" | awk -F, '{print NF}' | sort -un |
    tail -n 1)" 3 "--questions"
run brew-promptify -t "$movies" --split test --max-history 0
is "$(grep -c '"lines":\[\],' "$work/out")" "$(wc -l <"$work/out")" "no history at all"

# Candidates: everything is history, nothing is known.
printf 'who,job\nann,j6\nbo,j1\nbo,j6\nbo,j1\n' >"$work/candidates.csv"
exits 0 "candidates" brew-promptify -t "$jobs" --candidates "$work/candidates.csv"
is "$(wc -l <"$work/out")" 2 "a record for each member"
is "$(sed -n 's/.*"id":"\([^"]*\)".*"item_ids":\(\[[^]]*\]\),"targets":\(\[[^]]*\]\),"item_meta":\(.*\),"lines.*/\1 \2 \3 \4/p' \
    "$work/out" | tail -n 1)" \
    'jobs/bo/3 ["j1","j6"] [-1,-1] {"position":[1,2],"item_history":[3,1]}' "its items, targets unknown"
is "$(grep -c 'answered\|"time"' "$work/out")" 0 "no time, nothing answered"

# The page's example: its files, its output, which the page breaks into lines.
page() {
    awk -v at="example: $1" 'substr($0, 5) == at {on = 1; next} on && /^\.Ed/ {exit} on && !/^\./' \
        man/brew-promptify.1 | sed 's/\\e/\\/g'
}
mkdir "$work/page"
for file in movies.csv ratings.csv movies.task.json; do page $file >"$work/page/$file"; done
exits 0 "the page's example runs" brew-promptify -t "$work/page/movies.task.json"
is "$(grep '"member":"42"' "$work/out" | tr -d '\n')" "$(page output | tr -d '\n')" \
    "and gives what the page says"

# What is wrong is said, with its place and without its contents.
exits 2 "no task" brew-promptify
exits 2 "--split and --candidates" brew-promptify -t "$jobs" --split test --candidates x
for shard in 0/3 4/3 3 1/0 1/x -1/3 1/3x; do
    exits 2 "--shard $shard" brew-promptify -t "$jobs" "--shard=$shard"
done
exits 66 "a task that is not there" brew-promptify -t "$work/none.json"
exits 66 "events that are not there" brew-promptify -t "$jobs" "$work/none.csv"
sed 's/"max": 3/"max": "3"/' "$jobs" >"$work/bad.task.json"
exits 2 "a wrong key" brew-promptify -t "$work/bad.task.json"
says 'bad.task.json:22: "history.max" must be a whole number' "is named with its line"
sed '/"split": {/d; s/"questions": {"max": 2},/"questions": {"max": 2}/' "$jobs" >"$work/nosplit.task.json"
exits 2 "--split test without a split" brew-promptify -t "$work/nosplit.task.json" --split test
exits 0 "a task without a split" brew-promptify -t "$work/nosplit.task.json"
is "$(grep -c '"split":"train"' "$work/out")" "$(wc -l <"$work/out")" "has train events alone"
sed 's/"when"/"canarycolumn"/' "$jobs" >"$work/column.task.json"
exits 65 "a missing column" brew-promptify -t "$work/column.task.json"
says 'canarycolumn' "is named"

cat >"$work/rows.csv" <<'END'
who,job,when,action
ann,j1,2026-01-01,apply
ann,canary,2026-01-01,apply
canary,j1,2026-01-01,apply
ann,j1,canary,apply
ann,j1
,j1,2026-01-01,apply
ann,,2026-01-01,apply
END
printf 'ann,j1,2026-01-02,can\377ary\n' >>"$work/rows.csv"
exits 65 "the first bad row stops" brew-promptify -t "$jobs" "$work/rows.csv" -o "$work/none"
says "rows.csv:3: the item is not in the item table" "and is named"
ok "no output stays" test ! -e "$work/none"
exits 3 "bad rows are gone over" brew-promptify -t "$jobs" --max-errors 9 "$work/rows.csv" \
    --summary "$work/summary" --rejects "$work/rejects"
for line in '3: the item is not' '4: the member is not' '5: the time is not' '6: ' '7: no member' \
    '8: no item' '9: '; do
    says "rows.csv:$line" "line $line"
done
is "$(grep -c canary "$work/err")" 0 "no contents in messages"
is "$(sed 's/.*"events":\([0-9]*\),.*"rejected":\([0-9]*\),.*/\1 \2/' "$work/summary")" "8 7" \
    "read and rejected are counted"
tail -n +3 "$work/rows.csv" >"$work/want"
same "$work/rejects" "$work/want" "--rejects holds the bad rows"
exits 65 "too many bad rows" brew-promptify -t "$jobs" --max-errors 6 "$work/rows.csv"

head -n 1 testdata/promptify/events.csv >"$work/header.csv"
exits 65 "no rows" brew-promptify -t "$jobs" "$work/header.csv"
exits 0 "no rows allowed" brew-promptify -t "$jobs" --allow-empty "$work/header.csv"
exits 0 "--expect" brew-promptify -t "$jobs" --expect 13
exits 65 "--expect more" brew-promptify -t "$jobs" --expect 14
says '13 rows of events, 14 expected' "says both"
exits 74 "a full disk" sh -c "brew-promptify -t $movies >/dev/full"
exits 74 "a full disk as -o" brew-promptify -t "$movies" -o /dev/full
is "$(brew-promptify -t "$movies" 2>&1 | head -n 1 | wc -l)" 1 "a closed pipe is quiet"
exits 73 "no folder for temporary files" env TMPDIR="$work/nowhere" brew-promptify -t "$movies" --memory 1
done_testing
