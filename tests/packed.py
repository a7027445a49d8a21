"""Write zip and tar archives in tests, with members that no packing program would write."""

import io
import tarfile
import zipfile


def write_zip(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return str(path)


def member(name, kind=tarfile.REGTYPE, link="", size=0):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size
    return info


def write_tar(path, files, others=(), mode="w"):
    with tarfile.open(path, mode) as file:
        for name, content in files.items():
            file.addfile(member(name, size=len(content)), io.BytesIO(content))
        for info in others:
            file.addfile(info)
    return str(path)
