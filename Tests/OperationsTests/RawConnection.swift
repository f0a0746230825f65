// A client that sends whatever bytes a test wants, and reads when the test wants.

import Dispatch
import Glibc
import Operations

/// A TCP connection to the loopback. Its calls block, so they are made on a queue's thread.
final class RawConnection: Sendable {
    /// How a server ended the connection, or didn't.
    enum Ending: Hashable {
        case closed
        case reset
        case stillOpen
    }

    private let descriptor: CInt

    init(port: Int) throws {
        descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
        var address = Self.address(port: port)
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard status == 0 else { throw Self.failure("connecting") }
    }

    private init(descriptor: CInt) {
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    static func address(port: Int) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        return address
    }

    /// Takes the first connection that a listening socket has.
    static func accepted(by listener: CInt) async throws -> RawConnection {
        try await blocking {
            let descriptor = accept(listener, nil, nil)
            guard descriptor >= 0 else { throw failure("accepting") }
            return RawConnection(descriptor: descriptor)
        }
    }

    /// Sends it all, if the other side lets it.
    /// - Returns: whether it did.
    @discardableResult
    func send(_ bytes: [UInt8]) async throws -> Bool {
        try await Self.blocking { [descriptor] in
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = rest.withUnsafeBytes {
                    Glibc.send(descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL))
                }
                guard count > 0 else { return false }
                rest = rest.dropFirst(count)
            }
            return true
        }
    }

    @discardableResult
    func send(_ text: String) async throws -> Bool { try await send(Array(text.utf8)) }

    /// No more will be sent.
    func finishSending() { shutdown(descriptor, CInt(SHUT_WR)) }

    /// Reads until the text is complete, the connection ends, or nothing has come for a while.
    func read(
        for patience: Duration = .seconds(10), until isComplete: (@Sendable (String) -> Bool)? = nil
    ) async throws -> (text: String, ending: Ending) {
        try await Self.blocking { [descriptor] in
            var wait = timeval(
                tv_sec: Int(patience.components.seconds),
                tv_usec: Int(patience.components.attoseconds / 1_000_000_000_000))
            setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &wait, socklen_t(MemoryLayout<timeval>.size))
            var bytes: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 65536)
            while true {
                let count = recv(descriptor, &buffer, buffer.count, 0)
                if count > 0 {
                    bytes += buffer[..<count]
                    guard let isComplete else { continue }
                    let text = String(decoding: bytes, as: UTF8.self)
                    if isComplete(text) { return (text, .stillOpen) }
                } else {
                    let ending: Ending = count == 0 ? .closed : errno == EAGAIN ? .stillOpen : .reset
                    return (String(decoding: bytes, as: UTF8.self), ending)
                }
            }
        }
    }

    private static func blocking<Result: Sendable>(
        _ body: @escaping @Sendable () throws -> Result
    ) async throws -> Result {
        try await withCheckedThrowingContinuation { continuation in
            DispatchQueue.global().async { continuation.resume(with: Swift.Result { try body() }) }
        }
    }

    static func failure(_ during: String) -> OperationsError {
        OperationsError(code: .noAnswer, during: during, cause: String(cString: strerror(errno)))
    }
}

/// A port that takes connections and says nothing of its own accord.
final class SilentListener: Sendable {
    let descriptor: CInt
    let port: Int

    init() throws {
        let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
        self.descriptor = descriptor
        var address = RawConnection.address(port: 0)
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(descriptor, pointer, size) + listen(descriptor, 8) + getsockname(descriptor, pointer, &size)
            }
        }
        guard status == 0 else { throw RawConnection.failure("listening") }
        port = Int(address.sin_port.bigEndian)
    }

    deinit { close(descriptor) }
}
