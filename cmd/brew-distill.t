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

# ---- beyond the labels ----
ok "a student with a layer less" brew-prune -q -m teacher -o cut --layers 1
# shellcheck disable=SC2317 # called through ok
short() { # out, options...
    s_out=$1
    shift
    brew-distill -q --teacher teacher -m cut -o "$s_out" --history-weight 1 --lr 0.01 "$@" train.tar
}
# Whether a term of the log fell below this share of where it began.
# shellcheck disable=SC2317
fell() { # run, term, share
    awk -F"\"$2\":" -v share="$3" '{split($2, v, ","); if (NR == 1) first = v[1]; last = v[1]}
        END {exit !(first > 0 && last < first * share)}' "$1/metrics.jsonl"
}
ok "hidden states" short near --hidden 10 --alpha 0 --steps 60
ok "come nearer" fell near hidden 0.4
ok "are a term of their own" grep -q '"history_kd":[0-9.e-]*,"hidden":[0-9.e-]*,"alpha":0,' near/metrics.jsonl
ok "the map is known" grep -q '"hidden":10.*"hidden-rows":"all","hidden-map":"1:2"' near/checkpoints/run.json
ok "at answers, by a map" short mapped --steps 2 --hidden 1 --hidden-rows answers --hidden-map 1:2
ok "the vocabulary" short whole --alpha 1 --kd-vocab items,history,lm --lm-weight 0.5 --div jsd --steps 60
ok "comes nearer" fell whole lm_kd 0.6
ok "with all of it" grep -q '"lm":[0-9.e-]*,"items_kd":[0-9.e-]*,"history_kd":[0-9.e-]*,"lm_kd":[0-9.e-]*,"alpha":1,' whole/metrics.jsonl
ok "threads" short whole3 --alpha 1 --kd-vocab items,history,lm --lm-weight 0.5 --div jsd --steps 60 -j 3
same whole/model.safetensors whole3/model.safetensors "change no bit"
ok "micro-batches" short pieces --alpha 1 --kd-vocab items,history,lm --lm-weight 0.5 --div jsd --steps 60 --micro-tokens 40
cut -c 1-22 whole/metrics.jsonl >want
cut -c 1-22 pieces/metrics.jsonl >got
same got want "change no loss"

# ---- likeliest tokens, heard or recorded ----
ok "they are heard" brew-score -m teacher --teacher-stream top.tar --topk 7 -o top.scores train.tar
same top.scores teacher.scores "the scores stay"
for how in "--order stream" "--order shuffle --div rkl --tau 3" "--div jsd --micro-tokens 60 -j 2 --lm-weight 0.1 --over vocab"; do
    # shellcheck disable=SC2086  # options
    ok "in memory: $how" distill a teacher --topk 7 $how train.tar
    # shellcheck disable=SC2086
    ok "from its stream" distill b top.tar --topk 7 $how train.jsonl
    same a/model.safetensors b/model.safetensors "gives the same student"
    rm -r b
    # shellcheck disable=SC2086
    ok "that may be left aside" distill b top.tar $how train.tar
    # shellcheck disable=SC2086
    ok "without them" distill c teacher.tar $how train.tar
    same b/model.safetensors c/model.safetensors "gives the one of labels and the rest"
    ok "which is another" sh -c '! cmp -s a/model.safetensors b/model.safetensors'
    rm -r a b c
done
exits 2 "other tokens" distill x top.tar --topk 6 train.tar
says "--topk 6: the teacher's stream was made with --topk 7" "are refused"
exits 2 "a stream without" distill x teacher.tar --topk 6 train.tar
exits 2 "both" short x --topk 3 --kd-vocab items
exits 2 "no stream" brew-score -m teacher --topk 3 train.tar
exits 65 "more than there are" brew-score -m teacher --teacher-stream x.tar --topk 639 train.tar
says "the vocabulary of 640 holds no 639 tokens beside an answer's labels" "are refused"
ok "all there are" brew-score -m teacher --teacher-stream all.tar --topk 638 -o all.scores train.tar
ok "are a stream" brew-inspect --verify all.tar
ok "that says so" sh -c "brew-inspect --json all.tar | grep -q '\"topk\":638'"

# ---- what does not fit ----
exits 2 "hidden states of a stream" distill x teacher.tar --hidden 1 train.tar
says "--hidden: a teacher's stream holds no hidden states, give the model" "are not there"
exits 2 "a vocabulary of a stream" distill x teacher.tar --kd-vocab items train.tar
says "--kd-vocab: a teacher's stream holds no whole vocabularies, give the model" "is not there"
exits 2 "rows without weight" short x --kd-vocab lm
says "--kd-vocab lm: next tokens have no weight, give --lm-weight" "are refused"
exits 2 "other rows" short x --kd-vocab items,all
exits 2 "a map without a weight" short x --hidden-map 1:2
for map in 2:2 1:3 1:2,1:1 1 1: :1 '1:2,' 0:1 1:2x 99999999999999999999:1; do
    exits 2 "--hidden-map '$map'" short x --hidden 1 --hidden-map "$map"
    says "--hidden-map takes pairs STUDENT:TEACHER of layers, as 1:2,2:4, the student's from 1 to 1 and ascending, the teacher's from 1 to 2" "is refused"
done
ok "a cut of what the teacher came from" brew-distill -q --teacher kd -m cut -o cousin --hidden 1 --steps 1 train.tar
ok "is known" grep -q '"hidden-map":"1:2"' cousin/checkpoints/run.json
mkdir config
cp "$tiny/config.json" "$tiny/tokenizer.json" "$tiny/tokenizer_config.json" config
ok "a stranger" brew-train -q --init config/config.json -o stranger --steps 1 train.tar
exits 2 "a cut of something else" brew-distill --teacher stranger -m cut -o x --hidden 1 train.tar
says "which of the teacher's 2 layers the student's 1 are is not known" "has no map"
mkdir wide
sed 's/"hidden_size": *48/"hidden_size": 96/; s/"head_dim": *8/"head_dim": 16/' "$tiny/config.json" >wide/config.json
cp "$tiny/tokenizer.json" "$tiny/tokenizer_config.json" wide
exits 2 "another width" brew-distill --teacher teacher --init wide/config.json -o x --hidden 1 train.tar
says "the student's hidden states are 96 wide, the teacher's 48: they must be as wide" "is refused"
exits 2 "a teacher from a pipe" distill x - train.tar
says "--teacher takes a path: it is read more than once" "is refused"
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
