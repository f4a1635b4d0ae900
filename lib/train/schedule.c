#include "train/schedule.h"

#include <math.h>
#include <string.h>

#include "base/num.h"

static const double pi = 3.14159265358979323846;

double brew_schedule_at(const brew_schedule *schedule, int64_t step) {
    int64_t steps = schedule->steps, warmup = schedule->warmup, decay = schedule->decay;
    double floor = schedule->floor;
    if (step <= warmup) return (double)step / (double)warmup;
    if (schedule->kind == BREW_COSINE) {
        double t = (double)(step - warmup - 1) / (double)(steps - warmup);
        return floor + (1 - floor) * (1 + cos(pi * t)) / 2;
    }
    if (schedule->kind == BREW_WSD && step > steps - decay)
        return floor + (1 - floor) * (double)(steps - step + 1) / (double)(decay + 1);
    return 1;
}

int brew_ramp_parse(brew_ramp *ramp, const char *text, double least, double most, const char *name,
                    brew_err *err) {
    size_t len = strcspn(text, ":");
    bool two = text[len] == ':';
    bool read = brew_parse_double(text, len, &ramp->from);
    ramp->to = ramp->from;
    if (two) read = read && brew_parse_double(text + len + 1, strlen(text + len + 1), &ramp->to);
    if (!read) return brew_fail(err, BREW_USAGE, "--%s takes a number, or two as in A:B", name);
    double low = fmin(ramp->from, ramp->to), high = fmax(ramp->from, ramp->to);
    if (low < least || high > most)
        return brew_fail(err, BREW_USAGE, "--%s %.15g is not in %.15g to %.15g", name,
                         low < least ? low : high, least, most);
    return 0;
}

double brew_ramp_at(const brew_ramp *ramp, int64_t step, int64_t steps) {
    if (steps < 2) return ramp->from;
    return ramp->from + (ramp->to - ramp->from) * (double)(step - 1) / (double)(steps - 1);
}
