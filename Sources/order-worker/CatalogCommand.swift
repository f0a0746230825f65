// `order-worker catalog`: partners, resellers, products and prices.

internal import ArgumentParser
internal import FoundationEssentials
internal import OrderStore

struct CatalogCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "catalog", abstract: "Provision partners, resellers, products and prices.",
        subcommands: [Apply.self, Check.self])

    struct Apply: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make the catalog what a file says; safe to repeat.",
            discussion: """
                Prints what changes: + is new, ~ changes, - is no longer sold or may no longer publish; and, after a !, \
                how many subscriptions of whom won't renew as they are because of it. Running workers take it up within \
                seconds.

                DATES
                  Prices and what is sold hold "from" a day (for prices also "effectiveFrom") "until" the first day on \
                which they no longer do, in the partner's billing zone: {"certificateType": "smime", "until": \
                "2027-01-01"} instead of "smime", {"term": "P1M", "from": "2026-01-01"} instead of "P1M". A price without \
                an end holds until the next one begins.
                  Until there is a partner, all of the file holds as it is written. From then on nothing changes for a day \
                that has passed, by the database's clock, for any partner concerned: an earlier date is refused unless it \
                is stored already. What the file no longer names is sold to the end of today; what is still to come can \
                be corrected or taken out.
                """)

        @Argument(help: "JSON file; - for standard input.") var file: String
        @Flag(help: "Only print what would change.") var dryRun = false
        @OptionGroup var database: DatabaseOptions
        @OptionGroup var waiting: WaitOptions
        @OptionGroup var common: CommonOptions

        func run() async throws {
            let settings = try common.load(database, waiting)
            let bytes = try InputFile.read(path: file, maximumSize: 64 << 20, status: .trouble)
            let catalog = try CatalogFile(json: Data(bytes))
            let application = try await settings.withDatabase(statementTimeout: Settings.wholeTables) { connection in
                try await CatalogStore(connection: connection).apply(catalog, dryRun: dryRun)
            }
            let changes = application.changes
            for change in changes { Console.print("\(change)") }
            for affected in application.affectedRenewals { Console.print("! \(affected)") }
            for warning in application.warnings { Console.print("! \(warning)") }
            let count = changes.count == 1 ? "1 change" : "\(changes.count) changes"
            Console.print(changes.isEmpty ? "Nothing to change." : dryRun ? "\(count) to make." : "\(count) made.")
        }
    }

    struct Check: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Look for mistakes in a file, without a database.",
            discussion: """
                Also names the partners whose time zone this machine doesn't know: a worker here couldn't serve them. What \
                applying it would change, "catalog apply --dry-run" shows.
                """)

        @Argument(help: "JSON file; - for standard input.") var file: String
        @OptionGroup var common: CommonOptions

        func run() async throws {
            let bytes = try InputFile.read(path: file, maximumSize: 64 << 20, status: .trouble)
            let catalog = try CatalogFile(json: Data(bytes))
            let problems = catalog.unusablePartners
            for problem in problems { Console.print("! \(problem)") }
            guard problems.isEmpty else { throw ExitCode(ExitStatus.refused.rawValue) }
            Console.print(
                "\(catalog.partners.count) partners, \(catalog.products.count) products, "
                    + "\(catalog.prices.count) prices: nothing is wrong with them.")
        }
    }
}
