// Three rounds of tasks. First the keys of queries are packed, and each row's dout . out is found. Then
// a head of a slab, which is a run of a query's keys, meets all rows that see it. The task owns its part
// of dk and dv; dq of the first slab goes to its place, that of others to buffers. At last a kv head of
// some 64 rows: what the heads gave to a query's keys is added up, items attend to themselves, dq is
// added up over slabs. Every order is fixed by the layout.
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kernel/cpu/sweep.h"
#include "kernel/cpu/train.h"

// Slabs are runs of RUN_KEYS, but of a multiple where that makes too many.
enum { RUN_KEYS = 256, MOST_SLABS = 4 };

// A request. Its rows on the list: [first, end). Offsets are in the job's pool, in floats.
struct star {
    int64_t row, keys; // of the query
    int64_t first, end;
    int64_t slab_keys, n_slabs;
    int64_t slab_first[MOST_SLABS]; // on the list: the first row that sees the slab
    int64_t slab_dq[MOST_SLABS];    // from the second slab on: [rows][HD]
    int64_t tiles, sums;            // [K][tiles] packed keys; [H][tiles] their dk and dv
};

struct slab {
    size_t star;
    int64_t index;
};

// A tile of a query's keys (no items), or some items: segments [segment, segment + items).
struct chunk {
    size_t star;
    int64_t row, end;    // of the layout
    int64_t first, past; // on the list
    int64_t segment, items;
};

struct back_job {
    struct brew_cpu_sweeps all;
    const brew_layout *layout;
    const uint8_t *wanted;
    const float *out, *lse;
    float *dqkv, *pool;
    int64_t group, n_list, pool_floats;
    struct star *stars;
    struct slab *slabs;
    struct chunk *chunks;
    size_t n_slabs, n_chunks, slabs_cap, chunks_cap;
    struct brew_cpu_scratch scratch;
};

static char *tile_at(const struct back_job *job, const struct star *star, int64_t kv_head,
                     int64_t key) {
    int64_t tiles = divide_up(star->keys, BREW_KEY_TILE);
    return (char *)(job->pool + star->tiles) +
           (kv_head * tiles + key / BREW_KEY_TILE) * brew_cpu_tile_bytes(&job->all);
}

static float *sums_at(const struct back_job *job, const struct star *star, int64_t head,
                      int64_t key) {
    int64_t tiles = divide_up(star->keys, BREW_KEY_TILE);
    return job->pool + star->sums +
           (head * tiles + key / BREW_KEY_TILE) * brew_cpu_sum_floats(&job->all);
}

static void prepare_task(void *arg, size_t task, int worker) {
    (void)worker;
    const struct back_job *job = arg;
    const struct brew_cpu_sweeps *all = &job->all;
    const struct chunk *chunk = &job->chunks[task / (size_t)all->shape.kv_heads];
    const struct star *star = &job->stars[chunk->star];
    int64_t kv_head = (int64_t)(task % (size_t)all->shape.kv_heads), d = all->d;
    if (!chunk->items)
        brew_cpu_pack_keys(all, kv_head, chunk->row, chunk->end - chunk->row,
                           tile_at(job, star, kv_head, chunk->row - star->row));
    for (int64_t i = chunk->first; i < chunk->past; i++) {
        for (int64_t h = kv_head * job->group; h < (kv_head + 1) * job->group; h++) {
            int64_t at = all->rows[i] * all->shape.heads + h, to = i * all->shape.heads + h;
            all->lse[to] = job->lse[at] * 1.44269504f;
            all->delta[to] = all->kernels->dot(all->dout + at * d, job->out + at * d, d);
        }
        memset(job->dqkv + all->rows[i] * all->width + kv_head * job->group * d, 0,
               (size_t)(job->group * d) * sizeof(float));
    }
}

static void slab_task(void *arg, size_t task, int worker) {
    const struct back_job *job = arg;
    const struct brew_cpu_sweeps *all = &job->all;
    const struct slab *slab = &job->slabs[task / (size_t)all->shape.heads];
    const struct star *star = &job->stars[slab->star];
    int64_t head = (int64_t)(task % (size_t)all->shape.heads), d = all->d;
    int64_t first = star->slab_first[slab->index];
    int64_t key = slab->index * star->slab_keys, end = least(star->keys, key + star->slab_keys);
    struct brew_cpu_dq dq = {NULL, job->dqkv, first};
    if (slab->index) {
        dq.data = job->pool + star->slab_dq[slab->index];
        for (int64_t i = first; i < star->end; i++)
            memset(brew_cpu_dq_row(all, &dq, i) + head * d, 0, (size_t)d * sizeof(float));
    }
    for (; key < end; key += RUN_KEYS) {
        struct brew_cpu_run run = {key, least(RUN_KEYS, end - key),
                                   tile_at(job, star, head / job->group, key)};
        float *sums = sums_at(job, star, head, key);
        memset(sums, 0,
               (size_t)(divide_up(run.count, BREW_KEY_TILE) * brew_cpu_sum_floats(all)) *
                   sizeof *sums);
        brew_cpu_sweep(all, brew_cpu_share(job->scratch, worker), head, first, star->end, &run,
                       sums, &dq);
    }
}

