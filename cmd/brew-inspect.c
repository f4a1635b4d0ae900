// brew-inspect: what is inside, and whether two are the same. See brew-inspect(1).
#include <string.h>

#include "cli/cli.h"
#include "model/inspect.h"

static bool as_json, verify;
static const char *output;

static struct brew_opt options[] = {
    BREW_OPT_FLAG(0, "json", &as_json, "write the report as one JSON object"),
    BREW_OPT_FLAG(0, "verify", &verify, "read every tensor: NaN or infinite values are found"),
    BREW_OPT_STRING('o', "output", &output, "FILE", "write to FILE"), BREW_OPT_END};

static struct brew_cli cli = {.name = "brew-inspect",
                              .does =
                                  "look inside a model, a token stream or records, or compare two",
                              .args = "PATH [PATH]",
                              .options = options,
                              .min_args = 1,
                              .max_args = 2};

static int reject(void *arg, const char *name, uint64_t line_number, const char *line, size_t len) {
    (void)arg;
    return brew_cli_reject(&cli, name, line_number, line, len);
}

static int publish(const brew_json *report) {
    brew_buf text = {0};
    if (as_json) {
        brew_json_write(&text, report);
        brew_buf_addc(&text, '\n');
    } else {
        brew_inspect_text(&text, report, cli.verbose);
    }
    int rc = brew_out_whole(output, BREW_OUT_TEXT, text.ptr, text.len, &cli.err);
    brew_buf_release(&text);
    return rc;
}

int main(int argc, char **argv) {
    char **paths = brew_cli_start(&cli, argc, argv);
    if (cli.n_args == 2 && !strcmp(paths[0], "-") && !strcmp(paths[1], "-"))
        brew_cli_usage(&cli, "standard input cannot be compared with itself");
    brew_inspect_options how = {.verify = verify, .pool = brew_cli_pool(&cli), .reject = reject};
    bool good; // sound, or the same
    brew_json *report = cli.n_args == 1
                            ? brew_inspect_path(paths[0], &how, &good, &cli.err)
                            : brew_inspect_compare(paths[0], paths[1], &how, &good, &cli.err);
    if (!report) return brew_cli_die(&cli);
    const brew_json *records = brew_json_get(report, "records");
    if (brew_json_is(records, BREW_JSON_INT)) cli.accepted = (uint64_t)brew_json_int(records);
    int rc = publish(report);
    brew_json_free(report);
    if (rc) return brew_cli_die(&cli);
    int status = brew_cli_finish(&cli);
    return status == BREW_OK && !good ? BREW_NEGATIVE : status;
}
