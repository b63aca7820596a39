/* What a loop in Python costs microseconds a message for, over many messages of librdkafka at a time. Called by broker/queueing.py and
 * ingest/by_columns.py, which pass the functions of the librdkafka that confluent-kafka brings. */

#define _POSIX_C_SOURCE 199309L /* for clock_gettime */

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* rd_kafka_message_t of librdkafka's public header rdkafka.h, unchanged since 0.8: part of its stable ABI. */
typedef struct {
    int error;
    void *topic;
    int32_t partition;
    void *payload; /* NULL for a record without a value */
    size_t size;
    void *key;
    size_t key_size;
    int64_t offset;
    void *internal;
} message;

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* librdkafka's functions for the headers of a record, which it does not lay open: taken out of it, each of them, and freed. */
typedef struct {
    int32_t (*take)(message *, void **headers);
    int32_t (*get)(const void *headers, size_t i, const char **name, const void **value, size_t *size);
    void (*destroy)(void *headers);
} header_functions;

enum { A_HEADER = 64 }; /* bytes of librdkafka's for each, about */

/* The bytes of a record's headers, by looking at each of them: some 100 ns a header. */
static int64_t measure_headers(const message *m, const header_functions *of) {
    void *headers;
    if (of->take((message *)m, &headers)) {
        return 0; /* it has none */
    }
    const char *name;
    const void *value;
    size_t size;
    int64_t bytes = 0;
    for (size_t i = 0; !of->get(headers, i, &name, &value, &size); i++) {
        bytes += A_HEADER + (int64_t)strlen(name) + (value ? (int64_t)size : 0);
    }
    of->destroy(headers);
    return bytes;
}

enum { NEAR = 4096 };

/* The bytes of the headers of the record before this one, or a little more. Records of a batch lie one behind the other: key, value,
 * headers, and some bytes between them. So where the next one begins close behind the value, nothing has to be asked. */
static int64_t weigh_headers(const message *before, const message *m, const header_functions *of) {
    const char *const end = before->payload ? (char *)before->payload + before->size : before->key ? (char *)before->key + before->key_size : NULL;
    const char *const begin = m->key ? m->key : m->payload;
    const uintptr_t gap = (uintptr_t)begin - (uintptr_t)end;
    return begin && end && gap <= NEAR ? (int64_t)gap : measure_headers(before, of);
}

/* Events of a queue until there are `limit` of them, or they weigh `enough` bytes or more, or the time is over; returns how many.
 * A record weighs what it takes of memory as long as its event lives: key, value and headers; not what is the same for each, which
 * `limit` bounds. Its headers are weighed when the next one is there. weight: of all of them. messages: the record that each brings,
 * which lives as long as its event; NULL for one that is an error. Events, since rd_kafka_consume_batch_queue has the error callback
 * called for some errors of a topic: confluent-kafka's aborts the process on a thread that it did not call. */
size_t take_events(void *queue, void *(*poll)(void *, int), const message *(*next_of)(void *), const header_functions *headers,
                   int timeout_ms, void **events, const message **messages, size_t limit, int64_t enough, int64_t *weight) {
    const int64_t until = now_ms() + timeout_ms;
    const message *before = NULL;
    int64_t bytes = 0;
    size_t count = 0;
    while (count < limit && bytes < enough) {
        void *event = poll(queue, 0);
        if (!event) {
            const int64_t left = until - now_ms();
            event = left > 0 ? poll(queue, (int)left) : NULL;
        }
        if (!event) {
            break;
        }
        const message *m = next_of(event);
        events[count] = event;
        messages[count] = m && !m->error ? m : NULL;
        if (messages[count]) {
            bytes += (m->payload ? (int64_t)m->size : 0) + (m->key ? (int64_t)m->key_size : 0);
            bytes += before ? weigh_headers(before, m, headers) : 0;
            before = m;
        }
        count++;
    }
    *weight = bytes;
    return count;
}

/* Fills an array for each attribute. A size is -1 for a record without a value; a time is -1 where there is none. */
void describe_records(const message *const *messages, size_t count, int64_t (*time_of)(const message *, int *), void **topic,
                      int32_t *partition, int64_t *offset, int64_t *time_ms, int64_t *size) {
    int kind;
    for (size_t i = 0; i < count; i++) {
        const message *m = messages[i];
        topic[i] = m->topic;
        partition[i] = m->partition;
        offset[i] = m->offset;
        time_ms[i] = time_of(m, &kind);
        size[i] = m->payload ? (int64_t)m->size : -1;
    }
}

