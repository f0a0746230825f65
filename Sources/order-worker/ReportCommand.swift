// `order-worker report`: what the books say, as a table, CSV or JSON.

public import ArgumentParser
internal import FoundationEssentials
internal import Glibc
public import OrderStore
internal import Orders

struct ReportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report",
        abstract: "Print transactions, invoices, subscriptions, or what the next invoices will hold.",
        discussion: """
            REPORTS
              transactions   every change of a subscription, by its date or by the day on which it was booked; \
            --reseller is the one at the time; `total` is that of all the lines of one command, `cost` the line's own
              invoices       those whose month has a day in common with the dates, with their totals; --reseller is the \
            one of their lines, and `lines` and `amount` are then of its lines alone
              subscriptions  those whose present period has a day in common with the dates; `cost` is that of this period
              upcoming       the lines of the open invoices (booked), and what will become of the subscriptions that end \
            up to --to (else the month's end): what renews with the renewal inventories, at the prices that will be in \
            force (expected), what doesn't (dropped), what expires (expires) and what stays suspended past its end until it is \
            enabled (waits), with why

            Dates are days in the partner's billing zone, times are UTC. Amounts have decimals in a table and are in \
            minor units in CSV and JSON. A table ends with its sums; on a terminal it is fitted to the width, and names the \
            columns that it leaves out: CSV and JSON have all. In CSV a text that a spreadsheet would run as a formula has \
            an apostrophe before it. A partner, reseller or customer that there isn't is an error (status 1). The rows are of one moment and are written as they are read: a report of any \
            length takes the same memory, and stops no worker.
            """)

    @Argument(help: "transactions, invoices, subscriptions or upcoming.") var report: ReportKind
    @Option(help: ArgumentHelp("Only this customer.", valueName: "id"), transform: ReportCommand.customer)
    var customer: CustomerID?
    @Option(help: ArgumentHelp("Only the customers of this reseller, or its transactions and lines.", valueName: "id"))
    var reseller: String?
    @Option(help: ArgumentHelp("Only the customers of this partner.", valueName: "id")) var partner: String?
    @Option(help: ArgumentHelp("The first day.", valueName: "date"), transform: ReportCommand.date) var from:
        CalendarDate?
    @Option(help: ArgumentHelp("The last day.", valueName: "date"), transform: ReportCommand.date) var to: CalendarDate?
    @Option(help: ArgumentHelp("Which day of a transaction counts: its date, or when it was booked."))
    var by = ReportDay.date
    @Option(help: ArgumentHelp("How many characters a table may be wide; else as the terminal.", valueName: "number"))
    var width: Int?
    @Option(help: ArgumentHelp("How to write it.", valueName: "table|csv|json")) var format = ReportFormat.table
    @OptionGroup var database: DatabaseOptions
    @OptionGroup var waiting: WaitOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
        if let from, let to, to < from { throw ValidationError("--to must not be before --from.") }
        if let width, width < 1 { throw ValidationError("--width must be at least 1.") }
        if by == .booked, report != .transactions {
            throw ValidationError("--by booked is for transactions: the other reports have one kind of day.")
        }
    }

    func run() async throws {
        let settings = try common.load(database, waiting)
        let report = Report(
            report,
            ReportFilter(
                customer: customer, reseller: reseller, partner: partner, from: from, to: to, isByBooking: by == .booked
            ))
        let now = Timestamp(microseconds: Int64(Date().timeIntervalSince1970 * 1_000_000))
        var writer = ReportWriter(format, columns: report.kind.columns, width: width ?? Console.width)
        var count = 0
        try await settings.withDatabase(statementTimeout: Settings.wholeTables) { connection in
            let unknown = try await report.unknownNames(on: connection)
            if !unknown.isEmpty { throw Failure(status: .refused, message: unknown.joined(separator: " ")) }
            Console.printBytes(writer.beginning())
            try await report.read(on: connection, now: now) { rows in
                var bytes: [UInt8] = []
                for row in rows { bytes += writer.row(row) }
                Console.printBytes(bytes)
                count += rows.count
                if isatty(1) == 0 { Console.progress("\(count) rows") }
            }
            Console.printBytes(writer.end())
        }
        Console.progress("")
    }

    private static func customer(_ text: String) throws -> CustomerID {
        guard let id = CustomerID(text.lowercased()) else {
            throw ValidationError("'\(text)' is no customer id: it must be a UUID.")
        }
        return id
    }

    private static func date(_ text: String) throws -> CalendarDate {
        guard let date = CalendarDate(text) else {
            throw ValidationError("'\(text)' is no date: write it as 2026-11-30.")
        }
        return date
    }
}

/// Which of a transaction's days is meant.
enum ReportDay: String, CaseIterable, ExpressibleByArgument {
    case date
    case booked
}

extension ReportKind: ExpressibleByArgument {}
extension ReportFormat: ExpressibleByArgument {}
