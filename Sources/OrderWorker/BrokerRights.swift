// What an account of the broker may do in the virtual host, compared with what it needs.

/// An account's permissions in a virtual host: three regular expressions that names of exchanges and queues match.
public struct BrokerPermission: Sendable, Hashable {
    public let user: String
    public let configure: String
    public let write: String
    public let read: String

    public init(user: String, configure: String, write: String, read: String) {
        self.user = user
        self.configure = configure
        self.write = write
        self.read = read
    }
}

/// What an account is for.
public enum BrokerAccount: Sendable {
    /// It runs workers and applies the topology. To answer at a command's `reply_to` it writes through the exchange without a
    /// name, which reaches every queue: that it answers nowhere else is the program's doing.
    case worker
    /// It publishes commands, and reads its own replies.
    case publisher
    /// It sees how much waits, and touches no message.
    case reader
    /// One that isn't known here; a consumer of events.
    case other
}

extension BrokerPermission {
    /// The narrowest permissions that an account works with.
    public static func needed(by account: BrokerAccount, user: String) -> BrokerPermission {
        switch account {
        case .worker:
            BrokerPermission(
                user: user, configure: #"^(orders(\..*)?|order\.events)$"#,
                write: #"^(orders(\..*)?|order\.events|amq\.default)$"#, read: #"^orders(\..*)?$"#)
        case .publisher:
            BrokerPermission(
                user: user, configure: #"^replies\.\#(escaped(user))\..*$"#, write: "^orders$",
                read: #"^replies\.\#(escaped(user))\..*$"#)
        case .reader:
            BrokerPermission(user: user, configure: "^$", write: "^$", read: "^$")
        case .other:
            BrokerPermission(
                user: user, configure: #"^(events\..*|amq\.gen.*)$"#, write: #"^(events\..*|amq\.gen.*)$"#,
                read: #"^(events\..*|amq\.gen.*|order\.events)$"#)
        }
    }

    /// What the account may do that it doesn't need and that others could come to harm by, in words that continue its name.
    public func excesses(of account: BrokerAccount) -> [String] {
        let own = ["orders", "orders.00", "orders.dead", "orders.retry", "orders.unrouted"]
        let everyones = [Self.nobodys, "events.\(Self.nobodys)", "replies.\(Self.nobodys).1"]
        let all = own + [Topology.events] + everyones
        func excess(_ deed: String, _ pattern: String, _ names: [String]) -> String? {
            let matching = names.filter { Self.matches(pattern, $0) }
            guard let first = matching.first else { return nil }
            return "may \(deed) \(matching.contains(Self.nobodys) ? "anybody's queue" : first) (\(deed): \(pattern))"
        }
        let found: [String?] =
            switch account {
            case .worker:
                [
                    excess("configure", configure, everyones), excess("write", write, everyones),
                    excess("read", read, everyones),
                ]
            case .publisher:
                [
                    excess("configure", configure, all),
                    excess("write", write, all.filter { $0 != Topology.commands } + ["amq.default"]),
                    excess("read", read, all),
                ]
            case .reader:
                [
                    excess("configure", configure, all), excess("write", write, all + ["amq.default"]),
                    excess("read", read, all),
                ]
            case .other:
                [
                    excess("configure", configure, own + [Topology.events]),
                    excess("write", write, own.filter { $0 != Topology.commands } + [Topology.events, "amq.default"]),
                    excess("read", read, own),
                ]
            }
        return found.compactMap(\.self)
    }

    /// A name that no exchange or queue has.
    public static let nobodys = "nobodys.queue"

    /// As the broker does it: anywhere in the name. A pattern that can't be read here counts as one that matches.
    private static func matches(_ pattern: String, _ name: String) -> Bool {
        guard let expression = try? Regex(pattern) else { return true }
        return name.firstMatch(of: expression) != nil
    }

    private static func escaped(_ user: String) -> String {
        user.map { $0.isLetter || $0.isNumber || $0 == "-" || $0 == "_" ? "\($0)" : "\\\($0)" }.joined()
    }
}
