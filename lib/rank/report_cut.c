// Questions asked once more with less of the history: what the rest of it was worth.
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "rank/report_parts.h"

// The request of which this one, whose id ends in @ and `lines`, is the short form; the kind stays.
static size_t whole_request(const brew_reader *whole, const struct brew_intern_entry *name,
                            const char *lines) {
    size_t n = strlen(lines) + 1, id = name->len;
    const char *kind = memchr(name->ptr, '\n', name->len);
    if (kind) id = (size_t)(kind - name->ptr);
    if (id <= n || name->ptr[id - n] != '@' || memcmp(name->ptr + id - n + 1, lines, n - 1) != 0)
        return SIZE_MAX;
    brew_buf text = {0};
    brew_buf_add(&text, name->ptr, id - n);
    brew_buf_add(&text, name->ptr + id, name->len - id);
    size_t found = brew_intern_get(&whole->requests, text.ptr, text.len);
    brew_buf_release(&text);
    return found;
}

// Pairs of rows: the same question, whole and cut.
struct pairs {
    uint32_t *whole, *cut;
    size_t n;
};

static void find_pairs(struct pairs *p, const brew_reader *whole, const brew_index *index,
                       uint32_t value) {
    const brew_reader *cut = whole->cut;
    const char *lines = brew_by_text(&cut->by[0], value);
    p->n = 0;
    for (size_t i = 0; i < cut->answers.n; i++) {
        if (cut->by[0].value[i] != value) continue;
        const struct brew_intern_entry *name = &cut->items.entries[cut->answers.item[i]];
        size_t request = whole_request(whole, &cut->requests.entries[cut->request[i]], lines);
        size_t item = brew_intern_get(&whole->items, name->ptr, name->len), row = SIZE_MAX;
        if (request != SIZE_MAX && item != SIZE_MAX)
            row = brew_index_find(index, (uint32_t)request, (uint32_t)item);
        if (row == SIZE_MAX || whole->answers.positive[row] != cut->answers.positive[i]) continue;
        p->whole[p->n] = (uint32_t)row;
        p->cut[p->n++] = (uint32_t)i;
    }
}

static int put_value(brew_json *out, const struct brew_report_source *s, const brew_reader *whole,
                     const struct pairs *p, const char *lines, brew_err *err) {
    brew_answers answers = {0};
    brew_figures figures[2], delta[2];
    double *score = brew_alloc((p->n + 1) * sizeof *score);
    enum brew_report_scores are =
        s->sampled ? BREW_SCORES_ARE_SAMPLED : BREW_SCORES_ARE_PROBABILITIES;
    brew_answers_select(&whole->answers, p->whole, p->n, &answers);
    for (size_t i = 0; i < p->n; i++) score[i] = whole->cut->answers.score[p->cut[i]];
    const double *both[] = {answers.score, score};
    int status = brew_evaluate(&answers, both, 2, &s->options, s->pool, figures, delta, err);
    if (status == 0) {
        brew_json *one = brew_json_new_object();
        brew_report_int(one, "n", p->n);
        brew_report_int(one, "members", figures[0].counts.members);
        brew_json_set(one, "metrics", brew_report_metrics(&figures[1], s->options.k, are));
        brew_json_set(one, "delta", brew_report_metrics(&delta[1], s->options.k, are));
        brew_json_set(out, lines, one);
    }
    free(score);
    brew_answers_release(&answers);
    return status;
}

int brew_report_cut(brew_json *out, const struct brew_report_source *s, const brew_reader *whole,
                    brew_err *err) {
    const brew_reader *cut = whole->cut;
    if (!cut) return 0;
    const brew_by *by = &cut->by[0];
    brew_index index = {0};
    brew_json *truncated = brew_json_new_object();
    uint32_t *order = brew_alloc((by->values.count + 1) * sizeof *order);
    struct pairs p = {brew_alloc((cut->answers.n + 1) * sizeof *p.whole),
                      brew_alloc((cut->answers.n + 1) * sizeof *p.cut), 0};
    uint64_t unpaired = cut->answers.n;
    int status = brew_index_init(&index, whole, "the input", err);
    brew_by_order(by, order);
    for (size_t v = 0; status == 0 && v < by->values.count; v++) {
        find_pairs(&p, whole, &index, order[v]);
        unpaired -= p.n;
        if (p.n) status = put_value(truncated, s, whole, &p, brew_by_text(by, order[v]), err);
    }
    brew_report_int(brew_json_get(out, "left_out"), "truncated_alone", unpaired);
    brew_json_set(out, "truncated", truncated);
    brew_index_release(&index);
    free(order);
    free(p.whole);
    free(p.cut);
    return status;
}
