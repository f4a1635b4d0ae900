#include "text/prompt/sortstrings.h"

#include <stdbool.h>

enum {
    BUCKETS = 256,
    SMALL = 24,    // entries that are sorted by insertion
    COPIED = 1024, // entries that are divided by a copy
    AHEAD = 16,    // entries whose strings are called for in advance
    PARTS = 4096,  // at most, handed to a pool
    ROUNDS = 16,   // of dividing the largest,
    WORTH = 4096   // entries, if it has more
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
    const unsigned char *first = p->e[0].at + 4;
    size_t common = brew_sort_len(p->e[0].at);
    for (size_t i = 1; i < p->n && common > from; i++) {
        const unsigned char *at = p->e[i].at + 4;
        size_t k = from, len = brew_sort_len(p->e[i].at);
        if (i + AHEAD < p->n) __builtin_prefetch(p->e[i + AHEAD].at + 4 + from);
        if (len < common) common = len;
        while (common - k >= 8 && !memcmp(first + k, at + k, 8)) k += 8;
        while (k < common && first[k] == at[k]) k++;
        common = k;
    }
    return common;
}

// From a part whose words are equal to what first differs behind them. Of strings that end here the
// shorter come first, before all others.
static void go_deeper(part *p) {
    entry *e = p->e;
    size_t ended = 0, done = 0, next = p->depth + 8;
    for (size_t i = 0; i < p->n; i++) {
        if (i + AHEAD < p->n) __builtin_prefetch(e[i + AHEAD].at);
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

void brew_sort_strings(brew_sort_entry *entries, size_t n, brew_pool *pool) {
    part parts[PARTS];
    size_t n_parts = 1, ends[BUCKETS], threads = (size_t)brew_pool_threads(pool);
    parts[0] = (part){entries, n, 0};
    for (int round = 0; threads > 1 && round < ROUNDS && n_parts && n_parts + BUCKETS <= PARTS;
         round++) {
        size_t largest = 0;
        for (size_t i = 1; i < n_parts; i++)
            if (parts[i].n > parts[largest].n) largest = i;
        part p = parts[largest];
        if (p.n <= n / (4 * threads) || p.n <= WORTH) break;
        parts[largest] = parts[--n_parts];
        if (!divide(&p, ends)) continue;
        for (size_t b = 0, begin = 0; b < BUCKETS; begin = ends[b++])
            if (ends[b] > begin) parts[n_parts++] = (part){p.e + begin, ends[b] - begin, p.depth};
    }
    brew_pool_run(pool, n_parts, sort_part, parts);
}
