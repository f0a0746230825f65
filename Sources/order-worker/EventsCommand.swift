// `order-worker events publish`: publishes stored outcomes again.

internal import AMQP
internal import ArgumentParser
internal import Logging
internal import OrderStore
internal import OrderWorker
internal import Orders

struct EventsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "events", abstract: "Publish stored outcomes again.", subcommands: [Publish.self])

    struct Publish: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Publish stored outcomes again, for a consumer that lost them.",
            discussion: """
                The outcomes of commands that are kept (90 days) go to order.events once more, to all who listen, with \
                the event ids that they had: who deduplicates by them isn't disturbed. They come in the order in which \
                their commands were received, so that each customer's are in order, but behind what is published \
                meanwhile. What isn't an outcome (invoice.updated, subscription.renewed, …) isn't kept. Exit status 1 if \
                none was found, 2 if the broker didn't take one.
                """)

        @Option(help: ArgumentHelp("The one with this event id.", valueName: "id")) var event: String?
        @Option(help: ArgumentHelp("All of this customer.", valueName: "id"), transform: CustomerCommand.customer)
        var customer: CustomerID?
        @Option(help: ArgumentHelp("All of commands received then or later (2026-11-28T12:00:00Z).", valueName: "time"))
        var since: String?
        @OptionGroup(title: "Broker") var broker: BrokerOptions
        @OptionGroup var database: DatabaseOptions
        @OptionGroup var waiting: WaitOptions
        @OptionGroup var common: CommonOptions

        func validate() throws { _ = try selection() }

        private func selection() throws -> OutcomeSelection {
            guard [event != nil, customer != nil, since != nil].count(where: { $0 }) == 1 else {
                throw ValidationError("Say which: --event, --customer or --since.")
            }
            if let event {
                guard let id = EventID(event.lowercased()) else {
                    throw ValidationError("'\(event)' is no event id: it must be a UUID.")
                }
                return .event(id)
            }
            if let customer { return .customer(customer) }
            guard let time = since.flatMap(Timestamp.init) else {
                throw ValidationError("--since must be a time such as 2026-12-31T12:00:00Z.")
            }
            return .since(time)
        }

        func run() async throws {
            let settings = try common.load(broker, database, waiting)
            let selection = try selection()
            let configuration = try settings.amqp()
            let publisher = try await settings.patiently {
                try await PublisherConnection.connect(configuration, logger: Logger(label: "amqp"))
            }
            let result: Result<(published: Int, refused: Int), any Error>
            do {
                result = .success(try await publish(selection, settings, publisher))
            } catch {
                result = .failure(error)
            }
            await publisher.close()
            let (published, refused) = try result.get()
            Console.progress("")
            Console.print("\(published) published again.")
            if refused > 0 {
                throw Failure(
                    status: .trouble, message: "The broker didn't take \(refused).",
                    advice: "See that order.events exists and its queues take messages, then publish again.")
            }
            if published == 0 { throw ExitCode(ExitStatus.refused.rawValue) }
        }

        private func publish(
            _ selection: OutcomeSelection, _ settings: Settings, _ publisher: PublisherConnection
        ) async throws -> (published: Int, refused: Int) {
            var (published, refused) = (0, 0)
            try await settings.withDatabase(statementTimeout: Settings.wholeTables) { connection in
                try await StoredOutcome.read(selection, on: connection) { outcomes in
                    let results = try await publisher.publish(outcomes.map(\.announcement))
                    let confirmed = results.count { $0 == .confirmed }
                    published += confirmed
                    refused += results.count - confirmed
                    Console.progress("\(published) published again")
                }
            }
            return (published, refused)
        }
    }
}
