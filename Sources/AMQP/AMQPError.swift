// The module's one error: what failed, while doing what, what the broker said, and what to do about it.

/// Why an AMQP operation failed.
///
/// After an error other than ``Code/invalidArgument`` a consumer or publisher connection is unusable: close it and open
/// another. Nothing is lost by that: what was not acknowledged is delivered again, and what was not confirmed must be
/// published again.
public struct AMQPError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of failure. More kinds may be added.
    public struct Code: RawRepresentable, Sendable, Hashable {
        public let rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }

        /// No connection could be made: the host is unknown, unreachable or silent, or TLS failed.
        public static let connectionFailed = Code(rawValue: "connection_failed")
        /// The broker doesn't accept the user or the password.
        public static let authenticationFailed = Code(rawValue: "authentication_failed")
        /// The user lacks a permission.
        public static let accessRefused = Code(rawValue: "access_refused")
        /// A queue, exchange or virtual host doesn't exist.
        public static let notFound = Code(rawValue: "not_found")
        /// What exists differs from what was declared, or a delivery tag isn't known.
        public static let preconditionFailed = Code(rawValue: "precondition_failed")
        /// Another connection holds the queue exclusively, or a single delivery is locked.
        public static let resourceLocked = Code(rawValue: "resource_locked")
        /// The broker doesn't know the command's parameters: above all, an exchange type whose plugin isn't enabled.
        public static let commandInvalid = Code(rawValue: "command_invalid")
        /// The broker refuses what was asked by its policy or its limits.
        public static let notAllowed = Code(rawValue: "not_allowed")
        /// The broker doesn't implement what was asked.
        public static let notImplemented = Code(rawValue: "not_implemented")
        /// A message is larger than the broker or this library allows.
        public static let contentTooLarge = Code(rawValue: "content_too_large")
        /// The connection was closed, by either side or by the network.
        public static let connectionClosed = Code(rawValue: "connection_closed")
        /// The broker closed the channel.
        public static let channelClosed = Code(rawValue: "channel_closed")
        /// The broker didn't answer within the operation timeout, and whether it did what was asked is unknown; or a
        /// delivery wasn't acknowledged within the broker's time limit.
        public static let timedOut = Code(rawValue: "timed_out")
        /// The broker accepts no messages for now (memory or disk alarm) and the operation timeout passed.
        public static let blocked = Code(rawValue: "blocked")
        /// The broker is out of resources or had an error of its own.
        public static let brokerFailed = Code(rawValue: "broker_failed")
        /// One side broke the protocol.
        public static let `protocol` = Code(rawValue: "protocol")
        /// The caller's argument can't be sent; nothing was sent and the connection is still usable.
        public static let invalidArgument = Code(rawValue: "invalid_argument")
    }

    /// The kind of failure.
    public let code: Code
    /// The broker's reply code, such as 404, where the broker gave one.
    public let brokerCode: Int?
    /// What was being done, and to what: "declaring the queue orders.00".
    public let during: String
    /// What the broker, the library or the system said.
    public let cause: String

    init(_ code: Code, brokerCode: Int? = nil, during: String, cause: String) {
        self.code = code
        self.brokerCode = brokerCode
        self.during = during
        self.cause = cause
    }

    /// Whether the same may succeed on a new connection, later, with nothing else changed.
    public var isRetriable: Bool {
        switch code {
        case .connectionFailed, .connectionClosed, .channelClosed, .timedOut, .blocked, .brokerFailed, .resourceLocked:
            true
        default:
            false
        }
    }

    /// What to do about it.
    public var advice: String {
        switch code {
        case .connectionFailed: "Check the broker's address, that it runs, the network, and the TLS settings."
        case .authenticationFailed: "Check the user name and the password in the AMQP URL."
        case .accessRefused: "Grant the user the missing permission (rabbitmqctl set_permissions)."
        case .notFound: "Create what is missing, or correct its name."
        case .preconditionFailed: "Delete and declare anew what has other properties, or correct the declaration."
        case .resourceLocked: "Wait until the other connection lets go of it."
        case .commandInvalid: "Enable the plugin that provides it (rabbitmq-plugins enable …)."
        case .notAllowed: "Check the virtual host, its permissions, and the broker's limits and policies."
        case .notImplemented: "Use a broker version that supports it."
        case .contentTooLarge: "Send a smaller message, or raise the broker's limit."
        case .timedOut: "Connect again. If it repeats, look at the broker's load."
        case .blocked: "Relieve the broker's memory or disk alarm, then try again."
        case .brokerFailed: "Connect again later, and read the broker's log."
        case .protocol: "Report it with the broker's version and log."
        case .invalidArgument: "Correct the argument."
        default: "Connect again."
        }
    }

    public var description: String {
        let number = brokerCode.map { " \($0)" } ?? ""
        return "\(during): \(code.rawValue)\(number): \(cause). \(advice)"
    }

    /// The same failure, told by someone who was doing something else when it struck.
    func during(_ operation: String) -> AMQPError {
        AMQPError(code, brokerCode: brokerCode, during: operation, cause: cause)
    }
}

extension AMQPError.Code {
    /// What a reply code of AMQP 0-9-1 or of RabbitMQ means.
    ///
    /// - Parameters:
    ///   - text: the broker's words. RabbitMQ uses some codes for several things, and only its words tell them apart.
    ///   - fallback: for a code with no meaning of its own: what the broker closed.
    init(brokerCode: Int, text: String, fallback: AMQPError.Code) {
        switch brokerCode {
        case 403 where text.contains("exclusive use"): self = .resourceLocked
        case 404 where text.contains("down or inaccessible"): self = .brokerFailed
        case 406 where text.contains("acknowledgement on channel") && text.contains("timed out"): self = .timedOut
        // RabbitMQ 4's answer to an exchange type whose plugin isn't enabled; RabbitMQ 3 says 503.
        case 406 where text.contains("unknown exchange type"): self = .commandInvalid
        case 311: self = .contentTooLarge
        case 403: self = .accessRefused
        case 404: self = .notFound
        case 405: self = .resourceLocked
        case 406: self = .preconditionFailed
        case 501, 502, 504, 505: self = .protocol
        case 503: self = .commandInvalid
        case 506, 541: self = .brokerFailed
        case 530: self = .notAllowed
        case 540: self = .notImplemented
        default: self = fallback
        }
    }
}
