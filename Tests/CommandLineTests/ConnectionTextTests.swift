// Passwords from files are put into connection strings that have none.

import Testing

@testable import order_worker

@Suite("Passwords in connection strings")
struct ConnectionTextTests {
    @Test(
        "A password is put, encoded, after the user of each broker URL",
        arguments: [
            ("amqp://worker@host:5672/orders", "amqp://worker:p%40%2F%3A%20w@host:5672/orders"),
            ("amqps://worker@host", "amqps://worker:p%40%2F%3A%20w@host"),
            (
                "amqp://a@h1/x,amqp://b@h2/x",
                "amqp://a:p%40%2F%3A%20w@h1/x,amqp://b:p%40%2F%3A%20w@h2/x"
            ),
        ])
    func amqp(url: String, expected: String) throws {
        #expect(try ConnectionText.addPassword("p@/: w", toAMQP: url) == expected)
    }

    @Test(
        "A broker URL without a user, or with a password, is refused",
        arguments: ["amqp://host/orders", "amqp://@host", "amqp://worker:old@host/orders", "amqp://a@h1,amqp://b:c@h2"])
    func amqpRefused(url: String) {
        #expect(throws: ConnectionText.Problem.self) { try ConnectionText.addPassword("new", toAMQP: url) }
    }

    @Test(
        "A password is added to any form of database connection string",
        arguments: [
            ("postgresql://user@host:5432/name", "postgresql://user@host:5432/name?password=it%27s%5C1"),
            (
                "postgresql://user@h1,h2/name?sslmode=require",
                "postgresql://user@h1,h2/name?sslmode=require&password=it%27s%5C1"
            ),
            ("host=h user=u", #"host=h user=u password='it\'s\\1'"#),
        ])
    func database(text: String, expected: String) throws {
        #expect(try ConnectionText.addPassword(#"it's\1"#, toDatabase: text) == expected)
    }

    @Test(
        "A database connection string that has a password is refused",
        arguments: ["postgresql://user:old@host/name", "postgresql://host/name?password=old", "host=h password = old"])
    func databaseRefused(text: String) {
        #expect(throws: ConnectionText.Problem.self) { try ConnectionText.addPassword("new", toDatabase: text) }
    }
}
