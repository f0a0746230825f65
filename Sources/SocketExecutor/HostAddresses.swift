// The addresses of a host's name, looked up without making anybody wait for the resolver.

internal import Glibc

/// The numeric addresses of a host.
///
/// A name may have several, of which some are dead. The C libraries try the first one for as long as there is time, so
/// they are given the addresses one by one, each with its share of the time.
public struct HostAddresses: Sendable {
    /// Why a name has no addresses.
    public struct Failure: Error, Sendable {
        /// What the resolver said, in words that continue a sentence.
        public let cause: String

        public init(cause: String) { self.cause = cause }
    }

    /// Looks a name up: how the addresses of a host are found.
    public typealias LookUp = @Sendable (_ host: String) -> Result<[String], Failure>

    /// In the order in which they are to be tried; at least one. IPv6 addresses stand without brackets.
    public let numeric: [String]

    public init(numeric: [String]) { self.numeric = numeric }

    /// - Parameter lookUp: for tests.
    /// - Throws: ``Failure`` when the name has none, the deadline passed, or the task was cancelled.
    public nonisolated(nonsending) static func resolve(
        _ host: String, until deadline: ContinuousClock.Instant, lookUp: @escaping LookUp = systemLookUp
    ) async throws(Failure) -> HostAddresses {
        if isNumeric(host) { return HostAddresses(numeric: [host]) }
        let found = await BlockingCall.run(label: "resolver", until: deadline) { lookUp(host) }
        guard let found else { throw Failure(cause: "the resolver gave no answer in time") }
        return HostAddresses(numeric: try found.get())
    }

    /// When the address at `index` has to be given up: what is left of the time, shared equally among those that are left.
    public func deadline(
        ofAddress index: Int, within deadline: ContinuousClock.Instant, now: ContinuousClock.Instant = .now
    ) -> ContinuousClock.Instant {
        now + now.duration(to: deadline) / max(1, numeric.count - index)
    }

    private static func isNumeric(_ host: String) -> Bool {
        var (four, six) = (in_addr(), in6_addr())
        return inet_pton(AF_INET, host, &four) == 1 || inet_pton(AF_INET6, host, &six) == 1
    }

    /// Asks the system's resolver. Blocks for as long as that takes.
    public static let systemLookUp: LookUp = { host in
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_protocol = Int32(IPPROTO_TCP)
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, nil, &hints, &list)
        guard status == 0 else {
            let cause = status == EAI_SYSTEM ? String(cString: strerror(errno)) : String(cString: gai_strerror(status))
            return .failure(Failure(cause: "'\(host)' can't be resolved: \(cause)"))
        }
        defer { freeaddrinfo(list) }
        var numeric: [String] = []
        var next = list
        while let entry = next {
            var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            let failure = getnameinfo(
                entry.pointee.ai_addr, entry.pointee.ai_addrlen, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST)
            if failure == 0 {
                let address = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
                if !numeric.contains(address) { numeric.append(address) }
            }
            next = entry.pointee.ai_next
        }
        return numeric.isEmpty
            ? .failure(Failure(cause: "'\(host)' has no address")) : .success(numeric)
    }
}
