// What prompts look like on the whole: how often each answer is the right one, and how long they are.
//
// Sums only, so that each thread may have its own and any order of merging gives the same.
#ifndef BREW_TEXT_STATS_H
#define BREW_TEXT_STATS_H

#include "base/buf.h"
#include "text/prompt/task.h"

enum brew_stats_text { BREW_STATS_QUERY, BREW_STATS_ITEM, BREW_STATS_TEXTS };
enum brew_stats_dropped {
    BREW_STATS_GAP,      // events in a gap of the split
    BREW_STATS_HELD_OUT, // training events that are held out, of members, items or tasks
    BREW_STATS_DROPPED
};

typedef struct brew_stats brew_stats;

brew_stats *brew_stats_new(const brew_task *task); // which must outlive it
void brew_stats_free(brew_stats *stats);           // NULL is fine
// side: enum brew_split, or BREW_SPLITS for candidates; a target of -1 is unknown.
void brew_stats_answer(brew_stats *stats, int side, size_t log, size_t kind, int64_t target);
void brew_stats_text(brew_stats *stats, int side, enum brew_stats_text what, const char *text,
                     size_t len);
void brew_stats_drop(brew_stats *stats, enum brew_stats_dropped why);
uint64_t brew_stats_dropped(const brew_stats *stats, enum brew_stats_dropped why);
void brew_stats_merge(brew_stats *into, const brew_stats *from);
// Appends the side's figures, a line each: SIDE, figure, number, share or further numbers, parted by tabs.
void brew_stats_write(const brew_stats *stats, int side, brew_buf *out);

#endif
