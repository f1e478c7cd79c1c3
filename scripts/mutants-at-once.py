#!/usr/bin/env python3
"""Mutants of cargo-mutants, all compiled at once: each function that has some becomes a `match` over the number of the mutant to
be seen, which a test binary takes from the environment. So a mutant costs a run of the tests, and no compiling and linking.
Called by proof-mutants, which has what cannot be switched this way (constants, `impl Trait` results) tried one by one.

    mutants-at-once.py LIST TREE OUT unit|simulation

LIST is what `cargo mutants --list --json` said, TREE a folder for the copy with the mutants, OUT one for the verdicts.
"""
import collections, json, os, re, signal, subprocess, sys, time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SWITCH = """
extern crate self as common;
#[doc(hidden)]
pub fn mutant() -> u32 {
    static MUTANT: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    *MUTANT.get_or_init(|| std::env::var("MUTANT").ok().and_then(|number| number.parse().ok()).unwrap_or(0))
}
"""
# The tests of a store are its module's.
FILTERS = {"peer/src/storage/": "storage", "directory-server/src/store/": "store"}


def read(path):
    with open(path) as file:
        return file.read()


def write_if_other(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if not os.path.exists(path) or read(path) != text:
        with open(path, "w") as file:
            file.write(text)


class Source:
    """A file whose places are given by line and column."""

    def __init__(self, path):
        self.text = read(path)
        self.lines = [0]
        for line in self.text.split("\n"):
            self.lines.append(self.lines[-1] + len(line) + 1)

    def at(self, place):
        return self.lines[place["line"] - 1] + place["column"] - 1

    def body(self, begin):
        """Where the body of the function at `begin` opens."""
        while self.text[begin] != "{":
            begin = self.text.index("\n", begin) if self.text.startswith("//", begin) else begin + 1
        return begin


def switched(source, mutants, unviable, file, arms):
    """The text of a file with its mutants behind the switch. `arms`: where each lies, for the compiler's complaints."""
    functions = collections.defaultdict(list)
    for mutant in mutants:
        span = mutant["function"]["span"]
        functions[source.at(span["start"]), source.at(span["end"])].append(mutant)
    done, text = 0, ""
    for (begin, end), inside in sorted(functions.items(), key=lambda item: item[0]):
        opens = source.body(begin)
        text += source.text[done:opens] + "{ match ::common::mutant() {\n"
        body = source.text[opens + 1 : end - 1]
        for mutant in inside:
            if mutant["number"] in unviable:
                continue
            first, last = (source.at(mutant["span"][side]) - opens - 1 for side in ("start", "end"))
            if mutant["genre"] == "StructField" and body[last:].lstrip().startswith(","):
                last = body.index(",", last) + 1
            line = text.count("\n") + 1
            text += "%d => {%s}\n" % (mutant["number"], body[:first] + mutant["replacement"] + body[last:])
            arms[mutant["number"]] = (file, line, text.count("\n"))
        text += "_ => {%s}\n}}" % body
        done = end
    return text + source.text[done:]


def can_be_switched(mutant):
    function = mutant["function"]
    if function is None or "impl " in function["return_type"]:
        return False
    source = Source(os.path.join(ROOT, mutant["file"]))
    begin = source.at(function["span"]["start"])
    return "const fn" not in source.text[begin : source.body(begin)]


def put(tree, by_file, unviable):
    arms, listed = {}, subprocess.check_output(["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard"], text=True)
    for file in listed.splitlines():
        path = os.path.join(ROOT, file)
        if not os.path.isfile(path):
            continue
        with open(path, "rb") as raw:
            content = raw.read()
        try:
            text = content.decode()
        except UnicodeDecodeError:
            os.makedirs(os.path.dirname(os.path.join(tree, file)), exist_ok=True)
            with open(os.path.join(tree, file), "wb") as raw:
                raw.write(content)
            continue
        if file in by_file:
            text = switched(Source(path), by_file[file], unviable, file, arms)
        elif file == "common/src/lib.rs":
            text += SWITCH
        elif file == "Cargo.toml":
            text = text.replace('unused_must_use = "deny"', 'unused_must_use = "allow"')
        write_if_other(os.path.join(tree, file), text)
    return arms


def complaints(output, arms):
    """Numbers of the mutants whose arms do not compile; any other error is this script's own."""
    found = set()
    for line in output.splitlines():
        message = json.loads(line)
        if message.get("reason") != "compiler-message" or message["message"]["level"] != "error":
            continue
        for span in message["message"]["spans"]:
            while span and message["message"]["spans"] and span["is_primary"]:
                inside = {
                    number
                    for number, (file, first, last) in arms.items()
                    if span["file_name"].endswith(file) and first <= span["line_start"] <= last
                }
                found |= inside
                span = (span.get("expansion") or {}).get("span")
    return found


def build(tree, by_file, arguments):
    unviable = set()
    while True:
        arms = put(tree, by_file, unviable)
        command = ["cargo", "test", "--locked", "--no-run", "--message-format=json", *arguments]
        run = subprocess.run(command, cwd=tree, stdout=subprocess.PIPE, text=True)
        if run.returncode == 0:
            tests = {}
            for line in run.stdout.splitlines():
                message = json.loads(line)
                if message.get("executable") and message["profile"]["test"]:
                    tests[message["target"]["name"].replace("_", "-")] = message["executable"]
            return unviable, tests
        more = complaints(run.stdout, arms)
        if not more:
            sys.exit("the copy with the mutants does not compile")
        unviable |= more


def run_of(mutant, form, tests, tree):
    """The command that tries a mutant, and where."""
    if form == "simulation":
        return [tests["sim"], "-q", "storms"], os.path.join(tree, "tests")
    filtered = [module for place, module in FILTERS.items() if mutant["file"].startswith(place)]
    folder = os.path.join(tree, re.match(r"(.*?)/src/", mutant["file"])[1])
    return [tests[mutant["package"]], "-q", *filtered], folder


def verdict(command, folder, number, timeout):
    environment = dict(os.environ, MUTANT=str(number))
    run = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        return "missed" if run.wait(timeout) == 0 else "caught"
    except subprocess.TimeoutExpired:
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        return "timeout"


def main():
    (given, tree, out, form) = sys.argv[1:]
    mutants = json.loads(read(given))
    for number, mutant in enumerate(mutants, 1):
        mutant["number"] = number
    switchable = [mutant for mutant in mutants if can_be_switched(mutant)]
    by_file = collections.defaultdict(list)
    for mutant in switchable:
        by_file[mutant["file"]].append(mutant)
    if form == "unit":
        # One of its tests lets 34 days pass.
        faster = ["--config", "profile.dev.package.directory-core.opt-level=1"]
        crates = sorted({mutant["package"] for mutant in switchable})
        arguments = faster + ["--lib"] + [word for crate in crates for word in ("-p", crate)]
    else:
        arguments = ["-p", "system-tests", "--test", "sim"]
    unviable, tests = build(tree, by_file, arguments)
    # How long each takes as it is; a mutant that takes far longer never ends.
    patience = {}
    for mutant in switchable:
        command, folder = run_of(mutant, form, tests, tree)
        if tuple(command) not in patience:
            begin = time.monotonic()
            if verdict(command, folder, 0, 900) != "missed":
                sys.exit("the tests fail without a mutant: " + " ".join(command))
            patience[tuple(command)] = 20 + 10 * (time.monotonic() - begin)
    verdicts = {mutant["name"]: "alone" for mutant in mutants if mutant not in switchable}
    with open(os.path.join(out, "log"), "w") as log:
        for mutant in switchable:
            command, folder = run_of(mutant, form, tests, tree)
            number = mutant["number"]
            said = "unviable" if number in unviable else verdict(command, folder, number, patience[tuple(command)])
            verdicts[mutant["name"]] = said
            print(said, mutant["name"], file=log, flush=True)
    for kind in ["caught", "missed", "timeout", "unviable", "alone"]:
        with open(os.path.join(out, kind + ".txt"), "w") as file:
            file.writelines(name + "\n" for name, said in verdicts.items() if said == kind)
    sys.exit(2 if "missed" in verdicts.values() else 0)


main()
