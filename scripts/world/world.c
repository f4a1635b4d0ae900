#include "world.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/rng.h"

static const struct field {
    const char *name, *titles[3], *skills[SKILLS];
} fields[FIELDS] = {
    {"data",
     {"data analyst", "data scientist", "data engineer"},
     {"SQL", "Python", "Spark", "statistics", "machine learning", "dashboards", "Airflow", "R"}},
    {"web",
     {"web developer", "frontend engineer", "backend engineer"},
     {"JavaScript", "TypeScript", "React", "CSS", "Node.js", "PHP", "accessibility", "GraphQL"}},
    {"systems",
     {"systems engineer", "site reliability engineer", "network engineer"},
     {"Linux", "Kubernetes", "C++", "networking", "Terraform", "monitoring", "Go", "security"}},
    {"design",
     {"product designer", "illustrator", "user researcher"},
     {"Figma", "prototyping", "typography", "user research", "animation", "branding",
      "illustration", "layout"}},
    {"sales",
     {"account manager", "sales representative", "business developer"},
     {"negotiation", "cold calling", "CRM", "contracts", "presentations", "key accounts",
      "forecasting", "trade fairs"}},
    {"finance",
     {"accountant", "auditor", "financial analyst"},
     {"bookkeeping", "tax law", "Excel", "auditing", "valuation", "payroll", "SAP", "risk models"}},
    {"care",
     {"nurse", "physiotherapist", "care manager"},
     {"patient care", "first aid", "wound care", "rehabilitation", "night shifts", "paediatrics",
      "documentation", "palliative care"}},
    {"logistics",
     {"warehouse manager", "dispatcher", "supply planner"},
     {"forklift licence", "route planning", "customs", "inventory", "procurement", "cold chain",
      "lean methods", "truck licence"}},
    {"teaching",
     {"teacher", "trainer", "tutor"},
     {"mathematics", "physics", "English", "didactics", "music", "special needs", "e-learning",
      "history"}},
    {"building",
     {"electrician", "civil engineer", "carpenter"},
     {"wiring", "site management", "structural analysis", "CAD", "timber", "concrete", "surveying",
      "heat pumps"}},
};
static const char *const levels[LEVELS] = {"trainee", "junior", "experienced", "senior", "lead"};
static const char *const places[PLACES] = {
    "Berlin",  "Hamburg",   "Leipzig", "Dresden",  "Paris",   "Lyon",       "Lille",  "Nantes",
    "Madrid",  "Barcelona", "Sevilla", "Valencia", "London",  "Manchester", "Leeds",  "Bristol",
    "Toronto", "Montreal",  "Ottawa",  "Quebec",   "Chicago", "Boston",     "Denver", "Austin"};
static const char *const post_kinds[4] = {"How I learned", "News about", "Five mistakes in",
                                          "The future of"};
static const char *const ad_kinds[4] = {"Course in", "Software for", "Conference on", "Book about"};

const char *world_surface(enum surface surface) {
    static const char *const names[SURFACES] = {"jobs", "feed", "ads"};
    return names[surface];
}

const char *world_action(enum action action) {
    static const char *const names[ACTIONS] = {"ignored", "viewed", "dismissed", "applied"};
    return names[action];
}

const char *world_effect(enum effect effect) {
    static const char *const names[EFFECTS] = {"position", "newcomer", "season", "drift"};
    return names[effect];
}

double world_uniform(const world *w, const char *what, int64_t number) {
    return brew_rand_unit(w->seed, brew_hash64(what, strlen(what), 0), (uint64_t)number);
}

double world_normal(const world *w, const char *what, int64_t number) {
    double u = 1 - world_uniform(w, what, 2 * number), v = world_uniform(w, what, 2 * number + 1);
    return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

static int pick(const world *w, const char *what, int64_t number, int n) {
    return (int)(world_uniform(w, what, number) * n);
}

// Early fields are the large ones.
static int pick_field(const world *w, const char *what, int64_t number) {
    double u = world_uniform(w, what, number);
    return (int)(FIELDS * pow(u, 1.4));
}

// `count` of eight bits.
static uint8_t pick_skills(const world *w, const char *what, int64_t number, int count) {
    uint8_t skills = 0;
    for (int i = 0; count > 0; i++) {
        uint8_t bit = (uint8_t)(1 << pick(w, what, number * 64 + i % 64, SKILLS));
        if (i >= 64) bit = (uint8_t)(1 << (i % SKILLS)); // enough of drawing
        count -= !(skills & bit);
        skills |= bit;
    }
    return skills;
}

member world_member(const world *w, int64_t n) {
    member m = {.field = pick_field(w, "member field", n),
                .level = pick(w, "member level", n, LEVELS),
                .place = pick(w, "member place", n, PLACES),
                .moves = world_uniform(w, "member moves", n) < 0.3,
                .mood = 0.7 * world_normal(w, "member mood", n),
                .rate = exp(0.8 * world_normal(w, "member rate", n))};
    m.skills = pick_skills(w, "member skills", n, 3 + pick(w, "member skill count", n, 3));
    m.side_field = (m.field + 1 + pick(w, "member side", n, FIELDS - 1)) % FIELDS;
    if (world_uniform(w, "member sides", n) < 0.3)
        m.side_skills = pick_skills(w, "member side skills", n, 2);
    // two thirds were there before; the others come while the log is written
    double joined = world_uniform(w, "member joined", n) * 3 - 2;
    m.joined = joined > 0 ? (int64_t)(joined * 0.95 * (double)w->days) : 0;
    return m;
}

item world_item(const world *w, enum surface surface, int64_t n) {
    static const char *const lives[SURFACES] = {"job", "post", "ad"};
    static const int64_t life[SURFACES] = {30, 4, 45};
    char what[3][32];
    const char *kind = lives[surface];
    snprintf(what[0], sizeof what[0], "%s field", kind);
    snprintf(what[1], sizeof what[1], "%s skills", kind);
    snprintf(what[2], sizeof what[2], "%s quality", kind);
    item it = {.surface = surface, .field = pick_field(w, what[0], n)};
    it.skills = pick_skills(w, what[1], n, surface == JOBS ? 3 : 1);
    it.kind = pick(w, surface == FEED ? "post kind" : "ad kind", n, 4);
    it.quality = 0.6 * world_normal(w, what[2], n);
    if (surface == JOBS) {
        it.level = pick(w, "job level", n, LEVELS);
        it.place = pick(w, "job place", n, PLACES);
        it.remote = world_uniform(w, "job remote", n) < 0.25;
        it.well_paid = world_uniform(w, "job pay", n) < 0.5;
        it.quality += it.well_paid ? 0.5 : -0.5;
    }
    // numbers are in order of time: the first have been there for a while when the log begins
    int64_t span = w->days + life[surface];
    it.from = n * span / (w->items[surface] ? w->items[surface] : 1) - life[surface];
    it.until = it.from + life[surface];
    return it;
}

static int common(uint8_t a, uint8_t b) {
    return __builtin_popcount(a & b);
}

static double match(const member *who, const item *what) {
    int shared = who->field == what->field        ? common(who->skills, what->skills)
                 : who->side_field == what->field ? common(who->side_skills, what->skills)
                                                  : 0;
    double asked = __builtin_popcount(what->skills), topic = shared / asked;
    if (what->surface != JOBS) return 2.2 * topic + (who->field == what->field ? 0.5 : -0.5);
    bool near = who->place == what->place,
         region = who->place / PER_REGION == what->place / PER_REGION;
    double distance = near || what->remote ? 0.6 : region ? 0.2 : who->moves ? -0.1 : -0.8;
    return 2.4 * topic + distance - 0.5 * abs(who->level - what->level);
}

void world_probabilities(const world *w, const member *who, const item *what, const moment *when,
                         enum effect without, double p[ACTIONS]) {
    static const double base[SURFACES][ACTIONS] = {
        [JOBS] = {0, -1.1, -3.0, -3.2}, [FEED] = {0, -1.6, -3.2, 0}, [ADS] = {0, -3.2, -2.6, 0}};
    double fit = match(who, what);
    double effects[EFFECTS + 1] = {
        [POSITION] = -0.12 * (when->position - 1),
        [NEWCOMER] = when->requests < 5 ? 0.6 : 0,
        [SEASON] = 0.4 * sin(6.283185307179586 * (when->day / 91 + (double)what->field / FIELDS)),
        [DRIFT] = what->remote && when->day >= 0.7 * (double)w->days ? 1.0 : 0};
    effects[without] = 0;
    const double *b = base[what->surface];
    double u[ACTIONS] = {0};
    u[VIEWED] = b[VIEWED] + 0.7 * fit + 0.6 * what->quality + who->mood + effects[POSITION] +
                effects[NEWCOMER];
    u[DISMISSED] = b[DISMISSED] - 0.6 * fit - 0.4 * what->quality + 0.5 * who->mood;
    u[APPLIED] = b[APPLIED] + 1.3 * fit + 0.9 * what->quality + who->mood + effects[POSITION] +
                 effects[SEASON] + effects[DRIFT];
    double sum = 0;
    for (int a = 0; a < ACTIONS; a++) {
        p[a] = a == APPLIED && what->surface != JOBS ? 0 : exp(u[a]);
        sum += p[a];
    }
    for (int a = 0; a < ACTIONS; a++) p[a] /= sum;
}

static void add_skills(int field, uint8_t skills, brew_buf *out) {
    const char *comma = "";
    for (int i = 0; i < SKILLS; i++) {
        if (!(skills >> i & 1)) continue;
        brew_buf_addf(out, "%s%s", comma, fields[field].skills[i]);
        comma = ", ";
    }
}

void world_date(double day, brew_buf *out) {
    static const int months[2][12] = {{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31},
                                      {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}};
    int64_t left = (int64_t)floor(day), second = (int64_t)((day - floor(day)) * 86400);
    int year = 2024, month = 0;
    for (; left < 0; left += year % 4 ? 365 : 366) year--;
    for (; left >= (year % 4 ? 365 : 366); year++) left -= year % 4 ? 365 : 366;
    for (; left >= months[year % 4 == 0][month]; month++) left -= months[year % 4 == 0][month];
    brew_buf_addf(out, "%04d-%02d-%02dT%02d:%02d:%02dZ", year, month + 1, (int)left + 1,
                  (int)(second / 3600), (int)(second / 60 % 60), (int)(second % 60));
}

const char *world_member_header(void) {
    return "member,title,level,skills,place,moves,joined\n";
}

const char *world_item_header(enum surface surface) {
    return surface == JOBS   ? "job,title,level,skills,place,salary,posted\n"
           : surface == FEED ? "post,text,topic,posted\n"
                             : "ad,text,topic,posted\n";
}

void world_member_row(const world *w, int64_t n, brew_buf *out) {
    member m = world_member(w, n);
    brew_buf_addf(out, "m%lld,%s,%s,\"", (long long)n,
                  fields[m.field].titles[pick(w, "member title", n, 3)], levels[m.level]);
    add_skills(m.field, m.skills, out);
    if (m.side_skills) brew_buf_adds(out, ", ");
    add_skills(m.side_field, m.side_skills, out);
    brew_buf_addf(out, "\",%s,%s,", places[m.place], m.moves ? "yes" : "no");
    world_date((double)m.joined - 1, out);
    brew_buf_addc(out, '\n');
}

void world_item_row(const world *w, enum surface surface, int64_t n, brew_buf *out) {
    item it = world_item(w, surface, n);
    if (surface == JOBS) {
        brew_buf_addf(out, "j%lld,%s,%s,\"", (long long)n,
                      fields[it.field].titles[pick(w, "job title", n, 3)], levels[it.level]);
        add_skills(it.field, it.skills, out);
        brew_buf_addf(out, "\",%s,%s,", it.remote ? "remote" : places[it.place],
                      it.well_paid ? "above average" : "below average");
    } else {
        brew_buf_addf(out, "%c%lld,%s ", surface == FEED ? 'p' : 'a', (long long)n,
                      surface == FEED ? post_kinds[it.kind] : ad_kinds[it.kind]);
        add_skills(it.field, it.skills, out);
        brew_buf_addf(out, ",%s,", fields[it.field].name);
    }
    world_date((double)it.from, out);
    brew_buf_addc(out, '\n');
}
