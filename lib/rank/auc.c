#include "rank/auc.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

// Least-significant-digit radix sort, 8 bits a pass (256 places fit the first-level cache and its TLB: with
// 11 bits there are fewer passes, and the whole is slower). A pass cuts the rows into parts; each part counts
// its digits, the counts become starting places (digit first, then part, so the sort is stable), and
// each part moves its rows there. Where all rows share a digit the pass is skipped: for probabilities
// that is part of the exponent.
enum { DIGIT_BITS = 8, DIGITS = 1 << DIGIT_BITS, MAX_PARTS = 64 };

struct sorter {
    uint64_t *key, *key_to;
    uint32_t *row, *row_to; // NULL: keys alone
    size_t n, parts;
    int shift;
    uint64_t ored[MAX_PARTS], anded[MAX_PARTS];
    size_t (*place)[DIGITS]; // [parts]
};

static size_t part_begin(size_t n, size_t parts, size_t part) {
    return (size_t)((unsigned __int128)n * part / parts);
}

static void count_digits(void *arg, size_t part, int worker) {
    (void)worker;
    struct sorter *s = arg;
    size_t *count = s->place[part], end = part_begin(s->n, s->parts, part + 1);
    memset(count, 0, sizeof s->place[part]);
    for (size_t i = part_begin(s->n, s->parts, part); i < end; i++)
        count[s->key[i] >> s->shift & (DIGITS - 1)]++;
}

static void move_rows(void *arg, size_t part, int worker) {
    (void)worker;
    struct sorter *s = arg;
    size_t *place = s->place[part], end = part_begin(s->n, s->parts, part + 1);
    for (size_t i = part_begin(s->n, s->parts, part); i < end; i++) {
        uint64_t key = s->key[i];
        size_t to = place[key >> s->shift & (DIGITS - 1)]++;
        s->key_to[to] = key;
        if (s->row) s->row_to[to] = s->row[i];
    }
}

static void find_varying(void *arg, size_t part, int worker) {
    (void)worker;
    struct sorter *s = arg;
    uint64_t ored = 0, anded = ~(uint64_t)0;
    size_t end = part_begin(s->n, s->parts, part + 1);
    for (size_t i = part_begin(s->n, s->parts, part); i < end; i++) {
        ored |= s->key[i];
        anded &= s->key[i];
    }
    s->ored[part] = ored;
    s->anded[part] = anded;
}

// Sorts s->key (and s->row); the result stands in s->key and s->row, which may have changed places
// with s->key_to and s->row_to.
static void sort_keys(struct sorter *s, brew_pool *pool) {
    s->parts = (size_t)brew_pool_threads(pool);
    if (s->parts > MAX_PARTS) s->parts = MAX_PARTS;
    if (s->n < DIGITS * s->parts) s->parts = 1;
    s->place = brew_alloc(s->parts * sizeof *s->place);
    brew_pool_run(pool, s->parts, find_varying, s);
    uint64_t ored = 0, anded = ~(uint64_t)0;
    for (size_t p = 0; p < s->parts; p++) {
        ored |= s->ored[p];
        anded &= s->anded[p];
    }
    for (s->shift = 0; s->shift < 64; s->shift += DIGIT_BITS) {
        if (!((ored ^ anded) >> s->shift & (DIGITS - 1))) continue;
        brew_pool_run(pool, s->parts, count_digits, s);
        size_t at = 0;
        for (size_t d = 0; d < DIGITS; d++)
            for (size_t p = 0; p < s->parts; p++) {
                size_t count = s->place[p][d];
                s->place[p][d] = at;
                at += count;
            }
        brew_pool_run(pool, s->parts, move_rows, s);
        uint64_t *key = s->key;
        s->key = s->key_to;
        s->key_to = key;
        uint32_t *row = s->row;
        s->row = s->row_to;
        s->row_to = row;
    }
    free(s->place);
}

// An unsigned number in the order of the scores: the sign bit flipped, negative numbers complemented.
static uint64_t ordered_bits(double score) {
    uint64_t bits;
    score += 0.0; // -0 becomes 0
    memcpy(&bits, &score, sizeof bits);
    return bits ^ (bits >> 63 ? ~(uint64_t)0 : (uint64_t)1 << 63);
}

struct pack {
    const double *score;
    const uint8_t *positive;
    uint64_t *key;
    size_t n;
    size_t parts;
    uint8_t outside[MAX_PARTS];
};

// Scores in [0, 2) leave the upper two bits of a double free: shifted left by one, the lowest bit can
// hold the class, and a row is 8 bytes.
static void pack_rows(void *arg, size_t part, int worker) {
    (void)worker;
    struct pack *p = arg;
    uint64_t seen = 0;
    size_t end = part_begin(p->n, p->parts, part + 1);
    for (size_t i = part_begin(p->n, p->parts, part); i < end; i++) {
        uint64_t bits;
        double score = p->score[i] + 0.0;
        memcpy(&bits, &score, sizeof bits);
        seen |= bits;
        p->key[i] = bits << 1 | p->positive[i];
    }
    p->outside[part] = seen >> 62 != 0;
}

// Sums over one stretch of sorted rows that begins and ends between ties.
struct stretch {
    uint64_t positives, negatives, wins2; // wins2: 2 * won pairs + tied pairs, inside the stretch
};

struct scan {
    const uint64_t *key;
    size_t n, parts;
    struct stretch *stretch;
};

static size_t untied(const struct scan *s, size_t at) {
    while (at > 0 && at < s->n && s->key[at] >> 1 == s->key[at - 1] >> 1) at++;
    return at;
}

