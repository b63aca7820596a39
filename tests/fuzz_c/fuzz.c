/* Calls the C of the package with anything it may be given, in memory that ends where it has to, and compares with what is plainly right.
 * Built with sanitizers by tests/unit/test_fuzz_c.py: fuzz NAME SEED ROUNDS. Ends in 0 if nothing was found. */

#define _POSIX_C_SOURCE 200112L

#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(holds) \
    do { \
        if (!(holds)) { \
            fprintf(stderr, "round %llu: not so: %s\n", (unsigned long long)round_number, #holds); \
            abort(); \
        } \
    } while (0)

static uint64_t round_number, state;

static uint64_t draw(void) { /* xorshift64* */
    state ^= state >> 12, state ^= state << 25, state ^= state >> 27;
    return state * 2685821657736338717ULL;
}

static size_t below(size_t limit) { return limit ? draw() % limit : 0; }

/* Exactly so many bytes, so that the sanitizer sees one more; never NULL. */
static void *exactly(size_t size) {
    void *made = malloc(size ? size : 1);
    CHECK(made);
    return made;
}

static char *random_bytes(size_t size) {
    char *made = exactly(size);
    for (size_t i = 0; i < size; i++) {
        made[i] = (char)draw();
    }
    return made;
}

/* messages.c */

typedef struct {
    int error;
    void *topic;
    int32_t partition;
    void *payload;
    size_t size;
    void *key;
    size_t key_size;
    int64_t offset;
    void *internal;
} message;

typedef struct {
    int32_t (*take)(message *, void **);
    int32_t (*get)(const void *, size_t, const char **, const void **, size_t *);
    void (*destroy)(void *);
} header_functions;

size_t take_events(void *, void *(*)(void *, int), const message *(*)(void *), const header_functions *, int, void **, const message **,
                   size_t, int64_t, int64_t *);
void describe_records(const message *const *, size_t, int64_t (*)(const message *, int *), void **, int32_t *, int64_t *, int64_t *, int64_t *);
void copy_payloads(const message *const *, size_t, char *);
void give_back(void *const *, size_t, void (*)(void *));
size_t produce(void *, int32_t (*)(void *, ...), const char *, const char *, const char *, size_t, const char *, const int64_t *, const char *,
               const int64_t *, size_t, int32_t *);

static size_t in_queue, alive;

static message *new_message(void) {
    message *made = exactly(sizeof *made);
    made->error = below(4) ? 0 : (int)draw();
    made->topic = (void *)(uintptr_t)below(4);
    made->partition = (int32_t)draw();
    made->size = below(10) ? below(40) : below(5000);
    made->payload = below(5) ? random_bytes(made->size) : NULL;
    made->key_size = below(10) ? below(20) : below(3000);
    made->key = below(5) ? random_bytes(made->key_size) : NULL;
    made->offset = (int64_t)draw();
    made->internal = (void *)(uintptr_t)draw();
    return made;
}

/* An event of librdkafka: a record, or none. */
static void destroy(void *event) {
    message **of = event, *m = *of;
    if (m) {
        free(m->payload);
        free(m->key);
        free(m);
    }
    free(event);
    alive--;
}

static const message *next_of(void *event) {
    return *(message **)event;
}

enum { A_HEADER = 64 };
static size_t headers_alive;
static const char *const NAME_OF_HEADER = "name";

/* Some records have headers, so many as their offset says, each of as many bytes as its number. */
static int32_t take_headers(message *m, void **headers) {
    if (m->offset & 1) {
        return -156;
    }
    size_t *made = exactly(sizeof *made);
    *made = ((uint64_t)m->offset >> 1) % 5;
    headers_alive++;
    *headers = made;
    return 0;
}

static int32_t get_header(const void *headers, size_t i, const char **name, const void **value, size_t *size) {
    if (i >= *(const size_t *)headers) {
        return -156;
    }
    *name = NAME_OF_HEADER, *value = i ? NAME_OF_HEADER : NULL, *size = i;
    return 0;
}

static void destroy_headers(void *headers) {
    free(headers);
    headers_alive--;
}

static const header_functions of_headers = {take_headers, get_header, destroy_headers};

static int64_t most_of_headers(const message *m) {
    int64_t bytes = 4096; /* what may lie between two records without being looked at */
    for (size_t i = 0; !(m->offset & 1) && i < ((uint64_t)m->offset >> 1) % 5; i++) {
        bytes += A_HEADER + 4 + (int64_t)i;
    }
    return bytes;
}

static int64_t time_of(const message *m, int *kind) {
    *kind = (int)(m->offset & 3);
    return (int64_t)(uintptr_t)m->internal;
}

static void *poll_queue(void *queue, int timeout_ms) {
    CHECK(queue == &in_queue && timeout_ms >= 0);
    if (!in_queue || !below(500)) {
        return NULL;
    }
    message **event = exactly(sizeof *event);
    *event = below(10) ? new_message() : NULL;
    in_queue--, alive++;
    return event;
}

static void fuzz_messages(void) {
    const size_t limit = 1 + below(700);
    const int64_t enough = (int64_t)below(20000);
    void **events = exactly(limit * sizeof *events);
    const message **messages = exactly(limit * sizeof *messages);
    in_queue = below(1000);
    int64_t weight = -1;
    const size_t taken = take_events(&in_queue, poll_queue, next_of, &of_headers, (int)below(3), events, messages, limit, enough, &weight);
    CHECK(taken <= limit && taken == alive && !headers_alive);
    size_t count = 0;
    int64_t least = 0, most = 0;
    for (size_t i = 0; i < taken; i++) {
        const message *m = *(message **)events[i];
        CHECK(messages[i] == (m && !m->error ? m : NULL));
        if (messages[i]) {
            CHECK(least < enough); /* else it ended before this one */
            least += (m->payload ? (int64_t)m->size : 0) + (m->key ? (int64_t)m->key_size : 0);
            most += most_of_headers(m);
            messages[count++] = messages[i];
        }
    }
    CHECK(least <= weight && weight <= least + most);
    int32_t *partition = exactly(count * sizeof *partition);
    void **topic = exactly(count * sizeof *topic);
    int64_t *offset = exactly(count * sizeof *offset), *time_ms = exactly(count * sizeof *time_ms), *size = exactly(count * sizeof *size);
    describe_records(messages, count, time_of, topic, partition, offset, time_ms, size);
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        const message *m = messages[i];
        CHECK(topic[i] == m->topic && partition[i] == m->partition && offset[i] == m->offset);
        CHECK(time_ms[i] == (int64_t)(uintptr_t)m->internal && size[i] == (m->payload ? (int64_t)m->size : -1));
        total += m->payload ? m->size : 0;
    }
    char *copied = exactly(total);
    copy_payloads(messages, count, copied);
    const char *at = copied;
    for (size_t i = 0; i < count; i++) {
        if (messages[i]->payload) {
            CHECK(memcmp(at, messages[i]->payload, messages[i]->size) == 0);
            at += messages[i]->size;
        }
    }
    give_back(events, taken, destroy);
    CHECK(alive == 0);
    free(events), free(messages), free(partition), free(topic), free(offset), free(time_ms), free(size), free(copied);
}

