//! Tables, as text and as HTML.

use core::fmt;

use super::html::escape;
use crate::stats::Summary;

/// A table: names of columns, then rows of as many cells. The first column is text, the others
/// are numbers.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    #[must_use]
    pub fn new(columns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { columns: columns.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn push(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// As Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| {
            let cells: Vec<_> = cells.iter().map(|c| c.trim()).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let numbers = "---:|".repeat(self.columns.len().saturating_sub(1));
        let rows: String = self.rows.iter().map(|row| line(row)).collect();
        format!("{}|---|{numbers}\n{rows}", line(&self.columns))
    }

    /// As HTML.
    #[must_use]
    pub fn html(&self) -> String {
        let line = |cells: &[String], tag: &str| {
            let cell = |c: &String| format!("<{tag}>{}</{tag}>", escape(c.trim()));
            format!("<tr>{}</tr>\n", cells.iter().map(cell).collect::<String>())
        };
        let body: String = self.rows.iter().map(|row| line(row, "td")).collect();
        let head = line(&self.columns, "th");
        format!("<table>\n<thead>{head}</thead>\n<tbody>\n{body}</tbody>\n</table>\n")
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = || core::iter::once(&self.columns).chain(&self.rows);
        let width = |i| lines().filter_map(|l| l.get(i)).map(|c: &String| c.chars().count()).max();
        let widths: Vec<usize> = (0..self.columns.len()).filter_map(width).collect();
        for line in lines() {
            for (i, (cell, width)) in line.iter().zip(&widths).enumerate() {
                match i {
                    0 => write!(f, "{cell:<width$}")?,
                    _ => write!(f, "   {cell:>width$}")?,
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// A share as mean ± sd in percent.
#[must_use]
pub fn percent(s: &Summary) -> String {
    format!("{:.1} ± {:.1}", 100.0 * s.mean, 100.0 * s.sd)
}

/// A number with its thousands apart.
#[must_use]
pub fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let mut apart = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            apart.push(',');
        }
        apart.push(digit);
    }
    apart
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(["name", "n"]);
        table.push(["a ± b".to_owned(), "1".to_owned()]);
        table.push(["c".to_owned(), "100".to_owned()]);
        assert_eq!(table.to_string(), "name      n\na ± b     1\nc       100\n");
        assert!(table.html().contains("<tr><td>a ± b</td><td>1</td></tr>"));
    }

    #[test]
    fn thousands_are_apart() {
        assert_eq!([0, 999, 1000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
    }
}
