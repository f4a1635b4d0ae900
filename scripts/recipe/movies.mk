# SmolLM2-135M learns to rank MovieLens' films, then teaches a student of 12 layers.
#
#     make -f scripts/recipe/movies.mk [SPLIT=last|time] [TOKENS=1000000] [OUT=DIR]      everything
#     make -f scripts/recipe/movies.mk b                                           one arm
#
# Arms: a  untrained                      c  the student, on the labels alone
#       b  trained on answered events     d  the student, with distillation from b, the same tokens
#       ao untrained, with offsets        bo b, trained a little further with offsets
# The student is b without 18 of its layers; offsets are the log-odds of the member's and the film's deviations.
# Each arm is a target of its own: what is done is not done again, what was stopped goes on. Weights stay in OUT;
# the figures are OUT/table.tsv (OUT/eval.json has baselines and paired differences) and OUT/offsets.tsv.
# Nothing is chosen by the test members: settings come from the command line. SHARDS="1/3 2/3 3/3" asks all members.
SHELL := /bin/bash -o pipefail
BUILD ?= build
SPLIT ?= last
TOKENS ?= 1000000
STUDENT_TOKENS ?= 500000
OFFSET_TOKENS ?= 200000
OUT ?= $(BUILD)/recipe/movies-$(SPLIT)
BASE ?= $(HOME)/.cache/brew/SmolLM2-135M-Instruct.gguf
SHARDS ?= 1/3
LR ?= 1e-4
OFFSET_LR ?= 5e-5
TRAIN ?= --history-weight 2 --order shuffle --batch 4 --betas 0.9,0.98 --schedule cosine --warmup 15 --precision bf16
# layers that the student does without
GONE ?= 2,3,5,6,8,9,11,12,14,15,17,18,20,21,23,24,26,27
STUDENT_LR ?= 2e-4
ALPHA ?= 0.9
TAU ?= 1
SEED ?= 1
JOBS ?= 0
bin := $(BUILD)/bin

tables: $(OUT)/table.tsv $(OUT)/offsets.tsv
	@for t in $^; do column -t -s '	' $$t; echo; done
a ao: %: $(OUT)/%.scores.jsonl
b bo c d: %: $(OUT)/%/model.safetensors

$(BASE):
	scripts/fetch-model
$(OUT)/films.task.json $(OUT)/films-offsets.task.json &: scripts/recipe/films
	scripts/recipe/films $(OUT) $(SPLIT)

# $(1): the task, $(2): what its files are called
define streams
$(OUT)/train$(2).tar: $(OUT)/$(1).task.json | $(BASE)
	$(bin)/brew-promptify -q --task $$< --split train | $(bin)/brew-tokenize -q -m $(BASE) -o $$@
$(OUT)/test$(2).tar: $(OUT)/$(1).task.json | $(BASE)
	for part in $(SHARDS); do $(bin)/brew-promptify -q --task $$< --split test --questions 100 --shard $$$$part || exit; \
	    done | $(bin)/brew-tokenize -q -m $(BASE) -o $$@
endef
$(eval $(call streams,films,))
$(eval $(call streams,films-offsets,-offsets))

# brew-train is resumed by running it again, so that a stopped arm needs nothing but make.
run = $(bin)/$(1) -j $(JOBS) --progress --seed $(SEED) $(TRAIN) --tokens $(2)
$(OUT)/b/model.safetensors: $(OUT)/train.tar | $(BASE)
	$(call run,brew-train,$(TOKENS)) -m $(BASE) -o $(@D) --lr $(LR) $<
$(OUT)/bo/model.safetensors: $(OUT)/b/model.safetensors $(OUT)/train-offsets.tar
	$(call run,brew-train,$(OFFSET_TOKENS)) -m $(OUT)/b -o $(@D) --lr $(OFFSET_LR) $(OUT)/train-offsets.tar
$(OUT)/student/model.safetensors: $(OUT)/b/model.safetensors
	$(bin)/brew-prune -m $(OUT)/b -o $(@D) --layers $(GONE)
$(OUT)/c/model.safetensors: $(OUT)/student/model.safetensors $(OUT)/train.tar
	$(call run,brew-train,$(STUDENT_TOKENS)) -m $(OUT)/student -o $(@D) --lr $(STUDENT_LR) $(OUT)/train.tar
$(OUT)/d/model.safetensors: $(OUT)/student/model.safetensors $(OUT)/train.tar
	$(call run,brew-distill,$(STUDENT_TOKENS)) -m $(OUT)/student --teacher $(OUT)/b -o $(@D) --lr $(STUDENT_LR) \
	    --teacher-precision bf16 --alpha $(ALPHA) --tau $(TAU) $(OUT)/train.tar

# All scored alike, in bf16.
score = $(bin)/brew-score -q -j $(JOBS) --precision bf16 --summary $(@:.scores.jsonl=.score.json) -o $@
$(OUT)/a.scores.jsonl: $(OUT)/test.tar | $(BASE)
	$(score) -m $(BASE) $<
$(OUT)/ao.scores.jsonl: $(OUT)/test-offsets.tar | $(BASE)
	$(score) -m $(BASE) $<
$(OUT)/bo.scores.jsonl: $(OUT)/bo/model.safetensors $(OUT)/test-offsets.tar
	$(score) -m $(OUT)/bo $(OUT)/test-offsets.tar
$(OUT)/%.scores.jsonl: $(OUT)/%/model.safetensors $(OUT)/test.tar
	$(score) -m $(OUT)/$* $(OUT)/test.tar

# Each beside the arm it is to be compared with: d less c is what distillation is worth.
eval = $(bin)/brew-eval -q --json -o $@ --task $(OUT)/films.task.json
$(OUT)/eval.json: $(foreach arm,a b c d,$(OUT)/$(arm).scores.jsonl)
	$(eval) --add a=$(OUT)/a.scores.jsonl --add b=$(OUT)/b.scores.jsonl --add c=$(OUT)/c.scores.jsonl $(OUT)/d.scores.jsonl
$(OUT)/b.json: $(OUT)/a.scores.jsonl $(OUT)/b.scores.jsonl
	$(eval) --add a=$< $(OUT)/b.scores.jsonl
$(OUT)/offsets.json: $(OUT)/ao.scores.jsonl $(OUT)/bo.scores.jsonl
	$(eval) --add ao=$< $(OUT)/bo.scores.jsonl
$(OUT)/table.tsv: $(OUT)/eval.json $(OUT)/b.json
	(scripts/recipe/table $< d; scripts/recipe/table $(OUT)/b.json b | grep '^b less') >$@
$(OUT)/offsets.tsv: $(OUT)/offsets.json
	scripts/recipe/table $< bo >$@

.PHONY: tables a ao b bo c d
.SECONDARY:
