// Configurations and weights: what is read, and what is refused by name.
#include "model/model.h"

#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/tap.h"
#include "io/in.h"
#include "io/json.h"
#include "model/config.h"

static char scratch[256]; // a temporary model directory

static void put_file(const char *name, const char *bytes, size_t len) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", scratch, name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(bytes, 1, len, f) != len || fclose(f)) brew_bug("cannot write %s", path);
}

static void take_file(const char *path, brew_buf *out) {
    brew_err err = {0};
    char chunk[4096];
    brew_in *in = brew_in_open(path, &err);
    if (!in) brew_bug("%s", err.text);
    for (ssize_t n; (n = brew_in_read(in, chunk, sizeof chunk, &err)) > 0;)
        brew_buf_add(out, chunk, (size_t)n);
    brew_in_close(in);
}

// Makes the scratch directory hold `model` with config.json's members `patch` replaced, and, in the
// header of its safetensors, the text `from` by `to` (of one length).
static void make(const char *model, const char *patch, const char *from, const char *to) {
    brew_err err = {0};
    char path[512];
    brew_buf text = {0}, weights = {0};
    snprintf(path, sizeof path, "testdata/models/%s/config.json", model);
    brew_json *config = brew_json_load(path, &err);
    brew_json *changes = brew_json_parse(patch, strlen(patch), &err);
    if (!config || !changes) brew_bug("%s", err.text);
    brew_json_iter it = {0};
    while (brew_json_next(changes, &it)) brew_json_set(config, it.key, brew_json_copy(it.value));
    brew_json_write(&text, config);
    put_file("config.json", text.ptr, text.len);
    snprintf(path, sizeof path, "testdata/models/%s/model.safetensors", model);
    take_file(path, &weights);
    for (size_t i = 8; from && i + strlen(from) < weights.len; i++)
        if (!memcmp(weights.ptr + i, from, strlen(from))) {
            memcpy(weights.ptr + i, to, strlen(to));
            break;
        }
    put_file("model.safetensors", weights.ptr, weights.len);
    brew_json_free(config);
    brew_json_free(changes);
    brew_buf_release(&text);
    brew_buf_release(&weights);
}

// Opening fails with a message that holds `want`.
static void refused(const char *model, const char *patch, const char *from, const char *to,
                    const char *want) {
    brew_err err = {0};
    make(model, patch, from, to);
    brew_modeldir *dir = brew_modeldir_open(scratch, &err);
    brew_backend *be = brew_backend_open("ref", BREW_PRECISION_F32, NULL, &err);
    brew_model *opened = dir && be ? brew_model_open(dir, be, &err) : NULL;
    if (!ok(!opened && strstr(err.text, want) && err.code == BREW_DATA, "%s, %.60s %s: %s", model,
            patch, to ? to : "", want))
        printf("# got: %s\n", opened ? "no error" : err.text);
    brew_model_free(opened);
    if (be) brew_backend_close(be);
    if (dir) brew_modeldir_close(dir);
}

