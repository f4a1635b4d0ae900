#include "text/prompt/negatives.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "text/prompt/rows.h"

enum { TRIES = 1000 }; // of one draw, until it is given up

// An item of a pool. In order of `since`, then bytes, `end` is the weight of all up to it.
typedef struct item {
    int64_t since; // BREW_TIME_NEVER: has not been seen
    uint64_t weight, end;
    size_t id;
} item;

// The items of one table.
typedef struct pool {
    brew_intern ids;
    item *items;   // [ids.count] by id until ready, then in order
    size_t *place; // [ids.count] in order, of an id
    uint64_t *met; // [ids.count] the member, by number, who met it last
    size_t cap;
} pool;

struct brew_negatives {
    const brew_task *task;
    const brew_negatives_how *how;
    const brew_entities *tables;
    uint64_t seed, member; // member: number of the one at hand
    pool *pools;           // [n_item_tables]
    size_t *waiting;       // met items that do not exist yet, while a member passes
    size_t n_waiting, waiting_cap;
    size_t *own, n_own, own_cap; // items drawn for one event
    bool restored;
};

// The item of an id, put in if it is new.
static item *item_of(pool *p, const char *id, size_t len) {
    size_t n = p->ids.count, i = brew_intern_put(&p->ids, id, len);
    if (i < n) return &p->items[i];
    BREW_GROW(p->items, n + 1, p->cap);
    p->items[i] = (item){.since = BREW_TIME_NEVER, .id = i};
    return &p->items[i];
}

// A row of the file: an item.
static int take_row(void *state, const brew_field *fields, brew_err *err) {
    brew_negatives *negatives = state;
    if (!brew_is_id(fields[0])) {
        brew_fail(err, BREW_DATA, "no item");
        return 1;
    }
    for (size_t t = 0; t < negatives->task->n_item_tables; t++) {
        item_of(&negatives->pools[t], fields[0].ptr, fields[0].len)->weight = 1;
    }
    return 0;
}

// Items of a table that says since when they exist.
static void add_table(pool *p, const brew_entities *table, uint64_t weight) {
    for (size_t k = 0; k < table->ids.count; k++) {
        item *i = item_of(p, table->ids.entries[k].ptr, table->ids.entries[k].len);
        i->since = brew_entities_since(table, k);
        if (weight) i->weight = weight;
    }
}

brew_negatives *brew_negatives_new(const brew_task *task, const brew_entities *tables,
                                   uint64_t seed, brew_err *err) {
    brew_negatives *negatives = brew_calloc(1, sizeof *negatives);
    negatives->task = task;
    negatives->how = task->negatives;
    negatives->tables = tables;
    negatives->seed = seed;
    negatives->pools = brew_calloc(task->n_item_tables + 1, sizeof *negatives->pools);
    const brew_source *file = &negatives->how->file;
    brew_events_counts counts = {0};
    const char *column = file->id;
    void *state = negatives;
    const brew_rows_taker taker = {.take = take_row, .states = &state, .n_states = 1};
    if (file->path && brew_rows_read(file->path, file, &column, 1, &taker, &counts, err)) {
        brew_negatives_free(negatives);
        return NULL;
    }
    for (size_t t = 0; t < task->n_item_tables; t++)
        if (task->item_tables[t].source.valid_from)
            add_table(&negatives->pools[t], &tables[t],
                      negatives->how->from == BREW_NEGATIVES_UNIFORM);
    return negatives;
}

void brew_negatives_free(brew_negatives *negatives) {
    if (!negatives) return;
    for (size_t t = 0; t < negatives->task->n_item_tables; t++) {
        pool *p = &negatives->pools[t];
        brew_intern_release(&p->ids);
        free(p->items);
        free(p->place);
        free(p->met);
    }
    free(negatives->pools);
    free(negatives->waiting);
    free(negatives->own);
    free(negatives);
}

