//! Keys of the config file, and the palette.

use std::sync::Arc;

use flob_link::Scope;

use super::world::Desk;
use crate::tui::{
    commands::COMMANDS,
    config::Config,
    message::{Ask, Job},
    state::{Mode, Tab},
};

fn rebound(text: &str) -> Desk {
    let mut desk = Desk::new(80, 24);
    let config = Config::parse(&format!("[keys]\n{text}")).expect("a good file");
    desk.state.keymap = Arc::new(config.keymap);
    desk.done();
    desk
}

#[test]
fn a_rebound_key_does_it_and_the_old_one_does_not() {
    let mut desk = rebound("pause = '^X'");
    desk.keys("p");
    assert_eq!(desk.done(), []);
    desk.keys("^x");
    assert_eq!(desk.done(), [Ask::Do(Job::Pause(Scope::Environment))]);
}

#[test]
fn key_line_help_palette_and_messages_name_the_real_keys() {
    let mut desk = rebound("pause = '^X'\n'checkpoint list' = 'L'\n'checkpoint save' = 'F5'\n'help' = 'H'");
    assert!(desk.screen().contains("^X pause") && desk.screen().contains("F5 save"), "{}", desk.screen());
    desk.keys("H<End>").keys(&"<Up>".repeat(24));
    let help = desk.screen();
    desk.keys("<Esc>^ppause");
    let palette = desk.screen();
    desk.keys("<Esc>:nonsense<Enter>");
    assert!(desk.screen().contains("H lists them"), "{}", desk.screen());
    desk.keys("L");
    desk.tell(crate::tui::message::Message::Checkpoints(Ok(Vec::new())));
    assert!(desk.screen().contains("no checkpoints yet: F5 saves one"), "{}", desk.screen());
    for shown in [help, palette] {
        assert!(shown.contains("^X") && shown.contains("pause"), "{shown}");
    }
}

#[test]
fn a_command_without_a_key_is_still_there_by_its_name() {
    let mut desk = rebound("'checkpoint save' = []");
    assert!(!desk.screen().contains(" save"), "{}", desk.screen());
    desk.keys(":checkpoint save<Enter>");
    assert!(matches!(&desk.done()[..], [Ask::Do(Job::Save { .. })]));
}

#[test]
fn a_few_letters_find_a_command_and_enter_does_it() {
    for (letters, tab) in [("brkp", Tab::Breakpoints), ("DRAWN", Tab::Graph), ("chk list", Tab::Checkpoints)]
    {
        let mut desk = Desk::new(80, 24);
        desk.keys("^p").keys(letters).keys("<Enter>");
        assert_eq!((desk.state.tab, &desk.state.mode), (tab, &Mode::Normal), "{letters}");
    }
}

#[test]
fn the_palette_lists_what_makes_sense_now_first_and_the_rest_too() {
    let mut desk = Desk::new(80, 24);
    desk.keys("^p");
    let Mode::Palette(palette) = &desk.state.mode else { panic!("no palette") };
    assert_eq!(palette.found.len(), COMMANDS.len());
    let enabled: Vec<bool> = (0..palette.found.len())
        .filter_map(|row| palette.command(row))
        .map(|command| (command.enabled)(&desk.state))
        .collect();
    assert!(enabled.is_sorted_by(|before, after| before >= after), "{enabled:?}");
    desk.keys("zzzz");
    assert!(desk.screen().contains("not found"), "{}", desk.screen());
    desk.keys("<Enter>");
    assert_eq!(desk.state.mode, Mode::Normal);
}

#[test]
fn a_command_of_the_palette_that_needs_more_is_put_on_the_command_line() {
    let mut desk = Desk::new(80, 24);
    desk.keys("^pedit memory<Enter>");
    assert!(matches!(&desk.state.mode, Mode::Command(line) if line.text() == "poke "));
}
