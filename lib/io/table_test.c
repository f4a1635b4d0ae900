#include "io/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/tap.h"
#include "io/json.h"

static char dir[] = "/tmp/brew-table-XXXXXX", path[128];

static const char *put(const char *name, const char *bytes, size_t len) {
    snprintf(path, sizeof path, "%s/%s", dir, name);
    size_t name_len = strlen(name);
    if (name_len > 3 && !strcmp(name + name_len - 3, ".gz")) {
        gzFile gz = gzopen(path, "wb");
        gzwrite(gz, bytes, (unsigned)len);
        gzclose(gz);
    } else {
        FILE *file = fopen(path, "wb");
        fwrite(bytes, 1, len, file);
        fclose(file);
    }
    return path;
}

static void add_row(brew_buf *out, const brew_field *fields, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (i) brew_buf_addc(out, '|');
        if (fields[i].ptr)
            brew_buf_add(out, fields[i].ptr, fields[i].len);
        else
            brew_buf_addc(out, '-');
    }
    brew_buf_addc(out, ';');
}

// All rows as "a|b;" with "-" for an absent field and "!LINE message;" for a bad row.
static void dump_rows(brew_buf *out, brew_table *table, size_t n) {
    brew_err err = {0};
    for (;;) {
        const brew_field *fields;
        int got = brew_table_next(table, &fields, &err);
        if (!got) break;
        if (got > 0) {
            add_row(out, fields, n);
            continue;
        }
        bool failed = brew_table_failed(table);
        const char *text = failed ? err.text + strlen(path) : err.text;
        brew_buf_addf(out, "!%d %s;", (int)brew_table_line_number(table), text);
        if (failed) break;
    }
}

enum { PARTS = 5 };
static brew_pool *threads;

// What a part's rows look like; numbers of lines stand apart, since they are counted from the part's first.
typedef struct seen {
    size_t n_fields;
    brew_buf texts;
    struct stretch {
        size_t end; // of a text that belongs before the line's number
        uint64_t line;
    } * bad; // [n_bad]
    size_t n_bad, bad_cap;
} seen;

static void see_part(void *arg, size_t part, brew_table_part *rows) {
    seen *s = (seen *)arg + part;
    const brew_field *fields;
    brew_err err = {0};
    int got;
    s->n_bad = 0;
    brew_buf_reset(&s->texts);
    while ((got = brew_part_next(rows, &fields, &err))) {
        if (got > 0) {
            add_row(&s->texts, fields, s->n_fields);
            continue;
        }
        BREW_GROW(s->bad, s->n_bad + 1, s->bad_cap);
        brew_buf_addc(&s->texts, '!');
        s->bad[s->n_bad++] = (struct stretch){s->texts.len, brew_part_line(rows)};
        brew_buf_addf(&s->texts, " %s;", err.text);
    }
}

// The same by rounds of so many parts.
static void dump_rounds(brew_buf *out, brew_table *table, size_t n, size_t max_parts) {
    static seen parts[PARTS];
    brew_err err = {0};
    ptrdiff_t got;
    for (size_t i = 0; i < PARTS; i++) parts[i].n_fields = n;
    while ((got = brew_table_round(table, threads, max_parts, see_part, parts, &err)) > 0)
        for (ptrdiff_t i = 0; i < got; i++) {
            const seen *s = &parts[i];
            size_t from = 0;
            for (size_t k = 0; k < s->n_bad; k++) {
                brew_buf_add(out, s->texts.ptr + from, s->bad[k].end - from);
                brew_buf_addf(out, "%d",
                              (int)(brew_table_part_line(table, (size_t)i) + s->bad[k].line));
                from = s->bad[k].end;
            }
            if (s->texts.len) brew_buf_add(out, s->texts.ptr + from, s->texts.len - from);
        }
    if (got < 0)
        brew_buf_addf(out, "!%d %s;", (int)brew_table_line_number(table), err.text + strlen(path));
    for (size_t i = 0; i < PARTS; i++) {
        brew_buf_release(&parts[i].texts);
        free(parts[i].bad);
        parts[i] = (seen){0};
    }
}

// The rows, read one after the other and in rounds, which is said where it differs.
static void dump(brew_buf *out, const char *name, enum brew_table_format format, const char *bytes,
                 size_t len, const char *first, const char *second) {
    const char *columns[] = {first, second};
    brew_err err = {0};
    put(name, bytes, len);
    for (size_t parts = 0; parts <= PARTS; parts++) {
        brew_table *table = brew_table_open(path, format, columns, second ? 2 : 1, &err);
        brew_buf rounds = {0};
        if (!table && !parts) brew_buf_addf(out, "%s", err.text + strlen(path));
        if (table && !parts) dump_rows(out, table, second ? 2 : 1);
        if (table && parts) dump_rounds(&rounds, table, second ? 2 : 1, parts);
        if (table && parts &&
            (rounds.len != out->len || (out->len && memcmp(rounds.ptr, out->ptr, out->len)))) {
            brew_buf_addf(out, " but in %zu parts: %s", parts, rounds.ptr ? rounds.ptr : "");
            parts = PARTS;
        }
        brew_buf_release(&rounds);
        brew_table_close(table);
    }
}

static void is_rows(const char *name, const char *bytes, const char *want) {
    brew_buf out = {0};
    dump(&out, name, BREW_TABLE_AUTO, bytes, strlen(bytes), "a", "b");
    is_str(out.ptr ? out.ptr : "", want, name);
    brew_buf_release(&out);
    unlink(path);
}

static void test_csv(void) {
    is_rows("1.csv", "a,b\n1,2\n3,4\n", "1|2;3|4;");
    is_rows("crlf.csv", "a,b\r\n1,2\r\n3,\r\n", "1|2;3|;");
    is_rows("order.csv", "x,b,y,a\n1,2,3,4\n", "4|2;");
    is_rows("bom.csv", "\xef\xbb\xbf\"a\",b\n1,2", "1|2;");
    is_rows("quotes.csv", "a,b\n\"x,\"\"y\"\"\nz\",\"\"\nu,\"v\"\r\n", "x,\"y\"\nz|;u|v;");
    is_rows("lines.csv", "a,b\n\"1\n2\n\",3\nbad\n4,5\n",
            "1\n2\n|3;!5 1 fields where the header has 2;4|5;");
    is_rows("counts.csv", "a,b\n1\n1,2,3\n\n4,5\n",
            "!2 1 fields where the header has 2;!3 3 fields where the header has 2;"
            "!4 1 fields where the header has 2;4|5;");
    is_rows("stray.csv", "a,b\nx\"y,1\n\"q\"r,2\n3,4\n\"open,5\n6,7\n",
            "!2 a quote inside an unquoted field;"
            "!3 bytes between a closing quote and the end of its field;3|4;"
            "!5 a quoted field does not end;6|7;");
    is_rows("utf8.csv", "a,b\n\xe9,1\n\xc3\xa9,2\n\"\xff\",3\n",
            "!2 not UTF-8;\xc3\xa9|2;!4 not UTF-8;");
    is_rows("missing.csv", "a,c\n", ":1: no column \"b\" in the header");
    is_rows("twice.csv", "a,b,a\n", ":1: more than one column \"a\" in the header");
    is_rows("empty.csv", "", ": empty where a header line was expected");
    is_rows("bom-only.csv", "\xef\xbb\xbf", ": empty where a header line was expected");
    is_rows("header.csv", "a,b", "");
    is_rows("packed.csv.gz", "a,b\n1,2\n", "1|2;");
    brew_buf out = {0};
    dump(&out, "nul.csv", BREW_TABLE_AUTO, "a,b\n1\0,2\n3,4\n", 13, "a", "b");
    is_str(out.ptr, "!2 a NUL byte;3|4;", "a NUL byte");
    brew_buf_release(&out);
}

static void test_others(void) {
    is_rows("1.tsv", "a\tb\n\"1\t2,\"\n", "\"1|2,\";");
    is_rows("1.inter", "a:token\tb:float\n1\t2\n", "1|2;");
    is_rows("sniff-tab", "a\tb\n1\t2\n", "1|2;");
    is_rows("sniff-comma", "a,b\n1,2\n", "1|2;");
    is_rows("sniff-json", "{\"b\":1,\"a\":\"x\"}\n", "x|1;");
    is_rows("sniff-empty", "", ": empty where a header line was expected");
}

static void test_jsonl(void) {
    is_rows("1.jsonl",
            "{\"a\":\"x\",\"z\":[1,{\"a\":2}],\"b\":-1.50e3}\r\n{\"b\":true}\n{\"a\":null}\n",
            "x|-1.50e3;-|true;-|-;");
    is_rows("escapes.jsonl", "{\"\\u0061\":\"\\u00e9\\n\\\"\\ud83d\\ude00\\/\",\"b\":\"\\\\\"}\n",
            "\xc3\xa9\n\"\xf0\x9f\x98\x80/|\\;");
    is_rows("bad.jsonl",
            "{\"a\":1,\"a\":2}\n{\"a\":[1]}\n{\"b\":\"\\u0000\"}\n[1]\n\n{\"a\":1}x\n{\"a\":01}\n{"
            "\"b\":\"\t\"}\n"
            "{\"a\":1}\n",
            "!1 column 13: a key stands twice in one object;"
            "!2 \"a\" holds an array, not a text or a number;!3 \"b\" holds a NUL character;"
            "!4 column 1: not a JSON object;!5 column 1: empty where a JSON object was expected;"
            "!6 column 8: more bytes behind the JSON value;!7 column 7: not JSON;"
            "!8 column 7: a control character in a string;1|-;");
    is_rows("cut.jsonl", "{\"a\":1}\n{\"a\":2}",
            "1|-;!2 :2: the last line has no newline: the input was cut short;");
    is_rows("empty.jsonl", "", "");
}

// JSON that jansson takes, the scanner takes, and the other way round, but for the two stated exceptions.
static void test_scanner(void) {
    static const char *const pieces[] = {
        "{",    "}",    "[",    "]",       ",",        ":",    "\"a\"", "\"b",    "\"",     "\\",
        "u",    "00e9", "d83d", "\\ude00", "1",        "0",    "-",     ".5",     "e",      "+",
        "true", "fals", "null", " ",       "\xc3\xa9", "\xc3", "\x01",  "\"c\":", "{\"d\":"};
    size_t n_pieces = sizeof pieces / sizeof *pieces, differ = 0, taken = 0;
    uint64_t state = 1;
    for (int trial = 0; trial < 200000; trial++) {
        brew_buf text = {0};
        brew_buf_adds(&text, "{\"k\":");
        for (int i = 0; i < trial % 7; i++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            brew_buf_adds(&text, pieces[(state >> 33) % n_pieces]);
        }
        brew_buf_adds(&text, "}");
        brew_json_slice slices[8];
        ptrdiff_t n = brew_json_members(text.ptr, text.len, slices, 8, NULL);
        brew_json *value = brew_json_parse(text.ptr, text.len, NULL);
        differ += (n < 0) != !value;
        taken += n >= 0;
        brew_json_free(value);
        brew_buf_release(&text);
    }
    ok(!differ && taken > 1000, "scanner and parser agree on 200,000 texts, %zu of them good",
       taken);
    for (int depth = BREW_JSON_DEPTH; depth <= BREW_JSON_DEPTH + 1; depth++) {
        brew_buf text = {0};
        for (int i = 0; i < depth; i++) brew_buf_adds(&text, i ? "[" : "{\"a\":");
        for (int i = depth; i-- > 0;) brew_buf_addc(&text, i ? ']' : '}');
        brew_json_slice slices[2];
        ptrdiff_t n = brew_json_members(text.ptr, text.len, slices, 2, NULL);
        is_int(n, depth > BREW_JSON_DEPTH ? -1 : 1, "depth");
        brew_buf_release(&text);
    }
}

// Rows longer than the buffer, and rows across its edges, quoted or not.
static void test_large(void) {
    brew_buf text = {0}, want = {0}, got = {0};
    brew_buf_adds(&text, "a,b\n");
    for (int i = 0; i < 3000; i++) {
        size_t width = (size_t)(i * 7919 % 601);
        if (i == 1500) width = 700000;
        brew_buf_addf(&text, i % 3 ? "%d," : "\"%d\"\"\",\"", i);
        brew_buf_addf(&want, i % 3 ? "%d|" : "%d\"|", i);
        for (size_t k = 0; k < width; k++) {
            char c = i % 3 == 0 && k % 50 == 0 ? '\n' : 'x';
            brew_buf_addc(&text, c);
            brew_buf_addc(&want, c);
        }
        brew_buf_adds(&text, i % 3 ? "\n" : "\"\r\n");
        brew_buf_addc(&want, ';');
    }
    dump(&got, "large.csv", BREW_TABLE_AUTO, text.ptr, text.len, "a", "b");
    ok(got.len == want.len && !memcmp(got.ptr, want.ptr, got.len), "3,000 rows of many lengths");
    brew_buf_release(&text);
    brew_buf_release(&want);
    brew_buf_release(&got);
}

