// `order-worker clock run`: drives the passing of time by hand, for recovery and for tests.

internal import ArgumentParser
internal import Logging
internal import OrderWorker
internal import Orders

struct ClockCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "clock", abstract: "Drive the passing of time by hand.", subcommands: [Run.self])

    struct Run: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Have everything settled that falls due up to a date, and wait until it is.",
            discussion: """
                Renewals, expiries and invoice closings are dated when they fell due, whenever this runs. Workers settle \
                them, so at least one must be running. A date in the future settles ahead of time, for good: commands \
                that come later are decided as of that date. Broken off, it can be run again, also with a later date. \
                Meant for recovery and for tests.
                """)

        @Option(
            help: """
                The date (2026-12-31: to its end in each partner's zone; a month that ends with it is closed) or time \
                (2026-12-31T12:00:00Z) to settle up to.
                """)
        var until: String
        @OptionGroup var broker: BrokerOptions
        @OptionGroup var database: DatabaseOptions
        @OptionGroup var common: CommonOptions

        func run() async throws {
            let settings = try common.load(broker, database)
            guard let destination = Self.destination(until) else {
                throw ValidationError(
                    "--until must be a date such as 2026-12-31 or a time such as 2026-12-31T12:00:00Z.")
            }
            let clock = Clock(
                amqp: try settings.amqp(), database: try settings.database(), logger: Logger(label: "clock"))
            var shown = -1
            let customers = try await clock.settle(until: destination) { left in
                if left != shown { Console.error("\(left) customers left to settle") }
                shown = left
            }
            Console.print("Settled what fell due up to \(until) for \(customers) customers.")
        }

        static func destination(_ text: String) -> Clock.Destination? {
            Timestamp(text).map(Clock.Destination.time) ?? CalendarDate(text).map(Clock.Destination.endOf)
        }
    }
}
