// Data splits: which events may be learned from, and which are for judging.
//
// By time: an event belongs to train before `valid_from`, to valid before `test_from`, to test from then
// on; events of equal time are never divided. By the last share of each member: of n events in order,
// the last floor(n * test), at least one, are test, the floor(n * valid) before them (at least one, while
// there are any, if valid > 0) are valid.
#ifndef BREW_TEXT_DATASPLIT_H
#define BREW_TEXT_DATASPLIT_H

#include <stddef.h>
#include <stdint.h>

enum brew_split { BREW_SPLIT_TRAIN, BREW_SPLIT_VALID, BREW_SPLIT_TEST, BREW_SPLITS };

// "train", "valid", "test".
const char *brew_split_name(enum brew_split split);

enum brew_split_by {
    BREW_SPLIT_BY_NONE,  // all events are train
    BREW_SPLIT_BY_TIME,  // two boundaries in time
    BREW_SPLIT_BY_SHARE, // shares of all events in order of time: the boundaries are found by a pass
    BREW_SPLIT_BY_LAST   // last shares of each member
};

typedef struct brew_datasplit {
    enum brew_split_by by;
    double valid, test;            // shares, for BY_SHARE and BY_LAST
    int64_t valid_from, test_from; // ms since 1970, for BY_TIME; for BY_SHARE once found
} brew_datasplit;

// By time (BY_TIME, BY_SHARE after brew_datasplit_find; BY_NONE: train).
enum brew_split brew_datasplit_of_time(const brew_datasplit *split, int64_t time);
// BY_LAST: where valid and test begin among a member's n events: *valid <= *test < n (n > 0).
void brew_datasplit_of_member(const brew_datasplit *split, size_t n, size_t *valid, size_t *test);
// BY_SHARE: the positions, among n events in order of time, of the events whose times are the
// boundaries; n where a share is 0 (the boundary is then never reached).
void brew_datasplit_ranks(const brew_datasplit *split, uint64_t n, uint64_t *valid, uint64_t *test);

#endif
