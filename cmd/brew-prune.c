// brew-prune: a smaller model out of a larger one, by what calibration requests show. See brew-prune(1).
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "io/modeldir.h"
#include "io/provenance.h"
#include "rejects.h"
#include "shrink/latency.h"
#include "shrink/prune.h"
#include "shrink/sample.h"
#include "shrink/target.h"
#include "shrink/vocabulary.h"

static const char *model_path, *out_path, *layers, *parameters;
static double heads = 1, mlp = 1, hidden = 1, ridge = 1e-3, latency;
static int64_t multiple = 8, rows, swaps = 32;
static int precision, importance;
static bool plan_only, no_repair, no_bos, specials, vocab;
static brew_opt_list vocab_from;

static struct brew_opt options[] = {
    BREW_OPT_STRING('m', "model", &model_path, "MODEL", "the model: directory, .gguf, tar, or -"),
    BREW_OPT_STRING('o', "output", &out_path, "DIR",
                    "write the smaller model, whole or not at all"),
    BREW_OPT_STRING(0, "layers", &layers, "R|LIST", "keep this share, or remove these (3,7-9)"),
    BREW_OPT_REAL(0, "heads", &heads, 1e-6, 1, "R", "keep this share of attention heads"),
    BREW_OPT_REAL(0, "mlp", &mlp, 1e-6, 1, "R", "keep this share of the mlp's width"),
    BREW_OPT_REAL(0, "hidden", &hidden, 1e-6, 1, "R", "keep this share of the hidden width"),
    BREW_OPT_STRING(0, "parameters", &parameters, "N", "so many stay, as 60M, of all that is open"),
    BREW_OPT_REAL(0, "latency", &latency, 1e-6, 1, "R", "so is the time of an item, of what it is"),
    BREW_OPT_INT(0, "multiple", &multiple, 1, 65536, "N", "of which both widths are one (8)"),
    BREW_OPT_FLAG(0, "vocab", &vocab, "keep the tokens that CALIBRATION uses"),
    BREW_OPT_LIST(0, "vocab-from", &vocab_from, "FILE", "and those of FILE; may be given again"),
    BREW_OPT_CHOICE(0, "importance", &importance, "activation|taylor",
                    "of heads and neurons: what they give, or what the loss says of them"),
    BREW_OPT_INT(0, "rows", &rows, 0, 1e15, "N", "rows looked at for heads and neurons, at most"),
    BREW_OPT_FLAG(0, "no-repair", &no_repair, "leave the projections behind a cut as they are"),
    BREW_OPT_INT(0, "swaps", &swaps, 0, 1 << 20, "N",
                 "exchanges tried behind a repair, in each projection (32)"),
    BREW_OPT_REAL(0, "ridge", &ridge, 1e-12, 1e6, "X",
                  "of the repair, a share of the mean (0.001)"),
    BREW_OPT_FLAG(0, "plan", &plan_only, "say what would be cut, and write nothing"),
    BREW_OPT_CHOICE(0, "precision", &precision, "auto|f32|bf16", "arithmetic; auto: as stored"),
    BREW_OPT_FLAG(0, "no-bos", &no_bos, "no BOS before queries"),
    BREW_OPT_FLAG(0, "specials", &specials, "special tokens written in data are special"),
    BREW_OPT_END};
static struct brew_cli cli = {
    .name = "brew-prune",
    .does = "cut layers, heads, neurons, channels and tokens out of a language model",
    .args = "[CALIBRATION]",
    .options = options,
    .max_args = 1,
    .uses_kernels = true};

static struct {
    brew_modeldir *dir;
    brew_config config;
    brew_backend *be;
    brew_model *model;
    brew_sample sample;
    brew_vocabulary vocabulary;
    struct counted {
        char sha256[65];
        uint64_t bytes;
    } * counted; // of each --vocab-from
    brew_pruned pruned;
    int64_t *gone, n_gone;
    double share;       // of layers
    const char *halves; // "attention:3": a list that names parts of layers
    double parameters;
    bool targeted, measured; // a size or time is given; the model must be run
    brew_shape shape;        // what --parameters or --latency come to
    double reckoned;         // share of time
} run;

