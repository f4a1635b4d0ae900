#include "io/in.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>
#include <zlib.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/tap.h"
#include "io/testing.h"

static char dir[] = "/tmp/brew-in-XXXXXX", path[64];

enum coding { PLAIN, GZIP, TWO_GZIPS, ZSTD, XZ, CODINGS };
static const char *const names[] = {"plain", "gzip", "two gzip members", "zstd", "xz"};

static void gzip(brew_buf *out, const char *bytes, size_t len) {
    z_stream z = {0};
    deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
    size_t bound = deflateBound(&z, len);
    brew_buf_reserve(out, bound);
    z.next_in = (Bytef *)(uintptr_t)bytes;
    z.avail_in = (uInt)len;
    z.next_out = (Bytef *)out->ptr + out->len;
    z.avail_out = (uInt)bound;
    deflate(&z, Z_FINISH);
    out->len += bound - z.avail_out;
    deflateEnd(&z);
}

static void with_archive(brew_buf *out, const char *bytes, size_t len, enum coding coding) {
    size_t cap = len + 4096, used = 0;
    brew_buf_reserve(out, cap);
    struct archive *a = archive_write_new();
    archive_write_set_format_raw(a);
    if (coding == ZSTD)
        archive_write_add_filter_zstd(a);
    else
        archive_write_add_filter_xz(a);
    archive_write_set_bytes_in_last_block(a, 1);
    archive_write_open_memory(a, out->ptr, cap, &used);
    struct archive_entry *entry = archive_entry_new();
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_write_header(a, entry);
    archive_write_data(a, bytes, len);
    archive_write_close(a);
    archive_write_free(a);
    archive_entry_free(entry);
    out->len = used;
}

static void encode(brew_buf *out, const char *bytes, size_t len, enum coding coding) {
    brew_buf_reset(out);
    if (coding == PLAIN) brew_buf_add(out, bytes, len);
    if (coding == GZIP) gzip(out, bytes, len);
    if (coding == TWO_GZIPS) {
        gzip(out, bytes, len / 3);
        gzip(out, bytes + len / 3, len - len / 3);
    }
    if (coding == ZSTD || coding == XZ) with_archive(out, bytes, len, coding);
}

// All decoded bytes, read in pieces of `step`: 0, or -1.
static int slurp(brew_buf *out, size_t step, brew_err *err) {
    brew_in *in = brew_in_open(path, err);
    if (!in) return -1;
    brew_buf_reset(out);
    ssize_t got;
    do {
        brew_buf_reserve(out, step);
        got = brew_in_read(in, out->ptr + out->len, step, err);
        if (got > 0) out->len += (size_t)got;
    } while (got > 0);
    if (got == 0 && brew_in_offset(in) != out->len) got = -1;
    brew_in_close(in);
    return (int)got;
}

static void make_text(brew_buf *text, size_t lines) {
    uint64_t state = 3;
    for (size_t i = 0; i < lines; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        brew_buf_addf(text, "%zu,%llx,%s\n", i, (unsigned long long)state,
                      i % 3 ? "" : "some text");
    }
}

static void test_codings(void) {
    brew_buf text = {0}, packed = {0}, got = {0};
    brew_err err = {0};
    make_text(&text, 40000);
    for (enum coding coding = 0; coding < CODINGS; coding++) {
        encode(&packed, text.ptr, text.len, coding);
        put(path, packed.ptr, packed.len);
        for (size_t step = 7; step < 4000000; step = step * 1000 + 1) {
            err.text[0] = 0;
            ok(!slurp(&got, step, &err) && got.len == text.len &&
                   !memcmp(got.ptr, text.ptr, got.len),
               "%s, %zu bytes at a time %s", names[coding], step, err.text);
        }
        encode(&packed, "", 0, coding);
        put(path, packed.ptr, packed.len);
        if (coding == ZSTD || coding == XZ)
            ok(slurp(&got, 100, &err) < 0, "%s of nothing: %s", names[coding],
               strrchr(err.text, ':'));
        else
            ok(!slurp(&got, 100, &err) && !got.len, "%s of nothing", names[coding]);
    }
    brew_buf_release(&text);
    brew_buf_release(&packed);
    brew_buf_release(&got);
}

// A compressed stream cut at any byte is an error, but at 0, and where the magic is not whole yet.
static void test_cuts(void) {
    brew_buf text = {0}, packed = {0}, got = {0};
    brew_err err = {0};
    make_text(&text, 30);
    for (enum coding coding = GZIP; coding < CODINGS; coding++) {
        encode(&packed, text.ptr, text.len, coding);
        size_t magic = coding <= TWO_GZIPS ? 2 : coding == ZSTD ? 4 : 6, missed = 0;
        size_t first = 0;
        if (coding == TWO_GZIPS) {
            brew_buf one = {0};
            gzip(&one, text.ptr, text.len / 3);
            first = one.len; // a whole file, too
            brew_buf_release(&one);
        }
        put(path, packed.ptr, packed.len);
        for (size_t cut = packed.len; cut-- > magic;) {
            cut_to(path, cut);
            err.code = BREW_OK;
            bool found = slurp(&got, 4096, &err) < 0 && err.code == BREW_DATA;
            missed += found == (first && cut == first);
        }
        is_int((long long)missed, 0, names[coding]);
        brew_buf_addc(&packed, 'x');
        put(path, packed.ptr, packed.len);
        if (coding <= TWO_GZIPS) ok(slurp(&got, 4096, &err) < 0, "a byte behind: %s", err.text);
    }
    brew_buf_release(&text);
    brew_buf_release(&packed);
    brew_buf_release(&got);
}

static void test_flips(void) {
    brew_buf text = {0}, packed = {0}, got = {0};
    make_text(&text, 20);
    encode(&packed, text.ptr, text.len, GZIP);
    put(path, packed.ptr, packed.len);
    size_t wrong = 0, found = 0;
    for (size_t bit = 16; bit < 8 * packed.len; bit++) { // without the magic it is no gzip
        flip(path, bit / 8, (int)(bit % 8));
        if (slurp(&got, 4096, NULL) < 0)
            found++;
        else
            wrong += got.len != text.len || memcmp(got.ptr, text.ptr, text.len);
        flip(path, bit / 8, (int)(bit % 8));
    }
    ok(!wrong && found > 7 * packed.len, "each bit flipped: %zu found, none unseen", found);
    brew_buf_release(&text);
    brew_buf_release(&packed);
    brew_buf_release(&got);
}

static void test_lines(void) {
    const char *text = "one\n\ntwo\r\nthree";
    brew_err err = {0};
    const char *line;
    size_t len;
    put(path, text, strlen(text));
    brew_in *in = brew_in_open(path, &err);
    brew_in_digest_start(in);
    const char *peeked;
    is_int(brew_in_peek(in, &peeked, 100, &err), 15, "peeking past the end");
    ok(brew_in_line(in, &line, &len, 100, &err) == 1 && len == 3 && !memcmp(line, "one", 3),
       "a line");
    ok(brew_in_line(in, &line, &len, 100, &err) == 1 && len == 0, "an empty line");
    ok(brew_in_line(in, &line, &len, 100, &err) == 1 && len == 4, "a carriage return stays");
    is_int((long long)brew_in_line_number(in), 3, "its number");
    is_int((long long)brew_in_offset(in), 10, "its end");
    ok(brew_in_line(in, &line, &len, 100, &err) < 0 && err.code == BREW_DATA, "%s", err.text);
    ok(brew_in_failed(in), "which lasts");
    ok(brew_in_line(in, &line, &len, 100, &err) < 0, "and lasts");
    char hex[65], want[65];
    brew_sha256 sha;
    brew_in_digest(in, hex);
    brew_sha256_init(&sha);
    brew_sha256_add(&sha, text, strlen(text));
    brew_sha256_hex(&sha, want);
    is_str(hex, want, "the digest");
    brew_in_close(in);
}

