// The currencies that money can be in: ISO 4217's active list.

/// A currency of ISO 4217 that has a minor unit to count in (zero digits included).
public struct Currency: Hashable, Sendable {
    /// The three upper-case letters, for example `USD`.
    public let code: String
    /// How many decimal digits the minor unit has: 2 for USD, 0 for JPY, 3 for KWD.
    public let minorUnitDigits: Int

    /// Looks a currency up by its code; `nil` if it isn't on the active list, or is one without a minor unit such as
    /// gold (`XAU`) or the test code (`XTS`).
    public init?(_ code: String) {
        guard let digits = Self.digitsByCode[code] else { return nil }
        self.code = code
        self.minorUnitDigits = digits
    }

    /// Every currency, by code.
    public static var all: [Currency] {
        digitsByCode.keys.sorted().compactMap { Currency($0) }
    }

    public static func == (left: Currency, right: Currency) -> Bool {
        left.code == right.code
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(code)
    }

    private static let digitsByCode: [String: Int] = {
        let codes: [(digits: Int, codes: String)] = [
            (0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"),
            (
                2,
                """
                AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF \
                CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ \
                GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD \
                MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON \
                RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS \
                UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG
                """
            ),
            (3, "BHD IQD JOD KWD LYD OMR TND"),
            (4, "CLF UYW"),
        ]
        var digitsByCode: [String: Int] = [:]
        for entry in codes {
            for code in entry.codes.split(separator: " ") {
                digitsByCode[String(code)] = entry.digits
            }
        }
        return digitsByCode
    }()
}

extension Currency: CustomStringConvertible {
    /// The code.
    public var description: String { code }
}
