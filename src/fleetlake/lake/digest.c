/* Hashes of rows, a column at a time: what digest.py defines, which has the same in numpy. Little-endian machines only. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum kind { INT32, INT64, DOUBLE, BOOLEAN };

static inline uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static inline int bit(const uint8_t *bits, int64_t at) {
    return bits[at >> 3] >> (at & 7) & 1;
}

static inline uint64_t word(const uint8_t *from) {
    uint64_t value;
    memcpy(&value, from, 8);
    return value;
}

/* Fewer than 8 bytes, zeros after them. */
static inline uint64_t part(const uint8_t *from, int64_t size) {
    uint64_t value = 0;
    for (int64_t i = size; i-- > 0;) {
        value = value << 8 | from[i];
    }
    return value;
}

static inline uint64_t text(const uint8_t *from, int64_t size, uint64_t key) {
    uint64_t hash = key ^ ((uint64_t)size * 0x9e3779b97f4a7c15u);
    int64_t at = 0, rest = size & 7;
    for (; at + 8 <= size; at += 8) {
        hash = (hash ^ word(from + at)) * 0xbf58476d1ce4e5b9u;
        hash ^= hash >> 32;
    }
    if (rest) {
        uint64_t last = size > 8 ? word(from + size - 8) >> (8 * (8 - rest)) : part(from + at, rest);
        hash = (hash ^ last) * 0xbf58476d1ce4e5b9u;
        hash ^= hash >> 32;
    }
    return mix(hash);
}

static inline uint64_t number(const void *values, int kind, int64_t at) {
    if (kind == INT32) {
        return (uint64_t)(int64_t)((const int32_t *)values)[at];
    }
    if (kind == BOOLEAN) {
        return (uint64_t)bit(values, at);
    }
    uint64_t bits = ((const uint64_t *)values)[at];
    if (kind == DOUBLE && (bits & 0x7fffffffffffffffu) > 0x7ff0000000000000u) {
        return 0x7ff8000000000000u; /* one NaN for all */
    }
    return bits;
}

static inline void add(const void *values, int kind, const uint8_t *valid, int64_t first, size_t count, uint64_t key, uint64_t *hashes) {
    for (size_t i = 0; i < count; i++) {
        int64_t at = first + (int64_t)i;
        if (!valid || bit(valid, at)) {
            hashes[i] += mix(number(values, kind, at) ^ key);
        }
    }
}

/* Adds to the hashes of `count` rows what their values of a column give. first: where in the column's buffers they begin.
   valid: Arrow's bits, or null where none of the column is. */
void add_numbers(const void *values, int64_t kind, const uint8_t *valid, int64_t first, size_t count, uint64_t key, uint64_t *hashes) {
    switch (kind) {
    case INT32: add(values, INT32, valid, first, count, key, hashes); break;
    case INT64: add(values, INT64, valid, first, count, key, hashes); break;
    case DOUBLE: add(values, DOUBLE, valid, first, count, key, hashes); break;
    default: add(values, BOOLEAN, valid, first, count, key, hashes);
    }
}

/* The same for texts or bytes, which lie in `data` between one end and the next. large: whether the ends are of 64 bits. */
void add_texts(const void *ends, int64_t large, const uint8_t *data, const uint8_t *valid, int64_t first, size_t count, uint64_t key,
               uint64_t *hashes) {
    const int32_t *ends32 = ends;
    const int64_t *ends64 = ends;
    for (size_t i = 0; i < count; i++) {
        int64_t at = first + (int64_t)i;
        if (!valid || bit(valid, at)) {
            int64_t start = large ? ends64[at] : ends32[at], end = large ? ends64[at + 1] : ends32[at + 1];
            hashes[i] += text(data + start, end - start, key);
        }
    }
}

/* The sum of the rows' hashes, each mixed, so that values exchanged between two rows change it. */
uint64_t sum_hashes(const uint64_t *hashes, size_t count) {
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += mix(hashes[i]);
    }
    return sum;
}
