// librabbitmq, RabbitMQ's C client library, and the few socket calls that it leaves to its user. Imported by the module
// AMQP alone. The headers moved between 0.11 (Debian 12) and 0.15 (Debian 13).
#ifndef ORDER_WORKER_CRABBITMQ_H
#define ORDER_WORKER_CRABBITMQ_H

#if __has_include(<rabbitmq-c/amqp.h>)
#include <rabbitmq-c/amqp.h>
#include <rabbitmq-c/framing.h>
#include <rabbitmq-c/ssl_socket.h>
#include <rabbitmq-c/tcp_socket.h>
#else
#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#endif
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

// Swift calls no variadic function.
static inline amqp_rpc_reply_t crabbitmq_login_plain(
    amqp_connection_state_t connection, const char *virtual_host, int frame_max, int heartbeat,
    const amqp_table_t *properties, const char *user, const char *password
) {
    return amqp_login_with_properties(
        connection, virtual_host, 1, frame_max, heartbeat, properties, AMQP_SASL_METHOD_PLAIN, user, password);
}

// Sets the size of the kernel's send buffer and how long it may hold what the broker doesn't take before the kernel gives
// the connection up. Returns 0, or -1 with errno.
static inline int crabbitmq_bound_sending(int descriptor, int buffer_bytes, unsigned milliseconds) {
    if (setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &buffer_bytes, sizeof buffer_bytes) != 0) return -1;
    return setsockopt(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, &milliseconds, sizeof milliseconds);
}

// While corked, the kernel sends full segments only; uncorking sends the rest.
static inline void crabbitmq_cork(int descriptor, int on) {
    (void)setsockopt(descriptor, IPPROTO_TCP, TCP_CORK, &on, sizeof on);
}

// Whether the socket takes data now: at least a third of its send buffer is free, or it failed.
static inline int crabbitmq_is_writable(int descriptor) {
    struct pollfd state = { .fd = descriptor, .events = POLLOUT, .revents = 0 };
    return poll(&state, 1, 0) > 0;
}

// How many milliseconds ago the last data arrived, or -1.
static inline long crabbitmq_milliseconds_since_data(int descriptor) {
    struct tcp_info info;
    socklen_t size = sizeof info;
    if (getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return -1;
    return info.tcpi_last_data_recv;
}

#endif