/* The payloads one after the other. `to` has room for the sum of their sizes. */
void copy_payloads(const message *const *messages, size_t count, char *to) {
    for (size_t i = 0; i < count; i++) {
        if (messages[i]->payload) {
            memcpy(to, messages[i]->payload, messages[i]->size);
            to += messages[i]->size;
        }
    }
}

void give_back(void *const *events, size_t count, void (*destroy)(void *)) {
    for (size_t i = 0; i < count; i++) {
        destroy(events[i]);
    }
}

enum { TOPIC = 1, VALUE = 4, KEY = 5, MSGFLAGS = 7, HEADER = 9, END = 0 }; /* rd_kafka_vtype_t */
enum { COPY = 2, PERSISTED = 2, INVALID_RECORD = 87, INVALID_ARGUMENT = -186 };

/* What became of the records of a producer: how many were given up, and the first one's error. Its threads write it. */
typedef struct failures failures;
struct failures {
    _Atomic int64_t count;
    _Atomic int32_t error;
    int32_t (*status_of)(const message *);
    int32_t (*add_on_new)(void *configuration, const char *name, void *interceptor, void *opaque);
    int32_t (*add_on_acknowledgement)(void *client, const char *name, void *interceptor, void *opaque);
};

static _Thread_local failures *of_next_producer;
static _Thread_local int in_producev; /* which returns the error that it notes, too */

/* Of the producer that this thread makes next, with this library as a plugin. Never freed: a producer that ends with the process may still
 * write. */
failures *watch_next_producer(void *status_of, void *add_on_new, void *add_on_acknowledgement) {
    failures *into = calloc(1, sizeof *into);
    if (into) {
        into->status_of = (int32_t (*)(const message *))status_of;
        into->add_on_new = (int32_t (*)(void *, const char *, void *, void *))add_on_new;
        into->add_on_acknowledgement = (int32_t (*)(void *, const char *, void *, void *))add_on_acknowledgement;
    }
    return of_next_producer = into;
}

/* An on_acknowledgement interceptor. A record that is not known to be stored has failed, with an error of its own or none. */
static int32_t note_delivery(void *client, const message *m, failures *into) {
    (void)client;
    if (!in_producev && (m->error || into->status_of(m) != PERSISTED)) {
        int32_t none = 0;
        atomic_compare_exchange_strong(&into->error, &none, m->error ? m->error : INVALID_RECORD);
        atomic_fetch_add(&into->count, 1);
    }
    return 0;
}

/* An on_new interceptor: the only place where librdkafka lets one for acknowledgements be added. */
static int32_t watch(void *client, const void *configuration, failures *into, char *reason, size_t reason_size) {
    (void)configuration, (void)reason, (void)reason_size;
    return into->add_on_acknowledgement(client, "fleetlake", (void *)note_delivery, into);
}

/* librdkafka calls this of a library in `plugin.library.paths` while it reads the configuration. */
int32_t conf_init(void *configuration, void **opaque, char *reason, size_t reason_size) {
    (void)opaque, (void)reason, (void)reason_size;
    failures *into = of_next_producer;
    of_next_producer = NULL;
    return into ? into->add_on_new(configuration, "fleetlake", (void *)watch, into) : INVALID_ARGUMENT;
}

/* Queues records until one is refused; returns how many were queued. Key i lies from key_ends[i] to key_ends[i + 1] of `keys`, and values
 * likewise. error: of the one that was refused, else 0. */
size_t produce(void *client, int32_t (*producev)(void *, ...), const char *topic, const char *header, const char *said, size_t said_size,
               const char *keys, const int64_t *key_ends, const char *values, const int64_t *value_ends, size_t count, int32_t *error) {
    size_t i = 0;
    *error = 0;
    in_producev = 1;
    for (; i < count; i++) {
        const size_t key_size = (size_t)(key_ends[i + 1] - key_ends[i]), value_size = (size_t)(value_ends[i + 1] - value_ends[i]);
        *error = producev(client, TOPIC, topic, MSGFLAGS, COPY, KEY, keys + key_ends[i], key_size, VALUE, values + value_ends[i],
                          value_size, HEADER, header, said, said_size, END);
        if (*error) {
            break;
        }
    }
    in_producev = 0;
    return i;
}
