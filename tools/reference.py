#!/usr/bin/env python3
"""reference.py [--man FOLDER | --html FILE | --check] HEADER ... - the reference, from the comments beside the functions.

    --man    a page of section 3 for each family of names, a link for each name (mdoc, for mandoc and groff)
    --html   one page with all of it
    --check  does each public name have its entry, and each macro its prototype? The other two check that, too.

A comment at the left edge is the text for the names that are defined below it, up to the next comment. The three forms of
a call share one. What a name is for in a few words is in the README's index, where tools/index.sh keeps it complete.
In a comment: a line that is broken early ends a paragraph; four more spaces are code; "0: ", "-EPIPE: ", "try: " at
the beginning of a sentence say what is returned; "int leat_make(c, size_t capacity): " is the prototype of a macro.

SPDX-License-Identifier: MIT
"""
import html
import os
import re
import shutil
import subprocess
import sys
import textwrap
import time

WIDTH = 117  # a comment's line is filled up to here
TAKEN = "\0"  # for what was taken from the beginning of a line
NAME = r"(?:leat|LEAT)_\w*[^\W_]\b"
CODES = {  # for a code that stands alone, as queue.h's head says it
    "0": "done",
    "-EINVAL": "bad argument",
    "-ENOMEM": "no memory",
    "-EALREADY": "it was done before, and nothing changed",
    "-ESHUTDOWN": "the pool was stopped or aborted, or the group was waited for",
    "-EPIPE": "closed",
    "-ENOENT": "this channel is no subscriber",
}
FORMS = {"try": "leat_try_ form", "ctx": "_ctx form", "Errors": "errors"}
ERROR = r"-E[A-Z0-9]+"
TOKEN = re.compile(rf"(?:^|(?<=[.)] ))((?:0|{ERROR})(?:,(?: or)? {ERROR})*|try|ctx(?: \(which may be NULL\))?|Errors)(?:, or [a-z_ ]+(?=: ))?(: |\. |\.$|,? (?=also ))")
AFTER = re.compile(r"(?<=\. )(?=Any thread may call|It allocates nothing|It waits for nothing|The call waits for)")
PROTO = re.compile(r"^((?:const )?[a-z]\w*(?: \*+| ))?(leat_\w+)\(([^()]*)\)(?=[:,])")


def public(name):
    return re.fullmatch(NAME, name) and not re.match(r"LEAT_[A-Z]+_H$|LEAT_WITHOUT_|leat_(wrong|const)_", name)


# ---- The README's index ---------------------------------------------------------------------------


class Index:
    """Which header a name is of, how it is written, and what it is for."""

    def __init__(self, readme):
        self.headers, self.about, self.shown, self.options, self.forms = [], {}, {}, [], {}
        text = open(readme, encoding="utf-8").read().split("## The API", 1)[1].split("```", 2)[1]
        names = ""
        for line in text.splitlines():
            if re.match(r"[a-z]+\.h ", line):
                header, what = re.split(r"\s+", line, maxsplit=1)
                self.headers.append((header, what))
                continue
            if line.startswith("options "):
                self.options = re.findall(NAME, line)
                continue
            first, *about = re.split(r" {2,}", line.strip(), maxsplit=1)
            names += " " + first
            if about:
                self.line(names, about[0])
                names = ""

    def line(self, names, about):
        abouts = about.split("; ")
        found = re.findall(r"((?:leat|LEAT)_(?:\[try_\])?\w+?(?:\[_ctx\])?)(?![\w\[])(\((?:[^()]|\([^()]*\))*\))?", names)
        for word, args in found:
            plain = re.sub(r"\[\w+\]", "", word)
            forms = [plain]
            if "[try_]" in word:
                forms.append(plain.replace("leat_", "leat_try_", 1))
            if "[_ctx]" in word:
                forms.append(plain + "_ctx")
            for form in forms:
                if form in self.shown:
                    continue
                self.shown[form] = form + args
                self.about[form] = about
                self.forms[form] = plain
            for name in re.findall(NAME, args):
                self.shown.setdefault(name, name)
                self.about.setdefault(name, about)
        calls = [re.sub(r"\[\w+\]", "", word) for word, _ in found]
        for k, name in enumerate(calls):  # "make it; free its slots"
            for form in [f for f in self.forms if self.forms[f] == name]:
                self.about[form] = abouts[min(k, len(abouts) - 1)]

    def base(self, name):
        """The call of which this is a form."""
        return self.forms.get(name, name)


