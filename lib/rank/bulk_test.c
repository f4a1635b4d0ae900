// Column folders against the ordinary measure, at several buffer sizes and thread counts; and bad ones.
#include "rank/bulk.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rng.h"
#include "base/tap.h"

enum { ROWS = 6000, MEMBERS = 90 };

static char folder[64];

static void save_bytes(const char *name, const char *ptr, size_t len) {
    char path[100];
    snprintf(path, sizeof path, "%s/%s.npy", folder, name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(ptr, 1, len, file) != len) printf("# cannot write %s\n", path);
    if (file) fclose(file);
}

static void save(const char *name, enum brew_npy_type type, const void *data, size_t n) {
    brew_npy npy = {.type = type, .n_dims = 1, .shape = {n}};
    brew_buf bytes = {0};
    brew_npy_write_header(&bytes, &npy);
    brew_buf_add(&bytes, data, n * brew_npy_type_bytes(type));
    save_bytes(name, bytes.ptr, bytes.len);
    brew_buf_release(&bytes);
}

static void forget(const char *name) {
    char path[100];
    snprintf(path, sizeof path, "%s/%s.npy", folder, name);
    unlink(path);
}

static double score[ROWS];
static uint8_t target[ROWS];
static int64_t member[ROWS];
static float weight[ROWS];

enum kind { DISTINCT, TIES, SPIKE, CONSTANT, RAW, TINY, KINDS };
static const char *const names[] = {"distinct", "ties", "spike", "constant", "raw", "tiny"};

static double score_of(enum kind kind, uint64_t i) {
    double u = brew_rand_unit(1, 0, i);
    switch (kind) {
    case TIES:
        return floor(u * 50) / 50;
    case SPIKE: // nearly all in a narrow place, many equal
        return i % 7 == 0 ? u : i % 3 == 0 ? .25 : .5 + u * 1e-9;
    case CONSTANT:
        return .3;
    case RAW:
        return exp(600 * (u - .5)) * (i % 2 ? 1 : -1);
    case TINY:
        return u * 1e-310;
    default:
        return u;
    }
}

static void simulate(enum kind kind, bool sparse_ids) {
    for (uint64_t i = 0; i < ROWS; i++) {
        uint64_t m = brew_rand_below(2, 0, i, MEMBERS);
        double taste = brew_rand_unit(3, 0, m) - .5;
        score[i] = score_of(kind, i);
        target[i] = brew_rand_unit(4, 0, i) < .3 + .4 * brew_rand_unit(1, 0, i) * (1 + taste);
        member[i] = sparse_ids ? (int64_t)brew_mix64(m) : (int64_t)m - 40;
        if (sparse_ids && m == 3) member[i] = -1;
        weight[i] = (float)(1 + i % 4) / 2;
    }
}

static void save_all(bool weighted) {
    save("scores", BREW_NPY_F64, score, ROWS);
    save("targets", BREW_NPY_U8, target, ROWS);
    save("members", BREW_NPY_I64, member, ROWS);
    if (weighted)
        save("weights", BREW_NPY_F32, weight, ROWS);
    else
        forget("weights");
}

static int measure(brew_bulk *bulk, size_t buffer_rows, int threads, brew_err *err) {
    brew_folder columns;
    if (brew_folder_open(&columns, folder, err) < 0) return -1;
    brew_pool *pool = brew_pool_new(threads);
    int status = brew_bulk_measure(&columns, buffer_rows, pool, bulk, err);
    brew_pool_free(pool);
    brew_folder_close(&columns);
    return status;
}

static void compare(enum kind kind, bool weighted, bool sparse_ids) {
    brew_answers a = {0};
    brew_figures want;
    brew_bulk got, again;
    brew_err err = {0};
    simulate(kind, sparse_ids);
    save_all(weighted);
    for (size_t i = 0; i < ROWS; i++) {
        brew_answer row = {
            .score = score[i], .weight = weighted ? weight[i] : 1, .positive = target[i]};
        row.member = row.group = (uint32_t)brew_rand_below(2, 0, i, MEMBERS);
        brew_answers_add(&a, &row);
    }
    const double *column = a.score;
    brew_evaluate_options how = {.k = 10, .method = BREW_INTERVAL_CLUSTERED};
    brew_evaluate(&a, &column, 1, &how, NULL, &want, NULL, &err);
    static const size_t buffers[] = {ROWS, 1000, 37};
    for (size_t b = 0; b < 3; b++) {
        if (!ok(measure(&got, buffers[b], 1, &err) == 0, "%s, %zu rows at a time", names[kind],
                buffers[b]))
            printf("# %s\n", err.text);
        double worst = 0, wide = 0, of_auc = 0; // what values and ends of intervals differ by
        for (int i = 0; i < BREW_METRICS; i++) {
            const brew_figure *g = &got.figures.of[i], *w = &want.of[i];
            if (isnan(g->value)) continue;
            worst = fmax(worst, fabs(g->value - w->value) / (1 + fabs(w->value)));
            if (isnan(g->lo)) continue;
            double *ends = i == BREW_METRIC_AUC ? &of_auc : &wide;
            *ends = fmax(*ends, fmax(fabs(g->lo - w->lo), fabs(g->hi - w->hi)) / (1 + fabs(w->hi)));
        }
        is_near(worst, 0, 1e-12, "the values");
        is_near(wide, 0, 1e-8, "the intervals");
        is_near(of_auc, 0, 1e-5, "that of auc, from cells of scores");
        is_int((long long)got.members, MEMBERS, "the members");
        measure(&again, buffers[b], 3, &err);
        ok(!memcmp(&got, &again, sizeof got), "the same bits with 3 threads");
    }
    ok(got.probabilities == (kind != RAW), "probabilities or not");
    brew_answers_release(&a);
}

