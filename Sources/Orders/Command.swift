// The commands that upstream ordering systems send, as values that are already well-formed.

/// The type of a command, as it is written in the message's `type`.
public enum CommandType: String, CaseIterable, Sendable, Hashable {
    case customerCreate = "customer.create"
    case customerUpdate = "customer.update"
    case subscriptionOrder = "subscription.order"
    case inventoryAdd = "inventory.add"
    case renewalInventorySet = "renewal-inventory.set"
    case autoRenewalSet = "auto-renewal.set"
    case subscriptionSuspend = "subscription.suspend"
    case subscriptionEnable = "subscription.enable"
    case refundProcess = "refund.process"
    /// The worker's own clock: settle what fell due. Accepted from the worker's own account alone.
    case customerSettle = "customer.settle"
}

/// What identifies a command for ever: CloudEvents `source` and `id`.
public struct CommandKey: Hashable, Sendable {
    public let source: String
    public let id: String

    public init(source: String, id: String) {
        self.source = source
        self.id = id
    }

    // Byte by byte, as the database compares: two ways to write the same character are two ids.
    public static func == (left: CommandKey, right: CommandKey) -> Bool {
        left.id.utf8.elementsEqual(right.id.utf8) && left.source.utf8.elementsEqual(right.source.utf8)
    }

    public func hash(into hasher: inout Hasher) {
        for text in [source, id] {
            var text = text
            text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
            hasher.combine(UInt8(0))
        }
    }
}

/// Who sent a command, as far as it can be trusted.
public enum Publisher: Hashable, Sendable {
    /// The broker verified this user name (AMQP `user_id`).
    case user(String)
    /// A message without a verified user.
    case anonymous
    /// A single-tenant set-up trusts its publishers; the message may name the partner.
    case trusted(partner: String?)
    /// The worker's own account.
    case worker

    /// The name that a transaction records as "who".
    public var name: String {
        switch self {
        case .user(let name): name
        case .anonymous: "anonymous"
        case .trusted: "trusted"
        case .worker: "order-worker"
        }
    }
}

/// A command with all that its decision depends on besides the state.
public struct CommandEnvelope: Hashable, Sendable {
    public let key: CommandKey
    public let publisher: Publisher
    /// The sender's time, clamped by the caller to what may still be ordered for.
    public let effectiveAt: Timestamp
    public let command: Command

    public init(key: CommandKey, publisher: Publisher, effectiveAt: Timestamp, command: Command) {
        self.key = key
        self.publisher = publisher
        self.effectiveAt = effectiveAt
        self.command = command
    }
}

/// What is asked for.
public enum Command: Hashable, Sendable {
    case createCustomer(CreateCustomer)
    case updateCustomer(UpdateCustomer)
    case orderSubscriptions(OrderSubscriptions)
    case addInventory(AddInventory)
    case setRenewalInventory(SetRenewalInventory)
    case setAutoRenewal(SetAutoRenewal)
    case suspendSubscription(SuspendSubscription)
    case enableSubscription(EnableSubscription)
    case processRefund(ProcessRefund)
    /// Settles what fell due up to the command's time; where the day of that is over, also the invoice whose month ends with
    /// it.
    case settle(CustomerID, dayIsOver: Bool = false)

    public var type: CommandType {
        switch self {
        case .createCustomer: .customerCreate
        case .updateCustomer: .customerUpdate
        case .orderSubscriptions: .subscriptionOrder
        case .addInventory: .inventoryAdd
        case .setRenewalInventory: .renewalInventorySet
        case .setAutoRenewal: .autoRenewalSet
        case .suspendSubscription: .subscriptionSuspend
        case .enableSubscription: .subscriptionEnable
        case .processRefund: .refundProcess
        case .settle: .customerSettle
        }
    }

