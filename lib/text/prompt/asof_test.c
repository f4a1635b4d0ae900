// Features: every number of every event against a count over all rows that looks at each pair, so that
// nothing not known before the question can reach it; edges; offsets; the same at any memory and shard.
#include "text/prompt/asof.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/tap.h"

enum { ROWS = 1500, MEMBERS = 25, ITEMS = 30, DAYS = 40, FEATURES = 8 };

typedef struct row {
    int member, item, day, action, side;
} row;

static row rows[ROWS];
static size_t n_rows;
static char log_path[256], task_path[300];

static const char *const features =
    "\"features\":{"
    "\"a\":{\"of\":\"item\",\"measure\":\"rate\"},"
    "\"b\":{\"of\":\"item\",\"measure\":\"count\",\"window_days\":7,\"none\":\"new\"},"
    "\"c\":{\"of\":\"member\",\"measure\":\"rate\",\"actions\":[\"q\",\"r\"],\"lag_days\":3,"
    "\"window_days\":10,\"shrink\":0,\"none\":\"new\",\"percentiles\":[50],\"words\":[\"x\",\"y\"]}"
    ","
    "\"d\":{\"of\":\"member\",\"measure\":\"count\",\"actions\":[\"q\"]},"
    "\"e\":{\"of\":\"item\",\"as_of\":\"split\"},"
    "\"f\":{\"of\":\"item\",\"lag_days\":3,\"window_days\":10}},"
    "\"offsets\":{\"of\":\"member_item\",\"as_of\":\"split\"},";

// What the features above are, told a second time.
static const struct {
    bool member, at_split;
    int lag, window, k[3]; // which actions count
    double shrink;
    char form; // rate, count, deviation; capital: without a word for nothing
} what[FEATURES] = {
    {false, false, 0, 0, {1, 0, 0}, 5, 'R'}, {false, false, 0, 7, {1, 1, 1}, 0, 'c'},
    {true, false, 3, 10, {0, 1, 1}, 0, 'r'}, {true, false, 0, 0, {0, 1, 0}, 0, 'C'},
    {false, true, 0, 0, {1, 0, 0}, 5, 'R'},  {false, false, 3, 10, {1, 0, 0}, 5, 'R'},
    {false, true, 0, 0, {1, 0, 0}, 5, 'D'},  {true, true, 0, 0, {1, 0, 0}, 5, 'D'},
};

static brew_task *write_task(const char *split) {
    FILE *f = fopen(task_path, "w");
    fprintf(f,
            "{\"task\":\"t\",\"events\":{\"file\":\"%s\",\"member\":\"m\",\"item\":\"i\","
            "\"time\":\"t\",\"value\":\"v\"},"
            "\"actions\":[{\"name\":\"p\",\"label\":\"P\",\"values\":[\"p\"]},"
            "{\"name\":\"q\",\"label\":\"Q\",\"values\":[\"q\"]},{\"name\":\"r\",\"label\":\"R\"}],"
            "%s%s\"templates\":{\"question\":\"{a}{b}{c}{d}{e}{f}\"}}",
            log_path, features, split);
    fclose(f);
    brew_err err = {0};
    brew_task *task = brew_task_load(task_path, &err);
    if (!task) printf("# %s\n", err.text);
    return task;
}

static void write_rows(void) {
    FILE *f = fopen(log_path, "w");
    fputs("m,i,t,v\n", f);
    for (size_t k = 0; k < n_rows; k++)
        fprintf(f, "m%d,i%d,%d,%c\n", rows[k].member, rows[k].item, rows[k].day * 86400,
                "pqr"[rows[k].action]);
    fclose(f);
}

