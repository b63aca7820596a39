/* What a loop in Python costs a microsecond a message for, over many messages of librdkafka at a time: where each is from, its payload,
 * and giving it back. Called by by_columns.py, which passes the functions of the librdkafka that confluent-kafka brings. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

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

/* Fills an array for each attribute. A size is -1 for a record without a value; a time is -1 where there is none. */
void describe(message *const *messages, size_t count, int64_t (*time_of)(const message *, int *), int32_t *error, void **topic,
              int32_t *partition, int64_t *offset, int64_t *time_ms, int64_t *size) {
    int kind;
    for (size_t i = 0; i < count; i++) {
        const message *m = messages[i];
        error[i] = m->error;
        topic[i] = m->topic;
        partition[i] = m->partition;
        offset[i] = m->offset;
        time_ms[i] = time_of(m, &kind);
        size[i] = m->payload ? (int64_t)m->size : -1;
    }
}

/* The payloads one after the other. `to` has room for the sum of their sizes. */
void copy_payloads(message *const *messages, size_t count, char *to) {
    for (size_t i = 0; i < count; i++) {
        if (messages[i]->payload) {
            memcpy(to, messages[i]->payload, messages[i]->size);
            to += messages[i]->size;
        }
    }
}

void give_back(message *const *messages, size_t count, void (*destroy)(message *)) {
    for (size_t i = 0; i < count; i++) {
        destroy(messages[i]);
    }
}
