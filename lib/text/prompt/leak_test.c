// Leakage: a log of impressions with actions that come late, rows that stand twice, and many equal times.
// Whatever the task asks for, no answer stands in a prompt before it was known, none is to be learned from
// behind a line that was not known then, and who looks for the answer in the prompt finds nothing.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/tap.h"
#include "io/json.h"
#include "text/prompt/prompt.h"

enum { SHOWN = 4000, MEMBERS = 12, ITEMS = 40, TIMES = 3000, WINDOW = 9, LAG = 2 };

// An impression: who was shown what at which time in which request, and what came of it, and when.
typedef struct impression {
    int member, item, time, request, action, delay; // action: 0 applied, 1 viewed, 2 nothing
} impression;

static impression shown[SHOWN];
static char log_path[256], task_path[300];

// Requests of five items and of one; of each (member, request, item) one, all of a request at one time. Actions come up to WINDOW later,
// some beyond: too late to count.
static void draw(void) {
    for (uint64_t k = 0; k < SHOWN; k++) {
        impression *s = &shown[k];
        s->request = (int)(k / 5 % 2 ? k : k - k % 5);
        s->member = (int)brew_rand_below(7, 0, (uint64_t)s->request, MEMBERS);
        s->time = (int)brew_rand_below(7, 1, (uint64_t)s->request, TIMES);
        s->item = (int)(k % 5) * (ITEMS / 5) + (int)brew_rand_below(7, 2, k, ITEMS / 5);
        s->action = (int)brew_rand_below(7, 3, k, 3);
        s->delay = (int)brew_rand_below(7, 4, k, WINDOW + 4);
    }
}

static void write_log(uint64_t step) {
    static const char *const names[] = {"apply", "view"};
    FILE *f = fopen(log_path, "w");
    fputs("who,what,when,did,request\n", f);
    for (uint64_t i = 0; i < SHOWN; i++) {
        const impression *s = &shown[i * step % SHOWN];
        for (int twice = 0; twice < 1 + (i % 7 == 0); twice++) {
            fprintf(f, "m%d,i%d,%d,shown,r%d\n", s->member, s->item, s->time, s->request);
            for (int a = s->action; a < 2; a++) // who applies has looked, at once
                fprintf(f, "m%d,i%d,%d,%s,r%d\n", s->member, s->item, s->time + (a ? 0 : s->delay),
                        names[a], s->request);
        }
    }
    fclose(f);
}

static int action_of(const impression *s) {
    return s->action == 0 && s->delay > WINDOW ? 1 : s->action;
}

static brew_task *load(const char *rest) {
    FILE *f = fopen(task_path, "w");
    fprintf(
        f,
        "{\"task\":\"t\",\"events\":{\"file\":\"%s\",\"member\":\"who\",\"item\":\"what\","
        "\"time\":\"when\",\"value\":\"did\",\"request\":\"request\",\"window\":%d,\"lag\":%d,"
        "\"until\":%d},"
        "\"actions\":[{\"name\":\"applied\",\"label\":\" A\",\"values\":[\"apply\"],"
        "\"implies\":[\"viewed\"]},{\"name\":\"viewed\",\"label\":\" V\",\"values\":[\"view\"]},"
        "{\"name\":\"ignored\",\"label\":\" N\"}],"
        "\"templates\":{\"question\":\"{event.request} {item}:\"},%s}",
        log_path, WINDOW, LAG, TIMES - 20, rest);
    fclose(f);
    brew_err err = {0};
    brew_task *task = brew_task_load(task_path, &err);
    if (!task) printf("# %s\n", err.text);
    return task;
}

static void write_all(const brew_task *task, brew_buf *out, brew_events_counts *counts) {
    brew_err err = {0};
    brew_prompter prompter;
    brew_prompt_scratch scratch = {0};
    brew_member member = {0};
    brew_prompt_counts written[BREW_SPLITS] = {0};
    brew_events *events = brew_events_open(task, NULL, &err);
    if (!events || brew_prompter_open(&prompter, task, NULL, NULL, &err)) {
        printf("# %s\n", err.text);
        brew_events_close(events);
        return;
    }
    while (brew_events_next(events, &member, &err) > 0)
        brew_prompter_write(&prompter, &scratch, &member, out, written);
    *counts = *brew_events_counted(events);
    brew_member_release(&member);
    brew_prompt_scratch_release(&scratch);
    brew_prompter_close(&prompter);
    brew_events_close(events);
}

// The impression a line or question tells of: "r12 i3:...".
static const impression *told(const char *text) {
    int request, item;
    if (sscanf(text, "r%d i%d:", &request, &item) != 2) return NULL;
    for (int k = request; k < request - request % 5 + 5; k++)
        if (shown[k].request == request && shown[k].item == item) return &shown[k];
    return NULL;
}

static int64_t number(const brew_json *array, size_t i) {
    return brew_json_int(brew_json_at(array, i));
}

typedef struct tally {
    size_t records, items, lines, answered, early, wrong, found, unlearnable, again;
    int learned[SHOWN];
} tally;

