"""The rules of the house that neither ruff nor mypy can say, each a function from source text to offences."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache

LINES_MAX = 400
FUNCTION_LINES_MAX = 70
ARGUMENTS_MAX = 6

# Kernels over arrays that may take more arguments than people should. Each with its reason.
LONG_SIGNATURES: dict[str, str] = {}

CLOCKS = {
    *(
        f"time.{name}{suffix}"
        for name in ("time", "monotonic", "perf_counter", "process_time")
        for suffix in ("", "_ns")
    ),
    *("time.gmtime", "time.localtime", "time.ctime", "datetime.date.today"),
    *(f"datetime.datetime.{name}" for name in ("now", "utcnow", "today")),
}
BUILDERS = {
    *("create_engine", "FastAPI", "Flask", "Client", "AsyncClient", "Console", "Live", "get_logger", "getLogger"),
    *("Thread", "ThreadPoolExecutor", "ProcessPoolExecutor", "Lock", "RLock", "Queue", "Event", "open", "connect"),
    *("new_event_loop", "create_default_context", "SSLContext", "Random", "default_rng", "getenv"),
}
THREADS = {
    *("threading.Thread", "threading.Timer", "asyncio.to_thread", "multiprocessing.Process", "multiprocessing.Pool"),
    *("asyncio.create_subprocess_exec", "asyncio.create_subprocess_shell"),
    *(f"concurrent.futures.{kind}PoolExecutor" for kind in ("Thread", "Process")),
}
UNORDERED = {f"asyncio.{name}" for name in ("TaskGroup", "wait", "as_completed", "all_tasks")}
CORE_IMPORTS = {"__future__", "collections", "enum", "math", "typing", "numpy", "numba"}
CORE_MODULES = ("palmbot.core", "palmbot.units", "palmbot.errors")
BANNED_WORDS = {"util", "utils", "helper", "helpers", "common", "manager"}
SET_METHODS = {"union", "intersection", "difference", "symmetric_difference"}
ORDER_TAKERS = {"list", "tuple", "iter", "enumerate", "zip", "map", "filter", "next", "dict"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def at(node: ast.stmt | ast.expr | ast.alias | ast.keyword, what: str) -> str:
    """Return an offence."""
    return f"line {node.lineno}: {what}"


@cache
def parsed(text: str) -> ast.Module:
    """Return the syntax tree of ``text``."""
    return ast.parse(text)


def functions(text: str) -> Iterator[Function]:
    """Yield every function of ``text``, nested ones too."""
    return (node for node in ast.walk(parsed(text)) if isinstance(node, Function))


def dotted(node: ast.expr) -> str:
    """Return ``a.b().c`` for such an expression; other parts are empty."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=name):
            return f"{dotted(value)}.{name}"
        case ast.Call(func=function):
            return f"{dotted(function)}()"
    return ""


@cache
def origins(text: str) -> dict[str, str]:
    """Return what each imported name stands for: ``dt`` for ``datetime.datetime``, say."""
    found: dict[str, str] = {}
    for node in ast.walk(parsed(text)):
        if isinstance(node, ast.ImportFrom):
            found |= {name.asname or name.name: f"{node.module}.{name.name}" for name in node.names}
        elif isinstance(node, ast.Import):
            found |= {name.asname: name.name for name in node.names if name.asname is not None}
    return found


def full_name(node: ast.expr, text: str) -> str:
    """Return the dotted name of ``node`` with import aliases resolved."""
    head, dot, rest = dotted(node).partition(".")
    return f"{origins(text).get(head, head)}{dot}{rest}"


@cache
def uses(text: str) -> list[tuple[ast.expr, str]]:
    """Return every name and dotted name of ``text`` with its full name."""
    nodes = (node for node in ast.walk(parsed(text)) if isinstance(node, ast.Name | ast.Attribute))
    return [(node, full_name(node, text)) for node in nodes]


def calls(text: str) -> Iterator[ast.Call]:
    """Yield every call of ``text``."""
    return (node for node in ast.walk(parsed(text)) if isinstance(node, ast.Call))


