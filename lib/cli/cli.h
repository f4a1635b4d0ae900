// What every command does the same way: options, help, messages, rejected records, summary, exit.
//
// A command's main is a page: declare its options, brew_cli_start, one library call per record, commit,
// brew_cli_finish. One table of options gives parsing, ranges, --help, bash completion and the check
// against the man page. Only cmd/ may include this header.
//
//     static struct brew_opt options[] = {
//         BREW_OPT_STRING('m', "model", &model, "MODEL", "the model: directory, .gguf, tar, or -"),
//         BREW_OPT_INT('k', "top", &top, 1, 1000, "N", "how many"),
//         BREW_OPT_FLAG(0, "logprobs", &logprobs, "also write log-probabilities"),
//         BREW_OPT_END};
//     static struct brew_cli cli = {.name = "brew-score", .does = "score candidates", .args = "[FILE]",
//                                   .options = options, .min_args = 0, .max_args = 1};
//     int main(int argc, char **argv) {
//         char **files = brew_cli_start(&cli, argc, argv);
//         ...
//         if (something(&cli.err)) return brew_cli_die(&cli);
//         return brew_cli_finish(&cli);
//     }
#ifndef BREW_CLI_CLI_H
#define BREW_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/pool.h"
#include "io/in.h"
#include "io/json.h"
#include "io/out.h"

#define BREW_VERSION "0.1.0"

enum brew_opt_kind {
    BREW_KIND_END,
    BREW_KIND_FLAG,   // bool *
    BREW_KIND_INT,    // int64_t *, in [min, max]
    BREW_KIND_REAL,   // double *, in [min, max]
    BREW_KIND_STRING, // const char **
    BREW_KIND_LIST,   // brew_opt_list *: may be given several times
    BREW_KIND_CHOICE  // int *: index into choices, "a|b|c"
};

typedef struct brew_opt_list {
    const char **values;
    size_t n;
} brew_opt_list;

struct brew_opt {
    char letter; // 0: none
    const char *name;
    enum brew_opt_kind kind;
    void *value;
    const char *arg, *help;
    double min, max;
    const char *choices;
    bool given; // set by brew_cli_start
};

#define BREW_OPT_FLAG(l, n, v, h) \
    { l, n, BREW_KIND_FLAG, v, NULL, h, 0, 0, NULL, false }
#define BREW_OPT_INT(l, n, v, lo, hi, a, h) \
    { l, n, BREW_KIND_INT, v, a, h, lo, hi, NULL, false }
#define BREW_OPT_REAL(l, n, v, lo, hi, a, h) \
    { l, n, BREW_KIND_REAL, v, a, h, lo, hi, NULL, false }
#define BREW_OPT_STRING(l, n, v, a, h) \
    { l, n, BREW_KIND_STRING, v, a, h, 0, 0, NULL, false }
#define BREW_OPT_LIST(l, n, v, a, h) \
    { l, n, BREW_KIND_LIST, v, a, h, 0, 0, NULL, false }
#define BREW_OPT_CHOICE(l, n, v, c, h) \
    { l, n, BREW_KIND_CHOICE, v, c, h, 0, 0, c, false }
#define BREW_OPT_END \
    { 0, NULL, BREW_KIND_END, NULL, NULL, NULL, 0, 0, NULL, false }

struct brew_cli {
    // Set by the command:
    const char *name, *does, *args; // "brew-score", one clause for the help, "[FILE]"
    struct brew_opt *options;
    int min_args, max_args; // file arguments; max_args < 0: any number
    bool reads_stdin;       // with no file and a terminal on stdin, print the help
    bool uses_kernels;      // has --kernel and --device too

    // The common options, parsed by brew_cli_start:
    int64_t threads, seed, max_errors; // -j (0 given: all CPUs), --seed, --max-errors
    const char *kernel, *device;       // --kernel, --device (only "cpu" for now)
    const char *summary_path, *rejects_path;
    bool quiet, verbose, progress;
    bool mute; // see brew_cli_mute

    // While running:
    brew_err err;
    int n_args;
    uint64_t accepted, rejected; // records
    brew_json *summary;          // counts and facts, written by brew_cli_finish to --summary FILE
    brew_out *rejects;
    double start_seconds, last_progress;
    int argc;
    char **argv;
    brew_pool *pool;
};

// Parses; handles --help, --version, --completion (exits 0) and bad usage (prints one line, exits 2).
// Returns the file arguments, NULL-terminated.
char **brew_cli_start(struct brew_cli *cli, int argc, char **argv);
bool brew_cli_given(const struct brew_cli *cli, const char *name); // was this option given?
brew_pool *brew_cli_pool(struct brew_cli *cli); // of -j threads, made on first use, owned by cli

// "brew-X: ..." on stderr; _note only with -v, _warn unless -q.
void brew_cli_note(const struct brew_cli *cli, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void brew_cli_warn(const struct brew_cli *cli, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

// Of several processes that do the same together, one speaks: the others print nothing, errors included, and write
// neither --rejects nor --summary. Off again if nobody else knows of an error.
void brew_cli_mute(struct brew_cli *cli, bool mute);

// Usage error found after parsing (cross-checks): prints and exits 2.
_Noreturn void brew_cli_usage(struct brew_cli *cli, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
// A fatal error is in cli->err: prints it, abandons open outputs, returns its status (never 0).
int brew_cli_die(struct brew_cli *cli);
// A bad record at line `line_number` of `name`: prints "brew-X: NAME:LINE: <cli->err>", counts it, copies
// the raw line to --rejects. Returns 0 to go on, -1 when --max-errors is passed (then cli->err says so
// with the record's own class, for brew_cli_die).
int brew_cli_reject(struct brew_cli *cli, const char *name, uint64_t line_number, const char *line,
                    size_t len);
// A progress line on stderr a few times a second, if --progress and a terminal (or -v): total 0 unknown.
void brew_cli_progress(struct brew_cli *cli, const char *what, uint64_t done, uint64_t total);
// The same with an estimate of the seconds left, where it is not that of an even pace since the start.
void brew_cli_progress_since(struct brew_cli *cli, const char *what, uint64_t done, uint64_t total,
                             double seconds_left);

// A fact for --summary; or each member of an object, which is taken.
void brew_cli_facts(struct brew_cli *cli, brew_json *facts);
void brew_cli_fact_int(struct brew_cli *cli, const char *key, int64_t value);
void brew_cli_fact_real(struct brew_cli *cli, const char *key, double value);
void brew_cli_fact_string(struct brew_cli *cli, const char *key, const char *value);
// Writes the summary (counts, seconds, peak memory, version, arguments); returns the exit status: 0, or 3
// when records were rejected.
int brew_cli_finish(struct brew_cli *cli);

double brew_cli_seconds(const struct brew_cli *cli); // since start

#endif
