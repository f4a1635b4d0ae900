// brew-quantize: a model written with other types, as far as calibration requests allow. See
// brew-quantize(1).
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "io/modeldir.h"
#include "rejects.h"
#include "shrink/quantise.h"

enum { SCHEME_FP8, SCHEME_INT8, SCHEME_Q8_0 = 5, HEAD_FP8 = 2 };

static const char *model_path, *out_path;
static brew_opt_list keeps;
static int scheme = -1, head = -1, precision;
static bool no_bos, specials, gguf;

static struct brew_opt options[] = {
    BREW_OPT_STRING('m', "model", &model_path, "MODEL", "the model: directory, .gguf, tar, or -"),
    BREW_OPT_STRING('o', "output", &out_path, "DIR|FILE.gguf",
                    "write it here, whole or not at all; -: a tar, or GGUF if q8_0"),
    BREW_OPT_CHOICE(0, "scheme", &scheme, "fp8|int8|bf16|f16|f32|q8_0", "of the layers' matrices"),
    BREW_OPT_CHOICE(0, "head", &head, "f32|bf16|fp8", "of the head (f32 beside fp8 and int8)"),
    BREW_OPT_LIST(0, "keep", &keeps, "FIGURE:X", "auc may fall, ece rise by X, kl be X at most"),
    BREW_OPT_CHOICE(0, "precision", &precision, "auto|f32|bf16", "of scoring; auto: as stored"),
    BREW_OPT_FLAG(0, "no-bos", &no_bos, "no BOS before queries"),
    BREW_OPT_FLAG(0, "specials", &specials, "special tokens written in data are special"),
    BREW_OPT_END};
static struct brew_cli cli = {.name = "brew-quantize",
                              .does = "write a language model with smaller types",
                              .args = "[CALIBRATION]",
                              .options = options,
                              .max_args = 1,
                              .uses_kernels = true};

static struct {
    brew_modeldir *dir;
    brew_config config;
    brew_sample sample;
    brew_types types;
    brew_keep *keep;
    brew_quantised result;
    brew_buf folder, parent; // where it is made; where a GGUF file goes from there
    const char *file;        // its name, or NULL
} run;

static void close_all(void) {
    brew_quantised_release(&run.result);
    brew_types_release(&run.types);
    brew_sample_release(&run.sample);
    brew_config_release(&run.config);
    if (run.dir) brew_modeldir_close(run.dir);
    brew_buf_release(&run.folder);
    brew_buf_release(&run.parent);
    free(run.keep);
}

static void note(void *arg, const char *sentence) {
    (void)arg;
    brew_cli_note(&cli, "%s", sentence);
}

// ---- the report ----

static void tell_row(const char *name, const char *format, double before, double after,
                     double rounded) {
    char cells[3][32];
    double values[] = {before, after, rounded};
    for (int i = 0; i < 3; i++) {
        snprintf(cells[i], sizeof *cells, "-");
        if (!isnan(values[i])) snprintf(cells[i], sizeof *cells, format, values[i]);
    }
    if (!cli.quiet) fprintf(stderr, "%-10s %12s %12s %12s\n", name, cells[0], cells[1], cells[2]);
    const char *const tails[] = {"before", "after", "bf16_logits"};
    for (int i = 0; i < 3; i++) {
        char key[64];
        snprintf(key, sizeof key, "%s_%s", name, tails[i]);
        if (!isnan(values[i])) brew_cli_fact_real(&cli, key, values[i]);
    }
}

