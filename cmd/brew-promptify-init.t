#!/bin/sh
# brew-promptify --init: drafts of logs as they are found, which run as they are; what is refused.
# shellcheck source=testdata/lib.sh
. "$PWD/testdata/lib.sh"

data=$PWD/testdata
cd "$work" || exit 1
draft() { # NAME LOG [OPTION...]: the draft is written, and runs without a bad row
    log=$1
    shift
    exits 0 "$log: a draft" brew-promptify -o "$log.task.json" --init "$@"
    cp err "$log.err"
    exits 0 "$log: it runs" brew-promptify -t "$log.task.json" --summary summary
    is "$(sed 's/.*"rejected":\([0-9]*\).*/\1/' summary)" 0 "$log: no row is bad"
    ok "$log: there are records" test -s out
}
has() { # NAME TEXT: in the draft, whatever its lines
    ok "$1: $2" sh -c "tr -d '\n' <'$1.task.json' | sed 's/  */ /g' | grep -qF -e '$2'"
}
told() { ok "$1: says $2" grep -q -e "$2" "$1.err"; }

# The page's log, whole.
page() {
    awk -v at="example: $1" 'substr($0, 5) == at {on = 1; next} on && /^\.Ed/ {exit} on && !/^\./' \
        "$root/man/brew-promptify.1" | sed 's/\\e/\\/g'
}
page movies.csv >"$work/movies.csv"
page ratings.csv >"$work/ratings.csv"
page draft >want
draft ratings ratings.csv --items movies.csv
cp ratings.task.json out
same out want "is the one of the page"
run brew-promptify --init ratings.csv --items movies.csv -q
same out want "on standard output, too"
is "$(cat err)" "" "--quiet says nothing"

ml=$data/ml-latest-small
draft movies "$ml/ratings.csv" --items "$ml/movies.csv"
is "$(grep -o '"split":"[a-z]*"' out | sort | uniq -c | awk '{print ($1 > 20), $2}' | tr '\n' ' ')" \
    '1 "split":"test" 1 "split":"train" 1 "split":"valid" ' "movies: all sides have records"
told movies 'liked from 4 on, of 0.5 to 5 (four fifths of a usual scale): 48 % of rows'
has movies '"question": "{title}:"'

draft plays "$data/plays/plays.csv" --items "$data/plays/tracks.jsonl"
has plays '"member": "listener", "item": "track", "time": "started", "time_unit": "iso8601", "value": "seconds"'
has plays '"question": "{title} by {artist}:"'
told plays 'not sure: actions: stayed from'

draft slates "$data/slates/behaviors.tsv" --items "$data/slates/news.tsv"
has slates '"header": ["request", "member", "time", "column4", "slate"], "member": "member", "slate": "slate"'
has slates '"time_unit": "mdy", "request": "request", "lag": "10m"'
has slates '"id": "id", "header": ["id", "column2", "column3", "title"]'
has slates '"values": ["1"]'

world=$data/world
draft jobs "$world/jobs-log.csv" --items "$world/jobs.csv" --members "$world/members.csv"
has jobs '"request": "request", "window": "1d", "meta": ["position"]'
has jobs '{"name": "applied", "label": " Apply", "values": ["applied"], "gain": 5, "implies": ["viewed"]}, {"name": "viewed", "label": " View", "values": ["viewed"], "gain": 1}, {"name": "dismissed", "label": " Hide", "values": ["dismissed"]}, {"name": "ignored", "label": " None"}'
has jobs '"positive": ["applied", "viewed"]'
has jobs '"question": "{title}, {level}, {skills}, {place}, {salary}:"'
is "$(grep -c '"salary":\["' out)" "$(wc -l <out)" "jobs: columns of few values go into item_meta"
draft feed "$world/feed-log.csv" --items "$world/posts.csv"
draft ads "$world/ads-log.csv" --items "$world/ads.csv"

# RecBole's form, of the same ratings.
{
    printf 'user_id:token\titem_id:token\trating:float\ttimestamp:float\n'
    tail -n +2 "$ml/ratings.csv" | head -n 5000 | tr ',' '\t'
} >films.inter
{
    printf 'item_id:token\tmovie_title:token_seq\trelease_year:token\n'
    tail -n +2 "$ml/movies.csv" | grep -v '"' | awk -F, '{print $1 "\t" $2 "\t" 1950 + NR % 60}'
} >films.item
{
    printf 'user_id:token\tage:token\tgender:token\tzip_code:token\temail:token\n'
    awk 'BEGIN {for (i = 1; i <= 700; i++) printf "%d\t%d\t%s\t%d\tcanary%d\n", i, 20 + i % 40, i % 2 ? "M" : "F", 10000 + i, i}'
} >films.user
draft films films.inter --members films.user
has films '"member": "user_id", "item": "item_id", "time": "timestamp", "value": "rating"'
has films '"meta": ["age", "gender"]'
has films '"profile": "Member: age {age}, gender {gender}"'
told films 'not sure: profile: .* take out what must not decide'
run brew-promptify --init films.inter --items films.item -o some.task.json
ok "items that the table lacks are counted" grep -q 'not sure: items: films.item by column "item_id", with [0-9]* of [0-9]* ids: rows of the others' err

