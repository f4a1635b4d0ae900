#include "text/prompt/leaks.h"

#include <string.h>

#include "base/buf.h"
#include "text/prompt/features.h"

static void say(brew_json *leaks, const char *text) {
    brew_json_push(leaks, brew_json_new_string(text, strlen(text)));
}

brew_json *brew_task_leaks(const brew_task *task) {
    brew_json *leaks = brew_json_new_array();
    const brew_entity_table *members = &task->members;
    bool undated = false;
    if (members->source.path && members->told && !members->source.valid_from)
        say(leaks, "the member table has no valid_from: prompts of any time show the same row");
    for (size_t i = 0; i < task->n_item_tables; i++) {
        const brew_entity_table *items = &task->item_tables[i];
        undated |= items->source.path && items->told && !items->source.valid_from;
    }
    if (undated)
        say(leaks, "the item table has no valid_from: prompts of any time show the same row");
    if (!task->features || task->split.by != BREW_SPLIT_BY_LAST) return leaks;
    for (size_t f = 0; f < task->features->n; f++) {
        const brew_feature *feature = &task->features->list[f];
        if (!feature->as_of_split || feature->of != BREW_OF_ITEM) continue;
        brew_buf text = {0};
        brew_buf_addf(&text, "%s as of a split by last: valid and test see what others did later",
                      feature->name ? feature->name : "offsets");
        say(leaks, text.ptr);
        brew_buf_release(&text);
    }
    return leaks;
}
