# What a model must beat on MovieLens: prints brew-eval's JSON, in which "baselines" is what counts; the
# scores themselves are constant. Last fifth of each member's ratings (80,896 before, 19,940 after the split),
# positive from 4 stars.
#
#     make -s -f scripts/recipe/baselines.mk [TASK=testdata/movies.task.json]
#
# Reference: auc of member 0.7134, of item 0.6711, of both added 0.7633; auc_member of item 0.6404.
BUILD ?= build
TASK ?= testdata/movies.task.json

baselines: programs
	@$(BUILD)/bin/brew-promptify --task $(TASK) --split test | \
		$(BUILD)/bin/brew-eval --task $(TASK) --prompts --json

programs:
	@$(MAKE) -s $(BUILD)/bin/brew-promptify $(BUILD)/bin/brew-eval

.PHONY: baselines programs
