#include "text/prompt/sorter.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "text/prompt/sortstrings.h"

enum { AHEAD = 8 }; // strings called for in advance: in order they lie anywhere

typedef brew_sort_entry entry;

typedef struct run { // a stretch of the file, read through a window of its own
    uint64_t begin, offset, end;
    unsigned char *window;
    size_t have, used, cap;
    const unsigned char *bytes; // the current string, in the window
    size_t len;
} run;

struct brew_sorter {
    brew_pool *pool;
    brew_slab slab;
    size_t data_bytes, n_entries, next_entry;
    int fd; // -1: nothing spilled
    uint64_t file_bytes;
    run *runs;
    size_t n_runs, runs_cap, n_heap;
    size_t *heap; // run numbers, smallest string first
    bool started;
    unsigned char room[12]; // of a short string that is passing
};

static int compare_bytes(const unsigned char *a, size_t a_len, const unsigned char *b,
                         size_t b_len) {
    int order = memcmp(a, b, a_len < b_len ? a_len : b_len);
    return order ? order : (a_len > b_len) - (a_len < b_len);
}

brew_sorter *brew_sorter_new(size_t memory_bytes, brew_pool *pool, brew_err *err) {
    brew_sorter *sorter = brew_calloc(1, sizeof *sorter);
    sorter->pool = pool;
    sorter->fd = -1;
    if (memory_bytes < BREW_SORTER_MIN) memory_bytes = BREW_SORTER_MIN;
    memory_bytes &= ~(size_t)(sizeof(entry) - 1); // entries stand aligned at the end
    if (!brew_slab_init(&sorter->slab, memory_bytes, "sorting", err)) return sorter;
    free(sorter);
    return NULL;
}

void brew_sorter_use(brew_sorter *sorter, brew_pool *pool) {
    sorter->pool = pool;
}

void brew_sorter_free(brew_sorter *sorter) {
    if (!sorter) return;
    if (sorter->fd >= 0) close(sorter->fd);
    for (size_t i = 0; i < sorter->n_runs; i++) free(sorter->runs[i].window);
    free(sorter->runs);
    free(sorter->heap);
    brew_slab_release(&sorter->slab);
    free(sorter);
}

size_t brew_sorter_runs(const brew_sorter *sorter) {
    return sorter->n_runs;
}

static entry *entries(const brew_sorter *sorter) { // the first; they were added downwards
    return (entry *)((char *)sorter->slab.ptr + sorter->slab.bytes) - sorter->n_entries;
}

static int spill_open(brew_sorter *sorter, brew_err *err) {
    const char *dir = getenv("TMPDIR");
    brew_buf path = {0};
    brew_buf_addf(&path, "%s/brew-XXXXXX", dir && *dir ? dir : "/tmp");
    sorter->fd = mkstemp(path.ptr);
    int status = 0;
    if (sorter->fd < 0 || unlink(path.ptr) || fcntl(sorter->fd, F_SETFD, FD_CLOEXEC) < 0)
        status = brew_fail_errno(err, BREW_CANTCREATE, "cannot create a temporary file in %s",
                                 dir && *dir ? dir : "/tmp");
    brew_buf_release(&path);
    return status;
}

static int spill_write(brew_sorter *sorter, const void *bytes, size_t len, brew_err *err) {
    const char *at = bytes;
    while (len) {
        ssize_t put = write(sorter->fd, at, len);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return brew_fail_errno(err, BREW_IO, "cannot write a temporary file");
        at += put;
        len -= (size_t)put;
        sorter->file_bytes += (uint64_t)put;
    }
    return 0;
}

// The length of a string that stands in its entry's word.
static const uint32_t short_lens[] = {0, 1, 2, 3, 4, 5, 6, 7, 8};

static inline bool is_short(const entry *e) {
    const uint32_t *at = (const uint32_t *)(const void *)e->at;
    return at >= short_lens && at <= &short_lens[8];
}

static inline entry entry_of(const unsigned char *at) {
    size_t len = brew_sort_len(at);
    return (entry){brew_sort_word(at + 4, len, 0),
                   len > 8 ? at : (const unsigned char *)&short_lens[len]};
}

