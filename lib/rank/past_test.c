// Baselines as of each question against a count of all events for each of them.
#include "rank/past.h"

#include <math.h>

#include "base/rng.h"
#include "base/tap.h"

enum { EVENTS = 400, MEMBERS = 12, ITEMS = 15, ASKED = 120, DAYS = 60 };

struct event {
    unsigned member, item;
    int64_t ms;
    bool y;
};

static struct event events[EVENTS];

static uint64_t below(uint64_t stream, uint64_t i, uint64_t n) {
    return brew_rand_below(9, stream, i, n);
}

struct counted {
    double n, k;
};

static double deviation(struct counted c, double mean) {
    return (c.k - c.n * mean) / (c.n + 5);
}

static bool likes(unsigned member, unsigned item, int64_t ms) {
    for (size_t e = 0; e < EVENTS; e++)
        if (events[e].member == member && events[e].item == item && events[e].ms < ms &&
            events[e].y)
            return true;
    return false;
}

static double similarity(unsigned i, unsigned j, unsigned but, int64_t ms) {
    double a = 0, b = 0, both = 0;
    for (unsigned m = 0; m < MEMBERS; m++) {
        if (m == but) continue;
        bool in_a = likes(m, i, ms), in_b = likes(m, j, ms);
        a += in_a;
        b += in_b;
        both += in_a && in_b;
    }
    return both / sqrt((a + 5) * (b + 5));
}

// The nine, from their definitions. Times are all different, so "last" is well defined.
static void by_hand(unsigned member, unsigned item, int64_t ms, double want[9]) {
    struct counted all = {0, 0}, of_member = {0, 0}, of_item = {0, 0};
    double recent[2] = {0, 0}, with = -1, last = -1;
    int64_t with_ms = -1, last_ms = -1, day = 86400000;
    for (size_t e = 0; e < EVENTS; e++) {
        const struct event *v = &events[e];
        if (v->ms >= ms) continue;
        all.n++, all.k += v->y;
        if (v->member == member) of_member.n++, of_member.k += v->y;
        if (v->item == item) of_item.n++, of_item.k += v->y;
        if (v->item == item && v->ms >= ms - 7 * day) recent[0] += v->y;
        if (v->item == item && v->ms >= ms - 30 * day) recent[1] += v->y;
        if (v->member == member && v->ms > last_ms) last = v->y, last_ms = v->ms;
        if (v->member == member && v->item == item && v->ms > with_ms) with = v->y, with_ms = v->ms;
    }
    double mean = all.n > 0 ? all.k / all.n : .5, knn = 0;
    size_t seen = 0;
    for (int64_t before = ms; seen < 50; seen++) { // backwards through the member's events
        const struct event *next = NULL;
        for (size_t e = 0; e < EVENTS; e++)
            if (events[e].member == member && events[e].ms < before &&
                (!next || events[e].ms > next->ms))
                next = &events[e];
        if (!next) break;
        knn += (next->y ? 1 : -mean / (1 - mean)) * similarity(item, next->item, member, ms);
        before = next->ms;
    }
    const double out[9] = {mean,
                           mean + deviation(of_item, mean),
                           mean + deviation(of_member, mean),
                           mean + deviation(of_item, mean) + deviation(of_member, mean),
                           (of_member.k + 1) / (of_member.n + 2),
                           recent[0],
                           recent[1],
                           with >= 0   ? with
                           : last >= 0 ? last
                                       : mean,
                           knn};
    memcpy(want, out, sizeof out);
}

int main(void) {
    brew_past *past = brew_past_new();
    brew_reader r = {0};
    brew_systems systems = {0};
    brew_err err = {0};
    char member[16], item[16], line[160];
    brew_reader_init(&r, NULL, NULL, 0, false, &err);
    for (size_t i = 0; i < EVENTS; i++) {
        struct event *e = &events[i];
        *e = (struct event){(unsigned)below(1, i, MEMBERS), (unsigned)below(2, i, ITEMS), 0,
                            below(3, i, 10) < 4};
        e->ms = (int64_t)below(4, i, DAYS * 86400) * 1000 + (int64_t)i;
        snprintf(member, sizeof member, "m%u", e->member);
        snprintf(item, sizeof item, "%u", e->item);
        brew_past_add(past, member, strlen(member), item, strlen(item), e->ms, e->y);
    }
    static unsigned asked[ASKED][2];
    static int64_t ms[ASKED];
    for (size_t i = 0; i < ASKED; i++) { // some members and items are new
        asked[i][0] = (unsigned)below(5, i, MEMBERS + 2);
        asked[i][1] = (unsigned)below(6, i, ITEMS + 2);
        ms[i] = i < 10 ? events[i].ms / 1000 * 1000 : (int64_t)below(7, i, DAYS * 86400) * 1000;
        snprintf(line, sizeof line,
                 "{\"score\":1,\"label\":1,\"member\":\"m%u\",\"item_id\":%u,\"time\":%lld}",
                 asked[i][0], asked[i][1], (long long)(ms[i] / 1000));
        if (brew_reader_add(&r, line, strlen(line), &err) < 0) printf("# %s\n", err.text);
    }
    is_int((long long)brew_past_list(past, &r, NULL, &systems, &err), 0, "all times are known");
    is_int((long long)systems.n, 9, "nine baselines");
    for (size_t s = 0; s < systems.n; s++) {
        double worst = 0;
        for (size_t i = 0; i < ASKED; i++) {
            double want[9];
            by_hand(asked[i][0], asked[i][1], ms[i], want);
            worst = fmax(worst, fabs(systems.list[s].score[i] - want[s]));
        }
        is_near(worst, 0, 1e-12, systems.list[s].name);
    }
    brew_systems_release(&systems);
    line[0] = 0;
    brew_reader_add(&r, "{\"score\":1,\"label\":1}", 21, &err);
    is_int((long long)brew_past_list(past, &r, NULL, &systems, &err), 1, "one without a time");
    is_int((long long)systems.n, 0, "and so no baselines");
    brew_systems_release(&systems);
    brew_reader_release(&r);
    brew_past_free(past);
    return tap_done();
}
