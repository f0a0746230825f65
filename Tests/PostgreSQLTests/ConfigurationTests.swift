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
        "connect_timeout is taken from the string, else ten seconds; none is for ever",
        arguments: [("3", 3), ("0", 10)])
    func connectTimeout(_ given: String, _ seconds: Int) throws {
        let configuration = try ConnectionConfiguration(url: "host=db connect_timeout=\(given)")
        #expect(configuration.connectTimeout == .seconds(seconds))
    }
}
