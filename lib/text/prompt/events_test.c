// Events: the promises of events.h against a brute-force reading, whatever the order of the rows.
#include "text/prompt/events.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/rng.h"
#include "base/tap.h"

enum { ROWS = 6000, MEMBERS = 40, ITEMS = 60, TIMES = 50 };

typedef struct row {
    int member, item, time, action;
} row;

static row rows[ROWS];
static char path[256], candidates[256];

// The task that events_test is about: two actions, the split by shares of time.
static brew_action actions[] = {
    {.name = "a", .label = " A", .has_min = true, .min = 4, .positive = true},
    {.name = "b", .label = " B"}};
static brew_actions sets[] = {{.list = actions, .n = 2}};
static brew_entity_table tables[1];
static brew_log task_log = {.events = {.path = path, .format = BREW_TABLE_CSV},
                            .member_column = "m",
                            .item_column = "i",
                            .time_column = "t",
                            .value_column = "v",
                            .until = INT64_MAX,
                            .split = -1};
static brew_task task = {.path = "task",
                         .name = "t",
                         .logs = &task_log,
                         .n_logs = 1,
                         .action_sets = sets,
                         .n_action_sets = 1,
                         .item_tables = tables,
                         .n_item_tables = 1,
                         .split = {BREW_SPLIT_BY_SHARE, 0.1, 0.2, 0, 0}};

static void write_rows(uint64_t step, const char *extra) {
    FILE *f = fopen(path, "w");
    fputs("v,t,other,i,m\n", f);
    for (uint64_t k = 0; k < ROWS; k++) {
        const row *r = &rows[k * step % ROWS];
        fprintf(f, "%d,%d,x,i%d,m%d\n", r->action ? 3 : 5, r->time, r->item, r->member);
    }
    fputs(extra, f);
    fclose(f);
}

// All events as text, one a line.
static void read_all(const brew_events_options *options, brew_buf *out, brew_events_counts *counts,
                     brew_err *err) {
    brew_events *events = brew_events_open(&task, options, err);
    brew_member member = {0};
    int got = events ? 1 : -1;
    while (got > 0 && (got = brew_events_next(events, &member, err)) > 0)
        for (size_t i = 0; i < member.n; i++) {
            const brew_event *e = &member.events[i];
            brew_buf_addf(out, "%s %s %lld %d %d %llu\n", member.id, e->item,
                          e->action < 0 ? -1 : (long long)e->time, e->action, e->split,
                          (unsigned long long)e->item_history);
        }
    if (counts && events) *counts = *brew_events_counted(events);
    brew_member_release(&member);
    brew_events_close(events);
}

static int earlier(const row *event) { // distinct events of its item before it
    int n = 0;
    for (int k = 0; k < ROWS; k++) {
        bool first = rows[k].item == event->item && rows[k].time < event->time;
        for (int j = 0; first && j < k; j++)
            first = rows[j].item != rows[k].item || rows[j].time != rows[k].time ||
                    rows[j].member != rows[k].member;
        n += first;
    }
    return n;
}

static void test_brute_force(const char *text, const brew_events_counts *counts) {
    size_t n = 0, wrong = 0, n_split[3] = {0};
    int last_time[3] = {-1, -1, -1}, first_time[3] = {TIMES, TIMES, TIMES};
    for (const char *line = text; *line; line = strchr(line, '\n') + 1, n++) {
        row r;
        long long time;
        int split, history;
        if (sscanf(line, "m%d i%d %lld %d %d %d", &r.member, &r.item, &time, &r.action, &split,
                   &history) != 6) {
            wrong++;
            continue;
        }
        r.time = (int)(time / 1000);
        int best = 2;
        for (int k = 0; k < ROWS; k++)
            if (rows[k].member == r.member && rows[k].item == r.item && rows[k].time == r.time &&
                rows[k].action < best)
                best = rows[k].action;
        wrong += best != r.action;
        if (n % 16 == 0) wrong += earlier(&r) != history; // slow: some of them
        n_split[split]++;
        if (r.time > last_time[split]) last_time[split] = r.time;
        if (r.time < first_time[split]) first_time[split] = r.time;
    }
    is_int((long long)wrong, 0, "actions and item histories as counted by brute force");
    is_int((long long)n, (long long)(counts->accepted - counts->duplicates), "each event once");
    ok(counts->duplicates > 100, "%llu duplicates left out",
       (unsigned long long)counts->duplicates);
    ok(last_time[0] < first_time[1] && last_time[1] < first_time[2], "equal times are not divided");
    ok(n_split[2] >= n / 5 && n_split[2] < n / 4 && n_split[1] > n / 20 && n_split[1] < n / 5,
       "shares of %zu: %zu, %zu, %zu", n, n_split[0], n_split[1], n_split[2]);
}

