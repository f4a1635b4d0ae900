// brew-train: a model learns from prompt records or a token stream: answers, or the next token.
#include "train_options.h"

static struct brew_opt options[] = {TRAIN_PATHS,
                                    BREW_OPT_CHOICE(0, "objective", &job.objective, "answer|lm",
                                                    "learn answers, or all next tokens"),
                                    TRAIN_OPTIONS, BREW_OPT_END};
static struct brew_cli cli = {.name = "brew-train",
                              .does =
                                  "Train a ranking language model on prompts and their answers.",
                              .args = "[FILE...]",
                              .options = options,
                              .max_args = -1,
                              .reads_stdin = true,
                              .uses_kernels = true};

int main(int argc, char **argv) {
    brew_run_defaults(&job);
    return train_main(&cli, brew_cli_start(&cli, argc, argv));
}
