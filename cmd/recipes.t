#!/bin/sh
# The recipes on a tiny model: what is done is not done again, and a chain ends where its rule says so.
# shellcheck source=testdata/lib.sh
. "$PWD/testdata/lib.sh"
out=$work/chain
# shellcheck disable=SC2317 # called by exits
chain() { # ALLOW STEPS [more for make ...]
    allow=$1 steps=$2
    shift 2
    make -s -f scripts/recipe/go-small.mk OUT="$out" BASE=testdata/models/tiny TRAINED=1 SHARD=1/30 HISTORY=12 \
        STEP_TOKENS=6000 CALIBRATION=16 LEARN="--history-weight 2 --batch 4" JOBS=2 ALLOW="$allow" STEPS="$steps" "$@"
}

exits 0 "two steps, one of them of two cuts" chain 1 "mlp:0.75+heads:0.5 layers:0.5"
is "$(cut -f 1,2 "$out/stages.tsv" | tr '\t\n' ' ,')" \
    "stage step,0 trained,1 mlp:0.75+heads:0.5,2 layers:0.5,fp8 fp8,int8 int8," "the table has a row a stage"
is "$(jq -s 'map(.body) | .[0] > .[1] and .[1] > .[2]' "$out/stages.jsonl")" true "each smaller than the last"
is "$(jq -rs 'map(.metrics.auc_member.lo | type) | unique | join(" ")' "$out/stages.jsonl")" number \
    "figures have intervals"
is "$(jq -rs '.[1:] | map(.delta.auc_member.value | type) | unique | join(" ")' "$out/stages.jsonl")" number \
    "and differences to the first stage"
before=$(find "$out" -type f -printf '%P %T@\n' | sort | cksum)
exits 0 "once more" chain 1 "mlp:0.75+heads:0.5 layers:0.5"
is "$(find "$out" -type f -printf '%P %T@\n' | sort | cksum)" "$before" "does nothing"

exits 0 "one step more, with tokens of its own" chain 1 "mlp:0.75+heads:0.5 layers:0.5 mlp:0.5" STEP_TOKENS="6000 6000 3000"
is "$(cut -f 2 "$out/stages.tsv" | tr '\n' ,)" "step,trained,mlp:0.75+heads:0.5,layers:0.5,mlp:0.5,fp8,int8," "is gone on with"
is "$(jq -r '.[-1].arguments.tokens' "$out/3/brew.json") $(jq -r '.[-1].arguments.tokens' "$out/2/brew.json")" "3000 6000" \
    "for as many"
is "$(jq .num_hidden_layers "$out/fp8/config.json") $(jq .intermediate_size "$out/fp8/config.json")" \
    "$(jq .num_hidden_layers "$out/3/config.json") $(jq .intermediate_size "$out/3/config.json")" "and rounded in the end"

mv "$out/1" "$work/heard"
exits 0 "hearing the teacher from a stream" chain '' "mlp:0.75+heads:0.5" TEACHER=stream "$out/1/model.safetensors"
exits 0 "makes the same student" cmp "$out/1/model.safetensors" "$work/heard/model.safetensors"

rm "$out/1.good"
exits 2 "no loss at all is allowed" chain 0 "mlp:0.75+heads:0.5 layers:0.5" "$out/1.good"
says 'stage 1 lost more than 0 per member: cut less in step 1' "then the chain ends, and says where"

exits 0 "MovieLens by time" scripts/recipe/films "$work/films" time

brew-promptify -q --task "$work/films/films-offsets.task.json" --split test --shard 1/100 >"$work/films.jsonl"
is "$(jq -s 'map((.offsets | length) == (.items | length)) | all' "$work/films.jsonl")" true "has offsets"
is "$(jq -r '.items[]' "$work/films.jsonl" |
    grep -cvE '^[^|]+, [A-Z][A-Za-z -]*, [0-9?] by (few|some|many|nobody):$')" 0 "and lines of title, genres, opinion and fame"
done_testing
