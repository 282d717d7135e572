//! The gdb server over a session.
