#define _GNU_SOURCE // MAP_ANONYMOUS, MADV_HUGEPAGE
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static _Noreturn void out_of_memory(size_t bytes) {
    fprintf(stderr, "brew: out of memory asking for %zu bytes\n", bytes);
    exit(BREW_INTERNAL);
}

void *brew_alloc(size_t bytes) {
    void *ptr = malloc(bytes ? bytes : 1);
    if (!ptr) out_of_memory(bytes);
    return ptr;
}

void *brew_calloc(size_t count, size_t bytes) {
    void *ptr = calloc(count ? count : 1, bytes ? bytes : 1);
    if (!ptr) out_of_memory(bytes);
    return ptr;
}

void *brew_realloc(void *ptr, size_t bytes) {
    ptr = realloc(ptr, bytes ? bytes : 1);
    if (!ptr) out_of_memory(bytes);
    return ptr;
}

void *brew_realloc_array(void *ptr, size_t n, size_t bytes) {
    size_t total;
    if (!brew_mul(n, bytes, &total)) out_of_memory(SIZE_MAX);
    return brew_realloc(ptr, total);
}

char *brew_strndup(const char *text, size_t len) {
    char *copy = brew_alloc(len + 1);
    if (len) memcpy(copy, text, len);
    copy[len] = 0;
    return copy;
}

char *brew_strdup(const char *text) {
    return brew_strndup(text, strlen(text));
}

int brew_slab_init(brew_slab *slab, size_t bytes, const char *what, brew_err *err) {
    *slab = (brew_slab){0};
    if (!bytes) return 0;
    void *ptr = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (ptr == MAP_FAILED)
        return brew_fail_errno(err, BREW_INTERNAL, "no memory for %s (%zu bytes)", what, bytes);
#ifdef MADV_HUGEPAGE
    if (bytes >= (size_t)2 << 20) madvise(ptr, bytes, MADV_HUGEPAGE); // only a hint
#endif
    *slab = (brew_slab){ptr, bytes};
    return 0;
}

void brew_slab_release(brew_slab *slab) {
    if (slab->ptr) munmap(slab->ptr, slab->bytes);
    *slab = (brew_slab){0};
}

struct brew_arena_block {
    struct brew_arena_block *next;
    size_t cap;
    _Alignas(16) char data[];
};

void *brew_arena_alloc(brew_arena *arena, size_t bytes) {
    size_t need = (bytes + 15) & ~(size_t)15;
    if (need < bytes) out_of_memory(bytes);
    if (!arena->block || arena->block->cap - arena->used < need) {
        size_t cap = arena->block ? arena->block->cap * 2 : 4096 - sizeof *arena->block;
        if (cap > (size_t)8 << 20) cap = (size_t)8 << 20;
        if (cap < need) cap = need;
        struct brew_arena_block *block = brew_alloc(sizeof *block + cap);
        block->next = arena->block;
        block->cap = cap;
        arena->block = block;
        arena->used = 0;
        arena->total_bytes += cap;
    }
    void *ptr = arena->block->data + arena->used;
    arena->used += need;
    return ptr;
}

char *brew_arena_strndup(brew_arena *arena, const char *text, size_t len) {
    char *copy = brew_arena_alloc(arena, len + 1);
    if (len) memcpy(copy, text, len);
    copy[len] = 0;
    return copy;
}

static void free_blocks(struct brew_arena_block *block) {
    while (block) {
        struct brew_arena_block *next = block->next;
        free(block);
        block = next;
    }
}

void brew_arena_reset(brew_arena *arena) {
    if (!arena->block) return;
    free_blocks(arena->block->next); // blocks only grow: the first one is the largest
    arena->block->next = NULL;
    arena->used = 0;
    arena->total_bytes = arena->block->cap;
}

void brew_arena_release(brew_arena *arena) {
    free_blocks(arena->block);
    *arena = (brew_arena){0};
}
