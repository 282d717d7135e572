//! Colours and signs. Whatever a colour says, a sign or a modifier says too: `NO_COLOR` and ASCII lose nothing.

use std::time::Duration;

use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::border;

/// How the screen looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    /// Colours may be used.
    pub colour: bool,
    /// Signs beyond ASCII may be used.
    pub unicode: bool,
}

/// Signs, in both alphabets.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Signs {
    pub running: &'static str,
    pub waiting: &'static str,
    pub stopped: &'static str,
    pub trouble: &'static str,
    pub folded: &'static str,
    pub open: &'static str,
    pub leaf: &'static str,
    pub to: &'static str,
    pub from: &'static str,
    pub changed: &'static str,
    pub marked: &'static str,
    pub ascending: &'static str,
    pub descending: &'static str,
    pub full: &'static str,
    pub empty: &'static str,
}

const UNICODE: Signs = Signs {
    running: "▶",
    waiting: "◌",
    stopped: "■",
    trouble: "✖",
    folded: "▸",
    open: "▾",
    leaf: " ",
    to: "→",
    from: "←",
    changed: "*",
    marked: "=",
    ascending: "▴",
    descending: "▾",
    full: "█",
    empty: "░",
};

const ASCII: Signs = Signs {
    running: ">",
    waiting: "~",
    stopped: "#",
    trouble: "X",
    folded: "+",
    open: "-",
    leaf: " ",
    to: "->",
    from: "<-",
    changed: "*",
    marked: "=",
    ascending: "^",
    descending: "v",
    full: "#",
    empty: ".",
};

const ASCII_BORDER: border::Set = border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};

impl Theme {
    /// As the environment variables say: `NO_COLOR`, `TERM`, and the locale's `LC_ALL`, `LC_CTYPE` or `LANG`.
    pub fn from_environment() -> Self {
        let value = |name: &str| std::env::var(name).unwrap_or_default();
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].map(value).into_iter().find(|text| !text.is_empty());
        let locale = locale.unwrap_or_default().to_lowercase();
        let plain = value("TERM") == "dumb";
        Self {
            colour: value("NO_COLOR").is_empty() && !plain,
            unicode: (locale.contains("utf-8") || locale.contains("utf8"))
                && value("TERM") != "linux"
                && !plain,
        }
    }

    /// The signs to use.
    pub fn signs(self) -> &'static Signs {
        if self.unicode { &UNICODE } else { &ASCII }
    }

    /// The lines around panes.
    pub fn border(self) -> border::Set<'static> {
        if self.unicode { border::PLAIN } else { ASCII_BORDER }
    }

    fn paint(self, colour: Color, modifier: Modifier) -> Style {
        let style = Style::new().add_modifier(modifier);
        if self.colour { style.fg(colour) } else { style }
    }

    /// Titles and the chosen tab.
    pub fn title(self) -> Style {
        self.paint(Color::Cyan, Modifier::BOLD)
    }

    /// The selected row of the pane that has the keys.
    pub fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// The selected row of another pane.
    pub fn marked(self) -> Style {
        Style::new().add_modifier(Modifier::UNDERLINED)
    }

    /// What has changed since the last look; it is marked with a sign too.
    pub fn changed(self) -> Style {
        self.paint(Color::Yellow, Modifier::BOLD)
    }

    /// What has changed lately, and less so the longer ago.
    pub fn heat(self, age: Duration) -> Style {
        match age.as_secs() {
            0..2 => self.changed(),
            2..10 => self.paint(Color::Yellow, Modifier::empty()),
            _ => self.paint(Color::Yellow, Modifier::DIM),
        }
    }

    /// Errors, deadlocks, deaths.
    pub fn trouble(self) -> Style {
        self.paint(Color::Red, Modifier::BOLD)
    }

    /// What is edited and not applied yet.
    pub fn pending(self) -> Style {
        self.paint(Color::Magenta, Modifier::BOLD)
    }

    /// All is well.
    pub fn good(self) -> Style {
        self.paint(Color::Green, Modifier::empty())
    }

    /// A link to follow.
    pub fn link(self) -> Style {
        self.paint(Color::Blue, Modifier::empty())
    }

    /// What matters less.
    pub fn dim(self) -> Style {
        if self.colour { Style::new().fg(Color::DarkGray) } else { Style::new() }
    }

    /// Keys in the key line and in the help.
    pub fn key(self) -> Style {
        self.paint(Color::Cyan, Modifier::BOLD)
    }
}
