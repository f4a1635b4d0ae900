// The memory a run needs, added up before its first step, and what the machine has.
#ifndef BREW_TRAIN_PLAN_H
#define BREW_TRAIN_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum { BREW_PLAN_PARTS = 12 };

// Sums of named parts, in bytes. Zero-initialise.
typedef struct brew_plan {
    struct {
        const char *name; // borrowed
        size_t bytes;
    } parts[BREW_PLAN_PARTS];
    size_t n, total;
} brew_plan;

void brew_plan_add(brew_plan *plan, const char *name, size_t bytes); // nothing is left out
// "weights 538 MB + gradients 538 MB + ... = 3.34 GB"
void brew_plan_write(const brew_plan *plan, brew_buf *out);

// What this process may use: the machine's memory, or what its control group is limited to.
size_t brew_memory_limit(void);
// "512M", "3.5G", "1e9": bytes, or thousands, millions, thousand millions of them.
int brew_memory_parse(const char *text, size_t *bytes, brew_err *err);

#endif
