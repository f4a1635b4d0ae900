// The events of a task, member by member: what was done with what, when, and on which side of the split.
//
//     brew_events *events = brew_events_open(task, &options, &err);
//     brew_member member = {0};
//     int got;
//     while ((got = brew_events_next(events, &member, &err)) > 0)
//         for (size_t i = 0; i < member.n; i++) use(&member, &member.events[i]);
//     brew_member_release(&member);
//     brew_events_close(events);
//
// What an event is
// - Of a log without units: a row; of several rows with the same member, item and time the one whose
//   action stands first in the task is kept. Its answer is known at once.
// - Of a log with units: the rows of one key (member, item, request, further columns) no later than
//   `window` after the first of them. Its time and context are those of the first row (of rows of one
//   time, the one whose action stands first), its action is the strongest of all, known when window and
//   lag have passed. A later row begins another event; with a request or further columns in the key it is
//   too late, and is dropped. Events whose window the log's end cuts are young: dropped and counted.
//
// Promises
// - Every accepted row is counted.
// - Members come in the order of (brew_hash64(id, seed 0), id), the events of one in the order of (time,
//   log, request and key, item), each by its bytes. Nothing depends on the order of the rows (unless they
//   have no times, and their numbers stand for them), on the memory allowed, or on the shard: the shards
//   1..N one after the other are the whole.
// - `split` is set as the log or the task's split says, `item_history` is the number of events of the same
//   item, by anyone, strictly before this event's time.
// - Memory is bounded by options.memory_bytes plus the events of one member (and one buffer per 1/16 of
//   the limit); what does not fit lies in files without a name in $TMPDIR (or /tmp), which vanish with
//   the process.
#ifndef BREW_TEXT_EVENTS_H
#define BREW_TEXT_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/pool.h"
#include "text/prompt/datasplit.h"
#include "text/prompt/task.h"

#define BREW_TIME_NEVER INT64_MAX

typedef struct brew_event {
    const char *item, *request; // NUL-terminated, in the member's arena; request is "" for none
    size_t item_len, request_len;
    int64_t time;   // ms since 1970, when it was shown
    int64_t known;  // when its action became known: history may use it behind that, never at it
    int32_t action; // index into the log's actions; -1: a candidate
    bool positive;  // that action's; false for a candidate
    bool drawn;     // a negative that is not in the log
    bool at_once;   // known as it happens: events of the very same time may stand before its answer
    uint8_t split;  // enum brew_split
    uint8_t log;    // index into task->logs
    bool gap;       // in the gap before its side: shown, never asked
    uint32_t window;     // of the test side, from 1; 0: none
    double weight, rate; // rate: with which probability such an event is here
    uint64_t item_history;
    const brew_field *context; // [the log's context.n]; NULL: no such field
} brew_event;

// Caller's storage: zero-initialise, fill again and again, release.
typedef struct brew_member {
    const char *id; // NUL-terminated
    size_t id_len;
    brew_event *events; // [n]
    size_t n, cap;
    double *values; // [n][features], filled by brew_asof_next
    size_t values_cap;
    brew_arena arena;
} brew_member;

// A bad row: where it stands, its raw text, why. Returns 0 to go on, -1 to stop with what is then in *why.
typedef int brew_reject_fn(void *arg, const char *file, uint64_t line, const char *row, size_t len,
                           brew_err *why);
// Is an item (or member) of a log known? For rows that must be joined with a table; NULL: all are.
typedef bool brew_known_fn(void *arg, size_t log, const char *id, size_t len);

typedef struct brew_events_options {
    // Instead of the task's own, if it has one log; "-", or neither: standard input.
    char **files; // [n_files]
    size_t n_files;
    size_t memory_bytes;    // 0: 512 MiB
    brew_pool *pool;        // rows are sorted on; may be NULL
    uint64_t shard, shards; // 1..shards; 0: all
    bool all_first; // members of all shards come, until brew_events_rewind: then the shard's
    // Rows of (member, item) and what task->candidates names, or NULL: they come as events of the first log
    // that is asked, after all others of their member whatever their time, by (request, time, item), with
    // action -1. They belong to no split and are not counted. Their time is `at` (ms), or if that is 0
    // their own, or BREW_TIME_NEVER.
    const char *candidates;
    int64_t at;
    brew_reject_fn *reject; // NULL: the first bad row is an error
    brew_known_fn *item_known, *member_known;
    void *arg; // for the three
} brew_events_options;

typedef struct brew_events_counts {
    uint64_t read, accepted, rejected; // rows; read = accepted + rejected
    uint64_t duplicates;               // rows that are part of another row's event
    uint64_t late;                     // rows later than the window of their event
    uint64_t young;                    // events left out because their action is not known yet
    uint64_t events;                   // in all shards, without candidates
    uint64_t items;                    // distinct
} brew_events_counts;

typedef struct brew_events brew_events;

// Reads all rows; NULL on failure. options may be NULL.
brew_events *brew_events_open(const brew_task *task, const brew_events_options *options,
                              brew_err *err);
// The next member into *member: 1, 0 at the end, -1 on error (only reading back what was spilled fails).
int brew_events_next(brew_events *events, brew_member *member, brew_err *err);
// The order in which two streams' next members come: below, at or above 0; who has none comes last. The
// answer is 0 if both have none.
int brew_events_compare(const brew_events *a, const brew_events *b);
// Members come again from the first: all that came, or those of the shard alone.
int brew_events_rewind(brew_events *events, bool all, brew_err *err);
// Does a member belong to the shard asked for?
bool brew_events_in_shard(const brew_events *events, const char *member, size_t len);
const brew_events_counts *brew_events_counted(const brew_events *events);
// The split with its boundaries found.
const brew_datasplit *brew_events_split(const brew_events *events);
brew_pool *brew_events_pool(const brew_events *events); // that of the options
void brew_events_close(brew_events *events);            // NULL is fine
void brew_member_release(brew_member *member);

#endif
