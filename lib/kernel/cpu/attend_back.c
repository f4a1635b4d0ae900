// Two rounds of tasks. First: a head of a slab, which is a run of a query's keys, against all rows that
// see it. The task owns its part of dk and dv; dq of the first slab goes to its place, that of others to
// buffers. Then: a kv head of some 64 rows: what the heads gave to a query's keys is added up, items
// attend to themselves, dq is added up over slabs. Every order is fixed by the layout.
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kernel/cpu/sweep.h"

enum { MOST_SLABS = 4 };

// A request. Its rows on the list: [first, end).
struct star {
    int64_t row, keys; // of the query
    int64_t first, end;
    int64_t slab_keys, n_slabs;
    int64_t slab_first[MOST_SLABS]; // on the list: the first row that sees the slab
    int64_t slab_dq[MOST_SLABS];    // offsets in the pool, but for slab 0
    int64_t sums;                   // [H] dk and dv of the query's keys, likewise
};

struct slab {
    size_t star;
    int64_t index;
};

// A tile of a query's keys (no items), or some items: segments [segment, segment + items).
struct chunk {
    size_t star;
    int64_t row, end; // of the layout
    int64_t first;    // on the list
    int64_t segment, items;
};

struct back_job {
    struct brew_cpu_sweeps all;
    const brew_layout *layout;
    double scale;
    const uint8_t *wanted;
    float *dqkv, *pool;
    int64_t group, n_list, pool_floats;
    int64_t *rows, *pos; // the list: all wanted rows
    struct star *stars;
    struct slab *slabs;
    struct chunk *chunks;
    size_t n_slabs, n_chunks, slabs_cap, chunks_cap;
    struct brew_cpu_scratch scratch;
};

static float *sums_of(const struct back_job *job, const struct star *star, int64_t head,
                      int64_t key) {
    return job->pool + star->sums + head * brew_cpu_sum_floats(&job->all, star->keys) +
           brew_cpu_sum_floats(&job->all, key);
}

static void slab_task(void *arg, size_t task, int worker) {
    const struct back_job *job = arg;
    const struct brew_cpu_sweeps *all = &job->all;
    const struct slab *slab = &job->slabs[task / (size_t)all->shape.heads];
    const struct star *star = &job->stars[slab->star];
    int64_t head = (int64_t)(task % (size_t)all->shape.heads), d = all->d;
    int64_t first = star->slab_first[slab->index];
    int64_t key = slab->index * star->slab_keys, end = least(star->keys, key + star->slab_keys);
    struct brew_cpu_dq dq = {slab->index ? job->pool + star->slab_dq[slab->index] : NULL, job->dqkv,
                             first};
    for (int64_t i = first; i < star->end; i++)
        memset(brew_cpu_dq_row(all, &dq, i) + head * d, 0, (size_t)d * sizeof(float));
    struct brew_cpu_sweep sweep;
    brew_cpu_sweep_place(all, brew_cpu_share(job->scratch, worker), &sweep);
    for (; key < end; key += SWEEP_KEYS) {
        struct brew_cpu_run run = {star->row + key, key, least(SWEEP_KEYS, end - key)};
        float *sums = sums_of(job, star, head, key);
        memset(sums, 0, (size_t)brew_cpu_sum_floats(all, run.count) * sizeof *sums);
        if (first == star->end) continue;
        brew_cpu_sweep_keys(all, &sweep, head / job->group, &run);
        brew_cpu_sweep_rows(all, &sweep, head, first, star->end, &run, sums, &dq);
    }
}

// dk and dv of `count` keys from `row` on, out of a tile's sums.
static void write_keys(const struct back_job *job, const float *sums, int64_t kv_head, int64_t row,
                       int64_t count) {
    const struct brew_cpu_sweeps *all = &job->all;
    int64_t d = all->d;
    float *dk = job->dqkv + row * all->width + (all->shape.heads + kv_head) * d;
    float *dv = dk + all->shape.kv_heads * d, scale = (float)job->scale;
    const float *dv_sums = sums + d * BREW_KEY_TILE;
    for (int64_t key = 0; key < count; key++, dk += all->width, dv += all->width) {
        for (int64_t e = 0; e < d; e++) {
            dk[e] = sums[e * BREW_KEY_TILE + key] * scale;
            dv[e] = dv_sums[e * BREW_KEY_TILE + key];
        }
    }
}

static void write_query_keys(const struct back_job *job, const struct chunk *chunk,
                             int64_t kv_head) {
    const struct star *star = &job->stars[chunk->star];
    int64_t key = chunk->row - star->row, head = kv_head * job->group;
    int64_t n = brew_cpu_sum_floats(&job->all, BREW_KEY_TILE);
    float *sums = sums_of(job, star, head, key);
    for (int64_t g = 1; g < job->group; g++) {
        const float *more = sums_of(job, star, head + g, key);
        for (int64_t i = 0; i < n; i++) sums[i] += more[i];
    }
    write_keys(job, sums, kv_head, chunk->row, chunk->end - chunk->row);
}

