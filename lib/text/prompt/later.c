// Times are kept as numbers while they fit: of tests in order, each training event asks how many are earlier. What
// does not fit goes to one sort by twice the time, and 1 for a test question: a training event stands before the
// questions of its own moment, so that at each one all questions passed are strictly earlier.
#include "text/prompt/later.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/prompt/plan.h"
#include "text/prompt/sorter.h"
#include "text/prompt/sortkey.h"

enum { DIRECTORY = 1 << 16, PIECE = 1 << 16 };

struct brew_later {
    const brew_task *task;
    size_t memory_bytes;
    brew_slab slab; // | training times -> free <- test times |, as brew_key_of_time has them
    uint64_t *train, *test;
    size_t n_train, n_test;
    brew_sorter *sorter; // instead of the slab, or NULL
};

bool brew_later_possible(const brew_task *task) {
    bool given = false;
    for (size_t i = 0; i < task->n_logs; i++)
        given |= task->logs[i].split >= 0 || task->logs[i].split_column;
    return given || task->split.by == BREW_SPLIT_BY_LAST;
}

brew_later *brew_later_new(const brew_task *task, size_t memory_bytes, brew_err *err) {
    brew_later *later = brew_calloc(1, sizeof *later);
    later->task = task;
    later->memory_bytes = memory_bytes > 4096 ? memory_bytes & ~(size_t)7 : 4096;
    if (brew_slab_init(&later->slab, later->memory_bytes, "times of training and test", err)) {
        free(later);
        return NULL;
    }
    later->train = later->slab.ptr;
    later->test = later->train + later->slab.bytes / sizeof *later->test;
    return later;
}

void brew_later_free(brew_later *later) {
    if (!later) return;
    brew_sorter_free(later->sorter);
    brew_slab_release(&later->slab);
    free(later);
}

static int add_to_sort(brew_later *later, uint64_t time, bool test, brew_err *err) {
    char key[9];
    brew_key_store(key, time);
    key[8] = (char)test;
    return brew_sorter_add(later->sorter, key, sizeof key, err);
}

// Hands all that is in memory to a sort.
static int begin_sort(brew_later *later, brew_err *err) {
    int status = 0;
    if (!(later->sorter = brew_sorter_new(later->memory_bytes, NULL, err))) return -1;
    for (size_t i = 0; i < later->n_train && !status; i++)
        status = add_to_sort(later, later->train[i], false, err);
    for (size_t i = 0; i < later->n_test && !status; i++)
        status = add_to_sort(later, later->test[i], true, err);
    brew_slab_release(&later->slab);
    return status;
}

static int add(brew_later *later, int64_t time, bool test, brew_err *err) {
    uint64_t key = brew_key_of_time(time);
    if (!later->sorter) { // the tests need as much again to be sorted
        size_t need = (later->n_train + 2 * later->n_test + 2) * sizeof key;
        if (need > later->slab.bytes && begin_sort(later, err)) return -1;
    }
    if (later->sorter) return add_to_sort(later, key, test, err);
    if (test) {
        *--later->test = key;
        later->n_test++;
    } else {
        later->train[later->n_train++] = key;
    }
    return 0;
}

int brew_later_add(brew_later *later, const brew_member *member, brew_err *err) {
    const brew_task *task = later->task;
    bool held_out =
        brew_datasplit_holds_out(&task->split, BREW_HOLD_MEMBERS, member->id, member->id_len);
    for (size_t i = 0; i < member->n; i++) {
        const brew_event *e = &member->events[i];
        bool test = e->split == BREW_SPLIT_TEST;
        if (e->action < 0 || e->gap || e->split == BREW_SPLIT_VALID) continue;
        if (test && task->asked && !task->asked[e->log]) continue;
        if (!test && (held_out || !brew_plan_is_known_to_train(task, e))) continue;
        if (add(later, e->time, test, err)) return -1;
    }
    return 0;
}

// Numbers in ascending order, by their bytes from the lowest; `other` has room for as many. Returns which of the two
// they are in.
static uint64_t *sort_numbers(uint64_t *numbers, uint64_t *other, size_t n) {
    for (int shift = 0; shift < 64; shift += 8) {
        size_t places[256] = {0}, sum = 0;
        for (size_t i = 0; i < n; i++) places[numbers[i] >> shift & 255]++;
        if (places[numbers[0] >> shift & 255] == n) continue;
        for (int b = 0; b < 256; b++) {
            size_t count = places[b];
            places[b] = sum;
            sum += count;
        }
        for (size_t i = 0; i < n; i++) other[places[numbers[i] >> shift & 255]++] = numbers[i];
        uint64_t *t = numbers;
        numbers = other;
        other = t;
    }
    return numbers;
}

// Where the tests' times stand in order: those of directory[b] up to directory[b + 1] are b times 2^shift behind the
// first, and less than one more.
struct ranking {
    const brew_later *later;
    const uint64_t *test; // in order
    int shift;
    size_t directory[DIRECTORY + 1];
    uint64_t *pairs; // [pieces]
};

static size_t earlier(const struct ranking *r, uint64_t time) {
    size_t n = r->later->n_test;
    if (time <= r->test[0]) return 0;
    if (time > r->test[n - 1]) return n;
    size_t bucket = (time - r->test[0]) >> r->shift;
    size_t low = r->directory[bucket], high = r->directory[bucket + 1];
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (r->test[middle] < time)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void count_piece(void *arg, size_t task, int worker) {
    struct ranking *r = arg;
    size_t begin = task * PIECE, end = begin + PIECE;
    uint64_t pairs = 0;
    (void)worker;
    if (end > r->later->n_train) end = r->later->n_train;
    for (size_t i = begin; i < end; i++) pairs += earlier(r, r->later->train[i]);
    r->pairs[task] = pairs;
}

static uint64_t count_pairs(const brew_later *later, brew_pool *pool) {
    size_t n = later->n_test, pieces = (later->n_train + PIECE - 1) / PIECE;
    struct ranking *r = brew_calloc(1, sizeof *r);
    r->later = later;
    r->test = sort_numbers(later->test, later->train + later->n_train, n);
    r->pairs = brew_calloc(pieces, sizeof *r->pairs);
    while ((r->test[n - 1] - r->test[0]) >> r->shift >= DIRECTORY) r->shift++;
    for (size_t i = 0; i < n; i++) r->directory[((r->test[i] - r->test[0]) >> r->shift) + 1]++;
    for (size_t b = 0; b < DIRECTORY; b++) r->directory[b + 1] += r->directory[b];
    brew_pool_run(pool, pieces, count_piece, r);
    uint64_t pairs = 0;
    for (size_t i = 0; i < pieces; i++) pairs += r->pairs[i];
    free(r->pairs);
    free(r);
    return pairs;
}

int brew_later_share(brew_later *later, brew_pool *pool, double *share, brew_err *err) {
    uint64_t n_train = later->n_train, n_test = later->n_test, pairs = 0;
    const unsigned char *bytes;
    size_t len;
    int got = 0;
    if (later->sorter) {
        n_train = n_test = 0;
        brew_sorter_use(later->sorter, pool);
        got = brew_sorter_finish(later->sorter, err) ? -1 : 1;
    } else if (n_train && n_test) {
        pairs = count_pairs(later, pool);
    }
    while (got > 0 && (got = brew_sorter_next(later->sorter, &bytes, &len, err)) > 0) {
        if (bytes[len - 1]) {
            n_test++;
        } else {
            n_train++;
            pairs += n_test;
        }
    }
    *share = n_train && n_test ? (double)pairs / (double)n_train / (double)n_test : 0;
    return got;
}