static void scan_rows(void *arg, size_t part, int worker) {
    (void)worker;
    struct scan *s = arg;
    size_t i = untied(s, part_begin(s->n, s->parts, part));
    size_t end = untied(s, part_begin(s->n, s->parts, part + 1));
    struct stretch sum = {0, 0, 0};
    while (i < end) {
        uint64_t score = s->key[i] >> 1, positives = 0, begin = i;
        do positives += s->key[i++] & 1;
        while (i < end && s->key[i] >> 1 == score);
        uint64_t negatives = i - begin - positives;
        sum.wins2 += positives * (2 * sum.negatives + negatives);
        sum.positives += positives;
        sum.negatives += negatives;
    }
    s->stretch[part] = sum;
}

// wins2 stays below 2 * (n / 2)^2 < 2^63.
static double auc_of_sorted(const uint64_t *key, size_t n, brew_pool *pool) {
    struct stretch stretch[MAX_PARTS];
    size_t parts = (size_t)brew_pool_threads(pool);
    struct scan scan = {key, n, parts > MAX_PARTS ? MAX_PARTS : parts, stretch};
    brew_pool_run(pool, scan.parts, scan_rows, &scan);
    struct stretch sum = {0, 0, 0};
    for (size_t p = 0; p < scan.parts; p++) {
        sum.wins2 += stretch[p].wins2 + 2 * stretch[p].positives * sum.negatives;
        sum.positives += stretch[p].positives;
        sum.negatives += stretch[p].negatives;
    }
    if (!sum.positives || !sum.negatives) return NAN;
    return (double)sum.wins2 / (2 * (double)sum.positives * (double)sum.negatives);
}

static int too_many(size_t n, brew_err *err) {
    return brew_fail(err, BREW_DATA, "%zu rows are more than can be sorted (4294967295)", n);
}

// Any scores at all: the order first, then each row's rank among the distinct scores as its key.
static int auc_by_order(const double *score, const uint8_t *positive, size_t n, brew_pool *pool,
                        uint64_t *key, double *auc, brew_err *err) {
    brew_slab slab;
    if (brew_slab_init(&slab, n * sizeof(uint32_t), "the order of the scores", err) < 0) return -1;
    uint32_t *order = slab.ptr;
    int status = brew_order(score, n, pool, order, err);
    uint64_t rank = 0;
    for (size_t i = 0; status == 0 && i < n; i++) {
        rank += i > 0 && score[order[i]] != score[order[i - 1]];
        key[i] = rank << 1 | positive[order[i]];
    }
    if (status == 0) *auc = auc_of_sorted(key, n, pool);
    brew_slab_release(&slab);
    return status;
}

int brew_auc(const double *score, const uint8_t *positive, size_t n, brew_pool *pool, double *auc,
             brew_err *err) {
    *auc = NAN;
    if (n == 0) return 0;
    if (n > UINT32_MAX) return too_many(n, err);
    brew_slab slab;
    if (brew_slab_init(&slab, n * 2 * sizeof(uint64_t), "the sorted scores", err) < 0) return -1;
    uint64_t *key = slab.ptr;
    struct pack pack = {.score = score, .positive = positive, .key = key, .n = n};
    pack.parts = (size_t)brew_pool_threads(pool);
    if (pack.parts > MAX_PARTS) pack.parts = MAX_PARTS;
    brew_pool_run(pool, pack.parts, pack_rows, &pack);
    int status = 0;
    if (memchr(pack.outside, 1, pack.parts)) {
        status = auc_by_order(score, positive, n, pool, key, auc, err);
    } else {
        struct sorter sorter = {.key = key, .key_to = key + n, .n = n};
        sort_keys(&sorter, pool);
        *auc = auc_of_sorted(sorter.key, n, pool);
    }
    brew_slab_release(&slab);
    return status;
}

int brew_order(const double *score, size_t n, brew_pool *pool, uint32_t *order, brew_err *err) {
    if (n == 0) return 0;
    if (n > UINT32_MAX) return too_many(n, err);
    brew_slab slab;
    size_t bytes = n * (2 * sizeof(uint64_t) + sizeof(uint32_t));
    if (brew_slab_init(&slab, bytes, "the sorted scores", err) < 0) return -1;
    uint64_t *key = slab.ptr;
    struct sorter sorter = {.key = key, .key_to = key + n, .row = order, .n = n};
    sorter.row_to = (uint32_t *)(void *)(key + 2 * n);
    for (size_t i = 0; i < n; i++) {
        key[i] = ordered_bits(score[i]);
        order[i] = (uint32_t)i;
    }
    sort_keys(&sorter, pool);
    if (sorter.row != order) memcpy(order, sorter.row, n * sizeof *order);
    brew_slab_release(&slab);
    return 0;
}

void brew_gather(const uint32_t *order, const uint32_t *cluster, size_t n, size_t n_clusters,
                 uint32_t *rows, size_t *split) {
    memset(split, 0, (n_clusters + 1) * sizeof *split);
    for (size_t i = 0; i < n; i++) split[cluster[i] + 1]++;
    for (size_t c = 0; c < n_clusters; c++) split[c + 1] += split[c];
    // split[c] serves as the next free place of cluster c, and ends as the start of c + 1
    for (size_t i = 0; i < n; i++) rows[split[cluster[order[i]]]++] = order[i];
    memmove(split + 1, split, n_clusters * sizeof *split);
    split[0] = 0;
}