# ---- The headers ----------------------------------------------------------------------------------


class Name:
    def __init__(self, name, kind, code):
        self.name, self.kind, self.code = name, kind, code


class Family:
    """Names that share a comment."""

    def __init__(self, header, comment):
        self.header, self.comment, self.names = header, comment, []
        self.blocks, self.protos = blocks(comment)

    @property
    def title(self):
        return self.names[0].name


class Header:
    def __init__(self, path, seen, index):
        self.path, self.name = path, os.path.basename(path)
        lines = open(path, encoding="utf-8").read().split("\n")
        self.head, at = comment_at(lines, 0)
        self.families, self.homeless, bases = [], [], {}
        self.callbacks = dict(re.findall(r"^typedef \w+ (leat_\w+_)(\(.*\));", "\n".join(lines), re.M))
        family = comment = None
        for i, line in outside(lines, at):
            if isinstance(line, list):  # a comment, not of a part
                if line[0].startswith(("====", "----")):
                    comment = family = None
                elif not line[0].startswith("clang-format"):
                    comment, family = line, None
                continue
            for name in defined(lines, i):
                if not public(name.name):
                    # A private function or type has used up the comment, unless it is what the public macro or call is made of.
                    if name.kind != "macro" and name.name[:-1] not in index.shown:
                        family = comment = None
                    continue
                if name.name in seen:
                    continue
                seen.add(name.name)
                here = bases.get(index.base(name.name), family)
                if name.kind == "type" and here and any(n.kind == "function" for n in here.names):
                    here = comment = family = None
                if here is None and comment:
                    here = family = Family(self.name, comment)
                    self.families.append(here)
                if here is None:
                    self.homeless.append(name)
                    continue
                bases[index.base(name.name)] = here
                for callback, args in self.callbacks.items():  # a private name for what a caller passes
                    name.code = re.sub(rf"{callback} \*(\w+)", rf"void (*\1){args}", name.code)
                here.names.append(name)
        self.house(bases, index)
        for f in self.families:
            f.names = ordered(f.names, index)


    def house(self, bases, index):
        """A type without a comment stands with what makes it, a constant where it is named."""
        for name in list(self.homeless):
            makes = {name.name.upper(), name.name + "_start"}
            for f in self.families:
                if makes & {n.name for n in f.names} or name.kind == "constant" and name.name in " ".join(f.comment):
                    f.names.insert(0 if name.kind == "type" else len(f.names), name)
                    self.homeless.remove(name)
                    break


def ordered(names, index):
    firsts = list(dict.fromkeys(index.base(n.name) for n in names))
    return sorted(names, key=lambda n: (firsts.index(index.base(n.name)), n.name.endswith("_ctx"), n.name != index.base(n.name)))


def comment_at(lines, i):
    """The comment that begins in line i, without its stars, and the line after it."""
    text = []
    line = lines[i][2:]
    while "*/" not in line:
        text.append(line)
        i += 1
        line = re.sub(r"^ \* ?", "", lines[i]) if lines[i].startswith(" *") and not lines[i].startswith(" */") else lines[i]
    last = line.split("*/")[0]
    if last.strip():
        text.append(last)
    text = [t.rstrip() for t in text]
    return [text[0].lstrip()] + text[1:] if text else [""], i + 1


def outside(lines, i):
    """Comments and lines of code at the left edge. A macro's further lines, and bodies, are left out."""
    while i < len(lines):
        line = lines[i]
        if line.startswith("/*"):
            comment, i = comment_at(lines, i)
            yield i, comment
            continue
        if line and not line[0].isspace() and line[0] not in "{}":
            yield i, line
            while lines[i].endswith("\\"):
                i += 1
        i += 1


def defined(lines, i):
    """The names that line i defines."""
    line = lines[i]
    macro = re.match(r"#define (\w+)(\([^)]*\))?", line)
    if macro:
        return [Name(macro[1], "macro", macro[0][8:])]
    if line.startswith("enum"):
        text = line if "}" in line else "\n".join(lines[i : i + 20]).split("};")[0]
        return [Name(n, "constant", n) for n in re.findall(r"\b(LEAT_\w+)(?=\s*[,=}\n])", text.split("{", 1)[1])]
    struct = re.match(r"typedef struct (\w+) \{", line)
    if struct:
        return [Name(struct[1], "type", struct_text(lines, i))]
    if line.startswith("typedef"):
        found = re.search(r"\b(leat_\w+)(\(|;)", line)
        return [Name(found[1], "type", line.rstrip(";") + ";")] if found else []
    text, k = line, i
    while text.count("(") > text.count(")"):
        k += 1
        text += " " + lines[k].strip()
    text = re.sub(r"__attribute__\(\(.*?\)\) ?", "", text)
    function = re.match(r"((?:[A-Z_]+_ )*)(?:static inline )?((?:const )?[a-z]\w* \**)(leat_\w+)\((.*)\)$", text)
    if function:
        return [Name(function[3], "function", f"{function[2]}{function[3]}({function[4]});")]
    return []


def struct_text(lines, i):
    """A struct as a caller sees it: without private fields."""
    end = next(k for k in range(i, len(lines)) if lines[k].startswith("}"))
    kept, pending, inside, hidden = [], [], False, False
    for line in lines[i + 1 : end]:
        code = re.sub(r"/\*.*?\*/", "", line)
        if line.strip().startswith("/*") or inside:
            pending.append(line)
            inside = "*/" not in line
            continue
        names = re.findall(r"(\w+)(?:\[[^\]]*\])*(?=[,;])|\(\*(\w+)\)", code)
        names = [a or b for a, b in names]
        if any(n and not n.endswith("_") for n in names) and not code.startswith("#"):
            kept += pending + [line]
        elif names:
            hidden = True
        pending = []
    if not kept:
        return lines[i].replace(" {", " ") + lines[end][2:]
    if hidden:
        kept.append("    /* and private fields */")
    return "\n".join([lines[i]] + kept + [lines[end]])


# ---- A comment's text -----------------------------------------------------------------------------


def paragraphs(comment):
    """("text", str) or ("code", [lines])."""
    out, text, code = [], [], []
    for line in comment + [""]:
        deep = line.startswith("    ")
        if code and not deep:
            out.append(("code", code))
            code = []
        if deep:
            if text:
                out.append(("text", " ".join(text)))
            text = []
            code.append(line[4:])
            continue
        early = bool(text) and text[-1][-1] in ".:)" and len(text[-1]) + 1 + len(line.split(" ")[0]) <= WIDTH - 6
        ends = bool(text) and (early or not line.strip())
        if ends:
            out.append(("text", " ".join(text)))
            text = []
        if line.strip():
            text.append(line.strip())
    return [(kind, what.lstrip(TAKEN) if kind == "text" else what) for kind, what in out]


def blocks(comment):
    """A comment as ("p", text), ("code", lines) and ("item", what is returned, when); and its prototypes of macros."""
    out, protos = [], {}
    for kind, text in paragraphs(comment):
        if kind == "code":
            out.append(("code", text))
            continue
        names, kept, ctype = [], text, ""
        while True:
            proto = PROTO.match(kept)
            if not proto or not (proto[1] or names):
                break
            ctype = proto[1] or ctype
            protos[proto[2]] = (ctype.strip(), proto[3])
            names.append(proto[2])
            kept = kept[proto.end() :].lstrip(", ") if kept[proto.end()] == "," else kept[proto.end() :]
            if kept.startswith(":"):
                kept = kept[1:].lstrip()
                break
        if names and kept:
            first = not out and len(names) == 1
            text = kept[0].upper() + kept[1:] if first or len(names) > 1 else f"{names[0]}: {kept}"
        out += returns(text)
    return out, protos


def returns(text):
    out, at, token = [], 0, None

    def take(upto):
        piece = text[at:upto].strip()
        if token is None:
            if piece:
                out.append(("p", piece))
            return
        parts = AFTER.split(piece, maxsplit=1) if how != "." else ["", piece]
        out.append(("item", token, parts[0].strip()))
        if len(parts) > 1 and parts[1]:
            out.append(("p", parts[1].strip()))

    how = ""
    for found in TOKEN.finditer(text):
        take(found.start())
        token, how, at = found[1], found[2][0], found.end()
    take(len(text))
    return out


