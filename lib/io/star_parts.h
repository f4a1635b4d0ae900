// Inside lib/io: what the two ends of a token stream agree on.
#ifndef BREW_IO_STAR_PARTS_H
#define BREW_IO_STAR_PARTS_H

#include <stddef.h>
#include <stdint.h>

#include "io/npy.h"
#include "io/star_stream.h"

#define STAR_FORMAT "brew-token-stream"
enum { STAR_VERSION = 1 };

// A batch's members, in the order in which they stand.
enum star_part {
    STAR_IDS,
    STAR_SEGMENTS,
    STAR_REQUESTS,
    STAR_ANSWERS,
    STAR_ANSWER_SPLITS,
    STAR_ANSWER_SET,
    STAR_LABEL_IDS,
    STAR_LABEL_SPLITS,
    STAR_TARGETS,
    STAR_WEIGHTS,
    STAR_OFFSETS,
    STAR_META, // .jsonl, the others are .npy
    STAR_PARTS,
    STAR_LABEL_LOGITS = STAR_PARTS, // from here on: of a teacher
    STAR_REST,
    STAR_TAUGHT_PARTS,
    STAR_TOPK_IDS = STAR_TAUGHT_PARTS, // of a teacher's likeliest tokens
    STAR_TOPK_LOGITS,
    STAR_TOPK_REST,
    STAR_MOST_PARTS
};

extern const struct star_part_form {
    const char *name;
    enum brew_npy_type type;
} brew_star_parts[STAR_MOST_PARTS];

void brew_star_member_name(char *name, size_t size, uint64_t batch, enum star_part part);
// brew.end.json cannot be in the digest of the stream: its one free text has a digest of its own.
void brew_star_digest_of(const char *text, size_t len, char hex[65]);
void brew_star_count(brew_star_counts *counts, const brew_star *star);
// Where the parts of a batch end.
enum star_part brew_star_parts_end(const brew_star_teacher *teacher);
// Label logits that a teacher gives; false if their number overflows. The star has been checked.
bool brew_star_label_logits(const brew_star *star, size_t *n);

#endif
