#include "text/draft/spans.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static const int64_t MINUTE = 60000, DAY = 86400000;

static const struct {
    const char *text;
    int64_t ms;
} nice[] = {{"10m", 600000},   {"30m", 1800000},    {"1h", 3600000},    {"6h", 21600000},
            {"12h", 43200000}, {"1d", 86400000},    {"2d", 172800000},  {"3d", 259200000},
            {"7d", 604800000}, {"14d", 1209600000}, {"30d", 2592000000}};

// The time of each row; INT64_MIN where there is none.
static int64_t *times_of(const brew_roles *r, const brew_sample *s) {
    const brew_sample_column *c = r->time;
    int64_t *of_value = brew_calloc(c->values.count, sizeof *of_value),
            *times = brew_calloc(s->n_rows, sizeof *times);
    for (size_t v = 0; v < c->values.count; v++)
        if (!brew_time_parse(c->values.entries[v].ptr, c->values.entries[v].len, r->unit,
                             &of_value[v]))
            of_value[v] = INT64_MIN;
    for (size_t row = 0; row < s->n_rows; row++)
        times[row] = c->cells[row] == BREW_SAMPLE_NONE ? INT64_MIN : of_value[c->cells[row]];
    free(of_value);
    return times;
}

int64_t brew_spans_whole(const brew_roles *roles, const brew_sample *sample) {
    if (!roles->time) return 0;
    int64_t *times = times_of(roles, sample), first = INT64_MAX, last = INT64_MIN;
    for (size_t row = 0; row < sample->n_rows; row++) {
        if (times[row] == INT64_MIN) continue;
        if (times[row] < first) first = times[row];
        if (times[row] > last) last = times[row];
    }
    free(times);
    return last > first ? last - first : 0;
}

typedef struct shown { // a row of a key
    size_t key;
    int64_t time;
    uint32_t order; // of its action: 0 is the strongest
} shown;

static int by_key_and_time(const void *a, const void *b) {
    const shown *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    if (x->time != y->time) return x->time < y->time ? -1 : 1;
    return (x->order < y->order) - (x->order > y->order); // the weaker first
}

static shown *rows_by_key(const brew_roles *r, const brew_deeds *deeds, const brew_sample *s,
                          size_t *n) {
    brew_intern keys = {0};
    int64_t *times = times_of(r, s);
    shown *rows = brew_calloc(s->n_rows, sizeof *rows);
    *n = 0;
    for (size_t row = 0; row < s->n_rows; row++) {
        uint32_t key[] = {r->member->cells[row], r->item->cells[row],
                          r->request ? r->request->cells[row] : 0};
        if (times[row] == INT64_MIN) continue;
        rows[(*n)++] = (shown){brew_intern_put(&keys, (const char *)key, sizeof key), times[row],
                               deeds->order && r->value->cells[row] != BREW_SAMPLE_NONE
                                   ? deeds->order[r->value->cells[row]]
                                   : 0};
    }
    brew_intern_release(&keys);
    free(times);
    qsort(rows, *n, sizeof *rows, by_key_and_time);
    return rows;
}

static int by_delay(const void *a, const void *b) {
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

// The delays behind the first row of a key: of all that follow, or of those alone that tell a stronger action
// within a week. Ascending.
static int64_t *delays_of(const shown *rows, size_t n, bool stronger, size_t *n_delays) {
    int64_t *delays = brew_calloc(n, sizeof *delays);
    *n_delays = 0;
    for (size_t i = 0, first = 0; i < n; i++) {
        if (rows[i].key != rows[first].key) first = i;
        int64_t delay = rows[i].time - rows[first].time;
        if (i == first || (stronger && (rows[i].order >= rows[first].order || delay > 7 * DAY)))
            continue;
        delays[(*n_delays)++] = delay;
    }
    if (*n_delays) qsort(delays, *n_delays, sizeof *delays, by_delay);
    return delays;
}

const char *brew_spans_window(const brew_roles *roles, const brew_deeds *deeds,
                              const brew_sample *sample, int64_t *ms, const brew_hints *hints) {
    size_t n_rows, n = 0, last = sizeof nice / sizeof *nice - 1, i = 0;
    if (!roles->time || roles->slate || (!roles->request && !deeds->order)) return NULL;
    shown *rows = rows_by_key(roles, deeds, sample, &n_rows);
    int64_t *delays = delays_of(rows, n_rows, !roles->request, &n), longest = 0;
    if (n) longest = roles->request ? delays[n - 1] : delays[n - 1 - n / 20];
    free(rows);
    free(delays);
    if (!n && !roles->request) return NULL;
    if (!roles->request && longest < 30 * MINUTE) longest = 30 * MINUTE;
    while (i < last && nice[i].ms < longest) i++;
    // Whatever is younger than its window at the log's end is lost: a short log bears no long one.
    int64_t whole = brew_spans_whole(roles, sample);
    while (i && nice[i].ms > whole / 10) i--;
    if (!roles->request && nice[i].ms > whole / 10) return NULL;
    *ms = nice[i].ms;
    bool covers = nice[i].ms >= longest;
    const char *why = roles->request && !n ? "a guess: one row for each item of a request does not "
                                             "tell when its action was known"
                      : !covers ? "though rows about one item go on for longer: the log is short"
                      : roles->request
                          ? "which rows of one member, item and request span at most"
                          : "within which 95 % of the stronger actions follow a weaker "
                            "one on the same item";
    brew_hint(hints, covers && roles->request && n, "window: %s, %s", nice[i].text, why);
    return nice[i].text;
}