void brew_negatives_count(brew_negatives *negatives, const brew_member *member) {
    if (negatives->how->from == BREW_NEGATIVES_REQUEST) return;
    for (size_t k = 0; k < member->n; k++) {
        const brew_event *e = &member->events[k];
        if (e->action < 0) continue;
        size_t table = negatives->task->logs[e->log].items;
        pool *p = &negatives->pools[table];
        item *i = item_of(p, e->item, e->item_len);
        if (!negatives->task->item_tables[table].source.valid_from && e->time < i->since)
            i->since = e->time;
        if (negatives->how->from == BREW_NEGATIVES_UNIFORM) i->weight = 1;
        if (negatives->how->from == BREW_NEGATIVES_POPULARITY)
            i->weight += e->split == BREW_SPLIT_TRAIN && !negatives->restored;
    }
}

// ---- popularity, kept ----

brew_json *brew_negatives_save(const brew_negatives *negatives) {
    if (negatives->how->from != BREW_NEGATIVES_POPULARITY) return NULL;
    brew_json *all = brew_json_new_array();
    for (size_t t = 0; t < negatives->task->n_item_tables; t++) {
        const pool *p = &negatives->pools[t];
        brew_json *one = brew_json_new_object(), *items = brew_json_new_array(),
                  *events = brew_json_new_array(), *since = brew_json_new_array();
        for (size_t i = 0; i < p->ids.count; i++) {
            if (!p->items[i].weight) continue;
            const struct brew_intern_entry *id = &p->ids.entries[p->items[i].id];
            brew_json_push(items, brew_json_new_string(id->ptr, id->len));
            brew_json_push(events, brew_json_new_int((int64_t)p->items[i].weight));
            brew_json_push(since, brew_json_new_int(p->items[i].since));
        }
        brew_json_set(one, "items", items);
        brew_json_set(one, "events", events);
        brew_json_set(one, "since", since);
        brew_json_push(all, one);
    }
    return all;
}

static int restore_pool(pool *p, const brew_json *object, bool dated, brew_err *err) {
    const brew_json *items = brew_json_get(object, "items"),
                    *events = brew_json_get(object, "events"),
                    *since = brew_json_get(object, "since");
    size_t n = brew_json_length(items);
    bool fits = brew_json_is(items, BREW_JSON_ARRAY) && brew_json_length(events) == n &&
                brew_json_length(since) == n;
    for (size_t i = 0; i < n && fits; i++) {
        const brew_json *id = brew_json_at(items, i), *k = brew_json_at(events, i),
                        *from = brew_json_at(since, i);
        size_t len = 0, known = p->ids.count;
        fits = brew_json_is(id, BREW_JSON_STRING) && brew_json_is(k, BREW_JSON_INT) &&
               brew_json_int(k) > 0 && brew_json_int(k) <= INT64_MAX / (int64_t)(n + 1) &&
               brew_json_is(from, BREW_JSON_INT);
        if (!fits) break;
        const char *text = brew_json_string(id, &len);
        item *it = item_of(p, text, len);
        fits = it->weight == 0; // each once
        it->weight = (uint64_t)brew_json_int(k);
        if (!dated || it->id == known) it->since = dated ? BREW_TIME_NEVER : brew_json_int(from);
    }
    return fits ? 0 : brew_fail(err, BREW_DATA, "\"popularity\" is missing or of the wrong form");
}

int brew_negatives_restore(brew_negatives *negatives, const brew_json *popularity, brew_err *err) {
    if (negatives->how->from != BREW_NEGATIVES_POPULARITY) return 0;
    for (size_t t = 0; t < negatives->task->n_item_tables; t++)
        if (restore_pool(&negatives->pools[t], brew_json_at(popularity, t),
                         negatives->task->item_tables[t].source.valid_from != NULL, err))
            return -1;
    negatives->restored = true;
    return 0;
}

static const pool *sorting; // qsort has no argument for it

