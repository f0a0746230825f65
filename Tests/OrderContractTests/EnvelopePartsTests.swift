// Base64 and content types, as the envelope uses them.

import Testing

@testable import OrderContract

@Suite struct EnvelopePartsTests {
    @Test(
        "Base64 is decoded",
        arguments: [
            ("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYmE=", "fooba"), ("Pz8/Pj4+", "???>>>"),
        ])
    func base64(_ text: String, _ decoded: String) {
        #expect(Base64.decoded(Array(text.utf8)[...]) == Array(decoded.utf8))
    }

    @Test(
        "What isn't canonical Base64 is refused",
        arguments: ["Z", "Zg", "Zg=", "Zh==", "Zm9=", "=Zg=", "Z===", "====", "Zg==Zg==", "Zm 9v", "Zm9v\n", "Zm-_"])
    func notBase64(_ text: String) {
        #expect(Base64.decoded(Array(text.utf8)[...]) == nil)
    }

    @Test("A content type is told by its name, in any case, with any parameters")
    func mediaTypes() {
        #expect(MediaType("application/json").isJSON)
        #expect(MediaType(" Application/JSON ; a=b; charset=UTF-8").isJSON)
        #expect(MediaType("application/cloudevents+json").isStructuredEvent)
        #expect(!MediaType("application/cloudevents-batch+json").isStructuredEvent)
        #expect(!MediaType("application/json;charset=latin1").isJSON)
        #expect(!MediaType("").isJSON)
        #expect(!MediaType(";").isJSON)
        #expect(!MediaType("application/jsonx").isJSON)
    }
}
