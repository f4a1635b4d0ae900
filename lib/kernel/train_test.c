// The operations of learning but attention and head: every level against `ref`, and their bits.
#include "base/tap.h"
#include "kernel/testing.h"

static const double F32_ULP = 1.0 / (1 << 24);

static const char *precision_name(const brew_backend *be) {
    return be->precision ? "bf16" : "f32";
}

static bool is_ref(const brew_backend *be) {
    return !strcmp(be->level, "ref");
}

// dw in rows [N, C] of one or more calls that cut the M rows before each of `cuts` [n_cuts].
static float *dw_rows(brew_backend *be, const float *dy, const float *x, int64_t m, int64_t n,
                      int64_t c, const int64_t *cuts, int n_cuts) {
    const brew_train_ops *train = be->ops->train;
    brew_err err;
    int64_t floats = train->weight_floats(be, n, c), row = 0;
    float *dw = be->ops->alloc(be, (size_t)floats * sizeof *dw, "a gradient", &err);
    float *rows = brew_alloc((size_t)(n * c) * sizeof *rows);
    for (int64_t i = 0; i < floats; i++) dw[i] = NAN; // whatever was there
    for (int i = 0; i <= n_cuts; i++) {
        int64_t end = i < n_cuts ? cuts[i] : m;
        train->matmul_dw(be, dy + row * n, x + row * c, end - row, n, c, dw, i > 0);
        row = end;
    }
    train->weight_unpack(be, n, c, 0, n, dw, rows);
    double all = train->sum_squares(be, dw, floats), inside = 0;
    for (int64_t i = 0; i < n * c; i++) inside += (double)rows[i] * rows[i];
    if (fabs(all - inside) > 1e-12 * inside) rows[0] = NAN; // padding counts
    be->ops->free(be, dw);
    return rows;
}

// Levels against ref.

// A sum of C products of size 1 carries at most C roundings of at most its largest partial sum, about
// 4 sqrt(C); two per product with AVX512-BF16 or without fma.
static double product_slack(int64_t c) {
    return 2 * (double)c * 4 * sqrt((double)c) * F32_ULP;
}

static bool near_ref(const float *got, const float *want, int64_t n, double relative,
                     double slack) {
    double *exact = doubles_of(want, n);
    bool good = close_to(got, exact, n, relative, slack);
    free(exact);
    return good;
}

// y = x w^T + b by a weight that learns has the bits of one that is loaded.
static bool check_forward(brew_backend *be, int64_t m, int64_t n, int64_t c) {
    const brew_ops *ops = be->ops;
    float *x = random_floats(1, m * c), *w = random_floats(3, n * c), *gain = random_floats(2, c);
    float *bias = random_floats(4, n), *y = random_floats(5, 2 * m * n), *master;
    float *rows = brew_alloc((size_t)(m * c) * sizeof *rows + 1), *back = random_floats(6, n * c);
    brew_err err;
    brew_tensor tensor = f32_tensor(w, n, c);
    brew_tensor vector = {.data = bias, .dtype = BREW_F32, .n_dims = 1, .shape = {n}};
    const brew_tensor *parts[] = {&tensor}, *biases[] = {&vector};
    brew_weight *loaded = ops->weight_new(be, parts, biases, 1, BREW_WEIGHT_STACK, &err);
    brew_weight *learnt = learnt_weight(be, n, c, w, bias, &master);
    brew_operand a = operand_of(be, m, c);
    ops->norm(be, x, m, c, gain, 1e-5, &a);
    ops->matmul(be, &a, m, loaded, y, false);
    ops->matmul(be, &a, m, learnt, y + m * n, false);
    bool good = !memcmp(y, y + m * n, (size_t)(m * n) * sizeof *y);
    float *values = operand_values(be, &a, m);
    ops->train->operand_rows(be, &a, NULL, m, rows);
    for (int64_t i = 0; i < m * c; i++) good &= values[i] == rows[i];
    for (int64_t row = 0; row < n; row++)
        ops->train->weight_unpack(be, n, c, row, 1, master, back + row * c);
    good &= !memcmp(w, back, (size_t)(n * c) * sizeof *w);
    ops->operand_release(be, &a);
    ops->weight_free(be, loaded), ops->weight_free(be, learnt);
    ops->free(be, master);
    free(x), free(w), free(gain), free(bias), free(y), free(rows), free(back), free(values);
    return good;
}

