// Added tokens: strings found in the text before anything else happens to it.
//
// Matches are leftmost, then longest. A token may swallow white space around it (lstrip, rstrip) and
// may be wanted only as a word of its own (single_word). Those with `normalized` are looked for in
// normalised text, the others, first, in the text as written.
#ifndef BREW_TEXT_ADDED_H
#define BREW_TEXT_ADDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct brew_added_token {
    char *text; // owned
    size_t len;
    char *looked; // owned: the text normalised, as it is looked for and decoded; NULL: as written
    size_t looked_len;
    int32_t id;
    bool special, normalized, lstrip, rstrip, single_word;
} brew_added_token;

// A set of strings, matched together: a trie whose children are sorted by byte.
typedef struct brew_added_set {
    const brew_added_token *tokens; // borrowed
    struct brew_added_node {
        uint32_t child, sibling; // 0: none
        int32_t token;           // index, -1: none ends here
        unsigned char byte;
    } * nodes;
    size_t n, cap;
    uint32_t first[256]; // node of each first byte, 0: none
    unsigned char leads[256];
    size_t n_leads;
    bool has_plain; // holds a token that is not special
} brew_added_set;

void brew_added_set_init(brew_added_set *set, const brew_added_token *tokens);
// text may differ from the token's own text (normalised). The first of equal texts counts.
void brew_added_set_put(brew_added_set *set, const char *text, size_t len, int32_t token);
void brew_added_set_release(brew_added_set *set);

typedef struct brew_added_match {
    size_t from, to; // in the text, white space swallowed included
    int32_t id;
} brew_added_match;
// The next match at or behind *search (start with 0; advanced), which must begin no earlier than
// `taken`, the end of the previous one. Special tokens are passed over unless specials. False: none.
bool brew_added_next(const brew_added_set *set, const char *text, size_t len, bool specials,
                     size_t *search, size_t taken, brew_added_match *match);

#endif
