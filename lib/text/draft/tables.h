// Tables of items and members, drafted: which column is the id, and which words a prompt takes from them.
#ifndef BREW_DRAFT_TABLES_H
#define BREW_DRAFT_TABLES_H

#include "io/json.h"
#include "text/draft/hints.h"
#include "text/draft/sample.h"

// The ids that a log has in a column, or in the slates of one.
void brew_ids_collect(brew_intern *out, const brew_sample_column *column, bool slates);

// The table's object for the task file ({"file": path, "id": ...}), or NULL where it cannot be used, which is
// told. The words that go with it: of items a question, of members a profile. Columns of a file without a
// header get names.
brew_json *brew_draft_items(brew_sample *table, const char *file, const char *path,
                            const brew_intern *ids, const char *id_name, brew_buf *question,
                            const brew_hints *hints);
brew_json *brew_draft_members(brew_sample *table, const char *file, const char *path,
                              const brew_intern *ids, const char *id_name, brew_buf *profile,
                              const brew_hints *hints);
// The column of the log itself that holds the item's title, or NULL.
const brew_sample_column *brew_draft_title(const brew_sample *log, const brew_sample_column *item);
// An array of the columns' names, of a file whose first line is a row.
brew_json *brew_draft_header(const brew_sample *sample);

#endif
