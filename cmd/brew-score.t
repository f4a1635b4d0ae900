#!/bin/sh
# brew-score: an item's score is its own, whatever stands around it; and what is refused.
# shellcheck source=testdata/lib.sh
. "$PWD/testdata/lib.sh"
models=$root/testdata/models
records=$root/testdata/tokenize/records.jsonl
tiny=$models/tiny
cd "$work" || exit 1

# A record of random ids: one query, items of 1 to 12 tokens, listed as order says; alone: a record each.
ids() { # vocab query items order
    awk -v V="$1" -v Q="$2" -v N="$3" -v order="$4" '
        function random(n) { x = x * 16807 % 2147483647; return int(x / 2147483647 * n) }
        function list(len,    s, i) {
            for (i = 0; i < len; i++) s = s (i ? "," : "") random(V)
            return s
        }
        BEGIN {
            x = 7
            query = list(Q)
            for (n = 0; n < N; n++) item[n] = list(n ? 2 + random(11) : 1)
            head = "{\"query\":[" query "],\"items\":["
            tail = "],\"label_token_ids\":[3,5,8]}"
            if (order != "alone") printf "%s", head
            for (n = 0; n < N; n++) {
                at = order == "back" ? N - 1 - n : order == "mixed" ? (n * 7 + 3) % N : n
                if (order == "alone") print head "[" item[at] "]" tail
                else printf "%s[%s]", n ? "," : "", item[at]
            }
            if (order != "alone") print tail
        }'
}
# The scores, one item a line.
scores() { sed 's/.*"scores":\[//; s/\]}$//; s/\],\[/]\n[/g' "$1"; }
mixed() { awk '{line[NR - 1] = $0} END {for (n = 0; n < NR; n++) print line[(n * 7 + 3) % NR]}' "$1"; }
reversed() { awk '{line[NR] = $0} END {for (n = NR; n; n--) print line[n]}' "$1"; }
score() { # model file options...
    s_model=$models/$1 s_file=$2
    shift 2
    brew-score -m "$s_model" "$@" -o out.jsonl "$s_file" && scores out.jsonl
}

# ---- calibration ----
ids 60 20 5 given | sed 's/}$/,"positive":[1]}/' >given.jsonl
echo '{"format":"brew-calibration","version":1,"questions":"00112233445566778899aabbccddeeff","tasks":{"":{"a":9,"b":1}}}' \
    >curve.json
exits 0 "calibrated" brew-score -m "$models/llama-tied" --calibration curve.json given.jsonl
ok "says on what" grep -q '"calibrated_on":"00112233445566778899aabbccddeeff","scores"' out
ok "and moves the positive label" sh -c "sed 's/.*\"scores\":\[\[//' out | awk -F, '{ exit !(\$2 > 0.99) }'"
echo '{"meta":{"task":"other"},' >other.jsonl
sed 's/^{//' given.jsonl >>other.jsonl
tr -d '\n' <other.jsonl >joined.jsonl && echo >>joined.jsonl
exits 65 "a task without a curve" brew-score -m "$models/llama-tied" --calibration curve.json joined.jsonl
echo '{}' >none.json
exits 65 "no calibration" brew-score -m "$models/llama-tied" --calibration none.json given.jsonl

# ---- every score is its own ----
items=${BREW_ITEMS:-500} # fewer where a program runs emulated
for model in llama-tied mistral qwen2; do # the second and third with sliding windows of 9 and 7
    ids 60 150 "$items" given >given.jsonl
    ids 60 150 "$items" back >back.jsonl
    ids 60 150 "$items" mixed >mixed.jsonl
    ids 60 150 "$items" alone >alone.jsonl
    for precision in f32 bf16; do
        what="$model $precision:"
        score $model given.jsonl --precision $precision -j 1 >want
        is "$(sort -u want | wc -l)" "$items" "$what $items items have as many scores"
        score $model alone.jsonl --precision $precision >got
        same got want "$what the same alone"
        score $model back.jsonl --precision $precision >got
        reversed want | cmp -s - got
        is $? 0 "$what the same in the opposite order"
        score $model mixed.jsonl --precision $precision >got
        mixed want | cmp -s - got
        is $? 0 "$what the same permuted"
        for j in 2 3; do
            score $model given.jsonl --precision $precision -j $j >got
            same got want "$what the same at -j $j"
        done
        for rows in 1 13 64 1000; do
            score $model given.jsonl --precision $precision --block-rows $rows >got
            same got want "$what the same with --block-rows $rows"
        done
    done
done
grep -v '"text"' "$records" >prompts.jsonl
score tiny prompts.jsonl >want
while read -r line; do
    printf '%s\n' "$line" >one.jsonl
    score tiny one.jsonl
done <prompts.jsonl >got
same got want "requests computed together score as each by itself"