// Draws distinct events, on whole days so that times are often equal.
static void draw_rows(void) {
    for (uint64_t k = 0; k < ROWS; k++) {
        row r = {(int)brew_rand_below(5, 0, k, MEMBERS), (int)brew_rand_below(5, 1, k, ITEMS),
                 (int)brew_rand_below(5, 2, k, DAYS), (int)brew_rand_below(5, 3, k, 3), 0};
        r.item = r.item * r.item / ITEMS; // some are popular
        bool twice = false;
        for (size_t j = 0; j < n_rows && !twice; j++)
            twice = rows[j].member == r.member && rows[j].item == r.item && rows[j].day == r.day;
        if (!twice) rows[n_rows++] = r;
    }
}

static double brute(const row *asked, int f, const brew_task *task) {
    double k = 0, n = 0, all = 0, hits = 0;
    bool at_split = what[f].at_split && asked->side != BREW_SPLIT_TRAIN;
    for (size_t j = 0; j < n_rows; j++) {
        const row *r = &rows[j];
        if (r->side == BREW_SPLIT_TRAIN) {
            all++;
            hits += what[f].k[r->action];
        }
        if (what[f].member ? r->member != asked->member : r->item != asked->item) continue;
        if (at_split) {
            if (r->side != BREW_SPLIT_TRAIN) continue;
        } else {
            if (r->day + what[f].lag >= asked->day) continue;
            if (what[f].window && r->day + what[f].lag + what[f].window < asked->day) continue;
            if (r->side > asked->side) continue;
            if (r->side == asked->side && r->side != BREW_SPLIT_TRAIN && task->history_until_split)
                continue;
        }
        n++;
        k += what[f].k[r->action];
    }
    double mu = hits / all;
    switch (what[f].form) {
    case 'c':
        return k > 0 ? k : (double)NAN;
    case 'C':
        return k;
    case 'r':
        return n > 0 ? k / n : (double)NAN;
    case 'R':
        return (k + what[f].shrink * mu) / (n + what[f].shrink);
    }
    return (k - n * mu) / (n + 5);
}

static bool same(double a, double b) {
    return (isnan(a) && isnan(b)) || fabs(a - b) < 1e-12;
}

static row *find(const brew_member *member, const brew_event *event) {
    for (size_t j = 0; j < n_rows; j++)
        if (rows[j].member == atoi(member->id + 1) && rows[j].item == atoi(event->item + 1) &&
            rows[j].day * (int64_t)86400000 == event->time)
            return &rows[j];
    return NULL;
}

// All numbers as text, and the edges; the first reading sets the sides of the rows.
static int read_all(const brew_task *task, brew_events_options options, size_t memory, bool check,
                    brew_buf *out) {
    brew_err err = {0};
    int wrong = 0;
    options.all_first = true;
    brew_events *events = brew_events_open(task, &options, &err);
    brew_member member = {0};
    if (check) {
        while (brew_events_next(events, &member, &err) > 0)
            for (size_t i = 0; i < member.n; i++)
                find(&member, &member.events[i])->side = member.events[i].split;
        brew_events_rewind(events, true, &err);
    }
    brew_asof *asof = brew_asof_new(task, events, memory, NULL, NULL, &err);
    while (asof && brew_events_next(events, &member, &err) > 0) {
        wrong += brew_asof_next(asof, &member, &err) != 0;
        for (size_t i = 0; i < member.n; i++) {
            const double *values = member.values + i * FEATURES;
            brew_buf_addf(out, "%s %s:", member.id, member.events[i].item);
            for (int f = 0; f < FEATURES; f++) {
                brew_buf_addf(out, " %.17g", values[f]);
                if (check && !same(values[f], brute(find(&member, &member.events[i]), f, task)))
                    wrong++;
            }
            brew_buf_addf(out, " %s %.6f\n", brew_asof_word(asof, &member, i, 0),
                          brew_asof_offset(asof, &member, i));
        }
    }
    wrong += !asof || err.code;
    brew_asof_free(asof);
    brew_member_release(&member);
    brew_events_close(events);
    return wrong;
}

