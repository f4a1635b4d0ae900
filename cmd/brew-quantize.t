#!/bin/sh
# shellcheck source=testdata/lib.sh
. "$PWD/testdata/lib.sh"
models=$root/testdata/models
tiny=$models/tiny
task=$root/testdata/movies.task.json
cd "$work" || exit 1
head -n 3000 "$root/testdata/ml-latest-small/ratings.csv" >ratings.csv
brew-promptify --task "$task" --split train ratings.csv 2>/dev/null | head -n 12 >calib.jsonl
brew-tokenize -m "$tiny" -o calib.tar calib.jsonl

# ---- conversion ----
for pair in qwen3:fp8 llama-scaled:int8; do
    from=${pair%:*} scheme=${pair#*:}
    exits 0 "$from becomes $scheme" brew-quantize -m "$models/$from" -o "$scheme" --scheme "$scheme"
    says '^tensors: .* MB, were .* MB' "and it says how large it is"
    says '--enable-fp32-lm-head' "and what an engine needs"
    brew-inspect --json "$scheme" "$models/$from-$scheme" >differ.json
    ok "with the tensors that compressed-tensors writes" jq -e '.tensors_compared > 10 and .tensors == [] and
        .shapes_differ + .dtypes_differ + .values_differ == 0' differ.json
    ok "that keep the rules" brew-inspect --verify "$scheme"
done
for scheme in bf16 f16 f32; do
    exits 0 "tiny becomes $scheme" brew-quantize -m "$tiny" -o "$scheme" --scheme "$scheme" --summary "$scheme.json"
    ok "and is sound" brew-inspect --verify "$scheme"
done
is "$(jq -r '.dtype + " " + .torch_dtype' f16/config.json)" "float16 float16" "config.json says so"
same "$tiny/model.safetensors" bf16/model.safetensors "BF16 to BF16 changes nothing"
is "$(jq .bytes bf16.json)" "$(jq .bytes_before bf16.json)" "in bytes, too"
exits 0 "a head of its own" brew-quantize -q -m "$tiny" -o head --scheme bf16 --head f32
is "$(jq .tie_word_embeddings head/config.json)" false "is not tied"
is "$(jq -c '.[-1].arguments | [.scheme, .head, .tied]' head/brew.json)" '["BF16","F32",false]' "brew.json tells"

exits 0 "through pipes" sh -c "tar -C '$tiny' -cf - . | brew-quantize -q -m - -o - --scheme f32 |
    brew-score -q -m - -o piped.jsonl calib.jsonl"
brew-score -q -m f32 -o straight.jsonl calib.jsonl
same straight.jsonl piped.jsonl "the same model comes out"
exits 0 "from GGUF" brew-quantize -q -m "$models/qwen3.gguf" -o gguf --scheme bf16
is "$(jq -r .model_type gguf/config.json)" qwen3 "has a configuration"

# ---- GGUF ----
for scheme in bf16 f16 f32; do
    exits 0 "tiny becomes GGUF in $scheme" brew-quantize -m "$tiny" -o "$scheme.gguf" --scheme "$scheme"
    ok "and is sound" brew-inspect --verify "$scheme.gguf"
    brew-score -q -m "$scheme" -o dir.jsonl calib.jsonl
    brew-score -q -m "$scheme.gguf" --precision "$([ $scheme = f32 ] && echo f32 || echo auto)" -o file.jsonl calib.jsonl
    same dir.jsonl file.jsonl "it scores texts as the directory does"
done
exits 0 "back to a directory" brew-quantize -q -m bf16.gguf -o back --scheme bf16
brew-inspect --json back "$tiny" >differ.json
ok "with the same values" jq -e '.tensors_compared > 10 and .dtypes_differ == 5 and .shapes_differ + .values_differ == 0' differ.json
exits 0 "and once more" brew-quantize -q -m back -o again.gguf --scheme bf16
brew-inspect --json again.gguf bf16.gguf >differ.json
ok "the same bits" jq -e '.tensors == [] and .shapes_differ + .dtypes_differ + .values_differ == 0' differ.json
is "$(brew-tokenize -m again.gguf --to jsonl calib.jsonl | sha256sum)" "$(brew-tokenize -m "$tiny" --to jsonl calib.jsonl | sha256sum)" \
    "and the same ids"
exits 0 "from GGUF to GGUF" brew-quantize -q -m again.gguf -o f16.gguf --scheme f16
exits 0 "in place of one that was there" brew-quantize -q -m again.gguf -o again.gguf --scheme bf16
exits 0 "a head of its own" brew-quantize -q -m "$tiny" -o head.gguf --scheme bf16 --head f32
is "$(brew-inspect --json head.gguf | jq -r .config.tied)" false "in GGUF"
exits 0 "with calibration" brew-quantize -m "$tiny" -o told.gguf --scheme f16 --keep kl:0.1 calib.tar
says '^auc  *0\.[0-9]* ' "the report tells of the file"
exits 1 "and a limit that is missed" brew-quantize -q -m "$tiny" -o x.gguf --scheme f16 --head bf16 --keep kl:0 calib.tar
ok "leaves no file" test ! -e x.gguf
for model in llama-scaled llama-bias mistral qwen3; do
    exits 0 "$model becomes GGUF" brew-quantize -q -m "$models/$model" -o "$model.gguf" --scheme f32
    ok "and is sound" brew-inspect --verify "$model.gguf"
done
exits 65 "windows in some layers" brew-quantize -m "$models/qwen2" -o x.gguf --scheme f32
says 'some layers have a window and others none' "are refused by name"
exits 65 "rows that are no blocks" brew-quantize -m "$tiny" -o x.gguf --scheme q8_0
says 'rows of 48 values, which Q8_0 cannot hold' "are refused by name"
exits 65 "the same in a pipe" sh -c "brew-quantize -m '$tiny' -o - --scheme q8_0 >x.gguf"
ok "writes nothing" test ! -s x.gguf
rm -f x.gguf
cp -r "$tiny" odd
chmod -R u+w odd
jq '.pre_tokenizer = {type: "Split", pattern: {Regex: "[a-z]+"}, behavior: "Isolated"}' "$tiny/tokenizer.json" >odd/tokenizer.json
exits 0 "blocks in a pipe" sh -c "brew-quantize -q -m '$models/llama-blocks' -o - --scheme q8_0 >piped.gguf"
brew-quantize -q -m "$models/llama-blocks" -o blocks.gguf --scheme q8_0
same piped.gguf blocks.gguf "are the file"
exits 0 "out of blocks and back" sh -c "brew-quantize -q -m blocks.gguf -o blocks --scheme f32 &&
    brew-quantize -q -m blocks -o blocks2.gguf --scheme q8_0"
brew-inspect --json blocks2.gguf blocks.gguf >differ.json
ok "they have the same bits" jq -e '.tensors == [] and .shapes_differ + .dtypes_differ + .values_differ == 0' differ.json
exits 65 "a tokenizer without a name" brew-quantize -m odd -o x.gguf --scheme bf16
says 'GGUF has no name for this one' "is refused"
exits 2 "q8_0 as a directory" brew-quantize -m "$tiny" -o x --scheme q8_0
exits 2 "FP8 as GGUF" brew-quantize -m "$tiny" -o x.gguf --scheme fp8
exits 73 "a folder that is not there" brew-quantize -m "$tiny" -o nowhere/x.gguf --scheme bf16
ok "nothing lies about" sh -c "test -z \"\$(find . -maxdepth 1 -name '.*gguf*')\""

# ---- calibration ----
exits 0 "what it does to requests" brew-quantize -m "$tiny" -o told --scheme fp8 --summary told.json calib.tar
says '^auc  *0\.[0-9]* ' "is told"
says '^ties  *0\.' "ties, too"
is "$(jq .left_in_bf16 told.json)" 0 "nothing stays BF16 where nothing must"
brew-quantize -q -m "$tiny" -o plain --scheme fp8
same told/model.safetensors plain/model.safetensors "looking on changes nothing"
is "$(jq -r '.[-1].inputs | map(.role) | sort | join(" ")' told/brew.json)" "calibration model" "brew.json tells"
exits 0 "from records" brew-quantize -q -m "$tiny" -o records --scheme fp8 --summary records.json calib.jsonl
is "$(jq .auc_after records.json)" "$(jq .auc_after told.json)" "the same figures"

limit=$(jq '.kl_after * 0.6' told.json)
exits 0 "a limit" brew-quantize -v -m "$tiny" -o kept --scheme fp8 --keep "kl:$limit" --summary kept.json calib.tar
says 'sensitivity of 0.qkv: ' "ranks the groups"
says '^left in BF16, [1-8] of 8 groups: [01]\.' "names those that stay BF16"
ok "and holds" jq -e ".kl_after <= $limit and .left_in_bf16 >= 1 and .scorings <= 7" kept.json
is "$(jq '.[-1].arguments.left_in_bf16 | length' kept/brew.json)" "$(jq .left_in_bf16 kept.json)" "brew.json names them"
is "$(jq '[.quantization_config.ignore[] | select(test("gate_proj"))] | length' kept/config.json)" \
    "$(jq '[.quantization_config.ignore[] | select(test("up_proj"))] | length' kept/config.json)" "whole groups stay"
exits 0 "the same on three threads" brew-quantize -q -j 3 -m "$tiny" -o three --scheme fp8 --keep "kl:$limit" calib.tar
same kept/model.safetensors three/model.safetensors "gives the same model"
exits 0 "a limit that everything misses but BF16" brew-quantize -m "$tiny" -o all --scheme int8 --keep kl:0 calib.tar
says '^left in BF16, 8 of 8' "leaves all groups"
ok "and a sound model" brew-inspect --verify all

exits 1 "a limit that not even BF16 holds" brew-quantize -m "$tiny" -o x --scheme fp8 \
    --head bf16 --keep kl:0 calib.tar
says 'even with all groups in BF16' "is said"
ok "nothing is written" test ! -e x
exits 1 "nor a conversion that costs too much" brew-quantize -m "$tiny" -o x --scheme bf16 --keep ece:0 --head bf16 --keep kl:0 calib.tar

# ---- a head that collapses: both labels' logits share a part of 8192 times a channel ----
cp -r head steep
chmod -R u+w steep
file=steep/model.safetensors
header=$(od -An -t u8 -N 8 $file | tr -d ' ')
data=$(tail -c +9 $file | head -c "$header" | jq '.["lm_head.weight"].data_offsets[0]')
brew-tokenize -m "$tiny" --to jsonl -o ids.jsonl calib.jsonl
for id in $(jq -s '.[0].label_ids | flatten | .[]' ids.jsonl); do
    printf '\000\000\000\106' |
        dd of=$file bs=1 conv=notrunc seek=$((8 + header + data + 4 * (48 * id + 7))) 2>/dev/null
done
exits 0 "steep logits in F32" brew-quantize -m steep -o steep32 --scheme fp8 --head f32 --summary steep32.json calib.tar
ok "tell answers apart" jq -e '.ties_after < 0.01 and .unique_after > 100' steep32.json
says '^the last column is what engines make of it' "engines that round them are named"
ok "and tie most" jq -e '.ties_bf16_logits > 0.3 and .unique_bf16_logits < 60' steep32.json
for type in bf16 fp8; do
    exits 0 "a $type head" brew-quantize -m steep -o "steep-$type" --scheme fp8 --head $type --summary steep.json calib.tar
    says '^ties  *0\.00.* 0\.[3-9]' "its ties are in the report"
    says '^the last column counts' "and count"
    exits 1 "so that a limit is missed" brew-quantize -q -m steep -o x --scheme fp8 --head $type --keep kl:0.1 calib.tar
done

# ---- transformers, of the same directories (scripts/peers/quantize_goldens.py) ----
golden=$root/testdata/quantize
for line in $(seq "$(wc -l <"$golden/golden.jsonl")"); do
    sed -n "${line}p" "$golden/golden.jsonl" >golden.json
    how=$(jq -r .arguments golden.json) from=$(jq -r .model golden.json)
    calibration=
    case $how in *--keep*) calibration=$golden/requests.jsonl ;; esac
    # shellcheck disable=SC2086  # several words
    exits 0 "$from $how" brew-quantize -q --precision f32 -m "$models/$from" -o "golden$line" $how $calibration
    brew-score -q --precision f32 -m "golden$line" -o golden.scores "$golden/requests.jsonl"
    jq -rs '[.[0].scores, [.[1:][].scores]] | map(flatten) | transpose[] | @tsv' golden.json golden.scores |
        awk '{d = $1 > $2 ? $1 - $2 : $2 - $1; sum += d; if (d > most) most = d}
             END {printf "# %d probabilities, off by %.2g on average, %.2g at most\n", NR, sum / NR, most
                  exit !(NR == 33 && most < 0.02 && sum / NR < 0.002)}' >golden.log
    result $? "scores as transformers does"
    cat golden.log
