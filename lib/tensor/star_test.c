// The star batch: building, sharing of label sets, taking back, copying, and a check that refuses each
// broken array.
#include "tensor/star.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/tap.h"

static const int32_t ids[] = {10, 11, 12, 13, 14, 15, 16, 17, 18, 19};
static const int32_t yes_no[] = {5, 6}, three[] = {7, 8, 9};

// Two requests: query 4, items 2 and 3, one history answer; an empty query, item 1.
static void build(brew_star *star) {
    brew_star_add_request(star);
    brew_star_add_ids(star, ids, 4);
    brew_star_add_item(star);
    brew_star_add_ids(star, ids + 4, 2);
    brew_star_add_item(star);
    brew_star_add_ids(star, ids + 6, 1);
    brew_star_add_ids(star, ids + 7, 2);
    brew_star_add_answer(star, 5, brew_star_add_set(star, yes_no, 2), 1, 1, 0);
    brew_star_add_answer(star, 8, brew_star_add_set(star, three, 3), -1, 0.5f, 0.25f);
    brew_star_add_answer(star, 2, brew_star_add_set(star, yes_no, 2), 0, 1, 0);
    brew_star_add_meta(star, "{\"id\":1}", 8);
    brew_star_add_request(star);
    brew_star_add_item(star);
    brew_star_add_ids(star, ids + 9, 1);
    brew_star_add_answer(star, 9, brew_star_add_set(star, three, 3), 2, 1, 0);
    brew_star_add_meta(star, "{}", 2);
}

static bool same(const brew_star *a, const brew_star *b) {
    if (a->n_ids != b->n_ids || a->n_segments != b->n_segments || a->n_requests != b->n_requests ||
        a->n_answers != b->n_answers || a->n_sets != b->n_sets || a->meta.len != b->meta.len)
        return false;
    size_t R = a->n_requests + 1, S = a->n_segments + 1, A = a->n_answers, G = a->n_sets;
    return !memcmp(a->ids, b->ids, a->n_ids * 4) && !memcmp(a->segments, b->segments, S * 8) &&
           !memcmp(a->requests, b->requests, R * 8) &&
           !memcmp(a->answer_splits, b->answer_splits, R * 8) &&
           !memcmp(a->answers, b->answers, A * 8) && !memcmp(a->answer_set, b->answer_set, A * 4) &&
           !memcmp(a->targets, b->targets, A * 4) && !memcmp(a->weights, b->weights, A * 4) &&
           !memcmp(a->offsets, b->offsets, A * 4) &&
           !memcmp(a->label_splits, b->label_splits, (G + 1) * 8) &&
           !memcmp(a->label_ids, b->label_ids, (size_t)a->label_splits[G] * 4) &&
           !memcmp(a->meta.ptr, b->meta.ptr, a->meta.len);
}

static void test_building(void) {
    brew_star star = {0}, copy = {0};
    brew_err err;
    is_int(brew_star_check(&star, 0, &err), 0, "an empty star is sound");
    build(&star);
    is_int((long long)star.n_segments, 5, "five segments");
    is_int((long long)star.n_sets, 2, "equal label sets are shared");
    is_int(star.answer_set[2], 0, "the third answer has the first set");
    is_int((long long)brew_star_items(&star, 0), 2, "items of request 0");
    is_int(brew_star_query_len(&star, 1), 0, "an empty query");
    is_int(brew_star_span(&star, 0), 7, "query and longest item");
    is_int(brew_star_span(&star, 1), 1, "span of an empty query");
    if (!ok(!brew_star_check(&star, 20, &err), "sound")) printf("# %s\n", err.text);
    size_t len;
    const char *meta = brew_star_meta(&star, 1, &len);
    ok(meta && len == 2 && !memcmp(meta, "{}", 2), "the second line of meta");
    ok(!brew_star_meta(&star, 2, &len), "there is no third");

    brew_star_append(&copy, &star, 0);
    brew_star_append(&copy, &star, 1);
    ok(same(&star, &copy), "appending each request makes an equal star");
    brew_star_append(&copy, &star, 1);
    is_int(copy.answers[4], 10, "an appended answer moves with its item");
    ok(!brew_star_check(&copy, 20, &err), "appended: sound");
    brew_star_drop_request(&copy);
    ok(same(&star, &copy), "dropping the last request restores");
    brew_star_drop_request(&copy);
    is_int((long long)copy.n_answers, 3, "one request with three answers is left");
    brew_star_drop_history(&copy);
    ok(copy.n_answers == 2 && !brew_star_check(&copy, 20, &err), "two without its history");
    brew_star_drop_request(&copy);
    is_int((long long)(copy.n_ids + copy.n_segments + copy.n_answers + copy.n_sets + copy.meta.len),
           0, "dropping all leaves nothing, label sets included");
    build(&copy);
    ok(same(&star, &copy), "and building again gives the same");
    brew_star_reset(&copy);
    build(&copy);
    ok(same(&star, &copy), "also after reset");
    brew_star_release(&copy);
    brew_star_release(&star);
}