def upper(text):
    """Words that begin a sentence. A name stays as it is."""
    return text[0].upper() + text[1:] if re.match(r"[a-z]+[ ,.]", text) and not re.match(r"[b-z] ", text) else text


def items(block):
    _, token, text = block
    if text:
        return [(FORMS.get(token.split(" ")[0], token), upper(text))]
    return [(code, upper(CODES[code] + ".") if code in CODES else "") for code in re.split(r",(?: or)? ", token)]


def sections(head):
    """The parts of a header's head that are for its users: (title, blocks)."""
    out, title, part = [], "", []
    for line in head + ["END. "]:
        begins = re.match(r"([A-Z][A-Z ]+)\. ?", line)
        if begins:
            if title == "OPTIONS":
                part = [("code", [re.sub(r"^ {9}", "", x) for x in part if x.strip()])]
            elif title:
                part = blocks(part)[0]
            if title not in ("", "HOW TO READ IT", "MEMORY ORDER"):
                out.append((title.capitalize(), part))
            title, part = begins[1], []
            rest = line[begins.end() :]
            line = " " * 9 + rest if title == "OPTIONS" else TAKEN * begins.end() + upper(rest)
        part.append(line)
    return out


def opening(head):
    """The first line of a header's head, and its example."""
    about = head[0].split(" - ", 1)[1]
    k = next(i for i, line in enumerate(head) if line.startswith("    "))
    code = []
    while head[k].startswith("    ") or not head[k] and head[k + 1].startswith("    "):
        code.append(head[k][4:])
        k += 1
    return about, code


def prototype(family, name, index):
    """How it is called: (type, name, arguments) or (None, text, None)."""
    if name.kind == "function":
        found = re.match(r"((?:const )?\w+ \**)(\w+)\((.*)\);", name.code)
        return found[1].strip(), found[2], found[3]
    if name.kind == "macro" and index.base(name.name) in family.protos:
        ctype, args = family.protos[index.base(name.name)]
        if name.name.endswith("_ctx"):
            args = "leat_ctx *ctx, " + args
        return ctype, name.name, args
    return None, index.shown.get(name.name, name.name), None


# ---- Manual pages ---------------------------------------------------------------------------------


def date():
    """Of what is described: given, or of the last commit, or of the newest header."""
    when = os.environ.get("SOURCE_DATE_EPOCH")
    if not when:
        git = subprocess.run(["git", "log", "-1", "--format=%ct"], capture_output=True, text=True, check=False)
        when = git.stdout.strip() or max(os.path.getmtime(f) for f in os.listdir(".") if f.endswith(".h"))
    return time.strftime("%B %-d, %Y", time.gmtime(float(when)))


def roff(text):
    """Lines of mdoc, a sentence each."""
    text = re.sub(r"(\w)\(\)", r"\1", text.replace("\\", "\\e").replace("`", ""))
    text = re.sub(r"(?<![\w-])-(?=[A-Z]{3,}|[a-z]+\b)", r"\\-", text)
    for line in re.split(r"(?<=[.?!]) +(?=[A-Z0-9*\\(])", text):
        for piece in textwrap.wrap(line, 78, break_long_words=False, break_on_hyphens=False):
            yield "\\&" + piece if piece[0] in ".'" else piece


def mdoc(blocks_, out):
    """Text, code and lists."""
    fresh, inside = True, False
    for block in blocks_:
        if inside and block[0] != "item":
            out.append(".El")
            inside = False
        if block[0] == "code":
            out += [".Bd -literal -offset indent"] + [("\\&" if x[:1] in ".'" and x else "") + x.replace("\\", "\\e") for x in block[1]] + [".Ed"]
        elif block[0] == "p":
            out += ([] if fresh else [".Pp"]) + list(roff(block[1]))
        else:
            if not inside:
                out.append(".Bl -tag -width Ds")
                inside = True
            for what, text in items(block):
                out.append(".It " + re.sub(r"(^|, )-(?=E)", r"\1\\-", what).replace(", or ", " or "))
                out += list(roff(text)) if text else []
        fresh = False
    if inside:
        out.append(".El")


