//! What nesters call the things outside that they hand out: the tags of links that lead out of an environment. A nester takes its
//! names from here, so that [`mod@crate::verify`] knows whatever a nester can have called something.

macro_rules! tags {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal;)+) => {
        $($(#[doc = $doc])+ pub const $name: &str = $text;)+

        /// All of them.
        pub const ALL: &[&str] = &[$($name),+];
    };
}

tags! {
    /// The parent's port, with which a program is born.
    PARENT = "parent";
    /// Standard input.
    STDIN = "stdin";
    /// Standard output.
    STDOUT = "stdout";
    /// Standard error.
    STDERR = "stderr";
    /// The time, and sleeping.
    CLOCK = "clock";
    /// Files of programs.
    PROGRAMS = "programs";
    /// Datagrams to and from the host.
    HOST = "host";
    /// Pages to the host.
    BULK = "bulk";
    /// Lines for the machine's log.
    LOG = "log";
    /// The nester that is asked about exceptions.
    KEEPER = "keeper";
    /// The nester that is asked about debug exceptions.
    DEBUG = "debug";
    /// The nester that is asked about memory which its region denies.
    REGION = "region";
    /// The region of the environment's memory.
    MEMORY = "memory";
}
