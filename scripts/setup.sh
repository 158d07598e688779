#!/usr/bin/env bash
# Installs what building needs on Debian 12 or Ubuntu 24.04: distribution packages (root or sudo) and the pinned libtorch
# wheel into LRIAD_DEPS (default: lriad in the user's cache folder) unless LRIAD_TORCH names the folder `torch` of a Python
# environment with torch 2.11. Safe to run again; asks nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
deps="${LRIAD_DEPS:-${XDG_CACHE_HOME:-$HOME/.cache}/lriad}"
packages=(g++ cmake ninja-build ccache mold pkg-config git python3 python3-venv nlohmann-json3-dev libspdlog-dev libcli11-dev
          libyaml-cpp-dev libopencv-dev libjpeg-dev libwebp-dev libgif-dev libsentencepiece-dev libicu-dev libssl-dev libgtest-dev
          libgmock-dev libbenchmark-dev zstd)
# The tests of reports need a browser; Ubuntu has none as a package. Only CI asks for it, as users build without tests of pages.
if [ "${CI:-}" = true ] && grep -q '^ID=debian' /etc/os-release; then
  packages+=(chromium-headless-shell)
fi

missing=()
for package in "${packages[@]}"; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
if [ "${#missing[@]}" -gt 0 ]; then
  root=()
  if [ "$(id -u)" != 0 ]; then
    if sudo -n true 2>/dev/null; then
      root=(sudo -n)
    else
      echo "[setup] missing packages: ${missing[*]}; neither root nor sudo without a password is at hand: install them and run this again" >&2
      exit 2
    fi
  fi
  echo "[setup] installing ${missing[*]}"
  "${root[@]}" apt-get update -qq
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

if [ -n "${LRIAD_TORCH:-}" ]; then
  echo "[setup] libtorch is taken from LRIAD_TORCH, $LRIAD_TORCH"
  exit 0
fi
mkdir -p "$deps"
exec 9>"$deps/.lock"
flock 9
target="$deps/torch-2.11.0"
wanted="$(sha256sum cmake/libtorch-requirements.txt | cut -d' ' -f1)"
if [ "$(cat "$target/.complete" 2>/dev/null)" != "$wanted" ]; then
  echo "[setup] fetching libtorch 2.11.0 into $target (about 2.5 GB to download, once)"
  rm -rf "$target" "$target.part"
  python3 -m venv "$target.part"
  "$target.part/bin/python" -m pip install --disable-pip-version-check --no-deps --no-compile --require-hashes \
    --no-cache-dir --only-binary=:all: -r cmake/libtorch-requirements.txt
  printf '%s' "$wanted" >"$target.part/.complete"
  mv "$target.part" "$target"
fi
echo "[setup] libtorch 2.11.0 is in $target"
