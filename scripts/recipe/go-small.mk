# Going small, a little at a time: train, then cut and distil by turns, then quantise, each stage judged.
#
#     make -f scripts/recipe/go-small.mk TASK=movies.task.json BASE=models/base \
#         STEPS="mlp:0.8 layers:0.8 heads:0.67 mlp:0.7 layers:0.7" [OUT=DIR]
#
# Stage 0 is BASE trained on the task's train events (or BASE itself with TRAINED=1); every step cuts the
# last stage, several ways at once if it is written mlp:0.8+layers:0.8, and distils from stage 0; the last stage
# is quantised to FP8 and INT8. A stage that is done
# is not done again, one that was stopped goes on. The chain ends early, and says so, where the lower end
# of the paired difference of per-member AUC to stage 0 falls below -ALLOW: then cut less. ALLOW= asks nothing of
# stages between.
#
# OUT/stages.tsv and OUT/stages.jsonl: parameters of the body and of all, bytes, items/s, metrics with
# intervals, and the paired differences to stage 0. What chooses (OUT/calib.tar, train events) never
# judges (OUT/test.tar).
BUILD ?= build
TASK ?= $(OUT)/films.task.json
BASE ?= $(HOME)/.cache/brew/SmolLM2-135M-Instruct.gguf
STEPS ?= mlp:0.8 layers:0.8 heads:0.67 mlp:0.7 layers:0.7
OUT ?= $(BUILD)/recipe/go-small
TRAINED ?=
TOKENS ?= 1000000
# of a step; several: of one step each, the last one of all that follow
STEP_TOKENS ?= 300000
# train records that are learned from, evenly drawn; all, where empty
RECORDS ?=
# stream: stage 0 is asked once about all of them, which pays where the steps take more tokens together
TEACHER ?=
CALIBRATION ?= 128
HISTORY ?= 50
SHARD ?= 1/3
LR ?= 1e-4
# likewise
STEP_LR ?= 1e-4
ALPHA ?= 0.9
TAU ?= 1
ALLOW ?= 0.02
SEED ?= 1
JOBS ?= 0
PRUNE ?=
LEARN ?= --history-weight 2 --order shuffle --batch 4 --betas 0.9,0.98 --schedule cosine --warmup 10 --precision bf16
bin := $(BUILD)/bin
steps := $(words $(STEPS))
numbers := $(wordlist 1,$(steps),1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16)
before = $(words $(wordlist 2,$(1),$(numbers)))
all_stages := 0 $(numbers) fp8 int8

stages: $(OUT)/stages.tsv
	@scripts/recipe/stages --text $<

$(OUT)/films.task.json:
	scripts/recipe/films $(OUT)
$(OUT)/%.jsonl: $(TASK)
	@mkdir -p $(@D)
	$(bin)/brew-promptify -q --task $(TASK) --split $* --max-history $(HISTORY) \
	    $(if $(filter test,$*),--questions 100 --shard $(SHARD)) -o $@
# Every so many records, so that all members may say what matters.
draw = awk -v n=$$(wc -l <$<) -v want=$(1) 'want == "" || NR * want % n < want' $< | $(bin)/brew-tokenize -q -m $(BASE) -o $@
$(OUT)/test.tar: $(OUT)/test.jsonl
	$(call draw,)
$(OUT)/train.tar: $(OUT)/train.jsonl
	$(call draw,$(RECORDS))
$(OUT)/calib.tar: $(OUT)/train.jsonl
	$(call draw,$(CALIBRATION))

# Saved as they are served, in BF16, so that sizes compare.
learn = $(bin)/$(1) --save-dtype bf16 -j $(JOBS) --progress $(LEARN)
$(OUT)/0/model.safetensors: $(OUT)/train.tar
ifeq ($(TRAINED),)
	$(call learn,brew-train) -m $(BASE) -o $(@D) --seed $(SEED) --tokens $(TOKENS) --lr $(LR) $<
else
	$(bin)/brew-quantize -q -m $(BASE) -o $(@D) --scheme bf16
endif

$(OUT)/teacher.tar: $(OUT)/0/model.safetensors $(OUT)/train.tar
	$(bin)/brew-score -q -j $(JOBS) -m $(OUT)/0 --precision bf16 --teacher-stream $@ -o $(OUT)/teacher.scores.jsonl \
	    $(OUT)/train.tar