// The entry's string behind its length; a short one is written into room[12].
static const unsigned char *string_of(const entry *e, unsigned char *room) {
    if (!is_short(e)) return e->at;
    memcpy(room, e->at, 4);
    for (int i = 0; i < 8; i++) room[4 + i] = (unsigned char)(e->word >> (56 - 8 * i));
    return room;
}

static int too_long(const brew_sorter *sorter, size_t len, brew_err *err) {
    return brew_fail(err, BREW_DATA, "a row of %zu bytes is too long to sort in %zu", len,
                     sorter->slab.bytes);
}

// Sorts what is in memory, writes it as a run, and starts afresh.
static int spill(brew_sorter *sorter, brew_err *err) {
    if (sorter->fd < 0 && spill_open(sorter, err)) return -1;
    entry *e = entries(sorter);
    brew_sort_strings(e, sorter->n_entries, sorter->pool);
    BREW_GROW(sorter->runs, sorter->n_runs + 1, sorter->runs_cap);
    run *out = &sorter->runs[sorter->n_runs++];
    *out = (run){.begin = sorter->file_bytes, .offset = sorter->file_bytes};
    brew_buf pending = {0};
    int status = 0;
    for (size_t i = 0; i < sorter->n_entries && !status; i++) {
        unsigned char room[12];
        const unsigned char *at = string_of(&e[i], room);
        brew_buf_add(&pending, at, 4 + (size_t)brew_sort_len(at));
        if (pending.len < 1 << 16 && i + 1 < sorter->n_entries) continue;
        status = spill_write(sorter, pending.ptr, pending.len, err);
        brew_buf_reset(&pending);
    }
    brew_buf_release(&pending);
    out->end = sorter->file_bytes;
    sorter->n_entries = 0;
    sorter->data_bytes = 0;
    return status;
}

int brew_sorter_add(brew_sorter *sorter, const void *bytes, size_t len, brew_err *err) {
    if (len > sorter->slab.bytes / 4) return too_long(sorter, len, err);
    size_t data = len > 8 ? 4 + len : 0;
    size_t need = sorter->data_bytes + data + (sorter->n_entries + 1) * sizeof(entry);
    if (need > sorter->slab.bytes && spill(sorter, err)) return -1;
    unsigned char *at = (unsigned char *)sorter->slab.ptr + sorter->data_bytes, room[12];
    uint32_t len32 = (uint32_t)len;
    if (len <= 8) at = room;
    memcpy(at, &len32, sizeof len32);
    memcpy(at + 4, bytes, len);
    sorter->data_bytes += data;
    sorter->n_entries++;
    *entries(sorter) = entry_of(at);
    return 0;
}

// Lists that are copied into the slab, each to its own place.
typedef struct copying {
    const brew_strings *const *lists;
    entry *entries;
    unsigned char *data;
} copying;

static void copy_list(void *arg, size_t task, int worker) {
    const copying *c = arg;
    const brew_strings *list = c->lists[task];
    entry *e = c->entries;
    unsigned char *at = c->data;
    (void)worker;
    for (size_t i = 0; i < task; i++) {
        e += c->lists[i]->n;
        at += c->lists[i]->bytes.len;
    }
    if (list->n) memcpy(at, list->bytes.ptr, list->bytes.len);
    for (size_t i = 0; i < list->n; i++, at += 4 + brew_sort_len(at)) e[i] = entry_of(at);
}

// Room for so many more strings of so many bytes, without a run being written; where their entries begin.
static entry *extend(brew_sorter *sorter, size_t n, size_t bytes) {
    size_t strings = sorter->n_entries + n;
    bytes += sorter->data_bytes;
    if (bytes + strings * sizeof(entry) > sorter->slab.bytes) return NULL;
    sorter->n_entries = strings;
    sorter->data_bytes = bytes;
    return entries(sorter);
}

static int add_list(brew_sorter *sorter, const brew_strings *list, brew_err *err) {
    const unsigned char *at = (const unsigned char *)list->bytes.ptr;
    for (size_t i = 0; i < list->n; i++) {
        size_t len = brew_sort_len(at);
        if (brew_sorter_add(sorter, at + 4, len, err)) return -1;
        at += 4 + len;
    }
    return 0;
}

