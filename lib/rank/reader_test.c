// Score records: what is read from good ones, and that bad ones are refused and change nothing.
#include "rank/reader.h"

#include "base/tap.h"
#include "rank/baseline.h"
#include "rank/compare.h"

static int add(brew_reader *r, const char *line, brew_err *err) {
    return brew_reader_add(r, line, strlen(line), err);
}

static void test_record(void) {
    const char *fields[] = {"task", "item.position"};
    brew_reader r = {0};
    brew_err err = {0};
    brew_reader_init(&r, NULL, fields, 2, true, NULL);
    is_int(
        add(&r,
            "{\"id\":\"q1\",\"scores\":[[0.25,0.5,0.25],[0.1,0.2,0.7],[1,0,0]],\"positive\":[0,2],"
            "\"targets\":[2,1,-1],\"item_ids\":[\"a\",7,\"b\"],\"weights\":[1,3,1],"
            "\"sample_rates\":[1,0.5,1],\"item_meta\":{\"position\":[1,2,3]},\"unknown\":{},"
            "\"meta\":{\"member\":\"m\",\"history\":6,\"task\":\"x\"}}",
            &err),
        0, "a full record");
    const brew_answers *a = &r.answers;
    is_int((long long)a->n, 2, "rows with an outcome");
    is_int((long long)r.counts.unknown, 1, "rows without");
    is_near(a->score[0], .5, 1e-15, "positive labels are added");
    is_near(a->score[1], .8, 1e-15, "in each item");
    ok(a->positive[0] == 1 && a->positive[1] == 0, "outcomes");
    is_near(a->weight[1], 6, 0, "weight over sample rate");
    ok(a->weighted, "weighted");
    is_str(brew_by_text(&r.by[0], r.by[0].value[1]), "x", "a slice by meta");
    is_str(brew_by_text(&r.by[1], r.by[1].value[1]), "2", "a slice by item");
    is_str(brew_by_text(&r.by[2], r.by[2].value[0]), "6-10", "a slice by history");
    ok(brew_reader_item(&r, "7", 1) == a->item[1] && brew_reader_member(&r, "m", 1) == 0 &&
           brew_reader_item(&r, "zz", 2) == SIZE_MAX,
       "names are found, a number as its digits");
    is_int(add(&r, "{\"scores\":[[0.5,0.5]],\"targets\":[0]}", &err), 0, "the least of a record");
    is_int(a->member[2], 1, "is a member of its own");
    is_int((long long)r.counts.records_without_member, 1, "which is counted");
    ok(r.by[0].value[2] == BREW_BY_MISSING && !brew_by_text(&r.by[0], BREW_BY_MISSING),
       "and misses the fields");
    is_int(add(&r, "{\"id\":\"q1\",\"scores\":[[1,0]],\"targets\":[0],\"meta\":{\"member\":\"n\"}}",
               &err),
           0, "the same id again");
    ok(a->group[3] == a->group[0] && a->member[3] != a->member[0], "is the same request");
    brew_reader_release(&r);
}

// Gains, positive labels of each item's own, kinds of questions, samples, months.
static void test_depth(void) {
    const char *specs[] = {"history:0,5*item.x", "time:month", "time:ahead"};
    brew_reader r = {0};
    brew_err err = {0};
    brew_reader_init(&r, NULL, specs, 3, false, &err);
    r.since_ms = 1500000000000;
    is_int(add(&r,
               "{\"id\":1,\"scores\":[[0.5,0.2,0.3],[0.5,0.2,0.3],[0.25,0.75]],\"targets\":[0,1,1],"
               "\"positive\":[[0,1],[0],[1]],\"gains\":[[3,0,0],[3,0.5,0],[0,9]],"
               "\"item_ids\":[\"a\",\"b\",\"a\"],\"item_meta\":{\"x\":[1,2,3],"
               "\"kind\":[\"k\",\"k\",\"l\"],\"sampled\":[false,true,false]},"
               "\"calibrated_on\":\"abc\",\"meta\":{\"history\":7,\"time\":1502629801,\"task\":"
               "\"t\"}}",
               &err),
           0, "all of it");
    const brew_answers *a = &r.answers;
    ok(a->positive[0] && !a->positive[1] && a->positive[2] && a->score[2] == .75,
       "each item has positive labels of its own");
    ok(a->gain[0] == 3 && a->gain[1] == .5F && a->gain[2] == 9 && a->graded, "and gains");
    ok(a->group[0] == a->group[1] && a->group[2] != a->group[0] && a->member[2] == a->member[0] &&
           a->item[2] == a->item[0],
       "each kind ranks apart");
    is_int((long long)r.counts.sampled, 1, "a sampled item without rates");
    is_str(brew_by_text(&r.by[0], r.by[0].value[1]), "[5,inf) * 2", "crossed");
    is_str(brew_by_text(&r.by[1], r.by[1].value[0]), "2017-08", "a calendar month");
    is_str(brew_by_text(&r.by[2], r.by[2].value[0]), "2", "the second month");
    is_str(brew_by_text(&r.task, r.task.value[0]), "t", "the task");
    ok(brew_intern_get(&r.calibrated_on, "abc", 3) == 0, "what the scores were calibrated on");
    ok(a->member_key[0] != 0 && r.asked_ms[1] == 1502629801000, "when it was asked");
    brew_reader_release(&r);
    static const char *const bad[] = {"",      ":1", "item.", "a:",        "a:x",  "a:2,1",
                                      "a:1,1", "a*", "*a",    "a*b*c*d*e", "a:1,", "time:ahea"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err.code = 0;
        ok(brew_reader_init(&r, NULL, &bad[i], 1, false, &err) < 0 && err.code == BREW_USAGE,
           "no slice: \"%s\"", bad[i]);
        brew_reader_release(&r);
    }
}

