// What was meant by a subcommand that there isn't.

internal import ArgumentParser

/// Finds the first word of a command line that should be a subcommand and is none.
enum MisspeltCommand {
    /// A sentence about it, with the nearest subcommand or with all; `nil` where every subcommand is known.
    static func message(_ arguments: [String], root: any ParsableCommand.Type) -> String? {
        var command = root
        for word in arguments {
            let subcommands = command.configuration.subcommands
            if subcommands.isEmpty || word.hasPrefix("-") { return nil }
            if let next = subcommands.first(where: { $0._commandName == word }) {
                command = next
            } else if word != "help" {
                let names = subcommands.map { $0._commandName }
                let meant = nearest(to: word, among: names)
                let rest = meant.map { "Did you mean '\($0)'?" } ?? "There are: \(names.joined(separator: ", "))."
                return "There is no command '\(word.visible)'. \(rest)"
            }
        }
        return nil
    }

    /// The name that the fewest typing mistakes make of the word, where they are few against its length.
    static func nearest(to word: String, among names: [String]) -> String? {
        let distances = names.map { (name: $0, distance: distance($0, word.lowercased())) }
        guard let best = distances.min(by: { $0.distance < $1.distance }) else { return nil }
        if best.distance <= max(1, min(word.count, best.name.count) / 3) { return best.name }
        // Or what was begun, if that can only be one.
        let begun = word.count >= 2 ? names.filter { $0.hasPrefix(word.lowercased()) } : []
        return begun.count == 1 ? begun.first : nil
    }

    /// How many characters have to be left out, put in, exchanged, or swapped with their neighbour.
    static func distance(_ first: String, _ second: String) -> Int {
        let (first, second) = (Array(first), Array(second))
        var rows = [Array(0...second.count)]
        for i in 1..<(first.count + 1) {
            var row = [i]
            for j in 1..<(second.count + 1) {
                let cost = first[i - 1] == second[j - 1] ? 0 : 1
                var best = min(rows[i - 1][j] + 1, row[j - 1] + 1, rows[i - 1][j - 1] + cost)
                if i > 1, j > 1, first[i - 1] == second[j - 2], first[i - 2] == second[j - 1] {
                    best = min(best, rows[i - 2][j - 2] + 1)
                }
                row.append(best)
            }
            rows.append(row)
        }
        return rows[first.count][second.count]
    }
}
