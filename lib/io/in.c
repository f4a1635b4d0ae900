#include "io/in.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <archive.h>
#include <zlib.h>

#include "base/hash.h"
#include "base/mem.h"

enum { CHUNK = 256 << 10, PEEK_MAX = 64 << 10, MAGIC_MAX = 6 };

enum coding { UNKNOWN, PLAIN, GZIP, ARCHIVE };

struct brew_in {
    int fd;
    char *name;
    enum coding
        coding; // UNKNOWN until the first byte is wanted, so that opening a pipe never waits
    // Stored bytes, as they come from the file: raw[raw_pos, raw_len). Plain input uses it for the
    // magic only, then reads into its destination.
    char *raw;
    size_t raw_pos, raw_len;
    bool raw_end;
    z_stream z;
    bool in_member; // inside a gzip member
    struct archive *archive;
    // Decoded bytes not yet taken: buf[pos, len).
    char *buf;
    size_t pos, len, cap;
    size_t
        nul;  // index in buf of the first NUL at or behind pos (while lines are read), len if none
    bool end; // no decoded bytes behind len
    uint64_t offset, line_number;
    bool digesting;
    brew_sha256 sha;
    brew_err failure; // code is BREW_OK until something went wrong for good
};

brew_in *brew_in_open(const char *path, brew_err *err) {
    bool is_stdin = !strcmp(path, "-");
    int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st)) {
        brew_fail_errno(err, BREW_NOINPUT, "%s: cannot open", is_stdin ? "standard input" : path);
        if (fd > STDIN_FILENO) close(fd);
        return NULL;
    }
    if (S_ISDIR(st.st_mode)) {
        brew_fail(err, BREW_NOINPUT, "%s: is a directory", is_stdin ? "standard input" : path);
        if (!is_stdin) close(fd);
        return NULL;
    }
    brew_in *in = brew_calloc(1, sizeof *in);
    in->fd = fd;
    in->name = brew_strdup(is_stdin ? "standard input" : path);
    return in;
}

void brew_in_close(brew_in *in) {
    if (!in) return;
    if (in->coding == GZIP) inflateEnd(&in->z);
    if (in->archive) archive_read_free(in->archive);
    if (in->fd != STDIN_FILENO) close(in->fd);
    free(in->name);
    free(in->raw);
    free(in->buf);
    free(in);
}

const char *brew_in_name(const brew_in *in) {
    return in->name;
}

bool brew_in_failed(const brew_in *in) {
    return in->failure.code != BREW_OK;
}

static int fail(brew_in *in, enum brew_code code, const char *what) {
    return brew_fail(&in->failure, code, "%s: %s", in->name, what);
}

// ---- stored bytes ----

static ssize_t read_fd(brew_in *in, char *bytes, size_t len) {
    ssize_t got;
    do got = read(in->fd, bytes, len);
    while (got < 0 && errno == EINTR);
    if (got < 0) brew_fail_errno(&in->failure, BREW_IO, "%s: cannot read", in->name);
    return got;
}

// Refills raw once it is used up: 1 if there are bytes, 0 at the end of the file, -1.
static int fill_raw(brew_in *in) {
    if (in->raw_pos < in->raw_len) return 1;
    if (in->raw_end) return 0;
    ssize_t got = read_fd(in, in->raw, CHUNK);
    if (got < 0) return -1;
    in->raw_pos = 0;
    in->raw_len = (size_t)got;
    in->raw_end = !got;
    return got > 0;
}

static la_ssize_t archive_wants(struct archive *archive, void *arg, const void **bytes) {
    brew_in *in = arg;
    int more = fill_raw(in);
    if (more < 0) {
        archive_set_error(archive, EIO, "cannot read");
        return -1;
    }
    *bytes = in->raw + in->raw_pos;
    size_t len = in->raw_len - in->raw_pos;
    in->raw_pos = in->raw_len;
    return (la_ssize_t)len;
}

// zstd and xz: libarchive's filters, around a format that is no format.
static int start_archive(brew_in *in, int filter) {
    struct archive *a = in->archive = archive_read_new();
    if (!a) brew_bug("no memory for an archive reader");
    struct archive_entry *entry;
    in->coding = ARCHIVE;
    if (archive_read_support_format_raw(a) != ARCHIVE_OK ||
        archive_read_append_filter(a, filter) != ARCHIVE_OK)
        return fail(in, BREW_DATA, "compressed in a way that this build of libarchive cannot read");
    if (archive_read_open(a, in, NULL, archive_wants, NULL) != ARCHIVE_OK)
        return fail(in, BREW_DATA, "the compressed stream is damaged or cut short");
    // libarchive does not tell a stream of nothing from one that breaks before its first byte.
    if (archive_read_next_header(a, &entry) != ARCHIVE_OK)
        return fail(in, BREW_DATA, "the compressed stream is empty, damaged or cut short");
    return 0;
}

