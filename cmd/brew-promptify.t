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

# A log of positives alone: said aloud; with negatives drawn, of items that existed and were not met so far.
cat >"$work/watch.task.json" <<END
{"task": "watch", "events": {"file": "$PWD/$ratings", "member": "userId", "item": "movieId", "time": "timestamp"},
 "actions": [{"name": "watched", "label": " Yes"}, {"name": "not", "label": " No", "drawn": true}],
 "negatives": {"from": "popularity", "per_positive": 4},
 "templates": {"question": "{item}:"}, "history": {"max": 4}, "questions": {"max": 5},
 "split": {"by": "time", "test": 0.2}}
END
exits 0 "negatives by popularity" brew-promptify -t "$work/watch.task.json" --summary "$work/summary" -o "$work/drawn"
is "$(sed 's/.*"positives_only":\([a-z]*\).*/\1/' "$work/summary")" false "not only positives"
run brew-promptify -t "$work/watch.task.json" -j 3 --memory 1
same "$work/out" "$work/drawn" "negatives: the same bytes"
for shard in 1 2 3; do brew-promptify -t "$work/watch.task.json" --shard $shard/3 2>"$work/err"; done >"$work/shards"
same "$work/shards" "$work/drawn" "negatives: three shards are the whole"
run brew-promptify -t "$work/watch.task.json" --seed 7
ok "another seed draws others" sh -c "! cmp -s $work/out $work/drawn"
sed 's/.*"item_ids":\[\([^]]*\)\],"targets":\[\([^]]*\)\].*"time":\[\([^]]*\)\].*"sample_rates":\[\([^]]*\)\].*"member":"\([^"]*\)".*/\5;\1;\2;\3;\4/; s/"//g' \
    "$work/drawn" >"$work/lists"
is "$(awk -F'[,;]' 'FNR == NR {if (FNR > 1) {met[$1, $2] = $4; if (!($2 in first) || $4 < first[$2]) first[$2] = $4}; next}
    {n = (NF - 1) / 4
     for (i = 0; i < n; i++) {
         item = $(2 + i); time = $(2 + 2 * n + i); rate = $(2 + 3 * n + i)
         if ($(2 + n + i) == 0) {yes++; bad += rate != 1; continue}
         no++; bad += first[item] >= time || (($1, item) in met && met[$1, item] <= time) || rate <= 0 || rate > 1
     }} END {print yes, (no > 390000), bad + 0}' $ratings "$work/lists")" "100836 1 0" \
    "each positive once; negatives existed, were not met before, and have rates"
sed 's/"negatives.*//; s/, "drawn": true/, "values": [9]/; s/"time": "timestamp"/&, "value": "rating"/; s/"label": " Yes"/&, "min": 0/' \
    "$work/watch.task.json" >"$work/yes.task.json"
exits 0 "positives alone" brew-promptify -t "$work/yes.task.json" -o "$work/out" --summary "$work/summary"
says "all events are positive" "is said"
is "$(sed 's/.*"positives_only":\([a-z]*\).*/\1/' "$work/summary")" true "and in the summary"
sed 's/"max": 4/&, "answers": false/' "$work/yes.task.json" >"$work/plain.task.json"
brew-promptify -t "$work/plain.task.json" >"$work/out" 2>"$work/err"
is "$(grep -c 'Yes\\n\|"answered"' "$work/out")" 0 "a plain list tells no answers"
sed 's/"templates"/"negatives": {"from": "request", "rate": 0.25}, &/' "$movies" | sed "s#ml-latest#$PWD/testdata/&#" >"$work/kept.task.json"
exits 0 "negatives kept with a rate" brew-promptify -t "$work/kept.task.json" -o "$work/out"
is "$(sed 's/.*"targets":\[\([^]]*\)\].*"sample_rates":\[\([^]]*\)\].*/\1;\2/' "$work/out" |
    awk -F'[,;]' '{n = NF / 2; for (i = 1; i <= n; i++) {c[$i]++; bad += $(i + n) != ($i ? 0.25 : 1)}}
    END {print c[0], (c[1] > 12500 && c[1] < 13500), bad + 0}')" "48580 1 0" "a quarter of what is not positive"

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

