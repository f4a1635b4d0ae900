#define _GNU_SOURCE // getopt_long
#include "cli/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"

enum { MAX_OPTIONS = 96, ASK_COMPLETION = 1 };

// The command's options, then the common ones, as one list of pointers.
struct table {
    struct brew_opt *all[MAX_OPTIONS];
    size_t n;
};

static bool help, version, completion;
static struct brew_opt common[24];

static void fill_common(struct brew_cli *cli) {
    size_t n = 0;
    common[n++] = (struct brew_opt)BREW_OPT_INT('j', "threads", &cli->threads, 0, 1024, "N",
                                                "threads, 0 for one per CPU");
    if (cli->uses_kernels) {
        common[n++] = (struct brew_opt)BREW_OPT_STRING(
            0, "kernel", &cli->kernel, "LEVEL",
            "avx512bf16, avx512, avx2, generic or ref; the best by default");
        common[n++] = (struct brew_opt)BREW_OPT_STRING(0, "device", &cli->device, "DEVICE", "cpu");
    }
    common[n++] = (struct brew_opt)BREW_OPT_INT(0, "seed", &cli->seed, 0, 9007199254740992.0, "N",
                                                "seed of all random choices (0)");
    common[n++] =
        (struct brew_opt)BREW_OPT_INT(0, "max-errors", &cli->max_errors, 0, 9007199254740992.0, "N",
                                      "bad records to go on after (0)");
    common[n++] = (struct brew_opt)BREW_OPT_STRING(0, "rejects", &cli->rejects_path, "FILE",
                                                   "copy bad records to FILE");
    common[n++] = (struct brew_opt)BREW_OPT_STRING(0, "summary", &cli->summary_path, "FILE",
                                                   "write counts, seconds and memory as JSON");
    common[n++] = (struct brew_opt)BREW_OPT_FLAG('q', "quiet", &cli->quiet, "no warnings");
    common[n++] = (struct brew_opt)BREW_OPT_FLAG('v', "verbose", &cli->verbose, "say what is done");
    common[n++] =
        (struct brew_opt)BREW_OPT_FLAG(0, "progress", &cli->progress, "show how far it is");
    common[n++] = (struct brew_opt)BREW_OPT_FLAG('h', "help", &help, "print this and exit");
    common[n++] =
        (struct brew_opt)BREW_OPT_FLAG(0, "version", &version, "print the version and exit");
    common[n] = (struct brew_opt)BREW_OPT_END;
}

static void list_options(const struct brew_cli *cli, struct table *table) {
    table->n = 0;
    for (struct brew_opt *o = cli->options; o && o->kind; o++) table->all[table->n++] = o;
    for (struct brew_opt *o = common; o->kind; o++) table->all[table->n++] = o;
    if (table->n >= MAX_OPTIONS - 1) brew_bug("too many options");
}

static void set_number(struct brew_cli *cli, const struct brew_opt *o, const char *text) {
    double value = 0;
    int64_t whole = 0;
    bool is_int = o->kind == BREW_KIND_INT;
    bool read = is_int ? brew_parse_i64(text, strlen(text), &whole)
                       : brew_parse_double(text, strlen(text), &value);
    if (!read)
        brew_cli_usage(cli, "--%s takes %s", o->name, is_int ? "a whole number" : "a number");
    if (is_int) value = (double)whole;
    int digits = is_int ? 16 : 15; // bounds of integers are at most 2^53, written out in full
    if (value < o->min || value > o->max)
        brew_cli_usage(cli, "--%s %.*g is not in %.*g to %.*g", o->name, digits, value, digits,
                       o->min, digits, o->max);
    if (is_int)
        *(int64_t *)o->value = whole;
    else
        *(double *)o->value = value;
}

static void set_choice(struct brew_cli *cli, const struct brew_opt *o, const char *text) {
    size_t len = strlen(text);
    int index = 0;
    for (const char *at = o->choices; *at; index++) {
        size_t word = strcspn(at, "|");
        if (word == len && !memcmp(at, text, len)) {
            *(int *)o->value = index;
            return;
        }
        at += word + (at[word] == '|');
    }
    brew_cli_usage(cli, "--%s takes one of %s", o->name, o->choices);
}

static void set_option(struct brew_cli *cli, struct brew_opt *o, const char *text) {
    brew_opt_list *list;
    if (o->given && o->kind != BREW_KIND_LIST && o->kind != BREW_KIND_FLAG)
        brew_cli_usage(cli, "--%s is given twice", o->name);
    o->given = true;
    switch (o->kind) {
    case BREW_KIND_FLAG:
        *(bool *)o->value = true;
        break;
    case BREW_KIND_INT:
    case BREW_KIND_REAL:
        set_number(cli, o, text);
        break;
    case BREW_KIND_STRING:
        if (!*text) brew_cli_usage(cli, "--%s is empty", o->name);
        *(const char **)o->value = text;
        break;
    case BREW_KIND_LIST:
        list = o->value;
        list->values = brew_realloc_array(list->values, list->n + 1, sizeof *list->values);
        list->values[list->n++] = text;
        break;
    case BREW_KIND_CHOICE:
        set_choice(cli, o, text);
        break;
    case BREW_KIND_END:
        brew_bug("an option without a kind");
    }
}

