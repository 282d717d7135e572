"""What gdb can ask of flob, as commands of its own, and pretty printers for flobs.

`flob gdb` loads this; any other gdb that is connected to flob loads it by `source flob.py`. All of it goes through
`monitor`, so it works wherever that does.
"""

import re

import gdb


def monitor(command):
    """What flob answers; its own errors become gdb's."""
    answer = gdb.execute("monitor " + command, to_string=True)
    if answer.startswith("flob: "):
        raise gdb.GdbError(answer[len("flob: "):].rstrip("\n"))
    return answer


def lines(command):
    return monitor(command).splitlines()


def flobs(kind=""):
    """Names of flobs, and their links as text."""
    split = (line.split(None, 1) for line in lines("flobs " + kind) if line.strip())
    return [(parts[0], parts[1].strip() if len(parts) > 1 else "") for parts in split]


class Flob(gdb.Command):
    """The kernel's objects (flobs) of the program: help flob lists what can be asked."""

    def __init__(self):
        super().__init__("flob", gdb.COMMAND_DATA, prefix=True)

    def invoke(self, argument, from_tty):
        gdb.execute("help flob")


class Verb(gdb.Command):
    """A command that asks one thing."""

    name = ""
    takes_flob = False

    def __init__(self):
        super().__init__("flob " + self.name, gdb.COMMAND_DATA)

    def complete(self, text, word):
        if not self.takes_flob:
            return gdb.COMPLETE_NONE
        short = (name.split("/")[-1] for name, _ in flobs())
        return [name for name in short if name.startswith(word or "")]


class Tree(Verb):
    """Show all flobs by space and kind, the threads with what they do."""

    name = "tree"

    def invoke(self, argument, from_tty):
        threads = {}
        for line in lines("threads"):
            name, activity = line.split(": ", 1)
            threads[name] = activity
        spaces = {}
        for name, links in flobs():
            kind, _, rest = name.partition(":")
            space, _, label = rest.partition("/")
            spaces.setdefault(space, []).append((kind, label or space, threads.get(name, links)))
        for space, inside in spaces.items():
            print(space)
            for kind, label, what in inside:
                print("  {:<10} {:<24} {}".format(kind, label, what).rstrip())


class Show(Verb):
    """Show a flob's state and links: flob show FLOB (its name, short id, place, or *ADDRESS)."""

    name = "show"
    takes_flob = True

    def invoke(self, argument, from_tty):
        print(monitor("show " + argument), end="")


class Why(Verb):
    """Tell what each thread waits for: flob why [THREAD]."""

    name = "why"
    takes_flob = True

    def invoke(self, argument, from_tty):
        print(monitor("why " + argument), end="")


class Graph(Verb):
    """Show who waits for whom, and deadlocks."""

    name = "graph"

    def invoke(self, argument, from_tty):
        print(monitor("wait-graph"), end="")


class Set(Verb):
    """Change fields and links of a flob: flob set FLOB FIELD=VALUE ..."""

    name = "set"
    takes_flob = True

    def invoke(self, argument, from_tty):
        print(monitor("set " + argument), end="")
        forget()


class Checkpoint(Verb):
    """Save a checkpoint: flob checkpoint [NAME]; the convenience variable $checkpoint is its id."""

    name = "checkpoint"

    def invoke(self, argument, from_tty):
        answer = monitor("checkpoint " + argument)
        gdb.set_convenience_variable("checkpoint", answer.split()[0])
        print(answer, end="")


class Catch(Verb):
    """Stop before kernel calls by name: flob catch CALL ... | all | off."""

    name = "catch"

    def invoke(self, argument, from_tty):
        print(monitor("catch " + argument), end="")


class Checkpoints(Verb):
    """List all checkpoints as a tree."""

    name = "checkpoints"

    def invoke(self, argument, from_tty):
        print(monitor("checkpoints"), end="")


class Diff(Verb):
    """Show what changed since a checkpoint: flob diff CHECKPOINT [CHECKPOINT]."""

    name = "diff"

    def invoke(self, argument, from_tty):
        print(monitor("diff " + argument), end="")


class Restore(Verb):
    """Put a checkpoint in the program's place: flob restore CHECKPOINT."""

    name = "restore"

    def invoke(self, argument, from_tty):
        monitor("restore " + argument)
        forget()
        print("restored")
        gdb.execute("frame")


def forget():
    """gdb shows what it has read before, unless it is told that this is old."""
    gdb.execute("maintenance flush register-cache", to_string=True)
    gdb.execute("maintenance flush dcache", to_string=True)


KINDS = "Mutex|Condition|Thread|Space|Region|Mapping|Port|PortSet|Reference"
MEMORY = re.compile(r"^flob_runtime::flob::(\w+::)?(" + KINDS + ")$")
STATE = re.compile(r"^flob_abi::(state::)?\w+State$")


EMPTY = ("0", "0x0", "none", "---", "-", "false")


class FlobPrinter:
    """The memory of a flob holds nothing of its own: what is shown is what the kernel says of it."""

    def __init__(self, value):
        self.value = value

    def shown(self):
        try:
            return monitor("show *{:#x}".format(int(self.value.address))).splitlines()
        except (gdb.error, gdb.GdbError, TypeError):
            return None

    def to_string(self):
        shown = self.shown()
        return shown[0] if shown else "no flob"

    def children(self):
        for line in (self.shown() or [])[1:]:
            parts = line.split(None, 1)
            name, value = parts[0], parts[1].strip() if len(parts) > 1 else ""
            if name != "hash" and value not in EMPTY:
                yield name, value


class StatePrinter:
    """An exported state, without what is reserved."""

    def __init__(self, value):
        self.value = value

    def to_string(self):
        return self.value.type.strip_typedefs().name.split("::")[-1]

    def children(self):
        for field in self.value.type.fields():
            if not field.name.startswith("reserved"):
                yield field.name, self.value[field]


def printer(value):
    name = value.type.strip_typedefs().name or ""
    if MEMORY.match(name):
        return FlobPrinter(value)
    if STATE.match(name):
        return StatePrinter(value)
    return None


printer.name = "flob"
gdb.pretty_printers[:] = [known for known in gdb.pretty_printers if getattr(known, "name", "") != "flob"]
gdb.pretty_printers.append(printer)
Flob()
for verb in (Tree, Show, Why, Graph, Set, Catch, Checkpoint, Checkpoints, Diff, Restore):
    verb()
