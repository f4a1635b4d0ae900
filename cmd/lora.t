#!/bin/sh
# Adapters: --lora of brew-train and brew-distill.
# shellcheck source=testdata/lib.sh
. "$PWD/testdata/lib.sh"
models=$root/testdata/models
tiny=$models/tiny
cd "$work" || exit 1

awk 'BEGIN {
    for (r = 0; r < 24; r++) {
        item = 30 + r * 7 % 20
        printf "{\"query\":[%d,%d,5],\"items\":[[%d],[%d]],\"label_token_ids\":[11,12],\"targets\":[%d,%d]}\n", \
            20 + r, 40 - r, item, item + 1, item % 2, (item + 1) % 2
    }
}' >train.jsonl
# shellcheck disable=SC2317 # called through ok
train() { # out, options...
    t_out=$1
    shift
    brew-train -q -m "$tiny" -o "$t_out" --precision f32 --lora 4 --lr 0.01 --batch 4 "$@" train.jsonl
}
first_loss() { head -n 1 "$1/metrics.jsonl" | sed 's/.*"loss":\([0-9.e-]*\),.*/\1/'; }
last_loss() { tail -n 1 "$1/metrics.jsonl" | sed 's/.*"loss":\([0-9.e-]*\),.*/\1/'; }
untimed() { sed 's/,"seconds":.*//' "$1/metrics.jsonl"; }
# shellcheck disable=SC2317
below() { awk -v a="$1" -v b="$2" 'BEGIN {exit !(a < b)}'; }