# Logs as companies and data sets have them.
awk 'BEGIN {srand(3); print "timestamp,visitorid,event,itemid,transactionid"
    for (i = 0; i < 2000; i++) {
        v = int(rand() * 200); item = int(rand() * 300); t = 1430000000000 + int(rand() * 1e10)
        printf "%.0f,%d,view,%d,\n", t, v, item
        if (rand() < .1) printf "%.0f,%d,addtocart,%d,\n", t + 1e4 + int(rand() * 3600000), v, item
        if (rand() < .03) printf "%.0f,%d,transaction,%d,%d\n", t + 1e5 + int(rand() * 7200000), v, item, i
    }}' >shop.csv
draft shop shop.csv
has shop '"time_unit": "ms", "value": "event", "window": "6h"'
has shop '"name": "purchased", "label": " Buy", "values": ["transaction"]'
has shop '"positive": ["purchased", "added to cart"]'
told shop 'not sure: columns that are not used: "transactionid"'

awk 'BEGIN {srand(4); split("pv pv pv pv pv cart buy fav", of, " ")
    for (i = 0; i < 2000; i++) print 1000 + int(rand() * 200) "," int(rand() * 4000) "," int(rand() * 50) "," of[1 + int(rand() * 8)] "," 1511539200 + int(rand() * 777600)}' >behavior.csv
draft behavior behavior.csv
has behavior '"header": ["member", "item", "column3", "value", "time"]'
has behavior '"name": "viewed", "label": " View"'
told behavior 'not sure: member: column "column1", the first of those'

awk 'BEGIN {srand(5); for (i = 0; i < 2000; i++) print int(rand() * 200) "\t" int(rand() * 400) "\t" 1 + int(rand() * 5) "\t" 874724710 + int(rand() * 1e7)}' >u.data
draft u u.data
has u '"header": ["member", "item", "value", "time"]'

awk 'BEGIN {srand(6); print "request_id,member_id,ad_id,position,device,query,event_time,clicked"
    for (r = 0; r < 300; r++) {
        m = int(rand() * 50)
        for (p = 1; p <= 5; p++) print "q" r "," m "," int(rand() * 100) "," p "," (r % 2 ? "ios" : "web") ",words " r "," 1600000000 + r * 1000 "," (rand() < .1)
    }}' >imps.csv
draft imps imps.csv
has imps '"value": "clicked", "request": "request_id", "window": "10m", "meta": ["position", "device"]'
has imps '{"name": "clicked", "label": " Yes", "values": ["1"]}, {"name": "not clicked", "label": " No"}'

awk 'BEGIN {srand(7); for (i = 0; i < 1000; i++) printf "{\"tags\":[1],\"uid\":\"u%d\",\"when\":\"2026-01-%02d 10:00:00 UTC\",\"song\":{\"x\":1},\"track\":\"t%d\",\"title\":\"Song {%d}\"}\n", int(rand() * 50), 1 + i % 28, i % 99, i % 99}' >likes.jsonl
draft likes likes.jsonl
has likes '"member": "uid", "item": "track", "time": "when", "time_unit": "iso8601"'
has likes '"name": "not chosen", "label": " No", "drawn": true'
has likes '"negatives": {"from": "popularity", "per_positive": 4}'
has likes '"question": "{event.title}:"'
is "$(sed 's/.*"positives_only":\([a-z]*\).*/\1/' summary)" false "likes: there are negatives"

printf 'user\titem\tlabel\tfold\n' >given.tsv
awk 'BEGIN {for (i = 0; i < 300; i++) print i % 20 "\t" i % 77 "\t" (i % 3 == 0 ? "true" : "false") "\t" (i > 250 ? "test" : "train")}' >>given.tsv
draft given given.tsv
has given '"time_unit": "row", "value": "label", "split_column": "fold"'
has given '"values": ["true"]'
sed 's/train/odd/' given.tsv >odd.tsv
draft odd odd.tsv
has odd '"split": {"by": "last"'