done

# ---- llama.cpp, of the same GGUF files (scripts/peers/llama_cpp_goldens.py) ----
golden=$root/testdata/gguf
for line in $(seq "$(wc -l <"$golden/llama_cpp.jsonl")"); do
    sed -n "${line}p" "$golden/llama_cpp.jsonl" >golden.json
    scheme=$(jq -r .scheme golden.json) from=$(jq -r .model golden.json)
    head -n "$(jq '.scores | length' golden.json)" "$golden/llama_cpp.requests.jsonl" >requests.jsonl
    exits 0 "$from as GGUF in $scheme" brew-quantize -q -m "$models/$from" -o peer.gguf --scheme "$scheme"
    brew-score -q --precision f32 -m peer.gguf -o golden.scores requests.jsonl
    # it rounds the left sides of products to the type of the weights, blocks of eight bits included; F32 it leaves
    jq -rs '[.[0].scores, [.[1:][].scores]] | map(flatten) | transpose[] | @tsv' golden.json golden.scores |
        awk -v scheme="$scheme" '{d = $1 > $2 ? $1 - $2 : $2 - $1; sum += d; if (d > most) most = d}
             END {printf "# %d probabilities, off by %.2g on average, %.2g at most\n", NR, sum / NR, most
                  exit !(NR >= 12 && most < (scheme == "f32" ? 1e-5 : scheme == "q8_0" ? 0.05 : 0.02))}' >golden.log
    result $? "scores as llama.cpp does"
    cat golden.log
