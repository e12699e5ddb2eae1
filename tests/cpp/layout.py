# layout.py - prints a file, C and C++, with the size, the alignment and each field's place of every struct of the headers.
# SPDX-License-Identifier: MIT
import re

ELSEWHERE = {"leat_os_thread_", "leat_console_"}  # of Windows
structs = {}
for header in "queue.h", "semaphore.h", "pool.h", "topic.h":
    text = re.sub(r"/\*.*?\*/", "", open(header).read(), flags=re.S)
    for body, name in re.findall(r"^typedef (?:struct|union) leat_\w+ \{\n(.*?)^\} (leat_\w+);", text, re.S | re.M):
        fields = []
        for field in re.sub(r"^#if.*?^#endif\b.*?$", "", body, flags=re.S | re.M).split(";"):
            pointer = re.search(r"\(\*(\w+)\)", field)
            for part in [pointer.group(1)] if pointer else re.sub(r"\([^()]*\)", "", field).split(","):
                fields += re.findall(r"(\w+)\s*(?:\[.*\]\s*)*$", part)
        structs[name] = [] if name in structs else fields  # an event is one thing or another

print('#include "topic.h"\n#include "pool.h"\n#ifndef __cplusplus\n#define alignof(t) _Alignof(t)\n#endif')
print("extern const unsigned leat_layout[];\nconst unsigned leat_layout[] = {")
for name, fields in structs.items():
    if name not in ELSEWHERE:
        print(f"    sizeof({name}), alignof({name}),", *(f"offsetof({name}, {field})," for field in fields))
print("};")
