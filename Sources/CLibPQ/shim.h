// libpq, PostgreSQL's C client library, and OpenSSL, which it uses. Imported by the module PostgreSQL alone.
#ifndef ORDER_WORKER_CLIBPQ_H
#define ORDER_WORKER_CLIBPQ_H

#include <libpq-fe.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>

// Asks a server for TLS over a connected socket and returns why OpenSSL doesn't accept its certificate: X509_V_…, or -1
// if that can't be told. Whom it is for isn't looked at. Takes some seconds at most. The calling thread must be one of its
// own, since SIGPIPE stays blocked on it.
static inline long clibpq_certificate_problem(int descriptor, const char *authorities) {
    static const unsigned char request[8] = { 0, 0, 0, 8, 4, 210, 22, 47 }; // the protocol's SSLRequest
    struct timeval limit = { .tv_sec = 2, .tv_usec = 0 };
    char answer = 0;
    long result = -1;
    sigset_t pipe_signal;
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_signal, NULL);
    (void)setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    (void)setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (send(descriptor, request, sizeof request, 0) != sizeof request) return -1;
    if (recv(descriptor, &answer, 1, 0) != 1 || answer != 'S') return -1;
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (context && SSL_CTX_load_verify_locations(context, authorities, NULL) == 1) {
        SSL *ssl = SSL_new(context);
        if (ssl && SSL_set_fd(ssl, descriptor) == 1 && SSL_connect(ssl) == 1) result = SSL_get_verify_result(ssl);
        SSL_free(ssl);
    }
    SSL_CTX_free(context);
    return result;
}

#endif