// An item's rows [first, end) of the list against its own keys; where they lie in the layout.
static void attend_own(const struct back_job *job, struct brew_cpu_sweep *sweep,
                       const struct star *star, int64_t kv_head, int64_t first, int64_t end,
                       int64_t row, int64_t count) {
    const struct brew_cpu_sweeps *all = &job->all;
    struct brew_cpu_dq dq = {NULL, job->dqkv, 0};
    for (int64_t key = 0; key < count; key += SWEEP_KEYS) {
        struct brew_cpu_run run = {row + key, star->keys + key, least(SWEEP_KEYS, count - key)};
        int64_t n = brew_cpu_sum_floats(all, run.count);
        memset(sweep->sums, 0, (size_t)n * sizeof *sweep->sums);
        if (first < end) brew_cpu_sweep_keys(all, sweep, kv_head, &run);
        for (int64_t g = 0; g < job->group && first < end; g++)
            brew_cpu_sweep_rows(all, sweep, kv_head * job->group + g, first, end, &run, sweep->sums,
                                &dq);
        for (int64_t at = 0; at < run.count; at += BREW_KEY_TILE)
            write_keys(job, sweep->sums + brew_cpu_sum_floats(all, at), kv_head, run.row + at,
                       least(BREW_KEY_TILE, run.count - at));
    }
}

static void attend_items(const struct back_job *job, struct brew_cpu_sweep *sweep,
                         const struct chunk *chunk, int64_t kv_head) {
    const int64_t *segments = job->layout->segments;
    const struct star *star = &job->stars[chunk->star];
    for (int64_t s = chunk->segment, i = chunk->first; s < chunk->segment + chunk->items; s++) {
        int64_t first = i;
        while (i < job->n_list && job->rows[i] < segments[s + 1]) i++;
        attend_own(job, sweep, star, kv_head, first, i, segments[s], segments[s + 1] - segments[s]);
    }
}

static void add_up_queries(const struct back_job *job, const struct chunk *chunk, int64_t kv_head) {
    const struct brew_cpu_sweeps *all = &job->all;
    const struct star *star = &job->stars[chunk->star];
    int64_t n = job->group * all->d, i = chunk->first;
    float scale = (float)job->scale;
    for (int64_t row = chunk->row; row < chunk->end; row++) {
        float *dq = job->dqkv + row * all->width + kv_head * n;
        if (i == job->n_list || job->rows[i] != row) {
            memset(dq, 0, (size_t)n * sizeof *dq);
            continue;
        }
        for (int64_t slab = 1; slab < star->n_slabs && i >= star->slab_first[slab]; slab++) {
            const float *more = job->pool + star->slab_dq[slab] +
                                (i - star->slab_first[slab]) * all->out_width + kv_head * n;
            for (int64_t e = 0; e < n; e++) dq[e] += more[e];
        }
        for (int64_t e = 0; e < n; e++) dq[e] *= scale;
        i++;
    }
}

static void chunk_task(void *arg, size_t task, int worker) {
    const struct back_job *job = arg;
    const struct chunk *chunk = &job->chunks[task / (size_t)job->all.shape.kv_heads];
    int64_t kv_head = (int64_t)(task % (size_t)job->all.shape.kv_heads), d = job->all.d;
    struct brew_cpu_sweep sweep;
    brew_cpu_sweep_place(&job->all, brew_cpu_share(job->scratch, worker), &sweep);
    if (!job->stars[chunk->star].keys) // no slab has been here
        for (int64_t row = chunk->row; row < chunk->end; row++)
            memset(job->dqkv + row * job->all.width + kv_head * job->group * d, 0,
                   (size_t)(job->group * d) * sizeof(float));
    if (chunk->items)
        attend_items(job, &sweep, chunk, kv_head);
    else
        write_query_keys(job, chunk, kv_head);
    add_up_queries(job, chunk, kv_head);
}

// ---- the plan ----

static void add_chunk(struct back_job *job, struct chunk chunk) {
    BREW_GROW(job->chunks, job->n_chunks + 1, job->chunks_cap);
    job->chunks[job->n_chunks++] = chunk;
}

// Lists the wanted rows of [row, end), the first of which is at position `pos`.
static void list_rows(struct back_job *job, int64_t row, int64_t end, int64_t pos) {
    for (; row < end; row++, pos++) {
        if (job->wanted && !job->wanted[row]) continue;
        job->rows[job->n_list] = row;
        job->pos[job->n_list++] = pos;
    }
}

