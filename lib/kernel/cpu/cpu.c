#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "base/mem.h"
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/train.h"

static const struct brew_cpu_level levels[] = {
#if defined(__x86_64__)
    {"avx512bf16", &brew_cpu_avx512_f32_kernels, &brew_cpu_avx512bf16_kernels},
    {"avx512", &brew_cpu_avx512_f32_kernels, &brew_cpu_avx512_wide_kernels},
    {"avx2", &brew_cpu_avx2_f32_kernels, &brew_cpu_avx2_wide_kernels},
#endif
    {"generic", &brew_cpu_generic_f32_kernels, &brew_cpu_generic_wide_kernels},
};

static const brew_train_ops train_ops = {
    .weight_floats = brew_cpu_weight_floats,
    .weight_pack = brew_cpu_weight_pack,
    .weight_unpack = brew_cpu_weight_unpack,
    .weight_learn = brew_cpu_weight_learn,
    .weight_refresh = brew_cpu_weight_refresh,
    .matmul_dx = brew_cpu_matmul_dx,
    .matmul_dw = brew_cpu_matmul_dw,
    .gram = brew_cpu_gram,
    .column_sums = brew_cpu_column_sums,
    .operand_rows = brew_cpu_operand_rows,
    .swiglu = brew_cpu_swiglu,
    .swiglu_back = brew_cpu_swiglu_back,
    .norm_back = brew_cpu_norm_back,
    .rotate = brew_cpu_rotate,
    .rotate_back = brew_cpu_rotate_back,
    .add = brew_cpu_add,
    .zero = brew_cpu_zero,
    .scatter = brew_host_scatter,
    .embed_back = brew_cpu_embed_back,
    .sum_squares = brew_cpu_sum_squares,
    .adamw = brew_cpu_adamw,
    .attend_keep = brew_cpu_attend_keep,
    .attend_back = brew_cpu_attend_back,
    .label_logits_back = brew_cpu_label_logits_back,
    .head_lse_back = brew_cpu_head_lse_back,
    .head_logits = brew_cpu_head_logits,
    .head_logits_back = brew_cpu_head_logits_back,
};

static const brew_ops ops = {
    .name = "cpu",
    .train = &train_ops,
    .alloc = brew_host_alloc,
    .free = brew_host_free,
    .upload = brew_host_upload,
    .download = brew_host_download,
    .weight_new = brew_cpu_weight_new,
    .weight_free = brew_cpu_weight_free,
    .table_new = brew_host_table_new,
    .table_free = brew_host_table_free,
    .rope_new = brew_host_rope_new,
    .rope_free = brew_host_rope_free,
    .operand_init = brew_cpu_operand_init,
    .operand_release = brew_cpu_operand_release,
    .embed = brew_host_embed,
    .norm = brew_cpu_norm,
    .norm_rows = brew_cpu_norm_rows,
    .quantise = brew_cpu_quantise,
    .matmul = brew_cpu_matmul,
    .matmul_swiglu = brew_cpu_matmul_swiglu,
    .kv_new = brew_cpu_kv_new,
    .kv_free = brew_cpu_kv_free,
    .kv_bytes = brew_cpu_kv_bytes,
    .attention_new = brew_cpu_attention_new,
    .attention_free = brew_cpu_attention_free,
    .heads = brew_cpu_heads,
    .attend = brew_cpu_attend,
    .gather = brew_host_gather,
    .gather_operand = brew_cpu_gather_operand,
    .label_logits = brew_cpu_label_logits,
    .head_lse = brew_cpu_head_lse,
};

int brew_cpu_open(brew_backend *be, brew_err *err) {
    const struct brew_cpu_level *level = levels;
    while (strcmp(level->name, be->level))
        if (++level == levels + sizeof levels / sizeof *levels)
            return brew_fail(err, BREW_INTERNAL, "no kernels for level %s", be->level);
    struct brew_cpu_state *state = brew_calloc(1, sizeof *state);
    state->f32 = level->f32;
    state->kernels = be->precision == BREW_PRECISION_BF16 ? level->bf16 : level->f32;
    be->ops = &ops;
    be->state = state;
    return 0;
}

void brew_cpu_close(brew_backend *be) {
    struct brew_cpu_state *state = be->state;
    free(state->scratch.memory);
    free(state->shared.memory);
    free(state);
}

static char *buffer_memory(struct brew_cpu_buffer *buffer, int64_t bytes) {
    size_t need = (size_t)bytes + 64;
    if (need > buffer->bytes) {
        free(buffer->memory);
        buffer->memory = brew_alloc(need);
        buffer->bytes = need;
    }
    return buffer->memory + (-(uintptr_t)buffer->memory & 63);
}

struct brew_cpu_scratch brew_cpu_scratch(brew_backend *be, int64_t share) {
    struct brew_cpu_state *state = be->state;
    share = round_up(share, 64);
    char *memory = buffer_memory(&state->scratch, share * brew_pool_threads(be->pool));
    return (struct brew_cpu_scratch){memory, share};
}

void *brew_cpu_shared(brew_backend *be, int64_t bytes) {
    struct brew_cpu_state *state = be->state;
    return buffer_memory(&state->shared, bytes);
}

struct steady {
    brew_task_fn *fn;
    void *arg;
};

// Denormals are numbers and rounding is to nearest, whatever the calling thread had set.
static void steady_task(void *arg, size_t task, int worker) {
    const struct steady *job = arg;
#if defined(__x86_64__)
    unsigned saved = _mm_getcsr();
    _mm_setcsr(0x1f80);
    job->fn(job->arg, task, worker);
    _mm_setcsr(saved);
#else
    job->fn(job->arg, task, worker);
#endif
}

void brew_cpu_run(brew_backend *be, size_t tasks, brew_task_fn *fn, void *arg) {
    struct steady job = {fn, arg};
    brew_pool_run(be->pool, tasks, steady_task, &job);
}