static int start(brew_in *in) {
    in->raw = brew_alloc(CHUNK);
    while (in->raw_len < MAGIC_MAX && !in->raw_end) {
        ssize_t got = read_fd(in, in->raw + in->raw_len, CHUNK - in->raw_len);
        if (got < 0) return -1;
        in->raw_len += (size_t)got;
        in->raw_end = !got;
    }
    if (in->raw_len >= 2 && !memcmp(in->raw, "\x1f\x8b", 2)) {
        if (inflateInit2(&in->z, 15 + 16) != Z_OK) brew_bug("zlib does not start");
        in->coding = GZIP;
        in->in_member = true;
        return 0;
    }
    if (in->raw_len >= 4 && !memcmp(in->raw, "\x28\xb5\x2f\xfd", 4))
        return start_archive(in, ARCHIVE_FILTER_ZSTD);
    if (in->raw_len >= 6 && !memcmp(in->raw,
                                    "\xfd"
                                    "7zXZ\0",
                                    6))
        return start_archive(in, ARCHIVE_FILTER_XZ);
    in->coding = PLAIN;
    return 0;
}

// ---- decoded bytes ----

static ssize_t inflate_some(brew_in *in, char *bytes, size_t len) {
    z_stream *z = &in->z;
    z->next_out = (Bytef *)bytes;
    z->avail_out = (uInt)len;
    while (z->avail_out == len) {
        int more = fill_raw(in);
        if (more < 0) return -1;
        if (!more && !in->in_member) return 0;
        if (!more) return fail(in, BREW_DATA, "the gzip stream is cut short");
        z->next_in = (Bytef *)in->raw + in->raw_pos;
        z->avail_in = (uInt)(in->raw_len - in->raw_pos);
        if (!in->in_member) { // only another member may follow
            if (*z->next_in != 0x1f) return fail(in, BREW_DATA, "bytes behind the gzip stream");
            inflateReset(z);
            in->in_member = true;
        }
        int status = inflate(z, Z_NO_FLUSH);
        in->raw_pos = in->raw_len - z->avail_in;
        if (status == Z_STREAM_END)
            in->in_member = false;
        else if (status != Z_OK && status != Z_BUF_ERROR)
            return fail(in, BREW_DATA, "the gzip stream is damaged");
    }
    return (ssize_t)(len - z->avail_out);
}

// Decoded bytes from the source: the count, 0 at the clean end, -1 with in->failure set.
static ssize_t produce(brew_in *in, char *bytes, size_t len) {
    if (in->failure.code) return -1;
    if (in->coding == UNKNOWN && start(in)) return -1;
    if (in->end) return 0;
    if (len > (1 << 30)) len = 1 << 30; // zlib counts in unsigned int
    ssize_t got;
    if (in->coding == GZIP) {
        got = inflate_some(in, bytes, len);
    } else if (in->coding == ARCHIVE) {
        got = archive_read_data(in->archive, bytes, len);
        if (got < 0 && !in->failure.code)
            fail(in, BREW_DATA, "the compressed stream is damaged or cut short");
        if (got < 0) got = -1;
    } else if (in->raw_pos < in->raw_len) {
        got = (ssize_t)(in->raw_len - in->raw_pos < len ? in->raw_len - in->raw_pos : len);
        memcpy(bytes, in->raw + in->raw_pos, (size_t)got);
        in->raw_pos += (size_t)got;
    } else {
        got = in->raw_end ? 0 : read_fd(in, bytes, len);
    }
    if (got == 0) in->end = true;
    if (got > 0 && in->digesting) brew_sha256_add(&in->sha, bytes, (size_t)got);
    return got;
}

