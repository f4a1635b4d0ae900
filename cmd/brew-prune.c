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
#include "shrink/prune.h"
#include "shrink/sample.h"
#include "shrink/vocabulary.h"

static const char *model_path, *out_path, *layers;
static double heads = 1, mlp = 1, ridge = 1e-3;
static int64_t multiple = 8;
static int precision;
static bool plan_only, no_repair, no_bos, specials, vocab;
static brew_opt_list vocab_from;

static struct brew_opt options[] = {
    BREW_OPT_STRING('m', "model", &model_path, "MODEL", "the model: directory, .gguf, tar, or -"),
    BREW_OPT_STRING('o', "output", &out_path, "DIR",
                    "write the smaller model, whole or not at all"),
    BREW_OPT_STRING(0, "layers", &layers, "R|LIST", "keep this share, or remove these (3,7-9)"),
    BREW_OPT_REAL(0, "heads", &heads, 1e-6, 1, "R", "keep this share of attention heads"),
    BREW_OPT_REAL(0, "mlp", &mlp, 1e-6, 1, "R", "keep this share of the mlp's width"),
    BREW_OPT_INT(0, "multiple", &multiple, 1, 65536, "N", "of which the mlp's width is one (8)"),
    BREW_OPT_FLAG(0, "vocab", &vocab, "keep the tokens that CALIBRATION uses"),
    BREW_OPT_LIST(0, "vocab-from", &vocab_from, "FILE", "and those of FILE; may be given again"),
    BREW_OPT_FLAG(0, "no-repair", &no_repair, "leave the projections behind a cut as they are"),
    BREW_OPT_REAL(0, "ridge", &ridge, 1e-12, 1e6, "X",
                  "of the repair, a share of the mean (0.001)"),
    BREW_OPT_FLAG(0, "plan", &plan_only, "say what would be cut, and write nothing"),
    BREW_OPT_CHOICE(0, "precision", &precision, "auto|f32|bf16", "arithmetic; auto: as stored"),
    BREW_OPT_FLAG(0, "no-bos", &no_bos, "no BOS before queries"),
    BREW_OPT_FLAG(0, "specials", &specials, "special tokens written in data are special"),
    BREW_OPT_END};
static struct brew_cli cli = {.name = "brew-prune",
                              .does =
                                  "cut layers, heads, neurons and tokens out of a language model",
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
    double share; // of layers
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

static int open_model(void) {
    enum brew_precision wanted = brew_model_precision(precision, &run.config, run.dir);
    run.be = brew_backend_open(cli.kernel, wanted, brew_cli_pool(&cli), &cli.err);
    run.model = run.be ? brew_model_open(run.dir, run.be, &cli.err) : NULL;
    return run.model ? 0 : -1;
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
        if (vocab)
            fprintf(stderr, "vocabulary %" PRId64 " of %" PRId64 ", %" PRId64 " of them used\n",
                    cut->n_vocab, c->vocab, run.vocabulary.used);
        fprintf(stderr, "body %.1f M of %.1f M parameters (%.3f), all %.1f M of %.1f M\n",
                (double)after.body / 1e6, (double)before.body / 1e6,
                (double)after.body / (double)before.body, (double)after.all / 1e6,
                (double)before.all / 1e6);
        if (p->error_before > 0)
            fprintf(stderr, "repair: error of the projections %.3g of what it was\n",
                    p->error_after / p->error_before);
    }
    brew_cli_fact_int(&cli, "layers", cut->n_layers);
    brew_cli_fact_int(&cli, "heads", cut->n_kv * cut->n_group);
    brew_cli_fact_int(&cli, "kv_heads", cut->n_kv);
    brew_cli_fact_int(&cli, "mlp", cut->n_mlp);
    brew_cli_fact_int(&cli, "vocab", cut->n_vocab);
    brew_cli_fact_int(&cli, "body_before", before.body);
    brew_cli_fact_int(&cli, "body", after.body);
    brew_cli_fact_int(&cli, "parameters_before", before.all);
    brew_cli_fact_int(&cli, "parameters", after.all);
    brew_cli_fact_real(&cli, "heads_importance_lost", p->heads_lost);
    brew_cli_fact_real(&cli, "mlp_importance_lost", p->mlp_lost);
    if (p->error_before > 0)
        brew_cli_fact_real(&cli, "repair_error", p->error_after / p->error_before);
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
    brew_json_set(arguments, "vocab", brew_json_new_int(cut->n_vocab));
    brew_json_set(arguments, "repair", brew_json_new_bool(!no_repair));
    if (!no_repair) brew_json_set(arguments, "ridge", brew_json_new_real(ridge));
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
    bool measured = heads < 1 || mlp < 1 || run.share < 1;
    if ((path && read_calibration(path)) || (measured && open_model()) ||
        (vocab && cut_vocabulary()))
        return -1;
    brew_prune_options how = {.layers = run.share,
                              .heads = heads,
                              .mlp = mlp,
                              .gone_layers = run.gone,
                              .n_gone_layers = run.n_gone,
                              .multiple = multiple,
                              .vocabulary = vocab ? &run.vocabulary : NULL,
                              .repair = !no_repair,
                              .ridge = ridge};
    if (brew_prune(run.model, run.dir, &run.config, &run.sample.star, &how, &run.pruned, &cli.err))
        return -1;
    tell();
    return plan_only ? 0 : write_model();
}

int main(int argc, char **argv) {
    char **files = brew_cli_start(&cli, argc, argv);
    read_layers();
    if (!model_path) brew_cli_usage(&cli, "-m MODEL is missing");
    if (!out_path && !plan_only) brew_cli_usage(&cli, "-o DIR is missing");
    vocab = vocab || vocab_from.n;
    bool measured = heads < 1 || mlp < 1 || run.share < 1;
    if (!layers && heads >= 1 && mlp >= 1 && !vocab)
        brew_cli_usage(&cli, "nothing to cut: --layers, --heads, --mlp or --vocab is missing");
    if ((measured || (vocab && !vocab_from.n)) && !files[0])
        brew_cli_usage(&cli, "CALIBRATION is missing: it says what to cut");
    if (!measured && !vocab && files[0])
        brew_cli_usage(&cli, "a list of layers needs no CALIBRATION");
    int failed = prune(files[0]);
    close_all();
    return failed ? brew_cli_die(&cli) : brew_cli_finish(&cli);
}
