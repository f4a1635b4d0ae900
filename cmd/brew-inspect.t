#!/bin/sh
# What is inside models, streams and records, and whether two are the same.
# shellcheck source=testdata/lib.sh
. "$PWD/testdata/lib.sh"
models=testdata/models

has() { # LINE NAME: the report has this line (blanks squeezed)
    ok "$2" sh -c "tr -s ' ' <'$work/out' | sed 's/^ //' | grep -qxF -e '$1'"
}

exits 0 "a directory" brew-inspect $models/tiny
has "kind model" "is a model"
has "family llama" "its family"
has "container directory" "its container"
ok "its files have digests" grep -q "$(sha256sum <$models/tiny/config.json | cut -d ' ' -f 1)" "$work/out"
ok "its tokenizer is described" grep -q "kind .*BPE" "$work/out"
exits 0 "all families" sh -c "for m in $models/*/; do brew-inspect \"\$m\" || exit; done"
exits 0 "verified" brew-inspect --verify -j 1 $models/llama-tied
has "sound yes" "all values are finite"
cp "$work/out" "$work/one"
brew-inspect --verify -j 3 $models/llama-tied >"$work/three"
same "$work/one" "$work/three" "the same report at -j 3"
exits 0 "JSON" brew-inspect --json --verify $models/qwen3.gguf
ok "is one line with all tensors" sh -c "[ \$(wc -l <'$work/out') = 1 ] && grep -q '\"name\":\"blk.0.attn_q.weight\"' '$work/out'"
ok "with ranges of values" grep -q '"rms":' "$work/out"

# containers
tar -C $models/tiny -cf "$work/m.tar" .
exits 0 "a tar" brew-inspect "$work/m.tar"
has "container tar" "is a tar"
gzip -k "$work/m.tar"
exits 0 "a compressed one on standard input" sh -c "brew-inspect - <'$work/m.tar.gz'"
exits 0 "a directory and its tar are the same" brew-inspect $models/tiny "$work/m.tar.gz"
has "same yes" "and it says so"
exits 0 "a pipe" sh -c "tar -C $models/tiny -c . | brew-inspect $models/tiny -"
head -c 3000 "$work/m.tar" >"$work/cut.tar"
exits 65 "a tar cut short" brew-inspect "$work/cut.tar"
exits 0 "a lone safetensors file" brew-inspect testdata/safetensors/types.safetensors
has "kind safetensors file" "is one"

# two models: a GGUF file and the directory it was made of
for m in mistral qwen3; do
    exits 0 "$m: a GGUF file and its directory are the same" brew-inspect $models/$m.gguf $models/$m
done
exits 1 "llama3's scaling is a tensor in GGUF" brew-inspect $models/llama-scaled.gguf $models/llama-scaled
has "only in a rope_freqs.weight" "is all the two differ by"
has "values differ 0" "interleaved rows of q and k included"
exits 0 "itself" brew-inspect $models/qwen2 $models/qwen2
exits 1 "two families" brew-inspect $models/qwen2 $models/qwen3
ok "differ by tensors only one has" grep -q "only in a" "$work/out"
cp -r $models/tiny "$work/changed"
chmod -R u+w "$work/changed"
printf ' ' >>"$work/changed/config.json"
exits 1 "another config.json" brew-inspect $models/tiny "$work/changed"
has "files differ config.json" "is named"
cp $models/tiny/config.json "$work/changed/"
# one bit of the last value
size=$(wc -c <"$work/changed/model.safetensors")
printf '\177' | dd of="$work/changed/model.safetensors" bs=1 seek=$((size - 1)) conv=notrunc 2>/dev/null
exits 1 "one value" brew-inspect $models/tiny "$work/changed"
has "values differ 1" "is found"
printf '\377\377\377\377' | dd of="$work/changed/model.safetensors" bs=1 seek=$((size - 4)) conv=notrunc 2>/dev/null
exits 1 "a NaN" brew-inspect --verify "$work/changed"
has "sound no" "is found, too"
exits 0 "which only --verify looks for" brew-inspect "$work/changed"
cp -r $models/tiny "$work/unknown"
sed 's/"llama"/"mamba"/; s/LlamaForCausalLM/MambaForCausalLM/' $models/tiny/config.json >"$work/unknown/config.json"
exits 0 "an unknown family is shown" brew-inspect "$work/unknown"
ok "and named" grep -q "^not supported .*amba" "$work/out"
exits 1 "but not sound" brew-inspect --verify "$work/unknown"

