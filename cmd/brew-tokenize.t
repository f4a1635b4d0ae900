#!/bin/sh
# brew-tokenize: the reference's ids, the way there and back, and what is refused.
# shellcheck source=testdata/lib.sh
. "$PWD/testdata/lib.sh"
model=testdata/models/tiny
records=testdata/tokenize/records.jsonl
cd "$work" || exit 1
model=$root/$model records=$root/$records

# ---- ids ----
exits 0 "records to ids" brew-tokenize -m "$model" --to jsonl "$records"
same "$work/out" "$root/testdata/tokenize/records.ids.jsonl" "as the reference gives them"
cp "$work/out" ids.jsonl
exits 0 "ids again" brew-tokenize -m "$model" --to jsonl ids.jsonl
same "$work/out" ids.jsonl "records with ids come out as they went in"
exits 0 "from a pipe" sh -c "cat '$records' | brew-tokenize -m '$model' --to jsonl -"
same "$work/out" ids.jsonl "the same"
exits 0 "gzipped" sh -c "gzip -c '$records' | brew-tokenize -m '$model' --to jsonl"
same "$work/out" ids.jsonl "the same"
tar -C "$model" -cf model.tar tokenizer.json tokenizer_config.json
exits 0 "a model of a tokenizer alone, as a tar" brew-tokenize -m model.tar --to jsonl "$records"
same "$work/out" ids.jsonl "the same"

# ---- streams ----
i=0
while [ $i -lt 60 ]; do # several batches and many chunks
    cat "$records"
    i=$((i + 1))
done >many.jsonl
for j in 1 2 3; do
    ok "stream, -j $j" brew-tokenize -m "$model" -j $j -o many.$j.tar many.jsonl
    ok "records, -j $j" brew-tokenize -m "$model" -j $j --to jsonl -o many.$j.jsonl many.jsonl
done
same many.1.tar many.2.tar "-j 1 and -j 2 give the same stream"
same many.1.tar many.3.tar "and so does -j 3"
same many.1.jsonl many.2.jsonl "-j 1 and -j 2 give the same records"
same many.1.jsonl many.3.jsonl "and so does -j 3"
ok "the stream has more than one batch" sh -c "tar tf many.1.tar | grep -q '^000001.ids.npy$'"
ok "stream of records with ids" brew-tokenize -m "$model" -o ids.tar ids.jsonl
ok "stream of texts" brew-tokenize -m "$model" -o texts.tar "$records"
mkdir a b
tar -C a -xf ids.tar
tar -C b -xf texts.tar
rm -f a/brew* b/brew* a/*.meta.jsonl b/*.meta.jsonl
ok "hold the same arrays" diff -r a b
ok "summary" brew-tokenize -m "$model" --summary s.json -o /dev/null "$records"
ok "past answers that stand are counted" grep -q '"history_answers":1[0-9][0-9],' s.json
ok "and those that do not" grep -q '"answers_dropped":[78],' s.json

# ---- back ----
texts() { sed 's/^.*"query":/"query":/; s/^.*"text":/"text":/; s/,"label_tokens".*//; s/,"n":.*//; s/}$//' "$1"; }
texts "$records" >want
for form in ids.jsonl texts.tar; do
    exits 0 "$form decoded" brew-tokenize -m "$model" --decode $form
    texts "$work/out" >got
    same got want "gives the texts back"
done
printf 'Heat (1995): Yes\n\n  two\303\251\n' >plain
exits 0 "plain text" brew-tokenize -m "$model" --text --to jsonl plain
is "$(wc -l <"$work/out")" 3 "is a record a line"
cp "$work/out" plain.jsonl
exits 0 "decoded" brew-tokenize -m "$model" --text --decode plain.jsonl
same "$work/out" plain "gives the text back"
ok "plain text to a stream" brew-tokenize -m "$model" --text -o plain.tar plain
exits 0 "decoded" brew-tokenize -m "$model" --text --decode plain.tar
same "$work/out" plain "gives the text back"

