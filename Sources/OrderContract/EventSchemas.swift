// What the data of each event holds.

internal import Orders

extension EventType {
    /// The schema of the event's data. Objects are open: events may gain members.
    var schema: Schema {
        switch self {
        case .customerCreated, .customerUpdated: Self.customerSchema
        case .subscriptionOrdered, .inventoryAdded, .renewalInventorySet, .autoRenewalChanged, .subscriptionSuspended,
            .subscriptionEnabled, .subscriptionRenewed, .subscriptionExpired:
            Self.subscriptionsSchema
        case .refundProcessed: Self.refundSchema
        case .invoiceUpdated, .invoiceClosed: Self.invoiceSchema
        case .quotePrepared: Self.quoteSchema
        case .customerSettled: Self.settledSchema
        case .commandRejected: Self.rejectedSchema
        }
    }

    /// What the event says, in a sentence.
    var summary: String {
        switch self {
        case .customerCreated: "The customer was created."
        case .customerUpdated: "The customer was changed; the event tells it as it now is."
        case .subscriptionOrdered: "The subscriptions were ordered."
        case .inventoryAdded: "Certificates were added to the subscription."
        case .renewalInventorySet: "What the subscription will hold when it renews was set."
        case .autoRenewalChanged: "Whether the subscription renews by itself was set."
        case .subscriptionSuspended: "The subscription was suspended."
        case .subscriptionEnabled:
            "The subscription was enabled again; after its end it has begun a new period, which was charged."
        case .subscriptionRenewed: "The subscription entered its next period; what was dropped says why."
        case .subscriptionExpired: "The subscription ended; the reason says why it didn't renew."
        case .refundProcessed: "Certificates were refunded; each transaction names the charge that it reverses."
        case .invoiceUpdated: "The open invoice has changed; its lines are those that are new."
        case .invoiceClosed: "The invoice was closed and numbered; its lines are all that it has."
        case .quotePrepared: "What the command would have done; nothing has changed."
        case .customerSettled: "What had fallen due for the customer was settled, each with an event of its own."
        case .commandRejected: "The command was refused and has changed nothing."
        }
    }

    // MARK: Parts

    private static func event(_ members: [ObjectSchema.Member]) -> Schema {
        object(
            [
                .required("customerId", .text(.uuid), "The nil UUID where the refused message named no customer."),
                .required(
                    "sequence", .integer(0...Int64.max),
                    "Counts the customer's events from 1 without gaps; 0 in refusals of messages that belong to none."),
                .optional("part", part, "Only where it takes several events, one after the other, to tell all."),
            ] + members)
    }

    private static let part = object([
        .required("number", .integer(1...Int64.max), "From 1. A command that comes again is answered with the first."),
        .required("of", .integer(1...Int64.max), "How many there are."),
    ])

    private static func object(_ members: [ObjectSchema.Member]) -> Schema {
        .object(ObjectSchema(isOpen: true, members))
    }

    private static func list(of schema: Schema) -> Schema { .array(of: schema, count: 0...Int.max) }

    private static let money = object([
        .required("amount", .integer(Int64.min...Int64.max), "In minor units; credits are negative."),
        .required("currency", .text(.currency), "ISO 4217."),
    ])

    private static let quantities = list(
        of: object([
            .required("certificateType", .text(.catalogID)),
            .required("quantity", .integer(0...Int64.max)),
        ]))

    private static let subscription = object([
        .required("subscriptionId", .text(.uuid)),
        .required("product", .text(.catalogID)),
        .required("term", .text(.term)),
        .required("state", .choice(SubscriptionState.allCases.map(\.rawValue))),
        .required("start", .text(.date), "The first day of the current period."),
        .required("end", .text(.date), "The day after its last."),
        .required("autoRenewal", .boolean),
        .required("inventory", quantities),
        .optional("renewalInventory", quantities, "Where one was set: what these types' numbers will be."),
    ])