static void test_many_sets(void) {
    brew_star star = {0};
    brew_star_add_request(&star);
    bool right = true;
    for (int round = 0; round < 2; round++)
        for (int32_t i = 0; i < 1000; i++) {
            int32_t set[2] = {i, i + 1};
            right &= brew_star_add_set(&star, set, i % 2 ? 2 : 1) == i;
        }
    ok(right && star.n_sets == 1000, "a thousand sets are found again");
    brew_star_release(&star);
}

// Breaks one value and expects the check to say so.
#define REFUSED(what, place, value, says)                                                    \
    do {                                                                                     \
        brew_star star = {0};                                                                \
        brew_err err = {0};                                                                  \
        build(&star);                                                                        \
        star.place = value;                                                                  \
        ok(brew_star_check(&star, 20, &err) < 0 && err.code == BREW_DATA, "refused: " what); \
        if (!ok(strstr(err.text, says), "and says: " says)) printf("# got: %s\n", err.text); \
        brew_star_release(&star);                                                            \
    } while (0)

static void test_check(void) {
    REFUSED("first split", segments[0], 1, "segments begins at 1, not at 0");
    REFUSED("descending split", segments[2], 3, "segments[2] is 3, but at least 4 is needed");
    REFUSED("negative split", segments[1], INT64_MIN, "segments[1] is -9223372036854775808");
    REFUSED("open end", segments[5], 11, "segments ends at 11, not at 10");
    REFUSED("request without a query", requests[1], 0, "requests[1] is 0, but at least 1");
    REFUSED("requests beyond", requests[2], 6, "requests ends at 6, not at 5");
    REFUSED("empty item", segments[2], 4, "request 0 has an empty item");
    REFUSED("too few answers", answer_splits[1], 1, "request 0 has 2 items but 1 answers");
    REFUSED("answer in the middle", answers[0], 4, "answers[0] is 4, its item ends at row 5");
    REFUSED("history outside", answers[2], 4, "answers[2] is 4, not an ascending row of its query");
    REFUSED("id too large", ids[3], 20, "ids[3] is 20, the vocabulary holds 20");
    REFUSED("id negative", ids[3], -1, "ids[3] is -1");
    REFUSED("label too large", label_ids[1], 99, "label_ids[1] is 99, the vocabulary holds 20");
    REFUSED("empty label set", label_splits[1], 0, "label_splits[1] is 0, but at least 1");
    REFUSED("set", answer_set[1], 2, "answer_set[1] is 2, there are 2 label sets");
    REFUSED("target", targets[0], 2, "targets[0] is 2, its label set holds 2");
    REFUSED("target below", targets[0], -2, "targets[0] is -2");
    REFUSED("weight", weights[0], -1, "weights[0] is negative");
    REFUSED("weight nan", weights[3], NAN, "weights[3] is negative or not finite");
    REFUSED("offset", offsets[1], INFINITY, "offsets[1] is not finite");
    REFUSED("meta", meta.len, 9, "meta holds 1 lines, there are 2 requests");
    REFUSED("tokens without requests", n_requests, 0, "requests");
}

int main(void) {
    test_building();
    test_many_sets();
    test_check();
    return tap_done();
}
