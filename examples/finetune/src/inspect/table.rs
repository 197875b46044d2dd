//! Tables of text.

/// Rows of as many cells as `head` has, in columns: the first to the left, the others to the right.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let head: Vec<String> = head.iter().map(|&cell| cell.to_owned()).collect();
    let all = || core::iter::once(&head).chain(rows);
    let width = |i: usize| all().filter_map(|row| row.get(i)).map(|c| c.chars().count()).max();
    let line = |row: &Vec<String>| {
        let cells = row.iter().enumerate().map(|(i, cell)| {
            let width = width(i).unwrap_or_default();
            if i == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    all().map(line).collect::<Vec<_>>().join("\n")
}

/// Names and what they are, below each other.
pub(super) fn list(items: &[(&str, String)]) -> String {
    let width = items.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let lines = items.iter().map(|(name, value)| format!("{name:<width$}  {value}"));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let found = table(&["module", "r"], &[row(["q", "16"]), row(["lm_head", "4"])]);
        assert_eq!(found, "module    r\nq        16\nlm_head   4");
        let items = [("family", "llama".to_owned()), ("r", "4".to_owned())];
        assert_eq!(list(&items), "family  llama\nr       4");
    }
}