static void test_numbers(const char *name, const char *split) {
    brew_task *task = write_task(split);
    if (!ok(task != NULL, "%s", name)) return;
    brew_buf want = {0}, got = {0};
    is_int(read_all(task, (brew_events_options){0}, (size_t)64 << 20, true, &want), 0,
           "as counted by brute force");
    read_all(task, (brew_events_options){.memory_bytes = 1}, 1, false, &got);
    is_str(got.ptr, want.ptr, "the smallest memory gives the same");
    brew_pool *pool = brew_pool_new(3);
    brew_buf_reset(&got);
    read_all(task, (brew_events_options){.pool = pool}, (size_t)64 << 20, false, &got);
    is_str(got.ptr, want.ptr, "three threads give the same");
    brew_buf_reset(&got);
    read_all(task, (brew_events_options){.pool = pool, .memory_bytes = 1}, 1, false, &got);
    is_str(got.ptr, want.ptr, "and in the smallest memory");
    brew_pool_free(pool);
    brew_buf_reset(&got);
    for (uint64_t i = 1; i <= 3; i++)
        read_all(task, (brew_events_options){.shard = i, .shards = 3}, 1 << 20, false, &got);
    is_str(got.ptr, want.ptr, "three shards one after the other are the whole");
    brew_buf_release(&want);
    brew_buf_release(&got);
    brew_task_free(task);
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void test_edges(void) {
    brew_task *task = write_task("\"split\":{\"by\":\"time\",\"test\":0.3},");
    brew_err err = {0};
    brew_events *events = brew_events_open(task, &(brew_events_options){.all_first = true}, &err);
    brew_asof *asof = brew_asof_new(task, events, 1 << 20, NULL, NULL, &err);
    brew_member member = {0};
    double *numbers = brew_calloc(ROWS, sizeof *numbers);
    size_t n = 0, top = 0, train = 0;
    while (brew_events_next(events, &member, &err) > 0) {
        brew_asof_next(asof, &member, &err);
        for (size_t i = 0; i < member.n; i++) {
            if (member.events[i].split != BREW_SPLIT_TRAIN) continue;
            train++;
            top += !strcmp(brew_asof_word(asof, &member, i, 0), "top 10 %");
            double number = member.values[i * FEATURES + 1];
            if (!isnan(number)) numbers[n++] = number;
        }
    }
    qsort(numbers, n, sizeof *numbers, ascending);
    const double percentiles[] = {10, 35, 65, 90};
    for (size_t e = 0; e < 4; e++) {
        double want = numbers[(size_t)ceil((double)n * percentiles[e] / 100) - 1];
        ok(brew_asof_fitted(asof)[1].edges[e] == want, "edge %g: %g, of %zu", percentiles[e], want,
           n);
    }
    ok(top > train / 20 && top <= train / 10, "%zu of %zu are the top 10 %%", top, train);
    free(numbers);
    brew_member_release(&member);
    brew_asof_free(asof);
    brew_events_close(events);
    brew_task_free(task);
}

int main(void) {
    const char *dir = getenv("TMPDIR");
    snprintf(log_path, sizeof log_path, "%s/brew-asof-test-%ld.csv", dir && *dir ? dir : "/tmp",
             (long)getpid());
    snprintf(task_path, sizeof task_path, "%.240s.task.json", log_path);
    draw_rows();
    write_rows();
    test_numbers("split by time", "\"split\":{\"by\":\"time\",\"valid\":0.1,\"test\":0.3},");
    test_numbers("by time, history until the split",
                 "\"split\":{\"by\":\"time\",\"valid\":0.1,\"test\":0.3},"
                 "\"history\":{\"until\":\"split\"},");
    test_numbers("by last", "\"split\":{\"by\":\"last\",\"valid\":0.1,\"test\":0.2},");
    test_numbers("by last, history until the question",
                 "\"split\":{\"by\":\"last\",\"valid\":0.1,\"test\":0.2},"
                 "\"history\":{\"until\":\"question\"},");
    test_numbers("no split", "");
    test_edges();
    unlink(log_path);
    unlink(task_path);
    return tap_done();
}
