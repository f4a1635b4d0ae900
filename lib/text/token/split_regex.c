// Patterns we have no splitter for: translated from Ruby's syntax to PCRE2's, classes spelled out.
//
// Oniguruma and PCRE2 disagree on Unicode's version, \s, \v, \h, $, {,n}, {n,m}+ and much that is rare;
// so only constructs with one known meaning are translated, and each class becomes a list of ranges.
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "text/token/split.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "text/token/unicode.h"

struct brew_split_regex {
    pcre2_code *code;
};

struct brew_split_room {
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
    size_t from, to; // the match found ahead of the gap before it; to 0: none
};

typedef struct parser {
    const char *at, *end;
    brew_buf out;
    uint8_t *set; // [UCD_POINTS], a class being built
    bool fold;    // inside (?i:
    char before;  // the literal before, where fold
    int depth;
    brew_err *err;
} parser;

static int refuse(parser *p, const char *what) {
    return brew_fail(p->err, BREW_DATA,
                     "tokenizer: a split pattern uses %s, which is not supported", what);
}

static const struct {
    const char *name;
    uint32_t categories;
} properties[] = {
    {"L", UCD_L},
    {"M", UCD_M},
    {"N", UCD_N},
    {"P", UCD_P},
    {"S", UCD_S},
    {"Z", UCD_Z},
    {"C", UCD_C},
    {"Lu", UCD_BIT(UCD_LU)},
    {"Ll", UCD_BIT(UCD_LL)},
    {"Lt", UCD_BIT(UCD_LT)},
    {"Lm", UCD_BIT(UCD_LM)},
    {"Lo", UCD_BIT(UCD_LO)},
    {"Mn", UCD_BIT(UCD_MN)},
    {"Mc", UCD_BIT(UCD_MC)},
    {"Me", UCD_BIT(UCD_ME)},
    {"Nd", UCD_BIT(UCD_ND)},
    {"Nl", UCD_BIT(UCD_NL)},
    {"No", UCD_BIT(UCD_NO)},
    {"Pc", UCD_BIT(UCD_PC)},
    {"Pd", UCD_BIT(UCD_PD)},
    {"Ps", UCD_BIT(UCD_PS)},
    {"Pe", UCD_BIT(UCD_PE)},
    {"Pi", UCD_BIT(UCD_PI)},
    {"Pf", UCD_BIT(UCD_PF)},
    {"Po", UCD_BIT(UCD_PO)},
    {"Sm", UCD_BIT(UCD_SM)},
    {"Sc", UCD_BIT(UCD_SC)},
    {"Sk", UCD_BIT(UCD_SK)},
    {"So", UCD_BIT(UCD_SO)},
    {"Zs", UCD_BIT(UCD_ZS)},
    {"Zl", UCD_BIT(UCD_ZL)},
    {"Zp", UCD_BIT(UCD_ZP)},
    {"Cc", UCD_BIT(UCD_CC) | UCD_BIT(UCD_CC_SPACE)},
    {"Cf", UCD_BIT(UCD_CF)},
    {"Co", UCD_BIT(UCD_CO)},
    {"Cn", UCD_BIT(UCD_CN)},
};

static void add_categories(parser *p, uint32_t categories, bool negate) {
    const uint8_t *ucd = brew_ucd();
    for (size_t c = 0; c < UCD_POINTS; c++)
        if (brew_ucd_in(ucd[c], categories) != negate) p->set[c] = 1;
}

// After \p or \P: {Name} or {^Name}.
static int add_property(parser *p, bool negate) {
    const char *close = p->at < p->end ? memchr(p->at, '}', (size_t)(p->end - p->at)) : NULL;
    if (!close || *p->at != '{') return refuse(p, "\\p without braces");
    const char *name = p->at + 1;
    p->at = close + 1;
    if (*name == '^') {
        negate = !negate;
        name++;
    }
    for (size_t i = 0; i < sizeof properties / sizeof *properties; i++)
        if (strlen(properties[i].name) == (size_t)(close - name) &&
            !memcmp(properties[i].name, name, (size_t)(close - name)))
            return add_categories(p, properties[i].categories, negate), 0;
    return brew_fail(p->err, BREW_DATA,
                     "tokenizer: a split pattern uses \\p{%.*s}, which is not supported",
                     (int)(close - name < 40 ? close - name : 40), name);
}

