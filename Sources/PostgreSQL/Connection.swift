// A session with the server: opening, closing, and the queue of those who want to use it.

internal import CLibPQ
public import Logging
internal import SocketExecutor
internal import Synchronization

/// A connection to PostgreSQL, with a thread of its own.
///
/// Calls from several tasks are served one after another, in the order they came. Each has a deadline
/// (``ConnectionConfiguration/statementTimeout`` plus five seconds, its wait in the queue included); passing it while the
/// server works ends the connection. A call that has begun isn't cut short when its task is cancelled: it goes on to its
/// answer, so that a connection is never left half-used.
///
/// An explicit transaction may span calls (`BEGIN` in one pipeline, `COMMIT` in a later one). Other tasks' calls then
/// land in it too: share a connection between tasks only if they use ``transaction(_:)``.
public actor Connection {
    nonisolated let executor: SocketExecutor
    /// Distinguishes the connections of this process.
    nonisolated let number: Int
    private static let lastNumber = Atomic<Int>(0)

    let configuration: ConnectionConfiguration
    let logger: Logger
    var handle: ConnectionHandle?
    var preparedStatements = PreparedStatements()
    var outgoing = ParameterBuffer()
    /// Held for as long as one exchange of messages with the server takes.
    let exchangeTurn: Turnstile
    /// Held by one call, or by a whole transaction or stream.
    let sessionTurn: Turnstile
    /// The sessions that the current task holds, by connection number: within them its calls go straight through.
    @TaskLocal static var heldSessions: [Int: Int] = [:]

    public nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    private init(configuration: ConnectionConfiguration, logger: Logger) {
        let number = Self.lastNumber.add(1, ordering: .relaxed).newValue
        let executor = SocketExecutor(label: "postgres-\(number)")
        let tickets = Turnstile.Tickets()
        self.number = number
        self.executor = executor
        self.configuration = configuration
        self.logger = logger
        self.exchangeTurn = Turnstile(executor: executor, tickets: tickets)
        self.sessionTurn = Turnstile(executor: executor, tickets: tickets)
    }

    deinit {
        executor.shutdown()
    }

    // MARK: Opening

    /// Connects to the first of the configured servers that accepts.
    ///
    /// - Throws: `.authenticationFailed` as soon as a server refuses the user; `.connectionFailed` when none of the
    ///   servers could be used, each within ``ConnectionConfiguration/connectTimeout``, or the task was cancelled.
    public static func connect(
        _ configuration: ConnectionConfiguration, logger: Logger
    ) async throws(PostgreSQLError) -> Connection {
        let connection = Connection(configuration: configuration, logger: logger)
        do {
            try await connection.open()
        } catch {
            await connection.close()
            throw error
        }
        return connection
    }

    private func open() async throws(PostgreSQLError) {
        var failures: [PostgreSQLError] = []
        for attempt in configuration.attempts {
            let deadline = ContinuousClock.now.advanced(by: configuration.connectTimeout)
            let hosts = try await addresses(of: attempt, until: deadline, &failures)
            for (index, address) in hosts.numeric.enumerated() {
                var attempt = attempt
                // With the name as the host, which the server's certificate has to be for.
                if !address.isEmpty { attempt.parameters["hostaddr"] = address }
                attempt.parameters = configuration.secured(attempt.parameters, at: address)
                do {
                    return try await open(attempt, until: hosts.deadline(ofAddress: index, within: deadline))
                } catch {
                    abandon()
                    let error = await explained(error, attempt)
                    // Another server won't know the user or the database any better.
                    let isFinal = error.code == .authenticationFailed || error.sqlState?.hasPrefix("3D") == true
                    if isFinal || Task.isCancelled { throw error }
                    failures.append(error)
                }
            }
        }
        guard var failure = failures.last else { throw .closed(during: "connect") }
        failure.message = failures.map(\.message).joined(separator: " ")
        throw failure
    }

    /// The addresses to try; a single empty one where libpq knows where to go; none, and why, if there are none.
    private func addresses(
        of attempt: ConnectionConfiguration.Attempt, until deadline: ContinuousClock.Instant,
        _ failures: inout [PostgreSQLError]
    ) async throws(PostgreSQLError) -> HostAddresses {
        guard let name = attempt.name else { return HostAddresses(numeric: [""]) }
        do {
            return try await HostAddresses.resolve(name, until: deadline, lookUp: configuration.lookUp)
        } catch {
            let failure = failure(attempt, "\(error.cause).")
            if Task.isCancelled { throw failure }
            failures.append(failure)
            return HostAddresses(numeric: [])
        }
    }

    /// The error with what is wrong with the server's certificate, where that is its reason.
    private func explained(
        _ error: PostgreSQLError, _ attempt: ConnectionConfiguration.Attempt
    ) async -> PostgreSQLError {
        guard error.message.contains("certificate verify failed"),
            let address = attempt.parameters["hostaddr"].flatMap({ $0.isEmpty ? attempt.parameters["host"] : $0 }),
            let authorities = configuration.authorities(of: attempt.parameters)
        else { return error }
        let port = attempt.parameters["port"].flatMap { Int($0) } ?? 5432
        guard
            let sentence = await CertificateProblem.sentence(address: address, port: port, authorities: authorities)
        else { return error }
        var explained = error
        explained.message += " " + sentence
        return explained
    }

    private func open(
        _ attempt: ConnectionConfiguration.Attempt, until deadline: ContinuousClock.Instant
    ) async throws(PostgreSQLError) {
        let limit = ContinuousClock.now.duration(to: deadline)
        let pairs = Array(attempt.parameters)
        let start = CStringList(pairs.map(\.key)).withPointers { keywords in
            CStringList(pairs.map(\.value)).withPointers { values in PQconnectStartParams(keywords, values, 0) }
        }
        guard let start else { throw failure(attempt, "There is no memory left.") }
        let handle = ConnectionHandle(start, logger: logger)
        self.handle = handle
        if handle.isBroken { throw failure(attempt, handle.errorText) }
        // The only way to learn the error code of a refusal; set back once connected.
        PQsetErrorVerbosity(start, PQERRORS_VERBOSE)

        var interest = SocketExecutor.Interest.write
        connecting: while true {
            let ready = await executor.waitUnlessCancelled(for: interest, on: handle.descriptor, until: deadline)
            guard self.handle === handle else { throw .closed(during: "connect") }
            if ready.isEmpty {
                let end = Task.isCancelled ? "was given up, as was asked for" : "gave no answer within \(limit)"
                throw failure(attempt, "\(attempt.server) \(end).")
            }
            switch PQconnectPoll(start) {
            case PGRES_POLLING_READING: interest = .read
            case PGRES_POLLING_WRITING: interest = .write
            case PGRES_POLLING_OK: break connecting
            default:
                throw refusal(attempt, handle)
            }
        }
        PQsetErrorVerbosity(start, PQERRORS_DEFAULT)
        if PQsetnonblocking(start, 1) != 0 { throw failure(attempt, handle.errorText) }
        logger.debug(
            "Connected to the database.",
            metadata: ["server": "\(attempt.server)", "serverVersion": "\(PQserverVersion(start))"])
    }

    private func refusal(
        _ attempt: ConnectionConfiguration.Attempt, _ handle: ConnectionHandle
    ) -> PostgreSQLError {
        // In the verbose form: "… FATAL:  28P01: password authentication failed … LOCATION:  auth_failed, auth.c:326".
        let words = handle.errorText.split(separator: " ").prefix { $0 != "LOCATION:" }
        let place = words.indices.dropFirst().first { index in
            words[index].utf8.count == 6 && words[index].hasSuffix(":") && words[index - 1].hasSuffix(":")
                && words[index].dropLast().allSatisfy { $0.isASCII && ($0.isNumber || $0.isUppercase) }
                && words[index].contains(where: \.isNumber)  // unlike the word FATAL
        }
        let state = place.map { String(words[$0].dropLast()) }
        let message = words.indices.filter { $0 != place }.map { words[$0] }.joined(separator: " ")
        let isAuthentication = state.map(SQLState.isAuthentication) ?? (PQconnectionNeedsPassword(handle.pointer) == 1)
        return failure(
            attempt, message, code: isAuthentication ? .authenticationFailed : .connectionFailed, sqlState: state)
    }

    private func failure(
        _ attempt: ConnectionConfiguration.Attempt, _ message: String,
        code: PostgreSQLError.Code = .connectionFailed, sqlState: String? = nil
    ) -> PostgreSQLError {
        let advice =
            code == .authenticationFailed
            ? "Check user name and password, and the server's pg_hba.conf."
            : sqlState.map(SQLState.advice) ?? Self.advice(message)
        return PostgreSQLError(
            code, during: "connect to \(attempt.server)", message, advice: advice, sqlState: sqlState,
            isConnectionUsable: false)
    }

    private static func advice(_ message: String) -> String {
        message.contains("SSL") || message.contains("certificate")
            ? "Set TLS up on the server and name who signed its certificate (sslrootcert=…), or, where the network is "
                + "trusted, say sslmode=disable in the connection string."
            : "Check that the server runs, and its host and port in the configuration."
    }

    // MARK: State

    /// Whether the connection is usable. Between calls this looks at the socket, so it notices a server that went away.
    public var isOpen: Bool {
        guard let handle else { return false }
        if exchangeTurn.holder == nil {
            // The server's last words are read first, then the end.
            for _ in 0..<2 where PQconsumeInput(handle.pointer) == 1 {
                _ = PQisBusy(handle.pointer)
            }
            if handle.isBroken { abandon() }
        }
        return self.handle != nil
    }

    /// The server's version as libpq gives it: 150020 is 15.20. 0 when closed.
    public var serverVersion: Int { handle.map { Int(PQserverVersion($0.pointer)) } ?? 0 }

    /// The server process's id, as in `pg_stat_activity`. 0 when closed.
    public var serverProcess: Int32 { handle.map { PQbackendPID($0.pointer) } ?? 0 }

    /// Whether a transaction is open, sound or failed.
    public var isInTransaction: Bool {
        guard let handle else { return false }
        let status = PQtransactionStatus(handle.pointer)
        return status == PQTRANS_INTRANS || status == PQTRANS_INERROR
    }

    // MARK: Closing

    /// Closes the connection after the calls that came before, but within `limit`. A call that is still under way
    /// then fails with `.connectionClosed`. An open transaction is rolled back by the server.
    public func close(within limit: Duration = .seconds(5)) async {
        let deadline = ContinuousClock.now.advanced(by: limit)
        let ticket = handle == nil ? nil : await exchangeTurn.acquire(until: deadline)
        abandon()
        if let ticket { exchangeTurn.release(ticket) }
        executor.shutdown()
    }

    /// Gives the connection up at once. Whoever waits for its socket is woken and finds it gone.
    func abandon() {
        guard let handle else { return }
        self.handle = nil
        executor.cancelWaits(on: handle.descriptor)
        preparedStatements = PreparedStatements()
    }

    // MARK: Taking turns

    /// How long a call may take beyond the server's own limit, so that the server's answer comes first.
    static let answerMargin = Duration.seconds(5)

    /// Runs one exchange when its turn has come. `timeout` is nil for the configured one.
    func withTurn<Value>(
        during call: String, timeout: Duration?,
        _ exchange: (ContinuousClock.Instant) async throws(PostgreSQLError) -> Value
    ) async throws(PostgreSQLError) -> Value {
        let limit = timeout ?? configuration.statementTimeout
        let deadline = ContinuousClock.now.advanced(by: limit + Self.answerMargin)
        let session = try await takeSession(during: call, until: deadline)
        defer { if let session { sessionTurn.release(session) } }
        guard let ticket = await exchangeTurn.acquire(until: deadline) else { throw waitedTooLong(during: call) }
        defer { exchangeTurn.release(ticket) }
        return try await exchange(deadline)
    }

    /// Takes the session, unless the current task holds it already (nil).
    func takeSession(
        during call: String, until deadline: ContinuousClock.Instant
    ) async throws(PostgreSQLError) -> Int? {
        if let held = Self.heldSessions[number], held == sessionTurn.holder { return nil }
        guard let ticket = await sessionTurn.acquire(until: deadline) else { throw waitedTooLong(during: call) }
        return ticket
    }

    func releaseSession(_ ticket: Int) { sessionTurn.release(ticket) }

    private func waitedTooLong(during call: String) -> PostgreSQLError {
        PostgreSQLError(
            .timedOut, during: call, "Other calls kept the connection busy until the deadline; nothing was sent.",
            advice: "Use more connections or raise the statement timeout.", isConnectionUsable: handle != nil)
    }
}
