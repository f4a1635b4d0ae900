#!/bin/sh
# brew-prune --vocab: what the tokens of a smaller vocabulary are, and that old streams and teachers still fit.
# shellcheck source=testdata/lib.sh
. "$PWD/testdata/lib.sh"
tiny=$root/testdata/models/tiny
task=$root/testdata/movies.task.json
cd "$work" || exit 1
head -n 3000 "$root/testdata/ml-latest-small/ratings.csv" >ratings.csv
brew-promptify --task "$task" --split train ratings.csv 2>/dev/null | head -n 12 >calib.jsonl
brew-promptify --task "$task" --split test ratings.csv 2>/dev/null | head -n 6 >test.jsonl
brew-tokenize -m "$tiny" -o calib.tar calib.jsonl
brew-tokenize -m "$tiny" -o test.tar test.jsonl
for set in calib test; do
    brew-score -q -m "$tiny" --precision f32 -o $set.whole $set.jsonl
done
config() { # MODEL KEY
    jq ".$2" "$1/config.json"
}
mapped() { # MODEL ORIGIN: the name of its map
    (cd "$1" && echo vocab-map.*."$(brew-inspect --json . | jq -r '.tokenizer.digest[:16]')".npy)
}

exits 0 "tokens go" brew-prune -m "$tiny" -o cut --vocab --summary cut.json calib.tar
says '^vocabulary [0-9]* of 640, [0-9]* of them used' "and it says how many stay"
n=$(jq .vocab cut.json)
ok "which is fewer" test "$n" -lt 640
is "$(config cut vocab_size)" "$n" "config.json has them"
is "$(jq '.model.vocab | length' cut/tokenizer.json)" "$n" "and so has tokenizer.json"
is "$(jq -r '.[-1].arguments.vocab' cut/brew.json)" "$n" "and brew.json"
ok "the smaller model is sound" brew-inspect --verify cut
exits 0 "the same from records" brew-prune -q -m "$tiny" -o records --vocab calib.jsonl
same cut/tokenizer.json records/tokenizer.json "is the same"
same cut/model.safetensors records/model.safetensors "in all its parts"
exits 0 "from a tar of the model" sh -c "(cd '$tiny' && tar -cf - .) | brew-prune -q -m - -o piped --vocab calib.jsonl"
same cut/tokenizer.json piped/tokenizer.json "is the same, too"

# ---- scores ----
brew-score -q -m cut --precision f32 -o calib.cut calib.jsonl
same calib.whole calib.cut "requests whose tokens stay get the same bits"
brew-score -q -m cut --precision f32 -o calib.old calib.tar
same calib.whole calib.old "and so do those of an old token stream"
brew-tokenize --decode -m "$tiny" -o whole.text calib.tar
brew-tokenize --decode -m cut -o cut.text calib.tar
same whole.text cut.text "which reads the same"

# ---- tokens that went ----
exits 65 "an old stream with tokens that went" brew-score -q -m cut -o x test.tar
says 'test.tar:[0-9]*: [0-9]* of its tokens and labels were cut from the model.s vocabulary' "is told so"
exits 3 "its other requests" brew-score -q -m cut --max-errors 99 --precision f32 -o test.old test.tar
ok "are scored as before" sh -c '[ -s test.old ] && grep -F -x -f test.whole test.old | cmp - test.old'
ok "as text they are read in smaller pieces" brew-score -q -m cut -o test.cut test.jsonl
exits 3 "what can be decoded" brew-tokenize --decode -q --max-errors 99 -m cut -o y test.tar
exits 65 "a stream of the smaller model in the larger one" \
    sh -c "brew-tokenize -q -m cut -o new.tar calib.jsonl && brew-score -q -m '$tiny' -o x new.tar"

# ---- more files to take tokens from ----
exits 0 "tokens of further files" brew-prune -q -m "$tiny" -o more --vocab --vocab-from test.jsonl --summary more.json calib.tar
ok "stay, too" test "$(jq .vocab more.json)" -gt "$n"
brew-score -q -m more --precision f32 -o test.more test.tar
same test.whole test.more "so that these are scored as before"
jq -c '{text: .query}' test.jsonl >test.texts
exits 0 "from texts alone" brew-prune -q -m "$tiny" -o texts --vocab-from test.texts --vocab-from test.tar
is "$(jq -r '.[-1].inputs | map(.role) | join(" ")' more/brew.json)" "model calibration tokens" \
    "brew.json tells of them"

# ---- a teacher that has them all ----
# shellcheck disable=SC2317 # called through ok
train() { # OUT TEACHER INPUT
    t_out=$1 t_teacher=$2
    shift 2
    brew-distill -q --teacher "$t_teacher" -m cut -o "$t_out" --lr 0.01 --steps 4 --batch 2 --alpha 0.7 "$@"
}
ok "a larger teacher in memory" train a "$tiny" calib.jsonl
ok "and an old stream" train b "$tiny" calib.tar
same a/model.safetensors b/model.safetensors "give the same student"
ok "the teacher's stream" brew-score -q -m "$tiny" --teacher-stream teacher.tar -o y calib.tar
ok "teaches" train c teacher.tar calib.jsonl
same a/model.safetensors c/model.safetensors "the same"
is "$(mapped a)" "$(mapped cut)" "the student keeps the map"
cat test.jsonl calib.jsonl >all.jsonl
brew-score -q -m "$tiny" --teacher-stream all.tar -o y all.jsonl
ok "a teacher's stream with more than the student can read" train d all.tar calib.jsonl
same a/model.safetensors d/model.safetensors "teaches the same"
# The cut before it learns says what the whole model says of the tokens that stayed.
ok "all that the student has is learned" train v "$tiny" --kd-vocab items,lm --lm-weight 0.5 calib.jsonl
ok "and from the cut itself" train w cut --kd-vocab items,lm --lm-weight 0.5 calib.jsonl
same v/model.safetensors w/model.safetensors "the same"
exits 2 "likeliest tokens, too" brew-distill -q --teacher "$tiny" -m cut -o x --steps 1 --topk 3 calib.jsonl
brew-score -q -m "$tiny" --teacher-stream top.tar --topk 3 -o top.scores calib.tar
exits 2 "and of a stream" brew-distill -q --teacher top.tar -m cut -o x --steps 1 --topk 3 calib.jsonl
says "--topk: the student's vocabulary was cut, the teacher's is whole" "which is said"
ok "but that stream teaches" brew-distill -q --teacher top.tar -m cut -o top --steps 1 calib.jsonl
says "the student's vocabulary was cut" "is refused"
exits 65 "a student that has more than its teacher" \
    brew-distill -q --teacher cut -m "$tiny" -o x --steps 1 calib.jsonl
