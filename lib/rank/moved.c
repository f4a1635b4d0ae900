#include "rank/moved.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "rank/odds.h"

struct sums {
    double weight, moved; // sum of weights, and of weighted differences
};

brew_moved brew_moved_to(const brew_answers *answers, const double *to) {
    struct sums all = {0}, *of = brew_calloc(answers->n_members + 1, sizeof *of);
    double divergence = 0, squares = 0, between = 0;
    for (size_t i = 0; i < answers->n; i++) {
        double p = brew_cut_probability(answers->score[i]), q = brew_cut_probability(to[i]),
               weight = (double)answers->weight[i];
        double by = brew_log_odds(q) - brew_log_odds(p);
        divergence += weight * (p * log(p / q) + (1 - p) * log((1 - p) / (1 - q)));
        squares += weight * by * by;
        struct sums *member = of + answers->member[i];
        member->weight += weight;
        member->moved += weight * by;
        all.weight += weight;
        all.moved += weight * by;
    }
    for (size_t m = 0; m < answers->n_members; m++)
        if (of[m].weight > 0) between += of[m].moved * of[m].moved / of[m].weight;
    free(of);
    double shift = all.moved / all.weight;
    return (brew_moved){.divergence = divergence / all.weight,
                        .shift = shift,
                        .between = sqrt(fmax(0, between / all.weight - shift * shift)),
                        .within = sqrt(fmax(0, (squares - between) / all.weight))};
}