static int hex_point(parser *p, int most, bool braces, uint32_t *point) {
    uint32_t value = 0;
    int digits = 0;
    for (; p->at < p->end && digits < most; p->at++, digits++) {
        char c = *p->at;
        int d = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
        if (d < 0) break;
        value = value << 4 | (uint32_t)d;
    }
    if (braces && (p->at >= p->end || *p->at++ != '}')) return refuse(p, "an odd \\x{}");
    if (!digits || value >= UCD_POINTS || (value >= 0xd800 && value < 0xe000) ||
        (!braces && most == 2 && value > 0x7f))
        return refuse(p, "an odd hexadecimal character");
    *point = value;
    return 0;
}

// An escape, its backslash taken. 1: one character, in *point; 2: a class, added to the set; <0 error.
static int escape(parser *p, uint32_t *point) {
    if (p->at >= p->end) return refuse(p, "a backslash at its end");
    char c = *p->at++;
    switch (c) {
    case 'n':
        return *point = '\n', 1;
    case 'r':
        return *point = '\r', 1;
    case 't':
        return *point = '\t', 1;
    case 'f':
        return *point = '\f', 1;
    case 'v':
        return *point = '\v', 1;
    case 's':
        return add_categories(p, UCD_SPACE, false), 2;
    case 'S':
        return add_categories(p, UCD_SPACE, true), 2;
    case 'd':
        return add_categories(p, UCD_BIT(UCD_ND), false), 2;
    case 'D':
        return add_categories(p, UCD_BIT(UCD_ND), true), 2;
    case 'p':
    case 'P':
        return add_property(p, c == 'P') ? -1 : 2;
    case 'x': {
        bool braces = p->at < p->end && *p->at == '{';
        p->at += braces;
        return hex_point(p, braces ? 8 : 2, braces, point) ? -1 : 1;
    }
    case 'u':
        return hex_point(p, 4, false, point) ? -1 : 1;
    default:
        break;
    }
    bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (alnum || (unsigned char)c >= 0x80) {
        char what[] = "the escape \\?";
        what[sizeof what - 2] = alnum ? c : '?';
        return refuse(p, what);
    }
    return *point = (unsigned char)c, 1;
}

static void put_point(parser *p, uint32_t point) {
    brew_buf_addf(&p->out, "\\x{%x}", point);
}

static bool surrogate(size_t point) {
    return point >= 0xd800 && point < 0xe000;
}

// Writes the class built so far (or its complement) as ranges, and empties it.
static int put_set(parser *p, bool negate) {
    size_t from = SIZE_MAX, last = 0, ranges = 0;
    brew_buf_addc(&p->out, '[');
    for (size_t c = 0; c <= UCD_POINTS; c++) {
        if (surrogate(c)) continue;
        bool in = c < UCD_POINTS && (p->set[c] != 0) != negate;
        if (in && c >= 0x80 && p->fold) return refuse(p, "(?i: with a class beyond ASCII");
        if (in && from == SIZE_MAX) from = c;
        if (!in && from != SIZE_MAX) {
            put_point(p, (uint32_t)from);
            brew_buf_addc(&p->out, '-');
            put_point(p, (uint32_t)last);
            from = SIZE_MAX;
            ranges++;
        }
        last = c;
    }
    brew_buf_addc(&p->out, ']');
    memset(p->set, 0, UCD_POINTS);
    return ranges ? 0 : refuse(p, "an empty class");
}

// A class, its bracket taken.
static int char_class(parser *p) {
    bool negate = p->at < p->end && *p->at == '^';
    p->at += negate;
    uint32_t low = 0;
    bool have_low = false, first = true;
    for (;; first = false) {
        if (p->at >= p->end) return refuse(p, "a class without end");
        if (*p->at == ']' && !first) break;
        if (*p->at == '[' || *p->at == ']') return refuse(p, "brackets inside a class");
        if (p->end - p->at > 1 && !memcmp(p->at, "&&", 2)) return refuse(p, "&& inside a class");
        uint32_t point;
        int kind = 1;
        bool range = have_low && *p->at == '-' && p->end - p->at > 1 && p->at[1] != ']';
        p->at += range;
        if (*p->at == '\\') {
            p->at++;
            kind = escape(p, &point);
            if (kind < 0) return -1;
        } else {
            if (range && *p->at == '[') return refuse(p, "brackets inside a class");
            p->at += brew_utf8_get(p->at, &point);
        }
        if (range && (kind != 1 || point < low)) return refuse(p, "an odd range in a class");
        if (kind == 1)
            for (uint32_t c = range ? low : point; c <= point; c++) p->set[c] = 1;
        have_low = kind == 1 && !range;
        low = point;
    }
    p->at++;
    return put_set(p, negate);
}