static const char *keys_sent, *values_sent;
static const int64_t *keys_end, *values_end;
static size_t produced, refuse_at;

static int32_t producev(void *client, ...) {
    static const int expected[] = {1, 7, 5, 4, 9, 0}; /* topic, flags, key, value, header, end */
    CHECK(client == &produced);
    if (produced == refuse_at) {
        return -184;
    }
    va_list given;
    va_start(given, client);
    const size_t i = produced++;
    for (size_t tag = 0; tag < 6; tag++) {
        CHECK(va_arg(given, int) == expected[tag]);
        if (expected[tag] == 1) {
            CHECK(strcmp(va_arg(given, const char *), "topic") == 0);
        } else if (expected[tag] == 7) {
            CHECK(va_arg(given, int) == 2);
        } else if (expected[tag] == 9) {
            CHECK(strcmp(va_arg(given, const char *), "header") == 0);
            CHECK(memcmp(va_arg(given, const char *), "said", 4) == 0);
            CHECK(va_arg(given, size_t) == 4);
        } else if (expected[tag]) {
            const char *from = expected[tag] == 5 ? keys_sent : values_sent, *bytes = va_arg(given, const char *);
            const int64_t *ends = expected[tag] == 5 ? keys_end : values_end;
            CHECK(bytes == from + ends[i] && va_arg(given, size_t) == (size_t)(ends[i + 1] - ends[i]));
        }
    }
    va_end(given);
    return 0;
}

static int64_t *random_ends(size_t count) {
    int64_t *ends = exactly((count + 1) * sizeof *ends);
    ends[0] = (int64_t)below(5);
    for (size_t i = 0; i < count; i++) {
        ends[i + 1] = ends[i] + (int64_t)below(20);
    }
    return ends;
}

static void fuzz_produce(void) {
    const size_t count = below(60);
    int64_t *key_ends = random_ends(count), *value_ends = random_ends(count);
    char *keys = random_bytes((size_t)key_ends[count]), *values = random_bytes((size_t)value_ends[count]);
    int32_t error = 7;
    keys_sent = keys, values_sent = values, keys_end = key_ends, values_end = value_ends, produced = 0;
    refuse_at = below(2) ? count : below(count + 1);
    const size_t queued = produce(&produced, producev, "topic", "header", "said", 4, keys, key_ends, values, value_ends, count, &error);
    CHECK(queued == refuse_at && error == (refuse_at < count ? -184 : 0));
    free(key_ends), free(value_ends), free(keys), free(values);
}

