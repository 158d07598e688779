#!/usr/bin/env bash
# Collects the licence texts that a binary distribution of the programs carries (third_party/README.md), from the packages that
# scripts/setup.sh installed. Usage: scripts/licences.sh [FOLDER, default third_party/licences]
set -euo pipefail
cd "$(dirname "$0")/.."
out="${1:-third_party/licences}"
deps="${LRIAD_DEPS:-${XDG_CACHE_HOME:-$HOME/.cache}/lriad}"
mkdir -p "$out"
# The Debian packages whose code is in the programs or in the libraries that they need; name of the text, name of the package.
while read -r name package; do
  cp "/usr/share/doc/$package/copyright" "$out/$name.txt"
done <<END
cli11 libcli11-dev
fmt libfmt9
gif libgif7
icu libicu72
nlohmann-json nlohmann-json3-dev
opencv libopencv-core406
openssl libssl3
sentencepiece libsentencepiece0
spdlog libspdlog1.10
yaml-cpp libyaml-cpp0.7
deflate libdeflate0
jpeg-turbo libjpeg62-turbo
lerc liblerc4
lzma liblzma5
openjpeg libopenjp2-7
png libpng16-16
tbb libtbb12
tiff libtiff6
webp libwebp7
zlib zlib1g
zstd libzstd1
END
torch="$(echo "$deps"/torch-2.11.0/lib/python3*/site-packages)"
# PyTorch's own licence stands before the list of what its wheel holds besides; only PyTorch's headers are compiled in.
sed '/^The PyTorch repository and source distributions bundle/,$d' "$torch"/torch-2.11.0.dist-info/licenses/LICENSE >"$out/pytorch.txt"
cp "$torch"/nvidia_nccl_cu13-*.dist-info/licenses/License.txt "$out/nccl.txt"
