// TLS to a broker: whom the certificate has to be for, and why a connection isn't secure, in words.

internal import CRabbitMQ
internal import SocketExecutor

/// What librabbitmq leaves out of TLS. It knows a host by the name that it connects to alone, which here is a numeric
/// address; it takes no certificates for addresses; and it doesn't tell why a certificate isn't accepted.
struct BrokerTLS {
    private let configuration: ConnectionConfiguration.TLS
    private let address: BrokerAddress
    /// Whom the certificate has to be for.
    private var expectedName: String { configuration.serverName ?? address.host }

    init(_ configuration: ConnectionConfiguration.TLS, address: BrokerAddress) {
        self.configuration = configuration
        self.address = address
    }

    /// Connects. Blocks.
    ///
    /// - Parameters:
    ///   - socket: of the kind for TLS, and new.
    ///   - host: one of the numeric addresses of the address's host.
    func open(_ socket: OpaquePointer, _ host: String, within limit: Duration) throws(AMQPError) {
        try prepare(socket)
        let state = UnsafeMutablePointer<crabbitmq_tls>.allocate(capacity: 1)
        state.initialize(to: crabbitmq_tls())
        defer {
            crabbitmq_tls_forget(socket)
            state.deallocate()
        }
        if configuration.verifiesBroker, crabbitmq_tls_expect(socket, state, expectedName) != 0 {
            throw failure("'\(expectedName)' can't be a server's name")
        }
        var timeout = BrokerSocket.timeval(limit)
        let status = amqp_socket_open_noblock(socket, host, Int32(address.port), &timeout)
        if status < 0 { throw failure(cause(status, verification: state.pointee.verification, host)) }
    }

    private func failure(_ cause: String) -> AMQPError {
        AMQPError(.connectionFailed, during: "connecting to \(address)", cause: cause)
    }

    private func prepare(_ socket: OpaquePointer) throws(AMQPError) {
        amqp_ssl_socket_set_verify_peer(socket, configuration.verifiesBroker ? 1 : 0)
        // OpenSSL does it, which knows addresses too.
        amqp_ssl_socket_set_verify_hostname(socket, 0)
        if amqp_ssl_socket_set_ssl_versions(socket, AMQP_TLSv1_2, AMQP_TLSvLATEST) < 0 {
            throw failure("this OpenSSL doesn't know TLS 1.2")
        }
        let authorities = configuration.certificateAuthorityFile
        if configuration.verifiesBroker, amqp_ssl_socket_set_cacert(socket, authorities) < 0 {
            throw failure("the certificate authorities can't be read from \(authorities)\(Self.reason)")
        }
        guard let own = configuration.clientCertificate else { return }
        // Without it OpenSSL asks for a pass phrase on the terminal, and waits.
        amqp_ssl_socket_set_key_passwd(socket, "")
        if amqp_ssl_socket_set_key(socket, own.certificateFile, own.keyFile) < 0 {
            throw failure(
                "the client certificate can't be read from \(own.certificateFile) and \(own.keyFile)\(Self.reason)")
        }
    }

    /// OpenSSL's last word, in brackets.
    private static var reason: String {
        crabbitmq_tls_reason().map { " (\(String(cString: $0)))" } ?? ""
    }

    private func cause(_ status: Int32, verification: Int, _ host: String) -> String {
        if verification != Int(X509_V_OK) { return verificationFailure(Int32(truncatingIfNeeded: verification)) }
        switch status {
        case AMQP_STATUS_SOCKET_ERROR.rawValue, AMQP_STATUS_TIMEOUT.rawValue:
            // librabbitmq doesn't tell why the system refuses a connection; the system says it again.
            do {
                TCPSocket.hangUp(try TCPSocket.open(host, port: address.port, within: .seconds(1)))
                return "the server accepts connections, but gave no answer in TLS"
            } catch {
                return error.cause
            }
        case AMQP_STATUS_SSL_CONNECTION_FAILED.rawValue, AMQP_STATUS_SSL_ERROR.rawValue:
            return "TLS wasn't agreed on\(Self.reason): is this the port for TLS, and is a client certificate wanted?"
        default:
            return String(cString: amqp_error_string2(status))
        }
    }

    private func verificationFailure(_ code: Int32) -> String {
        switch code {
        case X509_V_ERR_CERT_HAS_EXPIRED: "the broker's certificate has expired"
        case X509_V_ERR_CERT_NOT_YET_VALID: "the broker's certificate isn't valid yet: are the clocks right?"
        case X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH:
            "the broker's certificate is for another host than '\(expectedName)'"
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
            X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT,
            X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, X509_V_ERR_CERT_UNTRUSTED:
            "the broker's certificate isn't signed by an authority in \(configuration.certificateAuthorityFile)"
        default: "the broker's certificate isn't accepted: \(String(cString: X509_verify_cert_error_string(Int(code))))"
        }
    }
}
