// `order-worker doctor`: checks everything that a worker needs, and says how to mend what is wrong.

internal import ArgumentParser
internal import Operations
internal import OrderStore
internal import Orders

struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Check configuration, broker, topology, permissions, database and schema, a line each.",
        discussion: """
            Changes nothing, and can be run while workers work. Exit status 1 if something is wrong. Who connects to the \
            database as a reader is examined as a reader, all others as workers. With --ready it \
            only asks the running worker on this machine whether it is ready, as a container's health check does: in a \
            container the one that it runs, wherever that listens, unless --http-host or --http-port is given.
            """)

    @Flag(help: "Only ask the running worker's /readyz.") var ready = false
    @OptionGroup(title: "Broker") var broker: BrokerOptions
    @OptionGroup(title: "Database") var database: DatabaseOptions
    @OptionGroup(title: "Worker") var partitions: PartitionOptions
    @OptionGroup(title: "Operations") var http: HTTPOptions
    @OptionGroup(title: "Common") var waiting: WaitOptions
    @OptionGroup(title: "Common") var common: CommonOptions

    func run() async throws {
        let settings = try common.load(broker, database, partitions, http, waiting)
        if ready {
            try await askWorker(settings)
            return
        }
        var examination = Examination()
        examination.note("configuration", .fine("every setting can be read"))
        let stored = await examinePartitions(settings, &examination)
        let (purpose, publishers) = await settings.purposeAndPublishers()
        await BrokerExamination(
            settings: settings, partitions: stored ?? settings.partitions ?? Settings.standardPartitions,
            purpose: purpose, publishers: publishers
        ).run(&examination)
        await DatabaseExamination(settings: settings).run(&examination)
        if examination.isAnythingWrong { throw ExitCode(ExitStatus.refused.rawValue) }
    }

    /// - Returns: the number of partitions that is stored, where it can be known.
    private func examinePartitions(_ settings: Settings, _ examination: inout Examination) async -> Int? {
        // Where the database can't be asked, its own examination says why.
        guard let stored = try? await settings.storedPartitions() else { return nil }
        let differences = settings.partitionDifference(stored: stored)
        for difference in differences {
            examination.note(
                "partitions",
                .wrong(difference, mend: "order-worker topology apply, or leave the setting partitions unset"))
        }
        if differences.isEmpty { examination.note("partitions", .fine("\(stored)")) }
        return stored
    }

    private func askWorker(_ settings: Settings) async throws {
        let answer: Readiness
        do {
            // In a container the worker may have got its port from options or a file that this process wasn't given.
            let isNamed = http.host != nil || http.port != nil
            let address = isNamed ? nil : RunningWorker.address()
            answer = try await ReadinessProbe.ask(
                host: try address?.host ?? settings.text(.httpHost),
                port: try address?.port ?? settings.integer(.httpPort))
        } catch let error as OperationsError {
            throw Failure(status: .unavailable, message: "\(error.during): \(error.cause).", advice: error.advice)
        }
        Console.print(answer.isReady ? "ready" : "not ready")
        for reason in answer.reasons { Console.print(reason) }
        if !answer.isReady { throw ExitCode(ExitStatus.refused.rawValue) }
    }
}

extension Settings {
    /// What the database's role is for, and the accounts that may publish. Where the database can't be asked, its own
    /// examination says why.
    fileprivate func purposeAndPublishers() async -> (RolePurpose, Set<String>) {
        let found = try? await withDatabase { database in
            let purpose = try await RoleGrants(connection: database).ownRole().purpose ?? .worker
            let catalog = try await CatalogStore(connection: database).load()
            let publishers =
                catalog.partners.values.flatMap(\.publishers) + catalog.unusablePartners.values.flatMap(\.publishers)
            return (purpose, Set(publishers))
        }
        return found ?? (.worker, [])
    }
}

/// What the doctor has found so far, printed as it comes.
struct Examination {
    enum Finding {
        case fine(String)
        /// Not an error, but worth knowing.
        case remark(String)
        case wrong(String, mend: String)
    }

    private(set) var isAnythingWrong = false

    mutating func note(_ subject: String, _ finding: Finding) {
        let name = subject.padded(to: 16)
        switch finding {
        case .fine(let text):
            Console.print("ok      \(name) \(text)")
        case .remark(let text):
            Console.print("note    \(name) \(text)")
        case .wrong(let text, let mend):
            isAnythingWrong = true
            Console.print("WRONG   \(name) \(text)")
            if !mend.isEmpty { Console.print("        \("mend:".padded(to: 16)) \(mend)") }
        }
    }

    /// Notes an error of the modules.
    mutating func note(_ subject: String, _ error: any Error) {
        let failure = Failure(error)
        note(subject, .wrong(Redaction.redacted(failure.message), mend: failure.advice))
    }
}
