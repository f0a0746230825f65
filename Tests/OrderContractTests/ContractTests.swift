// The documents are complete, and their examples hold.

import AMQP
import Orders
import Testing

@testable import OrderContract

@Suite struct ContractTests {
    @Test("Every example of a command is accepted and decoded", arguments: CommandType.allCases)
    func commandExamples(_ type: CommandType) throws {
        #expect(!type.examples.isEmpty)
        for example in type.examples {
            let message = Message(
                properties: MessageProperties(messageID: "1", type: type.rawValue, appID: "shop"),
                body: Array(example.utf8))
            let command = try CommandDecoder().decode(message, routingKey: ExampleID.customer).get()
            #expect(command.command.type == type)
        }
    }

    @Test("Every example of an event is accepted", arguments: EventType.allCases)
    func eventExamples(_ type: EventType) {
        #expect(Contract.check(type: "event.\(type.rawValue)", data: Array(type.example.utf8)) == [])
    }

    @Test("Every schema is there under its name, and is a JSON document", arguments: Contract.schemaNames)
    func schemas(_ name: String) throws {
        let parts = name.split(separator: ".", maxSplits: 1)
        let (kind, type) = (String(parts[0]), String(parts[1]))
        let text = try #require(Contract.schema(named: name))
        let root = try JSONDocument(Array(text.utf8)).root
        #expect(root["$schema"]?.string == "https://json-schema.org/draft/2020-12/schema")
        #expect(root["$id"]?.string == "urn:order-worker:" + kind + ":" + type)
        #expect(root["type"]?.string == "object")
    }

    @Test("A schema's name may be the type alone; the command comes first")
    func schemaNames() {
        #expect(Contract.schema(named: "customer.create") == Contract.schema(named: "command.customer.create"))
        #expect(Contract.schema(named: "customer.created") == Contract.schema(named: "event.customer.created"))
        #expect(Contract.schema(named: "command.rejected") == Contract.schema(named: "event.command.rejected"))
        let both = "renewal-inventory.set"
        #expect(Contract.schema(named: both) == Contract.schema(named: "command.\(both)"))
        #expect(Contract.schema(named: both) != Contract.schema(named: "event.\(both)"))
        #expect(Contract.schema(named: "nothing") == nil)
        #expect(Contract.schemaNames.count == CommandType.allCases.count - 1 + EventType.allCases.count)
    }

    @Test("Commands are closed at every level, events open")
    func openness() {
        let ofCommands = CommandType.allCases.flatMap { objects($0.schema) }
        #expect(ofCommands.filter(\.isOpen).isEmpty)
        let ofEvents = EventType.allCases.flatMap { objects($0.schema) }
        #expect(ofEvents.filter { !$0.isOpen }.isEmpty)
    }

    private func objects(_ schema: Schema) -> [ObjectSchema] {
        switch schema {
        case .object(let object): [object] + object.members.flatMap { objects($0.schema) }
        case .array(let element, _): objects(element)
        case .nullable(let schema): objects(schema)
        default: []
        }
    }

    @Test("The AsyncAPI document names every command, event and code, and each of its references leads somewhere")
    func asyncAPI() throws {
        let root = try JSONDocument(Array(Contract.asyncAPI().utf8)).root
        #expect(root["asyncapi"]?.string == "3.0.0")
        let messages = try #require(root["components"]?["messages"])
        #expect(messages.members.map(\.name) == Contract.schemaNames)
        #expect(root["operations"]?.members.map(\.name) == Contract.schemaNames)
        #expect(root["components"]?["schemas"]?.members.map(\.name) == Contract.schemaNames)
        #expect(root["x-error-codes"]?.members.map(\.name) == RejectionCode.allCases.map(\.rawValue))
        var references = 0
        func follow(_ value: JSONValue) {
            if let reference = value["$ref"]?.string {
                var target: JSONValue? = root
                for step in reference.dropFirst(2).split(separator: "/") { target = target?[String(step)] }
                #expect(target != nil, "\(reference)")
                references += 1
            }
            for member in value.members { follow(member.value) }
            for element in value.elements { follow(element) }
        }
        follow(root)
        #expect(references > 100)
    }

    @Test("A line is checked whether its data is text or a value")
    func lines() {
        func check(_ line: String) -> String { Contract.check(line: Array(line.utf8)) }
        let id = Sample.customer
        #expect(check(#"{"type":"customer.settle","data":{"customerId":"\#(id)"}}"#) == "accepted")
        #expect(check(#"{"type":"customer.settle","data":"{\"customerId\":\"\#(id)\"}"}"#) == "accepted")
        #expect(
            check(#"{"type":"customer.settle","data":{"customerId":1}}"#) == "refused: schema_violation /customerId")
        #expect(check(#"{"type":"customer.settle","data":"{"}"#) == "refused: malformed_message ")
        #expect(check(#"{"type":"x","data":{}}"#) == "refused: unknown_type ")
        let broken = #"{"type":"customer.settle","data":{"customerId":"\#(id)","a\n\u2028\"":1}}"#
        #expect(check(broken) == "refused: schema_violation /a\\n\u{2028}\\\"")
        #expect(check("{}") == "refused: malformed_message ")
    }

    @Test("Violations point to the place, in the document's order, the missing members last")
    func pointers() {
        let data = #"""
            {"customerId":"x","subscriptions":[{"subscriptionId":"\#(Sample.customer)","product":"pki","term":"P1Y",
            "inventory":[{"certificateType":"a","quantity":1},{"quantity":-1,"certificatetype":"a"}]}],"startdate":""}
            """#
        #expect(
            Contract.check(type: "subscription.order", data: Array(data.utf8)).map(\.pointer) == [
                "/customerId", "/subscriptions/0/inventory/1/quantity", "/subscriptions/0/inventory/1/certificatetype",
                "/subscriptions/0/inventory/1/certificateType", "/startdate",
            ])
    }
}
