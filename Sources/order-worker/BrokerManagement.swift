// What only the broker's management API shows: policies, bindings, and the cluster's nodes.

internal import AMQP
internal import FoundationEssentials
internal import Operations
internal import OrderWorker

/// Asks the management API of the broker about the virtual host that commands go through.
struct BrokerManagement {
    /// Where it is, and who asks.
    struct Address {
        let host: String
        let port: Int
        let authorization: String
    }

    let address: Address
    let virtualHost: String

    /// The policies of the virtual host and the operators'.
    func policies() async throws -> [BrokerPolicy] {
        let own: [Policy] = try await get("policies/\(ConnectionText.encoded(virtualHost))")
        let operators: [Policy] = try await get("operator-policies/\(ConnectionText.encoded(virtualHost))")
        return own.map { $0.policy(isOperators: false) } + operators.map { $0.policy(isOperators: true) }
    }

    /// The bindings of the virtual host, but for those of the exchange without a name.
    func bindings() async throws -> [BrokerBinding] {
        let all: [Binding] = try await get("bindings/\(ConnectionText.encoded(virtualHost))")
        return all.filter { !$0.source.isEmpty }.map { binding in
            BrokerBinding(
                source: binding.source, destination: binding.destination,
                isToExchange: binding.destinationType == "exchange", routingKey: binding.routingKey)
        }
    }

    /// The nodes of the cluster.
    func nodes() async throws -> [BrokerNode] {
        let all: [Node] = try await get("nodes?columns=name,running,partitions")
        return all.map { BrokerNode(name: $0.name, isRunning: $0.running ?? false, apartFrom: $0.partitions ?? []) }
    }

    /// Where the virtual host's quorum queues are.
    func queueMembers() async throws -> [QueueMembers] {
        let columns = "columns=name,members,online"
        let all: [Queue] = try await get("queues/\(ConnectionText.encoded(virtualHost))?\(columns)")
        return all.compactMap { queue in
            queue.members.map { QueueMembers(queue: queue.name, members: $0, online: queue.online ?? []) }
        }
    }

    /// An account of the virtual host.
    struct Account {
        let permission: BrokerPermission
        let tags: Set<String>
    }

    /// Who may do what in the virtual host; nil where the asking account isn't allowed to see it.
    func accounts() async throws -> [Account]? {
        guard
            let permissions: [Permission] = try await getIfAllowed(
                "vhosts/\(ConnectionText.encoded(virtualHost))/permissions"),
            let users: [User] = try await getIfAllowed("users")
        else { return nil }
        let tags = Dictionary(users.map { ($0.name, Set($0.tags)) }, uniquingKeysWith: { $1 })
        return permissions.map { entry in
            Account(
                permission: BrokerPermission(
                    user: entry.user, configure: entry.configure, write: entry.write, read: entry.read),
                tags: tags[entry.user] ?? [])
        }.sorted { $0.permission.user < $1.permission.user }
    }

    private func get<Value: Decodable>(_ path: String) async throws -> Value {
        guard let value: Value = try await getIfAllowed(path) else {
            throw OperationsError(
                code: .refused, during: Self.asking(about: path), cause: "the account may not see it")
        }
        return value
    }

    private static func asking(about path: String) -> String {
        "asking the broker's management API about \(path.prefix { $0 != "/" && $0 != "?" })"
    }

    /// Nil where the asking account may not see it.
    private func getIfAllowed<Value: Decodable>(_ path: String) async throws -> Value? {
        let answer = try await HTTPQuestion.get(
            host: address.host, port: address.port, path: "/api/\(path)", authorization: address.authorization)
        if [401, 403].contains(answer.status), !answer.body.contains("Login failed") { return nil }
        guard answer.status == 200 else {
            throw OperationsError(
                code: [401, 403].contains(answer.status) ? .refused : .noAnswer, during: Self.asking(about: path),
                cause: "it answers with status \(answer.status)")
        }
        return try JSONDecoder().decode(Value.self, from: Data(answer.body.utf8))
    }

    private struct Permission: Decodable {
        let user: String
        let configure: String
        let write: String
        let read: String
    }

    private struct User: Decodable {
        let name: String
        let tags: [String]

        enum CodingKeys: CodingKey {
            case name, tags
        }

        /// Older brokers give the tags as one text.
        init(from decoder: any Decoder) throws {
            let values = try decoder.container(keyedBy: CodingKeys.self)
            name = try values.decode(String.self, forKey: .name)
            if let list = try? values.decode([String].self, forKey: .tags) {
                tags = list
            } else {
                tags = try values.decode(String.self, forKey: .tags).split(separator: ",").map(String.init)
            }
        }
    }

    private struct Policy: Decodable {
        let name: String
        let pattern: String
        let priority: Int?
        let appliesTo: String?
        let definition: [String: Limit]

        enum CodingKeys: String, CodingKey {
            case name, pattern, priority, definition
            case appliesTo = "apply-to"
        }

        func policy(isOperators: Bool) -> BrokerPolicy {
            BrokerPolicy(
                name: name, pattern: pattern, appliesTo: appliesTo ?? "all", priority: priority ?? 0,
                isOperators: isOperators, limits: definition.compactMapValues(\.number))
        }
    }

    /// Any value, of which only a whole number counts.
    private struct Limit: Decodable {
        let number: Int64?

        init(from decoder: any Decoder) throws {
            let value = try decoder.singleValueContainer()
            number = try? value.decode(Int64.self)
        }
    }

    private struct Node: Decodable {
        let name: String
        let running: Bool?
        let partitions: [String]?
    }

    private struct Queue: Decodable {
        let name: String
        /// Of quorum queues and streams.
        let members: [String]?
        let online: [String]?
    }

    private struct Binding: Decodable {
        let source: String
        let destination: String
        let destinationType: String
        let routingKey: String

        enum CodingKeys: String, CodingKey {
            case source, destination
            case destinationType = "destination_type"
            case routingKey = "routing_key"
        }
    }
}

extension Settings {
    /// The broker's management API; nil where the settings don't say where it is.
    ///
    /// - Throws: ``Failure``, which never shows the URL.
    func management() throws -> BrokerManagement? {
        guard entries[.managementURL] != nil else { return nil }
        let text = try text(.managementURL)
        guard let parts = URLComponents(string: text), parts.scheme == "http", let host = parts.host, !host.isEmpty,
            let user = parts.user, let password = parts.password
        else {
            throw Failure(
                status: .configuration, message: "\(Setting.managementURL.environmentVariable) can't be used.",
                advice: "Write it as http://user:password@host:15672, with special characters as %XX.")
        }
        let login = Data("\(user):\(password)".utf8).base64EncodedString()
        return BrokerManagement(
            address: BrokerManagement.Address(
                host: host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host, port: parts.port ?? 15_672,
                authorization: "Basic \(login)"),
            virtualHost: try amqp().addresses.first?.virtualHost ?? "/")
    }
}
