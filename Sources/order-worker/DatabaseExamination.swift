// What the doctor looks at in the database.

internal import Logging
internal import OrderStore
internal import OrderWorker
internal import Orders
internal import PostgreSQL

struct DatabaseExamination {
    let settings: Settings
    /// The oldest server that the program is tested with, as libpq gives versions.
    private static let oldestServer = 150_000
    /// A day, and an hour for the audit itself.
    private static let auditInterval = Duration.seconds(25 * 3600)

    func run(_ examination: inout Examination) async {
        let configuration: PostgreSQL.ConnectionConfiguration
        do {
            configuration = try settings.database()
            examination.note("database address", .fine("\(configuration)"))
        } catch {
            examination.note("database address", error)
            return
        }
        do {
            let connection = try await settings.patiently {
                try await Connection.connect(configuration, logger: Logger(label: "postgresql"))
            }
            await examine(connection, &examination)
            await connection.close()
        } catch {
            examination.note("database login", error)
        }
    }

    private func examine(_ connection: Connection, _ examination: inout Examination) async {
        let version = await connection.serverVersion
        let shown = "PostgreSQL \(version / 10_000).\(version % 10_000)"
        if version < Self.oldestServer {
            examination.note("database login", .wrong("\(shown) is too old", mend: "use PostgreSQL 15 or later"))
        } else {
            examination.note("database login", .fine(shown))
        }
        do {
            let row = try await connection.query(
                Statement("SELECT current_setting('transaction_read_only') = 'on'")
            ).first
            if try row?.bool(0) == true {
                let mend = "name the primary, or add target_session_attrs=read-write"
                examination.note("database", .wrong("it is read-only", mend: mend))
                return
            }
            let faults = try await DatabaseConditions.faults(on: connection)
            for fault in faults { examination.note("database", .wrong(fault.text, mend: fault.mend)) }
            if faults.isEmpty { examination.note("database", .fine("keeps every text, and every commit")) }
            let migrator = try Migrator(migrations: OrderMigrations.all)
            let version = try await migrator.verify(on: connection)
            if version > migrator.latestVersion {
                let newer =
                    "at \(version), newer than this program's \(migrator.latestVersion), which goes on working with it"
                examination.note("schema", .remark(newer))
            } else {
                examination.note("schema", .fine("is this program's"))
            }
            try await examineRights(connection, &examination)
            try await examineCatalog(connection, &examination)
            try await examineTime(connection, &examination)
            try await examineDue(connection, &examination)
            try await examineAudit(connection, &examination)
            try await examinePauses(connection, &examination)
        } catch {
            examination.note("schema", error)
        }
    }

    /// What the role may do, compared with what it is for. One that owns the tables works, as in an installation that has
    /// no other; it is only told what that means.
    private func examineRights(_ connection: Connection, _ examination: inout Examination) async throws {
        let (role, recorded) = try await RoleGrants(connection: connection).ownRole()
        let purpose = recorded ?? .worker
        let faults = try await RoleRights.faults(of: role, as: purpose, on: connection)
        for fault in faults {
            let text = "the role \(role) \(fault.text)"
            if recorded == nil, fault.kind != .missing {
                examination.note("rights", .remark("\(text); to mend it: \(fault.mend)"))
            } else {
                examination.note("rights", .wrong(text, mend: fault.mend))
            }
        }
        if faults.isEmpty {
            examination.note("rights", .fine("the role \(role) has a \(purpose.rawValue)'s, and no more"))
        }
    }

    /// What a worker's clock would have seen to if one ran.
    private func examineDue(_ connection: Connection, _ examination: inout Examination) async throws {
        let limit = 1000
        let due = DueCustomers(connection: connection)
        let page = try await due.find(dueBy: try await due.now().adding(.seconds(-600)), limit: limit)
        guard let first = page.customers.first else {
            return examination.note("due", .fine("nothing has been due for more than ten minutes"))
        }
        let count = page.end == nil ? "\(page.customers.count)" : "\(page.customers.count) or more"
        examination.note(
            "due",
            .wrong(
                "something of \(count) customers has been due for more than ten minutes, the first since \(first.since)",
                mend: "start a worker, or see in the workers' log why none settles it"))
    }

    private func examinePauses(_ connection: Connection, _ examination: inout Examination) async throws {
        for pause in try await Pause.read(on: connection) {
            examination.note("paused", .remark("\(pause.text) since \(pause.since); order-worker resume ends it"))
        }
    }

    /// Whether somebody has made sure of late that the books add up.
    private func examineAudit(_ connection: Connection, _ examination: inout Examination) async throws {
        guard let audit = try await AuditRecord.last(on: connection) else {
            return examination.note("audit", .remark("there was none yet (order-worker audit, once a day)"))
        }
        let since = "the last one, at \(audit.finishedAt),"
        if audit.violations > 0 {
            examination.note(
                "audit",
                .wrong(
                    "\(since) found \(audit.violations) rows that break \(audit.broken.joined(separator: ", "))",
                    mend: "order-worker audit names them"))
        } else if audit.age > Self.auditInterval {
            examination.note(
                "audit",
                .wrong("\(since) was more than 25 hours ago", mend: "run order-worker audit, once a day"))
        } else {
            examination.note("audit", .fine("\(since) found the books sound"))
        }
    }

    /// This machine's clock, and the inbox's months.
    private func examineTime(_ connection: Connection, _ examination: inout Examination) async throws {
        let skew = try await ClockSkew.measure(on: connection)
        if skew.isNotable {
            let mend = "synchronise this machine's clock and the database's (NTP); over 10 s no worker is ready"
            examination.note("clock", .wrong("this machine's is \(skew.text)", mend: mend))
        } else {
            examination.note("clock", .fine("this machine's is \(skew.text)"))
        }
        let ahead = try await InboxMonths(connection: connection).made()
        let days = ahead.components.seconds / 86_400
        if ahead < ClockStatus.inboxMargin {
            examination.note(
                "inbox",
                .wrong(
                    "there are tables for the next \(max(0, days)) days only, less than a month",
                    mend: "see in the workers' log why \"keeping the inbox's months\" fails"))
        } else {
            examination.note("inbox", .fine("there are tables for the next \(days) days"))
        }
        let row = try await connection.query(Statement("SELECT EXISTS (SELECT FROM inbox_default)")).first
        if try row?.bool(0) == true {
            examination.note(
                "inbox", .remark("commands lie in inbox_default; they are moved once their month is made"))
        }
    }

    private func examineCatalog(_ connection: Connection, _ examination: inout Examination) async throws {
        let row = try await connection.query(
            Statement("SELECT (SELECT count(*) FROM partners), (SELECT count(*) FROM publishers)")
        ).first
        let (partners, publishers) = (try row?.int64(0) ?? 0, try row?.int64(1) ?? 0)
        if partners == 0 {
            let problem = "there is no partner: every command is rejected"
            examination.note("catalog", .wrong(problem, mend: "order-worker catalog apply FILE"))
        } else {
            examination.note("catalog", .fine("\(partners) partners, \(publishers) publishers"))
        }
        for partner in try await CatalogStore(connection: connection).load().unusablePartners.values.sorted(by: {
            $0.id < $1.id
        }) {
            examination.note(
                "partner \(partner.id)",
                .wrong("it can't be served from this machine", mend: partner.reason))
        }
    }
}