// Adds bytes behind buf[len): 1 if some came, 0 at the end, -1. Moves what is not yet taken to the
// front, and doubles the buffer when that fills more than half of it.
static int fill(brew_in *in) {
    size_t held = in->len - in->pos;
    if (in->pos) memmove(in->buf, in->buf + in->pos, held);
    in->nul -= in->pos;
    in->pos = 0;
    in->len = held;
    if (held + CHUNK > in->cap) {
        in->cap = held + CHUNK > 2 * in->cap ? held + CHUNK : 2 * in->cap;
        in->buf = brew_realloc(in->buf, in->cap);
    }
    ssize_t got = produce(in, in->buf + held, in->cap - held);
    if (got <= 0) return (int)got;
    in->len += (size_t)got;
    if (in->nul == held) {
        const char *nul = memchr(in->buf + held, 0, (size_t)got);
        in->nul = nul ? (size_t)(nul - in->buf) : in->len;
    }
    return 1;
}

static int give_failure(const brew_in *in, brew_err *err) {
    if (err) *err = in->failure;
    return -1;
}

// Takes buf[pos, pos+count); in->nul moves to the next NUL behind it.
static void take(brew_in *in, size_t count) {
    in->pos += count;
    in->offset += count;
    if (in->nul >= in->pos) return;
    const char *nul = memchr(in->buf + in->pos, 0, in->len - in->pos);
    in->nul = nul ? (size_t)(nul - in->buf) : in->len;
}

ssize_t brew_in_read(brew_in *in, void *bytes, size_t len, brew_err *err) {
    size_t held = in->len - in->pos;
    ssize_t got;
    if (held) {
        got = (ssize_t)(held < len ? held : len);
        memcpy(bytes, in->buf + in->pos, (size_t)got);
        take(in, (size_t)got);
        return got;
    }
    got = len ? produce(in, bytes, len) : 0;
    if (got < 0) return give_failure(in, err);
    in->offset += (uint64_t)got;
    return got;
}

ssize_t brew_in_peek(brew_in *in, const char **bytes, size_t len, brew_err *err) {
    if (len > PEEK_MAX) brew_bug("peeking at %zu bytes", len);
    while (in->len - in->pos < len) {
        int more = fill(in);
        if (more < 0) return give_failure(in, err);
        if (!more) break;
    }
    *bytes = in->buf + in->pos;
    return (ssize_t)(in->len - in->pos < len ? in->len - in->pos : len);
}

// ---- lines ----

static int cut_short(brew_in *in) {
    return brew_fail(&in->failure, BREW_DATA,
                     "%s:%llu: the last line has no newline: the input was cut short", in->name,
                     (unsigned long long)in->line_number);
}

// Takes the rest of a line that is too long, so that the next call finds the next line.
static int skip_line(brew_in *in) {
    for (;;) {
        size_t held = in->len - in->pos;
        const char *newline = held ? memchr(in->buf + in->pos, '\n', held) : NULL;
        take(in, newline ? (size_t)(newline - in->buf) + 1 - in->pos : held);
        if (newline) return 0;
        int more = fill(in);
        if (more < 0) return -1;
        if (!more) return cut_short(in);
    }
}

int brew_in_line(brew_in *in, const char **line, size_t *len, size_t max_bytes, brew_err *err) {
    size_t seen = 0; // bytes behind pos known to hold no newline
    const char *newline;
    while (!(newline = in->len - in->pos > seen
                           ? memchr(in->buf + in->pos + seen, '\n', in->len - in->pos - seen)
                           : NULL)) {
        seen = in->len - in->pos;
        int more = seen > max_bytes ? 1 : fill(in);
        if (more < 0) return give_failure(in, err);
        if (!more && !seen) return 0;
        if (!more) {
            in->line_number++;
            cut_short(in);
            return give_failure(in, err);
        }
        if (seen > max_bytes) break;
    }
    in->line_number++;
    size_t taken = newline ? (size_t)(newline - in->buf) - in->pos : seen;
    if (taken > max_bytes) {
        if (skip_line(in)) return give_failure(in, err);
        return brew_fail(err, BREW_DATA, "a line of more than %zu bytes", max_bytes);
    }
    bool has_nul = in->nul < in->pos + taken;
    *line = in->buf + in->pos;
    *len = taken;
    take(in, taken + 1);
    if (has_nul) return brew_fail(err, BREW_DATA, "a NUL byte in a line of text");
    return 1;
}

uint64_t brew_in_line_number(const brew_in *in) {
    return in->line_number;
}

uint64_t brew_in_offset(const brew_in *in) {
    return in->offset;
}

void brew_in_digest_start(brew_in *in) {
    brew_sha256_init(&in->sha);
    in->digesting = true;
}

void brew_in_digest(brew_in *in, char hex[65]) {
    brew_sha256 copy = in->sha;
    brew_sha256_hex(&copy, hex);
}
