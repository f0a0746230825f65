// `order-worker migrate`: brings the database to the program's schema.

internal import ArgumentParser
internal import FoundationEssentials
internal import OrderStore
internal import PostgreSQL

struct MigrateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "migrate",
        abstract:
            "Bring the database to this program's schema; safe to repeat, and safe from several machines at once.",
        discussion: """
            Run it as the role that owns the tables, and everything else as roles that it gives the rights to: a worker's \
            can neither change the tables nor take back what was booked, a reader's changes nothing. The roles themselves \
            you create before (CREATE ROLE … LOGIN PASSWORD '…').
            """)

    @Flag(help: "Only show which migrations are applied. Exit status 1 if the schema isn't the program's.")
    var status = false
    @Option(
        help: ArgumentHelp(
            "Give this role a worker's rights: rows to read and write, and no more. Remembered, for later migrations.",
            valueName: "role"))
    var grantWorker: [String] = []
    @Option(
        help: ArgumentHelp(
            "Give this role a reader's rights, for reports and audits. Remembered, for later migrations.",
            valueName: "role"))
    var grantReader: [String] = []
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
            let version = try await migrator.verify(on: connection)
            Console.print(
                "The schema is at version \(version)"
                    + (version > migrator.latestVersion
                        ? ", newer than this program's \(migrator.latestVersion), which goes on working with it." : ".")
            )
            try await grant(connection)
        }
    }

    private func grant(_ connection: Connection) async throws {
        let roles = grantWorker.map { (role: $0, purpose: RolePurpose.worker) }
        let readers = grantReader.map { (role: $0, purpose: RolePurpose.reader) }
        for granted in try await RoleGrants(connection: connection).grant(roles + readers) {
            let changes = granted.changes == 0 ? "as before" : "\(granted.changes) changes"
            Console.print("The role \(granted.role) has a \(granted.purpose.rawValue)'s rights (\(changes)).")
            for fault in granted.remaining {
                Console.error("note: the role \(granted.role) \(fault.text). To mend it: \(fault.mend).")
            }
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
            case .unknown(let oldest)
            where migration.version > migrator.latestVersion && oldest <= migrator.latestVersion:
                state = "applied by a newer program; this one goes on working with it"
            case .unknown(let oldest):
                state = "UNKNOWN: applied by another version of the program; needs a program at \(oldest) or later"
                isAsItShouldBe = false
            }
            Console.print("\(migration.version)  \(migration.name.padded(to: 20))  \(state)")
        }
        if !isAsItShouldBe { throw ExitCode(ExitStatus.refused.rawValue) }
    }
}
