// What each country's addresses need, held against a table of its own.

import Orders
import Testing

@Suite("Addresses by country") struct PostalAddressRulesTests {
    /// Each country's code with what its addresses need of a postal code, then of a state: r(equired), o(ptional) or
    /// u(nused). Written down from the same source as the rules, country by country.
    private static let table = """
        AD:ou AE:ur AF:ou AG:uu AI:ou AL:ou AM:oo AO:uu AQ:uu AR:oo AS:rr AT:ru AU:rr AW:uu AX:ru AZ:ou BA:ou BB:oo
        BD:ou BE:ru BF:uu BG:ou BH:ou BI:uu BJ:uu BL:ru BM:ou BN:ou BO:uu BQ:uu BR:rr BS:uo BT:ou BV:uu BW:uu BY:oo
        BZ:uu CA:rr CC:oo CD:uu CF:uu CG:uu CH:ru CI:uu CK:uu CL:oo CM:uu CN:rr CO:or CR:or CU:oo CV:oo CW:uu CX:oo
        CY:ou CZ:ru DE:ru DJ:uu DK:ru DM:uu DO:ou DZ:ou EC:ou EE:ro EG:oo EH:ou ER:uu ES:rr ET:ou FI:ru FJ:uu FK:ru
        FM:rr FO:ou FR:ru GA:uu GB:ru GD:uu GE:ou GF:ru GG:ru GH:uu GI:ou GL:ru GM:uu GN:ou GP:ru GQ:uu GR:ru GS:ru
        GT:ou GU:ru GW:ou GY:uu HK:ur HM:oo HN:or HR:ou HT:ou HU:ru ID:or IE:oo IL:ou IM:ru IN:rr IO:ru IQ:or IR:oo
        IS:ou IT:rr JE:ru JM:ur JO:ou JP:rr KE:ou KG:ou KH:ou KI:uo KM:uu KN:ur KP:oo KR:rr KW:ou KY:or KZ:oo LA:ou
        LB:ou LC:uu LI:ru LK:ou LR:ou LS:ou LT:ro LU:ru LV:ro LY:uu MA:ou MC:ou MD:ou ME:ou MF:ru MG:ou MH:rr MK:ou
        ML:uu MM:ou MN:oo MO:uu MP:rr MQ:ru MR:uu MS:uu MT:ou MU:ou MV:ou MW:uu MX:rr MY:ro MZ:oo NA:ou NC:ru NE:ou
        NF:oo NG:oo NI:oo NL:ru NO:ru NP:ou NR:ur NU:uu NZ:ru OM:ou PA:uo PE:oo PF:rr PG:or PH:oo PK:ou PL:ru PM:ru
        PN:ru PR:ru PS:uu PT:ru PW:rr PY:ou QA:uu RE:ru RO:ro RS:ou RU:rr RW:uu SA:ou SB:uu SC:uo SD:ou SE:ru SG:ru
        SH:ru SI:ou SJ:ru SK:ru SL:uu SM:ru SN:ou SO:or SR:uo SS:uu ST:uu SV:or SX:uu SY:uu SZ:ou TC:ru TD:uu TF:uu
        TG:uu TH:oo TJ:ou TK:uu TL:uu TM:ou TN:ou TO:uu TR:ro TT:uu TV:uo TW:rr TZ:ou UA:ro UG:uu UM:or US:rr UY:oo
        UZ:oo VA:ou VC:ou VE:or VG:ou VI:rr VN:oo VU:uu WF:ru WS:uu XK:ou YE:uu YT:ru ZA:ru ZM:ou ZW:uu
        """

    private static func letter(_ part: AddressPart) -> String {
        switch part {
        case .required: "r"
        case .optional: "o"
        case .unused: "u"
        }
    }

    @Test("Every country of ISO 3166-1, and Kosovo, needs what its addresses are written with")
    func everyCountry() {
        let entries = Self.table.split(whereSeparator: \.isWhitespace).map { $0.split(separator: ":") }
        #expect(entries.count == 250 && Set(entries.map { $0[0] }).count == 250)
        for entry in entries {
            let rules = PostalAddressRules(country: String(entry[0]))
            #expect(Self.letter(rules.postalCode) + Self.letter(rules.stateOrProvince) == entry[1], "\(entry[0])")
        }
    }

    @Test("Where an address was refused for want of what its country doesn't have, it is accepted")
    func seen() {
        #expect(PostalAddressRules(country: "HK").postalCode == .unused)
        #expect(PostalAddressRules(country: "AE").postalCode == .unused)
        #expect(PostalAddressRules(country: "SG").stateOrProvince == .unused)
        #expect(PostalAddressRules(country: "IE").postalCode == .optional)
        #expect(PostalAddressRules(country: "IE").stateOrProvince == .optional)
        #expect(PostalAddressRules(country: "XK").postalCode == .optional)
    }
}
