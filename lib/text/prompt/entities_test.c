// Tables over time: what holds at a moment, against the rule applied to all rows.
#include "text/prompt/entities.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/rng.h"
#include "base/tap.h"

enum { ROWS = 400, IDS = 20, DAYS = 30 };

static char path[256];
static char *names[] = {"text"};
static const brew_columns columns = {names, 1};

static int load(const char *rows, const char *valid_from, brew_reject_fn *reject, void *arg,
                brew_entities *out, brew_events_counts *counts, brew_err *err) {
    FILE *f = fopen(path, "w");
    fputs(rows, f);
    fclose(f);
    brew_source source = {path, (char[]){"id"}, (char *)(uintptr_t)valid_from, BREW_TIME_S,
                          BREW_TABLE_CSV};
    *counts = (brew_events_counts){0};
    *err = (brew_err){0};
    return brew_entities_load(out, &source, &columns, reject, arg, counts, err);
}

static void test_versions(void) {
    static int day[ROWS], id[ROWS];
    brew_buf text = {0};
    size_t n = 0, wrong = 0, none = 0;
    brew_buf_adds(&text, "from,text,id\n");
    for (uint64_t k = 0; k < ROWS; k++) {
        id[n] = (int)brew_rand_below(9, 0, k, IDS);
        day[n] = (int)brew_rand_below(9, 1, k, DAYS);
        bool twice = false;
        for (size_t j = 0; j < n && !twice; j++) twice = id[j] == id[n] && day[j] == day[n];
        if (twice) continue;
        brew_buf_addf(&text, "%d,t%zu,x%d\n", day[n] * 100, n, id[n]);
        n++;
    }
    brew_entities entities;
    brew_events_counts counts;
    brew_err err;
    ok(!load(text.ptr, "from", NULL, NULL, &entities, &counts, &err) && counts.accepted == n,
       "%zu rows over time", n);
    for (int x = 0; x < IDS; x++)
        for (int t = 0; t <= DAYS; t++) {
            char name[32], want[32] = "";
            snprintf(name, sizeof name, "x%d", x);
            int latest = -1;
            for (size_t j = 0; j < n; j++)
                if (id[j] == x && day[j] < t && day[j] > latest) {
                    latest = day[j];
                    snprintf(want, sizeof want, "t%zu", j);
                }
            size_t number = brew_entities_find(&entities, name, strlen(name));
            size_t row = brew_entities_row(&entities, number, t * INT64_C(100000));
            brew_field got = brew_entities_field(&entities, row, 0);
            wrong += got.len != strlen(want) || (got.len && memcmp(got.ptr, want, got.len));
            none += row == SIZE_MAX;
        }
    ok(wrong == 0 && none > 0, "the latest row strictly before each moment, or none (%zu)", none);
    ok(brew_entities_row(&entities, SIZE_MAX, 0) == SIZE_MAX, "nothing holds for an unknown id");
    brew_entities_release(&entities);
    brew_buf_release(&text);
}

static int count_reject(void *arg, const char *file, uint64_t line, const char *row, size_t len,
                        brew_err *why) {
    (void)file, (void)line, (void)row, (void)len;
    brew_buf_adds(arg, why->text);
    brew_buf_addc(arg, '\n');
    return 0;
}

static void test_rejects(void) {
    brew_entities entities;
    brew_events_counts counts;
    brew_err err;
    brew_buf said = {0};
    load("from,text,id\n1,a,x\n2,b,x\n1,c,x\n,d,x\nnoon,e,x\n1,f,\n1,g,y\n", "from", count_reject,
         &said, &entities, &counts, &err);
    is_str(said.ptr,
           "a second row of one id and time of validity\n"
           "the time of validity is not one in the table's unit\n"
           "the time of validity is not one in the table's unit\nno id\n",
           "bad rows over time");
    ok(entities.n_rows == 3 && brew_entities_since(&entities, 0) == 1000, "the others stay");
    brew_entities_release(&entities);
    brew_buf_reset(&said);
    load("text,id\na,x\nb,y\nc,x\nd,z\n", NULL, count_reject, &said, &entities, &counts, &err);
    is_str(said.ptr, "a second row of one id\n", "without times an id has one row");
    size_t z = brew_entities_find(&entities, "z", 1);
    ok(brew_entities_since(&entities, z) == INT64_MIN &&
           brew_entities_field(&entities, brew_entities_row(&entities, z, INT64_MIN), 0).ptr[0] ==
               'd',
       "which holds at any moment");
    brew_entities_release(&entities);
    brew_buf_release(&said);
}

int main(void) {
    const char *dir = getenv("TMPDIR");
    snprintf(path, sizeof path, "%s/brew-entities-test-%ld.csv", dir && *dir ? dir : "/tmp",
             (long)getpid());
    test_versions();
    test_rejects();
    unlink(path);
    return tap_done();
}