static void close_all(void) {
    brew_pruned_release(&run.pruned);
    brew_vocabulary_release(&run.vocabulary);
    free(run.counted);
    brew_sample_release(&run.sample);
    brew_model_free(run.model);
    brew_backend_close(run.be);
    brew_config_release(&run.config);
    if (run.dir) brew_modeldir_close(run.dir);
    free(run.gone);
}

// "0.8", or "3,7-9": a number with a point is a share.
static void read_layers(void) {
    char *end;
    run.share = 1;
    if (!layers) return;
    if (!strncmp(layers, "attention:", 10) || !strncmp(layers, "mlp:", 4)) {
        run.halves = layers;
        return;
    }
    if (strchr(layers, '.')) {
        run.share = strtod(layers, &end);
        if (*end || !(run.share > 0 && run.share <= 1))
            brew_cli_usage(&cli, "--layers %s: a share is above 0 and at most 1", layers);
        return;
    }
    size_t cap = 0;
    for (const char *at = layers;; at = end + 1) {
        long long first = strtoll(at, &end, 10), last = first;
        bool digits = end > at && *at >= '0' && *at <= '9';
        if (digits && *end == '-') {
            at = end + 1;
            last = strtoll(at, &end, 10);
            digits = end > at && *at >= '0' && *at <= '9';
        }
        if (!digits || (*end && *end != ',') || last < first || last > 4096)
            brew_cli_usage(&cli, "--layers %s is neither a share nor a list like 3,7-9", layers);
        for (; first <= last; first++) {
            BREW_GROW(run.gone, (size_t)run.n_gone + 1, cap);
            run.gone[run.n_gone++] = first;
        }
        if (!*end) return;
    }
}

static brew_sample_options reading(void) {
    return (brew_sample_options){.dir = run.dir,
                                 .config = &run.config,
                                 .pool = brew_cli_pool(&cli),
                                 .bos = !no_bos,
                                 .specials = specials,
                                 .reject = reject_record,
                                 .arg = &cli};
}

// "60M" or a number.
static void read_parameters(void) {
    char *end;
    if (!parameters) return;
    run.parameters = strtod(parameters, &end);
    const char *unit = *end ? strchr("kMG", *end) : NULL;
    if (unit) run.parameters *= *unit == 'k' ? 1e3 : *unit == 'M' ? 1e6 : 1e9;
    if (end == parameters || end[unit != NULL] || !(run.parameters >= 1 && run.parameters < 1e15))
        brew_cli_usage(&cli, "--parameters %s is no number like 60M", parameters);
}

static int read_calibration(const char *path) {
    brew_sample_options how = reading();
    int status = brew_sample_read(&run.sample, path, &how, &cli.err);
    cli.accepted = run.sample.star.n_requests;
    return status;
}

static int cut_vocabulary(void) {
    brew_sample_options how = reading();
    bool *used = brew_calloc((size_t)run.config.vocab, sizeof *used);
    int status = 0;
    brew_vocabulary_count(used, &run.sample.star);
    run.counted = brew_calloc(vocab_from.n + 1, sizeof *run.counted);
    for (size_t i = 0; i < vocab_from.n && !status; i++) {
        status = brew_vocabulary_read(used, vocab_from.values[i], &how, run.counted[i].sha256,
                                      &run.counted[i].bytes, &cli.err);
    }
    if (!status)
        status = brew_vocabulary_cut(&run.vocabulary, run.dir, &run.config, used, &cli.err);
    free(used);
    return status;
}

static int open_backend(void) {
    enum brew_precision wanted = brew_model_precision(precision, &run.config, run.dir);
    run.be = brew_backend_open(cli.kernel, wanted, brew_cli_pool(&cli), &cli.err);
    return run.be ? 0 : -1;
}

