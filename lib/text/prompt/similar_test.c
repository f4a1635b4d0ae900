// BM25 against the formula worked out by hand, and against choosing by sorting.
#include "text/prompt/similar.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "base/tap.h"

static void add(brew_similar *s, const char *text) {
    brew_similar_add(s, text, strlen(text));
}

static size_t choose(brew_similar *s, const size_t *texts, size_t n, const char *query, size_t k,
                     size_t *out) {
    return brew_similar_choose(s, texts, n, query, strlen(query), k, out);
}

static void test_small(void) {
    brew_similar s = {0};
    const size_t all[] = {0, 1, 2, 3};
    size_t out[4];
    add(&s, "Nurse, Oslo: nights");
    add(&s, "nurse in Bergen");
    add(&s, "Bäcker in Wien");
    add(&s, "");
    is_int((long long)choose(&s, all, 4, "NURSE bäcker nurse wien", 4, out), 4, "all of four");
    ok(out[0] == 0 && out[3] == 3, "in their order");
    double mean = 9.0 / 4, idf2 = log(1 + 2.5 / 2.5), idf1 = log(1 + 3.5 / 1.5);
    double one = 2.2 / (1 + 1.2 * (0.25 + 0.75 * 3 / mean));
    ok(fabs(s.scores[1] - idf2 * one) < 1e-12, "one word: %.6f", s.scores[1]);
    ok(fabs(s.scores[2] - 2 * idf1 * one) < 1e-12, "two words: %.6f", s.scores[2]);
    ok(s.scores[3] == 0, "none");
    is_int((long long)choose(&s, all, 4, "wien nurse", 2, out), 2, "two of four");
    ok(out[0] == 1 && out[1] == 2, "the best: the shorter of the nurses, and the rarer word");
    choose(&s, all, 4, "!", 1, out);
    ok(out[0] == 3, "nothing in common: the last");
    is_int((long long)choose(&s, all + 2, 2, "nurse", 1, out), 1, "only of those given");
    ok(out[0] == 3, "the last of them");
    is_int((long long)choose(&s, all, 0, "nurse", 1, out), 0, "of none, none");
    brew_similar_release(&s);
}

static void test_order(void) {
    brew_similar s = {0};
    enum { N = 300 };
    size_t all[N], out[N], wrong = 0;
    for (uint64_t i = 0; i < N; i++) {
        char text[8] = "a b c d";
        for (uint64_t k = 0; k < 4; k++) text[2 * k] = (char)('a' + brew_rand_below(4, k, i, 12));
        add(&s, text);
        all[i] = i;
    }
    for (size_t k = 1; k < N; k += 23) {
        size_t n = choose(&s, all, N, "a b c", k, out);
        bool taken[N] = {false};
        for (size_t i = 0; i < n; i++) taken[out[i]] = true;
        wrong += n != k;
        for (size_t i = 0; i + 1 < n; i++) wrong += out[i] >= out[i + 1];
        for (size_t i = 0; i < N; i++)
            for (size_t j = 0; j < N; j++) {
                if (!taken[i] || taken[j]) continue;
                wrong += s.scores[j] > s.scores[i] || (s.scores[j] == s.scores[i] && j > i);
            }
    }
    is_int((long long)wrong, 0, "none left out is better than one taken, or as good and later");
    brew_similar_release(&s);
}

int main(void) {
    test_small();
    test_order();
    return tap_done();
}
