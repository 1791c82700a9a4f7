"""Open a zip file that may come from anyone: only plain parts, never more than the file itself holds."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

from juyi.errors import SettingError

LONGEST_DESCRIPTION = 64 * 2**20
"""Bytes of the longest part that is read as JSON."""


class PlainArchive:
    """A zip file as torch writes it: its parts are stored as they are, under one folder.

    A part that is compressed, or parts that lie over one another, could grow without limit when they are read; torch
    writes neither.

    Args:
        path: of the file.
        where: what a person called it, for errors.

    Raises:
        SettingError: it is absent, damaged, or not such a file.
    """

    def __init__(self, path: str, where: str) -> None:
        self.where = where
        try:
            self._file = zipfile.ZipFile(path)
            parts = self._file.infolist()
            length = Path(path).stat().st_size
        except FileNotFoundError as error:
            raise SettingError(f"{where}: there is no such file; restore it, or name another") from error
        except (OSError, zipfile.BadZipFile, ValueError, EOFError) as error:
            raise SettingError(f"{where}: is damaged or no such archive ({error}); restore it") from error
        if any(part.compress_type != zipfile.ZIP_STORED for part in parts) or (
            sum(part.file_size for part in parts) > length
        ):
            raise SettingError(f"{where}: its parts are compressed or lie over one another, as torch writes none")
        self.root = parts[0].filename.partition("/")[0] if parts else ""
        self.names = {part.filename.removeprefix(f"{self.root}/") for part in parts}
        if len(self.names) < len(parts):
            raise SettingError(f"{where}: holds two parts of one name, as torch writes none")

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def read(self, name: str, most: int | None = None) -> bytes:
        """Return the bytes of a part.

        Raises:
            SettingError: it is not there, is damaged, or has more than `most` bytes.
        """
        try:
            found = self._file.getinfo(f"{self.root}/{name}" if name in self.names else name)
            if most is not None and found.file_size > most:
                raise SettingError(f"{self.where}: its {name} is too long ({found.file_size:,} bytes)")
            return self._file.read(found)
        except KeyError as error:
            raise SettingError(f"{self.where}: lacks {name}, so it is damaged or another kind of file") from error
        except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error) as error:
            raise SettingError(f"{self.where}: its {name} is damaged ({error}); restore it") from error