static bool check_products(brew_backend *be, brew_backend *ref, int64_t m, int64_t n, int64_t c) {
    float *x = random_floats(1, m * c), *dy = random_floats(2, m * n), *w = random_floats(3, n * c);
    float *got = random_floats(4, m * c), *want = random_floats(4, m * c), *master[2];
    brew_weight *mine = learnt_weight(be, n, c, w, NULL, &master[0]);
    brew_weight *theirs = learnt_weight(ref, n, c, w, NULL, &master[1]);
    bool good = true;
    for (int add = 0; add < 2; add++) {
        be->ops->train->matmul_dx(be, dy, m, mine, got, add);
        ref->ops->train->matmul_dx(ref, dy, m, theirs, want, add);
        good &= near_ref(got, want, m * c, 4 * F32_ULP, product_slack(n));
    }
    const int64_t cut = m / 4 * 2;
    float *dw = dw_rows(be, dy, x, m, n, c, NULL, 0);
    float *dw_ref = dw_rows(ref, dy, x, m, n, c, NULL, 0);
    float *dw_cut = dw_rows(be, dy, x, m, n, c, &cut, 1);
    good &= near_ref(dw, dw_ref, n * c, 2 * F32_ULP, product_slack(m));
    if (!is_ref(be)) good &= !memcmp(dw, dw_cut, (size_t)(n * c) * sizeof *dw);
    be->ops->weight_free(be, mine), ref->ops->weight_free(ref, theirs);
    be->ops->free(be, master[0]), ref->ops->free(ref, master[1]);
    free(x), free(dy), free(w), free(got), free(want), free(dw), free(dw_ref), free(dw_cut);
    return good;
}

// What the level's instructions make of a sum, step by step, going on from `sum`.
static float chain(const brew_backend *be, float sum, const float *a, int64_t lda, const float *b,
                   int64_t ldb, int64_t n) {
    bool generic = !strcmp(be->level, "generic"), bf16 = be->precision == BREW_PRECISION_BF16;
    bool pairs = !strcmp(be->level, "avx512bf16") && bf16;
    for (int64_t i = 0; i < n + (pairs && n % 2); i++) {
        int64_t at = pairs ? i ^ 1 : i; // the odd element first
        float x = at < n ? a[at * lda] : 0, y = at < n ? b[at * ldb] : 0;
        if (bf16) x = round_bf16(x), y = round_bf16(y);
        sum = generic ? sum + x * y : fmaf(x, y, sum);
    }
    return sum;
}

static bool check_chains(brew_backend *be, int64_t m, int64_t n, int64_t c) {
    float *x = random_floats(1, m * c), *dy = random_floats(2, m * n), *w = random_floats(3, n * c);
    float *dx = brew_calloc((size_t)(m * c), sizeof *dx), *master;
    brew_weight *weight = learnt_weight(be, n, c, w, NULL, &master);
    be->ops->train->matmul_dx(be, dy, m, weight, dx, false);
    float *dw = dw_rows(be, dy, x, m, n, c, NULL, 0);
    int64_t wrong = 0;
    for (int64_t i = 0; i < m * c; i++) {
        float want = chain(be, 0, dy + i / c * n, 1, w + i % c, c, n);
        wrong += memcmp(&want, dx + i, sizeof want) != 0;
    }
    for (int64_t i = 0; i < n * c; i++) {
        float want = chain(be, 0, x + i % c, c, dy + i / c, n, m);
        wrong += memcmp(&want, dw + i, sizeof want) != 0;
    }
    if (wrong)
        printf("# %lld bits differ at %lld x %lld x %lld\n", (long long)wrong, (long long)m,
               (long long)n, (long long)c);
    be->ops->weight_free(be, weight);
    be->ops->free(be, master);
    free(x), free(dy), free(w), free(dx), free(dw);
    return !wrong;
}