static void test_plain(void) {
    static const char *const lines[] = {
        "{\"score\":0.5,\"label\":1,\"id\":1,\"member\":\"u\",\"item_id\":\"x\",\"place\":\"top\"}",
        "{\"score\":0,\"label\":false,\"id\":1,\"member\":\"u\",\"item_id\":\"y\"}",
        "{\"score\":1,\"label\":null,\"id\":1}", "{\"score\":1}", "{\"score\":1,\"label\":-1}"};
    const char *fields[] = {"place"};
    brew_reader r = {0};
    brew_err err = {0};
    brew_reader_init(&r, NULL, fields, 1, true, NULL);
    for (size_t i = 0; i < 5; i++) is_int(add(&r, lines[i], &err), 0, "a plain row");
    is_int((long long)r.answers.n, 2, "two with an outcome");
    is_int((long long)r.counts.unknown, 3, "three without");
    ok(r.answers.group[0] == r.answers.group[1] && r.answers.member[1] == 0, "one request");
    is_str(brew_by_text(&r.by[0], r.by[0].value[0]), "top", "a slice by a field of the row");
    brew_reader_release(&r);
}

static void test_prompts(void) {
    brew_reader r = {0};
    brew_err err = {0};
    brew_reader_init(&r, NULL, NULL, 0, true, NULL);
    const char *one =
        "{\"query\":\"q\",\"items\":[\"a\",\"b\"],\"label_tokens\":[\"x\",\"y\",\"z\",\"w\"],"
        "\"targets\":[0,3],\"positive\":[0,1]}";
    ok(add(&r, one, &err) < 0, "a prompt record is refused");
    r.prompts = true;
    is_int(add(&r, one, &err), 0, "unless asked for");
    is_near(r.answers.score[1], .5, 0, "labels are equally likely");
    is_int(add(&r,
               "{\"items\":[\"a\",\"b\"],\"label_token_ids\":[[1,2],[3,4,5]],\"targets\":[1,2]}",
               &err),
           0, "sets per item");
    is_near(r.answers.score[3], 1. / 3, 1e-15, "each with its own size");
    ok(add(&r, "{\"items\":[\"a\"]}", &err) < 0 && strstr(err.text, "no labels"), "no labels");
    ok(add(&r, "{\"items\":[\"a\",\"b\"],\"label_token_ids\":[[1,2]]}", &err) < 0 &&
           strstr(err.text, "no labels"),
       "a set is missing");
    brew_reader_release(&r);
}

