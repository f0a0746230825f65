// Connection strings: what is accepted, what is shown of them, and that the password never is.

import PostgreSQL
import Testing

@Suite struct ConfigurationTests {
    @Test(
        "A connection string's description says where and as whom, and not the password",
        arguments: [
            ("postgresql://me:s3cret@db1:5433/orders", "postgresql://me@db1:5433/orders"),
            ("postgresql://me:s3cret@db1:5433,db2:5434/orders", "postgresql://me@db1:5433,db2:5434/orders"),
            (
                "host=db1,db2 port=6432 user=me password=s3cret dbname=orders",
                "postgresql://me@db1:6432,db2:6432/orders"
            ),
            (
                "postgresql://me@a,b/orders?password=s3cret&sslpassword=s3cret&target_session_attrs=prefer-standby",
                "postgresql://me@a,b/orders"
            ),
        ])
    func description(_ url: String, _ expected: String) throws {
        let configuration = try ConnectionConfiguration(url: url)
        #expect(configuration.description == expected)
        var dumped = ""
        dump(configuration, to: &dumped)
        #expect(!(dumped + String(reflecting: configuration) + "\([configuration])").contains("s3cret"))
    }

    @Test(
        "A malformed connection string is an error that doesn't show the password",
        arguments: [
            "postgresql://me:s3cret%zz@db/orders", "host=db password=x s3cret",
            "postgresql://me:s3cret@db:1,db:2:3/x?a",
            "host=a,b,c port=1,2 password=s3cret", "host=db password=s3cret connect_timeout=soon",
            "host=db password=abc s3cret=1", "postgresql://me@db/x?s3cret=1", "host='s3cret",
        ])
    func malformed(_ url: String) {
        let error = #expect(throws: PostgreSQLError.self) { try ConnectionConfiguration(url: url) }
        #expect(error?.code == .invalidConfiguration)
        #expect(!"\(error as Any)".contains("s3cret"))
        #expect(error?.isRetriable == false)
    }

    @Test(
        "A raw / or @ in the URL's password is refused with the word percent-encode, and no piece of it is shown",
        arguments: [
            "postgresql://me:s3c/ret@db:5432/orders", "postgresql://me:12/s3cret@db/orders",
            "postgresql://me:12/s3cret@db/orders?sslmode=disable",
            "postgresql://me:s3c@ret@db/orders", "postgres://me:s3c@ret/a@db:5432/orders",
            "postgresql://me:/s3cret@db/orders",
            "postgresql://me:s3c@re/t@db", "postgresql://s3cret@me@db/orders", "postgresql://me:s3c/r\"et@db",
            "postgresql://me:p%zz\"s3cret@db/x", "postgresql://db/orders?password=s3c@ret&x", "postgresql://me:s3cret",
        ])
    func rawCharacters(_ url: String) {
        let error = #expect(throws: PostgreSQLError.self) { try ConnectionConfiguration(url: url) }
        #expect(error?.code == .invalidConfiguration)
        let text = "\(error as Any)"
        #expect(text.contains("percent-encode"))
        for piece in ["s3c", "ret", "12", "zz"] { #expect(!text.contains(piece)) }
    }

    @Test(
        "What is special and percent-encoded, or allowed where it stands, is no mistake",
        arguments: [
            "postgresql://me:s3c%2Fr%40et@db:5432/orders", "postgresql://me:a:b?c@db/orders",
            "postgresql://[::1]:5432,db:1/orders", "postgresql:///orders?host=/run/postgresql",
            "postgresql://me@/orders",
            "postgresql://me@db/orders?password=p@ss", "postgresql://db:/orders",
        ])
    func wellFormed(_ url: String) throws { _ = try ConnectionConfiguration(url: url) }

    @Test(
        "connect_timeout is taken from the string, else ten seconds; none is for ever",
        arguments: [("3", 3), ("0", 10)])
    func connectTimeout(_ given: String, _ seconds: Int) throws {
        let configuration = try ConnectionConfiguration(url: "host=db connect_timeout=\(given)")
        #expect(configuration.connectTimeout == .seconds(seconds))
    }
}