# ---- limits ----
line() { printf '{"query":"%s","items":["Big:"],"label_tokens":[" Yes"],"lines":[%s],"meta":{"shown":%s}}\n' "$@"; }
line 'I saw:\nHeat: Yes\nJaws: Yes\nNow\n' 7,17 2 >long.jsonl
line 'I saw:\nJaws: Yes\nNow\n' 7 1 >short.jsonl
ok "a record" brew-tokenize -m "$model" --to jsonl -o short.ids.jsonl short.jsonl
n=$(sed 's/.*"query_ids":\[//; s/\].*//' short.ids.jsonl | tr ',' '\n' | wc -l)
exits 65 "a longer one is refused" brew-tokenize -m "$model" --max-query-tokens "$n" --to jsonl long.jsonl
says "long.jsonl:1: the query has [0-9]* tokens, beyond the limit of $n" "with its size and the limit"
exits 0 "or fitted" brew-tokenize -m "$model" --max-query-tokens "$n" --fit oldest --to jsonl long.jsonl
same "$work/out" short.ids.jsonl "to what it is without its oldest line"

# ---- bad records ----
{
    head -n 2 "$records"
    printf '{"query":"CANARY","items":[""],"label_tokens":["x"]}\n'
    printf '{"query":"CANARY\n'
    printf '{"query":"a","items":["b"],"label_tokens":["CANARY one"]}\n'
    printf '{"text":"a\000CANARY"}\n'
    printf '{"query":"a","items":["b"],"label_token_ids":[640]}\n'
    head -n 1 "$records"
} >bad.jsonl
exits 65 "a bad record" brew-tokenize -m "$model" -o never.tar bad.jsonl
says 'bad.jsonl:3: items\[0\] is empty' "is named by its line"
ok "and leaves no output" test ! -e never.tar
exits 3 "bad records within --max-errors" brew-tokenize -m "$model" --max-errors 5 \
    --rejects rejects --summary s.json --to jsonl bad.jsonl
is "$(wc -l <"$work/out")" 3 "the good ones come out"
is "$(grep -c 'bad.jsonl:[3-7]: ' "$work/err")" 5 "each bad one is named"
ok "without its contents" sh -c "! grep -q CANARY '$work/err'"
ok "accepted and rejected are counted" grep -q '"accepted":3,"rejected":5' s.json
is "$(wc -l <rejects)" 5 "the bad ones are copied"
exits 65 "one more than --max-errors" brew-tokenize -m "$model" --max-errors 4 --to jsonl bad.jsonl
head -c -1 "$records" >cut.jsonl
exits 65 "a cut line" brew-tokenize -m "$model" -o never.tar cut.jsonl
says 'the last line has no newline' "is an error"
ok "and leaves no output" test ! -e never.tar
head -c 3000 texts.tar >cut.tar
exits 65 "decoding a cut stream" brew-tokenize -m "$model" --decode -o never cut.tar
ok "leaves no output" test ! -e never
exits 65 "nothing to decode" brew-tokenize -m "$model" --decode "$records"
exits 65 "an empty input" brew-tokenize -m "$model" /dev/null
says 'is empty' "is an error"
exits 0 "unless allowed" brew-tokenize -m "$model" --allow-empty -o empty.tar /dev/null
exits 0 "an empty stream" brew-tokenize -m "$model" --decode empty.tar
exits 0 "as many as expected" brew-tokenize -m "$model" --expect 65 -o /dev/null "$records"
exits 65 "fewer" brew-tokenize -m "$model" --expect 66 -o never.tar "$records"
says '65 records, 66 expected' "is an error"
ok "and leaves no output" test ! -e never.tar

# ---- options and outputs ----
exits 2 "no model" brew-tokenize "$records"
exits 2 "everything from standard input" brew-tokenize -m - -
exits 2 "decode to tar" brew-tokenize -m "$model" --decode --to tar "$records"
exits 2 "a bad choice" brew-tokenize -m "$model" --fit newest "$records"
exits 66 "no such file" brew-tokenize -m "$model" nowhere
exits 66 "no such model" brew-tokenize -m nowhere "$records"
mkdir other
sed 's/"vocab":{/"vocab":{"zzzz":640,/' "$model/tokenizer.json" >other/tokenizer.json
exits 65 "a stream of another tokenizer" brew-tokenize -m other --decode texts.tar
exits 74 "a full disk, stream" sh -c "brew-tokenize -m '$model' '$records' >/dev/full"
exits 74 "a full disk, records" sh -c "brew-tokenize -m '$model' --to jsonl '$records' >/dev/full"
exits 73 "an output that cannot be made" brew-tokenize -m "$model" -o nowhere/x "$records"
sh -c "{ brew-tokenize -m '$model' --to jsonl many.jsonl; echo \$? >status; } 2>err | head -n 1 >/dev/null"
is "$(cat status)" 141 "a closed pipe kills"
is "$(cat err)" "" "without a word"
done_testing