static void test_same(void) {
    brew_err err = {0};
    brew_events_counts counts = {0};
    brew_buf want = {0}, got = {0};
    write_rows(1, "");
    read_all(NULL, &want, &counts, &err);
    if (!ok(want.len > 0 && counts.read == ROWS && counts.items == ITEMS, "rows read")) return;
    test_brute_force(want.ptr, &counts);
    write_rows(4999, "");
    read_all(NULL, &got, NULL, &err);
    is_int(strcmp(want.ptr, got.ptr), 0, "rows in another order give the same");
    brew_buf_reset(&got);
    read_all(&(brew_events_options){.memory_bytes = 1}, &got, NULL, &err);
    is_int(strcmp(want.ptr, got.ptr), 0, "the smallest memory gives the same");
    brew_buf_reset(&got);
    for (uint64_t i = 1; i <= 3; i++)
        read_all(&(brew_events_options){.shard = i, .shards = 3}, &got, NULL, &err);
    is_int(strcmp(want.ptr, got.ptr), 0, "three shards one after the other are the whole");
    brew_buf_release(&want);
    brew_buf_release(&got);
}

typedef struct seen {
    int calls, stop_after;
    uint64_t line_sum;
} seen;

static int on_reject(void *arg, const char *file, uint64_t line, const char *text, size_t len,
                     brew_err *why) {
    (void)text;
    seen *s = arg;
    s->line_sum += line * (len > 0 && !strcmp(file, path) && why->code == BREW_DATA);
    return ++s->calls > s->stop_after ? -1 : 0;
}

static void test_rejects(void) {
    const char *extra = "5,12,x,,m1\n"       // no item
                        "5,noon,x,i1,m1\n"   // no time
                        "5,12,x,i1,\n"       // no member
                        "5,12,x,i1\n"        // too few fields
                        "5,12,x,i1,m\xff\n"; // no UTF-8
    brew_err err = {0};
    brew_events_counts counts = {0};
    brew_buf out = {0};
    seen all = {.stop_after = 100};
    write_rows(1, extra);
    brew_events_options options = {.reject = on_reject, .arg = &all};
    read_all(&options, &out, &counts, &err);
    ok(counts.read == ROWS + 5 && counts.rejected == 5 && counts.accepted == ROWS,
       "accepted + rejected = read");
    is_int((long long)all.line_sum, 5 * (ROWS + 2) + 10, "each bad row is named by its line");
    seen one = {.stop_after = 0};
    options.arg = &one;
    ok(!brew_events_open(&task, &options, &err) && one.calls == 1,
       "the reader may stop at the first");
    ok(!brew_events_open(&task, NULL, &err) && err.code == BREW_DATA && strstr(err.text, ":6002: "),
       "without a reader of rejects the first is an error: %s", err.text);
    brew_buf_release(&out);
}

static void test_candidates(void) {
    brew_err err = {0};
    brew_buf out = {0};
    write_rows(1, "");
    FILE *f = fopen(candidates, "w");
    fputs("{\"i\":\"i7\",\"m\":\"new\"}\n{\"m\":\"new\",\"i\":\"i61\"}\n{\"m\":\"new\",\"i\":"
          "\"i7\"}\n",
          f);
    fclose(f);
    read_all(&(brew_events_options){.candidates = candidates}, &out, NULL, &err);
    const char *at = strstr(out.ptr ? out.ptr : "", "new i61 -1 -1 0 0\n");
    row last = {.item = 7, .time = TIMES};
    char want[64];
    snprintf(want, sizeof want, "new i7 -1 -1 0 %d\n", earlier(&last));
    ok(at && strstr(at, want) == at + strlen("new i61 -1 -1 0 0\n"),
       "candidates come once, with all events of their item counted");
    brew_buf_release(&out);
}

int main(void) {
    const char *dir = getenv("TMPDIR");
    snprintf(path, sizeof path, "%s/brew-events-test-%ld.csv", dir && *dir ? dir : "/tmp",
             (long)getpid());
    snprintf(candidates, sizeof candidates, "%.200s.jsonl", path);
    for (uint64_t k = 0; k < ROWS; k++)
        rows[k] =
            (row){(int)brew_rand_below(1, 0, k, MEMBERS), (int)brew_rand_below(1, 1, k, ITEMS),
                  (int)brew_rand_below(1, 2, k, TIMES), (int)brew_rand_below(1, 3, k, 2)};
    test_same();
    test_rejects();
    test_candidates();
    unlink(path);
    unlink(candidates);
    return tap_done();
}