// {n}, {n,}, {,m}, {n,m}, the brace taken.
static int interval(parser *p) {
    long low = 0, high = 0;
    bool has_low = false, has_high = false, comma = false;
    for (; p->at < p->end && *p->at != '}'; p->at++) {
        if (*p->at == ',' && !comma) {
            comma = true;
            continue;
        }
        if (*p->at < '0' || *p->at > '9') return refuse(p, "an odd {");
        long *n = comma ? &high : &low;
        *(comma ? &has_high : &has_low) = true;
        *n = *n * 10 + (*p->at - '0');
        if (*n > 1000) return refuse(p, "a repetition of more than 1000");
    }
    if (p->at++ >= p->end || (!has_low && !has_high)) return refuse(p, "an odd {");
    if (p->at < p->end && *p->at == '+') { // Ruby: repeated again, not possessive
        p->at++;
        if (low > 1) return refuse(p, "{n,m}+");
        brew_buf_addc(&p->out, low ? '+' : '*');
        return 0;
    }
    if (!comma)
        brew_buf_addf(&p->out, "{%ld}", low);
    else if (has_high)
        brew_buf_addf(&p->out, "{%ld,%ld}", low, high);
    else
        brew_buf_addf(&p->out, "{%ld,}", low);
    if (p->at < p->end && *p->at == '?') {
        p->at++;
        if (!comma) return refuse(p, "{n}?");
        brew_buf_addc(&p->out, '?');
    }
    return 0;
}

static int quantifier(parser *p) { // behind an atom
    if (p->at >= p->end) return 0;
    char c = *p->at;
    if (c == '{') {
        p->at++;
        if (interval(p)) return -1;
    } else if (c == '*' || c == '+' || c == '?') {
        brew_buf_addc(&p->out, c);
        p->at++;
        if (p->at < p->end && (*p->at == '?' || *p->at == '+')) brew_buf_addc(&p->out, *p->at++);
    } else {
        return 0;
    }
    p->before = 0;
    if (p->at < p->end && strchr("*+?{", *p->at)) return refuse(p, "a repeated repetition");
    return 0;
}

static int literal(parser *p, uint32_t point) {
    if (p->fold) { // characters that fold to several, such as those for ss and st
        char c = point < 0x80 ? (char)point : 0, pair[3] = {p->before, c, 0};
        for (int i = 0; i < 2; i++)
            if (pair[i] >= 'A' && pair[i] <= 'Z') pair[i] = (char)(pair[i] + 32);
        if (!c) return refuse(p, "(?i: with a character beyond ASCII");
        if (p->before && strstr("ss st ff fi fl", pair)) return refuse(p, "(?i: with a ligature");
        p->before = c;
    }
    put_point(p, point);
    return quantifier(p);
}

static int alternatives(parser *p);

static int group(parser *p) { // the parenthesis taken
    static const char *const opens[] = {"?:", "?=", "?!", "?<=", "?<!", "?>", "?i:"};
    bool fold = p->fold;
    size_t i = 0, n = sizeof opens / sizeof *opens;
    for (; i < n; i++) {
        size_t len = strlen(opens[i]);
        if ((size_t)(p->end - p->at) >= len && !memcmp(p->at, opens[i], len)) {
            brew_buf_addf(&p->out, "(%s", opens[i]);
            p->at += len;
            if (opens[i][1] == 'i') p->fold = true;
            break;
        }
    }
    if (i == n) {
        if (p->at < p->end && *p->at == '?') return refuse(p, "a kind of group");
        brew_buf_adds(&p->out, "(?:");
    }
    p->before = 0;
    if (++p->depth > 50) return refuse(p, "deep groups");
    if (alternatives(p)) return -1;
    p->depth--;
    if (p->at >= p->end || *p->at++ != ')') return refuse(p, "a group without end");
    brew_buf_addc(&p->out, ')');
    p->fold = fold;
    p->before = 0;
    return quantifier(p);
}

