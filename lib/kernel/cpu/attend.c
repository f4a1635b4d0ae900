// A task is one kv head of one chunk: rows of one query piece, or whole short items of one query. Its
// rows are cut into pieces of at most 12 stacked rows where the tiles of the packed queries end; the
// key tiles are the outer loop, the pieces the inner one. Rows never mix, and a tile that a row cannot
// see leaves the row's (max, sum, out) as they were, so the cutting cannot show.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kernel/cpu/cpu.h"

struct brew_cpu_chunk {
    int64_t row, end;   // of the block
    size_t span, spans; // that these rows belong to
};

struct attend_job {
    const struct brew_cpu_kernels *kernels;
    const brew_attention *at;
    const brew_span *spans;
    int64_t layer, window, chunk_rows; // chunk_rows: stacked rows of a chunk at most
    float scale;
    const uint8_t *wanted;
    brew_operand *out;
    double natural; // the scale of the scores
    float *lse;     // [M, H] or NULL
    struct brew_cpu_scratch scratch;
};

struct piece {
    int64_t row; // stacked, in the block
    int rows;
};

// What one worker keeps of its chunk; indices are stacked rows from the chunk's first.
struct chunk_state {
    int64_t first; // the chunk's first stacked row
    int64_t *pos;
    float *max, *sum, *out;
    struct piece *pieces;
    size_t n_pieces;
    float *row_out; // [D]
};

// A run of keys: the query's or an item's.
struct keys {
    const brew_kv *kv; // NULL: of the item
    size_t span;
    int64_t pos, count; // of the first; how many
};

static int64_t state_bytes(const brew_attention *at, int64_t rows) {
    int64_t row = 8 + 4 + 4 * 16 + 4 * at->dp + (int64_t)sizeof(struct piece);
    return rows * row + at->shape.head_dim * 4 + 6 * 64;
}

static struct chunk_state new_state(const struct attend_job *job,
                                    const struct brew_cpu_chunk *chunk, char *memory) {
    const brew_attention *at = job->at;
    int64_t rows = job->chunk_rows;
    struct chunk_state state = {.first = chunk->row * at->group};
    state.out = brew_cpu_carve(&memory, rows * at->dp * 4);
    state.sum = brew_cpu_carve(&memory, rows * 16 * 4);
    state.max = brew_cpu_carve(&memory, rows * 4);
    state.pos = brew_cpu_carve(&memory, rows * 8);
    state.pieces = brew_cpu_carve(&memory, rows * (int64_t)sizeof *state.pieces);
    state.row_out = brew_cpu_carve(&memory, at->shape.head_dim * 4);
    int64_t used = (chunk->end - chunk->row) * at->group;
    memset(state.out, 0, (size_t)(used * at->dp) * 4);
    memset(state.sum, 0, (size_t)used * 16 * 4);
    for (int64_t i = 0; i < used; i++) state.max[i] = -1e30f;
    size_t s = chunk->span;
    for (int64_t row = chunk->row, i = 0; row < chunk->end; row++) {
        if (row >= job->spans[s].row + job->spans[s].rows) s++;
        for (int64_t g = 0; g < at->group; g++)
            state.pos[i++] = job->spans[s].pos + row - job->spans[s].row;
    }
    return state;
}

// The wanted rows among [row, end), cut where packed tiles end.
static void cut_pieces(const struct attend_job *job, struct chunk_state *state, int64_t row,
                       int64_t end) {
    int64_t group = job->at->group;
    state->n_pieces = 0;
    for (int64_t next; row < end; row = next) {
        next = row + 1;
        if (job->wanted && !job->wanted[row]) continue;
        while (next < end && (!job->wanted || job->wanted[next])) next++;
        for (int64_t r = row * group, cut; r < next * group; r = cut) {
            cut = least(next * group, (r / TILE_ROWS + 1) * TILE_ROWS);
            state->pieces[state->n_pieces++] = (struct piece){r, (int)(cut - r)};
        }
    }
}

