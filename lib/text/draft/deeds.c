#include "text/draft/deeds.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/num.h"
#include "text/draft/names.h"

// Strongest first. Labels are words that most vocabularies have as one token.
enum { RANK_UNKNOWN = 50, RANK_SEEN = 30, RANK_AGAINST = 20, RANK_NOTHING = 10 };
typedef struct deed {
    const char *words; // as logs spell it, without what is neither letter nor digit
    const char *name, *label;
    double gain;
    int rank;
} deed;
static const deed known[] = {
    {"purchase purchased buy bought order ordered transaction checkout convert converted "
     "conversion "
     "sale pay paid",
     "purchased", " Buy", 5, 99},
    {"apply applied application applies", "applied", " Apply", 5, 95},
    {"subscribe subscribed subscription signup join joined enroll enrolled", "subscribed", " Join",
     5, 90},
    {"cart addtocart addcart addedtocart basket addtobasket", "added to cart", " Cart", 3, 80},
    {"fav favorite favourite favorited save saved bookmark bookmarked wishlist collect", "saved",
     " Save", 3, 75},
    {"share shared retweet repost forward", "shared", " Share", 3, 74},
    {"comment commented reply replied", "commented", " Comment", 3, 73},
    {"follow followed", "followed", " Follow", 3, 72},
    {"like liked upvote love loved thumbsup", "liked", " Like", 3, 71},
    {"complete completed finish finished", "finished", " Full", 2, 60},
    {"click clicked open opened clickout", "clicked", " Click", 1, 40},
    {"view viewed pv pageview detail detailview visit visited read watch watched play played "
     "listen "
     "listened",
     "viewed", " View", 1, RANK_SEEN},
    {"dislike disliked dismiss dismissed hide hidden downvote thumbsdown report reported unlike "
     "unfollow remove removed removefromcart removedfromcart",
     "dismissed", " Hide", 0, RANK_AGAINST},
    {"skip skipped", "skipped", " Skip", 0, RANK_NOTHING + 1},
    {"impression impressed imp show shown exposure exposed ignore ignored noclick none display "
     "displayed seen serve served",
     "ignored", " None", 0, RANK_NOTHING}};

static const deed *deed_of(const char *value) {
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (brew_name_rank(value, known[i].words, false) < BREW_NAME_NONE) return &known[i];
    return NULL;
}

bool brew_deed_known(const char *value) {
    return deed_of(value) != NULL;
}

static brew_json *text(const char *of) {
    return brew_json_new_string(of, strlen(of));
}

static brew_json *add_action(brew_deeds *d, const char *name, const char *label) {
    brew_json *action = brew_json_new_object();
    brew_json_set(action, "name", text(name));
    brew_json_set(action, "label", text(label));
    brew_json_push(d->actions, action);
    return action;
}

static double percent(size_t n, size_t of) {
    return of ? 100 * (double)n / (double)of : 0;
}

// Rows say nothing but that they are there.
static void draft_choice(brew_deeds *d, const brew_hints *hints) {
    add_action(d, "chosen", " Yes");
    brew_json_set(add_action(d, "not chosen", " No"), "drawn", brew_json_new_bool(true));
    brew_buf_adds(&d->question, "Does the member choose it?");
    d->drawn = true;
    brew_hint(hints, false,
              "no column tells actions apart: every row is a choice, and \"negatives\" draws by "
              "popularity what was not chosen");
}

// ---- names of actions ----

typedef struct group { // values that mean the same
    const deed *is;    // NULL: not known
    size_t value, rows;
    char name[72], label[16];
} group;

// Unknown names are said to be stronger than looking, the rarer the stronger.
static int by_strength(const void *a, const void *b) {
    const group *x = a, *y = b;
    int rank_x = x->is ? x->is->rank : RANK_UNKNOWN, rank_y = y->is ? y->is->rank : RANK_UNKNOWN;
    if (rank_x != rank_y) return rank_x > rank_y ? -1 : 1;
    if (x->rows != y->rows) return x->rows < y->rows ? -1 : 1;
    return (x->value > y->value) - (x->value < y->value);
}

static size_t find_groups(const brew_sample_column *c, group *groups) {
    size_t n = 0;
    for (size_t v = 0; v < c->values.count; v++) {
        const deed *is = deed_of(c->values.entries[v].ptr);
        size_t g = 0;
        while (g < n && (!is || groups[g].is != is)) g++;
        if (g == n) groups[n++] = (group){.is = is, .value = v};
        groups[g].rows += c->counts[v];
    }
    qsort(groups, n, sizeof *groups, by_strength);
    return n;
}

// Names of what is known; otherwise the value itself, and a letter as its label, which is one token.
static void name_groups(const brew_sample_column *c, group *groups, size_t n) {
    char letter = 'A';
    for (size_t g = 0; g < n; g++) {
        const deed *is = groups[g].is;
        const char *value = c->values.entries[groups[g].value].ptr;
        snprintf(groups[g].name, sizeof groups[g].name, "%.60s", is ? is->name : value);
        if (is)
            snprintf(groups[g].label, sizeof groups[g].label, "%s", is->label);
        else
            snprintf(groups[g].label, sizeof groups[g].label, " %c", letter++);
        for (char *at = groups[g].name; *at; at++)
            if ((unsigned char)*at < 0x20 || *at == 0x7f) *at = ' ';
        for (size_t k = 0; k < g; k++)
            if (!strcmp(groups[k].name, groups[g].name))
                snprintf(groups[g].name, sizeof groups[g].name, "action %zu", g + 1);
    }
}