int brew_sorter_add_lists(brew_sorter *sorter, const brew_strings *const *lists, size_t n,
                          brew_err *err) {
    size_t strings = 0, bytes = 0;
    for (size_t i = 0; i < n; i++) {
        strings += lists[i]->n;
        bytes += lists[i]->bytes.len;
        if (lists[i]->longest > sorter->slab.bytes / 4)
            return too_long(sorter, lists[i]->longest, err);
    }
    copying c = {.lists = lists, .data = (unsigned char *)sorter->slab.ptr + sorter->data_bytes};
    if ((c.entries = extend(sorter, strings, bytes))) {
        brew_pool_run(sorter->pool, n, copy_list, &c);
        return 0;
    }
    for (size_t i = 0; i < n; i++)
        if (add_list(sorter, lists[i], err)) return -1;
    return 0;
}

typedef struct placing {
    const brew_places *const *lists;
    entry *entries;
    unsigned char *data; // NULL: they stay
} placing;

static void place_list(void *arg, size_t task, int worker) {
    const placing *c = arg;
    const brew_places *list = c->lists[task];
    entry *e = c->entries;
    unsigned char *to = c->data;
    (void)worker;
    for (size_t i = 0; i < task; i++) {
        e += c->lists[i]->n;
        if (to) to += c->lists[i]->bytes;
    }
    for (size_t i = 0; i < list->n; i++) {
        const unsigned char *at = list->at[i];
        size_t len = 4 + (size_t)brew_sort_len(at);
        if (to) at = memcpy(to, at, len);
        if (to) to += len;
        e[i] = entry_of(at);
    }
}

int brew_sorter_add_places(brew_sorter *sorter, const brew_places *const *lists, size_t n,
                           bool stay, brew_err *err) {
    size_t strings = 0, bytes = 0;
    for (size_t i = 0; i < n; i++) {
        strings += lists[i]->n;
        bytes += lists[i]->bytes;
        if (lists[i]->longest > sorter->slab.bytes / 4)
            return too_long(sorter, lists[i]->longest, err);
    }
    placing c = {.lists = lists};
    if (!stay) c.data = (unsigned char *)sorter->slab.ptr + sorter->data_bytes;
    if ((c.entries = extend(sorter, strings, stay ? 0 : bytes))) {
        brew_pool_run(sorter->pool, n, place_list, &c);
        return 0;
    }
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < lists[i]->n; k++) {
            const unsigned char *at = lists[i]->at[k];
            if (brew_sorter_add(sorter, at + 4, brew_sort_len(at), err)) return -1;
        }
    return 0;
}

// Makes the run's next string visible: 1, 0 at its end, -1 on error.
static int run_next(const brew_sorter *sorter, run *r, brew_err *err) {
    size_t need = 4;
    for (;;) {
        if (r->have - r->used >= 4) need = 4 + (size_t)brew_sort_len(r->window + r->used);
        if (r->have - r->used >= need) break;
        if (r->offset == r->end && r->have == r->used) return 0;
        memmove(r->window, r->window + r->used, r->have - r->used);
        r->have -= r->used;
        r->used = 0;
        if (need > r->cap) {
            r->cap = need;
            r->window = brew_realloc(r->window, r->cap);
        }
        uint64_t left = r->end - r->offset;
        size_t want = left < r->cap - r->have ? (size_t)left : r->cap - r->have;
        ssize_t got = pread(sorter->fd, r->window + r->have, want, (off_t)r->offset);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return brew_fail_errno(err, BREW_IO, "cannot read a temporary file");
        if (!got) return brew_fail(err, BREW_IO, "a temporary file ended early");
        r->have += (size_t)got;
        r->offset += (uint64_t)got;
    }
    r->bytes = r->window + r->used + 4;
    r->len = need - 4;
    r->used += need;
    return 1;
}

static bool run_less(const brew_sorter *sorter, size_t a, size_t b) {
    const run *x = &sorter->runs[a], *y = &sorter->runs[b];
    return compare_bytes(x->bytes, x->len, y->bytes, y->len) < 0;
}