printf 'User Name,"Item, No.",Date,Liked?,x,x\nann,p,2020-01-01,yes,1,1\nbob,q,2020-01-02,no,1,1\nann,q,2020-01-03,yes,1,1\nbob,p,2020-01-04,no,1,1\n' >odd.csv
draft names odd.csv
has names '"member": "User Name", "item": "Item, No.", "time": "Date", "time_unit": "iso8601", "value": "Liked?"'
told names 'not sure: several columns are called "x"'
printf '\357\273\277,user_id,sku,Stars,created_at\r\n0,1,10,5,1600000000\r\n1,1,11,3,1600000100\r\n2,2,10,1,1600000200\r\n' >pandas.csv
draft pandas pandas.csv
has pandas '"member": "user_id", "item": "sku", "time": "created_at", "value": "Stars"'

# Ids that stand in several rows need to know from when.
{
    echo track,since,title
    for track in 1 2 3; do echo "t$track,2026-01-01,Early $track"; echo "t$track,2026-02-01,Late $track"; done
} >over.csv
awk 'BEGIN {print "who,track,at,action"; for (i = 0; i < 200; i++) printf "m%d,t%d,2026-03-%02d,%s\n", i % 9, 1 + i % 3, 1 + i % 28, i % 4 ? "skip" : "odd"}' >odd.csv
draft over odd.csv --items over.csv
has over '"id": "track", "valid_from": "since", "time_unit": "iso8601"'
has over '"name": "odd", "label": " A", "values": ["odd"]'
told over 'not sure: actions: 2, strongest first, but some names are not known'
sed 's/since/remark/' over.csv | sed 's/2026-0[12]-01/old/' >twice.csv
draft twice odd.csv --items twice.csv
told twice 'items: twice.csv is left out: ids stand in several rows'

# Paths are relative to where the draft lies; standard input is no file of the task.
mkdir -p sub/deep
run brew-promptify --init u.data -o sub/deep/u.task.json
ok "a path is relative to the draft's folder" grep -q '"file": "../../u.data"' sub/deep/u.task.json
exits 0 "and it runs there" brew-promptify -t sub/deep/u.task.json
run sh -c "brew-promptify --init - -o pipe.task.json <u.data"
exits 0 "a draft from standard input runs on a file" brew-promptify -t pipe.task.json u.data

# What cannot be drafted is refused, naming what is there and nothing of what stands in it.
printf 'a,b\ncanary,1.5\ncanary,2.5\n' >none.csv
exits 65 "no member" brew-promptify --init none.csv
says 'none.csv: no column is recognised as the member, as user_id would be; there are "a" and "b"' "is refused"
is "$(cat out)$(grep canary err)" "" "without a word of its cells"
printf 'user_id,x\n1,1.5\n2,2.5\n' >none.csv
exits 65 "no item" brew-promptify --init none.csv -o none.task.json
says 'recognised as the item, as item_id would be; there are "user_id" and "x"' "is refused"
ok "and nothing is written" test ! -e none.task.json
printf 'user;item\n1;2\n' >semi.csv
exits 65 "semicolons" brew-promptify --init semi.csv
says 'there is "user;item": columns are parted by commas or tabs' "are refused"
: >empty.csv
exits 65 "an empty file" brew-promptify --init empty.csv
exits 66 "no file" brew-promptify --init absent.csv
exits 66 "no table" brew-promptify --init u.data --items absent.csv
printf 'user,item\n' >head.csv
exits 65 "a header alone" brew-promptify --init head.csv
says 'head.csv: holds no rows' "is refused"
exits 2 "--init and --task" brew-promptify --init u.data -t u.task.json
exits 2 "--init and EVENTS" brew-promptify --init u.data u.data
exits 2 "--init and --split" brew-promptify --init u.data --split test
says '\-\-init goes with --items, --members and -o, not with --split' "is refused"
exits 2 "--items alone" brew-promptify -t u.task.json --items movies.csv
says '\-\-items and --members go with --init' "is refused"

# Cut anywhere, a log gives a draft or a refusal, never more.
head -n 4 imps.csv >short.csv
size=$(wc -c <short.csv) cut=0 bad=0
while [ "$cut" -lt "$size" ]; do
    head -c "$cut" short.csv >cut.csv
    run brew-promptify --init cut.csv --items cut.csv
    case $status in 0 | 65) ;; *) bad=$((bad + 1)) ;; esac
    cut=$((cut + 7))
done
is "$bad" 0 "cut logs are drafted or refused"
done_testing
