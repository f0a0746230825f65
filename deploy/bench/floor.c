/* The floors: what broker and database take from a client that does nothing but move messages.
 *
 *   floor move  HOST PORT USER PASSWORD VHOST COUNT OUTCOME_BYTES INVOICE_BYTES QUEUE...
 *       Takes COUNT messages from the queues, publishes two durable events for each, and acknowledges each once both are
 *       confirmed; as much as the broker gives is under way at once. Prints messages per second.
 *   floor relay HOST PORT USER PASSWORD VHOST COUNT OUTCOME_BYTES INVOICE_BYTES QUEUE...
 *       One message after the other: one INSERT and COMMIT (database in DATABASE_URL), two confirmed events, the
 *       acknowledgement. A message with a reply_to also gets its outcome there. The least that a worker without batches does.
 */
#include <amqp.h>
#include <amqp_tcp_socket.h>
#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CHANNEL = 1, PREFETCH = 500, ACKNOWLEDGE_EVERY = 100 };

static amqp_connection_state_t connection;

static void fail(const char *what, const char *why) {
    fprintf(stderr, "floor: %s: %s\n", what, why);
    exit(1);
}
static void check(amqp_rpc_reply_t reply, const char *what) {
    if (reply.reply_type == AMQP_RESPONSE_NORMAL) return;
    fail(what, reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION ? amqp_error_string2(reply.library_error)
                                                                   : "refused by the broker");
}
static void check_status(int status, const char *what) {
    if (status < 0) fail(what, amqp_error_string2(status));
}
static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* The identifiers of events differ, as they do in life: broker and database can't compress them away. */
static void next_identifier(char *text) {
    static uint64_t number;
    snprintf(text, 37, "018f0000-0002-7000-8000-%012llx", (unsigned long long)++number);
}

static uint64_t published;
static void publish(const char *exchange, amqp_bytes_t key, const char *type, amqp_bytes_t body, amqp_bytes_t correlation) {
    char identifier[37];
    next_identifier(identifier);
    amqp_basic_properties_t properties = {
        ._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG |
                  AMQP_BASIC_TYPE_FLAG | AMQP_BASIC_TIMESTAMP_FLAG | AMQP_BASIC_APP_ID_FLAG |
                  (correlation.len ? AMQP_BASIC_CORRELATION_ID_FLAG : 0),
        .content_type = amqp_cstring_bytes("application/json"),
        .delivery_mode = 2,
        .message_id = amqp_cstring_bytes(identifier),
        .type = amqp_cstring_bytes(type),
        .timestamp = (uint64_t)time(NULL),
        .app_id = amqp_cstring_bytes("floor"),
        .correlation_id = correlation,
    };
    check_status(
        amqp_basic_publish(connection, CHANNEL, amqp_cstring_bytes(exchange), key, 0, 0, &properties, body), "publish");
    published++;
}

/* What was delivered and not yet taken, in its order. */
static amqp_envelope_t waiting[8 * PREFETCH];
static size_t first_waiting, count_waiting;
/* All events up to `confirmed` are confirmed; of those behind it, `is_confirmed` tells which the broker confirmed early. */
static uint64_t confirmed;
static bool *is_confirmed;

/* Reads one message or one confirm. */
static void read_one(void) {
    amqp_envelope_t *envelope = &waiting[(first_waiting + count_waiting) % (8 * PREFETCH)];
    amqp_maybe_release_buffers(connection);
    amqp_rpc_reply_t reply = amqp_consume_message(connection, envelope, NULL, 0);
    if (reply.reply_type == AMQP_RESPONSE_NORMAL) {
        if (++count_waiting > 8 * PREFETCH - 1) fail("consume", "more messages than were asked for");
        return;
    }
    if (reply.library_error != AMQP_STATUS_UNEXPECTED_STATE) check(reply, "consume");
    amqp_frame_t frame;
    check_status(amqp_simple_wait_frame(connection, &frame), "read");
    if (frame.frame_type != AMQP_FRAME_METHOD) fail("read", "a frame that nobody asked for");
    if (frame.payload.method.id != AMQP_BASIC_ACK_METHOD) fail("publish", "the broker refused an event");
    const amqp_basic_ack_t *ack = frame.payload.method.decoded;
    is_confirmed[ack->delivery_tag] = true;
    if (ack->multiple && ack->delivery_tag > confirmed) confirmed = ack->delivery_tag;
    while (is_confirmed[confirmed + 1]) confirmed++;
}

