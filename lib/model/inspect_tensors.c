#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "model/inspect_parts.h"
#include "model/names.h"

// ---- the set ----

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct brew_set_item *)a)->name, ((const struct brew_set_item *)b)->name);
}

// A GGUF tensor under its Hugging Face name, its rows in that order, where both are known.
static char *canonical(const brew_config *config, struct brew_set_item *item) {
    char hf[256];
    int64_t heads, rows = brew_tensor_n_rows(&item->tensor);
    if (!config || !brew_role_gguf_name(config, item->stored, hf, sizeof hf, &heads))
        return brew_strdup(item->stored);
    if (item->tensor.n_dims == 1) rows = item->tensor.shape[0];
    if (heads && rows % (2 * heads) == 0) item->tensor.interleaved_heads = heads;
    return brew_strdup(hf);
}

void brew_tensor_set_init(brew_tensor_set *set, const brew_subject *subject) {
    brew_config config;
    bool known = subject->dir && brew_modeldir_gguf(subject->dir) &&
                 !brew_config_read(&config, subject->dir, NULL);
    set->n =
        subject->dir ? brew_modeldir_n_tensors(subject->dir) : brew_safetensors_n(subject->file);
    set->items = brew_calloc(set->n, sizeof *set->items);
    for (size_t i = 0; i < set->n; i++) {
        struct brew_set_item *item = &set->items[i];
        item->tensor = subject->dir ? *brew_modeldir_tensor_at(subject->dir, i, &item->stored)
                                    : *brew_safetensors_at(subject->file, i, &item->stored);
        item->name = canonical(known ? &config : NULL, item);
    }
    if (set->n) qsort(set->items, set->n, sizeof *set->items, by_name);
    if (known) brew_config_release(&config);
}

void brew_tensor_set_release(brew_tensor_set *set) {
    for (size_t i = 0; i < set->n; i++) free(set->items[i].name);
    free(set->items);
    *set = (brew_tensor_set){0};
}

static int64_t n_values(const brew_tensor *tensor) {
    return brew_tensor_n_rows(tensor) * brew_tensor_row_len(tensor);
}

static bool is_integer(const brew_tensor *tensor) {
    return tensor->dtype >= BREW_I8;
}

static brew_json *shape_json(const brew_tensor *tensor) {
    brew_json *shape = brew_json_new_array();
    for (int i = 0; i < tensor->n_dims; i++)
        brew_json_push(shape, brew_json_new_int(tensor->shape[i]));
    return shape;
}

// ---- values ----

typedef struct stats {
    double min, max, squares;
    int64_t nan, infinite;
} stats;

typedef struct stats_job {
    const brew_tensor_set *set;
    stats *out; // [n]
} stats_job;

static void measure(void *arg, size_t task, int worker) {
    (void)worker;
    const stats_job *job = arg;
    const brew_tensor *t = &job->set->items[task].tensor;
    stats *s = &job->out[task];
    *s = (stats){.min = INFINITY, .max = -INFINITY};
    int64_t len = brew_tensor_row_len(t), rows = len ? brew_tensor_n_rows(t) : 0;
    if (is_integer(t)) return;
    float *row = brew_realloc_array(NULL, (size_t)len, sizeof *row);
    for (int64_t r = 0; r < rows; r++) {
        brew_tensor_rows(t, r, 1, row);
        for (int64_t i = 0; i < len; i++) {
            s->nan += isnan(row[i]) != 0;
            s->infinite += isinf(row[i]) != 0;
            if (!isfinite(row[i])) continue;
            if (row[i] < s->min) s->min = row[i];
            if (row[i] > s->max) s->max = row[i];
            s->squares += (double)row[i] * row[i];
        }
    }
    free(row);
}

static void report_values(brew_json *report, const brew_tensor_set *set, const stats *all,
                          bool *sound) {
    brew_json *verified = brew_json_new_object(), *bad = brew_json_new_array();
    int64_t nan = 0, infinite = 0, values = 0;
    for (size_t i = 0; i < set->n; i++) {
        nan += all[i].nan;
        infinite += all[i].infinite;
        values += n_values(&set->items[i].tensor);
        if (all[i].nan || all[i].infinite)
            brew_json_push(
                bad, brew_json_new_string(set->items[i].stored, strlen(set->items[i].stored)));
    }
    brew_report_int(verified, "values", values);
    brew_report_int(verified, "nan", nan);
    brew_report_int(verified, "infinite", infinite);
    brew_report_bool(verified, "sound", !nan && !infinite);
    if (brew_json_length(bad))
        brew_json_set(verified, "bad_tensors", bad);
    else
        brew_json_free(bad);
    brew_json_set(report, "verified", verified);
    if (nan || infinite) *sound = false;
}

