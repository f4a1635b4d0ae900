// What a pruning came to, for people and for files.
#ifndef BREW_SHRINK_TOLD_H
#define BREW_SHRINK_TOLD_H

#include <stdio.h>

#include "io/json.h"
#include "shrink/prune.h"

// Lines of text: what stays of what, sizes, and what the repair did. details: the damage of each layer, too.
void brew_told_print(FILE *to, const brew_pruned *pruned, const brew_config *config, bool details);
// An object of the same in numbers.
brew_json *brew_told_facts(const brew_pruned *pruned, const brew_config *config);
// What was cut and why, for the chain of what made the model.
brew_json *brew_told_arguments(const brew_pruned *pruned, const brew_prune_options *options);

#endif
