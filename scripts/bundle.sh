#!/usr/bin/env bash
# Makes OUT_DIR/lriad-<version>-linux-<machine>-cu<CUDA>.tar.zst: the programs, the small libraries they need, configs,
# licences, scripts/bench_gpu.sh, and launchers that find a libtorch on the machine it is unpacked on.
# Usage: scripts/bundle.sh OUT_DIR
#   BIN_DIR  folder of built programs (default: build/bin, built if need be)
set -euo pipefail
[ $# = 1 ] || { echo "usage: scripts/bundle.sh OUT_DIR" >&2; exit 2; }
mkdir -p "$1"
out="$(cd "$1" && pwd)"
cd "$(dirname "$0")/.."
programs=(lriad-train lriad-eval lriad-tool bench_gpu)
for tool in zstd readelf strip cmake; do
  command -v "$tool" >/dev/null || { echo "[bundle] $tool is missing: install it and run this again" >&2; exit 2; }
done
[ -n "${BIN_DIR:-}" ] || scripts/build.sh "${programs[@]}"
bin="$(cd "${BIN_DIR:-build/bin}" && pwd)"
# What a bundle may carry, with the text of its licence below third_party/licences. Whatever else a program comes to need is
# looked at by a person first.
licence_of() {
  case "$1" in
    libcrypto.so*) echo openssl ;;
    libdeflate.so*) echo deflate ;;
    libfmt.so*) echo fmt ;;
    libgif.so*) echo gif ;;
    libicudata.so* | libicui18n.so* | libicuuc.so*) echo icu ;;
    libjpeg.so*) echo jpeg-turbo ;;
    libLerc.so*) echo lerc ;;
    liblzma.so*) echo lzma ;;
    libopenjp2.so*) echo openjpeg ;;
    libpng16.so*) echo png ;;
    libsentencepiece.so* | libsentencepiece_train.so*) echo sentencepiece ;;
    libspdlog.so*) echo spdlog ;;
    libtbb.so*) echo tbb ;;
    libwebp.so* | libwebpdemux.so* | libwebpmux.so* | libsharpyuv.so*) echo webp ;;
    libyaml-cpp.so*) echo yaml-cpp ;;
    libz.so*) echo zlib ;;
    libzstd.so*) echo zstd ;;
    *) echo "[bundle] $1 is not among the libraries that a bundle may carry: look at its licence, then add it to $0" >&2; return 2 ;;
  esac
}

version="$("$bin/lriad-tool" --version)"
said() { sed -n "s/^$1 \([0-9.]*\).*/\1/p" <<<"$version"; }
cuda="$(sed -n 's/^CUDA //p' <<<"$version")"
suffix=cpu wanted="torch $(said libtorch | cut -d. -f1,2)"
if [ "$cuda" != none ]; then suffix="cu${cuda//./}" wanted="$wanted for CUDA $cuda"; fi
name="lriad-$(said lriad-tool)-linux-$(uname -m)-$suffix"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
root="$work/$name"
mkdir -p "$root"/{bin,libexec,lib,licences}
(cd "$bin" && ldd "${programs[@]}") >"$work/loaded"
if grep -E 'not found|libopencv' "$work/loaded"; then
  echo "[bundle] the programs of $bin lack the libraries above, or need OpenCV as such: see cmake/opencv.cmake" >&2
  exit 2
fi
torch="$(dirname "$(awk '$1 == "libtorch_cpu.so" {print $3; exit}' "$work/loaded")")"
site="${torch%/torch/lib}"
for program in "${programs[@]}"; do
  strip -o "$root/libexec/$program" "$bin/$program"
  # No folders of the machine that built it: where libraries lay, and libtorch's headers, which name themselves in messages.
  printf 'file(RPATH_REMOVE FILE "%s")\n' "$root/libexec/$program" >"$work/rpath.cmake"
  cmake -P "$work/rpath.cmake" >/dev/null
  LC_ALL=C sed -i "s|$site/|${site//?/.}/|g" "$root/libexec/$program"
  sed "s/@TORCH@/$(said libtorch | cut -d. -f1,2)/g; s/@CUDA@/$cuda/g" scripts/bundle/launcher.sh >"$root/bin/$program"
  chmod +x "$root/libexec/$program" "$root/bin/$program"
done

# All that is loaded but libtorch with NVIDIA's libraries and the C and C++ run time.
awk -v torch="$torch" '$2 == "=>" && index($3, torch) != 1 && $3 !~ "/nvidia/[^/]*/lib/" {print $1, $3}' "$work/loaded" | sort -u |
  grep -Ev '^lib(c|m|dl|rt|pthread|resolv|util|gcc_s|stdc\+\+)\.so' >"$work/carried"
cp third_party/licences/{cli11,nlohmann-json,spdlog,fmt,pytorch,nccl,opencv,tiff}.txt "$root/licences/"  # compiled in
while read -r library path; do
  licence="$(licence_of "$library")"
  cp "third_party/licences/$licence.txt" "$root/licences/"
  strip --strip-unneeded -o "$root/lib/$library" "$path"
done <"$work/carried"
cp LICENSE "$root/"
cp -r configs "$root/"
mkdir -p "$root"/{scripts,tests/bench}
cp scripts/bench_gpu.sh "$root/scripts/"
cp tests/bench/{gpu_compare,grpo_compare,grpo_rival}.py "$root/tests/bench/"
needs() { readelf -V "$root"/libexec/* "$root"/lib/* | grep -o "$1_[0-9.]*" | sort -Vu | tail -n 1 | cut -d_ -f2; }
cat >"$root/README.txt" <<END
$version

bin/lriad-train, bin/lriad-eval and bin/lriad-tool run on any $(uname -m) Linux with glibc $(needs GLIBC) or newer, a libstdc++ with
GLIBCXX_$(needs GLIBCXX), and $wanted: in the Python environment of the python3 on PATH, or where LRIAD_TORCH
names its folder (.../site-packages/torch). Python itself is asked only for that folder. Paths in configs/ are relative to
the folder that a program is started in. scripts/bench_gpu.sh measures a GPU; it needs python3. licences/ holds the texts of all
that is carried.
END
archive="$out/$name.tar.zst"
tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$(git log -1 --format=%ct 2>/dev/null || echo 0)" -cf - "$name" |
  ZSTD_CLEVEL="${ZSTD_CLEVEL:-19}" zstd -q --long=27 -T0 -f -o "$archive.part"
mv "$archive.part" "$archive"
echo "[bundle] $archive, $(stat -c %s "$archive" | numfmt --to=iec-i --suffix=B), unpacked $(du -sh "$root" | cut -f1)"
