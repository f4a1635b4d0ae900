#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "model/inspect_parts.h"

// ---- tensors ----

typedef struct difference {
    bool comparable; // equal shapes, both read as F32
    int64_t values;  // how many differ
    int64_t bad;     // of them, where one side is not finite
    double largest;  // of |a - b|, where both are
    double squares, of_a;
} difference;

typedef struct pair {
    const struct brew_set_item *a, *b;
    difference diff;
} pair;

static bool same_shape(const brew_tensor *a, const brew_tensor *b) {
    return a->n_dims == b->n_dims &&
           !memcmp(a->shape, b->shape, (size_t)a->n_dims * sizeof *a->shape);
}

static void compare_rows(difference *d, const float *a, const float *b, int64_t len) {
    for (int64_t i = 0; i < len; i++) {
        d->of_a += isfinite(a[i]) ? (double)a[i] * a[i] : 0;
        if (a[i] == b[i] || !memcmp(&a[i], &b[i], sizeof *a)) continue; // +0 and -0 are equal
        d->values++;
        if (!isfinite(a[i]) || !isfinite(b[i])) {
            d->bad++;
            continue;
        }
        double gap = fabs((double)a[i] - b[i]);
        if (gap > d->largest) d->largest = gap;
        d->squares += gap * gap;
    }
}

static void compare_pair(void *arg, size_t task, int worker) {
    (void)worker;
    pair *p = (pair *)arg + task;
    const brew_tensor *a = &p->a->tensor, *b = &p->b->tensor;
    size_t bytes;
    if (!same_shape(a, b)) return;
    if (a->dtype >= BREW_I8 || b->dtype >= BREW_I8) { // integers: equal or not
        p->diff.values = a->dtype != b->dtype || !brew_tensor_bytes(a, &bytes) ||
                         (bytes && memcmp(a->data, b->data, bytes));
        return;
    }
    p->diff.comparable = true;
    int64_t len = brew_tensor_row_len(a), rows = len ? brew_tensor_n_rows(a) : 0;
    float *row_a = brew_realloc_array(NULL, (size_t)len, sizeof *row_a);
    float *row_b = brew_realloc_array(NULL, (size_t)len, sizeof *row_b);
    for (int64_t r = 0; r < rows; r++) {
        brew_tensor_rows(a, r, 1, row_a);
        brew_tensor_rows(b, r, 1, row_b);
        compare_rows(&p->diff, row_a, row_b, len);
    }
    free(row_a);
    free(row_b);
}

static void add_shape(brew_buf *text, const brew_tensor *t) {
    brew_buf_addf(text, "%s [", brew_dtype_name(t->dtype));
    for (int i = 0; i < t->n_dims; i++)
        brew_buf_addf(text, "%s%lld", i ? ", " : "", (long long)t->shape[i]);
    brew_buf_adds(text, "]");
}

static brew_json *pair_json(const pair *p) {
    brew_json *row = brew_json_new_object();
    brew_buf a = {0}, b = {0};
    add_shape(&a, &p->a->tensor);
    add_shape(&b, &p->b->tensor);
    brew_report_string(row, "name", p->a->name);
    brew_report_string(row, "a", a.ptr);
    brew_report_string(row, "b", b.ptr);
    if (p->diff.comparable) {
        const difference *d = &p->diff;
        brew_report_int(row, "values_differ", d->values);
        brew_report_real(row, "max_abs", d->bad ? NAN : d->largest); // null: one is not finite
        brew_report_real(row, "relative_rms", d->of_a > 0 ? sqrt(d->squares / d->of_a) : NAN);
    }
    brew_buf_release(&a);
    brew_buf_release(&b);
    return row;
}

static void push_name(brew_json *list, const struct brew_set_item *item) {
    brew_json_push(list, brew_json_new_string(item->name, strlen(item->name)));
}

