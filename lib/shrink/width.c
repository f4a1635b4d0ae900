#include "shrink/width.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kernel/solve.h"
#include "model/names.h"

enum {
    ROWS_PER_CHANNEL = 8, // that a repair looks at in each site
    BLOCK = 128           // of them at a time
};

// Where the stream is read.
struct site {
    enum brew_role norm;
    int64_t layer, in_cut; // in_cut: among the kept
    float *gain;           // [C] of the norm
    double *squares;       // [C] sum of z^2
    double sum;            // of all z^2 of the rows that a repair saw
    float *cross, *gram;   // [C, K] sum of z z', [K, K] sum of z' z'
    int64_t rows;          // seen
};

struct job {
    const brew_config *config;
    const brew_modeldir *dir;
    const brew_star *star;
    const brew_width_options *options;
    brew_model *model;
    struct site *sites; // in the order they are read in
    size_t n;
    const int64_t *kept; // [K], in the second pass
    int64_t k;
    double *block, *turned, *small,
        *product; // [BLOCK, C] z, [C, BLOCK] the same, [BLOCK, K] z', [C, K]
    int64_t filled;
};

int64_t brew_width_channels(const brew_config *config, double share, int64_t multiple,
                            int64_t heads) {
    double want = share * (double)config->width;
    int64_t best = 0;
    for (int64_t n = multiple; n < config->width && share < 1; n += multiple)
        if (brew_cut_heads_fit(config, n, heads) &&
            (!best || fabs((double)n - want) <= fabs((double)best - want)))
            best = n;
    bool less = best && fabs((double)best - want) < fabs((double)config->width - want);
    return less ? best : config->width;
}

// ---- the sites ----

static int add_site(struct job *job, enum brew_role norm, int64_t layer, int64_t in_cut,
                    brew_err *err) {
    int64_t c = job->config->width;
    struct site *site = &job->sites[job->n++];
    brew_tensor gain;
    *site = (struct site){.norm = norm, .layer = layer, .in_cut = in_cut};
    if (brew_role_find(job->config, job->dir, norm, layer, &gain, err) < 0) return -1;
    site->gain = brew_calloc((size_t)c, sizeof *site->gain);
    site->squares = brew_calloc((size_t)c, sizeof *site->squares);
    brew_tensor_rows(&gain, 0, 1, site->gain);
    brew_role_release(&gain);
    return 0;
}

static int add_sites(struct job *job, const brew_cut *cut, brew_err *err) {
    job->sites = brew_calloc((size_t)(2 * cut->n_layers + 1), sizeof *job->sites);
    for (int64_t i = 0; i < cut->n_layers; i++)
        if (add_site(job, BREW_ATTN_NORM, cut->layers[i], i, err) ||
            add_site(job, BREW_MLP_NORM, cut->layers[i], i, err))
            return -1;
    return add_site(job, BREW_FINAL_NORM, 0, 0, err);
}

// The site that reads what is shown: after layer l the next layer's attention, or the head; between a layer's
// parts its mlp.
static struct site *site_of(const struct job *job, const brew_probed *seen) {
    for (size_t i = 0; i < job->n; i++) {
        struct site *site = job->sites + i;
        bool within = seen->what == BREW_PROBE_BETWEEN;
        if (within ? site->norm == BREW_MLP_NORM && site->layer == seen->layer
                   : site->norm != BREW_MLP_NORM &&
                         (site->norm == BREW_FINAL_NORM || site->layer > seen->layer))
            return site;
    }
    brew_bug("nobody reads the residual stream behind layer %lld", (long long)seen->layer);
}

static int pass(struct job *job, brew_probe_fn *see, brew_err *err) {
    brew_forward_result result = {0};
    brew_forward_options options = {.skip = job->options->skip,
                                    .probe = see,
                                    .probe_arg = job,
                                    .probes = BREW_PROBE_RESIDUAL | BREW_PROBE_BETWEEN};
    int status = brew_model_forward(job->model, job->star, &options, &result, err);
    brew_forward_result_release(&result);
    return status;
}

// ---- importance ----

static double scale_of(const struct job *job, double squares) {
    return 1 / sqrt(squares / (double)job->config->width + job->config->norm_eps);
}

