"""Small files with the layout of cubins and fatbins, so that tests need no compiler. tests/binaries reads real ones."""

import struct

NEWER_SM_90 = (8, 0x06005A04)   # ABI and e_flags as CUDA 13 writes them
NEWER_SM_80 = (8, 0x06005004)
OLDER_SM_90A = (7, 0x005A0D5A)  # as CUDA 12 does


def three(attribute, x, y, z):
    return struct.pack("<BBHIII", 4, attribute, 12, x, y, z)


def max_threads(x, y=1, z=1):
    return three(0x05, x, y, z)


def required_block(x, y=1, z=1):
    return three(0x10, x, y, z)


def required_cluster(x, y=1, z=1):
    return three(0x3D, x, y, z)


def register_limit(count):
    return struct.pack("<BBH", 3, 0x1B, count)


def barriers(count):
    return struct.pack("<BBBB", 2, 0x4C, count, 0)


SETMAXNREG = struct.pack("<BBH", 1, 0x54, 0)


def shared_spills(count):
    return struct.pack("<BBHII", 4, 0x32, 8, 0, count)


class Kernel:
    def __init__(self, name, registers=16, shared=1024, info=b"", stack=0, refers=False, code_flags=6, alignment=16):
        self.name, self.registers, self.shared, self.info, self.stack = name, registers, shared, info, stack
        self.refers, self.code_flags, self.alignment = refers, code_flags, alignment


def cubin(kernels, layout=NEWER_SM_90, kind=2, note=b""):
    """`shared` of a kernel is the size of its section: from 9.0 on with the driver's 1024 bytes in it."""
    abi, flags = layout
    sections = [("", 0, 0, 0, b"", 0, 0), (".shstrtab", 3, 0, 0, b"", 0, 1), (".strtab", 3, 0, 0, b"", 0, 1),
                (".symtab", 2, 0, 2, b"", 0, 8)]
    strings, symbols, common = b"\0", bytes(24), b""
    for kernel in kernels:
        symbols += struct.pack("<IBBHQQ", len(strings), 0x12, 0x10, len(sections), 0, 128)
        strings += kernel.name.encode() + b"\0"
        number = len(symbols) // 24 - 1
        common += struct.pack("<BBHII", 4, 0x2F, 8, number, kernel.registers)
        common += struct.pack("<BBHII", 4, 0x12, 8, number, kernel.stack)
        sections.append((".text." + kernel.name, 1, kernel.code_flags, 0, bytes(128), 0, 128))
        sections.append((".nv.shared." + kernel.name, 8, 3, 0, b"", kernel.shared, kernel.alignment))
        if kernel.refers:
            sections.append((".rela.text." + kernel.name, 4, 0, 3, b"", 0, 8))
        if kernel.info:
            sections.append((".nv.info." + kernel.name, 0x70000000, 0, 3, kernel.info, 0, 4))
    sections.append((".nv.info", 0x70000000, 0, 3, common, 0, 4))
    if note:
        sections.append((".note.nv.tkinfo", 7, 0, 0, note, 0, 4))
    names, offsets = b"", []
    for section in sections:
        offsets.append(len(names))
        names += section[0].encode() + b"\0"
    body, headers = b"", b""
    for index, (name, section_type, section_flags, link, data, size, alignment) in enumerate(sections):
        data = {".shstrtab": names, ".strtab": strings, ".symtab": symbols}.get(name, data)
        headers += struct.pack("<IIQQQQIIQQ", offsets[index], section_type, section_flags, 0, 64 + len(body),
                               size if section_type == 8 else len(data), link, 0, alignment, 0)
        body += data
    body += bytes(-len(body) % 8)
    head = struct.pack("<4sBBBBB7xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, 65 if abi == 8 else 51, abi, kind, 190, 1, 0, 0,
                       64 + len(body), flags, 64, 56, 0, 64, len(sections), 1)
    return head + body + headers


def fatbin(images):
    """`images`: (compute capability, "a", "f" or "", bytes, kind if not that of a cubin: 1 PTX, 8 intermediate code)."""
    content = b""
    for compute, variant, image, *kind in images:
        image += bytes(-len(image) % 8)
        flags = 0x11 | {"": 0, "a": 0x100000, "f": 0x200000}[variant]
        content += struct.pack("<HHIQIIIIIIQQQ", *(kind or [2]), 0x101, 64, len(image), 0, 0, 0, compute, 0, 0, flags, 0, 0) + image
    return struct.pack("<4sHHQ", b"\x50\xed\x55\xba", 1, 16, len(content)) + content


def archive(members):
    """`members`: (name of at most 15 bytes, bytes)."""
    data = b"!<arch>\n"
    for name, content in members:
        data += f"{name + '/':16}{0:<12}{0:<6}{0:<6}{644:<8}{len(content):<10}`\n".encode() + content + b"\n" * (len(content) % 2)
    return data
