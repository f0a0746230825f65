// The command line: what the program can be told to do.

internal import ArgumentParser

@main
struct OrderWorkerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "order-worker",
        abstract:
            "Takes order commands from RabbitMQ, applies each to PostgreSQL once in effect, and announces what it did.",
        discussion: """
            Settings come from the command line, else the environment, else a JSON file (--config FILE or CONFIG_FILE), \
            else their defaults. `order-worker run --help` lists them all, `order-worker run --print-config` shows what \
            is in force. Results go to standard output, the log to standard error.

            EXIT STATUS
            \(ExitStatus.table)
            """,
        version: "order-worker \(Version.text)",
        subcommands: [
            RunCommand.self, MigrateCommand.self, TopologyCommand.self, CatalogCommand.self, PublishCommand.self,
            ListenCommand.self, DeadLettersCommand.self, OutboxCommand.self, ReportCommand.self, AuditCommand.self,
            DoctorCommand.self, ContractCommand.self, ClockCommand.self, SimulateCommand.self, CommandStoryCommand.self,
            CustomerCommand.self, EventsCommand.self, PauseCommand.self, ResumeCommand.self,
        ])

    static func main() async {
        Console.holdClosedStreams()
        TerminationSignals.endProcess()
        do {
            var command = parseOrEnd()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
            Console.finish()
            ExitStatus.end(ExitStatus.done.rawValue)
        } catch let error where error is ExitCode || error is ValidationError || exitCode(for: error).isSuccess {
            // A status that was chosen, a mistake on the command line, or a wish for help.
            end(error)
        } catch {
            let failure = Failure(error)
            Console.error(Redaction.redacted("error: \(failure)"))
            ExitStatus.end(failure.status.rawValue)
        }
    }

    /// Help and mistakes on the command line end the process here.
    private static func parseOrEnd() -> any ParsableCommand {
        let arguments = Array(CommandLine.arguments.dropFirst())
        do {
            // To the parser any word may follow this one.
            if arguments.first == "help" { try spellCheck(arguments) }
            return try parseAsRoot()
        } catch {
            do {
                if !exitCode(for: error).isSuccess { try spellCheck(arguments) }
                end(error)
            } catch {
                end(error)
            }
        }
    }

    private static func spellCheck(_ arguments: [String]) throws {
        if let message = MisspeltCommand.message(arguments, root: Self.self) { throw ValidationError(message) }
    }

    private static func end(_ error: any Error) -> Never {
        let status = exitCode(for: error)
        let text = fullMessage(for: error)
        if !text.isEmpty {
            if status.isSuccess { Console.print(text) } else { Console.error(Redaction.redacted(text)) }
        }
        Console.finish()
        ExitStatus.end(status.rawValue)
    }
}