static void test_bad(void) {
    static const char *const bad[][2] = {
        {"", "empty"},
        {"[]", "an array, not an object"},
        {"{}", "neither"},
        {"{\"scores\":1}", "not an array"},
        {"{\"scores\":[]}", "no items"},
        {"{\"scores\":[1]}", "not an array of probabilities"},
        {"{\"scores\":[[]]}", "not an array of probabilities"},
        {"{\"scores\":[[0.5,\"canary\"]]}", "not a number"},
        {"{\"scores\":[[0.5,0.4]]}", "add up to 0.9"},
        {"{\"scores\":[[1.5,-0.5]]}", "not in 0 to 1"},
        {"{\"scores\":[[1,0]],\"targets\":[2]}", "with 2 labels"},
        {"{\"scores\":[[1,0]],\"targets\":[-2]}", "with 2 labels"},
        {"{\"scores\":[[1,0]],\"targets\":[0.5]}", "not a whole number"},
        {"{\"scores\":[[1,0]],\"targets\":[0,1]}", "2 elements for 1 items"},
        {"{\"scores\":[[1,0]],\"targets\":\"canary\"}", "a string, not an array"},
        {"{\"scores\":[[1,0]],\"positive\":[2]}", "item 0 has 2"},
        {"{\"scores\":[[1,0]],\"positive\":[]}", "not an array of labels"},
        {"{\"scores\":[[1,0]],\"positive\":[-1]}", "not a label's number"},
        {"{\"scores\":[[1,0]],\"positive\":[0,0]}", "twice"},
        {"{\"scores\":[[1,0]],\"weights\":[-1]}", "not in 0 to"},
        {"{\"scores\":[[1,0]],\"gains\":[1]}", "not an array of 2"},
        {"{\"scores\":[[1,0]],\"gains\":[1,-1]}", "not in 0 to"},
        {"{\"scores\":[[1,0]],\"gains\":{}}", "not an array of 2"},
        {"{\"scores\":[[1,0],[1,0]],\"positive\":[[0]]}", "not an array of labels"},
        {"{\"scores\":[[1,0]],\"calibrated_on\":7}", "an integer"},
        {"{\"score\":1,\"sample_rate\":0}", "out of its range"},
        {"{\"score\":1,\"weight\":\"canary\"}", "weight"},
        {"{\"scores\":[[1,0]],\"sample_rates\":[0]}", "not in 1e-12 to 1"},
        {"{\"scores\":[[1,0]],\"item_ids\":[{\"canary\":1}]}", "an object"},
        {"{\"scores\":[[1,0]],\"item_meta\":{\"canary\":[1,2]}}", "not an array of 1"},
        {"{\"scores\":[[1,0]],\"item_meta\":[]}", "not an object"},
        {"{\"scores\":[[1,0]],\"meta\":[]}", "not an object"},
        {"{\"scores\":[[1,0]],\"meta\":{\"member\":[1]}}", "an array"},
        {"{\"scores\":[[1,0]],\"meta\":{\"history\":-3}}", "not a count"},
        {"{\"scores\":[[1,0]],\"meta\":{\"history\":\"canary\"}}", "not a count"},
        {"{\"scores\":[[1,0]],\"meta\":{\"field\":{}}}", "cannot name a slice"},
        {"{\"scores\":[[1,0]],\"id\":[]}", "an array"},
        {"{\"score\":2}", "not a probability"},
        {"{\"score\":\"canary\"}", "not a probability"},
        {"{\"score\":1,\"label\":2}", "\"label\" is not"},
        {"{\"score\":1,\"label\":\"canary\"}", "\"label\" is not"},
        {"{\"score\":1,\"item_id\":[]}", "an array"},
        {"{\"scores\":[[1,0]],\"scores\":[[1,0]]}", "twice"},
    };
    const char *fields[] = {"field"};
    brew_reader r = {0};
    brew_reader_init(&r, NULL, fields, 1, true, NULL);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        brew_err err = {0};
        bool refused = add(&r, bad[i][0], &err) < 0 && err.code == BREW_DATA;
        if (!ok(refused && strstr(err.text, bad[i][1]) && !strstr(err.text, "canary"),
                "refused: %s", bad[i][1]))
            printf("# %s\n", err.text);
    }
    ok(r.answers.n == 0 && r.counts.records == 0 && r.counts.items == 0, "nothing was kept");
    brew_reader_release(&r);

    brew_err err = {0};
    brew_reader_init(&r, "query", NULL, 0, false, NULL);
    ok(add(&r, "{\"scores\":[[1,0]],\"meta\":{}}", &err) < 0 && strstr(err.text, "to group by"),
       "a record without the field to group by");
    is_int(add(&r, "{\"scores\":[[1,0]],\"targets\":[0],\"meta\":{\"query\":\"a\"}}", &err), 0,
           "grouped by a field");
    is_int(add(&r, "{\"scores\":[[1,0]],\"targets\":[0],\"meta\":{\"query\":\"a\"}}", &err), 0,
           "again");
    is_int((long long)r.answers.n_groups, 1, "one group");
    brew_reader_release(&r);
}

static void test_many_values(void) {
    const char *fields[] = {"time"};
    brew_reader r = {0};
    brew_err err = {0};
    int status = 0;
    brew_reader_init(&r, NULL, fields, 1, false, NULL);
    for (int i = 0; status == 0 && i < 1100; i++) {
        char line[80];
        snprintf(line, sizeof line, "{\"score\":1,\"label\":1,\"time\":%d}", i);
        status = add(&r, line, &err);
    }
    ok(status < 0 && err.code == BREW_USAGE, "too many values to slice by");
    is_int((long long)r.answers.n, 1000, "after a thousand");
    brew_reader_release(&r);
}

