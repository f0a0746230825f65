// Runs batches of commands through core and database as a lane does, without a broker.

import AMQP
import OrderContract
import OrderStore
import Orders
import PostgreSQL
import Testing

@testable import OrderWorker

/// A lane's transaction, step by step.
struct Lab {
    let store: BatchStore
    let catalog: Catalog
    let admission = Admission(
        decoder: CommandDecoder(), relay: Relay(ownUser: "worker"), authorization: .userID, commandAge: .seconds(86400),
        deferrals: 0)

    init(_ connection: Connection) async throws {
        store = BatchStore(connection: connection)
        try await store.prepareSession()
        catalog = try await CatalogStore(connection: connection).load()
    }

    /// Decides and stores messages in one transaction.
    func commit(
        _ messages: [(key: String, message: Message)], now: Timestamp = Timestamp(microseconds: 1_790_000_000_000_000)
    ) async throws -> DecidedBatch {
        let batch = read(messages, now: now)
        #expect(batch.commands.count == messages.count)
        return try await commit(batch, now: now)
    }

    func commit(
        _ batch: Batch, now: Timestamp = Timestamp(microseconds: 1_790_000_000_000_000), partitionCount: Int? = nil
    ) async throws -> DecidedBatch {
        let (decided, _) = try await BatchTransaction(
            store: store, admission: admission, partitionCount: partitionCount
        ).decide(batch, catalog: catalog, now: now)
        _ = try await store.commit(
            decided.changes, partitions: decided.partitions, moves: decided.moves, commands: decided.commands,
            events: decided.events, published: [])
        return decided
    }

    /// Reads messages as they come by a partition.
    func read(
        _ messages: [(key: String, message: Message)], partition: Int = 3,
        now: Timestamp = Timestamp(microseconds: 1_790_000_000_000_000)
    ) -> Batch {
        let deliveries = messages.enumerated().map { index, entry in
            Delivery(
                tag: UInt64(index + 1), consumerTag: "orders", isRedelivered: false, exchange: "orders",
                routingKey: entry.key, message: entry.message)
        }
        return Batch(entries: deliveries.map { admission.read($0, partition: partition, now: now) })
    }

    /// `customer.create` in plain AMQP form.
    static func createCustomer(_ customer: CustomerID, id: String, user: String = "acme-user") -> (String, Message) {
        message(
            "customer.create", customer, id: id, user: user,
            data: """
                {"customerId": "\(customer)", "companyName": "Example \(customer)", "address": {"line1": "1 Main St",
                 "city": "Springfield", "postalCode": "12345", "stateOrProvince": "NY", "country": "US"},
                 "administrativeResponsibility": "partnerAdministered"}
                """)
    }

    /// `subscription.order` of one subscription.
    static func order(
        _ customer: CustomerID, subscription: SubscriptionID, id: String, quantity: Int = 10, user: String = "acme-user"
    ) -> (String, Message) {
        message(
            "subscription.order", customer, id: id, user: user,
            data: """
                {"customerId": "\(customer)", "subscriptions": [{"subscriptionId": "\(subscription)", "product": "pki",
                 "term": "P1Y", "inventory": [{"certificateType": "ov", "quantity": \(quantity)}]}]}
                """)
    }

    static func message(
        _ type: String, _ customer: CustomerID, id: String, user: String, data: String
    ) -> (String, Message) {
        (
            customer.description,
            Message(
                properties: MessageProperties(
                    contentType: "application/json", messageID: id, type: type, userID: user, appID: "test"),
                body: Array(data.utf8))
        )
    }

    static func customer(_ number: UInt64) -> CustomerID { CustomerID(high: 0x018f_0000_0000_7000, low: number) }
    static func subscription(_ number: UInt64) -> SubscriptionID {
        SubscriptionID(high: 0x018f_0000_0001_7000, low: number)
    }
}
