// The AsyncAPI 3.0 document, made from the lists of commands, events and codes.

internal import Orders

extension Contract {
    /// The AsyncAPI 3.0 document of the worker, in JSON.
    public static func asyncAPI() -> String {
        AsyncAPI.document.text
    }
}

/// The parts of the AsyncAPI document. Its operations are the worker's: it receives commands and sends events.
private enum AsyncAPI {
    static var document: JSONTree {
        .object([
            ("asyncapi", "3.0.0"),
            ("id", "urn:order-worker"),
            ("info", info),
            ("defaultContentType", "application/json"),
            ("channels", .object([("orders", orders), ("order.events", events), ("replies", replies)])),
            ("operations", .object(Contract.publicCommands.map(operation) + EventType.allCases.map(operation))),
            (
                "components",
                .object([
                    ("schemas", .object(schemas)),
                    ("messages", .object(Contract.publicCommands.map(message) + EventType.allCases.map(message))),
                    ("messageTraits", .object([("cloudEvent", cloudEvent)])),
                    (
                        "correlationIds",
                        .object([
                            (
                                "command",
                                .object([
                                    ("description", "The AMQP property correlation_id of the command, as it was."),
                                    ("location", "$message.header#/correlation_id"),
                                ])
                            )
                        ])
                    ),
                ])
            ),
            ("x-error-codes", .object(Contract.codes.map { ($0.code, .string($0.meaning)) })),
        ])
    }

    private static let info = JSONTree.object([
        ("title", "Order Worker"),
        ("version", "1.0.0"),
        (
            "description",
            .string(
                """
                Applies order commands from RabbitMQ exactly once in effect, and announces what came of them.

                Messages are CloudEvents 1.0. A command may come in structured mode (application/cloudevents+json), in \
                binary mode (headers cloudEvents:id, cloudEvents_id or ce-id, and so on), or with plain AMQP properties \
                (message_id, type, timestamp, app_id) and a JSON body. An attribute is taken from the body, then the \
                headers, then the properties; where two of them differ the command is refused (attribute_conflict). \
                Source and id identify a command for ever: sending it again returns the same outcome. A missing source is \
                the app_id, else the user that the broker verified; a missing time means now.

                Commands of a customer are applied in the order in which they were published on one channel, as long as they \
                have no priority: RabbitMQ 4 lets a message with a priority above 4 overtake others.

                Commands may have no members but those described here. Events may gain members: ignore what you don't \
                know. Deduplicate events by their id, and order those of one customer by their sequence.

                The codes of rejections are listed under x-error-codes.

                Changes:
                \(Contract.changeLog.map { "- Release \($0.release): \($0.change)" }.joined(separator: "\n"))
                """)
        ),
    ])

    // MARK: Channels

    private static let orders = JSONTree.object([
        ("address", "orders"),
        ("title", "Commands"),
        (
            "description",
            """
            The exchange, of type x-consistent-hash, that commands are published to: persistent, with the customer's \
            id as routing key. Commands of one customer are applied in the order in which they were published.
            """
        ),
        ("messages", .object(Contract.publicCommands.map { ($0.rawValue, reference("messages", $0.key)) })),
        (
            "bindings",
            .object([
                (
                    "amqp",
                    .object([
                        ("is", "routingKey"),
                        ("exchange", .object([("name", "orders"), ("durable", true), ("autoDelete", false)])),
                        ("bindingVersion", "0.3.0"),
                    ])
                )
            ])
        ),
    ])

    private static let events = JSONTree.object([
        ("address", "order.events"),
        ("title", "Events"),
        ("description", "The topic exchange that announces events. The routing key is the event's type."),
        ("messages", eventMessages),
        (
            "bindings",
            .object([
                (
                    "amqp",
                    .object([
                        ("is", "routingKey"),
                        (
                            "exchange",
                            .object([
                                ("name", "order.events"), ("type", "topic"), ("durable", true), ("autoDelete", false),
                            ])
                        ),
                        ("bindingVersion", "0.3.0"),
                    ])
                )
            ])
        ),
    ])

    private static let replies = JSONTree.object([
        ("address", .null),
        ("title", "Outcomes"),
        (
            "description",
            """
            The queue that a command names in reply_to, if any: a copy of its outcome goes there, with the command's \
            correlation_id. It can't be a queue of the worker's own. By RabbitMQ's direct reply-to it can get lost.
            """
        ),
        ("messages", eventMessages),
    ])

    private static var eventMessages: JSONTree {
        .object(EventType.allCases.map { ($0.rawValue, reference("messages", $0.key)) })
    }

    // MARK: Operations

