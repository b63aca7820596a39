/* Sums of sines for world.py, in a quarter of the time of a call for each sine: the compiler makes vectors of these loops. */

#include <stddef.h>
#include <stdint.h>

static const double PI = 0x1.921fb54442d18p+1;
static const double PI_HIGH = 0x1.921fb544p+1, PI_LOW = 0x1.0b4611a626331p-33; /* their sum is pi, to 86 bits; the first has 33 */
static const double ROUNDS = 0x1.8p52; /* added to a number, its last bit is worth 1 */

/* Sine of |x| < 2^20, to within 1e-13: the Taylor series up to x^17, of what is left of x after the nearest multiple of pi. */
static inline double sine(double x) {
    const double rounded = x * (1 / PI) + ROUNDS, times = rounded - ROUNDS;
    union { double number; uint64_t bits; } whole = {rounded}, result;
    const double r = (x - times * PI_HIGH) - times * PI_LOW, s = r * r;
    result.number = r + r * s * (-1.0 / 6 + s * (1.0 / 120 + s * (-1.0 / 5040 + s * (1.0 / 362880 + s * (-1.0 / 39916800 + s * (
        1.0 / 6227020800.0 + s * (-1.0 / 1307674368000.0 + s * (1.0 / 355687428096000.0))))))));
    result.bits ^= whole.bits << 63; /* an odd multiple turns the sign */
    return result.number;
}

/* sum[i] = sine(at[i] * per[0] + from[0]) + ... over all waves. */
void add_sines(const double *restrict at, size_t count, const double *per, const double *from, size_t waves, double *restrict sum) {
    for (size_t i = 0; i < count; i++) {
        sum[i] = 0;
    }
    for (size_t wave = 0; wave < waves; wave++) {
        const double p = per[wave], f = from[wave];
        for (size_t i = 0; i < count; i++) {
            sum[i] += sine(at[i] * p + f);
        }
    }
}