# ---- texts, ids and streams ----
ok "to a stream" brew-tokenize -m "$tiny" -o prompts.tar prompts.jsonl
ok "to ids" brew-tokenize -m "$tiny" --to jsonl -o ids.jsonl prompts.jsonl
for form in prompts.tar ids.jsonl; do
    ok "$form" brew-score -m "$tiny" -o form.jsonl $form
    scores form.jsonl >got
    same got want "$form gives the scores of the texts"
done
gzip -c prompts.tar >prompts.tar.gz
exits 0 "from a pipe, gzipped" sh -c "cat prompts.tar.gz | brew-score -m '$tiny'"
scores "$work/out" >got
same got want "the same"
mkdir bare
cp "$tiny/config.json" "$tiny/model.safetensors" bare
ok "ids need no tokenizer" brew-score -m bare -o form.jsonl ids.jsonl
exits 65 "texts do" brew-score -m bare prompts.jsonl
is "$(wc -l <"$work/err")" 1 "and that is said once"
mkdir other
sed 's/<|im_start|>/<|im_begin|>/g' "$tiny/tokenizer.json" >other/tokenizer.json
cp "$tiny/config.json" "$tiny/model.safetensors" other
exits 65 "a stream of another tokenizer" brew-score -m other prompts.tar
says 'tokenizer is' "is refused"
tar -C "$tiny" -cf model.tar config.json model.safetensors tokenizer.json
exits 0 "a model as a tar on standard input" sh -c "brew-score -m - prompts.jsonl <model.tar"
scores "$work/out" >got
same got want "the same"

# ---- the record ----
printf '{"id":"x","query":"Heat:","n":{"a": 1.50},"items":["Big:"],"scores":[1],"label_tokens":[" Yes"," No"],"lines":[0],"answered":[],"meta":{"time":9}}\n' >one.jsonl
exits 0 "one record" brew-score -m "$tiny" --precision f32 one.jsonl
ok "loses its texts and keeps the rest as written" grep -q \
    '^{"id":"x","n":{"a": 1.50},"label_tokens":\[" Yes"," No"\],"meta":{"time":9},"arithmetic":"f32/[a-z0-9]*","scores":\[\[0\.[0-9]*,0\.[0-9]*\]\]}$' "$work/out"
sed 's/"scores":\[1\]/"offsets":[2]/' one.jsonl >offset.jsonl
first() { scores "$1" | tr -d '[]' | cut -d, -f1; }
p=$(first "$work/out")
run brew-score -m "$tiny" --precision f32 offset.jsonl
q=$(first "$work/out")
ok "an offset is added to the log-odds" awk -v p="$p" -v q="$q" \
    'BEGIN {d = log(q / (1 - q)) - log(p / (1 - p)) - 2; exit !(d < 1e-9 && d > -1e-9)}'
run brew-score -m "$tiny" --precision f32 --logprobs one.jsonl
ok "log-probabilities agree with the scores" sh -c "sed 's/.*\"scores\":\[\[//; s/\]\],\"logprobs\":\[\[/,/; s/\]\]}//' '$work/out' |
    awk -F, '{d = \$3 - \$4 - log(\$1 / \$2); exit !(d < 1e-5 && d > -1e-5 && \$3 < 0 && \$4 < 0)}'"
printf '{"query":"q","items":[],"label_tokens":[" Yes"]}\n' >none.jsonl
exits 0 "no items" brew-score -m "$tiny" none.jsonl
ok "have no scores" grep -q '"scores":\[\]}$' "$work/out"
exits 0 "-v" brew-score -v -m "$tiny" --precision bf16 --summary s.json one.jsonl
says 'kernels [a-z0-9]*, precision bf16' "names kernels and precision"
ok "and so does the summary" grep -q '"kernel":"[a-z0-9]*","precision":"bf16".*"items":1,' s.json
exits 0 "plain C" brew-score --kernel generic -m "$tiny" one.jsonl
ok "is named in the record" grep -q '"arithmetic":"[a-z0-9]*/generic"' "$work/out"
exits 2 "a kernel level there is not" brew-score --kernel avx9000 -m "$tiny" one.jsonl

# ---- a teacher's stream ----
# shellcheck disable=SC2317 # called through ok
teach() { brew-score -m "$tiny" -o taught.jsonl --teacher-stream "$@"; }
ok "a stream with the teacher's logits" teach taught.tar prompts.jsonl
scores taught.jsonl >got
same got want "beside the same scores"
for j in 1 2 3; do
    ok "at -j $j" teach again.tar -j $j prompts.jsonl
    same again.tar taught.tar "the same bytes"