void brew_cpu_look(int64_t window, const int64_t *pos, int rows, int64_t first, int64_t count,
                   struct brew_cpu_sight *sight) {
    int32_t last = 0;
    bool whole = count == BREW_KEY_TILE;
    // a piece's rows ascend, but for those of several items, which all see all of the query's keys
    if (whole && window <= 0 && pos[0] >= first + BREW_KEY_TILE - 1) {
        sight->columns = BREW_KEY_TILE;
        sight->whole = true;
        return;
    }
    for (int i = 0; i < rows; i++) {
        int64_t low = window > 0 ? most(0, pos[i] - window + 1 - first) : 0;
        int64_t high = least(count, pos[i] + 1 - first);
        int32_t from = (int32_t)least(low, BREW_KEY_TILE), to = (int32_t)most(high, 0);
        if (from >= to)
            from = to = 0;
        else if (to > last)
            last = to;
        sight->from[i] = from;
        sight->to[i] = to;
        whole = whole && from == 0 && to == BREW_KEY_TILE;
    }
    sight->columns = last;
    sight->whole = whole;
}

static void set_tile(const struct attend_job *job, const struct keys *keys, int64_t head,
                     int64_t tile, struct brew_cpu_step *step) {
    const brew_attention *at = job->at;
    int64_t bytes = element_bytes(job->kernels), d = at->shape.head_dim;
    step->k_bytes = PANEL * d * bytes;
    if (keys->kv) {
        step->k = brew_cpu_kv_tile(keys->kv, job->layer, head, tile);
        step->v = (const char *)step->k + BREW_KEY_TILE * d * bytes;
        step->v_bytes = BREW_KEY_TILE * PANEL * bytes;
    } else {
        step->k = brew_cpu_item_keys(job->kernels, at, keys->span, head, tile);
        step->v = brew_cpu_item_values(job->kernels, at, keys->span, head, tile);
        int64_t held = least(BREW_KEY_TILE, job->spans[keys->span].rows - tile * BREW_KEY_TILE);
        step->v_bytes = round_up(held, job->kernels->s) * PANEL * bytes;
    }
}

// All pieces against all tiles of a run of keys.
static void attend_keys(const struct attend_job *job, struct chunk_state *state, int64_t head,
                        const struct keys *keys) {
    const brew_attention *at = job->at;
    int64_t d = at->shape.head_dim;
    const char *q = at->q + head * at->q_bytes;
    struct brew_cpu_step step = {.head_dim = d, .scale = job->scale};
    struct brew_cpu_sight sight;
    for (int64_t tile = 0; tile * BREW_KEY_TILE < keys->count; tile++) {
        int64_t first = tile * BREW_KEY_TILE, count = least(BREW_KEY_TILE, keys->count - first);
        set_tile(job, keys, head, tile, &step);
        for (size_t i = 0; i < state->n_pieces; i++) {
            struct piece piece = state->pieces[i];
            int64_t at_state = piece.row - state->first;
            step.rows = piece.rows;
            brew_cpu_look(job->window, state->pos + at_state, step.rows, keys->pos + first, count,
                          &sight);
            if (!sight.columns) continue;
            step.columns = sight.columns;
            step.from = sight.whole ? NULL : sight.from;
            step.to = sight.whole ? NULL : sight.to;
            step.q =
                q + piece.row / TILE_ROWS * tile_bytes(job->kernels, d) + piece.row % TILE_ROWS * 4;
            step.max = state->max + at_state;
            step.sum = state->sum + at_state * 16;
            step.out = state->out + at_state * at->dp;
            job->kernels->step(&step);
        }
    }
}

// max * scale + log(sum), of one row.
static float log_sum(const struct attend_job *job, float max, const float *sum) {
    double total = 0;
    for (int i = 0; i < 16; i++) total += sum[i];
    return (float)(max * job->natural + logf((float)total));
}

static void write_rows(const struct attend_job *job, const struct chunk_state *state,
                       const struct brew_cpu_chunk *chunk, int64_t head) {
    const brew_attention *at = job->at;
    int64_t d = at->shape.head_dim, bytes = tile_bytes(job->kernels, job->out->width);
    for (int64_t row = chunk->row; row < chunk->end; row++) {
        if (job->wanted && !job->wanted[row]) continue;
        char *tile = (char *)job->out->data + row / TILE_ROWS * bytes;
        for (int64_t g = 0; g < at->group; g++) {
            int64_t i = row * at->group + g - state->first;
            job->kernels->finish(state->out + i * at->dp, state->sum + i * 16, d, state->row_out);
            job->kernels->put(tile, (int)(row % TILE_ROWS), (head * at->group + g) * d,
                              state->row_out, d);
            if (job->lse)
                job->lse[row * at->shape.heads + head * at->group + g] =
                    log_sum(job, state->max[i], state->sum + i * 16);
        }
    }
}

