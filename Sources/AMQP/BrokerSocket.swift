// librabbitmq's connection: opening it, logging in, and moving single frames without blocking.

internal import CRabbitMQ
internal import Glibc
internal import SocketExecutor

/// Owns a connection of librabbitmq's. It must be used by one thread at a time.
///
/// librabbitmq can block for ever in a send while the broker doesn't read. Three things prevent that: a frame is sent
/// only after ``isWritable`` said that a third of the kernel's send buffer is free, frames are small against that
/// buffer, and should the kernel still not take one, `TCP_USER_TIMEOUT` breaks the connection after the operation
/// timeout. Its timers for heartbeats are off, since they send in the same way; ``Link`` serves heartbeats.
final class BrokerSocket {
    /// The most that may be sent after ``isWritable`` said yes, before it must be asked again. The last frame may
    /// exceed it.
    static let burst = 65_536
    /// Asks for a fourth of what the kernel grants by default (`net.core.wmem_max`, doubled for its own use).
    private static let sendBufferSize = 262_144

    let descriptor: Int32
    /// What the broker and we agreed on; `nil` when the broker wants none.
    let heartbeat: Duration?
    /// The largest frame that may be sent, in bytes.
    let frameMaximum: Int

    private let connection: amqp_connection_state_t
    private let operation: String
    private let arena = EncodingArena()
    /// The channel of the frame that was read last and not released.
    private var readChannel: amqp_channel_t?

    /// Connects and logs in. Blocks.
    ///
    /// - Parameters:
    ///   - host: one of the numeric addresses of the address's host.
    ///   - limit: how long connecting may take, and then logging in.
    init(
        address: BrokerAddress, host: String, within limit: Duration, configuration: ConnectionConfiguration
    ) throws(AMQPError) {
        operation = "using the connection to \(address)"
        guard let connection = amqp_new_connection() else {
            throw AMQPError(.connectionFailed, during: "connecting to \(address)", cause: "out of memory")
        }
        self.connection = connection
        do throws(AMQPError) {
            descriptor = try Self.open(connection, address, host, within: limit, configuration)
            try Self.logIn(connection, address, within: limit, configuration)
            let agreed = amqp_get_heartbeat(connection)
            let agreedFrame = amqp_get_frame_max(connection)
            let status = amqp_tune_connection(
                connection, amqp_get_channel_max(connection),
                max(agreedFrame, Int32(configuration.largestIncomingFrame)), 0)
            try Self.check(status, .connectionFailed, during: "connecting to \(address)")
            // Nothing below throws: once all members have values, a throw would run `deinit` too.
            heartbeat = agreed > 0 ? .seconds(agreed) : nil
            frameMaximum = Int(agreedFrame)
        } catch {
            amqp_destroy_connection(connection)
            throw error
        }
    }

    deinit {
        // Nothing that closing does may wait for the broker.
        shutdown(descriptor, Int32(SHUT_RDWR))
        amqp_destroy_connection(connection)
    }

    private static func check(_ status: Int32, _ code: AMQPError.Code, during operation: String) throws(AMQPError) {
        if status < 0 {
            throw AMQPError(code, during: operation, cause: String(cString: amqp_error_string2(status)))
        }
    }

    static func timeval(_ duration: Duration) -> Glibc.timeval {
        let milliseconds = max(1, duration.milliseconds)
        return .init(tv_sec: Int(milliseconds / 1000), tv_usec: Int(milliseconds % 1000 * 1000))
    }

    // MARK: Opening

    private static func open(
        _ connection: amqp_connection_state_t, _ address: BrokerAddress, _ host: String, within limit: Duration,
        _ configuration: ConnectionConfiguration
    ) throws(AMQPError) -> Int32 {
        let operation = "connecting to \(address)"
        let socket = address.usesTLS ? amqp_ssl_socket_new(connection) : amqp_tcp_socket_new(connection)
        guard let socket else { throw AMQPError(.connectionFailed, during: operation, cause: "no socket was left") }
        if address.usesTLS {
            try BrokerTLS(configuration.tls, address: address).open(socket, host, within: limit)
        } else {
            do {
                // librabbitmq doesn't tell why the system refuses a connection.
                amqp_tcp_socket_set_sockfd(socket, try TCPSocket.open(host, port: address.port, within: limit))
            } catch {
                throw AMQPError(.connectionFailed, during: operation, cause: error.cause)
            }
        }
        let descriptor = amqp_get_sockfd(connection)
        let bound = UInt32(clamping: max(1, configuration.operationTimeout.milliseconds))
        if crabbitmq_bound_sending(descriptor, Int32(sendBufferSize), bound) != 0 {
            throw AMQPError(.connectionFailed, during: operation, cause: String(cString: strerror(errno)))
        }
        return descriptor
    }