static int by_since(const void *a, const void *b) {
    const item *x = a, *y = b;
    if (x->since != y->since) return x->since < y->since ? -1 : 1;
    return strcmp(sorting->ids.entries[x->id].ptr, sorting->ids.entries[y->id].ptr);
}

void brew_negatives_ready(brew_negatives *negatives) {
    for (size_t t = 0; t < negatives->task->n_item_tables; t++) {
        pool *p = &negatives->pools[t];
        size_t n = p->ids.count;
        sorting = p;
        if (n) qsort(p->items, n, sizeof *p->items, by_since);
        p->place = brew_calloc(n + 1, sizeof *p->place);
        p->met = brew_calloc(n + 1, sizeof *p->met);
        uint64_t end = 0;
        for (size_t i = 0; i < n; i++) {
            p->items[i].end = end += p->items[i].weight;
            p->place[p->items[i].id] = i;
        }
    }
}

// A hash of what an event is, whatever else the member has done.
static uint64_t event_hash(const brew_negatives *negatives, const brew_member *member,
                           const brew_event *e) {
    uint64_t hash = brew_hash64(member->id, member->id_len, negatives->seed);
    hash = brew_hash64(e->request, e->request_len, hash + (uint64_t)e->time);
    return brew_hash64(e->item, e->item_len, hash + e->log);
}

static bool concerns(const brew_negatives *negatives, const brew_event *e) {
    return e->action >= 0 && (!negatives->how->train_only || e->split == BREW_SPLIT_TRAIN);
}

static void keep_some(const brew_negatives *negatives, brew_member *member) {
    size_t kept = 0;
    for (size_t k = 0; k < member->n; k++) {
        brew_event e = member->events[k];
        e.rate = concerns(negatives, &e) && !e.positive ? negatives->how->rate : 1;
        if (e.rate < 1 &&
            brew_rand_unit(negatives->seed, event_hash(negatives, member, &e), 0) >= e.rate)
            continue;
        member->events[kept++] = e;
    }
    member->n = kept;
}