static void attend_task(void *arg, size_t task, int worker) {
    const struct attend_job *job = arg;
    const brew_attention *at = job->at;
    size_t heads = (size_t)at->shape.kv_heads;
    // later rows see more keys: the longest tasks come first
    const struct brew_cpu_chunk *chunk = &at->chunks[at->n_chunks - 1 - task / heads];
    int64_t head = (int64_t)(task % heads);
    struct chunk_state state = new_state(job, chunk, brew_cpu_share(job->scratch, worker));
    const brew_span *span = &job->spans[chunk->span];
    cut_pieces(job, &state, chunk->row, chunk->end);
    if (!state.n_pieces) return;
    int64_t keys = span->is_item ? span->pos : span->pos + chunk->end - span->row;
    attend_keys(job, &state, head, &(struct keys){span->query, chunk->span, 0, keys});
    size_t items = span->is_item ? chunk->spans : 0;
    for (size_t i = 0; i < items; i++, span++) {
        cut_pieces(job, &state, most(chunk->row, span->row),
                   least(chunk->end, span->row + span->rows));
        int64_t own = least(span->rows, chunk->end - span->row);
        attend_keys(job, &state, head, &(struct keys){NULL, chunk->span + i, span->pos, own});
    }
    write_rows(job, &state, chunk, head);
}

// Chunks of at most `rows` rows: whole items of one query, or parts of one longer span.
static void cut_chunks(brew_attention *at, const brew_span *spans, size_t n_spans, int64_t rows) {
    at->n_chunks = 0;
    for (size_t s = 0; s < n_spans; s++) {
        const brew_span *span = &spans[s];
        struct brew_cpu_chunk *last = at->n_chunks ? &at->chunks[at->n_chunks - 1] : NULL;
        const brew_span *before = last ? &spans[last->span] : NULL;
        if (last && span->is_item && before->is_item && before->query == span->query &&
            before->pos == span->pos && span->row + span->rows - last->row <= rows) {
            last->end += span->rows;
            last->spans++;
            continue;
        }
        for (int64_t done = 0; done < span->rows; done += rows) {
            BREW_GROW(at->chunks, at->n_chunks + 1, at->chunks_cap);
            at->chunks[at->n_chunks++] = (struct brew_cpu_chunk){
                span->row + done, span->row + least(span->rows, done + rows), s, 1};
        }
    }
}

void brew_cpu_attend_with_lse(brew_backend *be, brew_attention *at, const brew_span *spans,
                              size_t n_spans, int64_t layer, double scale, int64_t window,
                              const uint8_t *wanted, brew_operand *out, float *lse) {
    int64_t rows = most(1, CHUNK_ROWS / at->group);
    struct attend_job job = {.kernels = brew_cpu_kernels(be),
                             .at = at,
                             .spans = spans,
                             .layer = layer,
                             .window = window,
                             .chunk_rows = rows * at->group,
                             .wanted = wanted,
                             .out = out,
                             .natural = scale,
                             .lse = lse};
    job.scale = (float)(scale * 1.4426950408889634);
    job.scratch = brew_cpu_scratch(be, state_bytes(at, job.chunk_rows));
    cut_chunks(at, spans, n_spans, rows);
    brew_attention *shared = at;
    brew_cpu_run(be, shared->n_chunks * (size_t)at->shape.kv_heads, attend_task, &job);
}

void brew_cpu_attend(brew_backend *be, brew_attention *at, const brew_span *spans, size_t n_spans,
                     int64_t layer, double scale, int64_t window, const uint8_t *wanted,
                     brew_operand *out) {
    brew_cpu_attend_with_lse(be, at, spans, n_spans, layer, scale, window, wanted, out, NULL);
}