static void test_refusals(void) {
    static const struct {
        const char *model, *patch, *want;
    } cases[] = {
        {"qwen3", "{\"architectures\":[\"GemmaForCausalLM\"]}",
         "architecture GemmaForCausalLM is not"},
        {"qwen3", "{\"architectures\":\"Qwen3ForCausalLM\"}", "\"architectures\" is a string"},
        {"qwen3", "{\"architectures\":[7]}", "\"architectures\" holds an integer"},
        {"qwen3", "{\"architectures\":[\"LlamaForCausalLM\"]}", "does not go with architecture"},
        {"qwen3", "{\"architectures\":[],\"model_type\":\"phi\"}", "model_type \"phi\" is not"},
        {"qwen3", "{\"architectures\":null,\"model_type\":null}", "model_type \"\" is not"},
        {"qwen3", "{\"model_type\":3}", "model_type"},
        {"qwen3", "{\"quantization_config\":{\"bits\":4}}",
         "quantization_config: \"quant_method\" is missing"},
        {"qwen3-fp8", "{\"quantization_config\":null}", "weight_scale has no place"},
        {"qwen3",
         "{\"quantization_config\":{\"quant_method\":\"compressed-tensors\",\"format\":\"float-"
         "quantized\",\"config_groups\":{\"g\":{\"targets\":[\"Linear\"],\"weights\":{\"num_bits\":"
         "8,\"type\":\"float\",\"strategy\":\"channel\"},\"input_activations\":{\"num_bits\":8,"
         "\"type\":\"float\",\"strategy\":\"token\",\"dynamic\":true}}},\"ignore\":[\"lm_head\"]}}",
         "is F32 where config.json says F8_E4M3"},
        {"qwen3-int8",
         "{\"quantization_config\":{\"quant_method\":\"compressed-tensors\",\"format\":\"float-"
         "quantized\",\"config_groups\":{\"g\":{\"targets\":[\"Linear\"],\"weights\":{\"num_bits\":"
         "8,\"type\":\"float\",\"strategy\":\"channel\"},\"input_activations\":{\"num_bits\":8,"
         "\"type\":\"float\",\"strategy\":\"token\",\"dynamic\":true}}},\"ignore\":[\"lm_head\"]}}",
         "is I8 where config.json says F8_E4M3"},
        {"qwen3-fp8",
         "{\"quantization_config\":{\"quant_method\":\"compressed-tensors\",\"format\":\"float-"
         "quantized\",\"config_groups\":{\"g\":{\"targets\":[\"Linear\"],\"weights\":{\"num_bits\":"
         "8,\"type\":\"float\",\"strategy\":\"channel\"},\"input_activations\":{\"num_bits\":8,"
         "\"type\":\"float\",\"strategy\":\"token\",\"dynamic\":true}}},\"ignore\":[\"lm_head\","
         "\"model.layers.1.mlp.up_proj\"]}}",
         "model.layers.1.mlp.up_proj.weight"},
        {"qwen3-fp8",
         "{\"quantization_config\":{\"quant_method\":\"compressed-tensors\",\"format\":\"float-"
         "quantized\",\"config_groups\":{\"g\":{\"targets\":[\"Linear\"],\"weights\":{\"num_bits\":"
         "8,\"type\":\"float\",\"strategy\":\"channel\"},\"input_activations\":{\"num_bits\":8,"
         "\"type\":\"float\",\"strategy\":\"token\",\"dynamic\":true}}},\"ignore\":[\"re:.*lm_"
         "head\"]}}",
         "patterns in \"ignore\" are not supported"},
        {"qwen3-fp8",
         "{\"quantization_config\":{\"quant_method\":\"gptq\",\"format\":\"float-quantized\","
         "\"config_groups\":{\"g\":{\"targets\":[\"Linear\"],\"weights\":{\"num_bits\":8,\"type\":"
         "\"float\",\"strategy\":\"channel\"},\"input_activations\":{\"num_bits\":8,\"type\":"
         "\"float\",\"strategy\":\"token\",\"dynamic\":true}}},\"ignore\":[\"lm_head\"]}}",
         "quant_method gptq is not supported"},
        {"qwen3-fp8",
         "{\"quantization_config\":{\"quant_method\":\"compressed-tensors\",\"format\":\"pack-"
         "quantized\",\"config_groups\":{\"g\":{\"targets\":[\"Linear\"],\"weights\":{\"num_bits\":"
         "8,\"type\":\"float\",\"strategy\":\"channel\"},\"input_activations\":{\"num_bits\":8,"
         "\"type\":\"float\",\"strategy\":\"token\",\"dynamic\":true}}},\"ignore\":[\"lm_head\"]}}",
         "format pack-quantized is not supported"},
        {"qwen3-fp8",
         "{\"quantization_config\":{\"quant_method\":\"compressed-tensors\",\"format\":\"float-"
         "quantized\",\"config_groups\":{\"g\":{\"targets\":[\"Linear\"],\"weights\":{\"num_bits\":"
         "8,\"type\":\"float\",\"strategy\":\"tensor\"},\"input_activations\":{\"num_bits\":8,"
         "\"type\":\"float\",\"strategy\":\"token\",\"dynamic\":true}}},\"ignore\":[\"lm_head\"]}}",
         "weights: strategy tensor is not supported"},
        {"qwen3-fp8",
         "{\"quantization_config\":{\"quant_method\":\"compressed-tensors\",\"format\":\"float-"
         "quantized\",\"config_groups\":{\"g\":{\"targets\":[\"Linear\"],\"weights\":{\"num_bits\":"
         "4,\"type\":\"float\",\"strategy\":\"channel\"},\"input_activations\":{\"num_bits\":8,"
         "\"type\":\"float\",\"strategy\":\"token\",\"dynamic\":true}}},\"ignore\":[\"lm_head\"]}}",
         "weights of 4 bits"},
        {"qwen3-fp8",
         "{\"quantization_config\":{\"quant_method\":\"compressed-tensors\",\"format\":\"float-"
         "quantized\",\"config_groups\":{\"g\":{\"targets\":[\"Linear\"],\"weights\":{\"num_bits\":"
         "8,\"type\":\"float\",\"strategy\":\"channel\"},\"input_activations\":{\"num_bits\":8,"
         "\"type\":\"float\",\"strategy\":\"token\",\"dynamic\":false}}},\"ignore\":[\"lm_head\"]}"
         "}",
         "input_activations of 8 bits, symmetric, static"},
        {"qwen3-fp8",
         "{\"quantization_config\":{\"quant_method\":\"compressed-tensors\",\"format\":\"float-"
         "quantized\",\"config_groups\":{\"g\":{\"targets\":[\"re:.*\"],\"weights\":{\"num_bits\":"
         "8,\"type\":\"float\",\"strategy\":\"channel\"},\"input_activations\":{\"num_bits\":8,"
         "\"type\":\"float\",\"strategy\":\"token\",\"dynamic\":true}}},\"ignore\":[\"lm_head\"]}}",
         "targets other than"},
        {"qwen3", "{\"num_experts\":8}", "\"num_experts\" is not supported"},
        {"qwen3", "{\"final_logit_softcapping\":30}", "softcapping\" is not supported"},
        {"qwen3", "{\"hidden_act\":\"gelu\"}", "hidden_act \"gelu\" is not supported"},
        {"llama-scaled", "{\"mlp_bias\":true}", "mlp_bias is not supported"},
        {"mistral", "{\"attention_bias\":true}", "attention_bias is not supported for mistral"},
        {"llama-bias", "{\"attention_bias\":1}", "attention_bias"},
        {"qwen3", "{\"partial_rotary_factor\":0.5}", "partial_rotary_factor 0.5 is not"},
        {"qwen3", "{\"rope_parameters\":{\"partial_rotary_factor\":0.25}}",
         "partial_rotary_factor"},
        {"qwen3", "{\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4}}",
         "RoPE type \"yarn\" is not"},
        {"qwen3", "{\"rope_parameters\":{\"rope_type\":\"linear\"}}",
         "RoPE type \"linear\" is not"},
        {"qwen3", "{\"rope_parameters\":{\"full_attention\":{}}}",
         "by layer type is not supported"},
        {"qwen3", "{\"rope_parameters\":[1]}", "\"rope_parameters\" is an array"},
        {"qwen3", "{\"rope_parameters\":{\"rope_theta\":-1}}", "rope_theta\" is -1"},
        {"llama-scaled", "{\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":4}}",
         "llama3 RoPE"},
        {"llama-scaled", "{\"rope_theta\":\"x\"}", "rope_theta"},
        {"qwen2", "{\"layer_types\":[\"full_attention\"]}", "has 1 entries for 3 layers"},
        {"qwen2", "{\"layer_types\":[\"full_attention\",\"chunked_attention\",\"full_attention\"]}",
         "layer type \"chunked_attention\" is not"},
        {"qwen3", "{\"layer_types\":[\"full_attention\",\"sliding_attention\",\"full_attention\"]}",
         "without a window"},
        {"mistral",
         "{\"layer_types\":[\"full_attention\",\"sliding_attention\",\"full_attention\"]}",
         "contradicts"},
        {"mistral", "{\"sliding_window\":0}", "sliding_window"},
        {"llama-scaled", "{\"sliding_window\":512}", "not supported for llama"},
        {"qwen3", "{\"hidden_size\":null}", "\"hidden_size\" is missing"},
        {"qwen3", "{\"hidden_size\":0}", "hidden_size"},
        {"qwen3", "{\"hidden_size\":4611686018427387904}", "hidden_size"},
        {"qwen3", "{\"vocab_size\":-5}", "vocab_size"},
        {"qwen3", "{\"vocab_size\":\"97\"}", "vocab_size"},
        {"qwen3", "{\"num_hidden_layers\":100000}", "num_hidden_layers"},
        {"qwen3", "{\"num_key_value_heads\":3}", "4 attention heads are not a multiple of 3"},
        {"qwen3", "{\"head_dim\":23}", "head width of 23 is not even"},
        {"qwen3", "{\"head_dim\":4096}", "head_dim"},
        {"llama-scaled", "{\"num_attention_heads\":5}",
         "48 is not a multiple of num_attention_heads 5"},
        {"qwen3", "{\"rms_norm_eps\":-1}", "rms_norm_eps"},
        {"qwen3", "{\"vocab_size\":98}",
         "model.embed_tokens.weight has shape [97, 40] where [98, 40]"},
        {"qwen3", "{\"intermediate_size\":64}",
         "gate_proj.weight has shape [65, 40] where [64, 40]"},
        {"qwen3", "{\"num_hidden_layers\":4,\"layer_types\":null}", "model.layers.3."},
        {"qwen3", "{\"num_hidden_layers\":2,\"layer_types\":null}",
         "has no place in a qwen3 model"},
        {"qwen3", "{\"head_dim\":null}", "q_norm.weight has shape [24] where [128] belongs"},
        {"qwen3", "{\"attention_bias\":true}", "model.layers.0.self_attn.q_proj.bias is missing"},
        {"llama-bias", "{\"attention_bias\":false}", "proj.bias has no place"},
        {"qwen3", "{\"architectures\":[\"LlamaForCausalLM\"],\"model_type\":\"llama\"}",
         "norm.weight"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refused(cases[i].model, cases[i].patch, NULL, NULL, cases[i].want);
    refused("qwen3", "{}", "\"F32\"", "\"I32\"", " is I32 where F32, BF16, F16");
    refused("qwen3", "{}", "up_proj", "op_proj", "op_proj.weight has no place");
    refused("qwen3", "{}", "[97,40]", "[40,97]", "has shape [40, 97] where [97, 40] belongs");
}

