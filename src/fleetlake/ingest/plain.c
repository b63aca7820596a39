/* Plain records to columns: JSON objects as the contracts want them, without escapes, nested objects or fields given twice. Of every other
 * record it says so, and leaves it to who knows all of JSON. What it takes is a subset of strict JSON (RFC 8259), and nothing outside a
 * record's bytes is ever read. Called by plain.py. */

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum kind { TEXT, NUMBER, WHOLE_NUMBER, BOOLEAN, TIME, PLACE };

/* A field of the contract and where its values go, an array element for each record. */
typedef struct {
    const char *name;
    int64_t name_size;
    int64_t kind;
    int64_t required;
    double minimum[2]; /* of a TIME, in microseconds */
    double maximum[2];
    void *values[2];   /* double; uint8_t for BOOLEAN; int64_t microseconds since 1970 for TIME; int32_t place in the data for TEXT */
    int32_t *sizes;    /* for TEXT */
    uint8_t *present;
} field;

static const double POWERS_OF_TEN[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                       1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
static const int EXACT_POWER = 22;                       /* the last that a double holds exactly */
static const uint64_t EXACT_WHOLE = 9007199254740992ULL; /* 2^53: up to it a double holds every whole number */
static const int DIGITS_OF_64_BITS = 19;
static const int ENOUGH = 100000;        /* of an exponent: with MOST_CHARACTERS at most, all above are infinite or nothing */
static const int MOST_CHARACTERS = 100; /* of a number; a longer one is not plain, so that its digits can't outweigh its exponent */

static int is_digit(char c) { return c >= '0' && c <= '9'; }

static const char *after_space(const char *p, const char *end) {
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r')) {
        p++;
    }
    return p;
}

/* The functions from here to `value` return where what they read ends, or NULL if it is not plainly that. */

/* Whether there is a quotation mark, a backslash or a control character among eight characters; looked at as one number, all at once. */
static int is_any_special(const char *p) {
    const uint64_t ones = 0x0101010101010101ULL, highest = ones << 7;
    uint64_t eight;
    memcpy(&eight, p, sizeof eight);
    const uint64_t quotes = eight ^ (ones * '"'), backslashes = eight ^ (ones * '\\');
    return (((quotes - ones) & ~quotes) | ((backslashes - ones) & ~backslashes) | ((eight - ones * 0x20) & ~eight)) & highest ? 1 : 0;
}

/* From after the opening quotation mark to the closing one. */
static const char *text(const char *p, const char *end) {
    while (end - p >= 8 && !is_any_special(p)) {
        p += 8;
    }
    while (p < end && *p != '"') {
        if (*p == '\\' || (unsigned char)*p < 0x20) {
            return NULL;
        }
        p++;
    }
    return p < end ? p : NULL;
}

static const char *literal(const char *p, const char *end, const char *word, size_t size) {
    return (size_t)(end - p) >= size && memcmp(p, word, size) == 0 ? p + size : NULL;
}

