// Writes a jobs world (world.h) as the tables and logs a company would have.
//
// usage: jobs-world -o DIR [-n IMPRESSIONS] [-d DAYS] [-s SEED] [-w]
//
//     members.csv jobs.csv posts.csv ads.csv     what texts can tell
//     jobs-log.csv feed-log.csv ads-log.csv      time,request,member,item,position,action: one row when an
//                                                item is shown ("shown"), one for each thing done with it,
//                                                when it is done: an application comes up to three days late
//     truth.csv                                  what the logs do not tell: the probability of each action
//                                                being the strongest, and which it was
//     without-EFFECT.csv                         with -w: the same with the probabilities of who overlooks
//                                                the effect: position, newcomer, season, drift
//
// Rows are in order of time. One row in two hundred is written twice, as real logs do.
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "world.h"

enum { MAX_SLATE = 10 };
static const int slate_sizes[SURFACES] = {8, 10, 3};

typedef struct row {
    double day;
    int64_t request, member, item;
    int position;
    uint8_t surface, action; // ACTIONS: shown
} row;

// Rows still to be written: a heap, earliest first.
typedef struct heap {
    row *rows;
    size_t n, cap;
} heap;

typedef struct output {
    FILE *file;
    char path[4096];
} output;

typedef struct simulation {
    world w;
    int64_t *requests;       // [members] so far
    int64_t first[SURFACES]; // items before this one are gone
    int64_t next_request, impressions;
    heap late;
    output logs[SURFACES], truth[EFFECTS + 1]; // the last has all effects, the others may be closed
    brew_buf text;
} simulation;

static void die(const char *what, const char *path) {
    fprintf(stderr, "jobs-world: %s %s: %s\n", what, path, strerror(errno));
    exit(1);
}

static output open_output(const char *dir, const char *name, const char *header) {
    output out;
    snprintf(out.path, sizeof out.path, "%s/%s", dir, name);
    out.file = fopen(out.path, "w");
    if (!out.file || fputs(header, out.file) < 0) die("cannot write", out.path);
    return out;
}

static void close_output(output *out) {
    if (ferror(out->file) | fclose(out->file)) die("cannot write", out->path);
}

static bool earlier(const row *a, const row *b) {
    if (a->day != b->day) return a->day < b->day;
    if (a->request != b->request) return a->request < b->request;
    if (a->position != b->position) return a->position < b->position;
    return a->action > b->action; // shown first
}

static void heap_push(heap *h, row value) {
    BREW_GROW(h->rows, h->n + 1, h->cap);
    size_t at = h->n++;
    for (; at && earlier(&value, &h->rows[(at - 1) / 2]); at = (at - 1) / 2)
        h->rows[at] = h->rows[(at - 1) / 2];
    h->rows[at] = value;
}

static row heap_pop(heap *h) {
    row top = h->rows[0], last = h->rows[--h->n];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < h->n; at = child) {
        if (child + 1 < h->n && earlier(&h->rows[child + 1], &h->rows[child])) child++;
        if (!earlier(&h->rows[child], &last)) break;
        h->rows[at] = h->rows[child];
    }
    h->rows[at] = last;
    return top;
}

static void write_rows(simulation *s, double before) {
    static const char letters[SURFACES] = {'j', 'p', 'a'};
    while (s->late.n && s->late.rows[0].day < before) {
        row r = heap_pop(&s->late);
        brew_buf_reset(&s->text);
        world_date(r.day, &s->text);
        brew_buf_addf(&s->text, ",r%lld,m%lld,%c%lld,%d,%s\n", (long long)r.request,
                      (long long)r.member, letters[r.surface], (long long)r.item, r.position,
                      r.action == ACTIONS ? "shown" : world_action(r.action));
        int times =
            world_uniform(&s->w, "twice", r.request * MAX_SLATE + r.position) < 0.005 ? 2 : 1;
        while (times--) fwrite(s->text.ptr, 1, s->text.len, s->logs[r.surface].file);
    }
}

static int draw(const double p[ACTIONS], double u) {
    int a = 0;
    while (a < ACTIONS - 1 && u >= p[a]) u -= p[a++];
    return a;
}

