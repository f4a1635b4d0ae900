// Names of columns, as logs have them: user_id, userId, UserID and USER are one name.
#ifndef BREW_DRAFT_NAMES_H
#define BREW_DRAFT_NAMES_H

#include "text/draft/sample.h"

// How well a name fits a list of words parted by blanks, the best first: 0 is best, BREW_NAME_NONE not at
// all. Case and what is neither letter nor digit do not matter. With ids, "id", "key" and the like at the end
// do not, either, "name" at the end does a little, and a name that ends in a word of the list fits, behind all
// that are one.
enum { BREW_NAME_NONE = 10000, BREW_NAME_ENDS = 1000 };
int brew_name_rank(const char *name, const char *words, bool ids);

// The column that can be read and whose name fits best, the first of equal ones; NULL: none fits. *rank, if
// wanted, is how well.
brew_sample_column *brew_name_find(const brew_sample *sample, const char *words, bool ids,
                                   int *rank);

#endif
