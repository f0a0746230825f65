// `order-worker contract`: the contract between publishers, the worker and consumers, as documents.

internal import ArgumentParser
internal import OrderContract

struct ContractCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "contract", abstract: "Print the contract: AsyncAPI, JSON Schemas, rejection codes.",
        subcommands: [AsyncAPI.self, Schema.self, Codes.self, Check.self])

    struct AsyncAPI: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "asyncapi", abstract: "Print the AsyncAPI 3.0 document, JSON.")

        func run() { Console.print(Contract.asyncAPI()) }
    }

    struct Schema: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print the JSON Schema (2020-12) of a command's or an event's data; without a name, the names.")

        @Argument(help: "Such as command.customer.create, event.invoice.updated, or the type alone.") var name: String?

        func run() throws {
            guard let name else {
                for name in Contract.schemaNames { Console.print(name) }
                return
            }
            guard let schema = Contract.schema(named: name) else {
                throw ValidationError("There is no schema '\(name)'. `order-worker contract schema` lists them.")
            }
            Console.print(schema)
        }
    }

    struct Codes: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Print every rejection code and its meaning.")

        func run() {
            let width = Contract.codes.map(\.code.count).max() ?? 0
            for (code, meaning) in Contract.codes { Console.print("\(code.padded(to: width + 2))\(meaning)") }
        }
    }

    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Hold data against the schema of its type, as the worker does.",
            discussion: """
                With TYPE and FILE: prints what is wrong, or `valid`; exit status 1 if anything is. Without: reads lines \
                {"type": …, "data": …} from standard input and prints `accepted` or `refused: CODE POINTER` for each.
                """)

        @Argument(help: "A command's or event's type.") var type: String?
        @Argument(help: "JSON file with the data alone; - for standard input.") var file: String = "-"

        func run() throws {
            guard let type else { return checkLines() }
            let data = try InputFile.read(path: file, maximumSize: 64 << 20, status: .trouble)
            let violations = Contract.check(type: type, data: data)
            for violation in violations { Console.print(violation.line) }
            if !violations.isEmpty { throw ExitCode(ExitStatus.refused.rawValue) }
            Console.print("valid")
        }

        private func checkLines() {
            while let line = readLine(strippingNewline: true) {
                Console.print(Contract.check(line: Array(line.utf8)))
            }
        }
    }
}