static void measure(void *arg, const brew_probed *seen) {
    struct job *job = arg;
    struct site *site = site_of(job, seen);
    int64_t c = job->config->width;
    for (int64_t row = 0; row < seen->m; row++) {
        const float *x = seen->values + row * c;
        double sum = 0;
        for (int64_t j = 0; j < c; j++) sum += (double)x[j] * x[j];
        double scale = scale_of(job, sum);
        for (int64_t j = 0; j < c; j++) {
            double z = site->gain[j] * scale * x[j];
            site->squares[j] += z * z;
        }
    }
    site->rows += seen->m;
}

// Adds the squares of a matrix' columns to norms [C].
static int add_columns(const struct job *job, enum brew_role role, int64_t layer, double *norms,
                       brew_err *err) {
    brew_tensor tensor;
    int64_t c = job->config->width;
    float *row = brew_alloc((size_t)c * sizeof *row);
    int status = brew_role_find(job->config, job->dir, role, layer, &tensor, err) < 0 ? -1 : 0;
    for (int64_t r = 0; !status && r < tensor.shape[0]; r++) {
        brew_tensor_rows(&tensor, r, 1, row);
        for (int64_t j = 0; j < c; j++) norms[j] += (double)row[j] * row[j];
    }
    if (!status) brew_role_release(&tensor);
    free(row);
    return status;
}

// The same of the labels' rows of the head, less their mean in each set, once for each answer.
static int add_labels(const struct job *job, double *norms, brew_err *err) {
    const brew_star *star = job->star;
    int64_t c = job->config->width, *answers = brew_calloc(star->n_sets + 1, sizeof *answers);
    enum brew_role role = job->config->tied ? BREW_EMBEDDING : BREW_HEAD;
    double *mean = brew_calloc((size_t)c, sizeof *mean);
    float *row = brew_alloc((size_t)c * sizeof *row);
    brew_tensor head;
    int status = brew_role_find(job->config, job->dir, role, 0, &head, err) < 0 ? -1 : 0;
    for (size_t a = 0; a < star->n_answers; a++) answers[star->answer_set[a]]++;
    for (size_t s = 0; !status && s < star->n_sets; s++) {
        int64_t first = star->label_splits[s], n = star->label_splits[s + 1] - first;
        memset(mean, 0, (size_t)c * sizeof *mean);
        for (int second = 0; second < 2; second++)
            for (int64_t i = 0; i < n; i++) {
                brew_tensor_rows(&head, star->label_ids[first + i], 1, row);
                for (int64_t j = 0; j < c; j++) {
                    double off = row[j] - mean[j];
                    if (second)
                        norms[j] += (double)answers[s] * off * off;
                    else
                        mean[j] += off / (double)(i + 1);
                }
            }
    }
    if (!status) brew_role_release(&head);
    free(row);
    free(mean);
    free(answers);
    return status;
}

// Adds a site's shares to importance [C].
static int add_shares(const struct job *job, const struct site *site, double *importance,
                      brew_err *err) {
    int64_t c = job->config->width;
    double *norms = brew_calloc((size_t)c, sizeof *norms), sum = 0;
    int status = 0;
    if (site->norm == BREW_ATTN_NORM)
        status = add_columns(job, BREW_Q, site->layer, norms, err) ||
                 add_columns(job, BREW_K, site->layer, norms, err) ||
                 add_columns(job, BREW_V, site->layer, norms, err);
    else if (site->norm == BREW_MLP_NORM)
        status = add_columns(job, BREW_GATE, site->layer, norms, err) ||
                 add_columns(job, BREW_UP, site->layer, norms, err);
    else
        status = add_labels(job, norms, err);
    for (int64_t j = 0; j < c; j++) sum += norms[j] *= site->squares[j];
    for (int64_t j = 0; j < c && sum > 0; j++) importance[j] += norms[j] / sum;
    free(norms);
    return status ? -1 : 0;
}

struct channel {
    double importance;
    int64_t at;
};

// The most important first, of equals the one before.
static int by_importance(const void *a, const void *b) {
    const struct channel *x = a, *y = b;
    if (x->importance != y->importance) return x->importance < y->importance ? 1 : -1;
    return (x->at > y->at) - (x->at < y->at);
}