# the rules of quantised models
exits 0 "a quantised model" brew-inspect --verify $models/qwen3-fp8
has "scheme F8_E4M3" "has its scheme"
# Bytes for a tensor of a copy, or a filter for its config.json or its tensors: then a rule is broken, and named.
breaks() { # RULE TENSOR OFFSET BYTES | RULE config FILTER | RULE tensors FILTER
    rm -rf "$work/broken"
    cp -r $models/qwen3-fp8 "$work/broken"
    chmod -R u+w "$work/broken"
    file=$work/broken/model.safetensors
    if [ "$2" = config ]; then
        jq "$3" $models/qwen3-fp8/config.json >"$work/broken/config.json"
    elif [ "$2" = tensors ]; then
        header=$(od -An -t u8 -N 8 "$file" | tr -d ' ')
        tail -c +9 "$file" | head -c "$header" | jq -c "$3" | tr -d '\n' >"$work/header"
        while [ $(($(wc -c <"$work/header") % 8)) != 0 ]; do printf ' ' >>"$work/header"; done
        size=$(wc -c <"$work/header")
        # shellcheck disable=SC2059  # octal bytes
        printf "$(printf '\\%03o\\%03o\\000\\000\\000\\000\\000\\000' $((size % 256)) $((size / 256)))" >"$work/changed.bin"
        tail -c "+$((9 + header))" "$file" | cat "$work/changed.bin" "$work/header" - >"$work/whole"
        mv "$work/whole" "$file"
    else
        header=$(od -An -t u8 -N 8 "$file" | tr -d ' ')
        at=$(tail -c +9 "$file" | head -c "$header" | jq ".[\"$2\"].data_offsets[0]")
        # shellcheck disable=SC2059  # octal bytes
        printf "$4" | dd of="$file" bs=1 seek=$((8 + header + at + $3)) conv=notrunc 2>/dev/null
    fi
    exits 1 "broken: $1" brew-inspect --json --verify "$work/broken"
    # shellcheck disable=SC2016  # jq's
    ok "named" jq -e --arg rule "$1" '.quantised.rules_broken | length > 0 and any(.[]; .rule == $rule)' "$work/out"
}
down=model.layers.1.mlp.down_proj
breaks "scales are positive and finite" $down.weight_scale 4 '\000\000\000\200'
breaks "scales are positive and finite" $down.weight_scale 4 '\000\000\300\177'
breaks "scales are positive and finite" $down.weight_scale 4 '\000\000\200\277'
breaks "no E4M3 code is NaN" $down.weight 11 '\377'
breaks "what is ignored is a module" config '.quantization_config.ignore += ["model.layers.9.mlp.down_proj"]'
breaks "what is ignored is not quantised" config ".quantization_config.ignore += [\"$down\"]"
breaks "scales belong to a quantised weight" config ".quantization_config.ignore += [\"$down\"]"
breaks "q, k and v, gate and up share a scheme" config '.quantization_config.ignore += ["model.layers.0.mlp.up_proj"]'
breaks "what is not ignored has the type of the scheme" config '.quantization_config.ignore = []'
breaks "a tied head is ignored" config '.quantization_config.ignore = [] | .tie_word_embeddings = true'
breaks "the weight has the shape of config.json" config '.intermediate_size = 64'
breaks "a quantised weight has scales" tensors ".[\"$down.weight_scalf\"] = .[\"$down.weight_scale\"] | del(.[\"$down.weight_scale\"])"
breaks "scales are F32, BF16 or F16" tensors ".[\"$down.weight_scale\"].dtype = \"I32\""
breaks "scales are a column, one for each row" tensors ".[\"$down.weight_scale\"].shape |= reverse"
breaks "a symmetric scheme has no zero points" tensors ".[\"$down.weight_zero_point\"] = .[\"$down.weight_scale\"] | del(.[\"$down.weight_scale\"])"
breaks "the weight is there" config '.num_hidden_layers = 4 | .layer_types += ["full_attention"]'

