// brew-distill: a student learns answers from the records and from a teacher, in memory or recorded.
#include "train_options.h"

static struct brew_opt options[] = {
    TRAIN_PATHS,
    BREW_OPT_STRING(0, "teacher", &job.teacher, "PATH",
                    "a model, or a stream of brew-score --teacher-stream"),
    BREW_OPT_CHOICE(0, "teacher-precision", &job.teacher_precision, "auto|f32|bf16", "of a model"),
    BREW_OPT_STRING(0, "alpha", &job.alpha, "A[:B]", "share of the teacher in the loss (0.5)"),
    BREW_OPT_STRING(0, "tau", &job.tau, "A[:B]", "temperature of both (1)"),
    BREW_OPT_CHOICE(0, "div", &job.divergence, "fkl|rkl|jsd|skew",
                    "how far the student is from the teacher"),
    BREW_OPT_REAL(0, "skew", &job.skew_beta, 0.001, 0.999, "B",
                  "the mixture of jsd and skew (0.1)"),
    BREW_OPT_INT(0, "topk", &job.topk, 1, BREW_MOST_TOPK, "K",
                 "compare the teacher's K likeliest tokens, too"),
    BREW_OPT_STRING(0, "kd-vocab", &job.kd_vocab, "ROWS",
                    "compare all the vocabulary there: some of items,history,lm"),
    BREW_OPT_REAL(0, "hidden", &job.hidden, 0, 1e6, "X",
                  "weight of hidden states that are unlike the teacher's (0)"),
    BREW_OPT_CHOICE(0, "hidden-rows", &job.hidden_rows, "all|answers", "where they are compared"),
    BREW_OPT_STRING(0, "hidden-map", &job.hidden_map, "LIST",
                    "layers compared, as 1:2,2:4 (as brew-prune cut them)"),
    TRAIN_OPTIONS,
    BREW_OPT_END};
static struct brew_cli cli = {.name = "brew-distill",
                              .does = "Train a small model to answer as a large one does.",
                              .args = "[FILE...]",
                              .options = options,
                              .max_args = -1,
                              .reads_stdin = true,
                              .uses_kernels = true};

int main(int argc, char **argv) {
    brew_run_defaults(&job);
    char **files = brew_cli_start(&cli, argc, argv);
    if (!job.teacher) brew_cli_usage(&cli, "--teacher is missing: a model, or a teacher's stream");
    return train_main(&cli, files);
}