// Positive is what says more than the weakest; where things were only shown or refused, from looking on.
static bool is_positive(const group *groups, size_t n, size_t g) {
    int rank = groups[g].is ? groups[g].is->rank : RANK_UNKNOWN, least = 1000;
    bool nothing = false;
    for (size_t i = 0; i < n; i++) {
        int other = groups[i].is ? groups[i].is->rank : RANK_UNKNOWN;
        nothing |= other < RANK_SEEN;
        if (other < least) least = other;
    }
    return nothing ? rank >= RANK_SEEN : rank > least || g == 0;
}

static void draft_names(brew_deeds *d, const brew_roles *r, const brew_sample *s,
                        const brew_hints *hints) {
    const brew_sample_column *c = r->value;
    group groups[32] = {{0}};
    size_t n = find_groups(c, groups), unknown = 0, rows = 0;
    if (n < 2) { // two spellings of one thing
        draft_choice(d, hints);
        return;
    }
    name_groups(c, groups, n);
    d->order = brew_calloc(c->values.count, sizeof *d->order);
    d->positive = brew_json_new_array();
    brew_buf_adds(&d->question, "What does the member do?");
    bool seen = false;
    for (size_t g = 0; g < n; g++) seen |= groups[g].is && groups[g].is->rank == RANK_SEEN;
    for (size_t g = 0; g < n; g++) {
        const deed *is = groups[g].is;
        brew_json *action = add_action(d, groups[g].name, groups[g].label), *values = NULL;
        for (size_t v = 0; v < c->values.count; v++) {
            if (is ? deed_of(c->values.entries[v].ptr) != is : v != groups[g].value) continue;
            d->order[v] = (uint32_t)g;
            if (!values) values = brew_json_new_array();
            brew_json_push(
                values, brew_json_new_string(c->values.entries[v].ptr, c->values.entries[v].len));
        }
        if (g + 1 < n)
            brew_json_set(action, "values", values);
        else
            brew_json_free(values); // takes what is left
        bool positive = is_positive(groups, n, g);
        if (positive && is && is->gain > 0)
            brew_json_set(action, "gain", brew_json_new_real(is->gain));
        if (seen && is && is->rank > RANK_SEEN) {
            brew_json *implies = brew_json_new_array();
            brew_json_push(implies, text("viewed"));
            brew_json_set(action, "implies", implies);
        }
        if (positive) brew_json_push(d->positive, text(groups[g].name));
        if (positive) rows += groups[g].rows;
        unknown += !is;
    }
    size_t n_positive = brew_json_length(d->positive);
    brew_hint(hints, !unknown,
              "actions: %zu, strongest first%s; %zu count as positive, %.2g %% of rows", n,
              unknown ? ", but some names are not known, and those are put in by how rare they are"
                      : ", as their names say",
              n_positive, percent(rows, s->n_rows));
    brew_hint(
        hints, false,
        "a row whose action is none of these counts as the last one; each label must be one token "
        "of the model (brew-tokenize tells)");
}

// ---- thresholds ----

// The number of rows whose value is at least x.
static size_t rows_from(const brew_sample_column *c, double x) {
    size_t n = 0;
    for (size_t v = 0; v < c->values.count; v++) {
        double number;
        if ((c->looks[v] & BREW_LOOKS_NUMBER) &&
            brew_parse_double(c->values.entries[v].ptr, c->values.entries[v].len, &number) &&
            number >= x)
            n += c->counts[v];
    }
    return n;
}

static int by_number(const void *a, const void *b) {
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

// The number that leaves half of the rows at or above it, as nearly as numbers let it, not the least.
static double middle_of(const brew_sample_column *c) {
    double *numbers = brew_calloc(c->values.count, sizeof *numbers), best = c->max;
    size_t n = 0;
    for (size_t v = 0; v < c->values.count; v++)
        if (c->looks[v] & BREW_LOOKS_NUMBER)
            brew_parse_double(c->values.entries[v].ptr, c->values.entries[v].len, &numbers[n++]);
    qsort(numbers, n, sizeof *numbers, by_number);
    size_t low = 1,
           high = n - 1; // the first place from which at most half of the rows are at or above
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (2 * rows_from(c, numbers[middle]) <= c->n)
            high = middle;
        else
            low = middle + 1;
    }
    if (n > 1) {
        best = numbers[low];
        if (low > 1 && fabs(2.0 * (double)rows_from(c, numbers[low - 1]) - (double)c->n) <
                           fabs(2.0 * (double)rows_from(c, best) - (double)c->n))
            best = numbers[low - 1];
    }
    free(numbers);
    return best;
}

// Four fifths of a usual scale.
static double usual_threshold(double max) {
    static const double scales[] = {5, 10, 100};
    for (size_t i = 0; i < sizeof scales / sizeof *scales; i++)
        if (max == scales[i]) return 0.8 * max;
    return NAN;
}

static void add_range(brew_deeds *d, const brew_sample_column *c, const char *yes, const char *no,
                      double from) {
    brew_json *above = add_action(d, yes, " Yes"), *rest = add_action(d, no, " No");
    brew_json *at = from == floor(from) && fabs(from) < 1e15 ? brew_json_new_int((int64_t)from)
                                                             : brew_json_new_real(from);
    brew_json_set(above, "min", at);
    // What is no number is named as a bad row, unless there is such already.
    if (brew_sample_share(c, BREW_LOOKS_NUMBER) == 1)
        brew_json_set(rest, "below", brew_json_copy(at));
}

static void draft_rating(brew_deeds *d, const brew_roles *r, const brew_hints *hints) {
    const brew_sample_column *c = r->value;
    double from = usual_threshold(c->max), share = percent(rows_from(c, from), c->n);
    bool usual = from > 0 && share >= 5 && share <= 95;
    if (!usual) from = middle_of(c);
    share = percent(rows_from(c, from), c->n);
    add_range(d, c, "liked", "not liked", from);
    brew_buf_adds(&d->question, "Does the member like it?");
    brew_hint(hints, usual, "actions: liked from %g on, of %g to %g (%s): %.2g %% of rows", from,
              c->min, c->max, usual ? "four fifths of a usual scale" : "what splits the rows best",
              share);
}

static void draft_amount(brew_deeds *d, const brew_roles *r, const brew_hints *hints) {
    const brew_sample_column *c = r->value;
    double from = middle_of(c), digit = pow(10, floor(log10(fabs(from) > 0 ? fabs(from) : 1)));
    double round = rint(from / digit * 2) / 2 * digit; // one digit, and a half
    double moved = percent(rows_from(c, round), c->n) - percent(rows_from(c, from), c->n);
    if (round > c->min && round <= c->max && fabs(moved) <= 5) from = round;
    add_range(d, c, "stayed", "left", from);
    brew_buf_adds(&d->question, "Does the member stay with it?");
    brew_hint(hints, false,
              "actions: stayed from %g on, of %g to %g: about the middle, %.2g %% of rows", from,
              c->min, c->max, percent(rows_from(c, from), c->n));
}

// ---- one of two ----

static void draft_binary(brew_deeds *d, const brew_roles *r, const brew_sample *s,
                         const brew_hints *hints) {
    const brew_sample_column *c = r->value;
    const char *bare = !strncmp(c->name, "is", 2) ? c->name + 2 : c->name; // is_click
    const deed *is = deed_of(bare);
    const char *name = is ? is->name : "chosen";
    brew_buf no = {0};
    brew_buf_addf(&no, "not %s", name);
    brew_json *yes = add_action(d, name, " Yes"), *values = brew_json_new_array();
    add_action(d, no.ptr, " No");
    size_t rows = 0;
    for (size_t v = 0; v < c->values.count; v++) {
        const char *value = c->values.entries[v].ptr;
        if (!strchr("1tTyY", *value)) continue;
        brew_json_push(values, text(value));
        rows += c->counts[v];
    }
    brew_json_set(yes, "values", values);
    brew_buf_addf(&d->question, "Is it %s?", name);
    brew_hint(hints, is != NULL, "actions: %s or not, %.2g %% of rows", name,
              percent(rows, s->n_rows));
    brew_buf_release(&no);
}

static void draft_slate(brew_deeds *d) {
    const char *const names[] = {"clicked", "passed over"}, *const labels[] = {" Yes", " No"},
                      *const values[] = {"1", "0"};
    for (size_t i = 0; i < 2; i++) {
        brew_json *list = brew_json_new_array();
        brew_json_push(list, text(values[i]));
        brew_json_set(add_action(d, names[i], labels[i]), "values", list);
    }
    brew_buf_adds(&d->question, "Is it clicked?");
}

void brew_deeds_draft(brew_deeds *out, const brew_roles *roles, const brew_sample *sample,
                      const brew_hints *hints) {
    *out = (brew_deeds){.actions = brew_json_new_array()};
    if (roles->slate) {
        draft_slate(out);
        brew_hint(hints, true, "actions: clicked (1) or passed over (0)");
    } else if (roles->kind == BREW_VALUE_ACTIONS) {
        draft_names(out, roles, sample, hints);
    } else if (roles->kind == BREW_VALUE_RATING) {
        draft_rating(out, roles, hints);
    } else if (roles->kind == BREW_VALUE_AMOUNT) {
        draft_amount(out, roles, hints);
    } else if (roles->kind == BREW_VALUE_BINARY) {
        draft_binary(out, roles, sample, hints);
    } else {
        draft_choice(out, hints);
    }
}

void brew_deeds_release(brew_deeds *deeds) {
    brew_json_free(deeds->actions);
    brew_json_free(deeds->positive);
    brew_buf_release(&deeds->question);
    free(deeds->order);
    *deeds = (brew_deeds){0};
}