def mdoc_page(name, about, header, synopsis, parts, also):
    out = [f".Dd {date()}", f".Dt {name.upper()} 3", ".Os", ".Sh NAME"]
    out += [f".Nm {n} ," for n in synopsis["names"][:-1]] + [f".Nm {synopsis['names'][-1]}", f".Nd {about}"]
    out += [".Sh SYNOPSIS", f".In leat/{header}"] + synopsis["lines"]
    for title, blocks_ in parts:
        out.append(f".Sh {title.upper()}")
        mdoc(blocks_, out)
    if also:
        out.append(".Sh SEE ALSO")
        out += [f".Xr {n} 3 ," for n in also[:-1]] + [f".Xr {also[-1]} 3"]
    return "\n".join(out) + "\n"


def synopsis(family, index):
    lines = []
    for name in family.names:
        ctype, text, args = prototype(family, name, index)
        if name.kind == "type":
            lines += [".Bd -literal"] + name.code.replace("\\", "\\e").split("\n") + [".Ed"]
        elif args is None and "(" in text:
            call, inner = text[:-1].split("(", 1)
            lines.append(f".Fn {call}" + "".join(f' "{a.strip()}"' for a in comma(inner)))
        elif args is None:
            lines.append(f".Dv {text}")
        else:
            lines += [f".Ft {ctype}", ".Fn " + text + "".join(f' "{a.strip()}"' for a in comma(args))]
    return {"names": [n.name for n in family.names], "lines": lines}


def comma(args):
    """Arguments, of which one may be a function's pointer."""
    return re.findall(r"(?:[^,(]|\([^()]*\))+", args)


def man(headers, index, folder):
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    version = re.search(r'#define LEAT_VERSION_STRING "(.*)"', open("queue.h", encoding="utf-8").read())[1]

    def write(name, text):
        if not os.path.exists(f"{folder}/{name}.3"):  # where leat_send and LEAT_SEND are one file, the call has it
            with open(f"{folder}/{name}.3", "w", encoding="utf-8") as f:
                f.write(text)

    pages = {n.name: f.title for h in headers for f in h.families for n in f.names}
    overview = []
    for h, (name, about) in zip(headers, index.headers):
        page_ = "leat-" + h.name[:-2]
        overview.append(("item", f"Xr {page_} 3", about))
        first, code = opening(h.head)
        parts = [("description", [("p", upper(first)), ("code", code)])] + sections(h.head)
        calls = sorted({f.title for f in h.families}, key=lambda n: (n.lower(), n))
        names = {"names": [page_], "lines": []}
        write(page_, mdoc_page(page_, about, h.name, names, parts, calls))
        for f in h.families:
            text = [b for b in f.blocks if b[0] != "item"]
            back = [b for b in f.blocks if b[0] == "item"]
            parts = [("description", text)] if text else []
            parts += [("return values", back)] if back else []
            if not text:
                parts.insert(0, ("description", [("p", upper(index.about[f.title]) + ".")]))
            also = {pages[n] for n in re.findall(NAME, " ".join(f.comment)) if n in pages} - {f.title}
            about_f = index.about.get(f.title, "")
            write(f.title, mdoc_page(f.title, about_f, h.name, synopsis(f, index), parts, sorted(also | {page_}, key=lambda n: (n.lower(), n))))
            for n in f.names:
                if n.name != f.title:
                    write(n.name, f".so man3/{f.title}.3\n")
    for option in index.options:
        if option not in pages:
            home = next(h for h in headers if option in " ".join(h.head))
            write(option, f".so man3/leat-{home.name[:-2]}.3\n")
    out = [f".Dd {date()}", ".Dt LEAT 3", ".Os", ".Sh NAME", ".Nm leat", ".Nd Go's concurrency toolkit for C"]
    out += [".Sh DESCRIPTION", f"leat {version} is headers, and each has its page:", ".Bl -tag -width Ds"]
    for _, what, about in overview:
        out += [f".It {what}", upper(about) + "."]
    out += [".El", ".Pp", "A call that can wait has three forms.", ".Fn leat_x", "waits,", ".Fn leat_try_x", "never does, and"]
    out += [".Fn leat_x_ctx", "gives up when its context is done.", "A call returns 0, a count or an index, or a negative error;"]
    out += [".Va errno", "is not touched.", ".Sh SEE ALSO"]
    also = ["leat-" + h.name[:-2] for h in sorted(headers, key=lambda h: h.name)]
    out += [f".Xr {n} 3 ," for n in also[:-1]] + [f".Xr {also[-1]} 3"]
    write("leat", "\n".join(out) + "\n")


