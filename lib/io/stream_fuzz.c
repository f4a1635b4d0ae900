// make fuzz FUZZ=lib/io/stream_fuzz.c: input, tables and token streams of arbitrary bytes.
#define _GNU_SOURCE // memfd_create
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "io/star_stream.h"
#include "io/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void read_table(const char *path, enum brew_table_format format) {
    const char *const columns[] = {"a"};
    brew_err err;
    brew_table *table = brew_table_open(path, format, columns, 1, &err);
    const brew_field *fields;
    size_t sum = 0;
    int got;
    while (table && ((got = brew_table_next(table, &fields, &err)) > 0 ||
                     (got < 0 && !brew_table_failed(table))))
        for (size_t i = 0; got > 0 && i < fields[0].len; i++)
            sum += (unsigned char)fields[0].ptr[i];
    if (sum == SIZE_MAX) abort();
    brew_table_close(table);
}

static void read_stream(const char *path) {
    brew_err err;
    brew_in *in = brew_in_open(path, &err);
    brew_star_reader *reader = in ? brew_star_read_start(in, &err) : NULL;
    const brew_star *star;
    while (reader && brew_star_read(reader, &star, &err) > 0) {
    }
    brew_star_read_free(reader);
    brew_in_close(in);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (fd < 0 || write(fd, bytes, len) != (ssize_t)len) abort();
    read_table(path, BREW_TABLE_AUTO);
    read_table(path, BREW_TABLE_CSV);
    read_table(path, BREW_TABLE_JSONL);
    read_stream(path);
    close(fd);
    return 0;
}
