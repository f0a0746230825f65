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
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

// Swift calls no variadic function.
static inline amqp_rpc_reply_t crabbitmq_login_plain(
    amqp_connection_state_t connection, const char *virtual_host, int frame_max, int heartbeat,
    const amqp_table_t *properties, const char *user, const char *password
) {
    return amqp_login_with_properties(
        connection, virtual_host, 1, frame_max, heartbeat, properties, AMQP_SASL_METHOD_PLAIN, user, password);
}

// The same with the mechanism EXTERNAL: the broker knows the user by the client's certificate.
static inline amqp_rpc_reply_t crabbitmq_login_external(
    amqp_connection_state_t connection, const char *virtual_host, int frame_max, int heartbeat,
    const amqp_table_t *properties, const char *user
) {
    return amqp_login_with_properties(
        connection, virtual_host, 1, frame_max, heartbeat, properties, AMQP_SASL_METHOD_EXTERNAL, user);
}

// What a handshake is to see to, and why it failed.
struct crabbitmq_tls {
    char name[256];    // the server's name; empty for an address, which isn't sent
    long verification; // X509_V_…: the first reason not to accept the certificate
};

static inline struct crabbitmq_tls *crabbitmq_tls_of(const SSL *ssl) {
    return ssl ? (struct crabbitmq_tls *)SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)) : NULL;
}

static int crabbitmq_tls_verified(int accepted, X509_STORE_CTX *store) {
    struct crabbitmq_tls *tls =
        crabbitmq_tls_of((SSL *)X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
    if (!accepted && tls && tls->verification == X509_V_OK) tls->verification = X509_STORE_CTX_get_error(store);
    return accepted;
}

// librabbitmq has put the numeric address there as the server's name.
static void crabbitmq_tls_named(const SSL *ssl, int where, int result) {
    struct crabbitmq_tls *tls = crabbitmq_tls_of(ssl);
    (void)result;
    if ((where & SSL_CB_HANDSHAKE_START) && tls) {
        (void)SSL_set_tlsext_host_name((SSL *)ssl, tls->name[0] ? tls->name : NULL);
    }
}

// Has the server's certificate verified, for this name or address. `tls` must stay until crabbitmq_tls_forget. Returns 0,
// or -1 for what can't be a name.
static inline int crabbitmq_tls_expect(amqp_socket_t *socket, struct crabbitmq_tls *tls, const char *name) {
    SSL_CTX *context = (SSL_CTX *)amqp_ssl_socket_get_context(socket);
    X509_VERIFY_PARAM *expected = SSL_CTX_get0_param(context);
    if (X509_VERIFY_PARAM_set1_ip_asc(expected, name) != 1) {
        if (strlen(name) >= sizeof tls->name) return -1;
        X509_VERIFY_PARAM_set_hostflags(expected, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        if (X509_VERIFY_PARAM_set1_host(expected, name, 0) != 1) return -1;
        strcpy(tls->name, name);
    }
    ERR_clear_error();
    SSL_CTX_set_app_data(context, tls);
    SSL_CTX_set_info_callback(context, crabbitmq_tls_named);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, crabbitmq_tls_verified);
    return 0;
}

static inline void crabbitmq_tls_forget(amqp_socket_t *socket) {
    SSL_CTX_set_app_data((SSL_CTX *)amqp_ssl_socket_get_context(socket), NULL);
}

// OpenSSL's last word on this thread, or NULL.
static inline const char *crabbitmq_tls_reason(void) {
    unsigned long error = ERR_peek_last_error();
    return error ? ERR_reason_error_string(error) : NULL;
}

// When the first of the certificates in a file expires, in seconds since 1970. Returns 0, or -1 where there is none.
static inline int crabbitmq_certificate_expiry(const char *path, int64_t *expiry) {
    BIO *file = BIO_new_file(path, "r");
    int found = -1;
    X509 *certificate;
    while (file && (certificate = PEM_read_bio_X509(file, NULL, NULL, NULL))) {
        struct tm time;
        if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &time) == 1) {
            int64_t end = (int64_t)timegm(&time);
            if (found != 0 || end < *expiry) *expiry = end;
            found = 0;
        }
        X509_free(certificate);
    }
    if (file) BIO_free(file);
    ERR_clear_error();
    return found;
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