    private static func logIn(
        _ connection: amqp_connection_state_t, _ address: BrokerAddress, within limit: Duration,
        _ configuration: ConnectionConfiguration
    ) throws(AMQPError) {
        let operation = "logging in to \(address)"
        var timeout = timeval(limit)
        try check(amqp_set_handshake_timeout(connection, &timeout), .connectionFailed, during: operation)
        let arena = EncodingArena()
        var properties = arena.table([
            "connection_name": .string(configuration.connectionName),
            "capabilities": .table([
                "publisher_confirms": true, "consumer_cancel_notify": true, "basic.nack": true,
                "connection.blocked": true,
            ]),
        ])
        let heartbeat = Int32(clamping: min(max(1, configuration.heartbeat.components.seconds), 65_535))
        // The properties point into the arena.
        let (host, frame) = (address.virtualHost, Int32(configuration.largestFrame))
        let reply = withExtendedLifetime(arena) {
            configuration.usesCertificate(for: address)
                ? crabbitmq_login_external(connection, host, frame, heartbeat, &properties, address.user)
                : crabbitmq_login_plain(
                    connection, host, frame, heartbeat, &properties, address.user, address.password)
        }
        switch reply.reply_type {
        case AMQP_RESPONSE_NORMAL:
            return
        case AMQP_RESPONSE_SERVER_EXCEPTION:
            let closing = IncomingFrame(method: reply.reply)
            guard case .connectionClosed(let code, let text) = closing else {
                throw AMQPError(.protocol, during: operation, cause: "an unknown answer")
            }
            // 403 at this stage: the credentials. 530: the virtual host is missing or forbidden.
            let meaning = AMQPError.Code(brokerCode: code, text: text, fallback: .connectionFailed)
            throw AMQPError(
                code == 403 ? .authenticationFailed : meaning, brokerCode: code, during: operation, cause: text)
        default:
            // A broker that wants a client's certificate says so only now, in TLS 1.3.
            let isLacking = address.usesTLS && configuration.tls.clientCertificate == nil
            let reason = isLacking ? ": does the broker want a client certificate?" : ""
            let cause = String(cString: amqp_error_string2(min(-1, reply.library_error)))
            throw AMQPError(.connectionFailed, during: operation, cause: cause + reason)
        }
    }

    // MARK: Sending

    /// Whether ``burst`` bytes can be sent without blocking.
    var isWritable: Bool { crabbitmq_is_writable(descriptor) != 0 }

    /// Runs `body` with the kernel collecting small frames into large packets.
    func gathering<Result>(_ body: () throws(AMQPError) -> Result) throws(AMQPError) -> Result {
        crabbitmq_cork(descriptor, 1)
        defer { crabbitmq_cork(descriptor, 0) }
        return try body()
    }

    func send(_ method: OutgoingMethod) throws(AMQPError) {
        arena.empty()
        let status = method.encoded(in: arena) { channel, id, fields in
            amqp_send_method(connection, channel, id, fields)
        }
        try Self.check(status, .connectionClosed, during: operation)
    }

    func sendHeartbeat() throws(AMQPError) {
        var frame = amqp_frame_t()
        frame.frame_type = UInt8(AMQP_FRAME_HEARTBEAT)
        try send(&frame)
    }

