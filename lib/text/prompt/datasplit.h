// Data splits: which events may be learned from, and which are for judging.
//
// By time: an event belongs to train before `valid_from`, to valid before `test_from`, to test from then
// on; events of equal time are never divided. By the last share of each member: of n events in order,
// the last floor(n * test), at least one, are test, the floor(n * valid) before them (at least one, while
// there are any, if valid > 0) are valid.
//
// By time there may be a gap: what lies so close before valid or test belongs to that side, whose histories
// show it, but is not asked; so nobody learns what became known only behind the boundary. And test may be
// told apart in windows of one length, the first of which begins with it.
//
// Held out, by a hash of their names that no seed changes, are shares of the members, items and tasks: train
// asks nothing of them, and shows no event of such an item or task. Everything else stays as it is, so that
// valid and test tell what is worth more to whom training has seen.
#ifndef BREW_TEXT_DATASPLIT_H
#define BREW_TEXT_DATASPLIT_H

#include <stdbool.h>
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

enum brew_hold_out { BREW_HOLD_MEMBERS, BREW_HOLD_ITEMS, BREW_HOLD_TASKS, BREW_HOLD_OUTS };

typedef struct brew_datasplit {
    enum brew_split_by by;
    double valid, test;              // shares, for BY_SHARE and BY_LAST
    int64_t valid_from, test_from;   // ms since 1970, for BY_TIME; for BY_SHARE once found
    int64_t gap_ms, window_ms;       // for these two; 0: none
    double hold_out[BREW_HOLD_OUTS]; // shares
} brew_datasplit;

// By time (BY_TIME, BY_SHARE after brew_datasplit_find; BY_NONE: train).
enum brew_split brew_datasplit_of_time(const brew_datasplit *split, int64_t time);
// By time: does it lie in the gap before its side?
bool brew_datasplit_in_gap(const brew_datasplit *split, int64_t time);
// The window of a time in test, from 1; 0 in other sides, or where there are none.
uint32_t brew_datasplit_window(const brew_datasplit *split, int64_t time);
// Is the member, item or task of this name held out?
bool brew_datasplit_holds_out(const brew_datasplit *split, enum brew_hold_out what,
                              const char *name, size_t len);
// BY_LAST: where valid and test begin among a member's n events: *valid <= *test < n (n > 0).
void brew_datasplit_of_member(const brew_datasplit *split, size_t n, size_t *valid, size_t *test);
// BY_SHARE: the positions, among n events in order of time, of the events whose times are the
// boundaries; n where a share is 0 (the boundary is then never reached).
void brew_datasplit_ranks(const brew_datasplit *split, uint64_t n, uint64_t *valid, uint64_t *test);

#endif