done
ok "from a stream" teach streamed.tar --block-rows 20 prompts.tar
exits 0 "the same logits" brew-inspect taught.tar streamed.tar
ok "from a stream with a teacher" teach again.tar taught.tar
exits 0 "the same logits" brew-inspect taught.tar again.tar
ok "it is a token stream" brew-score -m "$tiny" -o form.jsonl taught.tar
scores form.jsonl >got
same got want "with the same scores"
exits 0 "looked at" brew-inspect --json taught.tar
ok "past answers are in it" grep -q '"answers":295.*"history_answers":176' "$work/out"
ok "it names model and arithmetic" grep -q '"teacher":{"model":"[0-9a-f]*","arithmetic":"bf16/[a-z0-9]*","label_share":0\.' "$work/out"
ok "and what made it" grep -q '"tool":"brew-score".*"role":"records".*"role":"model"' "$work/out"
ok "another precision" teach other.tar --precision f32 prompts.jsonl
exits 1 "gives other logits" brew-inspect taught.tar other.tar
ok "and nothing else" grep -q 'label_logits' "$work/out"
exits 0 "to standard output" sh -c "brew-score -m '$tiny' -o form.jsonl --teacher-stream - prompts.jsonl | cmp - taught.tar"
exits 2 "but not with the scores" brew-score -m "$tiny" --teacher-stream - prompts.jsonl
exits 74 "a full disk" brew-score -m "$tiny" -o form.jsonl --teacher-stream /dev/full prompts.jsonl
exits 73 "a stream that cannot be made" brew-score -m "$tiny" --teacher-stream nowhere/x prompts.jsonl
head -c 4000 prompts.tar >cut.tar
exits 65 "a cut stream" brew-score -m "$tiny" -o never --teacher-stream never.tar cut.tar
ok "leaves nothing" test ! -e never -a ! -e never.tar

# ---- the context ----
ids 600 2047 3 given >long.jsonl # and items of more than one token
exits 65 "a query too long" brew-score -m "$tiny" long.jsonl
says 'long.jsonl:1: the query has 2047 tokens and the longest item [0-9]*, beyond the limit of 2048' \
    "is refused with both numbers"
sed 's/^{/{"lines":[0,5,10,20],/' long.jsonl >lined.jsonl
exits 0 "or fitted" brew-score -m "$tiny" --fit oldest lined.jsonl
exits 65 "a limit of one's own" brew-score -m "$tiny" --max-query-tokens 20 --logprobs prompts.jsonl
says 'beyond the limit of 20' "holds"
ok "a long request in a stream" brew-tokenize -m "$tiny" -o long.tar long.jsonl
exits 65 "is refused, too" brew-score -m "$tiny" long.tar
says 'long.tar:1: query and longest item have 20[45][0-9] tokens' "with its number"
exits 2 "and cannot be fitted" brew-score -m "$tiny" --fit oldest long.tar

# ---- bad records ----
{
    head -n 2 prompts.jsonl
    printf '{"query":"CANARY","items":["a"],"label_tokens":["CANARY and more"]}\n'
    printf '{"text":"CANARY"}\n'
    printf '{"query":[640],"items":[[1]],"label_token_ids":[1,2]}\n'
    printf '\n'
    head -n 1 prompts.jsonl
} >bad.jsonl
exits 65 "a bad record" brew-score -m "$tiny" -o never bad.jsonl
says 'bad.jsonl:3: label 0 of label set 0 is [0-9]* tokens' "is named by its line"
ok "and leaves no output" test ! -e never
exits 3 "bad records within --max-errors" brew-score -m "$tiny" --max-errors 4 --rejects rejects --summary s.json bad.jsonl
is "$(wc -l <"$work/out")" 3 "the good ones come out"
is "$(wc -l <rejects)" 4 "the bad ones are copied"
ok "accepted and rejected are counted" grep -q '"accepted":3,"rejected":4' s.json
ok "messages hold no contents" sh -c "! grep -q CANARY '$work/err'"
head -c -1 prompts.jsonl >cut.jsonl
exits 65 "a cut line" brew-score -m "$tiny" -o never cut.jsonl
head -c 4000 prompts.tar >cut.tar
exits 65 "a cut stream" brew-score -m "$tiny" -o never cut.tar
ok "leave no output" test ! -e never
exits 65 "an empty input" brew-score -m "$tiny" /dev/null
exits 0 "unless allowed" brew-score -m "$tiny" --allow-empty /dev/null
exits 65 "fewer records than expected" brew-score -m "$tiny" --expect 41 prompts.jsonl
says '40 records, 41 expected' "say so"

# ---- options and outputs ----
exits 2 "no model" brew-score prompts.jsonl
exits 2 "everything from standard input" brew-score -m - -
exits 2 "a bad precision" brew-score -m "$tiny" --precision f64 prompts.jsonl
exits 2 "no rows" brew-score -m "$tiny" --block-rows 0 prompts.jsonl
exits 66 "no such file" brew-score -m "$tiny" nowhere
exits 66 "no such model" brew-score -m nowhere prompts.jsonl
exits 74 "a full disk" sh -c "brew-score -m '$tiny' prompts.jsonl >/dev/full"
exits 73 "an output that cannot be made" brew-score -m "$tiny" -o nowhere/x prompts.jsonl
seq 16 | while read -r _; do cat prompts.jsonl; done >many.jsonl
sh -c "{ brew-score -m '$tiny' many.jsonl; echo \$? >status; } 2>err | head -n 1 >/dev/null"
is "$(cat status)" 141 "a closed pipe kills"
is "$(cat err)" "" "without a word"
done_testing