# Slates in one cell, and plays that collapse: goldens checked by hand, and the same under every condition.
for task in slates/news plays/plays; do
    exits 0 "$task" brew-promptify -t testdata/$task.task.json --summary "$work/summary"
    same "$work/out" testdata/$task.expected.jsonl "$task: as worked out by hand"
    for options in "-j 3" "--memory 1"; do
        # shellcheck disable=SC2086  # options are words
        run brew-promptify -t testdata/$task.task.json $options
        same "$work/out" testdata/$task.expected.jsonl "$task: $options: the same bytes"
    done
    for shard in 1 2 3; do brew-promptify -t testdata/$task.task.json --shard $shard/3 2>"$work/err"; done >"$work/shards"
    same "$work/shards" testdata/$task.expected.jsonl "$task: three shards are the whole"
done
is "$(sed 's/.*"duplicates":\([0-9]*\),"late":\([0-9]*\),"young":\([0-9]*\).*/\1 \2 \3/' "$work/summary")" "1 0 2" \
    "one play was another's beginning, two are too young"
sort -r testdata/slates/behaviors.tsv >"$work/behaviors.tsv"
run brew-promptify -t testdata/slates/news.task.json "$work/behaviors.tsv"
same "$work/out" testdata/slates/news.expected.jsonl "slates in another order: the same bytes"
exits 65 "no header where one is expected" brew-promptify -t testdata/plays/plays.task.json "$work/behaviors.tsv"
printf '9\tU1\t11/11/2025 8:05 AM\t\tN3-1 N1\n' >"$work/slate.tsv"
exits 65 "an item of a slate without a value" brew-promptify -t testdata/slates/news.task.json "$work/slate.tsv"
says 'slate.tsv:1: an item of the slate without "-" and a value' "is named"

# Two logs in one history: each with its columns, and what was learned of one known to the other.
cat >"$work/ads.csv" <<'END'
user,ad,at,did,place
U1,A1,2025-11-12T08:00:00Z,hide,top
U1,A1,2025-11-12T07:59:00Z,see,top
U2,A1,2025-11-12T09:00:00Z,see,side
U1,A2,2025-11-13T08:00:00Z,see,side
U1,A2,2025-11-14T08:00:00Z,see,side
END
cp testdata/slates/* "$work"
cat >"$work/two.task.json" <<'END'
{"task": "two",
 "sources": [
  {"name": "news", "file": "behaviors.tsv", "header": ["impression", "user", "time", "history", "slate"],
   "member": "user", "request": "impression", "slate": "slate", "time": "time", "time_unit": "mdy", "lag": "10m",
   "items": {"file": "news.tsv", "header": ["news", "category", "subcategory", "title"], "id": "news"},
   "actions": [{"name": "clicked", "label": " Yes", "values": [1]}, {"name": "no", "label": " No"}],
   "templates": {"question": "{title}:"}},
  {"name": "ads", "task": "hides", "file": "ads.csv", "member": "user", "item": "ad", "time": "at",
   "time_unit": "iso8601", "value": "did", "window": "1h", "meta": ["place"], "weight": "w",
   "actions": [{"name": "hid", "label": " Hide", "values": ["hide"]}, {"name": "saw", "label": " See"}],
   "templates": {"question": "Ad {item}, {event.place}:"}}],
 "templates": {"instruction": "What next?"}, "questions": {"sources": ["ads"]}}
END
sed -i.bak 's/^user.*/&,w/; s/^U.*/&,2.5/' "$work/ads.csv"
exits 0 "two sources" brew-promptify -t "$work/two.task.json"
is "$(grep '"U1"' "$work/out" | tail -n 1)" '{"id":"two/U1/2","query":"What next?\nTwo brothers meet in a final: No\nCopper falls for the fifth day: No\nSoup from what is left: Yes\nAd A1, top: Hide\nA club of eight rows home: No\nFog until noon: No\nBread without kneading: Yes\nCopper falls for the fifth day: No\nBread without kneading: No\nRents rise in small towns: Yes\nNight trains are back: No\nSoup from what is left: Yes\nA club of eight rows home: No\n","items":["Ad A2, side:"],"label_tokens":[" Hide"," See"],"positive":[0],"item_ids":["A2"],"targets":[1],"item_meta":{"position":[1],"item_history":[0],"time":[1763020800],"place":["side"]},"weights":[2.5],"lines":[11,44,79,107,124,154,173,201,236,263,294,320,348],"meta":{"task":"hides","surface":"ads","member":"U1","time":1763020800,"history":13,"shown":13,"split":"train"}}' \
    "news and ads in one history, one of them asked"
