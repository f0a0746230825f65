// The operator's commands refuse what can't be meant, before they touch any server.

import Testing

@Suite("The operator's commands", .timeLimit(.minutes(2)))
struct OperatorToolTests {
    @Test(
        "A mistake on the command line ends with 64 and is named",
        arguments: [
            ("listen --type nonsense", "customer.created"), ("listen --customer x", "UUID"),
            ("listen --count 0", "--count"), ("deadletters show", "--id"), ("deadletters show 1 --id x", "--id"),
            ("deadletters replay", "--all"), ("deadletters replay --all --reason x", "--reason"),
            ("deadletters replay --id x --all", "--id"), ("deadletters discard --all", "--yes"),
            ("deadletters discard --yes", "--all"), ("outbox --older-than soon", "--older-than"),
        ])
    func mistakes(arguments: String, named: String) async throws {
        let ending = try await Program(arguments.split(separator: " ").map(String.init)).ending()
        #expect(ending.status == 64)
        #expect(ending.errors.contains(named))
    }

    @Test(
        "A broker or database that can't be reached ends them with 69",
        arguments: ["listen", "deadletters list", "deadletters show 1", "deadletters replay --all", "outbox"])
    func unreachable(arguments: String) async throws {
        let ending = try await Program(
            arguments.split(separator: " ").map(String.init),
            environment: [
                "AMQP_URL": "amqp://a:s3cret@127.0.0.1:1", "DATABASE_URL": "postgresql://a:s3cret@127.0.0.1:1/x",
            ]
        ).ending()
        #expect(ending.status == 69)
        #expect(ending.errors.contains("127.0.0.1"))
        #expect(!ending.errors.contains("s3cret"))
    }
}