// 4 events of 2 members and 2 items, 1 positive: m = 0.25.
static void test_baselines(void) {
    brew_reader r = {0};
    brew_err err = {0};
    brew_baselines b;
    double score[3];
    brew_reader_init(&r, NULL, NULL, 0, false, NULL);
    add(&r, "{\"score\":1,\"label\":1,\"member\":\"u\",\"item_id\":\"x\"}", &err);
    add(&r, "{\"score\":1,\"label\":0,\"member\":\"v\",\"item_id\":\"y\"}", &err);
    add(&r, "{\"score\":1,\"label\":0,\"member\":\"new\",\"item_id\":\"x\"}", &err);
    brew_baselines_init(&b, &r);
    brew_baselines_add(&b, 0, 0, true);
    brew_baselines_add(&b, 0, 1, false);
    brew_baselines_add(&b, 1, 0, false);
    brew_baselines_add(&b, SIZE_MAX, SIZE_MAX, false);
    static const double want[BREW_BASELINES][3] = {
        {.25, .25, .25},
        {.25 + (.75 - .25) / 7, .25 - .25 / 6, .25 + .5 / 7},
        {.25 + .5 / 7, .25 - .25 / 6, .25},
        {.25 + .5 / 7 + .5 / 7, .25 - .25 / 6 - .25 / 6, .25 + .5 / 7},
        {2. / 4, 1. / 3, 1. / 2},
    };
    for (int i = 0; i < BREW_BASELINES; i++) {
        brew_baselines_score(&b, &r.answers, i, score);
        for (int k = 0; k < 3; k++) is_near(score[k], want[i][k], 1e-15, brew_baseline_name(i));
    }
    uint64_t members, items;
    brew_baselines_unseen(&b, &r.answers, &members, &items);
    ok(members == 1 && items == 0, "one answer of a member without events");
    brew_baselines_release(&b);
    brew_reader_release(&r);
}

static void test_join(void) {
    static const char *const in_a[] = {
        "{\"id\":1,\"scores\":[[0.5,0.5],[0.5,0.5]],\"targets\":[0,1],\"item_ids\":[7,\"y\"]}",
        "{\"id\":2,\"scores\":[[0.5,0.5],[0.5,0.5]],\"targets\":[0,1]}"};
    static const char *const in_b[] = {
        "{\"id\":2,\"scores\":[[0.3,0.7],[0.4,0.6]],\"targets\":[0,1]}",
        "{\"id\":1,\"scores\":[[0.1,0.9],[0.2,0.8]],\"targets\":[1,0],\"item_ids\":[\"y\",7]}",
        "{\"id\":3,\"scores\":[[0.1,0.9]],\"targets\":[1],\"item_ids\":[\"y\"]}"};
    brew_reader a = {0}, b = {0};
    brew_err err = {0};
    brew_join join;
    brew_reader_init(&a, NULL, NULL, 0, false, NULL);
    brew_reader_init(&b, NULL, NULL, 0, false, NULL);
    for (int i = 0; i < 2; i++) add(&a, in_a[i], &err);
    for (int i = 0; i < 2; i++) add(&b, in_b[i], &err);
    is_int(brew_join_init(&join, &a, &b, false, &err), 0, "joined in another order");
    ok(join.n == 4 && b.answers.score[join.row_b[0]] == .2 &&
           b.answers.score[join.row_b[1]] == .1 && b.answers.score[join.row_b[3]] == .4,
       "by id and item_id, or place");
    brew_join_release(&join);
    add(&b, in_b[2], &err);
    ok(brew_join_init(&join, &a, &b, false, &err) < 0 && strstr(err.text, "1 only in the second"),
       "one is missing");
    brew_join_release(&join);
    is_int(brew_join_init(&join, &a, &b, true, &err), 0, "unless allowed");
    ok(join.n == 4 && join.only_b == 1 && join.only_a == 0, "and counted");
    brew_join_release(&join);
    add(&a, "{\"id\":3,\"scores\":[[0.1,0.9]],\"targets\":[0],\"item_ids\":[\"y\"]}", &err);
    ok(brew_join_init(&join, &a, &b, true, &err) < 0 && strstr(err.text, "another outcome"),
       "another outcome is an error");
    brew_join_release(&join);
    add(&b, in_b[2], &err);
    ok(brew_join_init(&join, &a, &b, true, &err) < 0 && strstr(err.text, "two answers"),
       "and so is an answer that stands twice");
    brew_join_release(&join);
    brew_reader_release(&a);
    brew_reader_release(&b);
}

int main(void) {
    test_record();
    test_depth();
    test_plain();
    test_prompts();
    test_bad();
    test_many_values();
    test_baselines();
    test_join();
    return tap_done();
}