exits 2 "sources and EVENTS" brew-promptify -t "$work/two.task.json" "$work/ads.csv"
says 'two.task.json has 2 sources, which name their files themselves' "is refused"
sed 's/"sources": \["ads"\]/&, "train": "once"/' "$work/two.task.json" >"$work/once.task.json"
exits 2 "each event once" brew-promptify -t "$work/once.task.json"
says '"questions.train" cannot be "once": the sources differ in their actions' "is refused where it cannot be"

# Ready-made splits, and rows whose order is their time.
cat >"$work/given.csv" <<'END'
u,i,v,part
a,1,1,train
a,2,0,train
b,3,1,dev
a,4,1,test
END
cat >"$work/given.task.json" <<'END'
{"task": "given", "events": {"file": "given.csv", "member": "u", "item": "i", "value": "v", "time_unit": "row",
  "split_column": "part"},
 "actions": [{"name": "y", "label": " Yes", "values": [1]}, {"name": "n", "label": " No"}],
 "templates": {"question": "{item}:"}, "questions": {"max": 1}}
END
run brew-promptify -t "$work/given.task.json"
is "$(sed 's/.*"query":"\([^"]*\)".*"items":\(\[[^]]*\]\).*"split":"\(.*\)".*/\3 \2 \1/' "$work/out" | sort)" \
    'test ["4:"] 1: Yes\n2: No\n
train ["1:"] 
train ["2:"] 1: Yes\n
valid ["3:"] ' "a given split, the order of rows"

# A mix: shares and caps of train records, whatever the shard.
cat >"$work/mix.json" <<END
{"tasks": [{"file": "$PWD/testdata/movies.task.json", "share": 0.25, "max": 3},
           {"file": "$PWD/testdata/slates/news.task.json"}]}
END
exits 0 "a mix" brew-promptify --mix "$work/mix.json" --summary "$work/summary" -o "$work/mixed"
is "$(grep -v '"task":"news"' "$work/mixed" | grep '"split":"test"' | sha256sum)" \
    "$(grep '"split":"test"' "$work/whole" | sha256sum)" "test records all stay"
grep '"task":"news"' "$work/mixed" >"$work/news"
same "$work/news" testdata/slates/news.expected.jsonl "and those of a task without share and cap"
grep '"task":"movies"' "$work/mixed" | grep '"split":"train"' >"$work/kept"
is "$(sed 's/.*"member":"\([^"]*\)".*/\1/' "$work/kept" | sort | uniq -c | awk '$1 > n {n = $1} END {print n}')" 3 \
    "at most three a member"
ok "all from the whole" sh -c "[ \$(cat $work/kept $work/whole | sort | uniq -d | wc -l) = \$(wc -l <$work/kept) ]"
for options in "-j 1" "-j 3 --memory 2"; do
    # shellcheck disable=SC2086  # options are words
    run brew-promptify --mix "$work/mix.json" $options
    same "$work/out" "$work/mixed" "a mix, $options: the same bytes"
done
for shard in 1 2 3; do brew-promptify --mix "$work/mix.json" --shard $shard/3 2>"$work/err"; done >"$work/shards"
same "$work/shards" "$work/mixed" "a mix in three shards is the whole"
exits 2 "a mix and a task" brew-promptify --mix "$work/mix.json" -t "$movies"
echo '{"tasks": [{"file": "two.task.json"}, {"file": "two.task.json"}]}' >"$work/twice.json"
exits 2 "a task twice" brew-promptify --mix "$work/twice.json"
echo '{"tasks": [{"file": "two.task.json", "share": 2}]}' >"$work/share.json"
exits 2 "a share above 1" brew-promptify --mix "$work/share.json"
says 'share.json:1: "tasks\[0\].share" is 2, not from' "is named"

# With requests: a record for each, however many candidates; as of a time, nothing later is seen.
cp testdata/promptify/jobs.jsonl testdata/promptify/members.csv "$work"
sed 's/"questions": {"max": 2}/&, "candidates": {"request": "rq", "time": "at"}/' "$jobs" >"$work/night.task.json"
cat >"$work/night.csv" <<'END'
at,rq,job,who
2026-01-06T00:00:00Z,r2,j7,ann
2026-01-06T00:00:00Z,r2,j2,ann
2026-01-06T00:00:00Z,r2,j1,ann
2026-01-03T00:00:01Z,r1,j2,ann
2026-01-03T00:00:01Z,r1,j2,ann
2026-01-09T00:00:00Z,r1,j2,bo
END
shown() { # request, items, histories, earlier, time, of each record
    sed -n 's/.*"item_ids":\(\[[^]]*\]\).*"item_history":\(\[[^]]*\]\).*"request":"\([^"]*\)","time":\([0-9]*\),"history":\([0-9]*\).*/\3 \1 \2 \5 \4/p' "$1"
}
exits 0 "candidates with requests and times" brew-promptify -t "$work/night.task.json" --candidates "$work/night.csv"
shown "$work/out" >"$work/got"
cat >"$work/want" <<'END'
r1 ["j2"] [1] 4 1767398401
r2 ["j1","j2","j7"] [3,1,0] 6 1767657600
r1 ["j2"] [3] 2 1767916800
END
same "$work/got" "$work/want" "each sees what was before it"
run brew-promptify -t "$work/night.task.json" --candidates "$work/night.csv" --at 2026-01-03T00:00:01Z
shown "$work/out" | awk '{print $4, $5}' | sort -u >"$work/got"
printf '1 1767398401\n4 1767398401\n' >"$work/want"
same "$work/got" "$work/want" "--at decides for all"
run brew-promptify -t "$work/night.task.json" --candidates "$work/night.csv" --questions 2
is "$(grep -c '"request":"r2"' "$work/out")" 2 "--questions divides requests, too"
brew-promptify -t "$work/night.task.json" --candidates "$work/night.csv" >"$work/whole-night"
for shard in 1 2; do brew-promptify -t "$work/night.task.json" --candidates "$work/night.csv" --shard $shard/2; done >"$work/out"
same "$work/out" "$work/whole-night" "two shards are the whole"
brew-promptify -t "$rates" --candidates "$work/early.csv" --at 978307200 | head -n 1 >"$work/out"
ok "features are told of candidates" grep -q '"items":\["[^"]*, [a-z]* by [a-z]*:"' "$work/out"
exits 2 "--at without --candidates" brew-promptify -t "$jobs" --at 5
exits 2 "--at noon" brew-promptify -t "$jobs" --candidates "$work/night.csv" --at noon
sed 's/"count", "as_of": "split"/"count", "window_days": 30/' "$rates" >"$work/window.task.json"
sed -i "s#ml-latest-small#$PWD/testdata/ml-latest-small#" "$work/window.task.json"
exits 2 "a window needs a time" brew-promptify -t "$work/window.task.json" --candidates "$work/early.csv"
says "needs --at" "is said"

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

for task in news plays; do
    for file in slates.csv news.csv news.task.json plays.csv plays.task.json; do page $file >"$work/page/$file"; done
    exits 0 "the page's example of $task runs" brew-promptify -t "$work/page/$task.task.json"
    is "$(tail -n 1 "$work/out")" "$(page $task.out | tr -d '\n')" "and gives what the page says"
done

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
