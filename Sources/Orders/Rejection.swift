// Why a command was refused: codes for programs, sentences for people. The one list of all codes.

/// The codes of rejections and violations, stable for programs.
public enum RejectionCode: String, CaseIterable, Sendable, Hashable {
    // The message can't be read.
    case malformedMessage = "malformed_message"
    case schemaViolation = "schema_violation"
    case unknownType = "unknown_type"
    case messageTooLarge = "message_too_large"
    case idMissing = "id_missing"
    case attributeConflict = "attribute_conflict"
    case routingKeyMismatch = "routing_key_mismatch"
    case replyToNotAllowed = "reply_to_not_allowed"
    case internalError = "internal_error"
    // The command may not be given, or contradicts an earlier one.
    case publisherUnknown = "publisher_unknown"
    case partnerUnusable = "partner_unusable"
    case commandIDReused = "command_id_reused"
    // Customers.
    case customerUnknown = "customer_unknown"
    case customerExists = "customer_exists"
    case resellerUnknown = "reseller_unknown"
    case customerAdminEmailRequired = "customer_admin_email_required"
    case customerAdminEmailNotAllowed = "customer_admin_email_not_allowed"
    case postalCodeRequired = "postal_code_required"
    case stateOrProvinceRequired = "state_or_province_required"
    case administrativeResponsibilityImmutable = "administrative_responsibility_immutable"
    // Subscriptions.
    case subscriptionUnknown = "subscription_unknown"
    case subscriptionExists = "subscription_exists"
    case subscriptionDuplicate = "subscription_duplicate"
    case subscriptionSuspended = "subscription_suspended"
    case subscriptionAlreadySuspended = "subscription_already_suspended"
    case subscriptionAlreadyActive = "subscription_already_active"
    case nothingToRenew = "nothing_to_renew"
    case subscriptionExpired = "subscription_expired"
    case productUnknown = "product_unknown"
    case termNotSold = "term_not_sold"
    case certificateTypeUnknown = "certificate_type_unknown"
    case certificateTypeNotSold = "certificate_type_not_sold"
    case certificateTypeDuplicate = "certificate_type_duplicate"
    case priceUnknown = "price_unknown"
    case startDateTooLate = "start_date_too_late"
    case startDateTooEarly = "start_date_too_early"
    case quantityRequired = "quantity_required"
    case amountTooLarge = "amount_too_large"
    // Refunds.
    case transactionUnknown = "transaction_unknown"
    case transactionDuplicate = "transaction_duplicate"
    case transactionNotRefundable = "transaction_not_refundable"
    case refundWindowClosed = "refund_window_closed"
    case quantityExceedsRefundable = "quantity_exceeds_refundable"
    case quantityExceedsInventory = "quantity_exceeds_inventory"

    /// What the code means, in a sentence.
    public var meaning: String {
        switch self {
        case .malformedMessage: "The message is not a CloudEvent with a JSON body."
        case .schemaViolation: "The data doesn't match the command's JSON Schema."
        case .unknownType: "The worker knows no command of this type."
        case .messageTooLarge: "The message is larger than the worker accepts."
        case .idMissing: "The message carries no id."
        case .attributeConflict: "Body, headers and properties of the message contradict each other."
        case .routingKeyMismatch: "The routing key is not the customer's id."
        case .replyToNotAllowed: "The reply_to names a queue of the worker's own."
        case .internalError: "The command could not be stored; it is kept for an operator."
        case .publisherUnknown: "The message's verified user may not publish for any partner."
        case .partnerUnusable: "The partner's data in the catalog can't be used at the moment."
        case .commandIDReused: "A different command was sent with the same source and id before."
        case .customerUnknown: "The partner has no such customer."
        case .customerExists: "A customer with this id exists already."
        case .resellerUnknown: "The partner has no such reseller."
        case .customerAdminEmailRequired: "A customer-administered customer needs a customer admin e-mail address."
        case .customerAdminEmailNotAllowed: "A partner-administered customer has no customer administrator."
        case .postalCodeRequired: "Addresses in the country have a postal code."
        case .stateOrProvinceRequired: "Addresses in the country have a state or province."
        case .administrativeResponsibilityImmutable: "Administrative responsibility never changes after creation."
        case .subscriptionUnknown: "The customer has no such subscription."
        case .subscriptionExists: "The customer has a subscription with this id already."
        case .subscriptionDuplicate: "The command names the same subscription twice."
        case .subscriptionSuspended: "The subscription is suspended."
        case .subscriptionAlreadySuspended: "The subscription is suspended already."
        case .subscriptionAlreadyActive: "The subscription is active already."
        case .subscriptionExpired: "The subscription has expired."
        case .nothingToRenew: "None of the subscription's certificates can be sold for a new period."
        case .productUnknown: "The catalog has no such product."
        case .termNotSold: "The product isn't sold for this term."
        case .certificateTypeUnknown: "The product has no such certificate type."
        case .certificateTypeNotSold: "The certificate type isn't sold when the subscription renews."
        case .certificateTypeDuplicate: "The same certificate type is named twice."
        case .priceUnknown: "No price is in force for this certificate type and term."
        case .startDateTooLate: "The start date is more than 90 days ahead."
        case .startDateTooEarly: "The term that begins at the start date has ended already."
        case .quantityRequired: "At least one certificate is needed in all."
        case .amountTooLarge: "The amount is larger than can be booked."
        case .transactionUnknown: "The customer has no such transaction."
        case .transactionDuplicate: "The command names the same transaction twice."
        case .transactionNotRefundable: "Only charges can be refunded."
        case .refundWindowClosed: "The charge is older than the partner's refund window."
        case .quantityExceedsRefundable: "More certificates than are left to refund."
        case .quantityExceedsInventory: "More certificates than the subscription still holds."
        }
    }
}

/// One rule that a command breaks.
public struct Violation: Hashable, Sendable {
    public let code: RejectionCode
    /// JSON pointer (RFC 6901) into the command's data.
    public let pointer: String
    /// A sentence for people; never an e-mail address or more of the body than the offending value.
    public let message: String

    public init(_ code: RejectionCode, at pointer: String, _ message: String) {
        self.code = code
        self.pointer = pointer
        self.message = message
    }
}

/// The refusal of a command, with every rule that it breaks.
public struct Rejection: Error, Hashable, Sendable {
    /// The first violation's.
    public let code: RejectionCode
    public let message: String
    public let violations: [Violation]

    /// - Parameter violations: at least one; the first gives code and message.
    public init(_ first: Violation, _ others: [Violation] = []) {
        self.code = first.code
        self.message = first.message
        self.violations = [first] + others
    }

    /// nil when there is no violation.
    public init?(_ violations: [Violation]) {
        guard let first = violations.first else { return nil }
        self.init(first, Array(violations.dropFirst()))
    }
}