// mistral.gguf with every `from` replaced by `to` (of one length) is refused.
static void refused_gguf(const char *from, const char *to, const char *want) {
    brew_err err = {0};
    char path[512];
    brew_buf bytes = {0};
    take_file("testdata/models/mistral.gguf", &bytes);
    for (size_t i = 0; i + strlen(from) < bytes.len; i++)
        if (!memcmp(bytes.ptr + i, from, strlen(from))) memcpy(bytes.ptr + i, to, strlen(to));
    put_file("model.gguf", bytes.ptr, bytes.len);
    brew_buf_release(&bytes);
    snprintf(path, sizeof path, "%s/model.gguf", scratch);
    brew_modeldir *dir = brew_modeldir_open(path, &err);
    brew_backend *be = brew_backend_open("ref", BREW_PRECISION_F32, NULL, &err);
    brew_model *opened = dir && be ? brew_model_open(dir, be, &err) : NULL;
    if (!ok(!opened && strstr(err.text, want) && err.code == BREW_DATA, "GGUF, %s: %s", to, want))
        printf("# got: %s\n", opened ? "no error" : err.text);
    brew_model_free(opened);
    if (be) brew_backend_close(be);
    if (dir) brew_modeldir_close(dir);
    unlink(path);
}

static void test_refusals_gguf(void) {
    static const struct {
        const char *from, *to, *want;
    } cases[] = {
        {"llama", "gemma", "architecture \"gemma\" is not supported (llama, qwen2, qwen3)"},
        {"general.architecture", "general.architektura", "general.architecture is missing"},
        {"llama.block_count", "llama.block_kount", "llama.block_count is missing"},
        {"llama.embedding_length", "llama.embedding_lengtH", "llama.embedding_length is missing"},
        {"llama.vocab_size", "llama.vocab_sizE", "llama.vocab_size is missing"},
        {"blk.0.attn_q.weight", "blk.7.attn_q.weight", "blk.7.attn_q.weight has no place"},
        {"output_norm.weight", "output_narm.weight", "output_narm.weight has no place"},
        {"blk.1.attn_k.weight", "blk.1.attn_k.weighs", "blk.1.attn_k.weighs has no place"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refused_gguf(cases[i].from, cases[i].to, cases[i].want);
}

static bool read_config(brew_config *config, const char *path) {
    brew_err err = {0};
    brew_modeldir *dir = brew_modeldir_open(path, &err);
    int status = dir ? brew_config_read(config, dir, &err) : -1;
    if (status < 0) printf("# %s\n", err.text);
    if (dir) brew_modeldir_close(dir);
    return status == 0;
}

static void test_fields(void) {
    brew_config c;
    ok(read_config(&c, "testdata/models/llama-scaled"), "llama-scaled is read");
    ok(!strcmp(c.family, "llama") && c.vocab == 101 && c.width == 48 && c.layers == 3 &&
           c.heads == 6 && c.kv_heads == 2 && c.head_dim == 8 && c.mlp == 100 && c.context == 512 &&
           !c.tied && !c.qkv_bias && !c.qk_norm && c.rope_factor == 4 && c.rope_low == 1 &&
           c.rope_high == 4 && c.rope_original_context == 64 && c.rope_theta == 500 &&
           c.norm_eps == 1e-5 && c.dtype == BREW_F32 && !c.window,
       "its sizes and scaling");
    // torch: sum(p.numel() for p in model.parameters())
    is_int(brew_config_parameters(&c), 71664, "its parameters are counted");
    brew_config_release(&c);
    ok(read_config(&c, "testdata/models/qwen2") && c.qkv_bias && !c.out_bias && c.tied &&
           c.window == 7 && !c.layer_windowed[0] && c.layer_windowed[1] && c.layer_windowed[2],
       "qwen2: biases, and the window from max_window_layers on");
    brew_config_release(&c);
    ok(read_config(&c, "testdata/models/qwen3") && c.qk_norm && c.head_dim == 24 && !c.window &&
           c.rope_theta == 1e6,
       "qwen3: norms, explicit head_dim, new keys");
    brew_config_release(&c);
    ok(read_config(&c, "testdata/models/mistral.gguf") && !strcmp(c.family, "llama") &&
           c.window == 9 && c.layer_windowed[0] && c.head_dim == 16 && c.heads == 3,
       "a Mistral's GGUF is llama with a window");
    brew_config_release(&c);
    ok(read_config(&c, "testdata/models/llama-scaled.gguf") && c.rope_freq_factors &&
           c.rope_factor == 0 && c.vocab == 101,
       "llama3 scaling in a GGUF is rope_freqs");
    brew_config_release(&c);
}

// Patches of config.json that change nothing, or what they say.
static void test_spellings(void) {
    brew_config c;
    make("mistral", "{\"sliding_window\":null}", NULL, NULL);
    ok(read_config(&c, scratch) && !c.window && !c.layer_windowed[0], "a null window is none");
    brew_config_release(&c);
    make("qwen2", "{\"layer_types\":[\"sliding_attention\",\"full_attention\",\"full_attention\"]}",
         NULL, NULL);
    ok(read_config(&c, scratch) && c.layer_windowed[0] && !c.layer_windowed[1],
       "layer_types override");
    brew_config_release(&c);
    make("qwen2", "{\"use_sliding_window\":false}", NULL, NULL);
    ok(read_config(&c, scratch) && !c.window && !c.layer_windowed[2], "use_sliding_window false");
    brew_config_release(&c);
    make("llama-scaled", "{\"rope_theta\":null,\"rope_scaling\":null}", NULL, NULL);
    ok(read_config(&c, scratch) && c.rope_theta == 10000 && c.rope_factor == 0, "RoPE's defaults");
    brew_config_release(&c);
    make("llama-scaled",
         "{\"rope_scaling\":null,\"rope_theta\":null,\"rope_parameters\":{\"rope_type\":\"llama3\","
         "\"rope_theta\":500,\"factor\":4.0,\"low_freq_factor\":1,\"high_freq_factor\":4,"
         "\"original_max_position_embeddings\":64}}",
         NULL, NULL);
    ok(read_config(&c, scratch) && c.rope_theta == 500 && c.rope_factor == 4, "llama3 by new keys");
    brew_config_release(&c);
}

// Against transformers' own: LlamaRotaryEmbedding(config).inv_freq of llama-scaled.
static void test_inv_freq(void) {
    static const float want[] = {1.0f, 0.113881998f, 0.0111803403f, 0.00236435398f};
    brew_config c;
    float hf[4], gguf[4];
    if (!ok(read_config(&c, "testdata/models/llama-scaled"), "llama-scaled is read")) return;
    brew_config_inv_freq(&c, hf);
    brew_config_release(&c);
    if (!ok(read_config(&c, "testdata/models/llama-scaled.gguf"), "and its GGUF")) return;
    brew_config_inv_freq(&c, gguf);
    brew_config_release(&c);
    for (int i = 0; i < 4; i++) {
        is_near((double)hf[i], (double)want[i], 1e-7 * (double)want[i],
                "frequency as transformers has it");
        is_near((double)gguf[i], (double)want[i], 3e-7 * (double)want[i], "and by rope_freqs");
    }
}

int main(void) {
    const char *tmp = getenv("TMPDIR");
    snprintf(scratch, sizeof scratch, "%s/brew-config-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(scratch)) brew_bug("no temporary directory");
    test_fields();
    test_spellings();
    test_inv_freq();
    test_refusals();
    test_refusals_gguf();
    char path[512];
    snprintf(path, sizeof path, "%s/config.json", scratch);
    unlink(path);
    snprintf(path, sizeof path, "%s/model.safetensors", scratch);
    unlink(path);
    rmdir(scratch);
    return tap_done();
}
