// Order per customer that doesn't rest on the broker's hash ring. Pure.

internal import AMQP
internal import OrderContract
internal import OrderStore
internal import Orders

/// Sees to it that a customer's commands are applied in order although they come by another partition than before.
///
/// What waits is parked in the database, so that only that customer's commands stand still, never a partition.
///
/// The ring of a consistent-hash exchange doesn't stand still in every version of RabbitMQ, and it moves when partitions are
/// added. So each customer's row knows the partition of its last command. A command that comes by another one waits, and a
/// marker is sent through the old partition's queue: when it arrives there, all that was before it is applied, and it hands
/// the customer over.
///
/// Of a customer without a row nobody knows whether its creation waits elsewhere. So when partitions are added, a marker goes
/// through each queue that there was; until it has come out, such a customer waits in the other partitions.
///
/// One move at a time: of a customer that moves again before it is handed over, nobody could tell which command came first.
struct PartitionOrder {
    /// Of each customer's last command.
    private(set) var partitions: [CustomerID: Int]
    private(set) var moves: [CustomerMove] = []
    /// The partitions whose marker has come out.
    private(set) var drained: Set<Int> = []
    /// How many partitions there are; nil where that isn't known. A partition beyond has nothing left.
    private let count: Int?
    /// The partitions that may hold commands from before partitions were added.
    private let undrained: Set<Int>

    /// What waits in this batch, and for which partition.
    private var waiting: [ParkedWay: Int] = [:]
    /// How many commands are parked.
    private var parked: [ParkedWay: Int]

    init(
        partitions: [CustomerID: Int], count: Int?, undrained: Set<Int> = [], parked: [ParkedWay: Int] = [:]
    ) {
        self.partitions = partitions
        self.count = count
        self.undrained = undrained
        self.parked = parked
    }

    /// Takes a customer's command, which came by a partition, into the batch.
    ///
    /// - Parameter isParked: whether it waited already, and now comes from where it was parked.
    /// - Returns: the partition that it has to wait for; nil where it may be applied.
    mutating func take(_ customer: CustomerID, by partition: Int, isParked: Bool = false) -> Int? {
        let way = ParkedWay(customer: customer, partition: partition)
        // What already waits comes first, also where the customer was handed over meanwhile.
        let isBehind = !isParked && parked[way, default: 0] > 0
        if let holder = waiting[way] ?? holder(of: customer, at: partition) ?? (isBehind ? partition : nil) {
            waiting[way] = holder
            return holder
        }
        if isParked { parked[way, default: 1] -= 1 }
        partitions[customer] = partition
        return nil
    }

    /// Takes a marker, before which everything is applied: hands its customer over, or notes that the partition holds
    /// nothing from before. A customer that isn't here, or of which something waits here, is not handed over: who needs it
    /// asks again, where it then is.
    mutating func take(_ marker: PartitionMarker) {
        switch marker.purpose {
        case .handOver(let customer, let to):
            let way = ParkedWay(customer: customer, partition: marker.partition)
            guard partitions[customer] == marker.partition, waiting[way] == nil, parked[way, default: 0] == 0 else {
                return
            }
            moves.append(CustomerMove(customer: customer, from: marker.partition, to: to))
            partitions[customer] = to
        case .drained:
            drained.insert(marker.partition)
        }
    }

    private func holder(of customer: CustomerID, at partition: Int) -> Int? {
        guard let last = partitions[customer] else {
            let left = undrained.subtracting(drained)
            return left.contains(partition) ? nil : left.min()
        }
        guard last != partition else { return nil }
        if let count, last >= count { return nil }
        return last
    }
}

/// A message through a partition's queue: when it comes out, everything before it is applied.
struct PartitionMarker: Sendable, Hashable {
    enum Purpose: Sendable, Hashable {
        /// Hands a customer to another partition.
        case handOver(CustomerID, to: Int)
        /// Says that the partition holds nothing from before partitions were added.
        case drained
    }

    let partition: Int
    let purpose: Purpose

    private static let handOverType = "customer.hand-over"
    private static let drainedType = "partition.drained"
    private static let customerHeader = "x-order-worker-customer"
    private static let partitionHeader = "x-order-worker-partition"

    init(partition: Int, _ purpose: Purpose) {
        self.partition = partition
        self.purpose = purpose
    }

    /// The message, under the worker's own name: from nobody else it counts.
    func message(user: String) -> OutgoingMessage {
        var headers: [String: FieldValue] = [:]
        var type = Self.drainedType
        if case .handOver(let customer, let to) = purpose {
            type = Self.handOverType
            headers = [
                Self.customerHeader: .string(customer.description), Self.partitionHeader: .integer(Int64(to)),
            ]
        }
        return OutgoingMessage(
            exchange: "", routingKey: Topology.queue(partition: partition), isMandatory: true,
            message: Message(
                properties: MessageProperties(
                    type: type, userID: user, appID: EventMessage.source, headers: headers,
                    deliveryMode: .persistent)))
    }

    /// Reads a marker that came by `partition`; nil where the message is none.
    init?(_ message: Message, partition: Int, ownUser: String) {
        let properties = message.properties
        guard properties.userID == ownUser else { return nil }
        switch properties.type {
        case Self.drainedType:
            self.init(partition: partition, .drained)
        case Self.handOverType:
            guard case .string(let text)? = properties.headers[Self.customerHeader], let customer = CustomerID(text),
                case .integer(let to)? = properties.headers[Self.partitionHeader], let to = Int(exactly: to), to >= 0
            else { return nil }
            self.init(partition: partition, .handOver(customer, to: to))
        default:
            return nil
        }
    }
}

extension PartitionMarker {
    /// The customer that it hands over.
    var customer: CustomerID? { if case .handOver(let customer, _) = purpose { customer } else { nil } }
}