// dk and dv of `count` keys from `row` on, out of a tile's sums.
static void write_keys(const struct back_job *job, const float *sums, int64_t kv_head, int64_t row,
                       int64_t count) {
    const struct brew_cpu_sweeps *all = &job->all;
    int64_t d = all->d;
    float *dk = job->dqkv + row * all->width + (all->shape.heads + kv_head) * d;
    float *dv = dk + all->shape.kv_heads * d;
    const float *dv_sums = sums + BREW_KEY_TILE * all->dp;
    for (int64_t key = 0; key < count; key++, dk += all->width, dv += all->width) {
        for (int64_t e = 0; e < d; e++) dk[e] = sums[key * all->dp + e] * all->scale;
        memcpy(dv, dv_sums + key * all->dp, (size_t)d * sizeof *dv);
    }
}

static void write_query_keys(const struct back_job *job, const struct chunk *chunk,
                             int64_t kv_head) {
    const struct star *star = &job->stars[chunk->star];
    int64_t key = chunk->row - star->row, head = kv_head * job->group;
    float *sums = sums_at(job, star, head, key);
    for (int64_t g = 1; g < job->group; g++)
        job->all.kernels->add(sums, sums_at(job, star, head + g, key),
                              brew_cpu_sum_floats(&job->all));
    write_keys(job, sums, kv_head, chunk->row, chunk->end - chunk->row);
}

// An item's rows [first, end) of the list against its own keys, a tile at a time.
static void attend_own(const struct back_job *job, char *memory, const struct star *star,
                       int64_t kv_head, int64_t first, int64_t end, int64_t row, int64_t count) {
    const struct brew_cpu_sweeps *all = &job->all;
    struct brew_cpu_dq dq = {NULL, job->dqkv, 0};
    char *tile = brew_cpu_carve(&memory, brew_cpu_tile_bytes(all));
    float *sums = brew_cpu_carve(&memory, brew_cpu_sum_floats(all) * (int64_t)sizeof *sums);
    for (int64_t key = 0; key < count; key += BREW_KEY_TILE) {
        struct brew_cpu_run run = {star->keys + key, least(BREW_KEY_TILE, count - key), tile};
        memset(sums, 0, (size_t)brew_cpu_sum_floats(all) * sizeof *sums);
        if (first < end) brew_cpu_pack_keys(all, kv_head, row + key, run.count, tile);
        for (int64_t h = kv_head * job->group; h < (kv_head + 1) * job->group; h++)
            brew_cpu_sweep(all, memory, h, first, end, &run, sums, &dq);
        write_keys(job, sums, kv_head, row + key, run.count);
    }
}

static void attend_items(const struct back_job *job, char *memory, const struct chunk *chunk,
                         int64_t kv_head) {
    const int64_t *segments = job->layout->segments;
    const struct star *star = &job->stars[chunk->star];
    for (int64_t s = chunk->segment, i = chunk->first; s < chunk->segment + chunk->items; s++) {
        int64_t first = i;
        while (i < chunk->past && job->all.rows[i] < segments[s + 1]) i++;
        attend_own(job, memory, star, kv_head, first, i, segments[s],
                   segments[s + 1] - segments[s]);
    }
}

static void add_up_queries(const struct back_job *job, const struct chunk *chunk, int64_t kv_head) {
    const struct brew_cpu_sweeps *all = &job->all;
    const struct star *star = &job->stars[chunk->star];
    int64_t n = job->group * all->d, i = chunk->first;
    for (int64_t row = chunk->row; row < chunk->end; row++) {
        float *dq = job->dqkv + row * all->width + kv_head * n;
        if (i == chunk->past || all->rows[i] != row) {
            memset(dq, 0, (size_t)n * sizeof *dq);
            continue;
        }
        for (int64_t slab = 1; slab < star->n_slabs && i >= star->slab_first[slab]; slab++)
            all->kernels->add(dq,
                              job->pool + star->slab_dq[slab] +
                                  (i - star->slab_first[slab]) * all->out_width + kv_head * n,
                              n);
        i++;
    }
}

static void finish_task(void *arg, size_t task, int worker) {
    const struct back_job *job = arg;
    const struct chunk *chunk = &job->chunks[task / (size_t)job->all.shape.kv_heads];
    int64_t kv_head = (int64_t)(task % (size_t)job->all.shape.kv_heads);
    if (chunk->items)
        attend_items(job, brew_cpu_share(job->scratch, worker), chunk, kv_head);
    else
        write_query_keys(job, chunk, kv_head);
    add_up_queries(job, chunk, kv_head);
}

