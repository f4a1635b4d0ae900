// Reads the rows of a JSONL file, with brew_table or with jansson: for scripts/bench/promptify.py.
// usage: rows brew|jansson FILE    looks at userId and timestamp of each row, prints how many there were
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/table.h"

static size_t read_with_brew(const char *path) {
    const char *const columns[] = {"userId", "timestamp"};
    const brew_field *fields;
    brew_err err;
    size_t n = 0;
    int got = -1;
    brew_table *table = brew_table_open(path, BREW_TABLE_JSONL, columns, 2, &err);
    while (table && (got = brew_table_next(table, &fields, &err)) > 0)
        n += fields[0].ptr && fields[1].ptr;
    brew_table_close(table);
    if (got) exit(65);
    return n;
}

static size_t read_with_jansson(const char *path) {
    FILE *file = fopen(path, "rb");
    char *line = NULL;
    size_t cap = 0, n = 0;
    ssize_t len;
    while (file && (len = getline(&line, &cap, file)) > 0) {
        json_t *row = json_loadb(line, (size_t)len, JSON_REJECT_DUPLICATES, NULL);
        if (!row) exit(65);
        n += json_object_get(row, "userId") && json_object_get(row, "timestamp");
        json_decref(row);
    }
    free(line);
    if (file) fclose(file);
    return n;
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    printf("%zu\n", strcmp(argv[1], "brew") ? read_with_jansson(argv[2]) : read_with_brew(argv[2]));
    return 0;
}
