#include "io/star_parts.h"

#include <stdio.h>

#include "base/hash.h"
#include "base/mem.h"

const struct star_part_form brew_star_parts[STAR_MOST_PARTS] = {
    [STAR_IDS] = {"ids", BREW_NPY_I32},
    [STAR_SEGMENTS] = {"segments", BREW_NPY_I64},
    [STAR_REQUESTS] = {"requests", BREW_NPY_I64},
    [STAR_ANSWERS] = {"answers", BREW_NPY_I64},
    [STAR_ANSWER_SPLITS] = {"answer_splits", BREW_NPY_I64},
    [STAR_ANSWER_SET] = {"answer_set", BREW_NPY_I32},
    [STAR_LABEL_IDS] = {"label_ids", BREW_NPY_I32},
    [STAR_LABEL_SPLITS] = {"label_splits", BREW_NPY_I64},
    [STAR_TARGETS] = {"targets", BREW_NPY_I32},
    [STAR_WEIGHTS] = {"weights", BREW_NPY_F32},
    [STAR_OFFSETS] = {"offsets", BREW_NPY_F32},
    [STAR_META] = {"meta", 0},
    [STAR_LABEL_LOGITS] = {"label_logits", BREW_NPY_F32},
    [STAR_REST] = {"rest_logit", BREW_NPY_F32},
    [STAR_TOPK_IDS] = {"topk_ids", BREW_NPY_I32},
    [STAR_TOPK_LOGITS] = {"topk_logits", BREW_NPY_F32},
    [STAR_TOPK_REST] = {"topk_rest", BREW_NPY_F32},
};

void brew_star_member_name(char *name, size_t size, uint64_t batch, enum star_part part) {
    snprintf(name, size, "%06llu.%s.%s", (unsigned long long)batch, brew_star_parts[part].name,
             part == STAR_META ? "jsonl" : "npy");
}

void brew_star_digest_of(const char *text, size_t len, char hex[65]) {
    brew_sha256 sha;
    brew_sha256_init(&sha);
    brew_sha256_add(&sha, text, len);
    brew_sha256_hex(&sha, hex);
}

void brew_star_count(brew_star_counts *counts, const brew_star *star) {
    counts->batches++;
    counts->requests += star->n_requests;
    counts->items += star->n_segments - star->n_requests;
    counts->tokens += star->n_ids;
    counts->answers += star->n_answers;
}

enum star_part brew_star_parts_end(const brew_star_teacher *teacher) {
    return !teacher || !teacher->model ? STAR_PARTS
           : teacher->topk             ? STAR_MOST_PARTS
                                       : STAR_TAUGHT_PARTS;
}

bool brew_star_label_logits(const brew_star *star, size_t *n) {
    *n = 0;
    for (size_t a = 0; a < star->n_answers; a++)
        if (!brew_add(*n, (size_t)brew_star_labels(star, a), n)) return false;
    return true;
}
