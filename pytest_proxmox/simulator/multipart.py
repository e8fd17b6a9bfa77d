"""Forms with a file in them, as clients send an upload: ``multipart/form-data``.

The parts are cut by their boundary here, for a file of many MiB is one part; what stands in a
part's head is read by the standard library.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from typing import Any, Final

CONTENT_TYPE: Final = "multipart/form-data"
FILE: Final = "filename"  # the field that carries the file, and the parameter with its name
TEMPORARY: Final = "tmpfilename"
_HEAD_END: Final = re.compile(rb"\r\n\r\n|\n\n")


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that came with a request, under the name its client gave it."""

    filename: str
    content: bytes

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return len(self.content)

    def checksum(self, algorithm: str) -> str:
        """Return its checksum in hexadecimal digits."""
        return hashlib.new(algorithm, self.content, usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class Form:
    """What a form holds: its fields in their order, and its file."""

    fields: tuple[tuple[str, str], ...] = ()
    upload: Upload | None = None

    def parameters(self) -> list[tuple[str, str]]:
        """Return the fields as parameters, with the name of the file as its node keeps it."""
        if self.upload is None:
            return list(self.fields)
        kept = hashlib.sha1(self.upload.content, usedforsecurity=False).hexdigest()[:32]
        file = (FILE, self.upload.filename)
        return [*self.fields, file, (TEMPORARY, f"/var/tmp/pveupload-{kept}")]  # noqa: S108


def is_form(content_type: str) -> bool:
    """Return whether a content type announces such a form."""
    return content_type.partition(";")[0].strip().lower() == CONTENT_TYPE


def parse(content_type: str, body: bytes) -> Form:
    """Return the form in a body; what is no part of it is passed over.

    Raises:
        ValueError: the content type names no boundary, or the body has none or does not end.
    """
    announced = Message()
    announced["content-type"] = content_type
    boundary = announced.get_boundary()
    if not boundary:
        raise ValueError("the content type names no boundary")
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary.encode())
    if len(pieces) < 3 or not pieces[-1].startswith(b"--"):
        raise ValueError(f"the body is not closed by its boundary '{boundary}'")
    fields: list[tuple[str, str]] = []
    upload: Upload | None = None
    for piece in pieces[1:-1]:
        name, filename, content = _part(piece)
        if name == FILE and filename is not None:
            upload = Upload(filename, content)
        elif name is not None:
            fields.append((name, content.decode(errors="replace")))
    return Form(tuple(fields), upload)


def _part(piece: bytes) -> tuple[str | None, str | None, bytes]:
    """Return a part's name, the name of its file where it is one, and its content."""
    end = _HEAD_END.search(piece, 2)
    if end is None:
        return None, None, b""
    head = HeaderParser().parsestr(piece[2 : end.end()].decode(errors="replace"))
    name: Any = head.get_param("name", header="content-disposition")
    return _text(name), head.get_filename(), piece[end.end() :]


def _text(value: Any) -> str | None:
    """Return a parameter of a header: one in another character set comes in three pieces."""
    if isinstance(value, tuple):
        return str(value[2])
    return None if value is None else str(value)
