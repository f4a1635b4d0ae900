# What a model reads: SmolLM2, untrained, on MovieLens prompts that are wrong in one known way (--control of
# brew-promptify), each compared with the prompts as they are. Prints a table; intervals are paired, by member.
#
#     make -s -f scripts/recipe/controls.mk [PART=1/3] [HISTORY=30] [DIR=build/controls] [MODEL=...]
#
# PART=1/3 asks 200 members, 1/30 twenty. Scores are kept in DIR, so that a run that was cut off goes on; a
# change of PART, HISTORY or MODEL wants another DIR.
#
# shuffle-labels, flip-labels   AUC falls, flipped below no-labels: the answers of the history are read
# no-history, no-labels         what titles alone say remains
# shuffle-order                 little changes
# (other-note needs a task whose note or profile tells of the member, which MovieLens has not)
BUILD ?= build
PART ?= 1/3
HISTORY ?= 30
DIR ?= $(BUILD)/controls
TASK ?= testdata/movies.task.json
MODEL ?= $(shell scripts/fetch-model)
CONTROLS := shuffle-labels flip-labels no-history no-labels shuffle-order

table: $(CONTROLS:%=$(DIR)/%.json)
	@printf 'control\tauc\tdelta\tlo\thi\tauc_member\tdelta\tlo\thi\n'
	@for c in $(CONTROLS); do jq -r --arg c $$c \
	    '[$$c, (.b.metrics.auc.value, .delta.auc.value, .delta.auc.lo, .delta.auc.hi), (.b.metrics, .delta | .auc_member.value), .delta.auc_member.lo, .delta.auc_member.hi] | @tsv' \
	    $(DIR)/$$c.json || exit 1; done
	@jq -r '["none", .a.metrics.auc.value, 0, 0, 0, .a.metrics.auc_member.value, 0, 0, 0] | @tsv' $(DIR)/no-history.json
	@$(BUILD)/bin/brew-eval --compare $(DIR)/no-labels.scores $(DIR)/flip-labels.scores --json | \
	    jq -r '["flip-labels less no-labels", "", .delta.auc.value, .delta.auc.lo, .delta.auc.hi, "", .delta.auc_member.value, .delta.auc_member.lo, .delta.auc_member.hi] | @tsv'

$(DIR)/%.scores: | programs
	@mkdir -p $(DIR)
	@$(BUILD)/bin/brew-promptify --task $(TASK) --split test --shard $(PART) --max-history $(HISTORY) \
	    --control $* -o $(DIR)/$*.prompts
	@$(BUILD)/bin/brew-score -m $(MODEL) -o $@ $(DIR)/$*.prompts

$(DIR)/%.json: $(DIR)/none.scores $(DIR)/%.scores
	@$(BUILD)/bin/brew-eval --compare $^ --json -o $@

programs:
	@$(MAKE) -s $(BUILD)/bin/brew-promptify $(BUILD)/bin/brew-score $(BUILD)/bin/brew-eval

.PHONY: table programs
.SECONDARY:
