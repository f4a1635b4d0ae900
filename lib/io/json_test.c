#include "io/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/tap.h"

static char *round_trip(const char *text) {
    brew_err err = {0};
    brew_json *value = brew_json_parse(text, strlen(text), &err);
    if (!value) return brew_strdup(err.text);
    brew_buf out = {0};
    brew_json_write(&out, value);
    brew_json_free(value);
    return out.ptr;
}

static void is_written(const char *text, const char *want) {
    char *got = round_trip(text);
    char what[64];
    snprintf(what, sizeof what, "written: %.40s", text);
    is_str(got, want, what);
    free(got);
}

static void test_values(void) {
    is_written("{\"b\":1, \"a\":[true,false,null,-5]}", "{\"b\":1,\"a\":[true,false,null,-5]}");
    is_written("0.1", "0.1");
    is_written("1e-9", "1e-09");
    is_written("[9007199254740993, -9223372036854775808]",
               "[9007199254740993,-9223372036854775808]");
    is_written("0.30000000000000004", "0.30000000000000004");
    is_written("\"\\u0041\\n\\u0001\\\"\\\\/\\u00e9\"", "\"A\\n\\u0001\\\"\\\\/\xc3\xa9\"");
    is_written(" \t\"x\"\r\n", "\"x\"");
    brew_json *text = brew_json_parse("\"a\\u0000b\"", 10, NULL);
    size_t len;
    ok(text && !memcmp(brew_json_string(text, &len), "a\0b", 3) && len == 3, "NUL in a string");
    brew_buf out = {0};
    if (text) brew_json_write(&out, text);
    is_str(out.ptr, "\"a\\u0000b\"", "NUL written");
    brew_json_free(text);
    brew_buf_release(&out);
}

static const struct {
    const char *text, *message;
} bad[] = {
    {"", "empty where a JSON value was expected"},
    {" \n ", "empty where a JSON value was expected"},
    {"{\"CANARY\":1,\"CANARY\":2}", "column 20: a key stands twice in one object"},
    {"{\"a\":CANARY}", "column 11: not JSON"},
    {"[1,\n CANARY]", "line 2, column 7: not JSON"},
    {"\"CANARY", "the JSON text ends too early"},
    {"{\"CANARY\":1", "the JSON text ends too early"},
    {"1 2", "more bytes behind the JSON value"},
    {"\"CANARY\xff\"", "not UTF-8"},
    {"\"\xed\xa0\x80\"", "not UTF-8"},
    {"\"\\ud800\"", "not JSON"},
    {"\"CANARY\tCANARY\"", "not JSON"},
    {"92233720368547758080", "an integer beyond 64 bits"},
    {"-92233720368547758080", "an integer beyond 64 bits"},
    {"1e999", "a number too large for a double"},
    {"{\"\\u0000\":1}", "a NUL character in a key"},
    {"01", "not JSON"},
    {"NaN", "not JSON"},
    {"\xef\xbb\xbf{}", "not JSON"},
    {"'a'", "not JSON"},
    {"[1,]", "not JSON"},
};

static void test_errors(void) {
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        brew_err err = {0};
        brew_json *value = brew_json_parse(bad[i].text, strlen(bad[i].text), &err);
        ok(!value && err.code == BREW_DATA && strstr(err.text, bad[i].message) &&
               !strstr(err.text, "CANARY"),
           "refused %zu: %s", i, err.text);
        brew_json_free(value);
    }
}

static void test_depth(void) {
    for (int depth = BREW_JSON_DEPTH; depth <= BREW_JSON_DEPTH + 1; depth++) {
        brew_buf text = {0};
        for (int i = 0; i < depth; i++) brew_buf_adds(&text, i % 2 ? "[" : "{\"a\":");
        brew_buf_adds(&text, "\"[[[[\\\"[[[[\"");
        for (int i = depth; i-- > 0;) brew_buf_addc(&text, i % 2 ? ']' : '}');
        brew_err err = {0};
        brew_json *value = brew_json_parse(text.ptr, text.len, &err);
        ok(!value == (depth > BREW_JSON_DEPTH), "depth %d: %s", depth, err.text);
        brew_json_free(value);
        brew_buf_release(&text);
    }
    brew_err nul = {0};
    ok(!brew_json_parse("[1\0,2]", 6, &nul), "a NUL byte behind a number: %s", nul.text);
    brew_buf deep = {0};
    for (int i = 0; i < 1000000; i++) brew_buf_addc(&deep, '[');
    brew_err err = {0};
    ok(!brew_json_parse(deep.ptr, deep.len, &err), "a million brackets: %s", err.text);
    brew_buf_release(&deep);
}

static void test_cuts(void) {
    const char *text = "{\"a\":[1,2.5e3,\"x\\u00e9\xc3\xa9\"],\"b\":{\"c\":null,\"d\":true}}";
    size_t refused = 0, len = strlen(text);
    for (size_t cut = 0; cut < len; cut++) {
        char *copy = brew_strndup(text, cut); // its own block, so that ASan sees a read behind it
        char *exact = brew_alloc(cut);
        memcpy(exact, copy, cut);
        brew_json *value = brew_json_parse(exact, cut, NULL);
        refused += !value;
        brew_json_free(value);
        free(copy);
        free(exact);
    }
    is_int((long long)refused, (long long)len, "every cut is refused");
}

static void test_want(void) {
    const char *text = "{\"i\":5,\"r\":1.5,\"s\":\"x\",\"b\":true,\"n\":null,\"z\":\"a\\u0000\"}";
    brew_json *object = brew_json_parse(text, strlen(text), NULL);
    brew_err err = {0};
    int64_t i = 7;
    double r = 0;
    bool b = false;
    const char *s = NULL;
    is_int(brew_json_want_int(object, "i", 0, 9, &i, &err), 1, "an integer");
    is_int(i, 5, "its value");
    is_int(brew_json_want_int(object, "x", 0, 9, &i, &err), 0, "an absent integer");
    is_int(brew_json_want_int(object, "n", 0, 9, &i, &err), 0, "null is absent");
    is_int(i, 5, "and left alone");
    is_int(brew_json_want_int(object, "i", 6, 9, &i, &err), -1, "out of range");
    is_str(err.text, "\"i\" is 5, but must be in [6, 9]", "the message has both");
    is_int(brew_json_want_int(object, "s", 0, 9, &i, &err), -1, "a string is no integer");
    is_str(err.text, "\"s\" must be an integer, not a string", "the message has both");
    is_int(brew_json_want_int(object, "r", 0, 9, &i, &err), -1, "a real is no integer");
    ok(brew_json_want_real(object, "r", &r, &err) == 1 && r == 1.5, "a real");
    ok(brew_json_want_real(object, "i", &r, &err) == 1 && r == 5, "a real written as an integer");
    ok(brew_json_want_bool(object, "b", &b, &err) == 1 && b, "a bool");
    ok(brew_json_want_string(object, "s", &s, &err) == 1 && !strcmp(s, "x"), "a string");
    is_int(brew_json_want_string(object, "z", &s, &err), -1, "a string with NUL");
    is_int(brew_json_want_string(object, "b", &s, &err), -1, "a bool is no string");
    brew_json_free(object);
}

static void test_slices(void) {
    const char *text =
        " { \"a\" : 1 ,\"b\\\"\":\"x,}\\\"\", \"c\":[1,{\"d\":\"]\"},2] ,\"e\":{},\"f\":-1.5e3}";
    const char *want[][2] = {{"a", "1"},
                             {"b\\\"", "\"x,}\\\"\""},
                             {"c", "[1,{\"d\":\"]\"},2]"},
                             {"e", "{}"},
                             {"f", "-1.5e3"}};
    brew_json_slice slices[8];
    size_t n = brew_json_slices(text, strlen(text), slices, 8);
    is_int((long long)n, 5, "five members");
    for (size_t i = 0; i < n; i++) {
        char *key = brew_strndup(slices[i].key, slices[i].key_len);
        char *value = brew_strndup(slices[i].value, slices[i].value_len);
        is_str(key, want[i][0], "key");
        is_str(value, want[i][1], "value");
        free(key);
        free(value);
    }
    is_int((long long)brew_json_slices(text, strlen(text), slices, 2), 2, "at most max");
    is_int((long long)brew_json_slices("{}", 2, slices, 8), 0, "an empty object");
    is_int((long long)brew_json_slices("[1]", 3, slices, 8), 0, "no object");
}

static void test_making(void) {
    brew_json *object = brew_json_new_object(), *array = brew_json_new_array();
    brew_json_push(array, brew_json_new_real(0.1));
    brew_json_push(array, brew_json_new_real(NAN));
    brew_json_push(array, brew_json_new_bool(false));
    brew_json_set(object, "z", array);
    brew_json_set(object, "a", brew_json_new_string("caf\xe9", 4));
    brew_json_set(object, "z2", brew_json_new_int(-3));
    brew_json *copy = brew_json_copy(object);
    brew_json_free(object);
    brew_buf out = {0};
    brew_json_write(&out, copy);
    is_str(out.ptr, "{\"z\":[0.1,null,false],\"a\":\"caf\xef\xbf\xbd\",\"z2\":-3}",
           "made and written");
    is_int((long long)brew_json_length(brew_json_get(copy, "z")), 3, "length");
    is_int((long long)brew_json_length(copy), 0, "an object has no length");
    is_str(brew_json_type_name(brew_json_at(brew_json_get(copy, "z"), 1)), "null", "type name");
    brew_json_free(copy);
    brew_buf_release(&out);
    brew_json_free(NULL);
}

static void test_settings(void) {
    const char *text = "{\"max\":1000000000000000019884624838656,\"min\":-92233720368547758080,"
                       "\"n\":[7,1e5],\"s\":\"1000000000000000019884624838656\"}";
    brew_json *value = brew_json_parse_settings(text, strlen(text), NULL);
    ok(value && brew_json_real(brew_json_get(value, "max")) == 1e30 &&
           brew_json_real(brew_json_get(value, "min")) == -92233720368547758080.0,
       "integers beyond 64 bits are reals in settings");
    ok(brew_json_int(brew_json_at(brew_json_get(value, "n"), 0)) == 7 &&
           !strcmp(brew_json_string(brew_json_get(value, "s"), NULL),
                   "1000000000000000019884624838656"),
       "all else is as it was");
    brew_json_free(value);
    brew_err err = {0};
    ok(!brew_json_parse_settings("{", 1, &err) && !brew_json_parse_settings("", 0, &err),
       "what is not JSON is refused");
}

int main(void) {
    test_settings();
    test_values();
    test_errors();
    test_depth();
    test_cuts();
    test_want();
    test_slices();
    test_making();
    return tap_done();
}
