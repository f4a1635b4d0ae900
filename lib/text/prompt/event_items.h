// Private to events.c: from rows by item to events by member, each with what its item had met before.
//
// Strings pass in rounds. One thread goes through a round to find duplicates and to count, which takes the order;
// then all write what they have found for the next sort, each from a stretch of its own.
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
} brew_item_pass;

int brew_item_pass_run(brew_item_pass *pass, brew_err *err);

// Shard i of n holds the i-th of n equal ranges of the hash: one after the other they are the whole.
static inline bool brew_shard_holds(uint64_t shard, uint64_t shards, uint64_t member_hash) {
    return shards <= 1 || (uint64_t)((unsigned __int128)member_hash * shards >> 64) == shard - 1;
}

#endif