static int by_place(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int choose(struct job *job, brew_cut *cut, brew_width_facts *facts, brew_err *err) {
    int64_t c = job->config->width, keep = job->options->keep;
    double *importance = brew_calloc((size_t)c, sizeof *importance), sum = 0, kept = 0;
    struct channel *channels = brew_calloc((size_t)c, sizeof *channels);
    int status = 0;
    for (size_t i = 0; i < job->n && !status; i++)
        status = add_shares(job, job->sites + i, importance, err);
    for (int64_t j = 0; j < c; j++) channels[j] = (struct channel){importance[j], j};
    qsort(channels, (size_t)c, sizeof *channels, by_importance);
    for (int64_t j = 0; j < c; j++) {
        sum += channels[j].importance;
        if (j < keep) kept += channels[j].importance;
        if (j < keep) cut->width[j] = channels[j].at;
    }
    qsort(cut->width, (size_t)keep, sizeof *cut->width, by_place);
    cut->n_width = keep;
    facts->lost = (sum - kept) / sum;
    if (!status && !(sum > 0))
        status = brew_fail(err, BREW_DATA,
                           "no calibration request has an item: nothing tells "
                           "which channels matter");
    free(importance);
    free(channels);
    return status;
}

// ---- repair ----

// The block's rows into the sums of a site.
static void add_block(struct job *job, struct site *site) {
    int64_t c = job->config->width, k = job->k, n = job->filled;
    for (int64_t row = 0; row < n; row++)
        for (int64_t j = 0; j < c; j++) job->turned[j * n + row] = job->block[row * c + j];
    brew_multiply(c, k, n, job->turned, job->small, job->product);
    for (int64_t i = 0; i < c * k; i++) site->cross[i] += (float)job->product[i];
    for (int64_t row = 0; row < n; row++)
        for (int64_t j = 0; j < k; j++) job->turned[j * n + row] = job->small[row * k + j];
    brew_multiply(k, k, n, job->turned, job->small, job->product);
    for (int64_t i = 0; i < k * k; i++) site->gram[i] += (float)job->product[i];
    job->filled = 0;
}

static void add_row(struct job *job, struct site *site, const float *x) {
    int64_t c = job->config->width, k = job->k;
    double all = 0, some = 0, *z = job->block + job->filled * c;
    for (int64_t j = 0; j < c; j++) all += (double)x[j] * x[j];
    for (int64_t j = 0; j < k; j++) some += (double)x[job->kept[j]] * x[job->kept[j]];
    double whole = scale_of(job, all), cut = scale_of(job, some);
    for (int64_t j = 0; j < c; j++) {
        z[j] = site->gain[j] * whole * x[j];
        site->sum += z[j] * z[j];
    }
    for (int64_t j = 0; j < k; j++)
        job->small[job->filled * k + j] = site->gain[job->kept[j]] * cut * x[job->kept[j]];
    if (++job->filled == BLOCK) add_block(job, site);
}

// Every so many rows of those that the first pass counted.
static void sum_up(void *arg, const brew_probed *seen) {
    struct job *job = arg;
    struct site *site = site_of(job, seen);
    int64_t c = job->config->width, step = site->rows / (ROWS_PER_CHANNEL * c) + 1;
    for (int64_t row = 0; row < seen->m; row++)
        if (seen->rows[row] % step == 0) add_row(job, site, seen->values + row * c);
    if (job->filled) add_block(job, site);
}

// sum |z - A z'|^2 by the sums; a NULL: A keeps what is kept.
static double error_of(const struct job *job, const struct site *site, const double *a) {
    int64_t c = job->config->width, k = job->k;
    double error = site->sum;
    if (!a) {
        for (int64_t j = 0; j < k; j++)
            error += site->gram[j * k + j] - 2 * (double)site->cross[job->kept[j] * k + j];
        return error;
    }
    double *gram = brew_realloc_array(NULL, (size_t)(k * k), sizeof *gram);
    for (int64_t i = 0; i < k * k; i++) gram[i] = site->gram[i];
    brew_multiply(c, k, k, a, gram, job->product);
    for (int64_t i = 0; i < c * k; i++) error += a[i] * (job->product[i] - 2 * site->cross[i]);
    free(gram);
    return error;
}

// A [C, K], or NULL if there is no better one than keeping what is kept.
static double *solve(const struct job *job, const struct site *site) {
    int64_t c = job->config->width, k = job->k;
    double *gram = brew_realloc_array(NULL, (size_t)(k * k), sizeof *gram), mean = 0;
    double *a = brew_realloc_array(NULL, (size_t)(c * k), sizeof *a);
    for (int64_t i = 0; i < k * k; i++) gram[i] = site->gram[i];
    for (int64_t i = 0; i < c * k; i++) a[i] = site->cross[i];
    for (int64_t j = 0; j < k; j++) mean += gram[j * k + j] / (double)k;
    double ridge = job->options->ridge * mean;
    for (int64_t j = 0; j < k; j++) {
        gram[j * k + j] += ridge;
        a[job->kept[j] * k + j] += ridge;
    }
    bool better =
        mean > 0 && brew_solve(gram, k, a, c) && error_of(job, site, a) < error_of(job, site, NULL);
    free(gram);
    if (better) return a;
    free(a);
    return NULL;
}

// The best gain of each channel alone, for a head that has no A.
static double *diagonal(const struct job *job, const struct site *site) {
    int64_t c = job->config->width, k = job->k;
    double *a = brew_calloc((size_t)(c * k), sizeof *a);
    for (int64_t j = 0; j < k; j++) {
        double square = site->gram[j * k + j];
        a[job->kept[j] * k + j] = square > 0 ? site->cross[job->kept[j] * k + j] / square : 1;
    }
    return a;
}

static void repair_site(struct job *job, const struct site *site, brew_repaired *to,
                        brew_width_facts *facts) {
    int64_t k = job->k;
    bool tied_head = site->norm == BREW_FINAL_NORM && job->config->tied;
    if (!(site->sum > 0)) return;
    double before = error_of(job, site, NULL);
    double *a = tied_head ? diagonal(job, site) : solve(job, site);
    facts->error_before += before / site->sum / (double)job->n;
    double after =
        a ? error_of(job, site, a) : before; // where little is left, rounding may be more
    facts->error_after += fmax(after, 0) / site->sum / (double)job->n;
    if (!a) return;
    if (tied_head) {
        to->final_gain = brew_calloc((size_t)k, sizeof *to->final_gain);
        for (int64_t j = 0; j < k; j++) to->final_gain[j] = a[job->kept[j] * k + j];
        free(a);
    } else if (site->norm == BREW_FINAL_NORM) {
        to->head = a;
    } else {
        (site->norm == BREW_ATTN_NORM ? to->attn_in : to->mlp_in)[site->in_cut] = a;
    }
}

static void free_sums(struct site *site) {
    free(site->cross);
    free(site->gram);
    site->cross = site->gram = NULL;
}

static int repair(struct job *job, const brew_cut *cut, brew_repaired *to, brew_width_facts *facts,
                  brew_err *err) {
    size_t c = (size_t)job->config->width, k = (size_t)cut->n_width;
    job->kept = cut->width;
    job->k = cut->n_width;
    job->block = brew_realloc_array(NULL, BLOCK * c, sizeof *job->block);
    job->turned = brew_realloc_array(NULL, BLOCK * c, sizeof *job->turned);
    job->small = brew_realloc_array(NULL, BLOCK * k, sizeof *job->small);
    job->product = brew_realloc_array(NULL, c * k, sizeof *job->product);
    for (size_t i = 0; i < job->n; i++) {
        job->sites[i].cross = brew_calloc(c * k, sizeof(float));
        job->sites[i].gram = brew_calloc(k * k, sizeof(float));
    }
    if (pass(job, sum_up, err)) return -1;
    to->attn_in = brew_calloc((size_t)cut->n_layers, sizeof *to->attn_in);
    to->mlp_in = brew_calloc((size_t)cut->n_layers, sizeof *to->mlp_in);
    for (size_t i = 0; i < job->n; i++) {
        repair_site(job, job->sites + i, to, facts);
        free_sums(job->sites + i); // what A takes, these took
    }
    return 0;
}

int brew_width_cut(brew_model *model, const brew_modeldir *dir, const brew_star *star,
                   const brew_width_options *options, brew_cut *cut, brew_repaired *repaired,
                   brew_width_facts *facts, brew_err *err) {
    struct job job = {.config = brew_model_config(model),
                      .dir = dir,
                      .star = star,
                      .options = options,
                      .model = model};
    *facts = (brew_width_facts){0};
    int status = add_sites(&job, cut, err);
    if (!status) status = pass(&job, measure, err);
    if (!status) status = choose(&job, cut, facts, err);
    if (!status && options->repair) status = repair(&job, cut, repaired, facts, err);
    for (size_t i = 0; i < job.n; i++) {
        free(job.sites[i].gain);
        free(job.sites[i].squares);
        free_sums(job.sites + i);
    }
    free(job.sites);
    free(job.block);
    free(job.turned);
    free(job.small);
    free(job.product);
    return status;
}