done

# ---- refused ----
exits 2 "no scheme" brew-quantize -m "$tiny" -o x
exits 2 "an unknown scheme" brew-quantize -m "$tiny" -o x --scheme int3
exits 2 "an FP8 head beside INT8" brew-quantize -m "$tiny" -o x --scheme int8 --head fp8
exits 2 "a limit without calibration" brew-quantize -m "$tiny" -o x --scheme fp8 --keep auc:0.1
for keep in auc auc: auc:x auc:-1 auc:1x mrr:1 kl:nan; do
    exits 2 "--keep $keep" brew-quantize -m "$tiny" -o x --scheme fp8 --keep "$keep" calib.tar
done
exits 65 "a quantised model" brew-quantize -m "$models/qwen3-fp8" -o x --scheme int8
says 'is quantised already (F8_E4M3)' "is refused"
exits 66 "no model" brew-quantize -m nowhere -o x --scheme fp8
exits 65 "no request" brew-quantize -m "$tiny" -o x --scheme fp8 /dev/null
exits 73 "a folder that is in use" brew-quantize -m "$tiny" -o kept --scheme fp8
ok "a reader that goes" sh -c "brew-quantize -q -m '$tiny' -o - --scheme fp8 | :"
ok "a full disk" sh -c "! brew-quantize -q -m '$tiny' -o - --scheme fp8 >/dev/full 2>full.err && grep -q 'No space' full.err"
for scheme in fp8 int8; do
    cp -r "$tiny" nan
    chmod -R u+w nan
    # the first bf16 of the file's first matrix of a layer
    at=$(tail -c +9 nan/model.safetensors | head -c "$(od -An -t u8 -N 8 nan/model.safetensors | tr -d ' ')" |
        jq '.["model.layers.1.mlp.up_proj.weight"].data_offsets[0]')
    at=$((8 + $(od -An -t u8 -N 8 nan/model.safetensors) + at))
    printf '\300\177' | dd of=nan/model.safetensors bs=1 conv=notrunc seek=$at 2>/dev/null
    exits 65 "a NaN that becomes $scheme" brew-quantize -m nan -o x --scheme $scheme
    says 'layers.1.mlp.up_proj.weight holds what is not a finite number in' "is named"
    rm -r nan
done
printf '\000\000\200\107' | dd of=$file bs=1 conv=notrunc seek=$((8 + header + data)) 2>/dev/null
exits 65 "a weight that F16 has no number for" brew-quantize -m steep -o x --scheme f16
says 'lm_head.weight holds what is not a finite number in F16' "is named"
printf '\000\000\300\177' | dd of=$file bs=1 conv=notrunc seek=$((8 + header + data)) 2>/dev/null
exits 65 "a weight that is no number" brew-quantize -m steep -o x --scheme fp8
says 'lm_head.weight holds what is not a finite number' "is named"
ok "nothing was left behind" sh -c "test ! -e x && test -z \"\$(find . '${TMPDIR:-/tmp}' -maxdepth 1 -name '.*brew-quantize*')\""
done_testing
