#define _DEFAULT_SOURCE // ru_maxrss
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/options.h"

static double now_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double brew_cli_seconds(const struct brew_cli *cli) {
    return now_seconds() - cli->start_seconds;
}

// Temporary files go, then the signal does what it does by default.
static void on_signal(int sig) {
    brew_out_abandon_all();
    signal(sig, SIG_DFL);
    raise(sig);
}

static void catch_signals(void) {
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct sigaction old, act = {.sa_handler = on_signal};
        if (!sigaction(signals[i], NULL, &old) && old.sa_handler == SIG_DFL)
            sigaction(signals[i], &act, NULL);
    }
}

// Descriptors 0 to 2 must be taken, or the next file opened would become standard output. A closed one
// becomes one that cannot be used the way it is meant, so that reading or writing it still fails.
static void take_descriptors(void) {
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            if (open("/dev/null", fd ? O_RDONLY : O_WRONLY) != fd) exit(BREW_IO);
}

// Help and version are output like any other: a full disk must show.
static _Noreturn void exit_printed(const struct brew_cli *cli) {
    if (fflush(stdout) || ferror(stdout)) {
        fprintf(stderr, "%s: cannot write standard output: %s\n", cli->name, strerror(errno));
        exit(BREW_IO);
    }
    exit(BREW_OK);
}

char **brew_cli_start(struct brew_cli *cli, int argc, char **argv) {
    cli->argc = argc;
    cli->argv = argv;
    cli->start_seconds = now_seconds();
    take_descriptors();
    enum brew_cli_ask ask = brew_options_parse(cli, argc, argv);
    int n_files = cli->n_args;
    bool lost = cli->reads_stdin && !n_files && ask == BREW_ASK_NOTHING && isatty(STDIN_FILENO);
    if (lost || ask == BREW_ASK_HELP) brew_options_help(cli);
    if (ask == BREW_ASK_VERSION) printf("%s %s\n", cli->name, BREW_VERSION);
    if (ask == BREW_ASK_COMPLETION) brew_options_completion(cli);
    if (lost || ask != BREW_ASK_NOTHING) exit_printed(cli);
    if (n_files < cli->min_args) brew_cli_usage(cli, "an argument is missing: %s", cli->args);
    if (cli->max_args >= 0 && n_files > cli->max_args)
        brew_cli_usage(cli, "too many arguments: %d given, %d taken", n_files, cli->max_args);
    if (cli->device && strcmp(cli->device, "cpu"))
        brew_cli_usage(cli, "--device %s: this build has only cpu", cli->device);
    const char *kernel = getenv("BREW_KERNEL");
    if (cli->uses_kernels && !cli->kernel && kernel && *kernel) cli->kernel = kernel;
    catch_signals();
    cli->summary = brew_json_new_object();
    if (cli->rejects_path) {
        cli->rejects = brew_out_open(cli->rejects_path, BREW_OUT_TEXT, &cli->err);
        if (!cli->rejects) exit(brew_cli_die(cli));
    }
    return argv + argc - n_files;
}

brew_pool *brew_cli_pool(struct brew_cli *cli) {
    if (!cli->pool) cli->pool = brew_pool_new((int)cli->threads);
    return cli->pool;
}

static void say(const struct brew_cli *cli, const char *fmt, va_list ap) {
    char text[1400];
    if (cli->mute) return;
    vsnprintf(text, sizeof text, fmt, ap);
    if (cli->last_progress > 0 && isatty(STDERR_FILENO)) fputs("\r\033[K", stderr);
    fprintf(stderr, "%s: %s\n", cli->name, text);
}

static void say_error(const struct brew_cli *cli, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    say(cli, fmt, ap);
    va_end(ap);
}

void brew_cli_note(const struct brew_cli *cli, const char *fmt, ...) {
    if (!cli->verbose) return;
    va_list ap;
    va_start(ap, fmt);
    say(cli, fmt, ap);
    va_end(ap);
}

void brew_cli_warn(const struct brew_cli *cli, const char *fmt, ...) {
    if (cli->quiet) return;
    va_list ap;
    va_start(ap, fmt);
    say(cli, fmt, ap);
    va_end(ap);
}

void brew_cli_mute(struct brew_cli *cli, bool mute) {
    cli->mute = mute;
    if (!mute) return;
    brew_out_abandon(cli->rejects);
    cli->rejects = NULL;
}

void brew_cli_usage(struct brew_cli *cli, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    say(cli, fmt, ap);
    va_end(ap);
    fprintf(stderr, "Try '%s --help'.\n", cli->name);
    brew_out_abandon_all();
    exit(BREW_USAGE);
}

void brew_cli_facts(struct brew_cli *cli, brew_json *facts) {
    brew_json_iter it = {0};
    while (brew_json_next(facts, &it))
        brew_json_set(cli->summary, it.key, brew_json_copy(it.value));
    brew_json_free(facts);
}

void brew_cli_fact_int(struct brew_cli *cli, const char *key, int64_t value) {
    brew_json_set(cli->summary, key, brew_json_new_int(value));
}

