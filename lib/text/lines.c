#include "text/lines.h"

#include <stdlib.h>

#include "base/mem.h"

// A chunk is large enough that handing it to a thread costs nothing, and small enough that a slow
// producer's lines do not wait long.
enum { CHUNK_LINES = 128, CHUNK_BYTES = 128 << 10, CHUNKS_PER_THREAD = 4 };

struct entry { // one line; ends are where its bytes and results stop
    uint64_t number;
    size_t line_end, text_end, n_requests;
    brew_err *failed;
};

struct chunk {
    brew_buf bytes, text;
    brew_star star;
    struct entry entries[CHUNK_LINES];
    size_t n;
};

struct brew_lines {
    brew_in *in;
    brew_pool *pool;
    brew_line_fn *fn;
    void *arg;
    struct chunk *chunks;
    size_t cap, n, chunk, entry; // chunks in use; what comes out next
    int end;                     // 0 more may come, 1 the end is reached, -1 `failure`
    brew_err failure;
};

brew_lines *brew_lines_new(brew_in *in, brew_pool *pool, brew_line_fn *fn, void *arg) {
    brew_lines *lines = brew_calloc(1, sizeof *lines);
    lines->in = in;
    lines->pool = pool;
    lines->fn = fn;
    lines->arg = arg;
    lines->cap = (size_t)brew_pool_threads(pool) * CHUNKS_PER_THREAD;
    lines->chunks = brew_calloc(lines->cap, sizeof *lines->chunks);
    return lines;
}

static void empty(struct chunk *chunk) {
    for (size_t i = 0; i < chunk->n; i++) free(chunk->entries[i].failed);
    chunk->n = 0;
    brew_buf_reset(&chunk->bytes);
    brew_buf_reset(&chunk->text);
    brew_star_reset(&chunk->star);
}

void brew_lines_free(brew_lines *lines) {
    if (!lines) return;
    for (size_t i = 0; i < lines->cap; i++) {
        empty(lines->chunks + i);
        brew_buf_release(&lines->chunks[i].bytes);
        brew_buf_release(&lines->chunks[i].text);
        brew_star_release(&lines->chunks[i].star);
    }
    free(lines->chunks);
    free(lines);
}

static brew_err *keep(const brew_err *err) {
    brew_err *copy = brew_alloc(sizeof *copy);
    *copy = *err;
    return copy;
}

static void read_chunk(brew_lines *lines, struct chunk *chunk) {
    empty(chunk);
    while (!lines->end && chunk->n < CHUNK_LINES && chunk->bytes.len < CHUNK_BYTES) {
        const char *line = NULL; // a line with a NUL is given, one that is too long is not
        size_t len = 0;
        brew_err err = {0};
        int got = brew_in_line(lines->in, &line, &len, BREW_LINE_MAX, &err);
        if (!got) lines->end = 1;
        if (got < 0 && brew_in_failed(lines->in)) {
            lines->end = -1;
            lines->failure = err;
        }
        if (lines->end) return;
        struct entry *entry = chunk->entries + chunk->n++;
        *entry = (struct entry){.number = brew_in_line_number(lines->in)};
        if (got < 0) entry->failed = keep(&err);
        if (line) brew_buf_add(&chunk->bytes, line, len);
        entry->line_end = chunk->bytes.len;
    }
}

static void run_chunk(void *arg, size_t task, int worker) {
    brew_lines *lines = arg;
    struct chunk *chunk = lines->chunks + task;
    size_t begin = 0;
    brew_err err = {0};
    for (size_t i = 0; i < chunk->n; begin = chunk->entries[i++].line_end) {
        struct entry *entry = chunk->entries + i;
        const char *line = chunk->bytes.ptr ? chunk->bytes.ptr + begin : "";
        if (!entry->failed && lines->fn(lines->arg, worker, line, entry->line_end - begin,
                                        &chunk->star, &chunk->text, &err))
            entry->failed = keep(&err);
        entry->text_end = chunk->text.len;
        entry->n_requests = chunk->star.n_requests;
    }
}

static void read_round(brew_lines *lines) {
    lines->n = lines->chunk = lines->entry = 0;
    while (lines->n < lines->cap && !lines->end) {
        struct chunk *chunk = lines->chunks + lines->n;
        read_chunk(lines, chunk);
        if (chunk->n) lines->n++;
    }
    brew_pool_run(lines->pool, lines->n, run_chunk, lines);
}

int brew_lines_next(brew_lines *lines, brew_line *line, brew_err *err) {
    while (lines->chunk == lines->n) {
        if (lines->end < 0) *err = lines->failure;
        if (lines->end) return lines->end < 0 ? -1 : 0;
        read_round(lines);
    }
    struct chunk *chunk = lines->chunks + lines->chunk;
    const struct entry *entry = chunk->entries + lines->entry;
    size_t first = lines->entry, line_begin = first ? entry[-1].line_end : 0;
    size_t text_begin = first ? entry[-1].text_end : 0;
    size_t requests = first ? entry[-1].n_requests : 0;
    *line = (brew_line){.line = chunk->bytes.ptr ? chunk->bytes.ptr + line_begin : "",
                        .len = entry->line_end - line_begin,
                        .number = entry->number,
                        .failed = entry->failed,
                        .text = chunk->text.ptr ? chunk->text.ptr + text_begin : "",
                        .text_len = entry->text_end - text_begin,
                        .star = entry->n_requests > requests ? &chunk->star : NULL,
                        .request = requests};
    if (++lines->entry == chunk->n) {
        lines->chunk++;
        lines->entry = 0;
    }
    return 1;
}
