#include "rank/score.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "rank/calibration.h"
#include "text/request.h"

// Enough rows to fill several blocks of the forward pass, and no more requests than a reader would
// like to wait for.
enum { BATCH_TOKENS = 8192, BATCH_REQUESTS = 512 };

void brew_score_softmax(const float *logits, size_t n, const uint8_t *positive, double offset,
                        double *p) {
    double top = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++) {
        p[i] = logits[i] + ((positive ? positive[i] : !i) ? offset : 0);
        if (p[i] > top) top = p[i];
    }
    for (size_t i = 0; i < n; i++) sum += p[i] = exp(p[i] - top);
    for (size_t i = 0; i < n; i++) p[i] /= sum;
}

// What a request's lines need beside its logits.
struct scores {
    const brew_star *star;
    size_t r;
    const brew_forward_result *result;
    const brew_score_options *options;
    brew_json *meta;         // parsed only if some offset is not 0, or to calibrate
    const brew_curve *curve; // of the record's task; NULL: none is wanted
    uint8_t *positive;
    double *p;
    size_t positive_cap, p_cap;
};

static int parse_meta(struct scores *s, const char *line, size_t len, brew_err *err) {
    int64_t first = s->star->answer_splits[s->r];
    bool shifted = false;
    for (size_t i = 0; i < brew_star_items(s->star, s->r); i++)
        shifted |= s->star->offsets[first + (int64_t)i] != 0;
    const brew_calibration *calibration = s->options->calibration;
    if (!shifted && !calibration) return 0;
    s->meta = brew_json_parse(line, len, err);
    if (!s->meta || !calibration) return s->meta ? 0 : -1;
    const brew_json *task = brew_json_get(brew_json_get(s->meta, "meta"), "task");
    if (!brew_json_is(task, BREW_JSON_STRING)) task = NULL;
    s->curve = brew_calibration_of(calibration, task ? brew_json_string(task, NULL) : NULL);
    if (!s->curve)
        return brew_fail(err, BREW_DATA, "the calibration has no curve for the record's task");
    return 0;
}

static int write_scores(struct scores *s, brew_buf *out, brew_err *err) {
    size_t a = (size_t)s->star->answer_splits[s->r];
    for (size_t i = 0; i < brew_star_items(s->star, s->r); i++, a++) {
        size_t first = (size_t)s->result->logit_splits[a];
        size_t n = (size_t)s->result->logit_splits[a + 1] - first;
        const float *logits = s->result->label_logits + first;
        for (size_t k = 0; k < n; k++)
            if (!isfinite(logits[k]))
                return brew_fail(err, BREW_DATA, "the model's logit of label %zu is not finite", k);
        if (s->meta) {
            BREW_GROW(s->positive, n, s->positive_cap);
            if (brew_request_positive(s->meta, i, n, s->positive, err)) return -1;
        }
        BREW_GROW(s->p, n, s->p_cap);
        brew_score_softmax(logits, n, s->meta ? s->positive : NULL, s->star->offsets[a], s->p);
        if (s->curve) brew_curve_apply(s->curve, s->positive, n, s->p);
        brew_buf_adds(out, i ? ",[" : "[");
        for (size_t k = 0; k < n; k++) {
            if (k) brew_buf_addc(out, ',');
            brew_buf_add_double(out, s->p[k]);
        }
        brew_buf_addc(out, ']');
    }
    return 0;
}

static int write_logprobs(struct scores *s, brew_buf *out, brew_err *err) {
    size_t a = (size_t)s->star->answer_splits[s->r];
    for (size_t i = 0; i < brew_star_items(s->star, s->r); i++, a++) {
        float lse = s->result->lse[a];
        if (!isfinite(lse))
            return brew_fail(err, BREW_DATA, "the model's log-sum-exp is not finite");
        brew_buf_adds(out, i ? ",[" : "[");
        for (int64_t k = s->result->logit_splits[a]; k < s->result->logit_splits[a + 1]; k++) {
            if (k > s->result->logit_splits[a]) brew_buf_addc(out, ',');
            brew_buf_add_float(out, (float)((double)s->result->label_logits[k] - (double)lse));
        }
        brew_buf_addc(out, ']');
    }
    return 0;
}

// The meta line's members, less those that are written anew; leaves the object open.
static void write_members(const char *line, size_t len, brew_buf *out) {
    static const char *const anew[] = {"arithmetic", "calibrated_on", "scores", "logprobs"};
    size_t n;
    brew_json_slice *slices = brew_request_slices(line, len, &n);
    brew_buf_addc(out, '{');
    for (size_t i = 0; i < n; i++) {
        bool old = false;
        for (size_t k = 0; k < 4; k++) old |= brew_request_key_is(slices + i, anew[k]);
        if (old) continue;
        brew_buf_addc(out, '"');
        brew_buf_add(out, slices[i].key, slices[i].key_len);
        brew_buf_adds(out, "\":");
        brew_buf_add(out, slices[i].value, slices[i].value_len);
        brew_buf_addc(out, ',');
    }
    free(slices);
}

