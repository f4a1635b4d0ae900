#include "text/prompt/datasplit.h"

#include <math.h>

const char *brew_split_name(enum brew_split split) {
    static const char *const names[] = {"train", "valid", "test"};
    return names[split];
}

enum brew_split brew_datasplit_of_time(const brew_datasplit *split, int64_t time) {
    if (split->by != BREW_SPLIT_BY_TIME && split->by != BREW_SPLIT_BY_SHARE)
        return BREW_SPLIT_TRAIN;
    if (time >= split->test_from) return BREW_SPLIT_TEST;
    return time >= split->valid_from ? BREW_SPLIT_VALID : BREW_SPLIT_TRAIN;
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
