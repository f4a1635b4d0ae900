# How to go small: chains of go-small.mk that differ in one thing (and the learning rate that goes with it), at equal
# training tokens and equal final body.
#
#     make -f scripts/recipe/arms.mk BASE=models/big [OUT=DIR] [TOTAL=400000]      all arms, then the table
#     make -f scripts/recipe/arms.mk BASE=models/big oneshot                      one arm
#
# BASE is a model that was trained on the task (arm b of movies.mk). To half of its body, TOTAL tokens each:
#   oneshot   one cut, repaired, then distillation from BASE; then FP8 and INT8
#   gradual   the same body in four cuts, each followed by a quarter of the tokens
#   norepair  oneshot, but without least-squares repair
#   labels    oneshot, but learning from the labels alone
#   direct    the final shape from random weights, with distillation
# To a quarter, TOTAL tokens more:
#   quarter   oneshot goes on with a second cut, then FP8 and INT8
#   quarter-oneshot   both cuts in one, then 2 TOTAL tokens
# What FP8 costs is measured finely by
#   fp8       oneshot and its FP8 on some 100,000 answers
# BASE is asked once about the train records that all arms draw from.
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
HALF := mlp:0.667+layers:0.7
HALF_IN_FOUR := mlp:0.8 layers:0.8 mlp:0.83 layers:0.875
QUARTER := mlp:0.75+layers:0.667+heads:0.667
QUARTER_AT_ONCE := mlp:0.5+layers:0.467+heads:0.667
export LEARN ?= --history-weight 2 --order shuffle --batch 4 --betas 0.9,0.98 --schedule cosine --warmup 5 --precision bf16
bin := $(BUILD)/bin

tables: $(OUT)/half.tsv $(OUT)/quarter.tsv
	@for t in $^; do column -t -s '	' $$t; echo; done

# $(1): the arm, $(2): its steps, $(3): tokens of a step, $(4): what else differs. What arms share is made once and linked.
from_quarter := oneshot
chain = $(if $(filter-out common,$(1)),test -e $(OUT)/$(1) || cp -al $(OUT)/$(or $(from_$(1)),common) $(OUT)/$(1); )\
    $(MAKE) -f scripts/recipe/go-small.mk BUILD=$(BUILD) OUT=$(OUT)/$(1) BASE=$(BASE) TRAINED=1 JOBS=$(JOBS) \
    SEED=$(SEED) SHARD=$(SHARD) ALLOW= RECORDS=$(RECORDS) CALIBRATION=$(CALIBRATION) TEACHER=stream STEP_LR=2e-4 \
    STEPS="$(2)" STEP_TOKENS=$(3) $(4)

common:
	+$(call chain,$@,$(HALF),$(TOTAL),$(foreach f,0.scores.jsonl 0.good teacher.tar calib.tar,$(OUT)/$@/$(f)))
oneshot gradual norepair quarter-oneshot: common
oneshot:
	+$(call chain,$@,$(HALF),$(TOTAL))
# Small cuts are healed gently.
gradual:
	+$(call chain,$@,$(HALF_IN_FOUR),$(shell expr $(TOTAL) / 4),STEP_LR=5e-5)
norepair:
	+$(call chain,$@,$(HALF),$(TOTAL),PRUNE=--no-repair $(OUT)/$@/1.scores.jsonl)
labels: oneshot
	test -e $(OUT)/$@ || { cp -al $(OUT)/common $(OUT)/$@ && cp -al $(OUT)/oneshot/cut1 $(OUT)/$@; }
	+$(call chain,$@,$(HALF),$(TOTAL),ALPHA=0 $(OUT)/$@/1.scores.jsonl)
direct: $(OUT)/direct/1.scores.jsonl
$(OUT)/direct/1.scores.jsonl: | oneshot
	@mkdir -p $(@D)
	$(bin)/brew-distill --init $(OUT)/oneshot/1/config.json --teacher $(OUT)/common/teacher.tar -o $(@D)/1 -j $(JOBS) \
	    --progress --seed $(SEED) $(LEARN) --lr 5e-4 --alpha 0.9 --tokens $(TOTAL) $(OUT)/common/train.tar
	$(bin)/brew-score -q -j $(JOBS) --precision bf16 -m $(@D)/1 -o $@ $(OUT)/common/test.tar
quarter: oneshot
	+$(call chain,$@,$(HALF) $(QUARTER),$(TOTAL))
quarter-oneshot:
	+$(call chain,$@,$(QUARTER_AT_ONCE),$(shell expr 2 '*' $(TOTAL)))

# What FP8 does to half of the body, by the answers of all members' test records and of all train records, those of
# their histories included.
fp8: $(OUT)/fp8/compare.txt
	cat $<
$(OUT)/fp8/test.tar: | oneshot
	@mkdir -p $(@D)
	$(bin)/brew-promptify -q --task $(OUT)/common/films.task.json --split test --max-history 50 --questions 100 | \
	    $(bin)/brew-tokenize -q -m $(BASE) -o $@
$(OUT)/fp8/train.tar: | oneshot
	@mkdir -p $(@D)
	$(bin)/brew-tokenize -q -m $(BASE) -o $@ $(OUT)/common/train.jsonl
halves := test train
$(foreach m,1 fp8,$(halves:%=$(OUT)/fp8/%.$(m).tar)): $(OUT)/fp8/%.tar: | oneshot
	$(bin)/brew-score -q -j $(JOBS) -m $(OUT)/oneshot/$(subst .,,$(suffix $*)) --precision bf16 --teacher-stream $@ \
	    -o $(@:.tar=.scores.jsonl) $(OUT)/fp8/$(basename $*).tar
$(foreach m,1 fp8,$(OUT)/fp8/test.$(m).tar): $(OUT)/fp8/test.tar
$(foreach m,1 fp8,$(OUT)/fp8/train.$(m).tar): $(OUT)/fp8/train.tar
$(OUT)/fp8/compare.txt: $(foreach m,1 fp8,$(halves:%=$(OUT)/fp8/%.$(m).tar))
	for m in 1 fp8; do scripts/recipe/answers $(halves:%=$(@D)/%.$$m.tar) >$(@D)/$$m.jsonl || exit; done
	$(bin)/brew-eval -q -o $@ --compare $(@D)/1.jsonl $(@D)/fp8.jsonl

# Beside the others: paired differences are the first less each of them.
judge = $(bin)/brew-eval -q --static --json --task $(OUT)/common/films.task.json -o $(@:.tsv=.json) \
    $(foreach a,$(2),--add $(a)=$(OUT)/$(subst .,/,$(a)).scores.jsonl) $(OUT)/$(subst .,/,$(1)).scores.jsonl && \
    scripts/recipe/table $(@:.tsv=.json) $(1) >$@
$(OUT)/half.tsv: oneshot gradual norepair labels direct
	$(call judge,oneshot.1,oneshot.0 gradual.4 norepair.1 labels.1 direct.1)
$(OUT)/quarter.tsv: quarter quarter-oneshot
	$(call judge,quarter.2,quarter.0 quarter.1 quarter-oneshot.1)

.PHONY: tables common gradual oneshot norepair labels direct quarter quarter-oneshot fp8
