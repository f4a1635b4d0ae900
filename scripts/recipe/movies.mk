# SmolLM2-135M learns to rank MovieLens' films, then teaches a student of 12 layers.
#
#     make -f scripts/recipe/movies.mk [SPLIT=last|time] [TOKENS=1000000] [OUT=DIR]      everything
#     make -f scripts/recipe/movies.mk b                                           one arm
#
# Arms: a  untrained                     c  the student, on the labels alone
#       b  trained on answered events    d  the student, with distillation from b, the same tokens
# Each arm is a target of its own: what is done is not done again, what was stopped goes on. Weights
# stay in OUT; the figures are OUT/table.tsv (and OUT/eval.json, with the baselines and paired
# differences). Nothing is chosen by the test members: settings come from the command line.
BUILD ?= build
SPLIT ?= last
TOKENS ?= 1000000
OUT ?= $(BUILD)/recipe/movies-$(SPLIT)
TASK ?= testdata/movies-rates$(if $(filter time,$(SPLIT)),-time).task.json
BASE ?= $(HOME)/.cache/brew/SmolLM2-135M-Instruct.gguf
HISTORY ?= 50
# one in MEMBERS members is asked
MEMBERS ?= 3
LR ?= 5e-5
TRAIN ?= --history-weight 1 --order shuffle --batch 8 --schedule cosine --warmup 20
# layers that the student does without
GONE ?= 2,3,5,6,8,9,11,12,14,15,17,18,20,21,23,24,26,27
STUDENT_LR ?= 2e-4
ALPHA ?= 0.5
TAU ?= 1
SEED ?= 1
bin := $(BUILD)/bin

table: $(OUT)/table.tsv
	@column -t -s '	' $<
a: $(OUT)/a.scores.jsonl
b c d: %: $(OUT)/%/model.safetensors

$(BASE):
	scripts/fetch-model

$(OUT)/%.jsonl: $(TASK)
	@mkdir -p $(@D)
	$(bin)/brew-promptify -q --task $(TASK) --split $* --max-history $(HISTORY) \
	    $(if $(filter test,$*),--questions 100 --shard 1/$(MEMBERS)) -o $@
$(OUT)/%.tar: $(OUT)/%.jsonl | $(BASE)
	$(bin)/brew-tokenize -q -m $(BASE) -o $@ $<

# brew-train is resumed by running it again, so that a stopped arm needs nothing but make.
run = $(bin)/$(1) --progress --tokens $(TOKENS) --seed $(SEED) $(TRAIN)
$(OUT)/b/model.safetensors: $(OUT)/train.tar | $(BASE)
	$(call run,brew-train) -m $(BASE) -o $(@D) --lr $(LR) $<
$(OUT)/student/model.safetensors: | $(BASE)
	$(bin)/brew-prune -m $(BASE) -o $(@D) --layers $(GONE)
$(OUT)/c/model.safetensors: $(OUT)/student/model.safetensors $(OUT)/train.tar
	$(call run,brew-train) -m $(OUT)/student -o $(@D) --lr $(STUDENT_LR) $(OUT)/train.tar
$(OUT)/d/model.safetensors: $(OUT)/student/model.safetensors $(OUT)/b/model.safetensors $(OUT)/train.tar
	$(call run,brew-distill) -m $(OUT)/student --teacher $(OUT)/b -o $(@D) --lr $(STUDENT_LR) \
	    --alpha $(ALPHA) --tau $(TAU) $(OUT)/train.tar

# All scored alike, in bf16.
$(OUT)/a.scores.jsonl: $(OUT)/test.tar | $(BASE)
	$(bin)/brew-score -q -m $(BASE) --precision bf16 -o $@ $<
$(OUT)/%.scores.jsonl: $(OUT)/%/model.safetensors $(OUT)/test.tar
	$(bin)/brew-score -q -m $(OUT)/$* --precision bf16 -o $@ $(OUT)/test.tar

$(OUT)/eval.json: $(foreach arm,a b c d,$(OUT)/$(arm).scores.jsonl)
	$(bin)/brew-eval -q --task $(TASK) --json -o $@ \
	    --add b=$(OUT)/b.scores.jsonl --add c=$(OUT)/c.scores.jsonl --add d=$(OUT)/d.scores.jsonl $<
$(OUT)/table.tsv: $(OUT)/eval.json
	scripts/recipe/table $< >$@

.PHONY: table a b c d
.SECONDARY:
