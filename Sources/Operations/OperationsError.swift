// Why the operator's pages can't be served.

internal import NIOCore
internal import NIOPosix
internal import SystemPackage

/// An error of the pages' server.
public struct OperationsError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of failure. More kinds may be added.
    public struct Code: RawRepresentable, Sendable, Hashable {
        public let rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }

        /// The address isn't one of this machine, or the port is taken.
        public static let addressUnusable = Code(rawValue: "address_unusable")
        /// Nobody answers, or not as the worker's pages do.
        public static let noAnswer = Code(rawValue: "no_answer")
        /// Whoever was asked doesn't tell this account.
        public static let refused = Code(rawValue: "refused")
        /// The server failed while it served.
        public static let serverFailed = Code(rawValue: "server_failed")
    }

    public let code: Code
    /// What was being done.
    public let during: String
    /// What the system said.
    public let cause: String

    public init(code: Code, during: String, cause: String) {
        self.code = code
        self.during = during
        self.cause = cause
    }

    /// What to do about it.
    public var advice: String {
        switch code {
        case .addressUnusable: "Choose another address or port, or 0 to have a free one picked."
        case .refused: "Give the account the right to ask that, or ask with another."
        case .noAnswer: "Check that the worker runs, and its HTTP address and port."
        default: "Start again; if it repeats, report it."
        }
    }

    /// Whether the same can succeed when it is tried again.
    public var isRetriable: Bool { code == .noAnswer }

    public var description: String { "\(during): \(cause). \(advice)" }
}

extension OperationsError {
    /// What the system said, without where in the library it said it.
    static func cause(_ error: any Error) -> String {
        // Of a host's addresses the first one's.
        if let first = (error as? NIOConnectionError)?.connectionErrors.first { return cause(first.error) }
        return (error as? IOError).map { "\($0.systemError)" } ?? "\(error)"
    }
}

extension IOError {
    var systemError: Errno { Errno(rawValue: errnoCode) }
}