static void tell_quality(void) {
    const brew_quality *b = &run.result.before, *a = &run.result.after, *r = &run.result.rounded;
    if (!cli.quiet) fprintf(stderr, "%-10s %12s %12s %12s\n", "", "before", "after", "bf16 logits");
    tell_row("auc", "%.6f", b->auc, a->auc, r->auc);
    tell_row("logloss", "%.6f", b->logloss, a->logloss, r->logloss);
    tell_row("ece", "%.6f", b->ece, a->ece, r->ece);
    tell_row("kl", "%.3g", 0, brew_quality_kl(b, a), brew_quality_kl(b, r));
    tell_row("ties", "%.6f", b->ties, a->ties, r->ties);
    tell_row("unique", "%.0f", (double)b->unique, (double)a->unique, (double)r->unique);
    tell_row("ndcg@10", "%.6f", b->ndcg, a->ndcg, r->ndcg);
    tell_row("ndcg_low", "%.6f", b->ndcg_low, a->ndcg_low, r->ndcg_low);
    tell_row("ndcg_high", "%.6f", b->ndcg_high, a->ndcg_high, r->ndcg_high);
    brew_cli_fact_int(&cli, "answers", (int64_t)a->n);
    brew_cli_fact_int(&cli, "scorings", (int64_t)run.result.scorings);
    if (cli.quiet) return;
    if (run.result.judged == r)
        fprintf(stderr,
                "the last column counts: no engine hands out more of a head of this type\n");
    else if (r->unique < a->unique)
        fprintf(stderr, "the last column is what engines make of it that round its logits\n");
}

// The groups that stayed BF16, by name.
static void tell_left(void) {
    size_t groups = (size_t)run.config.layers * BREW_GROUPS;
    brew_cli_fact_int(&cli, "groups", (int64_t)groups);
    brew_cli_fact_int(&cli, "left_in_bf16", (int64_t)run.result.n_left);
    if (cli.quiet || !run.result.n_left) return;
    fprintf(stderr, "left in BF16, %zu of %zu groups:%s", run.result.n_left, groups,
            run.result.n_left == groups ? " all" : "");
    for (size_t g = 0; g < groups && run.result.n_left < groups; g++) {
        char name[64];
        brew_group_name(name, sizeof name, g);
        if (run.result.left[g]) fprintf(stderr, " %s", name);
    }
    fprintf(stderr, "\n");
}

static void tell(void) {
    double before = (double)run.result.bytes_before, after = (double)run.result.bytes_after;
    if (!cli.quiet)
        fprintf(stderr, "tensors: %.2f MB, were %.2f MB (%.3f)\n", after / 1e6, before / 1e6,
                after / before);
    brew_cli_fact_int(&cli, "bytes_before", (int64_t)run.result.bytes_before);
    brew_cli_fact_int(&cli, "bytes", (int64_t)run.result.bytes_after);
    if (gguf && run.config.window)
        brew_cli_warn(&cli,
                      "llama.cpp heeds no window of this architecture: beyond %" PRId64
                      " tokens it reads more",
                      run.config.window);
    tell_left();
    if (run.sample.in) tell_quality();
    if (run.types.head != BREW_F32 || run.types.groups[0] == BREW_F32 || cli.quiet || gguf) return;
    fprintf(stderr, "logits in F32 need, of vLLM: --hf-overrides '{\"head_dtype\":\"float32\"}'\n"
                    "                   of SGLang: --enable-fp32-lm-head\n");
}

// ---- the work ----

static int read_calibration(const char *path) {
    brew_sample_options reading = {.dir = run.dir,
                                   .config = &run.config,
                                   .pool = brew_cli_pool(&cli),
                                   .bos = !no_bos,
                                   .specials = specials,
                                   .reject = reject_record,
                                   .arg = &cli};
    int status = brew_sample_read(&run.sample, path, &reading, &cli.err);
    cli.accepted = run.sample.star.n_requests;
    return status;
}

static void choose_types(void) {
    static const enum brew_dtype schemes[] = {BREW_F8_E4M3, BREW_I8,  BREW_BF16,
                                              BREW_F16,     BREW_F32, BREW_Q8_0};
    static const enum brew_dtype heads[] = {BREW_F32, BREW_BF16, BREW_F8_E4M3};
    brew_types_init(&run.types, &run.config, run.dir, schemes[scheme]);
    if (head < 0) return;
    run.types.head = heads[head];
    run.types.tied &= run.types.head == run.types.embedding;
}

static int publish(void) {
    brew_outdir *out = run.result.out;
    run.result.out = NULL;
    if (strcmp(out_path, "-") != 0)
        return gguf ? brew_outdir_spill(out, run.parent.ptr, run.file, &cli.err)
                    : brew_outdir_commit(out, &cli.err);
    // its files are mapped: they may go before a reader that goes can end this
    brew_outdir_abandon(out);
    brew_out *piped = brew_out_open("-", BREW_OUT_BINARY, &cli.err);
    int status = piped ? brew_modeldir_send(run.result.written, piped, &cli.err) : -1;
    if (!status) return brew_out_commit(piped, &cli.err);
    brew_out_abandon(piped);
    return status;
}

