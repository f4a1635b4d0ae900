#include "shrink/told.h"

#include <inttypes.h>

#include "shrink/vocabulary.h"

static void sizes(const brew_pruned *p, const brew_config *config, brew_size *before,
                  brew_size *after) {
    brew_cut whole;
    brew_cut_init(&whole, config);
    *before = brew_cut_size(&whole, config);
    *after = brew_cut_size(&p->cut, config);
    brew_cut_release(&whole);
}

static void print_damage(FILE *to, const brew_damage *damage) {
    fprintf(to, "divergence %.5f, log loss %+.5f, AUC %+.5f\n", damage->divergence, damage->logloss,
            -damage->auc);
}

void brew_told_print(FILE *to, const brew_pruned *p, const brew_config *c, bool details) {
    const brew_cut *cut = &p->cut;
    brew_size before, after;
    sizes(p, c, &before, &after);
    for (int64_t l = 0; details && l < p->absence.n; l++) {
        fprintf(to, "without layer %" PRId64 ": ", l);
        print_damage(to, &p->absence.alone[l]);
    }
    if (p->absence.n) {
        fprintf(to, "without the layers that go: ");
        print_damage(to, &p->absence.together);
    }
    fprintf(to,
            "layers %" PRId64 " of %" PRId64 ", heads %" PRId64 " of %" PRId64 ", kv heads %" PRId64
            " of %" PRId64 ", mlp %" PRId64 " of %" PRId64 "\n",
            cut->n_layers, c->layers, cut->n_kv * cut->n_group, c->heads, cut->n_kv, c->kv_heads,
            cut->n_mlp, c->mlp);
    if (cut->n_width < c->width)
        fprintf(to, "hidden width %" PRId64 " of %" PRId64 "\n", cut->n_width, c->width);
    if (cut->vocabulary)
        fprintf(to, "vocabulary %" PRId64 " of %" PRId64 ", %" PRId64 " of them used\n",
                cut->n_vocab, c->vocab, cut->vocabulary->used);
    fprintf(to, "body %.4g M of %.4g M parameters (%.3f), all %.4g M of %.4g M\n",
            (double)after.body / 1e6, (double)before.body / 1e6,
            (double)after.body / (double)before.body, (double)after.all / 1e6,
            (double)before.all / 1e6);
    if (p->width.error_before > 0)
        fprintf(to, "repair: of what the hidden width holds %.3f is missing, it was %.3f\n",
                p->width.error_after, p->width.error_before);
    if (p->error_before > 0)
        fprintf(to,
                "repair: error of the projections %.3g of what it was, after %" PRId64
                " exchanges %.3g\n",
                p->error_after / p->error_before, p->swaps, p->error_swapped / p->error_before);
}

static void set_int(brew_json *object, const char *key, int64_t value) {
    brew_json_set(object, key, brew_json_new_int(value));
}

static void set_real(brew_json *object, const char *key, double value) {
    brew_json_set(object, key, brew_json_new_real(value));
}

static void set_widths(brew_json *object, const brew_cut *cut) {
    set_int(object, "heads", cut->n_kv * cut->n_group);
    set_int(object, "kv_heads", cut->n_kv);
    set_int(object, "mlp", cut->n_mlp);
    set_int(object, "hidden", cut->n_width);
    set_int(object, "vocab", cut->n_vocab);
}

brew_json *brew_told_facts(const brew_pruned *p, const brew_config *config) {
    brew_json *facts = brew_json_new_object();
    brew_size before, after;
    sizes(p, config, &before, &after);
    set_int(facts, "layers", p->cut.n_layers);
    set_widths(facts, &p->cut);
    set_int(facts, "body_before", before.body);
    set_int(facts, "body", after.body);
    set_int(facts, "parameters_before", before.all);
    set_int(facts, "parameters", after.all);
    set_real(facts, "heads_importance_lost", p->heads_lost);
    set_real(facts, "mlp_importance_lost", p->mlp_lost);
    set_real(facts, "hidden_importance_lost", p->width.lost);
    if (p->width.error_before > 0) {
        set_real(facts, "hidden_error_before", p->width.error_before);
        set_real(facts, "hidden_error", p->width.error_after);
    }
    if (p->error_before > 0) {
        set_real(facts, "repair_error", p->error_after / p->error_before);
        set_real(facts, "swapped_error", p->error_swapped / p->error_before);
        set_int(facts, "swaps", p->swaps);
    }
    return facts;
}

static brew_json *damage_json(const brew_damage *damage) {
    brew_json *object = brew_json_new_object();
    set_real(object, "divergence", damage->divergence);
    set_real(object, "logloss", damage->logloss);
    set_real(object, "auc", damage->auc);
    return object;
}

brew_json *brew_told_arguments(const brew_pruned *p, const brew_prune_options *options) {
    const brew_cut *cut = &p->cut;
    bool taylor = options->importance == BREW_TAYLOR;
    brew_json *arguments = brew_json_new_object(), *kept = brew_json_new_array();
    for (int64_t i = 0; i < cut->n_layers; i++)
        brew_json_push(kept, brew_json_new_int(cut->layers[i]));
    brew_json_set(arguments, "layers_kept", kept);
    if (p->absence.n) {
        brew_json *alone = brew_json_new_array();
        for (int64_t l = 0; l < p->absence.n; l++)
            brew_json_push(alone, damage_json(&p->absence.alone[l]));
        brew_json_set(arguments, "layers_damage", alone);
        brew_json_set(arguments, "layers_damage_together", damage_json(&p->absence.together));
    }
    set_widths(arguments, cut);
    brew_json_set(arguments, "repair", brew_json_new_bool(options->repair));
    brew_json_set(arguments, "importance",
                  brew_json_new_string(taylor ? "taylor" : "activation", taylor ? 6 : 10));
    if (options->rows) set_int(arguments, "rows", options->rows);
    if (options->repair) {
        set_real(arguments, "ridge", options->ridge);
        set_int(arguments, "swaps", options->swaps);
    }
    return arguments;
}
