//! `flob bench host`: real sessions in a world of their own, with the terminal interface in a pseudo-terminal.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use flob_session::{Client, Error, HubRequest, LongRequest};

use super::{
    bench::{Rate, Row},
    bench_stub,
    bench_terminal::Terminal,
};

/// Sessions that are started.
const STARTS: usize = 3;
/// Keys that are pressed.
const KEYS: usize = 40;
/// Looks that are taken.
const LOOKS: usize = 40;
/// Checkpoints that are saved.
const SAVES: usize = 5;
/// Nothing that is waited for takes longer.
const PATIENCE: Duration = Duration::from_secs(60);
/// A screen on which nothing has come for so long stands still.
const QUIET: Duration = Duration::from_millis(60);

/// What is on screen in the first frame, and once the guest has been looked at.
const FRAME: &str = "Flobs";
const CONTENTS: &str = "philosopher-0";
/// What the crowd says when all of it is there.
const READY: &str = "ready";
/// What stands behind their number.
const COUNTED: &str = "flobs,";

/// How quick a key's answer is to be: a frame.
const FRAME_TIME: f64 = 16.0;
/// The large environment, and keys that are pressed on it.
const CROWD: &[&str] = &[
    "run",
    "--headless",
    "--memory",
    "512",
    "crowd",
    "--spaces",
    "3",
    "--threads",
    "20",
    "--flobs",
    "100000",
];
const CROWD_KEYS: usize = 300;
/// Down, up, a page down and up, to the threads and back to the tree.
const MOVES: &[&str] = &["j", "k", "\x1b[6~", "\x1b[5~", "2", "1"];
const DINNER: &[&str] = &["run", "philosophers", "4", "--deadlock"];

/// All rows, and what is compared.
pub fn measure() -> Result<(Vec<Row>, Vec<Rate>), Error> {
    let folder = tempfile::tempdir().map_err(|error| Error::io("making a folder", error))?;
    let row = |name, method| Row { name, milliseconds: Vec::new(), method, target: None };
    let mut paint =
        row("first paint", "flob run philosophers 4 --deadlock in an 80x24 pty: start to its first frame");
    let mut contents = row("first contents", "the same: start to the first thread on screen");
    let mut keys = row("key to paint", "a key that changes the tab, to the first byte of what it draws");
    let mut crowded = row(
        "key to paint, 100,000 flobs",
        "the same with 100,000 flobs, while they are looked at: down, up, pages, tree and threads",
    );
    (keys.target, crowded.target) = (Some(FRAME_TIME), Some(FRAME_TIME));
    let mut looks =
        row("look round trip", "a Look request over the session's socket, nothing held, cache included");
    let mut saves = row("checkpoint save", "a Save request, deadlocked philosophers, to its id");
    for start in 0..STARTS {
        let mut session = Session::begin(folder.path(), DINNER)?;
        session.terminal.wait_for(FRAME, PATIENCE)?;
        let painted = milliseconds(session.begin);
        session.terminal.wait_for(CONTENTS, PATIENCE)?;
        paint.milliseconds.push(painted);
        contents.milliseconds.push(milliseconds(session.begin));
        if start == 0 {
            keys.milliseconds = session.press(&["4", "1"], KEYS)?;
            let client = session.client()?;
            looks.milliseconds = times(LOOKS, || client.look(false).map(drop))?;
            saves.milliseconds = times(SAVES, || {
                client.request(LongRequest::Save { name: None, when: None, full: false }).map(drop)
            })?;
        }
    }
    crowded.milliseconds = crowd(folder.path())?;
    Ok((vec![paint, contents, keys, crowded, looks, saves], rates(folder.path())?))
}

/// Keys pressed while the screen shows a hundred thousand flobs, and goes on looking at them.
fn crowd(world: &Path) -> Result<Vec<f64>, Error> {
    // Its output says when all of them are there; the screen counts what it has seen first.
    let mut guest = Session::begin(world, CROWD)?;
    guest.terminal.wait_for(READY, PATIENCE)?;
    let mut session = Session::begin(world, &["attach"])?;
    session.terminal.wait_for(COUNTED, PATIENCE)?;
    session.press(MOVES, CROWD_KEYS)
}

/// Steps and stops of flob's gdb server, and of the emulator's own stub.
fn rates(world: &Path) -> Result<Vec<Rate>, Error> {
    let mut session = Session::begin(world, &[&["run", "--headless"], &bench_stub::PROGRAM[..]].concat())?;
    session.terminal.wait_for(bench_stub::READY, PATIENCE)?;
    let (ours, place) = bench_stub::of_flob(&session.path("gdb"))?;
    drop(session);
    let theirs = bench_stub::of_emulator(&place)?;
    Ok(vec![
        Rate {
            name: "single steps",
            ours: ours.steps,
            theirs: theirs.steps,
            method: "scribble 32: vCont;s to its stop reply, over a Unix socket",
        },
        Rate {
            name: "breakpoint stops",
            ours: ours.stops,
            theirs: theirs.stops,
            method: "the same: from stop to stop at its innermost loop, as gdb does it: z0, step, Z0, continue",
        },
    ])
}

/// A session, or what is attached to it, in a terminal. The session ends when this is dropped.
struct Session {
    terminal: Terminal,
    folder: PathBuf,
    begin: Instant,
}

impl Session {
    /// Starts `flob` with these arguments in a terminal.
    fn begin(world: &Path, arguments: &[&str]) -> Result<Self, Error> {
        let program =
            std::env::current_exe().map_err(|error| Error::io("finding flob's own program", error))?;
        let mut command = Command::new("setsid");
        command.arg("--ctty").arg(program).args(["-s", "bench"]).args(arguments);
        command.env("XDG_RUNTIME_DIR", world).env("FLOB_STORE", world.join("store")).env("TERM", "xterm");
        command.env("XDG_CONFIG_HOME", world.join("config"));
        let begin = Instant::now();
        Ok(Self { terminal: Terminal::start(command)?, folder: world.join("flob"), begin })
    }

    /// A file of the session.
    fn path(&self, kind: &str) -> PathBuf {
        self.folder.join("bench").with_extension(kind)
    }

    /// Its hub, once it is up.
    fn client(&self) -> Result<Client, Error> {
        loop {
            match Client::connect_path(&self.path("session")) {
                Err(error) if self.begin.elapsed() > PATIENCE => return Err(error),
                Err(_) => std::thread::yield_now(),
                client => return client,
            }
        }
    }

    fn press(&mut self, keys: &[&str], times: usize) -> Result<Vec<f64>, Error> {
        let mut all = Vec::with_capacity(times);
        for key in keys.iter().cycle().take(times) {
            self.terminal.wait_until_quiet(QUIET)?;
            let begin = Instant::now();
            self.terminal.press(key)?;
            self.terminal.wait_for_more(PATIENCE)?;
            all.push(milliseconds(begin));
        }
        Ok(all)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // A session that has ended already, or never came up, needs no end. Its name is free when it has gone.
        if let Ok(client) = Client::connect_path(&self.path("session"))
            && let Ok(events) = client.subscribe()
            && client.request(HubRequest::Shutdown).is_ok()
        {
            events.iter().for_each(drop);
        }
        self.terminal.end();
    }
}

fn times(count: usize, mut work: impl FnMut() -> Result<(), Error>) -> Result<Vec<f64>, Error> {
    let once = |_| {
        let begin = Instant::now();
        work().map(|()| milliseconds(begin))
    };
    (0..count).map(once).collect()
}

fn milliseconds(begin: Instant) -> f64 {
    begin.elapsed().as_secs_f64() * 1000.0
}
