#include "text/prompt/datasplit.h"

#include <math.h>

#include "base/hash.h"

const char *brew_split_name(enum brew_split split) {
    static const char *const names[] = {"train", "valid", "test"};
    return names[split];
}

static bool by_time(const brew_datasplit *split) {
    return split->by == BREW_SPLIT_BY_TIME || split->by == BREW_SPLIT_BY_SHARE;
}

// A side with the gap before it; a boundary that is never reached has none.
static int64_t begin_of(int64_t from, int64_t gap) {
    return from == INT64_MAX || from < INT64_MIN + gap ? from : from - gap;
}

enum brew_split brew_datasplit_of_time(const brew_datasplit *split, int64_t time) {
    if (!by_time(split)) return BREW_SPLIT_TRAIN;
    if (time >= begin_of(split->test_from, split->gap_ms)) return BREW_SPLIT_TEST;
    return time >= begin_of(split->valid_from, split->gap_ms) ? BREW_SPLIT_VALID : BREW_SPLIT_TRAIN;
}

bool brew_datasplit_in_gap(const brew_datasplit *split, int64_t time) {
    enum brew_split side = brew_datasplit_of_time(split, time);
    return (side == BREW_SPLIT_TEST && time < split->test_from) ||
           (side == BREW_SPLIT_VALID && time < split->valid_from);
}

uint32_t brew_datasplit_window(const brew_datasplit *split, int64_t time) {
    if (!by_time(split) || !split->window_ms || time < split->test_from) return 0;
    return (uint32_t)((time - split->test_from) / split->window_ms + 1);
}

bool brew_datasplit_holds_out(const brew_datasplit *split, enum brew_hold_out what,
                              const char *name, size_t len) {
    if (split->hold_out[what] <= 0) return false;
    // Not the hash by which members are divided into shards.
    uint64_t hash = brew_hash64(name, len, UINT64_C(0x686f6c64) + what);
    return (double)(hash >> 11) * 0x1p-53 < split->hold_out[what];
}

// floor(n * share), where a product that is whole but for rounding counts as whole (0.29 * 100).
static uint64_t share_of(double share, uint64_t n) {
    uint64_t count = (uint64_t)floor((double)n * share + 1e-9 * (double)n + 1e-9);
    return count < n ? count : n;
}

void brew_datasplit_of_member(const brew_datasplit *split, size_t n, size_t *valid, size_t *test) {
    size_t n_test = share_of(split->test, n), n_valid = share_of(split->valid, n);
    if (!n_test) n_test = 1;
    if (!n_valid && split->valid > 0) n_valid = 1;
    if (n_valid > n - n_test) n_valid = n - n_test;
    *test = n - n_test;
    *valid = *test - n_valid;
}

void brew_datasplit_ranks(const brew_datasplit *split, uint64_t n, uint64_t *valid,
                          uint64_t *test) {
    uint64_t n_test = share_of(split->test, n), n_valid = share_of(split->valid, n);
    if (n_valid > n - n_test) n_valid = n - n_test;
    *test = n - n_test;
    *valid = *test - n_valid;
}