// A Gram matrix has the bits of matmul_dw up to the diagonal, in one call or two; rows of an operand may be
// picked.
static bool check_gram(brew_backend *be, int64_t m, int64_t c) {
    const brew_train_ops *train = be->ops->train;
    float *x = random_floats(1, m * c), *want = dw_rows(be, x, x, m, c, c, NULL, 0);
    float *sums = random_floats(2, train->weight_floats(be, c, c)), *rows = random_floats(3, c * c);
    int64_t wrong = 0, cut = m / 4 * 2, list[2] = {m - 1, m / 2};
    train->gram(be, x, cut, c, sums, false);
    train->gram(be, x + cut * c, m - cut, c, sums, true);
    if (is_ref(be)) train->gram(be, x, m, c, sums, false);
    train->weight_unpack(be, c, c, 0, c, sums, rows);
    for (int64_t i = 0; i < c; i++)
        for (int64_t j = 0; j <= i; j++) wrong += rows[i * c + j] != want[i * c + j];
    brew_operand a = operand_of(be, m, c);
    float *gain = random_floats(4, c), *all = random_floats(5, m * c),
          *some = random_floats(6, 2 * c);
    be->ops->norm(be, x, m, c, gain, 1e-5, &a);
    train->operand_rows(be, &a, NULL, m, all);
    train->operand_rows(be, &a, list, 2, some);
    for (int i = 0; i < 2; i++)
        wrong += memcmp(some + i * c, all + list[i] * c, (size_t)c * sizeof *all) != 0;
    be->ops->operand_release(be, &a);
    free(x), free(want), free(sums), free(rows), free(gain), free(all), free(some);
    return !wrong;
}

static void test_gram(brew_backend *be) {
    bool good = true;
    for (int64_t c = 1; c <= 100; c += 11) good &= check_gram(be, 1 + c % 29, c);
    good &= check_gram(be, 1030, 33) && check_gram(be, 40, 576);
    ok(good, "%s %s: Gram matrices, and rows that are picked", be->level, precision_name(be));
}

static void test_products(brew_backend *be, brew_backend *ref) {
    const int64_t shapes[][3] = {{1, 1, 1},    {5, 7, 3},     {12, 32, 64},  {13, 33, 65},
                                 {24, 11, 13}, {37, 65, 131}, {261, 40, 96}, {1030, 35, 25}};
    bool forward = true, good = true, chains = true;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        int64_t m = shapes[i][0], n = shapes[i][1], c = shapes[i][2];
        forward &= check_forward(be, m, n, c);
        good &= check_products(be, ref, m, n, c);
    }
    ok(forward, "%s %s: a weight that learns gives the bits of a loaded one", be->level,
       precision_name(be));
    ok(good, "%s %s: products backward", be->level, precision_name(be));
    if (is_ref(be)) return;
    for (int64_t m = 1; m <= 26; m++) chains &= check_chains(be, m, 65, 37);
    for (int64_t n = 1; n <= 65; n++) chains &= check_chains(be, 3, n, 18);
    for (int64_t c = 1; c <= 130; c++) chains &= check_chains(be, 13, 33, c);
    chains &= check_chains(be, 1025, 64, 25) && check_chains(be, 2, 576, 64);
    ok(chains, "%s %s: every gradient is one chain of the level's instruction", be->level,
       precision_name(be));
}

// exp is good to 1e-6 of a factor in F32 and to 4e-6 in bf16; where g is far below 0 the derivative is a
// difference. An h may be rounded the other way.
static bool check_swiglu(brew_backend *be, brew_backend *ref, int64_t m, int64_t f) {
    bool bf16 = be->precision == BREW_PRECISION_BF16;
    float *gu = random_floats(1, m * 2 * f), *dh = random_floats(2, m * f);
    float *dgu[2], *h[2], *rows = random_floats(4, m * f);
    brew_backend *both[2] = {be, ref};
    for (int64_t i = 0; i < m * 2 * f; i++) gu[i] *= 8;
    for (int i = 0; i < 2; i++) {
        dgu[i] = random_floats(3, m * 2 * f), h[i] = random_floats(3, m * f);
        both[i]->ops->train->swiglu_back(both[i], gu, dh, m, f, dgu[i], h[i]);
    }
    brew_operand out = operand_of(be, m, f);
    be->ops->train->swiglu(be, gu, m, f, &out);
    be->ops->train->operand_rows(be, &out, NULL, m, rows);
    bool good = near_ref(dgu[0], dgu[1], m * 2 * f, 2e-5, 1e-4);
    good &= near_ref(h[0], h[1], m * f, bf16 ? 1.0 / 128 : 2e-6, 1e-12);
    good &= !memcmp(rows, h[0], (size_t)(m * f) * sizeof *rows);
    be->ops->operand_release(be, &out);
    for (int i = 0; i < 2; i++) free(dgu[i]), free(h[i]);
    free(gu), free(dh), free(rows);
    return good;
}

