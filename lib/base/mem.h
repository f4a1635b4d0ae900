// Memory: checked sizes, plain allocations, slabs, arenas.
//
// Small allocations (brew_alloc and friends) do not fail: when the system has no memory left the
// process ends with status 70, which is the one exception to "the library never exits". Whatever is
// sized by an input file is multiplied with brew_mul/brew_add first and, where it can be large, taken
// as a slab, which fails with an error that names the size.
#ifndef BREW_BASE_MEM_H
#define BREW_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

// *out = a * b, or a + b; false on overflow, *out then unspecified.
static inline bool brew_mul(size_t a, size_t b, size_t *out) {
    return !__builtin_mul_overflow(a, b, out);
}
static inline bool brew_add(size_t a, size_t b, size_t *out) {
    return !__builtin_add_overflow(a, b, out);
}

void *brew_alloc(size_t bytes);                              // uninitialised
void *brew_calloc(size_t count, size_t bytes);               // zeroed, overflow checked
void *brew_realloc(void *ptr, size_t bytes);                 // contents kept
void *brew_realloc_array(void *ptr, size_t n, size_t bytes); // overflow checked
char *brew_strdup(const char *text);
char *brew_strndup(const char *text, size_t len); // copies len bytes, adds NUL

// Makes room for `need` elements in an array that grows by doubling: pass the pointer, its capacity.
#define BREW_GROW(ptr, need, cap)                                                        \
    do {                                                                                 \
        if ((size_t)(need) > (size_t)(cap)) {                                            \
            size_t grown_ = (size_t)(cap)*2 > (size_t)(need) ? (size_t)(cap)*2 : (need); \
            if (grown_ < 16) grown_ = 16;                                                \
            (ptr) = brew_realloc_array((ptr), grown_, sizeof *(ptr));                    \
            (cap) = grown_;                                                              \
        }                                                                                \
    } while (0)

// A slab: one large zeroed block of pages, 64-byte aligned (page-aligned in fact), with huge pages
// asked for before the first touch. `what` names it in the error.
typedef struct brew_slab {
    void *ptr;
    size_t bytes;
} brew_slab;
int brew_slab_init(brew_slab *slab, size_t bytes, const char *what, brew_err *err);
void brew_slab_release(brew_slab *slab);

// An arena: many small pieces freed together. Zero-initialise to start.
typedef struct brew_arena {
    struct brew_arena_block *block;
    size_t used, total_bytes;
} brew_arena;
void *brew_arena_alloc(brew_arena *arena, size_t bytes); // 16-byte aligned, uninitialised
char *brew_arena_strndup(brew_arena *arena, const char *text, size_t len); // adds NUL
void brew_arena_reset(brew_arena *arena); // forgets all, keeps the largest block
void brew_arena_release(brew_arena *arena);

#endif
