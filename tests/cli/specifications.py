"""Small specifications for the tests of the command line, written from their parts."""

import json


def value_of(value):
    """A value as TOML has it; a dictionary becomes an inline table."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {value_of(entry)}" for key, entry in value.items()) + " }" if value else "{}"
    if isinstance(value, (list, tuple, range)):
        return "[" + ", ".join(map(value_of, value)) + "]"
    return json.dumps(value)


def section(header, entries):
    return "\n".join([header, *(f"{json.dumps(key)} = {value_of(value)}" if "/" in key else f"{key} = {value_of(value)}"
                                for key, value in entries.items())]) + "\n"


def buffer(name, access="in", size="n", **more):
    return {"name": name, "type": "float32", "size": size, "access": access, **more}


def scalar(name, value, data_type="int32"):
    return {"name": name, "type": data_type, "access": "scalar", "value": value}


def specification(name, source, problem, parameters, arguments, launch, constraints=(), kernel=None, outputs=(), **tables):
    """The text of a specification. `source` is a file name or a dictionary of them by backend; `parameters` gives each its
    values, or a dictionary of its keys; `kernel` has further keys of [kernel], and `tables` the sections that come last."""
    text = "schema = 1\n"
    if constraints:
        text += f"constraints = {value_of(list(constraints))}\n"
    text += section("[kernel]", {"name": name, "source": source, **(kernel or {})})
    text += section("[problem]", problem)
    for parameter, keys in parameters.items():
        text += section(f"[parameters.{parameter}]", keys if isinstance(keys, dict) else {"values": keys})
    for argument in arguments:
        text += section("[[argument]]", argument)
    text += section("[[launch]]", launch)
    for output in outputs:
        text += section("[[output]]", output)
    for header, entries in tables.items():
        text += section(f"[{header}]", entries)
    return text