def imports(text: str) -> Iterator[tuple[ast.Import | ast.ImportFrom, str]]:
    """Yield every imported module of ``text``."""
    for node in ast.walk(parsed(text)):
        if isinstance(node, ast.Import):
            yield from ((node, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node, str(node.module)


# --- limits -----------------------------------------------------------------------------------------------------------


def long_file(text: str) -> Iterator[str]:
    """Find a file of too many lines."""
    if (lines := text.count("\n")) > LINES_MAX:
        yield f"{lines} lines, at most {LINES_MAX}"


def long_function(text: str) -> Iterator[str]:
    """Find functions of too many lines, docstring included, decorators not."""
    for node in functions(text):
        if (lines := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_LINES_MAX:
            yield at(node, f"{node.name} has {lines} lines, at most {FUNCTION_LINES_MAX}")


def many_arguments(text: str) -> Iterator[str]:
    """Find functions of too many arguments; self and cls do not count."""
    for node in functions(text):
        every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        counted = [argument for argument in every if argument.arg not in {"self", "cls"}]
        if len(counted) > ARGUMENTS_MAX and node.name not in LONG_SIGNATURES:
            yield at(node, f"{node.name} takes {len(counted)} arguments, at most {ARGUMENTS_MAX}")


# --- names and words --------------------------------------------------------------------------------------------------


def homeless_path(path: str) -> Iterator[str]:
    """Find path parts that name no noun."""
    words = re.split(r"[/_.-]", path.lower())
    yield from (f"{word!r} in a path names nothing" for word in words if word in BANNED_WORDS)


def homeless_name(text: str) -> Iterator[str]:
    """Find classes and functions whose name names nothing."""
    for node in ast.walk(parsed(text)):
        if isinstance(node, Function | ast.ClassDef):
            words = re.findall(r"[A-Z]?[a-z]+", node.name)
            yield from (at(node, f"{node.name}: {w!r} names nothing") for w in words if w.lower() in BANNED_WORDS)


def unfinished(text: str) -> Iterator[str]:
    """Find marks of unfinished work."""
    marks = "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "Not" + "ImplementedError"))
    for number, line in enumerate(text.splitlines(), 1):
        if found := re.search(rf"\b({marks})\b", line):
            yield f"line {number}: {found[0]}"


def unexplained_noqa(text: str) -> Iterator[str]:
    """Find a silenced rule without its code and a reason after it; one reason serves a block of such lines."""
    explained = False
    for number, line in enumerate(text.splitlines(), 1):
        silenced = re.search(r"#\s*noqa\b(: [A-Z]+\d+(, ?[A-Z]+\d+)*)?(\W+\w+\W+\w+)?", line)
        explained = bool(silenced and silenced[1] and (silenced[3] or explained))
        if silenced and not explained:
            yield f"line {number}: noqa without a code and a reason"


def address(text: str) -> Iterator[str]:
    """Find the address of a package registry."""
    # in halves, so that this file does not hold what it looks for
    hosts = "|".join(
        first + second
        for first, second in (
            ("py", r"pi\.org"),
            ("python", r"hosted\.org"),
            ("registry", r"\.npmjs"),
            ("npm", r"js\.(com|org)"),
            ("registry", r"\.yarnpkg"),
            ("crates", r"\.io"),
        )
    )
    for number, line in enumerate(text.splitlines(), 1):
        if found := re.search(hosts, line):
            yield f"line {number}: {found[0]}"


def lock_address(text: str) -> Iterator[str]:
    """Find any address at all in a lock."""
    for number, line in enumerate(text.splitlines(), 1):
        if re.search(r"[a-z]+://|git\+|\"resolved\"", line):
            yield f"line {number}: a lock holds names, versions and hashes only"


def machine_path(text: str) -> Iterator[str]:
    """Find a path that exists on one machine only."""
    for number, line in enumerate(text.splitlines(), 1):
        if found := re.search(r"(?<![\w.~$})-])/(work|root|home|Users)/\w*|\b[A-Z]:\\\\?Users", line):
            yield f"line {number}: {found[0]}"


# --- what ships -------------------------------------------------------------------------------------------------------


def no_docstring(text: str) -> Iterator[str]:
    """Find a module that does not say what it is."""
    if ast.get_docstring(parsed(text)) is None:
        yield "line 1: no module docstring"


def asserted(text: str) -> Iterator[str]:
    """Find safety checks that ``python -O`` strips."""
    yield from (at(node, "assert") for node in ast.walk(parsed(text)) if isinstance(node, ast.Assert))


def clock_read(text: str) -> Iterator[str]:
    """Find reads of a clock, the event loop's included."""
    for node, name in uses(text):
        if name in CLOCKS or re.search(r"(^|[._])loop(\(\))?\.time$", name):
            yield at(node, f"{name} reads a clock")


def unseeded(text: str) -> Iterator[str]:
    """Find randomness that nobody seeded: module-level functions and generators without a seed."""
    for node, name in uses(text):
        if re.fullmatch(r"(random|secrets|numpy\.random)\.(?!default_rng)([a-z]\w*|SystemRandom)", name):
            yield at(node, f"{name} is not seeded")
    for call in calls(text):
        name = full_name(call.func, text)
        if name in {"random.Random", "numpy.random.default_rng"} and not (call.args or call.keywords):
            yield at(call, f"{name}() is not seeded")


def swallowed(text: str) -> Iterator[str]:
    """Find errors that are caught without a look at them."""
    broad = {"Exception", "BaseException"}
    for node in ast.walk(parsed(text)):
        if isinstance(node, ast.ExceptHandler):
            caught = {name.id for name in ast.walk(node.type) if isinstance(name, ast.Name)} if node.type else broad
            idle = all(isinstance(line, ast.Pass | ast.Continue) or ast.unparse(line) == "..." for line in node.body)
            if node.type is None or (idle and caught & broad):
                yield f"line {node.lineno}: an error is swallowed"
    for call in calls(text):
        if full_name(call.func, text) == "contextlib.suppress" and broad & {dotted(kind) for kind in call.args}:
            yield at(call, "an error is swallowed")


def environment_read(text: str) -> Iterator[str]:
    """Find reads of the environment outside the one reader of settings."""
    for node, name in uses(text):
        if name in {"os.environ", "os.getenv", "os.environb"}:
            yield at(node, f"{name}: configuration is an argument")


def built_at_import(text: str) -> Iterator[str]:
    """Find live objects (settings, engines, clients, locks) that importing the module would build."""
    pending: list[ast.AST] = list(parsed(text).body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Call):
            name = dotted(node.func).split(".")[-1]
            if name in BUILDERS or name.endswith(("Settings", "Engine", "Server")):
                yield at(node, f"{name}(...) is built at import")
        if isinstance(node, Function):
            pending += [*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults)]
        elif not isinstance(node, ast.Lambda):
            pending += ast.iter_child_nodes(node)


# --- the core ---------------------------------------------------------------------------------------------------------


def foreign_to_core(text: str) -> Iterator[str]:
    """Find imports beyond numpy, numba, units, errors and the harmless part of the standard library."""
    for node, module in imports(text):
        ours = any(module == own or module.startswith(f"{own}.") for own in CORE_MODULES)
        if not ours and module.split(".")[0] not in CORE_IMPORTS:
            yield at(node, f"the core imports {module}")


def unsafe_numba(text: str) -> Iterator[str]:
    """Find what numba computes differently, never caches or cannot compile."""
    for node in ast.walk(parsed(text)):
        if isinstance(node, ast.keyword) and node.arg == "fastmath":
            yield at(node, "fastmath changes results")
        if isinstance(node, ast.alias) and node.name == "jitclass":
            yield at(node, "jitclass never hits the cache")
        if isinstance(node, ast.Attribute) and node.attr in {"jitclass", "_replace"}:
            yield at(node, f"{node.attr} is never cached or does not compile")


# --- what is simulated ------------------------------------------------------------------------------------------------


def unordered_tasks(text: str) -> Iterator[str]:
    """Find task groups, waits whose results come in the order of a set, and generators that need the loop to die."""
    for node, name in uses(text):
        if name in UNORDERED:
            yield at(node, f"{name} has no fixed order")
    for expression in ast.walk(parsed(text)):
        if isinstance(expression, ast.GeneratorExp) and any(part.is_async for part in expression.generators):
            yield at(expression, "this is an async generator")
    for function in functions(text):
        if isinstance(function, ast.AsyncFunctionDef) and any(isinstance(n, ast.Yield) for n in own_nodes(function)):
            yield at(function, f"{function.name} is an async generator")


def own_nodes(function: Function) -> Iterator[ast.AST]:
    """Yield the nodes of ``function`` without those of functions inside it."""
    pending: list[ast.AST] = list(function.body)
    while pending:
        node = pending.pop()
        yield node
        if not isinstance(node, Function | ast.Lambda):
            pending += ast.iter_child_nodes(node)


def unstable_identity(text: str) -> Iterator[str]:
    """Find what differs from run to run or when the collector runs: id, hash, uuid, __del__, weak references."""
    for node, name in uses(text):
        if name in {"id", "hash"}:
            yield at(node, f"{name}() differs from run to run")
    for function in functions(text):
        if function.name == "__del__":
            yield at(function, "__del__ runs when the collector likes")
    for statement, module in imports(text):
        if module.split(".")[0] in {"uuid", "weakref", "secrets"}:
            yield at(statement, f"{module} differs from run to run")


def threads(text: str) -> Iterator[str]:
    """Find threads, processes and executors."""
    for node, name in uses(text):
        if name in THREADS or name.endswith(".run_in_executor"):
            yield at(node, f"{name} leaves the loop")


def second_thread(text: str) -> Iterator[str]:
    """Find more than the one writer thread that the journal owns."""
    yield from list(threads(text))[1:]


def iterated_set(text: str) -> Iterator[str]:
    """Find sets whose order is used: loops, and calls that keep the order. ``sorted(a_set)`` is the way out."""
    tree = parsed(text)
    names = set_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
            ordered = [node.iter]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ORDER_TAKERS:
            ordered = node.args
        elif isinstance(node, ast.Starred):
            ordered = [node.value]
        else:
            continue
        yield from (at(value, f"{ast.unparse(value)} has no fixed order") for value in ordered if is_set(value, names))


def set_names(tree: ast.AST) -> set[str]:
    """Return the names and attributes that ``tree`` annotates as sets or assigns sets to."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign | ast.arg) and node.annotation is not None:
            if re.match(r"(frozen)?set\b|(Abstract|Mutable)?Set\b", ast.unparse(node.annotation)):
                names.add(node.arg if isinstance(node, ast.arg) else ast.unparse(node.target).split(".")[-1])
        elif isinstance(node, ast.Assign) and is_set(node.value, names):
            names |= {ast.unparse(target).split(".")[-1] for target in node.targets}
    return names


def is_set(node: ast.expr, names: set[str]) -> bool:
    """Return whether ``node`` is plainly a set."""
    match node:
        case ast.Set() | ast.SetComp():
            return True
        case ast.Call(func=ast.Name(id="set" | "frozenset")):
            return True
        case ast.Call(func=ast.Attribute(attr=attribute)):
            return attribute in SET_METHODS
        case ast.BinOp(left=left, op=ast.Sub() | ast.BitAnd() | ast.BitOr() | ast.BitXor(), right=right):
            return any(is_set(side, names) or ast.unparse(side).endswith(".keys()") for side in (left, right))
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in names
    return False


def incomplete_machine(text: str) -> Iterator[str]:
    """Find a transition table whose states (an Enum) or whose one ``apply`` live elsewhere."""
    body = parsed(text).body
    tables = [node for node in body if re.match(r"TRANSITIONS\b", ast.unparse(node))]
    if not tables:
        return
    enums = [n for n in body if isinstance(n, ast.ClassDef) and any("Enum" in ast.unparse(base) for base in n.bases)]
    applies = [node for node in body if isinstance(node, ast.FunctionDef) and node.name == "apply"]
    if not enums or len(applies) != 1 or len(tables) != 1:
        yield at(tables[0], "a state machine is an Enum, one table and one apply(), in one file")
