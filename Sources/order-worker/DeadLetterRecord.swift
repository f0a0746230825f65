// A dead letter as far as it can be read: why it is one, what it was, and whose.

internal import AMQP
internal import FoundationEssentials
internal import OrderContract
internal import OrderWorker
internal import Orders

/// What is known of a dead letter, without its body.
///
/// Whatever a publisher wrote into the headers proves nothing. What does is `user_id`, which the broker verifies: under
/// the worker's own name only the worker can have published, so that its headers are believed there and nowhere else.
struct DeadLetterRecord: Sendable, Equatable {
    /// Who put the message aside.
    enum Origin: Sendable, Equatable {
        /// A worker, which couldn't read or store it.
        case worker
        /// The broker: it was delivered too often, or expired.
        case broker
        /// Somebody else, or a worker that logs in under another name.
        case other
    }

    /// From the front of the queue, counted from 1.
    let place: Int
    let origin: Origin
    /// A ``RejectionCode``, or the broker's word, such as `delivery_limit`.
    let reason: String
    /// The command's id as the message says it; one made of the contents where it says none.
    let id: String
    let type: String?
    /// What the message was published with; `nil` where that isn't known.
    let routingKey: String?
    /// The publisher that the broker verified; `nil` for none.
    let user: String?
    /// Not known of those that workers before version 0.2 put aside.
    let deadLetteredAt: Date?
    /// What the message says of its own time.
    let sentAt: Date?
    /// Bytes of the body.
    let size: Int

    /// The reason of one whose headers can't be read.
    static let unreadable = "headers_unreadable"

    var isUnreadable: Bool { reason == Self.unreadable && origin == .other }

    /// One whose headers can't be read: nothing is known of it but where it is.
    init(unreadableAt place: Int) {
        self.place = place
        origin = .other
        reason = Self.unreadable
        id = "unreadable:\(place)"
        type = nil
        routingKey = nil
        user = nil
        deadLetteredAt = nil
        sentAt = nil
        size = 0
    }

    /// - Parameter ownUser: the name under which this program logs in, which has to be the workers'.
    init(_ message: Message, place: Int, ownUser: String) {
        let properties = message.properties
        let headers = properties.headers
        let death = BrokerDeath(headers)
        let isOwn = properties.userID == ownUser
        self.place = place
        size = message.body.count
        // A worker that defers a message counts its attempts, and takes the count away when it puts the message aside.
        if isOwn, let reason = headers[DeadLetter.reason]?.string, headers[Self.attempts] == nil {
            origin = .worker
            self.reason = reason
            routingKey = headers[DeadLetter.routingKey]?.string
            deadLetteredAt = headers[DeadLetter.time]?.string.flatMap(Self.date)
        } else if let death, death.exchange == Topology.commands {
            origin = .broker
            reason = death.reason
            routingKey = death.routingKey
            deadLetteredAt = death.time
        } else {
            origin = .other
            reason = headers[DeadLetter.reason]?.string ?? death?.reason ?? "unknown"
            routingKey = nil
            deadLetteredAt = death?.time
        }
        switch headers[DeadLetter.user]?.string {
        case let user? where isOwn: self.user = user.isEmpty ? nil : user
        default: user = properties.userID
        }

        let event = Self.structuredEvent(message)
        func attribute(_ name: String) -> String? {
            let inHeaders = ["cloudEvents:", "cloudEvents_", "ce-"].map { headers[$0 + name]?.string }
            return ([event?[name]?.string] + inHeaders).compactMap { $0 }.first { !$0.isEmpty }
        }
        id = attribute("id") ?? properties.messageID.flatMap { $0.isEmpty ? nil : $0 } ?? Self.id(ofContents: message)
        type = attribute("type") ?? properties.type
        sentAt = attribute("time").flatMap(Self.date) ?? properties.timestamp.flatMap(Date.init(seconds:))
    }

    /// The header in which workers count how often they deferred a message.
    private static let attempts = "x-order-worker-attempts"

    private static func structuredEvent(_ message: Message) -> JSONValue? {
        guard message.properties.contentType?.lowercased().hasPrefix("application/cloudevents") == true else {
            return nil
        }
        return (try? JSONDocument(message.body, maximumDepth: 200))?.root
    }

    /// `body:` and a hash (FNV-1a) of it: tells apart what has no id of its own.
    private static func id(ofContents message: Message) -> String {
        let hash = message.body.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01B3 }
        return "body:" + String(hash, radix: 16)
    }

    private static func date(_ text: String) -> Date? {
        try? Date(text, strategy: Date.ISO8601FormatStyle(includingFractionalSeconds: text.contains(".")))
    }
}

/// The broker's note of why it dead-lettered a message last.
private struct BrokerDeath {
    let reason: String
    let exchange: String?
    let routingKey: String?
    let time: Date?

    /// - Returns: `nil` where the broker hasn't dead-lettered the message.
    init?(_ headers: [String: FieldValue]) {
        guard case .array(let deaths)? = headers["x-death"], case .table(let last)? = deaths.first,
            let reason = last["reason"]?.string
        else { return nil }
        self.reason = reason
        exchange = last["exchange"]?.string
        if case .array(let keys)? = last["routing-keys"] { routingKey = keys.first?.string } else { routingKey = nil }
        if case .timestamp(let seconds)? = last["time"] { time = Date(seconds: seconds) } else { time = nil }
    }
}

extension Date {
    /// - Returns: `nil` for what lies beyond the year 9999.
    fileprivate init?(seconds: UInt64) {
        guard seconds < 253_402_300_800 else { return nil }
        self.init(timeIntervalSince1970: Double(seconds))
    }
}
