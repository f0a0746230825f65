// A partner's customer.

/// Who administers a customer's account and products. It never changes after creation.
public enum AdministrativeResponsibility: String, CaseIterable, Sendable, Hashable {
    /// The partner manages the account and its products; domains can't be pre-validated.
    case partnerAdministered
    /// The partner manages subscriptions and orders, the customer administers the product.
    case customerAdministered
}

/// A postal address.
public struct Address: Hashable, Sendable {
    public let line1: String
    public let line2: String?
    public let line3: String?
    public let city: String
    /// nil where there is none; whether there has to be one depends on the country (``PostalAddressRules``).
    public let postalCode: String?
    /// Likewise.
    public let stateOrProvince: String?
    /// ISO 3166-1 alpha-2, or `XK`.
    public let country: String

    public init(
        line1: String, line2: String?, line3: String?, city: String, postalCode: String?, stateOrProvince: String?,
        country: String
    ) {
        self.line1 = line1
        self.line2 = line2
        self.line3 = line3
        self.city = city
        self.postalCode = postalCode
        self.stateOrProvince = stateOrProvince
        self.country = country
    }
}

/// A customer as it now is.
public struct Customer: Hashable, Sendable {
    public let id: CustomerID
    public let partnerID: String
    public var companyName: String
    public var address: Address
    public var resellerID: String?
    public let administrativeResponsibility: AdministrativeResponsibility
    /// The first customer administrator; only of a customer-administered customer.
    public var administratorEmail: String?
    public let createdAt: Timestamp
    /// The number of the customer's latest event. Events are numbered from 1 without gaps.
    public var sequence: Int64
    /// The latest day on which something fell due and was settled; nil while nothing has. Months that ended by then are
    /// closed for the customer. A day of the calendar, so that a change of a zone's rules can't open one again.
    public var settledThrough: CalendarDate?

    public init(
        id: CustomerID, partnerID: String, companyName: String, address: Address, resellerID: String?,
        administrativeResponsibility: AdministrativeResponsibility, administratorEmail: String?,
        createdAt: Timestamp, sequence: Int64, settledThrough: CalendarDate?
    ) {
        self.id = id
        self.partnerID = partnerID
        self.companyName = companyName
        self.address = address
        self.resellerID = resellerID
        self.administrativeResponsibility = administrativeResponsibility
        self.administratorEmail = administratorEmail
        self.createdAt = createdAt
        self.sequence = sequence
        self.settledThrough = settledThrough
    }

    /// Whether the customer's domains can be validated before certificates are ordered.
    public var domainPrevalidation: Bool { administrativeResponsibility == .customerAdministered }
}
