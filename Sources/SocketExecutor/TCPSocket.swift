// A TCP connection to one address, with the system's own words when there is none.

internal import Glibc

/// Connects sockets without the help of a C library.
public enum TCPSocket {
    /// Why there is no connection.
    public struct Failure: Error, Sendable {
        /// The system's words, in lower case: they continue a sentence.
        public let cause: String

        /// - Parameter number: the system's error number.
        init(_ number: Int32) { cause = String(cString: strerror(number)).lowercased() }

        init(cause: String) { self.cause = cause }
    }

    /// Connects. Blocks.
    ///
    /// - Parameters:
    ///   - host: a numeric address.
    ///   - limit: how long that may take.
    /// - Returns: a descriptor that doesn't block, set up as librabbitmq would: closed in child processes, without Nagle's
    ///   algorithm, with keep-alives.
    public static func open(_ host: String, port: Int, within limit: Duration) throws(Failure) -> Int32 {
        var hints = addrinfo()
        hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, "\(port)", &hints, &list)
        guard status == 0, let address = list?.pointee else {
            throw Failure(cause: String(cString: gai_strerror(status)))
        }
        defer { freeaddrinfo(list) }
        let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        let descriptor = socket(address.ai_family, type, Int32(IPPROTO_TCP))
        guard descriptor >= 0 else { throw Failure(errno) }
        do throws(Failure) {
            try set(IPPROTO_TCP, TCP_NODELAY, of: descriptor)
            try set(Int(SOL_SOCKET), SO_KEEPALIVE, of: descriptor)
            try connect(descriptor, to: address, within: limit)
            return descriptor
        } catch {
            close(descriptor)
            throw error
        }
    }

    /// Closes what ``open(_:port:within:)`` gave.
    public static func hangUp(_ descriptor: Int32) { close(descriptor) }

    private static func set(_ level: Int, _ option: Int32, of descriptor: Int32) throws(Failure) {
        var on: Int32 = 1
        let size = socklen_t(MemoryLayout<Int32>.size)
        if setsockopt(descriptor, Int32(level), option, &on, size) != 0 { throw Failure(errno) }
    }

    private static func connect(
        _ descriptor: Int32, to address: addrinfo, within limit: Duration
    ) throws(Failure) {
        if Glibc.connect(descriptor, address.ai_addr, address.ai_addrlen) == 0 { return }
        if errno != EINPROGRESS { throw Failure(errno) }
        let deadline = ContinuousClock.now + limit
        var state = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        while true {
            let left = max(0, ContinuousClock.now.duration(to: deadline) / .milliseconds(1)).rounded(.up)
            let ready = poll(&state, 1, Int32(min(left, 3_600_000)))
            if ready > 0 { break }
            if ready == 0 { throw Failure(ETIMEDOUT) }
            if errno != EINTR { throw Failure(errno) }
        }
        var error: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        if getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size) != 0 { throw Failure(errno) }
        if error != 0 { throw Failure(error) }
    }
}
