#include "train/store.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static const struct {
    const char *name;
    enum brew_learner_store store;
} stores[] = {{"model.safetensors", BREW_VALUES},
              {"moments-1.safetensors", BREW_MOMENTS_1},
              {"moments-2.safetensors", BREW_MOMENTS_2}};
enum { STORES = 3 };

// The parameters of one file, by their place in it.
struct file {
    const brew_learner *learner;
    enum brew_learner_store store;
    size_t *index; // [n] in the learner
    brew_named_tensor *tensors;
    size_t n;
};

static bool has_adapters(const brew_learner *learner) {
    return brew_learner_parameter(learner, brew_learner_n(learner) - 1)->adapter; // they come last
}

static void list(struct file *file, const brew_learner *learner, enum brew_learner_store store) {
    size_t n = brew_learner_n(learner);
    *file = (struct file){.learner = learner, .store = store};
    file->index = brew_calloc(n, sizeof *file->index);
    file->tensors = brew_calloc(n, sizeof *file->tensors);
    for (size_t i = 0; i < n; i++) {
        const brew_parameter *p = brew_learner_parameter(learner, i);
        if (p->frozen && (store != BREW_VALUES || has_adapters(learner))) continue;
        brew_named_tensor *t = file->tensors + file->n;
        t->name = p->name;
        t->tensor = (brew_tensor){.dtype = BREW_F32, .n_dims = p->n_dims};
        t->tensor.shape[0] = p->n_dims == 1 ? p->cols : p->rows;
        if (p->n_dims == 2) t->tensor.shape[1] = p->cols;
        file->index[file->n++] = i;
    }
}

static void unlist(struct file *file) {
    free(file->index);
    free(file->tensors);
}

static void give_rows(void *arg, size_t index, int64_t first, int64_t count, float *rows) {
    const struct file *file = arg;
    brew_learner_get(file->learner, file->store, file->index[index], first, count, rows);
}

int brew_store_save(const brew_learner *learner, const char *dir, int64_t step,
                    const brew_json *state, brew_pool *pool, brew_err *err) {
    struct file lists[STORES];
    brew_checkpoint_file files[STORES];
    for (size_t i = 0; i < STORES; i++) {
        list(lists + i, learner, stores[i].store);
        files[i] = (brew_checkpoint_file){stores[i].name, lists[i].tensors, lists[i].n, give_rows,
                                          lists + i};
    }
    int rc = brew_checkpoint_save(dir, step, files, STORES, state, pool, err);
    for (size_t i = 0; i < STORES; i++) unlist(lists + i);
    return rc;
}

static int load_file(brew_learner *learner, const struct file *file, const char *name,
                     const brew_safetensors *from, brew_err *err) {
    if (!from || brew_safetensors_n(from) != file->n)
        return brew_fail(err, BREW_DATA, "%s holds %zu tensors, the model has %zu", name,
                         from ? brew_safetensors_n(from) : 0, file->n);
    for (size_t i = 0; i < file->n; i++) {
        const brew_tensor *have = &file->tensors[i].tensor;
        const brew_tensor *t = brew_safetensors_get(from, file->tensors[i].name);
        if (!t || t->dtype != BREW_F32 || t->n_dims != have->n_dims ||
            memcmp(t->shape, have->shape, (size_t)t->n_dims * sizeof *t->shape))
            return brew_fail(err, BREW_DATA, "%s: tensor %s is not that of the model", name,
                             file->tensors[i].name);
        brew_learner_set(learner, file->store, file->index[i], 0, brew_tensor_n_rows(t), t->data);
    }
    return 0;
}

int brew_store_load(brew_learner *learner, const brew_checkpoint *checkpoint, bool moments,
                    brew_err *err) {
    int rc = 0;
    for (size_t i = 0; !rc && i < (moments ? STORES : 1); i++) {
        struct file file;
        list(&file, learner, stores[i].store);
        rc = load_file(learner, &file, stores[i].name,
                       brew_checkpoint_tensors(checkpoint, stores[i].name), err);
        unlist(&file);
    }
    if (rc) return brew_err_context(err, "%s", brew_checkpoint_path(checkpoint));
    brew_learner_refresh(learner);
    return 0;
}

static void give_values(void *arg, size_t index, int64_t first, int64_t count, float *rows) {
    brew_learner_get(arg, BREW_VALUES, index, first, count, rows);
}

static size_t first_adapter(const brew_learner *learner) {
    size_t n = brew_learner_n(learner);
    while (n && brew_learner_parameter(learner, n - 1)->adapter) n--;
    return n;
}

static void give_factors(void *arg, size_t index, int64_t first, int64_t count, float *rows) {
    give_values(arg, first_adapter(arg) + index, first, count, rows);
}

void brew_store_export(const brew_learner *learner, enum brew_dtype dtype, brew_export *job) {
    size_t split = first_adapter(learner), from = job->adapter ? split : 0,
           n = job->adapter ? brew_learner_n(learner) - split : split;
    brew_export_tensor *tensors = brew_calloc(n, sizeof *tensors);
    for (size_t i = 0; i < n; i++) {
        const brew_parameter *p = brew_learner_parameter(learner, from + i);
        tensors[i] = (brew_export_tensor){p->name, p->n_dims, p->rows, p->cols, dtype};
    }
    job->tensors = tensors;
    job->n_tensors = n;
    job->rows = job->adapter ? give_factors : give_values;
    job->arg = (void *)(uintptr_t)learner;
}
