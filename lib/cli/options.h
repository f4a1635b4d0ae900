// The option table at work: parsing, --help and completion. Only lib/cli/cli.c calls this.
#ifndef BREW_CLI_OPTIONS_H
#define BREW_CLI_OPTIONS_H

#include "cli/cli.h"

enum brew_cli_ask { BREW_ASK_NOTHING, BREW_ASK_HELP, BREW_ASK_VERSION, BREW_ASK_COMPLETION };

// Fills the values the tables point at and moves the file arguments to the end of argv; cli->n_args
// counts them. Errors of usage print and exit.
enum brew_cli_ask brew_options_parse(struct brew_cli *cli, int argc, char **argv);
void brew_options_help(const struct brew_cli *cli);       // on stdout
void brew_options_completion(const struct brew_cli *cli); // a bash script, on stdout
void brew_options_release(struct brew_cli *cli);

#endif