// swiglu of a product has the bits of matmul_swiglu (ref's keeps the product in double).
static bool check_fused(brew_backend *be, int64_t m, int64_t f, int64_t c) {
    const brew_ops *ops = be->ops;
    float *x = random_floats(1, m * c), *w = random_floats(3, 2 * f * c),
          *gain = random_floats(2, c);
    float *gu = random_floats(4, m * 2 * f), *rows = random_floats(5, 2 * m * f);
    brew_tensor gate = f32_tensor(w, f, c), up = f32_tensor(w + f * c, f, c);
    const brew_tensor *parts[] = {&gate, &up};
    brew_err err;
    brew_weight *fused = ops->weight_new(be, parts, NULL, 2, BREW_WEIGHT_GATE_UP, &err);
    brew_weight *plain = weight_of(be, w, 2 * f, c);
    brew_operand a = operand_of(be, m, c), out = operand_of(be, m, f);
    ops->norm(be, x, m, c, gain, 1e-5, &a);
    ops->matmul_swiglu(be, &a, m, fused, &out);
    ops->train->operand_rows(be, &out, NULL, m, rows);
    ops->matmul(be, &a, m, plain, gu, false);
    ops->train->swiglu(be, gu, m, f, &out);
    ops->train->operand_rows(be, &out, NULL, m, rows + m * f);
    bool same = !memcmp(rows, rows + m * f, (size_t)(m * f) * sizeof *rows);
    ops->weight_free(be, fused), ops->weight_free(be, plain);
    ops->operand_release(be, &a), ops->operand_release(be, &out);
    free(x), free(w), free(gain), free(gu), free(rows);
    return same;
}

// Two sums of C terms of size up to 5 a row, then a chain of M of them.
static bool check_norm(brew_backend *be, brew_backend *ref, int64_t m, int64_t c) {
    float *x = random_floats(1, m * c), *dy = random_floats(2, m * c), *gain = random_floats(3, c);
    float *dx[2], *dgain[2];
    brew_backend *both[2] = {be, ref};
    for (int i = 0; i < 2; i++) {
        dx[i] = random_floats(4, m * c), dgain[i] = random_floats(5, c);
        both[i]->ops->train->norm_back(both[i], x, m, c, gain, 1e-5, dy, dx[i], dgain[i]);
    }
    bool good = near_ref(dx[0], dx[1], m * c, 8 * F32_ULP, 100 * (8 + (double)c / 32) * F32_ULP);
    good &= near_ref(dgain[0], dgain[1], c, 4 * F32_ULP,
                     product_slack(m) + (double)c / 32 * sqrt((double)m) * 4 * F32_ULP);
    for (int i = 0; i < 2; i++) free(dx[i]), free(dgain[i]);
    free(x), free(dy), free(gain);
    return good;
}

static bool check_rotate(brew_backend *be, brew_backend *ref, const brew_attention_shape *shape,
                         int64_t m, bool gains) {
    int64_t d = shape->head_dim, n = m * (shape->heads + 2 * shape->kv_heads) * d;
    float *qkv = random_floats(1, n), *gain = random_floats(2, 2 * d),
          *inv_freq = random_floats(3, d);
    int32_t *positions = brew_calloc((size_t)m, sizeof *positions);
    float *out[2], *back[2], *dgain[2], *in_place = random_floats(1, n);
    brew_backend *both[2] = {be, ref};
    const float *q_gain = gains ? gain : NULL, *k_gain = gains ? gain + d : NULL;
    for (int64_t i = 0; i < m; i++) positions[i] = (int32_t)(i * 7 % 40);
    for (int i = 0; i < 2; i++) {
        const brew_train_ops *train = both[i]->ops->train;
        brew_err err;
        brew_rope *rope = both[i]->ops->rope_new(both[i], inv_freq, d, 40, 1, &err);
        out[i] = random_floats(4, n), back[i] = random_floats(5, n),
        dgain[i] = random_floats(6, 2 * d);
        train->rotate(both[i], shape, qkv, m, positions, q_gain, k_gain, 1e-5, rope, out[i]);
        if (!i)
            train->rotate(be, shape, in_place, m, positions, q_gain, k_gain, 1e-5, rope, in_place);
        train->rotate_back(both[i], shape, qkv, m, positions, q_gain, k_gain, 1e-5, rope, back[i],
                           gains ? dgain[i] : NULL, gains ? dgain[i] + d : NULL);
        both[i]->ops->rope_free(both[i], rope);
    }
    bool good = near_ref(out[0], out[1], n, 4 * F32_ULP, 40 * F32_ULP);
    good &= !memcmp(out[0], in_place, (size_t)n * sizeof *in_place);
    good &= near_ref(back[0], back[1], n, 8 * F32_ULP, 200 * (8 + (double)d / 32) * F32_ULP);
    good &= near_ref(dgain[0], dgain[1], 2 * d, 4 * F32_ULP, product_slack(m * shape->heads));
    for (int i = 0; i < 2; i++) free(out[i]), free(back[i]), free(dgain[i]);
    free(qkv), free(gain), free(inv_freq), free(positions), free(in_place);
    return good;
}