// Every cut of a quoted file ends in rows or in an error, and reads nothing it should not (ASan).
static void test_cuts(void) {
    const char *text = "\xef\xbb\xbf"
                       "a,b\r\n\"1,\"\"\n2\",3\r\n\xc3\xa9,\"\"\r\n";
    size_t len = strlen(text), done = 0;
    for (size_t cut = 0; cut <= len; cut++) {
        brew_buf out = {0};
        dump(&out, "cut.csv", BREW_TABLE_AUTO, text, cut, "a", "b");
        done += 1;
        brew_buf_release(&out);
    }
    is_int((long long)done, (long long)len + 1, "all cuts end");
}

// Rows and what is not a row, made of pieces that matter, look the same however they are divided.
static void test_parts(void) {
    static const char *const pieces[] = {"a",
                                         "bc",
                                         ",",
                                         ",",
                                         "\"",
                                         "\"\"",
                                         "\n",
                                         "\n",
                                         "\r\n",
                                         "\xc3\xa9",
                                         "\xff",
                                         "\"x\ny\"",
                                         "\r",
                                         "1,2\n",
                                         "\"q\",\"r\"\n",
                                         "{\"a\":1}\n",
                                         "{\"b\":\"\\n\",\"a\":2}\n"};
    size_t n_pieces = sizeof pieces / sizeof *pieces, differ = 0, rows = 0;
    uint64_t state = 1;
    for (int trial = 0; trial < 3000; trial++) {
        brew_buf text = {0}, out = {0};
        enum brew_table_format format = trial % 3 == 2 ? BREW_TABLE_JSONL
                                        : trial % 3    ? BREW_TABLE_TSV
                                                       : BREW_TABLE_CSV;
        brew_buf_adds(&text, format == BREW_TABLE_JSONL ? ""
                             : format == BREW_TABLE_TSV ? "a\tb\n"
                                                        : "a,b\n");
        for (int i = 0; i < trial % 60; i++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            brew_buf_adds(&text, pieces[(state >> 33) % n_pieces]);
        }
        if (trial % 5 && text.len) text.ptr[text.len - 1] = '\n';
        dump(&out, "parts", format, text.ptr ? text.ptr : "", text.len, "a", "b");
        differ += out.ptr && strstr(out.ptr, " but in ");
        rows += out.ptr && strchr(out.ptr, '|');
        brew_buf_release(&text);
        brew_buf_release(&out);
    }
    ok(!differ && rows > 1000, "3,000 texts in one to five parts, %zu of them with rows", rows);
}

static void test_raw(void) {
    const char *columns[] = {"a"};
    brew_err err = {0};
    brew_table *table =
        brew_table_open(put("raw.csv", "a,b\n\"x\ny\",1\nz\r\n", 15), 0, columns, 1, &err);
    const brew_field *fields;
    const char *raw;
    size_t len;
    ok(table && brew_table_next(table, &fields, &err) == 1, "a row");
    brew_table_raw(table, &raw, &len);
    ok(len == 7 && !memcmp(raw, "\"x\ny\",1", 7), "its raw bytes");
    ok(brew_table_next(table, &fields, &err) == -1 && !brew_table_failed(table), "a bad row");
    brew_table_raw(table, &raw, &len);
    ok(len == 1 && *raw == 'z', "its raw bytes");
    is_int((long long)brew_table_line_number(table), 4, "its line");
    ok(brew_table_next(table, &fields, &err) == 0, "the end");
    brew_table_close(table);
}

int main(void) {
    if (!mkdtemp(dir)) return 1;
    threads = brew_pool_new(2);
    test_csv();
    test_others();
    test_jsonl();
    test_scanner();
    test_large();
    test_cuts();
    test_parts();
    test_raw();
    brew_pool_free(threads);
    char command[160];
    snprintf(command, sizeof command, "rm -r %s", dir);
    if (system(command)) return 1;
    return tap_done();
}