int main(int count_of_arguments, char **arguments) {
    if (count_of_arguments < 11) fail("usage", "see the head of floor.c");
    const bool relay = strcmp(arguments[1], "relay") == 0;
    const uint64_t count = strtoull(arguments[7], NULL, 10);
    char *outcome = malloc(1 << 20), *invoice = malloc(1 << 20);
    for (int i = 0; i < 1 << 20; i++) outcome[i] = invoice[i] = (char)('a' + (i * 7 + i / 31) % 26);
    const amqp_bytes_t outcome_body = {strtoull(arguments[8], NULL, 10), outcome};
    const amqp_bytes_t invoice_body = {strtoull(arguments[9], NULL, 10), invoice};

    PGconn *database = NULL;
    if (relay) {
        database = PQconnectdb(getenv("DATABASE_URL"));
        if (PQstatus(database) != CONNECTION_OK) fail("database", PQerrorMessage(database));
        PQclear(PQexec(database, "CREATE TABLE IF NOT EXISTS relayed (id text PRIMARY KEY, data bytea NOT NULL)"));
        PGresult *prepared =
            PQprepare(database, "insert", "INSERT INTO relayed VALUES ($1, $2) ON CONFLICT DO NOTHING", 2, NULL);
        if (PQresultStatus(prepared) != PGRES_COMMAND_OK) fail("prepare", PQerrorMessage(database));
        PQclear(prepared);
    }

    connection = amqp_new_connection();
    amqp_socket_t *socket = amqp_tcp_socket_new(connection);
    check_status(amqp_socket_open(socket, arguments[2], atoi(arguments[3])), "connect");
    check(amqp_login(connection, arguments[6], 0, 131072, 60, AMQP_SASL_METHOD_PLAIN, arguments[4], arguments[5]), "login");
    amqp_channel_open(connection, CHANNEL);
    check(amqp_get_rpc_reply(connection), "open a channel");
    amqp_confirm_select(connection, CHANNEL);
    check(amqp_get_rpc_reply(connection), "confirms");
    amqp_basic_qos(connection, CHANNEL, 0, PREFETCH, 0);
    for (int i = 10; i < count_of_arguments; i++) {
        amqp_basic_consume(connection, CHANNEL, amqp_cstring_bytes(arguments[i]), amqp_empty_bytes, 0, 0, 0, amqp_empty_table);
        check(amqp_get_rpc_reply(connection), arguments[i]);
    }

    is_confirmed = calloc(3 * count + 2, sizeof *is_confirmed);
    double began = 0;
    uint64_t taken = 0, acknowledged = 0;
    /* In the order of delivery: how many events had been published once each message's were. */
    uint64_t *due = calloc(count + 1, sizeof *due), *tags = calloc(count + 1, sizeof *tags);
    while (acknowledged < count) {
        if (count_waiting == 0) read_one();
        while (count_waiting > 0) {
            amqp_envelope_t *envelope = &waiting[first_waiting];
            const amqp_basic_properties_t *properties = &envelope->message.properties;
            if (taken == 0) began = now();
            if (taken == count) fail("consume", "more messages than were to come");
            if (relay) {
                const char *values[] = {properties->message_id.bytes, envelope->message.body.bytes};
                const int lengths[] = {(int)properties->message_id.len, (int)envelope->message.body.len}, formats[] = {1, 1};
                PGresult *result = PQexecPrepared(database, "insert", 2, values, lengths, formats, 0);
                if (PQresultStatus(result) != PGRES_COMMAND_OK) fail("insert", PQerrorMessage(database));
                PQclear(result);
            }
            const amqp_bytes_t correlation =
                properties->_flags & AMQP_BASIC_CORRELATION_ID_FLAG ? properties->correlation_id : amqp_empty_bytes;
            publish("order.events", amqp_cstring_bytes("subscription.ordered"), "subscription.ordered", outcome_body, correlation);
            publish("order.events", amqp_cstring_bytes("invoice.updated"), "invoice.updated", invoice_body, amqp_empty_bytes);
            if (relay && properties->_flags & AMQP_BASIC_REPLY_TO_FLAG) {
                publish("", properties->reply_to, "subscription.ordered", outcome_body, correlation);
            }
            due[taken] = published;
            tags[taken++] = envelope->delivery_tag;
            amqp_destroy_envelope(envelope);
            first_waiting = (first_waiting + 1) % (8 * PREFETCH);
            count_waiting--;
            while (relay && confirmed < published) read_one();
            if (relay) break;
        }
        uint64_t done = acknowledged;
        while (done < taken && due[done] <= confirmed) done++;
        if (done > acknowledged && (relay || done - acknowledged >= ACKNOWLEDGE_EVERY || done == count)) {
            check_status(amqp_basic_ack(connection, CHANNEL, tags[done - 1], 1), "acknowledge");
            acknowledged = done;
        }
    }
    printf("%.0f\n", (double)count / (now() - began));
    /* Closing waits for the broker, which handles what came before in order. */
    amqp_channel_close(connection, CHANNEL, AMQP_REPLY_SUCCESS);
    amqp_connection_close(connection, AMQP_REPLY_SUCCESS);
    return 0;
}