static int open_model(void) {
    if (open_backend()) return -1;
    run.model = brew_model_open(run.dir, run.be, &cli.err);
    return run.model ? 0 : -1;
}

// The format of every family here builds both halves of each layer.
static int refuse_halves(void) {
    static const char *const families[][2] = {{"llama", "LlamaForCausalLM"},
                                              {"qwen2", "Qwen2ForCausalLM"},
                                              {"qwen3", "Qwen3ForCausalLM"},
                                              {"mistral", "MistralForCausalLM"}};
    const char *class = "this family";
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (!strcmp(families[i][0], run.config.family)) class = families[i][1];
    return brew_fail(
        &cli.err, BREW_USAGE,
        "--layers %s: %s has attention and mlp in every layer, and no way to write one "
        "without the other: remove whole layers",
        run.halves, class);
}

// The shape that --parameters or --latency come to.
static int find_shape(void) {
    const brew_config *c = &run.config;
    brew_wish wish = {.heads = brew_cli_given(&cli, "heads") ? heads : 0,
                      .mlp = brew_cli_given(&cli, "mlp") ? mlp : 0,
                      .multiple = multiple,
                      .target = parameters ? run.parameters : latency};
    if (run.gone)
        for (int64_t l = 0; l < c->layers; l++) {
            bool gone = false;
            for (int64_t i = 0; i < run.n_gone; i++) gone |= run.gone[i] == l;
            wish.layers += !gone;
        }
    else if (layers)
        wish.layers = (int64_t)fmax(1, floor(run.share * (double)c->layers + 0.5));
    if (parameters) {
        brew_config read = *c; // with the tokens that stay
        if (vocab) read.vocab = run.vocabulary.n;
        return brew_target_shape(c, &wish, brew_cost_parameters, &read, &run.shape, &cli.err);
    }
    brew_latency costs;
    if (brew_latency_of(c, run.be, &run.sample.star, multiple, &costs, &cli.err)) return -1;
    int status = brew_target_shape(c, &wish, brew_latency_share, &costs, &run.shape, &cli.err);
    run.reckoned = status ? 0 : brew_latency_share(&costs, &run.shape);
    return status;
}

// What the smaller model's time is of the larger one's, measured.
static int tell_speed(void) {
    brew_config small = brew_cut_config(&run.pruned.cut, &run.config);
    double share;
    if (!run.be && open_backend()) return -1;
    if (brew_latency_compare(&run.config, &small, run.be, &run.sample.star, &share, &cli.err))
        return -1;
    if (!cli.quiet && latency > 0)
        fprintf(stderr, "time of an item: %.3f reckoned, %.3f of what it is measured\n",
                run.reckoned, share);
    else if (!cli.quiet)
        fprintf(stderr, "time of an item: %.3f of what it is, measured\n", share);
    brew_cli_fact_real(&cli, "latency", share);
    return 0;
}

