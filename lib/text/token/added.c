#include "text/token/added.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/token/unicode.h"

void brew_added_set_init(brew_added_set *set, const brew_added_token *tokens) {
    *set = (brew_added_set){.tokens = tokens};
}

static uint32_t new_node(brew_added_set *set, unsigned char byte) {
    if (!set->n) { // node 0 means none
        BREW_GROW(set->nodes, 1, set->cap);
        set->nodes[set->n++] = (struct brew_added_node){.token = -1};
    }
    BREW_GROW(set->nodes, set->n + 1, set->cap);
    set->nodes[set->n] = (struct brew_added_node){.byte = byte, .token = -1};
    return (uint32_t)set->n++;
}

static uint32_t child_of(const brew_added_set *set, uint32_t node, unsigned char byte) {
    uint32_t c = set->nodes[node].child;
    while (c && set->nodes[c].byte != byte) c = set->nodes[c].sibling;
    return c;
}

void brew_added_set_put(brew_added_set *set, const char *text, size_t len, int32_t token) {
    if (!len) return;
    const unsigned char *p = (const unsigned char *)text;
    uint32_t at = set->first[p[0]];
    if (!at) {
        at = set->first[p[0]] = new_node(set, p[0]);
        set->leads[set->n_leads++] = p[0];
    }
    for (size_t i = 1; i < len; i++) {
        uint32_t next = child_of(set, at, p[i]);
        if (!next) {
            next = new_node(set, p[i]);
            set->nodes[next].sibling = set->nodes[at].child;
            set->nodes[at].child = next;
        }
        at = next;
    }
    if (set->nodes[at].token < 0) set->nodes[at].token = token;
    if (!set->tokens[token].special) set->has_plain = true;
}

void brew_added_set_release(brew_added_set *set) {
    free(set->nodes);
    *set = (brew_added_set){0};
}

// The longest token at p, or -1.
static int32_t longest(const brew_added_set *set, const char *text, size_t len, size_t at,
                       size_t *end) {
    uint32_t node = set->first[(unsigned char)text[at]];
    int32_t best = -1;
    while (node) {
        at++;
        if (set->nodes[node].token >= 0) {
            best = set->nodes[node].token;
            *end = at;
        }
        node = at < len ? child_of(set, node, (unsigned char)text[at]) : 0;
    }
    return best;
}

// The next place at or behind `at` where a token's first byte stands, or len.
static size_t next_lead(const brew_added_set *set, const char *text, size_t len, size_t at) {
    if (set->n_leads == 1) {
        const char *p = memchr(text + at, set->leads[0], len - at);
        return p ? (size_t)(p - text) : len;
    }
    while (at < len && !set->first[(unsigned char)text[at]]) at++;
    return at;
}

static bool word_before(const char *text, size_t at) {
    uint32_t point;
    if (!at) return false;
    brew_utf8_get(text + brew_utf8_back(text, at), &point);
    return brew_ucd()[point] & UCD_WORD;
}

static bool word_behind(const char *text, size_t len, size_t at) {
    uint32_t point;
    if (at >= len) return false;
    brew_utf8_get(text + at, &point);
    return brew_ucd()[point] & UCD_WORD;
}

static size_t space_before(const char *text, size_t at) {
    while (at > 0) {
        uint32_t point;
        size_t back = brew_utf8_back(text, at);
        brew_utf8_get(text + back, &point);
        if (!brew_ucd_in(brew_ucd()[point], UCD_SPACE)) break;
        at = back;
    }
    return at;
}

static size_t space_behind(const char *text, size_t len, size_t at) {
    while (at < len) {
        uint32_t point;
        size_t n = brew_utf8_get(text + at, &point);
        if (!brew_ucd_in(brew_ucd()[point], UCD_SPACE)) break;
        at += n;
    }
    return at;
}

bool brew_added_next(const brew_added_set *set, const char *text, size_t len, bool specials,
                     size_t *search, size_t taken, brew_added_match *match) {
    if (!set->n_leads || (!specials && !set->has_plain)) return false;
    size_t at = *search;
    while ((at = next_lead(set, text, len, at)) < len) {
        size_t end;
        int32_t index = longest(set, text, len, at, &end);
        if (index < 0) {
            at++;
            continue;
        }
        const brew_added_token *token = &set->tokens[index];
        size_t from = at;
        at = end; // a match passed over still takes its text from the search
        if (token->special && !specials) continue;
        if (token->single_word && (word_before(text, from) || word_behind(text, len, end)))
            continue;
        if (token->lstrip) {
            from = space_before(text, from);
            if (from < taken) from = taken;
        }
        *match =
            (brew_added_match){from, token->rstrip ? space_behind(text, len, end) : end, token->id};
        *search = at;
        return true;
    }
    *search = len;
    return false;
}
