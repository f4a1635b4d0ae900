// brew-prune: a smaller model out of a larger one, by what calibration requests show. See brew-prune(1).
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "io/modeldir.h"
#include "io/provenance.h"
#include "rejects.h"
#include "shrink/asked.h"
#include "shrink/latency.h"
#include "shrink/prune.h"
#include "shrink/sample.h"
#include "shrink/told.h"
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
    brew_asked_layers layers;
    brew_pruned pruned;
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
    brew_asked_layers_release(&run.layers);
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

// The shape that --parameters or --latency come to.
static int find_shape(void) {
    brew_asked_target target = {.layers = &run.layers,
                                .layers_given = layers,
                                .heads = brew_cli_given(&cli, "heads") ? heads : 0,
                                .mlp = brew_cli_given(&cli, "mlp") ? mlp : 0,
                                .hidden = hidden,
                                .multiple = multiple,
                                .vocab = vocab ? run.vocabulary.n : run.config.vocab,
                                .parameters = run.parameters,
                                .latency = latency,
                                .be = run.be,
                                .star = &run.sample.star};
    return brew_asked_shape(&target, &run.config, &run.shape, &run.reckoned, &cli.err);
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

// What was cut and why, in the chain of what made the model.
static brew_json *provenance(const brew_prune_options *how) {
    brew_json *chain = brew_sample_provenance(&run.sample, run.dir, cli.name, BREW_VERSION,
                                              brew_told_arguments(&run.pruned, how));
    brew_json *entry = brew_json_at(chain, brew_json_length(chain) - 1);
    for (size_t i = 0; i < vocab_from.n; i++)
        brew_provenance_input(entry, "tokens", run.counted[i].sha256, run.counted[i].bytes, -1);
    return chain;
}

static int write_model(const brew_prune_options *how) {
    brew_outdir *out = brew_outdir_open(out_path, &cli.err);
    if (!out) return -1;
    brew_json *chain = provenance(how);
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
    if (run.layers.parts) return brew_asked_refuse_parts(run.layers.parts, &run.config, &cli.err);
    if ((path && read_calibration(path)) || (run.measured && open_model()) ||
        (vocab && cut_vocabulary()) || (run.targeted && find_shape()))
        return -1;
    brew_prune_options how = {.layers = run.layers.share,
                              .heads = heads,
                              .mlp = mlp,
                              .shape = run.targeted ? &run.shape : NULL,
                              .hidden = hidden,
                              .gone_layers = run.layers.gone,
                              .n_gone_layers = run.layers.n_gone,
                              .multiple = multiple,
                              .vocabulary = vocab ? &run.vocabulary : NULL,
                              .importance = (enum brew_importance_kind)importance,
                              .rows = rows,
                              .repair = !no_repair,
                              .swaps = swaps,
                              .ridge = ridge};
    if (brew_prune(run.model, run.dir, &run.config, &run.sample.star, &how, &run.pruned, &cli.err))
        return -1;
    if (!cli.quiet) brew_told_print(stderr, &run.pruned, &run.config, cli.verbose);
    brew_cli_facts(&cli, brew_told_facts(&run.pruned, &run.config));
    if ((plan_only || latency > 0) && tell_speed()) return -1;
    return plan_only ? 0 : write_model(&how);
}

int main(int argc, char **argv) {
    char **files = brew_cli_start(&cli, argc, argv);
    if (brew_asked_layers_parse(&run.layers, layers, &cli.err))
        brew_cli_usage(&cli, "--layers %s", cli.err.text);
    if (parameters && brew_asked_count_parse(&run.parameters, parameters, &cli.err))
        brew_cli_usage(&cli, "--parameters %s", cli.err.text);
    if (!model_path) brew_cli_usage(&cli, "-m MODEL is missing");
    if (!out_path && !plan_only) brew_cli_usage(&cli, "-o DIR is missing");
    vocab = vocab || vocab_from.n;
    bool targeted = run.targeted = parameters || latency > 0;
    bool measured = run.measured =
        heads < 1 || mlp < 1 || hidden < 1 || run.layers.share < 1 || targeted;
    if (!layers && !measured && !vocab)
        brew_cli_usage(&cli,
                       "nothing to cut: --layers, --heads, --mlp, --hidden or --vocab is missing");
    if (parameters && latency > 0) brew_cli_usage(&cli, "--parameters or --latency, not both");
    if (!run.layers.parts && (measured || (vocab && !vocab_from.n)) && !files[0])
        brew_cli_usage(&cli, "CALIBRATION is missing: it says what to cut");
    if (!run.layers.parts && !measured && !vocab && files[0])
        brew_cli_usage(&cli, "a list of layers needs no CALIBRATION");
    int failed = prune(files[0]);
    close_all();
    return failed ? brew_cli_die(&cli) : brew_cli_finish(&cli);
}
