// `order-worker run`: the worker and its operator's pages, until a signal asks it to stop.

internal import ArgumentParser
internal import FoundationEssentials
internal import Glibc
internal import Logging
internal import Metrics
internal import Operations
internal import OrderWorker
internal import ServiceLifecycle
internal import Tracing
internal import UnixSignals

struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Work until SIGTERM or SIGINT, then finish what is in hand.",
        discussion: """
            Broker and database may come and go: the worker waits for them. It refuses a database whose schema is newer \
            than the program or was altered, and ends if its credentials are refused at the start. A second signal ends it at once; what it had in hand is delivered again. SIGHUP has the log level read again \
            from the configuration file.
            """)

    @Flag(help: "Print the effective settings, with secrets hidden, and stop.") var printConfig = false
    @Flag(help: ArgumentHelp("Print the table of settings for the README, and stop.", visibility: .hidden))
    var printSettings = false
    @OptionGroup(title: "Broker") var broker: BrokerOptions
    @OptionGroup(title: "Database") var database: DatabaseOptions
    @OptionGroup(title: "Worker") var partitions: PartitionOptions
    @OptionGroup(title: "Worker") var worker: WorkerOptions
    @OptionGroup(title: "Operations") var http: HTTPOptions
    @OptionGroup(title: "Common") var common: CommonOptions

    func run() async throws {
        if printSettings {
            Console.print(Setting.markdownTable)
            return
        }
        let settings = try common.load(broker, database, partitions, worker, http)
        if printConfig {
            for line in settings.table { Console.print(line) }
            return
        }
        // A reader that hangs up must not end the worker.
        signal(SIGPIPE, SIG_IGN)
        let metrics = PrometheusMetrics(ProgramMetrics.definitions)
        MetricsSystem.bootstrap(metrics)
        ProgramMetrics.noteBuild()
        let logger = Logger(label: "order-worker")
        let exporter = try Self.bootstrapTracing()
        let drainTimeout = try settings.duration(.drainTimeout)
        let worker = Worker(try settings.worker(), logger: logger)
        let certificates = try settings.certificateFiles()
        let server = OperationsServer(
            host: try settings.text(.httpHost), port: try settings.integer(.httpPort), metrics: metrics,
            logger: Logger(label: "http")
        ) { Readiness(worker.status, clock: worker.clockStatus) }

        var configuration = ServiceGroupConfiguration(
            services: [
                // The pages are there for as long as the worker drains: services stop in reverse order.
                .init(service: server, failureTerminationBehavior: .gracefullyShutdownGroup),
                .init(
                    service: worker, successTerminationBehavior: .gracefullyShutdownGroup,
                    failureTerminationBehavior: .gracefullyShutdownGroup),
            ], logger: Self.quiet(logger))
        // Before the worker, so that it ends after it: with the last spans.
        if let exporter { configuration.services.insert(.init(service: exporter), at: 0) }
        configuration.maximumGracefulShutdownDuration = drainTimeout + .seconds(5)
        let group = ServiceGroup(configuration: configuration)
        let (brokerAddress, databaseAddress) = (try settings.amqp(), try settings.database())
        logger.notice(
            "starting",
            metadata: ["version": "\(Version.text)", "broker": "\(brokerAddress)", "database": "\(databaseAddress)"])
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        let hangUps = await UnixSignalsSequence(trapping: .sighup)
        let read = common.reader([broker, database, partitions, self.worker, http])
        do {
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask { await Self.obey(signals, group, within: drainTimeout + .seconds(10), logger: logger) }
                tasks.addTask { await Self.readLogLevel(read, at: hangUps, logger: logger) }
                tasks.addTask { await ProgramMetrics.watchCertificates(certificates) }
                try await group.run()
                tasks.cancelAll()
            }
        } catch {
            let failure = Failure(error)
            logger.critical("ended", metadata: ["error": "\(failure.message)", "advice": "\(failure.advice)"])
            throw ExitCode(failure.status.rawValue)
        }
    }

    /// Has spans recorded, where the environment names a place for them.
    private static func bootstrapTracing() throws -> SpanExporter? {
        guard let settings = try TracingSettings.read(ProcessInfo.processInfo.environment) else { return nil }
        let tracer = SpanTracer(ratio: settings.ratio)
        InstrumentationSystem.bootstrap(tracer)
        return SpanExporter(tracer, to: settings.destination, logger: Logger(label: "tracing"))
    }

    /// The group's own lines say the same as the services'.
    private static func quiet(_ logger: Logger) -> Logger {
        var logger = logger
        logger.logLevel = max(logger.logLevel, .warning)
        return logger
    }

    /// Reads the log level anew at each signal. What can't be read leaves it as it is.
    private static func readLogLevel(
        _ read: @Sendable () throws -> Settings, at signals: UnixSignalsSequence, logger: Logger
    ) async {
        for await _ in signals {
            do {
                try LogOutput.change(to: try read(), logger: logger)
            } catch {
                logger.error("the log level stays", metadata: ["error": "\(Failure(error))"])
            }
        }
    }

    /// Signals this close to each other are one.
    private static let oneWish = Duration.milliseconds(100)

    /// The first signal asks for a graceful stop, the second ends the process.
    private static func obey(
        _ signals: UnixSignalsSequence, _ group: ServiceGroup, within limit: Duration, logger: Logger
    ) async {
        await withTaskGroup(of: Void.self) { tasks in
            var first: ContinuousClock.Instant?
            for await signal in signals {
                let now = ContinuousClock.now
                if let first {
                    // One wish that comes twice: to the process and to its group, or passed on by a parent as well.
                    if now - first < Self.oneWish { continue }
                    logger.warning("ended at once by a second signal", metadata: ["signal": "\(signal)"])
                    ExitStatus.end(ExitStatus.signal(signal.rawValue))
                }
                first = now
                logger.notice("asked to stop", metadata: ["signal": "\(signal)"])
                await group.triggerGracefulShutdown()
                tasks.addTask {
                    // Nothing that hangs may keep the process.
                    guard (try? await Task.sleep(for: limit)) != nil else { return }
                    logger.critical("not stopped in time; ended")
                    ExitStatus.end(ExitStatus.trouble.rawValue)
                }
            }
            tasks.cancelAll()
        }
    }
}

extension Settings {
    func worker() throws -> WorkerConfiguration {
        WorkerConfiguration(
            amqp: try amqp(), database: try database(), partitions: partitions,
            lanes: try integer(.lanes), batchLimit: try integer(.batchLimit),
            maximumMessageSize: try integer(.messageSizeLimit), commandAge: try duration(.commandAge),
            authorization: Authorization(rawValue: try text(.authorization)) ?? .userID,
            drainTimeout: try duration(.drainTimeout))
    }

    /// The effective settings and where each comes from, a line each. Secrets are hidden.
    var table: [String] {
        Setting.allCases.map { setting in
            guard let entry = entries[setting] else { return "\(setting.key.padded(to: 24)) not set" }
            let value = setting.isSecret ? "(hidden)" : entry.value.description
            return "\(setting.key.padded(to: 24)) \(value.padded(to: 24)) \(entry.origin.name)"
        }
    }
}

extension Readiness {
    init(_ status: WorkerStatus, clock: ClockStatus) {
        let clockReasons = clock.reasons()
        self.init(
            isReady: status.isReady && clockReasons.isEmpty,
            reasons: status.reasons.map(Redaction.redacted) + clockReasons, isAlive: status.isAlive)
    }
}