// ---- the plan ----

static void add_chunk(struct back_job *job, struct chunk chunk) {
    BREW_GROW(job->chunks, job->n_chunks + 1, job->chunks_cap);
    job->chunks[job->n_chunks++] = chunk;
}

// Lists the wanted rows from `pos` on of a chunk's last rows.
static void list_rows(struct back_job *job, int64_t row, int64_t end, int64_t pos) {
    for (; row < end; row++, pos++) {
        if (job->wanted && !job->wanted[row]) continue;
        job->all.rows[job->n_list] = row;
        job->all.pos[job->n_list++] = pos;
    }
    job->chunks[job->n_chunks - 1].past = job->n_list;
}

static int64_t take_floats(struct back_job *job, int64_t n) {
    int64_t at = job->pool_floats;
    job->pool_floats += round_up(n, 16);
    return at;
}

static void plan_slabs(struct back_job *job, struct star *star) {
    const struct brew_cpu_sweeps *all = &job->all;
    int64_t tiles = divide_up(star->keys, BREW_KEY_TILE);
    star->slab_keys = RUN_KEYS * most(1, divide_up(star->keys, (int64_t)RUN_KEYS * MOST_SLABS));
    star->n_slabs = divide_up(star->keys, star->slab_keys);
    star->tiles = take_floats(job, all->shape.kv_heads * tiles * brew_cpu_tile_bytes(all) / 4);
    star->sums = take_floats(job, all->shape.heads * tiles * brew_cpu_sum_floats(all));
    for (int64_t slab = 0, i = star->first; slab < star->n_slabs; slab++) {
        while (i < star->end && all->pos[i] < slab * star->slab_keys) i++;
        star->slab_first[slab] = i;
        if (slab) star->slab_dq[slab] = take_floats(job, (star->end - i) * all->out_width);
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
        add_chunk(job, (struct chunk){r, row, end, job->n_list, 0, query, 0});
        list_rows(job, row, end, key);
    }
    for (int64_t s = query + 1; s < requests[r + 1]; s++) {
        struct chunk *last = s > query + 1 ? &job->chunks[job->n_chunks - 1] : NULL;
        if (last && segments[s + 1] - last->row <= BREW_KEY_TILE) {
            last->end = segments[s + 1];
            last->items++;
        } else {
            add_chunk(job, (struct chunk){r, segments[s], segments[s + 1], job->n_list, 0, s, 1});
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
    int64_t *list = brew_calloc((size_t)rows + 1, 2 * sizeof *list);
    job->all.rows = list;
    job->all.pos = list + rows;
    job->stars = brew_calloc(job->layout->n_requests + 1, sizeof *job->stars);
    for (size_t r = 0; r < job->layout->n_requests; r++) plan_star(job, r);
    order_slabs(job);
}

void brew_cpu_attend_back(brew_backend *be, const brew_attention_shape *shape,
                          const brew_layout *layout, double scale, int64_t window,
                          const uint8_t *wanted, const float *qkv, const float *out,
                          const float *lse, const float *dout, float *dqkv) {
    struct back_job job = {.layout = layout, .wanted = wanted, .out = out, .lse = lse};
    struct brew_cpu_sweeps *all = &job.all;
    int64_t d = shape->head_dim;
    job.dqkv = dqkv;
    job.group = shape->heads / shape->kv_heads;
    *all = (struct brew_cpu_sweeps){.kernels = brew_cpu_kernels(be),
                                    .shape = *shape,
                                    .d = d,
                                    .dp = round_up(d, PANEL),
                                    .width = (shape->heads + 2 * shape->kv_heads) * d,
                                    .out_width = shape->heads * d,
                                    .window = window,
                                    .scale = (float)scale,
                                    .qkv = qkv,
                                    .dout = dout};
    plan(&job, layout->segments[layout->requests[layout->n_requests]]);
    int64_t statistics = take_floats(&job, 2 * job.n_list * shape->heads);
    int64_t own = brew_cpu_tile_bytes(all) + brew_cpu_sum_floats(all) * 4 + 2 * 64;
    job.scratch = brew_cpu_scratch(be, brew_cpu_sweep_bytes(all) + own);
    job.pool = brew_cpu_shared(be, job.pool_floats * (int64_t)sizeof *job.pool);
    all->lse = job.pool + statistics;
    all->delta = all->lse + job.n_list * shape->heads;
    size_t chunks = job.n_chunks * (size_t)shape->kv_heads;
    brew_cpu_run(be, chunks, prepare_task, &job);
    brew_cpu_run(be, job.n_slabs * (size_t)shape->heads, slab_task, &job);
    brew_cpu_run(be, chunks, finish_task, &job);
    free(all->rows);
    free(job.stars);
    free(job.slabs);
    free(job.chunks);
}