# ---- One page -------------------------------------------------------------------------------------

STYLE = """
:root { color-scheme: light dark; --line: #ddd; --soft: #666; --code: #f5f5f5; --link: #0550ae; --back: #fff; --text: #1a1a1a }
@media (prefers-color-scheme: dark) {
  :root { --line: #333; --soft: #aaa; --code: #1e1e1e; --link: #79b8ff; --back: #111; --text: #e6e6e6 }
}
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1rem; max-width: 60rem; font: 16px/1.5 system-ui, sans-serif; background: var(--back); color: var(--text) }
a { color: var(--link); text-decoration: none }
a:hover, a:focus { text-decoration: underline }
code, pre { font: 0.9em/1.45 ui-monospace, Menlo, Consolas, monospace }
pre { overflow-x: auto; padding: 0.6rem 0.8rem; background: var(--code); border-radius: 4px }
code { overflow-wrap: anywhere }
section { border-top: 1px solid var(--line); margin-top: 1.5rem; scroll-margin-top: 1rem }
h2 { margin: 2.5rem 0 0.5rem }
h3 { margin: 0.8rem 0 0.4rem; font-size: 1.05rem; overflow-wrap: anywhere }
h3 small { font-weight: normal; color: var(--soft) }
dt { float: left; clear: left; min-width: 9rem; padding-right: 1rem }
dd { margin: 0 0 0.3rem 9rem }
.index { columns: 15rem; padding: 0; list-style: none; font-size: 0.9rem }
.index li { break-inside: avoid }
.src { float: right; font-size: 0.85rem }
@media (max-width: 36rem) { dt { float: none } dd { margin-left: 1.5rem } }
""".strip()


