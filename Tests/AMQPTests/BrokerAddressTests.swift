// How AMQP URLs are read.

import Testing

@testable import AMQP

struct BrokerAddressTests {
    @Test(
        "A URL's parts are read, decoded and completed",
        arguments: [
            ("amqp://", nil, nil),
            ("amqp://h", "guest:guest@h:5672 / plain", "amqp://guest@h:5672"),
            ("amqp://h/", "guest:guest@h:5672 / plain", "amqp://guest@h:5672"),
            ("amqps://h", "guest:guest@h:5671 / TLS", "amqps://guest@h:5671"),
            ("amqp://u:p@h:1/v", "u:p@h:1 v plain", "amqp://u@h:1/v"),
            ("amqp://u@h", "u:@h:5672 / plain", "amqp://u@h:5672"),
            ("amqp://u%40x:p%2Fa%3Ab%25@h/%2f", "u@x:p/a:b%@h:5672 / plain", "amqp://u%40x@h:5672"),
            ("amqp://u:a:b@h", "u:a:b@h:5672 / plain", "amqp://u@h:5672"),
            ("amqp://h/a%2Fb%20c", "guest:guest@h:5672 a/b c plain", "amqp://guest@h:5672/a%2Fb%20c"),
            ("amqp://[::1]:99/v", "guest:guest@::1:99 v plain", "amqp://guest@[::1]:99/v"),
            ("amqp://[::1]", "guest:guest@::1:5672 / plain", "amqp://guest@[::1]:5672"),
            ("amqp://h:0", nil, nil),
            ("amqp://h:65536", nil, nil),
            ("amqp://h:x", nil, nil),
            ("amqp://h:+5", nil, nil),
            ("amqp://h/a/b", nil, nil),
            ("amqp://h?heartbeat=3", nil, nil),
            ("amqp://u:p@q@h", nil, nil),
            ("amqp://u:p%2@h", nil, nil),
            ("amqp://u:p%00@h", nil, nil),
            ("amqp://u:p%FF@h", nil, nil),
            ("amqp://[::1", nil, nil),
            ("amqp://[::1]x", nil, nil),
            ("http://h", nil, nil),
            ("", nil, nil),
        ] as [(String, String?, String?)])
    func urlIsRead(url: String, expected: String?, shown: String?) {
        let address = try? BrokerAddress(url: url)
        let read = address.map {
            "\($0.user):\($0.password)@\($0.host):\($0.port) \($0.virtualHost) \($0.usesTLS ? "TLS" : "plain")"
        }
        #expect(read == expected)
        #expect(address?.description == shown)
    }

    @Test(
        "A raw / or @ in the URL's password is refused with the word percent-encode, and no piece of it is shown",
        arguments: [
            "amqp://u:s3c/ret@h:5672/v", "amqp://u:12/s3cret@h", "amqp://u:12/s3c@ret@h/v", "amqp://u:s3c@re/t@h",
            "amqp://u:s3c,ret@h", "amqp://u:12/s3cret@h:1/a/b", "amqp://u:s3cret",
        ])
    func rawCharacters(url: String) {
        let error = #expect(throws: AMQPError.self) { try ConnectionConfiguration(uris: url) }
        let text = "\(error as Any)"
        for piece in ["s3c", "ret", "12"] { #expect(!text.contains(piece)) }
        #expect(text.contains("percent-encode") || text.contains("%40"))
    }

    @Test("Several URLs are separated by commas and keep their order")
    func severalURLs() throws {
        let configuration = try ConnectionConfiguration(uris: "amqp://a:1@one/v , amqps://b:2@two:7")
        #expect(configuration.addresses.map(\.host) == ["one", "two"])
        #expect(configuration.description == "amqp://a@one:5672/v,amqps://b@two:7")
    }

    @Test("An empty list, or an empty entry in one, is refused", arguments: ["", "amqp://a,", ",amqp://a"])
    func emptyEntries(uris: String) {
        #expect(throws: AMQPError.self) { try ConnectionConfiguration(uris: uris) }
    }

    @Test("No description, dump or error shows the password")
    func passwordIsHidden() throws {
        let configuration = try ConnectionConfiguration(uris: "amqp://user:s3cret@h/v")
        var dumped = ""
        dump(configuration, to: &dumped)
        for text in ["\(configuration)", String(reflecting: configuration), dumped] {
            #expect(!text.contains("s3cret"))
        }
        for malformed in ["amqp://user:s3cret@h:x", "amqp://user:s3cret%@h", "amqp://user:s3cret@h/a/b"] {
            let error = #expect(throws: AMQPError.self) { try ConnectionConfiguration(uris: malformed) }
            #expect(error?.description.contains("s3cret") == false)
        }
    }
}