static void check_record(const brew_json *record, size_t kinds, tally *t) {
    const char *query = brew_json_string(brew_json_get(record, "query"), NULL);
    const brew_json *items = brew_json_get(record, "items"),
                    *lines = brew_json_get(record, "lines"),
                    *targets = brew_json_get(record, "targets"),
                    *answered = brew_json_get(record, "answered");
    const impression *first = NULL;
    t->records++;
    for (size_t i = 0; i < brew_json_length(items); i++) {
        const char *question = brew_json_string(brew_json_at(items, i), NULL);
        const impression *s = told(question);
        if (!first || s->time < first->time) first = s;
        int action = action_of(s);
        int64_t want = i % kinds == 0 ? action : i % kinds == 1 ? action != 0 : action == 2;
        t->wrong += number(targets, i) != want;
        t->found += strstr(query, question) != NULL; // unique: its own line would be its answer
        t->items++;
        if (i % kinds == 0) t->learned[s - shown]++;
    }
    int latest = -1;
    size_t a = 0;
    for (size_t i = 0; i < brew_json_length(lines); i++) {
        const char *line = query + number(lines, i);
        const impression *s = told(line);
        int known = s->time + WINDOW + LAG;
        t->lines++;
        t->early += known >= first->time;
        t->wrong += strchr(line, ':')[2] != "AVN"[action_of(s)];
        const brew_json *answer = brew_json_at(answered, a);
        if (answer && query + number(answer, 0) == strchr(line, ':') + 1) {
            t->answered++;
            t->unlearnable += latest >= s->time;
            t->wrong += number(answer, 1) != action_of(s);
            t->learned[s - shown]++;
            a++;
        }
        if (known > latest) latest = known;
    }
    t->wrong += a != brew_json_length(answered);
}

static void check(const char *name, const char *rest, size_t kinds, bool answers) {
    brew_task *task = load(rest);
    brew_buf out = {0}, again = {0};
    brew_events_counts counts = {0};
    tally *t = brew_calloc(1, sizeof *t);
    write_log(1);
    if (task) write_all(task, &out, &counts);
    for (const char *line = out.ptr; line && *line; line = strchr(line, '\n') + 1) {
        brew_json *record = brew_json_parse(line, (size_t)(strchr(line, '\n') - line), NULL);
        check_record(record, kinds, t);
        brew_json_free(record);
    }
    size_t once = 0;
    size_t young = 0;
    for (size_t k = 0; k < SHOWN; k++) {
        young += shown[k].time + WINDOW > TIMES - 20;
        once += t->learned[k] == 1;
        t->again += t->learned[k] > 1;
    }
    ok(t->records > 100 && t->lines > 500 && t->items > 1000, "%s: %zu records, %zu lines", name,
       t->records, t->lines);
    is_int((long long)t->early, 0, "no line was known at or after the question");
    is_int((long long)t->found, 0, "no question's answer stands in its prompt");
    is_int((long long)t->wrong, 0, "labels and targets are those of the log");
    is_int((long long)t->unlearnable, 0,
           "no answer to learn from stands behind what was not known");
    ok((t->answered > 0) == answers, "%zu answers to learn from in histories", t->answered);
    ok(t->again == 0 && once == SHOWN - young && young == counts.young,
       "each event once, but for %llu young ones", (unsigned long long)counts.young);
    ok(young > 0 && counts.late > 0, "and %llu rows were late", (unsigned long long)counts.late);
    write_log(2999);
    if (task) write_all(task, &again, &counts);
    ok(out.len && out.len == again.len && !memcmp(out.ptr, again.ptr, out.len),
       "rows in another order: the same bytes");
    brew_buf_release(&out);
    brew_buf_release(&again);
    brew_task_free(task);
    free(t);
}

int main(void) {
    const char *dir = getenv("TMPDIR");
    snprintf(log_path, sizeof log_path, "%s/brew-leak-test-%ld.csv", dir && *dir ? dir : "/tmp",
             (long)getpid());
    snprintf(task_path, sizeof task_path, "%.200s.json", log_path);
    draw();
    check("the choice", "\"split\":{\"by\":\"time\",\"valid\":0.1,\"test\":0.2}", 1, true);
    check("by last", "\"split\":{\"by\":\"last\",\"test\":0.3}", 1, true);
    check("all asked", "\"questions\":{\"train\":\"all\",\"max\":3}", 1, false);
    check("quarters", "\"history\":{\"max\":8,\"drop\":\"quarter\"}", 1, true);
    check("sampled",
          "\"history\":{\"select\":\"sample\",\"rates\":{\"ignored\":0.2,\"viewed\":0.7}}", 1,
          false);
    check("similar", "\"history\":{\"select\":\"similar\",\"max\":6}", 1, false);
    check("kinds",
          "\"questions\":{\"kinds\":[{\"name\":\"what\"},{\"name\":\"apply\",\"is\":\"applied\"},"
          "{\"name\":\"view\",\"is\":\"viewed\"}]},\"history\":{\"select\":\"all\"}",
          3, true);
    unlink(log_path);
    unlink(task_path);
    return tap_done();
}
