// Which permissions of the broker's accounts are too wide.

import OrderWorker
import Testing

@Suite("Permissions of the broker's accounts")
struct BrokerRightsTests {
    @Test("What an account needs is not too much", arguments: [BrokerAccount.worker, .publisher, .reader, .other])
    func needed(_ account: BrokerAccount) {
        for user in ["acme", "acme.shop+1", "a(b"] {
            #expect(BrokerPermission.needed(by: account, user: user).excesses(of: account) == [])
        }
    }

    private static let tooWide:
        [(account: BrokerAccount, configure: String, write: String, read: String, deeds: [String])] = [
            (.worker, ".*", ".*", ".*", ["configure anybody", "write anybody", "read anybody"]),
            (.worker, "^order", "^(order|amq.default|replies)", "^order", ["write replies."]),
            (.publisher, "^$", "order", "^$", ["write orders.00"]),
            (.publisher, "^$", "^(orders|amq.default)$", "^$", ["write amq.default"]),
            (.publisher, "^replies", "^orders$", "^replies", ["configure replies.", "read replies."]),
            (.publisher, "^$", "^orders$", "orders", ["read orders"]),
            (.reader, "^$", "^orders$", "^orders.dead$", ["write orders", "read orders.dead"]),
            (.other, "^events", "^(events|order.events)", "^(events|order.events)", ["write order.events"]),
            (.other, "^orders", "^orders$", "^orders", ["configure orders", "read orders"]),
            // The broker looks for a match anywhere in a name.
            (.other, "^$", "dead", "^$", ["write orders.dead"]),
            // What can't be read may match anything.
            (.other, "^$", "^$", "(", ["read orders"]),
        ]

    @Test("What is too wide is named, and nothing else", arguments: tooWide.indices)
    func excesses(_ index: Int) {
        let row = Self.tooWide[index]
        let permission = BrokerPermission(user: "x", configure: row.configure, write: row.write, read: row.read)
        let found = permission.excesses(of: row.account)
        #expect(found.count == row.deeds.count, "\(found)")
        for (text, deed) in zip(found, row.deeds) { #expect(text.hasPrefix("may \(deed)"), "\(text)") }
    }
}
