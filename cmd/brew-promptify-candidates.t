#!/bin/sh
# brew-promptify --candidates: of one of several sources, in slates, without a header; a bad row leaves no trace.
# --state: the popularity that negatives are drawn by.
# shellcheck source=testdata/lib.sh
. "$PWD/testdata/lib.sh"

slates=testdata/slates
cp $slates/*.tsv "$work"
task() { # KEYS of "candidates"
    sed "s/\"history\":/\"candidates\": {$1}, &/" $slates/news.task.json >"$work/news.task.json"
}

# MIND's test file: no header, slates whose items have no value.
printf '9\tU1\t11/14/2025 8:05:58 AM\t\tN3 N1 N2\n10\tU2\t11/14/2025 9:00:00 AM\tN1\tN7\n' >"$work/test.tsv"
task '"header": ["impression", "user", "time", "history", "slate"], "slate": "slate", "request": "impression", "time": "time"'
exits 0 "slates of candidates" brew-promptify -t "$work/news.task.json" --candidates "$work/test.tsv"
is "$(sed 's/.*"item_ids":\(\[[^]]*\]\),"targets":\(\[[^]]*\]\).*"request":"\([^"]*\)".*/\3 \1 \2/' "$work/out" | sort)" \
    '10 ["N7"] [-1]
9 ["N1","N2","N3"] [-1,-1,-1]' "are asked item by item, a record each"
mv "$work/out" "$work/want"
{
    echo impression,user,time,news
    echo 9,U1,11/14/2025 8:05:58 AM,N1
    echo 10,U2,11/14/2025 9:00:00 AM,N7
    echo 9,U1,11/14/2025 8:05:58 AM,N3
    echo 9,U1,11/14/2025 8:05:58 AM,N2
} >"$work/rows.csv"
task '"item": "news", "request": "impression", "time": "time"'
run brew-promptify -t "$work/news.task.json" --candidates "$work/rows.csv"
same "$work/out" "$work/want" "and rows of one item each give the same"
task '"slate": "slate", "header": ["user", "slate"]'
for slate in 'N1  N2' 'N1 ' ' N1' 'N1 N99' ''; do
    printf 'U1\t%s\nU2\tN3\n' "$slate" >"$work/test.tsv"
    exits 3 "the slate '$slate'" brew-promptify -t "$work/news.task.json" --candidates "$work/test.tsv" --max-errors 1
    is "$(sed 's/.*"item_ids":\(\[[^]]*\]\).*/\1/' "$work/out")" '["N3"]' "is a bad row as a whole"
done
printf '9\tU1\t11/14/2025 8:05:58 AM\t\tN3-0 N99-1 N2-0\n' >"$work/more.tsv"
sed 's/"lag": "10m"/"lag": 0/' $slates/news.task.json >"$work/news.task.json"
run brew-promptify -t "$work/news.task.json" "$work/behaviors.tsv" -o "$work/want"
exits 3 "a slate with an unknown item" brew-promptify -t "$work/news.task.json" "$work/behaviors.tsv" "$work/more.tsv" --max-errors 1
same "$work/out" "$work/want" "leaves no trace"
task '"slate": "a", "item": "b"'
exits 2 "a slate and items" brew-promptify -t "$work/news.task.json" --candidates "$work/test.tsv"
says '"candidates" must not have "item" and "slate"' "are refused"

# Of several sources they are asked as the first that is asked, or as the one that is named.
world=$PWD/testdata/world
sed "s/\"history\": {/\"candidates\": {\"source\": \"feed\"}, &/; s#\"file\": \"#&$world/#" "$world/world.task.json" >"$work/feed.task.json"
printf 'member,item\nm1,p6\nm1,p4\n' >"$work/posts.csv"
exits 0 "candidates of a source" brew-promptify -t "$work/feed.task.json" --candidates "$work/posts.csv"
is "$(sed 's/.*"items":\[\("[^"]*","[^"]*"\)\].*"surface":"\([a-z]*\)".*/\2 \1/' "$work/out" | grep -c '^feed "Post on .*","Post on ')" 1 \
    "are asked in its words"
exits 65 "posts among the jobs" brew-promptify -t testdata/world/world.task.json --candidates "$work/posts.csv"
sed 's/"source": "feed"/"source": "fed"/' "$work/feed.task.json" >"$work/bad.task.json"
exits 2 "no such source" brew-promptify -t "$work/bad.task.json" --candidates "$work/posts.csv"
says '"candidates.source" must be the name of a source' "is refused"

# What negatives are drawn by is kept: a later, shorter log draws as the whole did.
ml=$PWD/testdata/ml-latest-small
cat >"$work/watch.task.json" <<END
{"task": "watch", "events": {"file": "$ml/ratings.csv", "member": "userId", "item": "movieId", "time": "timestamp"},
 "actions": [{"name": "watched", "label": " Yes"}, {"name": "not", "label": " No", "drawn": true}],
 "negatives": {"from": "popularity", "per_positive": 3}, "templates": {"question": "{item}:"}, "history": {"max": 0},
 "questions": {"max": 5}, "split": {"by": "time", "test": 0.2}}
END
run brew-promptify -t "$work/watch.task.json" --save-state "$work/state" -o "$work/whole"
exits 0 "--state with popularity" brew-promptify -t "$work/watch.task.json" --state "$work/state"
same "$work/out" "$work/whole" "says the same of the same"
awk -F, 'NR == 1 || $1 % 10 == 1' "$ml/ratings.csv" >"$work/tenth.csv"
run brew-promptify -t "$work/watch.task.json" --state "$work/state" "$work/tenth.csv"
drawn() { # ids and items of the members in both
    grep '"member":"[0-9]*1"' "$1" | sed 's/.*"item_ids":\(\[[^]]*\]\).*"sample_rates":\(\[[^]]*\]\).*"member":\("[0-9]*"\).*/\3 \1 \2/'
}
is "$(drawn "$work/out" | sha256sum)" "$(drawn "$work/whole" | sha256sum)" "a tenth of the members draws as it did in the whole"
run brew-promptify -t "$work/watch.task.json" "$work/tenth.csv" -o "$work/fresh"
ok "and otherwise without it" sh -c "! cmp -s $work/fresh $work/out"
for damage in 's/"popularity":/"popularty":/' 's/"events":\[[0-9]*/"events":[0/' 's/"events":\[[0-9]*,/"events":[/' \
    's/"since":\[[0-9]*/"since":[""/' 's/"items":\["[0-9]*"/"items":[1/' 's/"items":\["[0-9]*","\([0-9]*\)"/"items":["\1","\1"/'; do
    sed "$damage" "$work/state" >"$work/damaged"
    exits 65 "a damaged popularity: $damage" brew-promptify -t "$work/watch.task.json" --state "$work/damaged"
    says 'damaged: "popularity" is missing or of the wrong form' "is refused"
done
done_testing
