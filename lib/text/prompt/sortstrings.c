#include "text/prompt/sortstrings.h"

#include <stdbool.h>
#include <stdlib.h>

#include "text/prompt/sortkey.h"

enum {
    BUCKETS = 256,
    SMALL = 24,     // entries that are sorted by insertion
    COPIED = 1024,  // entries that are divided by a copy
    AHEAD = 16,     // entries whose strings are called for in advance
    PARTS = 256,    // at most, handed to a pool
    PIECES = 64,    // of a part, at most, that threads halve
    SAMPLE = 255,   // words, of which the middle one halves
    WORTH = 1 << 14 // entries, to be halved
};

typedef brew_sort_entry entry;

// Entries equal before `depth`, their words from there.
typedef struct part {
    entry *e;
    size_t n, depth;
} part;

static inline void swap(entry *a, entry *b) {
    entry t = *a;
    *a = *b;
    *b = t;
}

static void sort(part p);

// Sorts a few by their words, then each run of equal words by what is behind them.
static void insert(const part *p) {
    entry *e = p->e;
    for (size_t i = 1; i < p->n; i++) {
        entry moving = e[i];
        size_t j = i;
        for (; j && moving.word < e[j - 1].word; j--) e[j] = e[j - 1];
        e[j] = moving;
    }
    for (size_t from = 0, to; from < p->n; from = to) {
        for (to = from + 1; to < p->n && e[to].word == e[from].word;) to++;
        if (to - from > 1) sort((part){e + from, to - from, p->depth});
    }
}

// The bits in which words differ.
static uint64_t difference(const part *p) {
    uint64_t bits = 0;
    for (size_t i = 1; i < p->n; i++) bits |= p->e[i].word ^ p->e[0].word;
    return bits;
}

// How many bytes all strings have in common, which are `from` at least.
static size_t common_prefix(const part *p, size_t from) {
    const char *first = (const char *)p->e[0].at + 4;
    size_t common = brew_sort_len(p->e[0].at);
    for (size_t i = 1; i < p->n && common > from; i++) {
        const char *at = (const char *)p->e[i].at + 4;
        size_t len = brew_sort_len(p->e[i].at);
        if (i + AHEAD < p->n) __builtin_prefetch(p->e[i + AHEAD].at + 4 + from);
        if (len < common) common = len;
        common = from + brew_key_alike(first + from, at + from, common - from);
    }
    return common;
}

// From a part whose words are equal to what first differs behind them. Of strings that end here the
// shorter come first, before all others.
static void go_deeper(part *p) {
    entry *e = p->e;
    size_t ended = 0, done = 0, next = p->depth + 8;
    for (size_t i = 0; i < AHEAD && i < p->n; i++) __builtin_prefetch(e[i].at + next);
    for (size_t i = 0; i < p->n; i++) {
        if (i + AHEAD < p->n) __builtin_prefetch(e[i + AHEAD].at + next);
        if (brew_sort_len(e[i].at) <= next) swap(&e[ended++], &e[i]);
    }
    for (size_t len = p->depth; done < ended; len++)
        for (size_t i = done; i < ended; i++)
            if (brew_sort_len(e[i].at) == len) swap(&e[done++], &e[i]);
    *p = (part){e + ended, p->n - ended, next};
    if (p->n < 2) return;
    p->depth = common_prefix(p, next);
    for (size_t i = 0; i < p->n; i++)
        p->e[i].word = brew_sort_word(p->e[i].at + 4, brew_sort_len(p->e[i].at), p->depth);
}

// Brings entries into their buckets by a copy, or if they are many by swaps in place.
// Not inline: calls of divide nest, and the copy would with them.
static __attribute__((noinline)) void scatter(const part *p, int shift, size_t begins[BUCKETS],
                                              const size_t ends[BUCKETS]) {
    entry copy[COPIED];
    if (p->n <= COPIED) {
        memcpy(copy, p->e, p->n * sizeof *copy);
        for (size_t i = 0; i < p->n; i++)
            p->e[begins[copy[i].word >> shift & (BUCKETS - 1)]++] = copy[i];
        return;
    }
    for (size_t b = 0; b < BUCKETS; b++)
        while (begins[b] < ends[b]) { // each swap brings one entry home
            size_t home = p->e[begins[b]].word >> shift & (BUCKETS - 1);
            if (home == b)
                begins[b]++;
            else
                swap(&p->e[begins[b]], &p->e[begins[home]++]);
        }
}

// Divides a part by eight bits, moving p to where its words begin to differ. Bucket b then ends at
// ends[b]. False: it is sorted.
static bool divide(part *p, size_t ends[BUCKETS]) {
    uint64_t bits = 0;
    while (p->n > 1 && !(bits = difference(p))) go_deeper(p);
    if (p->n <= SMALL) {
        insert(p);
        return false;
    }
    int high = 63 - __builtin_clzll(bits), shift = high > 7 ? high - 7 : 0;
    size_t begins[BUCKETS], counts[BUCKETS] = {0}, sum = 0;
    for (size_t i = 0; i < p->n; i++) counts[p->e[i].word >> shift & (BUCKETS - 1)]++;
    for (size_t b = 0; b < BUCKETS; b++) {
        begins[b] = sum;
        ends[b] = sum += counts[b];
    }
    scatter(p, shift, begins, ends);
    return true;
}

