#!/bin/sh
# brew-train: a model learns, and is a model; a stop is no loss; and what is refused. Stops at every step, and
# kills at every call that reaches the disk, are tried in lib/train/run_test.c.
# shellcheck source=testdata/lib.sh
. "$PWD/testdata/lib.sh"
tiny=$root/testdata/models/tiny
cd "$work" || exit 1

# Records whose answer is the parity of the item's number: something to learn.
records() { # how many, seed
    awk -v n="$1" -v x="$2" '
        function random(n) { x = x * 16807 % 2147483647; return int(x / 2147483647 * n) }
        BEGIN {
            for (r = 0; r < n; r++) {
                query = items = targets = ""
                for (i = 0; i < 4; i++) query = query (i ? "," : "") 20 + random(400)
                for (i = 0; i < 4; i++) {
                    item = 30 + random(20)
                    items = items (i ? "," : "") "[" item "]"
                    targets = targets (i ? "," : "") item % 2
                }
                print "{\"query\":[" query "],\"items\":[" items "],\"label_token_ids\":[11,12],\"targets\":[" targets \
                    "],\"answered\":[],\"meta\":{\"task\":\"parity\",\"member\":\"" r "\"}}"
            }
        }'
}
records 64 7 >train.jsonl
records 16 8 >valid.jsonl
brew-tokenize -m "$tiny" -o train.tar train.jsonl
# shellcheck disable=SC2317 # called through ok
train() { # out, options...
    t_out=$1
    shift
    brew-train -q -m "$tiny" -o "$t_out" --precision f32 --batch 8 --lr "${rate:-0.01}" "$@"
}
loss() { sed 's/.*"loss":\([0-9.e-]*\),.*/\1/' "$1/metrics.jsonl"; }
# shellcheck disable=SC2317
below() { awk -v a="$1" -v b="$2" 'BEGIN {exit !(a < b)}'; }
untimed() { sed 's/,"seconds":.*//' "$1/metrics.jsonl"; }

# ---- it learns ----
ok "trains" train a --epochs 12 --summary s.json train.jsonl
ok "the loss falls to a third" below "$(loss a | tail -n 1)" "$(loss a | head -n 1 | awk '{print $1 / 3}')"
is "$(wc -l <a/metrics.jsonl)" 96 "a row a step"
ok "with its parts in order" grep -q '^{"step":1,"loss":[0-9.]*,"items":[0-9.]*,"grad_norm":[0-9.]*,"lr":0.01,"tokens":[0-9]*,"seconds":' a/metrics.jsonl
ok "the summary tells" grep -q '"steps":96,"updates":96,"skipped":0,"tokens":' s.json
ok "it is a model" brew-score -m a -o a.scores valid.jsonl
ok "that knows the answers" brew-eval --gate "auc>=0.95" -o eval a.scores
ok "and can be looked at" brew-inspect --verify a
ok "and trained on" brew-train -q -m a -o again --steps 2 train.jsonl
same a/tokenizer.json "$tiny/tokenizer.json" "the tokenizer came along"
for dtype in bf16 f16; do
    ok "saved in $dtype" train $dtype --steps 2 --save-dtype $dtype train.jsonl
    ok "loads" brew-score -m $dtype -o $dtype.scores valid.jsonl
done
ok "weights are half as large" test $(($(wc -c <bf16/model.safetensors) * 2)) -lt $(($(wc -c <a/model.safetensors) + 5000))

# ---- the same, however it is done ----
ok "from a stream" train b --epochs 12 train.tar
same b/model.safetensors a/model.safetensors "the same weights"
ok "from a pipe" sh -c "brew-train -q -m '$tiny' -o c --precision f32 --lr 0.01 <train.tar"
ok "once over it" train d --epochs 1 train.tar
same c/model.safetensors d/model.safetensors "is one epoch"
ok "kept in a folder" sh -c "brew-train -q -m '$tiny' -o e --precision f32 --lr 0.01 --epochs 2 --order shuffle --spool spool <train.tar"
ok "shuffled" train f --epochs 2 --order shuffle train.tar
same e/model.safetensors f/model.safetensors "is a file"
ok "in other pieces" train pieces --epochs 1 --micro-tokens 40 train.tar
untimed d | sed 's/,"grad_norm.*//' | cut -c 1-30 >want
untimed pieces | sed 's/,"grad_norm.*//' | cut -c 1-30 >got
same got want "the same losses"
for level in mlp layer; do
    ok "--recompute $level" train $level --epochs 1 --recompute $level train.tar
    same $level/model.safetensors d/model.safetensors "changes no bit"
done