says 'they must be the same' "is refused"

# ---- twice ----
head -n 3 calib.jsonl >few.jsonl
brew-tokenize -q -m cut -o few.cut.tar few.jsonl
brew-tokenize -q -m "$tiny" -o few.tar few.jsonl
head -n 3 calib.whole >few.whole
exits 0 "a vocabulary cut again" brew-prune -q -m cut -o twice --vocab few.jsonl
is "$(find twice -name 'vocab-map.*' | wc -l)" 2 "knows both that there were"
for stream in few.tar few.cut.tar; do
    brew-score -q -m twice --precision f32 -o few.scores $stream
    same few.whole few.scores "reads $stream"
done
ok "its first ancestor teaches it" brew-distill -q --teacher "$tiny" -m twice -o e --lr 0.01 --steps 1 few.tar
exits 2 "nothing more to go" brew-prune -m twice -o x --vocab few.jsonl
says 'nothing would be cut' "is said"

# ---- together with other cuts ----
exits 0 "tokens, neurons and a layer" brew-prune -q -m "$tiny" -o all --vocab --mlp 0.5 --layers 0.5 calib.tar
is "$(config all vocab_size) $(config all intermediate_size) $(config all num_hidden_layers)" "$n 48 1" "go"
ok "and the rest is sound" brew-inspect --verify all

# ---- other files that name tokens ----
cp -r "$tiny" named
echo '{"bos_token_id":1,"eos_token_id":[0,2],"suppress_tokens":[639]}' >named/generation_config.json
jq '.added_tokens_decoder = {"0": {"content": "<|endoftext|>", "special": true}}' "$tiny/tokenizer_config.json" \
    >named/tokenizer_config.json
jq '.bos_token_id = 639' "$tiny/config.json" >named/config.json
touch named/vocab.json named/merges.txt named/notes.txt
exits 0 "a model with more files" brew-prune -q -m named -o renamed --vocab calib.jsonl
is "$(jq -r '.model.vocab | to_entries[] | select(.value == '"$(config renamed bos_token_id)"') | .key' renamed/tokenizer.json)" \
    "$(jq -r '.model.vocab | to_entries[] | select(.value == 639) | .key' "$tiny/tokenizer.json")" \
    "a token that config.json names stays"
is "$(jq -c . renamed/generation_config.json)" "{\"bos_token_id\":1,\"eos_token_id\":[0,2],\"suppress_tokens\":[$(config renamed bos_token_id)]}" \
    "generation_config.json has its new id"
ok "files of the old vocabulary are gone, others are not" \
    sh -c '[ ! -e renamed/vocab.json ] && [ ! -e renamed/merges.txt ] && [ -e renamed/notes.txt ]'
for bad in '{"eos_token_id":640}' '{"bad_words_ids":[[1]]}' '{"eos_token_id":"<s>"}' '{'; do
    echo "$bad" >named/generation_config.json
    exits 65 "generation_config.json: $bad" brew-prune -q -m named -o x --vocab calib.jsonl
    says 'generation_config.json' "is refused"
done

# ---- maps that lie ----
map=cut/$(mapped cut)
head -c 200 "$map" >short.npy
exits_map() { # FILE WHAT
    cp -r cut lied && cp "$1" "lied/${map#cut/}"
    exits 65 "$2" brew-score -q -m lied -o x calib.tar
    says 'lied: vocab-map.*npy: ' "is refused by name"
    exits 65 "and so is the teacher" brew-distill -q --teacher "$tiny" -m lied -o x --steps 1 calib.jsonl
    rm -r lied
}
exits_map short.npy "a map cut short"
{
    head -c 128 "$map"
    head -c 2560 /dev/zero
} >zeros.npy
exits_map zeros.npy "a map to one token"

# ---- usage ----
exits 2 "no calibration" brew-prune -m "$tiny" -o x --vocab
exits 2 "no such file" brew-prune -m "$tiny" -o x --vocab-from
exits 66 "a file that is not there" brew-prune -m "$tiny" -o x --vocab-from nowhere.tar
exits 65 "no tokenizer" brew-prune -m "$root/testdata/models/mistral" -o x --vocab "$root/testdata/quantize/requests.jsonl"
says 'there is no tokenizer.json' "is said"
exits 65 "a bad record" sh -c "echo '{' | brew-prune -m '$tiny' -o x --vocab-from -"
says '^brew-prune: standard input:1: ' "is told by its file"
exits 65 "a quantised model" brew-prune -m "$root/testdata/models/qwen3-fp8" -o x --vocab calib.tar
ok "nothing was left behind" test ! -e x
done_testing
