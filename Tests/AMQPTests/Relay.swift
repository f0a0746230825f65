// A relay before the broker that can stop passing anything on, as a dead network does.

import Foundation
import Synchronization
import Testing

/// Passes one connection on to a host, both ways, until it is frozen.
final class Relay: Sendable {
    let port: Int
    private let listener: Int32
    private let isFrozen = Atomic(false)
    private let isStopped = Atomic(false)

    init(to host: String, port target: Int) throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutableBytes(of: &address) { bytes -> Int32 in
            guard let generic = bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self) else { return -1 }
            guard bind(listener, generic, length) == 0, listen(listener, 4) == 0 else { return -1 }
            return getsockname(listener, generic, &length)
        }
        self.listener = listener
        port = Int(UInt16(bigEndian: address.sin_port))
        try #require(status == 0)

        var broker = sockaddr_in()
        broker.sin_family = sa_family_t(AF_INET)
        broker.sin_port = UInt16(target).bigEndian
        try #require(inet_pton(AF_INET, host, &broker.sin_addr) == 1, "the relay needs an IPv4 address in AMQP_URL")
        let thread = Thread { [self, broker] in run(broker) }
        thread.start()
    }

    /// Passes nothing on from now, and reads nothing.
    func freeze() { isFrozen.store(true, ordering: .relaxed) }

    func stop() { isStopped.store(true, ordering: .relaxed) }

    private func run(_ broker: sockaddr_in) {
        let near = accept(listener, nil, nil)
        let far = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { for descriptor in [listener, near, far] { close(descriptor) } }
        var broker = broker
        let connected = withUnsafeBytes(of: &broker) { bytes -> Int32 in
            guard let generic = bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self) else { return -1 }
            return connect(far, generic, socklen_t(bytes.count))
        }
        if connected != 0 { return }
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while !isStopped.load(ordering: .relaxed) {
            if isFrozen.load(ordering: .relaxed) {
                usleep(10_000)
                continue
            }
            var states = [near, far].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            guard poll(&states, 2, 10) > 0, !isFrozen.load(ordering: .relaxed) else { continue }
            for (state, other) in zip(states, [far, near]) where state.revents != 0 {
                let count = read(state.fd, &buffer, buffer.count)
                if count <= 0 { return }
                var sent = 0
                while sent < count {
                    let written = buffer[sent..<count].withUnsafeBytes { write(other, $0.baseAddress, $0.count) }
                    if written <= 0 { return }
                    sent += written
                }
            }
        }
    }
}