# ---- stopped and going on ----
for signal in TERM USR1 KILL; do
    brew-train -q -m "$tiny" -o stopped --precision f32 --batch 8 --lr 0.01 --epochs 40 --order shuffle \
        --save-every 5 -j 2 train.tar &
    pid=$!
    stop=$((${stop:-0} + 20)) # steps
    while [ "$(wc -l <stopped/metrics.jsonl 2>/dev/null || echo 0)" -lt $stop ]; do sleep 0.02; done
    kill -$signal $pid
    wait $pid
    status=$?
    if [ $signal = KILL ]; then is $status 137 "killed"; else is $status 75 "SIG$signal: status 75"; fi
    ok "no model is there yet" test ! -e stopped/config.json
done 2>/dev/null
brew-train -q -m "$tiny" -o stopped --precision f32 --batch 8 --lr 0.01 --epochs 40 --order shuffle --save-every 5 \
    train.tar 2>/dev/null &
pid=$!
while [ "$(wc -l <stopped/metrics.jsonl)" -lt $((stop + 20)) ]; do sleep 0.02; done
exits 73 "a second process" train stopped --epochs 40 --order shuffle --save-every 5 train.tar
says 'another process is training into it' "is refused"
kill -TERM $pid
wait $pid
is $? 75 "the first goes on until it is stopped"
ok "the same command goes on" train stopped --epochs 40 --order shuffle --save-every 5 train.tar
ok "without a stop" train straight --epochs 40 --order shuffle --save-every 5 train.tar
same stopped/model.safetensors straight/model.safetensors "the same model"
untimed stopped >got
untimed straight >want
same got want "and log"
is "$(ls stopped/checkpoints)" "finished.json
lock
run.json
step-00000315
step-00000320" "two checkpoints are kept, and nothing else"
cp stopped/model.safetensors before
exits 0 "a finished run" train stopped --epochs 40 --order shuffle --save-every 5 train.tar
same stopped/model.safetensors before "is left as it is"
exits 2 "another rate" brew-train -m "$tiny" -o stopped --precision f32 --lr 0.02 --batch 8 --epochs 40 --order shuffle train.tar
says 'was begun with lr 0.01, now it is 0.02' "is refused by name"
exits 2 "other requests" train stopped --epochs 40 --order shuffle valid.jsonl
says 'begun with other records' "too"
ok "half of a pipe" sh -c "head -n 32 train.jsonl | brew-train -q -m '$tiny' -o half --precision f32 --save-every 1 --steps 8"
rm half/checkpoints/finished.json half/config.json
exits 65 "another pipe" sh -c "brew-train -q -m '$tiny' -o half --precision f32 --save-every 1 --steps 8 <valid.jsonl"

# ---- validation, mixes, guards ----
rate=0.03
ok "validation and patience" train v --steps 60 --valid valid.jsonl --valid-every 2 --patience 3 train.jsonl
rate=0.01
v_rows=$(wc -l <v/metrics.jsonl)
ok "stops early" test "$v_rows" -lt 60
best=$(grep -o '"step":[0-9]*\|"valid":[0-9.e-]*' v/metrics.jsonl |
    awk -F: '/step/ {s = $2} /valid/ && (!m || $2 < m) {m = $2; b = s} END {print b}')
is "$best" "$((v_rows - 6))" "three validations after the best"
tail -c 150000 "v/checkpoints/step-$(printf %08d "$best")/model.safetensors" >want
tail -c 150000 v/model.safetensors >got
same got want "whose weights are the model's"
sed 's/parity/other/; s/"answered".*"meta"/"meta"/' valid.jsonl >other.jsonl
ok "a mix" train mix --steps 4 --mix train.tar:0.8 other.jsonl:0.2
ok "logs the loss of each task" grep -q '"tasks":{"parity":[0-9.]*,"other":[0-9.]*}' mix/metrics.jsonl
ok "an absurd rate" sh -c "! brew-train -q -m '$tiny' -o nan --precision f32 --lr 10 --clip 0 --weight-decay 100 --steps 400 --max-skipped 3 train.tar"
exits 65 "ends in an error" brew-train -q -m "$tiny" -o nan2 --precision f32 --lr 10 --clip 0 --weight-decay 100 --steps 400 --max-skipped 3 train.tar
says '4 steps in a row had to be skipped' "that says why"
ok "the steps skipped are logged" grep -q '"loss":null.*"skipped":true' nan2/metrics.jsonl