static void sort(part p) {
    size_t ends[BUCKETS];
    while (divide(&p, ends)) { // the largest bucket last and here, so that calls nest log2(n) deep
        size_t largest = 0, begin = 0, most = 0;
        for (size_t b = 0; b < BUCKETS; begin = ends[b++])
            if (ends[b] - begin > most) {
                most = ends[b] - begin;
                largest = b;
            }
        begin = 0;
        for (size_t b = 0; b < BUCKETS; begin = ends[b++])
            if (b != largest && ends[b] - begin > 1)
                sort((part){p.e + begin, ends[b] - begin, p.depth});
        p.e += ends[largest] - most;
        p.n = most;
    }
}

static void sort_part(void *arg, size_t task, int worker) {
    part *parts = arg;
    (void)worker;
    sort(parts[task]);
}

// ---- the same for several threads: parts are halved, all threads at each, until there are enough ----

// A part on its way to be halved: in each of n_pieces pieces, the words below the pivot come first.
typedef struct halving {
    part p;
    uint64_t pivot;
    size_t n_pieces, below[PIECES];
} halving;

static size_t piece_begin(const halving *h, size_t piece) {
    return h->p.n / h->n_pieces * piece;
}

static size_t piece_end(const halving *h, size_t piece) {
    return piece + 1 < h->n_pieces ? piece_begin(h, piece + 1) : h->p.n;
}

static void halve_piece(void *arg, size_t task, int worker) {
    halving *h = arg;
    entry *e = h->p.e;
    size_t begin = piece_begin(h, task), end = piece_end(h, task), to = begin;
    (void)worker;
    for (size_t i = begin; i < end; i++) { // no branch for the word, which nobody could foretell
        entry moving = e[i];
        e[i] = e[to];
        e[to] = moving;
        to += moving.word < h->pivot;
    }
    h->below[task] = to - begin;
}

// Behind that: what is below the pivot but behind all that should be, for what is not but before.
static size_t join_pieces(halving *h) {
    entry *e = h->p.e;
    size_t below = 0, from = h->n_pieces, to = 0, high = 0, low = 0, high_end = 0, low_end = 0;
    for (size_t i = 0; i < h->n_pieces; i++) below += h->below[i];
    for (;;) {
        while (high == high_end) { // the next words above, from the first piece on
            if (to == h->n_pieces) return below;
            high = piece_begin(h, to) + h->below[to];
            high_end = piece_end(h, to++);
            if (high_end > below) high_end = high > below ? high : below;
        }
        while (low == low_end) { // the next words below, from the last piece on
            if (!from) return below;
            low = piece_begin(h, --from);
            low_end = low + h->below[from];
            if (low < below) low = low_end < below ? low_end : below;
        }
        while (high < high_end && low < low_end) swap(&e[high++], &e[low++]);
    }
}

static int compare_words(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

// A word between the smaller half of some words and the others; 0 if they are all the same.
static uint64_t find_pivot(const part *p) {
    uint64_t words[SAMPLE];
    for (size_t i = 0; i < SAMPLE; i++) words[i] = p->e[p->n / SAMPLE * i].word;
    qsort(words, SAMPLE, sizeof *words, compare_words);
    size_t at = SAMPLE / 2;
    while (at < SAMPLE && words[at] == words[0]) at++;
    return at < SAMPLE ? words[at] : 0;
}

// Parts of about equal length, as many as every thread may take two of, or fewer; parts[0] is the whole.
static size_t halve(part *parts, brew_pool *pool) {
    size_t threads = (size_t)brew_pool_threads(pool), wanted = 2 * threads, n = 1;
    while (parts[0].n > 1 && !difference(&parts[0])) go_deeper(&parts[0]);
    while (n < wanted && 2 * n <= PARTS) {
        size_t before = n;
        for (size_t i = 0; i < before; i++) {
            halving h = {.p = parts[i], .n_pieces = threads < PIECES ? threads : PIECES};
            if (h.p.n < WORTH || !(h.pivot = find_pivot(&h.p))) continue;
            brew_pool_run(pool, h.n_pieces, halve_piece, &h);
            size_t below = join_pieces(&h);
            parts[i].n = below;
            parts[n++] = (part){h.p.e + below, h.p.n - below, h.p.depth};
        }
        if (n == before) break;
    }
    return n;
}

void brew_sort_strings(brew_sort_entry *entries, size_t n, brew_pool *pool) {
    part parts[PARTS];
    size_t n_parts = 1;
    parts[0] = (part){entries, n, 0};
    if (brew_pool_threads(pool) > 1) n_parts = halve(parts, pool);
    brew_pool_run(pool, n_parts, sort_part, parts);
}