static brew_json *tensor_json(const struct brew_set_item *item, const stats *s) {
    brew_json *entry = brew_json_new_object();
    const brew_tensor *t = &item->tensor;
    brew_report_string(entry, "name", item->stored);
    brew_report_string(entry, "dtype", brew_dtype_name(t->dtype));
    brew_json_set(entry, "shape", shape_json(t));
    if (s && !is_integer(t)) {
        int64_t finite = n_values(t) - s->nan - s->infinite;
        brew_report_real(entry, "min", s->min); // null where nothing is finite
        brew_report_real(entry, "max", s->max);
        brew_report_real(entry, "rms", finite ? sqrt(s->squares / (double)finite) : NAN);
        brew_report_int(entry, "nan", s->nan);
        brew_report_int(entry, "infinite", s->infinite);
    }
    return entry;
}

// ---- what there is ----

static const char *const group_names[] = {"embedding", "attention", "mlp",  "experts",
                                          "norms",     "head",      "other"};
enum { N_GROUPS = sizeof group_names / sizeof *group_names };

static int group_of(const char *name) { // in Hugging Face's names and in GGUF's
    if (strstr(name, "norm")) return 4;
    if (strstr(name, "embed") || strstr(name, "token_embd")) return 0;
    if (!strncmp(name, "lm_head", 7) || !strcmp(name, "output.weight")) return 5;
    if (strstr(name, "experts") || strstr(name, "_exps")) return 3;
    if (strstr(name, "attn")) return 1;
    if (strstr(name, "mlp") || strstr(name, "ffn")) return 2;
    return 6;
}

typedef struct tally {
    int64_t tensors, values, bytes;
    bool dtypes[BREW_DTYPES];
} tally;

static void count(tally *t, const brew_tensor *tensor) {
    size_t bytes = 0;
    brew_tensor_bytes(tensor, &bytes);
    t->tensors++;
    t->values += n_values(tensor);
    t->bytes += (int64_t)bytes;
    t->dtypes[tensor->dtype] = true;
}

static brew_json *tally_json(const char *key, const char *name, const tally *t) {
    brew_json *row = brew_json_new_object();
    brew_report_string(row, key, name);
    brew_report_int(row, "count", t->tensors);
    brew_report_int(row, "parameters", t->values);
    brew_report_int(row, "bytes", t->bytes);
    return row;
}

static void report_tallies(brew_json *report, const brew_tensor_set *set) {
    tally groups[N_GROUPS] = {0}, dtypes[BREW_DTYPES] = {0}, total = {0};
    for (size_t i = 0; i < set->n; i++) {
        const brew_tensor *t = &set->items[i].tensor;
        count(&groups[group_of(set->items[i].stored)], t);
        count(&dtypes[t->dtype], t);
        count(&total, t);
    }
    brew_report_int(report, "tensor_count", total.tensors);
    brew_report_int(report, "parameters", total.values);
    brew_report_int(report, "bytes", total.bytes);
    brew_json *by_group = brew_json_new_array(), *by_dtype = brew_json_new_array();
    for (int g = 0; g < N_GROUPS; g++) {
        if (!groups[g].tensors) continue;
        brew_json *row = tally_json("group", group_names[g], &groups[g]),
                  *list = brew_json_new_array();
        for (int d = 0; d < BREW_DTYPES; d++)
            if (groups[g].dtypes[d]) {
                const char *name = brew_dtype_name((enum brew_dtype)d);
                brew_json_push(list, brew_json_new_string(name, strlen(name)));
            }
        brew_json_set(row, "dtypes", list);
        brew_json_push(by_group, row);
    }
    for (int d = 0; d < BREW_DTYPES; d++)
        if (dtypes[d].tensors)
            brew_json_push(by_dtype,
                           tally_json("dtype", brew_dtype_name((enum brew_dtype)d), &dtypes[d]));
    brew_json_set(report, "groups", by_group);
    brew_json_set(report, "dtypes", by_dtype);
}

void brew_inspect_tensors(brew_json *report, const brew_subject *subject,
                          const brew_inspect_options *options, bool *sound) {
    brew_tensor_set set;
    brew_tensor_set_init(&set, subject);
    report_tallies(report, &set);
    stats *all = NULL;
    if (options->verify) {
        all = brew_calloc(set.n, sizeof *all);
        brew_pool_run(options->pool, set.n, measure, &(stats_job){&set, all});
        report_values(report, &set, all, sound);
    }
    if (subject->file && brew_safetensors_metadata(subject->file))
        brew_json_set(report, "metadata", brew_json_copy(brew_safetensors_metadata(subject->file)));
    brew_json *list = brew_json_new_array();
    for (size_t i = 0; i < set.n; i++)
        brew_json_push(list, tensor_json(&set.items[i], all ? &all[i] : NULL));
    brew_json_set(report, "tensors", list);
    free(all);
    brew_tensor_set_release(&set);
}
