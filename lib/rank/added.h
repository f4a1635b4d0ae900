// Scores of another system over the same answers, from the formats such systems write.
//
//     NAME=FILE[:ID,ITEM,SCORE]
//
// FILE is a table with columns (CSV, TSV, JSONL: see table.h; the three names tell which, id, item_id and
// score unless told), score records, or a TREC run: six fields between blanks, the request, anything, the
// item, a rank, the score, a tag. Scores may be any finite numbers; they are taken for probabilities if all
// are within [0, 1] and the file is no run.
#ifndef BREW_RANK_ADDED_H
#define BREW_RANK_ADDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "rank/reader.h"
#include "rank/systems.h"

typedef struct brew_added {
    char *name, *path, *columns[3];
} brew_added;

// BREW_USAGE if the text is none. Release also then.
int brew_added_parse(brew_added *added, const char *text, brew_err *err);
void brew_added_release(brew_added *added);

// Adds the system's scores to systems, of the kind "systems". Rows of other answers are counted in *extra.
// Answers without a score get NaN if allow_missing, else they are an error, as are a bad row and a row that
// stands twice.
int brew_added_read(const brew_added *added, brew_reader *reader, bool allow_missing,
                    brew_systems *systems, uint64_t *extra, brew_err *err);

#endif