// The plan, for people on standard error and for --summary.
static void tell(void) {
    const brew_pruned *p = &run.pruned;
    const brew_cut *cut = &p->cut;
    const brew_config *c = &run.config;
    brew_cut whole;
    brew_cut_init(&whole, c);
    brew_size before = brew_cut_size(&whole, c), after = brew_cut_size(cut, c);
    brew_cut_release(&whole);
    if (p->damage)
        for (int64_t l = 0; l < c->layers; l++)
            brew_cli_note(&cli, "without layer %" PRId64 ": log loss %+.5f", l, p->damage[l]);
    if (!cli.quiet) {
        fprintf(stderr,
                "layers %" PRId64 " of %" PRId64 ", heads %" PRId64 " of %" PRId64
                ", kv heads %" PRId64 " of %" PRId64 ", mlp %" PRId64 " of %" PRId64 "\n",
                cut->n_layers, c->layers, cut->n_kv * cut->n_group, c->heads, cut->n_kv,
                c->kv_heads, cut->n_mlp, c->mlp);
        if (hidden < 1)
            fprintf(stderr, "hidden width %" PRId64 " of %" PRId64 "\n", cut->n_width, c->width);
        if (vocab)
            fprintf(stderr, "vocabulary %" PRId64 " of %" PRId64 ", %" PRId64 " of them used\n",
                    cut->n_vocab, c->vocab, run.vocabulary.used);
        fprintf(stderr, "body %.4g M of %.4g M parameters (%.3f), all %.4g M of %.4g M\n",
                (double)after.body / 1e6, (double)before.body / 1e6,
                (double)after.body / (double)before.body, (double)after.all / 1e6,
                (double)before.all / 1e6);
        if (p->width.error_before > 0)
            fprintf(stderr, "repair: of what the hidden width holds %.3f is missing, it was %.3f\n",
                    p->width.error_after, p->width.error_before);
        if (p->error_before > 0)
            fprintf(stderr,
                    "repair: error of the projections %.3g of what it was, after %" PRId64
                    " exchanges %.3g\n",
                    p->error_after / p->error_before, p->swaps, p->error_swapped / p->error_before);
    }
    brew_cli_fact_int(&cli, "layers", cut->n_layers);
    brew_cli_fact_int(&cli, "heads", cut->n_kv * cut->n_group);
    brew_cli_fact_int(&cli, "kv_heads", cut->n_kv);
    brew_cli_fact_int(&cli, "mlp", cut->n_mlp);
    brew_cli_fact_int(&cli, "hidden", cut->n_width);
    brew_cli_fact_int(&cli, "vocab", cut->n_vocab);
    brew_cli_fact_int(&cli, "body_before", before.body);
    brew_cli_fact_int(&cli, "body", after.body);
    brew_cli_fact_int(&cli, "parameters_before", before.all);
    brew_cli_fact_int(&cli, "parameters", after.all);
    brew_cli_fact_real(&cli, "heads_importance_lost", p->heads_lost);
    brew_cli_fact_real(&cli, "mlp_importance_lost", p->mlp_lost);
    brew_cli_fact_real(&cli, "hidden_importance_lost", p->width.lost);
    if (p->width.error_before > 0) {
        brew_cli_fact_real(&cli, "hidden_error_before", p->width.error_before);
        brew_cli_fact_real(&cli, "hidden_error", p->width.error_after);
    }
    if (p->error_before > 0) {
        brew_cli_fact_real(&cli, "repair_error", p->error_after / p->error_before);
        brew_cli_fact_real(&cli, "swapped_error", p->error_swapped / p->error_before);
        brew_cli_fact_int(&cli, "swaps", p->swaps);
    }
}

static brew_json *numbers(const int64_t *list, int64_t n) {
    brew_json *array = brew_json_new_array();
    for (int64_t i = 0; i < n; i++) brew_json_push(array, brew_json_new_int(list[i]));
    return array;
}

// What was cut and why, in the chain of what made the model.
static brew_json *provenance(void) {
    const brew_cut *cut = &run.pruned.cut;
    brew_json *arguments = brew_json_new_object();
    brew_json_set(arguments, "layers_kept", numbers(cut->layers, cut->n_layers));
    brew_json_set(arguments, "heads", brew_json_new_int(cut->n_kv * cut->n_group));
    brew_json_set(arguments, "kv_heads", brew_json_new_int(cut->n_kv));
    brew_json_set(arguments, "mlp", brew_json_new_int(cut->n_mlp));
    brew_json_set(arguments, "hidden", brew_json_new_int(cut->n_width));
    brew_json_set(arguments, "vocab", brew_json_new_int(cut->n_vocab));
    brew_json_set(arguments, "repair", brew_json_new_bool(!no_repair));
    brew_json_set(arguments, "importance",
                  brew_json_new_string(importance ? "taylor" : "activation", importance ? 6 : 10));
    if (rows) brew_json_set(arguments, "rows", brew_json_new_int(rows));
    if (!no_repair) {
        brew_json_set(arguments, "ridge", brew_json_new_real(ridge));
        brew_json_set(arguments, "swaps", brew_json_new_int(swaps));
    }
    brew_json *chain =
        brew_sample_provenance(&run.sample, run.dir, cli.name, BREW_VERSION, arguments);
    brew_json *entry = brew_json_at(chain, brew_json_length(chain) - 1);
    for (size_t i = 0; i < vocab_from.n; i++)
        brew_provenance_input(entry, "tokens", run.counted[i].sha256, run.counted[i].bytes, -1);
    return chain;
}