void brew_cli_fact_real(struct brew_cli *cli, const char *key, double value) {
    brew_json_set(cli->summary, key, brew_json_new_real(value));
}

void brew_cli_fact_string(struct brew_cli *cli, const char *key, const char *value) {
    brew_json_set(cli->summary, key, brew_json_new_string(value, strlen(value)));
}

static int write_summary(struct brew_cli *cli, int status, brew_err *err) {
    if (!cli->summary_path || !cli->summary || cli->mute) return 0;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    brew_json *arguments = brew_json_new_array();
    for (int i = 1; i < cli->argc; i++)
        brew_json_push(arguments, brew_json_new_string(cli->argv[i], strlen(cli->argv[i])));
    brew_cli_fact_string(cli, "tool", cli->name);
    brew_cli_fact_string(cli, "version", BREW_VERSION);
    brew_json_set(cli->summary, "arguments", arguments);
    brew_cli_fact_int(cli, "status", status);
    brew_cli_fact_int(cli, "accepted", (int64_t)cli->accepted);
    brew_cli_fact_int(cli, "rejected", (int64_t)cli->rejected);
    brew_cli_fact_real(cli, "seconds", brew_cli_seconds(cli));
    brew_cli_fact_real(cli, "cpu_seconds",
                       (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6);
    brew_cli_fact_int(cli, "peak_bytes", (int64_t)usage.ru_maxrss * 1024);
    brew_buf text = {0};
    brew_json_write(&text, cli->summary);
    brew_buf_addc(&text, '\n');
    int failed = brew_out_whole(cli->summary_path, BREW_OUT_TEXT, text.ptr, text.len, err);
    brew_buf_release(&text);
    return failed;
}

static void release(struct brew_cli *cli) {
    brew_json_free(cli->summary);
    brew_pool_free(cli->pool);
    brew_options_release(cli);
    cli->summary = NULL;
    cli->pool = NULL;
}

static int commit_rejects(struct brew_cli *cli, brew_err *err) {
    brew_out *rejects = cli->rejects;
    cli->rejects = NULL;
    return rejects ? brew_out_commit(rejects, err) : 0;
}

int brew_cli_die(struct brew_cli *cli) {
    say_error(cli, "%s", cli->err.text);
    int status = cli->err.code ? (int)cli->err.code : BREW_INTERNAL;
    brew_err second; // the first error is the one that is told
    commit_rejects(cli, &second);
    brew_out_abandon_all();
    if (cli->summary) brew_cli_fact_string(cli, "error", cli->err.text);
    write_summary(cli, status, &second);
    release(cli);
    return status;
}

int brew_cli_reject(struct brew_cli *cli, const char *name, uint64_t line_number, const char *line,
                    size_t len) {
    brew_err_context(&cli->err, "%s:%" PRIu64, name, line_number);
    cli->rejected++;
    if (cli->rejects && (brew_out_write(cli->rejects, line, len, &cli->err) ||
                         brew_out_write(cli->rejects, "\n", 1, &cli->err)))
        return -1;
    if (cli->rejected > (uint64_t)cli->max_errors) return -1;
    say_error(cli, "%s", cli->err.text);
    return 0;
}

void brew_cli_progress(struct brew_cli *cli, const char *what, uint64_t done, uint64_t total) {
    double seconds = brew_cli_seconds(cli);
    brew_cli_progress_since(cli, what, done, total,
                            done ? seconds / (double)done * ((double)total - (double)done) : 0);
}

void brew_cli_progress_since(struct brew_cli *cli, const char *what, uint64_t done, uint64_t total,
                             double seconds_left) {
    if (!cli->progress || cli->quiet || cli->mute) return;
    bool terminal = isatty(STDERR_FILENO);
    double seconds = brew_cli_seconds(cli);
    if (seconds - cli->last_progress < (terminal ? 0.2 : 10)) return;
    cli->last_progress = seconds;
    fprintf(stderr, terminal ? "\r\033[K%s: " : "%s: ", cli->name);
    if (total && done <= total) {
        int filled = (int)(24.0 * (double)done / (double)total);
        fprintf(stderr, "[%.*s%.*s] %" PRIu64 "/%" PRIu64 " %s, %.0f s left", filled,
                "========================", 24 - filled, "                        ", done, total,
                what, seconds_left);
    } else {
        fprintf(stderr, "%" PRIu64 " %s, %.0f s", done, what, seconds);
    }
    if (!terminal) fputc('\n', stderr);
}

int brew_cli_finish(struct brew_cli *cli) {
    if (cli->last_progress > 0 && isatty(STDERR_FILENO)) fputs("\r\033[K", stderr);
    int status = cli->rejected ? BREW_REJECTED : BREW_OK;
    if (commit_rejects(cli, &cli->err) || write_summary(cli, status, &cli->err))
        return brew_cli_die(cli);
    if (cli->rejected)
        brew_cli_warn(cli, "%" PRIu64 " of %" PRIu64 " records rejected", cli->rejected,
                      cli->accepted + cli->rejected);
    release(cli);
    return status;
}
