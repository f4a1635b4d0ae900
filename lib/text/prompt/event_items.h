// Private to events.c: from rows by item to events by member, each with what its item had met before.
//
// Strings pass in rounds, of which each thread takes a stretch. A row's string by member is written over its string
// by item, where it stands.
#ifndef BREW_TEXT_EVENT_ITEMS_H
#define BREW_TEXT_EVENT_ITEMS_H

#include "text/prompt/event_rows.h"
#include "text/prompt/sorter.h"

typedef struct brew_item_pass {
    const brew_task *task;
    brew_pool *pool;
    brew_sorter *by_item;             // in order
    brew_sorter *by_member, *by_time; // to be filled; by_time may be NULL
    bool candidates;                  // there may be some
    uint64_t shard, shards;           // of the members that are kept; shards 0 or 1: all
    brew_events_counts *counts;
    bool stay; // told: by_item must be kept as long as by_member, whose strings stand in its memory
} brew_item_pass;

int brew_item_pass_run(brew_item_pass *pass, brew_err *err);

// Shard i of n holds the i-th of n equal ranges of the hash: one after the other they are the whole.
static inline bool brew_shard_holds(uint64_t shard, uint64_t shards, uint64_t member_hash) {
    return shards <= 1 || (uint64_t)((unsigned __int128)member_hash * shards >> 64) == shard - 1;
}

#endif
