//! Results as JUnit's XML, which CI servers read.

use core::fmt::{self, Write};

use super::run::{Results, Row};

impl Results {
    /// A test suite for each scalar, a test case for each property.
    #[must_use]
    pub fn junit(&self) -> String {
        let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        // Writing to a String cannot fail.
        let _ = self.suites(&mut text);
        text
    }

    fn suites(&self, to: &mut String) -> fmt::Result {
        let rows: Vec<&Row> = self.rows.iter().collect();
        writeln!(to, "<testsuites name=\"decora-check\" {}>", Counts(&rows))?;
        for of_scalar in rows.chunk_by(|a, b| a.report.scalar == b.report.scalar) {
            self.suite(to, of_scalar)?;
        }
        writeln!(to, "</testsuites>")
    }

    fn suite(&self, to: &mut String, rows: &[&Row]) -> fmt::Result {
        let scalar = rows.first().map_or("", |row| row.report.scalar);
        let suite = format!("{}.{scalar}", self.backend);
        writeln!(to, "  <testsuite name=\"{}\" {} skipped=\"0\">", Escaped(&suite), Counts(rows))?;
        writeln!(to, "    <properties>")?;
        let against = self.against.as_deref().unwrap_or("none");
        for (name, value) in [("device", &self.device[..]), ("against", against)] {
            let value = Escaped(value);
            writeln!(to, "      <property name=\"{name}\" value=\"{value}\"/>")?;
        }
        writeln!(to, "    </properties>")?;
        rows.iter().try_for_each(|row| case(to, &suite, row))?;
        writeln!(to, "  </testsuite>")
    }
}

fn case(to: &mut String, suite: &str, Row { group, report, seconds }: &Row) -> fmt::Result {
    let (class, name) = (format!("{suite}.{group}"), Escaped(report.op));
    let class = Escaped(&class);
    write!(to, "    <testcase classname=\"{class}\" name=\"{name}\" time=\"{seconds:.3}\"")?;
    if report.ok() {
        return writeln!(to, "/>");
    }
    let all = report.failures.join("\n");
    let first = all.lines().next().unwrap_or("nothing was compared");
    writeln!(to, ">")?;
    let (first, all) = (Escaped(first), Escaped(&all));
    writeln!(to, "      <failure type=\"failure\" message=\"{first}\">{all}")?;
    writeln!(to, "{} failures in {} cases</failure>", report.failed, report.cases)?;
    writeln!(to, "    </testcase>")
}

/// The attributes that count test cases.
struct Counts<'r>(&'r [&'r Row]);

impl fmt::Display for Counts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failures = self.0.iter().filter(|row| !row.report.ok()).count();
        let seconds: f64 = self.0.iter().map(|row| row.seconds).sum();
        write!(f, "tests=\"{}\" failures=\"{failures}\" ", self.0.len())?;
        write!(f, "errors=\"0\" time=\"{seconds:.3}\"")
    }
}

/// Text as XML 1.0 may hold it, in an attribute or an element.
struct Escaped<'t>(&'t str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\n' | '\t' => f.write_char(c),
            // Not to be written in XML 1.0, not even escaped.
            '\0'..' ' | '\u{FFFE}' | '\u{FFFF}' => f.write_char(char::REPLACEMENT_CHARACTER),
            _ => f.write_char(c),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::candidate::Group;
    use super::*;
    use crate::report::Report;

    #[test]
    fn what_a_failure_says_cannot_break_the_file() {
        let mut report = Report::new("gemm", "f32", String::new());
        report.fail(|| "\"a\" < b & \0c]]>\nsecond line".into());
        let rows = vec![Row { group: Group::Operation, report, seconds: 0.5 }];
        let (backend, device) = ("mine & yours".into(), "<device>".into());
        let xml = Results { backend, device, against: None, rows }.junit();
        assert!(xml.contains("message=\"&quot;a&quot; &lt; b &amp; \u{FFFD}c]]&gt;\">"), "{xml}");
        assert!(xml.contains("name=\"mine &amp; yours.f32\" tests=\"1\" failures=\"1\""), "{xml}");
        assert!(xml.contains("value=\"&lt;device&gt;\"/>") && xml.contains("time=\"0.500\""));
    }
}