# ---- what is written ----
(cd "$tiny" && sha256sum ./*) >before
ok "adapters learn" train a --epochs 20
ok "the loss falls to a tenth" below "$(last_loss a)" "$(first_loss a | awk '{print $1 / 10}')"
(cd "$tiny" && sha256sum ./*) >after
same after before "the base is as it was"
is "$(echo a/*)" "a/adapter_config.json a/adapter_model.safetensors a/brew.json a/checkpoints a/metrics.jsonl" \
    "adapters, and nothing of the base"
is "$(cat a/adapter_config.json)" "{\"peft_type\":\"LORA\",\"task_type\":\"CAUSAL_LM\",\
\"base_model_name_or_path\":\"$tiny\",\"r\":4,\"lora_alpha\":8,\"lora_dropout\":0,\
\"target_modules\":[\"q_proj\",\"k_proj\",\"v_proj\",\"o_proj\",\"gate_proj\",\"up_proj\",\"down_proj\"],\
\"bias\":\"none\",\"fan_in_fan_out\":false,\"use_rslora\":false,\"use_dora\":false,\"inference_mode\":true}" \
    "as PEFT reads them"
ok "a checkpoint holds them alone" test "$(du -sk a/checkpoints | cut -f 1)" -lt 150
ok "merged" train merged --epochs 20 --merge
untimed a >want
untimed merged >got
same got want "the same run"
ok "gives a model" brew-score -m merged -o merged.scores train.jsonl
ok "that learned it" brew-eval --gate "auc>=0.99" -o eval merged.scores
ok "chosen targets" train some --steps 2 --lora-targets v_proj,q_proj --lora-alpha 4
ok "are told in order" grep -q '"lora_alpha":4,.*"target_modules":\["q_proj","v_proj"\]' some/adapter_config.json
ok "and alone" sh -c "head -c 2000 some/adapter_model.safetensors | grep -a -q q_proj.lora_A &&
    ! head -c 2000 some/adapter_model.safetensors | grep -a -q 'k_proj\|embed'"

# ---- the same, however it is done ----
for threads in 1 3; do
    ok "$threads threads" train j$threads --epochs 20 -j $threads
    same j$threads/adapter_model.safetensors a/adapter_model.safetensors "the same bits"
done
ok "--recompute layer" train layer --epochs 20 --recompute layer
same layer/adapter_model.safetensors a/adapter_model.safetensors "the same bits"
for signal in KILL TERM; do
    brew-train -q -m "$tiny" -o stopped --precision f32 --lora 4 --lr 0.01 --batch 4 --epochs 400 --save-every 7 train.jsonl &
    pid=$!
    stop=$((${stop:-0} + 30)) # steps
    while [ "$(wc -l <stopped/metrics.jsonl 2>/dev/null || echo 0)" -lt $stop ]; do sleep 0.02; done
    kill -$signal $pid
    wait $pid
done 2>/dev/null
ok "goes on" train stopped --epochs 400 --save-every 7
ok "or is not stopped" train straight --epochs 400 --save-every 7
same stopped/adapter_model.safetensors straight/adapter_model.safetensors "the same bits"
exits 2 "another rank" brew-train -q -m "$tiny" -o some --precision f32 --lora 2 --lr 0.01 --batch 4 --steps 2 \
    --lora-targets v_proj,q_proj --lora-alpha 4 train.jsonl
says 'was begun with lora 4, now it is 2' "is refused by name"

# ---- bases of all kinds ----
for base in qwen3.gguf mistral.gguf llama-bias qwen2; do
    for precision in f32 bf16; do
        out=$base-$precision
        ok "$base in $precision" brew-train -q -m "$models/$base" -o "$out" --lora 2 --precision $precision --steps 2 --merge train.jsonl
        ok "is scored" brew-score -m "$out" -o "$out.scores" train.jsonl
    done
done
for base in llama-scaled-fp8 qwen3-int8; do
    ok "adapters of $base" brew-train -q -m "$models/$base" -o "$base" --lora 2 --steps 2 train.jsonl
    ok "merged" brew-train -q -m "$models/$base" -o "$base-merged" --lora 2 --steps 2 --merge train.jsonl
    ok "are no longer quantised" brew-score -m "$base-merged" -o "$base.scores" train.jsonl
done
ok "a student with adapters" brew-distill -q --teacher "$tiny" -m "$tiny" -o student --lora 2 --steps 2 train.jsonl
ok "has them" test -e student/adapter_config.json

# ---- scored without merging ----
for precision in f32 bf16; do
    ok "with its adapter" brew-score -m "$tiny" --adapter a --precision $precision -o a.scores train.jsonl
    ok "merged" brew-score -m merged --precision $precision -o merged.scores train.jsonl
    same a.scores merged.scores "in $precision: the same"
done
ok "of some matrices" brew-score -m "$tiny" --adapter some --precision f32 -o some.scores train.jsonl
ok "merged" train some-merged --steps 2 --lora-targets v_proj,q_proj --lora-alpha 4 --merge
ok "scored" brew-score -m some-merged --precision f32 -o some-merged.scores train.jsonl
same some.scores some-merged.scores "the same"
for base in qwen3-fp8 llama-scaled-int8 qwen3.gguf mistral.gguf; do
    ok "adapters of $base" brew-train -q -m "$models/$base" -o "q-$base" --lora 2 --lora-targets q_proj,down_proj --steps 2 --lr 0.1 train.jsonl
    ok "merged" brew-train -q -m "$models/$base" -o "qm-$base" --lora 2 --lora-targets q_proj,down_proj --steps 2 --lr 0.1 --merge train.jsonl
    ok "scored" brew-score -m "$models/$base" --adapter "q-$base" --precision f32 -o one train.jsonl
    ok "and merged" brew-score -m "qm-$base" --precision f32 -o two train.jsonl
    case $base in
    *.gguf) same one two "$base: the same" ;;
    esac
done
exits 2 "a teacher with an adapter" brew-score -m "$tiny" --adapter a --teacher-stream t.tar train.jsonl
exits 66 "no such adapter" brew-score -m "$tiny" --adapter nowhere train.jsonl
exits 66 "a model is none" brew-score -m "$tiny" --adapter merged train.jsonl
exits 65 "another model's" brew-score -m "$models/qwen2" --adapter a train.jsonl
says 'a/adapter_model.safetensors: .*has not the shape' "is told by a shape"
# shellcheck disable=SC2317 # called below
refuses() { # change of the configuration, message
    rm -rf odd && cp -r a odd
    jq -c "$1" a/adapter_config.json >odd/adapter_config.json
    exits 65 "$1" brew-score -m "$tiny" --adapter odd train.jsonl
    says "odd/adapter_.*: .*$2" "is refused by name"
}
refuses '.use_dora = true' '"use_dora" is not supported'
refuses '.modules_to_save = ["lm_head"]' '"modules_to_save" is not supported'
refuses '.rank_pattern = {"q_proj": 2}' '"rank_pattern" is not supported'
refuses '.peft_type = "LOHA"' '"peft_type" is LOHA, only LORA is known'
refuses 'del(.peft_type)' '"peft_type" is not there'
refuses '.bias = "all"' '"bias" is all, only none is known'
refuses 'del(.r)' '"r" or "lora_alpha" is missing'
refuses '.r = 3' 'has not the shape \[3, 96\]'
refuses '[1]' 'it must hold an object'
rm -rf odd && cp -r a odd && head -c 3000 a/adapter_model.safetensors >odd/adapter_model.safetensors
exits 65 "a file cut short" brew-score -m "$tiny" --adapter odd train.jsonl
sed 's/layers.0.self_attn.q_proj.lora_A/layers.7.self_attn.q_proj.lora_A/' a/adapter_model.safetensors >odd/adapter_model.safetensors
exits 65 "a layer there is not" brew-score -m "$tiny" --adapter odd train.jsonl
says 'layers.7.self_attn.q_proj.lora_A.weight: is no factor of a matrix of this model' "is named"
sed 's/layers.0.self_attn.q_proj.lora_A/layers.0.self_attn.z_proj.lora_A/' a/adapter_model.safetensors >odd/adapter_model.safetensors
exits 65 "a matrix there is not" brew-score -m "$tiny" --adapter odd train.jsonl
cp "$tiny/model.safetensors" odd/adapter_model.safetensors
exits 65 "weights that are no adapter" brew-score -m "$tiny" --adapter odd train.jsonl
cd "$root" || exit 1
done_testing
