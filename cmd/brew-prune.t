#!/bin/sh
# shellcheck source=testdata/lib.sh
. "$PWD/testdata/lib.sh"
tiny=$root/testdata/models/tiny
task=$root/testdata/movies.task.json
cd "$work" || exit 1
head -n 3000 "$root/testdata/ml-latest-small/ratings.csv" >ratings.csv
brew-promptify --task "$task" --split train ratings.csv 2>/dev/null | head -n 12 >calib.jsonl
brew-promptify --task "$task" --split test ratings.csv 2>/dev/null | head -n 6 >test.jsonl
brew-tokenize -m "$tiny" -o calib.tar calib.jsonl
config() { # MODEL KEY
    jq ".$2" "$1/config.json"
}

layers=$(config "$tiny" num_hidden_layers)
heads=$(config "$tiny" num_attention_heads)

exits 0 "neurons and heads go" brew-prune -m "$tiny" -o cut --mlp 0.75 --heads 0.5 --multiple 4 \
    --summary cut.json calib.tar
says "^layers $layers of $layers, heads $((heads / 2)) of $heads" "and it says how many stay"
says '^body .* M of .* M parameters' "and how large the model is"
says '^repair: error of the projections 0\.' "and what the repair did"
is "$(config cut num_attention_heads)" $((heads / 2)) "config.json has the heads"
is "$(config cut intermediate_size)" "$(jq .mlp cut.json)" "and the neurons"
ok "the smaller model is sound" brew-inspect --verify cut
ok "and scores" brew-score -m cut -o scores.jsonl test.jsonl
is "$(jq -r '.[-1].tool' cut/brew.json)" brew-prune "brew.json tells who made it"
is "$(jq -c '.[-1].arguments.layers_kept | length' cut/brew.json)" "$layers" "and which layers stay"
is "$(jq -r '.[-1].inputs | map(.role) | sort | join(" ")' cut/brew.json)" "calibration model" \
    "and out of what"

exits 0 "the same from records, in a pipe" sh -c "cat calib.jsonl |
    brew-prune -q -m '$tiny' -o piped --mlp 0.75 --heads 0.5 --multiple 4 -"
same cut/model.safetensors piped/model.safetensors "has the same weights"
exits 0 "on three threads" brew-prune -q -j 3 -m "$tiny" -o three --mlp 0.75 --heads 0.5 --multiple 4 calib.tar
same cut/config.json three/config.json "the same choice"

exits 0 "without repair" brew-prune -q -m "$tiny" -o plain --mlp 0.75 --heads 0.5 --multiple 4 --no-repair calib.tar
ok "the weights are others" sh -c "! cmp -s cut/model.safetensors plain/model.safetensors"

exits 0 "by slopes, without exchanges" brew-prune -m "$tiny" -o slopes --mlp 0.75 --heads 0.5 --multiple 4 \
    --importance taylor --swaps 0 calib.tar
says 'after 0 exchanges' "which is said"
is "$(jq -c '.[-1].arguments | [.importance, .swaps]' slopes/brew.json)" '["taylor",0]' "and kept"
ok "the choice is another" sh -c "! cmp -s slopes/model.safetensors cut/model.safetensors"
ok "and scores" brew-score -m slopes -o scores.jsonl test.jsonl
exits 0 "few rows" brew-prune -q -m "$tiny" -o few --mlp 0.75 --rows 50 --swaps 3 calib.tar
is "$(jq -c '.[-1].arguments | [.rows, .swaps]' few/brew.json)" '[50,3]' "are told"

exits 0 "a number of parameters" brew-prune -m "$tiny" -o sized --parameters 60k --layers 1.0 --summary sized.json calib.tar
ok "is come near" jq -e '.parameters > 59000 and .parameters < 61000 and .layers == 2' sized.json
is "$(config sized intermediate_size)" "$(jq .mlp sized.json)" "in the file, too"
# on a busy machine no shape of so small a model may come near
brew-prune -m "$tiny" --latency 0.8 --plan calib.tar 2>fast.txt
ok "a share of the time is reckoned and measured" \
    grep -q '^time of an item: 0\.[0-9]* reckoned, \|the nearest that can be had is' fast.txt
exits 0 "a plan tells the time" brew-prune -m "$tiny" --layers 1 --plan
says '^time of an item: .* measured$' "without requests, too"

exits 0 "a layer by name, without calibration" brew-prune -q -m "$tiny" -o less --layers 0
is "$(config less num_hidden_layers)" $((layers - 1)) "is gone"
exits 0 "a layer by damage" brew-prune -v -m "$tiny" -o chosen --layers 0.5 calib.tar
says 'without layer 1: divergence [0-9.]*, log loss [-+][0-9.]*, AUC ' "which is told"
says '^without the layers that go: divergence ' "and what they do together"
is "$(jq -c '.[-1].arguments | .layers_damage + [.layers_damage_together] | map(keys | join(" ")) | unique' chosen/brew.json)" \
    '["auc divergence logloss"]' "and kept"
is "$(config chosen num_hidden_layers)" $((layers / 2)) "and as many stay as asked for"

exits 0 "a plan" brew-prune -m "$tiny" --mlp 0.5 --plan calib.tar
says '^body' "is told"
exits 0 "and with -o" brew-prune -q -m "$tiny" -o nothing --mlp 0.5 --plan calib.tar
ok "writes nothing" test ! -e nothing

exits 2 "nothing asked for" brew-prune -m "$tiny" -o x calib.tar
exits 2 "nothing to cut" brew-prune -m "$tiny" -o x --mlp 0.999 calib.tar
says 'nothing would be cut' "is said"
exits 2 "no calibration" brew-prune -m "$tiny" -o x --mlp 0.5
exits 2 "share 0" brew-prune -m "$tiny" -o x --mlp 0 calib.tar
exits 2 "share above 1" brew-prune -m "$tiny" -o x --heads 1.5 calib.tar
exits 2 "all layers" brew-prune -m "$tiny" -o x --layers "0-$((layers - 1))"
says 'no layer would stay' "is said"
exits 2 "a layer there is not" brew-prune -m "$tiny" -o x --layers 99
exits 2 "no fewer than there are" brew-prune -m "$tiny" -o x --parameters 1M calib.tar
says 'nothing would be cut' "is said"
exits 2 "fewer than can be had" brew-prune -m "$tiny" -o x --parameters 1k calib.tar
says 'the nearest that can be had is' "is said"
exits 2 "a number of nonsense" brew-prune -m "$tiny" -o x --parameters 3x calib.tar
exits 2 "two targets" brew-prune -m "$tiny" -o x --parameters 60k --latency 0.5 calib.tar
exits 2 "a target without calibration" brew-prune -m "$tiny" -o x --parameters 60k
exits 2 "half a layer" brew-prune -m "$tiny" -o x --layers attention:1
says 'LlamaForCausalLM has attention and mlp in every layer' "cannot be said"
exits 2 "all heads, of every layer" brew-prune -m "$tiny" -o x --heads 0 calib.tar
exits 2 "a list of nonsense" brew-prune -m "$tiny" -o x --layers 3,x
exits 65 "a quantised model" brew-prune -m "$root/testdata/models/qwen3-fp8" -o x --layers 1
says 'is quantised (F8_E4M3): prune first' "is refused"
exits 73 "a folder that is in use" brew-prune -m "$tiny" -o cut --layers 1
ok "nothing was left behind" test ! -e x
done_testing
