// Publishes commands and waits for the outcome of each.

internal import AMQP
internal import FoundationEssentials
internal import Logging
internal import OrderWorker

/// Sends commands over one connection, some hundreds ahead of their outcomes.
struct CommandSender {
    private let connection: CallerConnection
    private let user: String?
    private let timeout: Duration
    /// How many commands are published at once, and how many may await their outcome.
    private static let (chunk, window) = (250, 2000)

    private struct Waiting {
        let command: CommandDocument
        let deadline: ContinuousClock.Instant
    }

    /// - Parameters:
    ///   - user: the login's name, sent as `user_id`.
    ///   - timeout: the longest wait for each outcome, from publishing on.
    init(_ connection: CallerConnection, user: String?, timeout: Duration) {
        self.connection = connection
        self.user = user
        self.timeout = timeout
    }

    /// Sends all commands, in their order, and reports each outcome as it comes.
    ///
    /// - Throws: `AMQPError` when the connection breaks: what then became of the unreported commands is unknown.
    func send(_ commands: [CommandDocument], report: (OutcomeLine) -> Void) async throws {
        var next = 0
        var waiting: [String: Waiting] = [:]
        /// The correlation ids in the order in which their deadlines come.
        var order: [String] = []
        var oldest = 0
        while next < commands.count || !waiting.isEmpty {
            if next < commands.count, waiting.count <= Self.window - Self.chunk {
                let end = min(next + Self.chunk, commands.count)
                for (id, command) in try await publish(commands, next..<end, report) {
                    waiting[id] = Waiting(command: command, deadline: .now + timeout)
                    order.append(id)
                }
                next = end
            }
            while oldest < order.count, waiting[order[oldest]] == nil { oldest += 1 }
            guard oldest < order.count, let first = waiting[order[oldest]] else { continue }
            // While there is more to send, only what has come is taken.
            let canSend = next < commands.count && waiting.count <= Self.window - Self.chunk
            let replies = try await connection.nextReplies(maximum: 500, until: canSend ? .now : first.deadline)
            for reply in replies {
                guard let id = reply.properties.correlationID, let answered = waiting.removeValue(forKey: id) else {
                    continue
                }
                report(OutcomeLine(command: answered.command, outcome: .event(reply), time: Date()))
            }
            if replies.isEmpty, first.deadline <= .now {
                waiting[order[oldest]] = nil
                report(OutcomeLine(command: first.command, outcome: .noAnswer, time: Date()))
            }
        }
    }

    /// Publishes some of the commands.
    ///
    /// - Returns: those that the broker took, by correlation id.
    private func publish(
        _ commands: [CommandDocument], _ range: Range<Int>, _ report: (OutcomeLine) -> Void
    ) async throws -> [(String, CommandDocument)] {
        let messages = range.map { index in
            OutgoingMessage(
                exchange: Topology.commands, routingKey: commands[index].customerID, isMandatory: true,
                message: commands[index].message(correlationID: "\(index)", user: user))
        }
        let outcomes = try await connection.publish(messages)
        var taken: [(String, CommandDocument)] = []
        for (index, outcome) in zip(range, outcomes) {
            let reason: String
            switch outcome {
            case .confirmed:
                taken.append(("\(index)", commands[index]))
                continue
            case .returned(let code, let text):
                reason = "no queue takes it (\(code) \(text)): run `order-worker topology apply`"
            case .rejected:
                reason = "the broker refused it: its queue is full or had an error"
            }
            report(OutcomeLine(command: commands[index], outcome: .notTaken(reason), time: Date()))
        }
        return taken
    }
}
