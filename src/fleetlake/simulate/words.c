/* Events put together of words, for words.py. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* As memcpy does, without a call for what is short, which most words are. */
static inline void copy(char *to, const char *from, size_t size) {
    if (size > 32) {
        memcpy(to, from, size);
    } else if (size >= 16) {
        memcpy(to, from, 16);
        memcpy(to + size - 16, from + size - 16, 16);
    } else if (size >= 8) {
        memcpy(to, from, 8);
        memcpy(to + size - 8, from + size - 8, 8);
    } else if (size >= 4) {
        memcpy(to, from, 4);
        memcpy(to + size - 4, from + size - 4, 4);
    } else {
        for (size_t i = 0; i < size; i++) {
            to[i] = from[i];
        }
    }
}

/* Writes rows one after the other; each has a word of each of `lists` lists, in their order. Word k of list j, one of words[j], lies from
 * ends[j][k] to ends[j][k + 1] of content[j]; row i has word which[j * rows + i] of it. Row i ends at row_ends[i + 1]. `to` has room for rows
 * of the longest words. Returns how many rows it wrote: all, or those before one that asks for a word that is not there. */
size_t write_words(const char *const *content, const int32_t *const *ends, const int64_t *words, size_t lists, const int32_t *which,
                   size_t rows, char *to, int64_t *row_ends) {
    char *at = to;
    row_ends[0] = 0;
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < lists; j++) {
            const int64_t k = which[j * rows + i];
            if (k < 0 || k >= words[j]) {
                return i;
            }
            const size_t size = (size_t)(ends[j][k + 1] - ends[j][k]);
            copy(at, content[j] + ends[j][k], size);
            at += size;
        }
        row_ends[i + 1] = at - to;
    }
    return rows;
}