static void test_rows(brew_backend *be, brew_backend *ref) {
    const int64_t shapes[][2] = {{1, 1}, {3, 5}, {7, 16}, {13, 33}, {100, 100}, {30, 576}};
    bool swiglu = true, norm = true, rotate = true;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        int64_t m = shapes[i][0], c = shapes[i][1];
        swiglu &= check_swiglu(be, ref, m, c) && (is_ref(be) || check_fused(be, m, c, 24));
        norm &= check_norm(be, ref, m, c);
    }
    ok(swiglu, "%s %s: gate and up, forward and backward", be->level, precision_name(be));
    ok(norm, "%s %s: norm backward", be->level, precision_name(be));
    const brew_attention_shape heads[] = {{3, 1, 2}, {4, 2, 6}, {6, 3, 64}, {2, 2, 96}, {2, 1, 40}};
    for (size_t i = 0; i < 5; i++)
        for (int64_t m = 1; m < 60; m += 29)
            rotate &= check_rotate(be, ref, &heads[i], m, true) &&
                      check_rotate(be, ref, &heads[i], m, false);
    ok(rotate, "%s %s: rotation and its gradient", be->level, precision_name(be));
}

// Without rows a gradient is 0, and stays what it is if it is added to.
static void test_no_rows(brew_backend *be) {
    enum { N = 33, C = 5 };
    const int64_t none = 0;
    bool good = true;
    float *x = random_floats(1, 14 * C), *dy = random_floats(2, 14 * N);
    float *empty = dw_rows(be, dy, x, 0, N, C, NULL, 0),
          *all = dw_rows(be, dy, x, 14, N, C, NULL, 0);
    float *later = dw_rows(be, dy, x, 14, N, C, &none, 1);
    for (int i = 0; i < N * C; i++) good &= empty[i] == 0 && later[i] == all[i];
    ok(good, "%s %s: a product without rows", be->level, precision_name(be));
    free(x), free(dy), free(empty), free(all), free(later);
}

// Sums whose order is told: bit for bit, and cut in two.
static void test_sums(brew_backend *be) {
    enum { M = 37, C = 83, V = 5 };
    const brew_train_ops *train = be->ops->train;
    float *x = random_floats(1, M * C), *table = random_floats(2, V * C), want[V * C], sums[2][C];
    int32_t ids[M];
    int64_t rows[M];
    memcpy(want, table, sizeof want);
    for (int i = 0; i < M; i++) ids[i] = i * i % V, rows[i] = ids[i];
    for (int i = 0; i < M * C; i++) want[ids[i / C] * C + i % C] += x[i];
    train->embed_back(be, ids, 20, C, x, table);
    train->scatter(be, x + 20 * C, C, rows + 20, M - 20, table);
    ok(!memcmp(want, table, sizeof want), "%s: rows into a table, one after another", be->level);
    bool good = true;
    double exact[C] = {0};
    for (int i = 0; i < M * C; i++) exact[i % C] += x[i];
    for (int i = 0; i < C; i++) sums[0][i] = NAN;
    train->column_sums(be, x, M, C, sums[0], false);
    train->column_sums(be, x, 11, C, sums[1], false);
    train->column_sums(be, x + 11 * C, M - 11, C, sums[1], true);
    good &= close_to(sums[0], exact, C, M * F32_ULP, M * 20 * F32_ULP);
    if (!is_ref(be)) good &= !memcmp(sums[0], sums[1], sizeof sums[0]);
    ok(good, "%s: column sums", be->level);
    memcpy(want, table, sizeof want);
    for (int i = 0; i < V * C; i++) want[i] += x[i];
    train->add(be, table, x, V * C);
    good = !memcmp(want, table, sizeof want);
    train->zero(be, table + 1, (V * C - 2) * sizeof *table);
    for (int i = 0; i < V * C; i++) good &= (table[i] == 0) == (i > 0 && i < V * C - 1);
    ok(good, "%s: add and zero", be->level);
    free(x), free(table);
}

