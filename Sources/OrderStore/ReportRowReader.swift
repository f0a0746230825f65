// Reads a row's columns into a report's cells, in order.

internal import Orders
internal import PostgreSQL

struct ReportRowReader {
    /// What a column holds; all but `bool` and `currency` may be null.
    enum Kind {
        case text, date, time, id, integer, bool
        /// In minor units of the currency that came before.
        case money
        /// Makes no cell: see ``putCurrency()``.
        case currency
    }

    private(set) var values: [ReportValue] = []
    private var columns: ColumnReader
    private var currency: Currency?

    init(_ row: Row) { columns = ColumnReader(row) }

    mutating func take(_ kinds: Kind...) throws {
        for kind in kinds {
            switch kind {
            case .text: values.append(ReportValue(try columns.optionalText()))
            case .date: values.append(ReportValue(try columns.optionalDate()?.description))
            case .time: values.append(ReportValue(try columns.optionalTimestamp()?.description))
            case .id:
                let id: EventID? = try columns.optionalIdentifier()
                values.append(ReportValue(id?.description))
            case .integer: values.append(ReportValue(try columns.optionalInt64()))
            case .bool: values.append(.bool(try columns.bool()))
            case .money:
                let amount = try columns.optionalInt64()
                guard let amount, let currency else {
                    values.append(.absent)
                    continue
                }
                values.append(.money(Money(amount: amount, currency: currency)))
            case .currency: currency = try columns.value { Currency($0) }
            }
        }
    }

    /// The currency's code as a cell, for programs.
    mutating func putCurrency() { values.append(ReportValue(currency?.code)) }
}