# records
cat >"$work/prompts" <<'EOF'
{"query":"a\n","items":["b:","c:"],"label_tokens":[" Yes"," No"],"targets":[0,1],"meta":{"split":"test"}}
{"query":"dd\n","items":["b:"],"label_tokens":[" Yes"," No"],"targets":[-1],"meta":{"split":"train"}}
{"text":"plain"}
EOF
exits 0 "prompt records" brew-inspect "$work/prompts"
has "kind prompt records" "are known"
has "records 3" "and counted"
has "known targets 2" "with their targets"
has "test 1" "and splits"
cat >"$work/scores" <<'EOF'
{"id":"1","scores":[[0.75,0.25],[0.5,0.5]],"targets":[0,1]}
{"id":"2","scores":[[0.25,0.75]],"targets":[-1]}
EOF
exits 0 "score records" sh -c "gzip <'$work/scores' | brew-inspect -"
has "kind score records" "are known"
has "mean positive score 0.5" "with the mean of the positive label"
has "positive share 0.5" "and of the outcomes"
exits 0 "records and themselves" brew-inspect "$work/scores" "$work/scores"
sed 's/0.25,0.75/0.125,0.875/' "$work/scores" >"$work/other"
exits 1 "other scores" brew-inspect "$work/scores" "$work/other"
has "max abs difference 0.125" "by how much"
has "first difference 2" "and where"
head -1 "$work/scores" >"$work/short"
exits 1 "a record less" brew-inspect "$work/scores" "$work/short"
echo '{"query":"CANARY","items":3}' >>"$work/prompts"
exits 65 "a bad record" brew-inspect "$work/prompts"
says "prompts:4: " "is named by its line"
ok "and not shown" sh -c "! grep -q CANARY '$work/err' '$work/out'"
exits 3 "or passed over" brew-inspect --max-errors 1 --rejects "$work/bad" "$work/prompts"
is "$(cat "$work/bad")" '{"query":"CANARY","items":3}' "and kept"
printf '{"text":"x"}' >"$work/cut"
exits 65 "a line cut short" brew-inspect "$work/cut"

# streams
sed -e '$d' -e 's/ Yes/Y/g; s/ No/N/g' "$work/prompts" >"$work/records"
if ok "a stream to look into" brew-tokenize -m $models/tiny -o "$work/s.tar" "$work/records"; then
    exits 0 "a token stream" brew-inspect "$work/s.tar"
    has "kind token stream" "is known"
    has "requests 3" "and counted"
    exits 0 "the same stream" sh -c "brew-inspect '$work/s.tar' - <'$work/s.tar'"
    head -n 1 "$work/records" | brew-tokenize -m $models/tiny -o "$work/t.tar"
    exits 1 "another stream" brew-inspect "$work/s.tar" "$work/t.tar"
    ok "and where they differ" grep -q "ids" "$work/out"
    head -c 4000 "$work/s.tar" >"$work/cut.tar"
    exits 65 "a stream cut short" brew-inspect "$work/cut.tar"
    exits 65 "a stream and a model" brew-inspect "$work/s.tar" $models/tiny
    says "cannot be compared" "cannot be compared"
fi

# what is none of these
: >"$work/empty"
exits 65 "an empty file" brew-inspect "$work/empty"
printf x >"$work/x"
exits 65 "one byte" brew-inspect "$work/x"
exits 66 "no file" brew-inspect "$work/none"
exits 65 "a GGUF file in a pipe" sh -c "brew-inspect - <$models/qwen3.gguf"
says "give its path" "is told to be a path"
exits 65 "a directory that is no model" brew-inspect testdata/eval
says "no config.json" "says what it lacks"
exits 2 "no path" brew-inspect
exits 2 "three paths" brew-inspect a b c
exits 2 "standard input twice" brew-inspect - -
exits 74 "a full disk" sh -c "brew-inspect $models/tiny >/dev/full"
exits 0 "-o" brew-inspect -o "$work/report" $models/tiny
ok "writes there" grep -q "family" "$work/report"
exits 1 "-o with a negative answer" brew-inspect -o "$work/report2" $models/tiny $models/qwen2
ok "is written, too" grep -q "^same" "$work/report2"
done_testing
