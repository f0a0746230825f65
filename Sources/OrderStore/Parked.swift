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

/// What is parked of a customer's commands by one partition.
public struct ParkedBacklog: Sendable, Hashable {
    public var count: Int
    /// When the first and the last of them were published, as far as anybody knows.
    public var first: Timestamp
    public var last: Timestamp
    /// Whether all that was published before them, in whichever partition, is applied or parked by now.
    public var isFree: Bool

    public init(count: Int, first: Timestamp, last: Timestamp, isFree: Bool) {
        self.count = count
        self.first = first
        self.last = last
        self.isFree = isFree
    }
}

/// A command that has to wait, as it was delivered.
public struct ParkedCommand: Sendable, Hashable {
    public let customer: CustomerID
    public let partition: Int
    /// The barrier that has to be through before it may be applied; 0 where it only stands behind others of its partition.
    public let needs: Int64
    /// When it was published, as far as anybody knows; not before what is parked of its customer and partition already.
    public let orderedAt: Timestamp
    public let delivery: Delivery

    public init(customer: CustomerID, partition: Int, needs: Int64, orderedAt: Timestamp, delivery: Delivery) {
        self.customer = customer
        self.partition = partition
        self.needs = needs
        self.orderedAt = orderedAt
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

/// What is parked in a lane's partitions.
public struct ParkedView: Sendable {
    /// Commands that may be applied now, in order.
    public let commands: [(ParkedPosition, ParkedCommand)]
    /// How many customers have commands there.
    public let customers: Int
    public let barrier: BarrierProgress
}

extension BatchStore {
    /// The parked commands of the partitions that may be applied, in order. Begins a barrier where one of the others needs
    /// a new one.
    public func parked(partitions: [Int]) async throws(StoreError) -> ParkedView {
        let statements = [
            BarrierTable.begin(neededBy: partitions),
            ParkedTable.ready(partitions),
            ParkedTable.customers(partitions),
            BarrierTable.behind(neededBy: partitions),
        ]
        return try await connection.run(statements, during: "reading parked commands") { results in
            let isNew = results[0].first != nil
            return ParkedView(
                commands: try results[1].map(ParkedTable.read), customers: Int(try results[2].first?.int64(0) ?? 0),
                barrier: try BarrierTable.readProgress(results[3], isNew: isNew))
        }
    }
}

enum ParkedTable {
    /// How long commands wait for a partition that their customer was not in last: should one stand still, everything that
    /// moved would stand with it.
    private static let patience = "interval '30 seconds'"

    /// Whether commands that need a barrier, of a customer whose last one came by `last`, have waited long enough.
    private static func isFree(needs: String, parkedAt: String, last: String) -> String {
        """
        coalesce(
            \(needs) <= (\(BarrierTable.through))
            OR (\(parkedAt) < now() - \(patience)
                AND (\(last) IS NULL OR \(last) >= (SELECT partitions FROM topology)
                     OR \(needs) <= (SELECT passed FROM barriers WHERE partition = \(last)))), false)
        """
    }

    static func count(_ customers: [CustomerID]) -> Statement {
        Statement(
            name: "count parked",
            """
            SELECT p.customer_id, p.partition, p.count, p.first, p.last,
                   \(isFree(needs: "p.needs", parkedAt: "p.parked_at", last: "c.partition"))
            FROM (SELECT customer_id, partition, count(*) AS count, min(ordered_at) AS first, max(ordered_at) AS last,
                         max(needs) AS needs, max(parked_at) AS parked_at
                  FROM parked WHERE customer_id = ANY ($1) GROUP BY 1, 2) AS p
            LEFT JOIN customers c ON c.customer_id = p.customer_id
            """,
            [.identifiers(customers)])
    }

    static func readCount(_ row: Row) throws -> (ParkedWay, ParkedBacklog) {
        var column = ColumnReader(row)
        return (
            ParkedWay(customer: try column.identifier(), partition: try column.int()),
            ParkedBacklog(
                count: Int(try column.int64()), first: try column.timestamp(), last: try column.timestamp(),
                isFree: try column.bool())
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
            INSERT INTO parked (partition, customer_id, needs, ordered_at, delivery)
            SELECT partition, customer_id, needs, ordered_at, delivery
            FROM unnest($1::integer[], $2::uuid[], $3::bigint[], $4::timestamptz[], $5::bytea[]) WITH ORDINALITY
                AS p (partition, customer_id, needs, ordered_at, delivery, place)
            ORDER BY place
            """,
            [
                .int4Array(commands.map { Int32(clamping: $0.partition) }), .identifiers(commands.map(\.customer)),
                .int8Array(commands.map(\.needs)), .timestamps(commands.map(\.orderedAt)), .byteaArray(deliveries),
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

    /// What customers have parked in other partitions than the one that their commands come out of now waits for another
    /// barrier: by then what comes out now is published.
    static func holdOthers(_ moves: [CustomerMove]) -> Statement {
        Statement(
            name: "hold other parked",
            """
            UPDATE parked p SET needs = (SELECT barrier + 1 FROM topology)
            FROM unnest($1::uuid[], $2::integer[]) AS m (customer_id, partition)
            WHERE p.customer_id = m.customer_id AND p.partition <> m.partition
            """,
            [.identifiers(moves.map(\.customer)), .int4Array(moves.map { Int32(clamping: $0.to) })])
    }

    /// Of each customer the commands of that partition whose first one was published first, up to the first one of another
    /// partition.
    static func ready(_ partitions: [Int]) -> Statement {
        Statement(
            name: "read parked",
            """
            SELECT p.partition, p.position, p.customer_id, p.needs, p.ordered_at, p.delivery
            FROM (SELECT DISTINCT customer_id FROM parked WHERE partition = ANY ($1::integer[])) AS mine
            CROSS JOIN LATERAL (
                SELECT partition, needs, parked_at, lead(first) OVER w AS next, lead(partition) OVER w AS next_partition
                FROM (SELECT partition, min(ordered_at) AS first, max(needs) AS needs, max(parked_at) AS parked_at
                      FROM parked WHERE customer_id = mine.customer_id GROUP BY partition) AS ways
                WINDOW w AS (ORDER BY first, partition) ORDER BY first, partition LIMIT 1) AS head
            LEFT JOIN customers c ON c.customer_id = mine.customer_id
            CROSS JOIN LATERAL (
                SELECT * FROM parked
                WHERE customer_id = mine.customer_id AND partition = head.partition
                  AND (head.next IS NULL OR (ordered_at, partition) < (head.next, head.next_partition))
                ORDER BY position LIMIT 200) AS p
            WHERE head.partition = ANY ($1::integer[])
              AND \(isFree(needs: "head.needs", parkedAt: "head.parked_at", last: "c.partition"))
            ORDER BY p.position LIMIT 200
            """,
            [.int4Array(partitions.map { Int32(clamping: $0) })])
    }

    static func read(_ row: Row) throws -> (ParkedPosition, ParkedCommand) {
        var column = ColumnReader(row)
        let position = ParkedPosition(partition: try column.int(), position: try column.int64())
        return (
            position,
            ParkedCommand(
                customer: try column.identifier(), partition: position.partition, needs: try column.int64(),
                orderedAt: try column.timestamp(), delivery: try ParkedDelivery.decode(try column.bytes()))
        )
    }

    static func customers(_ partitions: [Int]) -> Statement {
        Statement(
            name: "count parked customers",
            "SELECT count(DISTINCT customer_id) FROM parked WHERE partition = ANY ($1::integer[])",
            [.int4Array(partitions.map { Int32(clamping: $0) })])
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