    /// Sends all of a message that comes before its body.
    func sendHead(of outgoing: OutgoingMessage) throws(AMQPError) {
        arena.empty()
        var method = amqp_basic_publish_t(
            ticket: 0, exchange: arena.bytes(outgoing.exchange), routing_key: arena.bytes(outgoing.routingKey),
            mandatory: outgoing.isMandatory ? 1 : 0, immediate: 0)
        let status = amqp_send_method(connection, 1, AMQP_BASIC_PUBLISH_METHOD, &method)
        try Self.check(status, .connectionClosed, during: operation)

        var properties = arena.properties(outgoing.message.properties)
        let bodySize = UInt64(outgoing.message.body.count)
        let sent: Int32 = withUnsafeMutablePointer(to: &properties) { properties in
            var frame = amqp_frame_t()
            frame.frame_type = UInt8(AMQP_FRAME_HEADER)
            frame.channel = 1
            frame.payload.properties.class_id = UInt16(AMQP_BASIC_CLASS)
            frame.payload.properties.body_size = bodySize
            frame.payload.properties.decoded = UnsafeMutableRawPointer(properties)
            return amqp_send_frame(connection, &frame)
        }
        try Self.check(sent, .connectionClosed, during: operation)
    }

    /// Sends as much of a body, from `offset`, as fits a frame.
    ///
    /// - Returns: how many bytes that was.
    func sendBody(_ body: [UInt8], from offset: Int) throws(AMQPError) -> Int {
        // A frame has 8 bytes around its payload.
        let count = min(body.count - offset, frameMaximum - 8)
        let status: Int32 = body.withUnsafeBytes { bytes in
            var frame = amqp_frame_t()
            frame.frame_type = UInt8(AMQP_FRAME_BODY)
            frame.channel = 1
            // librabbitmq only reads it.
            let start = UnsafeMutableRawPointer(mutating: bytes.baseAddress.map { $0 + offset })
            frame.payload.body_fragment = amqp_bytes_t(len: count, bytes: start)
            return amqp_send_frame(connection, &frame)
        }
        try Self.check(status, .connectionClosed, during: operation)
        return count
    }

    private func send(_ frame: inout amqp_frame_t) throws(AMQPError) {
        try Self.check(amqp_send_frame(connection, &frame), .connectionClosed, during: operation)
    }

    // MARK: Receiving

    /// The next frame that has arrived; `nil` when there is none. Heartbeats are swallowed.
    ///
    /// A frame's body is valid until ``release()``, which must be called before the next one is read.
    func nextFrame() throws(AMQPError) -> IncomingFrame? {
        var frame = amqp_frame_t()
        var noTime = Glibc.timeval(tv_sec: 0, tv_usec: 0)
        let status = amqp_simple_wait_frame_noblock(connection, &frame, &noTime)
        if status == AMQP_STATUS_TIMEOUT.rawValue { return nil }
        if status == AMQP_STATUS_BAD_AMQP_DATA.rawValue { return .undecodable }
        try Self.check(status, .connectionClosed, during: operation)
        readChannel = frame.channel
        return IncomingFrame(frame)
    }

    /// Whether the connection was reset, or both sides have ended it; told without reading.
    var isBroken: Bool {
        var state = pollfd(fd: descriptor, events: 0, revents: 0)
        return poll(&state, 1, 0) > 0
    }

    /// Sends this, takes leave of the broker, and waits for it to hang up, for a second at most. For the end of a
    /// connection from which nothing can be read any more: without the wait, what was sent last could be lost.
    func leave(after last: OutgoingMethod? = nil) throws(AMQPError) {
        guard isWritable else { return }
        if let last { try send(last) }
        try send(.closeConnection)
        let limit = ContinuousClock.now + .seconds(1)
        var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        var ignored = [UInt8](repeating: 0, count: 65_536)
        while ContinuousClock.now < limit {
            if poll(&waiting, 1, 100) > 0, recv(descriptor, &ignored, ignored.count, 0) <= 0 { return }
        }
    }

    /// How long ago the broker's last data arrived, heartbeats and unread data included; `nil` if the socket is broken.
    var silence: Duration? {
        let milliseconds = crabbitmq_milliseconds_since_data(descriptor)
        return milliseconds < 0 ? nil : .milliseconds(milliseconds)
    }

    /// Gives the memory of the last frame back to librabbitmq.
    func release() {
        guard let channel = readChannel.take() else { return }
        amqp_maybe_release_buffers_on_channel(connection, channel)
    }
}