    public var customerID: CustomerID {
        switch self {
        case .createCustomer(let command): command.customerID
        case .updateCustomer(let command): command.customerID
        case .orderSubscriptions(let command): command.customerID
        case .addInventory(let command): command.customerID
        case .setRenewalInventory(let command): command.customerID
        case .setAutoRenewal(let command): command.customerID
        case .suspendSubscription(let command): command.customerID
        case .enableSubscription(let command): command.customerID
        case .processRefund(let command): command.customerID
        case .settle(let customerID, _): customerID
        }
    }

    /// The subscriptions that the command names.
    public var subscriptionIDs: [SubscriptionID] {
        switch self {
        case .orderSubscriptions(let command): command.subscriptions.map(\.subscriptionID)
        case .addInventory(let command): [command.subscriptionID]
        case .setRenewalInventory(let command): [command.subscriptionID]
        case .setAutoRenewal(let command): [command.subscriptionID]
        case .suspendSubscription(let command): [command.subscriptionID]
        case .enableSubscription(let command): [command.subscriptionID]
        case .createCustomer, .updateCustomer, .processRefund, .settle: []
        }
    }

    /// The transactions that the command names.
    public var transactionIDs: [TransactionID] {
        if case .processRefund(let command) = self { command.refunds.map(\.transactionID) } else { [] }
    }

    /// Whether the command asks what it would do and must change nothing.
    public var isQuote: Bool {
        switch self {
        case .orderSubscriptions(let command): command.quoteOnly
        case .addInventory(let command): command.quoteOnly
        case .processRefund(let command): command.quoteOnly
        case .enableSubscription(let command): command.quoteOnly
        default: false
        }
    }
}

/// A number of certificates of one type.
public struct CertificateQuantity: Hashable, Sendable {
    public let certificateType: String
    /// Certificates; 1 or more where they are ordered, 0 or more where an absolute number is set.
    public let quantity: Int64

    public init(certificateType: String, quantity: Int64) {
        self.certificateType = certificateType
        self.quantity = quantity
    }
}

/// `customer.create`
public struct CreateCustomer: Hashable, Sendable {
    public let customerID: CustomerID
    public let companyName: String
    public let address: Address
    public let resellerID: String?
    public let administrativeResponsibility: AdministrativeResponsibility
    public let customerAdminEmail: String?

    public init(
        customerID: CustomerID, companyName: String, address: Address, resellerID: String?,
        administrativeResponsibility: AdministrativeResponsibility, customerAdminEmail: String?
    ) {
        self.customerID = customerID
        self.companyName = companyName
        self.address = address
        self.resellerID = resellerID
        self.administrativeResponsibility = administrativeResponsibility
        self.customerAdminEmail = customerAdminEmail
    }
}

/// `customer.update`
public struct UpdateCustomer: Hashable, Sendable {
    /// What happens to the managing reseller.
    public enum ResellerChange: Hashable, Sendable {
        case keep
        case clear
        case set(String)
    }

    public let customerID: CustomerID
    public let companyName: String?
    public let address: Address?
    public let reseller: ResellerChange
    /// The corrected address of the first customer administrator.
    public let customerAdminEmail: String?
    /// Present only so that an attempt to change it can be refused with a code of its own.
    public let administrativeResponsibility: AdministrativeResponsibility?

    public init(
        customerID: CustomerID, companyName: String?, address: Address?, reseller: ResellerChange,
        customerAdminEmail: String? = nil, administrativeResponsibility: AdministrativeResponsibility? = nil
    ) {
        self.customerID = customerID
        self.companyName = companyName
        self.address = address
        self.reseller = reseller
        self.customerAdminEmail = customerAdminEmail
        self.administrativeResponsibility = administrativeResponsibility
    }
}

/// `subscription.order`
public struct OrderSubscriptions: Hashable, Sendable {
    public struct Item: Hashable, Sendable {
        public let subscriptionID: SubscriptionID
        public let product: String
        public let term: Term
        /// The first day, up to 90 days ahead; today where it is absent.
        public let startDate: CalendarDate?
        public let autoRenewal: Bool
        public let inventory: [CertificateQuantity]

