#include "rank/answers.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/rng.h"

static void reserve(brew_answers *a, size_t rows) {
    if (rows <= a->cap) return;
    if (rows > UINT32_MAX) brew_bug("more than 4294967295 answers");
    size_t cap = a->cap * 2 > rows ? a->cap * 2 : rows;
    if (cap < 64) cap = 64;
    a->score = brew_realloc_array(a->score, cap, sizeof *a->score);
    a->positive = brew_realloc_array(a->positive, cap, sizeof *a->positive);
    a->weight = brew_realloc_array(a->weight, cap, sizeof *a->weight);
    a->gain = brew_realloc_array(a->gain, cap, sizeof *a->gain);
    a->member = brew_realloc_array(a->member, cap, sizeof *a->member);
    a->group = brew_realloc_array(a->group, cap, sizeof *a->group);
    a->item = brew_realloc_array(a->item, cap, sizeof *a->item);
    a->cap = cap;
}

static void name_members(brew_answers *a, size_t n) {
    BREW_GROW(a->member_key, n, a->key_cap);
    for (; a->n_members < n; a->n_members++)
        a->member_key[a->n_members] = brew_mix64(a->n_members + 1);
}

void brew_answers_add(brew_answers *a, const brew_answer *row) {
    reserve(a, a->n + 1);
    a->score[a->n] = row->score;
    a->positive[a->n] = row->positive;
    a->weight[a->n] = row->weight;
    a->gain[a->n] = row->positive && row->gain == 0 ? 1 : row->gain;
    a->graded |= a->gain[a->n] != (row->positive ? 1 : 0);
    a->member[a->n] = row->member;
    a->group[a->n] = row->group;
    a->item[a->n] = row->item;
    a->n++;
    if (row->member >= a->n_members) name_members(a, (size_t)row->member + 1);
    if (row->item >= a->n_items) a->n_items = (size_t)row->item + 1;
    if (row->group >= a->n_groups) a->n_groups = (size_t)row->group + 1;
    if (row->weight != 1) a->weighted = true;
}

void brew_answers_select(const brew_answers *from, const uint32_t *rows, size_t n,
                         brew_answers *to) {
    uint32_t *member = brew_alloc((from->n_members + 1) * sizeof *member);
    uint32_t *group = brew_alloc((from->n_groups + 1) * sizeof *group);
    memset(member, 0xff, (from->n_members + 1) * sizeof *member);
    memset(group, 0xff, (from->n_groups + 1) * sizeof *group);
    reserve(to, n);
    for (size_t i = 0; i < n; i++) {
        uint32_t r = rows[i];
        uint32_t *m = &member[from->member[r]], *g = &group[from->group[r]];
        if (*m == UINT32_MAX) *m = (uint32_t)to->n_members;
        if (*g == UINT32_MAX) *g = (uint32_t)to->n_groups;
        brew_answer row = {from->score[r], from->weight[r], from->positive[r], *m, *g,
                           from->item[r],  from->gain[r]};
        brew_answers_add(to, &row);
        to->member_key[*m] = from->member_key[from->member[r]];
    }
    to->unnamed = from->unnamed;
    free(member);
    free(group);
}

void brew_answers_release(brew_answers *a) {
    free(a->score);
    free(a->positive);
    free(a->weight);
    free(a->gain);
    free(a->member_key);
    free(a->member);
    free(a->group);
    free(a->item);
    *a = (brew_answers){0};
}
