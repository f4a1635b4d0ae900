#!/bin/sh
# brew-promptify --candidates: of one of several sources, in slates, without a header; a bad row leaves no trace.
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
done_testing