        public init(
            subscriptionID: SubscriptionID, product: String, term: Term, startDate: CalendarDate?, autoRenewal: Bool,
            inventory: [CertificateQuantity]
        ) {
            self.subscriptionID = subscriptionID
            self.product = product
            self.term = term
            self.startDate = startDate
            self.autoRenewal = autoRenewal
            self.inventory = inventory
        }
    }

    public let customerID: CustomerID
    public let subscriptions: [Item]
    public let quoteOnly: Bool

    public init(customerID: CustomerID, subscriptions: [Item], quoteOnly: Bool) {
        self.customerID = customerID
        self.subscriptions = subscriptions
        self.quoteOnly = quoteOnly
    }
}

/// `inventory.add`
public struct AddInventory: Hashable, Sendable {
    public let customerID: CustomerID
    public let subscriptionID: SubscriptionID
    public let inventory: [CertificateQuantity]
    public let quoteOnly: Bool

    public init(
        customerID: CustomerID, subscriptionID: SubscriptionID, inventory: [CertificateQuantity], quoteOnly: Bool
    ) {
        self.customerID = customerID
        self.subscriptionID = subscriptionID
        self.inventory = inventory
        self.quoteOnly = quoteOnly
    }
}

/// `renewal-inventory.set`
public struct SetRenewalInventory: Hashable, Sendable {
    public let customerID: CustomerID
    public let subscriptionID: SubscriptionID
    /// Empty to clear what was set.
    public let renewalInventory: [CertificateQuantity]

    public init(customerID: CustomerID, subscriptionID: SubscriptionID, renewalInventory: [CertificateQuantity]) {
        self.customerID = customerID
        self.subscriptionID = subscriptionID
        self.renewalInventory = renewalInventory
    }
}

/// `auto-renewal.set`
public struct SetAutoRenewal: Hashable, Sendable {
    public let customerID: CustomerID
    public let subscriptionID: SubscriptionID
    public let autoRenewal: Bool

    public init(customerID: CustomerID, subscriptionID: SubscriptionID, autoRenewal: Bool) {
        self.customerID = customerID
        self.subscriptionID = subscriptionID
        self.autoRenewal = autoRenewal
    }
}

/// `subscription.suspend`
public struct SuspendSubscription: Hashable, Sendable {
    public let customerID: CustomerID
    public let subscriptionID: SubscriptionID
    public let reason: String?

    public init(customerID: CustomerID, subscriptionID: SubscriptionID, reason: String?) {
        self.customerID = customerID
        self.subscriptionID = subscriptionID
        self.reason = reason
    }
}

/// `subscription.enable`
public struct EnableSubscription: Hashable, Sendable {
    public let customerID: CustomerID
    public let subscriptionID: SubscriptionID
    public let reason: String?
    public let quoteOnly: Bool

    public init(
        customerID: CustomerID, subscriptionID: SubscriptionID, reason: String?, quoteOnly: Bool = false
    ) {
        self.customerID = customerID
        self.subscriptionID = subscriptionID
        self.reason = reason
        self.quoteOnly = quoteOnly
    }
}

/// `refund.process`
public struct ProcessRefund: Hashable, Sendable {
    public struct Item: Hashable, Sendable {
        public let transactionID: TransactionID
        /// Certificates to refund, 1 or more.
        public let quantity: Int64

        public init(transactionID: TransactionID, quantity: Int64) {
            self.transactionID = transactionID
            self.quantity = quantity
        }
    }

    public let customerID: CustomerID
    public let refunds: [Item]
    public let reason: String?
    public let quoteOnly: Bool

    public init(customerID: CustomerID, refunds: [Item], reason: String?, quoteOnly: Bool) {
        self.customerID = customerID
        self.refunds = refunds
        self.reason = reason
        self.quoteOnly = quoteOnly
    }
}