// How many items of a pool existed before `time`.
static size_t existing(const pool *p, int64_t time) {
    size_t low = 0, high = p->ids.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (p->items[middle].since < time)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// The item in whose weight the point lies.
static size_t item_at(const pool *p, size_t n, uint64_t point) {
    size_t low = 0, high = n - 1;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (p->items[middle].end <= point)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// What passes with a member's events: the weight of items met that exist, for each pool.
static uint64_t meet(brew_negatives *negatives, pool *p, const brew_event *e, uint64_t weight) {
    size_t i = p->place[brew_intern_get(&p->ids, e->item, e->item_len)];
    if (p->met[i] == negatives->member) return weight;
    p->met[i] = negatives->member;
    if (p->items[i].since < e->time) return weight + p->items[i].weight;
    BREW_GROW(negatives->waiting, negatives->n_waiting + 1, negatives->waiting_cap);
    negatives->waiting[negatives->n_waiting++] = i;
    return weight;
}

static int drawn_action(const brew_actions *actions) {
    for (size_t a = 0; a < actions->n; a++)
        if (actions->list[a].drawn) return (int)a;
    return -1;
}

// Adds the events drawn for event `k` behind all others. `met`: the weight of items that are out.
static void draw_for(brew_negatives *negatives, const pool *p, brew_member *member, size_t k,
                     uint64_t met) {
    brew_event e = member->events[k];
    int action = drawn_action(brew_log_actions(negatives->task, e.log));
    size_t n = existing(p, e.time), n_own = 0;
    uint64_t all = n ? p->items[n - 1].end : 0, stream = event_hash(negatives, member, &e);
    if (action < 0 || all <= met) return;
    for (uint64_t d = 0; d < (uint64_t)negatives->how->per_positive; d++) {
        size_t i = SIZE_MAX;
        for (uint64_t t = 0; t < TRIES; t++) {
            i = item_at(p, n, brew_rand_below(negatives->seed, stream, d * TRIES + t, all));
            if (p->met[i] != negatives->member) break;
            i = SIZE_MAX;
        }
        bool again = i == SIZE_MAX;
        for (size_t j = 0; j < n_own && !again; j++) again = negatives->own[j] == i;
        if (again) continue;
        BREW_GROW(negatives->own, n_own + 1, negatives->own_cap);
        negatives->own[n_own++] = i;
        double q = (double)p->items[i].weight / (double)(all - met);
        brew_event drawn = e;
        drawn.item = p->ids.entries[p->items[i].id].ptr;
        drawn.item_len = p->ids.entries[p->items[i].id].len;
        drawn.action = action;
        drawn.positive = false;
        drawn.drawn = true;
        drawn.rate = -expm1((double)negatives->how->per_positive * log1p(-q));
        BREW_GROW(member->events, member->n + 1, member->cap);
        member->events[member->n++] = drawn;
    }
}

// All draws about the items of one table, for the first n events, those that are the log's own.
static void draw_from(brew_negatives *negatives, size_t table, brew_member *member, size_t n) {
    pool *p = &negatives->pools[table];
    uint64_t met = 0; // the weight of items that exist and have been met
    negatives->n_waiting = 0;
    for (size_t begin = 0, end; begin < n; begin = end) {
        int64_t time = member->events[begin].time;
        for (end = begin; end < n && member->events[end].time == time;) end++;
        size_t still = 0;
        for (size_t w = 0; w < negatives->n_waiting; w++) {
            const item *i = &p->items[negatives->waiting[w]];
            if (i->since < time)
                met += i->weight;
            else
                negatives->waiting[still++] = negatives->waiting[w];
        }
        negatives->n_waiting = still;
        for (size_t k = begin; k < end; k++)
            if (negatives->task->logs[member->events[k].log].items == table)
                met = meet(negatives, p, &member->events[k], met);
        for (size_t k = begin; k < end; k++) {
            const brew_event *e = &member->events[k];
            if (e->positive && concerns(negatives, e) &&
                negatives->task->logs[e->log].items == table)
                draw_for(negatives, p, member, k, met);
        }
    }
}

typedef struct placed {
    uint64_t hash;
    brew_event event;
} placed;

// By time, log and request; inside of one in an order that says nothing.
static int by_place(const void *a, const void *b) {
    const placed *x = a, *y = b;
    const brew_event *e = &x->event, *f = &y->event;
    if (e->time != f->time) return e->time < f->time ? -1 : 1;
    if (e->log != f->log) return e->log < f->log ? -1 : 1;
    int order = strcmp(e->request, f->request);
    if (order) return order;
    if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
    return strcmp(e->item, f->item);
}

static void put_in_order(const brew_negatives *negatives, brew_member *member) {
    placed *all = brew_calloc(member->n + 1, sizeof *all);
    for (size_t k = 0; k < member->n; k++) {
        const brew_event *e = &member->events[k];
        all[k].event = *e;
        all[k].hash = e->action < 0 ? 0 : event_hash(negatives, member, e);
    }
    qsort(all, member->n, sizeof *all, by_place);
    for (size_t k = 0; k < member->n; k++) member->events[k] = all[k].event;
    free(all);
}

void brew_negatives_apply(brew_negatives *negatives, brew_member *member) {
    if (negatives->how->from == BREW_NEGATIVES_REQUEST) {
        keep_some(negatives, member);
        return;
    }
    size_t n = 0;
    for (size_t k = 0; k < member->n; k++) member->events[k].rate = 1;
    while (n < member->n && member->events[n].action >= 0) n++;
    negatives->member++;
    for (size_t t = 0; t < negatives->task->n_item_tables; t++) draw_from(negatives, t, member, n);
    put_in_order(negatives, member);
}
