// How much of the server its clients may take.

/// The bounds that keep a client from holding up the worker or the other clients.
struct ClientLimits: Sendable {
    /// How many connections may be open; one more ends the oldest.
    var connections = 100
    /// How long a connection may take until its first answer has gone out, and from each answer to the next. More than the
    /// ten seconds between two visits of many a monitor, which would meet the end of its connection otherwise.
    var patience = Duration.seconds(12)
    /// The greatest size of a request's path and headers, in bytes.
    var headerSize = 16 * 1024
    /// How much of a request's body is read, and ignored, in bytes.
    var bodySize = 64 * 1024
}