// What a member does with an item, and when; the truth of it beside.
static void impress(simulation *s, const member *who, row shown) {
    static const char letters[SURFACES] = {'j', 'p', 'a'};
    const world *w = &s->w;
    item what = world_item(w, shown.surface, shown.item);
    moment when = {shown.day, shown.position, s->requests[shown.member]};
    int64_t number = shown.request * MAX_SLATE + shown.position - 1;
    double p[ACTIONS], late = -log(1 - world_uniform(w, "delay", number)) / 4;
    world_probabilities(w, who, &what, &when, EFFECTS, p);
    int action = draw(p, world_uniform(w, "action", number));
    row done = shown;
    shown.action = ACTIONS;
    heap_push(&s->late, shown);
    if (action == VIEWED || action == APPLIED) {
        done.action = VIEWED;
        done.day = shown.day + 20.0 / 86400 * shown.position;
        heap_push(&s->late, done);
    }
    if (action == APPLIED || action == DISMISSED) {
        done.action = (uint8_t)action;
        done.day = shown.day + (action == APPLIED ? fmin(3, 0.005 + late) : 5.0 / 86400);
        heap_push(&s->late, done);
    }
    s->impressions++;
    for (int without = 0; without <= EFFECTS; without++) {
        FILE *out = s->truth[without].file;
        if (!out) continue;
        world_probabilities(w, who, &what, &when, (enum effect)without, p);
        fprintf(out, "r%lld,m%lld,%c%lld,%s,%.6f,%.6f,%.6f,%.6f,%s\n", (long long)shown.request,
                (long long)shown.member, letters[shown.surface], (long long)shown.item,
                world_surface(shown.surface), p[IGNORED], p[VIEWED], p[DISMISSED], p[APPLIED],
                world_action((enum action)action));
    }
}

// Up to n different items that can be shown on this day, half of them of the member's field: what a
// retrieval system would bring.
static int retrieve(const simulation *s, const member *who, enum surface surface, int64_t day,
                    int64_t request, int64_t chosen[MAX_SLATE]) {
    const world *w = &s->w;
    int64_t first = s->first[surface], last = first;
    int n = 0, want = slate_sizes[surface];
    // items come in order of time: those shown today are a stretch
    int64_t span = w->items[surface] - first;
    while (span > 0) {
        int64_t half = span / 2;
        if (world_item(w, surface, last + half).from <= day)
            last += half + 1, span -= half + 1;
        else
            span = half;
    }
    for (int i = 0; i < 20 * want && n < want && last > first; i++) {
        int64_t at = first + (int64_t)(world_uniform(w, "retrieve", request * 200 + i) *
                                       (double)(last - first));
        item it = world_item(w, surface, at);
        bool known = it.until <= day || (n < want / 2 && i < 15 * want && it.field != who->field);
        for (int j = 0; j < n; j++) known |= chosen[j] == at;
        if (!known) chosen[n++] = at;
    }
    return n;
}

// The order on the page: what seems to match, with noise, comes first.
static void arrange(const simulation *s, const member *who, enum surface surface, double day,
                    int64_t request, int64_t chosen[MAX_SLATE], int n) {
    double keys[MAX_SLATE];
    for (int i = 0; i < n; i++) {
        item it = world_item(&s->w, surface, chosen[i]);
        moment when = {day, 1, 100};
        double p[ACTIONS];
        world_probabilities(&s->w, who, &it, &when, EFFECTS, p);
        double key =
            log(p[VIEWED] + p[APPLIED]) + world_normal(&s->w, "arrange", request * MAX_SLATE + i);
        int64_t moved = chosen[i];
        int at = i;
        for (; at && keys[at - 1] < key; at--) keys[at] = keys[at - 1], chosen[at] = chosen[at - 1];
        keys[at] = key;
        chosen[at] = moved;
    }
}

static void request(simulation *s, int64_t number, const member *who, double day) {
    int64_t id = s->next_request++, chosen[MAX_SLATE];
    double u = world_uniform(&s->w, "surface", id);
    enum surface surface = u < 0.6 ? JOBS : u < 0.9 ? FEED : ADS;
    int n = retrieve(s, who, surface, (int64_t)day, id, chosen);
    arrange(s, who, surface, day, id, chosen, n);
    for (int i = 0; i < n; i++)
        impress(s, who, (row){day, id, number, chosen[i], i + 1, (uint8_t)surface, 0});
    s->requests[number] += n > 0;
}

static int compare_rows(const void *a, const void *b) {
    const row *x = a, *y = b;
    return earlier(x, y) ? -1 : earlier(y, x);
}

// A day's requests, in order of time.
static void live(simulation *s, int64_t day, double requests_per_rate, heap *visits) {
    visits->n = 0;
    for (int64_t m = 0; m < s->w.members; m++) {
        member who = world_member(&s->w, m);
        if (who.joined > day) continue;
        double expected = who.rate * requests_per_rate,
               u = world_uniform(&s->w, "visits", m * 4096 + day);
        double p = exp(-expected);
        for (int k = 0; u >= p && k < 60; k++) { // Poisson
            double at =
                (double)day + 0.25 + 0.7 * world_uniform(&s->w, "hour", (m * 4096 + day) * 64 + k);
            BREW_GROW(visits->rows, visits->n + 1, visits->cap);
            visits->rows[visits->n++] =
                (row){.day = floor(at * 86400) / 86400 + 1e-6, .request = m, .position = k};
            u -= p;
            p *= expected / (k + 1);
        }
    }
    if (visits->n) qsort(visits->rows, visits->n, sizeof *visits->rows, compare_rows);
    for (size_t i = 0; i < visits->n; i++) {
        member who = world_member(&s->w, visits->rows[i].request);
        request(s, visits->rows[i].request, &who, visits->rows[i].day);
        write_rows(s, visits->rows[i].day);
    }
    for (int surface = 0; surface < SURFACES; surface++)
        while (s->first[surface] < s->w.items[surface] &&
               world_item(&s->w, (enum surface)surface, s->first[surface]).until <= day + 1)
            s->first[surface]++;
}