    private static let transaction = object([
        .required("transactionId", .text(.uuid), "In a quote the nil UUID: nothing is booked."),
        .required("type", .choice(TransactionType.allCases.map(\.rawValue))),
        .required("subscriptionId", .text(.uuid)),
        .optional("certificateType", .text(.catalogID)),
        .optional("quantity", .integer(0...Int64.max), "Certificates; the type tells whether they come or go."),
        .optional("unitPrice", money, "Of one certificate for the whole term."),
        .optional(
            "days",
            object([.required("charged", .integer(0...Int64.max)), .required("term", .integer(1...Int64.max))]),
            "The part of the term that was charged."),
        .required("amount", money, "Charges are positive, refunds negative."),
        .required("at", .text(.time), "The effective time."),
        .required(
            "date", .text(.date), "The day that decides what it is worth: that of the effective time, or the due one."),
        .required("bookedOn", .text(.date), "The day on which it was decided; never before the date."),
        .optional("refundableUntil", .text(.date), "The last day on which a charge can be refunded."),
        .optional("resellerId", .text(.catalogID), "The reseller whose transaction it is; of a refund the charge's."),
        .optional("reverses", .text(.uuid), "The charge that a refund reverses."),
    ])

    private static let subscriptions = ObjectSchema.Member.required(
        "subscriptions", list(of: subscription), "As they now are.")
    private static let transactions = ObjectSchema.Member.required("transactions", list(of: transaction))
    private static let reason = ObjectSchema.Member.optional("reason", .text(.any))

    // MARK: Events

    private static let customerSchema = event([
        .required("partnerId", .text(.catalogID)),
        .required("companyName", .text(.any)),
        .required(
            "address",
            object([
                .required("line1", .text(.any)), .optional("line2", .text(.any)), .optional("line3", .text(.any)),
                .required("city", .text(.any)),
                .required("postalCode", .text(.any), "Empty where there is none."),
                .required("stateOrProvince", .text(.any), "Empty where there is none."),
                .required("country", .text(.country)),
            ])),
        .optional("resellerId", .text(.catalogID)),
        .required(
            "administrativeResponsibility", .choice(AdministrativeResponsibility.allCases.map(\.rawValue))),
        .required("domainPrevalidation", .boolean, "Whether domains can be validated before certificates are ordered."),
        .optional(
            "administrator", object([.required("email", .text(.email))]), "The first customer administrator."),
        .required("createdAt", .text(.time)),
    ])

    private static let dropped = ObjectSchema.Member.optional(
        "dropped",
        list(
            of: object([
                .required("certificateType", .text(.catalogID)),
                .required("quantity", .integer(1...Int64.max), "How many would have been renewed, or were held."),
                .required("code", .text(.code), "For programs. There may come to be more codes."),
                .required("reason", .text(.any), "For people."),
            ])), "The certificate types that were not renewed, and why.")

    private static let subscriptionsSchema = event([subscriptions, transactions, reason, dropped])

    private static let refundSchema = event([subscriptions, transactions, reason])

    private static let invoiceSchema = event([
        .required("invoiceId", .text(.uuid)),
        .optional("kind", .choice(InvoiceKind.allCases.map(\.rawValue)), "By the total; only once closed."),
        .optional(
            "series", .text(.any),
            "In what the number counts, such as 2026-11: the partner's invoices of a month, or its credit notes; only once "
                + "closed."),
        .optional("number", .integer(1...Int64.max), "From 1 without a gap in its kind and series; only once closed."),
        .required("state", .choice(InvoiceState.allCases.map(\.rawValue))),
        .required("version", .integer(0...Int64.max), "Goes up with every change."),
        .required("period", object([.required("start", .text(.date)), .required("end", .text(.date))])),
        .required("total", money, "The sum of all lines; negative makes it a credit note."),
        .required(
            "lines",
            list(
                of: object([
                    .required("transactionId", .text(.uuid)),
                    .optional("resellerId", .text(.catalogID), "The reseller whose transaction it is."),
                    .required("description", .text(.any)),
                    .required("quantity", .integer(0...Int64.max)),
                    .required("amount", money),
                ]))),
    ])

    private static let quoteSchema = event([transactions, .required("total", money)])

    private static let settledSchema = event([
        .required("events", .integer(0...Int64.max), "How many events came of it.")
    ])

    private static let rejectedSchema = event([
        .required("code", .text(.code), "For programs: that of the first violation. There may come to be more codes."),
        .required("message", .text(.any), "For people."),
        .required(
            "violations",
            list(
                of: object([
                    .required("code", .text(.code)),
                    .required("pointer", .text(.any), "A JSON pointer into the command's data."),
                    .required("message", .text(.any)),
                ])), "Every rule that the command breaks, as far as an event has room."),
        .optional("violationsOmitted", .integer(1...Int64.max), "How many more there are, where not all are listed."),
        .required(
            "command",
            object([
                .optional("id", .text(.any)), .optional("source", .text(.any)), .optional("type", .text(.any)),
            ]), "The command as far as it could be read."),
    ])
}
