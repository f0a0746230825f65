// The configuration file is read strictly.

import Testing

@testable import order_worker

@Suite("The configuration file")
struct ConfigurationFileTests {
    private func parse(_ text: String) throws -> [Setting: String] {
        try ConfigurationFile.parse(Array(text.utf8), name: "test.json")
    }

    @Test("Its members are settings, nested by the parts of their keys")
    func nested() throws {
        let values = try parse(
            #"{"amqp": {"url": {"file": "/run/secrets/amqp"}}, "partitions": 16, "drain": {"timeout": "5s"}}"#)
        #expect(values == [.amqpURLFile: "/run/secrets/amqp", .partitions: "16", .drainTimeout: "5s"])
    }

    @Test(
        "Unknown, repeated and mistyped members are errors that name the member",
        arguments: [
            (#"{"partition": 8}"#, "'partition'"), (#"{"drain": {"timeot": "5s"}}"#, "'drain.timeot'"),
            (#"{"drain.timeout": {"x": 1}}"#, "'drain.timeout.x'"), (#"{"partitions": true}"#, "'partitions'"),
            (#"{"partitions": 1.5}"#, "'partitions'"), (#"{"drain": {"timeout": 5}}"#, "'drain.timeout'"),
            (#"{"lanes": null}"#, "'lanes'"), (#"{"lanes": [2]}"#, "'lanes'"),
            (#"{"lanes": 1, "lanes": 2}"#, "twice"),
            (#"{"amqp.url": "a", "amqp": {"url": "b"}}"#, "'amqp.url' is there twice"),
            (#"{"drain": {"timeout": "5s"}, "drain.timeout": "5s"}"#, "'drain.timeout' is there twice"),
            ("\u{FEFF}{}", "byte order mark"), ("[]", "object"), ("{", "JSON"),
        ])
    func refused(text: String, named: String) throws {
        let failure = try #require(throws: Failure.self) { try parse(text) }
        #expect(failure.status == .configuration)
        #expect("\(failure)".contains(named))
    }
}
