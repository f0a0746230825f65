// `order-worker migrate`: brings the database to the program's schema.

internal import ArgumentParser
internal import FoundationEssentials
internal import OrderStore
internal import PostgreSQL

struct MigrateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "migrate",
        abstract: "Bring the database to this program's schema; safe to repeat, and safe from several machines at once."
    )

    @Flag(help: "Only show which migrations are applied. Exit status 1 if the schema isn't the program's.")
    var status = false
    @OptionGroup var database: DatabaseOptions
    @OptionGroup var waiting: WaitOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let settings = try common.load(database, waiting)
        let migrator = try Migrator(migrations: OrderMigrations.all)
        try await settings.withDatabase { connection in
            if status {
                try await show(migrator, connection)
                return
            }
            // What would go wrong later is said before there are tables in it.
            for fault in try await DatabaseConditions.requireFit(on: connection) {
                Console.error("note: \(fault.text). To mend it: \(fault.mend).")
            }
            let applied = try await migrator.apply(on: connection)
            for migration in applied { Console.print("applied \(migration.version): \(migration.name)") }
            Console.print("The schema is at version \(migrator.latestVersion).")
        }
    }

    private func show(_ migrator: Migrator, _ connection: Connection) async throws {
        var isAsItShouldBe = true
        for migration in try await migrator.status(on: connection) {
            let state: String
            switch migration.state {
            case .applied(let microseconds):
                let time = Date(timeIntervalSince1970: Double(microseconds) / 1e6)
                state = "applied \(time.formatted(.iso8601))"
            case .pending:
                state = "pending"
                isAsItShouldBe = false
            case .altered:
                state = "ALTERED: applied in another form than this program has"
                isAsItShouldBe = false
            case .unknown:
                state = "UNKNOWN: applied by another version of the program"
                isAsItShouldBe = false
            }
            Console.print("\(migration.version)  \(migration.name.padded(to: 20))  \(state)")
        }
        if !isAsItShouldBe { throw ExitCode(ExitStatus.refused.rawValue) }
    }
}
