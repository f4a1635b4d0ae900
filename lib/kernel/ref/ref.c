#include "kernel/ref/ref.h"

static const brew_train_ops train_ops = {
    .weight_floats = brew_ref_weight_floats,
    .weight_pack = brew_ref_weight_pack,
    .weight_unpack = brew_ref_weight_unpack,
    .weight_learn = brew_ref_weight_learn,
    .weight_refresh = brew_ref_weight_refresh,
    .matmul_dx = brew_ref_matmul_dx,
    .matmul_dw = brew_ref_matmul_dw,
    .gram = brew_ref_gram,
    .column_sums = brew_ref_column_sums,
    .operand_rows = brew_ref_operand_rows,
    .swiglu = brew_ref_swiglu,
    .swiglu_back = brew_ref_swiglu_back,
    .norm_back = brew_ref_norm_back,
    .rotate = brew_ref_rotate,
    .rotate_back = brew_ref_rotate_back,
    .add = brew_ref_add,
    .zero = brew_host_zero,
    .scatter = brew_host_scatter,
    .embed_back = brew_host_embed_back,
    .sum_squares = brew_ref_sum_squares,
    .adamw = brew_ref_adamw,
    .attend_keep = brew_ref_attend_keep,
    .attend_back = brew_ref_attend_back,
    .label_logits_back = brew_ref_label_logits_back,
    .head_lse_back = brew_ref_head_lse_back,
    .head_logits = brew_ref_head_logits,
    .head_logits_back = brew_ref_head_logits_back,
};

static const brew_ops ops = {
    .name = "ref",
    .train = &train_ops,
    .alloc = brew_host_alloc,
    .free = brew_host_free,
    .upload = brew_host_upload,
    .download = brew_host_download,
    .weight_new = brew_ref_weight_new,
    .weight_free = brew_ref_weight_free,
    .table_new = brew_host_table_new,
    .table_free = brew_host_table_free,
    .rope_new = brew_host_rope_new,
    .rope_free = brew_host_rope_free,
    .operand_init = brew_ref_operand_init,
    .operand_release = brew_ref_operand_release,
    .embed = brew_host_embed,
    .norm = brew_ref_norm,
    .norm_rows = brew_ref_norm_rows,
    .quantise = brew_ref_quantise,
    .matmul = brew_ref_matmul,
    .matmul_swiglu = brew_ref_matmul_swiglu,
    .kv_new = brew_ref_kv_new,
    .kv_free = brew_ref_kv_free,
    .kv_bytes = brew_ref_kv_bytes,
    .attention_new = brew_ref_attention_new,
    .attention_free = brew_ref_attention_free,
    .heads = brew_ref_heads,
    .attend = brew_ref_attend,
    .gather = brew_host_gather,
    .gather_operand = brew_ref_gather_operand,
    .label_logits = brew_ref_label_logits,
    .head_lse = brew_ref_head_lse,
};

int brew_ref_open(brew_backend *be, brew_err *err) {
    (void)err;
    be->ops = &ops;
    return 0;
}

void brew_ref_close(brew_backend *be) {
    (void)be;
}