def page(headers, index, to):
    where = {n.name: f.title for h in headers for f in h.families for n in f.names}
    for option in index.options:
        where.setdefault(option, next(h.name for h in headers if option in " ".join(h.head)))

    def inline(text, here=""):
        text = html.escape(text, quote=False)
        text = re.sub(r"`([^`]*)`", r"<code>\1</code>", text)
        text = re.sub(rf"(?<![\w/]){NAME}(?!\w)(?:\(\))?", lambda m: link(m[0], here), text)
        return re.sub(rf"(?<![\w>])({ERROR})\b", r"<code>\1</code>", text)

    def link(name, here):
        to_ = where.get(name.rstrip("()"))
        return f'<a href="#{to_}"><code>{name}</code></a>' if to_ and to_ != here else f"<code>{name}</code>"

    def body(blocks_, here=""):
        inside = False
        for block in blocks_:
            if (block[0] == "item") != inside:
                inside = not inside
                yield "<dl>" if inside else "</dl>"
            if block[0] == "code":
                yield "<pre>" + html.escape("\n".join(block[1]), quote=False) + "</pre>"
            elif block[0] == "p":
                yield f"<p>{inline(block[1], here)}</p>"
            else:
                for what, text in items(block):
                    yield f"<dt><code>{html.escape(what)}</code></dt><dd>{inline(text, here)}</dd>"
        if inside:
            yield "</dl>"

    out = ["<!DOCTYPE html>", '<html lang="en">', "<head>", '<meta charset="utf-8">', "<title>leat: reference</title>"]
    out += ['<meta name="viewport" content="width=device-width, initial-scale=1">', f"<style>\n{STYLE}\n</style>", "</head>", "<body>"]
    out += ["<h1>leat: reference</h1>"]
    out += [
        '<p>Made by <code>make reference</code> from the comments beside the functions in the headers. The <a href="guide.md">guide</a>'
        " says what is promised, and when to use what.</p>",
        "<p>A call that can wait has three forms: <code>leat_x</code> waits, <code>leat_try_x</code> never does,"
        " <code>leat_x_ctx</code> gives up when its context is done. A call returns 0, a count or an index, or a negative error.</p>",
    ]
    for h, (name, about) in zip(headers, index.headers):
        names = sorted({n.name for f in h.families for n in f.names}, key=lambda n: (n.lower().lstrip("_"), n))
        out += [f'<h3><a href="#{h.name}">{h.name}</a>: {html.escape(about)}</h3>', '<ul class="index">']
        out += [f'<li><a href="#{where[n]}"><code>{n}</code></a></li>' for n in names]
        out += [f'<li><a href="#{h.name}"><code>{o}</code></a></li>' for o in index.options if where[o] == h.name and o not in names]
        out += ["</ul>"]
    for h, (name, about) in zip(headers, index.headers):
        first, code = opening(h.head)
        out += [f'<h2 id="{h.name}"><a href="../{h.name}">{h.name}</a></h2>', f"<p>{inline(upper(first))}</p>"]
        out += ["<pre>" + html.escape("\n".join(code), quote=False) + "</pre>"]
        for title, blocks_ in sections(h.head):
            out += [f"<h3>{title}</h3>"] + list(body(blocks_))
        for f in h.families:
            out += [f'<section id="{f.title}">', f'<a class="src" href="../{h.name}#:~:text={quote(f)}">in {h.name}</a>']
            out += [f"<h3>{', '.join('<code>' + n.name + '</code>' for n in f.names)} <small>{html.escape(index.about[f.title])}</small></h3>"]
            out += ["<pre>" + "\n".join(html.escape(shown(f, n, index), quote=False) for n in f.names) + "</pre>"]
            out += list(body(f.blocks, f.title)) + ["</section>"]
    out += ["</body>", "</html>"]
    with open(to, "w", encoding="utf-8") as file:
        for line in "\n".join(out).split("\n"):
            text = line.startswith(("<p>", "<dt>", "<h3>"))  # the rest is as it is
            file.write((textwrap.fill(line, 120, break_long_words=False, break_on_hyphens=False) if text else line) + "\n")


def quote(family):
    """The place in the header, as a link says it: the first words of the comment."""
    words = " ".join(" ".join(family.comment).split()[:6])
    return "".join(c if c.isalnum() or c in "_." else f"%{ord(c):02X}" for c in words)


def shown(family, name, index):
    if name.kind == "type":
        return name.code
    ctype, text, args = prototype(family, name, index)
    return text if args is None else f"{ctype}{'' if ctype.endswith('*') else ' '}{text}({args})"


# ---- Checks ---------------------------------------------------------------------------------------


def check(headers, index):
    bad = []
    have = {n.name for h in headers for f in h.families for n in f.names} | set(index.options)
    for h in headers:
        bad += [f"{h.name}: {n.name} has no comment of its own" for n in h.homeless if n.name not in index.options]
        for f in h.families:
            first = next((n for n in f.names if n.kind == "function"), None)
            for n in f.names:
                if n.kind == "function" and index.base(n.name) != index.base(first.name) and n.name not in " ".join(f.comment):
                    bad.append(f"{h.name}: {n.name} has no comment of its own")
                if re.search(r"\bleat_\w+_\b", shown(f, n, index)):
                    bad.append(f"{h.name}: {n.name} is shown with a private name: {shown(f, n, index)}")
                if n.kind == "macro" and n.name.startswith("leat_") and index.base(n.name) not in f.protos:
                    bad.append(f'{h.name}: the comment of the macro {n.name} does not begin with its prototype')
    bad += [f"{name} of the README's index has no entry" for name in index.shown if name not in have]
    bad += [f"{name} is not in the README's index" for name in sorted(have) if name not in index.shown and name not in index.options]
    return bad


def main():
    args = sys.argv[1:]
    how, to = args.pop(0), None
    if how in ("--man", "--html"):
        to = args.pop(0)
    seen = set()
    index = Index("README.md")
    headers = [Header(path, seen, index) for path in args]
    bad = check(headers, index)
    for line in bad:
        print(line, file=sys.stderr)
    if how == "--man":
        man(headers, index, to)
    elif how == "--html":
        page(headers, index, to)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
