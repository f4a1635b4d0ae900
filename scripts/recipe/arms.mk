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
# gradual and quarter end with FP8 and INT8 (stages.tsv in each); what FP8 costs is measured finely by
#   fp8       half of the body and its FP8 on some 80,000 answers
# Small cuts are healed gently (lr 5e-5), large ones not (2e-4). BASE is asked once about the train records that all
# arms draw from.
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

# $(1): the arm, $(2): its steps, $(3): tokens of a step, $(4): what else differs. What arms share is made once and linked.
from_quarter := gradual
chain = $(if $(filter-out common,$(1)),test -e $(OUT)/$(1) || cp -al $(OUT)/$(or $(from_$(1)),common) $(OUT)/$(1); )\
    $(MAKE) -f scripts/recipe/go-small.mk BUILD=$(BUILD) OUT=$(OUT)/$(1) BASE=$(BASE) TRAINED=1 JOBS=$(JOBS) \
    SEED=$(SEED) SHARD=$(SHARD) ALLOW= RECORDS=$(RECORDS) CALIBRATION=$(CALIBRATION) TEACHER=stream STEP_LR=5e-5 \
    STEPS="$(2)" STEP_TOKENS=$(3) $(4)
part := $(shell expr $(TOTAL) / 4)

common:
	+$(call chain,$@,$(HALF),$(part),$(foreach f,0.scores.jsonl 0.good teacher.tar calib.tar,$(OUT)/$@/$(f)))
gradual oneshot norepair labels quarter-oneshot: common
gradual:
	+$(call chain,$@,$(HALF),$(part))
oneshot:
	+$(call chain,$@,$(HALF_AT_ONCE),$(TOTAL),STEP_LR=2e-4 $(OUT)/$@/1.scores.jsonl)
norepair:
	+$(call chain,$@,$(HALF),$(part),PRUNE=--no-repair $(OUT)/$@/4.scores.jsonl)
labels:
	+$(call chain,$@,$(HALF),$(part),ALPHA=0 $(OUT)/$@/4.scores.jsonl)
direct: $(OUT)/direct/1.scores.jsonl
$(OUT)/direct/1.scores.jsonl: | oneshot
	@mkdir -p $(@D)
	$(bin)/brew-distill --init $(OUT)/oneshot/1/config.json --teacher $(OUT)/common/teacher.tar -o $(@D)/1 -j $(JOBS) \
	    --progress --seed $(SEED) $(LEARN) --lr 5e-4 --alpha 0.9 --tokens $(TOTAL) $(OUT)/common/train.tar
	$(bin)/brew-score -q -j $(JOBS) --precision bf16 -m $(@D)/1 -o $@ $(OUT)/common/test.tar
quarter: gradual
	+$(call chain,$@,$(HALF) $(QUARTER),$(part))
quarter-oneshot:
	+$(call chain,$@,$(QUARTER_AT_ONCE),$(shell expr 2 '*' $(TOTAL)),STEP_LR=2e-4 $(OUT)/$@/1.scores.jsonl)

# What FP8 does to half of the body, by the answers of all members' test records and of the train records, those of
# histories included.
fp8: $(OUT)/fp8/compare.txt
	cat $<
$(OUT)/fp8/test.tar: | gradual
	@mkdir -p $(@D)
	$(bin)/brew-promptify -q --task $(OUT)/common/films.task.json --split test --max-history 50 --questions 100 | \
	    $(bin)/brew-tokenize -q -m $(BASE) -o $@
$(OUT)/fp8/train.tar: | gradual
	@mkdir -p $(@D)
	ln $(OUT)/common/train.tar $@
halves := test train
$(OUT)/fp8/fp8/model.safetensors: | gradual
	$(bin)/brew-quantize -q -m $(OUT)/gradual/4 -o $(@D) --scheme fp8
ask = $(bin)/brew-score -q -j $(JOBS) --precision bf16 --teacher-stream $@ -o $(@:.tar=.scores.jsonl) $(filter %.tar,$^)
$(halves:%=$(OUT)/fp8/%.bf16.tar): %.bf16.tar: %.tar
	$(ask) -m $(OUT)/gradual/4
$(halves:%=$(OUT)/fp8/%.fp8.tar): %.fp8.tar: %.tar $(OUT)/fp8/fp8/model.safetensors
	$(ask) -m $(OUT)/fp8/fp8
$(OUT)/fp8/compare.txt: $(foreach t,bf16 fp8,$(halves:%=$(OUT)/fp8/%.$(t).tar))
	for t in bf16 fp8; do scripts/recipe/answers $(halves:%=$(@D)/%.$$t.tar) >$(@D)/$$t.jsonl || exit; done
	$(bin)/brew-eval -q -o $@ --compare $(@D)/bf16.jsonl $(@D)/fp8.jsonl

# Beside the others: paired differences are the first less each of them.
judge = $(bin)/brew-eval -q --static --json --task $(OUT)/common/films.task.json -o $(@:.tsv=.json) \
    $(foreach a,$(2),--add $(a)=$(OUT)/$(subst .,/,$(a)).scores.jsonl) $(OUT)/$(subst .,/,$(1)).scores.jsonl && \
    scripts/recipe/table $(@:.tsv=.json) $(1) >$@
$(OUT)/half.tsv: gradual oneshot norepair labels direct
	$(call judge,gradual.4,gradual.0 oneshot.1 norepair.4 labels.4 direct.1)
$(OUT)/quarter.tsv: quarter quarter-oneshot
	$(call judge,quarter.8,quarter.0 quarter.4 quarter-oneshot.1)

.PHONY: tables common gradual oneshot norepair labels direct quarter quarter-oneshot fp8