    private static func operation(_ command: CommandType) -> (String, JSONTree) {
        let outcomes = command.outcomes.map { channelMessage("replies", $0.rawValue) }
        return (
            command.key,
            .object([
                ("action", "receive"),
                ("channel", .object([("$ref", "#/channels/orders")])),
                ("summary", .string(command.summary)),
                ("messages", .array([channelMessage("orders", command.rawValue)])),
                (
                    "bindings",
                    .object([
                        ("amqp", .object([("deliveryMode", 2), ("ack", true), ("bindingVersion", "0.3.0")]))
                    ])
                ),
                (
                    "reply",
                    .object([
                        (
                            "address",
                            .object([
                                ("location", "$message.header#/reply_to"),
                                ("description", "The AMQP property reply_to."),
                            ])
                        ),
                        ("channel", .object([("$ref", "#/channels/replies")])),
                        ("messages", .array(outcomes)),
                    ])
                ),
            ])
        )
    }

    private static func operation(_ event: EventType) -> (String, JSONTree) {
        (
            event.key,
            .object([
                ("action", "send"),
                ("channel", .object([("$ref", "#/channels/order.events")])),
                ("summary", .string(event.summary)),
                ("messages", .array([channelMessage("order.events", event.rawValue)])),
                (
                    "bindings",
                    .object([("amqp", .object([("deliveryMode", 2), ("bindingVersion", "0.3.0")]))])
                ),
            ])
        )
    }

    private static func channelMessage(_ channel: String, _ message: String) -> JSONTree {
        .object([("$ref", .string("#/channels/\(channel)/messages/\(message)"))])
    }

    // MARK: Messages

    private static var schemas: [(String, JSONTree)] {
        Contract.publicCommands.map { ($0.key, .object($0.schema.keywords)) }
            + EventType.allCases.map { ($0.key, .object($0.schema.keywords)) }
    }

    private static func message(_ command: CommandType) -> (String, JSONTree) {
        (command.key, message(command.key, command.rawValue, command.summary, command.examples))
    }

    private static func message(_ event: EventType) -> (String, JSONTree) {
        (event.key, message(event.key, event.rawValue, event.summary, [event.example]))
    }

    private static func message(_ key: String, _ type: String, _ summary: String, _ examples: [String]) -> JSONTree {
        .object([
            ("name", .string(type)),
            ("summary", .string(summary)),
            ("contentType", "application/json"),
            ("payload", reference("schemas", key)),
            ("correlationId", .object([("$ref", "#/components/correlationIds/command")])),
            (
                "bindings",
                .object([("amqp", .object([("messageType", .string(type)), ("bindingVersion", "0.3.0")]))])
            ),
            ("traits", .array([reference("messageTraits", "cloudEvent")])),
            ("examples", .array(examples.map { .object([("payload", tree($0))]) })),
        ])
    }

    /// The headers of the binary mode.
    private static let cloudEvent = JSONTree.object([
        (
            "headers",
            .object([
                ("type", "object"),
                (
                    "properties",
                    .object(
                        [
                            ("specversion", "1.0"), ("id", "Unique within the source."), ("source", "Who sends it."),
                            ("type", "The type of the command or event."), ("time", "RFC 3339."),
                            ("subject", "The customer's id."), ("traceparent", "W3C trace context."),
                            ("tracestate", "W3C trace context."),
                        ].map { name, description in
                            (
                                "cloudEvents:\(name)",
                                .object([("type", "string"), ("description", .string(description))])
                            )
                        })
                ),
            ])
        )
    ])

    private static func reference(_ section: String, _ key: String) -> JSONTree {
        .object([("$ref", .string("#/components/\(section)/\(key)"))])
    }

    /// An example as a tree. The tests see to it that each one can be read.
    private static func tree(_ example: String) -> JSONTree {
        do throws(JSONError) {
            return JSONTree(try JSONDocument(Array(example.utf8)).root)
        } catch {
            return .string(example)
        }
    }
}

extension CommandType {
    fileprivate var key: String { "command.\(rawValue)" }

    /// The events that can be the command's outcome.
    var outcomes: [EventType] {
        switch self {
        case .customerCreate: [.customerCreated, .commandRejected]
        case .customerUpdate: [.customerUpdated, .commandRejected]
        case .subscriptionOrder: [.subscriptionOrdered, .quotePrepared, .commandRejected]
        case .inventoryAdd: [.inventoryAdded, .quotePrepared, .commandRejected]
        case .renewalInventorySet: [.renewalInventorySet, .commandRejected]
        case .autoRenewalSet: [.autoRenewalChanged, .commandRejected]
        case .subscriptionSuspend: [.subscriptionSuspended, .commandRejected]
        case .subscriptionEnable: [.subscriptionEnabled, .commandRejected]
        case .refundProcess: [.refundProcessed, .quotePrepared, .commandRejected]
        case .customerSettle: [.customerSettled, .commandRejected]
        }
    }
}

extension EventType {
    fileprivate var key: String { "event.\(rawValue)" }
}
