// How to reach the brokers of a cluster, and how long to wait for them.

internal import SocketExecutor

/// The brokers to connect to and the bounds of every wait.
public struct ConnectionConfiguration: Sendable, CustomStringConvertible {
    /// How a TLS connection is secured.
    public struct TLS: Sendable, Hashable {
        /// A file of the certificate authorities to trust, PEM.
        public var certificateAuthorityFile = "/etc/ssl/certs/ca-certificates.crt"
        /// Whom the broker's certificate has to be for, and which name the broker is told; nil for the host of its address.
        public var serverName: String?
        /// Whether the broker's certificate must be signed by one of them and name the host. Off is for tests.
        public var verifiesBroker = true
        /// The client's own certificate and key, PEM, where the broker asks for one.
        public var clientCertificate: ClientCertificate?

        /// A client certificate.
        public struct ClientCertificate: Sendable, Hashable {
            public var certificateFile: String
            public var keyFile: String

            public init(certificateFile: String, keyFile: String) {
                self.certificateFile = certificateFile
                self.keyFile = keyFile
            }
        }

        public init() {}
    }

    /// The brokers, in the order in which they are tried.
    public let addresses: [BrokerAddress]
    /// What the broker's management page calls the connection.
    public var connectionName = "order-worker"
    /// How long silence may last before a sign of life is sent; the connection is given up after twice that. Whole
    /// seconds, at least 1; the broker may ask for less.
    public var heartbeat: Duration = .seconds(30)
    /// How long connecting to one broker and logging in may take, each. The look-up of the name counts as connecting, and
    /// the addresses of the name share the time.
    public var connectTimeout: Duration = .seconds(10)
    /// How long an operation may take: a declaration, the confirms of what was published.
    public var operationTimeout: Duration = .seconds(30)
    public var tls = TLS()
    /// How much a consumer may let wait before it reads no more, in bytes: what isn't read stays with the broker.
    public var bufferLimit = 16 << 20
    /// Whether a delivery whose headers can't be read is rejected before the connection is given up, so that it doesn't come
    /// again: for queues that dead-letter what is rejected. From any other it would be lost.
    public var rejectsUnreadable = false
    /// How host names are looked up.
    var lookUp = HostAddresses.systemLookUp
    /// Whether a consumer that gets a delivery whose headers can't be read keeps its connection, and with it all that it
    /// holds: nothing more is read then, but acknowledgements are still sent. ``ConsumerConnection/unreadable`` tells.
    public var keepsUnreadable = false
    /// The largest frame that the broker is asked for, in bytes: small against the socket's send buffer.
    var largestFrame = 32_768
    /// The largest frame that is read, in bytes. A message's headers come in one frame as large as its publisher and the
    /// broker agreed on, whatever we agreed on: 128 KiB by RabbitMQ's default, and what the broker adds.
    var largestIncomingFrame = 262_144

    /// Reads one URL or several, separated by commas: `amqp://user:password@host:port/vhost,amqps://…`.
    ///
    /// Left out, the user and the password are `guest`, the port is 5672 (5671 with TLS), the virtual host is `/`. User,
    /// password and virtual host are percent-encoded.
    ///
    /// - Throws: ``AMQPError`` with the code `invalidArgument`, which says what is wrong without showing the URL.
    public init(uris: String) throws(AMQPError) {
        var addresses: [BrokerAddress] = []
        for url in uris.split(separator: ",", omittingEmptySubsequences: false) {
            let trimmed = url.drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }.reversed()
            addresses.append(try BrokerAddress(url: String(trimmed)))
        }
        self.addresses = addresses
    }

    /// Whether the login is by the client's certificate (EXTERNAL): there is one, and no password.
    func usesCertificate(for address: BrokerAddress) -> Bool {
        address.usesTLS && tls.clientCertificate != nil && address.password.isEmpty
    }

    /// The addresses without their passwords.
    public var description: String {
        addresses.map(\.description).joined(separator: ",")
    }
}

extension Duration {
    /// In whole milliseconds, rounded up.
    var milliseconds: Int64 {
        components.seconds * 1000 + (components.attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000
    }
}