/* Correctly rounded: exactly where a product or quotient of two exact doubles is, by the C library where it is not. */
static const char *number(const char *p, const char *end, double *value) {
    const char *const start = p;
    uint64_t digits = 0;
    int count = 0, exponent = 0, negative = 0, whole = 1;
    if (p < end && *p == '-') {
        negative = 1;
        p++;
    }
    if (p == end || !is_digit(*p) || (*p == '0' && p + 1 < end && is_digit(p[1]))) {
        return NULL;
    }
    for (; p < end && is_digit(*p); p++) {
        if (count < DIGITS_OF_64_BITS) {
            digits = digits * 10 + (uint64_t)(*p - '0');
        }
        count += count || *p != '0';
    }
    if (p < end && *p == '.') {
        whole = 0;
        if (++p == end || !is_digit(*p)) {
            return NULL;
        }
        for (; p < end && is_digit(*p); p++) {
            if (count < DIGITS_OF_64_BITS) {
                digits = digits * 10 + (uint64_t)(*p - '0');
                exponent--;
            }
            count += count || *p != '0';
        }
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        int written = 0, down;
        whole = 0;
        p++;
        down = p < end && *p == '-';
        if (p < end && (*p == '-' || *p == '+')) {
            p++;
        }
        if (p == end || !is_digit(*p)) {
            return NULL;
        }
        for (; p < end && is_digit(*p); p++) {
            written = written < ENOUGH ? written * 10 + (*p - '0') : written;
        }
        exponent += down ? -written : written;
    }
    if (p - start > MOST_CHARACTERS) {
        return NULL;
    }
    if (count <= DIGITS_OF_64_BITS && digits <= EXACT_WHOLE && exponent >= -EXACT_POWER && exponent <= EXACT_POWER) {
        *value = exponent < 0 ? (double)digits / POWERS_OF_TEN[-exponent] : (double)digits * POWERS_OF_TEN[exponent];
        if (negative && !(whole && digits == 0)) { /* -0 is a whole number, which has no sign; -0.0 has one */
            *value = -*value;
        }
        return p;
    }
    if (p == end) { /* strtod would read on; a record does not end with a number anyway */
        return NULL;
    }
    char *stopped;
    *value = strtod(start, &stopped);
    return stopped == p ? p : NULL; /* it stops at the point where the locale has a comma */
}

static int two_digits(const char *p) { return (p[0] - '0') * 10 + (p[1] - '0'); }

