#!/bin/sh
# brew-distill: a student comes nearer to its teacher, who may be in memory or recorded.
# shellcheck source=testdata/lib.sh
. "$PWD/testdata/lib.sh"
tiny=$root/testdata/models/tiny
cd "$work" || exit 1

awk 'BEGIN {
    for (r = 0; r < 40; r++) {
        query = items = ""
        for (i = 0; i < 12; i++) query = query (i ? "," : "") 20 + (r * 37 + i * 11) % 400
        for (i = 0; i < 4; i++) items = items (i ? "," : "") "[" 30 + (r * 7 + i * 13) % 50 "," 99 "]"
        printf "{\"query\":[%s],\"items\":[%s],\"label_token_ids\":[11,12],\"targets\":[0,%d,1,-1],", query, items, r % 2
        print "\"answered\":[[3,1],[7,0]],\"offsets\":[0,0.5,0,0]}"
    }
}' >ids.jsonl
# The past answers are read where their label stands: put the labels there.
sed 's/^{"query":\[\([0-9]*,[0-9]*,[0-9]*\),[0-9]*,\([0-9]*,[0-9]*,[0-9]*\),[0-9]*/{"query":[\1,12,\2,11/' ids.jsonl >train.jsonl
brew-tokenize -m "$tiny" -o train.tar train.jsonl
ok "a teacher" brew-train -q -m "$tiny" -o teacher --epochs 3 --lr 0.01 --history-weight 1 train.tar
ok "is heard" brew-score -m teacher --teacher-stream teacher.tar -o teacher.scores train.tar
# shellcheck disable=SC2317 # called through ok
distill() { # out, teacher, options...
    d_out=$1 d_teacher=$2
    shift 2
    brew-distill -q --teacher "$d_teacher" -m "$tiny" -o "$d_out" --history-weight 1 --lr 0.01 --steps 12 "$@"
}
for how in "--order stream" "--order shuffle --div rkl --tau 3" "--div jsd --micro-tokens 60 -j 2" \
    "--div skew --alpha 1:0.2 --tau 2:1 --lm-weight 0.1"; do
    # shellcheck disable=SC2086  # options
    ok "in memory: $how" distill a teacher $how train.tar
    # shellcheck disable=SC2086
    ok "from its stream" distill b teacher.tar $how train.tar
    same a/model.safetensors b/model.safetensors "gives the same student"
    # shellcheck disable=SC2086
    ok "from records" distill c teacher.tar $how train.jsonl
    same a/model.safetensors c/model.safetensors "too"
    rm -r a b c
done
ok "the teacher alone" distill kd teacher --alpha 1 train.tar
# shellcheck disable=SC2016 # of awk
ok "brings the student near" awk -F'"items_kd":' '{split($2, v, ","); if (NR == 1) first = v[1]; last = v[1]}
    END {exit !(last < first / 3)}' kd/metrics.jsonl
ok "a row has both parts" grep -q '"items":[0-9.e-]*,"history":[0-9.e-]*,"items_kd":[0-9.e-]*,"history_kd":[0-9.e-]*,"alpha":1,"tau":1,' kd/metrics.jsonl
sed 's/,-1\]/,0]/' train.jsonl >known.jsonl
ok "labels alone" distill ce teacher --alpha 0 known.jsonl
ok "without a teacher" brew-train -q -m "$tiny" -o plain --history-weight 1 --lr 0.01 --steps 12 known.jsonl
same ce/model.safetensors plain/model.safetensors "is training"
ok "with validation" distill v teacher --valid train.jsonl --valid-every 4 train.tar

# ---- what does not fit ----
exits 2 "no teacher" brew-distill -m "$tiny" -o x train.tar
mkdir other
sed 's/<|im_start|>/<|im_begin|>/g' "$tiny/tokenizer.json" >other/tokenizer.json
cp "$tiny/config.json" "$tiny/model.safetensors" other
exits 65 "a teacher of another tokenizer" distill x other train.tar
says "the teacher's tokenizer is [0-9a-f]*..., the student's [0-9a-f]*...: they must be the same" "is refused"
grep -v '"text"' "$root/testdata/tokenize/records.jsonl" >texts.jsonl
ok "its stream" brew-score -m other --teacher-stream other.tar -o other.scores texts.jsonl
exits 65 "with texts" distill x other.tar texts.jsonl
says "other.tar: tokenized with [0-9a-f]*..., the model's tokenizer is" "is refused, too"
sed -n '1,20p' train.jsonl >half.jsonl
ok "half of the requests" distill half teacher.tar half.jsonl
brew-score -m teacher --teacher-stream half.tar -o half.scores half.jsonl
exits 65 "a teacher that heard only half" distill x half.tar train.jsonl
says 'half.tar: holds nothing about request 21' "is told so"
exits 65 "no teacher's stream" distill x train.tar train.tar
says 'train.tar: is no teacher.s stream' "is told so"
exits 2 "an absurd share" distill x teacher --alpha 1.5 train.tar
exits 2 "no number" distill x teacher --tau warm train.tar
exits 66 "no such teacher" distill x nobody train.tar
ok "nothing is left of what was refused" test ! -e x
cd "$root" || exit 1
done_testing
