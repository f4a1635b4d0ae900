// Private to events.c: the rows of logs, as they are read and as they travel through the sorts.
#ifndef BREW_TEXT_EVENT_ROWS_H
#define BREW_TEXT_EVENT_ROWS_H

#include "base/buf.h"
#include "text/prompt/events.h"
#include "text/prompt/rows.h"

// One action on one item. Its pieces lie in the row that was read, or in the string that is passing.
typedef struct brew_row {
    size_t log;
    brew_field member, item;
    brew_field key; // request and key columns, each ended by NUL; of a candidate its request alone
    int64_t time;
    int action;      // -1: a candidate
    bool only_check; // is it good? Of a slate all are asked before the first is taken
    brew_field rest;
} brew_row;

// Takes one: 0, 1 a bad row (err says why), negative a lasting error.
typedef int brew_take_row_fn(void *arg, const brew_row *row, brew_err *err);

// Reads the rows of a log's file, or candidates for it, into sinks: as a brew_rows_taker does.
typedef struct brew_rows_of {
    const brew_task *task;
    size_t log;
    bool candidates;
    int64_t at;             // of candidates; BREW_TIME_NEVER: their own column, if there is one
    brew_take_row_fn *take; // by a sink
    void (*begin)(void *sink);
    int (*end)(void **sinks, size_t n, brew_err *err);
    void **sinks; // [n_sinks]
    size_t n_sinks;
    brew_pool *pool;
    uint64_t n; // rows read so far: times of a log without them
} brew_rows_of;
int brew_rows_of_log(brew_rows_of *reader, const char *path, brew_reject_fn *reject, void *arg,
                     brew_events_counts *counts, brew_err *err);

int brew_row_bad(brew_err *err, const char *why); // 1

// The row as the three sorts want it, and back again: _of_unit from the key alone, behind which the row's time
// stands. `before` are the item's events before this one. A string by item has room to be written over with that of
// the same row by member.
void brew_row_by_unit(const brew_row *row, brew_buf *out);
void brew_row_by_item(const brew_task *task, const brew_row *row, brew_buf *out);
void brew_row_by_member(const brew_row *row, uint64_t member_hash, uint64_t before, brew_buf *out);
brew_row brew_row_of_unit(const brew_task *task, const char *key);
// From a string behind its length. The lengths of what its item's events, and all rows of its event, begin with.
typedef struct brew_item_lens {
    size_t item, event;
} brew_item_lens;
brew_item_lens brew_row_of_item(const brew_task *task, const unsigned char *string, brew_row *out);
uint64_t brew_row_of_member(const brew_task *task, const char *bytes, size_t len,
                            brew_row *out); // before
// Fills weight and context from the rest; the split it tells, or -1.
int brew_row_rest(const brew_log *log, brew_field rest, brew_member *member, brew_event *event);

#endif
