#!/usr/bin/env bash
# Builds OpenCV's modules core, imgproc and imgcodecs for PNG, JPEG, TIFF, BMP and WebP only, and libtiff without JBIG (whose
# library is GPL), from the distribution's own sources into LRIAD_DEPS/opencv-slim, once. They take the place
# of the distribution's at run time: same names, same interfaces, and about ten libraries instead of 137. Prints the folder.
set -euo pipefail
deps="${LRIAD_DEPS:-${XDG_CACHE_HOME:-$HOME/.cache}/lriad}"
target="$deps/opencv-slim"
mkdir -p "$deps"
exec 9>"$deps/.lock-opencv"
flock 9
# Built again when the distribution's own packages change, such as by a security update, or this script does.
installed() { dpkg-query -W -f '${source:Package} ${source:Version}\n' "$1"; }
wanted="$(installed libopencv-dev) $(installed libtiff-dev) $(sha256sum <"${BASH_SOURCE[0]}")"
if [ "$(cat "$target/.complete" 2>/dev/null)" = "$wanted" ]; then
  echo "$target"
  exit 0
fi
command -v dpkg-source >/dev/null || { echo "[bundle] dpkg-source is missing: install dpkg-dev and run this again" >&2; exit 2; }
work="$(mktemp -d)"
log="$work/log"
# What follows prints to the log, whose end is shown if something fails.
finish() {
  local code=$?
  [ "$code" = 0 ] || { tail -n 30 "$log"; echo "[bundle] slim OpenCV could not be built"; } >&4
  rm -rf "$work"
  exit "$code"
}
trap finish EXIT
echo "[bundle] building slim OpenCV into $target (about 130 MB of sources to download, minutes, once)" >&2
exec 3>&1 4>&2 >"$log" 2>&1
rm -rf "$target" "$target.part"
cd "$work"

# The distribution's sources, checked with the keys that apt trusts, without a change to apt's own lists.
mkdir -p apt/parts apt/lists/partial apt/cache/archives/partial
number=0
for file in /etc/apt/sources.list /etc/apt/sources.list.d/{debian,ubuntu}.{list,sources}; do
  [ -s "$file" ] || continue
  number=$((number + 1))
  sed 's/^Types:.*/Types: deb-src/; s/^deb /deb-src /' "$file" >"apt/parts/$number.${file##*.}"
done
options=(-o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$work/apt/parts" -o "Dir::State::lists=$work/apt/lists"
  -o "Dir::Cache=$work/apt/cache" -o APT::Sandbox::User=root)
apt-get "${options[@]}" update
apt-get "${options[@]}" source tiff opencv

build() {
  local folder
  folder="$(find . -maxdepth 1 -type d -name "$1-*")"
  # Decoding is the work of libpng and its like; higher optimisation would only double the time of the build.
  cmake -G Ninja -S "$folder" -B "build_$1" -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_FLAGS_RELEASE="-O1 -DNDEBUG" \
    -DCMAKE_INSTALL_PREFIX="$target.part" \
    -DCMAKE_INSTALL_LIBDIR=lib -DCMAKE_PREFIX_PATH="$target.part" -DBUILD_SHARED_LIBS=ON -DCMAKE_SKIP_RPATH=ON "${@:2}"
  nice -n 10 cmake --build "build_$1" --parallel "$(env -u OMP_NUM_THREADS nproc)" --target install
}
all() { printf -- "-D%s=$1\n" "${@:2}"; }

build tiff -Djbig=OFF -Dtiff-tools=OFF -Dtiff-tests=OFF -Dtiff-contrib=OFF -Dtiff-docs=OFF -Dcxx=OFF
mapfile -t off < <(all OFF BUILD_TESTS BUILD_PERF_TESTS BUILD_EXAMPLES BUILD_DOCS BUILD_JAVA BUILD_opencv_apps WITH_1394 WITH_ADE \
  WITH_EIGEN WITH_FFMPEG WITH_GDAL WITH_GDCM WITH_GSTREAMER WITH_GTK WITH_IMGCODEC_HDR WITH_IMGCODEC_PFM WITH_IMGCODEC_PXM \
  WITH_IMGCODEC_SUNRASTER WITH_IPP WITH_ITT WITH_JASPER WITH_LAPACK WITH_OPENCL WITH_OPENEXR WITH_OPENJPEG WITH_PROTOBUF \
  WITH_QUIRC WITH_TBB WITH_V4L)
build opencv -DBUILD_LIST=core,imgproc,imgcodecs -DCPU_DISPATCH= -DENABLE_PRECOMPILED_HEADERS=OFF "${off[@]}"

rm -rf "$target.part"/{bin,include,share,lib/cmake,lib/pkgconfig}
printf '%s' "$wanted" >"$target.part/.complete"
mv "$target.part" "$target"
echo "$target" >&3