# Layers named by numbers, without a share, ask nothing of the calibration requests. ALPHA=0 learns from the labels
# alone, without asking the teacher. Every step shuffles the records anew.
hear := $(if $(TEACHER),$(OUT)/teacher.tar,$(OUT)/0)
heal := $(if $(filter 0,$(ALPHA)),brew-train,brew-distill --teacher $(hear) $(if $(TEACHER),,--teacher-precision bf16) \
    --alpha $(ALPHA) --tau $(TAU))
of_step = $(or $(word $(1),$(2)),$(lastword $(2)))
# $(1): the stage, $(2): the one before, $(3): kind and share
define step
$(OUT)/cut$(1)/model.safetensors: $(OUT)/$(2)/model.safetensors $(OUT)/$(2).good $(OUT)/calib.tar
	rm -rf $$(@D)
	$(bin)/brew-prune -j $(JOBS) -m $(OUT)/$(2) -o $$(@D) $(addprefix --,$(subst :,=,$(subst +, ,$(3)))) \
	    $(if $(findstring .,$(3)),$(PRUNE) $(OUT)/calib.tar)
$(OUT)/$(1)/model.safetensors: $(OUT)/cut$(1)/model.safetensors $(OUT)/train.tar $(if $(filter 0,$(ALPHA)),,$(filter %.tar,$(hear)))
	$$(call learn,$(heal)) -m $(OUT)/cut$(1) -o $$(@D) --seed $(SEED)$(1) --tokens $(call of_step,$(1),$(STEP_TOKENS)) \
	    --lr $(call of_step,$(1),$(STEP_LR)) $(OUT)/train.tar
endef
$(foreach i,$(numbers),$(eval $(call step,$(i),$(call before,$(i)),$(word $(i),$(STEPS)))))

$(OUT)/fp8/model.safetensors $(OUT)/int8/model.safetensors: $(OUT)/%/model.safetensors: \
    $(OUT)/$(steps)/model.safetensors $(OUT)/$(steps).good $(OUT)/steps
	rm -rf $(@D)
	$(bin)/brew-quantize -q -m $(OUT)/$(steps) -o $(@D) --scheme $*

$(foreach s,$(all_stages),$(OUT)/$(s).scores.jsonl): $(OUT)/%.scores.jsonl: $(OUT)/%/model.safetensors $(OUT)/test.tar
	$(bin)/brew-score -q -j $(JOBS) -m $(OUT)/$* --precision bf16 --summary $(OUT)/$*.score.json \
	    -o $@ $(OUT)/test.tar
ifeq ($(ALLOW),)
$(foreach s,0 $(numbers),$(OUT)/$(s).good): $(OUT)/%.good: $(OUT)/%/model.safetensors
	@touch $@
else
$(OUT)/0.good: $(OUT)/0.scores.jsonl
	@touch $@
$(OUT)/%.good: $(OUT)/%.scores.jsonl $(OUT)/0.scores.jsonl
	@$(bin)/brew-eval -q --compare $(OUT)/0.scores.jsonl $< --gate 'delta.auc_member.lo>=-$(ALLOW)' \
	    >$(OUT)/$*.compare.txt || { s=$$?; cat $(OUT)/$*.compare.txt; \
	    echo "stage $* lost more than $(ALLOW) per member: cut less in step $*" >&2; exit $$s; }
	@touch $@
endif

$(OUT)/eval.json: $(foreach s,$(all_stages),$(OUT)/$(s).scores.jsonl) $(OUT)/steps
	$(bin)/brew-eval -q --static --task $(TASK) --json -o $@ \
	    $(foreach s,$(filter-out 0,$(all_stages)),--add $(s)=$(OUT)/$(s).scores.jsonl) $<
# More steps than last time are gone on with.
$(OUT)/steps: FORCE
	@mkdir -p $(@D)
	@echo "$(STEPS)" | cmp -s - $@ || { echo "$(STEPS)" >$@.part && mv $@.part $@; }
FORCE:
$(OUT)/stages.jsonl: $(OUT)/eval.json
	scripts/recipe/stages $(bin) $(OUT) "$(STEPS)" $(all_stages) >$@.part && mv $@.part $@
$(OUT)/stages.tsv: $(OUT)/stages.jsonl
	scripts/recipe/stages --tsv $< >$@.part && mv $@.part $@

.PHONY: stages FORCE
.SECONDARY:
