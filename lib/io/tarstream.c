#include "io/tarstream.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <archive.h>
#include <archive_entry.h>

#include "base/hash.h"
#include "base/mem.h"

enum { BLOCK = 512 };

// ---- writing ----

struct brew_tar_writer {
    brew_out *out;
    struct archive *archive;
    brew_sha256 sha;
    brew_err failure; // of out, met inside libarchive's call
    bool discard;     // nothing is written any more
};

// libarchive is never told of a failure: it leaks a little after one. Whoever calls it looks at
// `failure`.
static la_ssize_t pass_on(struct archive *archive, void *arg, const void *bytes, size_t len) {
    brew_tar_writer *writer = arg;
    (void)archive;
    if (!writer->discard && brew_out_write(writer->out, bytes, len, &writer->failure))
        writer->discard = true;
    if (!writer->discard) brew_sha256_add(&writer->sha, bytes, len);
    return (la_ssize_t)len;
}

brew_tar_writer *brew_tar_write_start(brew_out *out) {
    brew_tar_writer *writer = brew_calloc(1, sizeof *writer);
    struct archive *a = writer->archive = archive_write_new();
    writer->out = out;
    brew_sha256_init(&writer->sha);
    // No blocking inside libarchive: the digest must know where a header begins, and brew_out buffers.
    if (!a || archive_write_set_format_ustar(a) || archive_write_set_bytes_per_block(a, 0) ||
        archive_write_set_bytes_in_last_block(a, 1) ||
        archive_write_open(a, writer, NULL, pass_on, NULL))
        brew_bug("libarchive cannot write a tar");
    return writer;
}

static int fail_writing(brew_tar_writer *writer, const char *name, brew_err *err) {
    if (!writer->failure.code)
        brew_fail(&writer->failure, BREW_INTERNAL, "%s: cannot write the member %s: %s",
                  brew_out_name(writer->out), name, archive_error_string(writer->archive));
    if (err) *err = writer->failure;
    return -1;
}

static bool put(struct archive *a, const void *bytes, size_t len) {
    return !len || archive_write_data(a, bytes, len) == (la_ssize_t)len;
}

int brew_tar_write(brew_tar_writer *writer, const char *name, const void *head, size_t head_len,
                   const void *body, size_t body_len, brew_err *err) {
    struct archive_entry *entry = archive_entry_new();
    if (!entry) brew_bug("no memory for an archive entry");
    archive_entry_set_pathname(entry, name);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_mtime(entry, 0, 0);
    archive_entry_set_uid(entry, 0);
    archive_entry_set_gid(entry, 0);
    archive_entry_set_size(entry, (la_int64_t)(head_len + body_len));
    struct archive *a = writer->archive;
    bool done = archive_write_header(a, entry) == ARCHIVE_OK && put(a, head, head_len) &&
                put(a, body, body_len) && archive_write_finish_entry(a) == ARCHIVE_OK &&
                !writer->discard;
    archive_entry_free(entry);
    return done ? 0 : fail_writing(writer, name, err);
}

void brew_tar_write_digest(const brew_tar_writer *writer, char hex[65]) {
    brew_sha256 copy = writer->sha;
    brew_sha256_hex(&copy, hex);
}

int brew_tar_write_end(brew_tar_writer *writer, brew_err *err) {
    bool done = archive_write_close(writer->archive) == ARCHIVE_OK && !writer->discard;
    int status = done ? 0 : fail_writing(writer, "that ends the tar", err);
    brew_tar_write_abandon(writer);
    return status;
}

void brew_tar_write_abandon(brew_tar_writer *writer) {
    if (!writer) return;
    writer->discard = true; // freeing ends the tar first
    archive_write_free(writer->archive);
    free(writer);
}

// ---- reading ----

struct brew_tar_reader {
    brew_in *in;
    char name[101];
    brew_sha256 sha, before; // of all bytes taken; of those before the last header
};

static int fail_reading(const brew_tar_reader *reader, const char *why, brew_err *err) {
    if (reader->name[0])
        return brew_fail(err, BREW_DATA, "%s: in or after the member %s: %s",
                         brew_in_name(reader->in), reader->name, why);
    return brew_fail(err, BREW_DATA, "%s: %s", brew_in_name(reader->in), why);
}

