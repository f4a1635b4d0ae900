// Cutting stars into blocks: every needed row once and in order, items whole, budgets kept.
#include "model/blocks.h"

#include <stdlib.h>

#include "base/rng.h"
#include "base/tap.h"

enum { BYTES_PER_TOKEN = 10 };

static size_t cache_bytes(void *arg, int64_t query_len) {
    (void)arg;
    return (size_t)query_len * BYTES_PER_TOKEN;
}

// Requests of random shape: some without a query, some without items, some with neither.
static void draw(brew_star *star, uint64_t seed) {
    uint64_t n = 0;
    int32_t ids[128] = {0}, label = 1;
    for (size_t r = 0; r < 12; r++) {
        brew_star_add_request(star);
        int64_t start = (int64_t)star->n_ids, rows[8];
        size_t query = brew_rand_below(seed, 0, n++, 3) ? brew_rand_below(seed, 0, n++, 128) : 0;
        size_t items = brew_rand_below(seed, 0, n++, 8);
        brew_star_add_ids(star, ids, query);
        for (size_t i = 0; i < items; i++) {
            brew_star_add_item(star);
            brew_star_add_ids(star, ids, 1 + brew_rand_below(seed, 0, n++, 100));
            rows[i] = (int64_t)star->n_ids - 1;
        }
        int32_t set = brew_star_add_set(star, &label, 1);
        for (size_t i = 0; i < items; i++) brew_star_add_answer(star, rows[i], set, -1, 1, 0);
        for (size_t row = brew_rand_below(seed, 0, n++, 40); row < query; row += 17)
            brew_star_add_answer(star, start + (int64_t)row, set, -1, 1, 0);
        brew_star_add_meta(star, "{}", 2);
    }
}

struct tally {
    size_t spans, answers, torn, late, large, costly, misplaced, missing;
    int64_t *done; // [S] rows of each segment handed out
};

static void count_block(struct tally *t, const brew_blocks *b, size_t budget) {
    size_t bytes = 0, requests = 0;
    int64_t row = 0;
    for (size_t i = 0; i < b->n_spans; i++) {
        const brew_span *span = &b->spans[i];
        size_t r = b->span_requests[i];
        int64_t s = b->star->requests[r];
        while (b->star->segments[s + 1] <= b->span_starts[i]) s++;
        int64_t offset = b->span_starts[i] - b->star->segments[s];
        bool is_item = s != b->star->requests[r];
        t->late += offset != t->done[s]; // pieces come in order, without a gap
        t->torn += is_item && span->rows != b->star->segments[s + 1] - b->star->segments[s];
        t->misplaced += span->row != row || span->is_item != is_item ||
                        span->pos != (is_item ? brew_star_query_len(b->star, r) : offset);
        t->done[s] += span->rows;
        row += span->rows;
        if (i == 0 || b->span_requests[i - 1] != r) {
            bytes += cache_bytes(NULL, b->need[b->star->requests[r]]);
            requests++;
        }
    }
    t->large += (b->n_rows > b->rows && b->n_spans > 1) || b->n_rows > b->rows_cap ||
                b->n_spans > b->spans_cap || row != b->n_rows;
    t->costly += bytes > budget && requests > 1;
    for (size_t i = 0; i < b->n_readings; i++) {
        const brew_reading *reading = &b->readings[b->first_reading + i];
        t->missing += b->star->answers[reading->answer] != reading->row;
        t->missing += reading->row < b->span_starts[0];
    }
    t->spans += b->n_spans;
    t->answers += b->n_readings;
}

static void test_cut(const brew_star *star, int64_t rows, size_t budget) {
    brew_blocks blocks;
    struct tally t = {.done = calloc(star->n_segments + 1, sizeof(int64_t))};
    size_t undone = 0;
    brew_blocks_init(&blocks, star, rows, false);
    while (brew_blocks_next(&blocks, cache_bytes, NULL, budget)) count_block(&t, &blocks, budget);
    for (size_t s = 0; s < star->n_segments; s++) undone += t.done[s] != blocks.need[s];
    size_t wrong = t.late + t.torn + t.misplaced + t.large + t.costly + t.missing + undone +
                   (t.answers != star->n_answers);
    if (!ok(wrong == 0, "blocks of %lld rows, %zu bytes of caches", (long long)rows, budget))
        printf("# late %zu torn %zu misplaced %zu large %zu costly %zu missing %zu undone %zu\n",
               t.late, t.torn, t.misplaced, t.large, t.costly, t.missing, undone);
    brew_blocks_rewind(&blocks);
    size_t spans = 0;
    while (brew_blocks_next(&blocks, cache_bytes, NULL, budget)) spans += blocks.n_spans;
    ok(spans == t.spans, "and the same after rewinding");
    brew_blocks_release(&blocks);
    free(t.done);
}

int main(void) {
    brew_star star = {0};
    test_cut(&star, 10, 100);
    for (uint64_t seed = 0; seed < 20; seed++) {
        brew_star_reset(&star);
        draw(&star, seed);
        brew_err err = {0};
        ok(brew_star_check(&star, 2, &err) == 0, "star %d %s", (int)seed, err.text);
        const int64_t rows[] = {1, 3, 50, 100, 1000};
        for (size_t i = 0; i < 5; i++) test_cut(&star, rows[i], seed % 2 ? SIZE_MAX : 700);
    }
    brew_star_release(&star);
    return tap_done();
}
