// The command line: what the program can be told to do.

internal import ArgumentParser
internal import Glibc

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
        subcommands: [
            RunCommand.self, MigrateCommand.self, TopologyCommand.self, CatalogCommand.self, PublishCommand.self,
            ListenCommand.self, DeadLettersCommand.self, OutboxCommand.self, ReportCommand.self, AuditCommand.self,
            DoctorCommand.self, ContractCommand.self, ClockCommand.self,
        ])

    static func main() async {
        do {
            var command = try parseOrExit()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch let error where error is ExitCode || error is ValidationError || exitCode(for: error).isSuccess {
            // A status that was chosen, a mistake on the command line, or a wish for help.
            exit(withError: error)
        } catch {
            let failure = Failure(error)
            Console.error("error: \(failure)")
            Glibc.exit(failure.status.rawValue)
        }
    }

    /// Help and mistakes on the command line end the process here.
    private static func parseOrExit() throws -> any ParsableCommand {
        do {
            return try parseAsRoot()
        } catch {
            exit(withError: error)
        }
    }
}
