// What is sent to a broker, besides messages.

/// A method to send, without any type of the C library.
enum OutgoingMethod: Equatable {
    case openChannel
    case closeChannelAcknowledged
    case closeConnection
    case closeConnectionAcknowledged
    case selectConfirms
    case setPrefetch(UInt16)
    case consume(queue: String, consumerTag: String, isExclusive: Bool, arguments: [String: FieldValue])
    /// Consumes the replies to this channel's own messages (RabbitMQ: direct reply-to), which aren't acknowledged.
    case consumeReplies(consumerTag: String)
    case cancel(consumerTag: String)
    case acknowledge(tag: UInt64, multiple: Bool)
    case reject(tag: UInt64, requeue: Bool)
    case get(queue: String)
    case declareExchange(ExchangeDeclaration)
    case deleteExchange(name: String, ifUnused: Bool)
    case bindExchange(ExchangeBinding)
    case unbindExchange(ExchangeBinding)
    case declareQueue(QueueDeclaration)
    case bindQueue(QueueBinding)
    case unbindQueue(QueueBinding)
    case purgeQueue(name: String)
    case deleteQueue(name: String, ifUnused: Bool, ifEmpty: Bool)

    /// The answer that ends it; `nil` for what isn't answered.
    var reply: Reply.Kind? {
        switch self {
        case .openChannel: .channelOpened
        case .closeConnection: .connectionClosed
        case .selectConfirms: .confirmsSelected
        case .setPrefetch: .prefetchSet
        case .consume, .consumeReplies: .consuming
        case .cancel: .cancelled
        case .get: .fetched
        case .declareExchange: .exchangeDeclared
        case .deleteExchange: .exchangeDeleted
        case .bindExchange: .exchangeBound
        case .unbindExchange: .exchangeUnbound
        case .declareQueue: .queueDeclared
        case .bindQueue: .queueBound
        case .unbindQueue: .queueUnbound
        case .purgeQueue: .queuePurged
        case .deleteQueue: .queueDeleted
        case .acknowledge, .reject, .closeChannelAcknowledged, .closeConnectionAcknowledged: nil
        }
    }

    /// What it does, in words, for errors.
    var purpose: String {
        switch self {
        case .openChannel: "opening a channel"
        case .closeChannelAcknowledged: "closing the channel"
        case .closeConnection, .closeConnectionAcknowledged: "closing the connection"
        case .selectConfirms: "asking for confirms"
        case .setPrefetch(let count): "setting the prefetch to \(count)"
        case .consume(let queue, _, _, _): "consuming from the queue \(queue)"
        case .consumeReplies: "consuming the replies"
        case .cancel(let consumerTag): "cancelling the consumer \(consumerTag)"
        case .acknowledge(let tag, _): "acknowledging the delivery \(tag)"
        case .reject(let tag, _): "rejecting the delivery \(tag)"
        case .get(let queue): "getting a message from the queue \(queue)"
        case .declareExchange(let exchange):
            "\(exchange.isPassive ? "checking" : "declaring") the exchange \(exchange.name) of type \(exchange.type)"
        case .deleteExchange(let name, _): "deleting the exchange \(name)"
        case .bindExchange(let binding): "binding the exchange \(binding.destination) to \(binding.source)"
        case .unbindExchange(let binding): "unbinding the exchange \(binding.destination) from \(binding.source)"
        case .declareQueue(let queue): "\(queue.isPassive ? "checking" : "declaring") the queue \(queue.name)"
        case .bindQueue(let binding): "binding the queue \(binding.queue) to the exchange \(binding.exchange)"
        case .unbindQueue(let binding): "unbinding the queue \(binding.queue) from the exchange \(binding.exchange)"
        case .purgeQueue(let name): "purging the queue \(name)"
        case .deleteQueue(let name, _, _): "deleting the queue \(name)"
        }
    }

    /// The names and the table to check before sending.
    private var parts: (names: [String], arguments: [String: FieldValue]) {
        switch self {
        case .consume(let queue, let consumerTag, _, let arguments): ([queue, consumerTag], arguments)
        case .cancel(let consumerTag): ([consumerTag], [:])
        case .get(let name), .deleteExchange(let name, _), .purgeQueue(let name), .deleteQueue(let name, _, _):
            ([name], [:])
        case .declareExchange(let exchange): ([exchange.name, exchange.type], exchange.arguments)
        case .bindExchange(let binding), .unbindExchange(let binding):
            ([binding.destination, binding.source, binding.routingKey], binding.arguments)
        case .declareQueue(let queue): ([queue.name], queue.arguments)
        case .bindQueue(let binding), .unbindQueue(let binding):
            ([binding.queue, binding.exchange, binding.routingKey], binding.arguments)
        default: ([], [:])
        }
    }

    /// Why the method can't be sent, or `nil`.
    func reasonNotToSend(frameMaximum: Int) -> String? {
        let (names, arguments) = parts
        if let name = names.first(where: { $0.utf8.count > 255 }) {
            return "a name is longer than 255 bytes: \(name.prefix(40))…"
        }
        if let key = FieldValue.overlongKey(in: arguments) {
            return "an argument's name is longer than 255 bytes: \(key.prefix(40))…"
        }
        let size = names.reduce(64) { $0 + $1.utf8.count } + FieldValue.encodedSize(of: arguments)
        return size > frameMaximum ? "the arguments take \(size) bytes, more than a frame of \(frameMaximum)" : nil
    }
}

struct ExchangeDeclaration: Equatable {
    var name: String
    var type: String
    var isPassive = false
    var isDurable = true
    var isAutoDeleted = false
    var arguments: [String: FieldValue] = [:]
}

struct QueueDeclaration: Equatable {
    var name: String
    var isPassive = false
    var isDurable = true
    var isExclusive = false
    var isAutoDeleted = false
    var arguments: [String: FieldValue] = [:]
}

struct QueueBinding: Equatable {
    var queue: String
    var exchange: String
    var routingKey: String
    var arguments: [String: FieldValue] = [:]
}

struct ExchangeBinding: Equatable {
    var destination: String
    var source: String
    var routingKey: String
    var arguments: [String: FieldValue] = [:]
}
