# Starting point for work on the code: cmake -C cmake/dev.cmake -G Ninja -S . -B build/dev
set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "")
set(LRIAD_SANITIZE "address,undefined" CACHE STRING "")
set(CMAKE_EXPORT_COMPILE_COMMANDS ON CACHE BOOL "")
set(LRIAD_UNITY OFF CACHE BOOL "")
