// What commands that learn or measure from requests do with bad records: all of them the same.
#ifndef BREW_CMD_REJECTS_H
#define BREW_CMD_REJECTS_H

#include "cli/cli.h"
#include "text/source.h"

// A brew_reject_fn; arg is the command's brew_cli.
static int reject_record(void *arg, const char *name, const brew_line *line, brew_err *err) {
    struct brew_cli *cli = arg;
    cli->err = *line->failed;
    if (!brew_cli_reject(cli, name, line->number, line->line, line->len)) return 0;
    *err = cli->err;
    return -1;
}

#endif
