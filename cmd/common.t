#!/bin/sh
# What every command does the same way.
# shellcheck source=testdata/lib.sh
. "$PWD/testdata/lib.sh"

for source in cmd/brew-*.c; do
    command=$(basename "$source" .c)
    exits 0 "$command --help" "$command" --help
    ok "$command --help shows usage" grep -q "^usage: $command " "$work/out"
    exits 0 "$command --version" "$command" --version
    is "$(wc -l <"$work/out")" 1 "$command --version is one line"
    exits 2 "$command: unknown option" "$command" --no-such-option
    says "^$command: unknown" "$command names itself in messages"
    exits 2 "$command: a value is missing" "$command" --seed
    exits 2 "$command: not a number" "$command" --seed canary
    ok "$command repeats no value that is no number" sh -c "! grep -q canary '$work/err'"
    exits 2 "$command: out of range" "$command" -j 99999
    exits 2 "$command: twice" "$command" --seed 1 --seed 2
    exits 74 "$command: help onto a full disk" sh -c "$command --help >/dev/full"
    exits 74 "$command: help onto a closed output" sh -c "$command --help >&-"
    ok "$command --completion is a script" sh -c "$command --completion | bash -n"
    ok "$command has a page" test -e "man/$command.1"
done
done_testing
