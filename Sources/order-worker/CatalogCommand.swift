// `order-worker catalog`: partners, resellers, products and prices.

internal import ArgumentParser
internal import FoundationEssentials
internal import OrderStore

struct CatalogCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "catalog", abstract: "Provision partners, resellers, products and prices.",
        subcommands: [Apply.self])

    struct Apply: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make the catalog what a file says; safe to repeat.",
            discussion: """
                Prints what changes: + is new, ~ changes, - is no longer sold or may no longer publish. Running workers \
                take it up within seconds.
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
            let changes = try await settings.withDatabase { connection in
                try await CatalogStore(connection: connection).apply(catalog, dryRun: dryRun)
            }
            for change in changes { Console.print("\(change)") }
            let count = changes.count == 1 ? "1 change" : "\(changes.count) changes"
            Console.print(changes.isEmpty ? "Nothing to change." : dryRun ? "\(count) to make." : "\(count) made.")
        }
    }
}