static int write_record(struct scores *s, const char *line, size_t len, brew_buf *out,
                        brew_err *err) {
    const brew_score_options *o = s->options;
    if (parse_meta(s, line, len, err)) return -1;
    write_members(line, len, out);
    if (o->arithmetic) brew_buf_addf(out, "\"arithmetic\":\"%s\",", o->arithmetic);
    if (o->calibration) brew_buf_addf(out, "\"calibrated_on\":\"%s\",", o->calibration->questions);
    brew_buf_adds(out, "\"scores\":[");
    if (write_scores(s, out, err)) return -1;
    if (s->result->lse) {
        brew_buf_adds(out, "],\"logprobs\":[");
        if (write_logprobs(s, out, err)) return -1;
    }
    brew_buf_adds(out, "]}\n");
    return 0;
}

static int write_one(const brew_star *star, size_t r, const char *line, size_t len,
                     const brew_forward_result *result, const brew_score_options *options,
                     brew_buf *out, brew_err *err) {
    struct scores s = {.star = star, .r = r, .result = result, .options = options};
    int failed = write_record(&s, line, len, out, err);
    brew_json_free(s.meta);
    free(s.positive);
    free(s.p);
    return failed;
}

int brew_score_write(const brew_star *star, size_t r, const brew_forward_result *result,
                     const brew_score_options *options, brew_buf *out, brew_err *err) {
    size_t len;
    const char *line = brew_star_meta(star, r, &len);
    if (!line) return brew_fail(err, BREW_DATA, "request %zu has no line of meta", r);
    return write_one(star, r, line, len, result, options, out, err);
}

struct brew_scorer {
    brew_model *model;
    brew_out *out;
    brew_score_options options;
    brew_star star;
    brew_forward_result result;
    brew_buf text;
    uint64_t requests, items, tokens; // done
};

brew_scorer *brew_scorer_new(brew_model *model, brew_out *out, const brew_score_options *options) {
    brew_scorer *scorer = brew_calloc(1, sizeof *scorer);
    scorer->model = model;
    scorer->out = out;
    scorer->options = *options;
    return scorer;
}

void brew_scorer_free(brew_scorer *scorer) {
    if (!scorer) return;
    brew_star_release(&scorer->star);
    brew_forward_result_release(&scorer->result);
    brew_buf_release(&scorer->text);
    free(scorer);
}

int brew_scorer_add(brew_scorer *scorer, const brew_star *star, size_t r, brew_err *err) {
    brew_star_append(&scorer->star, star, r);
    if (!scorer->options.teacher) brew_star_drop_history(&scorer->star);
    if (scorer->star.n_ids < BATCH_TOKENS && scorer->star.n_requests < BATCH_REQUESTS) return 0;
    return brew_scorer_flush(scorer, err);
}

int brew_scorer_flush(brew_scorer *scorer, brew_err *err) {
    brew_star *star = &scorer->star;
    if (!star->n_requests) return 0;
    brew_forward_options forward = {.block_rows = scorer->options.block_rows,
                                    .with_lse = scorer->options.logprobs,
                                    .with_rest = scorer->options.teacher,
                                    .topk = scorer->options.topk};
    if (brew_model_forward(scorer->model, star, &forward, &scorer->result, err))
        return brew_err_context(err, "requests %" PRIu64 " to %" PRIu64, scorer->requests + 1,
                                scorer->requests + star->n_requests);
    brew_buf_reset(&scorer->text);
    const char *line = star->meta.ptr; // a line per request, as brew_star_check made sure
    for (size_t r = 0; r < star->n_requests; r++) {
        size_t len = strcspn(line, "\n");
        if (write_one(star, r, line, len, &scorer->result, &scorer->options, &scorer->text, err))
            return -1;
        line += len + 1;
    }
    if (brew_out_write(scorer->out, scorer->text.ptr, scorer->text.len, err)) return -1;
    brew_star_teacher taught = {.label_logits = scorer->result.label_logits,
                                .rest = scorer->result.rest,
                                .topk_ids = scorer->result.topk_ids,
                                .topk_logits = scorer->result.topk_logits,
                                .topk_rest = scorer->result.topk_rest};
    if (scorer->options.teacher && brew_star_write(scorer->options.teacher, star, &taught, err))
        return -1;
    scorer->requests += star->n_requests;
    scorer->items += star->n_segments - star->n_requests;
    scorer->tokens += star->n_ids;
    brew_star_reset(star);
    return 0;
}

uint64_t brew_scorer_items(const brew_scorer *scorer) {
    return scorer->items;
}

uint64_t brew_scorer_tokens(const brew_scorer *scorer) {
    return scorer->tokens;
}