// The other types that numpy may have saved.
static void test_types(void) {
    static float narrow[ROWS];
    static int32_t whole[ROWS];
    static int64_t wide[ROWS];
    static double weights[ROWS];
    static int8_t small[ROWS];
    brew_bulk plain, other;
    brew_err err = {0};
    simulate(TIES, false);
    for (size_t i = 0; i < ROWS; i++) {
        score[i] = narrow[i] = (float)score[i];
        whole[i] = (int32_t)member[i];
        small[i] = (int8_t)target[i];
        wide[i] = target[i];
        weights[i] = weight[i];
    }
    save_all(true);
    measure(&plain, ROWS, 1, &err);
    save("scores", BREW_NPY_F32, narrow, ROWS);
    save("members", BREW_NPY_I32, whole, ROWS);
    save("weights", BREW_NPY_F64, weights, ROWS);
    save("targets", BREW_NPY_I8, small, ROWS);
    ok(measure(&other, ROWS, 1, &err) == 0 && !memcmp(&plain, &other, sizeof plain),
       "<f4, <i4, |i1, <f8");
    save("targets", BREW_NPY_I64, wide, ROWS);
    ok(measure(&other, ROWS, 1, &err) == 0 && !memcmp(&plain, &other, sizeof plain), "<i8");
    save("targets", BREW_NPY_BOOL, target, ROWS);
    ok(measure(&other, ROWS, 1, &err) == 0 && !memcmp(&plain, &other, sizeof plain), "|b1");
    small[5] = small[ROWS - 1] = -1;
    save("targets", BREW_NPY_I8, small, ROWS);
    ok(measure(&other, ROWS, 1, &err) == 0 && other.unknown == 2 && other.n == ROWS - 2,
       "unknown outcomes are left out");
}

static void refused(const char *why, const char *what) {
    brew_bulk bulk;
    brew_err err = {0};
    bool bad = measure(&bulk, ROWS, 1, &err) < 0 && strstr(err.text, why);
    if (!ok(bad, "refused: %s", what)) printf("# %s\n", err.text);
}

static void test_bad(void) {
    brew_bulk bulk;
    brew_err err = {0};
    simulate(DISTINCT, false);
    save_all(true);
    score[77] = NAN;
    save("scores", BREW_NPY_F64, score, ROWS);
    refused("row 77: the score is not finite", "NaN");
    save_all(true);
    score[77] = .5;
    save("scores", BREW_NPY_F64, score, ROWS);
    weight[5990] = -1;
    save("weights", BREW_NPY_F32, weight, ROWS);
    refused("row 5990: the weight", "a negative weight");
    weight[5990] = 1;
    target[1] = 2;
    save_all(true);
    refused("row 1: the target", "a target of 2");
    target[1] = 1;
    save_all(true);
    save("members", BREW_NPY_I64, member, ROWS - 1);
    refused("has 5999 rows, scores.npy 6000", "a short column");
    save("members", BREW_NPY_F32, weight, ROWS);
    refused("a type that members cannot have", "members that are reals");
    save_bytes("members", "\x93NUMPY", 6);
    refused("not an .npy file", "a cut file");
    forget("members");
    refused("members.npy", "no members");
    save("scores", BREW_NPY_F64, score, 0);
    save("targets", BREW_NPY_U8, target, 0);
    save("members", BREW_NPY_I64, member, 0);
    save("weights", BREW_NPY_F32, weight, 0);
    ok(measure(&bulk, ROWS, 1, &err) == 0 && bulk.n == 0 &&
           isnan(bulk.figures.of[BREW_METRIC_AUC].value),
       "no rows are no error");
}

int main(void) {
    snprintf(folder, sizeof folder, "/tmp/brew-bulk-%ld", (long)getpid());
    mkdir(folder, 0700);
    for (int kind = 0; kind < KINDS; kind++) compare(kind, kind % 2, kind % 3 == 1);
    compare(DISTINCT, true, true);
    test_types();
    test_bad();
    static const char *const files[] = {"scores", "targets", "members", "weights"};
    for (int i = 0; i < 4; i++) forget(files[i]);
    rmdir(folder);
    return tap_done();
}
