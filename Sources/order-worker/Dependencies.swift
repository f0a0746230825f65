// Connects one-shot commands to broker and database, waiting for those that aren't up yet as long as was asked for.

internal import AMQP
internal import Logging
internal import Operations
internal import OrderStore
internal import OrderWorker
internal import PostgreSQL

extension Settings {
    /// Connects to the broker for declarations, and closes the connection after `body`.
    func withTopologyConnection<Value>(_ body: (TopologyConnection) async throws -> Value) async throws -> Value {
        let configuration = try amqp()
        let connection = try await patiently {
            try await TopologyConnection.connect(configuration, logger: Logger(label: "amqp"))
        }
        do {
            let value = try await body(connection)
            await connection.close()
            return value
        } catch {
            await connection.close()
            throw error
        }
    }

    /// How long a statement may take that reads whole tables: longer than anything that a worker does.
    static let wholeTables = Duration.seconds(4 * 3600)

    /// Connects to the database, and closes the connection after `body`.
    ///
    /// - Parameter statementTimeout: nil for the usual one.
    func withDatabase<Value>(
        statementTimeout: Duration? = nil, _ body: (Connection) async throws -> Value
    ) async throws -> Value {
        var settings = try database()
        if let statementTimeout { settings.statementTimeout = statementTimeout }
        let configuration = settings
        let connection = try await patiently {
            try await Connection.connect(configuration, logger: Logger(label: "postgresql"))
        }
        do {
            let value = try await body(connection)
            await connection.close()
            return value
        } catch {
            await connection.close()
            throw error
        }
    }

    /// Tries to connect until it works, for as long as the setting `wait` says.
    func patiently<Value>(_ connect: () async throws -> Value) async throws -> Value {
        let deadline = ContinuousClock.now + (try duration(.wait))
        var backoff = Backoff(minimum: .milliseconds(100), maximum: .seconds(2))
        var random = SystemRandomNumberGenerator()
        while true {
            do {
                return try await connect()
            } catch {
                let pause = backoff.next(using: &random)
                guard Failure(error).status == .unavailable, ContinuousClock.now + pause < deadline else { throw error }
                Logger(label: "order-worker").info("not there yet; trying again", metadata: ["error": "\(error)"])
                try await Task.sleep(for: pause)
            }
        }
    }
}

extension Failure {
    /// What an error of the modules means for the process.
    init(_ error: any Error) {
        switch error {
        case let failure as Failure:
            self = failure
        case let error as AMQPError:
            let status: ExitStatus =
                switch error.code {
                case .authenticationFailed, .accessRefused, .notAllowed, .commandInvalid, .preconditionFailed:
                    .configuration
                case _ where error.isRetriable: .unavailable
                default: .trouble
                }
            self.init(status: status, message: "\(error.during): \(error.cause)", advice: error.advice)
        case let error as PostgreSQLError:
            self.init(
                status: Self.status(of: error), message: "\(error.during): \(error.message)", advice: error.advice)
        case let error as TransactionError:
            if let cause = error.databaseError {
                self.init(cause)
            } else if case .body(let cause, _) = error {
                self.init(cause)
            } else {
                self.init(status: .trouble, message: "\(error)")
            }
        case let error as StoreError:
            let status =
                error.cause.map(Self.status)
                ?? [
                    StoreError.Code.invalidCatalog: .refused, .unfitDatabase: .configuration, .pooled: .configuration,
                    .unsuitableRole: .configuration,
                ][error.code] ?? .trouble
            self.init(status: status, message: "\(error.during): \(error.detail)", advice: error.advice)
        case let error as TopologyError:
            self.init(
                status: .configuration, message: "\(error.during): \(error.cause)", advice: error.advice)
        case let error as OperationsError:
            self.init(
                status: error.code == .addressUnusable ? .configuration : .trouble,
                message: "\(error.during): \(error.cause).", advice: error.advice)
        default:
            self.init(status: .trouble, message: "\(error)")
        }
    }

    private static func status(of error: PostgreSQLError) -> ExitStatus {
        switch error.code {
        case .invalidConfiguration, .authenticationFailed, .schemaTooOld, .schemaTooNew, .migrationAltered:
            .configuration
        case _ where error.isRetriable: .unavailable
        case .connectionFailed: .configuration
        case .server where error.isForWantOfRights: .configuration
        default: .trouble
        }
    }
}
