// What the kernel tests share: backends by level, random numbers, operands in and out.
//
// Only *_test.c files and benches include this.
#ifndef BREW_KERNEL_TESTING_H
#define BREW_KERNEL_TESTING_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "kernel/ops.h"
#include "kernel/train_ops.h"

#define UNUSED __attribute__((unused))

UNUSED static brew_backend *open_level(const char *level, enum brew_precision precision,
                                       int threads) {
    brew_err err;
    brew_backend *be = brew_backend_open(level, precision, brew_pool_new(threads), &err);
    if (!be) brew_bug("%s", err.text);
    return be;
}

UNUSED static void close_level(brew_backend *be) {
    brew_pool *pool = be->pool;
    brew_backend_close(be);
    brew_pool_free(pool);
}

// n values, roughly normal, standard deviation 1.
UNUSED static float *random_floats(uint64_t stream, int64_t n) {
    float *x = brew_alloc((size_t)n * sizeof *x + 1);
    for (int64_t i = 0; i < n; i++) {
        uint64_t bits = brew_rand_u64(7, stream, (uint64_t)i);
        double sum = 0;
        for (int j = 0; j < 4; j++) sum += (double)(bits >> 16 * j & 0xffff) * 0x1p-16 - 0.5;
        x[i] = (float)(sum * 1.7320508);
    }
    return x;
}

UNUSED static float round_bf16(float value) {
    return brew_f32_from_bf16(brew_bf16_from_f32(value));
}

UNUSED static brew_tensor f32_tensor(const float *data, int64_t rows, int64_t columns) {
    return (brew_tensor){.data = data, .dtype = BREW_F32, .n_dims = 2, .shape = {rows, columns}};
}

UNUSED static brew_weight *weight_of(brew_backend *be, const float *data, int64_t n, int64_t c) {
    brew_tensor tensor = f32_tensor(data, n, c);
    const brew_tensor *parts[] = {&tensor};
    brew_err err;
    brew_weight *weight = be->ops->weight_new(be, parts, NULL, 1, BREW_WEIGHT_STACK, &err);
    if (!weight) brew_bug("%s", err.text);
    // cppcheck-suppress returnDanglingLifetime  // a weight keeps nothing of its parts
    return weight;
}

// A weight that learns with these values; *master is to be freed after it.
UNUSED static brew_weight *learnt_weight(brew_backend *be, int64_t n, int64_t c, const float *rows,
                                         const float *bias, float **master) {
    brew_err err;
    int64_t floats = be->ops->train->weight_floats(be, n, c);
    *master = be->ops->alloc(be, (size_t)floats * sizeof **master, "a master", &err);
    be->ops->train->weight_pack(be, n, c, 0, n, rows, *master);
    brew_weight *w = be->ops->train->weight_learn(be, n, c, *master, bias, &err);
    if (!w) brew_bug("%s", err.text);
    be->ops->train->weight_refresh(be, w);
    return w;
}

UNUSED static double *doubles_of(const float *x, int64_t n) {
    double *p = brew_calloc((size_t)n + 1, sizeof *p);
    for (int64_t i = 0; i < n; i++) p[i] = x[i];
    return p;
}

UNUSED static brew_operand operand_of(brew_backend *be, int64_t rows, int64_t width) {
    brew_operand operand;
    brew_err err;
    if (be->ops->operand_init(be, &operand, rows, width, &err) < 0) brew_bug("%s", err.text);
    return operand;
}

// The operand's values: its product with the unit matrix, which is exact. [m, width]; free it.
UNUSED static float *operand_values(brew_backend *be, const brew_operand *operand, int64_t m) {
    int64_t c = operand->width;
    float *unit = brew_calloc((size_t)(c * c), sizeof *unit);
    float *values = brew_calloc((size_t)(m * c), sizeof *values);
    if (!strcmp(be->ops->name, "ref")) { // rows as they are
        memcpy(values, operand->data, (size_t)(m * c) * sizeof *values);
        free(unit);
        return values;
    }
    for (int64_t i = 0; i < c; i++) unit[i * c + i] = 1;
    brew_weight *weight = weight_of(be, unit, c, c);
    be->ops->matmul(be, operand, m, weight, values, false);
    be->ops->weight_free(be, weight);
    free(unit);
    return values;
}

// |got - want| <= slack + relative * |want| everywhere; prints the worst place if not. NaN fails.
UNUSED static bool close_to(const float *got, const double *want, int64_t n, double relative,
                            double slack) {
    int64_t worst = -1;
    double most = 1;
    for (int64_t i = 0; i < n; i++) {
        double over = fabs(got[i] - want[i]) / (slack + relative * fabs(want[i]));
        if (over <= most) continue;
        most = over;
        worst = i;
        if (isnan(over)) break;
    }
    if (worst < 0) return true;
    printf("# at %lld: got %.9g, want %.9g\n", (long long)worst, got[worst], want[worst]);
    return false;
}

UNUSED static bool slow_tests(void) {
    const char *slow = getenv("BREW_SLOW");
    return slow && *slow && strcmp(slow, "0");
}

#endif