// Requests a day for a member of rate 1 that give about this many impressions in all.
static double requests_per_rate(const world *w, int64_t impressions) {
    double rates = 0,
           shown = 0.6 * slate_sizes[JOBS] + 0.3 * slate_sizes[FEED] + 0.1 * slate_sizes[ADS];
    for (int64_t m = 0; m < w->members; m++) {
        member who = world_member(w, m);
        rates += who.rate * (double)(w->days - who.joined);
    }
    return (double)impressions / shown / rates;
}

static void write_tables(const world *w, const char *dir) {
    static const char *const names[SURFACES] = {"jobs.csv", "posts.csv", "ads.csv"};
    brew_buf text = {0};
    output out = open_output(dir, "members.csv", world_member_header());
    for (int64_t m = 0; m < w->members; m++) {
        brew_buf_reset(&text);
        world_member_row(w, m, &text);
        fwrite(text.ptr, 1, text.len, out.file);
    }
    close_output(&out);
    for (int surface = 0; surface < SURFACES; surface++) {
        out = open_output(dir, names[surface], world_item_header((enum surface)surface));
        for (int64_t i = 0; i < w->items[surface]; i++) {
            brew_buf_reset(&text);
            world_item_row(w, (enum surface)surface, i, &text);
            fwrite(text.ptr, 1, text.len, out.file);
        }
        close_output(&out);
    }
    brew_buf_release(&text);
}

static void open_truth(simulation *s, const char *dir, bool overlooked) {
    for (int i = overlooked ? 0 : EFFECTS; i <= EFFECTS; i++) {
        char name[64] = "truth.csv";
        if (i < EFFECTS)
            snprintf(name, sizeof name, "without-%s.csv", world_effect((enum effect)i));
        s->truth[i] = open_output(
            dir, name,
            "request,member,item,surface,p_ignored,p_viewed,p_dismissed,p_applied,action\n");
    }
}

static int64_t number(const char *text, int64_t min, int64_t max) {
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno || *end || end == text || value < min || value > max) {
        fprintf(stderr, "jobs-world: %s is not a number from %lld to %lld\n", text, (long long)min,
                (long long)max);
        exit(2);
    }
    return value;
}

static int64_t at_least(int64_t n, int64_t min) {
    return n > min ? n : min;
}

int main(int argc, char **argv) {
    const char *dir = NULL;
    bool overlooked = false;
    int64_t impressions = 100000;
    simulation s = {.w = {.seed = 1, .days = 120}};
    for (int c; (c = getopt(argc, argv, "o:n:d:s:w")) != -1;) {
        if (c == 'o')
            dir = optarg;
        else if (c == 'n')
            impressions = number(optarg, 100, 1000000000);
        else if (c == 'd')
            s.w.days = number(optarg, 7, 1000);
        else if (c == 's')
            s.w.seed = (uint64_t)number(optarg, 0, INT64_MAX);
        else if (c == 'w')
            overlooked = true;
        else
            dir = NULL, optind = argc;
    }
    if (!dir || optind != argc) {
        fputs("usage: jobs-world -o DIR [-n IMPRESSIONS] [-d DAYS] [-s SEED] [-w]\n", stderr);
        return 2;
    }
    if (mkdir(dir, 0777) && errno != EEXIST) die("cannot make", dir);
    s.w.members = at_least(impressions / 120, 10);
    s.w.items[JOBS] = at_least(impressions / 100, 60);
    s.w.items[FEED] = at_least(impressions / 120, 90);
    s.w.items[ADS] = at_least(impressions / 1000, 12);
    write_tables(&s.w, dir);
    for (int i = 0; i < SURFACES; i++) {
        char name[32];
        snprintf(name, sizeof name, "%s-log.csv", world_surface((enum surface)i));
        s.logs[i] = open_output(dir, name, "time,request,member,item,position,action\n");
    }
    open_truth(&s, dir, overlooked);
    s.requests = brew_calloc((size_t)s.w.members, sizeof *s.requests);
    double rate = requests_per_rate(&s.w, impressions);
    heap visits = {0};
    for (int64_t day = 0; day < s.w.days; day++) live(&s, day, rate, &visits);
    write_rows(&s, INFINITY);
    for (int i = 0; i < SURFACES; i++) close_output(&s.logs[i]);
    for (int i = 0; i <= EFFECTS; i++)
        if (s.truth[i].file) close_output(&s.truth[i]);
    fprintf(stderr, "jobs-world: %lld impressions in %lld requests of %lld members\n",
            (long long)s.impressions, (long long)s.next_request, (long long)s.w.members);
    free(visits.rows);
    free(s.late.rows);
    free(s.requests);
    brew_buf_release(&s.text);
}