/* "2026-01-05T06:05:00.000Z", from after the opening quotation mark to the closing one. */
static const char *time_of(const char *p, const char *end, int64_t *microseconds) {
    static const char shape[] = "0000-00-00T00:00:00.000Z\"";
    static const int days_of[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const size_t size = sizeof shape - 1;
    if ((size_t)(end - p) < size) {
        return NULL;
    }
    for (size_t i = 0; i < size; i++) {
        if (shape[i] == '0' ? !is_digit(p[i]) : p[i] != shape[i]) {
            return NULL;
        }
    }
    const int year = two_digits(p) * 100 + two_digits(p + 2), month = two_digits(p + 5), day = two_digits(p + 8);
    const int hour = two_digits(p + 11), minute = two_digits(p + 14), second = two_digits(p + 17);
    const int millisecond = two_digits(p + 20) * 10 + (p[22] - '0');
    const int leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (year < 1 || month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59) {
        return NULL;
    }
    if (day > days_of[month - 1] + (leap && month == 2)) {
        return NULL;
    }
    /* Days of whole years before this one, of a calendar without gaps, less those before 1970; then of the months before this one. */
    const int64_t before = year - 1;
    int64_t days = before * 365 + before / 4 - before / 100 + before / 400 - 719162 + day - 1 + (leap && month > 2);
    for (int m = 1; m < month; m++) {
        days += days_of[m - 1];
    }
    *microseconds = ((((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + millisecond) * 1000;
    return p + size - 1;
}

static int in_range(const field *f, int column, double value) {
    return value >= f->minimum[column] && value <= f->maximum[column] && isfinite(value);
}

static const char *place(const char *p, const char *end, const field *f, size_t row) {
    for (int column = 0; column < 2; column++) {
        double value;
        if (p == end || *p != (column ? ',' : '[')) {
            return NULL;
        }
        p = number(after_space(p + 1, end), end, &value);
        if (!p || !in_range(f, column, value)) {
            return NULL;
        }
        ((double *)f->values[column])[row] = value;
        p = after_space(p, end);
    }
    return p < end && *p == ']' ? p + 1 : NULL;
}

/* A value of field `f`, kept in its arrays if it is one that the contract allows. */
static const char *value(const char *p, const char *end, const char *data, const field *f, size_t row) {
    const char *start = p + 1;
    double read;
    if (p == end) {
        return NULL;
    }
    if (*p == 'n') {
        return f->required ? NULL : literal(p, end, "null", 4);
    }
    f->present[row] = 1;
    switch (f->kind) {
    case TEXT:
        p = *p == '"' ? text(start, end) : NULL;
        if (!p || (f->required && p == start)) {
            return NULL;
        }
        ((int32_t *)f->values[0])[row] = (int32_t)(start - data);
        f->sizes[row] = (int32_t)(p - start);
        return p + 1;
    case TIME:
        p = *p == '"' ? time_of(start, end, &((int64_t *)f->values[0])[row]) : NULL;
        return p && in_range(f, 0, (double)((int64_t *)f->values[0])[row]) ? p + 1 : NULL;
    case BOOLEAN:
        ((uint8_t *)f->values[0])[row] = *p == 't';
        return *p == 't' ? literal(p, end, "true", 4) : literal(p, end, "false", 5);
    case PLACE:
        return place(p, end, f, row);
    default:
        p = number(p, end, &read);
        if (!p || !in_range(f, 0, read) || (f->kind == WHOLE_NUMBER && read != floor(read))) {
            return NULL;
        }
        ((double *)f->values[0])[row] = read;
        return p;
    }
}

/* A value of a field that the contract does not know. */
static const char *unknown_value(const char *p, const char *end) {
    double ignored;
    if (p == end) {
        return NULL;
    }
    switch (*p) {
    case '"':
        p = text(p + 1, end);
        return p ? p + 1 : NULL;
    case 'n':
        return literal(p, end, "null", 4);
    case 't':
        return literal(p, end, "true", 4);
    case 'f':
        return literal(p, end, "false", 5);
    default:
        return number(p, end, &ignored);
    }
}

static int starts_with(const char *p, const field *f) { return memcmp(p, f->name, (size_t)f->name_size) == 0; }

static int record(const char *p, const char *end, const char *data, const field *fields, size_t field_count, size_t row) {
    uint64_t seen = 0;
    size_t expected = 0; /* producers keep to an order */
    p = after_space(p, end);
    if (p == end || *p != '{') {
        return 0;
    }
    do {
        p = after_space(p + 1, end);
        if (p == end || *p != '"') {
            return 0;
        }
        const char *const name = p + 1;
        const field *const next = &fields[expected];
        const int as_expected = end - name > next->name_size && name[next->name_size] == '"' && starts_with(name, next);
        p = as_expected ? name + next->name_size : text(name, end);
        if (!p) {
            return 0;
        }
        const int64_t size = p - name;
        p = after_space(p + 1, end);
        if (p == end || *p != ':') {
            return 0;
        }
        p = after_space(p + 1, end);
        size_t i = expected;
        if (!as_expected) {
            for (i = 0; i < field_count && !(fields[i].name_size == size && starts_with(name, &fields[i])); i++) {
            }
        }
        if (i == field_count) {
            p = unknown_value(p, end);
        } else {
            if (seen >> i & 1) {
                return 0;
            }
            seen |= (uint64_t)1 << i;
            p = value(p, end, data, &fields[i], row);
            expected = i + 1 < field_count ? i + 1 : 0;
        }
        if (!p) {
            return 0;
        }
        p = after_space(p, end);
    } while (p < end && *p == ',');
    if (p == end || *p != '}' || after_space(p + 1, end) != end) {
        return 0;
    }
    for (size_t i = 0; i < field_count; i++) {
        if (fields[i].required && !(seen >> i & 1)) {
            return 0;
        }
    }
    return 1;
}

/* Record i lies in `data` from ends[i] to ends[i + 1]; all are UTF-8. `field_count` is at most 64. plain[i] says whether record i is plain:
 * then its values are in the arrays of `fields`, and keep to the contract but for the choices of a text. */
void scan(const char *data, const int32_t *ends, size_t count, const field *fields, size_t field_count, uint8_t *plain) {
    for (size_t row = 0; row < count; row++) {
        plain[row] = (uint8_t)record(data + ends[row], data + ends[row + 1], data, fields, field_count, row);
    }
}

/* The texts one after the other. `to` has room for the sum of their sizes. */
void copy_texts(const char *data, const int32_t *starts, const int32_t *sizes, size_t count, char *to) {
    for (size_t row = 0; row < count; row++) {
        if (sizes[row]) {
            memcpy(to, data + starts[row], (size_t)sizes[row]);
            to += sizes[row];
        }
    }
}
