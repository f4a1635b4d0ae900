// E4M3 against ml_dtypes (scripts/peers/fp8_goldens.py): every code's value, and the code of every bf16.
#include <math.h>

#include "base/tap.h"
#include "tensor/tensor.h"

static bool read_golden(const char *path, void *to, size_t bytes) {
    FILE *file = fopen(path, "rb");
    bool good = file && fread(to, 1, bytes, file) == bytes;
    if (file) fclose(file);
    return ok(good, "%s is there", path);
}

int main(void) {
    static uint8_t codes[65536];
    static float values[256];
    if (!read_golden("testdata/fp8/codes.bin", codes, sizeof codes) ||
        !read_golden("testdata/fp8/values.bin", values, sizeof values))
        return tap_done();
    int wrong = 0;
    for (int code = 0; code < 256; code++) {
        float got = brew_f32_from_f8((uint8_t)code);
        wrong += isnan(values[code])
                     ? !isnan(got)
                     : got != values[code] || !signbit(got) != !signbit(values[code]);
    }
    is_int(wrong, 0, "every code has its value");
    wrong = 0;
    for (int bits = 0; bits < 65536; bits++) {
        uint8_t got = brew_f8_from_f32(brew_f32_from_bf16((uint16_t)bits));
        bool nan = (codes[bits] & 0x7f) == 0x7f;
        wrong += nan ? (got & 0x7f) != 0x7f : got != codes[bits];
    }
    is_int(wrong, 0, "every bf16 rounds to its code: nearest even, denormals, saturation, NaN");
    ok(brew_f8_from_f32(INFINITY) == 0x7e && brew_f8_from_f32(-1e30f) == 0xfe &&
           brew_f8_from_f32(464.1f) == 0x7e,
       "what lies beyond 448 becomes 448");
    wrong = 0; // halves between neighbours, and a bit to either side, which bf16 cannot say
    for (int code = 0; code < 0x7e; code++) {
        float half = (values[code] + values[code + 1]) / 2;
        wrong += brew_f8_from_f32(half) != code + (code & 1);
        wrong += brew_f8_from_f32(nextafterf(half, 0)) != code;
        wrong += brew_f8_from_f32(nextafterf(half, 500)) != code + 1;
    }
    is_int(wrong, 0, "halves go to even, all else to the nearest");
    return tap_done();
}
