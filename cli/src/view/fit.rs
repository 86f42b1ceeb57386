//! Making a frame of the live tree fit its terminal: a line that wraps or a frame that scrolls cannot be drawn over.

use super::columns::columns;
use super::cut;

/// Columns and rows of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
}

impl Size {
    /// That of the terminal at standard error; 80 by 24 when it does not say.
    pub(crate) fn of_terminal() -> Size {
        let size = rustix::termios::tcgetwinsize(std::io::stderr());
        let said = size.ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
        said.map_or(
            Size {
                columns: 80,
                rows: 24,
            },
            |size| Size {
                columns: size.ws_col.into(),
                rows: size.ws_row.into(),
            },
        )
    }
}

/// Kinds of lines in the order in which they are given up where the frame is too high. What is asked, the command that
/// answers and what production is in stay longest.
const GIVEN_UP: [fn(&str) -> bool; 5] = [
    |line| line.starts_with("        │"),
    |line| line.starts_with("        ") && !is_command(line) && !line.contains("waits for "),
    |line| line.starts_with("    ") && !line.starts_with("     ") && !line.starts_with("    ? "),
    |line| line.starts_with("· ") || line.starts_with("✔ "),
    |line| line.starts_with("▶ ") || line.starts_with("✘ ") || line.starts_with("↩ "),
];

/// The frame, no line longer than a row, with `spare` rows left. A command is never cut: it goes on in the next line as a
/// shell reads it, or, where not even one of its words fits, the one that shows it stands there.
pub(crate) fn fit(frame: &str, size: Size, spare: usize) -> String {
    // The last column is left free: some terminals wrap when it is written to.
    let width = size.columns.saturating_sub(1).max(1);
    let most = size.rows.saturating_sub(spare).max(1);
    let mut lines: Vec<String> = frame.lines().flat_map(|line| rows(line, width)).collect();
    for given_up in GIVEN_UP {
        let mut over = lines.len().saturating_sub(most);
        lines.retain(|line| {
            let goes = over > 0 && given_up(line);
            over -= usize::from(goes);
            !goes
        });
    }
    lines.truncate(most);
    lines.join("\n")
}

fn is_command(line: &str) -> bool {
    line.trim_start().starts_with("flow ") || line.starts_with(CONTINUED)
}

/// How the second row of a command begins.
const CONTINUED: &str = "          ";

/// The rows of one line.
fn rows(line: &str, width: usize) -> Vec<String> {
    let long = columns(line) > width;
    if !long || !is_command(line) {
        return vec![cut(line, width)];
    }
    let indent = line.len() - line.trim_start().len();
    let mut rows = vec![" ".repeat(indent)];
    for word in line.split_whitespace() {
        let row = rows.last_mut().expect("there is one");
        let begun = !row.trim().is_empty();
        let blank = usize::from(begun);
        // Two columns are for the sign that the command goes on.
        if columns(row) + blank + columns(word) + 2 <= width {
            row.push_str(if begun { " " } else { "" });
            row.push_str(word);
        } else {
            row.push_str(" \\");
            rows.push(format!("{CONTINUED}{word}"));
        }
    }
    if rows.iter().any(|row| columns(row) > width) {
        let whole = format!("{}flow status", " ".repeat(indent));
        return vec![cut(&whole, width)];
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: &str =
        "run r\n✔ prep\n▶ prod\n    ↩ a\n        undone: a\n    « b\n        │ now\n· end";

    #[test]
    fn a_frame_that_fits_stays_as_it_is() {
        let size = Size {
            columns: 80,
            rows: 24,
        };
        assert_eq!(fit(FRAME, size, 2), FRAME);
    }

    #[test]
    fn where_it_is_too_high_details_go_first_and_phases_last() {
        let high = |rows| fit(FRAME, Size { columns: 80, rows }, 0);
        assert!(high(7).contains("undone: a") && !high(7).contains("│ now"));
        assert!(!high(6).contains("undone: a") && high(6).contains("« b"));
        assert!(!high(5).contains("↩ a") && high(5).contains("« b"));
        assert_eq!(high(4), "run r\n✔ prep\n▶ prod\n· end");
        assert_eq!(high(2).lines().count(), 2);
    }

    #[test]
    fn a_line_longer_than_the_terminal_is_cut() {
        let size = Size {
            columns: 8,
            rows: 24,
        };
        assert!(fit(FRAME, size, 0).lines().all(|l| columns(l) <= 7));
        assert!(fit(FRAME, size, 0).contains("…"));
        let wide = fit("✔ 発布の準備", size, 0);
        assert_eq!(wide, "✔ 発布…", "a wide letter takes two columns");
    }

    const ASKED: &str = "run r\nproduction: not touched\n✔ prep\n▶ prod\n    ? ask  waiting\n        waits for qa: ok?\n        \
                         flow waive r-20261129-jr94 schema/nullable-access dbe3c09e4839b73bf8b237c48d96a9b0\n        │ 1\n        │ 2";

    /// What a person copies from the screen into a shell.
    fn typed(shown: &str) -> String {
        let from = shown.lines().skip_while(|line| !line.contains("flow "));
        let mut command = String::new();
        for line in from {
            let line = line.trim();
            command.push_str(line.trim_end_matches('\\'));
            if !line.ends_with('\\') {
                break;
            }
        }
        command
    }

    #[test]
    fn a_command_is_never_cut_and_can_be_copied_from_the_screen() {
        let whole =
            "flow waive r-20261129-jr94 schema/nullable-access dbe3c09e4839b73bf8b237c48d96a9b0";
        for columns in 50..=120 {
            let shown = fit(ASKED, Size { columns, rows: 24 }, 0);
            assert_eq!(typed(&shown), whole, "{columns}: {shown}");
            assert!(
                shown.lines().all(|line| super::columns(line) < columns),
                "{columns}: {shown}"
            );
        }
    }

    #[test]
    fn where_not_even_a_word_of_a_command_fits_the_one_that_shows_it_stands_there() {
        let shown = fit(
            ASKED,
            Size {
                columns: 30,
                rows: 24,
            },
            0,
        );
        assert_eq!(typed(&shown), "flow status", "{shown}");
    }

    #[test]
    fn whom_it_waits_for_the_command_and_production_outlast_logs_and_phases() {
        let shown = fit(
            ASKED,
            Size {
                columns: 120,
                rows: 5,
            },
            0,
        );
        for words in [
            "production: not touched",
            "? ask",
            "waits for qa",
            "flow waive",
        ] {
            assert!(shown.contains(words), "no `{words}` in: {shown}");
        }
        assert!(!shown.contains("│ 1"), "{shown}");
    }
}
