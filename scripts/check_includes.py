#!/usr/bin/env python3
"""House rules: folders include only folders to their left, and each third-party library has one door."""
import re
import sys
from pathlib import Path

LEVELS = [["core"], ["config"], ["text", "vision", "dist", "kernels"], ["model"], ["data"], ["generation"], ["grpo"], ["eval"], ["run"],
          ["health"], ["train"], ["app"]]
RANK = {name: rank for rank, names in enumerate(LEVELS) for name in names}
DOORS = {
    r"yaml-cpp/": {"config"},
    r"CLI/": {"app"},
    r"opencv2/": {"vision"},
    r"(jpeglib|gif_lib)\.h|webp/": {"vision"},
    r"nccl\.h": {"dist"},
    r"spdlog/": {"core"},
    r"unicode/": {"text"},
    r"sentencepiece": {"text"},
    r"openssl/": {"core"},
}
TORCH_FREE = {"core", "config", "text", "vision", "data"}
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.M)


def folder_of(path, root):
    parts = path.relative_to(root).parts
    return parts[2] if parts[0] == "include" else parts[1]


def folder_included(name, path, root):
    """The folder of ours that an include leads to: lriad/X/..., a private X/... or a relative path; None for others."""
    match = re.match(r"lriad/(\w+)/", name)
    if match:
        return match[1]
    for base in (path.parent, root / "src"):
        target = (base / name).resolve()
        if target.is_file() and target.is_relative_to(root / "src"):
            return folder_of(target, root)
    return None


def problems_of(path, root):
    folder, header = folder_of(path, root), "include" in path.relative_to(root).parts[:1]
    for name in INCLUDE.findall(path.read_text()):
        other = folder_included(name, path, root)
        if other and other != folder and RANK[other] >= RANK[folder]:
            yield f"{path.relative_to(root)}: {folder} must not include {name}"
        if header and other and not name.startswith("lriad/"):
            yield f"{path.relative_to(root)}: a public header must not include the private {name}"
        for door, allowed in DOORS.items():
            if re.match(door, name) and (folder not in allowed or header):
                yield f"{path.relative_to(root)}: {name} may be included by sources in {', '.join(sorted(allowed))} only"
        if header and name.startswith("nlohmann/"):
            yield f"{path.relative_to(root)}: {name} must not be in a public header"
        if folder in TORCH_FREE and re.match(r"(torch|ATen|c10)/", name):
            yield f"{path.relative_to(root)}: {folder} must do without torch ({name})"


def main():
    root = Path(__file__).resolve().parent.parent
    files = [p for top in ("src", "include") for p in sorted((root / top).rglob("*")) if p.suffix in (".h", ".cpp", ".cu")]
    found = [problem for path in files for problem in problems_of(path, root)]
    print("\n".join(found) if found else f"{len(files)} files keep the rules")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
