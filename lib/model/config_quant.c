// quantization_config of compressed-tensors: the two forms that are built, everything else by name
// refused. Which matrices are quantised is said by targets ["Linear"] less the list "ignore"; the
// tensors' types must agree (model/names.c).
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/config.h"

// A member that must have this value, if it is there at all.
static int must_be(const brew_json *object, const char *key, const char *want, brew_err *err) {
    const brew_json *value = brew_json_get(object, key);
    if (!value || brew_json_is(value, BREW_JSON_NULL)) return 0;
    const char *got = brew_json_is(value, BREW_JSON_STRING) ? brew_json_string(value, NULL)
                                                            : brew_json_type_name(value);
    if (!strcmp(got, want)) return 0;
    return brew_fail(err, BREW_DATA, "%s %.40s is not supported (%s)", key, got, want);
}

static int must_be_absent(const brew_json *object, const char *key, brew_err *err) {
    const brew_json *value = brew_json_get(object, key);
    if (!value || brew_json_is(value, BREW_JSON_NULL)) return 0;
    return brew_fail(err, BREW_DATA, "%s is not supported", key);
}

// "weights" or "input_activations" of a group.
static int read_args(const brew_json *group, const char *name, const char *strategy, bool dynamic,
                     const char *type, brew_err *err) {
    const brew_json *args = brew_json_get(group, name);
    int64_t bits = 0;
    bool symmetric = true, is_dynamic = false;
    if (!brew_json_is(args, BREW_JSON_OBJECT))
        return brew_fail(err, BREW_DATA, "%s are missing", name);
    if (brew_json_want_int(args, "num_bits", 1, 64, &bits, err) < 0 ||
        (brew_json_get(args, "symmetric") &&
         brew_json_want_bool(args, "symmetric", &symmetric, err) < 0) ||
        (brew_json_get(args, "dynamic") &&
         brew_json_want_bool(args, "dynamic", &is_dynamic, err) < 0) ||
        must_be(args, "type", type, err) < 0 || must_be(args, "strategy", strategy, err) < 0 ||
        must_be_absent(args, "block_structure", err) < 0 ||
        must_be_absent(args, "group_size", err) < 0 || must_be_absent(args, "actorder", err) < 0)
        return brew_err_context(err, "%s", name);
    if (bits != 8 || !symmetric || is_dynamic != dynamic)
        return brew_fail(err, BREW_DATA,
                         "%s of %lld bits, %s, %s are not supported (8, symmetric, %s)", name,
                         (long long)bits, symmetric ? "symmetric" : "asymmetric",
                         is_dynamic ? "dynamic" : "static", dynamic ? "dynamic" : "static");
    return 0;
}

static int read_ignored(brew_config *config, const brew_json *list, brew_err *err) {
    if (!list || brew_json_is(list, BREW_JSON_NULL)) return 0;
    if (!brew_json_is(list, BREW_JSON_ARRAY))
        return brew_fail(err, BREW_DATA, "\"ignore\" is not an array");
    config->unquantised = brew_calloc(brew_json_length(list) + 1, sizeof(char *));
    for (size_t i = 0; i < brew_json_length(list); i++) {
        const brew_json *name = brew_json_at(list, i);
        if (!brew_json_is(name, BREW_JSON_STRING))
            return brew_fail(err, BREW_DATA, "\"ignore\" holds what is not a name");
        if (!strncmp(brew_json_string(name, NULL), "re:", 3))
            return brew_fail(err, BREW_DATA, "patterns in \"ignore\" are not supported");
        config->unquantised[config->n_unquantised++] = brew_strdup(brew_json_string(name, NULL));
    }
    return 0;
}

int brew_config_read_quantisation(brew_config *config, const brew_json *json, brew_err *err) {
    const brew_json *quant = brew_json_get(json, "quantization_config");
    if (!quant || brew_json_is(quant, BREW_JSON_NULL)) return 0;
    const char *format = NULL;
    if (!brew_json_is(quant, BREW_JSON_OBJECT))
        return brew_fail(err, BREW_DATA, "it is %s where an object belongs",
                         brew_json_type_name(quant));
    if (!brew_json_get(quant, "quant_method"))
        return brew_fail(err, BREW_DATA, "\"quant_method\" is missing");
    if (must_be(quant, "quant_method", "compressed-tensors", err) < 0 ||
        must_be(quant, "quantization_status", "compressed", err) < 0 ||
        must_be_absent(quant, "kv_cache_scheme", err) < 0 ||
        brew_json_want_string(quant, "format", &format, err) < 0)
        return -1;
    bool f8 = !strcmp(format, "float-quantized");
    if (!f8 && strcmp(format, "int-quantized"))
        return brew_fail(err, BREW_DATA,
                         "format %.40s is not supported (float-quantized, int-quantized)", format);
    const brew_json *groups = brew_json_get(quant, "config_groups");
    const brew_json *group = NULL;
    brew_json_iter it = {0};
    size_t n_groups = 0;
    while (brew_json_is(groups, BREW_JSON_OBJECT) && brew_json_next(groups, &it) && ++n_groups)
        group = it.value;
    if (n_groups != 1 || !brew_json_is(group, BREW_JSON_OBJECT))
        return brew_fail(err, BREW_DATA, "\"config_groups\" is not one group");
    const brew_json *targets = brew_json_get(group, "targets");
    if (!brew_json_is(targets, BREW_JSON_ARRAY) || brew_json_length(targets) != 1 ||
        !brew_json_is(brew_json_at(targets, 0), BREW_JSON_STRING) ||
        strcmp(brew_json_string(brew_json_at(targets, 0), NULL), "Linear"))
        return brew_fail(err, BREW_DATA, "targets other than [\"Linear\"] are not supported");
    const char *type = f8 ? "float" : "int";
    if (read_args(group, "weights", "channel", false, type, err) < 0 ||
        read_args(group, "input_activations", "token", true, type, err) < 0 ||
        must_be_absent(group, "output_activations", err) < 0)
        return -1;
    config->scheme = f8 ? BREW_F8_E4M3 : BREW_I8;
    return read_ignored(config, brew_json_get(quant, "ignore"), err);
}

bool brew_config_quantised(const brew_config *config, const char *module) {
    if (config->scheme == BREW_F32) return false;
    for (size_t i = 0; i < config->n_unquantised; i++)
        if (!strcmp(config->unquantised[i], module)) return false;
    return true;
}
