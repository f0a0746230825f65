// What the data of each command may be.

import Orders

extension CommandType {
    /// The largest quantity of certificates that a command may name at a time.
    static let maximumQuantity: Int64 = 1_000_000

    /// The schema of the command's data.
    var schema: Schema {
        switch self {
        case .customerCreate: Self.customerCreateSchema
        case .customerUpdate: Self.customerUpdateSchema
        case .subscriptionOrder: Self.subscriptionOrderSchema
        case .inventoryAdd: Self.inventoryAddSchema
        case .renewalInventorySet: Self.renewalInventorySetSchema
        case .autoRenewalSet: Self.autoRenewalSetSchema
        case .subscriptionSuspend: Self.suspensionSchema
        case .subscriptionEnable: Self.enableSchema
        case .refundProcess: Self.refundProcessSchema
        case .customerSettle: Self.customerSettleSchema
        }
    }

    /// What the command asks for, in a sentence.
    var summary: String {
        switch self {
        case .customerCreate: "Creates a customer under an id that the sender chooses."
        case .customerUpdate: "Changes a customer's name, address, managing reseller or administrator's e-mail address."
        case .subscriptionOrder: "Orders one or more subscriptions for a customer, all or nothing."
        case .inventoryAdd: "Adds certificates for immediate use to an active subscription, at a pro-rated charge."
        case .renewalInventorySet: "Sets what a subscription will hold when it renews, as absolute numbers."
        case .autoRenewalSet: "Says whether a subscription renews by itself at its end."
        case .subscriptionSuspend: "Suspends an active subscription; no money moves and its end stays."
        case .subscriptionEnable:
            "Enables a suspended subscription again; after its end a new period begins today, charged in full."
        case .refundProcess: "Refunds certificates of charges that are not older than the refund window."
        case .customerSettle: "Settles what fell due for a customer. The worker's own command."
        }
    }

    // MARK: Parts

    private static let customerID = ObjectSchema.Member.required(
        "customerId", .text(.identifier), "The customer; also the message's routing key.")
    private static let subscriptionID = ObjectSchema.Member.required("subscriptionId", .text(.identifier))
    private static let partnerID = ObjectSchema.Member.optional(
        "partnerId", .text(.catalogID),
        "The partner that the command is for. Where publishers are told apart by their broker user, it can only repeat "
            + "that user's partner.")
    private static let quoteOnly = ObjectSchema.Member.optional(
        "quoteOnly", .boolean, "Answer what the command would do, priced, and change nothing.")
    private static let reason = ObjectSchema.Member.optional("reason", .text(.line(maximum: 500)))
    private static let resellerID = "The reseller that manages the customer."
    private static let administrativeResponsibility = Schema.choice(
        AdministrativeResponsibility.allCases.map(\.rawValue))

    static let addressSchema = Schema.object(
        ObjectSchema([
            .required("line1", .text(.line(maximum: 200))),
            .optional("line2", .nullable(.text(.optionalLine(maximum: 200)))),
            .optional("line3", .nullable(.text(.optionalLine(maximum: 200)))),
            .required("city", .text(.line(maximum: 100))),
            .optional("postalCode", .nullable(.text(.optionalLine(maximum: 100))), byCountry),
            .optional("stateOrProvince", .nullable(.text(.optionalLine(maximum: 100))), byCountry),
            .required("country", .text(.country), "ISO 3166-1 alpha-2, or XK."),
        ]))

    private static let byCountry =
        "Required or not by country, as its addresses are written; an empty text or null where there is none."

    private static func quantities(from minimum: Int64, types: ClosedRange<Int> = 1...50) -> Schema {
        .array(
            of: .object(
                ObjectSchema([
                    .required("certificateType", .text(.catalogID)),
                    .required("quantity", .integer(minimum...maximumQuantity)),
                ])), count: types)
    }

    private static func command(atLeastOneOf: [String] = [], _ members: [ObjectSchema.Member]) -> Schema {
        .object(ObjectSchema(atLeastOneOf: atLeastOneOf, [customerID] + members + [partnerID]))
    }

    // MARK: Commands

    private static let customerCreateSchema = command([
        .required("companyName", .text(.line(maximum: 200))),
        .required("address", addressSchema),
        .optional("resellerId", .text(.catalogID), resellerID),
        .required("administrativeResponsibility", administrativeResponsibility),
        .optional(
            "customerAdminEmail", .text(.email),
            "The first customer administrator: required for customerAdministered, refused for partnerAdministered."),
    ])

    private static let customerUpdateSchema = command(
        atLeastOneOf: ["companyName", "address", "resellerId", "administrativeResponsibility", "customerAdminEmail"],
        [
            .optional("companyName", .text(.line(maximum: 200))),
            .optional("address", addressSchema),
            .optional("resellerId", .nullable(.text(.catalogID)), resellerID + " null clears it."),
            .optional(
                "administrativeResponsibility", administrativeResponsibility,
                "Never changes after creation: naming it is refused with a code of its own."),
            .optional(
                "customerAdminEmail", .text(.email),
                "Corrects the first customer administrator's address; refused for partnerAdministered."),
        ])

    private static let subscriptionOrderSchema = command([
        .required(
            "subscriptions",
            .array(
                of: .object(
                    ObjectSchema([
                        subscriptionID,
                        .required("product", .text(.catalogID)),
                        .required("term", .text(.term), "An ISO 8601 duration for which the product is sold."),
                        .optional(
                            "startDate", .text(.date),
                            "Today in the partner's billing zone where absent; in the past within the term, or up to 90 days "
                                + "ahead: it is charged in full now."),
                        .optional("autoRenewal", .boolean, "false where absent."),
                        .required("inventory", quantities(from: 0), "At least one certificate in all."),
                    ])), count: 1...100)),
        quoteOnly,
    ])

    private static let inventoryAddSchema = command([
        subscriptionID, .required("inventory", quantities(from: 1)), quoteOnly,
    ])

    private static let renewalInventorySetSchema = command([
        subscriptionID,
        .required(
            "renewalInventory", quantities(from: 0, types: 0...50),
            "Absolute numbers; a type that isn't named keeps its own. An empty list clears what was set: the subscription "
                + "renews what it then holds."),
    ])

    private static let autoRenewalSetSchema = command([subscriptionID, .required("autoRenewal", .boolean)])

    private static let suspensionSchema = command([subscriptionID, reason])

    private static let enableSchema = command([subscriptionID, reason, quoteOnly])

    private static let refundProcessSchema = command([
        .required(
            "refunds",
            .array(
                of: .object(
                    ObjectSchema([
                        .required("transactionId", .text(.identifier), "A charge: an order, an addition or a renewal."),
                        .required("quantity", .integer(1...maximumQuantity), "Certificates to refund."),
                    ])), count: 1...100)),
        reason,
        quoteOnly,
    ])

    private static let customerSettleSchema = Schema.object(
        ObjectSchema([
            customerID,
            .optional(
                "dayIsOver", .boolean,
                "Whether the day of the command's time is over, so that the invoice whose month ends with it is closed."
            ),
        ]))
}
