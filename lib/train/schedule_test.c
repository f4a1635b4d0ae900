#include "train/schedule.h"

#include <math.h>

#include "base/tap.h"
#include "train/order.h"

static void test_schedules(void) {
    brew_schedule s = {BREW_CONSTANT, 0, 4, 0, 0};
    is_near(brew_schedule_at(&s, 1), 0.25, 0, "the first step of a warm-up of 4");
    is_near(brew_schedule_at(&s, 4), 1, 0, "the last");
    is_near(brew_schedule_at(&s, 1000), 1, 0, "constant stays");
    s = (brew_schedule){BREW_COSINE, 12, 2, 0, 0.1};
    is_near(brew_schedule_at(&s, 3), 1, 0, "cosine starts in full");
    is_near(brew_schedule_at(&s, 8), 0.55, 1e-15, "is half way half way");
    is_near(brew_schedule_at(&s, 12), 0.1 + 0.9 * (1 + cos(0.9 * acos(-1))) / 2, 1e-15,
            "and ends above its floor");
    double last = 2;
    bool falls = true;
    for (int64_t step = 3; step <= 12; step++) {
        double now = brew_schedule_at(&s, step);
        falls = falls && now < last && now > 0.1;
        last = now;
    }
    ok(falls, "falling all the way");
    s = (brew_schedule){BREW_WSD, 20, 2, 4, 0};
    is_near(brew_schedule_at(&s, 16), 1, 0, "wsd is stable up to its decay");
    is_near(brew_schedule_at(&s, 17), 0.8, 1e-15, "which begins below 1");
    is_near(brew_schedule_at(&s, 20), 0.2, 1e-15, "and ends above 0");
    s = (brew_schedule){BREW_COSINE, 1, 0, 0, 0};
    is_near(brew_schedule_at(&s, 1), 1, 0, "a run of one step");
    s = (brew_schedule){BREW_COSINE, 5, 10, 0, 0};
    is_near(brew_schedule_at(&s, 5), 0.5, 0, "a warm-up longer than the run");
}

static void test_ramps(void) {
    brew_err err;
    brew_ramp r;
    ok(!brew_ramp_parse(&r, "0.5", 0, 1, "alpha", &err), "a number");
    is_near(brew_ramp_at(&r, 7, 10), 0.5, 0, "stays");
    ok(!brew_ramp_parse(&r, "1:0.25", 0, 1, "alpha", &err), "two numbers");
    is_near(brew_ramp_at(&r, 1, 4), 1, 0, "from the first");
    is_near(brew_ramp_at(&r, 3, 4), 0.5, 1e-15, "in a straight line");
    is_near(brew_ramp_at(&r, 4, 4), 0.25, 0, "to the second");
    is_near(brew_ramp_at(&r, 1, 1), 1, 0, "a run of one step");
    static const char *const bad[] = {"", ":", "1:", ":1", "x", "1:2:3", "0.1:2", "-1", "nan"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ok(brew_ramp_parse(&r, bad[i], 0, 1, "alpha", &err) && err.code == BREW_USAGE,
           "\"%s\" is refused", bad[i]);
}

static void test_shuffle(void) {
    static const uint64_t sizes[] = {1, 2, 3, 4, 5, 16, 17, 100, 1000};
    static bool seen[1000];
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        uint64_t n = sizes[k], distinct = 0, moved = 0;
        memset(seen, 0, sizeof seen);
        for (uint64_t i = 0; i < n; i++) {
            uint64_t at = brew_shuffle_at(1, 0, n, i);
            if (at < n && !seen[at]) distinct++;
            if (at < n) seen[at] = true;
            moved += at != brew_shuffle_at(1, 1, n, i);
        }
        ok(distinct == n, "a permutation of %llu", (unsigned long long)n);
        ok(n < 16 || moved > n / 2, "another in the next epoch");
    }
    // Who stands first: each of 10 about as often as the others.
    int first[10] = {0}, least = 10000, most = 0;
    for (uint64_t seed = 0; seed < 10000; seed++) first[brew_shuffle_at(seed, 3, 10, 0)]++;
    for (int i = 0; i < 10; i++) {
        if (first[i] < least) least = first[i];
        if (first[i] > most) most = first[i];
    }
    ok(least > 850 && most < 1150, "the first place is fair (%d to %d of 10,000)", least, most);
}

static void test_mix(void) {
    static const double weights[] = {0.7, 0.2, 0.1};
    uint64_t taken[3] = {0};
    bool near = true;
    for (int i = 1; i <= 1000; i++) {
        taken[brew_mix_next(weights, taken, 3)]++;
        for (int k = 0; k < 3; k++) near = near && fabs(i * weights[k] - (double)taken[k]) <= 2;
    }
    ok(near, "a mix keeps to its shares all along");
    is_int((long long)taken[0], 700, "and meets them");
    is_int((long long)taken[2], 100, "all");
}

int main(void) {
    test_schedules();
    test_ramps();
    test_shuffle();
    test_mix();
    return tap_done();
}
