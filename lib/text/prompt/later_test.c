// The share of pairs in which training is later than a test question, against counting all pairs.
#include "text/prompt/later.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/tap.h"

enum { MEMBERS = 40, EVENTS = 60, N = MEMBERS * EVENTS };

// Event i, `spread` different times a second apart and one far from all others; a fifth are tests.
static brew_event draw(uint64_t seed, uint64_t i, uint64_t spread) {
    int64_t time = 1000 * (int64_t)brew_rand_below(seed, 0, i, spread) - 5000;
    if (i == 7) time = (int64_t)1 << 60;
    return (brew_event){.item = "1",
                        .item_len = 1,
                        .time = time,
                        .split =
                            brew_rand_below(seed, 1, i, 5) ? BREW_SPLIT_TRAIN : BREW_SPLIT_TEST};
}

static double count(const brew_event *events, size_t n) {
    double pairs = 0, train = 0, test = 0;
    for (size_t i = 0; i < n; i++) {
        train += events[i].split == BREW_SPLIT_TRAIN;
        test += events[i].split == BREW_SPLIT_TEST;
        for (size_t k = 0; k < n && events[i].split == BREW_SPLIT_TEST; k++)
            pairs += events[k].split == BREW_SPLIT_TRAIN && events[k].time > events[i].time;
    }
    return train > 0 && test > 0 ? pairs / train / test : 0;
}

static double share(brew_event *events, size_t n, size_t memory, brew_pool *pool) {
    brew_log log = {.split = -1};
    brew_task task = {.split = {.by = BREW_SPLIT_BY_LAST}, .n_logs = 1, .logs = &log, .name = "t"};
    brew_err err = {0};
    double got = -1;
    brew_later *later = brew_later_new(&task, memory, &err);
    for (size_t i = 0; i < n; i += EVENTS) {
        brew_member member = {.id = "m", .id_len = 1, .events = events + i};
        member.n = n - i < EVENTS ? n - i : EVENTS;
        if (brew_later_add(later, &member, &err)) return -1;
    }
    if (brew_later_share(later, pool, &got, &err)) got = -1;
    brew_later_free(later);
    return got;
}

int main(void) {
    static const uint64_t spreads[] = {1, 30, 1000000};
    brew_event *events = brew_calloc(N, sizeof *events);
    brew_pool *pool = brew_pool_new(3);
    for (size_t s = 0; s < 3; s++) {
        for (uint64_t i = 0; i < N; i++) events[i] = draw(s, i, spreads[s]);
        double want = count(events, N);
        ok(want > 0 && want < 1, "%g of %d events", want, N);
        ok(share(events, N, 1 << 20, NULL) == want, "  ... in memory");
        ok(share(events, N, 1 << 20, pool) == want, "  ... on three threads");
        ok(share(events, N, 4096, pool) == want, "  ... by a sort, where memory is short");
    }
    ok(share(events, 0, 4096, NULL) == 0, "of nothing it is 0");
    for (uint64_t i = 0; i < N; i++) events[i].split = BREW_SPLIT_TRAIN;
    ok(share(events, N, 1 << 20, pool) == 0, "without tests, too");
    brew_pool_free(pool);
    free(events);
    return tap_done();
}
