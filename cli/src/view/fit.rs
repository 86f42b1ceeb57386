//! Making a frame of the live tree fit its terminal: a line that wraps or a frame that scrolls cannot be drawn over.

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

/// The frame, no line longer than a row, with `spare` rows left. Where it is too high the details go first, from
/// above, then steps; phases stay.
pub(crate) fn fit(frame: &str, size: Size, spare: usize) -> String {
    let mut lines: Vec<&str> = frame.lines().collect();
    let most = size.rows.saturating_sub(spare).max(1);
    for indent in ["        ", "    "] {
        let mut over = lines.len().saturating_sub(most);
        lines.retain(|line| {
            let goes = over > 0 && line.starts_with(indent);
            over -= usize::from(goes);
            !goes
        });
    }
    lines.truncate(most);
    // The last column is left free: some terminals wrap when it is written to.
    let width = size.columns.saturating_sub(1).max(1);
    let cut: Vec<String> = lines.into_iter().map(|line| cut(line, width)).collect();
    cut.join("\n")
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
        assert!(!high(7).contains("undone: a") && high(7).contains("│ now"));
        assert!(!high(5).contains("a\n") && high(5).contains("« b"));
        assert_eq!(high(4), "run r\n✔ prep\n▶ prod\n· end");
        assert_eq!(high(2).lines().count(), 2);
    }

    #[test]
    fn a_line_longer_than_the_terminal_is_cut() {
        let size = Size {
            columns: 8,
            rows: 24,
        };
        assert!(fit(FRAME, size, 0).lines().all(|l| l.chars().count() <= 7));
        assert!(fit(FRAME, size, 0).contains("…"));
    }
}