static void test_squares(brew_backend *be) {
    const int64_t sizes[] = {0, 1, 31, 4096, 4097, 100000};
    float *x = random_floats(1, 100000);
    bool good = true;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        double want = 0;
        for (int64_t j = 0; j < sizes[i]; j++) want += (double)x[j] * x[j];
        good &= fabs(be->ops->train->sum_squares(be, x, sizes[i]) - want) <= 1e-12 * want;
    }
    ok(good, "%s: sums of squares", be->level);
    free(x);
}

// 1,000 steps against double: every step rounds m, v and w once or a few times. A step moves w by at most
// about lr; m and v forget, so their errors stay near 10 units in the last place, and w's adds up.
static void test_adamw(brew_backend *be) {
    enum { N = 77, STEPS = 1000 };
    float *w = random_floats(1, N), m[N] = {0}, v[N] = {0};
    double *w2 = doubles_of(w, N), m2[N] = {0}, v2[N] = {0}, slack = 0;
    for (int t = 1; t <= STEPS; t++) {
        brew_adamw step = {1e-3 * (1 + sin(t * 0.01)), 0.9, 0.95, 1e-8, 0.1, 1 / (1 + t % 3), t};
        float *g = random_floats((uint64_t)t + 10, N);
        for (int i = 0; i < N; i++) {
            double gradient = g[i] * step.scale;
            w2[i] -= step.lr * step.decay * w2[i];
            m2[i] = step.beta1 * m2[i] + (1 - step.beta1) * gradient;
            v2[i] = step.beta2 * v2[i] + (1 - step.beta2) * gradient * gradient;
            w2[i] -= step.lr * (m2[i] / (1 - pow(step.beta1, t))) /
                     (sqrt(v2[i] / (1 - pow(step.beta2, t))) + step.eps);
        }
        be->ops->train->adamw(be, &step, w, g, m, v, N);
        slack += 30 * step.lr * F32_ULP + 4 * F32_ULP;
        free(g);
    }
    ok(close_to(w, w2, N, 0, slack) && close_to(m, m2, N, 20 * F32_ULP, 20 * F32_ULP) &&
           close_to(v, v2, N, 60 * F32_ULP, 0),
       "%s: 1,000 steps of AdamW", be->level);
    free(w), free(w2);
}

// Threads, and rows in several calls, change no bit.
static void test_bits(const char *level, enum brew_precision precision) {
    enum { M = 150, N = 100, C = 70 };
    float *x = random_floats(1, M * C), *dy = random_floats(2, M * N), *w = random_floats(3, N * C);
    float *gain = random_floats(4, C), first[N * C + M * C + C], now[N * C + M * C + C];
    const int64_t cuts[] = {2, 14, 100};
    bool same = true;
    for (int threads = 1; threads <= 3; threads++) {
        brew_backend *be = open_level(level, precision, threads);
        const brew_train_ops *train = be->ops->train;
        float *master, *dx = now + N * C, *dgain = dx + M * C;
        brew_weight *weight = learnt_weight(be, N, C, w, NULL, &master);
        float *dw = dw_rows(be, dy, x, M, N, C, cuts, is_ref(be) ? 0 : threads);
        memcpy(now, dw, N * C * sizeof *now);
        train->matmul_dx(be, dy, M, weight, dx, false);
        memset(dgain, 0, C * sizeof *dgain);
        for (int i = 0, row = 0; i <= 1; i++) {
            int end = i || is_ref(be) ? M : threads * 20;
            train->norm_back(be, x + row * C, end - row, C, gain, 1e-5, dy + row * C, dx + row * C,
                             dgain);
            row = end;
        }
        if (threads == 1) memcpy(first, now, sizeof first);
        same &= !memcmp(first, now, sizeof first);
        be->ops->weight_free(be, weight);
        be->ops->free(be, master);
        close_level(be);
        free(dw);
    }
    ok(same, "%s %s: neither threads nor calls show in a bit", level, precision ? "bf16" : "f32");
    free(x), free(dy), free(w), free(gain);
}

int main(void) {
    for (const char *const *level = brew_backend_levels(); *level; level++) {
        for (int precision = BREW_PRECISION_F32; precision <= BREW_PRECISION_BF16; precision++) {
            brew_backend *be = open_level(*level, precision, 2);
            brew_backend *ref = open_level("ref", precision, 2);
            test_products(be, ref);
            test_gram(be);
            test_no_rows(be);
            test_rows(be, ref);
            if (precision == BREW_PRECISION_F32) {
                test_sums(be);
                test_squares(be);
                test_adamw(be);
            }
            close_level(be), close_level(ref);
            test_bits(*level, precision);
        }
    }
    return tap_done();
}