static void test_bad_lines(void) {
    brew_err err = {0};
    const char *line;
    size_t len;
    brew_buf text = {0};
    brew_buf_add(&text, "a\0b\nc\n", 6);
    for (int i = 0; i < 1000000; i++) brew_buf_addc(&text, 'x');
    brew_buf_add(&text, "\0\nd\n12345\n123456\ne\n", 19);
    put(path, text.ptr, text.len);
    brew_in *in = brew_in_open(path, &err);
    ok(brew_in_line(in, &line, &len, 5, &err) < 0 && !brew_in_failed(in), "%s", err.text);
    ok(brew_in_line(in, &line, &len, 5, &err) == 1 && *line == 'c', "the next line");
    ok(brew_in_line(in, &line, &len, 5, &err) < 0 && !brew_in_failed(in), "%s", err.text);
    is_int((long long)brew_in_line_number(in), 3, "its number");
    ok(brew_in_line(in, &line, &len, 5, &err) == 1 && *line == 'd', "the next line");
    ok(brew_in_line(in, &line, &len, 5, &err) == 1 && len == 5, "the longest allowed");
    ok(brew_in_line(in, &line, &len, 5, &err) < 0 && !brew_in_failed(in), "one byte more");
    ok(brew_in_line(in, &line, &len, 5, &err) == 1 && *line == 'e', "the last line");
    ok(brew_in_line(in, &line, &len, 5, &err) == 0, "the end");
    brew_in_close(in);
    brew_buf_release(&text);
}

// Lines of every length around the buffer's edges, mixed with plain reads.
static void test_long_lines(void) {
    brew_buf text = {0};
    brew_err err = {0};
    size_t lengths[] = {0, 1, 262143, 262144, 262145, 3, 700000, 5, 1048576, 2};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        for (size_t k = 0; k < lengths[i]; k++) brew_buf_addc(&text, (char)('a' + (i + k) % 26));
        brew_buf_addc(&text, '\n');
    }
    put(path, text.ptr, text.len);
    brew_in *in = brew_in_open(path, &err);
    size_t at = 0;
    bool same = true;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        const char *line;
        size_t len;
        same = same && brew_in_line(in, &line, &len, 1 << 20, &err) == 1 && len == lengths[i] &&
               !memcmp(line, text.ptr + at, len);
        at += lengths[i] + 1;
    }
    ok(same && brew_in_offset(in) == text.len, "lines of many lengths");
    brew_in_close(in);
    in = brew_in_open(path, &err);
    char some[10];
    const char *line;
    size_t len;
    ok(brew_in_line(in, &line, &len, 9, &err) == 1 && brew_in_line(in, &line, &len, 9, &err) == 1 &&
           brew_in_read(in, some, 10, &err) == 10 && !memcmp(some, text.ptr + 3, 10),
       "bytes behind a line");
    brew_in_close(in);
    brew_buf_release(&text);
}

static void test_opening(void) {
    brew_err err = {0};
    ok(!brew_in_open("/nonexistent/file", &err) && err.code == BREW_NOINPUT, "%s", err.text);
    ok(!brew_in_open(dir, &err) && err.code == BREW_NOINPUT, "%s", err.text);
    brew_in_close(NULL);
    brew_in *in = brew_in_open("-", &err);
    is_str(brew_in_name(in), "standard input", "the name of -");
    brew_in_close(in);
}

int main(void) {
    if (!mkdtemp(dir)) return 1;
    snprintf(path, sizeof path, "%s/file", dir);
    test_codings();
    test_cuts();
    test_flips();
    test_lines();
    test_bad_lines();
    test_long_lines();
    test_opening();
    unlink(path);
    rmdir(dir);
    return tap_done();
}
