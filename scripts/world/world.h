// A seeded world of members, jobs, posts and ads, in which the true probability of every action is known.
//
// Everything is a pure function of (seed, number): a member's skills, a job's quality, what a member
// does with what is shown. What a text can tell (skills, seniority, place, salary, topic) is written into
// the tables; what only behaviour tells (an item's quality, a member's mood) is not. The planted
// effects, in units of log-odds of the action against "ignored":
//
//     match       skills in common, seniority, place, and for posts and ads the topic
//     quality     of an item, normal; half of a job's is its salary, which is written
//     mood        of a member, normal, on every action
//     position    -0.12 on viewed and applied for each place further down
//     newcomer    +0.6 on viewed in a member's first five requests (cold start)
//     season      +-0.4 on applied over a quarter, each field at its own time
//     drift       +1.0 on applied for remote jobs in the last 30 % of the days
//
// The strongest action of an impression is one draw from the softmax over {ignored, viewed, dismissed,
// applied}; applied implies viewed. Posts and ads cannot be applied to.
#ifndef WORLD_H
#define WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

enum surface { JOBS, FEED, ADS, SURFACES };
enum action { IGNORED, VIEWED, DISMISSED, APPLIED, ACTIONS };
enum effect { POSITION, NEWCOMER, SEASON, DRIFT, EFFECTS }; // those that a moment has
enum { FIELDS = 10, SKILLS = 8, LEVELS = 5, PLACES = 24, PER_REGION = 4 };

typedef struct world {
    uint64_t seed;
    int64_t days;
    int64_t members, items[SURFACES];
} world;

typedef struct member {
    int field;
    uint8_t skills; // bits, of the field's
    int side_field; // further skills
    uint8_t side_skills;
    int level, place;  // region = place / PER_REGION
    bool moves;        // would work elsewhere
    double mood, rate; // requests a day, relative
    int64_t joined;    // day; the fifth before the log begins counts as 0
} member;

typedef struct item {
    enum surface surface;
    int field;
    uint8_t skills;
    int level, place; // jobs
    bool remote, well_paid;
    int kind; // posts: how it is told; ads: what is sold
    double quality;
    int64_t from, until; // days on which it can be shown: [from, until)
} item;

// What a moment adds to what member and item are.
typedef struct moment {
    double day;
    int position;     // from 1
    int64_t requests; // of the member, before this one
} moment;

const char *world_surface(enum surface surface); // "jobs", "feed", "ads"
const char *world_action(enum action action);
const char *world_effect(enum effect effect); // "position", ...
member world_member(const world *w, int64_t number);
item world_item(const world *w, enum surface surface, int64_t number);
// p[a] = probability that a is the strongest action, in a world that lacks one effect, or none (EFFECTS).
void world_probabilities(const world *w, const member *who, const item *what, const moment *when,
                         enum effect without, double p[ACTIONS]);

// Headers and rows of the tables, CSV.
const char *world_member_header(void);
const char *world_item_header(enum surface surface);
void world_member_row(const world *w, int64_t number, brew_buf *out);
void world_item_row(const world *w, enum surface surface, int64_t number, brew_buf *out);

// 2024-01-01 is day 0.
void world_date(double day, brew_buf *out); // "2024-01-01T10:20:30Z"

// A normal draw, and a uniform one in [0, 1).
double world_normal(const world *w, const char *what, int64_t number);
double world_uniform(const world *w, const char *what, int64_t number);

#endif
