#define _DEFAULT_SOURCE // _SC_PHYS_PAGES
#include "train/plan.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/num.h"

void brew_plan_add(brew_plan *plan, const char *name, size_t bytes) {
    if (!bytes || plan->n == BREW_PLAN_PARTS) return;
    plan->parts[plan->n].name = name;
    plan->parts[plan->n++].bytes = bytes;
    plan->total += bytes;
}

static void write_bytes(brew_buf *out, size_t bytes) {
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    double value = (double)bytes;
    size_t unit = 0;
    for (; value >= 999.5 && unit < 4; unit++) value /= 1000;
    brew_buf_addf(out, value < 9.995 && unit ? "%.2f %s" : "%.0f %s", value, units[unit]);
}

void brew_plan_write(const brew_plan *plan, brew_buf *out) {
    for (size_t i = 0; i < plan->n; i++) {
        brew_buf_addf(out, "%s%s ", i ? " + " : "", plan->parts[i].name);
        write_bytes(out, plan->parts[i].bytes);
    }
    brew_buf_adds(out, " = ");
    write_bytes(out, plan->total);
}

// The number a file of the kernel holds; huge if there is none, or it says "max".
static double read_limit(const char *path) {
    FILE *file = fopen(path, "r");
    char text[64] = "";
    double value;
    bool read = file && fgets(text, sizeof text, file);
    if (file) fclose(file);
    text[strcspn(text, "\n")] = 0;
    return read && brew_parse_double(text, strlen(text), &value) ? value : 1e30;
}

size_t brew_memory_limit(void) {
    double pages = (double)sysconf(_SC_PHYS_PAGES), size = (double)sysconf(_SC_PAGESIZE);
    double limit = pages * size;
    static const char *const groups[] = {"/sys/fs/cgroup/memory.max",
                                         "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
    for (size_t i = 0; i < 2; i++) {
        double bytes = read_limit(groups[i]);
        if (bytes < limit) limit = bytes;
    }
    return (size_t)limit;
}

int brew_memory_parse(const char *text, size_t *bytes, brew_err *err) {
    size_t len = strlen(text);
    double value, unit = 1;
    static const char letters[] = "kMGT";
    const char *letter = len ? strchr(letters, text[len - 1]) : NULL;
    for (const char *at = letters; letter && at <= letter; at++) unit *= 1000;
    if (!brew_parse_double(text, len - (letter != NULL), &value) || value * unit < 1 ||
        value * unit > 1e18)
        return brew_fail(err, BREW_USAGE, "--memory takes a size, as in 8G");
    *bytes = (size_t)(value * unit);
    return 0;
}