static int atom(parser *p) {
    uint32_t point;
    char c = *p->at;
    switch (c) {
    case '|':
    case '^':
    case '$':
        p->before = 0;
        brew_buf_addc(&p->out, c);
        p->at++;
        return 0;
    case '(':
        p->at++;
        return group(p);
    case '[':
        p->at++;
        return char_class(p) ? -1 : quantifier(p);
    case '.':
        brew_buf_addc(&p->out, c);
        p->at++;
        return quantifier(p);
    case '*':
    case '+':
    case '?':
    case '{':
    case '}':
    case ']':
        return refuse(p, "an operator out of place");
    case '\\': {
        p->at++;
        int kind = escape(p, &point);
        if (kind < 0) return -1;
        if (kind == 2) return put_set(p, false) ? -1 : quantifier(p);
        return literal(p, point);
    }
    default:
        p->at += brew_utf8_get(p->at, &point);
        return literal(p, point);
    }
}

static int alternatives(parser *p) {
    while (p->at < p->end && *p->at != ')')
        if (atom(p)) return -1;
    return 0;
}

static int compile(brew_split_regex *regex, const brew_buf *pattern, brew_err *err) {
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    int code;
    PCRE2_SIZE at;
    uint32_t empty = 0;
    regex->code = pcre2_compile((PCRE2_SPTR)pattern->ptr, pattern->len,
                                PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NO_UTF_CHECK, &code,
                                &at, context);
    pcre2_compile_context_free(context);
    if (!regex->code)
        return brew_fail(err, BREW_DATA,
                         "tokenizer: PCRE2 does not take a split pattern (its error %d)", code);
    pcre2_pattern_info(regex->code, PCRE2_INFO_MATCHEMPTY, &empty);
    if (empty)
        return brew_fail(err, BREW_DATA, "tokenizer: a split pattern may match nothing at all");
    pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE); // without it, matching is only slower
    return 0;
}

brew_split_regex *brew_split_regex_new(const char *pattern, size_t len, brew_err *err) {
    brew_split_regex *regex = brew_calloc(1, sizeof *regex);
    parser p = {.at = pattern, .end = pattern + len, .err = err};
    p.set = brew_calloc(UCD_POINTS, 1);
    int bad = alternatives(&p);
    if (!bad && p.at < p.end) bad = refuse(&p, "a parenthesis out of place");
    if (!bad) bad = p.out.len ? compile(regex, &p.out, err) : refuse(&p, "nothing");
    free(p.set);
    brew_buf_release(&p.out);
    if (!bad) return regex;
    brew_split_regex_free(regex);
    return NULL;
}

void brew_split_regex_free(brew_split_regex *regex) {
    if (!regex) return;
    pcre2_code_free(regex->code);
    free(regex);
}

brew_split_room *brew_split_room_new(const brew_split_regex *regex) {
    brew_split_room *room = brew_calloc(1, sizeof *room);
    room->data = pcre2_match_data_create_from_pattern(regex->code, NULL);
    room->context = pcre2_match_context_create(NULL);
    room->stack = pcre2_jit_stack_create(32 * 1024, 64 * 1024 * 1024, NULL);
    pcre2_jit_stack_assign(room->context, NULL, room->stack);
    return room;
}

void brew_split_room_free(brew_split_room *room) {
    if (!room) return;
    pcre2_match_data_free(room->data);
    pcre2_match_context_free(room->context);
    pcre2_jit_stack_free(room->stack);
    free(room);
}

void brew_split_room_reset(brew_split_room *room) {
    room->to = 0;
}

int brew_split_regex_next(const brew_split_regex *regex, brew_split_room *room, const char *text,
                          size_t at, size_t len, size_t *end, bool *match, brew_err *err) {
    if (!room->to) {
        int got = pcre2_match(regex->code, (PCRE2_SPTR)text, len, at, PCRE2_NO_UTF_CHECK,
                              room->data, room->context);
        if (got == PCRE2_ERROR_NOMATCH) {
            *match = false;
            *end = len;
            return 0;
        }
        if (got < 0)
            return brew_fail(
                err, BREW_DATA,
                "a text of %zu bytes is too much for a split pattern (PCRE2's error %d)", len, got);
        const PCRE2_SIZE *found = pcre2_get_ovector_pointer(room->data);
        room->from = found[0];
        room->to = found[1];
    }
    *match = room->from == at;
    *end = *match ? room->to : room->from;
    if (*match) room->to = 0;
    return 0;
}