// Both sets are sorted: one walk finds what only one of them has.
static size_t pair_up(const brew_tensor_set *a, const brew_tensor_set *b, pair *pairs,
                      brew_json *only_a, brew_json *only_b) {
    size_t i = 0, j = 0, n = 0;
    while (i < a->n || j < b->n) {
        int order = i == a->n ? 1 : j == b->n ? -1 : strcmp(a->items[i].name, b->items[j].name);
        if (order < 0)
            push_name(only_a, &a->items[i++]);
        else if (order > 0)
            push_name(only_b, &b->items[j++]);
        else
            pairs[n++] = (pair){&a->items[i++], &b->items[j++], {0}};
    }
    return n;
}

static void report_pairs(brew_json *report, const pair *pairs, size_t n, bool *same) {
    int64_t shapes = 0, dtypes = 0, values = 0;
    const pair *worst = NULL;
    brew_json *rows = brew_json_new_array();
    for (size_t i = 0; i < n; i++) {
        const brew_tensor *a = &pairs[i].a->tensor, *b = &pairs[i].b->tensor;
        bool shape = !same_shape(a, b), dtype = a->dtype != b->dtype;
        shapes += shape;
        dtypes += dtype;
        values += pairs[i].diff.values != 0;
        if (pairs[i].diff.comparable && (!worst || pairs[i].diff.largest > worst->diff.largest))
            worst = &pairs[i];
        if (shape || dtype || pairs[i].diff.values) brew_json_push(rows, pair_json(&pairs[i]));
    }
    brew_report_int(report, "tensors_compared", (int64_t)n);
    brew_report_int(report, "shapes_differ", shapes);
    brew_report_int(report, "dtypes_differ", dtypes);
    brew_report_int(report, "values_differ", values);
    if (worst) brew_report_real(report, "max_abs_difference", worst->diff.largest);
    if (worst && worst->diff.largest > 0) brew_report_string(report, "largest_in", worst->a->name);
    if (brew_json_length(rows)) *same = false;
    brew_json_set(report, "tensors", rows);
}

static void report_only(brew_json *report, const char *key, brew_json *names, bool *same) {
    if (brew_json_length(names)) {
        *same = false;
        brew_json_set(report, key, names);
    } else {
        brew_json_free(names);
    }
}

void brew_compare_tensors(brew_json *report, const brew_subject *a, const brew_subject *b,
                          const brew_inspect_options *options, bool *same) {
    brew_tensor_set set_a, set_b;
    brew_tensor_set_init(&set_a, a);
    brew_tensor_set_init(&set_b, b);
    pair *pairs = brew_calloc(set_a.n, sizeof *pairs);
    brew_json *only_a = brew_json_new_array(), *only_b = brew_json_new_array();
    size_t n = pair_up(&set_a, &set_b, pairs, only_a, only_b);
    brew_pool_run(options->pool, n, compare_pair, pairs);
    report_only(report, "only_in_a", only_a, same);
    report_only(report, "only_in_b", only_b, same);
    report_pairs(report, pairs, n, same);
    free(pairs);
    brew_tensor_set_release(&set_a);
    brew_tensor_set_release(&set_b);
}

// ---- files ----

static bool is_weights(const char *name) {
    return strstr(name, ".safetensors") != NULL; // the index too
}

// Files but for the weights, which are compared as tensors.
void brew_compare_files(brew_json *report, const brew_subject *a, const brew_subject *b,
                        bool *same) {
    brew_json *names = brew_json_new_array();
    for (int side = 0; side < 2; side++) {
        const brew_modeldir *here = side ? b->dir : a->dir, *there = side ? a->dir : b->dir;
        if (brew_modeldir_gguf(here) || brew_modeldir_gguf(there)) break; // has no files
        for (size_t i = 0; i < brew_modeldir_n_files(here); i++) {
            const char *name = brew_modeldir_file_name(here, i);
            size_t len = 0, other_len = 0;
            const char *bytes = brew_modeldir_file(here, name, &len);
            const char *other = brew_modeldir_file(there, name, &other_len);
            bool differ = !other || (!side && (len != other_len || memcmp(bytes, other, len)));
            if (differ && !is_weights(name))
                brew_json_push(names, brew_json_new_string(name, strlen(name)));
        }
    }
    report_only(report, "files_differ", names, same);
}