/* words.c */

size_t write_words(const char *const *, const int32_t *const *, const int64_t *, size_t, const int32_t *, size_t, char *, int64_t *);

static void fuzz_words(void) {
    enum { MOST_LISTS = 6 };
    const size_t lists = 1 + below(MOST_LISTS), rows = below(40);
    const char *content[MOST_LISTS];
    const int32_t *ends[MOST_LISTS];
    int64_t words[MOST_LISTS];
    size_t longest = 0;
    for (size_t j = 0; j < lists; j++) {
        const size_t count = 1 + below(8);
        int32_t *made = exactly((count + 1) * sizeof *made), longest_here = 0;
        made[0] = (int32_t)below(4);
        for (size_t k = 0; k < count; k++) {
            const int32_t size = (int32_t)(below(4) ? below(36) : below(200));
            made[k + 1] = made[k] + size;
            longest_here = size > longest_here ? size : longest_here;
        }
        content[j] = random_bytes((size_t)made[count]), ends[j] = made, words[j] = (int64_t)count;
        longest += (size_t)longest_here;
    }
    int32_t *which = exactly(lists * rows * sizeof *which);
    const int wrong = !below(4);
    for (size_t i = 0; i < lists * rows; i++) {
        which[i] = wrong && !below(20) ? (int32_t)draw() : (int32_t)below((size_t)words[i / rows]);
    }
    char *to = exactly(rows * longest), *at = to;
    int64_t *row_ends = exactly((rows + 1) * sizeof *row_ends);
    const size_t written = write_words(content, ends, words, lists, which, rows, to, row_ends);
    CHECK(written <= rows && row_ends[0] == 0);
    for (size_t i = 0; i < written; i++) {
        for (size_t j = 0; j < lists; j++) {
            const int32_t k = which[j * rows + i];
            CHECK(k >= 0 && k < words[j]);
            const size_t size = (size_t)(ends[j][k + 1] - ends[j][k]);
            CHECK(memcmp(at, content[j] + ends[j][k], size) == 0);
            at += size;
        }
        CHECK(row_ends[i + 1] == at - to);
    }
    if (written < rows) {
        size_t strange = 0;
        for (size_t j = 0; j < lists; j++) {
            strange += which[j * rows + written] < 0 || which[j * rows + written] >= words[j];
        }
        CHECK(strange);
    }
    for (size_t j = 0; j < lists; j++) {
        free((void *)content[j]), free((void *)ends[j]);
    }
    free(which), free(to), free(row_ends);
}

/* waves.c */

void add_sines(const double *, size_t, const double *, const double *, size_t, double *);

static double between(double low, double high) { return low + (high - low) * ((double)(draw() >> 11) * 0x1p-53); }

static void fuzz_waves(void) {
    const size_t count = below(70), waves = below(6);
    double *at = exactly(count * sizeof *at), *sum = exactly(count * sizeof *sum);
    double *per = exactly(waves * sizeof *per), *from = exactly(waves * sizeof *from);
    const double largest = below(2) ? 1e3 : 1e-3;
    for (size_t i = 0; i < count; i++) {
        at[i] = below(9) ? between(-largest, largest) : 0;
    }
    for (size_t wave = 0; wave < waves; wave++) {
        per[wave] = below(9) ? between(-1e3, 1e3) : 0, from[wave] = between(-100, 100);
    }
    add_sines(at, count, per, from, waves, sum);
    for (size_t i = 0; i < count; i++) {
        double expected = 0;
        for (size_t wave = 0; wave < waves; wave++) {
            expected += sin(at[i] * per[wave] + from[wave]);
        }
        CHECK(fabs(sum[i] - expected) < 1e-12 * (double)(waves + 1));
    }
    free(at), free(sum), free(per), free(from);
}

/* plain.c */

typedef struct {
    const char *name;
    int64_t name_size, kind, required;
    double minimum[2], maximum[2];
    void *values[2];
    int32_t *sizes;
    uint8_t *present;
} field;

void scan(const char *, const int32_t *, size_t, const field *, size_t, uint8_t *);
void copy_texts(const char *, const int32_t *, const int32_t *, size_t, char *);

