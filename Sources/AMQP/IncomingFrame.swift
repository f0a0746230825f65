// What a broker sends, as the state machine sees it.

/// A frame from the broker, without any type of the C library.
enum IncomingFrame {
    case deliver(Delivery.Envelope)
    case fetched(Delivery.Envelope, remaining: Int)
    case returned(ReturnedEnvelope)
    case header(bodySize: UInt64, MessageProperties)
    /// A part of a body. The bytes are valid only until the state machine returns.
    case body(UnsafeRawBufferPointer)
    case acknowledged(tag: UInt64, multiple: Bool)
    case refused(tag: UInt64, multiple: Bool)
    case consumerCancelled(consumerTag: String)
    case reply(Reply)
    case channelClosed(code: Int, text: String)
    case connectionClosed(code: Int, text: String)
    case blocked(reason: String)
    case unblocked
    /// A frame that this library has no use for.
    case ignored
    /// A frame that is too large or can't be decoded. Nothing can be read after it.
    case undecodable
}

extension Delivery {
    /// All of a delivery that comes before its message.
    struct Envelope: Equatable {
        var tag: UInt64
        var consumerTag: String
        var isRedelivered: Bool
        var exchange: String
        var routingKey: String
    }
}

/// All of a returned message that comes before the message.
struct ReturnedEnvelope: Equatable {
    var code: Int
    var text: String
    var exchange: String
    var routingKey: String
}

/// The broker's answer to a command.
enum Reply: Equatable {
    case channelOpened
    case confirmsSelected
    case prefetchSet
    case consuming(consumerTag: String)
    case cancelled(consumerTag: String)
    case exchangeDeclared
    case exchangeDeleted
    case exchangeBound
    case exchangeUnbound
    case queueDeclared(name: String, messages: Int, consumers: Int)
    case queueBound
    case queueUnbound
    case queuePurged(messages: Int)
    case queueDeleted(messages: Int)
    case fetched(FetchedMessage?)
    case connectionClosed

    enum Kind: Equatable {
        case channelOpened, confirmsSelected, prefetchSet, consuming, cancelled, exchangeDeclared, exchangeDeleted
        case exchangeBound, exchangeUnbound, queueDeclared, queueBound, queueUnbound, queuePurged, queueDeleted
        case fetched, connectionClosed
    }

    var kind: Kind {
        switch self {
        case .channelOpened: .channelOpened
        case .confirmsSelected: .confirmsSelected
        case .prefetchSet: .prefetchSet
        case .consuming: .consuming
        case .cancelled: .cancelled
        case .exchangeDeclared: .exchangeDeclared
        case .exchangeDeleted: .exchangeDeleted
        case .exchangeBound: .exchangeBound
        case .exchangeUnbound: .exchangeUnbound
        case .queueDeclared: .queueDeclared
        case .queueBound: .queueBound
        case .queueUnbound: .queueUnbound
        case .queuePurged: .queuePurged
        case .queueDeleted: .queueDeleted
        case .fetched: .fetched
        case .connectionClosed: .connectionClosed
        }
    }
}
