// A connection that declares and inspects, and looks into queues by hand.

public import Logging
internal import SocketExecutor

/// How full a queue is.
public struct QueueDepth: Sendable, Hashable {
    /// Messages that are ready for delivery. Those delivered and not acknowledged don't count.
    public let messages: Int
    public let consumers: Int

    public init(messages: Int, consumers: Int) {
        self.messages = messages
        self.consumers = consumers
    }
}

/// A connection for declarations, checks and operators' tools.
///
/// Where a command fails alone (`notFound`, `preconditionFailed`, `accessRefused`, `resourceLocked`) the connection goes
/// on, unless there are messages that were fetched by ``get(queue:)`` and neither acknowledged nor rejected: then it ends,
/// and they go back to their queue. Other errors end it.
public actor TopologyConnection: LinkedConnection {
    nonisolated let executor = SocketExecutor(label: "amqp-topology")
    let link: Link
    var pumping: Task<Void, Never>?

    public nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    private init(_ configuration: ConnectionConfiguration, logger: Logger) {
        link = Link(configuration: configuration, executor: executor, survivesChannel: true, logger: logger)
    }

    /// Connects to the first address that answers, trying each once, in order.
    ///
    /// - Throws: ``AMQPError`` with the code of the last address and the causes of all.
    public static func connect(
        _ configuration: ConnectionConfiguration, logger: Logger
    ) async throws(AMQPError) -> TopologyConnection {
        let connection = TopologyConnection(configuration, logger: logger)
        try await connection.open()
        return connection
    }

    // MARK: Exchanges

    /// Creates an exchange, or checks that it exists just so.
    ///
    /// - Parameter type: `direct`, `fanout`, `topic`, `headers`, or what a plugin provides (`x-consistent-hash`).
    /// - Throws: `commandInvalid`, which ends the connection to RabbitMQ 3, for a type the broker doesn't know;
    ///   `preconditionFailed` if it exists otherwise.
    public func declareExchange(
        _ name: String, type: String, durable: Bool = true, autoDelete: Bool = false,
        arguments: [String: FieldValue] = [:]
    ) async throws(AMQPError) {
        let exchange = ExchangeDeclaration(
            name: name, type: type, isDurable: durable, isAutoDeleted: autoDelete, arguments: arguments)
        _ = try await link.call(.declareExchange(exchange))
    }

    /// Whether an exchange of that name exists, of whatever type.
    public func exchangeExists(_ name: String) async throws(AMQPError) -> Bool {
        // The broker ignores the type in a check, but wants one.
        let exchange = ExchangeDeclaration(name: name, type: "direct", isPassive: true)
        return try await exists { () async throws(AMQPError) in _ = try await link.call(.declareExchange(exchange)) }
    }

    /// Deletes an exchange with its bindings. One that doesn't exist is no error.
    public func deleteExchange(_ name: String, ifUnused: Bool = false) async throws(AMQPError) {
        _ = try await link.call(.deleteExchange(name: name, ifUnused: ifUnused))
    }

    /// Has what `source` routes by the key go to the exchange `destination`. Binding again is no error.
    public func bind(
        exchange destination: String, to source: String, routingKey: String, arguments: [String: FieldValue] = [:]
    ) async throws(AMQPError) {
        let binding = ExchangeBinding(
            destination: destination, source: source, routingKey: routingKey, arguments: arguments)
        _ = try await link.call(.bindExchange(binding))
    }

    /// Undoes exactly this binding. One that doesn't exist is no error.
    public func unbind(
        exchange destination: String, from source: String, routingKey: String, arguments: [String: FieldValue] = [:]
    ) async throws(AMQPError) {
        let binding = ExchangeBinding(
            destination: destination, source: source, routingKey: routingKey, arguments: arguments)
        _ = try await link.call(.unbindExchange(binding))
    }

    // MARK: Queues

    /// Creates a queue, or checks that it exists just so.
    ///
    /// - Parameters:
    ///   - name: empty to have the broker choose one.
    ///   - arguments: such as `x-queue-type`.
    /// - Returns: the queue's name.
    @discardableResult
    public func declareQueue(
        _ name: String, durable: Bool = true, exclusive: Bool = false, autoDelete: Bool = false,
        arguments: [String: FieldValue] = [:]
    ) async throws(AMQPError) -> String {
        let queue = QueueDeclaration(
            name: name, isDurable: durable, isExclusive: exclusive, isAutoDeleted: autoDelete, arguments: arguments)
        let reply = try await link.call(.declareQueue(queue))
        if case .queueDeclared(let given, _, _) = reply { return given }
        return name
    }

    /// How full a queue is; `nil` if it doesn't exist.
    public func depth(ofQueue name: String) async throws(AMQPError) -> QueueDepth? {
        var depth: QueueDepth?
        _ = try await exists { () async throws(AMQPError) in
            let reply = try await link.call(.declareQueue(QueueDeclaration(name: name, isPassive: true)))
            if case .queueDeclared(_, let messages, let consumers) = reply {
                depth = QueueDepth(messages: messages, consumers: consumers)
            }
        }
        return depth
    }

    /// Has what the exchange routes by the key go to the queue. Binding again is no error.
    public func bind(
        queue: String, to exchange: String, routingKey: String, arguments: [String: FieldValue] = [:]
    ) async throws(AMQPError) {
        let binding = QueueBinding(queue: queue, exchange: exchange, routingKey: routingKey, arguments: arguments)
        _ = try await link.call(.bindQueue(binding))
    }

    /// Undoes exactly this binding. One that doesn't exist is no error.
    public func unbind(
        queue: String, from exchange: String, routingKey: String, arguments: [String: FieldValue] = [:]
    ) async throws(AMQPError) {
        let binding = QueueBinding(queue: queue, exchange: exchange, routingKey: routingKey, arguments: arguments)
        _ = try await link.call(.unbindQueue(binding))
    }

    /// Drops all messages that are ready for delivery.
    ///
    /// - Returns: how many there were.
    @discardableResult
    public func purgeQueue(_ name: String) async throws(AMQPError) -> Int {
        let reply = try await link.call(.purgeQueue(name: name))
        if case .queuePurged(let messages) = reply { return messages }
        return 0
    }

    /// Deletes a queue. One that doesn't exist is no error.
    ///
    /// - Returns: how many messages went with it.
    /// - Throws: `preconditionFailed` if it is in use, or not empty, and that was asked for.
    @discardableResult
    public func deleteQueue(
        _ name: String, ifUnused: Bool = false, ifEmpty: Bool = false
    ) async throws(AMQPError) -> Int {
        let reply = try await link.call(.deleteQueue(name: name, ifUnused: ifUnused, ifEmpty: ifEmpty))
        if case .queueDeleted(let messages) = reply { return messages }
        return 0
    }

    // MARK: Messages

    /// Takes the next message of a queue, to be acknowledged or rejected here; `nil` if the queue is empty.
    ///
    /// For tools: it is slow. What is neither acknowledged nor rejected goes back when the connection closes.
    public func get(queue: String) async throws(AMQPError) -> FetchedMessage? {
        if case .fetched(let message) = try await link.call(.get(queue: queue)) { return message }
        return nil
    }

    /// Acknowledges a fetched message: the queue forgets it.
    public func acknowledge(_ tag: UInt64) async throws(AMQPError) {
        try link.tell(.acknowledge(tag: tag, multiple: false))
    }

    /// Gives a fetched message back to its queue, or has it dead-lettered.
    public func reject(_ tag: UInt64, requeue: Bool) async throws(AMQPError) {
        try link.tell(.reject(tag: tag, requeue: requeue))
    }

    /// Closes the connection, within a few seconds whatever the broker does.
    public func close() async {
        await shutDown()
    }

    /// Runs a check; false if what it checks doesn't exist.
    private func exists(_ check: () async throws(AMQPError) -> Void) async throws(AMQPError) -> Bool {
        do throws(AMQPError) {
            try await check()
            return true
        } catch {
            if error.code == .notFound { return false }
            throw error
        }
    }
}