enum { FIELDS = 6, TEXT = 0, NUMBER = 1, PLACE = 5 };
static const char *const NAMES[FIELDS] = {"id", "speed", "year", "ignition", "timestamp", "location"};
static const char *const PIECES[] = {
    "{", "}", "\"", ":", ",", "[", "]", "\"id\":\"a\"", "\"speed\":", "12.5", "-0", "1e5", "1E-400", "0.00001e3", "true", "false", "null",
    "\"location\":[51.5,-0.1]", "\"timestamp\":\"2026-01-05T06:05:00.000Z\"", "\"year\":2024", "\"ignition\":true", "\\", "\n", " ", "0",
    "99999999999999999999", "\"z\":", "x", ".", "e", "\"make\":\"\xc3\xa9\"", "123456789012345678901234567890123456789012345678901234567890",
};

static size_t write_record(char *to, size_t room) {
    static const char good[] = "{\"id\":\"a7\",\"speed\":12.5,\"year\":2024,\"ignition\":true,\"timestamp\":\"2026-01-05T06:05:00.000Z\","
                               "\"location\":[51.5,-0.1],\"make\":\"Ford\",\"z\":1.25e3}";
    size_t size = 0;
    if (below(3)) {
        memcpy(to, good, size = sizeof good - 1);
        for (size_t changes = below(4); changes; changes--) {
            const char *piece = PIECES[below(sizeof PIECES / sizeof *PIECES)];
            const size_t at = below(size), long_as = strlen(piece) < size - at ? strlen(piece) : size - at;
            memcpy(to + at, piece, long_as);
        }
        return below(3) ? size : below(size + 1);
    }
    for (size_t pieces = below(24); pieces; pieces--) {
        const char *piece = PIECES[below(sizeof PIECES / sizeof *PIECES)];
        if (size + strlen(piece) < room) {
            memcpy(to + size, piece, strlen(piece));
            size += strlen(piece);
        }
    }
    return size;
}

static void fuzz_plain(void) {
    enum { ROOM = 2000 };
    const size_t count = 1 + below(8);
    char *written = exactly(count * ROOM);
    int32_t *ends = exactly((count + 1) * sizeof *ends);
    ends[0] = 0;
    for (size_t i = 0; i < count; i++) {
        ends[i + 1] = ends[i] + (int32_t)write_record(written + ends[i], ROOM);
    }
    char *data = exactly((size_t)ends[count]);
    memcpy(data, written, (size_t)ends[count]);
    field fields[FIELDS];
    for (size_t f = 0; f < FIELDS; f++) {
        fields[f] = (field){NAMES[f], (int64_t)strlen(NAMES[f]), (int64_t)f, f == 0 || f == 4, {-INFINITY, -180}, {INFINITY, 180}, {0}, 0, 0};
        for (size_t column = 0; column < 2; column++) {
            fields[f].values[column] = calloc(count, sizeof(double));
        }
        fields[f].sizes = calloc(count, sizeof(int32_t)), fields[f].present = calloc(count, 1);
    }
    uint8_t *plain = exactly(count);
    scan(data, ends, count, fields, FIELDS, plain);
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        const int32_t start = ((int32_t *)fields[TEXT].values[0])[i], size = fields[TEXT].sizes[i];
        CHECK(plain[i] <= 1 && (!size || (start >= ends[i] && start + size <= ends[i + 1])));
        CHECK(!plain[i] || (fields[TEXT].present[i] && size > 0));
        CHECK(!plain[i] || !fields[NUMBER].present[i] || isfinite(((double *)fields[NUMBER].values[0])[i]));
        CHECK(!plain[i] || !fields[PLACE].present[i] || fabs(((double *)fields[PLACE].values[1])[i]) <= 180);
        total += (size_t)size;
    }
    char *texts = exactly(total);
    copy_texts(data, fields[TEXT].values[0], fields[TEXT].sizes, count, texts);
    for (size_t f = 0; f < FIELDS; f++) {
        free(fields[f].values[0]), free(fields[f].values[1]), free(fields[f].sizes), free(fields[f].present);
    }
    free(written), free(ends), free(data), free(plain), free(texts);
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        void (*fuzz)(void);
    } targets[] = {{"messages", fuzz_messages}, {"produce", fuzz_produce}, {"words", fuzz_words}, {"waves", fuzz_waves}, {"plain", fuzz_plain}};
    if (argc != 4) {
        return 2;
    }
    state = strtoull(argv[2], NULL, 10) * 2 + 1;
    const uint64_t rounds = strtoull(argv[3], NULL, 10);
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        if (strcmp(argv[1], targets[i].name) == 0) {
            for (round_number = 0; round_number < rounds; round_number++) {
                targets[i].fuzz();
            }
            printf("%s: %llu rounds\n", argv[1], (unsigned long long)rounds);
            return 0;
        }
    }
    return 2;
}