enum brew_cli_ask brew_options_parse(struct brew_cli *cli, int argc, char **argv) {
    struct table table;
    struct option longs[MAX_OPTIONS + 2];
    char shorts[2 * MAX_OPTIONS + 2] = ":";
    fill_common(cli);
    list_options(cli, &table);
    for (size_t i = 0; i < table.n; i++) {
        struct brew_opt *o = table.all[i];
        bool takes = o->kind != BREW_KIND_FLAG;
        longs[i] =
            (struct option){o->name, takes ? required_argument : no_argument, NULL, 256 + (int)i};
        if (o->letter) {
            char letter[3] = {o->letter, takes ? ':' : 0, 0};
            strcat(shorts, letter);
        }
    }
    // --completion is for the installation, not for users: it stands in no help.
    longs[table.n] = (struct option){"completion", no_argument, NULL, ASK_COMPLETION};
    longs[table.n + 1] = (struct option){0};
    opterr = 0;
    optind = 1;
    int c;
    while ((c = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
        if (c == ':') brew_cli_usage(cli, "%s needs a value", argv[optind - 1]);
        if (c == '?' && optopt && optopt < 256) brew_cli_usage(cli, "unknown option -%c", optopt);
        if (c == '?') brew_cli_usage(cli, "unknown or ambiguous option %s", argv[optind - 1]);
        if (c == ASK_COMPLETION) {
            completion = true;
            continue;
        }
        struct brew_opt *o = NULL;
        if (c >= 256) o = table.all[c - 256];
        for (size_t i = 0; !o; i++)
            if (table.all[i]->letter == c) o = table.all[i];
        set_option(cli, o, optarg);
    }
    cli->n_args = argc - optind;
    return help         ? BREW_ASK_HELP
           : version    ? BREW_ASK_VERSION
           : completion ? BREW_ASK_COMPLETION
                        : BREW_ASK_NOTHING;
}

bool brew_cli_given(const struct brew_cli *cli, const char *name) {
    struct table table;
    list_options(cli, &table);
    for (size_t i = 0; i < table.n; i++)
        if (!strcmp(table.all[i]->name, name)) return table.all[i]->given;
    brew_bug("no option --%s", name);
}

void brew_options_release(struct brew_cli *cli) {
    for (struct brew_opt *o = cli->options; o && o->kind; o++) {
        if (o->kind != BREW_KIND_LIST) continue;
        brew_opt_list *list = o->value;
        free(list->values);
        *list = (brew_opt_list){0};
    }
}

void brew_options_help(const struct brew_cli *cli) {
    struct table table;
    list_options(cli, &table);
    printf("usage: %s [OPTION]... %s\n%s\n\n", cli->name, cli->args, cli->does);
    for (size_t i = 0; i < table.n; i++) {
        const struct brew_opt *o = table.all[i];
        if (o == common) printf("\n");
        char left[80], letter[8] = "    ";
        if (o->letter) snprintf(letter, sizeof letter, "-%c, ", o->letter);
        const char *arg = o->kind == BREW_KIND_FLAG ? "" : o->choices ? o->choices : o->arg;
        snprintf(left, sizeof left, "  %s--%s%s%s", letter, o->name, *arg ? " " : "", arg);
        if (strlen(left) < 30)
            printf("%-30s  %s\n", left, o->help);
        else
            printf("%s\n%-30s  %s\n", left, "", o->help);
    }
    printf("\nFull manual: man %s\n", cli->name);
}

void brew_options_completion(const struct brew_cli *cli) {
    struct table table;
    list_options(cli, &table);
    char function[64];
    snprintf(function, sizeof function, "_%s", cli->name);
    for (char *p = function; *p; p++)
        if (*p == '-') *p = '_';
    printf("# bash completion for %s, made by %s --completion\n%s() {\n", cli->name, cli->name,
           function);
    printf("    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n");
    printf("    case $prev in\n");
    for (size_t i = 0; i < table.n; i++) {
        const struct brew_opt *o = table.all[i];
        if (o->kind != BREW_KIND_CHOICE) continue;
        printf("    --%s) COMPREPLY=($(compgen -W '", o->name);
        for (const char *p = o->choices; *p; p++) putchar(*p == '|' ? ' ' : *p);
        printf("' -- \"$cur\")); return ;;\n");
    }
    printf("    esac\n    if [[ $cur == -* ]]; then\n        COMPREPLY=($(compgen -W '");
    for (size_t i = 0; i < table.n; i++) printf("%s--%s", i ? " " : "", table.all[i]->name);
    printf("' -- \"$cur\"))\n    else\n        COMPREPLY=($(compgen -f -- \"$cur\"))\n    fi\n}\n");
    printf("complete -o filenames -F %s %s\n", function, cli->name);
}