// Exactly len bytes; cut short is an error.
static int take(brew_tar_reader *reader, char *bytes, size_t len, brew_err *err) {
    size_t got = 0;
    while (got < len) {
        ssize_t some = brew_in_read(reader->in, bytes + got, len - got, err);
        if (some < 0) return -1;
        if (some == 0) return fail_reading(reader, "the tar is cut short", err);
        got += (size_t)some;
    }
    brew_sha256_add(&reader->sha, bytes, len);
    return 0;
}

static bool all_zero(const char *bytes, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (bytes[i]) return false;
    return true;
}

// An octal field of digits, then NULs or blanks.
static bool octal(const char *field, size_t width, uint64_t *out) {
    size_t i = 0;
    uint64_t value = 0;
    for (; i < width && field[i] >= '0' && field[i] <= '7'; i++)
        value = value << 3 | (uint64_t)(field[i] - '0');
    *out = value;
    if (i == 0) return false;
    for (; i < width; i++)
        if (field[i] && field[i] != ' ') return false;
    return true;
}

// A ustar header block (POSIX, pax "ustar interchange format"): the name goes to reader->name.
//   0 name[100]  100 mode[8]  108 uid[8]  116 gid[8]  124 size[12]  136 mtime[12]  148 chksum[8]
//   156 typeflag  157 linkname[100]  257 magic[6]  263 version[2]  ...  345 prefix[155]
static int parse_header(brew_tar_reader *reader, const char *block, uint64_t *size, brew_err *err) {
    uint64_t stated, sum = 0;
    for (int i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? ' ' : (unsigned char)block[i];
    if (memcmp(block + 257,
               "ustar\0"
               "00",
               8))
        return fail_reading(reader, "not a ustar header", err);
    if (!octal(block + 148, 8, &stated) || stated != sum)
        return fail_reading(reader, "a tar header with a wrong checksum", err);
    if (!block[0] || !memchr(block, 0, 100) || block[345])
        return fail_reading(reader, "a member's name is empty or longer than 99 bytes", err);
    memcpy(reader->name, block, 100);
    for (const char *c = reader->name; *c; c++) {
        if (*c > ' ' && *c < 0x7f) continue;
        reader->name[0] = 0;
        return fail_reading(reader, "a member's name is not plain ASCII", err);
    }
    if (block[156] != '0') return fail_reading(reader, "the member is not a regular file", err);
    if (!octal(block + 124, 12, size)) return fail_reading(reader, "a malformed size", err);
    return 0;
}

static int read_end(brew_tar_reader *reader, brew_err *err) {
    char block[BLOCK];
    if (take(reader, block, BLOCK, err)) return -1;
    if (!all_zero(block, BLOCK)) return fail_reading(reader, "a zero block stands alone", err);
    ssize_t more = brew_in_read(reader->in, block, 1, err);
    if (more < 0) return -1;
    if (more) return fail_reading(reader, "bytes behind the tar's end", err);
    return 0;
}

int brew_tar_read(brew_tar_reader *reader, const char **name, brew_buf *bytes, brew_err *err) {
    char block[BLOCK];
    uint64_t size = 0;
    reader->before = reader->sha;
    if (take(reader, block, BLOCK, err)) return -1;
    if (all_zero(block, BLOCK)) return read_end(reader, err);
    if (parse_header(reader, block, &size, err)) return -1;
    brew_buf_reset(bytes);
    brew_buf_reserve(bytes, 0);
    for (uint64_t left = size;
         left;) { // what is allocated follows what is there, not what is claimed
        size_t step = left < (4 << 20) ? (size_t)left : 4 << 20;
        brew_buf_reserve(bytes, step);
        if (take(reader, bytes->ptr + bytes->len, step, err)) return -1;
        bytes->len += step;
        left -= step;
    }
    bytes->ptr[bytes->len] = 0;
    size_t padding = (size_t)(-size % BLOCK);
    if (take(reader, block, padding, err)) return -1;
    if (!all_zero(block, padding)) return fail_reading(reader, "padding that is not zero", err);
    *name = reader->name;
    return 1;
}

void brew_tar_read_digest(const brew_tar_reader *reader, char hex[65]) {
    brew_sha256 copy = reader->before;
    brew_sha256_hex(&copy, hex);
}

brew_tar_reader *brew_tar_read_start(brew_in *in) {
    brew_tar_reader *reader = brew_calloc(1, sizeof *reader);
    reader->in = in;
    brew_sha256_init(&reader->sha);
    reader->before = reader->sha;
    return reader;
}

void brew_tar_read_free(brew_tar_reader *reader) {
    free(reader);
}