// Everything is made in a directory of its own: beside what is wanted, or in TMPDIR if that is a pipe.
static void choose_place(void) {
    const char *slash = strrchr(out_path, '/'), *tmp = getenv("TMPDIR");
    bool piped = !strcmp(out_path, "-");
    if (gguf) run.file = piped ? "model.gguf" : slash ? slash + 1 : out_path;
    brew_buf_add(&run.parent, slash ? out_path : ".", slash ? (size_t)(slash - out_path) : 1);
    if (slash == out_path) brew_buf_adds(&run.parent, "/");
    if (piped)
        brew_buf_addf(&run.folder, "%s/brew-quantize.%ld", tmp && *tmp ? tmp : "/tmp",
                      (long)getpid());
    else if (gguf)
        brew_buf_addf(&run.folder, "%s/.%s.d", run.parent.ptr, run.file);
    else
        brew_buf_adds(&run.folder, out_path);
}

static int quantise(const char *path) {
    if (!(run.dir = brew_modeldir_open(model_path, &cli.err)) ||
        brew_config_read(&run.config, run.dir, &cli.err) || (path && read_calibration(path)))
        return -1;
    choose_types();
    choose_place();
    brew_quantise_options how = {.dir = run.dir,
                                 .config = &run.config,
                                 .types = run.types,
                                 .keep = run.keep,
                                 .n_keep = keeps.n,
                                 .sample = path ? &run.sample : NULL,
                                 .kernel = cli.kernel,
                                 .precision = precision,
                                 .pool = brew_cli_pool(&cli),
                                 .seed = (uint64_t)cli.seed,
                                 .path = run.folder.ptr,
                                 .file = run.file,
                                 .tool = cli.name,
                                 .version = BREW_VERSION,
                                 .note = note};
    int failed = brew_quantise(&how, &run.result, &cli.err);
    if (!failed || cli.err.code == BREW_NEGATIVE)
        tell(); // a limit that was missed, too: by how much
    return failed ? -1 : publish();
}

int main(int argc, char **argv) {
    char **files = brew_cli_start(&cli, argc, argv);
    if (!model_path) brew_cli_usage(&cli, "-m MODEL is missing");
    if (!out_path) brew_cli_usage(&cli, "-o DIR or FILE.gguf is missing");
    if (scheme < 0) brew_cli_usage(&cli, "--scheme is missing: fp8, int8, bf16, f16, f32 or q8_0");
    if (head == HEAD_FP8 && scheme != SCHEME_FP8)
        brew_cli_usage(&cli, "--head fp8 needs --scheme fp8");
    size_t len = strlen(out_path);
    gguf = scheme == SCHEME_Q8_0 || (len > 5 && !strcmp(out_path + len - 5, ".gguf"));
    if (gguf && (scheme == SCHEME_FP8 || scheme == SCHEME_INT8))
        brew_cli_usage(&cli, "GGUF has no fp8 and no int8: -o DIR");
    if (scheme == SCHEME_Q8_0 && strcmp(out_path, "-") &&
        (len < 6 || strcmp(out_path + len - 5, ".gguf")))
        brew_cli_usage(&cli, "only GGUF has q8_0: -o FILE.gguf");
    if (keeps.n && !files[0]) brew_cli_usage(&cli, "--keep needs CALIBRATION to judge by");
    if (files[0] && !strcmp(files[0], "-") && !strcmp(model_path, "-"))
        brew_cli_usage(&cli, "the model and CALIBRATION cannot both be standard input");
    run.keep = brew_calloc(keeps.n + 1, sizeof *run.keep);
    for (size_t i = 0; i < keeps.n; i++)
        if (brew_keep_parse(&run.keep[i], keeps.values[i], &cli.err))
            brew_cli_usage(&cli, "--keep %s", cli.err.text);
    int failed = quantise(files[0]);
    close_all();
    return failed ? brew_cli_die(&cli) : brew_cli_finish(&cli);
}
