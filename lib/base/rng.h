// Counter-based random numbers: a pure function of (seed, stream, index), so that any of them can be
// drawn anywhere, in any order, by any thread or shard, and come out the same.
//
// The function is two rounds of the SplitMix64 finaliser (Steele, Lea, Flood 2014, "Fast splittable
// pseudorandom number generators") over the mixed counter. Not for cryptography.
#ifndef BREW_BASE_RNG_H
#define BREW_BASE_RNG_H

#include <stdint.h>

static inline uint64_t brew_mix64(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

// 64 random bits. `stream` tells apart uses of one seed (hash a name, or take a member's hash).
static inline uint64_t brew_rand_u64(uint64_t seed, uint64_t stream, uint64_t index) {
    uint64_t key = brew_mix64(seed + 0x9e3779b97f4a7c15u) ^ brew_mix64(~stream);
    return brew_mix64(brew_mix64(key + (index + 1) * 0x9e3779b97f4a7c15u) ^ key);
}

// Uniform in [0, 1), 53 bits.
static inline double brew_rand_unit(uint64_t seed, uint64_t stream, uint64_t index) {
    return (double)(brew_rand_u64(seed, stream, index) >> 11) * 0x1p-53;
}

// Uniform in [0, n), n > 0, by multiplication (bias below n / 2^64).
static inline uint64_t brew_rand_below(uint64_t seed, uint64_t stream, uint64_t index, uint64_t n) {
    return (uint64_t)((unsigned __int128)brew_rand_u64(seed, stream, index) * n >> 64);
}

#endif