static void plan_slabs(struct back_job *job, struct star *star) {
    star->slab_keys = SWEEP_KEYS * most(1, divide_up(star->keys, (int64_t)SWEEP_KEYS * MOST_SLABS));
    star->n_slabs = divide_up(star->keys, star->slab_keys);
    star->sums = job->pool_floats;
    job->pool_floats += job->all.shape.heads * brew_cpu_sum_floats(&job->all, star->keys);
    for (int64_t slab = 0, i = star->first; slab < star->n_slabs; slab++) {
        while (i < star->end && job->pos[i] < slab * star->slab_keys) i++;
        star->slab_first[slab] = i;
        star->slab_dq[slab] = job->pool_floats;
        if (slab) job->pool_floats += (star->end - i) * job->all.out_width;
    }
}

static void plan_star(struct back_job *job, size_t r) {
    const int64_t *segments = job->layout->segments, *requests = job->layout->requests;
    struct star *star = &job->stars[r];
    int64_t query = requests[r];
    star->row = segments[query];
    star->keys = segments[query + 1] - star->row;
    star->first = job->n_list;
    for (int64_t key = 0; key < star->keys; key += BREW_KEY_TILE) {
        int64_t row = star->row + key, end = row + least(BREW_KEY_TILE, star->keys - key);
        add_chunk(job, (struct chunk){r, row, end, job->n_list, query, 0});
        list_rows(job, row, end, key);
    }
    for (int64_t s = query + 1; s < requests[r + 1]; s++) {
        struct chunk *last = s > query + 1 ? &job->chunks[job->n_chunks - 1] : NULL;
        if (last && segments[s + 1] - last->row <= BREW_KEY_TILE) {
            last->end = segments[s + 1];
            last->items++;
        } else {
            add_chunk(job, (struct chunk){r, segments[s], segments[s + 1], job->n_list, s, 1});
        }
        list_rows(job, segments[s], segments[s + 1], star->keys);
    }
    star->end = job->n_list;
    plan_slabs(job, star);
}

// The first slabs of all stars, which most rows see, then the second ones.
static void order_slabs(struct back_job *job) {
    for (int64_t index = 0; index < MOST_SLABS; index++) {
        for (size_t r = 0; r < job->layout->n_requests; r++) {
            if (index >= job->stars[r].n_slabs) continue;
            BREW_GROW(job->slabs, job->n_slabs + 1, job->slabs_cap);
            job->slabs[job->n_slabs++] = (struct slab){r, index};
        }
    }
}

static void plan(struct back_job *job, int64_t rows) {
    job->rows = brew_calloc((size_t)rows + 1, 2 * sizeof *job->rows);
    job->pos = job->rows + rows;
    job->stars = brew_calloc(job->layout->n_requests + 1, sizeof *job->stars);
    for (size_t r = 0; r < job->layout->n_requests; r++) plan_star(job, r);
    order_slabs(job);
    job->all.rows = job->rows;
    job->all.pos = job->pos;
}

void brew_cpu_attend_back(brew_backend *be, const brew_attention_shape *shape,
                          const brew_layout *layout, double scale, int64_t window,
                          const uint8_t *wanted, const float *qkv, const float *out,
                          const float *lse, const float *dout, float *dqkv) {
    struct back_job job = {.layout = layout, .scale = scale, .wanted = wanted, .dqkv = dqkv};
    job.group = shape->heads / shape->kv_heads;
    int64_t d = shape->head_dim;
    job.all = (struct brew_cpu_sweeps){.kernels = brew_cpu_kernels(be),
                                       .shape = *shape,
                                       .d = d,
                                       .dp = round_up(d, PANEL),
                                       .width = (shape->heads + 2 * shape->kv_heads) * d,
                                       .out_width = shape->heads * d,
                                       .window = window,
                                       .scale = (float)(scale * 1.4426950408889634),
                                       .qkv = qkv,
                                       .out = out,
                                       .lse = lse,
                                       .dout = dout};
    plan(&job, layout->segments[layout->requests[layout->n_requests]]);
    struct brew_cpu_sweep sweep;
    job.scratch = brew_cpu_scratch(be, brew_cpu_sweep_place(&job.all, NULL, &sweep));
    job.pool = brew_cpu_shared(be, job.pool_floats * (int64_t)sizeof *job.pool);
    brew_cpu_run(be, job.n_slabs * (size_t)shape->heads, slab_task, &job);
    brew_cpu_run(be, job.n_chunks * (size_t)shape->kv_heads, chunk_task, &job);
    free(job.rows);
    free(job.stars);
    free(job.slabs);
    free(job.chunks);
}
