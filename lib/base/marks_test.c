// Marks of 64 bytes against a look at each.
#include "base/marks.h"

#include "base/rng.h"
#include "base/tap.h"

int main(void) {
    static const char often[] = {'\n', ',', '"', 0, '\x7f', '\x80', '\xff', 'a'};
    size_t wrong = 0;
    for (uint64_t trial = 0; trial < 20000; trial++) {
        char text[64];
        uint64_t want = 0;
        for (uint64_t i = 0; i < 64; i++) {
            uint64_t draw = brew_rand_u64(3, trial, i);
            text[i] = trial % 2 ? often[draw % sizeof often] : (char)(draw & 0xff);
            unsigned char c = (unsigned char)text[i];
            want |= (uint64_t)(c == '\n' || c == ',' || c == '"' || !c || c >= 0x80) << i;
        }
        wrong += brew_marks(text, ',', '"') != want;
    }
    is_int((long long)wrong, 0, "20,000 times 64 bytes");
    return tap_done();
}
