// The table `parked`: commands that wait until another partition has handed their customers over.

public import AMQP
internal import FoundationEssentials
public import Orders
internal import PostgreSQL

/// A customer's commands by one partition.
public struct ParkedWay: Sendable, Hashable {
    public let customer: CustomerID
    public let partition: Int

    public init(customer: CustomerID, partition: Int) {
        self.customer = customer
        self.partition = partition
    }
}

/// A command that has to wait, as it was delivered.
public struct ParkedCommand: Sendable, Hashable {
    public let customer: CustomerID
    public let partition: Int
    public let delivery: Delivery

    public init(customer: CustomerID, partition: Int, delivery: Delivery) {
        self.customer = customer
        self.partition = partition
        self.delivery = delivery
    }
}

/// Where a parked command stands.
public struct ParkedPosition: Sendable, Hashable {
    public let partition: Int
    public let position: Int64

    public init(partition: Int, position: Int64) {
        self.partition = partition
        self.position = position
    }
}

/// A customer some of whose commands wait in `partition` for the one that it was in last.
public struct ParkedCustomer: Sendable, Hashable {
    public let customer: CustomerID
    public let partition: Int
    public let last: Int

    public init(customer: CustomerID, partition: Int, last: Int) {
        self.customer = customer
        self.partition = partition
        self.last = last
    }
}

extension BatchStore {
    /// The parked commands of the partitions whose customers are there by now, in order, and the customers that aren't.
    ///
    /// - Parameter partitionCount: how many partitions there are: those beyond hold nothing.
    public func parked(
        partitions: [Int], partitionCount: Int?
    ) async throws(StoreError) -> (commands: [(ParkedPosition, ParkedCommand)], waiting: [ParkedCustomer]) {
        let statements = [
            ParkedTable.ready(partitions, partitionCount: partitionCount),
            ParkedTable.waiting(partitions, partitionCount: partitionCount),
        ]
        return try await connection.run(statements, during: "reading parked commands") { results in
            (try results[0].map(ParkedTable.read), try results[1].map(ParkedTable.readWaiting))
        }
    }
}

enum ParkedTable {
    static func count(_ customers: [CustomerID]) -> Statement {
        Statement(
            name: "count parked",
            "SELECT customer_id, partition, count(*) FROM parked WHERE customer_id = ANY ($1) GROUP BY 1, 2",
            [.identifiers(customers)])
    }

    static func readCount(_ row: Row) throws -> (ParkedWay, Int) {
        var column = ColumnReader(row)
        return (
            ParkedWay(customer: try column.identifier(), partition: try column.int()), Int(try column.int64())
        )
    }

    static func add(_ commands: [ParkedCommand]) throws(StoreError) -> Statement {
        let deliveries: [[UInt8]]
        do {
            deliveries = try commands.map { try ParkedDelivery.encode($0.delivery) }
        } catch {
            throw StoreError(
                .unreadableRow, during: "parking commands", detail: "\(error)", advice: "Report it: this is a defect.")
        }
        return Statement(
            name: "park commands",
            """
            INSERT INTO parked (partition, customer_id, delivery)
            SELECT partition, customer_id, delivery
            FROM unnest($1::integer[], $2::uuid[], $3::bytea[]) WITH ORDINALITY
                AS p (partition, customer_id, delivery, place)
            ORDER BY place
            """,
            [
                .int4Array(commands.map { Int32(clamping: $0.partition) }), .identifiers(commands.map(\.customer)),
                .byteaArray(deliveries),
            ])
    }

    static func remove(_ positions: [ParkedPosition]) -> Statement {
        Statement(
            name: "remove parked",
            """
            DELETE FROM parked p USING unnest($1::integer[], $2::bigint[]) AS done (partition, position)
            WHERE p.partition = done.partition AND p.position = done.position
            """,
            [.int4Array(positions.map { Int32(clamping: $0.partition) }), .int8Array(positions.map(\.position))])
    }

    static func ready(_ partitions: [Int], partitionCount: Int?) -> Statement {
        Statement(
            name: "read parked",
            """
            SELECT p.partition, p.position, p.customer_id, p.delivery
            FROM parked p LEFT JOIN customers c ON c.customer_id = p.customer_id
            WHERE p.partition = ANY ($1::integer[])
              AND (c.partition IS NULL OR c.partition = p.partition OR c.partition >= $2)
            ORDER BY p.position LIMIT 200
            """,
            [
                .int4Array(partitions.map { Int32(clamping: $0) }),
                .int4(Int32(clamping: partitionCount ?? Int(Int32.max))),
            ])
    }

    static func read(_ row: Row) throws -> (ParkedPosition, ParkedCommand) {
        var column = ColumnReader(row)
        let position = ParkedPosition(partition: try column.int(), position: try column.int64())
        let customer: CustomerID = try column.identifier()
        return (
            position,
            ParkedCommand(
                customer: customer, partition: position.partition,
                delivery: try ParkedDelivery.decode(try column.bytes()))
        )
    }

    static func waiting(_ partitions: [Int], partitionCount: Int?) -> Statement {
        Statement(
            name: "read parked customers",
            """
            SELECT DISTINCT p.customer_id, p.partition, c.partition
            FROM parked p JOIN customers c ON c.customer_id = p.customer_id
            WHERE p.partition = ANY ($1::integer[]) AND c.partition <> p.partition AND c.partition < $2
            LIMIT 1000
            """,
            [
                .int4Array(partitions.map { Int32(clamping: $0) }),
                .int4(Int32(clamping: partitionCount ?? Int(Int32.max))),
            ])
    }

    static func readWaiting(_ row: Row) throws -> ParkedCustomer {
        var column = ColumnReader(row)
        return ParkedCustomer(
            customer: try column.identifier(), partition: try column.int(), last: try column.int())
    }
}

/// A delivery as it is kept while it is parked.
private struct ParkedDelivery: Codable {
    let exchange: String
    let routingKey: String
    let message: Message

    static func encode(_ delivery: Delivery) throws -> [UInt8] {
        let parked = ParkedDelivery(
            exchange: delivery.exchange, routingKey: delivery.routingKey, message: delivery.message)
        let encoder = JSONEncoder()
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        return Array(try encoder.encode(parked))
    }

    static func decode(_ bytes: [UInt8]) throws -> Delivery {
        let decoder = JSONDecoder()
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        let parked = try decoder.decode(ParkedDelivery.self, from: Data(bytes))
        return Delivery(
            tag: 0, consumerTag: "", isRedelivered: true, exchange: parked.exchange, routingKey: parked.routingKey,
            message: parked.message)
    }
}
