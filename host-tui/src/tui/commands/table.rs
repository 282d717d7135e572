//! The table itself.

use crossterm::event::KeyCode;

use super::super::state::State;
use super::when::{
    always, can_break, can_edit, can_go_back, can_open, can_restore, can_trace, console, guest, has_code,
    held, in_breakpoints, in_calls, in_checkpoints, in_memory, in_tree, pending, running, searched, working,
};
use super::{
    Command, Group, Key, Run, breaking, control, editing, looking, memory, navigate, scroll, sorting, tracing,
};

type Enabled = fn(&State) -> bool;

const fn command(
    name: &'static str,
    keys: &'static [Key],
    help: &'static str,
    short: &'static str,
    group: Group,
    enabled: Enabled,
    run: Run,
) -> Command {
    Command { name, arguments: "", keys, help, short, group, enabled, run }
}

const fn with(arguments: &'static str, command: Command) -> Command {
    Command { arguments, ..command }
}

const UP: &[Key] = &[Key::plain(KeyCode::Up), Key::char('k')];
const DOWN: &[Key] = &[Key::plain(KeyCode::Down), Key::char('j')];
const LEFT: &[Key] = &[Key::plain(KeyCode::Left), Key::char('h')];
const RIGHT: &[Key] = &[Key::plain(KeyCode::Right), Key::char('l')];
const FIRST: &[Key] = &[Key::plain(KeyCode::Home)];
const LAST: &[Key] = &[Key::plain(KeyCode::End), Key::char('G')];
const PAGE_UP: &[Key] = &[Key::plain(KeyCode::PageUp), Key::control('b')];
const PAGE_DOWN: &[Key] = &[Key::plain(KeyCode::PageDown), Key::control('f')];
const ENTER: &[Key] = &[Key::plain(KeyCode::Enter)];
const BACK: &[Key] = &[Key::plain(KeyCode::Backspace), Key::plain(KeyCode::Esc)];
const REMOVE: &[Key] = &[Key::char('d'), Key::plain(KeyCode::Delete)];

use Group::{Control, Edit, Leave, Look, Move};

/// All commands. Of several with the same key, the first that makes sense now is meant; so is the order of the key line.
pub const COMMANDS: &[Command] = &[
    command(
        "cancel",
        &[Key::char('x'), Key::control('c')],
        "give up what is under way",
        "cancel",
        Control,
        working,
        control::cancel,
    ),
    command("open", ENTER, "look closer; follow a link; open", "open", Move, can_open, navigate::open),
    command("back", BACK, "go back; leave an opened checkpoint", "back", Move, can_go_back, navigate::back),
    command(
        "edit",
        &[Key::char('e')],
        "edit the selected field, link or bytes",
        "edit",
        Edit,
        can_edit,
        editing::edit,
    ),
    command(
        "apply",
        &[Key::char('a')],
        "show the pending edits and apply them",
        "apply",
        Edit,
        pending,
        editing::apply,
    ),
    command(
        "drop",
        &[Key::char('u')],
        "take the last pending edit back",
        "undo",
        Edit,
        pending,
        editing::drop_last,
    ),
    command(
        "undo",
        &[Key::char('u')],
        "take the last applied edit, or restore, back",
        "",
        Edit,
        guest,
        control::undo,
    ),
    with(
        "[FLOB]",
        command(
            "pause",
            &[Key::char('p')],
            "hold all threads, or those of a flob",
            "pause",
            Control,
            running,
            control::pause,
        ),
    ),
    with(
        "[FLOB] [--force]",
        command("resume", &[Key::char('r')], "let the threads go", "resume", Control, held, control::resume),
    ),
    with(
        "[THREAD]",
        command(
            "step",
            &[Key::char('s')],
            "one instruction of the selected thread",
            "step",
            Control,
            guest,
            control::step,
        ),
    ),
    with(
        "[NAME]",
        command(
            "checkpoint save",
            &[Key::char('c')],
            "save a checkpoint",
            "save",
            Control,
            guest,
            control::save,
        ),
    ),
    with(
        "[ID]",
        command(
            "checkpoint restore",
            &[Key::char('R')],
            "go back to the selected or last one",
            "restore",
            Control,
            can_restore,
            control::restore,
        ),
    ),
    with(
        "[ID]",
        command(
            "checkpoint rm",
            REMOVE,
            "remove the selected checkpoint",
            "rm",
            Control,
            in_checkpoints,
            control::remove,
        ),
    ),
    with(
        "[services|calls|off]",
        command(
            "trace",
            &[Key::char('t')],
            "trace the services, kernel calls too, or nothing",
            "trace",
            Look,
            can_trace,
            tracing::trace,
        ),
    ),
    command(
        "freeze",
        &[Key::char(' ')],
        "stop the list of calls, or let it go on",
        "freeze",
        Look,
        in_calls,
        tracing::freeze,
    ),
    with(
        "LOCATION [if EXPR]",
        command(
            "break",
            &[Key::char('b')],
            "stop threads at a function, file:line or address",
            "break",
            Control,
            can_break,
            breaking::set,
        ),
    ),
    command(
        "break switch",
        &[Key::char(' ')],
        "disable the selected breakpoint, or enable it",
        "on/off",
        Control,
        in_breakpoints,
        breaking::toggle,
    ),
    command(
        "break delete",
        REMOVE,
        "delete the selected breakpoint, whosever it is",
        "delete",
        Control,
        in_breakpoints,
        breaking::delete,
    ),
    command(
        "mark",
        &[Key::char(' ')],
        "mark a checkpoint, to compare others with it",
        "mark",
        Look,
        in_checkpoints,
        control::mark,
    ),
    with(
        "[A B]",
        command(
            "checkpoint diff",
            &[Key::char('=')],
            "what changed since the marked or parent one",
            "diff",
            Look,
            in_checkpoints,
            control::compare,
        ),
    ),
    with(
        "[ID]",
        command(
            "checkpoint edit",
            &[],
            "open; edits are saved as a new one",
            "",
            Edit,
            always,
            editing::open_checkpoint,
        ),
    ),
    command(
        "drop all",
        &[Key::char('U')],
        "take all pending edits back",
        "",
        Edit,
        pending,
        editing::drop_all,
    ),
    command(
        "editor",
        &[Key::char('E')],
        "a checkpoint as text in $EDITOR",
        "",
        Edit,
        editing::can_use_editor,
        editing::editor,
    ),
    with("FLOB FIELD=VALUE", command("set", &[], "edit a field or a link", "", Edit, always, editing::set)),
    with("ADDRESS BYTES", command("poke", &[], "edit memory", "", Edit, always, editing::poke)),
    with("FLOB", command("show", &[], "look at a flob", "", Look, always, looking::show)),
    with(
        "[THREAD]",
        command("why", &[Key::char('w')], "say why a thread waits", "", Look, always, looking::why),
    ),
    command(
        "memory",
        &[Key::char('m')],
        "memory where the flob is or points",
        "mem",
        Look,
        always,
        memory::memory,
    ),
    with(
        "[ADDRESS]",
        command(
            "goto",
            &[Key::char('g')],
            "memory at an address, register, symbol, line or flob",
            "goto",
            Look,
            always,
            memory::goto,
        ),
    ),
    command(
        "disassemble",
        &[Key::char('D')],
        "a thread's code; memory as instructions or bytes",
        "code",
        Look,
        has_code,
        memory::disassemble,
    ),
    with(
        "[FLOB]",
        command(
            "space",
            &[Key::char('S')],
            "memory of the next space, or of that one",
            "space",
            Look,
            in_memory,
            memory::space,
        ),
    ),
    with(
        "ADDRESS",
        command(
            "peek",
            &[],
            "memory at an address, register, symbol, line or flob",
            "",
            Look,
            always,
            memory::peek,
        ),
    ),
    with(
        "[TEXT]",
        command(
            "input",
            &[Key::char('i')],
            "type input for the program",
            "input",
            Control,
            console,
            control::input,
        ),
    ),
    command("fold", &[Key::char(' ')], "fold or unfold", "fold", Move, in_tree, navigate::fold),
    command("search", &[Key::char('/')], "search by name", "find", Look, always, looking::search),
    command("next", &[Key::char('n')], "next match", "", Look, searched, looking::next),
    command("previous", &[Key::char('N')], "previous match", "", Look, searched, looking::previous),
    with(
        "[TEXT]",
        command(
            "filter",
            &[Key::char('f')],
            "show only rows that contain a text",
            "filter",
            Look,
            sorting::can_filter,
            sorting::filter,
        ),
    ),
    with(
        "[COLUMN|off] [down]",
        command(
            "sort",
            &[Key::char('o')],
            "sort by the next column, or by this one",
            "sort",
            Look,
            sorting::can_sort,
            sorting::sort,
        ),
    ),
    command(
        "reverse",
        &[Key::char('O')],
        "sort the other way round",
        "",
        Look,
        sorting::is_sorted,
        sorting::reverse,
    ),
    command(
        "help",
        &[Key::char('?'), Key::plain(KeyCode::F(1))],
        "this help",
        "help",
        Look,
        always,
        looking::help,
    ),
    command(
        "command",
        &[Key::char(':')],
        "type a command, like the verbs of flob",
        "",
        Look,
        always,
        looking::command,
    ),
    command(
        "palette",
        &[Key::control('p')],
        "find a command by a part of its name or help",
        "all",
        Look,
        always,
        looking::palette,
    ),
    with(
        "[TEXT]",
        command(
            "copy",
            &[Key::char('y')],
            "put what is selected into the clipboard",
            "",
            Look,
            always,
            looking::copy,
        ),
    ),
    command("look", &[Key::control('r')], "look again now", "", Look, always, looking::look_again),
    command("redraw", &[Key::control('l')], "draw the screen anew", "", Look, always, looking::redraw),
    command("pane", &[Key::plain(KeyCode::Tab)], "the other pane", "", Move, always, navigate::other_pane),
    command("flobs", &[Key::char('1')], "the tree of flobs", "", Move, always, navigate::flobs),
    command("threads", &[Key::char('2')], "the threads", "", Move, always, navigate::threads),
    command("bytes", &[Key::char('3')], "memory", "", Move, always, navigate::bytes),
    command("graph", &[Key::char('4')], "who waits for whom, drawn", "", Move, always, navigate::graph),
    command("checkpoint list", &[Key::char('5')], "the checkpoints", "", Move, always, navigate::checkpoints),
    command("console", &[Key::char('6')], "the program's output", "", Move, always, navigate::console),
    command("log", &[Key::char('7')], "the log", "", Move, always, navigate::log),
    command("calls", &[Key::char('8')], "what the program asks", "", Move, always, navigate::calls),
    command(
        "breakpoints",
        &[Key::char('9')],
        "the breakpoints of every client",
        "",
        Move,
        always,
        navigate::breakpoints,
    ),
    command("next tab", &[Key::char(']')], "next tab", "", Move, always, navigate::next_tab),
    command(
        "previous tab",
        &[Key::char('['), Key::plain(KeyCode::BackTab)],
        "previous tab",
        "",
        Move,
        always,
        navigate::previous_tab,
    ),
    command("up", UP, "up", "", Move, always, scroll::up),
    command("down", DOWN, "down", "", Move, always, scroll::down),
    command("left", LEFT, "fold; previous byte", "", Move, always, scroll::left),
    command("right", RIGHT, "unfold; next byte", "", Move, always, scroll::right),
    command("page up", PAGE_UP, "a page up", "", Move, always, scroll::page_up),
    command("page down", PAGE_DOWN, "a page down", "", Move, always, scroll::page_down),
    command("first", FIRST, "to the first", "", Move, always, scroll::first),
    command("last", LAST, "to the last", "", Move, always, scroll::last),
    command(
        "quit",
        &[Key::char('q'), Key::control('c')],
        "leave; asks how",
        "quit",
        Leave,
        always,
        control::quit,
    ),
];
