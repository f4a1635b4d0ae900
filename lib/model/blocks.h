// Inside lib/model: how a star batch is cut into blocks of rows.
//
// Segments are taken in the order of the stream. A query may be cut anywhere into pieces; an item stays
// whole. A block holds up to `rows` rows (more only where one item is longer), pieces of several
// requests, and at most `kv_budget` bytes of query caches (one request's may be larger). What no answer
// depends on is left out, unless all rows are wanted: in a request without items, all that stands behind
// the query's last answer.
//
//     block 0            block 1                    block 2
//     | query r0 ...     | ... query r0 | item | item | item | query r1 | item | ...
#ifndef BREW_MODEL_BLOCKS_H
#define BREW_MODEL_BLOCKS_H

#include "model/model.h"

// An answer's row. Listed in ascending order of rows, each row once: as blocks reach them.
typedef struct brew_reading {
    int64_t row;   // in the star
    size_t answer; // its number
    size_t request;
} brew_reading;

typedef struct brew_blocks {
    const brew_star *star;
    int64_t rows;     // of a block
    int64_t rows_cap; // rows a block can come to hold: min(all, max(rows, longest item))
    size_t spans_cap;
    int64_t positions;      // of the longest request
    int64_t *need;          // [S] rows of each segment that are computed
    brew_reading *readings; // [A]
    // The next block begins here.
    size_t request;
    int64_t segment, offset;
    size_t reading;
    // The block made by brew_blocks_next, in rows of the star; spans[i].query is the caller's to set.
    brew_span *spans;      // [spans_cap]
    int64_t *span_starts;  // [spans_cap] first row in the star
    size_t *span_requests; // [spans_cap]
    size_t n_spans;
    int64_t n_rows;
    size_t first_reading, n_readings;
} brew_blocks;

// The star has been checked. rows >= 1.
void brew_blocks_init(brew_blocks *blocks, const brew_star *star, int64_t rows, bool all_rows);
void brew_blocks_release(brew_blocks *blocks);

// Cuts the next block: true, or false when everything has been handed out. cache_bytes tells what a
// request's query cache takes.
typedef size_t brew_cache_bytes_fn(void *arg, int64_t query_len);
bool brew_blocks_next(brew_blocks *blocks, brew_cache_bytes_fn *cache_bytes, void *arg,
                      size_t kv_budget);

void brew_blocks_rewind(brew_blocks *blocks); // the first block is next again

#endif
