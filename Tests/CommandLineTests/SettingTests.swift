// What settings accept, and which source wins.

import ArgumentParser
import Testing

@testable import order_worker

@Suite("Settings")
struct SettingTests {
    private func settings(
        _ commandLine: [Setting: String] = [:], environment: [String: String] = [:], file: [Setting: String] = [:]
    ) throws -> Settings {
        try Settings(commandLine: commandLine, environment: environment, file: file)
    }

    private func failure(_ body: () throws -> Settings) throws -> Failure {
        try #require(throws: Failure.self) { try body() }
    }

    @Test("The command line comes before the environment, that before the file, and that before the default")
    func precedence() throws {
        let environment = ["LANES": "3"]
        #expect(try settings().integer(.lanes) == 2)
        #expect(try settings(file: [.lanes: "4"]).integer(.lanes) == 4)
        #expect(try settings(environment: environment, file: [.lanes: "4"]).integer(.lanes) == 3)
        let all = try settings([.lanes: "5"], environment: environment, file: [.lanes: "4"])
        #expect(try all.integer(.lanes) == 5)
        #expect(all.entries[.lanes]?.origin == .commandLine)
    }

    @Test("Every default has the form that its setting accepts", arguments: Setting.allCases)
    func defaults(setting: Setting) throws {
        guard let text = setting.defaultText else { return }
        #expect(setting.kind.value(of: text) != nil)
    }

    @Test(
        "A malformed value is an error that names the key, its value and the accepted form, never the default",
        arguments: [
            (Setting.lanes, "two", "a whole number from 1 to 64"),
            (.lanes, "0", "a whole number from 1 to 64"),
            (.lanes, "2 ", "a whole number from 1 to 64"),
            (.partitions, "101", "a whole number from 1 to 100"),
            (.httpPort, "65536", "a whole number from 0 to 65535"),
            (.drainTimeout, "20", "a duration such as 500ms, 20s, 5m or 24h"),
            (.drainTimeout, "-1s", "a duration"),
            (.drainTimeout, "99999999999s", "a duration"),
            (.authorization, "none", "one of user-id, trusted"),
            (.logLevel, "verbose", "one of trace, debug"),
        ])
    func malformed(setting: Setting, text: String, accepted: String) throws {
        let failure = try failure { try settings(environment: [setting.environmentVariable: text]) }
        #expect(failure.status == .configuration)
        #expect(failure.message.contains(setting.environmentVariable))
        #expect(failure.message.contains("'\(text)'"))
        #expect(failure.message.contains(accepted))
        let fromFile = try self.failure { try settings(file: [setting: text]) }
        #expect(fromFile.message.contains(setting.key))
        let fromOption = try self.failure { try settings([setting: text]) }
        #expect(fromOption.message.contains("--\(setting.optionName)"))
    }

    @Test("All malformed values are named at once")
    func allMalformed() throws {
        let failure = try failure { try settings(environment: ["LANES": "x", "WAIT": "y"]) }
        #expect(failure.message.contains("LANES"))
        #expect(failure.message.contains("WAIT"))
    }

    @Test("An empty environment variable counts as not set")
    func emptyVariable() throws {
        #expect(try settings(environment: ["LANES": ""]).integer(.lanes) == 2)
    }

    @Test("What is needed and not set is an error that names the variable")
    func missing() throws {
        let settings = try settings()
        let failure = try #require(throws: Failure.self) { try settings.amqp() }
        #expect(failure.status == .configuration)
        #expect(failure.message.contains("AMQP_URL"))
    }

    @Test("The printed configuration and the errors never show a secret")
    func secrets() throws {
        let secret = "s3cret"
        let environment = [
            "AMQP_URL": "amqp://worker:\(secret)@host:x",
            "DATABASE_URL": "postgresql://u:\(secret)@h/n?connect_timeout=x",
        ]
        let settings = try settings(environment: environment)
        #expect(!settings.table.joined().contains(secret))
        for failure in [
            try #require(throws: Failure.self) { try settings.amqp() },
            try #require(throws: Failure.self) { try settings.database() },
        ] {
            #expect(failure.status == .configuration)
            #expect(!"\(failure)".contains(secret))
        }
    }

    @Test(
        "A duration is a whole number with a unit, and its text reads back",
        arguments: [
            ("0s", Duration.zero), ("500ms", .milliseconds(500)), ("20s", .seconds(20)), ("5m", .seconds(300)),
            ("36h", .seconds(129_600)), ("7d", .seconds(604_800)), ("1500ms", .milliseconds(1500)),
        ])
    func durations(text: String, duration: Duration) {
        #expect(Duration(text: text) == duration)
        #expect(duration.text == text)
    }

    @Test("What isn't a duration isn't read as one", arguments: ["", "5", "s", "5 s", "1.5s", "-1s", "5S", "٣s"])
    func noDurations(text: String) {
        #expect(Duration(text: text) == nil)
    }

    @Test("Every setting is an option of some command and in the README's table", arguments: Setting.allCases)
    func options(setting: Setting) throws {
        let groups: [any SettingOptions] = [
            try CommonOptions.parse([]), try BrokerOptions.parse([]), try DatabaseOptions.parse([]),
            try PartitionOptions.parse([]), try WaitOptions.parse([]), try HTTPOptions.parse([]),
            try WorkerOptions.parse([]),
        ]
        #expect(groups.filter { $0.given.keys.contains(setting) }.count == 1)
        #expect(Setting.markdownTable.contains("| `\(setting.key)` | `\(setting.environmentVariable)` |"))
    }
}