sed 's/"targets":\[[0-9,]*\]/"targets":[-1,-1,-1,-1]/' valid.jsonl >unknown.jsonl
exits 65 "requests without a known answer" train x --steps 2 unknown.jsonl
says 'there is nothing to learn: no request has an answer that is known ("targets") and weighs something' "are refused"
sed 's/"meta"/"weights":[0,0,0,0],&/' valid.jsonl >weightless.jsonl
exits 65 "answers without weight" train x --steps 2 weightless.jsonl
exits 65 "nor can they validate" train x --steps 2 --valid unknown.jsonl train.jsonl
says 'unknown.jsonl: nothing to validate on' "is said"
ok "next tokens can" train nt --steps 2 --lm-weight 1 unknown.jsonl
# 30 steps of the same, then one with the answers turned round: its gradient is a spike
awk 'BEGIN {
    for (r = 0; r < 32; r++)
        print "{\"query\":[20,21],\"items\":[[31]],\"label_token_ids\":[11,12],\"targets\":[" (r == 30) "]}"
}' >spike.jsonl
ok "a spike" brew-train -q -m "$tiny" -o spike --precision f32 --batch 1 --lr 0.01 --spike 5 spike.jsonl
is "$(grep skipped spike/metrics.jsonl | cut -c 1-10)" '{"step":31' "is skipped"
ok "and not counted among the updates" grep -q '"updates":31,"requests":32' spike/checkpoints/finished.json
ok "without a guard" brew-train -q -m "$tiny" -o spike2 --precision f32 --batch 1 --lr 0.01 spike.jsonl
is "$(grep -c skipped spike2/metrics.jsonl)" 0 "it is a step"

# ---- lm, random starts ----
printf '{"text":"The quick brown fox jumps over the lazy dog."}\n{"text":"Heat (1995): Yes"}\n' >text.jsonl
ok "next tokens" brew-train -q -m "$tiny" -o lm --objective lm --steps 30 --batch 2 --lr 0.01 --precision f32 text.jsonl
ok "are learned" below "$(loss lm | tail -n 1)" "$(loss lm | head -n 1 | awk '{print $1 / 2}')"
awk 'BEGIN {printf "{\"ids\":["; for (i = 0; i < 2500; i++) printf "%s%d", i ? "," : "", i * 7 % 500; print "]}"}' >long.jsonl
ok "a text longer than the context" brew-train -q -m "$tiny" -o long --objective lm --batch 1 long.jsonl
is "$(grep -o '"tokens":[0-9]*' long/metrics.jsonl | tr '\n' ' ')" '"tokens":2048 "tokens":2501 ' "is cut in two, with a token in common"
ok "of a stream, too" sh -c "brew-tokenize -m '$tiny' long.jsonl | brew-train -q -m '$tiny' -o long2 --objective lm --batch 1"
same long/model.safetensors long2/model.safetensors "the same"
exits 65 "a prompt that is too long" sh -c "sed 's/ids/query/; s/}\$/,\"items\":[[5]],\"label_token_ids\":[1,2]}/' long.jsonl | brew-train -q -m '$tiny' -o long3"
ok "with answers" train both --lm-weight 0.1 --over vocab --steps 2 train.tar
ok "both are logged" grep -q '"items":[0-9.]*,"lm":[0-9.]*,' both/metrics.jsonl
mkdir config
cp "$tiny/config.json" "$tiny/tokenizer.json" "$tiny/tokenizer_config.json" config
ok "a random start" brew-train -q --init config/config.json -o random --steps 3 --seed 5 train.tar
ok "is a model" brew-score -m random -o random.scores valid.jsonl

# ---- refused ----
mkdir mine && echo x >mine/thing
exits 73 "a folder with other things" train mine --steps 2 train.tar
is "$(ls mine)" thing "is left alone"
exits 2 "no model" brew-train -o x train.tar
exits 2 "two models" brew-train -m "$tiny" --init config/config.json -o x train.tar
exits 2 "no output" brew-train -m "$tiny" train.tar
exits 2 "steps and epochs" train x --steps 2 --epochs 2 train.tar
exits 2 "two inputs" train x train.tar train.jsonl
exits 2 "a mix without weights" train x --steps 2 --mix train.tar
exits 2 "a mix without an end" train x --mix train.tar:1 valid.jsonl:1
exits 2 "a schedule of a pipe" sh -c "brew-train -m '$tiny' -o x --schedule cosine <train.tar"
exits 2 "too little memory" train x --memory 1M --steps 2 train.tar
says 'too large for 0.001 GB of memory: weights' "with the arithmetic"
exits 65 "another count" train x --expect 63 train.tar
exits 65 "a bad record" sh -c "{ cat valid.jsonl; echo '{}'; } | brew-train -q -m '$tiny' -o bad --precision f32"
exits 3 "is passed over" sh -c "{ cat valid.jsonl; echo '{}'; } >bad.jsonl; brew-train -q -m '$tiny' -o bad2 --max-errors 1 --precision f32 bad.jsonl"
says 'bad.jsonl:17: ' "and named, once"
is "$(grep -c bad.jsonl:17 "$work/err")" 1 "once"
ok "nothing is left of what was refused" test ! -e x
cd "$root" || exit 1
done_testing
