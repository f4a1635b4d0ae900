#!/bin/sh
# brew-prune --hidden: a narrower residual stream; and what transformers makes of pruned models.
# shellcheck source=testdata/lib.sh
. "$PWD/testdata/lib.sh"
models=$root/testdata/models
tiny=$models/tiny
task=$root/testdata/movies.task.json
cd "$work" || exit 1
head -n 3000 "$root/testdata/ml-latest-small/ratings.csv" >ratings.csv
brew-promptify --task "$task" --split train ratings.csv 2>/dev/null | head -n 12 >calib.jsonl
brew-promptify --task "$task" --split test ratings.csv 2>/dev/null | head -n 6 >test.jsonl
brew-tokenize -m "$tiny" -o calib.tar calib.jsonl
config() { # MODEL KEY
    jq ".$2" "$1/config.json"
}

exits 0 "channels go" brew-prune -m "$tiny" -o cut --hidden 0.75 --multiple 4 --summary cut.json calib.tar
says '^hidden width 36 of 48' "and it says how many stay"
says '^repair: of what the hidden width holds 0\.[0-9]* is missing, it was 0\.' "and what the repair did"
is "$(config cut hidden_size) $(config cut head_dim) $(config cut num_attention_heads)" "36 8 6" \
    "config.json has them, and the heads as they were"
is "$(config cut rms_norm_eps)" "$(config "$tiny" 'rms_norm_eps * 48 / 36')" "and an eps for their mean"
is "$(jq '.[-1].arguments.hidden' cut/brew.json)" 36 "and so has brew.json"
is "$(jq '.hidden_error < .hidden_error_before' cut.json)" true "there is less missing than without the repair"
ok "the narrower model is sound" brew-inspect --verify cut
ok "and scores" brew-score -q -m cut -o scores.jsonl test.jsonl
exits 0 "from records, on three threads" brew-prune -q -j 3 -m "$tiny" -o three --hidden 0.75 --multiple 4 calib.jsonl
same cut/config.json three/config.json "the same choice"
exits 0 "without repair" brew-prune -q -m "$tiny" -o plain --hidden 0.75 --multiple 4 --no-repair calib.tar
ok "the weights are others" sh -c "! cmp -s cut/model.safetensors plain/model.safetensors"

exits 0 "everything at once" brew-prune -q -m "$tiny" -o all --hidden 0.5 --heads 0.5 --mlp 0.5 --layers 0.5 --vocab calib.tar
is "$(config all hidden_size) $(config all num_attention_heads) $(config all intermediate_size) $(config all num_hidden_layers)" \
    "24 3 48 1" "each has its share"
ok "and the rest is sound" brew-inspect --verify all
ok "can be narrowed again" brew-prune -q -m all -o again --hidden 0.7 --multiple 6 calib.tar
ok "and scores" brew-score -q -m again -o scores.jsonl test.jsonl

exits 0 "a plan" brew-prune -m "$tiny" --hidden 0.5 --plan calib.tar
says '^hidden width 24 of 48' "is told"
exits 2 "nothing to cut" brew-prune -m "$tiny" -o x --hidden 0.99 calib.tar
says 'nothing would be cut' "is said"
exits 2 "no calibration" brew-prune -m "$tiny" -o x --hidden 0.5
exits 2 "share 0" brew-prune -m "$tiny" -o x --hidden 0 calib.tar
exits 2 "share above 1" brew-prune -m "$tiny" -o x --hidden 1.1 calib.tar
exits 0 "with a number of parameters" brew-prune -q -m "$tiny" -o sized --hidden 0.5 --parameters 20k --summary sized.json calib.tar
ok "comes near" jq -e '.parameters > 19800 and .parameters < 20200 and .hidden == 24' sized.json
is "$(brew-inspect --json sized | jq .parameters)" "$(jq .parameters sized.json)" "in the file, too"
exits 2 "more parameters than are left" brew-prune -m "$tiny" -o x --hidden 0.5 --parameters 60k calib.tar
says 'nothing would be cut' "is said"
# on a busy machine no shape of so small a model may come near
brew-prune -m "$tiny" --hidden 0.5 --latency 0.4 --plan calib.tar 2>fast.txt
ok "with a share of the time" \
    grep -q '^time of an item: 0\.[0-9]* reckoned, \|the nearest that can be had is\|nothing would be cut' fast.txt
exits 65 "a quantised model" brew-prune -m "$models/qwen3-fp8" -o x --hidden 0.5 "$root/testdata/quantize/requests.jsonl"
says 'is quantised (F8_E4M3): prune first' "is refused"
echo '{"query":"Heat (1995):","items":[],"label_tokens":[" Yes"," No"]}' >empty.jsonl
exits 65 "nothing to read" brew-prune -m "$tiny" -o x --hidden 0.5 empty.jsonl
says 'no calibration request has an item' "is said"
ok "nothing was left behind" test ! -e x

# ---- transformers, of the same directories (scripts/peers/narrow_goldens.py) ----
golden=$root/testdata/narrow
for line in $(seq "$(wc -l <"$golden/golden.jsonl")"); do
    sed -n "${line}p" "$golden/golden.jsonl" >golden.json
    how=$(jq -r .arguments golden.json) from=$(jq -r .model golden.json)
    requests=$golden/$(jq -r .requests golden.json)
    # shellcheck disable=SC2086  # several words
    exits 0 "$from $how" brew-prune -q --precision f32 -m "$root/testdata/$from" -o "golden$line" $how "$requests"
    brew-score -q --precision f32 -m "golden$line" -o golden.scores "$requests"
    jq -rs '[.[0].scores, [.[1:][].scores]] | map(flatten) | transpose[] | @tsv' golden.json golden.scores |
        awk '{d = $1 > $2 ? $1 - $2 : $2 - $1; if (!(d <= most)) most = d}
             END {printf "# %d probabilities, off by %.2g at most\n", NR, most; exit !(NR > 20 && most < 1e-4)}' >golden.log
    result $? "scores as transformers does"
    cat golden.log
    [ "$(jq 'has("ids")' golden.json)" = true ] || continue
    jq -c '.ids[]' golden.json >want.ids
    brew-tokenize -q --to jsonl -m "golden$line" "$golden/texts.jsonl" | jq -c .ids >got.ids
    same want.ids got.ids "and has its tokens"
done
done_testing
