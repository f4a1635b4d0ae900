# How to go small: chains of go-small.mk that differ in one thing, at equal training tokens and equal final body.
#
#     make -f scripts/recipe/arms.mk BASE=models/big [OUT=DIR] [TOTAL=400000]      all arms, then the table
#     make -f scripts/recipe/arms.mk BASE=models/big oneshot                      one arm
#
# BASE is a model that was trained on the task (arm b of movies.mk). To half of its body, TOTAL tokens each:
#   gradual   four small cuts, each followed by a quarter of the tokens, with distillation from BASE
#   oneshot   all cuts at once, then all tokens
#   norepair  gradual, but without least-squares repair
#   labels    gradual, but learning from the labels alone
#   direct    the final shape from random weights, all tokens with distillation
# To a quarter, TOTAL tokens more:
#   quarter   gradual goes on, in four more cuts
#   quarter-oneshot   all eight cuts at once, then 2 TOTAL tokens
# Small cuts are healed gently (lr 5e-5), large ones not (2e-4). gradual and quarter end with FP8 and INT8. BASE is asked once about the train records that all arms draw from.
SHELL := /bin/bash -o pipefail
BUILD ?= build
OUT ?= $(BUILD)/recipe/arms
BASE ?= $(BUILD)/recipe/movies-last/b
TOTAL ?= 400000
RECORDS ?= $(shell expr $(TOTAL) / 500)
CALIBRATION ?= 64
SHARD ?= 1/3
SEED ?= 1
JOBS ?= 0
# 30 layers of 1,536 neurons to 21 of 1,024, then to 14 of 768 with two thirds of the heads
HALF := mlp:0.8 layers:0.8 mlp:0.83 layers:0.875
HALF_AT_ONCE := mlp:0.667+layers:0.7
QUARTER := mlp:0.875 layers:0.81 mlp:0.857+heads:0.667 layers:0.82
QUARTER_AT_ONCE := mlp:0.5+layers:0.467+heads:0.667
export LEARN ?= --history-weight 2 --order shuffle --batch 4 --betas 0.9,0.98 --schedule cosine --warmup 5 --precision bf16
bin := $(BUILD)/bin

tables: $(OUT)/half.tsv $(OUT)/quarter.tsv
	@for t in $^; do column -t -s '	' $$t; echo; done

# $(1): the arm, $(2): its steps, $(3): tokens of a step, $(4): what else differs. What all arms start from is made
# once and linked.
chain = $(if $(filter-out common,$(1)),test -e $(OUT)/$(1) || cp -al $(OUT)/common $(OUT)/$(1); )\
    $(MAKE) -f scripts/recipe/go-small.mk BUILD=$(BUILD) OUT=$(OUT)/$(1) BASE=$(BASE) TRAINED=1 JOBS=$(JOBS) \
    SEED=$(SEED) SHARD=$(SHARD) ALLOW= RECORDS=$(RECORDS) CALIBRATION=$(CALIBRATION) TEACHER=stream STEP_LR=5e-5 \
    STEPS="$(2)" STEP_TOKENS=$(3) $(4)
part := $(shell expr $(TOTAL) / 4)

common:
	+$(call chain,$@,$(HALF),$(part),$(foreach f,0.scores.jsonl 0.good teacher.tar calib.tar,$(OUT)/$@/$(f)))
gradual oneshot norepair labels quarter-oneshot: common
gradual:
	+$(call chain,$@,$(HALF),$(part))
	cp $(OUT)/$@/stages.tsv $(OUT)/half-stages.tsv
oneshot:
	+$(call chain,$@,$(HALF_AT_ONCE),$(TOTAL),STEP_LR=2e-4 $(OUT)/$@/1.scores.jsonl)
norepair:
	+$(call chain,$@,$(HALF),$(part),PRUNE=--no-repair $(OUT)/$@/4.scores.jsonl)
labels:
	+$(call chain,$@,$(HALF),$(part),ALPHA=0 $(OUT)/$@/4.scores.jsonl)
direct: oneshot
	@mkdir -p $(OUT)/$@
	$(bin)/brew-distill --init $(OUT)/oneshot/1/config.json --teacher $(OUT)/oneshot/teacher.tar -o $(OUT)/$@/1 -j $(JOBS) \
	    --progress --seed $(SEED) $(LEARN) --lr 5e-4 --alpha 0.9 --tokens $(TOTAL) $(OUT)/oneshot/train.tar
	$(bin)/brew-score -q -j $(JOBS) --precision bf16 -m $(OUT)/$@/1 -o $(OUT)/$@/1.scores.jsonl $(OUT)/oneshot/test.tar
quarter: gradual
	+$(call chain,gradual,$(HALF) $(QUARTER),$(part))
	cp $(OUT)/gradual/stages.tsv $(OUT)/quarter-stages.tsv
quarter-oneshot:
	+$(call chain,$@,$(QUARTER_AT_ONCE),$(shell expr 2 '*' $(TOTAL)),STEP_LR=2e-4 $(OUT)/$@/1.scores.jsonl)

# Gradual beside the others: paired differences are gradual less each of them.
judge = $(bin)/brew-eval -q --static --json --task $(OUT)/gradual/films.task.json \
    $(foreach a,$(2),--add $(a)=$(OUT)/$(subst .,/,$(a)).scores.jsonl) $(OUT)/gradual/$(1).scores.jsonl \
    >$(@:.tsv=.json) && scripts/recipe/table $(@:.tsv=.json) gradual.$(1) >$@
$(OUT)/half.tsv: gradual oneshot norepair labels direct
	$(call judge,4,gradual.0 oneshot.1 norepair.4 labels.4 direct.1)
$(OUT)/quarter.tsv: quarter quarter-oneshot
	$(call judge,8,gradual.0 gradual.4 quarter-oneshot.1)

.PHONY: tables common gradual oneshot norepair labels direct quarter quarter-oneshot