static void sift_down(brew_sorter *sorter, size_t at) {
    size_t *heap = sorter->heap;
    for (;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < sorter->n_heap; child++)
            if (run_less(sorter, heap[child], heap[least])) least = child;
        if (least == at) return;
        size_t t = heap[at];
        heap[at] = heap[least];
        heap[least] = t;
        at = least;
    }
}

// All runs at their first string, the heap built.
static int start_merge(brew_sorter *sorter, brew_err *err) {
    sorter->n_heap = 0;
    sorter->started = false;
    for (size_t i = 0; i < sorter->n_runs; i++) {
        run *r = &sorter->runs[i];
        r->offset = r->begin;
        r->have = r->used = 0;
        int got = run_next(sorter, r, err);
        if (got < 0) return -1;
        if (got) sorter->heap[sorter->n_heap++] = i;
    }
    for (size_t i = sorter->n_heap; i-- > 0;) sift_down(sorter, i);
    return 0;
}

int brew_sorter_finish(brew_sorter *sorter, brew_err *err) {
    if (!sorter->n_runs) {
        brew_sort_strings(entries(sorter), sorter->n_entries, sorter->pool);
        return 0;
    }
    if (sorter->n_entries && spill(sorter, err)) return -1;
    size_t memory = sorter->slab.bytes;
    brew_slab_release(&sorter->slab);
    size_t cap = memory / sorter->n_runs;
    if (cap < 4096) cap = 4096;
    if (cap > 1 << 20) cap = 1 << 20;
    sorter->heap = brew_calloc(sorter->n_runs, sizeof *sorter->heap);
    for (size_t i = 0; i < sorter->n_runs; i++) {
        sorter->runs[i].window = brew_alloc(cap);
        sorter->runs[i].cap = cap;
    }
    return start_merge(sorter, err);
}

int brew_sorter_rewind(brew_sorter *sorter, brew_err *err) {
    sorter->next_entry = 0;
    return sorter->n_runs ? start_merge(sorter, err) : 0;
}

int brew_sorter_next(brew_sorter *sorter, const unsigned char **bytes, size_t *len, brew_err *err) {
    if (!sorter->n_runs) {
        if (sorter->next_entry == sorter->n_entries) return 0;
        const entry *e = entries(sorter) + sorter->next_entry++;
        if (sorter->n_entries - sorter->next_entry > AHEAD) __builtin_prefetch(e[AHEAD].at);
        const unsigned char *at = string_of(e, sorter->room);
        *bytes = at + 4;
        *len = brew_sort_len(at);
        return 1;
    }
    if (sorter->started && sorter->n_heap) {
        int got = run_next(sorter, &sorter->runs[sorter->heap[0]], err);
        if (got < 0) return -1;
        if (!got) sorter->heap[0] = sorter->heap[--sorter->n_heap];
        sift_down(sorter, 0);
    }
    sorter->started = true;
    if (!sorter->n_heap) return 0;
    *bytes = sorter->runs[sorter->heap[0]].bytes;
    *len = sorter->runs[sorter->heap[0]].len;
    return 1;
}

ptrdiff_t brew_sorter_next_many(brew_sorter *sorter, unsigned char **out, size_t max,
                                brew_buf *copies, brew_err *err) {
    size_t n = 0, at = 0;
    int got = 1;
    brew_buf_reset(copies);
    if (!sorter->n_runs) { // short strings apart, they stay where they are
        const entry *e = entries(sorter) + sorter->next_entry;
        size_t left = sorter->n_entries - sorter->next_entry;
        for (max = max < left ? max : left; n < max && !is_short(&e[n]); n++)
            out[n] = (unsigned char *)(uintptr_t)e[n].at;
        sorter->next_entry += n;
        if (n || !max) return (ptrdiff_t)n;
    }
    for (; n < max; n++) {
        const unsigned char *bytes;
        size_t len;
        got = brew_sorter_next(sorter, &bytes, &len, err);
        if (got <= 0) break;
        brew_buf_add(copies, bytes - 4, 4 + len);
    }
    for (size_t i = 0; i < n; i++, at += 4 + brew_sort_len(out[i - 1]))
        out[i] = (unsigned char *)copies->ptr + at;
    return got < 0 ? -1 : (ptrdiff_t)n;
}