static int write_model(void) {
    brew_outdir *out = brew_outdir_open(out_path, &cli.err);
    if (!out) return -1;
    brew_json *chain = provenance();
    int failed = brew_cut_write(&run.pruned.cut, run.dir, &run.config, &run.pruned.repaired, chain,
                                brew_outdir_path(out), &cli.err);
    brew_json_free(chain);
    if (!failed) return brew_outdir_commit(out, &cli.err);
    brew_outdir_abandon(out);
    return failed;
}

static int prune(const char *path) {
    if (!(run.dir = brew_modeldir_open(model_path, &cli.err)) ||
        brew_config_read(&run.config, run.dir, &cli.err))
        return -1;
    if (run.halves) return refuse_halves();
    if ((path && read_calibration(path)) || (run.measured && open_model()) ||
        (vocab && cut_vocabulary()) || (run.targeted && find_shape()))
        return -1;
    brew_prune_options how = {.layers = run.share,
                              .heads = heads,
                              .mlp = mlp,
                              .shape = run.targeted ? &run.shape : NULL,
                              .hidden = hidden,
                              .gone_layers = run.gone,
                              .n_gone_layers = run.n_gone,
                              .multiple = multiple,
                              .vocabulary = vocab ? &run.vocabulary : NULL,
                              .importance = (enum brew_importance_kind)importance,
                              .rows = rows,
                              .repair = !no_repair,
                              .swaps = swaps,
                              .ridge = ridge};
    if (brew_prune(run.model, run.dir, &run.config, &run.sample.star, &how, &run.pruned, &cli.err))
        return -1;
    tell();
    if ((plan_only || latency > 0) && tell_speed()) return -1;
    return plan_only ? 0 : write_model();
}

int main(int argc, char **argv) {
    char **files = brew_cli_start(&cli, argc, argv);
    read_layers();
    read_parameters();
    if (!model_path) brew_cli_usage(&cli, "-m MODEL is missing");
    if (!out_path && !plan_only) brew_cli_usage(&cli, "-o DIR is missing");
    vocab = vocab || vocab_from.n;
    bool targeted = run.targeted = parameters || latency > 0;
    bool measured = run.measured = heads < 1 || mlp < 1 || hidden < 1 || run.share < 1 || targeted;
    if (!layers && !measured && !vocab)
        brew_cli_usage(&cli,
                       "nothing to cut: --layers, --heads, --mlp, --hidden or --vocab is missing");
    if (parameters && latency > 0) brew_cli_usage(&cli, "--parameters or --latency, not both");
    if (targeted && hidden < 1)
        brew_cli_usage(&cli, "--parameters and --latency reckon with the whole hidden width: cut "
                             "--hidden first");
    if (!run.halves && (measured || (vocab && !vocab_from.n)) && !files[0])
        brew_cli_usage(&cli, "CALIBRATION is missing: it says what to cut");
    if (!run.halves && !measured && !vocab && files[0])
        brew_cli_usage(&cli, "a list of layers needs no CALIBRATION");
    int failed = prune(files[0]);
    close_all();
    return failed ? brew_cli_die(&cli) : brew_cli_finish(&cli);
}
